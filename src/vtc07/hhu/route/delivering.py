"""The tokens of a stop: what earlier visits left open first, then each exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from vtc07.carrier.endpoint import Procedure, durably
from vtc07.hhu.delivery import Deliverer, EarlierDelivery, TokenToSend, resolve_earlier
from vtc07.hhu.journal.deliveries import in_doubt
from vtc07.hhu.journal.result import Result
from vtc07.hhu.key_change.delivering import KeyChangeReport, deliver_key_change
from vtc07.hhu.key_change.state import KeyChangeStage
from vtc07.hhu.outcome import (
    Delivered,
    NoLink,
    NotSent,
    NotTaken,
    NotTakenReason,
    Outcome,
    Unresolved,
    UnresolvedReason,
)
from vtc07.hhu.progress import Resolved
from vtc07.hhu.route.facts import RouteToken, Stop
from vtc07.hhu.route.ledger import BrokenOffError, Ledger
from vtc07.hhu.route.registers import Came
from vtc07.hhu.route.task import StopState, TaskKind, TaskResult, TaskState
from vtc07.hhu.route.tokens import token_result, why_refused
from vtc07.hhu.session import Session
from vtc07.hhu.texts import Said, said
from vtc07.tokens.tokendata import TokenData

#: The meter of the visit cannot be talked to, or the journal cannot be written.
_GONE: Final = frozenset(
    {
        NotTakenReason.ANOTHER_METER,
        NotTakenReason.SIGN_ON_REFUSED,
        NotTakenReason.JOURNAL,
        UnresolvedReason.NO_LINK,
        UnresolvedReason.ANOTHER_METER,
    }
)
#: Entering the set again as it is would not help.
_FRUITLESS: Final = (KeyChangeStage.REFUSED, KeyChangeStage.OVERTAKEN, KeyChangeStage.MIXED)


class Tokens:
    """The tokens of all stops of the meter that is there.

    ``held_back``: why none may be sent, None where they may. ``resend``: see
    `vtc07.hhu.delivery.send`. ``to_send_again``: tokens of which nobody knows whether the meter
    has taken them, and that it would refuse a second time.
    """

    def __init__(self, session: Session, ledger: Ledger, *, resend: bool) -> None:
        self._session = session
        self._ledger = ledger
        self._resend = resend
        self._deliverer: Deliverer | None = None
        self.to_send_again: set[str] = set()
        self.held_back: Said | None = None

    # --- what an earlier visit left open -------------------------------------------------------

    def resolve(self, stops: Sequence[Stop]) -> Procedure[None]:
        """Find out what became of the deliveries to this meter that have no result.

        Raises BrokenOffError where the meter cannot be asked.
        """
        ledger = self._ledger
        if self._resend:
            yield from self._doubt(stops)
        if not (self.to_send_again or (yield from self.unresolved())):
            return
        if self.to_send_again:
            _, obstacle = yield from self._begin_deliveries(stops)
            obstacle = None if isinstance(obstacle, NotSent) else obstacle
        else:
            report = yield from resolve_earlier(
                self._session, ledger.journal, wall_clock=ledger.wall_clock
            )
            ledger.earlier += report.earlier
            ledger.problems += report.problems
            obstacle = report.outcomes[0] if report.outcomes else None
        for earlier in ledger.earlier:
            yield from self._note_earlier(stops, earlier)
        if obstacle is not None:
            raise BrokenOffError(obstacle.said, obstacle.meaning)
        yield from self._hold_back()

    def _hold_back(self) -> Procedure[None]:
        """Send no token to this meter any more while a delivery to it is open."""
        if left := (yield from self.unresolved()):
            self.held_back = said(
                "no token is sent to this meter before delivery {number} is resolved",
                number=left[0],
            )

    def _doubt(self, stops: Sequence[Stop]) -> Procedure[None]:
        """Find the tokens of which nobody knows whether the meter has taken them."""
        journal, pan = self._ledger.journal, self._ledger.meter_pan
        doubtful = in_doubt((yield from durably(lambda: journal.deliveries(pan))))
        tokens = {token.digits for stop in stops for token in stop.deliver}
        self.to_send_again = {digits for digits in doubtful & tokens if _has_tid(digits)}

    def unresolved(self) -> Procedure[list[int]]:
        """Return the deliveries to this meter that the journal holds open, by their numbers."""
        journal, pan = self._ledger.journal, self._ledger.meter_pan
        return (yield from durably(lambda: [d.number for d in journal.unresolved(pan)]))

    def _note_earlier(self, stops: Sequence[Stop], earlier: EarlierDelivery) -> Procedure[None]:
        delivery = earlier.delivery
        for state in (yield from self._ledger.look(stops)):
            for task in state.tasks:
                token = _token_of(state.stop, task)
                if token is not None and token.digits == delivery.token:
                    came = _came_of(earlier.outcome)
                    if token.of_key_change and came.result is TaskResult.DONE:
                        # Whether it was this set that is complete now, the meter is asked next.
                        came = replace(came, result=TaskResult.TO_DO)
                    yield from self._ledger.ended(state.stop, task, came, delivery.number)

    # --- delivering ----------------------------------------------------------------------------

    def deliver(self, stop: Stop, stops: Sequence[Stop]) -> Procedure[None]:
        """Deliver the tokens of a stop, up to the first that the meter does not take.

        ``stops``: all of this meter. Raises BrokenOffError where the meter cannot be reached any
        more.
        """
        tried: set[int] = set()
        while True:
            (state,) = yield from self._ledger.look([stop])  # what another stop brought, too
            task = self._next(state, tried)
            if task is None:
                return
            if stop.deliver[task.place].of_key_change:
                tasks = [t for t in state.tasks if _is_section(stop, t)]
                tried.update(t.place for t in tasks)
                went_on = yield from self._key_change(stop, task, tasks)
            else:
                tried.add(task.place)
                went_on = yield from self._token(stop, task, stops)
            if not went_on:
                return

    def end(self) -> None:
        """Have done with deliveries: other commands may be sent now."""
        if self._deliverer is not None:
            self._ledger.problems += self._deliverer.report(()).problems
        self._deliverer = None

    def _next(self, state: StopState, tried: set[int]) -> TaskState | None:
        for task in state.tasks:
            if task.kind is not TaskKind.DELIVER or task.result is TaskResult.DONE:
                continue
            if task.place in tried:
                continue
            again = state.stop.deliver[task.place].digits in self.to_send_again
            if task.result is TaskResult.TO_DO or (task.result is TaskResult.OPEN and again):
                return task
            return None
        return None

    def _begin_deliveries(
        self, stops: Sequence[Stop]
    ) -> Procedure[tuple[Deliverer, Outcome | None]]:
        """Compare the MeterPAN and resolve what is open; returns what is in the way."""
        if self._deliverer is not None:
            return self._deliverer, None
        ledger = self._ledger
        journal = ledger.journal
        tokens = {token.digits for stop in stops for token in stop.deliver}
        refusable = {digits for digits in tokens if _has_tid(digits)} if self._resend else set()
        deliverer = Deliverer(self._session, journal, ledger.wall_clock, resend=self._resend)
        obstacle = yield from deliverer.begin(refusable)
        ledger.earlier += deliverer.report(()).earlier
        self._deliverer = deliverer
        return deliverer, obstacle

    def _token(self, stop: Stop, task: TaskState, stops: Sequence[Stop]) -> Procedure[bool]:
        """Deliver a token; say whether the next one may follow."""
        self._ledger.begins(stop, task)
        digits = stop.deliver[task.place].digits
        before = (yield from self._last_deliveries()).get(digits)
        deliverer, outcome = yield from self._begin_deliveries(stops)
        if outcome is None:
            outcome = yield from deliverer.deliver(TokenToSend(digits, has_tid=_has_tid(digits)))
        else:
            self.end()  # whoever is there was not compared: the next token begins with that
        self._session.on_progress(Resolved(task.place, outcome))
        last = (yield from self._last_deliveries()).get(digits)
        delivery = last if last != before else None
        yield from self._ledger.ended(stop, task, _came_of(outcome), delivery)
        _stop_at(outcome)
        if isinstance(outcome, Unresolved):
            yield from self._hold_back()
        return isinstance(outcome, Delivered)

    def _key_change(
        self, stop: Stop, first: TaskState, tasks: Sequence[TaskState]
    ) -> Procedure[bool]:
        """Deliver a key change whole; say whether the next token may follow."""
        self.end()
        ledger = self._ledger
        in_order = sorted(tasks, key=lambda task: stop.deliver[task.place].section or 0)
        digits = [stop.deliver[task.place].digits for task in in_order]
        ledger.begins(stop, first, tasks=len(tasks))
        if len(set(digits)) != len(digits):
            why = said("the key change set has a token twice; correct the route")
            yield from ledger.ended(stop, first, Came(TaskResult.REFUSED, why))
            return False
        before = yield from self._last_deliveries()
        report = yield from deliver_key_change(
            self._session, ledger.journal, digits, wall_clock=ledger.wall_clock
        )
        ledger.earlier += report.earlier
        ledger.problems += report.problems
        after = yield from self._last_deliveries()
        for place, (task, token) in enumerate(zip(in_order, digits, strict=True)):
            delivery = after.get(token) if after.get(token) != before.get(token) else None
            yield from ledger.ended(stop, task, _section_came(report, place), delivery)
        for outcome in report.outcomes:
            _stop_at(outcome)
        return report.state.stage is KeyChangeStage.COMPLETE

    def _last_deliveries(self) -> Procedure[dict[str, int]]:
        """Return the number of the last delivery to this meter of each token."""
        journal, pan = self._ledger.journal, self._ledger.meter_pan
        made = yield from durably(lambda: journal.deliveries(pan))
        return {delivery.token: delivery.number for delivery in made}


def _stop_at(outcome: Outcome) -> None:
    """End the visit where an outcome says that this meter is not there any more."""
    if isinstance(outcome, NoLink) or (
        isinstance(outcome, NotTaken | Unresolved) and outcome.reason in _GONE
    ):
        raise BrokenOffError(outcome.said, outcome.meaning)


def _token_of(stop: Stop, task: TaskState) -> RouteToken | None:
    return stop.deliver[task.place] if task.kind is TaskKind.DELIVER else None


def _is_section(stop: Stop, task: TaskState) -> bool:
    token = _token_of(stop, task)
    return token is not None and token.of_key_change


def _has_tid(digits: str) -> bool:
    return TokenData.from_digits(digits).token_class == 0


def _came_of(outcome: Outcome) -> Came:
    result = Result.of(outcome)
    return Came(token_result(result), outcome.said, why=why_refused(result))


def _section_came(report: KeyChangeReport, place: int) -> Came:
    """Return what one token of a key change came to; one of them tells of the whole set."""
    came = _came_of(report.outcomes[place])
    stage = report.state.stage
    if stage is KeyChangeStage.COMPLETE:
        return replace(came, result=TaskResult.DONE, why="")
    if came.result is TaskResult.DONE:
        came = replace(came, result=TaskResult.TO_DO)
    if stage in _FRUITLESS and came.result is TaskResult.TO_DO:
        came = replace(came, result=TaskResult.REFUSED)
    tells = report.state.next_place
    if tells is None:
        taken = [isinstance(outcome, Delivered) for outcome in report.outcomes]
        tells = taken.index(False) if False in taken else 0
    if place != tells:
        return came
    both = said("{outcome}; {state}", outcome=came.said, state=report.state.said)
    return replace(came, said=both)
