"""The proof of what a killed hand-held unit knows: at every entry of its journal, and in between.

``vtc07 send`` and ``vtc07 route run`` are processes of their own that are killed (SIGKILL) before
and after a statement of their journal, and ``vtc07 hhu resume`` then has to find out what became of
their tokens, killed itself now and then. A served meter takes the tokens meanwhile. What the
journal says must be what the meter did; then the same command is run again and has to end the work:
every token taken once, none entered twice.

As a program it kills at every statement and prints what it did.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    sys.path += [str(Path(__file__).parents[1] / place) for place in ("", "meter")]

from bench_meter import MADE, new_meter
from crash_proof import COMPANION, KEY_TEXT, PROGRAM

from vtc07.hhu.journal.reading import open_for_reading
from vtc07.meter import CompanionSource, SQLiteStore, StoreKey
from vtc07.tokens import Service, TransferCredit, encode

UNIT: Final = Path(__file__).with_name("killed_unit.py")
#: 0.1 kWh in Wh; the first token of a pair carries it once, the second twice.
_WH: Final = 100


@dataclass
class Answer:
    """What became of a command."""

    killed: bool
    code: int | None
    stdout: str
    stderr: str
    places: list[tuple[str, bool]]

    @property
    def document(self) -> Any:
        """Its JSON document."""
        return json.loads(self.stdout)


@dataclass
class Report:
    """What was done, and what came of it."""

    kills: int = 0
    resumes_killed: int = 0
    tokens: int = 0
    resolved: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        said = ", ".join(f"{n} {what}" for what, n in sorted(self.resolved.items()))
        return (
            f"{self.kills} kills, and {self.resumes_killed} of resuming; {self.tokens} tokens, "
            f"each taken once\nresolved: {said or 'none'}"
        )


class Unit:
    """A hand-held unit: the program that runs its commands, its journal, and the meter there."""

    def __init__(self, folder: Path, address: str, process: subprocess.Popen[str]) -> None:
        self.journal = folder / "unit.journal"
        self.meter = (address, "--companion", str(folder / "fast.toml"))
        self._process = process
        self._issued = 0

    def run(self, *arguments: str, kill_at: int | None = None) -> Answer:
        """Run a command; ``kill_at``: the place at which it is killed."""
        journal = () if "--no-journal" in arguments else ("--journal", str(self.journal))
        asked = {"arguments": [*arguments, "--json", *journal], "kill_at": kill_at}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the program that runs the commands has ended"
        return Answer(**json.loads(line))

    def done(self, *arguments: str) -> Answer:
        """Run a command that has to end well."""
        answer = self.run(*arguments)
        assert answer.code == 0, f"{arguments[:2]}: {answer.stderr}"
        return answer

    def truth(self, *registers: str) -> dict[str, Any]:
        """Ask the meter, past the journal."""
        answer = self.done("read", *self.meter, *registers, "--no-journal")
        return {r["name"]: r["value"] for r in answer.document["registers"]}

    def issue(self) -> tuple[str, str]:
        """Return two new tokens, of which each sum tells which were taken."""
        made = new_meter()
        tokens = []
        for times in (1, 2):
            self._issued += 1
            token = TransferCredit(Service.ELECTRICITY, 9, MADE + self._issued, times)
            tokens.append(encode(token, made.key).digits)
        return tokens[0], tokens[1]


@contextmanager
def a_unit(folder: Path) -> Iterator[Unit]:
    """A unit and a meter that is served; nothing is left running at the end."""
    (folder / "fast.toml").write_text(COMPANION)
    source = CompanionSource.of(folder / "fast.toml")
    store = folder / "m.meter"
    SQLiteStore.create(store, new_meter(), source, StoreKey.from_hex(KEY_TEXT)).close()
    with tempfile.TemporaryDirectory(prefix="vtc07-") as runtime:
        environment = {**os.environ, "VTC07_STORE_KEY": KEY_TEXT, "XDG_RUNTIME_DIR": runtime}
        meter = subprocess.Popen(
            [*PROGRAM, "meter", "serve", str(store), "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        unit = subprocess.Popen(
            [sys.executable, str(UNIT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert meter.stdout is not None
            yield Unit(folder, json.loads(meter.stdout.readline())["listening"], unit)
        finally:
            for process in (unit, meter):
                process.terminate()
                process.communicate()


#: Chooses among the places at which a command can be killed.
Choice = Callable[[Sequence[tuple[str, bool]]], Sequence[int]]


def everywhere(places: Sequence[tuple[str, bool]]) -> Sequence[int]:
    """Choose every place."""
    return range(len(places))


def deliveries(places: Sequence[tuple[str, bool]]) -> Sequence[int]:
    """Choose the end of every entry of a delivery, just before it is durable and just after."""
    chosen, of_a_delivery = [], False
    for place, (sql, after) in enumerate(places):
        of_a_delivery |= sql.endswith(" delivery") or sql.startswith("UPDATE delivery")
        if sql == "COMMIT" and of_a_delivery:
            chosen.append(place)
            of_a_delivery = not after
    return chosen


class Proof:
    """A unit that is killed again and again, and what is known of its meter."""

    def __init__(self, unit: Unit, folder: Path) -> None:
        self.report = Report()
        self._unit = unit
        self._folder = folder
        self._number = 0
        unit.done("hhu", "resume", *unit.meter)  # the journal is begun

    def send(self, choice: Choice) -> None:
        """Kill ``vtc07 send`` at the places chosen."""
        unit = self._unit
        for place in choice(unit.done("send", *unit.meter, *unit.issue()).places):
            tokens = unit.issue()
            command = ("send", *unit.meter, *tokens)
            self._killed(place, tokens, command)
            self._goes_on(tokens, (*command, "--resume"))

    def route(self, choice: Choice) -> None:
        """Kill ``vtc07 route run`` at the places chosen; its stop wants a register written too."""
        for place in choice(self._unit.done(*self._route(self._unit.issue())).places):
            tokens = self._unit.issue()
            command = self._route(tokens)
            self._killed(place, tokens, command)
            self._goes_on(tokens, command)
            threshold = self._unit.truth("lowCreditThreshold")
            assert threshold == {"lowCreditThreshold": self._number}
            unchanged = self._truth()
            self._unit.done(*command)  # there is nothing left to be done
            assert self._truth() == unchanged

    def _route(self, tokens: Sequence[str]) -> tuple[str, ...]:
        """Write a route of one stop; return the command that works on it."""
        pan = new_meter().nameplate.meter_pan.digits
        self._number += 1
        path = self._folder / f"route{self._number}.csv"
        path.write_text(
            "meter,place,deliver,write,read,notes\n"
            f"{pan},here,{';'.join(tokens)},lowCreditThreshold={self._number},creditBalance,\n"
        )
        return ("route", "run", str(path), *self._unit.meter, "--once")

    def _killed(self, place: int, tokens: tuple[str, str], command: tuple[str, ...]) -> None:
        """Kill a command, resume, and compare what is said with what the meter did."""
        unit, report = self._unit, self.report
        self._before = self._truth()
        self._where = f"{command[0]} killed at {place}"
        report.kills += unit.run(*command, kill_at=place).killed
        if report.kills % 3 == 0:  # the battery is really flat
            resumed = unit.run("hhu", "resume", *unit.meter, kill_at=place % 17)
            report.resumes_killed += resumed.killed
        resumed = unit.done("hhu", "resume", *unit.meter)
        for each in resumed.document["deliveries"]:
            report.resolved[each["text"]] += 1
        assert resumed.document["left"] == {"deliveries": [], "settings": []}, self._where
        credit, entered = self._since()
        taken = {token for token, bit in zip(tokens, (1, 2), strict=True) if credit & bit}
        assert _delivered(unit, tokens) == taken, self._where
        assert entered == len(taken), f"entered twice: {self._where}"

    def _goes_on(self, tokens: tuple[str, str], command: tuple[str, ...]) -> None:
        """Run the command again: it ends the work."""
        self._unit.done(*command)
        assert self._since() == (3, 2), self._where
        assert _delivered(self._unit, tokens) == set(tokens), self._where
        self.report.tokens += 2

    def _truth(self) -> tuple[int, int]:
        found = self._unit.truth("totalCreditAccepted", "tokenSequence")
        return found["totalCreditAccepted"] // _WH, found["tokenSequence"]

    def _since(self) -> tuple[int, int]:
        """Return how much credit came since the kill, and how many tokens."""
        (credit, sequence), (before, first) = self._truth(), self._before
        return credit - before, sequence - first


def _delivered(unit: Unit, tokens: Sequence[str]) -> set[str]:
    """Return which of the tokens were delivered, by the journal; none is open."""
    with open_for_reading(unit.journal) as journal:
        assert not journal.unresolved()
        ours = [d for d in journal.deliveries() if d.token in tokens]
    return {d.token for d in ours if d.ended is not None and d.ended.taken is not None}


def prove(what: Callable[[Proof], None]) -> Report:
    """Kill a unit; AssertionError where anything is not as its journal says."""
    with tempfile.TemporaryDirectory() as name, a_unit(Path(name)) as unit:
        proof = Proof(unit, Path(name))
        what(proof)
        unit.done("hhu", "verify")
        return proof.report


def main() -> None:
    """Kill at every place, and print what was done."""
    for what in (lambda proof: proof.send(everywhere), lambda proof: proof.route(everywhere)):
        started = time.monotonic()
        print(prove(what))
        print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
