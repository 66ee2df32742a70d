"""Framing: messages out of characters as they come, in any fragments and in bounded memory.

What a reader of one side or the other does with each character is its own (`vtc07.carrier.reader`,
`vtc07.carrier.exchange.reader`). The check character is exactly one character after ETX, whatever
it is.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.grammar import ACK, DAMAGED, ETX, LF, NAK


class Frame(enum.Enum):
    """What a run of characters is, by its first ones."""

    REQUEST = "request"
    IDENTIFICATION = "identification"
    OPTION_SELECT = "option select"
    COMMAND = "command"
    DATA = "data"
    BLOCK = "readout without a check"
    ECHO = "echo of a request or option select"
    ACK = "ACK"
    NAK = "NAK"


@dataclass(frozen=True, slots=True)
class Framed:
    """One message between its first and its last character.

    ``chars`` is empty where the message was too long to be held. ``damaged``: a character of it
    could not be read, and stands in it as FF. ``complete``: its end was heard.
    """

    frame: Frame
    chars: bytes = field(repr=False)
    damaged: bool = False
    overlong: bool = False
    complete: bool = True


class Framer:
    """What all readers share: one message under way, of bounded length.

    ``plain``: runs of characters that have no part in framing, taken in one piece.
    """

    plain: ClassVar[re.Pattern[bytes]]

    __slots__ = ("_buffer", "_check_due", "_damaged", "_frame", "_limit", "_limits")

    def __init__(self, limits: MessageLimits) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._reset()

    def _reset(self) -> None:
        self._frame: Frame | None = None
        self._buffer.clear()
        self._limit = 0
        self._damaged = False
        self._check_due = False

    @property
    def in_message(self) -> bool:
        """True while a message has begun and not ended."""
        return self._frame is not None

    @property
    def frame(self) -> Frame | None:
        """What kind of message is under way, or None."""
        return self._frame

    @property
    def length(self) -> int:
        """The number of characters of the message under way that are held."""
        return len(self._buffer)

    def discard(self) -> bool:
        """Forget an incomplete message; True where there was one."""
        was = self._frame is not None
        self._reset()
        return was

    def feed(self, chars: bytes) -> Iterator[Framed]:
        """Take characters and give each message as soon as its last character is there.

        A caller may change what is expected, or stop, between two messages; characters after the
        one at which it stops are not read.
        """
        at, end = 0, len(chars)
        while at < end:
            if len(self._buffer) > 1 and not self._check_due:
                plain = self.plain.match(chars, at)
                if plain is not None:  # what means nothing but itself, in one piece
                    at = plain.end()
                    self._buffer += plain[0][: self._limit + 1 - len(self._buffer)]
                    self._plain()
                    continue
            char = chars[at]
            at += 1
            if self._check_due:
                self._append(char)
                yield self._finish()
                continue
            if self._opens(char):
                continue
            if self._frame is None:
                if (single := self._single(char)) is not None:
                    yield single
                continue
            self._append(char)
            if self._ends(char):
                yield self._finish()

    def _plain(self) -> None:
        """Take notice of plain characters inside a message."""

    def _opens(self, char: int) -> bool:
        """Begin a new message where ``char`` does that."""
        raise NotImplementedError

    def _single(self, char: int) -> Framed | None:
        """Return the message that ``char`` alone is, outside any other: ACK or NAK."""
        if char not in (ACK, NAK):
            return None
        return Framed(Frame.ACK if char == ACK else Frame.NAK, bytes((char,)))

    def _ends(self, char: int) -> bool:
        """Tell whether the message is over with ``char``; a check character may become due."""
        if self._frame in (Frame.COMMAND, Frame.DATA):
            self._check_due = char == ETX
            return False
        return char == LF

    def _begin(self, frame: Frame, chars: bytes, limit: int) -> bool:
        self._reset()
        self._frame = frame
        self._limit = limit
        for char in chars:
            self._append(char)
        return True

    def _append(self, char: int) -> None:
        if char > 0x7F:
            self._damaged = True
            char = DAMAGED
        if len(self._buffer) <= self._limit:
            self._buffer.append(char)  # one beyond the limit at most, which marks it as overlong

    def _finish(self, *, complete: bool = True) -> Framed:
        assert self._frame is not None
        overlong = len(self._buffer) > self._limit
        chars = b"" if overlong else bytes(self._buffer)
        framed = Framed(self._frame, chars, self._damaged, overlong, complete)
        self._reset()
        return framed
