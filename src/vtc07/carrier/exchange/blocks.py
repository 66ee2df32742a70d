"""What a person sees in a data block: rows with values and units, history, load profiles.

Nothing in a meter's text is an error here: what is not understood is kept and told. Values are
text as it came, spaces and leading zeros too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from vtc07.carrier.exchange.settings import STANDARD, Compatibility

_STX, _ENDS = b"\x02", re.compile(rb"[\x03\x04]")
_LINE_ENDS = re.compile(r"[\r\n]+")
#: An address is whatever stands before a parenthesis, a value whatever stands inside.
_DATA_SET = re.compile(r"([^()!]*)\(([^()]*)\)")
#: The value group F of an OBIS code: a stored value; 255 means none.
_HISTORY = re.compile(r"(.*[^*&])[*&](\d{1,3})")
_COMMA = re.compile(r"( *[+-]?\d+),(\d+ *)")
_NO_HISTORY = 255


@dataclass(frozen=True, slots=True)
class Value:
    """What stands in one pair of parentheses; ``unit`` is None where there is none.

    ``joined``: the parts that an `&` joins, each with its unit; empty for all others. ``value``
    then is the parts' values, where their units are the same, or else all as it came.
    """

    value: str
    unit: str | None = None
    joined: tuple[Value, ...] = ()

    def __str__(self) -> str:
        return self.value if self.unit is None else f"{self.value} {self.unit}"


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """A row that is a load profile's head, and the lines after it.

    ``start``: the instant of the first entry, as the meter writes it; ``status``; ``period_min``:
    minutes from entry to entry; ``channels``: address and unit of each; ``entries``: a value for
    each channel.
    """

    start: str
    status: str
    period_min: int
    channels: tuple[tuple[str, str], ...]
    entries: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """An address and what belongs to it.

    ``address`` is empty only where a block begins with a value. ``values``: those on the
    address's own line; ``further``: those of each line after it that begins with a value.
    """

    address: str
    values: tuple[Value, ...]
    further: tuple[tuple[Value, ...], ...] = ()

    @property
    def register(self) -> str:
        """The address without what tells a stored value: `1.8.0` of `1.8.0*12`."""
        match = _HISTORY.fullmatch(self.address)
        return match[1] if match else self.address

    @property
    def history(self) -> int | None:
        """The number of the stored value (`*12` or `&12`), or None for the present one."""
        match = _HISTORY.fullmatch(self.address)
        return int(match[2]) if match and int(match[2]) != _NO_HISTORY else None

    @property
    def all_values(self) -> tuple[Value, ...]:
        """The values of all of the row's lines."""
        return self.values + tuple(value for line in self.further for value in line)

    @property
    def profile(self) -> LoadProfile | None:
        """The load profile that this row begins, or None.

        The head of such a row, in the form of national rules: instant, status, minutes, number of
        channels, then address and unit of each.
        """
        said = [value.value for value in self.values]
        if len(said) < 6 or not (_is_number(said[2]) and _is_number(said[3])):
            return None
        names = said[4:]
        if len(names) != 2 * int(said[3]) or not self.further:
            return None
        channels = tuple(zip(names[::2], names[1::2], strict=True))
        flat = [value for line in self.further for value in line]
        if len(flat) % len(channels):
            return None
        entries = tuple(
            tuple(flat[at : at + len(channels)]) for at in range(0, len(flat), len(channels))
        )
        return LoadProfile(said[0], said[1], int(said[2]), channels, entries)


@dataclass(frozen=True, slots=True)
class Leftover:
    """Characters that are no data set. ``line``: counted from 1, blank lines left out."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text!r} is no data set"


@dataclass(frozen=True, slots=True)
class ReadoutBlock:
    """A data block. ``ended``: it had its `!`; ``after``: what stood on the same line after it."""

    rows: tuple[Row, ...]
    leftovers: tuple[Leftover, ...] = ()
    ended: bool = False
    after: str = ""

    def find(self, address: str) -> Row | None:
        """Return the first row of this address, or None."""
        return next((row for row in self.rows if row.address == address), None)


def parse_block(chars: bytes, compat: Compatibility = STANDARD) -> ReadoutBlock:
    """Parse a readout or an answer, with or without STX, ETX and check, which is not looked at.

    ``compat.decimal_comma``: `7,4` becomes `7.4`. All line ends are taken. A damaged character
    shows as U+FFFD.
    """
    chars = chars[chars.find(_STX) + 1 :]
    if end := _ENDS.search(chars):
        chars = chars[: end.start()]
    text = "".join(chr(char) if char < 0x80 else "\ufffd" for char in chars)
    building = _Building(compat)
    for line in _LINE_ENDS.split(text):
        if line.strip(" "):
            building.take(line)
    building.end_row()
    return ReadoutBlock(
        tuple(building.rows), tuple(building.leftovers), building.ended, building.after
    )


class _Building:
    """The rows as far as the lines were read."""

    def __init__(self, compat: Compatibility) -> None:
        self._compat = compat
        self._line = 0
        self.rows: list[Row] = []
        self._further: list[tuple[Value, ...]] = []  # of the last row
        self.leftovers: list[Leftover] = []
        self.ended = False
        self.after = ""

    def take(self, line: str) -> None:
        """Read one line that is not blank."""
        self._line += 1
        if self.ended:
            self.leftovers.append(Leftover(self._line, line))
            return
        own: tuple[str, list[Value]] | None = None  # the row that this line is at
        at = 0
        while at < len(line):
            match = _DATA_SET.match(line, at)
            if match is None:
                break
            address, value = match[1].strip(" "), _value(match[2], self._compat)
            if address or own is None:
                self._add(own)
                own = (address, [value])
            else:
                own[1].append(value)
            at = match.end()
        self._add(own)
        rest = line[at:].strip(" ")
        if rest.startswith("!"):
            self.ended = True
            self.after = rest[1:]
        elif rest:
            self.leftovers.append(Leftover(self._line, rest))

    def _add(self, own: tuple[str, list[Value]] | None) -> None:
        if own is None:
            return
        address, values = own
        if not address and self.rows:
            self._further.append(tuple(values))
        else:
            self.end_row()
            self.rows.append(Row(address, tuple(values)))

    def end_row(self) -> None:
        """Give the last row the lines that belong to it."""
        if self._further:
            self.rows[-1] = replace(self.rows[-1], further=tuple(self._further))
            self._further = []


def _value(text: str, compat: Compatibility) -> Value:
    if "&" not in text:
        value, star, unit = text.partition("*")
        return Value(_point(value, compat), unit if star else None)
    parts = tuple(_value(part, compat) for part in text.split("&"))
    units = {part.unit for part in parts}
    if len(units) > 1:
        return Value(text, None, parts)
    return Value("&".join(part.value for part in parts), units.pop(), parts)


def _point(value: str, compat: Compatibility) -> str:
    match = _COMMA.fullmatch(value) if compat.decimal_comma else None
    return f"{match[1]}.{match[2]}" if match else value


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
