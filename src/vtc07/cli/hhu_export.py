"""``vtc07 hhu export``: the journal as JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

import click

from vtc07.cli import parameters
from vtc07.cli.failure import Failure
from vtc07.cli.journalling import JournalOptions, journal_option
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.cli.percent import percent
from vtc07.hhu.journal.export import Selection, export_lines, write_export
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.tokens import MeterPAN


@click.command(
    epilog=examples(
        "vtc07 hhu export monday.jsonl",
        "vtc07 hhu export --mask --from 2026-03-02 --to 2026-03-02 monday.jsonl",
        "vtc07 hhu export --mask --delivery 12",
    )
)
@journal_option
@click.option(
    "--mask", is_flag=True, help="Leave out the tokens; the export can be verified still."
)
@click.option(
    "--from",
    "begin",
    type=parameters.MOMENT,
    metavar="TIME",
    help="Entries from this day or time on, as 2026-03-01 or 2026-03-01T12:30.",
)
@click.option(
    "--to", "end", type=parameters.MOMENT, metavar="TIME", help="Entries up to this day or time."
)
@click.option(
    "--meter", "meter_pan", type=parameters.PAN, metavar="MeterPAN", help="Of this meter alone."
)
@click.option("--delivery", type=click.IntRange(1), metavar="NUMBER", help="Of this one alone.")
@json_option
@click.argument("file", required=False)
@click.pass_obj
def export(
    output: Output,
    journal: JournalOptions,
    *,
    mask: bool,
    begin: datetime | date | None,
    end: datetime | date | None,
    meter_pan: MeterPAN | None,
    delivery: int | None,
    file: str | None,
) -> None:
    """Write the journal as it is now to FILE or stdout, an entry a line; also while it is in use.

    What is left out by an option is said in the first line. vtc07 hhu verify FILE checks an export,
    masked or not. FILE must not be there yet.
    """
    if output.as_json and file is None:
        raise Failure("--json tells what was written to FILE; without FILE, stdout is the export")
    try:
        time = parameters.period(begin, end)
    except ValueError as error:
        raise Failure(str(error)) from None
    pan = None if meter_pan is None else str(meter_pan)
    selection = Selection(time.begin, time.end, pan, delivery)
    with percent(output, "exporting") as told, open_for_reading(journal.path) as opened:
        if journal_has_no_chain := opened.version == 1:
            output.warning(
                "it is a journal of version 1, whose entries get their digests when it is next "
                "written to: those of this export are of no use later"
            )
        if delivery is not None:
            opened.delivery(delivery)  # or a sentence
        lines = export_lines(opened, selection, masked=mask, on_entries=told)
        if file is None:
            _write(output, lines)
            count = None
        else:
            count = write_export(lines, Path(file))
    if output.as_json:
        output.document(
            {
                "file": file,
                "entries": count,
                "whole": selection.whole,
                "masked": mask,
                "verifiable": not journal_has_no_chain,
            }
        )
    elif file is not None:
        output.note(f"{count} {'entry' if count == 1 else 'entries'} written to {file}")
    if not mask:
        output.note("it holds tokens, as the journal does: keep it as safe; --mask leaves them out")


def _write(output: Output, lines: Iterable[str]) -> None:
    for line in lines:
        output.line(line)
