"""A route's report as one page of HTML that needs nothing else: for the files, and for printing.

No script, no resource from anywhere: its own policy forbids the browser both, whatever a note
holds. The summary comes first, so the stops wait beside the file until all have come by.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from typing import Final, TextIO

from vtc07.hhu.report import style as report_style
from vtc07.hhu.report.block import attention_row, block, sign
from vtc07.hhu.report.charts import hours_charts, kinds_chart, legend
from vtc07.hhu.report.markup import Content, Markup, element, escaped, joined, style
from vtc07.hhu.report.stop import ReportedStop
from vtc07.hhu.report.summary import (
    RESULTS,
    SHOWN,
    ReportHead,
    ReportSummary,
    Stranger,
    happened_in,
    needs_attention,
)
from vtc07.hhu.report.words import Words
from vtc07.hhu.route.task import StopResult, TaskResult
from vtc07.hhu.texts import said

#: Kept in memory of what waits for the summary; beyond it, in a file for its owner only.
_IN_MEMORY: Final = 1 << 20
#: Says in the page what it is.
GENERATOR: Final = "vtc07 route report"
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_CLASSES: Final = {
    StopResult.DONE: "is-done",
    StopResult.REFUSED: "is-refused",
    StopResult.OPEN: "is-open",
}


class HTMLReport:
    """Writes the page when all stops have come by."""

    def __init__(self, file: TextIO, head: ReportHead, words: Words) -> None:
        """``file``: UTF-8."""
        self._file = file
        self._head = head
        self._words = words
        self._blocks = _waiting()
        self._attention = _waiting()
        self._strangers = _waiting()
        self._any = False

    def stop(self, stop: ReportedStop) -> None:
        """Take a stop; with a limited period only one at which something was done in it."""
        period = self._head.period
        shown = not period.limited or happened_in(period, stop.state)
        if needs_attention(stop.state):
            self._attention.write(attention_row(stop, self._words, linked=shown) + "\n")
        if not shown:
            return
        self._any = True
        self._blocks.write(block(stop, period, self._words) + "\n")

    def stranger(self, stranger: Stranger) -> None:
        """Take a meter that is not on the route."""
        words = self._words
        row = element(
            "tr",
            element("td", stranger.meter_pan, class_="token"),
            element("td", words.time(stranger.time), class_="time"),
            element("td", stranger.entry, class_="number"),
        )
        self._strangers.write(row + "\n")

    def finish(self, summary: ReportSummary) -> None:
        """Write the page."""
        words, head = self._words, self._head
        write = self._file.write
        title = words(said("Route report: {route}", route=head.route))
        language = escaped(words.texts.language.replace("_", "-"))
        write(f'<!DOCTYPE html>\n<html lang="{language}">\n')
        write(self._page_head(title) + "\n<body>\n<main>\n")
        write(self._opening(summary) + "\n")
        write(self._summary(summary) + "\n")
        self._write_attention(summary)
        self._write_blocks()
        self._write_strangers()
        write(self._proof() + "\n")
        write("</main>\n</body>\n</html>\n")

    def close(self) -> None:
        """Let go of the stops that wait."""
        self._blocks.close()
        self._attention.close()
        self._strangers.close()

    # --- parts ---------------------------------------------------------------------------------

    def _page_head(self, title: str) -> Markup:
        words, head = self._words, self._head
        page = words(said("Page {page} of {pages}", page="\ue000", pages="\ue001"))
        before, _, rest = page.partition("\ue000")
        between, _, behind = rest.partition("\ue001")
        rules = report_style.rules(
            page_head=f"{title} · {words.time(head.made)}", page_of=(before, between, behind)
        )
        return element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="generator", content=GENERATOR),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("meta", name="color-scheme", content="light dark"),
            element("title", title),
            style(rules),
        )

    def _opening(self, summary: ReportSummary) -> Markup:
        words, head = self._words, self._head
        when = words.span(summary.first, summary.last)
        lines: list[Content] = [
            element("p", words(said("Route report")), class_="kicker"),
            element("h1", element("bdi", head.route)),
            element("p", words.stops(summary), " · ", when, class_="lead"),
            element("p", self._made(), class_="faint"),
        ]
        lines += [element("p", words(notice), class_="notice") for notice in head.notices]
        return element("header", *lines)

    def _made(self) -> str:
        words, head = self._words, self._head
        parts = [
            words(said("Period: {period}", period=words.period(head.period))),
            words(
                said(
                    "made {time}, times in {offset}",
                    time=words.time(head.made),
                    offset=words.offset(head.made),
                )
            ),
        ]
        if head.masked:
            parts.append(words(said("tokens are masked")))
        return "; ".join(parts)

    def _summary(self, summary: ReportSummary) -> Markup:
        words = self._words
        parts: list[Content] = [
            element("h2", words(said("Summary"))),
            element("ul", *(self._tile(summary, result) for result in SHOWN), class_="tiles"),
        ]
        if self._head.period.limited:
            of_period = said(
                "Meters as they were at the end of the period, results that came in it."
            )
            parts.append(element("p", words(of_period), class_="faint"))
        if summary.tasks:
            chart = element(
                "figure",
                element("figcaption", words(said("Results by kind"))),
                legend(words),
                kinds_chart(summary, words),
            )
            parts += [chart, self._kinds_table(summary)]
        for caption, drawn in hours_charts(summary, words):
            parts.append(element("figure", element("figcaption", caption), drawn))
        if len(summary.days) > 1:
            parts.append(self._days_table(summary))
        return element("section", *parts, id="summary")

    def _tile(self, summary: ReportSummary, result: StopResult) -> Markup:
        words, count = self._words, summary.stops.get(result, 0)
        share = words.share(count, summary.size)
        return element(
            "li",
            element("strong", count),
            sign(result),
            " ",
            words.result(result),
            element("span", share, class_="faint"),
            class_=_CLASSES.get(result),
        )

    def _kinds_table(self, summary: ReportSummary) -> Markup:
        words = self._words
        rows: list[tuple[str | int, ...]] = [
            (words.kinds(kind), *(counts[r] for r in RESULTS), sum(counts.values()))
            for kind, counts in summary.tasks.items()
        ]
        sums = [summary.total(result) for result in RESULTS]
        results = [words.result(result) for result in RESULTS]
        return _numbers(
            (words(said("Tasks")), *results, words(said("together"))),
            rows,
            (words(said("together")), *sums, sum(sums)),
            words(said("Tasks by kind and result")),
        )

    def _days_table(self, summary: ReportSummary) -> Markup:
        words = self._words
        tried = [result for result in RESULTS if result is not TaskResult.TO_DO]
        rows: list[tuple[str | int, ...]] = []
        for day in summary.days:
            hours = summary.hours_of(day).values()
            counts = [sum(hour.get(result, 0) for hour in hours) for result in tried]
            rows.append((words.day(day), *counts, sum(counts)))
        columns = [words.result(result) for result in tried]
        return _numbers(
            (words(said("Day")), *columns, words(said("together"))),
            rows,
            None,
            words(said("Results by day")),
        )

    def _write_attention(self, summary: ReportSummary) -> None:
        words, write = self._words, self._file.write
        title = words(said("To be looked at"))
        write(f'<section id="attention">\n{element("h2", title)}\n')
        if not self._attention.tell():
            write(
                element("p", words(said("Nothing: no meter is left open, refused or half done.")))
            )
        else:
            columns = (said("Result"), said("Meter"), said("Place"), said("What is known"))
            write('<div class="wide"><table>')
            write(element("caption", words(said("To be looked at")), class_="unseen"))
            heads = (element("th", words(column), scope="col") for column in columns)
            write(element("thead", element("tr", *heads)))
            write("<tbody>\n")
            _copy(self._attention, self._file)
            write("</tbody></table></div>\n")
            if summary.stops.get(StopResult.OPEN):
                write(
                    element(
                        "p",
                        words(
                            said(
                                "Open: a token may have been taken or not. Go back to that meter "
                                "and run the route again, or vtc07 hhu resume; the token is not to "
                                "be given again before."
                            )
                        ),
                        class_="notice",
                    )
                )
        write("</section>\n")

    def _write_blocks(self) -> None:
        words, write = self._words, self._file.write
        write('<section id="meters" class="from-new-page">\n')
        write(element("h2", words(said("Meters"))) + "\n")
        if not self._any:
            write(element("p", words(said("There is none to be shown."))))
        _copy(self._blocks, self._file)
        write("</section>\n")

    def _write_strangers(self) -> None:
        words, write = self._words, self._file.write
        if not self._strangers.tell():
            return
        write('<section id="strangers">\n')
        write(element("h2", words(said("Meters that are not on the route"))) + "\n")
        explained = said("They were plugged into, and nothing of the route was done there.")
        write(element("p", words(explained)) + "\n<table>")
        heads = (
            element("th", words(said("Meter")), scope="col"),
            element("th", words(said("Time")), scope="col"),
            element("th", words(said("Entry")), scope="col", class_="number"),
        )
        write(element("thead", element("tr", *heads)) + "<tbody>\n")
        _copy(self._strangers, self._file)
        write("</tbody></table>\n</section>\n")

    def _proof(self) -> Markup:
        words, head = self._words, self._head
        rows: list[tuple[str, Content]] = [
            (words(said("Route")), element("bdi", head.route)),
            (
                words(said("Its file, SHA-256")),
                element("code", head.route_digest),
            ),
            (words(said("Journal")), element("bdi", head.journal.name)),
        ]
        if head.journal.entry:
            rows += [
                (words(said("Last entry")), str(head.journal.entry)),
                (words(said("Its digest")), element("code", head.journal.digest.hex())),
            ]
        explained = words(
            said(
                "The numbers of entries in this report are those of the journal. Each entry of it "
                "is chained to all before it: as long as the journal is found to lead to this "
                "digest, nothing that this report tells was changed in it since."
            )
        )
        parts: list[Content] = [
            element("h2", words(said("How this report can be checked"))),
            _pairs(rows),
        ]
        if head.journal.entry:
            parts.append(element("p", explained))
            command = f"vtc07 hhu verify --expect {head.journal.digest.hex()}"
            parts.append(element("p", element("code", command)))
        lines = (said("Made by"), said("Checked by"), said("Date"))
        signature = [element("span", words(line)) for line in lines]
        parts.append(element("div", *signature, class_="signature"))
        return element("section", *parts, id="check")


def _waiting() -> tempfile.SpooledTemporaryFile[str]:
    return tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="\n")


def _copy(waiting: tempfile.SpooledTemporaryFile[str], file: TextIO) -> None:
    waiting.seek(0)
    shutil.copyfileobj(waiting, file)


def _pairs(rows: Sequence[tuple[str, Content]]) -> Markup:
    return element(
        "dl", *(joined((element("dt", name), element("dd", value))) for name, value in rows)
    )


def _numbers(
    columns: Sequence[str],
    rows: Sequence[Sequence[str | int]],
    sums: Sequence[str | int] | None,
    caption: str,
) -> Markup:
    """Return a table of which the first column is text and all others are numbers."""

    def row(name: str | int, numbers: Sequence[str | int], cell: str) -> Markup:
        cells = (element(cell, number, class_="number") for number in numbers)
        scope = "row" if cell == "td" else "col"
        return element("tr", element("th", name, scope=scope), *cells)

    return element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", row(columns[0], columns[1:], "th")),
        element("tbody", *(row(each[0], each[1:], "td") for each in rows)),
        None if sums is None else element("tfoot", row(sums[0], sums[1:], "td")),
        class_="counts",
    )
