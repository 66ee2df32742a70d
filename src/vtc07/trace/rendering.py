"""One message for people: pieces of text with their roles, in the companion's names and units."""

from __future__ import annotations

from collections.abc import Iterator

from vtc07.carrier.companion import Companion
from vtc07.carrier.exchange.messages import (
    check_character,
    parse_command_message,
    parse_data_sets,
    parse_identification,
)
from vtc07.carrier.exchange.settings import CheckCharacter
from vtc07.carrier.framing import Frame
from vtc07.carrier.grammar import EOT
from vtc07.carrier.messages import (
    BreakCommand,
    DataMessage,
    ErrorMessage,
    MalformedCommand,
    ReadCommand,
    UndefinedCommand,
    WriteCommand,
    parse_command,
    parse_data,
    parse_id_request,
)
from vtc07.carrier.registers import Register, Value, ValueRefused
from vtc07.trace.exchange import (
    NOT_SHOWN,
    block_of,
    block_pieces,
    block_rows,
    command_pieces,
    is_exchange,
    mode_pieces,
    option_select_pieces,
)
from vtc07.trace.masking import masked_message
from vtc07.trace.message import Sender, TraceMessage, TraceSpeed, printable
from vtc07.trace.naming import (
    data_set_pieces,
    named_value_pieces,
    register_pieces,
    text_pieces,
)
from vtc07.trace.pieces import Annotation, Piece, Role, Row

__all__ = ["Annotation", "Piece", "Role", "Row", "annotate", "annotate_speed"]

_ARROWS: dict[Sender, str] = {"client": "→ ", "server": "← "}
#: What stands for a message that is not explained further.
_WORDS = {
    Frame.REQUEST: "IDRequest",
    Frame.IDENTIFICATION: "IDResponse",
    Frame.DATA: "Data",
    Frame.BLOCK: "readout",
}


def annotate(message: TraceMessage, companion: Companion | None) -> Annotation:
    """Explain a message as it was sent; what the line did to it is said at the end.

    Never fails: what is not understood is shown as characters. No password is shown, though a
    trace of somebody else's may hold one. ``companion`` None: in the words of IEC 62056-21 alone.
    """
    message = masked_message(message)
    chars = message.chars
    rows: tuple[Row, ...] = ()
    bcc_good, right = _check(message, companion)
    pieces = [Piece(_ARROWS[message.sender], Role.ARROW)]
    block = _block(message) if bcc_good is not False else None
    if block is not None:
        rows = block_rows(block, companion)
        pieces += block_pieces(rows)
    else:
        pieces += _explain(message, companion, bcc_good=bcc_good)
    if message.masked:
        if bcc_good is False:
            pieces.append(Piece(", BCC wrong", Role.ERROR))
    elif bcc_good is False and chars[-1] < 0x80:
        pieces.append(Piece(f", BCC wrong: {chars[-1]:02X} for {right:02X}", Role.ERROR))
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
        rows,
    )


def annotate_speed(change: TraceSpeed) -> Annotation:
    """Say that an end of the line has gone on at another speed."""
    who = "HHU" if change.sender == "client" else "meter"
    pieces = (
        Piece(_ARROWS[change.sender], Role.ARROW),
        Piece("speed", Role.MESSAGE),
        Piece(f": the {who} goes on at "),
        Piece(f"{change.speed} Bd", Role.VALUE),
    )
    return Annotation(
        change.time_ns, change.time_ns, change.sender, pieces, None, sound=True, note=change.note
    )


def _check(message: TraceMessage, companion: Companion | None) -> tuple[bool | None, int]:
    """Return whether the BCC is right, None where there is none, and the right one."""
    chars = message.chars
    if message.frame not in (Frame.COMMAND, Frame.DATA) or len(chars) < 3:
        return None, 0
    kind = CheckCharacter.XOR
    if companion is not None and not message.masked:
        kind = companion.compatibility.check
    right = check_character(chars[1:-1], kind)
    return right == chars[-1], right


def _block(message: TraceMessage) -> str | None:
    """Return the lines of a readout, or None."""
    readable = all(char < 0x80 for char in message.chars)
    if message.frame not in (Frame.DATA, Frame.BLOCK) or not readable:
        return None
    return block_of(message.chars)


def _damage_words(message: TraceMessage) -> str:
    damage, length = message.damage, len(message.chars)
    if not damage:
        return ""
    if message.lost:
        return "lost on the line"
    if message.masked:
        return "damaged on the line"
    if len(damage) == 1:
        return f"character {damage[0].at + 1} of {length} {damage[0].what}"
    whats = {each.what for each in damage}
    what = whats.pop() if len(whats) == 1 else "damaged"
    return f"{len(damage)} of {length} characters {what}"


def _explain(
    message: TraceMessage, companion: Companion | None, *, bcc_good: bool | None
) -> Iterator[Piece]:
    chars, frame = message.chars, message.frame
    if frame is None or bcc_good is False or any(char > 0x7F for char in chars):
        if frame is None and not any(chars):
            yield Piece("wake-up", Role.MESSAGE)
            yield Piece(f", {len(chars)} NUL")
            return
        kind = "characters" if frame is None else _WORDS.get(frame, frame.value)
        yield Piece(kind, Role.MESSAGE)
        yield Piece(f" {printable(chars)}", Role.RAW)
        if message.masked:
            yield Piece(f", a password may stand in them: {NOT_SHOWN}", Role.MEANING)
        return
    match frame:
        case Frame.REQUEST:
            yield from _id_request(chars)
        case Frame.IDENTIFICATION:
            yield from _id_response(chars, companion)
        case Frame.OPTION_SELECT:
            yield from option_select_pieces(chars)
        case Frame.COMMAND:
            yield from _command(message, companion)
        case Frame.DATA:
            yield from _data(chars, companion)
        case Frame.ACK | Frame.NAK:
            yield Piece(frame.value, Role.MESSAGE)
        case Frame.BLOCK | Frame.ECHO:
            yield Piece(_WORDS.get(frame, frame.value), Role.MESSAGE)
            yield Piece(f" {printable(chars)}", Role.RAW)


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


def _id_response(chars: bytes, companion: Companion | None) -> Iterator[Piece]:
    identity = parse_identification(chars) if chars.endswith(b"\r\n") else None
    if identity is None:
        yield from _raw("IDResponse", chars)
        return
    yield Piece("IDResponse", Role.MESSAGE)
    yield Piece(" ")
    yield Piece(identity.flag, Role.VALUE)
    yield from _identification(identity.identification, 2 * len(identity.escapes), companion)
    if is_exchange(companion):
        yield from mode_pieces(identity)


def _identification(said: str, escapes: int, companion: Companion | None) -> Iterator[Piece]:
    """Explain what stands after Z; ``escapes``: how many characters of it are escapes."""
    decoded: list[tuple[Register, Value]] = []
    text = said[escapes:] if is_exchange(companion) else said
    try:
        for register in () if companion is None else companion.identification:
            width = register.width or register.data_type.size
            decoded.append((register, register.decode(text[:width])))
            text = text[width:]
    except ValueRefused:
        text = said
    if text:
        yield Piece(" identification ")
        yield Piece(said if said.isprintable() else printable(said.encode("latin-1")), Role.RAW)
        return
    for register, value in decoded:
        yield Piece(" " if register is decoded[0][0] else ", ")
        assert companion is not None
        yield from named_value_pieces(register, value, companion)


def _command(message: TraceMessage, companion: Companion | None) -> Iterator[Piece]:
    chars = message.chars
    kind = CheckCharacter.XOR
    if companion is not None and not message.masked:
        kind = companion.compatibility.check
    general = parse_command_message(chars, kind)
    if general is not None and (is_exchange(companion) or general.code in ("P1", "P2")):
        yield from command_pieces(general, companion, message.sender)
        return
    if companion is None:
        yield from _raw("command", chars)
        return
    command = parse_command(chars)
    match command:
        case BreakCommand():
            yield Piece("BreakCommand", Role.MESSAGE)
        case ReadCommand(register_id):
            yield Piece("ReadCommand", Role.MESSAGE)
            yield from register_pieces(register_id, companion)
            number = command.number
            if number is None:
                yield Piece(f", count {command.count}", Role.ERROR)
            elif number > 1:
                yield Piece(f", {number} registers")
        case WriteCommand(register_id, value):
            yield Piece("WriteCommand", Role.MESSAGE)
            yield from register_pieces(register_id, companion)
            yield Piece(" ")
            register = companion.table.find(register_id)
            yield from text_pieces(register, value, companion)
        case MalformedCommand():
            yield from _raw("command", chars)
        case UndefinedCommand(code):
            yield Piece("undefined command", Role.ERROR)
            yield Piece(f" {printable(code.encode())}", Role.VALUE)
            yield Piece(f" {printable(chars)}", Role.RAW)


def _data(chars: bytes, companion: Companion | None) -> Iterator[Piece]:
    message = parse_data(chars)
    if isinstance(message, ErrorMessage):
        error = None if companion is None else companion.error_of(message.text)
        yield Piece("error", Role.MESSAGE)
        yield Piece(f" {message.text}", Role.ERROR)
        if error is not None:
            yield Piece(f": {error.value}", Role.MEANING)
        return
    data_sets = message.data_sets if isinstance(message, DataMessage) else None
    if is_exchange(companion):
        data_sets = parse_data_sets(chars[1:-2].decode("latin-1"))
    if data_sets is None:
        yield from _raw("Data", chars)
        return
    yield Piece("Data", Role.MESSAGE)
    for place, data_set in enumerate(data_sets):
        yield Piece(", " if place else " ")
        yield from data_set_pieces(data_set, companion)
    if chars[-2] == EOT:
        yield Piece(", more follows", Role.MEANING)
