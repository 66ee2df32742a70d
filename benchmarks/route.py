"""Routes of 1,000, 10,000 and 100,000 stops: how long opening takes, and how much memory.

Run `python benchmarks/route.py [--stops N]...`; it prints a table in Markdown, and fails where
10,000 stops take a second or more to open, or the longest route takes more memory than the
shortest.

Times are those of the processor, so that other work on the machine does not count. Each row is a
process of its own. It opens the route (every stop is judged), goes through all of its
stops, looks for the last meter, and checks the route. Beside it stands what the file costs anybody:
the same file read by the bare `csv` or `json` of the standard library, in the same process. Memory
is the most that was resident, beside what is resident before the route is opened.
"""

from __future__ import annotations

import argparse
import csv
import gc
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from vtc07.hhu.route.check import RouteCheck
from vtc07.hhu.route.file import open_route
from vtc07.tokens.identifiers import DRN, MeterPAN, MfrCode
from vtc07.tokens.tokendata import TokenData

STOPS: Final = (1_000, 10_000, 100_000)
FORMATS: Final = ("csv", "json")
#: A route of so many stops opens in less than that.
PROMISED_STOPS: Final = 10_000
PROMISED_S: Final = 1.0
#: The longest route may take so many times the memory of the shortest.
MEMORY_LIMIT: Final = 1.1


@dataclass(frozen=True, slots=True)
class Row:
    """One route. Times in seconds, memory in KiB.

    ``bare``: the file read by the standard library. ``opened``, ``walked``, ``found``, ``checked``:
    opening, all stops once, one meter looked for, the check. ``before`` and ``most``: resident
    memory before the route was opened, and the most from then to the end of ``found``;
    ``most_checked``: to the end of the check.
    """

    kind: str
    stops: int
    size: int
    bare: float
    opened: float
    walked: float
    found: float
    checked: float
    before: int
    most: int
    most_checked: int


def meter(number: int) -> str:
    """Return the MeterPAN of the n-th stop."""
    return MeterPAN.from_drn(DRN.of(MfrCode("11"), f"{number:08d}")).digits


def token(number: int, token_class: int = 0) -> str:
    """Return a token that no other number has."""
    block = (number + 1) * 0x9E3779B97F4A7C15 & (1 << 64) - 1
    digits = TokenData.assemble(token_class, block).digits
    return digits if not digits.endswith("00000") else token(number + (1 << 40), token_class)


def stops(count: int) -> Iterator[dict[str, Any]]:
    """Yield stops as a utility has them: credit for all, a key change for every fifth."""
    for number in range(count):
        deliver = [token(2 * number), token(2 * number + 1)]
        if number % 5 == 0:
            deliver += [f"{n}/4:{token(4 * number + n + (1 << 30), 2)}" for n in range(1, 5)]
        yield {
            "meter": meter(number),
            "place": f"{number % 200 + 1} Mill Lane, flat {number % 7}",
            "deliver": deliver,
            "write": ["lowCreditThreshold=500"],
            "read": ["creditBalance", "loadSwitch", "tamperStatus"],
            "notes": "behind the gate",
        }


def write_route(path: Path, kind: str, count: int) -> None:
    """Write a route of so many stops."""
    with path.open("w", encoding="utf-8", newline="") as file:
        if kind == "json":
            file.write('{"route": "benchmark", "stops": [')
            for number, stop in enumerate(stops(count)):
                file.write(",\n" if number else "\n")
                json.dump(stop, file)
            file.write("]}")
            return
        rows = csv.writer(file)
        rows.writerow(["meter", "place", "deliver", "write", "read", "notes"])
        for stop in stops(count):
            rows.writerow([";".join(v) if isinstance(v, list) else v for v in stop.values()])


def memory(what: str) -> int:
    """Return this process's resident memory in KiB: VmRSS now, VmHWM at most."""
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(what))


def forget_the_most() -> None:
    """Have the most resident memory counted from now on."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds of the processor something takes."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def bare(path: Path) -> None:
    """Read a file as anybody would."""
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".json":
            json.load(file)
        else:
            for _ in csv.reader(file):
                pass


def measure_here(path: Path, count: int) -> Row:
    """Measure one route in this process."""
    warm = path.with_name(f"warm{path.suffix}")
    write_route(warm, path.suffix[1:], 3)
    list(open_route(warm).stops())
    list(RouteCheck(warm).findings())  # what is loaded once for any route
    gc.collect()
    before = memory("VmRSS")
    forget_the_most()
    opened = timed(lambda: open_route(path))
    route = open_route(path)
    assert (route.size, route.faulty) == (count, 0)
    walked = timed(lambda: [None for _ in route.stops() if False])
    found = timed(lambda: route.stops_of(meter(count - 1))[0])
    most = memory("VmHWM")
    checking = RouteCheck(path)
    checked = timed(lambda: [*checking.findings()])
    assert not any(checking.counts.found.values())
    most_checked = memory("VmHWM")
    plain = timed(lambda: bare(path))  # last, for its memory
    size = path.stat().st_size
    return Row(
        path.suffix[1:],
        count,
        size,
        plain,
        opened,
        walked,
        found,
        checked,
        before,
        most,
        most_checked,
    )


def measure(kind: str, count: int) -> Row:
    """Measure one route in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"route.{kind}"
        write_route(path, kind, count)
        command = [sys.executable, __file__, "--one", str(path), str(count)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Row(**json.loads(said))


def growth(rows: Sequence[Row], kind: str) -> tuple[float, float]:
    """Return how many times the memory the longest route takes: opened and worked on; checked."""
    of_kind = sorted((row for row in rows if row.kind == kind), key=lambda row: row.stops)
    short, long = of_kind[0], of_kind[-1]
    return long.most / short.most, long.most_checked / short.most_checked


def print_table(rows: Sequence[Row]) -> None:
    """Print what was measured."""
    print(
        "| Format | Stops | file, KiB | bare reading, s | open, s | times a bare reading | "
        "all stops, s | one meter, s | check, s | memory, MiB | with the check |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.kind.upper()} | {row.stops:,} | {row.size // 1024:,} | {row.bare:.3f} | "
            f"{row.opened:.3f} | {row.opened / row.bare:.1f} x | {row.walked:.3f} | "
            f"{row.found:.3f} | {row.checked:.3f} | {row.before / 1024:.1f} + "
            f"{(row.most - row.before) / 1024:.1f} | + "
            f"{(row.most_checked - row.before) / 1024:.1f} |"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(description="Long routes.")
    parser.add_argument("--stops", type=int, action="append")
    parser.add_argument("--one", nargs=2, metavar=("FILE", "STOPS"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(asdict(measure_here(Path(options.one[0]), int(options.one[1])))))
        return 0
    counts = options.stops or STOPS
    rows = [measure(kind, count) for kind in FORMATS for count in counts]
    print(f"{platform.python_implementation()} {platform.python_version()}, one process a row.\n")
    print_table(rows)
    broken = [
        f"{row.stops:,} stops of {row.kind} opened in {row.opened:.2f} s"
        for row in rows
        if row.stops == PROMISED_STOPS and row.opened >= PROMISED_S
    ]
    print()
    for kind in FORMATS:
        worked, checked = growth(rows, kind)
        print(
            f"{kind.upper()}: {max(counts):,} stops take {worked:.3f} times the memory of "
            f"{min(counts):,}, and {checked:.3f} times with the check."
        )
        if max(worked, checked) > MEMORY_LIMIT:
            broken.append(f"memory grows with a route of {kind}")
    for what in broken:
        print(f"NOT KEPT: {what}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
