"""The characters that passed a line, and those that were to pass it."""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice
from typing import Final

from vtc07.links.fault import DROPPED
from vtc07.links.link import Sender
from vtc07.web.bench.facts import LineCharacter

#: So many are remembered.
MOST: Final = 5_000


class Tape:
    """The last `MOST` characters of a line: its observer. May be read in any thread."""

    def __init__(self, speed: int) -> None:
        self._guard = threading.Lock()
        self._kept: deque[LineCharacter] = deque(maxlen=MOST)
        self._speeds: dict[Sender, int] = {"client": speed, "server": speed}
        self._count = 0

    @property
    def count(self) -> int:
        """How many there ever were."""
        return self._count

    def speed(self, sender: Sender) -> int:
        """Return the speed of an end in Bd."""
        return self._speeds[sender]

    def observe(self, sender: Sender, sent: int, arrived: int, now_ns: int) -> None:
        """Keep a character (`vtc07.links.fault.LineObserver`)."""
        got = None if arrived == DROPPED else arrived
        with self._guard:
            self._count += 1
            self._kept.append(
                LineCharacter(self._count, sender, sent, got, now_ns, self._speeds[sender])
            )

    def goes_on(self, sender: Sender, speed: int, now_ns: int) -> None:  # noqa: ARG002 - a line's
        """Take notice of another speed (`vtc07.links.link.SpeedObserver`)."""
        self._speeds[sender] = speed

    def after(self, number: int) -> tuple[LineCharacter, ...]:
        """Return those with higher numbers that are still remembered, in their order."""
        with self._guard:
            wanted = min(self._count - number, len(self._kept))
            if wanted <= 0:
                return ()
            return tuple(islice(self._kept, len(self._kept) - wanted, None))
