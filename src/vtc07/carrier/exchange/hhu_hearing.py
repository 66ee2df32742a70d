"""What a meter's message means to a hand-held unit: an input of its table, and the fact in it."""

from __future__ import annotations

from dataclasses import dataclass

from vtc07.carrier.exchange.events import (
    Accepted,
    BrokenOff,
    Data,
    ErrorAnswered,
    HHUEvent,
    MeterIdentity,
)
from vtc07.carrier.exchange.hhu_states import HHUInput, HHUState
from vtc07.carrier.exchange.messages import (
    check_is_good,
    error_text,
    parse_command_message,
    parse_data_sets,
    parse_identification,
    value_of,
)
from vtc07.carrier.exchange.settings import Compatibility, Mode, mode_and_speed
from vtc07.carrier.framing import Frame, Framed
from vtc07.carrier.grammar import EOT, ETX

#: What is heard there may be a readout with or without STX.
READOUTS = frozenset({HHUState.READOUT, HHUState.OPERAND})
_ANSWERS = frozenset(
    {HHUState.ACCESS, HHUState.ANSWER, HHUState.BLOCKS, HHUState.WRITING, HHUState.LAST_BLOCK}
)


@dataclass(frozen=True, slots=True)
class Heard:
    """An input. ``event``: what to report if that ends the command.

    ``identity``, ``operand``, ``chars`` (of a readout or a block, without its frame) and
    ``checked`` where the input has them.
    """

    input: HHUInput
    event: HHUEvent | None = None
    identity: MeterIdentity | None = None
    operand: str = ""
    chars: bytes = b""
    checked: bool = False


FOREIGN = Heard(HHUInput.FOREIGN)
DAMAGED = Heard(HHUInput.DAMAGED)


def understand(framed: Framed, state: HHUState, compat: Compatibility) -> Heard:
    """Return what a message means in a state. An incomplete one is damaged, or foreign."""
    match framed.frame:
        case Frame.ACK:
            return Heard(HHUInput.ACK, Accepted())
        case Frame.NAK:
            return Heard(HHUInput.NAK)
        case Frame.IDENTIFICATION if state is HHUState.IDENTIFICATION:
            return _identification(framed)
        case Frame.COMMAND:
            return _command(framed, state, compat)
        case Frame.DATA | Frame.BLOCK if state in READOUTS:
            return _readout(framed, compat)
        case Frame.DATA if state in _ANSWERS:
            return _answer(framed, state, compat)
        case _:
            return FOREIGN


def _identification(framed: Framed) -> Heard:
    identity = None if framed.damaged or framed.overlong else parse_identification(framed.chars)
    if identity is None or not framed.complete:
        return DAMAGED
    mode, _ = mode_and_speed(identity.baud_identification)
    heard = HHUInput.IDENTIFICATION_C if mode is Mode.C else HHUInput.IDENTIFICATION_AB
    return Heard(heard, identity=identity)


def _command(framed: Framed, state: HHUState, compat: Compatibility) -> Heard:
    """P0 and B0 are the meter's; anything else is an echo."""
    message = None
    if framed.complete and not framed.damaged and not framed.overlong:
        message = parse_command_message(framed.chars, compat.check)
    if message is None:
        return DAMAGED if state is HHUState.OPERAND else FOREIGN
    if message.code == "B0" and not message.has_data:
        return Heard(HHUInput.BREAK, BrokenOff())
    if message.code == "P0" and not message.partial:
        operand = value_of(message.data)
        return Heard(HHUInput.OPERAND, operand=message.data if operand is None else operand)
    return FOREIGN


def _readout(framed: Framed, compat: Compatibility) -> Heard:
    chars = framed.chars
    if framed.damaged or framed.overlong:
        return DAMAGED
    # Some leave out what comes after the last `!`, or the check with its ETX.
    ended = framed.complete or chars.rstrip(b"\r\n\x03").endswith(b"!")
    if framed.frame is Frame.BLOCK:
        return Heard(HHUInput.READOUT, chars=chars) if ended else DAMAGED
    if framed.complete and chars[-2] == ETX and check_is_good(chars, compat.check):
        return Heard(HHUInput.READOUT, chars=chars[1:-2], checked=True)
    if not compat.no_readout_bcc or not ended:
        return DAMAGED
    if framed.complete and chars[-2] == ETX:
        return Heard(HHUInput.READOUT, chars=chars[1:-2])
    return Heard(HHUInput.READOUT, chars=chars[1:].rstrip(b"\x03"))


def _answer(framed: Framed, state: HHUState, compat: Compatibility) -> Heard:
    chars = framed.chars
    if framed.damaged or framed.overlong or not framed.complete:
        return DAMAGED
    if not check_is_good(chars, compat.check):
        return DAMAGED
    body = chars[1:-2]
    if chars[-2] == EOT:
        return Heard(HHUInput.BLOCK, chars=body)
    text = error_text(body.decode("latin-1"), compat)
    if text is not None and (state is not HHUState.BLOCKS or text.upper().startswith("ER")):
        # The last block of an answer has no address either, and is no error for that.
        return Heard(HHUInput.ERROR, ErrorAnswered(text))
    return Heard(HHUInput.DATA, data(body), chars=body)


def data(chars: bytes) -> Data:
    """Return an answer's characters and, where they are that, its data sets."""
    return Data(chars, parse_data_sets(chars.decode("latin-1")) or ())
