"""No password in a trace: P1 and P2 are masked, and whatever may be a piece of one.

A line damages messages, so it is not enough to know P1 when it is whole. What an HHU sends is kept
as it is where it cannot hold a password: commands with an address before the value, sign-ons, ACK,
NAK. All else is masked from the place on at which a password could begin.
"""

from __future__ import annotations

import re
from dataclasses import replace

from vtc07.carrier.exchange.messages import check_character, check_is_good, parse_option_select
from vtc07.carrier.exchange.settings import CheckCharacter
from vtc07.carrier.framing import Frame
from vtc07.carrier.grammar import DAMAGED, EOT, ETX, ID_REQUEST, SOH, STX
from vtc07.trace.message import Damage, TraceMessage

#: What stands in a trace for a password of any length.
MASK = b"********"

_LONGEST_ADDRESS = 16
_OPERAND = b"P0"  # the meter's, and no secret
_WHOLE_WRITES = (b"W3", b"W4")  # their further blocks have no address
_PARENTHESIS, _CLOSING = 0x28, 0x29
_END = re.compile(rb"[\x03\x04]")
#: P1 or P2 whose SOH was damaged.
_PASSWORD = re.compile(rb"P[12\xff]")
_PRINTABLE = re.compile(rb"[ -~]")


class Masking:
    """Masks a conversation's messages one after the other.

    What is no message is masked as a whole from the sign-on for programming mode, or the first
    piece of a password, until the next request or break. From a password to the HHU's next message
    the meter's side may hold an echo of it.
    """

    def __init__(self) -> None:
        self._programming = False
        self._echo = False

    def mask(self, message: TraceMessage) -> TraceMessage:
        """Return a message fit to be kept."""
        masked = masked_message(message, programming=self._programming, echo=self._echo)
        begun = message.chars.startswith(b"\x01P")  # cut off before its parenthesis, perhaps
        if message.sender == "client":
            self._echo = masked.masked or begun
        if message.frame is Frame.OPTION_SELECT:
            option = parse_option_select(message.chars)
            self._programming |= option is not None and option.mode == "1"
        elif masked.masked or begun:
            self._programming = True
        elif message.frame is Frame.REQUEST or message.chars.startswith((b"\x01B0", b"\x01B1")):
            self._programming = False
        return masked


def masked_message(
    message: TraceMessage, *, programming: bool = False, echo: bool = False
) -> TraceMessage:
    """Return a message without password.

    ``programming``: one may be expected by now; ``echo``: one was sent just before.
    """
    chars, frame = message.chars, message.frame
    if echo and message.sender == "server":
        shown = _shown_of_echo(chars, frame)
    else:
        shown = _shown(message, programming=programming)
    if message.masked or shown == len(chars):
        return message
    if frame is Frame.COMMAND:
        kept = chars[:shown]
        opening = b"" if kept.endswith(b"(") else b"("
        covered = kept + opening + MASK + b")" + chars[-2:-1]
        check = check_character(covered[1:])
        good = any(check_is_good(chars, kind) for kind in CheckCharacter)
        chars = covered + bytes((check if good else check ^ 1,))
    else:
        chars, frame = chars[:shown] + MASK, None
    if message.lost:
        damage = tuple(Damage(at, None) for at in range(len(chars)))
    else:
        damage = (Damage(0, DAMAGED),) if message.damage else ()
    return replace(
        message,
        chars=chars,
        frame=frame,
        began_ns=message.time_ns,
        damage=damage,
        masked=True,
    )


def _shown(message: TraceMessage, *, programming: bool) -> int:
    """Return how many of the first characters can hold no password."""
    chars, frame = message.chars, message.frame
    everything = len(chars)
    if frame is Frame.COMMAND:
        return _shown_of_command(chars, server=message.sender == "server")
    if frame is Frame.REQUEST:
        sound = not programming or ID_REQUEST.fullmatch(chars)
        return everything if sound else 0
    if frame is Frame.OPTION_SELECT:
        return everything if not programming or parse_option_select(chars) else 0
    if frame is not None or not any(chars):
        return everything
    server = message.sender == "server"
    begin = chars.find(SOH)
    noise = everything if begin < 0 else begin
    if noise and not server and (programming or _PASSWORD.search(chars[:noise])):
        return 0
    return noise + (_shown_of_command(chars[noise:], server=server) if begin >= 0 else 0)


def _shown_of_echo(chars: bytes, frame: Frame | None) -> int:
    """Return the same of what a meter says, or a head returns damaged, after a password."""
    if frame is Frame.COMMAND:
        return _shown_of_command(chars, server=False)
    # An error message, as the standard suggests that it begins; an echo without SOH is alike.
    good = any(check_is_good(chars, kind) for kind in CheckCharacter) and DAMAGED not in chars
    if good and chars.startswith(b"\x02(ER"):
        return len(chars)
    return 0 if _PRINTABLE.search(chars) else len(chars)


def _shown_of_command(chars: bytes, *, server: bool) -> int:
    """Return the same of a message that begins with SOH; it may be cut off anywhere."""
    code = chars[1:3]
    everything = len(chars)
    if server and code == _OPERAND:
        return everything
    if len(code) < 2 or ETX in code or EOT in code:
        return everything
    data = _END.split(chars[3:])[0]  # without the check, which can be any character
    if code[0] == 0x50 or DAMAGED in code:
        return 3 if data[:1] != b"\x02" else 4
    if code in _WHOLE_WRITES or not data:
        return everything
    if data[0] != STX:
        return 3
    opening = data.find(_PARENTHESIS)
    if opening < 0:  # no value yet, or a formatted read without one
        return everything if len(data) <= 1 + _LONGEST_ADDRESS else 4
    if not 1 < opening <= 1 + _LONGEST_ADDRESS or _CLOSING in data[:opening]:
        return 4
    # A second value without an address: national W5 has a password there.
    second, closing = data.find(_PARENTHESIS, opening + 1), data.find(_CLOSING, opening)
    places = [second] if second >= 0 else []
    if closing >= 0 and data[closing + 1 :].strip(b"\r\n"):
        places.append(closing + 1)  # its parenthesis may be damaged
    return 3 + min(places) if places else everything
