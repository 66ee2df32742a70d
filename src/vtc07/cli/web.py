"""``vtc07 web``: the hand-held unit in a browser, and the training bench."""

from __future__ import annotations

import importlib

import click

from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option

#: Stands above the command line and is found by name, so that the arrows go on pointing down.
_APPLICATION = "vtc07.web.program"


@click.command(
    epilog=examples(
        "vtc07 web",
        "vtc07 web --port 0 --language fr",
        "vtc07 web --bench",
    )
)
@click.option("--bench", is_flag=True, help="Virtual meters to try everything on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8070,
    show_default=True,
    help="The port to listen on; 0: any free one.",
)
@click.option("--language", metavar="CODE", help="en, fr, pt, ...; else as each browser asks.")
@click.option(
    "--journal",
    metavar="FILE",
    help="The journal; else deliveries.journal in your state directory.",
)
@json_option
@click.pass_obj
def web(
    output: Output, *, bench: bool, port: int, language: str | None, journal: str | None
) -> None:
    """Be a hand-held unit in a browser on this machine, until Ctrl-C.

    The first line of stdout is the address to open; it lets one in, so keep it to yourself.
    """
    application = importlib.import_module(_APPLICATION)
    options = application.Options(port=port, language=language, journal=journal, bench=bench)
    application.run(output, options)
