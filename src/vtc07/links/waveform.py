"""The levels of an asynchronous line, and what a UART makes of them.

A character is 10 bits (IEC 62056-21 clause 5): a start bit (SPACE), 8 bits from the lowest up, and
a stop bit (MARK). With 7 data bits and even parity the eighth bit is the parity; with 8 data bits
it is bit 7. So 7E1, and 8N1 with parity by software, are the same on the line: what a `Format` says
is what an end makes of the 8 bits.

A wave is where the line is at SPACE: intervals (start, end) in ns, the end not included, ascending
and apart; everywhere else it is at MARK, which is also silence. Nothing here knows of characters
but `Format`, and nothing keeps a clock.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from vtc07.carrier.companion import Parity
from vtc07.carrier.grammar import DAMAGED

S: Final = 1_000_000_000
BITS: Final = 10  # of a character: start, 8, stop

#: Where the line is at SPACE.
Wave = Sequence[tuple[int, int]]


# --- what an end makes of 8 bits -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Format:
    """How one end of a line turns characters into 8 bits and back; three tables of 256.

    ``to_wire``: the 8 bits of a character. ``from_wire``: the character of 8 bits. ``misframed``:
    what is handed over where the stop bit was no MARK, by the 8 bits that were read.
    ``seven_bits``: whether a character has 7 bits, and FF stands for a damaged one.
    """

    to_wire: bytes
    from_wire: bytes
    misframed: bytes
    seven_bits: bool = True


_ALL_DAMAGED: Final = bytes((DAMAGED,)) * 256
_BYTES: Final = bytes(range(256))
_WITH_PARITY: Final = bytes((c & 0x7F) | ((c & 0x7F).bit_count() % 2) << 7 for c in range(256))
_PARITY_CHECKED: Final = bytes(DAMAGED if c.bit_count() % 2 else c & 0x7F for c in range(256))

#: Characters of 7 bits with even parity, by the UART or by software: FF for a damaged one.
EVEN_PARITY: Final = Format(_WITH_PARITY, _PARITY_CHECKED, _ALL_DAMAGED)
#: Characters of 7 bits over 8N1: bit 7 is sent as 0 and ignored on input.
NO_PARITY: Final = Format(
    bytes(c & 0x7F for c in range(256)), bytes(c & 0x7F for c in range(256)), _ALL_DAMAGED
)
#: All 8 bits, as 8N1 carries them; a damaged character is whatever was read, as a UART hands it
#: over to a program that asked for no marks.
EIGHT_BITS: Final = Format(_BYTES, _BYTES, _BYTES, seven_bits=False)
#: All 8 bits, in which programs have their own even parity: a damaged character has a wrong one.
EIGHT_BITS_WITH_PARITY: Final = Format(
    _BYTES,
    _BYTES,
    bytes(c if c.bit_count() % 2 else c ^ 0x80 for c in range(256)),
    seven_bits=False,
)


def format_of(parity: Parity) -> Format:
    """Return the format of an end that carries the parity bit in this way."""
    return NO_PARITY if parity is Parity.NONE else EVEN_PARITY


@functools.cache
def straight(sender: Format, receiver: Format) -> bytes:
    """Return what arrives, undisturbed, for each character that an end of another format sends.

    Of 7 bits, one beyond them is a damaged one already.
    """
    table = bytes(receiver.from_wire[wire] for wire in sender.to_wire)
    return table[:128] + _ALL_DAMAGED[128:] if sender.seven_bits else table


# --- waves ---------------------------------------------------------------------------------------


def character_wave(wire: int, start_ns: int, speed: int, *, stop: bool = True) -> Wave:
    """Return the wave of one character that starts at an instant.

    ``wire``: its 8 bits. ``stop``: False for one whose stop bit is SPACE, which is damaged.
    """
    levels = wire << 1 | (stop << (BITS - 1))
    found: list[tuple[int, int]] = []
    began: int | None = None
    for bit in range(BITS + 1):
        low = bit < BITS and not levels >> bit & 1
        at = start_ns + bit * S // speed
        if low and began is None:
            began = at
        elif not low and began is not None:
            found.append((began, at))
            began = None
    return found


def union(*waves: Wave) -> Wave:
    """Return the wave of a shared line: SPACE wherever one of several is at SPACE."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(interval for wave in waves for interval in wave):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def inverted(wave: Wave, where: Wave) -> Wave:
    """Return a wave with the level turned round during the intervals of another."""
    edges: set[int] = set()
    for interval in (*wave, *where):
        edges.symmetric_difference_update(interval)  # two edges at one instant are none
    ordered = sorted(edges)
    return list(zip(ordered[::2], ordered[1::2], strict=True))


def during(wave: Wave, intervals: Wave) -> Wave:
    """Return what of a wave falls into some intervals."""
    return [
        (max(start, since), min(end, until))
        for start, end in wave
        for since, until in intervals
        if start < until and since < end
    ]


# --- the receiver --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Read:
    """What a receiver read: 8 bits, whether the stop bit was MARK, and when the 10 bits end."""

    wire: int
    framed: bool
    end_ns: int


class Receiver:
    """The receiving half of a UART at ``speed`` Bd that listens from ``since_ns`` on.

    A falling edge begins a character; each bit is read once, in its middle. A start bit that is no
    SPACE in its middle was a disturbance. After a stop bit that is no MARK (a break, a wrong speed)
    the line must be at MARK before an edge can fall again, as it must be at the beginning.
    """

    def __init__(self, speed: int, since_ns: int) -> None:
        self.speed = speed
        self._position = since_ns  # everything before is settled
        self._edge: int | None = None  # the falling edge of the character under way
        self._bit = 0
        self._wire = 0

    @property
    def position_ns(self) -> int:
        """The instant before which nothing matters any more."""
        return self._position

    @property
    def end_ns(self) -> int | None:
        """When the character under way ends, or None."""
        return None if self._edge is None else self._edge - (-BITS * S // self.speed)

    def hear(self, wave: Wave, until_ns: int) -> Iterable[Read]:
        """Read what there is before an instant; returns the characters whose stop bit was read.

        ``wave``: all of it that ends at `position_ns` or later, known up to ``until_ns``.
        """
        found: list[Read] = []
        while self._step(wave, until_ns, found):
            pass
        return found

    def _step(self, wave: Wave, until: int, found: list[Read]) -> bool:
        if self._edge is None:
            return self._seek(wave, until)
        sample = self._edge + (2 * self._bit + 1) * S // (2 * self.speed)
        if sample >= until:
            self._position = max(self._position, until)
            return False
        self._position = sample
        mark = not any(start <= sample < end for start, end in wave)
        if self._bit == 0 and mark:
            self._edge = None
        elif self._bit < BITS - 1:
            self._wire |= (mark and self._bit > 0) << max(0, self._bit - 1)
            self._bit += 1
        else:
            end = self.end_ns
            assert end is not None
            found.append(Read(self._wire, mark, end))
            self._edge = None
        return True

    def _seek(self, wave: Wave, until: int) -> bool:
        """Look for the next falling edge; False where there is none before ``until``."""
        edge = min((start for start, _ in wave if start >= self._position), default=until)
        if edge >= until:
            self._position = max(self._position, until)
            return False
        self._position = self._edge = edge
        self._bit = self._wire = 0
        return True
