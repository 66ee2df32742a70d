"""``vtc07 line``: a serial line between two programs on this machine."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from vtc07.cli.failure import Failure
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.links.link import LinkUnavailable, Sender
from vtc07.links.noise import Noise
from vtc07.trace.message import printable

S = 1_000_000_000
_ENDS: dict[Sender, str] = {"client": "A", "server": "B"}
#: A pause in which whatever was being shown ends.
_PAUSE_NS = 100_000_000
_WIDTH = 78


@click.command(
    epilog=examples(
        "vtc07 line /tmp/head /tmp/port --speed 2400 --show",
        "vtc07 line /tmp/head /tmp/port --speed 9600 --noise 0.0005 --seed 7 --parity software",
        "vtc07 line /tmp/head /tmp/port --speed 9600 --echo a --cut-after 3 --plug-after 10",
    )
)
@click.argument("path_a", metavar="PATH_A", type=click.Path(path_type=Path))
@click.argument("path_b", metavar="PATH_B", type=click.Path(path_type=Path))
@click.option(
    "--speed",
    type=click.IntRange(1, 4_000_000),
    default=300,
    show_default=True,
    help="Speed in Bd of both ends, until their programs set another one.",
)
@click.option(
    "--fixed-speed",
    is_flag=True,
    help="Stay at --speed at both ends, whatever speeds the programs set.",
)
@click.option(
    "--parity",
    type=click.Choice(["none", "software"]),
    default="none",
    show_default=True,
    help="software: the programs have even parity in bit 7, and a damaged character arrives with "
    "a wrong one; none: it arrives as whatever was read.",
)
@click.option("--echo", type=click.Choice(["a", "b", "both"]), help="Which end hears itself.")
@click.option(
    "--noise",
    type=float,
    metavar="RATE",
    help="Share of bits that noise strikes, up to 0.5; silence has bits too.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Which noise: always that.")
@click.option(
    "--collisions",
    is_flag=True,
    help="Both ends speak on one pair of wires: at once, they damage each other.",
)
@click.option(
    "--cut-after",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Cut the line so long after the first character.",
)
@click.option(
    "--plug-after",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Plug it again so long after the cut.",
)
@click.option("--show", is_flag=True, help="Show on stderr what is said, and what arrives of it.")
@json_option
@click.pass_obj
def line(
    output: Output,
    *,
    path_a: Path,
    path_b: Path,
    speed: int,
    fixed_speed: bool,
    parity: str,
    echo: str | None,
    noise: float | None,
    seed: int,
    collisions: bool,
    cut_after: float | None,
    plug_after: float | None,
    show: bool,
) -> None:
    """Be a serial line between two programs until Ctrl-C.

    Each program opens one of the two paths as its serial port; they are links to pseudo-terminals
    (POSIX systems only), and gone again at the end. A path that exists is not replaced. The first
    line of stdout says that the line is there.

    Characters take their time, 10 bits each. A pseudo-terminal keeps the speed that a program
    sets, so each end goes on at its program's speed, in mid-session too, once what the program
    said before has gone out; it is looked at every 10 ms. Ends of different speeds garble each
    other's characters as on a real line. 7 data bits, parity and stop bits of a UART cannot be
    set on a pseudo-terminal: programs use 8N1, with parity by software or without.
    """
    try:
        from vtc07.links.pty_line import LineOptions, PtyLine  # noqa: PLC0415 - POSIX systems only
    except ImportError as error:
        raise LinkUnavailable("pseudo-terminals are not on this system") from error
    if path_a == path_b:
        raise Failure(f"{path_a} is only one end: a line needs two paths")
    if plug_after is not None and cut_after is None:
        raise Failure("--plug-after needs --cut-after: a line that was not cut is plugged already")
    options = LineOptions(
        speed=speed,
        follow_speeds=not fixed_speed,
        software_parity=parity == "software",
        echo_a=echo in ("a", "both"),
        echo_b=echo in ("b", "both"),
        noise=None if noise is None else _noise(noise, seed),
        collisions=collisions,
        cut_after_ns=_nanoseconds("--cut-after", cut_after),
        plug_after_ns=_nanoseconds("--plug-after", plug_after),
    )
    shown = _Shown(output, 0x7F if parity == "software" else 0xFF) if show else None
    with contextlib.ExitStack() as resources:
        try:
            running = PtyLine(
                (path_a, path_b),
                options,
                observers=() if shown is None else (shown.character,),
                told=output.progress,
            )
        except FileExistsError as error:
            raise _taken(Path(error.filename2)) from error
        except OSError as error:
            where = error.filename2 or "a pseudo-terminal"
            raise Failure(f"{where} cannot be made: {error.strerror}; check name and rights") from (
                error
            )
        resources.enter_context(running)
        if shown is not None:
            resources.callback(shown.end)

        def stop(_number: int, _frame: FrameType | None) -> None:
            running.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            resources.callback(signal.signal, number, signal.signal(number, stop))
        if output.as_json:
            # One line, so that a program can read it while the line is there.
            output.line(json.dumps({"a": str(path_a), "b": str(path_b), "speed": speed}))
        else:
            output.line(f"a line of {speed} Bd between {path_a} and {path_b}")
        sys.stdout.flush()
        running.serve()


def _taken(path: Path) -> Failure:
    if path.is_symlink() and not path.exists():
        return Failure(
            f"{path} is a link that leads nowhere any more, perhaps of a line that was killed: "
            "remove it, or name another path"
        )
    return Failure(f"{path} exists already and is not replaced: name a path that does not exist")


def _nanoseconds(option: str, seconds: float | None) -> int | None:
    if seconds is None:
        return None
    if not math.isfinite(seconds):
        raise Failure(f"{option} takes a number of seconds, not {seconds}")
    return round(seconds * S)


def _noise(rate: float, seed: int) -> Noise:
    try:
        return Noise(rate, seed)
    except ValueError as error:
        raise Failure(f"--noise: {error}") from error


class _Shown:
    """Shows characters as they pass: what one end says at a time, and what arrives of it.

    ``bits``: those of a byte that are the character.
    """

    def __init__(self, output: Output, bits: int) -> None:
        self._output = output
        self._bits = bits
        self._began: int | None = None
        self._sender: Sender = "client"
        self._since = self._last = 0
        self._sent = bytearray()
        self._arrived = bytearray()

    def character(self, sender: Sender, sent: int, arrived: int, now_ns: int) -> None:
        """Take one character, as an observer of a line."""
        if self._began is None:
            self._began = now_ns
        if sender != self._sender or now_ns - self._last > _PAUSE_NS or len(self._sent) >= _WIDTH:
            self.end()
        if not (self._sent or self._arrived):
            self._sender, self._since = sender, now_ns
        self._last = now_ns
        self._sent.append(sent)
        if arrived >= 0:
            self._arrived.append(arrived)

    def end(self) -> None:
        """Show what was taken."""
        if self._sent and self._began is not None:
            when = (self._since - self._began) / S
            self._output.progress(f"{when:9.3f} s {_ENDS[self._sender]} {self._text(self._sent)}")
            if self._arrived != self._sent:
                came = self._text(self._arrived) or "nothing"
                self._output.progress(f"{'':11} arrives as {came}")
        self._sent.clear()
        self._arrived.clear()

    def _text(self, data: bytearray) -> str:
        return printable(bytes(byte & self._bits for byte in data))
