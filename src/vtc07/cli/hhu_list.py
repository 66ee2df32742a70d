"""``vtc07 hhu list``: the deliveries of a journal."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click

from vtc07.cli import parameters
from vtc07.cli.journalling import JournalOptions, journal_option
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.harmless import harmless
from vtc07.hhu.journal.deliveries import Delivery, JournalMissing
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.tokens import MeterPAN, TokenData

_COLUMNS = [">delivery", "opened", "meter", "token", ">entries", "result"]
_MASKED = "not shown"


@click.command(
    "list",
    epilog=examples(
        "vtc07 hhu list",
        "vtc07 hhu list --open",
        "vtc07 hhu list --meter 600727000000000009 --last 5 --mask",
        "vtc07 hhu list --all --json",
    ),
)
@journal_option
@click.option(
    "--meter", "meter_pan", type=parameters.PAN, metavar="MeterPAN", help="Of this meter alone."
)
@click.option("--open", "only_open", is_flag=True, help="Only those without a result.")
@click.option(
    "--last",
    type=click.IntRange(1, 100_000),
    default=20,
    show_default=True,
    metavar="NUMBER",
    help="So many, the newest.",
)
@click.option("--all", "everything", is_flag=True, help="All of them, however many.")
@click.option("--mask", is_flag=True, help="Leave the tokens out.")
@json_option
@click.pass_obj
def list_command(
    output: Output,
    journal: JournalOptions,
    *,
    meter_pan: MeterPAN | None,
    only_open: bool,
    last: int,
    everything: bool,
    mask: bool,
) -> None:
    """List the deliveries of the journal, the newest last; also while it is in use.

    Times are of this machine's clock. How many entries: how often the token was sent, or was about
    to be. One without a result is open; vtc07 hhu resume finds out what became of it.
    """
    pan = None if meter_pan is None else str(meter_pan)
    try:
        with open_for_reading(journal.path) as opened:
            if everything:
                found: Iterable[Delivery] = opened.each_delivery(pan, only_open=only_open)
            else:
                found = opened.newest(last, pan, only_open=only_open)
            if output.as_json:
                _write_json(found, mask=mask)
            elif everything:
                _write_lines(output, found, mask=mask)
            else:
                none = "no delivery is open" if only_open else "there is no such delivery"
                _write_table(output, list(found), mask=mask, none=none)
    except JournalMissing as missing:
        if journal.file is not None:
            raise
        output.note(str(missing))  # a unit that is new has nothing to tell, and nothing is wrong
        if output.as_json:
            output.document([])


def _write_table(output: Output, found: list[Delivery], *, mask: bool, none: str) -> None:
    if found:
        output.table(_COLUMNS, [_row(delivery, mask=mask) for delivery in found])
    else:
        output.line(none)


def _write_lines(output: Output, found: Iterable[Delivery], *, mask: bool) -> None:
    """Write a line for each, without columns: how wide they must be is known at the end only."""
    for delivery in found:
        output.line(harmless("  ".join(_row(delivery, mask=mask))))


def _write_json(found: Iterable[Delivery], *, mask: bool) -> None:
    """Write one JSON document, a delivery at a time."""
    before = "["
    for delivery in found:
        text = json.dumps(_document(delivery, mask=mask), indent=2).replace("\n", "\n  ")
        click.echo(f"{before}\n  {text}", nl=False)
        before = ","
    click.echo("\n]" if before == "," else "[]")


def _row(delivery: Delivery, *, mask: bool) -> list[str]:
    return [
        str(delivery.number),
        f"{delivery.opened.astimezone():%Y-%m-%d %H:%M:%S}",
        delivery.meter_pan,
        _MASKED if mask else TokenData.from_digits(delivery.token).grouped,
        str(delivery.writes),
        "open" if delivery.result is None else delivery.result,
    ]


def _document(delivery: Delivery, *, mask: bool) -> dict[str, Any]:
    ended = delivery.ended
    return {
        "delivery": delivery.number,
        "meter_pan": delivery.meter_pan,
        "token": None if mask else delivery.token,
        "opened": delivery.opened.isoformat(),
        "entries": delivery.writes,
        "closed": None if delivery.closed is None else delivery.closed.isoformat(),
        "result": None if ended is None else ended.members,
    }
