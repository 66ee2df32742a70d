"""The way to a meter as a person types it: an address, and behind it options of the head."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Final

import click

from vtc07.cli.head_options import Head
from vtc07.cli.link_options import AUTO, LinkOptions, link_options
from vtc07.hhu.texts import Said, said
from vtc07.links.address import AddressError, parse

_OPTION: Final = " --"


class WayError(Exception):
    """A text says no way to a meter; ``said`` says why."""

    def __init__(self, why: Said) -> None:
        self.said = why
        super().__init__(str(why))


@click.command(add_help_option=False)
@link_options
def _way(link: LinkOptions) -> LinkOptions:
    """Return what was typed."""
    return link


def way_of(text: str, companion: str = AUTO) -> LinkOptions:
    """Return the way that a text says: ``/dev/ttyUSB0 --wake-up normal --rts on``, for instance.

    The options are those of ``vtc07 read``. ``companion``: where the text names none. Raises
    WayError.
    """
    text = text.strip()
    if _OPTION in text:
        link = _parsed(text)
    else:
        link = LinkOptions(
            address=text,
            companion=AUTO,
            meter_address="",
            speed=None,
            attempts=None,
            profile=None,
            wake_up="none",
            trace=None,
            store_key_file=None,
            password_file=None,
            head=Head(),
        )
    if not link.address.isprintable():  # nothing of the system's has such a name
        raise WayError(said("{address} is no address.", address=link.address))
    try:
        address = str(parse(link.address))
    except AddressError:
        raise WayError(said("{address} is no address.", address=link.address)) from None
    chosen = companion if link.companion == AUTO else link.companion
    return replace(link, address=address, companion=chosen)


def _parsed(text: str) -> LinkOptions:
    try:
        link: LinkOptions = _way.main(shlex.split(text), prog_name="way", standalone_mode=False)
    except click.ClickException as error:
        raise WayError(said("{why}", why=error.format_message())) from None
    except ValueError as error:  # a quotation mark that is not closed
        raise WayError(said("{why}", why=str(error))) from None
    if link.trace is not None or link.password_file == "-":  # noqa: S105 - stdin, no password
        raise WayError(
            said("Leave out --trace (F2 shows the line), and name a file for --password-file.")
        )
    return link
