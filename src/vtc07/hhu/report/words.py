"""The words of a report for people: results, kinds, times, in the language of whoever reads it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from typing import Final

from vtc07.hhu.report.summary import RESULTS, Period, ReportSummary, percent
from vtc07.hhu.route.task import StopResult, TaskKind, TaskResult
from vtc07.hhu.texts import ENGLISH, Said, Texts, counted, mark, said

#: What the tasks of a kind are called together.
KINDS: Final[Mapping[TaskKind, str]] = {
    TaskKind.DELIVER: mark("tokens"),
    TaskKind.WRITE: mark("registers to write"),
    TaskKind.READ: mark("registers to read"),
}
#: What one task of a kind is called.
KIND: Final[Mapping[TaskKind, str]] = {
    TaskKind.DELIVER: mark("token"),
    TaskKind.WRITE: mark("write"),
    TaskKind.READ: mark("read"),
}
#: Marks beside words, so that a glance finds them in black and white too.
SIGNS: Final[Mapping[StopResult | TaskResult, str]] = {
    StopResult.DONE: "✓",
    StopResult.PARTLY: "◐",
    StopResult.REFUSED: "✗",
    StopResult.OPEN: "?",
    StopResult.NOT_VISITED: "○",
    TaskResult.DONE: "✓",
    TaskResult.REFUSED: "✗",
    TaskResult.OPEN: "?",
    TaskResult.TO_DO: "○",
}
#: Stands between two times.
TO: Final = "\N{EN DASH}"


class Words:
    """Puts a report into words.

    ``zone``: in which times are told, None for this machine's.
    """

    def __init__(self, texts: Texts = ENGLISH, zone: tzinfo | None = None) -> None:
        self.texts = texts
        self.zone = zone

    def __call__(self, sentence: Said) -> str:
        """Return a sentence in this language."""
        return sentence.words(self.texts)

    def result(self, result: StopResult | TaskResult) -> str:
        """Return the word for a result."""
        return self.texts(result.value)

    def kinds(self, kind: TaskKind) -> str:
        """Return what the tasks of a kind are called together."""
        return self.texts(KINDS[kind])

    def kind(self, kind: TaskKind) -> str:
        """Return what one task of a kind is called."""
        return self.texts(KIND[kind])

    def time(self, time: datetime | None) -> str:
        """Return day and time; empty for None."""
        return "" if time is None else f"{self._local(time):%Y-%m-%d %H:%M:%S}"

    def clock(self, time: datetime | None) -> str:
        """Return the time of the day; empty for None."""
        return "" if time is None else f"{self._local(time):%H:%M:%S}"

    def same_day(self, first: datetime, second: datetime) -> bool:
        """Say whether two times are of one day."""
        return self._local(first).date() == self._local(second).date()

    def day(self, day: date) -> str:
        """Return a day."""
        return day.isoformat()

    def offset(self, time: datetime) -> str:
        """Return how far the clock of the report is from UTC at a time, as ``UTC+02:00``."""
        offset = f"{self._local(time):%z}"
        return f"UTC{offset[:3]}:{offset[3:5]}"

    def span(self, first: datetime | None, last: datetime | None) -> str:
        """Return from when until when something was done."""
        if first is None or last is None:
            return self(said("nothing was done"))
        begin, end = self._local(first), self._local(last)
        if begin.date() == end.date():
            return f"{_minute(begin)}{TO}{end:%H:%M}"
        return f"{_minute(begin)} {TO} {_minute(end)}"

    def period(self, period: Period) -> str:
        """Return the period of a report."""
        match period.begin, period.end:
            case None, None:
                return self(said("from the beginning until now"))
            case begin, None:
                return self(said("from {begin} until now", begin=self._minute(begin)))
            case None, end:
                return self(said("from the beginning until {end}", end=self._minute(end)))
            case begin, end:
                begin, end = self._local(begin), self._local(end)
                if _is_day(begin, end):
                    return f"{begin:%Y-%m-%d}"
                return self(
                    said("from {begin} until {end}", begin=_minute(begin), end=_minute(end))
                )

    def counts(self, counts: Mapping[TaskResult, int]) -> str:
        """Return the results that occur with their numbers, as ``5 done, 1 refused``."""
        return ", ".join(f"{counts[r]} {self.result(r)}" for r in RESULTS if counts.get(r))

    def stops(self, summary: ReportSummary) -> str:
        """Return the sentence that says how far the route is."""
        return self(
            said(
                "{done} of {stops} done",
                done=summary.stops.get(StopResult.DONE, 0),
                stops=counted("{count} meter", "{count} meters", summary.size),
            )
        )

    def share(self, part: int, whole: int) -> str:
        """Return a share in whole percents: 100 is all, and only all; 0 is none, and only none."""
        whole_percents = percent(part, whole)
        return "< 1 %" if part and not whole_percents else f"{whole_percents} %"

    def _minute(self, time: datetime | None) -> str:
        return "" if time is None else _minute(self._local(time))

    def _local(self, time: datetime) -> datetime:
        return time.astimezone(self.zone)


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _is_day(begin: datetime, end: datetime) -> bool:
    midnights = (begin.hour, begin.minute, end.hour, end.minute) == (0, 0, 0, 0)
    return midnights and (end.date() - begin.date()).days == 1
