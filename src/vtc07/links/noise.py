"""Noise on a line, the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from vtc07.links.waveform import S, Wave

#: One pulse in so many is long: up to so many bits, so that it reads as a break or several bits.
_ONE_LONG_IN: Final = 8
_LONGEST_BITS: Final = 12


@dataclass(frozen=True, slots=True)
class Noise:
    """How noisy a line is. ValueError for a rate out of range.

    ``rate``: the share of bits that a pulse strikes, above 0 and at most 0.5. A pulse turns the
    level round for the time of one bit, now and then of up to 12. In a character that is a bit
    error (or a lost start bit, or a broken stop bit); in silence it is a character out of nothing,
    mostly 7F. ``seed``: the same seed gives the same pulses.
    """

    rate: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 0.5:
            raise ValueError(
                f"a noise of {self.rate}: it is the share of bits that are struck, above 0 and at "
                "most 0.5"
            )


class Pulses:
    """The pulses that strike what one end of a line hears, as far as they are known."""

    def __init__(self, noise: Noise, end: str, start_ns: int) -> None:
        self._noise = noise
        self._random = random.Random(f"{noise.seed} {end}")  # noqa: S311 - noise, no secret
        self._known: list[tuple[int, int]] = []
        self._next = start_ns
        self._begun = False

    def next_ns(self, speed: int) -> int:
        """Return when the next pulse begins, for bits of ``speed`` Bd."""
        if not self._begun:
            self._begun = True
            self._next += self._gap(speed)
        return self._next

    def before(self, until_ns: int, speed: int) -> Wave:
        """Return the pulses that begin before an instant and are not forgotten."""
        while self.next_ns(speed) < until_ns:
            bits = 1
            if self._random.randrange(_ONE_LONG_IN) == 0:
                bits = self._random.randint(2, _LONGEST_BITS)
            end = self._next + bits * S // speed
            self._known.append((self._next, end))
            self._next = end + self._gap(speed)
        return list(self._known)

    def forget(self, before_ns: int) -> None:
        """Drop the pulses that ended before an instant."""
        self._known = [pulse for pulse in self._known if pulse[1] >= before_ns]

    def _gap(self, speed: int) -> int:
        return 1 + round(self._random.expovariate(self._noise.rate * speed) * S)
