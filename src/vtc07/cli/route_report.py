"""``vtc07 route report``: what was done, for people, spreadsheets, programs and the files."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any, Final

import click

from vtc07.cli import parameters
from vtc07.cli.failure import Failure
from vtc07.cli.journalling import JournalOptions, journal_option, now
from vtc07.cli.language import texts_for
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output
from vtc07.cli.report_files import STDOUT, report_file, require_apart
from vtc07.harmless import harmless
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.hhu.report.csv import COLUMNS
from vtc07.hhu.report.html import GENERATOR
from vtc07.hhu.report.json import TITLE
from vtc07.hhu.report.making import ENCODINGS, Listed, make_report
from vtc07.hhu.report.summary import RESULTS, SHOWN, Period, ReportHead, ReportSummary, day_of
from vtc07.hhu.report.words import Words
from vtc07.hhu.route.file import open_route
from vtc07.hhu.route.task import StopResult

#: What comes to a terminal is English, as of every command.
WORDS: Final = Words()
_MOST_LISTED: Final = 20
#: What stands in the first characters of a report of each form.
_MARKS: Final = {"csv": ",".join(COLUMNS[:4]), "json": TITLE, "html": GENERATOR}


@click.command(
    epilog=examples(
        "vtc07 route report monday.csv",
        "vtc07 route report monday.csv --html monday.html --csv done.csv",
        "vtc07 route report monday.csv --day 2026-03-02 --json",
        "vtc07 route report monday.csv --from 2026-03-02 --to 2026-03-06 --mask --html week.html",
    )
)
@click.argument("route", metavar="ROUTE", required=False)
@journal_option
@click.option("--csv", "csv_file", metavar="FILE", help="A line for each task, for spreadsheets.")
@click.option(
    "--json",
    "json_file",
    metavar="[FILE]",
    is_flag=False,
    flag_value=STDOUT,
    help="One JSON document, in FILE or on stdout.",
)
@click.option("--html", "html_file", metavar="FILE", help="A page for the files and for printing.")
@click.option("--mask", is_flag=True, help="Show of every token its last four digits at most.")
@click.option("--day", type=parameters.DAY, metavar="DATE", help="What was done on one day.")
@click.option(
    "--from", "begin", type=parameters.MOMENT, help="What was done from this day or time on."
)
@click.option("--to", "end", type=parameters.MOMENT, help="What was done up to this day or time.")
@click.option(
    "--language", metavar="CODE", help="Of the page: en, fr, pt, ...; else by your environment."
)
@click.pass_obj
def report(
    output: Output,
    *,
    route: str | None,
    journal: JournalOptions,
    csv_file: str | None,
    json_file: str | None,
    html_file: str | None,
    mask: bool,
    day: datetime | None,
    begin: datetime | date | None,
    end: datetime | date | None,
    language: str | None,
) -> None:
    """Tell what was done of ROUTE, as the journal knows it; the journal may be in use meanwhile.

    Without an option a summary. FILE may be - for stdout. Files are for their owner only: without
    --mask they hold tokens, and a token that was not taken is still money.
    """
    route, json_file = _route_and_json(route, json_file)
    output.as_json = json_file == STDOUT
    period = _period(day, begin, end)
    words = Words(texts_for(language, os.environ))
    written = [name for name in (csv_file, json_file, html_file) if name is not None]
    with open_for_reading(journal.path) as opened, opened.held_still():
        planned = open_route(route)
        require_apart(written, [planned.path, opened.path])
        listed = Listed(WORDS, _MOST_LISTED)
        with contextlib.ExitStack() as stack:
            files = {
                form: stack.enter_context(
                    report_file(name, marks=_MARKS[form], encoding=ENCODINGS[form])
                )
                for form, name in (("csv", csv_file), ("json", json_file), ("html", html_file))
                if name is not None
            }
            head, summary = make_report(
                opened,
                planned,
                files,
                made=now().astimezone(),
                period=period,
                mask=mask,
                words=words,
                listed=listed,
                on_stop=stack.enter_context(_progress(output, planned.size)),
            )
    for notice in head.notices:
        output.warning(str(notice))
    if STDOUT not in written:
        _show(output, head, summary, listed)
    for name in written:
        if name != STDOUT:
            output.note(f"{name} was written")


def _route_and_json(route: str | None, json_file: str | None) -> tuple[str, str | None]:
    """Return ROUTE and the file of JSON; ``--json ROUTE`` means a document on stdout."""
    if route is None and json_file not in (None, STDOUT):
        route, json_file = json_file, STDOUT
    if route is None:
        raise click.UsageError("Missing argument 'ROUTE': the route's file, as monday.csv.")
    return route, json_file


def _period(
    day: datetime | None, begin: datetime | date | None, end: datetime | date | None
) -> Period:
    """Return the period that options name; a day is one of this machine's clock, and whole."""
    if day is not None:
        if begin is not None or end is not None:
            raise Failure("--day is a whole day; leave it out, or leave out --from and --to")
        return day_of(day.date(), None)
    try:
        return parameters.period(begin, end)
    except ValueError as error:
        raise Failure(str(error)) from None


# --- for people -----------------------------------------------------------------------------------


def _show(output: Output, head: ReportHead, summary: ReportSummary, listed: Listed) -> None:
    span = WORDS.span(summary.first, summary.last)
    output.line(f"{harmless(head.route)}: {WORDS.stops(summary)}; {span}")
    if head.period.limited:
        output.line(f"period: {WORDS.period(head.period)}")
    output.line()
    output.table(
        ["meters", ">", ">"],
        [[result.value, f"{summary.stops[result]}", _share(summary, result)] for result in SHOWN],
    )
    if summary.tasks:
        output.line()
        output.table(
            ["tasks", *(f">{result.value}" for result in RESULTS)],
            [
                [WORDS.kinds(kind), *(f"{counts[result]}" for result in RESULTS)]
                for kind, counts in summary.tasks.items()
            ],
        )
    if summary.strangers:
        output.line()
        times = "once" if summary.strangers == 1 else f"{summary.strangers} times"
        output.line(f"{times} a meter was there that is not on the route")
    if listed.count:
        output.line()
        rows = [[row.result.value, row.meter, row.place, row.told] for row in listed.gravest()]
        output.table(["to be looked at", "meter", "place", "what is known"], rows)
        if more := listed.count - len(rows):
            output.note(f"and {more} more; --html has all")
    if head.journal.entry:
        output.line()
        output.line(f"journal {harmless(head.journal.name)}, entry {head.journal.entry}")
        output.line(f"to check it later: vtc07 hhu verify --expect {head.journal.digest.hex()}")


def _share(summary: ReportSummary, result: StopResult) -> str:
    return WORDS.share(summary.stops[result], summary.size)


@contextlib.contextmanager
def _progress(output: Output, total: int) -> Iterator[Callable[[], Any]]:
    """Show how far it is, on a terminal."""
    if output.as_json or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - on a terminal only
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("meters"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("meters", total=total)
        yield lambda: bar.update(task, advance=1)
