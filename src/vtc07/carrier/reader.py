"""An incremental reader of messages in direct mode: any fragmentation, for either side.

A server's reader knows IDRequests and, while Connected, commands, ACK and NAK; a client's knows
IDResponses, Data (STX), commands of the meter (SOH), ACK and NAK. The rules are those of
docs/protocol.md 5: SOH, or `/` followed by `?`, anywhere but in the BCC's place begins a new
message; exactly one character follows ETX, whatever it is.
"""

from __future__ import annotations

import re

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.framing import Frame, Framed, Framer
from vtc07.carrier.grammar import (
    ID_REQUEST_LIMIT,
    ID_RESPONSE_FRAME,
    QUESTION,
    SLASH,
    SOH,
    STX,
)


class Reader(Framer):
    """Frames what one side hears.

    ``client``: hear what a server sends; else what a client sends. ``commands``: whether SOH, ACK
    and NAK mean anything (a server that is Idle hears IDRequests only); it may be changed between
    two messages. Not more than the longest message of ``limits`` is ever held.
    """

    __slots__ = ("_client", "_slash", "commands")
    plain = re.compile(rb"[^\x01-\x03\x06\n\x15/?\x80-\xff]+")

    def __init__(
        self, limits: MessageLimits, *, client: bool = False, commands: bool = True
    ) -> None:
        self._client = client
        self.commands = commands
        self._slash = False
        super().__init__(limits)

    def _reset(self) -> None:
        super()._reset()
        self._slash = False

    def _plain(self) -> None:
        self._slash = False

    def _opens(self, char: int) -> bool:
        if self._client:
            if char == STX and self._frame is not Frame.COMMAND:
                return self._begin(Frame.DATA, b"\x02", self._limits.data_message)
            if char == SOH:
                return self._begin(Frame.COMMAND, b"\x01", self._limits.command)
            if char == SLASH and self._frame is None:
                return self._begin(
                    Frame.IDENTIFICATION, b"/", ID_RESPONSE_FRAME + self._limits.identification
                )
            return False
        if char == SOH and self.commands:
            return self._begin(Frame.COMMAND, b"\x01", self._limits.command)
        if char == QUESTION and self._slash:
            return self._begin(Frame.REQUEST, b"/?", ID_REQUEST_LIMIT)
        self._slash = char == SLASH
        return False

    def _single(self, char: int) -> Framed | None:
        return super()._single(char) if self.commands else None
