"""Clocks: monotonic nanoseconds, real or imagined."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock in integer ns, of any origin."""

    def now_ns(self) -> int:
        """Return the time."""

    def sleep_until(self, instant_ns: int) -> None:
        """Return when the time is ``instant_ns``; at once where that has passed."""


class MonotonicClock:
    """The system's monotonic clock."""

    def now_ns(self) -> int:
        """Return the time."""
        return time.monotonic_ns()

    def sleep_until(self, instant_ns: int) -> None:
        """Sleep."""
        while (left := instant_ns - time.monotonic_ns()) > 0:
            time.sleep(left / 1e9)


class VirtualClock:
    """A clock that is at once wherever it is asked to sleep to."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now = start_ns

    def now_ns(self) -> int:
        """Return the time."""
        return self._now

    def sleep_until(self, instant_ns: int) -> None:
        """Move to the instant."""
        self._now = max(self._now, instant_ns)
