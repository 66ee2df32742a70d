"""CRC and CRC_C of a token (IEC 62055-41 6.3.7, 6.3.22)."""

from __future__ import annotations

from array import array
from functools import cache
from typing import Final

from vtc07.tokens.errors import OutOfRange

_POLYNOMIAL: Final = 0xA001  # x^16 + x^15 + x^2 + 1, bit reversed
_PRESET: Final = 0xFFFF
_SLICE_BITS: Final = 13
_SLICE_MASK: Final = (1 << _SLICE_BITS) - 1
_CURRENCY_BYTE: Final = b"\x01"

_Slices = tuple["array[int]", "array[int]", "array[int]", "array[int]"]


def crc_of_bytes(data: bytes) -> int:
    """Return the 16-bit CRC of whole bytes, as a token carries it (low byte first)."""
    register = _PRESET
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
    return (register & 0xFF) << 8 | register >> 8


@cache
def _slices(suffix: bytes) -> _Slices:
    """Build one table for each 13 bits of the 50 that a CRC covers.

    A CRC is affine over exclusive or, so the CRC of the whole is the exclusive or of a part
    for each slice; the constant part (preset, padding, suffix) sits in the lowest slice.
    """
    constant = crc_of_bytes(bytes(7) + suffix)
    tables: list[list[int]] = []
    for index in range(4):
        table = [0]
        for bit in range(_SLICE_BITS):
            word = 1 << index * _SLICE_BITS + bit
            part = crc_of_bytes(word.to_bytes(7, "big") + suffix) ^ constant
            table += [value ^ part for value in table]
        tables.append(table)
    tables[0] = [value ^ constant for value in tables[0]]
    low, second, third, top = (array("H", table) for table in tables)
    return low, second, third, top


def crc_of_word(word: int, *, currency: bool = False) -> int:
    """Return the CRC of the 50 bits `class | subclass | data44`, or CRC_C if `currency`."""
    low, second, third, top = _slices(_CURRENCY_BYTE if currency else b"")
    return (
        low[word & _SLICE_MASK]
        ^ second[word >> 13 & _SLICE_MASK]
        ^ third[word >> 26 & _SLICE_MASK]
        ^ top[word >> 39]
    )


def _word(class_: int, subclass: int, data44: int) -> int:
    if class_ >> 2 or subclass >> 4 or data44 >> 44:
        raise OutOfRange("A CRC covers a 2-bit class, a 4-bit subclass and 44 data bits.")
    return class_ << 48 | subclass << 44 | data44


def crc(class_: int, subclass: int, data44: int) -> int:
    """Return the CRC of a token: all classes and subclasses but class 0, subclass 4 to 7."""
    return crc_of_word(_word(class_, subclass, data44))


def crc_c(class_: int, subclass: int, data44: int) -> int:
    """Return the CRC_C of a currency token (class 0, subclass 4 to 7)."""
    return crc_of_word(_word(class_, subclass, data44), currency=True)


def takes_crc_c(class_: int, subclass: int) -> bool:
    """Whether a token of this class and subclass carries CRC_C instead of CRC."""
    return class_ == 0 and 4 <= subclass <= 7
