"""A hand-held unit on a bench: a real meter on a simulated line, or a scripted one without."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion, S, SignOn
from vtc07.carrier.endpoint import Durably, Now, Perform, Procedure, Reopen, Wait
from vtc07.carrier.events import (
    Break,
    ClientEvent,
    Command,
    CommandFailed,
    EnterToken,
    Entry,
    Failure,
    Identified,
    Identify,
    Identity,
    Read,
    ReadSnapshot,
    RegistersRead,
    RegisterValue,
    SignedOff,
    TokenEntryAnswered,
    Write,
    Written,
)
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.carrier.registers import Register, Value
from vtc07.hhu.resolution import Snapshot
from vtc07.links.simulated import Fault, LineObserver, SimulatedLine
from vtc07.meter import MemoryStore, Meter, MeterServer, MeterState, manufacture
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TCT,
    TI,
    TID,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
    Service,
    TransferCredit,
    encode,
)

T = TypeVar("T")

PAN = "600727111111111153"
OTHER_PAN = "600727222222222225"
KEY = DecoderKey(EA.MISTY1, bytes(range(16)))
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def wall_clock() -> datetime:
    return AT


def credit(number: int = 0, amount: int = 100) -> str:
    """A credit token of its own; ``amount`` in 0.1 kWh."""
    token = TransferCredit(Service.ELECTRICITY, 5, 6_000_000 + number, amount)
    return encode(token, KEY).digits


def new_meter(companion: Companion, pan: str = PAN, *, password: str | None = None) -> MeterState:
    attributes = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
    made = TID(5_000_000)
    return manufacture(companion, MeterPAN(pan), KEY, attributes, made, password=password)


class MeterLine:
    """A real client core, a real meter with its server core, and the line between them.

    A companion of mode C brings the cores of mode C; the line then begins at 300 Bd, and the client
    gives ``password``.
    """

    def __init__(
        self,
        companion: Companion,
        *,
        state: MeterState | None = None,
        fault: Fault | None = None,
        speed: int | None = None,
        execution_ns: int = S,
        server_sees_close: bool = False,
        password: str | None = None,
        echo: bool = False,
        observers: Iterable[LineObserver] = (),
    ) -> None:
        self.companion = companion
        speed = speed or companion.link.speed
        self.execution_ns = execution_ns
        self.store = MemoryStore(state or new_meter(companion))
        self.character_ns = -(-10 * S // speed)
        client: Client | ModeCClient = Client(companion, character_ns=self.character_ns)
        if companion.sign_on is SignOn.MODE_C:
            client = ModeCClient(companion, character_ns=self.character_ns, password=password)
        self.client = client
        self.line = SimulatedLine(
            client,
            self._power_up(0),
            speed=speed,
            fault=fault,
            server_sees_close=server_sees_close,
            echo=echo,
            observers=observers,
        )

    def _power_up(self, now_ns: int) -> MeterServer:
        meter = Meter(self.companion, self.store, now_ns=now_ns, execution_ns=self.execution_ns)
        self.meter = meter
        return MeterServer(self.companion, meter, character_ns=self.character_ns)

    def power_fail(self) -> None:
        """The meter loses what is not committed, and starts again."""
        self.line.server = self._power_up(self.line.now_ns)

    def keypad(self, token: str) -> None:
        """Someone enters a token on the meter itself."""
        assert self.meter.enter(token, TCT.NUMERIC, self.line.now_ns) is None

    def run(self, procedure: Procedure[T]) -> T:
        return self.line.run(procedure)

    @property
    def state(self) -> MeterState:
        return self.store.state


class ScriptedMeter:
    """A meter at the level of commands: what it answers is told beforehand, time is counted.

    ``registers``: values by name; the snapshot's too unless ``snapshots`` has answers left, of
    which the last is repeated. ``entries``: answers to token entries in turn. ``reopens``: the
    outcomes of reopening the link, True when used up. ``failing``: called before each command,
    may return a failure instead of the answer.
    """

    def __init__(self, companion: Companion, pan: str = PAN) -> None:
        self.companion = companion
        self.registers: dict[str, Value] = {"meterPAN": pan}
        self.snapshots: deque[Snapshot | ClientEvent] = deque()
        self.entries: deque[ClientEvent] = deque()
        self.reopens: deque[bool] = deque()
        self.failing: Callable[[Command], ClientEvent | None] = lambda _command: None
        self.identity = Identity("VTC", "3", "0100000100FF", (1, 0, 1, 0xFF))
        self.commands: list[Command] = []
        self.times: list[int] = []
        self.reopened = 0
        self.now_ns = 7 * S

    def run(self, procedure: Procedure[T]) -> T:
        outcome: Any = None
        error: Exception | None = None
        try:
            while True:
                effect = procedure.throw(error) if error else procedure.send(outcome)
                outcome, error = None, None
                match effect:
                    case Perform(command):
                        self.commands.append(command)
                        self.times.append(self.now_ns)
                        outcome = self._answer(command)
                    case Wait(duration_ns):
                        self.now_ns += duration_ns
                    case Reopen():
                        self.reopened += 1
                        outcome = self.reopens.popleft() if self.reopens else True
                    case Durably(action):
                        try:
                            outcome = action()
                        except Exception as raised:  # noqa: BLE001 - as drivers do
                            error = raised
                    case Now():
                        outcome = self.now_ns
        except StopIteration as end:
            result: T = end.value
            return result

    def count(self, kind: type) -> int:
        return sum(isinstance(command, kind) for command in self.commands)

    def _answer(self, command: Command) -> ClientEvent:
        failed = self.failing(command)
        if failed is not None:
            self.now_ns += 6 * S
            return failed
        self.now_ns += S // 2
        match command:
            case Identify():
                return Identified(self.identity)
            case Read(start, count):
                found = self.companion.table.readable_from(start, count)
                return self._values((r, self._value(r)) for r in found)
            case ReadSnapshot():
                return self._snapshot()
            case Write(register, value):
                self.registers[register.name] = value
                return Written(register)
            case EnterToken():
                return self.entries.popleft()
            case Break():
                return SignedOff()

    def _value(self, register: Register) -> Value:
        return self.registers.get(register.name, 0 if register.data_type.is_number else "")

    def _values(self, values: Iterable[tuple[Register, Value]]) -> RegistersRead:
        found = tuple(RegisterValue(register, value) for register, value in values)
        return RegistersRead(found, self.now_ns - S // 4, self.now_ns)

    def _snapshot(self) -> ClientEvent:
        answer = self.snapshots.popleft() if len(self.snapshots) > 1 else self.snapshots[0]
        if not isinstance(answer, Snapshot):
            return answer
        values: dict[str, Value] = {
            "tokenStatus": answer.status,
            "tokenSequence": answer.sequence,
            "lastToken": answer.last_token,
            "lastTokenStatus": answer.last_status,
        }
        return self._values((self.companion.table.named(n), v) for n, v in values.items())


ACK = TokenEntryAnswered(Entry.ACK)
UNCERTAIN = TokenEntryAnswered(Entry.UNCERTAIN)


def no_answer(command: Command, failure: Failure = Failure.NO_ANSWER) -> CommandFailed:
    return CommandFailed(command, failure, 3)


def without(companion: Companion, *names: str) -> Companion:
    """The companion without these registers, as another maker's might be."""
    table = companion.table
    kept = tuple(r for r in table if r.name not in names)
    return replace(companion, table=replace(table, registers=kept))
