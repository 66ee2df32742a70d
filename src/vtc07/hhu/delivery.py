"""Delivering tokens exactly once (docs/protocol.md 10).

One token at a time: S0, the journal, the entry, and then only what snapshots say. The first token
that is not accepted ends the delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from vtc07.carrier.endpoint import Procedure, durably, perform, wait
from vtc07.carrier.events import EnterToken, Entry, TokenEntryAnswered
from vtc07.carrier.registers import MAX_TOKEN_DATA
from vtc07.carrier.status import ErrorCode
from vtc07.hhu.entry_refused import out_of_order, refusal
from vtc07.hhu.journal.deliveries import (
    Delivery,
    Journal,
    JournalError,
    delivered_before,
    in_doubt,
)
from vtc07.hhu.outcome import (
    Busy,
    Delivered,
    Meaning,
    NoLink,
    NotSent,
    NotTaken,
    NotTakenReason,
    Outcome,
    Refused,
    Unresolved,
    UnresolvedReason,
    meaning_of,
)
from vtc07.hhu.progress import EntryWritten, Resolved, ResolvingEarlier
from vtc07.hhu.resolution import (
    Contradictory,
    Decision,
    Executed,
    Executing,
    Loss,
    Lost,
    NeverExecuted,
    Snapshot,
)
from vtc07.hhu.session import AnotherMeter, Session, SessionError, SignOnRefused
from vtc07.hhu.session import NoLink as LinkFailure
from vtc07.hhu.snapshot import (
    Settlement,
    allow_execution,
    await_ready,
    has_snapshot,
    settle,
)
from vtc07.hhu.texts import Said
from vtc07.hhu.unconfirmed import enter_unconfirmed

#: Tells the time of day for the journal; aware of its zone.
WallClock = Callable[[], datetime]

#: Of a delivery that stays unresolved for one of these, the next one would tell the same.
_OF_THE_METER: Final = frozenset(
    {
        UnresolvedReason.NO_LINK,
        UnresolvedReason.ANOTHER_METER,
        UnresolvedReason.EXECUTING,
        UnresolvedReason.OUT_OF_ORDER,
    }
)


@dataclass(frozen=True, slots=True)
class TokenToSend:
    """A token, 20 digits; not in repr, a token is money.

    ``has_tid``: the caller knows that it carries a TID, so that a meter refuses it a second time.
    ValueError where it is no token.
    """

    digits: str = field(repr=False)
    has_tid: bool = False

    def __post_init__(self) -> None:
        digits = self.digits
        if len(digits) != 20 or not (digits.isascii() and digits.isdigit()):
            raise ValueError("a token is 20 decimal digits")
        if int(digits) > MAX_TOKEN_DATA:
            raise ValueError("this is no token: its 20 digits are above 66 bits; check them")


@dataclass(frozen=True, slots=True)
class EarlierDelivery:
    """A delivery that stood in the journal without result, and its outcome now."""

    delivery: Delivery
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class SendReport:
    """How a delivery ended.

    ``outcomes``: one for each token, in order. ``earlier``: what was resolved first.
    ``problems``: sentences about results that the journal could not take; the outcomes are true
    all the same. ``meter_pan``: the meter's in the journal, None where it was not reached or was
    another one.
    """

    outcomes: tuple[Outcome, ...]
    earlier: tuple[EarlierDelivery, ...] = ()
    problems: tuple[str, ...] = ()
    meter_pan: str | None = None

    @property
    def meaning(self) -> Meaning:
        """The gravest meaning. An earlier delivery counts only where it is still unresolved."""
        open_ones = tuple(e.outcome for e in self.earlier if isinstance(e.outcome, Unresolved))
        return meaning_of((*self.outcomes, *open_ones))


def send(
    session: Session,
    journal: Journal,
    tokens: Sequence[TokenToSend],
    *,
    wall_clock: WallClock,
    resend_if_refusable: bool = False,
    resume: bool = False,
) -> Procedure[SendReport]:
    """Deliver tokens in this order and stop at the first that is not accepted.

    The MeterPAN is read and compared first, then every delivery to this meter that the journal
    holds without result is resolved; one that turns out to be of a token to be sent, and
    delivered, is that token's outcome. ``resend_if_refusable`` matters only where the companion
    lacks the registers that tell what became of a token (`vtc07.hhu.unconfirmed`). ``resume``:
    tokens that the journal knows as delivered to this meter are not entered again
    (`vtc07.hhu.journal.deliveries.delivered_before`).

    Never raises for what the meter or the line does: that is in the report.
    """
    deliverer = Deliverer(session, journal, wall_clock, resend=resend_if_refusable)
    return (yield from deliverer.send(tokens, resume=resume))


def resolve_earlier(
    session: Session, journal: Journal, *, wall_clock: WallClock
) -> Procedure[SendReport]:
    """Resolve what the journal holds without result for the connected meter; send nothing.

    One that stays unresolved is no obstacle to the next, unless it is for the meter as a whole:
    what was not looked into is open in the journal still. `SendReport.outcomes` is empty, unless
    the meter cannot be reached or compared: then it holds that one obstacle.
    """
    deliverer = Deliverer(session, journal, wall_clock, resend=False)
    return (yield from deliverer.resolve_earlier())


class Deliverer:
    """The state of one `send`, or of one `resolve_earlier`; these two are its public face.

    A class, so that a simulation can try what a step done wrongly leads to.
    """

    def __init__(
        self, session: Session, journal: Journal, wall_clock: WallClock, *, resend: bool
    ) -> None:
        self._session = session
        self._journal = journal
        self._wall_clock = wall_clock
        self._resend = resend
        self._confirmed = has_snapshot(session.companion) and session.can_compare
        self._pan = ""
        self._earlier: list[EarlierDelivery] = []
        self._delivered_before: dict[str, Delivered] = {}
        self._uncertain_before: set[str] = set()
        self._problems: list[str] = []
        self._last: Snapshot | None = None  # the answer to the last command, if a snapshot

    def send(self, tokens: Sequence[TokenToSend], *, resume: bool) -> Procedure[SendReport]:
        """Deliver tokens in this order; see the function `send`."""
        outcomes: list[Outcome] = []
        obstacle = yield from self.begin({t.digits for t in tokens if t.has_tid})
        known = self.known(tokens) if resume and obstacle is None else {}
        for place, token in enumerate(tokens):
            if obstacle is None:
                outcome = known.get(place) or (yield from self.deliver(token))
            else:
                outcome, obstacle = obstacle, NotSent()
            outcomes.append(outcome)
            self._session.on_progress(Resolved(place, outcome))
            if not isinstance(outcome, Delivered):
                obstacle = NotSent()
        return self.report(tuple(outcomes))

    def resolve_earlier(self) -> Procedure[SendReport]:
        """Resolve what the journal holds without result; see the function `resolve_earlier`."""
        obstacle = yield from self._meet()
        if obstacle is not None:
            return self.report((obstacle,))
        for delivery in self._journal.unresolved(self._pan):
            outcome = yield from self._look_into(delivery)
            if isinstance(outcome, Unresolved) and outcome.reason in _OF_THE_METER:
                break
        return self.report(())

    def report(self, outcomes: tuple[Outcome, ...]) -> SendReport:
        """Return the report so far."""
        return SendReport(outcomes, tuple(self._earlier), tuple(self._problems), self._pan or None)

    # --- before the first token ----------------------------------------------------------------

    def begin(self, refusable: frozenset[str] | set[str]) -> Procedure[Outcome | None]:
        """Compare the MeterPAN and resolve earlier deliveries; returns what is in the way."""
        obstacle = yield from self._meet()
        if obstacle is not None:
            return obstacle
        if self._resend:
            self._uncertain_before |= in_doubt(self._journal.deliveries(self._pan)) & refusable
        for delivery in self._journal.unresolved(self._pan):
            doubtful = delivery.s0 is None and delivery.writes
            if self._resend and doubtful and delivery.token in refusable:
                # What becomes of it is the outcome of the token to be sent.
                yield from self._resolve_earlier(delivery)
                continue
            outcome = yield from self._look_into(delivery)
            if isinstance(outcome, Unresolved):
                return NotSent()
        return None

    def _meet(self) -> Procedure[Outcome | None]:
        """Compare the MeterPAN; returns what is in the way of everything."""
        session = self._session
        try:
            if session.meter is None:
                meter = yield from session.identify()
                pan = meter.meter_pan
            elif session.can_compare:
                pan = yield from session.compare_meter_pan()
            else:
                pan = None
        except LinkFailure as failure:
            return _unreached(failure)
        except AnotherMeter as other:
            return NotTaken(NotTakenReason.ANOTHER_METER, detail=other.said)
        if pan is None:
            if session.can_compare:
                return NotTaken(NotTakenReason.PAN_UNKNOWN)
            pan = session.address  # all there is to tell one meter from another
        self._pan = pan
        return None

    def _look_into(self, delivery: Delivery) -> Procedure[Outcome]:
        """Resolve an open delivery and report it."""
        outcome = yield from self._resolve_earlier(delivery)
        self._earlier.append(EarlierDelivery(delivery, outcome))
        self._session.on_progress(Resolved(None, outcome))
        return outcome

    def _resolve_earlier(self, delivery: Delivery) -> Procedure[Outcome]:
        session = self._session
        session.on_progress(ResolvingEarlier(delivery.number))
        if delivery.s0 is None:
            outcome: Outcome = Unresolved(UnresolvedReason.NO_REGISTERS)
            if not delivery.writes:  # every entry is announced before it is sent
                outcome = NotTaken(NotTakenReason.NOT_ARRIVED)
        elif not self._confirmed:
            outcome = Unresolved(UnresolvedReason.REFUSED_READ, "the companion is another one now")
        elif (yield from self._is_out_of_order()):
            outcome = Unresolved(UnresolvedReason.OUT_OF_ORDER)
        else:
            token = delivery.token
            decision = yield from self._settle(delivery.s0, token, to_write_again=False)
            outcome = _outcome(decision) or NotTaken(NotTakenReason.NOT_ARRIVED)
        if isinstance(outcome, Delivered):
            self._delivered_before[delivery.token] = outcome
        yield from self._close(delivery, outcome)
        return outcome

    def _is_out_of_order(self) -> Procedure[bool]:
        try:
            return (yield from out_of_order(self._session)) is not None
        except SessionError:
            return False  # what follows meets the same obstacle, and names it

    def known(self, tokens: Sequence[TokenToSend]) -> dict[int, Delivered]:
        """Return the tokens, by place, that the meter need not be given again."""
        digits = [token.digits for token in tokens]
        return delivered_before(self._journal.deliveries(self._pan), self._pan, digits)

    # --- one token -----------------------------------------------------------------------------

    def deliver(self, token: TokenToSend) -> Procedure[Outcome]:
        """Deliver one token."""
        if (known := self._delivered_before.pop(token.digits, None)) is not None:
            return known
        s0: Snapshot | None = None
        if self._confirmed:
            try:
                if self._last is None and (broken := (yield from out_of_order(self._session))):
                    return broken
                s0 = self._last or (yield from await_ready(self._session))
            except LinkFailure as failure:
                return _unreached(failure)
            except AnotherMeter as other:
                return NotTaken(NotTakenReason.ANOTHER_METER, detail=other.said)
            if s0 is None:
                return Busy()
        try:
            delivery = yield from durably(
                lambda: self._journal.open_delivery(self._pan, token.digits, s0, self._wall_clock())
            )
        except JournalError as error:
            return NotTaken(NotTakenReason.JOURNAL, detail=str(error))
        if s0 is None:
            outcome = yield from enter_unconfirmed(
                self._session,
                token.digits,
                lambda number: self._announce(delivery, number),
                resend=self._resend and token.has_tid,
                uncertain_before=token.digits in self._uncertain_before,
            )
        else:
            outcome = yield from self._enter(delivery, token.digits, s0)
        yield from self._close(delivery, outcome)
        return outcome

    def _enter(self, delivery: Delivery, token: str, s0: Snapshot) -> Procedure[Outcome]:
        """Write the token, at most three times, until snapshots tell what became of it.

        An error message means "not taken" at once, with two exceptions that are worth another
        look. "A token is being executed": a keypad's token may be the cause, which tokenStatus
        does not show, so the entry is tried again after a pause; the pauses of all entries
        together are as long as an execution may last. A text that the companion does not name:
        what it means is left to the snapshot, and the entry is not repeated.
        """
        timing = self._session.timing
        number = 0
        while True:
            number += 1
            more = number < timing.token_writes
            if not (yield from self._announce(delivery, number)):
                return NotTaken(NotTakenReason.JOURNAL)
            self._last = None
            event = yield from perform(EnterToken(token))
            self._session.on_progress(EntryWritten(number))
            not_taken = NotTaken(NotTakenReason.NOT_ARRIVED)
            if isinstance(event, TokenEntryAnswered) and event.entry is Entry.REFUSED:
                if event.error is ErrorCode.TOKEN_EXECUTING:
                    not_taken = NotTaken(NotTakenReason.EXECUTING, event.error, event.error_text)
                    pauses = max(1, timing.token_writes - 1)
                    yield from wait(-(-timing.execution_limit_ns // pauses))
                elif event.error is not None:
                    return (yield from refusal(self._session, event))
                else:
                    more = False
                    not_taken = NotTaken(NotTakenReason.ENTRY_REFUSED, error_text=event.error_text)
            if isinstance(event, TokenEntryAnswered) and event.entry is Entry.ACK:
                yield from allow_execution(self._session)
            decision = yield from self._settle(s0, token, to_write_again=more)
            outcome = _outcome(decision)
            if outcome is not None:
                return outcome
            if not more:
                return not_taken

    def _settle(
        self, s0: Snapshot, token: str, *, to_write_again: bool
    ) -> Procedure[Decision | Unresolved]:
        try:
            settlement: Settlement = yield from settle(
                self._session, s0, token, to_write_again=to_write_again
            )
        except LinkFailure as failure:
            return Unresolved(UnresolvedReason.NO_LINK, Said(failure.failure.value))
        except AnotherMeter as other:
            return Unresolved(UnresolvedReason.ANOTHER_METER, other.said)
        told = settlement.fresh and isinstance(settlement.decision, Executed | NeverExecuted)
        self._last = settlement.snapshot if told else None
        return settlement.decision

    # --- the journal ---------------------------------------------------------------------------

    def _announce(self, delivery: Delivery, number: int) -> Procedure[bool]:
        try:
            yield from durably(
                lambda: self._journal.announce_write(delivery.number, number, self._wall_clock())
            )
        except JournalError as error:
            self._problems.append(str(error))
            return False
        return True

    def _close(self, delivery: Delivery, outcome: Outcome) -> Procedure[None]:
        """Write the outcome down, unless reading again can tell more."""
        if isinstance(outcome, Unresolved) and not outcome.final:
            return
        try:
            yield from durably(
                lambda: self._journal.close_delivery(delivery.number, outcome, self._wall_clock())
            )
        except JournalError as error:
            self._problems.append(str(error))


def _unreached(failure: LinkFailure) -> Outcome:
    """Return the outcome of a token that was not sent, for want of a session."""
    if isinstance(failure, SignOnRefused):
        return NotTaken(NotTakenReason.SIGN_ON_REFUSED, detail=failure.said)
    return NoLink(failure.said)


def _outcome(decision: Decision | Unresolved) -> Outcome | None:
    """Return a decision's outcome; None for "not taken", which the caller may try to mend."""
    match decision:
        case Unresolved():
            return decision
        case NeverExecuted():
            return None
        case Executed(None, number):
            return Unresolved(UnresolvedReason.UNKNOWN_RESULT, f"number {number}")
        case Executed(status, _, sequence) if status is not None and status.taken:
            return Delivered(status, sequence)
        case Executed(status, _, sequence) if status is not None:
            return Refused(status, sequence)
        case Lost(Loss.BELOW):
            return Unresolved(UnresolvedReason.BELOW)
        case Contradictory(why):
            return Unresolved(UnresolvedReason.CONTRADICTORY, why)
        case Executing():
            return Unresolved(UnresolvedReason.EXECUTING)
        case _:
            return Unresolved(UnresolvedReason.GAP)
