"""What a report of a route says first: counts, by kind and by hour, and what they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from vtc07.hhu.route.task import StopResult, StopState, TaskKind, TaskResult, TaskState
from vtc07.hhu.texts import Said

#: Results that somebody has to look at, the gravest first.
TO_LOOK_AT: Final = (StopResult.OPEN, StopResult.REFUSED, StopResult.PARTLY)

#: In the order in which people are told them.
SHOWN: Final = (
    StopResult.DONE,
    StopResult.PARTLY,
    StopResult.REFUSED,
    StopResult.OPEN,
    StopResult.NOT_VISITED,
)
#: In the order in which charts and tables show them.
RESULTS: Final = (TaskResult.DONE, TaskResult.REFUSED, TaskResult.OPEN, TaskResult.TO_DO)


@dataclass(frozen=True, slots=True)
class Period:
    """From when until when; ``begin`` belongs to it, ``end`` does not. None: without that limit."""

    begin: datetime | None = None
    end: datetime | None = None

    @property
    def limited(self) -> bool:
        """Say whether it has a limit at all."""
        return self.begin is not None or self.end is not None

    def holds(self, time: datetime | None) -> bool:
        """Say whether a time lies in it; None, what never happened, only without any limit."""
        if time is None:
            return not self.limited
        return (self.begin is None or self.begin <= time) and (self.end is None or time < self.end)


@dataclass(frozen=True, slots=True)
class JournalHead:
    """Up to where a journal was looked at: the number and the digest of its last entry."""

    name: str
    entry: int = 0
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class ReportHead:
    """What a report is of, and when it was made.

    ``route_digest``: SHA-256 of the route's file in hexadecimal. ``size``: how many stops it has.
    ``masked``: there is no token in it. ``notices``: what its reader is to know beforehand.
    """

    route: str
    route_digest: str
    size: int
    made: datetime
    period: Period
    journal: JournalHead
    masked: bool
    notices: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Stranger:
    """A meter that was there and is not on the route. ``entry``: of the journal, that says so."""

    meter_pan: str
    time: datetime
    entry: int


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """The counts of a report.

    ``stops``: by result, as the journal knows them at the end of the period. ``worked_at``: stops
    at which something was done in it. ``visits``: how often a meter was plugged into in it.
    ``strangers``: how often one that is not on the route.
    ``tasks``: by kind and result; with a limited period those of which the result came in it, and
    of what is to do, everything. ``hours``: by the hour in which the result came, the hour's
    beginning in the report's zone; hours without any are left out, and so is what is to do.
    ``first`` and ``last``: the first and the last result or visit.
    """

    stops: Mapping[StopResult, int]
    worked_at: int
    visits: int
    strangers: int
    tasks: Mapping[TaskKind, Mapping[TaskResult, int]]
    hours: Mapping[datetime, Mapping[TaskResult, int]]
    first: datetime | None
    last: datetime | None

    @property
    def size(self) -> int:
        """How many stops were counted."""
        return sum(self.stops.values())

    @property
    def days(self) -> tuple[date, ...]:
        """The days of ``hours``, in order."""
        return tuple(dict.fromkeys(hour.date() for hour in self.hours))

    def hours_of(self, day: date) -> Mapping[int, Mapping[TaskResult, int]]:
        """Return the counts of a day by the hour of the clock.

        An hour that the clock had twice, when summer time ended, is counted together.
        """
        found: dict[int, dict[TaskResult, int]] = {}
        for hour, counts in self.hours.items():
            if hour.date() == day:
                _add(found.setdefault(hour.hour, {}), counts)
        return found

    def total(self, result: TaskResult) -> int:
        """Return how many tasks of all kinds came to a result."""
        return sum(counts.get(result, 0) for counts in self.tasks.values())


def percent(part: int, whole: int) -> int:
    """Return a share in whole percents, rounded down: 100 is all, and only all."""
    return part * 100 // whole if whole else 0


@dataclass(slots=True)
class Tally:
    """Counts stops as they come by, one at a time in memory."""

    period: Period
    zone: tzinfo | None
    stops: dict[StopResult, int] = field(default_factory=dict)
    worked_at: int = 0
    visits: int = 0
    strangers: int = 0
    tasks: dict[TaskKind, dict[TaskResult, int]] = field(default_factory=dict)
    hours: dict[datetime, dict[TaskResult, int]] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None

    def add(self, state: StopState) -> None:
        """Count a stop."""
        self.stops[state.result] = self.stops.get(state.result, 0) + 1
        self.worked_at += happened_in(self.period, state)
        for visit in state.visits:
            if self.period.holds(visit.began):
                self.visits += 1
                self._seen(visit.began)
                if visit.ended is not None and self.period.holds(visit.ended):
                    self._seen(visit.ended)
        for task in state.tasks:
            if counts_in(self.period, task):
                kind = self.tasks.setdefault(task.kind, {})
                kind[task.result] = kind.get(task.result, 0) + 1
            if task.time is not None and task.result is not TaskResult.TO_DO:
                self._result(task.result, task.time)

    def summary(self) -> ReportSummary:
        """Return the counts so far."""
        return ReportSummary(
            stops={result: self.stops.get(result, 0) for result in StopResult},
            worked_at=self.worked_at,
            visits=self.visits,
            strangers=self.strangers,
            tasks={
                kind: {result: self.tasks[kind].get(result, 0) for result in RESULTS}
                for kind in TaskKind
                if kind in self.tasks
            },
            hours={
                hour: {result: self.hours[hour].get(result, 0) for result in RESULTS}
                for hour in sorted(self.hours)
            },
            first=self.first,
            last=self.last,
        )

    def _result(self, result: TaskResult, time: datetime) -> None:
        if not self.period.holds(time):
            return
        self._seen(time)
        hour = time.astimezone(self.zone).replace(minute=0, second=0, microsecond=0)
        counts = self.hours.setdefault(hour, {})
        counts[result] = counts.get(result, 0) + 1

    def _seen(self, time: datetime) -> None:
        self.first = time if self.first is None or time < self.first else self.first
        self.last = time if self.last is None or time > self.last else self.last


def needs_attention(state: StopState) -> bool:
    """Say whether somebody has to look at a stop."""
    return state.result in TO_LOOK_AT or bool(state.stop.errors)


def counts_in(period: Period, task: TaskState) -> bool:
    """Say whether a task belongs into a report: its result came in the period, or is to come."""
    return task.result is TaskResult.TO_DO or not period.limited or period.holds(task.time)


def happened_in(period: Period, state: StopState) -> bool:
    """Say whether a meter was worked at in a period: a visit began, or a result came, in it."""
    return any(period.holds(visit.began) for visit in state.visits) or any(
        task.time is not None and period.holds(task.time) for task in state.tasks
    )


def day_of(day: date, zone: tzinfo | None) -> Period:
    """Return the period of a day in a zone; None: this machine's, with its changes of the clock."""
    return Period(_midnight(day, zone), _midnight(day + timedelta(days=1), zone))


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    wall = datetime(day.year, day.month, day.day, tzinfo=zone)
    return wall if zone is not None else wall.astimezone()


def _add(counts: dict[TaskResult, int], more: Mapping[TaskResult, int]) -> None:
    for result, count in more.items():
        counts[result] = counts.get(result, 0) + count
