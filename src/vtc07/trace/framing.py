"""Messages of either end, as a trace finds them: direct VTC07 and IEC 62056-21 in all its modes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vtc07.carrier.exchange.reader import LONGEST_DATA, HHUReader, PortReader
from vtc07.carrier.framing import Frame, Framed
from vtc07.trace.message import LIMITS, Sender

#: A readout that has begun with STX but has no check, or has a CRC16 behind its `!`.
_UNCHECKED = re.compile(rb"\x02?[^\x01-\x06!]*\)[\r\n]*!(?:[0-9A-Fa-f]{4})?[\r\n]*\x03?\Z")
_PUSH_END = re.compile(rb"![0-9A-Fa-f]{4}\r?\n\Z")

#: More characters than the longest message that a trace takes as one.
LONGEST = LONGEST_DATA + 2


class Framer:
    """Frames what one end sends, as whoever hears it does."""

    def __init__(self, sender: Sender) -> None:
        self._reader: PortReader | HHUReader
        if sender == "client":
            self._reader = PortReader(LIMITS)
            self._reader.commands = True
        else:
            self._reader = HHUReader(LIMITS)

    @property
    def in_message(self) -> bool:
        """True while a message has begun and not ended."""
        return self._reader.in_message

    def feed(self, chars: bytes, *, sign_on: bool) -> Iterator[Framed]:
        """Take characters and give each message as soon as its last character is there.

        ``sign_on``: the meter has identified itself and no command followed, so an HHU's ACK begins
        an option select, and a meter's printable characters are a readout without STX.
        """
        if not self._reader.in_message:
            if isinstance(self._reader, PortReader):
                self._reader.option_select = sign_on
            else:
                self._reader.readout = sign_on and chars[:1] != b"\x06"
        return self._reader.feed(chars)

    def discard(self) -> None:
        """Forget an incomplete message."""
        self._reader.discard()


def frame_of(sender: Sender, chars: bytes) -> Frame | None:
    """Return what whole characters of one end are, or None where they are no message."""
    option_select = chars[:1] == b"\x06" and len(chars) > 1
    body = chars.lstrip(b"\r\n") if sender == "server" else chars
    framed = list(Framer(sender).feed(body, sign_on=sender == "server" or option_select))
    if len(framed) == 1 and not framed[0].overlong and len(framed[0].chars) == len(body):
        frame = framed[0].frame
        # Mode D has an empty line before its block, and only there it belongs to a message.
        return frame if len(body) == len(chars) or frame is Frame.BLOCK else None
    if sender == "server" and _UNCHECKED.match(body):
        return Frame.BLOCK
    return None


def ends_push(chars: bytes) -> bool:
    """Tell whether a meter's characters end as a pushed telegram with CRC16 does (DSMR P1)."""
    return _PUSH_END.search(chars) is not None
