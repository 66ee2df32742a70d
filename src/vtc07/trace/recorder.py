"""Puts the characters of both directions together to messages, as they pass."""

from __future__ import annotations

from collections.abc import Callable

from vtc07.carrier.grammar import DAMAGED
from vtc07.carrier.reader import Frame, Framed, Reader
from vtc07.trace.message import LIMITS, Damage, Sender, TraceMessage

#: After so long without a character what was begun is not continued in a trace: the shortest
#: reaction time of either side (IEC 62056-21 6.4), if the other side is heard meanwhile.
_PAUSE_NS = 200_000_000
#: The longest pause within a message (IEC 62056-21 6.4).
_INTER_CHARACTER_NS = 1_500_000_000

_Character = tuple[int, int, int]  # as sent or as received, as arrived (-1: not), end in ns


class _Side:
    """What one sender has sent since its last message."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.reader = Reader(LIMITS, client=sender == "server")
        self.pending: list[_Character] = []

    def take(self, count: int, frame: Frame | None) -> TraceMessage:
        """Make a message of the first ``count`` pending characters."""
        taken, self.pending = self.pending[:count], self.pending[count:]
        damage = tuple(
            Damage(at, None if arrived < 0 else arrived)
            for at, (sent, arrived, _) in enumerate(taken)
            if arrived != sent or sent == DAMAGED
        )
        return TraceMessage(
            taken[-1][2],
            taken[0][2],
            self.sender,
            bytes(sent for sent, _, _ in taken),
            frame,
            damage,
        )

    def rest(self) -> TraceMessage | None:
        """Make a message of what is no message, and begin anew."""
        self.reader.discard()
        return self.take(len(self.pending), None) if self.pending else None


class Recorder:
    """Gives whole messages to ``sink``, each as soon as its last character has passed.

    `observe` is an observer of a driver, `character` one of a simulated line; times are those of
    one clock, ``start_ns`` is where the trace begins (None: at the first character). Characters
    that belong to no message are given too, at the latest by `finish`.
    """

    def __init__(
        self, sink: Callable[[TraceMessage], None], *, start_ns: int | None = None
    ) -> None:
        self._sink = sink
        self._start_ns = start_ns
        self._sides: dict[Sender, _Side] = {"client": _Side("client"), "server": _Side("server")}

    def observe(self, sender: Sender, chars: bytes, time_ns: int) -> None:
        """Take characters as one end of a link sent or received them; FF: an unreadable one."""
        for char in chars:
            self.character(sender, char, char, time_ns)

    def character(self, sender: Sender, sent: int, arrived: int, time_ns: int) -> None:
        """Take one character: as sent, as it arrived (255 unreadable, negative: not at all)."""
        if self._start_ns is None:
            self._start_ns = time_ns
        time_ns -= self._start_ns
        side = self._sides[sender]
        other = self._sides["server" if sender == "client" else "client"]
        for stale, pause in ((side, _INTER_CHARACTER_NS), (other, _PAUSE_NS)):
            if stale.pending and time_ns - stale.pending[-1][2] >= pause:
                self._emit(stale.rest())
        if len(side.pending) > LIMITS.data_message and not side.reader.in_message:
            self._emit(side.rest())
        side.pending.append((sent, arrived, time_ns))
        for framed in side.reader.feed(bytes((sent,))):
            self._frame(side, framed)

    def _frame(self, side: _Side, framed: Framed) -> None:
        before = 0 if framed.overlong else len(side.pending) - len(framed.chars)
        if before:
            self._emit(side.take(before, None))
        self._emit(side.take(len(side.pending), framed.frame))

    def _emit(self, message: TraceMessage | None) -> None:
        if message is not None:
            self._sink(message)

    def finish(self) -> None:
        """Give what is left."""
        rests = [side.rest() for side in self._sides.values()]
        for message in sorted((rest for rest in rests if rest), key=lambda rest: rest.time_ns):
            self._sink(message)
