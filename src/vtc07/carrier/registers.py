"""RegisterTable and Register (IEC 62055-52 6.8), and the encodings of their values.

The interface classes are the standard's; addresses, types and encodings are ours and stand in a
companion file (docs/provenance.md).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

#: A register's value: an integer in the register's unit and scaler, or text.
Value = int | str

MAX_VALUE_LENGTH = 128  # IEC 62056-21 6.5: a value in programming mode
_TEXT = re.compile(r"[ -~]*")
_NOT_IN_TEXT = frozenset("()*/!")
_DIGITS20 = re.compile(r"[0-9]{20}")
_HEX = re.compile(r"[0-9A-Fa-f]+")
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
MAX_TOKEN_DATA = 2**66 - 1  # IEC 62055-41 6.1: the largest 66-bit TokenData


class ValueRefused(ValueError):
    """A value that a register cannot hold or text that is not one of its values.

    The message says what the register wants.
    """


class Encoding(enum.Enum):
    """How a register's value stands between the parentheses of a data set."""

    HEX = "hex"
    DECIMAL = "decimal"
    TEXT = "text"
    TOKEN = "token"  # noqa: S105 - an encoding's name
    TOKEN_HEX = "token-hex"  # noqa: S105 - likewise


class Kind(enum.Enum):
    """What a value is."""

    UNSIGNED = "u"
    SIGNED = "s"
    TEXT = "text"
    TOKEN = "token"  # noqa: S105 - a kind's name


@dataclass(frozen=True, slots=True)
class DataType:
    """A register's type: ``u1`` to ``u64``, ``s2`` to ``s64``, ``text n``, or ``token``.

    ``size`` is bits for numbers, the greatest number of characters for text, 20 for a token.
    """

    kind: Kind
    size: int

    @classmethod
    def parse(cls, text: str) -> DataType:
        """Read ``"u16"``, ``"s64"``, ``"text 18"`` or ``"token"``, or raise ValueError."""
        if text == "token":
            return cls(Kind.TOKEN, 20)
        if match := re.fullmatch(r"text ([0-9]{1,3})", text):
            size = int(match[1])
            if not 1 <= size <= MAX_VALUE_LENGTH:
                raise ValueError(f"text of {size} characters: 1 to {MAX_VALUE_LENGTH} are possible")
            return cls(Kind.TEXT, size)
        if match := re.fullmatch(r"([us])([0-9]{1,2})", text):
            kind, size = Kind(match[1]), int(match[2])
            if not (1 if kind is Kind.UNSIGNED else 2) <= size <= 64:
                raise ValueError(f"{text}: numbers have 1 (signed: 2) to 64 bits")
            return cls(kind, size)
        raise ValueError(f"unknown type {text!r}: u1 to u64, s2 to s64, text 1 to 128, or token")

    def __str__(self) -> str:
        if self.kind is Kind.TOKEN:
            return "token"
        return f"text {self.size}" if self.kind is Kind.TEXT else f"{self.kind.value}{self.size}"

    @property
    def is_number(self) -> bool:
        """True for ``u`` and ``s`` types."""
        return self.kind in (Kind.UNSIGNED, Kind.SIGNED)

    @property
    def minimum(self) -> int:
        """The smallest number the type holds."""
        return -(1 << (self.size - 1)) if self.kind is Kind.SIGNED else 0

    @property
    def maximum(self) -> int:
        """The largest number the type holds."""
        return (1 << (self.size - (self.kind is Kind.SIGNED))) - 1

    def check(self, value: Value) -> None:
        """Refuse a value that the type cannot hold: ValueRefused says what would be right."""
        if self.is_number:
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueRefused(f"{value!r} is not a whole number")
            if not self.minimum <= value <= self.maximum:
                raise ValueRefused(f"{value} is not in {self.minimum} to {self.maximum} ({self})")
            return
        if not isinstance(value, str):
            raise ValueRefused(f"{value!r} is not text")
        if self.kind is Kind.TEXT:
            if len(value) > self.size:
                raise ValueRefused(f"{len(value)} characters, at most {self.size} are possible")
            if not _TEXT.fullmatch(value) or _NOT_IN_TEXT.intersection(value):
                raise ValueRefused("text is printable ASCII without ( ) * / !")
        elif value and not (_DIGITS20.fullmatch(value) and int(value) <= MAX_TOKEN_DATA):
            raise ValueRefused(f"a token is 20 decimal digits, at most {MAX_TOKEN_DATA}")


@dataclass(frozen=True, slots=True)
class Register:
    """One Register of a RegisterTable (IEC 62055-52 6.8).

    ``address`` is the registerID as sent (upper-case where hexadecimal). ``scaler`` is the power
    of ten by which the integer value is multiplied to give ``unit``. ``read_level`` and
    ``write_level`` are access levels (IEC 62056-21 annex D); None: not possible at any level.
    ``alias``: a second, literal address such as ``1.8.0``, which the readout of mode C shows and
    its commands may name. ``decimal_comma``: decimal values have a comma for the point, and are
    taken with either.
    """

    address: str
    name: str
    data_type: DataType
    encoding: Encoding
    meaning: str
    unit: str | None = None
    scaler: int = 0
    read_level: int | None = 0
    write_level: int | None = None
    alias: str | None = None
    decimal_comma: bool = False

    @property
    def width(self) -> int | None:
        """Characters of an encoded value, or None where the width varies."""
        if self.encoding is Encoding.HEX and self.data_type.is_number:
            return -(-self.data_type.size // 4)
        return None

    @property
    def longest(self) -> int:
        """Characters of the longest encoded value."""
        match self.encoding:
            case Encoding.HEX:
                return -(-self.data_type.size // 4)
            case Encoding.DECIMAL:
                ends = (self.data_type.minimum, self.data_type.maximum)
                return max(len(_decimal(end, self.scaler)) for end in ends)
            case Encoding.TOKEN_HEX:
                return 17
            case _:
                return self.data_type.size

    def encode(self, value: Value) -> str:
        """Return the value's characters; ValueRefused if the register cannot hold it."""
        self.data_type.check(value)
        match self.encoding:
            case Encoding.HEX:
                assert isinstance(value, int)
                width = -(-self.data_type.size // 4)
                # Two's complement of the width's bits, not of the type's (s62 fills 16 digits).
                return f"{value & ((1 << (4 * width)) - 1):0{width}X}"
            case Encoding.DECIMAL:
                text = _decimal(int(value), self.scaler)
                return text.replace(".", ",") if self.decimal_comma else text
            case Encoding.TOKEN_HEX:
                return f"{int(value):017X}" if value else ""
            case _:
                return str(value)

    def decode(self, text: str) -> Value:
        """Return the value of received characters; ValueRefused if they are not one."""
        value = self._decode(text)
        self.data_type.check(value)
        return value

    def _decode(self, text: str) -> Value:
        match self.encoding:
            case Encoding.HEX:
                width = -(-self.data_type.size // 4)
                if len(text) != width or not _HEX.fullmatch(text):
                    raise ValueRefused(f"{text!r} is not {width} hexadecimal digits")
                number = int(text, 16)
                if self.data_type.kind is Kind.SIGNED and number >> (4 * width - 1):
                    number -= 1 << (4 * width)
                return number
            case Encoding.DECIMAL:
                point = text.replace(",", ".", 1) if self.decimal_comma else text
                return _from_decimal(point, self.scaler)
            case Encoding.TOKEN_HEX:
                if not text:
                    return ""
                if len(text) != 17 or not _HEX.fullmatch(text):
                    raise ValueRefused("a token is 17 hexadecimal digits here")
                return f"{int(text, 16):020d}"
            case _:
                return text


def _decimal(value: int, scaler: int) -> str:
    if scaler >= 0:
        return str(value * 10**scaler)
    sign, digits = ("-" if value < 0 else ""), str(abs(value)).rjust(1 - scaler, "0")
    return f"{sign}{digits[:scaler]}.{digits[scaler:]}"


def _from_decimal(text: str, scaler: int) -> int:
    if len(text) > MAX_VALUE_LENGTH or not _DECIMAL.fullmatch(text):
        raise ValueRefused(f"{text[:40]!r} is not a decimal number")
    whole, _, fraction = text.partition(".")
    places = max(0, -scaler)
    if len(fraction) > places and fraction[places:].strip("0"):
        raise ValueRefused(f"{text!r} has more than {places} decimal places")
    number = int(whole + fraction[:places].ljust(places, "0"))
    if scaler > 0:
        number, rest = divmod(number, 10**scaler)
        if rest:
            raise ValueRefused(f"{text!r} is not a multiple of {10**scaler}")
    return number


@dataclass(frozen=True)
class RegisterTable:
    """A RegisterTable (IEC 62055-52 6.8): Registers in the order in which reads go through them.

    ``table_id`` and ``foin`` are the standard's tableID and FOIN of this table.
    """

    table_id: int
    foin: int
    registers: Sequence[Register] = field(repr=False)
    _places: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _names: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = {r.address.upper(): i for i, r in enumerate(self.registers)}
        aliases = {r.alias.upper(): i for i, r in enumerate(self.registers) if r.alias}
        names = {r.name: i for i, r in enumerate(self.registers)}
        addresses = len(self.registers) + sum(1 for r in self.registers if r.alias)
        if len(places | aliases) != addresses or len(names) != len(self.registers):
            raise ValueError("two registers share an address or a name")
        places |= aliases
        object.__setattr__(self, "registers", tuple(self.registers))
        object.__setattr__(self, "_places", MappingProxyType(places))
        object.__setattr__(self, "_names", MappingProxyType(names))

    def __iter__(self) -> Iterator[Register]:
        return iter(self.registers)

    def __len__(self) -> int:
        return len(self.registers)

    def find(self, address: str) -> Register | None:
        """Return the register of a registerID or alias, in either case, or None."""
        place = self._places.get(address.upper())
        return None if place is None else self.registers[place]

    def named(self, name: str) -> Register:
        """Return the register of a name; KeyError if there is none."""
        return self.registers[self._names[name]]

    def has(self, name: str) -> bool:
        """Say whether a register of this name exists."""
        return name in self._names

    def place(self, register: Register) -> int:
        """Return the register's place in the table's order, from 0."""
        return self._places[register.address.upper()]

    def readable_from(self, start: Register, count: int, level: int = 0) -> tuple[Register, ...]:
        """Return at most ``count`` registers from ``start`` on that ``level`` may read.

        Registers that may not be read are skipped and take none of the count; the table's end
        ends the answer. A start that may not be read is the caller's to refuse (ER04).
        """
        found: list[Register] = []
        for register in self.registers[self.place(start) :]:
            if len(found) == count:
                break
            if register.read_level is not None and register.read_level <= level:
                found.append(register)
        return tuple(found)
