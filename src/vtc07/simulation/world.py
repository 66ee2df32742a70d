"""One run: real hand-held units and real meters on a simulated line, faults, and a judge.

No wall clock, no thread, no randomness but the plan's: the same plan gives the same run, to the
character and the nanosecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any, Final, TypeVar

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.endpoint import Effect, Perform, Procedure, Reopen
from vtc07.carrier.events import (
    EnterToken,
    Write,
)
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.hhu.delivery import SendReport
from vtc07.hhu.outcome import Delivered, Meaning
from vtc07.hhu.progress import Progress, Resolved, ResolvingEarlier, sentence
from vtc07.hhu.session import SessionError
from vtc07.links.link import ClientEndpoint, Sender, SpeedObserver
from vtc07.links.simulated import LineObserver, SimulatedLine
from vtc07.meter import MeterServer
from vtc07.simulation.disturbance import Disturbance, PlacedFault
from vtc07.simulation.doubles import REAL, Parts
from vtc07.simulation.faults import (
    AckToNak,
    BreakInjected,
    CharacterFault,
    CrashAtCharacter,
    CrashAtJournal,
    Cut,
    Delay,
    DiskFault,
    Echo,
    Fault,
    HostileClient,
    KeypadEntry,
    Lag,
    MeterSwapped,
    PowerLostAtCharacter,
    PowerLostInCommit,
    SecondUnit,
    Tampering,
    Tokens,
    WrongPassword,
    in_words,
)
from vtc07.simulation.hostile_sign_on import hostile_sign_on_words
from vtc07.simulation.issued import Issued, TokenKind, issue
from vtc07.simulation.ledger import Violation
from vtc07.simulation.plan import OTHERS, Plan
from vtc07.simulation.powered import (
    DIRECT,
    OTHER_PAN,
    PAN,
    PASSWORD,
    PoweredMeter,
    companion,
    companion_that_states,
)
from vtc07.simulation.reports import (
    MAY_BE_EXECUTED,
    Report,
    in_short,
    is_an_end,
    judge,
    judge_journal,
    worth_another,
)
from vtc07.simulation.run import OnStory, Run
from vtc07.simulation.sign_on import Core, rules_of, watch_client, watch_server
from vtc07.simulation.site import Site
from vtc07.simulation.unit import HandHeldUnit, Nobody, UnitCrashed, hostile_words
from vtc07.simulation.watching import is_blind, look, shows_a_key
from vtc07.tokens import TCT

T = TypeVar("T")

_ATTEMPTS: Final = 3  # of a person, before the faults stop
_MOST_EFFECTS: Final = 2000  # a procedure that asks for more does not end
_END_NS: Final = 90 * S  # what a delivery may take once nothing goes wrong any more, and ...
_TOKEN_NS: Final = 40 * S  # ... for each of its tokens
_ANSWER_NS: Final = 2 * S  # an answer has begun within this, or never comes
_WRITES: Final = 3  # of one token in one delivery
_FAST: Final = 2400  # Bd; a unit that asks for less takes longer


def simulate(
    plan: Plan,
    parts: Parts = REAL,
    *,
    observer: LineObserver | None = None,
    on_speed: SpeedObserver | None = None,
    on_story: OnStory | None = None,
    in_detail: bool = False,
) -> Run:
    """Run a plan to its end and judge it; whatever it raises is a violation too.

    ``observer``, ``on_speed`` and ``on_story`` are told of it as it happens. ``in_detail``: fill
    ``steps`` and ``remains`` too, which a run does without otherwise.
    """
    run = Run(plan)
    world: World | None = None
    try:
        world = World(plan, parts, run, observer=observer, on_speed=on_speed, on_story=on_story)
        world.meter.count_steps = in_detail
        world.run()
    except Violation as violation:
        run.violation = str(violation)
    except Exception as error:  # noqa: BLE001 - no exception may leave any part
        run.violation = f"{type(error).__name__} left a part: {error}"
    if world is not None:
        if in_detail:
            run.remains = world.remains()
        world.close()
        if on_story is not None and run.violation is not None:
            on_story(world.line.now_ns, f"VIOLATION: {run.violation}")
    return run


class World:
    """A line, the meters and the units on it, and what goes wrong."""

    def __init__(
        self,
        plan: Plan,
        parts: Parts,
        run: Run,
        *,
        observer: LineObserver | None,
        on_speed: SpeedObserver | None,
        on_story: OnStory | None,
    ) -> None:
        self._plan = plan
        self._rules = rules_of(plan.companion)
        self._parts = parts
        self._run = run
        self._on_story = on_story
        self._disturbed = True
        self._watching = True
        self._at_work = False
        self._effects = 0
        self._reopenings = 0
        self._acks = 0
        self._messages = 0
        self._lags: list[Lag] = []
        self._swapped_for = 0
        self._until_reopening = False
        self._shared_until_ns = -1
        self._units: list[HandHeldUnit] = []
        self._others = 0
        self._before_effect: dict[int, list[SecondUnit | HostileClient]] = {}
        self._swaps: dict[int, MeterSwapped] = {}
        self._bad_acks: dict[int, AckToNak] = {}
        self._tokens = plan.issued()
        self._known = {issued.digits: issued for issued in self._tokens}
        self._anybodys: set[str] = set()  # tokens that a hostile client sent
        self._said: list[str] = []
        self._echo = any(isinstance(fault, Echo) for fault in plan.faults)
        self._crash = next((f for f in plan.faults if isinstance(f, CrashAtJournal)), None)
        self._wrong = next((f for f in plan.faults if isinstance(f, WrongPassword)), None)
        self._deliveries = 0
        self._disturbance = Disturbance(self._strike, self._speed)
        self.meter = self._new_meter(PAN, 0)
        self._other: PoweredMeter | None = None
        self._site: Site | None = None
        if any(isinstance(fault, MeterSwapped) for fault in plan.faults):
            self._site = Site(self.meter)
        self.line = SimulatedLine(
            Nobody(),
            self._site or self.meter,
            speed=self._rules.speed,
            fault=self._disturbance.fault,
            fault_places=self._disturbance.places,
            observers=() if observer is None else (observer,),
            on_speed=on_speed,
            in_runs=True,
            echo=self._echo,
        )
        self._prepare(plan.faults)
        self._unit = self._new_unit(self._crash)
        self._have(self._unit.client, self._unit.number)

    def close(self) -> None:
        """Let go of the databases, and count."""
        run = self._run
        run.sent = self._places()
        run.characters = sum(run.sent)
        run.steps = self.meter.steps
        run.line_ns = self.line.now_ns
        for meter in self._meters():
            run.commits += meter.ledger.commits
            run.tokens_executed += len(meter.ledger.executed)
            meter.database.close()

    def remains(self) -> bytes:
        """Return all that the disks of the meter and of the unit hold."""
        self.meter.database.lose_power()
        return self.meter.database.image() + self._unit.disk.content

    # --- parts -----------------------------------------------------------------------------------

    def _meters(self) -> tuple[PoweredMeter, ...]:
        return (self.meter,) if self._other is None else (self.meter, self._other)

    def _new_meter(self, pan: str, now_ns: int) -> PoweredMeter:
        parts = self._parts
        return PoweredMeter(
            self._plan.make,
            pan,
            self._known,
            now_ns=now_ns,
            character_ns=self._rules.character_ns,
            meter_type=parts.meter,
            server_type=parts.server,
            store_type=parts.store,
            watch=self._watch_server,
            struck=self._struck_in_store,
            went_dark=self._went_dark,
            on_sent=self._sent,
        )

    def _new_unit(self, crash: CrashAtJournal | None = None) -> HandHeldUnit:
        parts = self._parts
        # Who comes while another meter is there must name the one that is meant.
        named = self._plan.addressed or self._current is not self.meter
        unit = HandHeldUnit(
            self._companion(),
            PAN if named else "",
            number=len(self._units) + 1,
            now_ns=lambda: self.line.now_ns,
            character_ns=self._rules.character_ns,
            echo=self._echo,
            new_core=self._new_core,
            session_type=parts.session,
            deliverer_type=parts.deliverer,
            on_progress=self._progress,
            crash=crash,
            struck=self._count,
        )
        self._units.append(unit)
        return unit

    def _companion(self) -> Companion:
        return companion_that_states(self._plan.stated_ms, self._plan.companion)

    def _new_core(self) -> Core:
        character_ns = self._rules.character_ns
        core: Core
        if self._plan.companion == DIRECT:
            core = self._parts.client(self._companion(), character_ns=character_ns)
        else:
            core = self._parts.mode_c_client(
                self._companion(), character_ns=character_ns, speed=self._plan.speed
            )
        watch_client(core, self._run.coverage)
        return core

    def _watch_server(self, meter: PoweredMeter, server: MeterServer) -> None:
        watch_server(server.core, self._run.coverage, meter.ledger.access_over)

    def _prepare(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            match fault:
                case (
                    CharacterFault(sender=sender, place=place)
                    | Cut(sender=sender, place=place)
                    | Delay(sender=sender, place=place)
                    | PowerLostAtCharacter(sender=sender, place=place)
                    | CrashAtCharacter(sender=sender, place=place)
                    | BreakInjected(sender=sender, place=place)
                ):
                    self._disturbance.add(sender, place, fault)
                case AckToNak(number=number):
                    self._bad_acks[number] = fault
                case PowerLostInCommit(commit=commit) | DiskFault(commit=commit):
                    self.meter.faults[commit] = fault
                case SecondUnit(effect=effect) | HostileClient(effect=effect):
                    self._before_effect.setdefault(effect, []).append(fault)
                case MeterSwapped(reopening=reopening):
                    self._swaps[reopening] = fault
                case KeypadEntry(at_ns=at_ns):
                    self.line.schedule(at_ns, partial(self._keypad, fault))
                case Tampering(at_ns=at_ns):
                    self.line.schedule(at_ns, partial(self._tamper, fault))
                case Lag():
                    self._lags.append(fault)
                case CrashAtJournal() | WrongPassword():
                    pass  # the unit has it
                case Echo():
                    self._count(fault)

    # --- telling ---------------------------------------------------------------------------------

    def _tell(self, sentence: str) -> None:
        if self._on_story is not None:
            self._on_story(self.line.now_ns, sentence)

    def _count(self, fault: Fault) -> None:
        self._run.faults[fault.kind] += 1
        if self._on_story is not None and not isinstance(fault, Echo):
            self._tell(f"*** {in_words(fault)}")

    # --- faults that strike ----------------------------------------------------------------------

    def _places(self) -> tuple[int, int]:
        return self.line.sent("client"), self.line.sent("server")

    def _strike(self, fault: PlacedFault, now_ns: int) -> None:
        self._run.struck.append(self._places())
        if not self._can_strike(fault):
            return
        self._count(fault)
        match fault:
            case Cut(duration_ns=duration_ns, told=told):
                if told:
                    self.line.reachable = False
                if duration_ns is None:
                    self._until_reopening = True
                else:
                    self.line.schedule(now_ns + duration_ns, self._mend)
            case PowerLostAtCharacter(off_ns=off_ns):
                self._current.lose_power(off_ns)
            case CrashAtCharacter():
                raise UnitCrashed

    def _can_strike(self, fault: PlacedFault) -> bool:
        """Say whether there is what a fault wants to strike; only then it counts."""
        match fault:
            case Lag():
                return False  # it was counted with its first message
            case PowerLostAtCharacter():
                return self._current.meter is not None
            case CrashAtCharacter():
                return self._at_work and self._watching
            case _:
                return True

    def _mend(self) -> None:
        self.line.plug()
        self.line.reachable = True
        self._tell("the line is whole again")

    @property
    def _current(self) -> PoweredMeter:
        """The meter that has the head on it."""
        return self.meter if self._site is None else self._site.current

    def _sent(self, meter: PoweredMeter, chars: bytes) -> None:
        """Take notice of a message of a meter that is about to go out: an ACK may be garbled."""
        if meter is not self._current:
            return
        place = self.line.sent("server") + self.line.queued("server")
        number, self._messages = self._messages, self._messages + 1
        for lag in self._lags:
            if lag.message <= number < lag.message + lag.messages:
                if number == lag.message:
                    self._count(lag)
                self._disturbance.add("server", place, lag)
        if chars == b"\x06":
            fault = self._bad_acks.pop(self._acks, None)
            self._acks += 1
            if fault is not None:
                self._disturbance.add("server", place, fault)

    def _struck_in_store(self, fault: PowerLostInCommit | DiskFault) -> None:
        self._count(fault)
        meter = self.meter
        if isinstance(fault, DiskFault):  # somebody comes and switches it off and on
            self.line.schedule(self.line.now_ns + fault.off_ns, lambda: meter.lose_power(0))

    def _power_up(self, meter: PoweredMeter) -> None:
        if meter.server is None:
            meter.power_up(self.line.now_ns)
            self._tell("the meter has power again")

    def _went_dark(self, meter: PoweredMeter, off_ns: int) -> None:
        self._run.power_losses += 1
        if meter is self._current:
            self.line.silence("server")
        self.line.schedule(self.line.now_ns + off_ns, lambda: self._power_up(meter))

    def _tamper(self, fault: Tampering) -> None:
        if self._disturbed and self.meter.meter is not None:
            self._count(fault)
            self.meter.meter.tamper(1, self.line.now_ns)

    def _keypad(self, fault: KeypadEntry) -> None:
        if self._disturbed and self.meter.meter is not None:
            self._count(fault)
            digits = self._brought(fault.tokens).digits
            error = self.meter.meter.enter(digits, TCT.NUMERIC, self.line.now_ns)
            if error is not None:
                self._tell(f"the keypad says: {error.value}")

    def _brought(self, tokens: Tokens) -> Issued:
        """Return the token that somebody else brings."""
        if tokens is Tokens.SAME:
            return self._tokens[-1]
        self._others += 1
        kind = TokenKind.CREDIT if tokens is Tokens.OTHER else TokenKind.WRONG
        (issued,) = issue(kind, OTHERS + self._others, self._plan.make.ea, 0)
        self._known[issued.digits] = issued
        return issued

    # --- what happens between two effects of a procedure -----------------------------------------

    def _watched(self, unit: HandHeldUnit, procedure: Procedure[T]) -> Procedure[T]:
        """Let others have the line, and other meters come, between two effects."""
        effects = 0
        blind = False  # an entry may have arrived, and nobody has looked since
        try:
            effect = next(procedure)
            while True:
                effects += 1
                if effects > _MOST_EFFECTS:
                    raise Violation("a procedure does not end")
                if isinstance(effect, Perform) and isinstance(effect.command, EnterToken):
                    if blind:
                        raise Violation("a token was written again without a look at the meter")
                    self._may_write(unit, effect.command.token)
                self._before(effect)
                try:
                    outcome: Any = yield effect
                except Exception as error:  # noqa: BLE001 - the procedure's to know
                    effect = procedure.throw(error)
                    continue
                if isinstance(effect, Perform):
                    look(unit, outcome)
                    blind = is_blind(effect.command, outcome, before=blind)
                effect = procedure.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            procedure.close()

    def _before(self, effect: Effect) -> None:
        self._check()
        if not self._watching:
            return
        if isinstance(effect, Reopen):
            self._reopening()
        for fault in self._before_effect.pop(self._effects, ()):
            self._count(fault)
            if isinstance(fault, SecondUnit):
                self._second_unit(fault)
            else:
                self._hostile(fault, effect)
        self._effects += 1

    def _reopening(self) -> None:
        """Do what waited for an opening of the link, which comes now."""
        fault = self._swaps.pop(self._reopenings, None)
        self._reopenings += 1
        # Who has not compared a meter and names none means the one that is there.
        if fault is not None and (self._plan.addressed or self._unit.session.compared):
            self._count(fault)
            self._swapped_for = fault.openings
            assert self._site is not None
            self._put(self._other_meter())
        elif self._swapped_for:
            self._swapped_for -= 1
            if not self._swapped_for:
                self._right_meter()
        if self._until_reopening:
            self._until_reopening = False
            self._mend()

    def _other_meter(self) -> PoweredMeter:
        if self._other is None:
            self._other = self._new_meter(OTHER_PAN, self.line.now_ns)
            assert self._site is not None
            self._site.add(self._other)
        return self._other

    def _right_meter(self) -> None:
        if self._site is not None and self._site.current is not self.meter:
            self._put(self.meter)
            self._tell("the right meter is there again")

    def _put(self, meter: PoweredMeter) -> None:
        """Put the head on another meter; it hears at the speed at which it was left."""
        assert self._site is not None
        self._site.put(meter)
        self.line.silence("server", speed=meter.speed)

    def _second_unit(self, fault: SecondUnit) -> None:
        issued = self._brought(fault.tokens)
        first, self._watching = self.line.client, False
        speed = self._speed("client")
        if fault.patient:
            self.line.idle(self._rules.rest_ns)
        unit = self._new_unit()
        unit.tokens = [issued.digits]
        self._have(unit.client, unit.number)
        self._send(unit, resume=False)
        self._have(first, self._unit.number, speed)
        self._watching = True

    def _send(self, unit: HandHeldUnit, *, resume: bool) -> SendReport:
        """Let a unit deliver its tokens and sign off."""
        report = self.line.run(self._watched(unit, unit.send(resume=resume)))
        self.line.run(unit.session.sign_off())
        if report.problems:
            raise Violation(f"a journal failed whose disk did not: {report.problems[0]}")
        return report

    def _may_write(self, unit: HandHeldUnit, digits: str) -> None:
        """Check that a unit may write a token now, and count it.

        Its journal holds the delivery and announces the write; the meter that it is meant for is
        there, and has not taken it.
        """
        ledger = self.meter.ledger
        opened = [d for d in unit.journal.deliveries() if d.token == digits and d.result is None]
        if not opened or not 1 <= opened[-1].writes <= _WRITES:
            raise Violation("a token was written that the journal does not announce")
        if self._current is not self.meter or opened[-1].meter_pan != PAN:
            raise Violation("a token was written to a meter that it was not meant for")
        s0 = opened[-1].s0
        since = 0 if s0 is None else ledger.place(s0.sequence)
        taken = [e for e in ledger.results(digits, since, None) if e.unit == unit.number]
        entry = ledger.entry
        if taken or (entry is not None and (entry.digits, entry.unit) == (digits, unit.number)):
            raise Violation("a token was written again although the meter had taken it")
        self._all_sent(digits)

    def _all_sent(self, digits: str) -> None:
        """Take notice of a token on the line: whoever is there may get it."""
        self.meter.ledger.sent[digits] += 1
        if self._other is not None:
            self._other.ledger.sent[digits] += 1

    def _hostile(self, fault: HostileClient, effect: Effect) -> None:
        first, self._watching = self.line.client, False
        speed = self._speed("client")
        self._have(Nobody(), 0)
        tokens = [issued.digits for issued in self._tokens]
        words = hostile_words if self._plan.companion == DIRECT else hostile_sign_on_words
        random = Random(fault.seed)  # noqa: S311 - a run must repeat, not be secret
        for said in words(random, companion(self._plan.companion), tokens):
            if said.speed is not None:
                self.line.silence("client", speed=said.speed)
            if said.token is not None:
                self._all_sent(said.token)
                self._anybodys.add(said.token)
            self.line.inject("client", said.chars)
            character_ns = -(-10 * S // self._speed("client"))
            self.line.idle(said.pause_ns + len(said.chars) * character_ns)
        self._shared_until_ns = self.line.now_ns + self._rules.shared_ns
        if isinstance(effect, Perform) and isinstance(effect.command, Write):
            # An ACK has no addressee: one to another client would be taken for this write's. (For
            # a token's it may be taken: a snapshot decides.)
            self.line.idle(_ANSWER_NS)
        self._have(first, self._unit.number, speed)
        self._watching = True

    def _speed(self, sender: Sender) -> int:
        return self.line.speed(sender)

    def _have(self, client: ClientEndpoint, unit: int, speed: int | None = None) -> None:
        """Put a unit's head on the meter, in the place of the one that was there.

        ``speed``: at which it was when it was taken off; None: it is a new one.
        """
        self.line.silence("client", speed=speed)
        self.line.client = client
        self.meter.ledger.unit = unit

    # --- the run ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Deliver the tokens with faults, then without until everything is told; judge all."""
        self._unit.tokens = [issued.digits for issued in self._tokens]
        report: SendReport | None = None
        for attempt in range(_ATTEMPTS):
            if not self._plan.addressed:
                self._right_meter()
            report = self._try(resume=attempt > 0)
            if report is not None and not worth_another(report):
                break
            unheard = report is not None and report.meaning is Meaning.NO_LINK
            self.line.idle(self._rules.unheard_ns if unheard else self._rules.pause_ns)
        self._stop_faults()
        if report is None or worth_another(report) or self._unit.journal.unresolved():
            self._finish()
        self._close_books()

    def _try(self, *, resume: bool) -> SendReport | None:
        """Send once, as a person does; None where the unit crashed."""
        unit, self._at_work = self._unit, True
        self._give_password(unit.core)
        try:
            if self._plan.threshold is not None:
                self._write(unit, self._plan.threshold)
            report = self._send(unit, resume=resume)
        except UnitCrashed:
            self._tell("the hand-held unit has crashed and is switched on again")
            unit.crash()
            self._watching = self._disturbed
            self._have(unit.client, unit.number)
            return None
        finally:
            self._at_work = False
        return report

    def _give_password(self, core: Core) -> None:
        """Let the unit give the right password from now on, a wrong one, or none."""
        if not isinstance(core, ModeCClient):
            return
        self._deliveries += 1
        wrong = self._wrong
        if wrong is not None and self._disturbed and self._deliveries <= wrong.deliveries:
            self._count(wrong)
            core.use_password("forgotten")
        else:
            core.use_password(PASSWORD if self._plan.password else None)

    def _write(self, unit: HandHeldUnit, value: int) -> None:
        """Write a register; what is acknowledged must be durable, whoever wrote it before."""
        try:
            written = self.line.run(self._watched(unit, unit.write("lowCreditThreshold", value)))
        except SessionError as error:
            self._tell(f"the register was not written: {error}")
            return
        if written and self.meter.ledger.thresholds.isdisjoint({value}):
            raise Violation("a register that was acknowledged as written was not stored")

    def _stop_faults(self) -> None:
        self._disturbed = self._watching = False
        self._disturbance.clear()
        self._unit.spare()
        self._before_effect.clear()
        self._bad_acks.clear()
        self._lags.clear()
        self._right_meter()
        self._mend()
        meter = self.meter
        meter.faults.clear()
        if meter.out_of_order:
            meter.lose_power(0)
        self._power_up(meter)
        self._tell("no more faults from here on")

    def _finish(self) -> None:
        """Without faults one more delivery must tell what became of every token."""
        delay_ns = 0
        if self.meter.meter is not None:
            delay_ns = self.meter.meter.state.password_guard.remaining_ns
        self.line.idle(max(self._rules.rest_ns, delay_ns))
        started = self.line.now_ns - S
        report = self._try(resume=True)
        if report is None:
            raise Violation("a hand-held unit crashed without a fault")
        for outcome in report.outcomes:
            if not is_an_end(outcome):
                raise Violation(f"without faults a delivery still ended with '{outcome}'")
        if self._unit.journal.unresolved():
            raise Violation("without faults a delivery is still open in the journal")
        took = self.line.now_ns - started
        slower = _FAST // min(self._plan.speed or _FAST, _FAST)
        if took > slower * (_END_NS + _TOKEN_NS * len(self._tokens)):
            raise Violation(f"without faults a delivery took {took // S} s")

    # --- judging ---------------------------------------------------------------------------------

    def _progress(self, unit: HandHeldUnit, fact: Progress) -> None:
        self._said.append(repr(fact))
        if self._on_story is not None:
            self._tell(f"unit {unit.number}: {sentence(fact)}")
        if isinstance(fact, ResolvingEarlier):
            unit.resolving = fact.delivery
        elif isinstance(fact, Resolved):
            self._run.outcomes[in_short(fact.outcome)] += 1
            report = self._report(unit, fact)
            judge(report, self.meter.ledger)
            if fact.place is not None and isinstance(fact.outcome, Delivered):
                sequence = fact.outcome.sequence  # None: what the journal knew
                if sequence in unit.claimed:
                    raise Violation("one acceptance was reported for two tokens")
                if sequence is not None:
                    unit.claimed.add(sequence)
            if fact.place is not None:
                unit.has_reported()
            if report.since is not None and not isinstance(fact.outcome, MAY_BE_EXECUTED):
                self.meter.ledger.reported_not_taken(report.digits)

    def _report(self, unit: HandHeldUnit, fact: Resolved) -> Report:
        """Return what a unit reports, with what is true at this instant."""
        deliveries, ledger = unit.journal.deliveries(), self.meter.ledger
        if fact.place is None:
            (mine,) = [d for d in deliveries if d.number == unit.resolving]
            token, s0 = mine.token, mine.s0
        else:
            token = unit.tokens[fact.place]
            opened = [d for d in deliveries if d.token == token and d.number > unit.reported]
            s0 = opened[-1].s0 if opened else None
        entry = ledger.entry
        return Report(
            unit=unit.number,
            digits=token,
            outcome=fact.outcome,
            since=None if s0 is None else ledger.place(s0.sequence),
            seen=0 if unit.looked_at is None else ledger.place(unit.looked_at),
            until=len(ledger.executed),
            on_its_way=entry is not None
            and (entry.digits, entry.carrier, entry.unit) == (token, TCT.VIRTUAL, unit.number),
            disturbed=self._disturbed,
            alone=self.line.now_ns > self._shared_until_ns,
        )

    def _close_books(self) -> None:
        """Check what must hold at the end of a run."""
        self._check()
        for meter in self._meters():
            now = meter.ledger.committed if meter.meter is None else meter.meter.state
            meter.ledger.close(now.powered_ns)
        for unit in self._units:
            judge_journal(unit.number, unit.journal.deliveries(), self.meter.ledger)
        other = () if self._other is None else self._other.ledger.executed
        if any(executed.digits not in self._anybodys for executed in other):
            raise Violation("a token was executed by a meter that it was not meant for")
        self._no_key_is_seen()

    def _check(self) -> None:
        """Raise what a ledger found, and look at the buffers."""
        for meter in self._meters():
            if meter.ledger.violation is not None:
                raise meter.ledger.violation
            if meter.server is not None and meter.server.core.held > self._rules.held:
                raise Violation("the server holds more characters than any message has")
        if self._unit.core.held > self._rules.held:
            raise Violation("the client holds more characters than any message has")

    def _no_key_is_seen(self) -> None:
        """Look for keys in all that left a part: the line, the journal, what was said."""
        text = self.meter.sent + "\n".join(self._said).encode()
        for unit in self._units:
            text += unit.disk.content + b"".join(unit.disk.torn)
        if self._other is not None:
            text += self._other.sent
        if shows_a_key(bytes(text), self._plan.make.ea):
            raise Violation("a key was shown")
        if self._plan.password and PASSWORD.encode() in text:
            raise Violation("a password was shown")
