"""A readout by this project's hand-held unit beside the same one by the PyPI client, in one run.

Run `python benchmarks/readout.py [--repeats N]`; it needs the PyPI package iec62056-21 and prints
a table in Markdown.

One meter of the companion `electricity-mode-c`, served by the blocking driver over TCP on this
machine, is read in turn by both: request, identification, option select, readout. The PyPI client
is as it was published; nothing of it is replaced. The meter waits its reaction time of 200 ms
before the identification and before the readout; a client has to wait as long before its option
select (IEC 62056-21 6.4.3.6), so no readout that keeps the rules takes less than three reaction
times. How long each client really waited is measured at the meter's end. Both have to bring the
same values.

TCP paces no characters and knows no speed, so this compares what the clients wait beside that.
What the characters cost on a line stands in the table of `line_efficiency`.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from line_efficiency import used_meter
from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import Perform, Procedure
from vtc07.carrier.events import Command
from vtc07.carrier.exchange.blocks import parse_block
from vtc07.carrier.exchange.events import ReadOut, SignOn
from vtc07.carrier.exchange.hhu import HHU
from vtc07.links import blocking
from vtc07.links.address import TCPAddress
from vtc07.links.clock import MonotonicClock
from vtc07.links.link import ClientEndpoint, Sender
from vtc07.meter import MemoryStore, Meter, MeterServer

Values = dict[str, tuple[str, str | None]]


class Pauses:
    """Notes how long after the meter's identification the option select comes."""

    def __init__(self) -> None:
        self._identified_ns = 0
        self.found: list[float] = []

    def observe(self, sender: Sender, chars: bytes, now_ns: int) -> None:
        """Take what one end of the meter's port said."""
        if sender == "server" and chars.startswith(b"/"):
            self._identified_ns = now_ns
        elif sender == "client" and chars.startswith(b"\x06"):
            self.found.append((now_ns - self._identified_ns) / 1e6)


@contextmanager
def served(companion: Companion, pauses: Pauses) -> Iterator[TCPAddress]:
    """Serve a meter in a thread."""
    meter = Meter(companion, MemoryStore(used_meter(companion)), now_ns=MonotonicClock().now_ns())
    port = blocking.TCPPort(TCPAddress("127.0.0.1", 0))
    driver = blocking.ServerDriver(MeterServer(companion, meter), port, observer=pauses.observe)
    serving = threading.Thread(target=driver.serve)
    serving.start()
    try:
        yield port.address
    finally:
        driver.stop()
        serving.join()


def ours(companion: Companion, address: TCPAddress) -> Values:
    """Read out with the hand-held unit of `vtc07 readout`."""
    core = cast("ClientEndpoint", HHU(companion.timing, limits=companion.limits, paced=False))

    def sign_on() -> Procedure[Any]:
        return (yield Perform(cast("Command", SignOn())))

    with blocking.ClientDriver(core, lambda: blocking.TCPLink.connect(address)) as driver:
        event = driver.run(sign_on())
    assert isinstance(event, ReadOut), event
    block = parse_block(event.chars)
    return {
        row.address: (row.values[0].value, row.values[0].unit) for row in block.rows if row.values
    }


def theirs(address: TCPAddress) -> Values:
    """Read out with the PyPI client."""
    from iec62056_21.client import Iec6205621Client  # noqa: PLC0415 - only where it is installed

    client = Iec6205621Client.with_tcp_transport(address=(address.host, address.port))
    client.connect()
    try:
        readout = client.standard_readout()
    finally:
        client.disconnect()
    return {each.address: (each.value, each.unit or None) for each in readout.data}


def timed(found: list[float], work: Any) -> Values:
    """Note how long a readout takes, connection and parsing included."""
    begun = time.monotonic()
    values: Values = work()
    found.append(time.monotonic() - begun)
    return values


def main(arguments: Sequence[str] | None = None) -> int:
    """Read out in turn, and print."""
    parser = argparse.ArgumentParser(description="Two clients' readouts of one meter.")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    companion = load_companion("electricity-mode-c")
    times: dict[str, list[float]] = {"vtc07": [], "PyPI iec62056-21 0.0.2": []}
    pauses = Pauses()
    with served(companion, pauses) as address:
        for _ in range(options.repeats):
            mine, other = (
                timed(found, work)
                for found, work in zip(
                    times.values(),
                    (lambda: ours(companion, address), lambda: theirs(address)),
                    strict=True,
                )
            )
            if mine != other:
                print(f"the two readouts differ: {mine} and {other}", file=sys.stderr)
                return 1
    least = 3 * companion.reaction_ns / 1e9
    print(
        f"{platform.python_implementation()} {platform.python_version()}, one machine, TCP; "
        f"{len(mine)} rows, {options.repeats} readouts each, in turn.\n"
    )
    print("| Client | median, s | least, s | most, s | pause before the option select, ms |")
    print("|---|---:|---:|---:|---:|")
    for place, (name, found) in enumerate(times.items()):
        pause = statistics.median(pauses.found[place :: len(times)])
        print(
            f"| {name} | {statistics.median(found):.3f} | {min(found):.3f} | {max(found):.3f} | "
            f"{pause:.0f} |"
        )
    print(
        f"\nThree reaction times are {least:.3f} s. Whoever takes less did not wait its own of "
        f"{companion.reaction_ns // 10**6} ms."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
