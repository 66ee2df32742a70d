"""A meter on its line, a hand-held unit, somebody at the keypad, and the steps of a scenario.

A scenario is a list of steps, read from top to bottom. Keys are named beforehand, so a token says
under which key it was made, and a step compares what people would see: the word that the delivery
reports, and registers read over the line.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion, S, SignOn
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import Procedure, SpeedChange, perform
from vtc07.carrier.events import EnterToken, Entry, TokenEntryAnswered
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.carrier.registers import Value
from vtc07.hhu.delivery import TokenToSend, send
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.outcome import Busy, Delivered, NotSent, NotTaken, Outcome, Refused
from vtc07.hhu.reading import read
from vtc07.hhu.session import Session
from vtc07.links.link import Sender
from vtc07.links.simulated import SimulatedLine
from vtc07.meter import MemoryStore, Meter, MeterServer, MeterState, TokenExecuted, manufacture
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    RND,
    SGC,
    TCT,
    TI,
    TID,
    BaseDate,
    ClearCredit,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
    Service,
    Token,
    TransferCredit,
    encode,
    key_change_sections,
)

PAN = "600727111111111153"
MADE = 5_000_000
#: bits of serverStatus
FLAGS = {"credit exhausted": 0x02, "lockout": 0x08, "key change pending": 0x10, "default key": 0x80}

# --- keys and tokens ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """A decoder key that exists nowhere else, with its attributes; a name gives the same key."""

    name: str
    kt: KT = KT.DUTK
    ea: EA = EA.MISTY1
    sgc: str = "600411"
    ti: str = "01"
    krn: int = 1
    ken: int = 255
    base_date: BaseDate = BaseDate.Y2014

    @property
    def decoder_key(self) -> DecoderKey:
        material = hashlib.sha256(f"key {self.name} of a scenario".encode()).digest()
        return DecoderKey(self.ea, material[: self.ea.key_bytes])

    @property
    def attributes(self) -> KeyAttributes:
        return KeyAttributes(
            self.kt, SGC(self.sgc), TI(self.ti), KRN(self.krn), KEN(self.ken), self.base_date
        )


def token(key: Key, content: Token) -> str:
    return encode(content, key.decoder_key, allow_undefined=True).digits


def credit(key: Key, minute: int, tenths: int) -> str:
    """Credit of so many tenths of a kWh, issued so many minutes after the base date."""
    return token(key, TransferCredit(Service.ELECTRICITY, RND(5), TID(minute), tenths))


def clear_credit(key: Key, minute: int) -> str:
    return token(key, ClearCredit(RND(5), TID(minute), 0))


def key_change(
    old: Key, new: Key, *, ro: bool = False, three_kct: bool = False, **undefined: Any
) -> tuple[str, ...]:
    """Return the set that leads from one key to another, in the order of issue.

    ``undefined``: fields of the first section with values that no issuer may give them.
    """
    first, *others = key_change_sections(
        new.decoder_key, new.attributes, ro=ro, three_kct=three_kct
    )
    sections = [replace(first, **undefined) if undefined else first, *others]
    return tuple(token(old, section) for section in sections)


def wrong(digits: str) -> str:
    """Return a token with a digit mistyped."""
    return digits[:-1] + str((int(digits[-1]) + 1) % 10)


# --- the scene ----------------------------------------------------------------------------------


class NoPower:
    """A meter without power: it hears nothing, says nothing, and its time stands still."""

    def receive(self, chars: bytes, now_ns: int) -> None: ...

    def bytes_to_send(self, now_ns: int) -> bytes:
        return b""

    def next_timer(self) -> int | None:
        return None

    def handle_timer(self, now_ns: int) -> None: ...

    def connection_lost(self, now_ns: int) -> None: ...

    def next_speed_change(self) -> SpeedChange | None:
        return None

    def next_work(self) -> Callable[[], None] | None:
        return None

    def work_done(self, error: Exception | None, now_ns: int) -> None: ...


class Scene:
    """What the steps act on."""

    def __init__(
        self,
        key: Key | None = None,
        *,
        state: MeterState | None = None,
        companion: Companion | None = None,
        execution_s: float = 1,
    ) -> None:
        self.companion = companion or load_companion("electricity")
        if state is None:
            assert key is not None
            pan = MeterPAN(PAN)
            state = manufacture(
                self.companion, pan, key.decoder_key, key.attributes, TID(MADE), phases=1
            )
        self.pan = state.nameplate.meter_pan.digits
        self.store = MemoryStore(state)
        self.execution_ns = int(execution_s * S)
        self.journal = MemoryJournal()
        self.keypad_results: list[str] = []
        self.heard: list[tuple[Sender, int]] = []
        self.waiting: tuple[Sender, bytes, Callable[[], None]] | None = None
        mode_c = self.companion.sign_on is SignOn.MODE_C
        self.character_ns = self.companion.link.character_ns if mode_c else 0
        self.line = SimulatedLine(
            ModeCClient(self.companion, character_ns=self.character_ns)
            if mode_c
            else Client(self.companion),
            self._power_up(0),
            speed=self.companion.link.speed if mode_c else 9600,
            observers=[self._observe],
        )

    def _power_up(self, now_ns: int) -> MeterServer:
        self.meter = Meter(
            self.companion, self.store, now_ns=now_ns, execution_ns=self.execution_ns
        )
        return MeterServer(
            self.companion,
            self.meter,
            character_ns=self.character_ns,
            token_executed=self._executed,
        )

    def _executed(self, executed: TokenExecuted) -> None:
        if executed.carrier is TCT.NUMERIC:
            assert executed.status is not None
            self.keypad_results.append(executed.status.value)

    def _observe(self, sender: Sender, sent: int, _arrived: int, now_ns: int) -> None:
        if self.waiting is not None and self.waiting[0] == sender and sent in self.waiting[1]:
            action = self.waiting[2]
            self.waiting = None
            self.line.schedule(now_ns, action)

    def power_cut(self, off_s: float) -> None:
        self.line.server = NoPower()
        self.line.idle(int(off_s * S))
        self.line.server = self._power_up(self.line.now_ns)

    def session(self) -> Session:
        """Return a session that begins anew: somebody plugs the hand-held unit in."""
        return Session(self.companion, address=self.pan)

    def send(self, tokens: Iterable[str]) -> list[str]:
        """Deliver tokens as the hand-held unit does, and return a word for each outcome."""
        return [self.word(outcome) for outcome in self.outcomes(tokens)]

    def outcomes(self, tokens: Iterable[str]) -> tuple[Outcome, ...]:
        procedure = send(
            self.session(),
            self.journal,
            [TokenToSend(digits) for digits in tokens],
            wall_clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )
        report = self.line.run(procedure)
        assert report.earlier == ()
        assert report.problems == ()
        assert self.journal.unresolved() == ()
        return report.outcomes

    def word(self, outcome: Outcome) -> str:
        """Return the result's name, the error message, or ``busy`` or ``not sent``."""
        match outcome:
            case Delivered(status) | Refused(status):
                return status.value
            case NotTaken(error=error) if error is not None:
                return self.companion.errors[error]
            case Busy():
                return "busy"
            case NotSent():
                return "not sent"
        return str(outcome)

    def read(self, *names: str) -> dict[str, Value]:
        """Read registers over the line."""
        wanted = [self.companion.table.named(name) for name in names]
        found = self.line.run(read(self.session(), wanted))
        assert not found.refused
        return {value.register.name: value.value for value in found.values}

    def token_log(self) -> list[tuple[int, str, str]]:
        """Read sequence, token and result of the token log over the line, oldest first."""
        numbers = self.companion.token_entry.status
        entries = []
        for value in self.read(*(f"tokenLog.{n}" for n in range(1, 51))).values():
            if value:
                sequence, digits, *_, number = str(value).split(",")
                status = numbers.status(int(number))
                assert status is not None
                entries.append((int(sequence), digits, status.value))
        return entries[::-1]

    def keypad(self, digits: str) -> str:
        """Enter a token on the keypad: ``taken`` for execution, or the error."""
        error = self.meter.enter(digits, TCT.NUMERIC, self.line.now_ns)
        return "taken" if error is None else self.companion.errors[error]

    def keypad_end(self, answer: str) -> str:
        """Return a keypad entry's result, once it is there, or the error that answered it."""
        if answer != "taken":
            return answer
        while self.meter.executing:
            self.line.idle(S // 10)
        return self.keypad_results.pop(0)


# --- steps --------------------------------------------------------------------------------------


class Step(ABC):
    """Something that happens, with what is to be seen of it."""

    @abstractmethod
    def play(self, scene: Scene) -> None:
        """Let it happen."""


def play(scene: Scene, steps: Iterable[Step]) -> None:
    """Play the steps in order; a failure says which one it was."""
    for number, step in enumerate(steps, 1):
        try:
            step.play(scene)
        except AssertionError as error:
            error.add_note(f"in step {number}: {step}")
            raise
    assert scene.keypad_results == []


@dataclass(frozen=True)
class Keypad(Step):
    """Somebody enters a token on the keypad."""

    digits: str
    result: str

    def play(self, scene: Scene) -> None:
        assert scene.keypad_end(scene.keypad(self.digits)) == self.result


#: Instants within a delivery: its token entry begins; the meter has sent its ACK.
ENTRY_BEGINS: tuple[Sender, bytes] = ("client", b"W")
ACK_SENT: tuple[Sender, bytes] = ("server", b"\x06")


@dataclass(frozen=True)
class Sends(Step):
    """The hand-held unit delivers one token. ``writes``: how often it had to enter it."""

    digits: str
    result: str
    at: tuple[Sender, bytes] | None = None
    meanwhile: Keypad | None = None
    writes: int = 1

    def play(self, scene: Scene) -> None:
        answers: list[str] = []
        if self.meanwhile is not None:
            assert self.at is not None
            entered = self.meanwhile.digits
            scene.waiting = (*self.at, lambda: answers.append(scene.keypad(entered)))
        assert scene.send([self.digits]) == [self.result]
        assert scene.journal.deliveries()[-1].writes == self.writes
        if self.meanwhile is not None:
            (answer,) = answers
            assert scene.keypad_end(answer) == self.meanwhile.result


@dataclass(frozen=True)
class SendsSet(Step):
    """The hand-held unit delivers several tokens in one go."""

    tokens: tuple[str, ...]
    results: tuple[str, ...]

    def play(self, scene: Scene) -> None:
        assert scene.send(self.tokens) == list(self.results)


@dataclass(frozen=True)
class Enters(Step):
    """A careless client writes tokens one after the other, without a look at any snapshot."""

    tokens: tuple[str, ...]
    answers: tuple[str, ...]

    def play(self, scene: Scene) -> None:
        assert scene.line.run(self._entries(scene)) == list(self.answers)

    def _entries(self, scene: Scene) -> Procedure[list[str]]:
        answers = []
        yield from scene.session().identify()
        for digits in self.tokens:
            event = yield from perform(EnterToken(digits))
            assert isinstance(event, TokenEntryAnswered)
            answers.append("ACK" if event.entry is Entry.ACK else event.error_text)
        return answers


@dataclass(frozen=True)
class Waits(Step):
    """Time passes, with power."""

    seconds: float

    def play(self, scene: Scene) -> None:
        scene.line.idle(int(self.seconds * S))


@dataclass(frozen=True)
class PowerFails(Step):
    """Power fails, and comes back after some time."""

    off_s: float = 1

    def play(self, scene: Scene) -> None:
        scene.power_cut(self.off_s)


class Shows(Step):
    """Registers have these values, as read over the line."""

    def __init__(self, **registers: Any) -> None:
        self.registers = registers

    def __repr__(self) -> str:
        return f"Shows({self.registers})"

    def play(self, scene: Scene) -> None:
        assert scene.read(*self.registers) == self.registers


def shows_key(key: Key) -> Step:
    """The meter shows the attributes of this key."""
    return Shows(
        SGC=key.sgc,
        KRN=key.krn,
        KT=int(key.kt),
        TI=key.ti,
        KEN=key.ken,
        baseDate=key.base_date.value,
    )


@dataclass(frozen=True)
class Flag(Step):
    """A bit of serverStatus is set, or not."""

    name: str
    is_set: bool = field(kw_only=True)

    def play(self, scene: Scene) -> None:
        found = scene.read("serverStatus")["serverStatus"]
        assert isinstance(found, int)
        assert bool(found & FLAGS[self.name]) is self.is_set


@dataclass(frozen=True)
class Logged(Step):
    """The token log holds these results of a token, oldest first, and no other of it."""

    digits: str
    results: tuple[str, ...]

    def play(self, scene: Scene) -> None:
        log = scene.token_log()
        assert tuple(result for _, digits, result in log if digits == self.digits) == self.results


@dataclass(frozen=True)
class Remembers(Step):
    """The TID store holds this TID, or does not."""

    tid: int
    is_there: bool = field(default=True, kw_only=True)

    def play(self, scene: Scene) -> None:
        store = scene.read(*(f"acceptedTID.{n}" for n in range(1, 51))).values()
        assert (self.tid in store) is self.is_there
