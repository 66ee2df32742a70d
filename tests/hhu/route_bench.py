"""Routes on a bench: real meters on a line, a journal in memory, and visits that break off."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from hhu_bench import AT, PAN, MeterLine

from vtc07.carrier.client import Client
from vtc07.carrier.companion import S
from vtc07.carrier.endpoint import Durably, Procedure
from vtc07.durable.database import PowerLost
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.route.file import RouteFile, open_route
from vtc07.hhu.route.run import work
from vtc07.hhu.route.state import stop_state
from vtc07.hhu.route.task import StopState, TaskKind, TaskResult
from vtc07.hhu.route.visit import RouteVisit
from vtc07.hhu.session import Session

T = TypeVar("T")


class CrashError(PowerLost):
    """The hand-held unit is gone, in the middle of whatever it did."""


class Clock:
    """A time of day that goes on by a second with each look at it."""

    def __init__(self) -> None:
        self.time = AT

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


def route_of(path: Path, *stops: dict[str, Any]) -> RouteFile:
    """Write a route in JSON and open it."""
    path.write_text(json.dumps({"stops": list(stops)}))
    return open_route(path)


def sections(tokens: Sequence[str]) -> list[dict[str, Any]]:
    """The tokens of a key change as a route in JSON has them."""
    return [
        {"token": token, "section": place, "sections": len(tokens)}
        for place, token in enumerate(tokens, 1)
    ]


class Day:
    """A hand-held unit with its journal, and the meter that it is plugged into."""

    def __init__(self, bench: MeterLine, route: RouteFile, place: MemoryPlace) -> None:
        self.bench = bench
        self.route = route
        self.place = place
        self.clock = Clock()
        self.session = self.new_session()

    def new_session(self, **options: Any) -> Session:
        """Begin anew with whatever meter is there."""
        self.session = Session(self.bench.companion, **options)
        return self.session

    def visit(self, *, effects: int | None = None, **options: Any) -> RouteVisit:
        """Work at the meter that is there, by a program of its own.

        ``effects``: after so many of them it crashes.
        """
        with SQLiteJournal(self.place) as journal:
            procedure = work(self.session, journal, self.route, wall_clock=self.clock, **options)
            return self.bench.run(crashing(procedure, effects))

    def later(self, **options: Any) -> RouteVisit:
        """Come back with the line mended, another program and a meter that has come to rest."""
        self.mend()
        return self.visit(**options)

    def mend(self) -> None:
        """Make everything whole again, as after a night."""
        bench = self.bench
        bench.line.fault = None
        bench.line.plug()
        bench.line.reachable = True
        bench.line.client = Client(bench.companion, character_ns=bench.character_ns)
        bench.line.silence("client")
        bench.line.idle(bench.companion.timing.inactivity_ns + 10 * S)
        self.new_session()

    def state(self, line: int = 0) -> StopState:
        """What the journal knows of a stop."""
        with self.journal() as journal:
            return stop_state(journal, self.route, tuple(self.route.stops())[line])

    @contextmanager
    def journal(self) -> Iterator[SQLiteJournal]:
        """The journal as it is, after whatever became of the program that wrote it."""
        with SQLiteJournal(self.place) as journal:
            yield journal


@contextmanager
def day(bench: MeterLine, route: RouteFile) -> Iterator[Day]:
    """A day with an empty journal."""
    with MemoryPlace() as place:
        yield Day(bench, route, place)


def crashing(procedure: Procedure[T], effects: int | None) -> Procedure[T]:
    """Run a procedure up to so many effects, and then no further; None: to its end."""
    try:
        effect = next(procedure)
        done = 0
        while True:
            if done == effects:
                procedure.close()
                raise CrashError
            try:
                outcome = yield effect
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the procedure's
                effect = procedure.throw(error)
            else:
                effect = procedure.send(outcome)
            done += 1
    except StopIteration as end:
        result: T = end.value
        return result


def effects_of(procedure: Procedure[T], counted: list[object]) -> Procedure[T]:
    """Run a procedure to its end and keep its effects."""
    try:
        effect = next(procedure)
        while True:
            counted.append(effect)
            try:
                outcome = yield effect
            except Exception as error:  # noqa: BLE001 - as above
                effect = procedure.throw(error)
            else:
                effect = procedure.send(outcome)
    except StopIteration as end:
        result: T = end.value
        return result


def results(state: StopState) -> list[TaskResult]:
    """What the tasks of a stop came to."""
    return [task.result for task in state.tasks]


def values_read(state: StopState) -> dict[str, Any]:
    """The values that the journal has of a stop, by name."""
    read = (task for task in state.tasks if task.kind is TaskKind.READ)
    return {value["name"]: value["value"] for task in read for value in task.values}


__all__ = ["AT", "PAN", "Durably", "MeterLine"]
