"""Messages and values: what parses is built again to the same characters, the rest is refused.

The first byte chooses a parser or a register's encoding; the rest is what it gets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from fuzz_sessions import sessions
from vtc07.carrier import messages as messages_module
from vtc07.carrier import registers as registers_module
from vtc07.carrier.companion_file import load_companion, shipped_companions
from vtc07.carrier.messages import (
    BreakCommand,
    DataMessage,
    DataSet,
    ErrorMessage,
    IDRequest,
    MalformedCommand,
    ReadCommand,
    UndefinedCommand,
    WriteCommand,
    bcc_is_good,
    build_data,
    close,
    parse_command,
    parse_data,
    parse_id_request,
    parse_id_response,
    sets_that_fit,
)
from vtc07.carrier.registers import (
    DataType,
    Encoding,
    Kind,
    Register,
    Value,
    ValueRefused,
)

LONGEST = 1024
_PARSERS = 5
_PRINTABLE = bytes(range(0x20, 0x7F))
_IN_ADDRESS = frozenset(_PRINTABLE) - frozenset(b"()/!")
_IN_VALUE = _IN_ADDRESS - frozenset(b"*")
_IN_COMMAND = frozenset(_PRINTABLE) - frozenset(b"()*")
_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_IN_DEVICE_ADDRESS = _LETTERS | frozenset(b"0123456789 ")


@cache
def registers() -> tuple[Register, ...]:
    """Return a register of every kind: those of the shipped companions, and what they lack."""
    found: dict[tuple[object, ...], Register] = {}
    for name in shipped_companions():
        for register in load_companion(name).table:
            key = (register.data_type, register.encoding, register.scaler)
            found.setdefault(key, register)
    some = next(iter(found.values()))
    for kind, sizes in ((Kind.UNSIGNED, (1, 3, 32, 33, 64)), (Kind.SIGNED, (2, 5, 31, 62, 64))):
        for size in sizes:
            data_type = DataType(kind, size)
            found[data_type, Encoding.HEX, 0] = replace(
                some, data_type=data_type, encoding=Encoding.HEX, scaler=0
            )
            for scaler in (-18, -2, 0, 3, 18):
                found[data_type, Encoding.DECIMAL, scaler] = replace(
                    some, data_type=data_type, encoding=Encoding.DECIMAL, scaler=scaler
                )
    for data_type, encoding in (
        (DataType(Kind.TOKEN, 20), Encoding.TOKEN),
        (DataType(Kind.TOKEN, 20), Encoding.TOKEN_HEX),
        (DataType(Kind.TEXT, 1), Encoding.TEXT),
        (DataType(Kind.TEXT, 128), Encoding.TEXT),
    ):
        found[data_type, encoding, 0] = replace(
            some, data_type=data_type, encoding=encoding, scaler=0
        )
    return tuple(found.values())


def one(data: bytes) -> None:
    """Try one input."""
    if not data:
        return
    body = data[1:1025]
    match data[0]:
        case 0:
            try_data(body)
        case 1:
            try_command(body)
        case 2:
            try_id_request(body)
        case 3:
            try_id_response(body)
        case 4:
            try_layout(body)
        case other:
            known = registers()
            register = known[(other - _PARSERS) % len(known)]
            try_text(register, body.decode("latin-1"))
            if body:
                try_number(register, int.from_bytes(body[:12], "big", signed=True))


# --- messages -----------------------------------------------------------------------------------


def try_data(body: bytes) -> None:
    """Data: parsed as a second reading of the grammar says, and built again to the same."""
    message = parse_data(close(b"\x02" + body))
    expected = _data_again(body)
    assert message == expected, "two readings of the grammar differ"
    if isinstance(message, ErrorMessage):
        assert message.to_chars() == close(b"\x02" + body)
    elif message is not None:
        said = "".join(map(str, message.data_sets)).encode("ascii")
        assert said == body.replace(b"\r\n", b"")
        if b"\r\n" not in body and len(body) <= 78:
            assert message.to_chars() == close(b"\x02" + body)
        assert parse_data(message.to_chars()) == DataMessage(
            message.data_sets[: sets_that_fit(len(str(s)) for s in message.data_sets)[0]]
        )


def _data_again(body: bytes) -> DataMessage | ErrorMessage | None:
    """Read Data character by character (docs/protocol.md 4)."""
    if body[:1] == b"(" and body[-1:] == b")" and len(body) >= 2:
        text = body[1:-1]
        if len(text) <= 32 and _IN_VALUE.issuperset(text):
            return ErrorMessage(text.decode("ascii"))
        return None
    found: list[DataSet] = []
    rest = body
    while rest:
        if found and rest.startswith(b"\r\n"):
            rest = rest[2:]
        address, opened, rest = rest.partition(b"(")
        inside, closed, rest = rest.partition(b")")
        value, starred, unit = inside.partition(b"*")
        fits = (
            opened
            and closed
            and 1 <= len(address) <= 16
            and len(value) <= 128
            and len(unit) <= 16
            and bool(unit) == bool(starred)
            and _IN_ADDRESS.issuperset(address)
            and _IN_VALUE.issuperset(value)
            and _IN_ADDRESS.issuperset(unit)
        )
        if not fits:
            return None
        found.append(
            DataSet(
                address.decode("ascii"),
                value.decode("ascii"),
                unit.decode("ascii") if starred else None,
            )
        )
    return DataMessage(tuple(found)) if found else None


def try_command(body: bytes) -> None:
    """A command: R1 and W1 with exactly one data set, B0 alone, else its error."""
    message = close(b"\x01" + body)
    command = parse_command(message)
    head, stx, data = body.partition(b"\x02")
    address, opened, value = data[:-1].partition(b"(")
    sound = (
        stx
        and opened
        and data.endswith(b")")
        and address
        and _IN_COMMAND.issuperset(address)
        and _IN_COMMAND.issuperset(value)
    )
    match command:
        case ReadCommand() | WriteCommand():
            assert command.to_chars() == message
            assert sound
            assert head == (b"R1" if isinstance(command, ReadCommand) else b"W1")
            if isinstance(command, ReadCommand) and command.number is not None:
                assert 1 <= command.number <= 255
                assert command.count.upper() in ("", f"{command.number:02X}")
        case BreakCommand():
            assert body == b"B0"
        case MalformedCommand():
            assert body[:2] in (b"R1", b"W1", b"B0")
            assert not sound or len(head) != 2 or head == b"B0"
        case UndefinedCommand():
            assert head[:2] not in (b"R1", b"W1", b"B0")


def try_id_request(message: bytes) -> None:
    """An IDRequest: address of digits, letters and spaces, exactly."""
    request = parse_id_request(message)
    address = message[2:-3]
    fits = (
        message == b"/?" + address + b"!\r\n"
        and len(address) <= 32
        and _IN_DEVICE_ADDRESS.issuperset(address)
    )
    assert (request is not None) == fits, "two readings of the grammar differ"
    if request is not None:
        assert request.to_chars() == message


def try_id_response(message: bytes) -> None:
    """An IDResponse: three letters, Z, printable characters."""
    response = parse_id_response(message)
    inside = message[1:-2]
    fits = (
        message == b"/" + inside + b"\r\n"
        and len(inside) >= 4
        and _LETTERS.issuperset(inside[:3])
        and frozenset(_PRINTABLE).issuperset(inside[3:])
    )
    assert (response is not None) == fits, "two readings of the grammar differ"
    if response is not None:
        assert response.to_chars() == message


def try_layout(body: bytes) -> None:
    """Data of many sets: as many as fit, in lines that are not too long."""
    data_sets = [f"{place:04X}({'x' * (size & 0x7F)})" for place, size in enumerate(body[:64])]
    message = build_data(data_sets)
    fitting, length = sets_that_fit(map(len, data_sets))
    assert len(message) == length <= 1024
    assert bcc_is_good(message)
    lines = message[1:-2].split(b"\r\n")
    assert all(len(line) <= 78 or line.count(b"(") == 1 for line in lines)
    assert b"".join(lines).decode("ascii") == "".join(data_sets[:fitting])
    assert fitting or not data_sets or len(data_sets[0]) > 1021
    if fitting < len(data_sets):
        assert length + len(data_sets[fitting]) + 2 > 1024, "one more had fitted"


# --- values -------------------------------------------------------------------------------------


def try_text(register: Register, text: str) -> None:
    """Characters between parentheses: a value that goes back to them, or ValueRefused."""
    try:
        value = register.decode(text)
    except ValueRefused:
        assert not _surely_fits(register, text), "a value is refused that the register can hold"
        return
    register.data_type.check(value)
    again = register.encode(value)
    assert register.decode(again) == value
    assert len(again) <= register.longest
    assert register.width in (None, len(again))
    assert not frozenset("()*/!").intersection(again)
    if register.encoding is Encoding.DECIMAL:
        assert _digits_of(again) == _digits_of(text)
    else:
        assert again == (text if register.encoding is Encoding.TEXT else text.upper())


def _digits_of(text: str) -> tuple[bool, str]:
    """Return what is left of a decimal number without the zeros that mean nothing."""
    whole, _, fraction = text.removeprefix("-").partition(".")
    digits = whole.lstrip("0") + "." + fraction.rstrip("0")
    return text.startswith("-") and digits != ".", digits


def _surely_fits(register: Register, text: str) -> bool:
    kind, size = register.data_type.kind, register.data_type.size
    if kind is Kind.TEXT:
        return len(text) <= size and all(" " <= c <= "~" and c not in "()*/!" for c in text)
    if register.encoding is Encoding.HEX and kind is Kind.UNSIGNED and size % 4 == 0:
        return len(text) == size // 4 and all(c in "0123456789abcdefABCDEF" for c in text)
    return text == "" and kind is Kind.TOKEN


def try_number(register: Register, number: int) -> None:
    """A number, or its digits where the register has text: encoded and back, or refused."""
    value: Value = number
    if register.data_type.kind is Kind.TOKEN:
        value = f"{abs(number):020d}"
    elif register.data_type.kind is Kind.TEXT:
        value = str(number)
    try:
        text = register.encode(value)
    except ValueRefused:
        if register.data_type.is_number:
            assert not register.data_type.minimum <= number <= register.data_type.maximum
        return
    assert register.decode(text) == value
    assert len(text) <= register.longest


# --- seeds, words, defects ----------------------------------------------------------------------


def seeds() -> dict[str, bytes]:
    """Return the messages of our own sessions, and values of every register."""
    found: dict[str, bytes] = {}
    for name, messages in sessions().items():
        for at, message in enumerate(messages):
            chars = message.chars
            if chars[:1] == b"/":
                found[f"{name}-{at}"] = (b"\x02" if chars[1:2] == b"?" else b"\x03") + chars
            elif chars[:1] in (b"\x01", b"\x02"):
                found[f"{name}-{at}"] = bytes((2 - chars[0],)) + chars[1:-2]
    for place, register in enumerate(registers()):
        first = bytes((_PARSERS + place,))
        values: tuple[Value, ...] = ("", "00000000000000000042", "73786976294838206463")
        if register.data_type.is_number:
            low, high = register.data_type.minimum, register.data_type.maximum
            values = (low, high, 0, 1, max(low, -1))
        elif register.data_type.kind is Kind.TEXT:
            values = ("", "~" * register.data_type.size)
        for number, value in enumerate(values):
            found[f"value-{place}-{number}"] = first + register.encode(value).encode("ascii")
    return found | {
        "error": b"\x00(ER05)",
        "unit": b"\x000030(000003E8*Wh)\r\n0031()",
        "malformed": b"\x01B0\x02()",
        "undefined": b"\x01R2\x020004()",
        "layout": b"\x04" + bytes(range(0, 128, 3)),
        "address": b"\x02/?Flat  7!\r\n",
        "lower-case": bytes((_PARSERS,)) + b"ff",
        "layout-full": b"\x04" + b"\x7f" * 9 + b"\x14\x01",
    }


def words() -> tuple[bytes, ...]:
    """Return pieces of messages and values."""
    return (
        b"R1\x02",
        b"W1\x02",
        b"B0",
        b"(",
        b")",
        b"*",
        b"*Wh)",
        b"\r\n",
        b"!\r\n",
        b"/?",
        b"0004(",
        b"FF",
        b"-",
        b".",
        b"-0.5",
        b"0" * 20,
        b"73786976294838206463",
        b"1B651C8B125A63538",
    )


def _a_set_is_left_out() -> None:
    parse = messages_module.parse_data

    def broken(message: bytes) -> DataMessage | ErrorMessage | None:
        found = parse(message)
        if isinstance(found, DataMessage) and len(found.data_sets) > 3:
            return DataMessage(found.data_sets[:-1])
        return found

    globals()["parse_data"] = broken


def _line_feeds_anywhere() -> None:
    def broken(message: bytes) -> IDRequest | None:
        return parse_id_request_of(message.replace(b"\n\n", b"\n").replace(b"  ", b" "))

    parse_id_request_of = messages_module.parse_id_request
    globals()["parse_id_request"] = broken


def _signs_are_lost() -> None:
    def broken(text: str, scaler: int) -> int:
        return abs(read(text, scaler))

    read = registers_module._from_decimal
    registers_module._from_decimal = broken


def _lower_case_refused() -> None:
    decode = Register.decode

    def broken(self: Register, text: str) -> Value:
        if self.encoding is Encoding.HEX and text != text.upper():
            raise ValueRefused("upper case is wanted")
        return decode(self, text)

    registers_module.Register.decode = broken  # type: ignore[method-assign]


def _units_in_commands() -> None:
    vars(messages_module)["COMMAND_DATA_SET"] = re.compile(
        rb"([ !\"#$%&'+-~]+)\(([ !\"#$%&'*-~]*)\)"
    )


PLANTS: dict[str, Callable[[], None]] = {
    "a data set is left out": _a_set_is_left_out,
    "an address changes": _line_feeds_anywhere,
    "signs are lost": _signs_are_lost,
    "lower case is refused": _lower_case_refused,
    "units in commands": _units_in_commands,  # no seed shows it: it takes mutation
}
