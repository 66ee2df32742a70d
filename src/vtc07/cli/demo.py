"""`vtc07 demo`: the whole way of a token, message by message, as it crosses the line."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from vtc07.carrier.companion import Companion, S
from vtc07.cli.demonstration import Demonstration, Step
from vtc07.cli.failure import ExitCode
from vtc07.cli.lazy import examples
from vtc07.links.clock import Clock, MonotonicClock, VirtualClock
from vtc07.trace.message import TraceMessage
from vtc07.trace.recorder import Recorder
from vtc07.trace.rendering import Role, annotate

_STYLES = {
    Role.ARROW: "bold",
    Role.MESSAGE: "bold cyan",
    Role.REGISTER_ID: "dim",
    Role.VALUE: "bold",
    Role.MEANING: "green",
    Role.ERROR: "bold red",
    Role.CHECK: "dim",
    Role.RAW: "dim",
}
_TIME_WIDTH = 9


@click.command(
    epilog=examples("vtc07 demo", "vtc07 demo --fast", "vtc07 demo --fast --service water")
)
@click.option("--fast", is_flag=True, help="On a virtual clock: the same, in no time.")
@click.option(
    "--service",
    type=click.Choice(["electricity", "water", "gas", "time"]),
    default="electricity",
    show_default=True,
    help="What the meter measures.",
)
@click.pass_context
def demo(context: click.Context, *, fast: bool, service: str) -> None:
    """Show a token's way from vending to the load switch, message by message.

    Makes a meter in a temporary folder, connects a hand-held unit to it over a simulated line of
    2400 Bd, and delivers tokens: good, used and corrupted ones, a key change, and two over a cable
    that is cut on the way. Ends with exit code 0 only if every step did what it must. About
    70 seconds at the pace of the line.
    """
    screen = Screen(Console(highlight=False))
    with tempfile.TemporaryDirectory(prefix="vtc07-demo-") as folder:
        steps = _perform(service, Path(folder), screen, fast=fast)
    screen.summary(steps)
    if not all(step.good for step in steps):
        context.exit(ExitCode.REFUSED)


def _perform(service: str, folder: Path, screen: Screen, *, fast: bool) -> list[Step]:
    clock: Clock = VirtualClock() if fast else MonotonicClock()
    recorder = Recorder(screen.message, start_ns=clock.now_ns())
    demonstration = Demonstration(
        service,
        folder / "demo.meter",
        clock=clock,
        observers=[recorder.character],
        tell=screen.tell,
    )
    screen.companion = demonstration.companion
    done: list[Step] = []
    try:
        for number, (title, carry_out) in enumerate(demonstration.steps(), 1):
            screen.begin(number, title)
            step = carry_out()
            recorder.finish()
            screen.end(step)
            done.append(step)
    finally:
        demonstration.close()
    return done


class Screen:
    """What the person sees. ``companion`` gives the names of registers; set before messages."""

    companion: Companion

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, number: int, title: str) -> None:
        """Head a step."""
        self._console.print()
        self._console.print(Rule(f"{number}. {title}", align="left", style="blue"))

    def message(self, message: TraceMessage) -> None:
        """Show a message that has crossed the line: when it ended, and how long it took."""
        annotation = annotate(message, self.companion)
        text = Text()
        for piece in annotation.pieces:
            text.append(piece.text, style=_STYLES.get(piece.role, ""))
        took = message.time_ns - message.began_ns + self.companion.link.character_ns
        self._row(_seconds(message.time_ns, 2), _seconds(took, 3), text)

    def tell(self, sentence: str) -> None:
        """Show what happens beside the line."""
        self._row("", "", Text(sentence, style="italic yellow"))

    def end(self, step: Step) -> None:
        """Close a step with what came, and with what had to come where that is something else."""
        mark = Text("✓ ", style="bold green") if step.good else Text("✗ ", style="bold red")
        self._row("", "", mark + Text(step.found))
        if not step.good:
            self._row("", "", Text(f"  this had to come: {step.expected}", style="red"))

    def summary(self, steps: Sequence[Step]) -> None:
        """Show all steps in a table."""
        table = Table(title="What was to be shown", title_justify="left", box=None)
        table.add_column("")
        table.add_column("", justify="right")
        table.add_column("step", no_wrap=True)
        table.add_column("result")
        for number, step in enumerate(steps, 1):
            mark = Text("✓", style="bold green") if step.good else Text("✗", style="bold red")
            table.add_row(mark, str(number), Text(step.title), Text(step.found))
        self._console.print()
        self._console.print(table)
        failed = sum(not step.good for step in steps)
        verdict = (
            f"{failed} of {len(steps)} steps failed" if failed else "every step did as it must"
        )
        self._console.print(Text(verdict, style="bold red" if failed else "bold green"))

    def _row(self, time: str, took: str, text: Text) -> None:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=_TIME_WIDTH, justify="right", style="dim", no_wrap=True)
        grid.add_column(width=_TIME_WIDTH, justify="right", style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(time, took, text)
        self._console.print(grid)


def _seconds(duration_ns: int, places: int) -> str:
    return f"{duration_ns / S:.{places}f} s"
