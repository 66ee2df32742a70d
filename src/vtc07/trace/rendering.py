"""One message for people: pieces of text with their roles, in the companion's names and units."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from vtc07.carrier.companion import Companion
from vtc07.carrier.messages import (
    BreakCommand,
    DataMessage,
    DataSet,
    ErrorMessage,
    MalformedCommand,
    ReadCommand,
    UndefinedCommand,
    WriteCommand,
    bcc,
    parse_command,
    parse_data,
    parse_id_request,
    parse_id_response,
)
from vtc07.carrier.reader import Frame
from vtc07.carrier.registers import Register, Value, ValueRefused
from vtc07.trace.message import Sender, TraceMessage, printable
from vtc07.trace.values import meaning_text, number_text


class Role(enum.Enum):
    """What a piece is, for whoever gives it a colour."""

    ARROW = "arrow"
    MESSAGE = "message"
    REGISTER_ID = "registerID"
    NAME = "name"
    VALUE = "value"
    UNIT = "unit"
    MEANING = "meaning"
    ERROR = "error"
    CHECK = "check"
    RAW = "raw"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text; pieces are put together without anything between them."""

    text: str
    role: Role = Role.PLAIN


@dataclass(frozen=True, slots=True)
class Annotation:
    """A message explained. ``time_ns``, ``sender`` and ``note`` are the message's.

    ``bcc_good``: None where the message has no BCC. ``sound``: whole, and undamaged on the line.
    ``began_ns``: when its first character had passed.
    """

    time_ns: int
    began_ns: int
    sender: Sender
    pieces: tuple[Piece, ...]
    bcc_good: bool | None
    sound: bool
    note: str = ""

    def __str__(self) -> str:
        return "".join(piece.text for piece in self.pieces)


_ARROWS: dict[Sender, str] = {"client": "→ ", "server": "← "}


def annotate(message: TraceMessage, companion: Companion) -> Annotation:
    """Explain a message as it was sent; what the line did to it is said at the end.

    Never fails: what is not understood is shown as characters.
    """
    chars = message.chars
    has_bcc = message.frame in (Frame.COMMAND, Frame.DATA) and len(chars) >= 3
    bcc_good = bcc(chars[1:-1]) == chars[-1] if has_bcc else None
    pieces = [Piece(_ARROWS[message.sender], Role.ARROW)]
    pieces += _explain(message, companion, bcc_good=bcc_good)
    if bcc_good is False and chars[-1] < 0x80:
        pieces.append(Piece(f", BCC wrong: {chars[-1]:02X} for {bcc(chars[1:-1]):02X}", Role.ERROR))
    elif bcc_good:
        pieces.append(Piece(f", BCC {chars[-1]:02X}", Role.CHECK))
    if words := _damage_words(message):
        pieces.append(Piece(f", {words}", Role.ERROR))
    return Annotation(
        message.time_ns,
        message.began_ns,
        message.sender,
        tuple(pieces),
        bcc_good,
        message.frame is not None and not message.damage and bcc_good is not False,
        message.note,
    )


def _damage_words(message: TraceMessage) -> str:
    damage, length = message.damage, len(message.chars)
    if not damage:
        return ""
    if message.lost:
        return "lost on the line"
    if len(damage) == 1:
        return f"character {damage[0].at + 1} of {length} {damage[0].what}"
    whats = {each.what for each in damage}
    what = whats.pop() if len(whats) == 1 else "damaged"
    return f"{len(damage)} of {length} characters {what}"


def _explain(
    message: TraceMessage, companion: Companion, *, bcc_good: bool | None
) -> Iterator[Piece]:
    chars = message.chars
    if bcc_good is False or any(char > 0x7F for char in chars):
        kind = "characters" if message.frame is None else message.frame.value
        yield Piece(kind, Role.MESSAGE)
        yield Piece(f" {printable(chars)}", Role.RAW)
        return
    match message.frame:
        case None if not any(chars):
            yield Piece("wake-up", Role.MESSAGE)
            yield Piece(f", {len(chars)} NUL")
        case None:
            yield Piece("characters", Role.MESSAGE)
            yield Piece(f" {printable(chars)}", Role.RAW)
        case Frame.ACK | Frame.NAK:
            yield Piece(message.frame.value, Role.MESSAGE)
        case Frame.ID_REQUEST:
            yield from _id_request(chars)
        case Frame.ID_RESPONSE:
            yield from _id_response(chars, companion)
        case Frame.COMMAND:
            yield from _command(chars, companion)
        case Frame.DATA:
            yield from _data(chars, companion)


def _raw(name: str, chars: bytes) -> Iterator[Piece]:
    yield Piece(f"malformed {name}", Role.ERROR)
    yield Piece(f" {printable(chars)}", Role.RAW)


def _id_request(chars: bytes) -> Iterator[Piece]:
    request = parse_id_request(chars)
    if request is None:
        yield from _raw("IDRequest", chars)
        return
    yield Piece("IDRequest", Role.MESSAGE)
    if request.address:
        yield Piece(" ")
        yield Piece(request.address, Role.VALUE)
    else:
        yield Piece(" to any meter", Role.MEANING)


def _id_response(chars: bytes, companion: Companion) -> Iterator[Piece]:
    response = parse_id_response(chars)
    if response is None:
        yield from _raw("IDResponse", chars)
        return
    yield Piece("IDResponse", Role.MESSAGE)
    yield Piece(" ")
    yield Piece(response.flag, Role.VALUE)
    decoded: list[tuple[Register, Value]] = []
    text = response.identification
    try:
        for register in companion.identification:
            width = register.width or register.data_type.size
            decoded.append((register, register.decode(text[:width])))
            text = text[width:]
    except ValueRefused:
        text = response.identification
    if text:
        yield Piece(" identification ")
        yield Piece(response.identification, Role.RAW)
        return
    for register, value in decoded:
        yield Piece(" " if register is decoded[0][0] else ", ")
        yield from _value(register, value, companion)


def _command(chars: bytes, companion: Companion) -> Iterator[Piece]:
    command = parse_command(chars)
    match command:
        case BreakCommand():
            yield Piece("BreakCommand", Role.MESSAGE)
        case ReadCommand(register_id):
            yield Piece("ReadCommand", Role.MESSAGE)
            yield from _register(register_id, companion)
            number = command.number
            if number is None:
                yield Piece(f", count {command.count}", Role.ERROR)
            elif number > 1:
                yield Piece(f", {number} registers")
        case WriteCommand(register_id, value):
            yield Piece("WriteCommand", Role.MESSAGE)
            yield from _register(register_id, companion)
            yield Piece(" ")
            register = companion.table.find(register_id)
            yield from _text_value(register, value, companion)
        case MalformedCommand():
            yield from _raw("command", chars)
        case UndefinedCommand(code):
            yield Piece("undefined command", Role.ERROR)
            yield Piece(f" {printable(code.encode())}", Role.VALUE)
            yield Piece(f" {printable(chars)}", Role.RAW)


def _register(register_id: str, companion: Companion) -> Iterator[Piece]:
    yield Piece(" ")
    yield Piece(register_id, Role.REGISTER_ID)
    register = companion.table.find(register_id)
    yield Piece(" ")
    if register is None:
        yield Piece("not in the RegisterTable", Role.ERROR)
    else:
        yield Piece(register.name, Role.NAME)


def _data(chars: bytes, companion: Companion) -> Iterator[Piece]:
    message = parse_data(chars)
    match message:
        case None:
            yield from _raw("Data", chars)
        case ErrorMessage(text):
            error = companion.error_of(text)
            yield Piece("error", Role.MESSAGE)
            yield Piece(f" {text}", Role.ERROR)
            if error is not None:
                yield Piece(f": {error.value}", Role.MEANING)
        case DataMessage(data_sets):
            yield Piece("Data", Role.MESSAGE)
            for place, data_set in enumerate(data_sets):
                yield Piece(", " if place else " ")
                yield from _data_set(data_set, companion)


def _data_set(data_set: DataSet, companion: Companion) -> Iterator[Piece]:
    register = companion.table.find(data_set.address)
    if register is None:
        yield Piece(data_set.address, Role.REGISTER_ID)
        yield Piece(" ")
        yield Piece(data_set.value, Role.RAW)
        if data_set.unit:
            yield Piece(f" {data_set.unit}", Role.UNIT)
        return
    yield Piece(register.name, Role.NAME)
    yield Piece(" ")
    yield from _text_value(register, data_set.value, companion)


def _text_value(register: Register | None, text: str, companion: Companion) -> Iterator[Piece]:
    """Explain a value as it stands between the parentheses."""
    if register is not None:
        try:
            value = register.decode(text)
        except ValueRefused:
            yield Piece(text or "(empty)", Role.ERROR)
            return
        yield from _plain_value(register, value, companion)
    else:
        yield Piece(text or "(empty)", Role.RAW)


def _value(register: Register, value: Value, companion: Companion) -> Iterator[Piece]:
    yield Piece(register.name, Role.NAME)
    yield Piece(" ")
    yield from _plain_value(register, value, companion)


def _plain_value(register: Register, value: Value, companion: Companion) -> Iterator[Piece]:
    yield Piece(number_text(register, value), Role.VALUE)
    if register.unit is not None:
        yield Piece(f" {register.unit}", Role.UNIT)
    if meaning := meaning_text(register, value, companion):
        yield Piece(f" ({meaning})", Role.MEANING)
