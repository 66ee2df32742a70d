"""A visit to a meter of a route as it is shown: tables for people, a document for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from vtc07.cli.output import Output
from vtc07.cli.send import explanation, outcome_document
from vtc07.hhu.route.facts import Route
from vtc07.hhu.route.task import StopState, TaskState
from vtc07.hhu.route.visit import Arrived, RouteVisit
from vtc07.hhu.texts import Said, counted


def show_arrival(output: Output, arrived: Arrived) -> None:
    """Say which meter is there, and what the route says of its place; nothing with JSON."""
    if output.as_json:
        return
    output.line(f"meter {arrived.meter_pan}")
    for state in arrived.stops:
        for name, text in (("place", state.stop.place), ("notes", state.stop.notes)):
            if text:
                output.line(f"  {name}: {text}")


def show_visit(output: Output, visit: RouteVisit) -> None:
    """Show what became of everything that the route has for the meter."""
    rows = [
        [f"earlier {earlier.delivery.number}", "", "", _with_why(earlier.outcome)]
        for earlier in visit.earlier
    ]
    for state in visit.stops:
        for task in state.tasks:
            rows += _rows(task)
    if rows:
        output.table(["task", "about", "result", "what came of it"], rows)
    if visit.meter_pan is not None and not visit.stops:
        output.line(f"meter {visit.meter_pan}")
    output.line(str(visit.said))


def show_count(output: Output, finished: int, size: int) -> None:
    """Say how far the route has come; nothing with JSON."""
    if not output.as_json:
        output.line(
            str(
                counted(
                    "{finished} of {count} stop of the route is finished",
                    "{finished} of {count} stops of the route are finished",
                    size,
                    finished=finished,
                )
            )
        )


def _with_why(outcome: Any) -> str:
    why = explanation(outcome)
    return f"{outcome}: {why}" if why else str(outcome)


def _rows(task: TaskState) -> list[list[str]]:
    """Return a task's row, and one for each value where there are several and it is not empty."""
    about, result = task.subject, str(Said(task.result.value))
    if len(task.values) == 1 and task.values[0]["name"]:
        only = task.values[0]
        return [[task.kind.value, about, result, f"{task.said}: {only['text']}"]]
    words = f"{task.said}: {task.why}" if task.why else str(task.said)
    shown = task.shown_values
    if empty := len(task.values) - len(shown):
        words += f", {empty} of them empty"
    rows = [[task.kind.value, about, result, words]]
    rows += [["", str(value["name"]), "", str(value["text"])] for value in shown]
    return rows


# --- for programs ---------------------------------------------------------------------------------


def visit_document(
    visit: RouteVisit, route: Route, finished: int | None, exit_code: int
) -> dict[str, Any]:
    """Return a visit as a document; ``finished``: stops of the route, None where not counted."""
    return {
        "route": route.name,
        "route_digest": route.digest,
        "meter_pan": visit.meter_pan,
        "finding": visit.finding.name.lower(),
        "complete": visit.complete,
        "text": str(visit.said),
        "stops": [state_document(state) for state in visit.stops],
        "tried": [{"line": ended.stop.line, **task_document(ended.task)} for ended in visit.tried],
        "earlier": [
            {
                "delivery": earlier.delivery.number,
                "token": earlier.delivery.token,
                **outcome_document(earlier.outcome),
            }
            for earlier in visit.earlier
        ],
        "obstacle": None if visit.obstacle is None else str(visit.obstacle),
        "other_routes": list(visit.other_routes),
        "stops_finished": finished,
        "stops_of_route": route.size,
        "exit_code": exit_code,
    }


def state_document(state: StopState) -> dict[str, Any]:
    """Return a stop and what became of it as a document."""
    return {
        "line": state.stop.line,
        "meter": state.stop.meter,
        "place": state.stop.place,
        "notes": state.stop.notes,
        "result": state.result.value,
        "tasks": [task_document(task) for task in state.tasks],
        "visits": [
            {"began": _time(visit.began), "ended": _time(visit.ended), "entry": visit.entry}
            for visit in state.visits
        ],
    }


def task_document(task: TaskState) -> dict[str, Any]:
    """Return a task and what it came to as a document."""
    return {
        "kind": task.kind.value,
        "about": task.subject,
        "result": task.result.value,
        "text": str(task.said),
        "explanation": task.why or None,
        "time": _time(task.time),
        "entry": task.entry,
        "delivery": task.delivery,
        "values": list(task.values),
    }


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
