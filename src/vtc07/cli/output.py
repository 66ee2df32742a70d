"""Where a command's words go: data to stdout, messages to stderr, JSON where it was asked for."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from vtc07.cli.failure import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

#: Wide enough that nothing is wrapped or cut where a program reads.
_UNBOUNDED = 4096


class Output:
    """A command's two streams.

    ``as_json``: results are one JSON document on stdout, and each message is one line of JSON on
    stderr: ``{"note": ...}`` or ``{"error": ..., "exit_code": ...}``.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    # --- data ----------------------------------------------------------------------------------

    def document(self, document: Mapping[str, Any] | Sequence[Any]) -> None:
        """Write the one JSON document of a result."""
        self.line(json.dumps(document, indent=2))

    def line(self, text: str = "") -> None:
        """Write a line of data; nothing where the reader (``| head``) has gone."""
        with going_on_without_reader():
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
            table.add_column(column.removeprefix(">"), justify="right" if right else "left")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        if title:
            self.line(click.style(title, bold=True) if is_coloured(sys.stdout) else title)
        self._print(table)

    def pairs(self, rows: Sequence[tuple[str, str]], *, title: str = "") -> None:
        """Write names and values in two columns."""
        from rich.table import Table  # noqa: PLC0415 - only tables need it
        from rich.text import Text  # noqa: PLC0415 - likewise

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(style="dim")
        table.add_column()
        for name, value in rows:
            table.add_row(Text(name), Text(value))
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
            click.echo(hint, err=True)

    def progress(self, text: str) -> None:
        """Write a step of something that takes its time; nothing with JSON."""
        if not self.as_json:
            click.echo(text, err=True)

    def _message(self, kind: str, text: str, colour: str) -> None:
        if self.as_json:
            click.echo(json.dumps({kind: text}), err=True)
            return
        label = f"{kind}:"
        if is_coloured(sys.stderr):
            label = click.style(label, fg=colour, bold=True)
        click.echo(f"{label} {text}", err=True)


@contextlib.contextmanager
def going_on_without_reader() -> Iterator[None]:
    """Do without stdout once nobody reads it: what a command came to is in its exit code still."""
    try:
        yield
    except BrokenPipeError:
        # The interpreter flushes stdout once more at its end, and must not stumble there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
