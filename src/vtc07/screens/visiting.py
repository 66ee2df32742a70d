"""Working at a meter of a route, as a piece of work with it, and what it came to in words."""

from __future__ import annotations

from typing import Final

from vtc07.cli.connection import Connection
from vtc07.hhu.delivery import WallClock
from vtc07.hhu.journal.deliveries import UnitJournal
from vtc07.hhu.route.file import RouteFile
from vtc07.hhu.route.run import work
from vtc07.hhu.route.task import RouteSummary, StopResult, TaskKind, TaskResult, TaskState
from vtc07.hhu.route.visit import Arrived, OnTask, RouteStep, RouteVisit, TaskBegins
from vtc07.hhu.texts import Said, Texts, mark, said
from vtc07.screens.delivering import earlier_delivery_said
from vtc07.screens.mood import Mood

#: The kinds of tasks; in English, to be put into the user's language.
TASKS: Final = {
    TaskKind.DELIVER: mark("deliver"),
    TaskKind.WRITE: mark("write"),
    TaskKind.READ: mark("read"),
}
#: How the results of tasks and of stops are said.
TASK_MOODS: Final = {
    TaskResult.TO_DO: Mood.PLAIN,
    TaskResult.DONE: Mood.GOOD,
    TaskResult.REFUSED: Mood.BAD,
    TaskResult.OPEN: Mood.CARE,
}
STOP_MOODS: Final = {
    StopResult.NOT_VISITED: Mood.PLAIN,
    StopResult.DONE: Mood.GOOD,
    StopResult.PARTLY: Mood.CARE,
    StopResult.REFUSED: Mood.BAD,
    StopResult.OPEN: Mood.CARE,
}


def visit(
    connection: Connection,
    *,
    journal: UnitJournal,
    route: RouteFile,
    wall_clock: WallClock,
    on_task: OnTask,
) -> RouteVisit:
    """Do what a route has for whichever meter is there."""
    connection.greet(compare=False)
    if connection.recording is not None:
        connection.recording.route = route.name
    return connection.run(
        work(connection.session, journal, route, wall_clock=wall_clock, on_task=on_task)
    )


def step_said(step: RouteStep) -> Said | None:
    """Return how far a visit has come, None where there is nothing to be said of it."""
    match step:
        case TaskBegins():
            return said(
                "task {number} of {of}: {what} {subject}",
                number=step.number,
                of=step.of,
                what=Said(TASKS[step.task.kind]),
                subject=step.task.subject,
            )
        case Arrived():
            return said("meter {pan} is there", pan=step.meter_pan)
    return None


def counts_said(summary: RouteSummary) -> Said:
    """Return how far a route has come."""
    return said(
        "{done} of {size} meters done, {open} open, {refused} refused, {left} not visited",
        done=summary.stops[StopResult.DONE],
        size=summary.size,
        open=summary.stops[StopResult.OPEN],
        refused=summary.stops[StopResult.REFUSED],
        left=summary.stops[StopResult.NOT_VISITED],
    )


def visit_lines(visited: RouteVisit, texts: Texts) -> list[str]:
    """Return what became of each task, a line each, in a language."""
    lines = []
    if visited.meter_pan is not None:
        places = ", ".join(stop.stop.place for stop in visited.stops if stop.stop.place)
        lines.append(f"{visited.meter_pan}  {places}")
    lines += [earlier_delivery_said(each).words(texts) for each in visited.earlier]
    lines += [f"  {task_line(ended.task, texts)}" for ended in visited.tried]
    return [*lines, *visited.problems]


def task_line(task: TaskState, texts: Texts) -> str:
    """Return what became of a task: what it was, and what was read or what is said of it."""
    read = ", ".join(str(value["text"]) for value in task.shown_values)
    why = f": {texts(task.why)}" if task.why else ""
    return f"{texts(TASKS[task.kind])} {task.subject}: {read or task.said.words(texts)}{why}"
