"""The proof of what a killed meter keeps: the program itself, killed at random while tokens come.

``vtc07 meter serve`` is a process of its own with its store on disk. It is killed with SIGKILL at
random instants (of a seed), also while it starts, and started again; a real client delivers tokens
meanwhile, with its journal in a file. After each kill a copy of what is on the disk is opened and
its token log read. In the end all that was ever reported must agree with what the meter did.

As a program it kills a meter as often as asked and prints what it did.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

if __name__ == "__main__":
    sys.path += [str(Path(__file__).parents[1] / place) for place in ("", "meter")]

from bench_meter import MADE, new_meter

from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion
from vtc07.carrier.status import TokenStatus
from vtc07.hhu.delivery import SendReport, TokenToSend, resolve_earlier, send
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.outcome import Delivered, Outcome, Refused, Unresolved
from vtc07.hhu.session import Session
from vtc07.links.address import TCPAddress, parse
from vtc07.links.blocking import ClientDriver, open_link
from vtc07.links.link import Link, LinkUnavailable, Sender
from vtc07.meter import CompanionSource, MeterState, SQLiteStore, StoreKey, TokenLogEntry
from vtc07.tokens import Service, TransferCredit, encode

KEY_TEXT: Final = "C3" * 32
PROGRAM: Final = (sys.executable, "-c", "from vtc07.cli.main import main; main()")
#: As fast as the rules of a companion allow.
COMPANION: Final = """
extends = "electricity"
[identity]
flag = "VTc"
[timing]
reaction_ms = 1
fast_reaction_ms = 1
reconnects = 20
reconnect_pause_ms = 1
[token_entry]
poll_ms = 1
[meter]
execution_ms = 2
"""
_LONGEST_LIFE_S: Final = 0.3  # after the meter began to listen: some tokens' time
_EXECUTED_S: Final = 0.015  # after a token was sent: about when it is executed and stored
_WHILE_STARTING, _AFTER_AN_ENTRY = 0.15, 0.5  # of all kills; the others at any time


@dataclass
class Report:
    """What was done, and what came of it."""

    kills: int = 0
    killed_while_starting: int = 0
    killed_after_an_entry: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    resolved_later: Counter[str] = field(default_factory=Counter)
    tokens_executed: int = 0
    power_fails: int = 0
    credit_wh: int = 0

    def __str__(self) -> str:
        said = ", ".join(f"{n} {what}" for what, n in sorted(self.outcomes.items()))
        later = ", ".join(f"{n} {what}" for what, n in sorted(self.resolved_later.items()))
        return (
            f"{self.kills} kills, {self.killed_while_starting} while the meter started, "
            f"{self.killed_after_an_entry} right after an entry; it counts {self.power_fails} "
            "losses of power\n"
            f"{self.tokens_executed} tokens executed, credit {self.credit_wh} Wh, all of it "
            "reported once\n"
            f"outcomes: {said}\n"
            f"resolved later: {later or 'none'}"
        )


class Meter:
    """The meter as a process, killed and started again in a thread of its own."""

    def __init__(self, folder: Path, runtime: Path, kills: int, seed: int) -> None:
        self.store = folder / "m.meter"
        self.killed = 0
        self.killed_while_starting = 0
        self.killed_after_an_entry = 0
        self.entered = threading.Event()
        self.log: dict[int, TokenLogEntry] = {}
        self.error: BaseException | None = None
        self._folder = folder
        self._runtime = runtime
        self._kills = kills
        self._chance = random.Random(seed)
        self._process: subprocess.Popen[str] | None = None
        self._address: TCPAddress | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._live)
        self._start_s = 0.0

    def start(self) -> None:
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether all kills are done and the meter is there to stay."""
        return not self._thread.is_alive()

    def address(self, *, wait: bool) -> TCPAddress:
        """Return where it listens; LinkUnavailable while it does not, unless that is waited for."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._address is not None or self.error is not None)
            if self._address is None:
                raise LinkUnavailable("the meter is down")
            return self._address

    def switch_off(self) -> None:
        """Switch it off in good order."""
        assert self._process is not None
        self._process.terminate()
        _, said = self._process.communicate()
        assert self._process.returncode == 0, said

    def kill_for_good(self) -> None:
        """Leave nothing running."""
        self._thread.join()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def _live(self) -> None:
        try:
            self._run()
            while self.killed < self._kills:
                self._kill_once()
                self._run()
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            self.error = error
            with self._changed:
                self._changed.notify_all()

    def _kill_once(self) -> None:
        kind = self._chance.random()
        if kind < _WHILE_STARTING and self.killed < self._kills - 1:
            self._kill(0)
            self._launch()
            self._kill(self._chance.uniform(0, self._start_s))
            self.killed_while_starting += 1
        elif kind < _WHILE_STARTING + _AFTER_AN_ENTRY:
            self.entered.clear()
            self.entered.wait(_LONGEST_LIFE_S)
            self._kill(self._chance.uniform(0, _EXECUTED_S))
            self.killed_after_an_entry += 1
        else:
            self._kill(self._chance.uniform(0, _LONGEST_LIFE_S))

    def _launch(self) -> None:
        self._process = subprocess.Popen(
            [*PROGRAM, "meter", "serve", str(self.store), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "VTC07_STORE_KEY": KEY_TEXT,
                "XDG_RUNTIME_DIR": str(self._runtime),  # not the user's: what is killed leaves much
            },
        )

    def _run(self) -> None:
        started = time.monotonic()
        self._launch()
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._process.communicate()[1]
        self._start_s = time.monotonic() - started
        address = parse(json.loads(line)["listening"])
        assert isinstance(address, TCPAddress)
        with self._changed:
            self._address = address
            self._changed.notify_all()

    def _kill(self, after_s: float) -> None:
        assert self._process is not None
        threading.Event().wait(after_s)
        with self._changed:
            self._address = None
        self._process.kill()
        self._process.communicate()
        self.killed += 1
        self._look()

    def _look(self) -> None:
        """Open a copy of what is on the disk now: nothing that was in the log is another."""
        copy = self._folder / "copy"
        copy.mkdir()
        for found in (self.store, self.store.with_name(self.store.name + "-journal")):
            if found.exists():
                shutil.copy(found, copy)
        with SQLiteStore.open(copy / self.store.name, StoreKey.from_hex(KEY_TEXT)) as store:
            self.note(store.load())
        shutil.rmtree(copy)

    def note(self, state: MeterState) -> None:
        """Take down the token log; it only ever goes on, without a gap."""
        for entry in state.token_log:
            assert self.log.setdefault(entry.number, entry) == entry
        assert sorted(self.log) == list(range(1, state.tokens_executed + 1))


class Shop:
    """A client that delivers one token after the other until the meter has been killed enough."""

    def __init__(self, folder: Path, companion: Companion, meter: Meter, seed: int) -> None:
        self._companion = companion
        self._meter = meter
        self._journal_path = folder / "journal"
        self._chance = random.Random(seed)
        self._made = new_meter(companion)
        self._issued = 0
        self.reported: dict[str, list[Outcome]] = {}
        self.report = Report()

    def trade(self) -> None:
        """Deliver tokens, and at the end settle every one that has no result."""
        with FileJournal(self._journal_path) as journal:
            open_tokens: list[str] = []
            while not self._meter.is_done or open_tokens:
                used = [t for t, told in self.reported.items() if isinstance(told[-1], Delivered)]
                if open_tokens:
                    token = open_tokens.pop()
                elif used and self._chance.random() < 0.15:
                    token = self._chance.choice(used)
                else:
                    token = self._issue()
                (outcome,) = self._deliver(journal, token)
                if not isinstance(outcome, Delivered | Refused):
                    open_tokens.append(token)
            while journal.unresolved():
                self._run(journal, ())
            # What was resolved by the way as not taken is as good as before.
            for token in [t for t, told in self.reported.items() if not _has_result(told)]:
                (outcome,) = self._deliver(journal, token)
                assert isinstance(outcome, Delivered | Refused)

    def _issue(self) -> str:
        self._issued += 1
        amount = self._chance.randint(1, 1000)
        token = TransferCredit(Service.ELECTRICITY, 9, MADE + self._issued, amount)
        return encode(token, self._made.key).digits

    def _deliver(self, journal: FileJournal, token: str) -> Sequence[Outcome]:
        outcomes = self._run(journal, (token,)).outcomes
        for outcome in outcomes:
            self.report.outcomes[type(outcome).__name__] += 1
            self.reported.setdefault(token, []).append(outcome)
        return outcomes

    def _run(self, journal: FileJournal, tokens: Sequence[str]) -> SendReport:
        session = Session(self._companion, meter_pan=self._made.nameplate.meter_pan.digits)
        wait = self._chance.random() < 0.5
        core = Client(self._companion)
        with ClientDriver(core, lambda: self._link(wait), observer=self._watch) as driver:
            sent = [TokenToSend(token) for token in tokens]
            try:
                if sent:
                    report = driver.run(send(session, journal, sent, wall_clock=_wall_clock))
                else:
                    report = driver.run(resolve_earlier(session, journal, wall_clock=_wall_clock))
            except LinkUnavailable:  # before anything was done
                self._meter.address(wait=True)
                self._require_meter()
                return self._run(journal, tokens)
        assert not report.problems
        for earlier in report.earlier:
            self.reported.setdefault(earlier.delivery.token, []).append(earlier.outcome)
            self.report.resolved_later[type(earlier.outcome).__name__] += 1
        return report

    def _link(self, wait: bool) -> Link:
        try:
            return open_link(self._meter.address(wait=wait), self._companion.link)
        finally:
            self._require_meter()

    def _watch(self, sender: Sender, chars: bytes, _at_ns: int) -> None:
        if sender == "client" and b"W1" in chars:
            self._meter.entered.set()

    def _require_meter(self) -> None:
        if self._meter.error is not None:
            raise self._meter.error


def _has_result(told: Sequence[Outcome]) -> bool:
    return any(isinstance(outcome, Delivered | Refused) for outcome in told)


def _wall_clock() -> datetime:
    return datetime.now(UTC)


def run(folder: Path, kills: int, seed: int) -> Report:
    """Kill a meter so many times; AssertionError where anything is not as it was reported."""
    # Its name is short enough for a socket's, which a test's folder may not be.
    with tempfile.TemporaryDirectory(prefix="vtc07-") as runtime:
        return _run(folder, Path(runtime), kills, seed)


def _run(folder: Path, runtime: Path, kills: int, seed: int) -> Report:
    (folder / "crash.toml").write_text(COMPANION)
    source = CompanionSource.of(folder / "crash.toml")
    companion = source.companion()
    meter = Meter(folder, runtime, kills, seed)
    key = StoreKey.from_hex(KEY_TEXT)
    SQLiteStore.create(meter.store, new_meter(companion), source, key).close()
    shop = Shop(folder, companion, meter, seed)
    meter.start()
    try:
        shop.trade()
        meter.switch_off()
    finally:
        meter.kill_for_good()
    if meter.error is not None:
        raise meter.error
    with SQLiteStore.open(meter.store, key) as store:
        state = store.load()
    meter.note(state)
    report = shop.report
    report.kills, report.killed_while_starting = meter.killed, meter.killed_while_starting
    report.killed_after_an_entry = meter.killed_after_an_entry
    report.tokens_executed = state.tokens_executed
    report.power_fails = state.power_fails
    report.credit_wh = state.account.balance
    agree(shop.reported, meter.log, state)
    return report


def agree(
    reported: dict[str, list[Outcome]], log: dict[int, TokenLogEntry], state: MeterState
) -> None:
    """Require that what was reported is what the meter did."""
    told: dict[int, str] = {}
    for token, outcomes in reported.items():
        for outcome in outcomes:
            if not isinstance(outcome, Delivered | Refused):
                continue
            assert outcome.sequence is not None
            entry = log[outcome.sequence]
            assert (entry.token, entry.status) == (token, outcome.status)
            told.setdefault(outcome.sequence, token)
        assert not isinstance(outcomes[-1], Unresolved)
    accepted = [entry for entry in log.values() if entry.status is TokenStatus.ACCEPT]
    # Nothing twice, nothing unreported, and the credit is the sum.
    assert len({entry.token for entry in accepted}) == len(accepted)
    assert {entry.number for entry in accepted} <= told.keys()
    assert {entry.token for entry in accepted} == {
        token for token, told in reported.items() if any(isinstance(o, Delivered) for o in told)
    }
    credit = sum(entry.value or 0 for entry in accepted)
    assert state.account.accepted == state.account.balance == credit
    # Refused was nothing but what had been accepted before.
    first = {entry.token: entry.number for entry in accepted}
    for entry in log.values():
        if entry not in accepted:
            assert entry.status in (TokenStatus.USED_ERROR, TokenStatus.OLD_ERROR)
            assert first[entry.token] < entry.number


def main() -> None:
    """Kill a meter as often as the command line says, and print what was done."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), kills, seed)
    print(report)
    print(f"seed {seed}, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
