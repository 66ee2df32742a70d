"""A route's report as comma-separated values: a line for each task, for spreadsheets.

Laid out as RFC 4180. A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a
formula, and runs it; such a cell of text gets an apostrophe in front, so that it stays text. What
is a number is left a number.
"""

from __future__ import annotations

import csv
import re
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any, Final, TextIO

from vtc07.hhu.report.stop import ReportedStop, ReportedTask
from vtc07.hhu.report.summary import Period, ReportSummary, Stranger, counts_in

#: The columns in their order; what they hold is told in docs/routes.md.
COLUMNS: Final = (
    "route",
    "line",
    "meter",
    "meter_pan",
    "place",
    "stop_result",
    "task",
    "number",
    "subject",
    "token",
    "section",
    "result",
    "said",
    "explanation",
    "time",
    "entry",
    "delivery",
    "entered",
    "value",
    "unit",
    "values",
    "notes",
    "errors",
)
_OF_A_TASK: Final = COLUMNS.index("notes") - COLUMNS.index("task")

_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_FORMULA: Final = re.compile(r"[\s\x00]*[=+\-@\uff0b\uff0d\uff1d\uff20]|[\t\r\n\x00]")


class CSVReport:
    """Writes the lines as the stops come by."""

    def __init__(self, file: TextIO, route: str, period: Period, zone: tzinfo | None) -> None:
        """``file``: opened with ``newline=""``."""
        self._writer = csv.writer(file)
        self._route = route
        self._period = period
        self._zone = zone
        self._writer.writerow(COLUMNS)

    def stop(self, stop: ReportedStop) -> None:
        """Write a line for each task; one without a task for a stop that has none."""
        for task in stop.tasks:
            if counts_in(self._period, task.state):
                self._write(*self._of_stop(stop), *self._of_task(task), *_end(stop))
        if not stop.tasks:
            self._write(*self._of_stop(stop), *[None] * _OF_A_TASK, *_end(stop))

    def stranger(self, stranger: Stranger) -> None:
        """Write nothing: a meter that is not on the route has no task."""

    def finish(self, summary: ReportSummary) -> None:
        """Write nothing more: a table has no summary."""

    def close(self) -> None:
        """Let go of nothing: the file is its opener's."""

    def _write(self, *values: object) -> None:
        self._writer.writerow([cell(value) for value in values])

    def _of_stop(self, stop: ReportedStop) -> tuple[object, ...]:
        state = stop.state
        return (
            self._route,
            state.stop.line,
            state.stop.meter,
            state.meter_pan,
            state.stop.place,
            state.result.value,
        )

    def _of_task(self, task: ReportedTask) -> tuple[object, ...]:
        done = task.state
        value, unit = _single(done.values)
        return (
            done.kind.value,
            done.place + 1,
            done.subject,
            task.token,
            task.section,
            done.result.value,
            str(done.said),
            task.explanation,
            stamp(done.time, self._zone),
            done.entry,
            done.delivery,
            task.entries,
            value,
            unit,
            "; ".join(f"{v['name']}={v['text']}" for v in done.values if v["value"] != ""),
        )


def _end(stop: ReportedStop) -> tuple[object, ...]:
    given = stop.state.stop
    return given.notes, "; ".join(str(error) for error in given.errors)


def cell(value: object) -> str:
    """Return the text of a cell, so that no spreadsheet takes it for a formula."""
    text = "" if value is None else str(value)
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def stamp(time: datetime | None, zone: tzinfo | None) -> str:
    """Return a time as ISO 8601 with its distance from UTC; empty for None.

    ``zone`` None: this machine's.
    """
    return "" if time is None else time.astimezone(zone).isoformat(timespec="seconds")


def decimal_text(value: int, scaler: int) -> str:
    """Return ``value`` times ten to the power of ``scaler``, exact."""
    return format(Decimal(value).scaleb(scaler), "f")


def _single(values: tuple[dict[str, Any], ...]) -> tuple[str | None, str | None]:
    """Return value and unit where one register was read: what a spreadsheet can calculate with."""
    if len(values) != 1:
        return None, None
    (only,) = values
    value = only["value"]
    return decimal_text(value, only["scaler"]) if isinstance(value, int) else value, only["unit"]
