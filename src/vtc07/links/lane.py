"""One direction of a simulated line: what is on its way, character by character."""

from __future__ import annotations

from typing import Final

from vtc07.links.link import Sender

BITS_NS: Final = 10 * 1_000_000_000  # 10 bits a character (IEC 62056-21 clause 5), in ns at 1 Bd


class Lane:
    """The burst under way from one end, at this end's speed, and what waits behind it.

    A change of speed waits for what was handed over before it, and what was handed over after it
    waits for the change.
    """

    __slots__ = ("_later", "at", "burst", "count", "end", "held", "sender", "speed", "start")

    def __init__(self, sender: Sender, speed: int) -> None:
        self.sender: Sender = sender
        self.speed = speed
        self.burst = bytearray()
        self.start = 0
        self.at = 0  # the place in the burst of the next character to arrive
        self.end: int | None = None  # the end of that character
        self.count = 0  # characters ever sent
        self.held = -1  # the place that was held, and is not asked about again
        self._later: list[tuple[int, bytearray]] = []  # speeds, and what is sent at each

    @property
    def began(self) -> int:
        """The start of the character under way."""
        return self.start - (-self.at * BITS_NS // self.speed)

    @property
    def queued(self) -> int:
        """How many characters have still to end."""
        under_way = len(self.burst) - self.at if self.end is not None else 0
        return under_way + sum(len(chars) for _, chars in self._later)

    def send(self, chars: bytes, now_ns: int) -> None:
        """Add characters behind those under way."""
        if self._later:
            self._later[-1][1].extend(chars)
        elif self.end is None:
            self._begin(chars, now_ns)
        else:
            self.burst += chars

    def change_speed(self, speed: int) -> bool:
        """Go on at another speed behind what is under way; False where that is still to come."""
        if self.end is None:
            self.speed = speed
            return True
        self._later.append((speed, bytearray()))
        return False

    def advance(self, number: int) -> bool:
        """Go on behind this many characters; True where the speed changed behind them."""
        self.count += number
        self.at += number
        if self.at < len(self.burst):
            self.end = self.start - (-(self.at + 1) * BITS_NS // self.speed)
            return False
        ended = self.began
        self.end = None
        changed = False
        while self._later and self.end is None:
            changed = True
            self.speed, chars = self._later.pop(0)
            if chars:
                self._begin(chars, ended)
        return changed

    def hold(self, duration_ns: int) -> None:
        """Let the next character, and all behind it, come later."""
        self.held = self.count
        self.start += duration_ns
        if self.end is not None:
            self.end += duration_ns

    def ending_before(self, horizon_ns: int | None) -> int:
        """Return how many characters end before an instant; at least the next one counts."""
        left = len(self.burst) - self.at
        if horizon_ns is None:
            return left
        return max(1, min(left, (horizon_ns - 1 - self.start) * self.speed // BITS_NS - self.at))

    def clear(self) -> None:
        """Forget what is under way; a change of speed that waited behind it comes at once."""
        self.burst = bytearray()
        self.at, self.end = 0, None
        if self._later:
            self.speed = self._later[-1][0]
            self._later.clear()

    def _begin(self, chars: bytes | bytearray, now_ns: int) -> None:
        self.burst = bytearray(chars)
        self.start, self.at = now_ns, 0
        self.end = now_ns - (-BITS_NS // self.speed)
