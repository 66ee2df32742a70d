"""The tasks of a route's stops and what they came to: facts."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vtc07.hhu.route.facts import Stop
from vtc07.hhu.texts import Said, mark


class TaskKind(enum.Enum):
    """What a task of a stop is."""

    DELIVER = "deliver"
    WRITE = "write"
    READ = "read"


class TaskResult(enum.Enum):
    """What a task came to; the value is a word for people."""

    TO_DO = mark("to do")
    """It was not begun, or broke off with nothing done: it is still to be done."""
    DONE = mark("done")
    REFUSED = mark("refused")
    """The meter refused; doing it again as it is would not help."""
    OPEN = mark("open")
    """A token may have been taken or not: it is to be resolved before anything else."""


class StopResult(enum.Enum):
    """What a stop came to, of all its tasks together; the value is a word for people."""

    NOT_VISITED = mark("not visited")
    DONE = mark("done")
    PARTLY = mark("partly done")
    REFUSED = mark("refused")
    """Nothing is left to be tried, and the meter refused at least one task."""
    OPEN = mark("open")


@dataclass(frozen=True, slots=True)
class TaskState:
    """One task of a stop and what the journal knows of it.

    ``place``: which one of its kind at this stop, from 0. ``subject``: what it is about, without a
    token: the token's last four digits, a register's name, an assignment. ``said``: the result in
    words. ``time``, ``entry``: when it came to that, and the number of the journal's entry that
    says so; None while nothing was tried, the entry too where no entry of the route says so but a
    delivery. ``delivery``: of a token. ``values``: what was read, as documents of
    `vtc07.hhu.values.document`; tokens may stand in them. ``why``: what the meter's refusal of a
    token means to whoever holds it, empty where nothing was refused or the refusal says so itself.
    """

    kind: TaskKind
    place: int
    subject: str
    result: TaskResult
    said: Said
    time: datetime | None = None
    entry: int | None = None
    delivery: int | None = None
    values: tuple[dict[str, Any], ...] = ()
    why: str = ""

    @property
    def shown_values(self) -> tuple[dict[str, Any], ...]:
        """What was read, without the empty entries of a log; what was read alone stays."""
        if len(self.values) == 1:
            return self.values
        return tuple(value for value in self.values if value["value"] != "")


@dataclass(frozen=True, slots=True)
class StopVisit:
    """One time that the meter was plugged into for this route. ``ended`` None: it broke off."""

    began: datetime
    ended: datetime | None
    entry: int


@dataclass(frozen=True, slots=True)
class StopState:
    """A stop and what became of it. ``meter_pan``: as the meter told it, None before a visit."""

    stop: Stop
    meter_pan: str | None
    result: StopResult
    tasks: tuple[TaskState, ...]
    visits: tuple[StopVisit, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteSummary:
    """How far a route has come in its round.

    ``size``: stops of the route. ``stops``, ``tasks``: how many came to what, with a number for
    each result. ``began``, ``latest``: the first and the last visit, None before any.
    """

    size: int
    stops: Mapping[StopResult, int]
    tasks: Mapping[tuple[TaskKind, TaskResult], int]
    began: datetime | None = None
    latest: datetime | None = None

    @property
    def finished(self) -> int:
        """How many stops leave nothing to be tried."""
        return self.stops[StopResult.DONE] + self.stops[StopResult.REFUSED]
