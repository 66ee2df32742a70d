"""``vtc07 meter``: virtual payment meters."""

from __future__ import annotations

import click

from vtc07.cli.lazy import LazyGroup, examples


@click.group(
    cls=LazyGroup,
    members={
        "new": ("vtc07.cli.meter_new:new", "Make a meter."),
        "serve": ("vtc07.cli.meter_serve:serve", "Put a meter on a TCP or serial port."),
        "set": ("vtc07.cli.meter_set:set_", "Set load, tamper or power of a served meter."),
        "show": ("vtc07.cli.meter_show:show", "Show a meter that is not being served."),
        "enter": ("vtc07.cli.meter_enter:enter", "Enter tokens at a meter's keypad."),
    },
    epilog=examples(
        "vtc07 meter new kitchen.meter",
        "vtc07 meter serve kitchen.meter --listen tcp://127.0.0.1:4059",
        "vtc07 meter set kitchen.meter load household:7",
        "vtc07 meter show kitchen.meter",
    ),
)
def meter() -> None:
    """Make, serve and look at virtual payment meters.

    A meter is one file, its store; a key protects what is in it.
    """
