"""What became of one visit to a meter for a route, and its steps while it lasts: facts."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from vtc07.hhu.delivery import EarlierDelivery
from vtc07.hhu.outcome import Meaning, Unresolved
from vtc07.hhu.route.facts import Stop
from vtc07.hhu.route.task import StopResult, StopState, TaskResult, TaskState
from vtc07.hhu.session import Meter
from vtc07.hhu.texts import Said, counted, mark, said


class Finding(enum.Enum):
    """What the route has for the meter that is there; the value is a sentence for people."""

    WORK = mark("there is work for this meter")
    ALREADY_DONE = mark("everything is done at this meter")
    REFUSED_BEFORE = mark("nothing is left to be tried at this meter, and not all of it was done")
    NO_TASKS = mark("the route has nothing to do for this meter")
    NOT_ON_ROUTE = mark("this meter is not on the route")
    NAMELESS = mark("this meter does not tell its MeterPAN, so its place on the route is unknown")


@dataclass(frozen=True, slots=True)
class Known:
    """The meter has said who it is; nothing else was asked, sent or written down yet.

    Whoever must not go on with this meter raises an error when it is told so.
    """

    meter_pan: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """The meter is known, and so is what is to be done: ``stops`` as they were before."""

    meter_pan: str
    stops: tuple[StopState, ...]


@dataclass(frozen=True, slots=True)
class TaskBegins:
    """A task is about to be tried, the ``number``-th ``of`` so many; of a key change all tokens."""

    stop: Stop
    task: TaskState
    number: int
    of: int


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """What a task came to."""

    stop: Stop
    task: TaskState


RouteStep = Known | Arrived | TaskBegins | TaskEnded

#: Called with each step, at once and on the thread that runs the procedure; must not block.
OnTask = Callable[[RouteStep], None]


def unheard(_step: RouteStep) -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True)
class RouteVisit:
    """One visit to a meter.

    ``stops``: the stops of this meter as they are now, in the route's order; ``tried``: what was
    done now, in its order. ``earlier``: deliveries that the journal held open, resolved or not.
    ``obstacle``: why the work ended before everything was tried, None where it did not.
    ``other_routes``: names of routes on which this meter was met before, where it is not on this
    one. ``problems``: sentences about what the journal could not take; what is said is true.
    """

    finding: Finding
    meter: Meter
    meter_pan: str | None
    stops: tuple[StopState, ...] = ()
    tried: tuple[TaskEnded, ...] = ()
    earlier: tuple[EarlierDelivery, ...] = ()
    obstacle: Said | None = None
    obstacle_meaning: Meaning = Meaning.DONE
    other_routes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Say whether every stop of this meter is done."""
        return bool(self.stops) and all(stop.result is StopResult.DONE for stop in self.stops)

    @property
    def unresolved(self) -> bool:
        """Say whether of some token nobody knows whether the meter has taken it."""
        earlier = any(isinstance(e.outcome, Unresolved) for e in self.earlier)
        return earlier or any(stop.result is StopResult.OPEN for stop in self.stops)

    @property
    def meaning(self) -> Meaning:
        """The gravest: unresolved before no link before refused before done."""
        if self.unresolved:
            return Meaning.UNRESOLVED
        if self.obstacle is not None:
            return self.obstacle_meaning
        return Meaning.DONE if self.complete else Meaning.REFUSED

    @property
    def said(self) -> Said:
        """The visit in a sentence or two."""
        if self.finding is Finding.NOT_ON_ROUTE and self.other_routes:
            names = ", ".join(self.other_routes)
            finding = said(
                "{finding}; it was met before on: {names}",
                finding=Said(self.finding.value),
                names=names,
            )
        elif self.finding is Finding.ALREADY_DONE:
            finding = self._since(Said(self.finding.value))
        elif self.finding is Finding.WORK:
            finding = self._work()
        else:
            finding = Said(self.finding.value)
        if self.obstacle is None:
            return finding
        return said("{finding}; {obstacle}", finding=finding, obstacle=self.obstacle)

    def _work(self) -> Said:
        done = sum(ended.task.result is TaskResult.DONE for ended in self.tried)
        if self.complete:
            return counted(
                "{count} task done, and with it everything at this meter",
                "{count} tasks done, and with them everything at this meter",
                done,
            )
        tasks = [task for stop in self.stops for task in stop.tasks]
        rest = sum(task.result is not TaskResult.DONE for task in tasks)
        return counted(
            "{count} task of this meter is not done",
            "{count} tasks of this meter are not done",
            rest,
        )

    def _since(self, finding: Said) -> Said:
        tasks = [task for stop in self.stops for task in stop.tasks if task.time is not None]
        if not tasks:
            return finding
        last = max(tasks, key=lambda task: (task.time, task.entry or 0))
        assert last.time is not None
        time = last.time.astimezone().isoformat(sep=" ", timespec="minutes")[:16]
        if last.entry is not None:
            return said(
                "{finding}: since {time}, entry {entry} of the journal",
                finding=finding,
                time=time,
                entry=last.entry,
            )
        if last.delivery is not None:
            return said(
                "{finding}: since {time}, delivery {delivery} of the journal",
                finding=finding,
                time=time,
                delivery=last.delivery,
            )
        return said("{finding}: since {time}", finding=finding, time=time)
