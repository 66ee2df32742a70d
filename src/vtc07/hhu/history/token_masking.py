"""No token in what is shown or kept masked: where tokens stand in messages and in values.

A token that was not taken is still money, and one that was refused may be good later. Which
registers hold tokens says the companion: by their type, whatever their encoding (20 decimal digits
or hexadecimal). In text (the token log) and in what no companion describes it is the shape that
tells: a run of so many digits. A message that the line has damaged may hold a piece of a token
anywhere, so nothing of its values is left.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from vtc07.carrier.companion import Companion
from vtc07.carrier.exchange.messages import check_character, check_is_good
from vtc07.carrier.exchange.settings import CheckCharacter
from vtc07.carrier.framing import Frame
from vtc07.carrier.registers import Kind, Register, Value
from vtc07.trace.message import TraceMessage

#: Stands for each digit of a token. No asterisk: that one parts a value from its unit.
MASK: Final = "#"

#: 20 decimal digits, also in groups; or the 17 hexadecimal ones of 66 bits; alone or within more
#: of their kind. A MeterPAN (18 digits) is none.
_SHAPED = re.compile(
    r"(?<![0-9A-Fa-f])(?:[0-9]{19,}|[0-9]{17}(?![0-9])|(?=[0-9]*[A-Fa-f])[0-9A-Fa-f]{17,})"
    r"|(?<![0-9])(?:[0-9]{4}[ .-]){4}[0-9]{4}"
)
#: 20 digits as people write them down, in groups with any signs between.
_WRITTEN = re.compile(
    r"(?<![0-9])(?:[0-9]{4}(?:[^0-9A-Za-z]{1,3}[0-9]{4}){4}"
    r"|[0-9]{5}(?:[^0-9A-Za-z]{1,3}[0-9]{5}){3}|[0-9]{10}[^0-9A-Za-z]{1,3}[0-9]{10})(?![0-9])"
)
#: The same in a readout without a check, of which characters may be missing unseen.
_PIECE = re.compile(r"[0-9A-Fa-f]{10,}")
#: ``address(value`` wherever it stands: in a command, in Data, in a readout.
_DATA_SET = re.compile(r"(?P<address>[!-'*-~]*)\((?P<value>[^()\x03\x04]*)")
#: What a command begins with that is no part of a value, whatever became of the rest.
_CODE = re.compile(r"\x01[A-Z][0-9]\x02")
_ALPHANUMERIC = re.compile(r"[0-9A-Za-z]")
_CHECKED = (Frame.COMMAND, Frame.DATA)


def text_without_tokens(text: str) -> str:
    """Return text with `MASK` for every digit of what has the shape of a token."""
    return _SHAPED.sub(_covered, text)


def note_without_tokens(text: str) -> str:
    """Return the same of what a person wrote, who may have put anything between the groups."""
    return text_without_tokens(_WRITTEN.sub(_covered, text))


def _covered(found: re.Match[str]) -> str:
    return _ALPHANUMERIC.sub(MASK, found[0])


def value_without_tokens(register: Register, value: Value) -> Value:
    """Return a register's value, masked where it is a token or text with one in it."""
    if isinstance(value, int):
        return value
    if register.data_type.kind is Kind.TOKEN:
        return MASK * len(value)
    return text_without_tokens(value)


def message_without_tokens(message: TraceMessage, companion: Companion | None) -> TraceMessage:
    """Return a message with `MASK` for every digit of a token; the same object where it has none.

    Its check character is then that of what stands there. ``companion`` None: the shape alone says
    what is a token.
    """
    text = message.chars.decode("latin-1")
    if _is_sound(message, companion):
        masked = _DATA_SET.sub(lambda found: _data_set(found, companion), text)
        masked = text_without_tokens(masked)
        if message.frame is Frame.BLOCK:
            masked = _PIECE.sub(_covered, masked)
    else:
        masked = _unsound(text)
    if masked == text:
        return message
    chars = masked.encode("latin-1")
    if message.frame not in _CHECKED:
        return replace(message, chars=chars)
    check = check_character(chars[1:-1], _check_of(companion))
    if not _is_checked(message, companion):
        check ^= 1
    return replace(message, chars=chars[:-1] + bytes((check,)))


def _data_set(found: re.Match[str], companion: Companion | None) -> str:
    register = None if companion is None else companion.table.find(found["address"])
    if register is None or register.data_type.kind is not Kind.TOKEN:
        return found[0]
    return f"{found['address']}({_ALPHANUMERIC.sub(MASK, found['value'])}"


def _unsound(text: str) -> str:
    """Mask a message that is not whole: everything that could be a digit of a token."""
    begun = _CODE.match(text)
    kept = begun.end() if begun else 0
    return text[:kept] + _ALPHANUMERIC.sub(MASK, text[kept:])


def _is_sound(message: TraceMessage, companion: Companion | None) -> bool:
    """Say whether the message is what its sender said, so that its registers can be told."""
    if message.frame is None or message.damage or any(char > 0x7F for char in message.chars):
        return False
    return message.frame not in _CHECKED or _is_checked(message, companion)


def _is_checked(message: TraceMessage, companion: Companion | None) -> bool:
    return check_is_good(message.chars, _check_of(companion))


def _check_of(companion: Companion | None) -> CheckCharacter:
    return CheckCharacter.XOR if companion is None else companion.compatibility.check
