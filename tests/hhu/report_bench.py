"""A route that was worked on: its file, and a journal with the entries that its work leaves."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hhu_bench import credit

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal.entries import EntryKind
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.result import Result
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.outcome import Delivered, Outcome, Refused
from vtc07.hhu.route.entries import task_entry, visit_entry
from vtc07.hhu.route.facts import Stop
from vtc07.hhu.route.file import RouteFile, open_route
from vtc07.hhu.route.round import begin_round
from vtc07.hhu.route.state import pan_of
from vtc07.hhu.route.task import TaskKind, TaskResult, TaskState
from vtc07.hhu.route.tokens import token_result, token_subject
from vtc07.hhu.texts import said
from vtc07.tokens import DRN, MeterPAN, MfrCode

__all__ = ["credit"]

BEGAN = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DONE = Delivered(TokenStatus.ACCEPT, 7)
USED = Refused(TokenStatus.USED_ERROR, 7)

#: What `vtc07.hhu.values.document` says of a register.
CREDIT = {
    "address": "0020", "name": "creditBalance", "value": 12345, "unit": "Wh", "scaler": 0,
    "raw": "00012345", "text": "12.345 kWh",
}  # fmt: skip
SWITCH = {
    "address": "0041", "name": "loadSwitch", "value": 1, "unit": None, "scaler": 0,
    "raw": "1", "text": "closed",
}  # fmt: skip


def pan(number: int) -> str:
    """Return the MeterPAN of the number-th meter."""
    return MeterPAN.from_drn(DRN.of(MfrCode("07"), f"{number:08d}")).digits


def route_file(path: Path, rows: Sequence[Mapping[str, str]]) -> RouteFile:
    """Write a route in CSV and open it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ("meter", "place", "deliver", "write", "read", "notes"))
        writer.writeheader()
        writer.writerows(rows)
    return open_route(path)


class Worked:
    """A journal in memory, and visits to the meters of a route as they are written down."""

    def __init__(self, route: RouteFile, journal: SQLiteJournal | None = None) -> None:
        self.route = route
        self.journal = journal or SQLiteJournal(MemoryPlace())
        self.stops = tuple(route.stops())
        self._round: int | None = None

    def visit(
        self,
        place: int,
        at: datetime,
        *outcomes: Outcome | None,
        writes: int = 1,
        values: Sequence[dict[str, Any]] = (),
        minutes: int = 1,
    ) -> None:
        """Visit a stop: each token with its outcome (None: left open), then all reads.

        ``writes``: how often each token is entered.
        """
        if self._round is None:
            self._round = begin_round(self.journal, self.route, at).number
        stop = self.stops[place]
        meter = pan_of(stop.meter)
        assert meter is not None
        self._note(EntryKind.ARRIVED, at, meter)
        for number, outcome in enumerate(outcomes):
            when = at + timedelta(seconds=5 * (number + 1))
            self._deliver((stop, number), when, outcome, writes)
        if None not in outcomes:
            end = at + minutes * MINUTE
            for number, name in enumerate(stop.read):
                state = TaskState(
                    TaskKind.READ, number, name, TaskResult.DONE, said("done"),
                    end, values=tuple(v for v in values if str(v["name"]).startswith(name)),
                )  # fmt: skip
                self.journal.record(task_entry(state, stop, meter, self.route, self._round))
            self._note(EntryKind.LEFT, end, meter)

    def _note(self, kind: EntryKind, at: datetime, meter: str) -> None:
        assert self._round is not None
        self.journal.record(visit_entry(kind, at, meter, self.route, self._round))

    def _deliver(
        self, where: tuple[Stop, int], at: datetime, outcome: Outcome | None, writes: int
    ) -> None:
        stop, place = where
        meter = pan_of(stop.meter)
        assert meter is not None
        assert self._round is not None
        sent = stop.deliver[place]
        delivery = self.journal.open_delivery(meter, sent.digits, None, at)
        for number in range(1, writes + 1):
            self.journal.announce_write(delivery.number, number, at)
        if outcome is None:
            return
        self.journal.close_delivery(delivery.number, outcome, at + timedelta(seconds=3))
        state = TaskState(
            TaskKind.DELIVER, place, token_subject(sent), token_result(Result.of(outcome)),
            outcome.said, at + timedelta(seconds=3), delivery=delivery.number,
        )  # fmt: skip
        self.journal.record(task_entry(state, stop, meter, self.route, self._round))
