"""``vtc07 write``: write registers of a meter."""

from __future__ import annotations

from typing import Any

import click

from vtc07.carrier.companion import Companion
from vtc07.carrier.status import ErrorCode
from vtc07.cli.connection import Connection
from vtc07.cli.failure import ExitCode, Failure
from vtc07.cli.identify import meter_document
from vtc07.cli.journalling import JournalOptions, journal_option, now, opened
from vtc07.cli.lazy import examples
from vtc07.cli.link_options import LinkOptions, link_options
from vtc07.cli.output import Output, json_option
from vtc07.cli.progress import Progressing
from vtc07.hhu import selection, values
from vtc07.hhu.writing import WriteResult, write


@click.command(
    "write",
    epilog=examples(
        "vtc07 write sim:kitchen.meter lowCreditThreshold=500",
        'vtc07 write tcp://127.0.0.1:4059 "installationReference=flat 7" lowCreditAlarmEnabled=1',
    ),
)
@link_options
@journal_option
@json_option
@click.option(
    "--verify/--no-verify", default=True, show_default=True, help="Read back what was written."
)
@click.argument("assignments", nargs=-1, required=True, metavar="REGISTER=VALUE...")
@click.pass_obj
def write_command(
    output: Output,
    link: LinkOptions,
    journal: JournalOptions,
    *,
    assignments: tuple[str, ...],
    verify: bool,
) -> None:
    """Write registers of the meter at ADDRESS, in this order, up to the first refused one.

    Registers that the companion says cannot be written are asked for first, so that the meter
    refuses them before anything is changed.

    A meter of mode C wants its password for that (--password-file, VTC07_PASSWORD, or typed).

    What is about to be written stands in the journal first, and what became of it after.

    Numbers are decimal, in the register's unit. Credit, keys, limits and tamper are changed by
    tokens alone.
    """
    with (
        Progressing(output) as progress,
        opened(journal, output) as kept,
        Connection(link, output, progress.heard, journal=kept) as connection,
    ):
        companion = connection.companion
        wanted = [selection.assignment(companion, word) for word in assignments]
        if any(register.write_level for register, _ in wanted):
            with progress.aside():
                connection.want_password()
        meter = connection.greet()
        results = connection.run(
            write(connection.session, wanted, verify=verify, journal=kept, wall_clock=now)
        )
        connection.sign_off()
    for problem in dict.fromkeys(result.problem for result in results if result.problem):
        output.warning(problem)
    tried = {result.register for result in results}
    if output.as_json:
        output.document(
            {
                **meter_document(link.address, meter, companion.name),
                "registers": [_document(result, companion) for result in results],
                "not_tried": [register.name for register, _ in wanted if register not in tried],
            }
        )
    else:
        output.table(
            ["ID", "register", "value", "result"],
            [
                [
                    *values.row(result.register, result.value, companion)[:3],
                    _said(result, companion),
                ]
                for result in results
            ],
        )
    bad = next((result for result in results if not result.good), None)
    if bad is not None:
        sentence = f"{bad.register.name}: {_said(bad, companion)}"
        if bad.register.write_level is None:
            names = ", ".join(register.name for register in selection.writable(companion))
            sentence += f"; writable are {names or 'none'}"
        elif bad.error is ErrorCode.ACCESS_DENIED and bad.register.write_level:
            sentence += "; give the meter's password with --password-file"
        raise Failure(
            sentence, ExitCode.USAGE if bad.not_sent and len(results) == 1 else ExitCode.REFUSED
        )


def _said(result: WriteResult, companion: Companion) -> str:
    if result.not_sent:
        return f"not sent: {result.not_sent}"
    if not result.written:
        why = result.error.value if result.error else "for no reason that the companion names"
        return f"refused: {why}" + (f" ({result.error_text})" if result.error_text else "")
    if not result.good:
        assert result.read_back is not None
        back = values.text_for_people(result.register, result.read_back, companion)
        return f"written, but it reads {back!r}"
    return "written" if result.read_back is None else "written and read back"


def _document(result: WriteResult, companion: Companion) -> dict[str, Any]:
    return {
        **values.document(result.register, result.value, companion),
        "written": result.written,
        "read_back": result.read_back,
        "good": result.good,
        "result": _said(result, companion),
        "error": None if result.error is None else result.error.value,
    }
