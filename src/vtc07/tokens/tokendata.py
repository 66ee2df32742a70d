"""TokenData: the 66 bits of a token and their 20 digits (IEC 62055-41 6.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from vtc07.tokens.errors import DigitsError, OutOfRange

MAXIMUM_TOKENDATA: Final = (1 << 66) - 1
_CLASS_BITS: Final = 3 << 27
_CLEARED: Final = (1 << 64) - 1 ^ _CLASS_BITS
_SEPARATED: Final = re.compile(r"[0-9]+(?:[ -]+[0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class TokenData:
    """The number that a token carrier conveys, 66 bits.

    The class stands at bits 28 and 27; the two bits of the (encrypted) block that belong
    there are at 65 and 64 (IEC 62055-41 6.4.2). Raises OutOfRange beyond 66 bits.
    """

    value66: int

    def __post_init__(self) -> None:
        value = self.value66
        if not isinstance(value, int) or value >> 66:
            raise OutOfRange("TokenData is a whole number of at most 66 bits, not negative.")

    @classmethod
    def from_digits(cls, text: str) -> Self:
        """Read 20 decimal digits; spaces and hyphens may stand between groups of them.

        Raises DigitsError for other characters, another count of digits, or a number above
        73786976294838206463, the largest of 66 bits.
        """
        if not isinstance(text, str) or not _SEPARATED.fullmatch(text):
            raise DigitsError(
                "A token is written with decimal digits, at most spaces or hyphens between "
                "groups; remove every other character."
            )
        digits = text.replace(" ", "").replace("-", "")
        if len(digits) != 20:
            raise DigitsError(f"A token has 20 digits, but {len(digits)} were given; count again.")
        value = int(digits)
        if value > MAXIMUM_TOKENDATA:
            raise DigitsError(
                f"No token is larger than {MAXIMUM_TOKENDATA}; compare the first digits with "
                "the slip."
            )
        return cls(value)

    @classmethod
    def assemble(cls, token_class: int, block64: int) -> Self:
        """Transpose a class (0 to 3) and a block (encrypted, or clear in class 1) to 66 bits."""
        if token_class >> 2 or block64 >> 64:
            raise OutOfRange("A token is assembled from a 2-bit class and a 64-bit block.")
        return cls(
            (block64 & _CLASS_BITS) << 37 | block64 & _CLEARED | token_class << 27,
        )

    @property
    def token_class(self) -> int:
        """The class, 0 to 3."""
        return self.value66 >> 27 & 3

    @property
    def block64(self) -> int:
        """The 64-bit block, still encrypted in classes 0 and 2."""
        return self.value66 & _CLEARED | self.value66 >> 37 & _CLASS_BITS

    @property
    def digits(self) -> str:
        """The 20 digits."""
        return "%020d" % self.value66  # noqa: UP031  the faster form, on the hot path

    @property
    def grouped(self) -> str:
        """The 20 digits in five groups of four, as printed on a slip."""
        digits = self.digits
        return " ".join(digits[start : start + 4] for start in range(0, 20, 4))

    def __str__(self) -> str:
        return self.grouped
