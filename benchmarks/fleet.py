"""Many meters in one process on one core, each read every two seconds.

Run `python benchmarks/fleet.py [--meters N]... [--seconds S] [--store memory|sqlite]`; it prints a
table in Markdown, a row for each number of meters, and ends with 1 where too few answers came in
time.

Two processes, each on a core of its own where the system allows to say so. The server's: an
asyncio loop with `vtc07.links.aio.Fleet`, and in it N meters of the companion `electricity` as they
are served to anybody, each at its own TCP port of the loopback, with a store, credit and a load of
1500 W, whose consumption each meter commits every 10 s. The client's: a plain asyncio program that
uses nothing of the package, with N connections, all open at once. After an IDRequest on each, every
meter is sent a ReadCommand every two seconds, the meters evenly spread: in turn the MeterPAN, and
four registers of credit and consumption. Every answer is checked: BCC, addresses, the meter's own
MeterPAN. Its time runs from before the command is written to after its last character is read, at
the client. The meter waits 200 ms by itself: its reaction time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import gc
import json
import operator
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

PERIOD_S = 2.0
SHORTEST_S, LONGEST_S = 0.200, 0.500
GOAL = 99.9  # percent of the answers between the two
SIZES = (100, 500, 1000, 2000)
HOST = "127.0.0.1"
LOAD_W, CREDIT_WH = 1500, 10_000_000
ID_REQUEST = b"/?!\r\n"


def pin(place: int) -> None:
    """Stay on one core, where the system allows to say so and has more than one."""
    if sys.platform == "linux":
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[place % len(cores)]})


def meter_pan(number: int) -> str:
    """Return the MeterPAN of a meter of the fleet: 600727, a DRN of 11 digits, a check digit."""
    from vtc07.tokens import luhn_digit  # noqa: PLC0415 - the client needs the digits only

    drn = f"{number:010d}"
    digits = f"600727{drn}{luhn_digit(drn)}"
    return digits + str(luhn_digit(digits))


# --- The server's process ------------------------------------------------------------------------


def resident() -> int:
    """Return how much memory this process has, in bytes; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def tell(**facts: Any) -> None:
    """Tell the other process something."""
    print(json.dumps(facts), flush=True)


async def serve(meters: int, folder: Path | None) -> None:
    """Serve meters until the other process closes the pipe; answer each line with what it costs."""
    from vtc07.carrier.companion_file import load_companion  # noqa: PLC0415 - the server only
    from vtc07.links import aio  # noqa: PLC0415
    from vtc07.links.address import TCPAddress  # noqa: PLC0415
    from vtc07.links.clock import MonotonicClock  # noqa: PLC0415
    from vtc07.meter import (  # noqa: PLC0415
        CompanionSource,
        ConstantLoad,
        MemoryStore,
        Meter,
        MeterServer,
        SQLiteStore,
        Store,
        StoreKey,
        manufacture,
    )
    from vtc07.tokens import (  # noqa: PLC0415
        EA,
        KEN,
        KRN,
        KT,
        SGC,
        TI,
        TID,
        BaseDate,
        DecoderKey,
        KeyAttributes,
        MeterPAN,
    )

    companion = load_companion("electricity")
    source = CompanionSource.of("electricity")
    key = DecoderKey(EA.MISTY1, b"no secret: vtc07")
    attributes = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
    clock = MonotonicClock()
    async with aio.Fleet() as fleet:
        before = resident()
        ports: list[int] = []
        for number in range(meters):
            state = manufacture(companion, MeterPAN(meter_pan(number)), key, attributes, TID(0))
            state = credited(state)
            store: Store
            if folder is None:
                store = MemoryStore(state)
            else:
                store = SQLiteStore.create(
                    folder / f"{number}.meter", state, source, StoreKey(b"no secret: vtc07" * 2)
                )
            meter = Meter(companion, store, now_ns=clock.now_ns(), load=ConstantLoad((LOAD_W,)))
            line = await fleet.add(MeterServer(companion, meter), TCPAddress(HOST, 0))
            ports.append(line.address.port)
        gc.collect()
        gc.freeze()  # what is there will stay: later collections need not look at it
        tell(ports=ports)
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def asked() -> None:
            if sys.stdin.readline():
                tell(cpu_s=time.process_time(), at_s=time.monotonic(), bytes=resident() - before)
            else:
                done.set()

        loop.add_reader(sys.stdin.fileno(), asked)
        await done.wait()
        loop.remove_reader(sys.stdin.fileno())


def credited(state: Any) -> Any:
    """Return a meter with credit, its load switch closed."""
    from dataclasses import replace  # noqa: PLC0415 - the server only

    return replace(state, account=replace(state.account, balance=CREDIT_WH))


# --- The client's process ------------------------------------------------------------------------


def bcc(covered: bytes) -> bytes:
    """Return the block check character."""
    return bytes((functools.reduce(operator.xor, covered, 0),))


def command(register: str, count: str) -> bytes:
    """Return a ReadCommand."""
    covered = f"R1\x02{register}({count})\x03".encode("ascii")
    return b"\x01" + covered + bcc(covered)


READ_PAN = command("0010", "")
READ_CREDIT = command("0020", "04")
CREDIT = re.compile(
    rb"\x020020\([0-9A-F]{16}\*Wh\)0021\([0-9A-F]{16}\*Wh\)(?:\r\n)?0022\([0-9A-F]{16}\*Wh\)"
    rb"(?:\r\n)?0023\([0-9A-F]{8}\*W\)\x03"
)
IDENTIFICATION = re.compile(rb"/VTC3010000010000\r\n")


@dataclass
class Tally:
    """What the client has seen."""

    times: list[float] = field(default_factory=list)
    sent: int = 0
    wrong: int = 0
    late: int = 0  # asked again before the answer was there
    counting: bool = False


class Caller(asyncio.Protocol):
    """One connection to one meter."""

    def __init__(self, pan: str, tally: Tally) -> None:
        message = f"\x020010({pan})\x03".encode("ascii")
        self._pan_answer = message + bcc(message[1:])
        self._tally = tally
        self._heard = b""
        self._asked = b""
        self._sent_s = 0.0
        self._counted = False
        self._turn = 0
        self.identified: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(ID_REQUEST)

    def ask(self) -> None:
        """Send the next command."""
        if self._asked:
            self._tally.late += self._tally.counting
            return
        self._turn += 1
        self._asked = READ_PAN if self._turn % 2 else READ_CREDIT
        self._counted = self._tally.counting
        self._tally.sent += self._counted
        self._sent_s = time.monotonic()
        self._transport.write(self._asked)

    def data_received(self, data: bytes) -> None:
        """Take an answer."""
        self._heard += data
        if not self.identified.done():
            if self._heard.endswith(b"\n"):
                is_it = IDENTIFICATION.fullmatch(self._heard) is not None
                self._heard = b""
                if is_it:
                    self.identified.set_result(None)
                else:
                    self.identified.set_exception(ValueError(f"a wrong IDResponse: {data!r}"))
            return
        if self._heard[-2:-1] != b"\x03":
            return
        now, heard = time.monotonic(), self._heard
        self._heard = b""
        asked, self._asked = self._asked, b""
        if asked == READ_PAN:
            good = heard == self._pan_answer
        else:
            good = CREDIT.fullmatch(heard[:-1]) is not None and heard[-1:] == bcc(heard[1:-1])
        if self._counted:
            self._tally.wrong += not good
            self._tally.times.append(now - self._sent_s)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whyever
        """Take notice: what was asked will not be answered."""
        if not self.identified.done():
            self.identified.set_exception(ConnectionError("the meter closed the connection"))


@dataclass(frozen=True)
class Row:
    """What came of one number of meters."""

    meters: int
    store: str
    seconds: float
    answers: int
    missing: int
    wrong: int
    in_time: float  # percent of what was asked
    times: Sequence[float]  # sorted
    busy: float  # of the server's core, percent
    bytes_a_meter: float

    @property
    def good(self) -> bool:
        """Say whether enough answers came in time, and none was wrong."""
        return self.in_time >= GOAL and not self.wrong


async def call(ports: Sequence[int], seconds: float, server: subprocess.Popen[str]) -> Row:
    """Connect to every meter, read each every two seconds, and count."""
    loop, tally = asyncio.get_running_loop(), Tally()
    callers: list[Caller] = []
    for first in range(0, len(ports), 100):
        some = [
            loop.create_connection(
                functools.partial(Caller, meter_pan(first + place), tally), HOST, port
            )
            for place, port in enumerate(ports[first : first + 100])
        ]
        callers += [caller for _, caller in await asyncio.gather(*some)]
    await asyncio.gather(*(caller.identified for caller in callers))
    gc.collect()
    gc.freeze()
    begin = loop.time() + 0.1

    def turn(caller: Caller, due: float) -> None:
        caller.ask()
        loop.call_at(due + PERIOD_S, turn, caller, due + PERIOD_S)

    for place, caller in enumerate(callers):
        due = begin + PERIOD_S * place / len(callers)
        loop.call_at(due, turn, caller, due)
    await asyncio.sleep(PERIOD_S)
    first_facts = await loop.run_in_executor(None, ask_server, server)
    tally.counting = True
    await asyncio.sleep(seconds)
    tally.counting = False
    last_facts = await loop.run_in_executor(None, ask_server, server)
    await asyncio.sleep(LONGEST_S + SHORTEST_S)  # for what is still on its way
    asked = tally.sent + tally.late
    times = sorted(tally.times)
    in_time = sum(SHORTEST_S <= t <= LONGEST_S for t in times) - tally.wrong
    elapsed = last_facts["at_s"] - first_facts["at_s"]
    return Row(
        meters=len(ports),
        store="",
        seconds=elapsed,
        answers=len(times),
        missing=asked - len(times),
        wrong=tally.wrong,
        in_time=100 * in_time / max(1, asked),
        times=times,
        busy=100 * (last_facts["cpu_s"] - first_facts["cpu_s"]) / elapsed,
        bytes_a_meter=last_facts["bytes"] / len(ports),
    )


def ask_server(server: subprocess.Popen[str]) -> dict[str, float]:
    """Ask the server what it has cost so far."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("?\n")
    server.stdin.flush()
    facts: dict[str, float] = json.loads(server.stdout.readline())
    return facts


@contextlib.contextmanager
def served(meters: int, store: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Have meters served by another process."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [sys.executable, __file__, "--serve", str(meters)]
        if store == "sqlite":
            arguments += ["--folder", folder]
        with subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                raise SystemExit("the server did not start")
            yield server, json.loads(line)["ports"]
            assert server.stdin is not None
            server.stdin.close()


def measure(meters: int, seconds: float, store: str) -> Row:
    """Measure one number of meters."""
    with served(meters, store) as (server, ports):
        row = asyncio.run(call(ports, seconds, server))
    return Row(**{**row.__dict__, "store": store})


def quantile(times: Sequence[float], share: float) -> str:
    """Return a quantile of sorted times, in ms."""
    if not times:
        return ""
    return f"{1000 * times[min(len(times) - 1, int(share * len(times)))]:.0f}"


def print_row(row: Row) -> None:
    """Print one line of the table."""
    times = row.times
    print(
        f"| {row.meters:,} | {row.store} | {row.answers / row.seconds:,.0f} | "
        f"{row.in_time:.2f} % | {quantile(times, 0)} | {quantile(times, 0.5)} | "
        f"{quantile(times, 0.99)} | {quantile(times, 0.999)} | {quantile(times, 1)} | "
        f"{row.wrong} | {row.missing} | {row.busy:.0f} % | {row.bytes_a_meter / 1024:,.0f} |",
        flush=True,
    )


def main() -> int:
    """Measure, or serve."""
    parser = argparse.ArgumentParser(description="Many meters in one process on one core.")
    parser.add_argument("--meters", action="append", type=int, help="by default 100 to 2,000")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--store", action="append", choices=("memory", "sqlite"))
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        pin(0)
        asyncio.run(serve(options.serve, options.folder))
        return 0
    pin(1)
    print(
        f"{platform.python_implementation()} {platform.python_version()} on {platform.machine()}, "
        f"{os.cpu_count()} cores; each row {options.seconds:g} s, every meter read every "
        f"{PERIOD_S:g} s.\n"
    )
    print(
        "| Meters | Store | Answers a second | in 200 to 500 ms | least, ms | median | 99 % | "
        "99.9 % | most | wrong | missing | core busy | KiB a meter |"
    )
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    good = True
    for store in options.store or ("memory",):
        for meters in options.meters or SIZES:
            row = measure(meters, options.seconds, store)
            print_row(row)
            good = good and row.good
    print(f"\nThe goal is {GOAL} % of the answers between 200 and 500 ms, and none wrong.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
