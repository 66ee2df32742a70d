"""Incremental readers of IEC 62056-21's messages: any fragmentation, bounded memory.

`PortReader` frames what a meter's port hears, `HHUReader` what a hand-held unit hears. The check
character is exactly one character after ETX or EOT, whatever it is; an STX inside a message that
began with SOH belongs to it. What a frame means, and whether its check is right, is not asked here.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.grammar import (
    ACK,
    DAMAGED,
    EOT,
    ETX,
    ID_REQUEST_LIMIT,
    ID_RESPONSE_FRAME,
    LF,
    NAK,
    QUESTION,
    SLASH,
    SOH,
    STX,
)

#: `ACK V Z Y CR LF`.
OPTION_SELECT_LENGTH: Final = 6
#: What an HHU holds of one readout or answer, in characters, unless told otherwise (our choice).
LONGEST_DATA: Final = 262_144

_CR: Final = 0x0D
_BANG: Final = 0x21

# Characters that have no part in framing, whichever side hears them.
_PLAIN = re.compile(rb"[^\x01-\x04\x06\n\r\x15!/?\x80-\xff]+")


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


class _Reader:
    """What both readers share: one message under way, of bounded length."""

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
                plain = _PLAIN.match(chars, at)
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
        """Return the message that ``char`` alone is, outside any other."""
        raise NotImplementedError

    def _ends(self, char: int) -> bool:
        """Tell whether the message is over with ``char``; a check character may become due."""
        if self._frame in (Frame.COMMAND, Frame.DATA):
            self._check_due = char in (ETX, EOT)
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


class PortReader(_Reader):
    """Frames what a meter's port hears: REQUEST, OPTION_SELECT, COMMAND, ACK and NAK.

    `/?` begins a request at any time; SOH, with ``commands``, a command: both wherever they stand,
    but in the check's place. ``commands``: whether SOH, ACK and NAK mean anything.
    ``option_select``: an ACK begins an option select, which ends in LF. Both may be changed
    between two messages.
    """

    __slots__ = ("_slash", "commands", "option_select")

    def __init__(self, limits: MessageLimits) -> None:
        self._slash = False
        super().__init__(limits)
        self.commands = False
        self.option_select = False

    def _reset(self) -> None:
        super()._reset()
        self._slash = False

    def _plain(self) -> None:
        self._slash = False

    def _opens(self, char: int) -> bool:
        if char == SOH and self.commands:
            return self._begin(Frame.COMMAND, b"\x01", self._limits.command)
        if char == ACK and self.option_select:
            return self._begin(Frame.OPTION_SELECT, b"\x06", OPTION_SELECT_LENGTH)
        if char == QUESTION and self._slash:
            return self._begin(Frame.REQUEST, b"/?", ID_REQUEST_LIMIT)
        self._slash = char == SLASH
        return False

    def _single(self, char: int) -> Framed | None:
        if not self.commands or char not in (ACK, NAK):
            return None
        return Framed(Frame.ACK if char == ACK else Frame.NAK, bytes((char,)))


class HHUReader(_Reader):
    """Frames what a hand-held unit hears of a meter.

    IDENTIFICATION, DATA (STX up to the check), COMMAND (P0 and B0 of the meter, and the echo of
    any command), ACK, NAK; with ``readout``, also BLOCK (a readout without STX, up to a `!` at a
    line's end), and then an ACK begins the ECHO of an option select, as `/?` always does that of
    a request. ``unchecked``: a readout that began with STX is over at its `!`, too.

    ``readout`` may be changed between two messages. Noise outside of messages is passed over. The
    longest message held has ``longest`` characters.
    """

    __slots__ = ("_bang", "_longest", "_unchecked", "readout")

    def __init__(
        self,
        limits: MessageLimits,
        *,
        unchecked: bool = False,
        longest: int = LONGEST_DATA,
    ) -> None:
        self._bang = False
        super().__init__(limits)
        self._unchecked = unchecked
        self._longest = longest
        self.readout = False

    def rest(self) -> Framed | None:
        """Return what there is of a message that did not end, and forget it; None: there is none.

        For meters that leave out the end of a readout: the line has been silent.
        """
        return None if self._frame is None else self._finish(complete=False)

    def _reset(self) -> None:
        super()._reset()
        self._bang = False

    def _plain(self) -> None:
        self._bang = False

    def _opens(self, char: int) -> bool:
        if char == STX and self._frame not in (Frame.COMMAND, Frame.IDENTIFICATION):
            return self._begin(Frame.DATA, b"\x02", self._longest)
        if char == SOH:
            return self._begin(Frame.COMMAND, b"\x01", self._limits.command)
        if self._frame is not None:
            return False
        if char == SLASH:
            limit = ID_RESPONSE_FRAME + self._limits.identification
            return self._begin(Frame.IDENTIFICATION, b"/", limit)
        if not self.readout:
            return False
        if char == ACK:
            return self._begin(Frame.ECHO, b"\x06", OPTION_SELECT_LENGTH)
        # A damaged character may have been the first one of a line.
        if 0x20 <= char < 0x7F or char > 0x7F:
            self._begin(Frame.BLOCK, bytes((char,)), self._longest)
            self._bang = char == _BANG
            return True
        return False

    def _single(self, char: int) -> Framed | None:
        if char not in (ACK, NAK):
            return None
        return Framed(Frame.ACK if char == ACK else Frame.NAK, bytes((char,)))

    def _ends(self, char: int) -> bool:
        if char == QUESTION and self._frame is Frame.IDENTIFICATION and len(self._buffer) == 2:
            self._frame, self._limit = Frame.ECHO, ID_REQUEST_LIMIT
        over = self._bang and char == LF
        if char not in (_CR, LF):
            self._bang = char == _BANG
        if self._frame is Frame.BLOCK:
            return over
        if self._frame is Frame.DATA and self._unchecked and self.readout and over:
            return True
        return super()._ends(char)
