"""Working through a route: whatever has to be done at the meter that is there.

The meter says who it is; what the journal holds open for it is resolved; then its tokens are
delivered, its registers written and read, and each task's end is durable before the next begins. So
a visit may break off anywhere, and the next one goes on where it ended: a token is never entered
again that the meter has taken, whatever became of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from vtc07.carrier.endpoint import Procedure, durably
from vtc07.hhu.delivery import WallClock
from vtc07.hhu.journal.deliveries import JournalError, UnitJournal
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.outcome import Meaning
from vtc07.hhu.route.delivering import Tokens
from vtc07.hhu.route.facts import Route, Stop
from vtc07.hhu.route.ledger import BrokenOffError, Ledger
from vtc07.hhu.route.registers import read_words, write_word
from vtc07.hhu.route.state import left_to_do
from vtc07.hhu.route.task import StopResult, StopState, TaskKind, TaskState
from vtc07.hhu.route.visit import Arrived, Finding, Known, OnTask, RouteVisit, unheard
from vtc07.hhu.session import Meter, NoLink, Session, SessionError, SignOnRefused

_PAN_LENGTH: Final = 18


def work(
    session: Session,
    journal: UnitJournal,
    route: Route,
    *,
    wall_clock: WallClock,
    again: bool = False,
    resend_if_refusable: bool = False,
    on_task: OnTask = unheard,
) -> Procedure[RouteVisit]:
    """Do what the route has for the meter that is there.

    ``again``: registers are written and read once more, whatever the journal knows of them; tokens
    never are. ``resend_if_refusable``: as of `vtc07.hhu.delivery.send`.

    A token that is refused ends the deliveries of its stop, and registers are written and read all
    the same. While a delivery to this meter is open, no register is written, but read. What the
    meter or the line does after it was identified is in the visit. Raises NoLink,
    AnotherMeter, RouteError and, where nothing was done, JournalError.
    """
    ledger = Ledger(journal, route, wall_clock, on_task)
    tokens = Tokens(session, ledger, resend=resend_if_refusable)
    return (yield from _Visit(session, ledger, tokens, again=again).run())


class _Visit:
    def __init__(self, session: Session, ledger: Ledger, tokens: Tokens, *, again: bool) -> None:
        self._session = session
        self._ledger = ledger
        self._tokens = tokens
        self._again = again

    def run(self) -> Procedure[RouteVisit]:
        ledger = self._ledger
        meter = yield from self._who_is_there()
        if not ledger.meter_pan:
            return RouteVisit(Finding.NAMELESS, meter, None)
        ledger.on_task(Known(ledger.meter_pan))
        stops = yield from durably(lambda: ledger.route.stops_of(ledger.meter_pan))
        if not stops:
            return (yield from self._not_on_route(meter))
        states = yield from ledger.arrive(stops)
        ledger.on_task(Arrived(ledger.meter_pan, states))
        obstacle: BrokenOffError | None = None
        finding = Finding.WORK
        try:
            yield from self._tokens.resolve(stops)
            states = yield from ledger.look(stops)
            finding = self._finding(states)
            if finding is Finding.WORK:
                yield from self._do(states)
        except (BrokenOffError, SessionError, JournalError) as error:
            obstacle = self._obstacle(error)
        self._tokens.end()
        try:
            states = yield from ledger.look(stops)
        except JournalError as error:
            obstacle = obstacle or self._obstacle(error)
        if obstacle is None and self._tokens.held_back is not None:
            obstacle = BrokenOffError(self._tokens.held_back, Meaning.UNRESOLVED)
        visit = self._visit(finding, meter, states, obstacle)
        yield from ledger.leave(
            complete=visit.complete, finding=finding.name.lower(), obstacle=visit.obstacle
        )
        if not ledger.problems:
            states = yield from ledger.look(stops)  # with the end of this visit
        return replace(visit, stops=states, problems=tuple(ledger.problems))

    def _visit(
        self,
        finding: Finding,
        meter: Meter,
        states: tuple[StopState, ...],
        obstacle: BrokenOffError | None,
    ) -> RouteVisit:
        ledger = self._ledger
        return RouteVisit(
            finding,
            meter,
            ledger.meter_pan,
            states,
            tuple(ledger.tried),
            tuple(ledger.earlier),
            None if obstacle is None else obstacle.why,
            Meaning.DONE if obstacle is None else obstacle.meaning,
            problems=tuple(ledger.problems),
        )

    def _obstacle(self, error: BrokenOffError | SessionError | JournalError) -> BrokenOffError:
        match error:
            case BrokenOffError():
                return error
            case JournalError():
                return self._ledger.failed(error)
            case NoLink() if not isinstance(error, SignOnRefused):
                return BrokenOffError(error.said, Meaning.NO_LINK)
        return BrokenOffError(error.said, Meaning.REFUSED)

    # --- who is there --------------------------------------------------------------------------

    def _who_is_there(self) -> Procedure[Meter]:
        session = self._session
        known = session.meter is not None and not session.hailed_only
        meter = yield from session.ready()
        if known and session.can_compare:
            yield from session.compare_meter_pan()  # the head may be on another one by now
        if meter.meter_pan is not None:
            self._ledger.meter_pan = meter.meter_pan
        elif not session.can_compare and len(session.address) == _PAN_LENGTH:
            self._ledger.meter_pan = session.address  # all there is to tell one from another
        return meter

    def _not_on_route(self, meter: Meter) -> Procedure[RouteVisit]:
        ledger = self._ledger
        obstacle: BrokenOffError | None = None
        try:
            yield from self._tokens.resolve(())
        except (BrokenOffError, SessionError) as error:
            obstacle = self._obstacle(error)
        names = yield from durably(self._other_routes)
        note = NewEntry(
            EntryKind.NOTE,
            ledger.wall_clock(),
            {"note": "not on the route", "digest": ledger.route.digest},
            ledger.meter_pan,
            route=ledger.route.name,
        )
        yield from ledger.note(note)
        visit = self._visit(Finding.NOT_ON_ROUTE, meter, (), obstacle)
        return replace(visit, other_routes=names)

    def _other_routes(self) -> tuple[str, ...]:
        ledger = self._ledger
        met = ledger.journal.entries(kinds=(EntryKind.ARRIVED,), meter_pan=ledger.meter_pan)
        names = dict.fromkeys(entry.route for entry in met)
        return tuple(name for name in names if name is not None and name != ledger.route.name)

    # --- what there is to do -------------------------------------------------------------------

    def _finding(self, states: Sequence[StopState]) -> Finding:
        if self._tokens.to_send_again or any(self._to_try(state) for state in states):
            return Finding.WORK
        if not any(state.tasks for state in states):
            return Finding.NO_TASKS
        if all(state.result is StopResult.DONE for state in states):
            return Finding.ALREADY_DONE
        return Finding.REFUSED_BEFORE

    def _to_try(self, state: StopState) -> tuple[TaskState, ...]:
        """Return the tasks of a stop that this visit tries, if nothing comes in between."""
        left = left_to_do(state.tasks)
        return tuple(
            task
            for task in state.tasks
            if task in left or (self._again and task.kind is not TaskKind.DELIVER)
        )

    def _registers(self, state: StopState, kind: TaskKind) -> tuple[TaskState, ...]:
        """Return the tasks of a kind to be tried, each register or assignment once."""
        tasks = {task.subject: task for task in self._to_try(state) if task.kind is kind}
        return tuple(tasks.values())

    def _do(self, states: Sequence[StopState]) -> Procedure[None]:
        ledger, tokens = self._ledger, self._tokens
        stops: tuple[Stop, ...] = tuple(state.stop for state in states)
        ledger.expected = sum(len(self._to_try(state)) for state in states)
        for stop in stops:
            if tokens.held_back is None:
                yield from tokens.deliver(stop, stops)
        tokens.end()
        if not (yield from tokens.unresolved()):
            for state in (yield from ledger.look(stops)):
                for task in self._registers(state, TaskKind.WRITE):
                    yield from self._write(state.stop, task)
        for state in (yield from ledger.look(stops)):
            yield from self._read(state.stop, self._registers(state, TaskKind.READ))

    def _write(self, stop: Stop, task: TaskState) -> Procedure[None]:
        ledger = self._ledger
        ledger.begins(stop, task)
        came = yield from write_word(
            self._session,
            ledger.journal,
            task.subject,
            wall_clock=ledger.wall_clock,
            route=ledger.route.name,
        )
        yield from ledger.ended(stop, task, came)

    def _read(self, stop: Stop, tasks: Sequence[TaskState]) -> Procedure[None]:
        if not tasks:
            return
        for task in tasks:
            self._ledger.begins(stop, task)
        all_came = yield from read_words(self._session, [task.subject for task in tasks])
        for task, came in zip(tasks, all_came, strict=True):
            yield from self._ledger.ended(stop, task, came)
