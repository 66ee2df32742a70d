"""Characters between 7 bits (ISO/IEC 646) and the 8 bits that a path carries.

The core's side: 7-bit characters, FF for a damaged one. The path's side, by `Parity`: ``uart``: the
port itself sends and checks 7 data bits and even parity (IEC 62056-21 clause 5); ``software``: even
parity in bit 7 of an 8N1 path (IEC 62056-21 annex E), sent and checked; ``none``: bit 7 sent as 0
and ignored on input.
"""

from __future__ import annotations

from vtc07.carrier.companion import Parity
from vtc07.carrier.grammar import DAMAGED

_MARK = 0xFF  # what termios puts before a marked character (PARMRK)

_SEVEN_BITS = bytes(code & 0x7F for code in range(256))
_ADD_PARITY = bytes((code & 0x7F) | ((code & 0x7F).bit_count() % 2) << 7 for code in range(256))
_CHECK_PARITY = bytes(DAMAGED if code.bit_count() % 2 else code & 0x7F for code in range(256))


class CharacterCoder:
    """Turns characters into a path's bytes and back; one for each open link.

    ``marked``: the bytes received carry the marks of termios (PARMRK): FF 00 x for a character x
    with a parity or framing error (a break is FF 00 00), FF FF for a byte FF that arrived whole. A
    sequence may be torn between two calls.
    """

    def __init__(self, parity: Parity, *, marked: bool = False) -> None:
        software = parity is Parity.SOFTWARE
        self._out = _ADD_PARITY if software else _SEVEN_BITS
        self._in = _CHECK_PARITY if software else _SEVEN_BITS
        self._marked = marked
        self._torn = b""

    def encode(self, chars: bytes) -> bytes:
        """Return the bytes that carry 7-bit characters."""
        return chars.translate(self._out)

    def decode(self, data: bytes) -> bytes:
        """Return the characters of received bytes, one for each, FF for a damaged one.

        Fewer while a marked character is not yet whole.
        """
        if not self._marked:
            return data.translate(self._in)
        data = self._torn + data
        chars = bytearray()
        at = 0
        while (mark := data.find(_MARK, at)) >= 0:
            chars += data[at:mark].translate(self._in)
            kind = data[mark + 1 : mark + 2]
            length = 3 if kind == b"\x00" else 2
            if mark + length > len(data):
                at = mark
                break
            if kind == b"\x00":
                chars.append(DAMAGED)
            elif kind == b"\xff":
                chars += kind.translate(self._in)
            else:  # no mark of termios: the FF is a byte that the driver did not double
                chars.append(DAMAGED)
                length = 1
            at = mark + length
        else:
            chars += data[at:].translate(self._in)
            at = len(data)
        self._torn = data[at:]
        return bytes(chars)
