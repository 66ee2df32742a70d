"""The web application: from the start of its process to the first page, and to the first register.

Run `python benchmarks/web_start.py [--repeats N]`; it prints a table in Markdown, and fails where
the first page takes two seconds or more of the processor.

Each row is the median of N starts, each with a state folder of its own. What is measured ends when
all of the answer has arrived here, over HTTP on loopback, as a browser would ask for it: the
address with its token first, then the page. The register is the meter's MeterPAN, told by
server-sent events while the rest is still read; "all told" is when nothing is under way any more.
The meter is a virtual one in the same process, so its line costs no time: a real one takes as long
as its line does (benchmarks/line_efficiency.py). A browser's own time to show a page is not in it.
Ratios are to `vtc07 --version` of the same run, which imports next to nothing; times of the
processor are those of the whole process, and other work on the machine does not count in them.
They are told by Linux alone; elsewhere the clock on the wall is taken.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

PROGRAM: Final = (sys.executable, "-c", "from vtc07.cli.main import main; main()")
#: The first page is there after so long, in s.
PROMISED_S: Final = 2.0
#: Whatever hangs is ended after so long, in s.
_GUARD_S: Final = 120


@dataclass(frozen=True, slots=True)
class Row:
    """Something that was waited for, and how long that took, in s: on the wall, of the processor.

    ``worked``: None where the system does not tell.
    """

    what: str
    wall: float
    worked: float | None

    @property
    def judged(self) -> float:
        """The time that counts."""
        return self.wall if self.worked is None else self.worked


class Watch:
    """Tells how long a process has been there, and what it has worked."""

    def __init__(self, process: subprocess.Popen[str], begun: float) -> None:
        self._stat = Path(f"/proc/{process.pid}/stat")
        self._begun = begun

    def row(self, what: str) -> Row:
        """Return how long it took to be here."""
        return Row(what, time.perf_counter() - self._begun, self._worked())

    def _worked(self) -> float | None:
        try:
            fields = self._stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def version(folder: Path) -> list[Row]:
    """Measure `vtc07 --version`."""
    before = _children()
    begun = time.perf_counter()
    subprocess.run(
        [*PROGRAM, "--version"], check=True, stdout=subprocess.DEVNULL, env=_environment(folder)
    )
    wall, after = time.perf_counter() - begun, _children()
    worked = None if before is None or after is None else after - before
    return [Row("`vtc07 --version`, to its end", wall, worked)]


def _children() -> float | None:
    if not Path("/proc/self/stat").exists():
        return None
    times = os.times()
    return times.children_user + times.children_system


def application(folder: Path) -> list[Row]:
    """Measure a start of the application with a virtual meter."""
    environment = _environment(folder)
    meter = str(folder / "m.meter")
    made = subprocess.run(
        [*PROGRAM, "meter", "new", meter, "--json"],
        check=True, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    meter_pan: str = json.loads(made.stdout)["meter_pan"]
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*PROGRAM, "web", "--port", "0", "--address", f"sim:{meter}"],
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    watch = Watch(process, begun)
    try:
        assert process.stdout is not None
        url = urlsplit(process.stdout.readline().strip())
        rows = [watch.row("its address is written")]
        entered = _asked(url.netloc, f"{url.path}?{url.query}")
        cookie = entered.headers["Set-Cookie"].partition(";")[0]
        page = _asked(url.netloc, "/", cookie)
        assert page.status == 200, page.status
        rows.append(watch.row("the first page is answered"))
        line = http.client.HTTPConnection(url.netloc, timeout=_GUARD_S)
        line.request("GET", "/live?station=1&part=meter&part=work", headers={"Cookie": cookie})
        told = line.getresponse()
        _until(told, lambda name, html: name == "meter" and _is_in(meter_pan, html))
        rows.append(watch.row("the first register is shown"))
        _until(told, lambda name, html: name == "work" and 'class="work"' not in html)
        rows.append(watch.row("all of the meter is told"))
        told.close()
        line.close()
        return rows
    finally:
        process.terminate()
        process.communicate(timeout=_GUARD_S)


def _is_in(meter_pan: str, html: str) -> bool:
    """Say whether a MeterPAN is shown, in groups or not."""
    return meter_pan in html.replace(" ", "").replace("\u2009", "").replace("\u00a0", "")


def _until(told: http.client.HTTPResponse, is_it: Callable[[str, str], bool]) -> None:
    """Read what is told until a part is as it should be."""
    while line := told.readline().decode():
        if line.startswith("data: "):
            document = json.loads(line.removeprefix("data: "))
            if is_it(document.get("name", ""), document.get("html", "")):
                return
    raise AssertionError("it was never told")


def _asked(host: str, path: str, cookie: str = "") -> http.client.HTTPResponse:
    line = http.client.HTTPConnection(host, timeout=_GUARD_S)
    line.request("GET", path, headers={"Cookie": cookie} if cookie else {})
    answer = line.getresponse()
    answer.read()
    line.close()
    return answer


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VTC07_")}
    return {**kept, "XDG_STATE_HOME": str(folder / "state"), "HOME": str(folder)}


def measure(repeats: int) -> list[Row]:
    """Return the medians of what was waited for, the start of `vtc07 --version` first."""
    runs: list[list[Row]] = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            runs.append([*version(Path(folder)), *application(Path(folder))])
    return [
        Row(
            rows[0].what,
            statistics.median(row.wall for row in rows),
            None
            if any(row.worked is None for row in rows)
            else statistics.median(row.worked or 0.0 for row in rows),
        )
        for rows in zip(*runs, strict=True)
    ]


def print_table(rows: Sequence[Row], out: Callable[[str], None] = print) -> None:
    """Write a table in Markdown: times, and how often `vtc07 --version` fits into each."""
    out("| until | s on the wall | ratio | s of the processor | ratio |")
    out("|---|---:|---:|---:|---:|")
    least = rows[0]
    for row in rows:
        worked, ratio = "not told", ""
        if row.worked is not None and least.worked:
            worked, ratio = f"{row.worked:.2f}", f"{row.worked / least.worked:.1f} x"
        out(f"| {row.what} | {row.wall:.2f} | {row.wall / least.wall:.1f} x | {worked} | {ratio} |")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 where the promise is not kept."""
    parser = argparse.ArgumentParser(description="The start of the web application.")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    rows = measure(options.repeats)
    print(
        f"{platform.python_implementation()} {platform.python_version()}, medians of "
        f"{options.repeats} starts.\n"
    )
    print_table(rows)
    late = [row for row in rows[:3] if row.judged >= PROMISED_S]
    for row in late:
        print(f"NOT KEPT: {row.what} after {row.judged:.2f} s", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
