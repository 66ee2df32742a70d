"""``vtc07 meter serve``: put a virtual meter on a port."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import click

from vtc07.carrier.companion import Companion
from vtc07.carrier.endpoint import ServerEndpoint
from vtc07.carrier.exchange.settings import WakeUp
from vtc07.carrier.wake_up_meter import SleepingPort
from vtc07.cli.control_port import control_port
from vtc07.cli.failure import Failure
from vtc07.cli.head_options import Head, head_options
from vtc07.cli.lazy import examples
from vtc07.cli.link_options import profiled, stretch_of
from vtc07.cli.loads import MOST_ACCELERATION
from vtc07.cli.meter_out_of_order import serve_out_of_order
from vtc07.cli.output import Output, json_option
from vtc07.cli.served_meter import ServedMeter
from vtc07.cli.serving import open_served_port, stop_on_signals
from vtc07.cli.stores import open_store, remains_of, store_key_option
from vtc07.cli.tracing import open_trace
from vtc07.links.address import SimulatedAddress, parse
from vtc07.links.blocking import ServerDriver, TCPPort
from vtc07.links.clock import MonotonicClock
from vtc07.meter import StoreCorrupt


@click.command(
    epilog=examples(
        "vtc07 meter serve kitchen.meter",
        "vtc07 meter serve kitchen.meter --listen tcp://127.0.0.1:4059 --load 1500",
        "vtc07 meter serve kitchen.meter --load household:7 --acceleration 60",
        "vtc07 meter serve kitchen.meter --listen /dev/ttyUSB0",
    )
)
@click.argument("store", metavar="STORE")
@click.option(
    "--listen",
    default="tcp://127.0.0.1:0",
    show_default=True,
    metavar="ADDRESS",
    help="tcp://HOST:PORT (port 0: any free one), a serial port, rfc2217://HOST:PORT for one in "
    "the network, or pty:PATH.",
)
@click.option("--allow-remote", is_flag=True, help="Listen on an address that others can reach.")
@click.option(
    "--load",
    metavar="LOAD",
    help="What hangs on the meter: W (of each phase, as in 500,0,500), or litres per hour; "
    "profile:FILE.csv; household:SEED. vtc07 meter set changes it.",
)
@click.option(
    "--acceleration",
    type=click.IntRange(1, MOST_ACCELERATION),
    default=1,
    show_default=True,
    help="Seconds of consumption in one second.",
)
@click.option(
    "--profile",
    metavar="NAME",
    help="Longer time limits for a slow path, as the companion names them: gsm.",
)
@click.option(
    "--wake-up",
    type=click.Choice([way.value for way in WakeUp]),
    default=WakeUp.NONE.value,
    show_default=True,
    help="The port sleeps, as on a battery, until it is woken; fast: either way.",
)
@click.option("--trace", metavar="FILE", help="Record what goes over the line; tokens stand in it.")
@store_key_option
@head_options
@json_option
@click.pass_obj
def serve(
    output: Output,
    *,
    store: str,
    listen: str,
    allow_remote: bool,
    load: str | None,
    acceleration: int,
    profile: str | None,
    wake_up: str,
    trace: str | None,
    store_key_file: str | None,
    head: Head,
) -> None:
    """Serve the meter in STORE at a port until Ctrl-C.

    The first line of stdout says where it listens. The protocol knows no encryption, so it
    listens on this machine alone unless --allow-remote. What happens to the meter is told on
    stderr; vtc07 meter set acts on it meanwhile.

    Of a damaged store it says what is wrong and, where the store still tells what the meter was
    made as, serves a meter that is out of order: serverStatus 0041, ER08 to nearly everything,
    no token taken. The file is left as it is; the exit code is 2.
    """
    address = parse(listen)
    if isinstance(address, SimulatedAddress):
        raise Failure(
            "a meter is served at tcp://HOST:PORT, a serial port, rfc2217://HOST:PORT or pty:PATH; "
            "with sim:STORE other commands reach it without being served"
        )
    with contextlib.ExitStack() as resources:
        try:
            opened = resources.enter_context(open_store(store, store_key_file, output))
        except StoreCorrupt as damage:
            remains = remains_of(store, store_key_file)
            if remains is None:
                raise
            serve_out_of_order(
                output, damage, remains,
                address=address, allow_remote=allow_remote, profile=profile, trace=trace,
            )  # fmt: skip
            return
        companion = profiled(opened.companion(), profile)
        port = open_served_port(
            address, companion, resources, allow_remote=allow_remote, head=head,
            stretch=stretch_of(companion, profile), told=output.progress,
        )  # fmt: skip
        recorder = None
        if trace is not None:
            recording = open_trace(trace, companion.name, listen, lambda: companion)
            recorder = resources.enter_context(recording)
        clock = MonotonicClock()
        meter = ServedMeter(
            companion,
            opened,
            now_ns=clock.now_ns(),
            load=load,
            acceleration=acceleration,
            character_ns=port.character_ns,
            told=lambda sentence: output.progress(str(sentence)),
        )
        where = str(port.address if isinstance(port, TCPPort) else address)
        control = None
        try:
            control = resources.enter_context(
                control_port(Path(store), where, lambda it: meter.act(it, clock.now_ns()), clock)
            )
        except OSError as error:
            output.warning(f"vtc07 meter set will not reach the meter: {error.strerror or error}")
        driver = ServerDriver(
            _endpoint(meter, WakeUp(wake_up), companion),
            port,
            clock=clock,
            observer=None if recorder is None else recorder.observe,
            on_speed=None if recorder is None else recorder.speed,
            each_turn=None if control is None else control.turn,
        )
        stop_on_signals(driver, resources)
        if output.as_json:
            # One line, so that a program can read it while the meter is being served.
            output.line(json.dumps({"listening": where, "meter_pan": meter.meter_pan}))
        else:
            output.line(f"meter {meter.meter_pan} is listening on {where}")
        sys.stdout.flush()
        try:
            driver.serve()
        finally:
            meter.switch_off(clock.now_ns(), output)


def _endpoint(meter: ServedMeter, wake_up: WakeUp, companion: Companion) -> ServerEndpoint:
    """Return what the driver turns: the meter, or a port before it that sleeps until woken."""
    if wake_up is WakeUp.NONE:
        return meter
    return SleepingPort(meter, wake_up, companion.timing, character_ns=companion.link.character_ns)
