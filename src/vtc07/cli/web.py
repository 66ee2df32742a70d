"""``vtc07 web``: the hand-held unit in a browser, and the training bench."""

from __future__ import annotations

import importlib

import click

from vtc07.cli.lazy import examples
from vtc07.cli.link_options import AUTO
from vtc07.cli.output import Output, json_option

#: These stand above the command line and are found by name, so that the arrows go on pointing down.
_APPLICATION = "vtc07.web.program"
_REACH = "vtc07.web.listening"
_PASSWORD = "vtc07.web.password_file"  # noqa: S105 - a module


@click.command(
    epilog=examples(
        "vtc07 web",
        "vtc07 web --open --address /dev/ttyUSB0",
        "vtc07 web --port 0 --language fr",
        "vtc07 web --bench --open",
        "vtc07 web --set-password web.password",
        "vtc07 web --host 192.0.2.7 --allow-remote --certificate chain.pem --private-key key.pem "
        "--password-file web.password",
    )
)
@click.option("--bench", is_flag=True, help="Virtual meters to try everything on.")
@click.option("--address", metavar="ADDRESS", help="Where a meter is: it is connected to at once.")
@click.option(
    "--companion",
    default=AUTO,
    show_default=True,
    metavar="NAME|FILE",
    help="The meters' companion; auto: ask each meter.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8070,
    show_default=True,
    help="The port to listen on; 0: any free one.",
)
@click.option("--open", "opens_browser", is_flag=True, help="Open your browser there.")
@click.option("--language", metavar="CODE", help="en, fr, pt, ...; else as each browser asks.")
@click.option(
    "--journal",
    metavar="FILE",
    help="The journal; else deliveries.journal in your state directory.",
)
@click.option(
    "--host",
    "--listen",
    default="127.0.0.1",
    show_default=True,
    metavar="HOST",
    help="The address to listen on.",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Listen on an address that others can reach; wants TLS and a password.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    help="A name under which browsers reach it besides; may be repeated.",
)
@click.option("--certificate", metavar="FILE", help="The certificate for TLS with its chain, PEM.")
@click.option("--private-key", metavar="FILE", help="The private key of it, PEM.")
@click.option(
    "--password-file", metavar="FILE", help="Whoever comes must know the password of this file."
)
@click.option(
    "--set-password", metavar="FILE", help="Ask for a password, write its hash to FILE, and end."
)
@json_option
@click.pass_obj
def web(
    output: Output,
    *,
    bench: bool,
    address: str | None,
    companion: str,
    port: int,
    opens_browser: bool,
    language: str | None,
    journal: str | None,
    host: str,
    allow_remote: bool,
    names: tuple[str, ...],
    certificate: str | None,
    private_key: str | None,
    password_file: str | None,
    set_password: str | None,
) -> None:
    """Be a hand-held unit in a browser on this machine, until Ctrl-C.

    The first line of stdout is the address to open; it lets one in, so keep it to yourself. With
    --password-file the address lets nobody in, and the password does.

    Exit codes: 0 ended, 2 wrong usage, 4 ended while tokens were being delivered, whose deliveries
    stand open in the journal, 130 Ctrl-C before it had begun.
    """
    if set_password is not None:
        importlib.import_module(_PASSWORD).set_password(set_password, output)
        return
    application = importlib.import_module(_APPLICATION)
    reach = importlib.import_module(_REACH).Reach(
        host=host,
        allow_remote=allow_remote,
        names=names,
        certificate=certificate,
        private_key=private_key,
        password_file=password_file,
    )
    application.run(
        output,
        application.Options(
            port=port,
            reach=reach,
            address=address,
            companion=companion,
            language=language,
            journal=journal,
            bench=bench,
            opens_browser=opens_browser,
        ),
    )
