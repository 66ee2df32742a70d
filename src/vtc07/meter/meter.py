"""The running meter: a state, its store, and time (sans I/O).

The meter keeps two states. The *committed* one is what the store holds. The *live* one adds the
time that has passed since: consumption, lockouts, the switch. A token or a write changes neither
until its commit is reported done; one commit is out at a time, and the next is computed from what
the one before it made durable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from vtc07.carrier.companion import MS, Companion, S
from vtc07.carrier.registers import Register, Value
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.carrier.token_entry import judge
from vtc07.meter import accounting, application, readings
from vtc07.meter.accounting import Load
from vtc07.meter.logs import EventName
from vtc07.meter.readings import Instant, Readings
from vtc07.meter.records import Changes, Store
from vtc07.meter.rules import CompanionUnfit, Rules
from vtc07.meter.state import MeterState
from vtc07.tokens import TCT, DigitsError, TokenData

#: How often powered time alone is committed, while nothing depends on it.
IDLE_COMMIT_NS: Final = 600 * S


@dataclass(frozen=True, slots=True)
class TokenExecuted:
    """A token entry came to its end.

    ``status``: the token's result, durable; None where the meter could not store it and nothing
    has changed.
    """

    carrier: TCT
    status: TokenStatus | None


@dataclass(frozen=True, slots=True)
class WriteFinished:
    """A write came to its end: ``error`` is None where it is durable."""

    request: int
    error: ErrorCode | None


MeterEvent = TokenExecuted | WriteFinished


@dataclass(frozen=True, slots=True)
class _Entry:
    """A token on its way: executed from ``due_ns`` on."""

    token: str
    carrier: TCT
    due_ns: int


@dataclass(frozen=True, slots=True)
class _Write:
    request: int
    register: Register
    value: Value


@dataclass(frozen=True, slots=True)
class _Flight:
    """A commit that is out. ``cause`` None: upkeep, or the last one of an orderly power off."""

    after: MeterState
    cause: _Entry | _Write | None


class Meter:
    """A payment meter under power.

    Constructing it is powering it up at ``now_ns`` of the host's monotonic clock: a state that
    was left powered means that power failed, which is counted. ``load``: what hangs on it, by
    default nothing. ``execution_ns``: how long the execution of a token takes; by default the
    companion's. CompanionUnfit: the companion does not describe a meter like this. ValueError: the
    load has more phases than the meter.

    The host asks `next_work` after every call, runs the job wherever it likes, and reports its
    end to `work_done`.
    """

    def __init__(
        self,
        companion: Companion,
        store: Store,
        *,
        now_ns: int,
        load: Load | None = None,
        execution_ns: int | None = None,
    ) -> None:
        self._rules = rules = Rules.of(companion)
        self._readings = Readings(companion, rules)
        self._store = store
        self._load = load or accounting.usual_load(rules.service)
        self._execution_ns = (
            rules.policy.execution_ms * MS if execution_ns is None else execution_ns
        )
        self._now_ns = now_ns
        self._committed = store.load()
        _require_fit(companion, rules, self._committed, self._load)
        self._live = accounting.settle(_power_up(self._committed, rules), self._load, rules)
        self._entry: _Entry | None = None
        self._writes: deque[_Write] = deque()
        self._flight: _Flight | None = None
        self._tampers: list[tuple[int, int]] = []  # powered ns and flags, while a commit is out
        self._events: deque[MeterEvent] = deque()
        self._refused_while_locked = False
        self._fault = False
        self._off = False  # an orderly power off was asked for
        self._ended = False  # and is durable

    # --- what it shows -------------------------------------------------------------------------

    @property
    def state(self) -> MeterState:
        """The state as of the last call, time included; what is durable may lag behind it."""
        return self._live

    @property
    def committed(self) -> MeterState:
        """The state that the store holds."""
        return self._committed

    @property
    def executing(self) -> bool:
        """True while a token from any carrier is being executed."""
        return self._entry is not None

    @property
    def store_fault(self) -> bool:
        """True from a failed commit on, until the meter is powered up anew.

        Nothing is committed after a failure: what became of it on the disk is not known, and a
        later transaction must not build on a guess.
        """
        return self._fault

    @property
    def low_credit_alarm(self) -> bool:
        """True while the alarm is enabled and the balance is at or below its threshold."""
        settings = self._live.settings
        return (
            bool(settings.low_credit_alarm_enabled)
            and self._live.account.balance <= settings.low_credit_threshold
        )

    @property
    def token_status(self) -> TokenStatus:
        """What tokenStatus shows; only the virtual carrier's execution and lockout count."""
        if self._entry is not None and self._entry.carrier is TCT.VIRTUAL:
            return TokenStatus.NOT_READY
        if self._refused_while_locked and self._live.virtual_lockout.locked:
            return TokenStatus.TOKEN_LOCKOUT
        return self._live.last.status

    def values(self, registers: Sequence[Register], now_ns: int) -> tuple[Value, ...]:
        """Return the values of readable registers, all of the same instant."""
        self._run(now_ns)
        instant = Instant(self._live, self._load, self.token_status, self._fault)
        return tuple(self._readings.value(register, instant) for register in registers)

    # --- what is done to it --------------------------------------------------------------------

    def enter(self, token: str | None, carrier: TCT, now_ns: int) -> ErrorCode | None:
        """Take a token for execution, or say why not.

        ``token``: 20 digits, None for a value that is no token. ``carrier``: TCT.VIRTUAL or
        TCT.NUMERIC (keypad). One token is executed at a time; its end is a `TokenExecuted`.
        """
        self._run(now_ns)
        if token is not None:
            try:
                token = TokenData.from_digits(token).digits
            except DigitsError:
                token = None
        error = judge(
            token=token,
            executing=self._entry is not None,
            locked=self._live.lockout(carrier).locked,
            store_fault=self._fault or self._off,
        )
        if error is ErrorCode.TOKEN_LOCKOUT and carrier is TCT.VIRTUAL:
            self._refused_while_locked = True
        if error is None:
            assert token is not None
            self._entry = _Entry(token, carrier, now_ns + self._execution_ns)
        return error

    def write(self, request: int, register: Register, value: Value, now_ns: int) -> None:
        """Write an ordinary register; the end is a `WriteFinished` with the same ``request``."""
        self._run(now_ns)
        if self._fault or self._off:
            # A value that would be refused anyway is refused first (ER05 before ER08).
            refused = readings.write(self._live, register, value, self._rules) is None
            error = ErrorCode.VALUE_REFUSED if refused else ErrorCode.STORE_FAULT
            self._events.append(WriteFinished(request, error))
        elif readings.write(self._live, register, value, self._rules) is None:
            self._events.append(WriteFinished(request, ErrorCode.VALUE_REFUSED))
        else:
            self._writes.append(_Write(request, register, value))

    def tamper(self, flags: int, now_ns: int) -> None:
        """Notice a tamper condition: the switch opens at once, until a token clears it.

        ``flags``: 1 to 65535, or-ed to those that are set; which bit means what is the host's.
        """
        if not 0 < flags <= 0xFFFF:
            raise ValueError("tamper flags are 16 bits, at least one of them set")
        self._run(now_ns)
        self._live = self._tampered(self._live, flags)
        if self._flight is not None:
            self._tampers.append((self._live.powered_ns, flags))

    def power_off(self, now_ns: int) -> None:
        """Switch the meter off in good order: what is on its way ends, then a last commit.

        Power is off for good, and the store may be closed, once `next_work` has nothing more.
        """
        self._run(now_ns)
        self._off = True
        if self._entry is not None:
            self._entry = replace(self._entry, due_ns=now_ns)

    def next_event(self) -> MeterEvent | None:
        """Return the next event for the host, oldest first."""
        return self._events.popleft() if self._events else None

    # --- time ----------------------------------------------------------------------------------

    def next_timer(self) -> int | None:
        """Return the instant at which `handle_timer` has something to do, or None."""
        if self._ended:
            return None
        if self._flight is None and self._is_work_ready():
            return self._now_ns
        instants = [self._host_instant(accounting.next_change(self._live, self._load))]
        if self._flight is None and not self._fault:
            instants.append(self._host_instant(self._upkeep_instant()))
            if self._entry is not None:
                instants.append(self._entry.due_ns)
        return min((instant for instant in instants if instant is not None), default=None)

    def handle_timer(self, now_ns: int) -> None:
        """Let time pass."""
        self._run(now_ns)

    def _run(self, now_ns: int) -> None:
        elapsed = now_ns - self._now_ns
        if elapsed <= 0 or self._ended:
            return
        self._now_ns = now_ns
        to_ns = self._live.powered_ns + elapsed
        self._live = accounting.advance(self._live, to_ns, self._load, self._rules)
        if not self._live.virtual_lockout.locked:
            self._refused_while_locked = False

    def _host_instant(self, powered_ns: int | None) -> int | None:
        return None if powered_ns is None else self._now_ns + powered_ns - self._live.powered_ns

    # --- durable work --------------------------------------------------------------------------

    def next_work(self) -> Callable[[], None] | None:
        """Return a commit to run, or None; at most one is out at a time."""
        if self._flight is not None or not self._is_work_ready():
            return None
        cause, after = self._next_transaction()
        self._flight = _Flight(after, cause)
        self._tampers.clear()
        changes = Changes(self._committed, after)
        return lambda: self._store.commit(changes)

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        """Take notice that the commit ended; ``error``: what it raised, if it did."""
        self._run(now_ns)
        flight, self._flight = self._flight, None
        if flight is None:
            raise ValueError("no commit was out")
        if error is not None:
            self._fail(flight)
            return
        self._committed = flight.after
        if not flight.after.powered:
            self._live = flight.after
            self._ended = True
            return
        self._live = self._caught_up(flight.after)
        match flight.cause:
            case _Entry(carrier=carrier):
                self._entry = None
                self._events.append(TokenExecuted(carrier, flight.after.last.status))
            case _Write(request=request):
                self._events.append(WriteFinished(request, None))
            case None:
                pass

    def _is_work_ready(self) -> bool:
        if self._fault or self._ended:
            return False
        if self._off or self._writes:
            return True
        if self._entry is not None and self._entry.due_ns <= self._now_ns:
            return True
        upkeep = self._upkeep_instant()
        return upkeep is not None and upkeep <= self._live.powered_ns

    def _next_transaction(self) -> tuple[_Entry | _Write | None, MeterState]:
        live = self._live
        entry = self._entry
        if entry is not None and entry.due_ns <= self._now_ns:
            after = application.execute(live, entry.token, entry.carrier, self._rules)
            # The switch follows the token in the token's own transaction.
            return entry, accounting.settle(after, self._load, self._rules)
        if self._writes:
            write = self._writes.popleft()
            written = readings.write(live, write.register, write.value, self._rules)
            assert written is not None  # judged when it came
            return write, written
        if self._off:
            return None, replace(live, powered=False)
        return None, live

    def _caught_up(self, after: MeterState) -> MeterState:
        """Let a committed state live through what happened while its commit was out."""
        to_ns = self._live.powered_ns
        for at_ns, flags in self._tampers:
            after = accounting.advance(after, at_ns, self._load, self._rules)
            after = self._tampered(after, flags)
        self._tampers.clear()
        return accounting.advance(after, to_ns, self._load, self._rules)

    def _fail(self, flight: _Flight) -> None:
        """Leave everything as it was before, and commit nothing any more."""
        self._fault = True
        self._live = self._live.with_event(self._rules, EventName.STORE_FAULT)
        if self._entry is not None:
            self._events.append(TokenExecuted(self._entry.carrier, None))
            self._entry = None
        failed = [flight.cause, *self._writes]
        self._writes.clear()
        for write in failed:
            if isinstance(write, _Write):
                self._events.append(WriteFinished(write.request, ErrorCode.STORE_FAULT))

    def _tampered(self, state: MeterState, flags: int) -> MeterState:
        tamper = state.switch.tamper | flags
        if tamper == state.switch.tamper:
            return state
        state = replace(state, switch=replace(state.switch, tamper=tamper))
        state = state.with_event(self._rules, EventName.TAMPER, tamper)
        return accounting.settle(state, self._load, self._rules)

    def _upkeep_instant(self) -> int | None:
        """Return the powered instant at which the live state must be committed for itself."""
        live, committed = self._live, self._committed
        if live.events_counted != committed.events_counted or (live.staging is None) != (
            committed.staging is None
        ):
            return live.powered_ns
        policy = self._rules.policy
        uncommitted = live.account.consumed - committed.account.consumed
        by_consumption = accounting.instant_of_consumption(
            live, self._load, max(0, policy.commit_consumption - uncommitted)
        )
        by_time = committed.powered_ns + self._commit_interval_ns()
        return by_time if by_consumption is None else min(by_time, by_consumption)

    def _commit_interval_ns(self) -> int:
        live, policy = self._live, self._rules.policy
        intervals = [IDLE_COMMIT_NS]
        if live.virtual_lockout.locked or live.keypad_lockout.locked:
            intervals.append(self._rules.lockout.commit_interval_s * S)
        switch = live.switch
        if (
            live.account != self._committed.account
            or live.staging is not None
            or switch.power_trip_until_ns is not None
            or switch.unbalance_trip_until_ns is not None
            or any(accounting.drawn(live, self._load))
        ):
            intervals.append(policy.commit_interval_s * S)
        return min(intervals)


def _require_fit(companion: Companion, rules: Rules, state: MeterState, load: Load) -> None:
    plate = state.nameplate
    if plate.service is not rules.service:
        raise CompanionUnfit(
            f"The companion {companion.name} is for {rules.service.name.lower()}, but the meter "
            f"is for {plate.service.name.lower()}; use the companion it was made with."
        )
    phases = len(load.demand(state.powered_ns).phases)
    if phases > plate.phases:
        raise ValueError(f"a load of {phases} phases does not fit a meter of {plate.phases}")


def _power_up(state: MeterState, rules: Rules) -> MeterState:
    if state.powered:
        fails = (state.power_fails + 1) % 2**32
        state = replace(state, power_fails=fails)
        state = state.with_event(rules, EventName.POWER_FAIL, fails)
    return replace(state, powered=True).with_event(rules, EventName.POWER_UP)
