"""The eight messages of IEC 62055-52 6.4 (in the forms of IEC 62056-21 6.3), built and parsed.

Parsing takes one whole message, as the reader frames it; what is in a message that does not parse
is the caller's to refuse.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.grammar import (
    COMMAND_DATA_SET,
    COUNT,
    DATA_SET,
    ERROR,
    ID_REQUEST,
    ID_RESPONSE,
)

ACK_MESSAGE = b"\x06"
NAK_MESSAGE = b"\x15"
BREAK_MESSAGE = b"\x01B0\x03q"
DEFAULT_LIMITS = MessageLimits()


def bcc(covered: bytes) -> int:
    """Return the block check character of the characters after SOH or STX, ETX included.

    IEC 62056-21 6.2: the exclusive or of their 7 bits.
    """
    return functools.reduce(operator.xor, covered, 0) & 0x7F


def close(message: bytes) -> bytes:
    """Add ETX and BCC to a message that begins with SOH or STX."""
    covered = message[1:] + b"\x03"
    return message + b"\x03" + bytes([bcc(covered)])


def bcc_is_good(message: bytes) -> bool:
    """Check a whole message from SOH or STX to its BCC."""
    return bcc(message[1:-1]) == message[-1]


@dataclass(frozen=True, slots=True)
class IDRequest:
    """``address``: 0 to 32 characters; empty: whoever is on the line."""

    address: str = ""

    def to_chars(self) -> bytes:
        """Return the message's characters."""
        return f"/?{self.address}!\r\n".encode("ascii")


@dataclass(frozen=True, slots=True)
class IDResponse:
    """``flag``: three FLAG letters; ``baud_identification``: Z, without meaning in direct mode."""

    flag: str
    baud_identification: str
    identification: str

    def to_chars(self) -> bytes:
        """Return the message's characters."""
        text = f"/{self.flag}{self.baud_identification}{self.identification}\r\n"
        return text.encode("ascii")


@dataclass(frozen=True, slots=True)
class ReadCommand:
    """R1. ``count``: as it stands between the parentheses."""

    register_id: str
    count: str = ""

    def to_chars(self) -> bytes:
        """Return the message's characters."""
        return close(f"\x01R1\x02{self.register_id}({self.count})".encode("ascii"))

    @property
    def number(self) -> int | None:
        """The number of data sets asked for, 1 to 255, or None for a count that is none."""
        if not self.count:
            return 1
        number = int(self.count, 16) if COUNT.fullmatch(self.count) else 0
        return number or None


@dataclass(frozen=True, slots=True)
class WriteCommand:
    """W1. ``value``: as it stands between the parentheses."""

    register_id: str
    value: str

    def to_chars(self) -> bytes:
        """Return the message's characters."""
        return close(f"\x01W1\x02{self.register_id}({self.value})".encode("ascii"))


@dataclass(frozen=True, slots=True)
class BreakCommand:
    """B0."""

    def to_chars(self) -> bytes:
        """Return the message's characters."""
        return BREAK_MESSAGE


@dataclass(frozen=True, slots=True)
class MalformedCommand:
    """R1, W1 or B0 whose data set is not what it must be (ER02)."""

    code: str


@dataclass(frozen=True, slots=True)
class UndefinedCommand:
    """Any other command (ER01; IEC 62055-52 6.6, undefined command)."""

    code: str


CommandMessage = ReadCommand | WriteCommand | BreakCommand | MalformedCommand | UndefinedCommand


def parse_id_request(message: bytes) -> IDRequest | None:
    """Parse `/?address!CR LF`; None where it is not one."""
    match = ID_REQUEST.fullmatch(message)
    return IDRequest(match[1].decode("ascii")) if match else None


def parse_id_response(message: bytes) -> IDResponse | None:
    """Parse `/XXXZ...CR LF`; None where it is not one."""
    match = ID_RESPONSE.fullmatch(message)
    return IDResponse(*(part.decode("ascii") for part in match.groups())) if match else None


def parse_command(message: bytes) -> CommandMessage:
    """Parse a whole command, SOH to BCC, whose BCC is good."""
    body = message[1:-2]
    head, stx, data = body.partition(b"\x02")
    code = head[:2].decode("ascii", "replace")
    if code not in ("R1", "W1", "B0"):
        return UndefinedCommand(code)
    if code == "B0":
        return BreakCommand() if body == b"B0" else MalformedCommand(code)
    match = COMMAND_DATA_SET.fullmatch(data)
    if len(head) != 2 or not stx or match is None:
        return MalformedCommand(code)
    register_id, value = match[1].decode("ascii"), match[2].decode("ascii")
    return ReadCommand(register_id, value) if code == "R1" else WriteCommand(register_id, value)


@dataclass(frozen=True, slots=True)
class DataSet:
    """One ``address(value*unit)``; unit None where there is none."""

    address: str
    value: str
    unit: str | None = None

    def __str__(self) -> str:
        unit = "" if self.unit is None else f"*{self.unit}"
        return f"{self.address}({self.value}{unit})"


@dataclass(frozen=True, slots=True)
class DataMessage:
    """Data: one or more data sets."""

    data_sets: tuple[DataSet, ...]

    def to_chars(self) -> bytes:
        """Return the message's characters, with CR LF where a line would pass 78 of them."""
        return build_data([str(data_set) for data_set in self.data_sets])


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """``text`` of up to 32 characters, the companion's or a maker's."""

    text: str

    def to_chars(self) -> bytes:
        """Return the message's characters."""
        return close(f"\x02({self.text})".encode("ascii"))


def parse_data(message: bytes) -> DataMessage | ErrorMessage | None:
    """Parse a whole Data message, STX to BCC, whose BCC is good; None where it is none."""
    body = message[1:-2]
    if match := ERROR.fullmatch(body):
        return ErrorMessage(match[1].decode("ascii"))
    data_sets: list[DataSet] = []
    at = 0
    while at < len(body):
        if data_sets and body.startswith(b"\r\n", at):
            at += 2
        match = DATA_SET.match(body, at)
        if match is None:
            return None
        address, value, unit = match.groups()
        data_sets.append(
            DataSet(
                address.decode("ascii"),
                value.decode("ascii"),
                None if unit is None else unit.decode("ascii"),
            )
        )
        at = match.end()
    return DataMessage(tuple(data_sets)) if data_sets else None


def sets_that_fit(
    lengths: Iterable[int], limits: MessageLimits = DEFAULT_LIMITS
) -> tuple[int, int]:
    """Lay out data sets of these lengths and return how many fit and the message's length.

    A line never passes 78 characters (``limits.line``) unless one set alone does; STX, CR LF, ETX
    are not counted in a line, but all of them, and the BCC, are in the message's 1024.
    """
    fitting, total, line = 0, 3, 0
    for length in lengths:
        new_line = line > 0 and line + length > limits.line
        added = length + 2 * new_line
        if total + added > limits.data_message:
            break
        total += added
        line = length if new_line else line + length
        fitting += 1
    return fitting, total


def build_data(data_sets: Sequence[str], limits: MessageLimits = DEFAULT_LIMITS) -> bytes:
    """Build the Data message of the longest prefix of whole data sets that fits ``limits``."""
    fitting, _ = sets_that_fit(map(len, data_sets), limits)
    parts, line = ["\x02"], 0
    for data_set in data_sets[:fitting]:
        if line and line + len(data_set) > limits.line:
            parts.append("\r\n")
            line = 0
        parts.append(data_set)
        line += len(data_set)
    return close("".join(parts).encode("ascii"))
