"""What the journal knows of a route: which tasks are done at which meter, and what is open.

A task to read or write is done when an entry of the route's round says so
(`vtc07.hhu.route.round`); tokens are judged by the deliveries to their meter
(`vtc07.hhu.route.tokens`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.journal.entries import EntryKind
from vtc07.hhu.route.entries import OF_A_VISIT, Noted
from vtc07.hhu.route.facts import Route, Stop
from vtc07.hhu.route.round import Entries, RouteRound, current_round
from vtc07.hhu.route.task import (
    RouteSummary,
    StopResult,
    StopState,
    StopVisit,
    TaskKind,
    TaskResult,
    TaskState,
)
from vtc07.hhu.route.tokens import NOT_BEGUN, as_noted, is_section, token_tasks
from vtc07.tokens.errors import TokenError
from vtc07.tokens.identifiers import DRN, MeterPAN

__all__ = [
    "RouteJournal",
    "RouteStates",
    "RouteSummary",
    "StopResult",
    "StopState",
    "StopVisit",
    "TaskKind",
    "TaskResult",
    "TaskState",
    "left_to_do",
    "pan_of",
    "route_summary",
    "stop_state",
]


class RouteJournal(Entries, Protocol):
    """What a route's state is read from: a journal, open for whatever purpose."""

    def deliveries(self, meter_pan: str | None = None) -> Sequence[Delivery]:
        """Return every delivery to a meter, oldest first."""


def stop_state(journal: RouteJournal, route: Route, stop: Stop) -> StopState:
    """Return what the journal knows of a stop. Raises JournalError."""
    return RouteStates(journal, route).of(stop)


def route_summary(journal: RouteJournal, route: Route) -> RouteSummary:
    """Count what all stops came to, one stop at a time. Raises JournalError, RouteError."""
    return RouteStates(journal, route).summary()


def pan_of(meter: str) -> str | None:
    """Return the MeterPAN of a MeterPAN or a DRN as a route names it; None for neither."""
    if len(meter) == 18:
        return meter
    try:
        return MeterPAN.from_drn(DRN(meter)).digits
    except TokenError:
        return None


class RouteStates:
    """The states of the stops of one route, for whoever asks for many. Reads, writes nothing.

    ``round``: the one that counts, None where the work has not begun.
    """

    def __init__(self, journal: RouteJournal, route: Route) -> None:
        self._journal = journal
        self._route = route
        self.round: RouteRound | None = current_round(journal, route)

    def of(self, stop: Stop) -> StopState:
        """Return what the journal knows of a stop."""
        pan = pan_of(stop.meter)
        if pan is None:
            return StopState(stop, None, StopResult.NOT_VISITED, tuple(_tasks(stop, (), [])))
        visits, noted = self._noted(pan)
        tasks = tuple(_tasks(stop, self._journal.deliveries(pan) if stop.deliver else (), noted))
        result = _stop_result(tasks, visits)
        if stop.errors and result in (StopResult.DONE, StopResult.REFUSED):
            result = StopResult.PARTLY  # there is something in its line that could not be read
        return StopState(stop, pan if visits else None, result, tasks, tuple(visits))

    def summary(self) -> RouteSummary:
        """Count what all stops came to."""
        stops: Counter[StopResult] = Counter(dict.fromkeys(StopResult, 0))
        tasks = Counter({(kind, result): 0 for kind in TaskKind for result in TaskResult})
        began: datetime | None = None
        latest: datetime | None = None
        for stop in self._route.stops():
            state = self.of(stop)
            stops[state.result] += 1
            tasks.update((task.kind, task.result) for task in state.tasks)
            for visit in state.visits:
                began = visit.began if began is None else min(began, visit.began)
                latest = visit.began if latest is None else max(latest, visit.began)
        return RouteSummary(self._route.size, stops, tasks, began, latest)

    def _noted(self, pan: str) -> tuple[list[StopVisit], list[Noted]]:
        visits: list[StopVisit] = []
        noted: list[Noted] = []
        if self.round is None:
            return visits, noted
        found = self._journal.entries(
            after=self.round.number, kinds=OF_A_VISIT, meter_pan=pan, route=self._route.name
        )
        same_file = True
        for entry in found:
            if entry.members.get("round") not in self.round.numbers:
                continue
            if entry.kind is EntryKind.ARRIVED:
                same_file = entry.members.get("digest") == self._route.digest
                visits.append(StopVisit(entry.time, None, entry.number))
            elif entry.kind is EntryKind.TASK:
                found_out = Noted.of(entry)
                if same_file or not _of_a_set_refused(found_out):
                    noted.append(found_out)
            elif visits:
                visits[-1] = replace(visits[-1], ended=entry.time)
        return visits, noted


def left_to_do(tasks: Iterable[TaskState]) -> tuple[TaskState, ...]:
    """Return the tasks that are still to be tried; behind a refused or an open token, no other."""
    left: list[TaskState] = []
    blocked = False
    for task in tasks:
        deliver = task.kind is TaskKind.DELIVER
        if task.result is TaskResult.TO_DO and not (deliver and blocked):
            left.append(task)
        blocked |= deliver and task.result in (TaskResult.REFUSED, TaskResult.OPEN)
    return tuple(left)


def _tasks(
    stop: Stop, deliveries: Sequence[Delivery], noted: Sequence[Noted]
) -> Iterable[TaskState]:
    yield from token_tasks(stop, deliveries, [n for n in noted if n.kind is TaskKind.DELIVER])
    for kind, subjects in ((TaskKind.WRITE, stop.write), (TaskKind.READ, stop.read)):
        newest = {n.subject: n for n in noted if n.kind is kind}
        for place, subject in enumerate(subjects):
            state = TaskState(kind, place, subject, TaskResult.TO_DO, NOT_BEGUN)
            yield as_noted(state, newest.get(subject))


def _of_a_set_refused(noted: Noted) -> bool:
    """Say whether it tells that a key change was given up: with a corrected file it may go on."""
    return (
        noted.kind is TaskKind.DELIVER
        and noted.result is TaskResult.REFUSED
        and is_section(noted.subject)
    )


def _stop_result(tasks: Sequence[TaskState], visits: Sequence[StopVisit]) -> StopResult:
    results = {task.result for task in tasks}
    if TaskResult.OPEN in results:
        return StopResult.OPEN
    if not visits and all(t.result is TaskResult.TO_DO and t.time is None for t in tasks):
        return StopResult.NOT_VISITED
    if results <= {TaskResult.DONE}:
        return StopResult.DONE
    return StopResult.PARTLY if left_to_do(tasks) else StopResult.REFUSED
