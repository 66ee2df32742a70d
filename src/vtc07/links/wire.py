"""What the two ends of a simulated line hear where levels decide it, not characters.

As long as both ends send and hear at one speed, one at a time and undisturbed, every character
arrives as it was sent, by the formats of the two ends. Otherwise the line is looked at as what it
is, levels that two receivers read at instants of their own: where the speeds differ, where both
ends speak at once on a line that they share, and where noise strikes.

What is under way becomes known with the end of each character. So what a receiver makes of it is
handed over then, or at the end of what it takes for a character, whichever is later.
"""

from __future__ import annotations

from dataclasses import dataclass

from vtc07.carrier.grammar import DAMAGED
from vtc07.links.lane import Lane
from vtc07.links.noise import Noise, Pulses
from vtc07.links.waveform import (
    Format,
    Receiver,
    Wave,
    character_wave,
    during,
    inverted,
    straight,
    union,
)

CLIENT, SERVER = 0, 1


@dataclass(frozen=True, slots=True)
class _Sent:
    """A character that one end sent: when, its wave, and the wave that got to the other end."""

    start: int
    end: int
    wave: Wave
    passed: Wave


class Wire:
    """The levels between the two ends, and the receivers at both.

    ``lanes`` and ``formats``: of client and server. ``collisions``: both ends speak on one pair of
    wires, or into one light: SPACE wins, and whoever speaks hears what the other one says through
    it. ``echoes``: which end hears itself. ``noise``: what strikes the line, or None.
    """

    def __init__(
        self,
        lanes: tuple[Lane, Lane],
        formats: tuple[Format, Format],
        *,
        collisions: bool,
        echoes: tuple[bool, bool],
        noise: Noise | None,
        now_ns: int,
    ) -> None:
        self._lanes = lanes
        self._formats = formats
        self._collisions = collisions
        self._echoes = echoes
        self._noise = noise
        self._always = collisions or noise is not None
        self._receivers = [Receiver(lane.speed, now_ns) for lane in lanes]
        self._pulses: list[Pulses] = []
        if noise is not None:
            self._pulses = [Pulses(noise, lane.sender, now_ns) for lane in lanes]
        self._sent: tuple[list[_Sent], list[_Sent]] = ([], [])
        #: whether levels decide what arrives, and not characters
        self.matters = self._always or lanes[CLIENT].speed != lanes[SERVER].speed
        #: the character that the other end gets for each that an end sends, where they do not
        self.straight = tuple(straight(formats[end], formats[1 - end]) for end in (0, 1))
        #: the character that an end which is echoed gets back
        self.back = tuple(straight(one, one) for one in formats)

    def retune(self, end: int, now_ns: int) -> None:
        """Let an end hear at its lane's speed from now on."""
        self._receivers[end] = Receiver(self._lanes[end].speed, now_ns)
        # Also where the speeds are the same now: a character may be under way since before.
        self.matters = True

    def clear(self, now_ns: int) -> None:
        """Forget all that is under way: the link was closed."""
        for sent in self._sent:
            sent.clear()
        for end in (CLIENT, SERVER):
            self.retune(end, now_ns)
        self._look()

    def carry(self, end: int, char: int, passed: bytes, start_ns: int, end_ns: int) -> None:
        """Put a character on the line that one end sent from ``start_ns`` to ``end_ns``.

        ``passed``: what gets through: itself, another one, none; or several, one over the other.
        """
        own, speed = self._formats[end], self._lanes[end].speed
        wave = character_wave(own.to_wire[char], start_ns, speed)
        got = [self._passing(end, char, one, start_ns) for one in passed]
        self._sent[end].append(_Sent(start_ns, end_ns, wave, union(*got)))

    def _passing(self, end: int, char: int, passed: int, start_ns: int) -> Wave:
        own, other, speed = self._formats[end], self._formats[1 - end], self._lanes[end].speed
        if passed <= 0x7F or not own.seven_bits:
            return character_wave(own.to_wire[passed], start_ns, speed)
        # A damaged one: by its parity; where nobody looks at that, by its stop bit.
        wire = own.to_wire[char] ^ 0x80
        looks = other.from_wire[wire] == DAMAGED
        return character_wave(wire, start_ns, speed, stop=looks)

    def next_ns(self, *, plugged: bool) -> int | None:
        """Return when an end will have heard something that no character's end will bring."""
        found: list[int] = []
        for end, receiver in enumerate(self._receivers):
            if self._lanes[1 - end].end is not None:
                continue
            if self._collisions and self._lanes[end].end is not None:
                continue
            if (ends := receiver.end_ns) is not None:
                found.append(ends)
            elif self._pulses and plugged:
                found.append(self._pulses[end].next_ns(receiver.speed) + 1)
        return min(found, default=None)

    def listen(self, end: int, now_ns: int, *, plugged: bool) -> bytes:
        """Return the characters that an end has heard since it was last asked."""
        other = self._lanes[1 - end]
        until = now_ns if other.end is None else min(now_ns, other.began)
        receiver, format_ = self._receivers[end], self._formats[end]
        heard: Wave = union(*(sent.passed for sent in self._sent[1 - end]))
        if self._collisions:
            heard = union(heard, self._own(end))
        if self._pulses:
            pulses = self._pulses[end].before(until, receiver.speed)
            if plugged:
                heard = inverted(heard, pulses)
        found = bytearray()
        for read in receiver.hear(heard, until):
            table = format_.from_wire if read.framed else format_.misframed
            found.append(table[read.wire])
        self._forget()
        self._look()
        return bytes(found)

    def _own(self, end: int) -> Wave:
        """Return what an end hears of itself: all of it, or what the other one speaks through."""
        lane = self._lanes[end]
        own = [sent.wave for sent in self._sent[end]]
        if lane.end is not None:
            wire = self._formats[end].to_wire[lane.burst[lane.at]]
            own.append(character_wave(wire, lane.began, lane.speed))
        if self._echoes[end]:
            return union(*own)
        return union(during(union(*own), [(s.start, s.end) for s in self._sent[1 - end]]))

    def _forget(self) -> None:
        settled = [receiver.position_ns for receiver in self._receivers]
        for end, sent in enumerate(self._sent):
            needed = min(settled) if self._collisions else settled[1 - end]
            sent[:] = [one for one in sent if one.end >= needed]
        for end, pulses in enumerate(self._pulses):
            pulses.forget(settled[end])

    def _look(self) -> None:
        """Find out whether levels still decide: not where all is quiet and in tune again."""
        up, down = self._lanes
        self.matters = (
            self._always
            or up.speed != down.speed
            or any(receiver.end_ns is not None for receiver in self._receivers)
            or any(
                lane.end is not None and lane.began < receiver.position_ns
                for lane, receiver in zip(reversed(self._lanes), self._receivers, strict=True)
            )
        )
