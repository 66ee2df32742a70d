"""A virtual meter at its port, with what a person may do to it: load, phases, tamper, power."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from vtc07.carrier.companion import MS, Companion
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.status import ErrorCode
from vtc07.cli.control import Power, Request, SetLoad, SetPhase, Show, Tamper
from vtc07.cli.failure import Failure
from vtc07.cli.loads import MOST_ACCELERATION, WantedLoad, wanted_load
from vtc07.cli.output import Output
from vtc07.cli.power import switch_off, work
from vtc07.hhu.texts import Said, mark, said
from vtc07.meter import (
    DisconnectReason,
    Event,
    EventName,
    Load,
    LowCreditAlarm,
    Meter,
    MeterServer,
    PhaseLoad,
    Store,
    TokenExecuted,
)
from vtc07.meter.accounting import disconnect_reason, drawn
from vtc07.tokens import TCT, Service

REASONS: Final = {
    DisconnectReason.NONE: mark("none"),
    DisconnectReason.CREDIT: mark("credit"),
    DisconnectReason.TAMPER: mark("tamper"),
    DisconnectReason.POWER_LIMIT: mark("power limit"),
    DisconnectReason.PHASE_UNBALANCE: mark("phase unbalance"),
}
_UNITS: Final = {Service.ELECTRICITY: "Wh", Service.TIME: "s"}


def load_switch_said(reason: DisconnectReason | None) -> Said:
    """Return what is told of a load switch that opens for a reason; None: it closes."""
    if reason is None:
        return said("the load switch is closed")
    return said("the load switch is open: {reason}", reason=Said(REASONS[reason]))


class ServedMeter:
    """What the driver turns: a meter under power, or a port at which nothing answers.

    Everything is to be called in the driver's thread. ``told``: gets a sentence for whatever
    happens that a person may want to see. ``token_executed``: told of every token that came to its
    end, from whatever carrier. ``switch_said``: returns the sentence of its load switch, which is a
    valve in some meters, when that opens for a reason, or closes (None). Without power characters
    are swallowed and the link stays, as under an optical head; what was not committed is lost, and
    the next power up begins with what the store holds.
    """

    def __init__(
        self,
        companion: Companion,
        store: Store,
        *,
        now_ns: int,
        load: str | None = None,
        acceleration: int = 1,
        character_ns: int = 0,
        told: Callable[[Said], None],
        token_executed: Callable[[TokenExecuted], None] | None = None,
        switch_said: Callable[[DisconnectReason | None], Said] = load_switch_said,
    ) -> None:
        self._companion = companion
        self._store = store
        self._character_ns = character_ns
        self._told = told
        self._executed = token_executed
        self._switch_said = switch_said
        state = store.load()
        self._nameplate = state.nameplate
        self._wanted = self._load_of(load, acceleration, state.powered_ns)
        self._phases: list[int | None] = [None] * state.nameplate.phases
        self._back_ns: int | None = None  # when power returns by itself
        self._events_told = state.events_counted
        self._server: MeterServer | None = self._powered_up(now_ns)

    # --- the driver's face -----------------------------------------------------------------------

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take characters from the line."""
        if self._server is not None:
            self._server.receive(chars, now_ns)

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return the characters to be sent from now on."""
        return b"" if self._server is None else self._server.bytes_to_send(now_ns)

    def next_timer(self) -> int | None:
        """Return the instant of the next timer, or None."""
        return self._back_ns if self._server is None else self._server.next_timer()

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due."""
        if self._server is not None:
            self._server.handle_timer(now_ns)
        elif self._back_ns is not None and self._back_ns <= now_ns:
            self._restore_power(now_ns)

    def connection_lost(self, now_ns: int) -> None:
        """Take notice that the link closed."""
        if self._server is not None:
            self._server.connection_lost(now_ns)

    def next_speed_change(self) -> SpeedChange | None:
        """Return the next change of the line's speed at this end, or None."""
        return None if self._server is None else self._server.next_speed_change()

    @property
    def connected(self) -> bool:
        """True while a client's session is open."""
        return self._server is not None and self._server.connected

    def next_work(self) -> Callable[[], None] | None:
        """Return a commit to run, or None."""
        return None if self._server is None else self._server.next_work()

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        """Report the end of the commit that was handed out."""
        assert self._server is not None  # power is lost between two turns, never within a commit
        self._server.work_done(error, now_ns)
        if error is not None:
            self._told(said("the store could not be written: the meter keeps nothing from now on"))
        self._tell()

    # --- what a person does ----------------------------------------------------------------------

    @property
    def meter_pan(self) -> str:
        """The meter's MeterPAN."""
        return str(self._nameplate.meter_pan)

    @property
    def meter(self) -> Meter | None:
        """The meter, None where it has no power."""
        return None if self._server is None else self._server.meter

    def enter(self, typed: str, now_ns: int) -> ErrorCode | None:
        """Enter a token at the keypad, or say why the meter does not take it.

        ``typed``: any digits; fewer or more than those of a token are refused by the meter too. The
        token's end is told to ``token_executed``. Failure: the meter has no power.
        """
        self.handle_timer(now_ns)
        if self._server is None:
            raise Failure("the meter has no power: its keypad does nothing; give it power first")
        return self._server.meter.enter(typed, TCT.NUMERIC, now_ns)

    def act(self, request: Request, now_ns: int) -> dict[str, Any]:
        """Carry a request out, make durable what it changed, and return the state afterwards.

        Failure, ProfileError or OSError: it is refused, and nothing has changed.
        """
        self.handle_timer(now_ns)
        match request:
            case SetLoad(words, acceleration):
                self._set_load(words, acceleration, now_ns)
            case SetPhase(number, watts):
                self._set_phase(number, watts, now_ns)
            case Tamper(flags):
                if self._server is None:
                    raise Failure("the meter has no power and notices nothing; give it power first")
                self._server.meter.tamper(flags, now_ns)
            case Power(on, back_ms):
                self._set_power(None if back_ms is None else now_ns + back_ms * MS, now_ns, on=on)
            case Show():
                pass
        self.handle_timer(now_ns)
        work(self, now_ns)
        return self._document(now_ns)

    def switch_off(self, now_ns: int, output: Output) -> None:
        """Switch the meter off in good order, as far as it has power."""
        if self._server is None:
            output.progress("the meter had no power to be switched off in good order")
            return
        self._server.connection_lost(now_ns)
        switch_off(self._server.meter, self._server, now_ns, output)
        self._tell()
        output.progress("the meter is switched off")

    def _set_load(self, words: str, acceleration: int, now_ns: int) -> None:
        self._wanted = self._load_of(words, acceleration, self._powered_ns())
        self._phases = [None] * len(self._phases)
        self._hang(now_ns)

    def _set_phase(self, number: int, watts: int | None, now_ns: int) -> None:
        if self._nameplate.service is not Service.ELECTRICITY:
            raise Failure("only a meter for electricity has phases")
        if not 1 <= number <= len(self._phases):
            raise Failure(f"the meter has no phase L{number}: it has {len(self._phases)}")
        self._phases[number - 1] = watts
        self._hang(now_ns)

    def _hang(self, now_ns: int) -> None:
        if self._server is not None:
            self._server.meter.set_load(self._load(), now_ns)

    def _load(self) -> Load:
        load = self._wanted.load
        return load if self._phases == [None] * len(self._phases) else self._changed_phases(load)

    def _changed_phases(self, load: Load) -> Load:
        return PhaseLoad(load, tuple(self._phases))

    def _set_power(self, back_ns: int | None, now_ns: int, *, on: bool) -> None:
        if on:
            if self._server is None:
                self._restore_power(now_ns)
            return
        if self._server is not None:
            self._told(said("power is lost"))
        self._server = None
        self._back_ns = back_ns

    def _restore_power(self, now_ns: int) -> None:
        self._back_ns = None
        self._told(said("power is back"))
        self._server = self._powered_up(now_ns)

    def _powered_up(self, now_ns: int) -> MeterServer:
        meter = Meter(self._companion, self._store, now_ns=now_ns, load=self._load())
        return MeterServer(
            self._companion,
            meter,
            character_ns=self._character_ns,
            token_executed=self._token_executed,
            low_credit_alarm=self._low_credit_alarm,
        )

    def _load_of(self, words: str | None, acceleration: int, powered_ns: int) -> WantedLoad:
        if not 1 <= acceleration <= MOST_ACCELERATION:
            raise Failure(f"the acceleration is a whole number from 1 to {MOST_ACCELERATION}")
        return wanted_load(words, acceleration, self._nameplate, powered_ns)

    def _powered_ns(self) -> int:
        state = self._store.load() if self._server is None else self._server.meter.state
        return state.powered_ns

    # --- what a person is told -------------------------------------------------------------------

    def _token_executed(self, event: TokenExecuted) -> None:
        status: Said | str = said("not stored") if event.status is None else event.status.value
        if event.carrier is TCT.VIRTUAL:
            self._told(said("token from the virtual carrier: {status}", status=status))
        else:
            self._told(said("token from the numeric carrier: {status}", status=status))
        if self._executed is not None:
            self._executed(event)

    def _low_credit_alarm(self, event: LowCreditAlarm) -> None:
        if event.active:
            self._told(said("the low-credit alarm is on"))
        else:
            self._told(said("the low-credit alarm is off"))

    def _tell(self) -> None:
        """Tell what has become durable of switch, tamper and lockouts since the last time."""
        assert self._server is not None
        committed = self._server.meter.committed
        new = committed.events_counted - self._events_told
        if not new:
            return
        self._events_told = committed.events_counted
        for event in reversed(committed.event_log[:new]):
            if (sentence := self._sentence(event)) is not None:
                self._told(sentence)

    def _sentence(self, event: Event) -> Said | None:
        detail = event.detail or 0
        match event.name:
            case EventName.SWITCH_CLOSED:
                return self._switch_said(None)
            case EventName.SWITCH_OPEN:
                return self._switch_said(DisconnectReason(detail))
            case EventName.TAMPER:
                return said("tamper is noticed: flags {flags}", flags=detail)
            case EventName.LOCKOUT:
                return said(
                    "after wrong tokens their carrier is locked for {seconds} s", seconds=detail
                )
            case EventName.PASSWORD:
                return said(
                    "after wrong passwords none is compared for {seconds} s", seconds=detail
                )
        return None

    def _document(self, now_ns: int) -> dict[str, Any]:
        """Return the state for programs; what a meter without power does not know is None."""
        phases: list[int | str] = ["as the load" if w is None else w for w in self._phases]
        known = {
            "meter_pan": self.meter_pan,
            "powered": self._server is not None,
            "power_returns_in_ms": (
                None if self._back_ns is None else max(0, self._back_ns - now_ns) // MS
            ),
            "load": self._wanted.words,
            "acceleration": self._wanted.acceleration,
            "phases_set": phases,
            "unit": _UNITS.get(self._nameplate.service, "l"),
        }
        if self._server is None:
            unknown = (
                "load_switch", "disconnect_reason", "power", "phases", "credit", "consumption",
                "tamper", "low_credit_alarm", "store_fault",
            )  # fmt: skip
            return known | dict.fromkeys(unknown)
        meter = self._server.meter
        state = meter.state
        flowing = drawn(state, meter.load)
        return known | {
            "load_switch": "closed" if state.switch.closed else "open",
            "disconnect_reason": REASONS[disconnect_reason(state)],
            "power": sum(flowing),
            "phases": list(flowing),
            "credit": state.account.balance,
            "consumption": state.account.consumed,
            "tamper": state.switch.tamper,
            "low_credit_alarm": meter.low_credit_alarm,
            "store_fault": meter.store_fault,
        }
