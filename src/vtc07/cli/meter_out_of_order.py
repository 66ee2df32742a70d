"""``vtc07 meter serve`` of a damaged store: the sentence, and a meter that is out of order."""

from __future__ import annotations

import contextlib
import json
import sys

from vtc07.cli.failure import ExitCode, Failure
from vtc07.cli.link_options import profiled
from vtc07.cli.output import Output
from vtc07.cli.serving import open_served_port, stop_on_signals
from vtc07.cli.tracing import open_trace
from vtc07.links.address import LinkAddress
from vtc07.links.blocking import ServerDriver, TCPPort
from vtc07.meter import OutOfOrderServer, Remains, StoreCorrupt


def serve_out_of_order(
    output: Output,
    damage: StoreCorrupt,
    remains: Remains,
    *,
    address: LinkAddress,
    allow_remote: bool,
    profile: str | None,
    trace: str | None,
) -> None:
    """Say what is wrong with a store and serve its meter out of order until a signal.

    Nothing in the store is changed. It always ends with a Failure of exit code 2, as every other
    command with such a store does.
    """
    companion = profiled(remains.companion_source.companion(), profile)
    with contextlib.ExitStack() as resources:
        port = open_served_port(
            address, companion, resources, allow_remote=allow_remote, told=output.progress
        )
        server = OutOfOrderServer(companion, remains.nameplate, character_ns=port.character_ns)
        recorder = None
        if trace is not None:
            recording = open_trace(trace, companion.name, str(address), lambda: companion)
            recorder = resources.enter_context(recording)
        driver = ServerDriver(
            server,
            port,
            observer=None if recorder is None else recorder.observe,
            on_speed=None if recorder is None else recorder.speed,
        )
        stop_on_signals(driver, resources)
        output.warning(str(damage))
        where = port.address if isinstance(port, TCPPort) else address
        pan = None if remains.nameplate is None else str(remains.nameplate.meter_pan)
        if output.as_json:
            said = {"listening": str(where), "meter_pan": pan, "out_of_order": True}
            output.line(json.dumps(said))
        else:
            who = "a meter that has forgotten its MeterPAN" if pan is None else f"meter {pan}"
            output.line(f"{who}, out of order, is listening on {where}")
        sys.stdout.flush()
        driver.serve()
    raise Failure("the meter was out of order all the time: its store is damaged", ExitCode.USAGE)
