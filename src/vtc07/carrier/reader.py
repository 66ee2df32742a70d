"""An incremental reader of messages: any fragmentation, bounded memory, for either side.

A server's reader knows IDRequests and, while Connected, commands, ACK and NAK; a client's knows
IDResponses, Data (STX), commands of the meter (SOH), ACK and NAK. The rules are those of
docs/protocol.md 5: SOH, or `/` followed by `?`, anywhere but in the BCC's place begins a new
message; exactly one character follows ETX, whatever it is.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.grammar import (
    ACK,
    DAMAGED,
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

# Characters that have no part in framing, whichever side hears them.
_PLAIN = re.compile(rb"[^\x01-\x03\x06\n\x15/?\x80-\xff]+")


class Frame(enum.Enum):
    """What a run of characters is, by its first ones."""

    ID_REQUEST = "IDRequest"
    ID_RESPONSE = "IDResponse"
    COMMAND = "command"
    DATA = "Data"
    ACK = "ACK"
    NAK = "NAK"


@dataclass(frozen=True, slots=True)
class Framed:
    """One message between its first and its last character.

    ``chars`` is empty where the message was too long to be stored. ``damaged``: a character of it
    could not be read.
    """

    frame: Frame
    chars: bytes
    damaged: bool = False
    overlong: bool = False


class Reader:
    """Frames what one side hears.

    ``client``: hear what a server sends; else what a client sends. ``commands``: whether SOH, ACK
    and NAK mean anything (a server that is Idle hears IDRequests only); it may be changed between
    two messages. Not more than the longest message of ``limits`` is ever held.
    """

    __slots__ = (
        "_bcc_due",
        "_buffer",
        "_client",
        "_damaged",
        "_frame",
        "_limit",
        "_limits",
        "_slash",
        "commands",
    )

    def __init__(
        self, limits: MessageLimits, *, client: bool = False, commands: bool = True
    ) -> None:
        self._limits = limits
        self._client = client
        self.commands = commands
        self._reset()

    def _reset(self) -> None:
        self._frame: Frame | None = None
        self._buffer = bytearray()
        self._limit = 0
        self._damaged = False
        self._bcc_due = False
        self._slash = False

    @property
    def in_message(self) -> bool:
        """True while a message has begun and not ended."""
        return self._frame is not None

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

        A caller may change `commands` or stop between two messages; characters after the one at
        which it stops are not read.
        """
        at, end = 0, len(chars)
        while at < end:
            if self._frame is not None and not self._bcc_due:
                plain = _PLAIN.match(chars, at)
                if plain is not None:  # what means nothing but itself, in one piece
                    at = plain.end()
                    room = self._limit + 1 - len(self._buffer)
                    self._buffer += plain[0][:room]
                    self._slash = False
                    continue
            char = chars[at]
            at += 1
            if self._bcc_due:
                self._append(char)
                yield self._finish()
                continue
            if self._opens(char):
                continue
            frame = self._frame
            if frame is None:
                if self.commands and char in (ACK, NAK):
                    yield Framed(Frame.ACK if char == ACK else Frame.NAK, bytes((char,)))
                continue
            self._append(char)
            if frame in (Frame.COMMAND, Frame.DATA):
                self._bcc_due = char == ETX
            elif char == LF:
                yield self._finish()

    def _opens(self, char: int) -> bool:
        """Begin a new message where ``char`` does that."""
        if self._client:
            if char == STX and self._frame is not Frame.COMMAND:
                return self._begin(Frame.DATA, b"\x02", self._limits.data_message)
            if char == SOH:
                return self._begin(Frame.COMMAND, b"\x01", self._limits.command)
            if char == SLASH and self._frame is None:
                return self._begin(
                    Frame.ID_RESPONSE, b"/", ID_RESPONSE_FRAME + self._limits.identification
                )
            return False
        if char == SOH and self.commands:
            return self._begin(Frame.COMMAND, b"\x01", self._limits.command)
        if char == QUESTION and self._slash:
            return self._begin(Frame.ID_REQUEST, b"/?", ID_REQUEST_LIMIT)
        self._slash = char == SLASH
        return False

    def _begin(self, frame: Frame, chars: bytes, limit: int) -> bool:
        self._reset()
        self._frame = frame
        self._buffer += chars
        self._limit = limit
        return True

    def _append(self, char: int) -> None:
        if char > 0x7F:
            self._damaged = True
            char = DAMAGED
        if len(self._buffer) <= self._limit:
            self._buffer.append(char)  # one beyond the limit at most, which marks it as overlong

    def _finish(self) -> Framed:
        assert self._frame is not None
        overlong = len(self._buffer) > self._limit
        framed = Framed(
            self._frame, b"" if overlong else bytes(self._buffer), self._damaged, overlong
        )
        self._reset()
        return framed
