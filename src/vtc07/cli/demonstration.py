"""What `vtc07 demo` does: a meter, a hand-held unit, a line between them, step by step.

Nothing is staged: the real meter with its store on disk, the real cores, the real delivery, on a
simulated line. Each step says beforehand what must come, and only what comes is told.
"""

from __future__ import annotations

import functools
import itertools
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from vtc07.carrier.client import Client
from vtc07.carrier.endpoint import Procedure
from vtc07.carrier.registers import Register, Value
from vtc07.carrier.status import TokenStatus
from vtc07.cli.keys import TEST_PAN, TEST_SGC, test_vending_key
from vtc07.cli.power import work
from vtc07.hhu.delivery import SendReport, TokenToSend, send
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.outcome import Delivered, Outcome
from vtc07.hhu.outcome import Refused as RefusedToken
from vtc07.hhu.progress import EntryWritten, Polling, Progress, Reconnecting
from vtc07.hhu.reading import read
from vtc07.hhu.session import Session
from vtc07.hhu.writing import write
from vtc07.links.clock import Clock
from vtc07.links.link import Sender
from vtc07.links.simulated import UNPLUGGED, LineObserver, SimulatedLine
from vtc07.meter import CompanionSource, Meter, MeterServer, SQLiteStore, StoreKey, manufacture
from vtc07.tokens import (
    DKGA,
    EA,
    KEN,
    KRN,
    KT,
    RND,
    TI,
    TID,
    BaseDate,
    ClearTamperCondition,
    DecoderKey,
    KeyAttributes,
    Service,
    SetMaximumPowerLimit,
    Token,
    TransferCredit,
    derive_decoder_key,
    encode,
    key_change_set,
)
from vtc07.trace.values import grouped

_ISSUED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_UNPLUGGED_FOR_NS = 9_000_000_000  # long enough for three attempts to fail
_ACK_LOST_FOR_NS = 1_000_000_000
_EXECUTION_NS = 1_300_000_000  # longer than the companion states, so that a poll is seen
_TAMPER_FLAG = 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """A step that is over: what it is, what had to come, what came."""

    title: str
    expected: str
    found: str

    @property
    def good(self) -> bool:
        """Say whether it did what it must."""
        return self.expected == self.found


class Demonstration:
    """A meter of ``service`` in a store at ``store``, a hand-held unit, and a line of 2400 Bd.

    ``observers`` are told of every character, ``tell`` of what happens beside the line.
    """

    def __init__(
        self,
        service: str,
        store: Path,
        *,
        clock: Clock,
        observers: Sequence[LineObserver],
        tell: Callable[[str], None],
    ) -> None:
        self._tell = tell
        self._source = source = CompanionSource.of(service)
        self.companion = companion = source.companion()
        self._service = Service[service.upper()]
        self._vending_key = test_vending_key(DKGA.DKGA04)
        self._pan = TEST_PAN
        self._attributes = KeyAttributes(
            KT.DUTK, TEST_SGC, TI("01"), KRN(1), KEN(255), BaseDate.Y2014
        )
        self._key = self._derive(self._attributes)
        self._issued = itertools.count()
        state = manufacture(companion, self._pan, self._key, self._attributes, BaseDate.Y2014.epoch)
        self._path, self._store_key = store, StoreKey(secrets.token_bytes(32))
        self._store = SQLiteStore.create(store, state, source, self._store_key)
        self.meter = Meter(
            companion, self._store, now_ns=clock.now_ns(), execution_ns=_EXECUTION_NS
        )
        character_ns = companion.link.character_ns
        self.line = SimulatedLine(
            Client(companion, character_ns=character_ns),
            MeterServer(companion, self.meter, character_ns=character_ns),
            speed=companion.link.speed,
            clock=clock,
            fault=self._fault,
            observers=observers,
        )
        self._session = Session(companion, address=self._pan.digits, on_progress=self._on_progress)
        self._journal = MemoryJournal()
        self._cut: _Cut | None = None
        self._off = False
        self._last_token = ""
        self._writes = 0  # token entries sent
        self._executed = 0  # tokens that came to a result
        self._accepted = 0  # credit, in base units

    def close(self) -> None:
        """Switch the meter off in good order and close its store."""
        self._power_off()

    def _power_off(self) -> None:
        if self._off:
            return
        self._off = True
        self.meter.power_off(self.line.now_ns)
        work(self.meter, self.line.now_ns)
        self._store.close()

    # --- the steps -----------------------------------------------------------------------------

    def steps(self) -> Iterator[tuple[str, Callable[[], Step]]]:
        """Return each step's title and what carries it out; to be carried out in this order."""
        plan: list[tuple[str, Callable[[str], Step]]] = [
            ("Manufacture a meter: EA11, DKGA04", self._manufacture),
            ("Identification", self._identify),
            ("Nameplate and credit", self._nameplate),
            ("A credit token", lambda title: self._credit(title, 256)),
            ("The same token again", self._used),
            ("A corrupted token", self._corrupted),
            ("A key change in shuffled order", self._key_change),
            ("Credit under the new key", lambda title: self._credit(title, 100)),
            ("A power limit", self._power_limit),
            ("Tamper, and the token that clears it", self._tamper),
            ("The cable cut in the middle of a token", self._cut_in_the_token),
            ("The cable cut before the ACK", self._cut_before_the_ack),
            ("A threshold written and read back", self._threshold),
            ("A write that no meter takes", self._write_credit),
            ("Break", self._sign_off),
            ("What the store holds", self._stored),
        ]
        for title, carry_out in plan:
            yield title, functools.partial(carry_out, title)

    def _manufacture(self, title: str) -> Step:
        nameplate = self.meter.state.nameplate
        self._tell(
            f"MeterPAN {nameplate.meter_pan}, SGC {self._attributes.sgc}, "
            f"TI {self._attributes.ti}, KRN {self._attributes.krn}, a DUTK from the public test "
            "key; the decoder key is sealed in the store"
        )
        closed = self.meter.state.switch.closed
        found = f"balance {self.meter.state.account.balance}, switch {_switch(closed)}"
        return Step(title, "balance 0, switch open", found)

    def _identify(self, title: str) -> Step:
        meter = self._run(self._session.identify())
        for warning in meter.warnings:
            self._tell(warning)
        identity = meter.identity
        self._tell(f"FLAG {identity.flag}, identification {identity.identification}")
        return Step(title, f"meter {TEST_PAN}", f"meter {meter.meter_pan}")

    def _nameplate(self, title: str) -> Step:
        names = ("EA", "SGC", "KRN", "KT", "TI", "KEN", "baseDate", "creditBalance")
        values = self._read("meterPAN", *names)
        found = ", ".join(f"{name} {values[name]}" for name in names)
        wanted = "EA 11, SGC 201457, KRN 1, KT 2, TI 01, KEN 255, baseDate 14, creditBalance 0"
        return Step(title, wanted, found)

    def _credit(self, title: str, amount: int) -> Step:
        """Deliver a credit of ``amount`` tenths; it counts once, in credit and in the total."""
        before = self._read("creditBalance", "totalCreditAccepted")
        outcome = self._send(self._issue_credit(amount))
        after = self._read("creditBalance", "totalCreditAccepted")
        unit = self._register("creditBalance").unit
        self._tell(f"credit {before['creditBalance']} {unit} -> {after['creditBalance']} {unit}")
        gained = int(after["totalCreditAccepted"]) - int(before["totalCreditAccepted"])
        assert self.companion.meter is not None
        wanted = amount * self.companion.meter.credit_unit
        self._accepted += wanted
        return Step(title, f"Accept, +{wanted} {unit}", f"{_result(outcome)}, +{gained} {unit}")

    def _used(self, title: str) -> Step:
        return self._refused(title, self._last_token, TokenStatus.USED_ERROR)

    def _corrupted(self, title: str) -> Step:
        token = self._issue_credit(50)
        wrong = token[:-1] + str((int(token[-1]) + 1) % 10)
        return self._refused(title, wrong, TokenStatus.CRC_ERROR)

    def _refused(self, title: str, token: str, status: TokenStatus) -> Step:
        before = self._read("totalCreditAccepted")
        outcome = self._send(token)
        unchanged = self._read("totalCreditAccepted") == before
        found = f"{_result(outcome)}, credit {'unchanged' if unchanged else 'changed'}"
        return Step(title, f"{status.value}, credit unchanged", found)

    def _key_change(self, title: str) -> Step:
        old = self._attributes
        new = KeyAttributes(old.kt, old.sgc, TI("02"), KRN(2), old.ken, old.base_date)
        new_key = self._derive(new)
        first, second, third, fourth = key_change_set(self._key, new_key, new, ro=False)
        sections = [token.digits for token in (third, first, fourth, second)]
        self._tell("the sections travel in the order 3rd, 1st, 4th, 2nd")
        outcomes = self._deliver(sections).outcomes
        self._key, self._attributes = new_key, new
        values = self._read("TI", "KRN")
        found = [*(_result(outcome) for outcome in outcomes), f"TI {values['TI']}"]
        found.append(f"KRN {values['KRN']}")
        return Step(title, "3rdKCT, 1stKCT, 4thKCT, Accept, TI 02, KRN 2", ", ".join(found))

    def _power_limit(self, title: str) -> Step:
        outcome = self._send(self._issue(SetMaximumPowerLimit(RND(5), self._next_tid(), 8000)))
        if not self.companion.table.has("maximumPowerLimit"):
            self._tell(f"a {self._service.name.lower()} meter has no power to limit")
            return Step(title, "FunctionError", _result(outcome))
        limit = self._read("maximumPowerLimit")["maximumPowerLimit"]
        return Step(title, "Accept, limit 8000 W", f"{_result(outcome)}, limit {limit} W")

    def _tamper(self, title: str) -> Step:
        self._tell("somebody opens the terminal cover")
        self.meter.tamper(_TAMPER_FLAG, self.line.now_ns)
        opened = self._read("loadSwitch", "tamperStatus")
        outcome = self._send(self._issue(ClearTamperCondition(RND(5), self._next_tid())))
        closed = self._read("loadSwitch", "tamperStatus")
        found = (
            f"switch {_switch(opened['loadSwitch'])}, {_result(outcome)}, "
            f"switch {_switch(closed['loadSwitch'])}, tamper {closed['tamperStatus']}"
        )
        return Step(title, "switch open, Accept, switch closed, tamper 0", found)

    def _cut_in_the_token(self, title: str) -> Step:
        self._cut = _Cut("client", b"\x01W1", 20, _UNPLUGGED_FOR_NS)
        return self._recovered(title, writes=2)

    def _cut_before_the_ack(self, title: str) -> Step:
        self._cut = _Cut("server", b"\x06", 0, _ACK_LOST_FOR_NS)
        return self._recovered(title, writes=1)

    def _recovered(self, title: str, *, writes: int) -> Step:
        self._writes = 0
        step = self._credit(title, 70)
        return Step(
            title,
            f"{step.expected}, written {_times(writes)}",
            f"{step.found}, written {_times(self._writes)}",
        )

    def _threshold(self, title: str) -> Step:
        register = self._register("lowCreditThreshold")
        (result,) = self._run(write(self._session, [(register, 5000)], verify=True))
        return Step(title, "5000 written, 5000 read", f"5000 written, {result.read_back} read")

    def _write_credit(self, title: str) -> Step:
        """Ask for what the hand-held unit's own functions refuse to ask."""
        from vtc07.carrier.events import CommandRefused, Write  # noqa: PLC0415 - this step alone

        register = self._register("creditBalance")
        before = self._read("creditBalance")
        event = self._run(self._session.command(Write(register, 1_000_000)))
        text = event.error_text if isinstance(event, CommandRefused) else type(event).__name__
        changed = before != self._read("creditBalance") and self._service is not Service.TIME
        found = f"{text}, credit {'changed' if changed else 'unchanged'}"
        return Step(title, "ER04, credit unchanged", found)

    def _sign_off(self, title: str) -> Step:
        self._run(self._session.sign_off())
        self.line.idle(200_000_000)
        server = self.line.server
        assert isinstance(server, MeterServer)
        return Step(title, "server Idle", "server Connected" if server.connected else "server Idle")

    def _stored(self, title: str) -> Step:
        """Switch the meter off and look at what its store holds, as the next start will."""
        self._power_off()
        with SQLiteStore.open(self._path, self._store_key) as store:
            state = store.load()
        self._tell("the meter is switched off, and its store opened again")
        unit = self._register("creditBalance").unit
        return Step(
            title,
            f"{self._executed} tokens, {self._accepted} {unit} accepted",
            f"{state.tokens_executed} tokens, {state.account.accepted} {unit} accepted",
        )

    # --- the hand-held unit and the point of sale -----------------------------------------------

    def _derive(self, attributes: KeyAttributes) -> DecoderKey:
        return derive_decoder_key(
            DKGA.DKGA04,
            self._vending_key,
            self._pan,
            attributes.kt,
            attributes.sgc,
            attributes.ti,
            attributes.krn,
            attributes.base_date,
            EA.MISTY1,
        )

    def _next_tid(self) -> TID:
        at = _ISSUED + timedelta(minutes=next(self._issued))
        return TID.of(at, self._attributes.base_date)

    def _issue(self, token: Token) -> str:
        self._last_token = encode(token, self._key).digits
        return self._last_token

    def _issue_credit(self, amount: int) -> str:
        return self._issue(TransferCredit(self._service, RND(5), self._next_tid(), amount))

    def _send(self, token: str) -> Outcome:
        return self._deliver([token]).outcomes[0]

    def _deliver(self, tokens: Sequence[str]) -> SendReport:
        for token in tokens:
            self._tell(f"token {grouped(token)}")
        report = self._run(
            send(
                self._session,
                self._journal,
                [TokenToSend(token) for token in tokens],
                wall_clock=lambda: _ISSUED + timedelta(microseconds=self.line.now_ns // 1000),
            )
        )
        for outcome in report.outcomes:
            self._tell(f"the hand-held unit reports: {outcome}")
            self._executed += isinstance(outcome, Delivered | RefusedToken)
        return report

    def _register(self, name: str) -> Register:
        return self.companion.table.named(name)

    def _read(self, *names: str) -> dict[str, Value]:
        registers = self._run(read(self._session, [self._register(name) for name in names]))
        return {found.register.name: found.value for found in registers.values}

    def _run(self, procedure: Procedure[T]) -> T:
        return self.line.run(procedure)

    def _on_progress(self, progress: Progress) -> None:
        match progress:
            case EntryWritten():
                self._writes += 1
            case Polling(status=status):
                self._tell(f"tokenStatus: {status}; asking again")
            case Reconnecting(number=number, of=of):
                self._tell(f"no answer; connecting again ({number} of {of})")
            case _:
                pass

    # --- the cut ---------------------------------------------------------------------------------

    def _fault(self, sender: Sender, char: int, index: int, now_ns: int) -> int:  # noqa: ARG002
        cut = self._cut
        if cut is None or not cut.strikes(sender, char):
            return char
        self._cut = None
        self._tell("the cable is cut")
        self.line.schedule(now_ns + cut.duration_ns, self._mend)
        return UNPLUGGED

    def _mend(self) -> None:
        self._tell("the cable is plugged in again")
        self.line.plug()


@dataclass(slots=True)
class _Cut:
    """Where the cable is cut: ``after`` characters behind ``opening`` of ``sender``, once."""

    sender: Sender
    opening: bytes
    after: int
    duration_ns: int
    seen: bytes = b""
    passed: int = -1

    def strikes(self, sender: Sender, char: int) -> bool:
        """Take the next character and say whether the cut comes with it."""
        if sender != self.sender:
            return False
        if self.passed < 0:
            self.seen = (self.seen + bytes([char]))[-len(self.opening) :]
            if self.seen == self.opening:
                self.passed = 0
        else:
            self.passed += 1
        return self.passed == self.after


def _result(outcome: Outcome) -> str:
    if isinstance(outcome, Delivered | RefusedToken):
        return outcome.status.value
    return str(outcome)


def _switch(closed: object) -> str:
    return "closed" if closed else "open"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
