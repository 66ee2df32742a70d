"""Where a command's words go: data to stdout, messages to stderr, JSON where it was asked for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from vtc07.cli.failure import ExitCode
from vtc07.harmless import harmless

if TYPE_CHECKING:
    from rich.console import Console

#: Wide enough that nothing is wrapped or cut where a program reads.
_UNBOUNDED = 4096


class Output:
    """A command's two streams.

    ``as_json``: results are one JSON document on stdout, and each message is one line of JSON on
    stderr: ``{"note": ...}`` or ``{"error": ..., "exit_code": ...}``. What meters and files say
    commands no terminal in tables and messages; `line` writes what it is given.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    # --- data ----------------------------------------------------------------------------------

    def document(self, document: Mapping[str, Any] | Sequence[Any]) -> None:
        """Write the one JSON document of a result."""
        self.line(json.dumps(document, indent=2))

    def line(self, text: str = "") -> None:
        """Write a line of data."""
        click.echo(text)

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = ""
    ) -> None:
        """Write a table; a column named with ``>`` in front is right-aligned."""
        from rich.table import Table  # noqa: PLC0415 - only tables need it
        from rich.text import Text  # noqa: PLC0415 - likewise

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in columns:
            right = column.startswith(">")
            table.add_column(
                column.removeprefix(">"), justify="right" if right else "left", overflow="fold"
            )  # a narrow terminal cuts nothing off
        for row in rows:
            table.add_row(*(Text(harmless(cell)) for cell in row))
        if title:
            self.line(click.style(title, bold=True) if is_coloured(sys.stdout) else title)
        self._print(table)

    def pairs(self, rows: Sequence[tuple[str, str]], *, title: str = "") -> None:
        """Write names and values in two columns."""
        from rich.table import Table  # noqa: PLC0415 - only tables need it
        from rich.text import Text  # noqa: PLC0415 - likewise

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(style="dim", overflow="fold")
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(Text(harmless(name)), Text(harmless(value)))
        if title:
            self.line(click.style(title, bold=True) if is_coloured(sys.stdout) else title)
        self._print(table)

    def _print(self, renderable: Any) -> None:
        console = console_for_stdout()
        if console.is_terminal:
            console.print(renderable)
            return
        with console.capture() as captured:
            console.print(renderable)
        for line in captured.get().splitlines():
            self.line(line.rstrip())

    # --- messages ------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Write a message that is no result."""
        self._message("note", text, "cyan")

    def warning(self, text: str) -> None:
        """Write a message about something that may be wrong."""
        self._message("warning", text, "yellow")

    def error(self, sentence: str, exit_code: ExitCode, *, hint: str = "") -> None:
        """Write why a command ended; ``hint``: a further line for people."""
        if self.as_json:
            click.echo(
                json.dumps({"error": sentence, "exit_code": int(exit_code)}),
                err=True,
            )
            return
        self._message("error", sentence, "red")
        if hint:
            click.echo(harmless(hint), err=True)

    def progress(self, text: str) -> None:
        """Write a step of something that takes its time; nothing with JSON."""
        if not self.as_json:
            click.echo(harmless(text), err=True)

    def _message(self, kind: str, text: str, colour: str) -> None:
        if self.as_json:
            click.echo(json.dumps({kind: text}), err=True)
            return
        label = f"{kind}:"
        if is_coloured(sys.stderr):
            label = click.style(label, fg=colour, bold=True)
        click.echo(f"{label} {harmless(text)}", err=True)


class PatientStdout:
    """Stdout that goes on when it takes nothing: what a command came to is in its exit code still.

    Nobody reads (``| head``): silently. The disk is full: with one sentence on stderr.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or do without."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Flush, or do without."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        # From here on, and at the interpreter's own last flush, everything goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        if not isinstance(error, BrokenPipeError):
            click.echo(
                f"warning: the result could not be written ({error.strerror}); the exit code says "
                "what the command came to",
                err=True,
            )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def use_patient_streams() -> None:
    """Have stdout go on when it takes nothing, and open what the program was started without."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - for the process' life
    stdout: TextIO = sys.stdout
    if stdout is sys.__stdout__:
        sys.stdout = cast("TextIO", PatientStdout(stdout))


def is_coloured(stream: TextIO) -> bool:
    """Say whether colours belong there: on a terminal, unless NO_COLOR is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def console_for_stdout() -> Console:
    """Return rich's console on stdout: as wide as needed, and plain, where no person looks."""
    from rich.console import Console  # noqa: PLC0415 - only tables need it

    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=_UNBOUNDED, color_system=None, force_terminal=False)


def json_option(command: Any) -> Any:
    """Give a command ``--json``; what it does is read from the command line by `main`."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        expose_value=False,
        help="One JSON document on stdout, messages as JSON lines on stderr.",
    )(command)
