"""How fast time passes for a line and its meter, beside the real time."""

from __future__ import annotations

import threading
from typing import Final

MS: Final = 1_000_000
#: While time is made to pass faster, the line has to ask at least so often: what is more is left
#: out. So on a machine that cannot keep up time passes less fast, and nobody waits for long.
MOST_AT_ONCE_NS: Final = 100 * MS


class Pace:
    """The time of a line, from 0, as a function of the real one. May be used in any thread."""

    def __init__(self, real_ns: int) -> None:
        self._guard = threading.Lock()
        self._real_ns = real_ns
        self._line_ns = 0
        self._factor = 1

    @property
    def factor(self) -> int:
        """How many times as fast as real time it passes now."""
        return self._factor

    def go(self, factor: int, real_ns: int) -> None:
        """Have it pass so many times as fast from this instant on."""
        with self._guard:
            if factor != self._factor:
                self._line_ns = self._at(real_ns)
                self._real_ns = max(real_ns, self._real_ns)
                self._factor = factor

    def line_ns(self, real_ns: int) -> int:
        """Return the line's time at this instant, which is to be caught up with."""
        with self._guard:
            wanted = self._at(real_ns)
            if self._factor > 1:
                self._real_ns, self._line_ns = max(real_ns, self._real_ns), wanted
            return wanted

    def real_ns(self, line_ns: int) -> int:
        """Return the instant at which the line's time is this, if it goes on like this."""
        with self._guard:
            return self._real_ns + -(-(line_ns - self._line_ns) // self._factor)

    def _at(self, real_ns: int) -> int:
        passed = max(0, real_ns - self._real_ns)
        if self._factor > 1:
            passed = min(passed, MOST_AT_ONCE_NS)
        return self._line_ns + passed * self._factor
