"""What only IEC 62056-21 has, in words: option select, passwords, readouts, its other commands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vtc07.carrier.companion import Companion, SignOn
from vtc07.carrier.exchange.events import MeterIdentity
from vtc07.carrier.exchange.messages import (
    CommandMessage,
    parse_data_sets,
    parse_option_select,
    value_of,
)
from vtc07.carrier.exchange.settings import (
    MODE_C_SPEEDS,
    START_SPEED,
    Mode,
    mode_and_speed,
)
from vtc07.trace.message import Sender, printable
from vtc07.trace.naming import data_set_pieces, register_pieces, text_pieces
from vtc07.trace.pieces import Piece, Role, Row

NOT_SHOWN = "not shown"

_PROTOCOLS = {"0": "normal protocol", "1": "secondary protocol", "2": "HDLC"}
_MODES = {"0": "data readout", "1": "programming mode", "2": "binary (HDLC)"}
_ESCAPES = {"2": "HDLC (mode E)"}
_PARTIAL = frozenset({"R3", "R4", "R6"})
_FORMATTED = frozenset({"R2", "R4", "W2", "W4"})
_CHECK = re.compile(rb"[\x03\x04].?\Z", re.DOTALL)
_BLOCK_END = re.compile(rb"!(?:[0-9A-Fa-f]{4})?[\r\n]*\Z")
_COUNT = re.compile(r"[0-9A-Fa-f]{1,4}")


def is_exchange(companion: Companion | None) -> bool:
    """Say whether a message means what IEC 62056-21 says; without companion it does."""
    return companion is None or companion.sign_on is SignOn.MODE_C


def option_select_pieces(chars: bytes) -> Iterator[Piece]:
    """Say what an HHU chose: V, Z and Y in words."""
    option = parse_option_select(chars)
    if option is None:
        yield Piece("malformed option select", Role.ERROR)
        yield Piece(f" {printable(chars)}", Role.RAW)
        return
    yield Piece("option select", Role.MESSAGE)
    yield Piece(" ")
    yield Piece(_MODES.get(option.mode, _other("mode", option.mode)), Role.MEANING)
    speed = MODE_C_SPEEDS.get(option.baud_identification)
    at = f" at {speed} Bd" if speed else f", {_other('speed', option.baud_identification)}"
    yield Piece(at, Role.VALUE)
    if option.protocol != "0":
        protocol = _PROTOCOLS.get(option.protocol, _other("protocol", option.protocol))
        yield Piece(f", {protocol}", Role.MEANING)


def _other(what: str, char: str) -> str:
    return f"{what} {printable(char.encode('ascii'))}, which the standard leaves to the maker"


def mode_pieces(identity: MeterIdentity) -> Iterator[Piece]:
    """Say what Z announces, and each escape."""
    mode, speed = mode_and_speed(identity.baud_identification)
    stays = mode is Mode.A and speed == START_SPEED
    yield Piece(f", mode {mode.value}, {speed} Bd", Role.MEANING)
    if stays:
        return
    for escape in identity.escapes:
        said = _ESCAPES.get(escape, "a maker's or reserved")
        yield Piece(f", \\{printable(escape.encode('ascii'))} {said}", Role.MEANING)


def command_pieces(
    command: CommandMessage, companion: Companion | None, sender: Sender
) -> Iterator[Piece]:
    """Explain any command but R1, W1 and B0 of a direct port, whose BCC is good."""
    code = command.code
    if code == "P0" and sender == "server":
        yield Piece("programming mode", Role.MESSAGE)
        operand = value_of(command.data)
        yield Piece(f", operand {operand}" if operand else ", no operand", Role.VALUE)
    elif code in ("P1", "P2"):
        said = "password" if code == "P1" else "result of the secure algorithm"
        yield Piece(said, Role.MESSAGE)
        yield Piece(f", {NOT_SHOWN}", Role.MEANING)
    elif code in ("B0", "B1") and not command.has_data:
        yield Piece("BreakCommand", Role.MESSAGE)
        if code == "B1":
            yield Piece(" after a fast wake-up", Role.MEANING)
    elif code[0] == "R" and code[1] in "123456":
        yield from _read(command, companion)
    elif code[0] == "W" and code[1] in "12345":
        yield from _write(command, companion)
    elif code == "E2":
        yield Piece("execute command", Role.MESSAGE)
        yield Piece(f" {printable(command.data.encode('ascii'))}", Role.RAW)
    else:
        yield Piece("undefined command", Role.ERROR)
        yield Piece(f" {code}", Role.VALUE)
        if command.data:
            yield Piece(f" {printable(command.data.encode('ascii'))}", Role.RAW)


def _named(kind: str, code: str) -> Iterator[Piece]:
    yield Piece(f"{kind}Command", Role.MESSAGE)
    if code[1] != "1":
        formatted = ", formatted" if code in _FORMATTED else ""
        yield Piece(f" {code}{formatted}", Role.MEANING)


def _read(command: CommandMessage, companion: Companion | None) -> Iterator[Piece]:
    yield from _named("Read", command.code)
    data_sets = parse_data_sets(command.data)
    if data_sets is None:  # a formatted read may be a bare code
        yield Piece(f" {printable(command.data.encode('ascii'))}", Role.RAW)
        return
    yield from register_pieces(data_sets[0].address, companion)
    count = data_sets[0].value
    if len(data_sets) > 1 or (count and not _COUNT.fullmatch(count)):
        yield Piece(f", {printable(command.data.encode('ascii'))}", Role.RAW)
    elif count and int(count, 16) != 1:
        yield Piece(f", {int(count, 16)} registers")
    if command.code in _PARTIAL:
        yield Piece(", in partial blocks", Role.MEANING)


def _write(command: CommandMessage, companion: Companion | None) -> Iterator[Piece]:
    yield from _named("Write", command.code)
    data_sets = parse_data_sets(command.data)
    whole = data_sets is not None and not command.partial and data_sets[0].address
    if data_sets is None or not whole:
        yield Piece(f" {printable(command.data.encode('ascii'))}", Role.RAW)
    else:
        address = data_sets[0].address
        yield from register_pieces(address, companion)
        yield Piece(" ")
        register = None if companion is None else companion.table.find(address)
        yield from text_pieces(register, data_sets[0].value, companion)
        for more in data_sets[1:]:
            yield Piece(", ")
            yield from data_set_pieces(more, companion)
    if command.partial:
        yield Piece(", more follows", Role.MEANING)


# --- readouts -------------------------------------------------------------------------------------


def block_of(chars: bytes) -> str | None:
    """Return the lines of a readout, with or without STX and check; None where it is none."""
    text = _CHECK.sub(b"", chars.lstrip(b"\r\n").removeprefix(b"\x02"))
    end = _BLOCK_END.search(text)
    return None if end is None else text[: end.start()].decode("latin-1")


def block_rows(block: str, companion: Companion | None) -> tuple[Row, ...]:
    """Return a row for each data set; one without an address is further to the right."""
    rows: list[Row] = []
    for line in re.split(r"[\r\n]+", block):
        data_sets = parse_data_sets(line) if line else ()
        if data_sets is None:
            rows.append((Piece("  "), Piece(printable(line.encode("latin-1")), Role.RAW)))
            continue
        for data_set in data_sets:
            indent = "  " if data_set.address else "    "
            rows.append((Piece(indent), *data_set_pieces(data_set, companion)))
    return tuple(rows)


def block_pieces(rows: tuple[Row, ...]) -> Iterator[Piece]:
    """Say what a readout is; its rows stand apart."""
    yield Piece("readout", Role.MESSAGE)
    count = len(rows)
    many = "no data sets" if not count else f"{count} data set{'s' if count > 1 else ''}"
    yield Piece(f", {many}")
