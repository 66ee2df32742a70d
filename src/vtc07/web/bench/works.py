"""The works of a meter on the bench: line, meter, display and time, without any thread.

All of it happens on the clock of the line, which is brought up to the real one again and again
(`Works.turn`); so nothing depends on how often that is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from vtc07.carrier.companion_file import load_companion
from vtc07.cli.control import Power, Request, SetLoad, SetPhase, Tamper
from vtc07.cli.served_meter import REASONS, ServedMeter, load_switch_said
from vtc07.hhu.texts import Said, said
from vtc07.links.clock import Clock, VirtualClock
from vtc07.links.inner import InnerEnd
from vtc07.links.simulated import SimulatedLine
from vtc07.meter import DisconnectReason, MemoryStore, MeterState, TokenExecuted, manufacture
from vtc07.meter.accounting import disconnect_reason, drawn
from vtc07.tokens import Service
from vtc07.web.bench.display import Display, Shown
from vtc07.web.bench.facts import TIME_FACTORS, WHY_OPEN, BenchRefused, Kind, Panel, Told
from vtc07.web.bench.pace import MS, Pace
from vtc07.web.bench.sale import PointOfSale
from vtc07.web.bench.tape import Tape

#: The password of meters with mode C. Nothing on the bench is worth a secret.
PASSWORD: Final = "training"  # noqa: S105 - see above
#: While time passes faster, it is caught up with so often.
FAST_TURN_NS: Final = 50 * MS
#: While nothing happens, the panel is looked at anew so often: credit runs, values take turns.
IDLE_TURN_NS: Final = 1_000 * MS
_MOST_EVENTS: Final = 30
#: The flag that an opened terminal cover sets.
_COVER: Final = 1


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the works need from outside: real time, the time of day, and who is to be woken.

    ``woken``: called in another thread when the line was opened or closed, or something was said.
    """

    clock: Clock
    wall_clock: Callable[[], datetime]
    woken: Callable[[], None]


class Works:
    """A meter, the line to it, its display and its time. All in one thread, but for `opened`.

    ValueError: there is such a line in this program already. `close` at the end.
    """

    def __init__(self, kind: Kind, sale: PointOfSale, around: Surroundings) -> None:
        self.kind = kind
        self._around = around
        self._companion = companion = load_companion(kind.companion)
        now_ns = around.clock.now_ns()
        self._pace = Pace(now_ns)
        self._factor = 1
        self._told: deque[Told] = deque(maxlen=_MOST_EVENTS)
        self._events = 0
        self._loads = [0] * kind.phases
        self._display = Display(kind, now_ns)
        self.password = PASSWORD if companion.knows_passwords else None
        self.meter_pan = str(sale.keys.meter_pan)
        self._meter = ServedMeter(
            companion,
            self._made(sale),
            now_ns=0,
            character_ns=companion.link.character_ns,
            told=self._tell,
            token_executed=self._executed,
            switch_said=load_switch_said if kind.service is Service.ELECTRICITY else _valve_said,
        )
        self.tape = Tape(companion.link.speed)
        self.end = InnerEnd(kind.name, self._opened)
        self.line = SimulatedLine(
            self.end,
            self._meter,
            speed=companion.link.speed,
            clock=VirtualClock(),
            observers=(self.tape.observe,),
            on_speed=self.tape.goes_on,
        )

    def close(self) -> None:
        """Take the line away; a link that is open is lost."""
        self.end.close()

    def _made(self, sale: PointOfSale) -> MemoryStore:
        state = manufacture(
            self._companion,
            sale.keys.meter_pan,
            sale.keys.key,
            sale.keys.attributes,
            sale.manufactured,
            phases=self.kind.phases,
            password=self.password,
        )
        return MemoryStore(state)

    # --- time -------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Real time."""
        return self._around.clock.now_ns()

    def _opened(self) -> None:
        """Have time pass as fast as ever once the line is open: in the link's own thread."""
        if self.end.in_use:
            self._pace.go(1, self.now_ns)
        self._around.woken()

    def catch_up(self) -> None:
        """Let everything happen that is due by now."""
        now = self.now_ns
        self.line.idle(max(0, self._pace.line_ns(now) - self.line.now_ns))
        self._meter.handle_timer(self.line.now_ns)  # or its state would be as of its last timer

    def turn(self) -> int:
        """Catch up, take what the link said, and return the instant of the next turn at the latest.

        In real time; sooner where something is done, or said.
        """
        self.catch_up()
        self.end.look()
        self.line.idle(0)
        self._choose_pace()
        now = self.now_ns
        if self._pace.factor > 1:
            return now + FAST_TURN_NS
        due = self.line.next_ns
        at = now + IDLE_TURN_NS
        return at if due is None else min(at, self._pace.real_ns(due))

    def _choose_pace(self) -> None:
        """Let time pass faster only while nobody has the line open, and nothing is on it."""
        is_quiet = not (self.line.queued("client") or self.line.queued("server"))
        if self._factor > 1 and is_quiet and not self.end.in_use:
            self._pace.go(self._factor, self.now_ns)
            if not self.end.in_use:
                return
        # Also where it was opened at this very moment.
        self._pace.go(1, self.now_ns)

    # --- what people do ---------------------------------------------------------------------------

    def press(self, key: str) -> None:
        """Press a key of the keypad."""
        self._require_power(said("The meter has no power: its keypad does nothing."))
        digits = self._display.press(key, self.now_ns)
        if digits is None:
            return
        error = self._meter.enter(digits, self.line.now_ns)
        if error is not None:
            meter = self._meter.meter
            assert meter is not None
            self._display.refused(error, meter.state.keypad_lockout.remaining_s, self.now_ns)
            self._tell(said("at the keypad: {error}", error=Said(error.value)))

    def set_load(self, phase: int, load: int) -> None:
        """Have a phase, from 1, want so much, in the kind's ``flow_unit``."""
        if not 1 <= phase <= self.kind.phases:
            raise BenchRefused(said("The meter has no phase L{number}.", number=phase))
        if not 0 <= load <= self.kind.most:
            raise BenchRefused(
                said(
                    "A load here is from 0 to {most} {unit}.",
                    most=self.kind.most,
                    unit=self.kind.flow_unit,
                )
            )
        self._loads[phase - 1] = load
        if self.kind.service is Service.ELECTRICITY:
            self._act(SetPhase(phase, load))
        else:
            self._act(SetLoad(str(load), 1))

    def set_supply(self, *, on: bool) -> None:
        """Pull the supply out, or put it back."""
        if on is (self._meter.meter is not None):
            return
        self._act(Power(on))
        self._display = Display(self.kind, self.now_ns)
        if not on:
            self.line.silence("server")

    def set_cable(self, *, plugged: bool) -> None:
        """Pull the cable out, or put it back."""
        if plugged is self.line.plugged:
            return
        if plugged:
            self.line.plug()
            self._tell(said("the cable is plugged in"))
        else:
            self.line.unplug()
            self._tell(said("the cable is pulled out"))

    def tamper(self) -> None:
        """Open the terminal cover."""
        self._require_power(said("The meter has no power and notices nothing."))
        self._act(Tamper(_COVER))

    def set_time(self, factor: int) -> None:
        """Have time pass so many times as fast while nobody uses the line."""
        if factor not in TIME_FACTORS:
            raise BenchRefused(said("Time does not pass like this here."))
        self._factor = factor

    def _act(self, request: Request) -> None:
        self._meter.act(request, self.line.now_ns)

    def _require_power(self, why_not: Said) -> None:
        if self._meter.meter is None:
            raise BenchRefused(why_not)

    # --- what is told -----------------------------------------------------------------------------

    def _tell(self, sentence: Said) -> None:
        self._events += 1
        self._told.append(Told(self._events, sentence, self._around.wall_clock()))

    def _executed(self, event: TokenExecuted) -> None:
        meter = self._meter.meter
        assert meter is not None
        self._display.executed(event, meter.committed, self.now_ns)

    def panel(self) -> Panel:
        """Return the meter as it stands."""
        meter, now = self._meter.meter, self.now_ns
        state = None if meter is None else meter.state
        flowing = (0,) * self.kind.phases
        shown: Shown | None = None
        if meter is not None and state is not None:
            flowing = drawn(state, meter.load)
            flowing += (0,) * (self.kind.phases - len(flowing))
            shown = self._display.shown(state, flowing, now, executing=meter.executing)
        result = None if state is None else self._display.result(now)
        return Panel(
            kind=self.kind,
            meter_pan=self.meter_pan,
            powered=state is not None,
            display=() if shown is None else shown.lines,
            shows=None if shown is None else shown.said,
            typed=self._display.typed(now),
            result=None if result is None else result.said,
            good=None if result is None else result.good,
            executing=meter is not None and meter.executing,
            load_switch=None if state is None else "closed" if state.switch.closed else "open",
            disconnect_reason=None if state is None else REASONS[disconnect_reason(state)],
            credit=None if state is None else state.account.balance,
            unit=self.kind.unit,
            consumption=None if state is None else state.account.consumed,
            power=None if state is None else sum(flowing),
            flow_unit=self.kind.flow_unit,
            phases=flowing,
            loads=tuple(self._loads),
            tamper=None if state is None else state.switch.tamper,
            low_credit_alarm=None if meter is None else meter.low_credit_alarm,
            virtual_lockout_s=None if state is None else state.virtual_lockout.remaining_s,
            keypad_lockout_s=None if state is None else state.keypad_lockout.remaining_s,
            staged=None if state is None else len(state.staging.sections) if state.staging else 0,
            key=None if state is None else _key(state),
            power_limit=None if state is None else state.switch.maximum_power,
            unbalance_limit=None if state is None else state.switch.maximum_unbalance,
            plugged=self.line.plugged,
            line_in_use=self.end.in_use,
            session=self._meter.connected,
            speed=self.tape.speed("server"),
            time_factor=self._factor,
            pace=self._pace.factor,
            line_ns=self.line.now_ns,
            events=tuple(self._told),
        )


def _valve_said(reason: DisconnectReason | None) -> Said:
    """Return what is told of a valve that shuts for a reason; None: it opens."""
    if reason is None:
        return said("Valve open: it can flow.")
    return said("Valve closed: {why}.", why=Said(WHY_OPEN[REASONS[reason]]))


def _key(state: MeterState) -> str:
    """Return what may be told of a meter's key."""
    found = state.attributes
    return f"SGC {found.sgc} TI {found.ti} KRN {found.krn} KEN {found.ken}"
