"""The short floating point forms of amounts and power limits (IEC 62055-41 6.3.6, 6.3.21)."""

from __future__ import annotations

from typing import Final

from vtc07.tokens.errors import OutOfRange

MANTISSA_BITS: Final = 14
MANTISSA_MASK: Final = (1 << MANTISSA_BITS) - 1
_STEPS: Final[tuple[int, ...]] = tuple(10**e for e in range(32))
_OFFSETS: Final[tuple[int, ...]] = tuple(
    (1 << MANTISSA_BITS) * ((10**e - 1) // 9) for e in range(32)
)
_TOPS: Final[tuple[int, ...]] = tuple(
    offset + MANTISSA_MASK * step for offset, step in zip(_OFFSETS, _STEPS, strict=True)
)

MAXIMUM_AMOUNT: Final = _TOPS[3]
"""The largest value of a 16-bit amount field: 18201624 units."""
MAXIMUM_CURRENCY_AMOUNT: Final = _TOPS[31]
"""The largest size of a currency amount, in 1e-5 of the base currency."""

_SECOND_TOP, _THIRD_TOP = _TOPS[1:3]
_FIRST, _SECOND, _THIRD = _OFFSETS[1:4]


def encode_amount(units: int) -> int:
    """Return the 16-bit field of an amount of 0 to 18201624 units, rounded up.

    The field holds a 2-bit exponent and a 14-bit mantissa; the smallest exponent that can
    hold the rounded value is taken. Raises OutOfRange outside the range.
    """
    if not isinstance(units, int) or not 0 <= units <= MAXIMUM_AMOUNT:
        raise OutOfRange(f"An amount must be a whole number from 0 to {MAXIMUM_AMOUNT} units.")
    if units <= MANTISSA_MASK:
        return units
    if units <= _SECOND_TOP:
        return 0x4000 | (units - _FIRST + 9) // 10
    if units <= _THIRD_TOP:
        return 0x8000 | max(0, units - _SECOND + 99) // 100
    return 0xC000 | max(0, units - _THIRD + 999) // 1000


def decode_amount(field: int) -> int:
    """Return the units that a 16-bit amount field stands for."""
    if not 0 <= field <= 0xFFFF:
        raise OutOfRange("An amount field has 16 bits: 0 to 65535.")
    exponent = field >> MANTISSA_BITS
    return _OFFSETS[exponent] + (field & MANTISSA_MASK) * _STEPS[exponent]


def encode_currency(amount: int) -> tuple[int, int]:
    """Return (S&E, field) of a signed amount in 1e-5 of the base currency.

    S&E is sign and the three high bits of a 5-bit exponent, the field the two low bits and
    the mantissa. Both signs round toward plus infinity; zero has no sign. Raises OutOfRange
    above the maximum of either sign.
    """
    if not isinstance(amount, int):
        raise OutOfRange("A currency amount must be a whole number of 1e-5 of the base currency.")
    size = abs(amount)
    if size > MAXIMUM_CURRENCY_AMOUNT:
        raise OutOfRange(
            f"A currency amount must not exceed {MAXIMUM_CURRENCY_AMOUNT} in 1e-5 of the base "
            "currency, whichever its sign."
        )
    exponent = 0
    if amount >= 0:
        while size > _TOPS[exponent]:
            exponent += 1
        step = _STEPS[exponent]
        mantissa = max(0, size - _OFFSETS[exponent] + step - 1) // step
    else:
        while exponent < 31 and size >= _OFFSETS[exponent + 1]:
            exponent += 1
        mantissa = min(MANTISSA_MASK, (size - _OFFSETS[exponent]) // _STEPS[exponent])
    sign = 8 if amount < 0 else 0
    return sign | exponent >> 2, (exponent & 3) << MANTISSA_BITS | mantissa


def decode_currency(sign_and_exponent: int, field: int) -> int:
    """Return the signed amount, in 1e-5 of the base currency, of an S&E nibble and a field.

    A minus sign before zero, which no encoder writes, is read as zero.
    """
    if not (0 <= sign_and_exponent <= 15 and 0 <= field <= 0xFFFF):
        raise OutOfRange("A currency amount has a 4-bit S&E and a 16-bit field.")
    exponent = (sign_and_exponent & 7) << 2 | field >> MANTISSA_BITS
    size = _OFFSETS[exponent] + (field & MANTISSA_MASK) * _STEPS[exponent]
    return -size if sign_and_exponent & 8 else size
