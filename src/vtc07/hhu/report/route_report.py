"""The report of a route: what the journal knows of its stops, told to any number of writers.

One pass, one stop at a time in memory, so that a route of 10,000 meters and its counts are told by
the same reading of the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Final, Protocol

from vtc07.hhu.history.sequence import DeliverySequence, sequence_of
from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.journal.entries import Entry, EntryKind
from vtc07.hhu.journal.rows import Head
from vtc07.hhu.report.markup import Markup
from vtc07.hhu.report.stop import ReportedStop, ReportedTask, reported, reported_task
from vtc07.hhu.report.summary import (
    JournalHead,
    Period,
    ReportHead,
    ReportSummary,
    Stranger,
    Tally,
)
from vtc07.hhu.route.facts import Route
from vtc07.hhu.route.round import round_of_another_file
from vtc07.hhu.route.state import RouteJournal, RouteStates, pan_of
from vtc07.hhu.route.task import StopState, TaskResult, TaskState
from vtc07.hhu.texts import Said, counted, said

#: What a note says of a meter that is not on the route (`vtc07.hhu.route.run`).
NOT_ON_ROUTE: Final = "not on the route"
#: Returns the picture of a delivery's messages.
Drawing = Callable[[DeliverySequence], Markup]


class ReportJournal(RouteJournal, Protocol):
    """What a report is made from: a journal, open for whatever purpose."""

    def head(self) -> Head:
        """Return where the journal ends."""

    def delivery(self, number: int) -> Delivery:
        """Return one delivery; JournalError where there is none of this number."""


class ReportPart(Protocol):
    """A writer of a report."""

    def stop(self, stop: ReportedStop) -> None:
        """Take the next stop of the route."""

    def stranger(self, stranger: Stranger) -> None:
        """Take a meter that was there and is not on the route; these come behind the stops."""

    def finish(self, summary: ReportSummary) -> None:
        """Write what is left, when all stops were taken."""

    def close(self) -> None:
        """Let go of everything, whether it was finished or not."""


class AsOf:
    """A journal as it was at an earlier time, by the times in it; None: as it is."""

    def __init__(self, journal: ReportJournal, end: datetime | None) -> None:
        self._journal = journal
        self._end = end

    def entries(
        self,
        *,
        after: int = 0,
        kinds: Sequence[EntryKind] = (),
        meter_pan: str | None = None,
        delivery: int | None = None,
        route: str | None = None,
    ) -> Iterator[Entry]:
        """Yield the entries that fit and were there by then."""
        found = self._journal.entries(
            after=after, kinds=kinds, meter_pan=meter_pan, delivery=delivery, route=route
        )
        return (entry for entry in found if self._was(entry.time))

    def deliveries(self, meter_pan: str | None = None) -> Sequence[Delivery]:
        """Return the deliveries that had begun by then; what ended later was open."""
        found = (d for d in self._journal.deliveries(meter_pan) if self._was(d.opened))
        return tuple(self._then(delivery) for delivery in found)

    def delivery(self, number: int) -> Delivery:
        """Return one delivery."""
        return self._then(self._journal.delivery(number))

    def _then(self, delivery: Delivery) -> Delivery:
        if delivery.closed is None or self._was(delivery.closed):
            return delivery
        return replace(delivery, ended=None, closed=None)

    def _was(self, time: datetime) -> bool:
        return self._end is None or time < self._end


def report_head(
    journal: ReportJournal, route: Route, *, name: str, made: datetime, period: Period, mask: bool
) -> ReportHead:
    """Return what a report is of; ``name``: of the journal. Raises JournalError."""
    head = journal.head()
    states = RouteStates(AsOf(journal, period.end), route)
    notices: list[Said] = []
    if states.round is not None:
        if changes := len(states.round.digests) - 1:
            notices.append(
                counted(
                    "The route's file was changed once while it was worked on.",
                    "The route's file was changed {count} times while it was worked on.",
                    changes,
                )
            )
    elif (other := round_of_another_file(journal, route)) is not None:
        notices.append(
            said(
                "The journal holds work on another file of this name (SHA-256 {digest}...); only "
                "its tokens are counted here.",
                digest=other.digests[-1][:16],
            )
        )
    else:
        notices.append(said("The journal holds no work on this route."))
    if route.faulty:
        notices.append(
            counted(
                "{count} stop has errors in the route's file and is not worked on; vtc07 route "
                "check tells which.",
                "{count} stops have errors in the route's file and are not worked on; vtc07 route "
                "check tells which.",
                route.faulty,
            )
        )
    return ReportHead(
        route=route.name,
        route_digest=route.digest,
        size=route.size,
        made=made,
        period=period,
        journal=JournalHead(name, head.number, head.digest),
        masked=mask,
        notices=tuple(notices),
    )


def write_report(
    journal: ReportJournal,
    route: Route,
    head: ReportHead,
    parts: Sequence[ReportPart],
    *,
    zone: tzinfo | None,
    draw: Drawing | None = None,
    on_stop: Callable[[], None] = lambda: None,
) -> ReportSummary:
    """Tell all stops to the writers and return the counts.

    ``zone``: by whose hours is counted, None for this machine's. ``draw``: where given, it draws
    the deliveries that were not simply done. ``on_stop``: called behind each stop. Raises
    JournalError, RouteError, and OSError of a file that is written.
    """
    then = AsOf(journal, head.period.end)
    states = RouteStates(then, route)
    tally = Tally(head.period, zone)
    for stop in route.stops():
        state = states.of(stop)
        tally.add(state)
        if parts:
            shown = _reported(then, state, head, draw)
            for part in parts:
                part.stop(shown)
        on_stop()
    for stranger in _strangers(then, states, head):
        tally.strangers += 1
        for part in parts:
            part.stranger(stranger)
    summary = tally.summary()
    for part in parts:
        part.finish(summary)
    return summary


def _strangers(journal: AsOf, states: RouteStates, head: ReportHead) -> Iterator[Stranger]:
    """Yield the meters that were plugged into in the route's round and are not on the route."""
    after = 0 if states.round is None else states.round.number
    for entry in journal.entries(after=after, kinds=(EntryKind.NOTE,), route=head.route):
        on_route = entry.members.get("note") != NOT_ON_ROUTE
        if on_route or entry.meter_pan is None or not head.period.holds(entry.time):
            continue
        yield Stranger(entry.meter_pan, entry.time, entry.number)


def _reported(
    journal: AsOf, state: StopState, head: ReportHead, draw: Drawing | None
) -> ReportedStop:
    numbers = {task.delivery for task in state.tasks} - {None}
    deliveries: dict[int, Delivery] = {}
    if numbers and (pan := pan_of(state.stop.meter)) is not None:
        deliveries = {d.number: d for d in journal.deliveries(pan)}
    tasks: list[ReportedTask] = []
    for task in state.tasks:
        delivery = None if task.delivery is None else deliveries.get(task.delivery)
        history: Markup | None = None
        if draw is not None and delivery is not None and not _simply_done(task, delivery):
            history = draw(sequence_of(journal, delivery.number, mask=head.masked))
        tasks.append(
            reported_task(state, task, mask=head.masked, delivery=delivery, history=history)
        )
    return reported(state, tasks, mask=head.masked)


def _simply_done(task: TaskState, delivery: Delivery) -> bool:
    return task.result is TaskResult.DONE and delivery.writes == 1
