"""What goes wrong in a run: the faults of its plan, each at its place, and what they do.

Faults strike at a character, a message, a commit, an instant, and between two effects of a
procedure, where other clients have the line and other meters come.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any, Final, TypeVar

from vtc07.carrier.companion import S
from vtc07.carrier.endpoint import Effect, Perform, Procedure, Reopen
from vtc07.carrier.events import EnterToken, Write
from vtc07.hhu.delivery import SendReport
from vtc07.hhu.resuming import ResumeReport
from vtc07.simulation.bench import Bench
from vtc07.simulation.disturbance import PlacedFault
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
)
from vtc07.simulation.hostile_sign_on import hostile_sign_on_words
from vtc07.simulation.issued import Issued, TokenKind, issue
from vtc07.simulation.judging import Judge
from vtc07.simulation.ledger import Violation
from vtc07.simulation.plan import OTHERS
from vtc07.simulation.powered import DIRECT, PoweredMeter, companion
from vtc07.simulation.unit import HandHeldUnit, Nobody, hostile_words
from vtc07.simulation.unit_disk import UnitCrashed
from vtc07.simulation.watching import is_blind, look
from vtc07.tokens import TCT

T = TypeVar("T")

_MOST_EFFECTS: Final = 2000  # a procedure that asks for more does not end
_ANSWER_NS: Final = 2 * S  # an answer has begun within this, or never comes


class Mishaps:
    """The faults of a bench's plan.

    ``at_work``: the unit of the run is at work, and may crash. ``watching``: the effects that are
    asked for are its own, and count.
    """

    def __init__(self, bench: Bench, judge: Judge) -> None:
        self.at_work = False
        self.watching = True
        self._bench = bench
        self._judge = judge
        self._effects = 0
        self._reopenings = 0
        self._acks = 0
        self._messages = 0
        self._others = 0
        self._swapped_for = 0
        self._until_reopening = False
        self._answered_ns = 0  # by then an answer to a hostile client has begun, or never comes
        self._lags: list[Lag] = []
        self._before_effect: dict[int, list[SecondUnit | HostileClient]] = {}
        self._swaps: dict[int, MeterSwapped] = {}
        self._bad_acks: dict[int, AckToNak] = {}
        self._prepare(bench.plan.faults)

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
                    self._bench.disturbance.add(sender, place, fault)
                case AckToNak(number=number):
                    self._bad_acks[number] = fault
                case PowerLostInCommit(commit=commit) | DiskFault(commit=commit):
                    self._bench.meter.faults[commit] = fault
                case SecondUnit(effect=effect) | HostileClient(effect=effect):
                    self._before_effect.setdefault(effect, []).append(fault)
                case MeterSwapped(reopening=reopening):
                    self._swaps[reopening] = fault
                case KeypadEntry(at_ns=at_ns):
                    self._bench.line.schedule(at_ns, partial(self._keypad, fault))
                case Tampering(at_ns=at_ns):
                    self._bench.line.schedule(at_ns, partial(self._tamper, fault))
                case Lag():
                    self._lags.append(fault)
                case CrashAtJournal() | WrongPassword() | Echo():
                    pass  # the unit has it, or the line

    def stop(self) -> None:
        """Let nothing go wrong any more, and set right what did."""
        self._bench.disturbed = self.watching = False
        self._bench.disturbance.clear()
        self._bench.unit.disk.spare()
        self._before_effect.clear()
        self._bad_acks.clear()
        self._lags.clear()
        self._bench.right_meter()
        self._bench.mend()
        meter = self._bench.meter
        meter.faults.clear()
        if meter.out_of_order:
            meter.lose_power(0)
        self._bench.power_up(meter)
        self._bench.tell("no more faults from here on")

    # --- at a character, a message, an instant ---------------------------------------------------

    def strike(self, fault: PlacedFault, now_ns: int) -> None:
        """Let a fault of a character strike, which it has reached."""
        self._bench.run.struck.append(self._bench.places())
        if not self._can_strike(fault):
            return
        self._bench.count(fault)
        match fault:
            case Cut(duration_ns=duration_ns, told=told):
                if told:
                    self._bench.line.reachable = False
                if duration_ns is None:
                    self._until_reopening = True
                else:
                    self._bench.line.schedule(now_ns + duration_ns, self._bench.mend)
            case PowerLostAtCharacter(off_ns=off_ns):
                self._bench.current.lose_power(off_ns)
            case CrashAtCharacter():
                raise UnitCrashed

    def _can_strike(self, fault: PlacedFault) -> bool:
        """Say whether there is what a fault wants to strike; only then it counts."""
        match fault:
            case Lag():
                return False  # it was counted with its first message
            case PowerLostAtCharacter():
                return self._bench.current.meter is not None
            case CrashAtCharacter():
                return self.at_work and self.watching
            case _:
                return True

    def sent(self, meter: PoweredMeter, chars: bytes) -> None:
        """Take notice of a message of a meter that is about to go out: an ACK may be garbled."""
        if meter is not self._bench.current:
            return
        place = self._bench.line.sent("server") + self._bench.line.queued("server")
        number, self._messages = self._messages, self._messages + 1
        for lag in self._lags:
            if lag.message <= number < lag.message + lag.messages:
                if number == lag.message:
                    self._bench.count(lag)
                self._bench.disturbance.add("server", place, lag)
        if chars == b"\x06":
            fault = self._bad_acks.pop(self._acks, None)
            self._acks += 1
            if fault is not None:
                self._bench.disturbance.add("server", place, fault)

    def _tamper(self, fault: Tampering) -> None:
        if self._bench.disturbed and self._bench.meter.meter is not None:
            self._bench.count(fault)
            self._bench.meter.meter.tamper(1, self._bench.line.now_ns)

    def _keypad(self, fault: KeypadEntry) -> None:
        if self._bench.disturbed and self._bench.meter.meter is not None:
            self._bench.count(fault)
            digits = self._brought(fault.tokens).digits
            error = self._bench.meter.meter.enter(digits, TCT.NUMERIC, self._bench.line.now_ns)
            if error is not None:
                self._bench.tell(f"the keypad says: {error.value}")

    def _brought(self, tokens: Tokens) -> Issued:
        """Return the token that somebody else brings."""
        if tokens is Tokens.SAME:
            return self._bench.tokens[-1]
        self._others += 1
        kind = TokenKind.CREDIT if tokens is Tokens.OTHER else TokenKind.WRONG
        (issued,) = issue(kind, OTHERS + self._others, self._bench.plan.make.ea, 0)
        self._bench.known[issued.digits] = issued
        return issued

    # --- between two effects of a procedure ------------------------------------------------------

    def send(self, unit: HandHeldUnit, *, resume: bool) -> SendReport:
        """Let a unit deliver its tokens and sign off."""
        report = self._run(unit, unit.send(resume=resume))
        _no_problems(report.problems)
        return report

    def resume(self, unit: HandHeldUnit) -> ResumeReport:
        """Let a unit find out what became of what is open, and sign off."""
        report = self._run(unit, unit.resume())
        _no_problems(report.problems)
        return report

    def _run(self, unit: HandHeldUnit, procedure: Procedure[T]) -> T:
        result = self._bench.line.run(self.watched(unit, procedure))
        self._bench.line.run(unit.session.sign_off())
        return result

    def watched(self, unit: HandHeldUnit, procedure: Procedure[T]) -> Procedure[T]:
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
                    self._judge.may_write(unit, effect.command.token)
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
        self._judge.check()
        if not self.watching:
            return
        if isinstance(effect, Reopen):
            self._reopening()
        for fault in self._before_effect.pop(self._effects, ()):
            self._bench.count(fault)
            if isinstance(fault, SecondUnit):
                self._second_unit(fault)
            else:
                self._hostile(fault)
        self._effects += 1
        writes = isinstance(effect, Perform) and isinstance(effect.command, Write)
        if writes and self._bench.line.now_ns < self._answered_ns:
            # An ACK has no addressee: one to another client would be taken for this write's. (For
            # a token's it may be taken: a snapshot decides.)
            self._bench.line.idle(self._answered_ns - self._bench.line.now_ns)

    def _reopening(self) -> None:
        """Do what waited for an opening of the link, which comes now."""
        fault = self._swaps.pop(self._reopenings, None)
        self._reopenings += 1
        # Who has not compared a meter and names none means the one that is there.
        if fault is not None and (self._bench.plan.addressed or self._bench.unit.session.compared):
            self._bench.count(fault)
            self._swapped_for = fault.openings
            self._bench.swap()
        elif self._swapped_for:
            self._swapped_for -= 1
            if not self._swapped_for:
                self._bench.right_meter()
        if self._until_reopening:
            self._until_reopening = False
            self._bench.mend()

    def _second_unit(self, fault: SecondUnit) -> None:
        issued = self._brought(fault.tokens)
        first, self.watching = self._bench.line.client, False
        speed = self._bench.line.speed("client")
        if fault.patient:
            self._bench.line.idle(self._bench.rules.rest_ns)
        unit = self._bench.new_unit()
        unit.tokens = [issued.digits]
        self._bench.have(unit.client, unit.number)
        self.send(unit, resume=False)
        self._bench.have(first, self._bench.unit.number, speed)
        self.watching = True

    def _hostile(self, fault: HostileClient) -> None:
        first, self.watching = self._bench.line.client, False
        speed = self._bench.line.speed("client")
        self._bench.have(Nobody(), 0)
        tokens = [issued.digits for issued in self._bench.tokens]
        words = hostile_words if self._bench.plan.companion == DIRECT else hostile_sign_on_words
        random = Random(fault.seed)  # noqa: S311 - a run must repeat, not be secret
        for said in words(random, companion(self._bench.plan.companion), tokens):
            if said.speed is not None:
                self._bench.line.silence("client", speed=said.speed)
            if said.token is not None:
                self._judge.sent_by_anybody(said.token)
            self._bench.line.inject("client", said.chars)
            character_ns = -(-10 * S // self._bench.line.speed("client"))
            self._bench.line.idle(said.pause_ns + len(said.chars) * character_ns)
        self._bench.shared_until_ns = self._bench.line.now_ns + self._bench.rules.shared_ns
        self._answered_ns = self._bench.line.now_ns + _ANSWER_NS
        self._bench.have(first, self._bench.unit.number, speed)
        self.watching = True


def _no_problems(problems: Sequence[str]) -> None:
    """Raise Violation where a journal failed: its disk never does here."""
    if problems:
        raise Violation(f"a journal failed whose disk did not: {problems[0]}")
