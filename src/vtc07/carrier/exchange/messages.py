"""The messages of IEC 62056-21 6.3, built strictly and parsed as tolerantly as meters ask for.

What goes wrong with a meter's text is None, never an exception: meters in the field send much that
the standard does not know. What is built here is refused with `ValueError` where it would not be
the standard's, but for the deviations that `Compatibility` names.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.exchange.events import MeterIdentity
from vtc07.carrier.exchange.settings import STANDARD, CheckCharacter, Compatibility
from vtc07.carrier.grammar import EOT, ETX, IDENTIFICATION_SENT
from vtc07.carrier.messages import ACK_MESSAGE, BREAK_MESSAGE, DEFAULT_LIMITS, NAK_MESSAGE, DataSet

ACK: Final = ACK_MESSAGE
NAK: Final = NAK_MESSAGE
#: Sign off; and sign off after a fast wake-up, which the meter acknowledges (6.3.10, annex B.2).
B0: Final = BREAK_MESSAGE
B1: Final = b"\x01B1\x03p"

_FLAG = re.compile(r"[A-Za-z]{3}")
_BAUD = re.compile(r"[ -~](?<![/!])")
_SENT = re.compile(rf"[ -~]{{0,{IDENTIFICATION_SENT}}}")
#: Tolerant: any length, any character but a line's end.
_IDENTIFICATION = re.compile(r"/([A-Za-z]{3})([ -~])([^\r\n\x80-\xff]*)[\r\n]*")
#: `\W` pairs stand before all else. A letter is no mode: `\MT382` and `\T210-D` are names.
_ESCAPES = re.compile(r"(?:\\[!-@\[-`{-~])*")
_OPTION_SELECT = re.compile(rb"\x06([ -~])([ -~])([ -~])\r\n")
_COMMAND = re.compile(rb"\x01([ -~]{2})(?:\x02([ -~\r\n]*))?([\x03\x04]).", re.DOTALL)
#: Tolerant: lengths are whoever's who stores them; `/` and `!` do no harm between parentheses.
_DATA_SET = re.compile(r"([ \"-'*-~]*)\(([ -'+-~]*)(?:\*([ -'*-~]*))?\)[\r\n]*")
_ERROR = re.compile(r"\(([ \"-'+-.0-~]{0,32})\)[\r\n]*")
_DECIMAL = re.compile(r"( *[+-]?\d+)\.(\d+ *)")


def check_character(covered: bytes, kind: CheckCharacter = CheckCharacter.XOR) -> int:
    """Return the block check character, 0 to 7F, of the characters after the first SOH or STX.

    ETX or EOT is among them (IEC 62056-21 6.2: exclusive or of the 7 bits). `SUM`: their
    arithmetic sum modulo 128, as some meters have it.
    """
    if kind is CheckCharacter.SUM:
        return sum(char & 0x7F for char in covered) & 0x7F
    return functools.reduce(operator.xor, covered, 0) & 0x7F


def close(message: bytes, kind: CheckCharacter = CheckCharacter.XOR, *, end: int = ETX) -> bytes:
    """Add ETX (or EOT, after a partial block) and the check to a message from SOH or STX on."""
    whole = message + bytes((end,))
    return whole + bytes((check_character(whole[1:], kind),))


def check_is_good(message: bytes, kind: CheckCharacter = CheckCharacter.XOR) -> bool:
    """Check a whole message, from SOH or STX to its check character."""
    return len(message) > 2 and check_character(message[1:-1], kind) == message[-1]


def line_end(compat: Compatibility = STANDARD) -> str:
    """Return what ends a line: CR LF, or LF with `lf_line_ends`."""
    return "\n" if compat.lf_line_ends else "\r\n"


# --- sign-on --------------------------------------------------------------------------------------


def build_identification(flag: str, z: str, text: str, compat: Compatibility = STANDARD) -> bytes:
    r"""Build `/ XXX Z identification CR LF` (6.3.2).

    ``text``: at most 16 printable characters without `/` and `!`, ``\W`` pairs included. Raises
    `ValueError` for anything else.
    """
    if not _FLAG.fullmatch(flag):
        raise ValueError(f"a FLAG is three letters, not {flag!r}")
    if not _BAUD.fullmatch(z):
        raise ValueError(f"Z is one printable character other than / and !, not {z!r}")
    if not _SENT.fullmatch(text) or "/" in text or "!" in text:
        raise ValueError(
            f"an identification is up to {IDENTIFICATION_SENT} printable characters without / "
            f"and !, not {text!r}"
        )
    return f"/{flag}{z}{text}{line_end(compat)}".encode("ascii")


def parse_identification(message: bytes) -> MeterIdentity | None:
    r"""Parse an identification message of any length; None where it is none.

    A `/` or a control character inside is the maker's; a ``\`` before a letter is no mode; the
    line's end may be any of CR and LF.
    """
    match = _IDENTIFICATION.fullmatch(message.decode("latin-1"))
    if match is None:
        return None
    flag, z, text = match.groups()
    escapes = _ESCAPES.match(text)
    assert escapes is not None
    return MeterIdentity(flag, z, text, tuple(escapes[0][1::2]))


@dataclass(frozen=True, slots=True)
class OptionSelect:
    """`ACK V Z Y CR LF` (6.3.3): protocol control V, baud identification Z, mode control Y."""

    protocol: str
    baud_identification: str
    mode: str

    def to_chars(self) -> bytes:
        """Return the message's characters."""
        return f"\x06{self.protocol}{self.baud_identification}{self.mode}\r\n".encode("ascii")


def parse_option_select(chars: bytes) -> OptionSelect | None:
    """Parse a whole option select message; None where it is none."""
    match = _OPTION_SELECT.fullmatch(chars)
    return OptionSelect(*(part.decode("ascii") for part in match.groups())) if match else None


# --- commands -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CommandMessage:
    """`SOH C D [STX data] ETX check` (6.3.5): any command, the meter's own P0 and B0 among them.

    ``code``: C and D; ``data``: what stands after STX; ``partial``: EOT in place of ETX, more
    blocks follow; ``has_data``: there is an STX.
    """

    code: str
    data: str = field(default="", repr=False)
    partial: bool = False
    has_data: bool = True

    def to_chars(self, kind: CheckCharacter = CheckCharacter.XOR) -> bytes:
        """Return the message's characters."""
        data = f"\x02{self.data}" if self.has_data else ""
        message = f"\x01{self.code}{data}".encode("ascii")
        return close(message, kind, end=EOT if self.partial else ETX)


def parse_command_message(
    message: bytes, kind: CheckCharacter = CheckCharacter.XOR
) -> CommandMessage | None:
    """Parse a whole command, SOH to check; None where its form or its check is wrong."""
    match = _COMMAND.fullmatch(message)
    if match is None or not check_is_good(message, kind):
        return None
    code, data, end = match.groups()
    text = "" if data is None else data.decode("ascii")
    return CommandMessage(code.decode("ascii"), text, end[0] == EOT, data is not None)


def break_message(
    kind: CheckCharacter = CheckCharacter.XOR, *, after_fast_wake_up: bool = False
) -> bytes:
    """Build B0, or B1 after a fast wake-up."""
    return close(b"\x01B1" if after_fast_wake_up else b"\x01B0", kind)


def operand_message(text: str = "", kind: CheckCharacter = CheckCharacter.XOR) -> bytes:
    """Build P0, the meter's first message in programming mode; ``text``: up to 32 characters."""
    if not _ERROR.fullmatch(f"({text})"):
        raise ValueError("an operand is up to 32 characters without ( ) * / and !")
    return close(f"\x01P0\x02({text})".encode("ascii"), kind)


def value_of(data: str) -> str | None:
    """Return the value of the one address-less data set of P0, P1 or P2; None where it is none.

    An asterisk is part of it: a password has no unit.
    """
    if len(data) < 2 or data[0] != "(" or data[-1] != ")" or set(data[1:-1]) & set("()\r\n"):
        return None
    return data[1:-1]


# --- data -----------------------------------------------------------------------------------------


def parse_data_sets(text: str) -> tuple[DataSet, ...] | None:
    """Parse data sets on one or several lines; None where something else is among them.

    ``address`` is empty and ``unit`` None where left out: `A(v)(w)` is two data sets, the second
    without an address. Spaces are kept. Lines may end in any of CR and LF, the last one too.
    """
    data_sets: list[DataSet] = []
    at = 0
    while at < len(text):
        match = _DATA_SET.match(text, at)
        if match is None:
            return None
        data_sets.append(DataSet(*match.groups()))
        at = match.end()
    return tuple(data_sets) or None


def error_text(data: str, compat: Compatibility = STANDARD) -> str | None:
    """Return the text of an error message, of which ``data`` stands between STX and ETX (6.3.9).

    None where it is none. With `address_not_echoed` a value looks the same: then only a text that
    begins with ER is an error, as the standard suggests.
    """
    match = _ERROR.fullmatch(data)
    if match is None or (compat.address_not_echoed and not match[1].upper().startswith("ER")):
        return None
    return match[1]


def build_error(text: str, kind: CheckCharacter = CheckCharacter.XOR) -> bytes:
    """Build an error message: ``text`` of up to 32 characters without ( ) * / and !."""
    if not _ERROR.fullmatch(f"({text})"):
        raise ValueError("an error text is up to 32 characters without ( ) * / and !")
    return close(f"\x02({text})".encode("ascii"), kind)


def build_answer(
    data_sets: Iterable[DataSet],
    compat: Compatibility = STANDARD,
    limits: MessageLimits = DEFAULT_LIMITS,
) -> list[str]:
    """Lay out data sets in lines of at most ``limits.line`` characters, for `build_data`.

    One data set that is longer has a line of its own. Not shortened to a message's length.
    """
    if compat.address_not_echoed:
        data_sets = (replace(data_set, address="") for data_set in data_sets)
    return _lines(data_sets, compat, limits.line)


def build_data(lines: Sequence[str], compat: Compatibility = STANDARD, *, end: int = ETX) -> bytes:
    """Build a data message of programming mode; ``end`` is EOT where more blocks follow."""
    text = line_end(compat).join(lines)
    if compat.crlf_before_etx:
        text += line_end(compat)
    return close(f"\x02{text}".encode("ascii"), compat.check, end=end)


def build_block(
    lines: Iterable[Sequence[DataSet]],
    compat: Compatibility = STANDARD,
    limits: MessageLimits = DEFAULT_LIMITS,
) -> bytes:
    """Build a readout (6.3.4): `STX lines ! CR LF ETX check`, or by the switches.

    A line that would pass ``limits.line`` characters goes on in the next one.
    """
    ends = line_end(compat)
    laid = [said for line in lines for said in _lines(line, compat, limits.line)]
    text = "".join(f"{line}{ends}" for line in laid) + f"!{ends}"
    if compat.no_readout_bcc:
        return text.encode("ascii")
    return close(f"\x02{text}".encode("ascii"), compat.check)


def _lines(data_sets: Iterable[DataSet], compat: Compatibility, longest: int) -> list[str]:
    lines: list[str] = []
    for data_set in data_sets:
        if compat.decimal_comma:
            data_set = replace(data_set, value=with_comma(data_set.value))  # noqa: PLW2901
        said = str(data_set)
        if lines and len(lines[-1]) + len(said) <= longest:
            lines[-1] += said
        else:
            lines.append(said)
    return lines


def with_comma(value: str) -> str:
    """Return a number with a decimal comma; anything else as it is."""
    match = _DECIMAL.fullmatch(value)
    return f"{match[1]},{match[2]}" if match else value
