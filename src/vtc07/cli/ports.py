"""``vtc07 ports``: the serial ports that this machine has."""

from __future__ import annotations

from dataclasses import asdict

import click

from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.links.ports import load_serialx, serial_ports


@click.command(epilog=examples("vtc07 ports", "vtc07 ports --json"))
@json_option
@click.pass_obj
def ports(output: Output) -> None:
    """List the serial ports of this machine, with what USB adapters say of themselves.

    What stands under Port is to be written as ADDRESS. A name under Always stays with the adapter,
    whatever else is plugged in: it may be written in place of the other.
    """
    load_serialx("cannot list serial ports")
    found = serial_ports()
    if output.as_json:
        described = [{**asdict(port), "description": port.description} for port in found]
        output.document({"ports": described})
        return
    if not found:
        output.note(
            "no serial port found; check that the adapter is plugged in, that the system has a "
            "driver for it, and, in a container or virtual machine, that it is handed on"
        )
        return
    output.table(
        ["Port", "What", "USB", "Serial number", "Always"],
        [
            [port.device, port.description, port.usb_id, port.serial_number, port.stable]
            for port in found
        ],
    )
