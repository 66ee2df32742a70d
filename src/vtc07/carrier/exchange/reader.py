"""Incremental readers of IEC 62056-21's messages: any fragmentation, bounded memory.

`PortReader` frames what a meter's port hears, `HHUReader` what a hand-held unit hears. The check
character is exactly one character after ETX or EOT, whatever it is; an STX inside a message that
began with SOH belongs to it. What a frame means, and whether its check is right, is not asked here.
"""

from __future__ import annotations

import re
from typing import Final

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.framing import Frame, Framed, Framer
from vtc07.carrier.grammar import (
    ACK,
    EOT,
    ID_REQUEST_LIMIT,
    ID_RESPONSE_FRAME,
    LF,
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


class _ExchangeReader(Framer):
    """A message with a check may be one block of several: EOT stands in for ETX then."""

    __slots__ = ()
    plain = re.compile(rb"[^\x01-\x04\x06\n\r\x15!/?\x80-\xff]+")

    def _ends(self, char: int) -> bool:
        if char == EOT and self._frame in (Frame.COMMAND, Frame.DATA):
            self._check_due = True
            return False
        return super()._ends(char)


class PortReader(_ExchangeReader):
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
        return super()._single(char) if self.commands else None


class HHUReader(_ExchangeReader):
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
