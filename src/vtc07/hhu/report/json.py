"""A route's report as one JSON document: the summary first, then a stop a line."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import datetime, tzinfo
from typing import Any, Final, TextIO

from vtc07.hhu.report.csv import stamp
from vtc07.hhu.report.stop import ReportedStop, ReportedTask
from vtc07.hhu.report.summary import (
    RESULTS,
    ReportHead,
    ReportSummary,
    Stranger,
    counts_in,
    happened_in,
)

#: Says in the document what it is.
TITLE: Final = "vtc07 route report"
#: Kept in memory of what waits for the summary; beyond it, in a file for its owner only.
_IN_MEMORY: Final = 1 << 20


class JSONReport:
    """Writes the document when all stops have come by; they wait beside it until then."""

    def __init__(self, file: TextIO, head: ReportHead, zone: tzinfo | None) -> None:
        self._file = file
        self._head = head
        self._zone = zone
        self._stops = _waiting()
        self._strangers = _waiting()

    def stop(self, stop: ReportedStop) -> None:
        """Take a stop; with a limited period only one at which something was done in it."""
        if self._head.period.limited and not happened_in(self._head.period, stop.state):
            return
        self._stops.write(",\n" if self._stops.tell() else "")
        self._stops.write(f"    {json.dumps(self._stop(stop))}")

    def stranger(self, stranger: Stranger) -> None:
        """Take a meter that is not on the route."""
        told = {
            "meter_pan": stranger.meter_pan,
            "time": self._time(stranger.time),
            "entry": stranger.entry,
        }
        self._strangers.write(",\n" if self._strangers.tell() else "")
        self._strangers.write(f"    {json.dumps(told)}")

    def finish(self, summary: ReportSummary) -> None:
        """Write the document."""
        head = json.dumps(
            {**self._described(), "summary": summary_document(summary, self._zone)}, indent=2
        )
        self._file.write(head.removesuffix("\n}"))
        for name, waiting in (("stops", self._stops), ("not_on_route", self._strangers)):
            any_ = waiting.tell() > 0
            self._file.write(f',\n  "{name}": [' + ("\n" if any_ else ""))
            waiting.seek(0)
            shutil.copyfileobj(waiting, self._file)
            self._file.write("\n  ]" if any_ else "]")
        self._file.write("\n}\n")

    def close(self) -> None:
        """Let go of what waits."""
        self._stops.close()
        self._strangers.close()

    def _described(self) -> dict[str, Any]:
        head = self._head
        return {
            "report": TITLE,
            "route": {"name": head.route, "sha256": head.route_digest, "stops": head.size},
            "made": self._time(head.made),
            "from": self._time(head.period.begin),
            "to": self._time(head.period.end),
            "journal": {
                "name": head.journal.name,
                "entry": head.journal.entry,
                "digest": head.journal.digest.hex(),
            },
            "masked": head.masked,
        }

    def _stop(self, stop: ReportedStop) -> dict[str, Any]:
        state = stop.state
        return {
            "line": state.stop.line,
            "meter": state.stop.meter,
            "meter_pan": state.meter_pan,
            "place": state.stop.place,
            "notes": state.stop.notes,
            "errors": [str(error) for error in state.stop.errors],
            "result": state.result.value,
            "visits": [
                {
                    "began": self._time(visit.began),
                    "ended": self._time(visit.ended),
                    "entry": visit.entry,
                }
                for visit in state.visits
            ],
            "tasks": [
                self._task(task) for task in stop.tasks if counts_in(self._head.period, task.state)
            ],
        }

    def _task(self, task: ReportedTask) -> dict[str, Any]:
        state = task.state
        return {
            "kind": state.kind.value,
            "number": state.place + 1,
            "subject": state.subject,
            "token": task.token.replace(" ", "") or None,
            "section": task.section or None,
            "result": state.result.value,
            "said": str(state.said),
            "explanation": task.explanation or None,
            "time": self._time(state.time),
            "entry": state.entry,
            "delivery": state.delivery,
            "entered": task.entries,
            "values": list(state.values),
        }

    def _time(self, time: datetime | None) -> str | None:
        return stamp(time, self._zone) or None


def _waiting() -> tempfile.SpooledTemporaryFile[str]:
    return tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="ascii", newline="\n")


def summary_document(summary: ReportSummary, zone: tzinfo | None) -> dict[str, Any]:
    """Return the counts of a report as a document."""
    return {
        "stops": {result.value: count for result, count in summary.stops.items()},
        "worked_at": summary.worked_at,
        "visits": summary.visits,
        "not_on_route": summary.strangers,
        "tasks": {
            kind.value: {result.value: counts[result] for result in RESULTS}
            for kind, counts in summary.tasks.items()
        },
        "hours": [
            {"hour": stamp(hour, zone), **{result.value: counts[result] for result in RESULTS}}
            for hour, counts in summary.hours.items()
        ],
        "first": stamp(summary.first, zone) or None,
        "last": stamp(summary.last, zone) or None,
    }
