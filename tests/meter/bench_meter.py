"""A meter on the bench: a virtual clock, a store, and keys that exist nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.registers import Value
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.meter import (
    Load,
    MemoryStore,
    Meter,
    MeterEvent,
    MeterState,
    Store,
    TokenExecuted,
    manufacture,
)
from vtc07.tokens import (
    DRN,
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
    MfrCode,
    Service,
    Token,
    TokenData,
    TransferCredit,
    encode,
)

PAN = MeterPAN.from_drn(DRN.of(MfrCode("31"), "40507090"))
MADE = 4_000_000
KEYS = {
    EA.MISTY1: bytes(range(0x31, 0x41)),
    EA.STA: bytes.fromhex("5a17c3e0947b2d68"),
    EA.DEA: bytes.fromhex("5a17c3e0947b2d68"),
}
ATTRIBUTES = KeyAttributes(KT.DUTK, SGC("600411"), TI("07"), KRN(3), KEN(255), BaseDate.Y2014)


def new_meter(
    companion: Companion | str = "electricity", ea: EA = EA.MISTY1, **changes: Any
) -> MeterState:
    """Manufacture a meter; ``changes`` are attributes of its key, or keywords of manufacture."""
    if isinstance(companion, str):
        companion = load_companion(companion)
    names = KeyAttributes.__dataclass_fields__
    attributes = replace(ATTRIBUTES, **{n: v for n, v in changes.items() if n in names})
    others = {n: v for n, v in changes.items() if n not in names}
    return manufacture(companion, PAN, DecoderKey(ea, KEYS[ea]), attributes, TID(MADE), **others)


class MeterBench:
    """A meter under power, its host, and a clock that moves when told to."""

    def __init__(
        self,
        state: MeterState | None = None,
        *,
        companion: Companion | str = "electricity",
        store: Store | None = None,
        load: Load | None = None,
        execution_ns: int | None = 0,
    ) -> None:
        self.companion = load_companion(companion) if isinstance(companion, str) else companion
        self.store: Store = store or MemoryStore(state or new_meter(self.companion))
        self.load = load
        self.execution_ns = execution_ns
        self.now_ns = 5 * S
        self.events: list[MeterEvent] = []
        self.power_up()

    def power_up(self) -> None:
        """Power up what the store holds; whatever ran before is lost."""
        self.meter = Meter(
            self.companion,
            self.store,
            now_ns=self.now_ns,
            load=self.load,
            execution_ns=self.execution_ns,
        )
        self.work()

    def work(self) -> None:
        """Run every commit that is due."""
        while (job := self.meter.next_work()) is not None:
            self.finish(job)
        self.events.extend(iter_events(self.meter))

    def finish(self, job: Callable[[], None]) -> None:
        """Run a commit and report its end."""
        error: Exception | None = None
        try:
            job()
        except Exception as raised:  # noqa: BLE001 - as a driver does it
            error = raised
        self.meter.work_done(error, self.now_ns)

    def sleep(self, seconds: float) -> None:
        """Let time pass, serving every timer at its instant."""
        self.work()
        end = self.now_ns + int(seconds * S)
        while True:
            timer = self.meter.next_timer()
            if timer is None or timer > end:
                break
            assert timer > self.now_ns, "a timer that is due again at once would never rest"
            self.now_ns = timer
            self.meter.handle_timer(timer)
            self.work()
        self.now_ns = end
        self.meter.handle_timer(end)
        self.work()

    def offer(self, token: Token | TokenData | str, carrier: TCT = TCT.VIRTUAL) -> ErrorCode | None:
        """Enter a token and leave it to be executed."""
        return self.meter.enter(self.digits(token), carrier, self.now_ns)

    def enter(self, token: Token | TokenData | str, carrier: TCT = TCT.VIRTUAL) -> TokenStatus:
        """Enter a token, have it executed, and return its result."""
        before = len(self.events)
        error = self.offer(token, carrier)
        assert error is None, error
        self.meter.handle_timer(self.now_ns)
        self.work()
        if self.meter.executing:
            self.sleep(self.execution_ns / S if self.execution_ns else 5)
        (done,) = [e for e in self.events[before:] if isinstance(e, TokenExecuted)]
        assert done.carrier is carrier
        assert done.status is not None
        return done.status

    def digits(self, token: Token | TokenData | str) -> str:
        """Return the 20 digits of a token, encrypted with the meter's key of now."""
        if isinstance(token, str):
            return token
        if not isinstance(token, TokenData):
            token = encode(token, self.meter.state.key, allow_undefined=True)
        return token.digits

    def read(self, name: str) -> Value:
        """Return a register's value by name."""
        return self.meter.values([self.companion.table.named(name)], self.now_ns)[0]

    def number(self, name: str) -> int:
        """Return a number register's value."""
        value = self.read(name)
        assert isinstance(value, int)
        return value

    def events_logged(self) -> list[str]:
        """Return the event log's words and details, oldest first, without the times."""
        lines = [str(self.read(f"eventLog.{n}")) for n in range(1, 101)]
        return [line.partition(",")[2] for line in reversed(lines) if line]


def iter_events(meter: Meter) -> list[MeterEvent]:
    """Return the events that wait."""
    events = []
    while (event := meter.next_event()) is not None:
        events.append(event)
    return events


def credit(tid: int, amount: int, service: Service = Service.ELECTRICITY) -> TransferCredit:
    """Return a credit of ``amount`` tenths of a unit, ``tid`` minutes after manufacture."""
    return TransferCredit(service, 9, MADE + tid, amount)
