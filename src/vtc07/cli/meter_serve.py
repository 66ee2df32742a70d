"""``vtc07 meter serve``: put a virtual meter on a port."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import signal
import sys
from types import FrameType

import click

from vtc07.carrier.companion import Companion
from vtc07.cli.connection import open_trace, profiled
from vtc07.cli.failure import Failure
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.cli.power import switch_off
from vtc07.cli.stores import open_store, store_key_option
from vtc07.links.address import SerialAddress, SimulatedAddress, TCPAddress, parse
from vtc07.links.blocking import LinkPort, ServerDriver, TCPPort, open_link, open_port
from vtc07.links.clock import MonotonicClock
from vtc07.links.link import LinkUnavailable, Port
from vtc07.links.serial import character_ns
from vtc07.meter import ConstantLoad, Meter, MeterServer, SQLiteStore, TokenExecuted
from vtc07.tokens import TCT, Service


@click.command(
    epilog=examples(
        "vtc07 meter serve kitchen.meter",
        "vtc07 meter serve kitchen.meter --listen tcp://127.0.0.1:4059 --load 1500",
        "vtc07 meter serve kitchen.meter --listen /dev/ttyUSB0",
    )
)
@click.argument("store", metavar="STORE")
@click.option(
    "--listen",
    default="tcp://127.0.0.1:0",
    show_default=True,
    metavar="ADDRESS",
    help="tcp://HOST:PORT (port 0: any free one) or a serial port.",
)
@click.option("--allow-remote", is_flag=True, help="Listen on an address that others can reach.")
@click.option(
    "--load",
    metavar="WATTS",
    help="What hangs on the meter: W (of each phase, as in 500,0,500), or litres per hour.",
)
@click.option(
    "--profile",
    metavar="NAME",
    help="Longer time limits for a slow path, as the companion names them: gsm.",
)
@click.option("--trace", metavar="FILE", help="Record what goes over the line; tokens stand in it.")
@store_key_option
@json_option
@click.pass_obj
def serve(
    output: Output,
    *,
    store: str,
    listen: str,
    allow_remote: bool,
    load: str | None,
    profile: str | None,
    trace: str | None,
    store_key_file: str | None,
) -> None:
    """Serve the meter in STORE at a port until Ctrl-C.

    The first line of stdout says where it listens. The protocol knows no encryption, so it
    listens on this machine alone unless --allow-remote.
    """
    address = parse(listen)
    if isinstance(address, SimulatedAddress):
        raise Failure(
            "a meter is served at tcp://HOST:PORT or a serial port; with sim:STORE other commands "
            "reach it without being served"
        )
    with contextlib.ExitStack() as resources:
        opened = resources.enter_context(open_store(store, store_key_file, output))
        companion = profiled(opened.companion(), profile)
        wanted_load = None if load is None else _load(load, opened)
        if isinstance(address, SerialAddress):
            port = _serial_port(address, companion, resources)
        else:
            port = _open_port(address, companion, allow_remote=allow_remote)
        resources.callback(port.close)
        recorder = None
        if trace is not None:
            recording = open_trace(trace, companion.name, listen, lambda: companion)
            recorder = resources.enter_context(recording)
        clock = MonotonicClock()
        meter = Meter(companion, opened, now_ns=clock.now_ns(), load=wanted_load)

        def executed(event: TokenExecuted) -> None:
            status = "not stored" if event.status is None else event.status.value
            carrier = "virtual" if event.carrier is TCT.VIRTUAL else "numeric"
            output.progress(f"token from the {carrier} carrier: {status}")

        server = MeterServer(
            companion, meter, character_ns=port.character_ns, token_executed=executed
        )
        driver = ServerDriver(
            server, port, clock=clock, observer=None if recorder is None else recorder.observe
        )

        def stop(_number: int, _frame: FrameType | None) -> None:
            driver.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            resources.callback(signal.signal, number, signal.signal(number, stop))
        where = port.address if isinstance(port, TCPPort) else address
        pan = meter.state.nameplate.meter_pan
        if output.as_json:
            # One line, so that a program can read it while the meter is being served.
            output.line(json.dumps({"listening": str(where), "meter_pan": str(pan)}))
        else:
            output.line(f"meter {pan} is listening on {where}")
        sys.stdout.flush()
        try:
            driver.serve()
        finally:
            switch_off(meter, server, clock.now_ns(), output)
    output.progress("the meter is switched off")


def _serial_port(
    address: SerialAddress, companion: Companion, resources: contextlib.ExitStack
) -> Port:
    """Open a serial port at once: where that fails, nobody is told that it is listened on."""
    first = [open_link(address, companion.link)]
    resources.callback(first[0].close)
    return LinkPort(
        lambda: first.pop() if first else open_link(address, companion.link),
        character_ns=character_ns(address, companion.link),
    )


def _open_port(address: TCPAddress, companion: Companion, *, allow_remote: bool) -> Port:
    try:
        return open_port(address, companion.link, allow_remote=allow_remote)
    except LinkUnavailable as error:
        if allow_remote or _is_loopback(address.host):
            raise
        raise Failure(f"{error}, with --allow-remote") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _load(text: str, store: SQLiteStore) -> ConstantLoad:
    nameplate = store.load().nameplate
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and len(word) <= 9 for word in words):
        raise Failure(f"--load {text!r} is no load: write whole watts, as in 1500 or 500,0,500")
    if len(words) not in (1, nameplate.phases):
        raise Failure(
            f"--load names {len(words)} phases, but the meter has {nameplate.phases}; give one "
            "number for each"
        )
    if nameplate.service is Service.TIME:
        raise Failure("a meter of connection time has no load: it counts seconds; leave out --load")
    numbers = [int(word) for word in words]
    return ConstantLoad(tuple(numbers + [0] * (nameplate.phases - len(numbers))))
