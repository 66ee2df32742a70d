"""What a person sees while a procedure runs: one line that changes, on a terminal only."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from vtc07.cli.output import Output, is_coloured
from vtc07.hhu.progress import Progress, Resolved, sentence

if TYPE_CHECKING:
    from rich.status import Status


class Progressing:
    """Shows progress on stderr while it is entered, on a terminal.

    Silent with NO_COLOR and with JSON.

    ``heard`` is an `OnProgress`. ``tokens``: how many are to be sent, for the count.
    """

    def __init__(self, output: Output, tokens: int = 0) -> None:
        self._shown = is_coloured(sys.stderr) and not output.as_json
        self._tokens = tokens
        self._token = 1
        #: what is being done as a whole, shown before each step
        self.task = ""
        self._status: Status | None = None

    def __enter__(self) -> Self:
        if self._shown:
            from rich.console import Console  # noqa: PLC0415 - only at a terminal
            from rich.status import Status  # noqa: PLC0415 - likewise

            self._status = Status("Connecting", console=Console(stderr=True, highlight=False))
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the line to a person who is asked something."""
        if self._status is None:
            yield
            return
        self._status.stop()
        try:
            yield
        finally:
            self._status.start()

    def heard(self, progress: Progress) -> None:
        """Show a step."""
        if self._status is not None:
            said = sentence(progress)
            if self._tokens and self._token <= self._tokens:
                said = f"token {self._token} of {self._tokens}: {said}"
            self._status.update(f"{self.task}: {said}" if self.task else said)
        if isinstance(progress, Resolved) and progress.place is not None:
            self._token = progress.place + 2
