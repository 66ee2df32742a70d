"""How far a long piece of work is, on a terminal only: one line that changes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from vtc07.cli.output import Output, is_coloured


@contextlib.contextmanager
def percent(output: Output, doing: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that is told how much is done, and of how much.

    Silent with NO_COLOR, with JSON, and where no person looks. ``doing``: a word, as "checking".
    """
    if output.as_json or not is_coloured(sys.stderr):
        yield lambda _done, _whole: None
        return
    from rich.console import Console  # noqa: PLC0415 - only at a terminal
    from rich.status import Status  # noqa: PLC0415 - likewise

    shown = -1
    with Status(doing, console=Console(stderr=True, highlight=False)) as status:

        def told(done: int, whole: int) -> None:
            nonlocal shown
            now = 100 * done // whole if whole else 100
            if now != shown:
                shown = now
                status.update(f"{doing}: {now} %")

        yield told
