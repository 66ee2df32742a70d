"""Puts the characters of both directions together to messages, as they pass."""

from __future__ import annotations

from collections.abc import Callable

from vtc07.carrier.framing import Frame, Framed
from vtc07.carrier.grammar import DAMAGED, LF
from vtc07.trace.framing import LONGEST, Framer, ends_push, frame_of
from vtc07.trace.masking import Masking
from vtc07.trace.message import LIMITS, Damage, Sender, TraceMessage, TraceSpeed

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
        self.framer = Framer(sender)
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

    def pushed(self) -> bool:
        """Say whether the characters since the last message end a telegram with CRC16."""
        return ends_push(bytes(sent & 0xFF for sent, _, _ in self.pending[-7:]))

    def rest(self) -> TraceMessage | None:
        """Make a message of what has no end, and begin anew."""
        self.framer.discard()
        if not self.pending:
            return None
        frame = frame_of(self.sender, bytes(sent for sent, _, _ in self.pending))
        return self.take(len(self.pending), frame)


class Recorder:
    """Gives whole messages to ``sink``, each as soon as its last character has passed.

    `observe` is an observer of a driver, `character` one of a simulated line; times are those of
    one clock, ``start_ns`` is where the trace begins (None: at the first character). Characters
    that belong to no message are given too, at the latest by `finish`.

    A password never comes out (`vtc07.trace.masking`). Changes of speed go to ``on_speed``;
    `speed` is an observer of a driver or a simulated line.
    """

    def __init__(
        self,
        sink: Callable[[TraceMessage], None],
        *,
        on_speed: Callable[[TraceSpeed], None] | None = None,
        start_ns: int | None = None,
    ) -> None:
        self._sink = sink
        self._on_speed = on_speed
        self._start_ns = start_ns
        self._masking = Masking()
        # What the characters of either end stand behind (`Framer.feed`).
        self._sign_on: dict[Sender, bool] = {"client": False, "server": False}
        self._sides: dict[Sender, _Side] = {"client": _Side("client"), "server": _Side("server")}

    def observe(self, sender: Sender, chars: bytes, time_ns: int) -> None:
        """Take characters as one end of a link sent or received them; FF: an unreadable one."""
        for char in chars:
            self.character(sender, char, char, time_ns)

    def character(self, sender: Sender, sent: int, arrived: int, time_ns: int) -> None:
        """Take one character: as sent, as it arrived (255 unreadable, negative: not at all)."""
        time_ns = self._since_start(time_ns)
        side = self._sides[sender]
        other = self._sides["server" if sender == "client" else "client"]
        for stale, pause in ((side, _INTER_CHARACTER_NS), (other, _PAUSE_NS)):
            if stale.pending and time_ns - stale.pending[-1][2] >= pause:
                self._emit(stale.rest())
        longest = LONGEST if side.framer.in_message else LIMITS.data_message
        if len(side.pending) > longest:
            self._emit(side.rest())
        side.pending.append((sent, arrived, time_ns))
        for framed in side.framer.feed(bytes((sent,)), sign_on=self._sign_on[sender]):
            self._frame(side, framed)
        if sent == LF and sender == "server" and side.pushed():
            self._emit(side.rest())

    def speed(self, sender: Sender, speed: int, time_ns: int) -> None:
        """Take notice that one end has gone on at another speed, in Bd.

        What it sent before is over.
        """
        self._emit(self._sides[sender].rest())
        time_ns = self._since_start(time_ns)
        if self._on_speed is not None:
            self._on_speed(TraceSpeed(time_ns, sender, speed))

    def finish(self) -> None:
        """Give what is left."""
        rests = [side.rest() for side in self._sides.values()]
        for message in sorted((rest for rest in rests if rest), key=lambda rest: rest.time_ns):
            self._emit(message)

    def _since_start(self, time_ns: int) -> int:
        if self._start_ns is None:
            self._start_ns = time_ns
        return time_ns - self._start_ns

    def _frame(self, side: _Side, framed: Framed) -> None:
        if framed.overlong:  # where it began is not known any more
            self._emit(side.take(len(side.pending), None))
            return
        before = len(side.pending) - len(framed.chars)
        stray = bytes(sent for sent, _, _ in side.pending[:before])
        if framed.frame is Frame.BLOCK and not stray.strip(b"\r\n"):
            before = 0  # mode D has an empty line before its block
        if before:
            self._emit(side.take(before, None))
        self._follow(framed.frame)
        self._emit(side.take(len(side.pending), framed.frame))

    def _follow(self, frame: Frame) -> None:
        """Keep in mind where in a sign-on the two ends are."""
        if frame is Frame.IDENTIFICATION:
            self._sign_on = {"client": True, "server": True}
        elif frame is Frame.OPTION_SELECT:
            self._sign_on["client"] = False
        elif frame in (Frame.REQUEST, Frame.COMMAND, Frame.DATA):
            self._sign_on = {"client": False, "server": False}

    def _emit(self, message: TraceMessage | None) -> None:
        if message is not None:
            self._sink(self._masking.mask(message))
