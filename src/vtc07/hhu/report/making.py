"""A route's report in every form at once, from a journal that is held still: one reading of it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TextIO

from vtc07.hhu.history.sequence_drawing import figure
from vtc07.hhu.journal.reading import ReadOnlyJournal
from vtc07.hhu.journal.schema import SCHEMA_VERSION
from vtc07.hhu.report.block import known
from vtc07.hhu.report.csv import CSVReport
from vtc07.hhu.report.html import HTMLReport
from vtc07.hhu.report.json import JSONReport
from vtc07.hhu.report.route_report import ReportPart, report_head, write_report
from vtc07.hhu.report.stop import ReportedStop
from vtc07.hhu.report.summary import (
    TO_LOOK_AT,
    JournalHead,
    Period,
    ReportHead,
    ReportSummary,
    Stranger,
    needs_attention,
)
from vtc07.hhu.report.words import Words
from vtc07.hhu.route.facts import Route
from vtc07.hhu.route.task import StopResult

#: The forms of a report, each with the encoding of its file: spreadsheets want a mark of it.
ENCODINGS: Final[Mapping[str, str]] = {"csv": "utf-8-sig", "json": "utf-8", "html": "utf-8"}


@dataclass(frozen=True, slots=True)
class Attention:
    """A stop that somebody has to look at, and what is known of it, in words."""

    result: StopResult
    meter: str
    place: str
    told: str


@dataclass(slots=True)
class Listed:
    """Keeps the first stops that somebody has to look at, of each result at most ``most``.

    ``count``: how many there are.
    """

    words: Words
    most: int
    count: int = 0
    _rows: dict[StopResult, list[Attention]] = field(default_factory=dict)

    def stop(self, stop: ReportedStop) -> None:
        """Keep a stop that is to be looked at."""
        state = stop.state
        if not needs_attention(state):
            return
        self.count += 1
        rows = self._rows.setdefault(state.result, [])
        if len(rows) < self.most:
            told = "; ".join(known(stop, self.words))
            rows.append(Attention(state.result, state.stop.meter, state.stop.place, told))

    def stranger(self, stranger: Stranger) -> None:
        """Leave it: the summary counts them."""

    def finish(self, summary: ReportSummary) -> None:
        """Do nothing: the rows are asked for."""

    def close(self) -> None:
        """Let go of nothing."""

    def gravest(self) -> list[Attention]:
        """Return as many as are shown, the gravest first."""
        order = [*TO_LOOK_AT, *(result for result in StopResult if result not in TO_LOOK_AT)]
        return [row for result in order for row in self._rows.get(result, ())][: self.most]


def make_report(
    journal: ReadOnlyJournal,
    route: Route,
    files: Mapping[str, TextIO],
    *,
    made: datetime,
    period: Period,
    mask: bool,
    words: Words,
    listed: Listed | None = None,
    on_stop: Callable[[], None] = lambda: None,
) -> tuple[ReportHead, ReportSummary]:
    """Write a report in the forms for which there is a file; returns what it is of, and its counts.

    ``journal``: held still by the caller. ``files``: by the names of ENCODINGS, each opened with
    ``newline=""``. ``made``: now, in this machine's zone. ``mask``: without tokens. ``words``: of
    the page. ``listed``: also told every stop. Raises JournalError, RouteError and OSError.
    """
    name = str(journal.path)
    head = report_head(journal, route, name=name, made=made, period=period, mask=mask)
    if journal.version < SCHEMA_VERSION:
        # What is taken over gets its digests then: there is none that could be asked for.
        head = replace(head, journal=JournalHead(head.journal.name))
    with contextlib.ExitStack() as stack:
        parts: list[ReportPart] = [] if listed is None else [listed]
        for form, file in files.items():
            parts.append(_part(form, file, head, words))
            stack.callback(parts[-1].close)
        draw = functools.partial(figure, texts=words.texts, zone=None) if "html" in files else None
        summary = write_report(journal, route, head, parts, zone=None, draw=draw, on_stop=on_stop)
    return head, summary


def _part(form: str, file: TextIO, head: ReportHead, words: Words) -> ReportPart:
    match form:
        case "csv":
            return CSVReport(file, head.route, head.period, None)
        case "json":
            return JSONReport(file, head, None)
    return HTMLReport(file, head, words)
