"""What a meter was heard to say, from its identification to the end of its readout, as a whole.

For recorded characters and for pushed telegrams (mode D), in which nothing was asked. Whatever is
there is read: noise and echoes before it, ends that are missing, checks of several kinds.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import Final

from vtc07.carrier.exchange.blocks import ReadoutBlock, parse_block
from vtc07.carrier.exchange.events import MeterIdentity
from vtc07.carrier.exchange.messages import check_character, parse_identification
from vtc07.carrier.exchange.settings import STANDARD, Compatibility

_IDENTIFICATION = re.compile(rb"/[A-Za-z]{3}[ -~][^\r\n]*(?:\r\n|\n\n|\n|\r)")
_STX_BLOCK = re.compile(rb"[^!(/]*?\x02([^\x03\x04]*)(?:([\x03\x04])(.?))?", re.DOTALL)
#: Up to a `!` at a line's end, what P1 puts after it included; or all there is.
_BARE_BLOCK = re.compile(rb".*?![0-9A-Fa-f]{0,4}(?:[\r\n]+|\Z)|.*", re.DOTALL)
_ECHO = re.compile(rb"(?:/\?|\x06)[^\r\n]*[\r\n]+")
_CRC: Final = re.compile(r"[0-9A-Fa-f]{4}")


class Framing(enum.Enum):
    """What stood around a block."""

    CHECKED = "STX, ETX and a check character"
    UNCHECKED = "STX without a check character"
    BARE = "neither STX nor a check character"
    PUSHED = "mode D"
    PUSHED_CRC = "mode D with a CRC16"


@dataclass(frozen=True, slots=True)
class Telegram:
    """Identification and block.

    ``identity`` is None where a block alone was heard. ``check_good``: of the check character by
    the switch ``check``, or of the CRC16; None where there is none. ``chars``: all of it, but for
    echoes.
    """

    identity: MeterIdentity | None
    framing: Framing
    check_good: bool | None
    block: ReadoutBlock
    chars: bytes = field(repr=False)


def crc16(covered: bytes) -> int:
    """Return the CRC16 of a P1 telegram: of all from `/` up to and including `!`.

    DSMR P1 5.2: polynomial x16 + x15 + x2 + 1, least significant bit first, begun with 0. It
    follows the `!` as four hexadecimal digits.
    """
    crc = 0
    for char in covered:
        crc ^= char
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
    return crc


def parse_telegram(chars: bytes, compat: Compatibility = STANDARD) -> Telegram | None:
    """Parse the first telegram in ``chars``; None where there is neither `/XXX` nor a block."""
    return next(iter(parse_telegrams(chars, compat)), None)


def parse_telegrams(chars: bytes, compat: Compatibility = STANDARD) -> tuple[Telegram, ...]:
    """Parse all telegrams in ``chars``, one after the other.

    Echoes of requests and option selects are passed over, and so is what stands before the first
    identification. Without any identification all of it is one block.
    """
    # Behind the last line's end nothing has one: who looked there would do so again and again.
    lines_end = max(chars.rfind(b"\r"), chars.rfind(b"\n")) + 1
    if _IDENTIFICATION.search(chars, 0, lines_end) is None:
        block_chars = _ECHO.sub(b"", chars[:lines_end]) + chars[lines_end:]
        telegram, _ = _block(None, b"", block_chars, compat)
        return (telegram,) if telegram.block.rows or telegram.block.ended else ()
    telegrams: list[Telegram] = []
    at = 0
    while match := _IDENTIFICATION.search(chars, at, lines_end):
        following = _IDENTIFICATION.search(chars, match.end(), lines_end)
        rest = chars[match.end() : following.start() if following else len(chars)]
        identity = parse_identification(match[0])
        telegram, length = _block(identity, match[0], rest, compat)
        telegrams.append(telegram)
        at = match.end() + length
    return tuple(telegrams)


def _block(
    identity: MeterIdentity | None, said: bytes, rest: bytes, compat: Compatibility
) -> tuple[Telegram, int]:
    """Return the telegram, and how many characters of ``rest`` are its."""
    start = echo.end() if (echo := _ECHO.match(rest)) else 0
    match = _STX_BLOCK.match(rest, start)
    if match is not None:
        block = parse_block(match[1], compat)
        good: bool | None = None
        if match[3]:
            covered = match[1] + match[2]
            good = check_character(covered, compat.check) == match[3][0] & 0x7F
        framing = Framing.UNCHECKED if good is None else Framing.CHECKED
        return Telegram(identity, framing, good, block, said + match[0]), match.end()
    bare = _BARE_BLOCK.match(rest, start)
    assert bare is not None
    block = parse_block(bare[0], compat)
    chars = said + bare[0]
    if identity is None or not (rest.startswith(b"\r\n") or said.endswith(b"\r\n\r\n")):
        return Telegram(identity, Framing.BARE, None, block, chars), bare.end()
    if block.ended and _CRC.fullmatch(block.after):
        good = crc16(chars[: chars.rindex(b"!") + 1]) == int(block.after, 16)
        return Telegram(identity, Framing.PUSHED_CRC, good, block, chars), bare.end()
    return Telegram(identity, Framing.PUSHED, None, block, chars), bare.end()
