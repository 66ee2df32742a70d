"""What is written down of a visit while it lasts: each task's end before the next task begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vtc07.carrier.endpoint import Procedure, durably
from vtc07.hhu.delivery import EarlierDelivery, WallClock
from vtc07.hhu.journal.deliveries import JournalError, UnitJournal
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.outcome import Meaning
from vtc07.hhu.route.entries import task_entry, visit_entry
from vtc07.hhu.route.facts import Route, Stop
from vtc07.hhu.route.registers import Came
from vtc07.hhu.route.round import begin_round
from vtc07.hhu.route.state import RouteStates
from vtc07.hhu.route.task import StopState, TaskState
from vtc07.hhu.route.visit import OnTask, TaskBegins, TaskEnded
from vtc07.hhu.texts import Said, said


class BrokenOffError(Exception):
    """The visit cannot go on: ``why``, and what that means."""

    def __init__(self, why: Said, meaning: Meaning) -> None:
        self.why = why
        self.meaning = meaning
        super().__init__(str(why))


class Ledger:
    """The visit to the meter ``meter_pan`` for ``route``, in the journal and for its report.

    ``tried``, ``earlier``, ``problems``: as in `vtc07.hhu.route.visit.RouteVisit`. ``expected``:
    how many tasks are to be tried, as far as is known.
    """

    def __init__(
        self, journal: UnitJournal, route: Route, wall_clock: WallClock, on_task: OnTask
    ) -> None:
        self.journal = journal
        self.route = route
        self.wall_clock = wall_clock
        self.on_task = on_task
        self.meter_pan = ""
        self.tried: list[TaskEnded] = []
        self.earlier: list[EarlierDelivery] = []
        self.problems: list[str] = []
        self.expected = 0
        self._round = 0
        self._number = 0

    # --- coming and going ----------------------------------------------------------------------

    def arrive(self, stops: Sequence[Stop]) -> Procedure[tuple[StopState, ...]]:
        """Begin the visit, and the route's round with its first one; raises JournalError."""
        return (yield from durably(lambda: self._arrive(stops)))

    def _arrive(self, stops: Sequence[Stop]) -> tuple[StopState, ...]:
        states = RouteStates(self.journal, self.route)
        if states.round is None:
            states.round = begin_round(self.journal, self.route, self.wall_clock())
        self._round = states.round.number
        found = tuple(states.of(stop) for stop in stops)
        lines = [stop.line for stop in stops]
        self.journal.record(self._of_visit(EntryKind.ARRIVED, lines=lines))
        return found

    def leave(self, *, complete: bool, finding: str, obstacle: Said | None) -> Procedure[None]:
        """End the visit."""
        why = None if obstacle is None else obstacle.document()
        yield from self.note(
            self._of_visit(EntryKind.LEFT, complete=complete, finding=finding, obstacle=why)
        )

    def _of_visit(self, kind: EntryKind, **members: Any) -> NewEntry:
        return visit_entry(
            kind, self.wall_clock(), self.meter_pan, self.route, self._round, **members
        )

    def note(self, entry: NewEntry) -> Procedure[None]:
        """Write an entry; a failure is a problem to be told, nothing more."""
        try:
            yield from durably(lambda: self.journal.record(entry))
        except JournalError as error:
            self.failed(error)

    def failed(self, error: JournalError) -> BrokenOffError:
        """Take notice that the journal failed; returns what ends the visit."""
        self.problems.append(str(error))
        why = said("the journal cannot be used any more: {error}", error=str(error))
        return BrokenOffError(why, Meaning.REFUSED)

    def look(self, stops: Sequence[Stop]) -> Procedure[tuple[StopState, ...]]:
        """Return what the journal knows of stops now; raises JournalError."""
        return (yield from durably(lambda: self._look(stops)))

    def _look(self, stops: Sequence[Stop]) -> tuple[StopState, ...]:
        states = RouteStates(self.journal, self.route)
        return tuple(states.of(stop) for stop in stops)

    # --- tasks ---------------------------------------------------------------------------------

    def begins(self, stop: Stop, task: TaskState, *, tasks: int = 1) -> None:
        """Tell that a task is about to be tried, or several ``tasks`` as one."""
        of = max(self.expected, self._number + tasks)
        self.on_task(TaskBegins(stop, task, self._number + 1, of))
        self._number += tasks

    def ended(
        self, stop: Stop, task: TaskState, came: Came, delivery: int | None = None
    ) -> Procedure[None]:
        """Write down what a task came to; BrokenOffError where that fails."""
        ended = replace(
            task,
            result=came.result,
            said=came.said,
            time=self.wall_clock(),
            entry=None,
            delivery=delivery,
            values=came.values,
            why=came.why,
        )
        entry = task_entry(ended, stop, self.meter_pan, self.route, self._round)
        failure: BrokenOffError | None = None
        try:
            (number,) = yield from durably(lambda: self.journal.record(entry))
            ended = replace(ended, entry=number)
        except JournalError as error:
            failure = self.failed(error)
        self.tried.append(TaskEnded(stop, ended))
        self.on_task(self.tried[-1])
        if failure is not None:
            raise failure
        if came.problem:
            self.problems.append(came.problem)
