"""Ending a blocking driver's work from another thread: somebody does not want to wait any more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

#: The longest wait in one piece of a driver that can be interrupted: how soon it notices.
LONGEST_WAIT_NS: Final = 50_000_000


class Interrupted(Exception):
    """The work was interrupted from another thread. Its link is closed, its procedure ended."""

    def __init__(self) -> None:
        super().__init__("the work was interrupted")


class Interruption:
    """May be asked for once, from any thread; for good.

    What is in the middle of an effect is not torn out of it: a journal's entry is still written. A
    connection attempt is not waited for; what it comes to in the end is closed.
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

    def attended(self, attempt: Callable[[], T], unwanted: Callable[[T], None]) -> T:
        """Return what an attempt comes to that cannot be ended itself, or raise what it raises.

        It is made in a thread of its own. `Interrupted` where somebody asks before its end; what it
        comes to after that goes to ``unwanted``, in that thread.
        """
        self.check()
        trial = _Trial(attempt, unwanted)
        while not trial.ended.wait(LONGEST_WAIT_NS / 1e9):
            if self._asked.is_set() and trial.leave():
                raise Interrupted
        return trial.result()


class _Trial(Generic[T]):
    """An attempt in a thread of its own; nobody waits for that at the end of the program."""

    def __init__(self, attempt: Callable[[], T], unwanted: Callable[[T], None]) -> None:
        self.ended = threading.Event()
        self._attempt = attempt
        self._unwanted = unwanted
        self._guard = threading.Lock()
        self._left = False
        self._made: list[T] = []
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name="link-attempt", daemon=True).start()

    def leave(self) -> bool:
        """Wait for it no more; False where it has ended by now."""
        with self._guard:
            self._left = not self.ended.is_set()
            return self._left

    def result(self) -> T:
        """Return what it came to, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._made[0]

    def _run(self) -> None:
        try:
            self._made.append(self._attempt())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error
        with self._guard:
            self.ended.set()
        if self._left and self._made:
            self._unwanted(self._made[0])
