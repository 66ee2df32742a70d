"""Inputs for the carrier as scripts: characters of the line, and bytes that let things happen.

The line has characters 00 to 7F and FF (unreadable); the bytes between are free. So a session's
characters are a script as they stand, and whatever libFuzzer makes of one is a script too.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator

from vtc07.carrier.companion import MS, S
from vtc07.carrier.messages import bcc


class Op(enum.IntEnum):
    """Bytes that are no characters."""

    BCC = 0x80  # the right block check character of what stands since the last SOH or STX
    CUT = 0x81  # the characters before it arrive together
    LOST = 0x88  # the link closes
    TIMER = 0x89  # time passes until the core's next timer
    SLOW = 0x8A  # from now on the host lets a request wait; the next one: no more
    REFUSE = 0x8B  # the host refuses what comes next
    FULL = 0x8C  # the host's values are as long as they can be; the next one: short again
    COMMAND = 0x90  # 90 to 9F: a client's command


#: What passes, by byte.
PAUSES = {
    0x82: 20 * MS,
    0x83: 200 * MS,
    0x84: 1500 * MS,
    0x85: 2000 * MS,
    0x86: 8 * S,
    0x87: 120 * S,
}
LONGEST = 2048
CHARACTER_NS = 4_166_667  # at 2400 Bd


def steps(script: bytes) -> Iterator[bytes | int]:
    """Give fragments of characters, and bytes that are no characters, in their order."""
    fragment = bytearray()
    start: int | None = None
    for byte in script[:LONGEST]:
        if byte == Op.BCC:
            begun = 0 if start is None else start
            fragment.append(bcc(bytes(c & 0x7F for c in fragment[begun:])))
            start = None
        elif byte < 0x80 or byte == 0xFF:
            fragment.append(byte)
            if byte in (1, 2) and (start is None or byte == 1):
                start = len(fragment)
        else:
            if fragment:
                yield bytes(fragment)
                fragment.clear()
                start = None
            yield byte
    if fragment:
        yield bytes(fragment)


def scripted(chars: bytes) -> bytes:
    """Return a whole message as a script: its BCC is computed where it is the right one."""
    if len(chars) > 3 and chars[0] in (1, 2) and bcc(chars[1:-1]) == chars[-1]:
        return chars[:-1] + bytes((Op.BCC,))
    return chars
