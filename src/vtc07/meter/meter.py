"""The running meter: a state, its store, and time (sans I/O).

The meter keeps two states. The *committed* one is what the store holds. The *live* one adds the
time that has passed since: consumption, lockouts, the switch. A token or a write changes neither
until its commit is reported done; one commit is out at a time, and the next is computed from what
the one before it made durable.

The live state is brought up to date when it is looked at or when something is due, not at every
call: what changes by itself, and when, is known beforehand and stays so while time passes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from vtc07.carrier.companion import MS, Companion
from vtc07.carrier.registers import Register, Value
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.carrier.token_entry import judge
from vtc07.meter import accounting, application, readings
from vtc07.meter.accounting import Load
from vtc07.meter.events import (
    AccessJudged,
    LowCreditAlarm,
    MeterEvent,
    TokenExecuted,
    WriteFinished,
)
from vtc07.meter.logs import EventName
from vtc07.meter.passwords import Proof
from vtc07.meter.power_up import powered_up, require_phases, require_service
from vtc07.meter.readings import Instant, rules_and_readings
from vtc07.meter.records import Changes, Store
from vtc07.meter.rules import Rules
from vtc07.meter.state import MeterState
from vtc07.meter.transactions import Attempt, Entry, Flight, Meanwhile, Plan, Write
from vtc07.meter.upkeep import upkeep_instant
from vtc07.tokens import TCT, DigitsError, TokenData


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
        self._rules, self._readings = rules_and_readings(companion)
        rules = self._rules
        self._store = store
        self._load = load or accounting.usual_load(rules.service)
        self._execution_ns = (
            rules.policy.execution_ms * MS if execution_ns is None else execution_ns
        )
        self._now_ns = now_ns
        self._committed = store.load()
        require_service(companion, rules, self._committed)
        require_phases(self._load, self._committed)
        self._live = accounting.settle(powered_up(self._committed, rules), self._load, rules)
        self._live_ns = now_ns  # the host's instant that the live state is of
        self._plan: Plan | None = None  # None: to be made anew
        self._entry: Entry | None = None
        self._writes: deque[Write] = deque()
        self._attempts: deque[Attempt] = deque()
        self._comparing: Attempt | None = None  # the one whose comparison is out
        self._compared: Attempt | None = None  # the one that is to be counted
        self._flight: Flight | None = None
        self._meanwhile: list[Meanwhile] = []
        self._events: deque[MeterEvent] = deque()
        self._fault = False
        self._off = False  # an orderly power off was asked for
        self._ended = False  # and is durable
        self._alarm = False
        self._watch_alarm()

    # --- what it shows -------------------------------------------------------------------------

    @property
    def state(self) -> MeterState:
        """The state as of the last call, time included; what is durable may lag behind it."""
        return self._up_to_date()

    @property
    def load(self) -> Load:
        """What hangs on the meter."""
        return self._load

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
        return accounting.low_credit_alarm(self._up_to_date())

    @property
    def token_status(self) -> TokenStatus:
        """What tokenStatus shows; only the virtual carrier's execution and lockout count."""
        if self._entry is not None and self._entry.carrier is TCT.VIRTUAL:
            return TokenStatus.NOT_READY
        live = self._up_to_date()
        if live.virtual_lockout.refused:
            return TokenStatus.TOKEN_LOCKOUT
        return live.last.status

    def values(self, registers: Sequence[Register], now_ns: int) -> tuple[Value, ...]:
        """Return the values of readable registers, all of the same instant."""
        self._run(now_ns)
        instant = Instant(self._up_to_date(), self._load, self.token_status, self._fault)
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
            locked=self._up_to_date().lockout(carrier).locked,
            store_fault=self._fault or self._off,
        )
        if error is ErrorCode.TOKEN_LOCKOUT:
            self._remember_refusal(carrier)
        if error is None:
            assert token is not None
            self._entry = Entry(token, carrier, now_ns + self._execution_ns)
            self._plan = None
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
            self._writes.append(Write(request, register, value))
            self._plan = None

    def offer_password(self, request: int, password: str, now_ns: int) -> None:
        """Compare a password with the meter's; the end is an `AccessJudged` with this request.

        It comes when the count of wrong ones is durable. Without a comparison it is refused
        during the delay after wrong ones, and where the meter has no password or a store fault.
        """
        stored, policy = self._committed.password, self._rules.password
        if stored is None or policy is None:
            self._run(now_ns)
            self._events.append(AccessJudged(request, None))
            return
        opens = policy.opens
        self.judge_access(request, lambda: opens if stored.matches(password) else None, now_ns)

    def judge_access(self, request: int, proof: Proof, now_ns: int) -> None:
        """Let any proof open an access level, as `offer_password` does and with its delays.

        ``proof`` is run as the durable work is, perhaps in another thread.
        """
        self._run(now_ns)
        if self._fault or self._off or self._rules.password is None:
            self._events.append(AccessJudged(request, None))
        else:
            self._attempts.append(Attempt(request, proof))
            self._refuse_delayed()

    def tamper(self, flags: int, now_ns: int) -> None:
        """Notice a tamper condition: the switch opens at once, until a token clears it.

        ``flags``: 1 to 65535, or-ed to those that are set; which bit means what is the host's.
        """
        if not 0 < flags <= 0xFFFF:
            raise ValueError("tamper flags are 16 bits, at least one of them set")
        self._run(now_ns)
        self._live_is(self._tampered(self._up_to_date(), flags, self._load))
        if self._flight is not None:
            self._meanwhile.append(Meanwhile(self._live.powered_ns, flags=flags))

    def set_load(self, load: Load, now_ns: int) -> None:
        """Hang another load on the meter; up to now it has taken what the one before asked for.

        Limits are judged at once. ValueError: the load has more phases than the meter.
        """
        self._run(now_ns)
        live = self._up_to_date()
        require_phases(load, live)
        self._load = load
        self._live_is(accounting.settle(live, load, self._rules))
        if self._flight is not None:
            self._meanwhile.append(Meanwhile(live.powered_ns, load=load))

    def power_off(self, now_ns: int) -> None:
        """Switch the meter off in good order: what is on its way ends, then a last commit.

        Power is off for good, and the store may be closed, once `next_work` has nothing more.
        """
        self._run(now_ns)
        self._off = True
        if self._entry is not None:
            self._entry = replace(self._entry, due_ns=now_ns)
        self._plan = None

    def next_event(self) -> MeterEvent | None:
        """Return the next event for the host, oldest first."""
        return self._events.popleft() if self._events else None

    # --- time ----------------------------------------------------------------------------------

    def next_timer(self) -> int | None:
        """Return the instant at which `handle_timer` has something to do, or None."""
        if self._ended:
            return None
        plan = self._plan or self._make_plan()
        change_ns, commit_ns = plan.change_ns, plan.commit_ns
        if commit_ns is None:
            return change_ns
        if commit_ns <= self._now_ns:
            return self._now_ns
        return commit_ns if change_ns is None else min(change_ns, commit_ns)

    def handle_timer(self, now_ns: int) -> None:
        """Let time pass."""
        self._run(now_ns)

    def _run(self, now_ns: int) -> None:
        if now_ns <= self._now_ns or self._ended:
            return
        plan = self._plan or self._make_plan()  # of before, for the time that passes now
        self._now_ns = now_ns
        if plan.holds_until_ns is not None and plan.holds_until_ns <= now_ns:
            to_ns = self._live.powered_ns + now_ns - self._live_ns
            self._live_is(accounting.advance(self._live, to_ns, self._load, self._rules))

    def _up_to_date(self) -> MeterState:
        """Return the live state as of now; nothing but time has passed since it was made."""
        elapsed = self._now_ns - self._live_ns
        if elapsed:
            to_ns = self._live.powered_ns + elapsed
            self._live = accounting.pass_time(self._live, to_ns, self._load)
            self._live_ns = self._now_ns
        return self._live

    def _live_is(self, state: MeterState) -> None:
        """Take another live state, which is of now."""
        self._live = state
        self._live_ns = self._now_ns
        self._plan = None
        self._watch_alarm()

    def _watch_alarm(self) -> None:
        alarm = accounting.low_credit_alarm(self._live)
        if alarm is not self._alarm:
            self._alarm = alarm
            self._events.append(LowCreditAlarm(alarm))

    def _make_plan(self) -> Plan:
        live = self._live
        change_ns = self._host_instant(accounting.next_change(live, self._load))
        lockouts = (
            live.virtual_lockout.remaining_ns,
            live.keypad_lockout.remaining_ns,
            live.password_guard.remaining_ns,
        )
        ends = [self._live_ns + remaining_ns for remaining_ns in lockouts if remaining_ns]
        if change_ns is not None:
            ends.append(change_ns)
        self._plan = plan = Plan(change_ns, self._commit_instant(), min(ends, default=None))
        return plan

    def _commit_instant(self) -> int | None:
        if self._flight is not None or self._comparing or self._fault or self._ended:
            return None
        if self._off or self._writes or self._compared is not None:
            return self._now_ns
        upkeep_ns = upkeep_instant(self._live, self._committed, self._load, self._rules)
        instant = self._live_ns + upkeep_ns - self._live.powered_ns
        return instant if self._entry is None else min(instant, self._entry.due_ns)

    def _host_instant(self, powered_ns: int | None) -> int | None:
        return None if powered_ns is None else self._live_ns + powered_ns - self._live.powered_ns

    # --- durable work --------------------------------------------------------------------------

    def next_work(self) -> Callable[[], None] | None:
        """Return a commit or a comparison to run, or None; at most one is out at a time."""
        if self._attempts and (comparison := self._next_comparison()):
            return comparison
        plan = self._plan or self._make_plan()
        if plan.commit_ns is None or plan.commit_ns > self._now_ns:
            return None
        cause, after = self._next_transaction()
        self._flight = Flight(after, cause, self._load)
        self._meanwhile.clear()
        self._plan = None
        changes = Changes(self._committed, after)
        return lambda: self._store.commit(changes)

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        """Take notice that the job ended; ``error``: what it raised, if it did."""
        self._run(now_ns)
        if self._comparing is not None:
            # One that could not be compared counts as wrong: nobody guesses for nothing.
            self._compared, self._comparing = self._comparing, None
            self._plan = None
            return
        flight, self._flight = self._flight, None
        if flight is None:
            raise ValueError("no commit was out")
        self._plan = None
        if error is not None:
            self._fail(flight)
            return
        self._committed = flight.after
        if not flight.after.powered:
            self._live = flight.after
            self._live_ns = self._now_ns
            self._ended = True
            return
        self._live_is(self._caught_up(flight))
        match flight.cause:
            case Entry(carrier=carrier):
                self._entry = None
                self._events.append(TokenExecuted(carrier, flight.after.last.status))
            case Write(request=request):
                self._events.append(WriteFinished(request, None))
            case Attempt(request=request, level=level):
                self._events.append(AccessJudged(request, level))
                self._refuse_delayed()
            case None:
                pass

    def _next_comparison(self) -> Callable[[], None] | None:
        if self._flight is not None or self._comparing is not None or self._compared is not None:
            return None
        self._comparing = self._attempts.popleft()
        self._plan = None
        return self._comparing.compare

    def _refuse_delayed(self) -> None:
        """Refuse the attempts that come in a delay: they are not compared."""
        while self._attempts and self._up_to_date().password_guard.delaying:
            self._events.append(AccessJudged(self._attempts.popleft().request, None))

    def _next_transaction(self) -> tuple[Entry | Write | Attempt | None, MeterState]:
        live = self._up_to_date()
        entry = self._entry
        if entry is not None and entry.due_ns <= self._now_ns:
            after = application.execute(live, entry.token, entry.carrier, self._rules)
            # The switch follows the token in the token's own transaction.
            return entry, accounting.settle(after, self._load, self._rules)
        if self._compared is not None:
            attempt, self._compared = self._compared, None
            return attempt, _with_attempt(live, attempt, self._rules)
        if self._writes:
            write = self._writes.popleft()
            written = readings.write(live, write.register, write.value, self._rules)
            assert written is not None  # judged when it came
            return write, written
        if self._off:
            return None, replace(live, powered=False)
        return None, live

    def _caught_up(self, flight: Flight) -> MeterState:
        """Let a committed state live through what happened while its commit was out."""
        to_ns = self._up_to_date().powered_ns
        after, load = flight.after, flight.load
        for event in self._meanwhile:
            after = accounting.advance(after, event.powered_ns, load, self._rules)
            if event.load is not None:
                load = event.load
                after = accounting.settle(after, load, self._rules)
            elif event.refused is not None:
                after = _with_refusal(after, event.refused)
            else:
                after = self._tampered(after, event.flags, load)
        self._meanwhile.clear()
        return accounting.advance(after, to_ns, load, self._rules)

    def _fail(self, flight: Flight) -> None:
        """Leave everything as it was before, and commit nothing any more."""
        self._fault = True
        self._live_is(self._up_to_date().with_event(self._rules, EventName.STORE_FAULT))
        if self._entry is not None:
            self._events.append(TokenExecuted(self._entry.carrier, None))
            self._entry = None
        failed = [flight.cause, self._compared, *self._writes, *self._attempts]
        self._compared = None
        self._writes.clear()
        self._attempts.clear()
        for lost in failed:
            if isinstance(lost, Write):
                self._events.append(WriteFinished(lost.request, ErrorCode.STORE_FAULT))
            elif isinstance(lost, Attempt):
                self._events.append(AccessJudged(lost.request, None))

    def _remember_refusal(self, carrier: TCT) -> None:
        live = self._up_to_date()
        if live.lockout(carrier).refused:
            return
        self._live_is(_with_refusal(live, carrier))
        if self._flight is not None:
            self._meanwhile.append(Meanwhile(live.powered_ns, refused=carrier))

    def _tampered(self, state: MeterState, flags: int, load: Load) -> MeterState:
        tamper = state.switch.tamper | flags
        if tamper == state.switch.tamper:
            return state
        state = replace(state, switch=replace(state.switch, tamper=tamper))
        state = state.with_event(self._rules, EventName.TAMPER, tamper)
        return accounting.settle(state, load, self._rules)


def _with_refusal(state: MeterState, carrier: TCT) -> MeterState:
    return state.with_lockout(carrier, state.lockout(carrier).after_refusal())


def _with_attempt(state: MeterState, attempt: Attempt, rules: Rules) -> MeterState:
    assert rules.password is not None  # or nothing would have been compared
    guard = state.password_guard.after(right=attempt.level is not None, policy=rules.password)
    state = replace(state, password_guard=guard)
    if guard.delaying:
        state = state.with_event(rules, EventName.PASSWORD, guard.last_delay_s)
    return state
