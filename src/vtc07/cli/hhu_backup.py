"""``vtc07 hhu backup``: a copy of the journal, also while it is in use."""

from __future__ import annotations

from pathlib import Path

import click

from vtc07.cli.hhu_verify import verification_document, verification_rows
from vtc07.cli.journalling import JournalOptions, journal_option
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.cli.percent import percent
from vtc07.hhu.journal.backup import back_up


@click.command(
    epilog=examples(
        "vtc07 hhu backup /media/stick",
        "vtc07 hhu backup monday.journal --journal deliveries.journal",
    )
)
@journal_option
@json_option
@click.argument("target")
@click.pass_obj
def backup(output: Output, journal: JournalOptions, *, target: str) -> None:
    """Copy the journal as it is now to TARGET, and check the copy.

    TARGET is a new file, or a folder: then the copy is named after the journal and its last entry.
    Nothing is overwritten. It holds tokens, as the journal does: keep it as safe. To use a copy as
    the journal again, put it in the journal's place while no program runs, and move away the
    journal's -wal file first if there is one.
    """
    with percent(output, "copying") as told:
        made = back_up(journal.path, Path(target), on_pages=told)
    if output.as_json:
        output.document(verification_document(made.verification))
    else:
        output.pairs(verification_rows(made.verification))
