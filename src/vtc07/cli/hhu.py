"""``vtc07 hhu``: the hand-held unit, its journal, and the terminal application."""

from __future__ import annotations

import importlib

import click

from vtc07.cli.lazy import LazyGroup, examples

#: Stands above the command line and is found by name, so that the arrows go on pointing down.
_APPLICATION = "vtc07.terminal.program"


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    members={
        "list": ("vtc07.cli.hhu_list:list_command", "List the deliveries of a journal."),
        "show": ("vtc07.cli.hhu_show:show", "Show a delivery as a sequence of messages."),
        "resume": ("vtc07.cli.hhu_resume:resume", "Find out what became of open deliveries."),
        "verify": ("vtc07.cli.hhu_verify:verify", "Check that a journal was not changed."),
        "backup": ("vtc07.cli.hhu_backup:backup", "Copy a journal, also while it is in use."),
        "export": ("vtc07.cli.hhu_export:export", "Write a journal as JSON Lines."),
    },
    epilog=examples(
        "vtc07 hhu",
        "vtc07 hhu --address /dev/ttyUSB0 --language fr",
        "vtc07 hhu resume /dev/ttyUSB0",
        "vtc07 hhu show 12",
        "vtc07 hhu verify",
    ),
)
@click.option("--address", metavar="ADDRESS", help="Where the meter is, to begin with.")
@click.option("--language", metavar="CODE", help="en, fr, pt, ...; else by your environment.")
@click.option(
    "--journal",
    metavar="FILE",
    help="The journal; else deliveries.journal in your state directory.",
)
@click.pass_context
def hhu(
    context: click.Context, *, address: str | None, language: str | None, journal: str | None
) -> None:
    """Be a hand-held unit; without COMMAND the terminal application.

    The journal holds everything that was sent and learnt, before and after it happened.
    """
    if context.invoked_subcommand is None:
        application = importlib.import_module(_APPLICATION)
        application.run(context.obj, address=address, language=language, journal=journal)
