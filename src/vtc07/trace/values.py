"""Values of registers for people, by what the companion says of the register."""

from __future__ import annotations

import re
from decimal import Decimal

from vtc07.carrier.companion import Companion
from vtc07.carrier.registers import Kind, Register, Value

#: Registers whose numbers are those of tokenStatus (IEC 62055-52 6.8 by name).
_STATUS_REGISTERS = frozenset({"tokenStatus", "lastTokenStatus"})

_BITS = re.compile(r"from bit 0: (.+)")
_NUMBERED = re.compile(r"([0-9]+) ([^,;]+)")
_ELSE_STATUS = "else the tokenStatus number"


def grouped(digits: str) -> str:
    """Return a token's digits in groups of four, as a slip has them."""
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def number_text(register: Register, value: Value) -> str:
    """Return a value in the register's unit, without the unit.

    A token stands in groups of four; text with a space or comma in it, in quotation marks.
    """
    if isinstance(value, int):
        return format(Decimal(value).scaleb(register.scaler), "f")
    if register.data_type.kind is Kind.TOKEN and value:
        return grouped(value)
    if " " in value or "," in value:
        return f'"{value}"'
    return value or "(empty)"


def meaning_text(register: Register, value: Value, companion: Companion) -> str:
    """Return what a number stands for, or empty where it is simply a number.

    From the companion: the status values, and a register's meaning where that lists numbers
    (``0 open, 1 closed``) or bits (``from bit 0: tamper, lockout``).
    """
    if not isinstance(value, int):
        return ""
    if register.name in _STATUS_REGISTERS:
        return companion.token_entry.status.describe(value)
    if bits := _BITS.match(register.meaning):
        names = bits[1].split(", ")
        set_bits = [
            names[bit] if bit < len(names) else f"bit {bit}"
            for bit in range(register.data_type.size)
            if value >> bit & 1
        ]
        return ", ".join(set_bits) or "none"
    if register.meaning[:1].isdigit():
        numbered: dict[int, str] = {
            int(number): text for number, text in _NUMBERED.findall(register.meaning)
        }
        if value in numbered:
            return numbered[value]
        if _ELSE_STATUS in register.meaning:
            return companion.token_entry.status.describe(value)
    return ""
