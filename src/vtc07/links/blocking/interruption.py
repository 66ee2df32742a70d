"""Ending a blocking driver's work from another thread: somebody does not want to wait any more."""

from __future__ import annotations

import threading
from typing import Final

#: The longest wait in one piece of a driver that can be interrupted: how soon it notices.
LONGEST_WAIT_NS: Final = 50_000_000


class Interrupted(Exception):
    """The work was interrupted from another thread. Its link is closed, its procedure ended."""

    def __init__(self) -> None:
        super().__init__("the work was interrupted")


class Interruption:
    """May be asked for once, from any thread; for good.

    What is in the middle of an effect is not torn out of it: a journal's entry is still written, a
    connection attempt still comes to its own end.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()

    def interrupt(self) -> None:
        """Have the driver that was given this raise `Interrupted` soon, now or in its next run."""
        self._asked.set()

    @property
    def is_asked(self) -> bool:
        """Say whether somebody asked."""
        return self._asked.is_set()

    def check(self) -> None:
        """Raise `Interrupted` where somebody asked."""
        if self._asked.is_set():
            raise Interrupted
