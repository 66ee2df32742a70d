"""``vtc07 read``: read registers of a meter."""

from __future__ import annotations

import click

from vtc07.carrier.companion import Companion
from vtc07.carrier.events import RegisterValue
from vtc07.carrier.registers import Register
from vtc07.cli.connection import Connection
from vtc07.cli.failure import ExitCode, Failure
from vtc07.cli.identify import meter_document
from vtc07.cli.journalling import JournalOptions, journal_options, opened_if_possible
from vtc07.cli.lazy import examples
from vtc07.cli.link_options import LinkOptions, link_options
from vtc07.cli.output import Output, json_option
from vtc07.cli.progress import Progressing
from vtc07.hhu import selection, values
from vtc07.hhu.reading import read


@click.command(
    "read",
    epilog=examples(
        "vtc07 read sim:kitchen.meter",
        "vtc07 read sim:kitchen.meter creditBalance loadSwitch",
        "vtc07 read tcp://127.0.0.1:4059 0010-001A tokenLog.1 --json",
        "vtc07 read /dev/ttyUSB0 --all",
    ),
)
@link_options
@journal_options
@json_option
@click.option("--all", "everything", is_flag=True, help="Every register that can be read.")
@click.argument("registers", nargs=-1, metavar="[REGISTER]...")
@click.pass_obj
def read_command(
    output: Output,
    link: LinkOptions,
    journal: JournalOptions,
    *,
    registers: tuple[str, ...],
    everything: bool,
) -> None:
    """Read registers of the meter at ADDRESS; without REGISTER an overview.

    REGISTER is a name (creditBalance), a number (0020), a range (0010-001A), or a series
    (tokenLog, or tokenLog.1 for its newest entry).

    What passes stands in the journal (vtc07 hhu); the reading goes on where that is in use.
    """
    if everything and registers:
        raise Failure("--all reads every register; leave out their names, or leave out --all")
    with (
        Progressing(output) as progress,
        opened_if_possible(journal, output) as kept,
        Connection(link, output, progress.heard, journal=kept) as connection,
    ):
        wanted = _wanted(connection.companion, registers, everything=everything)
        known = connection.greet(compare=False)
        found = connection.run(read(connection.session, wanted))
        meter = connection.session.meter or known
        for warning in meter.warnings[len(known.warnings) :]:
            output.warning(warning)
        connection.sign_off()
        companion = connection.companion
    if output.as_json:
        output.document(
            {
                **meter_document(link.address, meter, companion.name),
                "registers": [
                    values.document(v.register, v.value, companion) for v in found.values
                ],
                "refused": [
                    {"address": r.register.address, "name": r.register.name, "why": r.why}
                    for r in found.refused
                ],
            }
        )
    else:
        show(output, found.values, companion)
    if found.refused:
        names = ", ".join(r.register.name for r in found.refused)
        raise Failure(
            f"the meter refused to tell {names}: {found.refused[0].why}", ExitCode.REFUSED
        )


def show(output: Output, found: tuple[RegisterValue, ...], companion: Companion) -> None:
    """Write registers as a table, empty entries of a log left out."""
    rows = [
        values.row(v.register, v.value, companion) for v in found if not is_unused(v, len(found))
    ]
    output.table(values.COLUMNS, rows)
    if unused := len(found) - len(rows):
        output.note(f"{unused} empty entries of logs are not shown")


def is_unused(value: RegisterValue, beside: int) -> bool:
    """Say whether this is an empty entry of a log; asked for alone it is shown all the same."""
    return beside > 1 and value.value == "" and value.register.name[-1:].isdigit()


def _wanted(
    companion: Companion, words: tuple[str, ...], *, everything: bool
) -> tuple[Register, ...]:
    if everything:
        return selection.readable(companion)
    return selection.select(companion, words) if words else selection.overview(companion)
