"""``vtc07 identify``: ask a meter who it is."""

from __future__ import annotations

from typing import Any

import click

from vtc07.cli.connection import Connection, UnknownCompanion
from vtc07.cli.journalling import JournalOptions, journal_options, opened_if_possible
from vtc07.cli.lazy import examples
from vtc07.cli.link_options import LinkOptions, link_options
from vtc07.cli.output import Output, json_option
from vtc07.hhu import values
from vtc07.hhu.progress import unheard
from vtc07.hhu.session import Meter


@click.command(
    epilog=examples(
        "vtc07 identify tcp://127.0.0.1:4059",
        "vtc07 identify /dev/ttyUSB0 --meter-address 600727111111111153",
        "vtc07 identify sim:kitchen.meter --json",
    )
)
@link_options
@journal_options
@json_option
@click.pass_obj
def identify(output: Output, link: LinkOptions, journal: JournalOptions) -> None:
    """Ask the meter at ADDRESS who it is."""
    with (
        opened_if_possible(journal, output) as kept,
        Connection(link, output, unheard, journal=kept) as connection,
    ):
        try:
            meter = connection.identify()
        except UnknownCompanion as unknown:
            _stranger(output, link.address, unknown)
            return
        connection.sign_off()
        companion = connection.companion
    shown = [(r.register, r.value) for r in meter.identification]
    if output.as_json:
        output.document(
            {
                **meter_document(link.address, meter, companion.name),
                "registers": [values.document(r, v, companion) for r, v in shown],
            }
        )
        return
    output.pairs(
        [
            ("MeterPAN", meter.meter_pan or "not told"),
            ("FLAG letters", meter.identity.flag),
            ("identification", meter.identity.identification),
            ("companion", f"{companion.name}: {companion.title}"),
            *((r.name, values.text_for_people(r, v, companion)) for r, v in shown),
        ]
    )


def _stranger(output: Output, address: str, unknown: UnknownCompanion) -> None:
    """Tell what a meter says of which no shipped companion is known."""
    identity = unknown.identity
    if output.as_json:
        meter = Meter(identity, (), None, (str(unknown),))
        output.document({**meter_document(address, meter, None), "registers": []})
        return
    output.pairs([("FLAG letters", identity.flag), ("identification", identity.identification)])
    output.note(str(unknown))


def meter_document(address: str, meter: Meter, companion: str | None) -> dict[str, Any]:
    """Return who answered at an address; ``companion`` None: none that is known."""
    return {
        "address": address,
        "companion": companion,
        "meter_pan": meter.meter_pan,
        "flag": meter.identity.flag,
        "identification": meter.identity.identification,
        "warnings": list(meter.warnings),
    }
