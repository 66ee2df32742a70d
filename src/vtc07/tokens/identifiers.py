"""Codes and identifiers of IEC 62055-41 clause 6.1 as values that refuse what is out of range."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, Self

from vtc07.tokens.errors import CheckDigitError, OutOfRange

SHORT_DRN_IIN: Final = "600727"
"""Issuer number in front of an 11-digit DRN."""
LONG_DRN_IIN: Final = "0000"
"""Issuer number in front of a 13-digit DRN."""
_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))


class KT(IntEnum):
    """KeyType of a decoder key (IEC 62055-41 6.1.9)."""

    DITK = 0
    """Initial key, loaded by the manufacturer."""
    DDTK = 1
    """Default key: manages the meter, gives no credit."""
    DUTK = 2
    """Unique key of one meter."""
    DCTK = 3
    """Common key, for magnetic card meters only."""


class EA(IntEnum):
    """EncryptionAlgorithm code (IEC 62055-41 6.1.5)."""

    STA = 7
    DEA = 9
    MISTY1 = 11

    @property
    def key_bits(self) -> int:
        """Length of a decoder key in bits: 128 for MISTY1, 64 for the others."""
        return 128 if self is EA.MISTY1 else 64

    @property
    def key_bytes(self) -> int:
        """Length of a decoder key in bytes."""
        return self.key_bits // 8

    @property
    def withdrawn(self) -> bool:
        """Whether the code is withdrawn (DEA): kept to read old tokens, not for new systems."""
        return self is EA.DEA

    @property
    def code(self) -> str:
        """The two digits that stand for it in a key derivation, e.g. "07"."""
        return f"{int(self):02d}"


class DKGA(IntEnum):
    """DecoderKeyGenerationAlgorithm code; only 02 and 04 can be used (see `keys`)."""

    DKGA01 = 1
    DKGA02 = 2
    DKGA03 = 3
    DKGA04 = 4


class TCT(IntEnum):
    """TokenCarrierType code."""

    MAGNETIC_CARD = 1
    NUMERIC = 2
    VIRTUAL = 7
    DLMS_COSEM = 8


class Service(IntEnum):
    """What a credit token buys; the number is also the offset of its subclass."""

    ELECTRICITY = 0
    """Amounts in 0.1 kWh."""
    WATER = 1
    """Amounts in 0.1 m3."""
    GAS = 2
    """Amounts in 0.1 m3."""
    TIME = 3
    """Connection time, amounts in 0.1 minute."""


def luhn_digit(digits: str) -> str:
    """Return the Luhn check digit that belongs behind `digits`.

    Raises OutOfRange when `digits` is empty or holds anything but 0..9.
    """
    if not isinstance(digits, str) or not digits.isascii() or not digits.isdigit():
        raise OutOfRange("A check digit is computed over decimal digits only; give digits 0 to 9.")
    codes = digits.encode()[::-1]
    total = sum(codes[::2].translate(_DOUBLED)) + sum(codes[1::2]) - len(codes) // 2 * ord("0")
    return str(-total % 10)


def _require_digits(what: str, text: object, lengths: tuple[int, ...]) -> None:
    wanted = " or ".join(map(str, lengths))
    if not isinstance(text, str) or not text.isascii() or not text.isdigit():
        raise OutOfRange(f"{what} must be written as {wanted} decimal digits and nothing else.")
    if len(text) not in lengths:
        raise OutOfRange(f"{what} must have {wanted} digits, but {len(text)} were given.")


def _require_check_digit(what: str, digits: str) -> None:
    expected = luhn_digit(digits[:-1])
    if digits[-1] != expected:
        raise CheckDigitError(
            f"{what} {digits} ends in check digit {digits[-1]}, but its other digits call for "
            f"{expected}; compare every digit with the meter's label."
        )


class _BoundedNumber(int):
    """An integer code with a range; it stays an int, so it can be used in arithmetic."""

    what: ClassVar[str]
    lowest: ClassVar[int] = 0
    highest: ClassVar[int]

    def __new__(cls, number: int) -> Self:
        if not isinstance(number, int) or not cls.lowest <= number <= cls.highest:
            raise OutOfRange(
                f"{cls.what} must be a whole number from {cls.lowest} to {cls.highest}."
            )
        return super().__new__(cls, number)

    @property
    def number(self) -> int:
        """The plain number."""
        return int(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({int(self)})"

    def __str__(self) -> str:
        return int.__repr__(self)


class KRN(_BoundedNumber):
    """KeyRevisionNumber, 1 to 9 (IEC 62055-41 6.1.8)."""

    what = "A KRN"
    lowest = 1
    highest = 9


class KEN(_BoundedNumber):
    """KeyExpiryNumber, 0 to 255; 255 means never (IEC 62055-41 6.1.10)."""

    what = "A KEN"
    highest = 255

    def expired_for(self, tid: int) -> bool:
        """Whether a token with this TID may neither be issued nor accepted under the key."""
        return (tid >> 16) > self


class RND(_BoundedNumber):
    """The 4 random bits of a token, 0 to 15 (IEC 62055-41 6.3.4)."""

    what = "RND"
    highest = 15


@dataclass(frozen=True, slots=True)
class SGC:
    """SupplyGroupCode: 6 digits."""

    digits: str

    def __post_init__(self) -> None:
        _require_digits("An SGC", self.digits, (6,))

    @classmethod
    def of(cls, number: int) -> Self:
        """Build it from its number, 0 to 999999; OutOfRange otherwise."""
        if not isinstance(number, int) or not 0 <= number <= 999_999:
            raise OutOfRange("An SGC must be a number from 0 to 999999.")
        return cls(f"{number:06d}")

    @property
    def number(self) -> int:
        """The code as a number, as a key change token carries it."""
        return int(self.digits)

    def __str__(self) -> str:
        return self.digits


@dataclass(frozen=True, slots=True)
class TI:
    """TariffIndex: 2 digits, 00 to 99."""

    digits: str

    def __post_init__(self) -> None:
        _require_digits("A TI", self.digits, (2,))

    @classmethod
    def of(cls, number: int) -> Self:
        """Build it from its number, 0 to 99; OutOfRange otherwise."""
        if not isinstance(number, int) or not 0 <= number <= 99:
            raise OutOfRange("A TI must be a number from 0 to 99.")
        return cls(f"{number:02d}")

    @property
    def number(self) -> int:
        """The index as a number, as a key change token carries it."""
        return int(self.digits)

    def __str__(self) -> str:
        return self.digits


@dataclass(frozen=True, slots=True)
class MfrCode:
    """ManufacturerCode: 2 digits (11-digit DRN) or 4 digits (13-digit DRN)."""

    digits: str

    def __post_init__(self) -> None:
        _require_digits("A MfrCode", self.digits, (2, 4))

    @property
    def number(self) -> int:
        """The code as a number, as a class 1 token carries it; 0 there means every maker."""
        return int(self.digits)

    @property
    def is_four_digit(self) -> bool:
        """Whether class 1 tokens for this maker use subclass 1."""
        return len(self.digits) == 4

    def __str__(self) -> str:
        return self.digits


@dataclass(frozen=True, slots=True)
class DRN:
    """DecoderReferenceNumber, the meter number: MfrCode, 8-digit DSN, Luhn check digit.

    11 digits with a 2-digit MfrCode or 13 with a 4-digit one (IEC 62055-41 6.1.2.3).
    Raises OutOfRange for a wrong form and CheckDigitError for a wrong check digit.
    """

    digits: str

    def __post_init__(self) -> None:
        _require_digits("A DRN", self.digits, (11, 13))
        _require_check_digit("The DRN", self.digits)

    @classmethod
    def of(cls, mfr_code: MfrCode, dsn: str) -> Self:
        """Build it from maker and 8-digit serial number; the check digit is computed."""
        _require_digits("A DSN", dsn, (8,))
        body = mfr_code.digits + dsn
        return cls(body + luhn_digit(body))

    @property
    def mfr_code(self) -> MfrCode:
        """The maker's code, 2 or 4 digits."""
        return MfrCode(self.digits[:-9])

    @property
    def dsn(self) -> str:
        """DecoderSerialNumber, 8 digits."""
        return self.digits[-9:-1]

    def __str__(self) -> str:
        return self.digits


@dataclass(frozen=True, slots=True)
class MeterPAN:
    """MeterPrimaryAccountNumber, 18 digits: IIN, IAIN (the DRN), Luhn check digit.

    IIN 600727 stands before an 11-digit DRN and 0000 before a 13-digit one (IEC 62055-41
    6.1.2). Both check digits are verified: OutOfRange for a wrong form or issuer,
    CheckDigitError for a wrong check digit.
    """

    digits: str

    def __post_init__(self) -> None:
        _require_digits("A MeterPAN", self.digits, (18,))
        if not self.digits.startswith((SHORT_DRN_IIN, LONG_DRN_IIN)):
            raise OutOfRange(
                "A MeterPAN must begin with the issuer number 600727 (11-digit DRN) or 0000 "
                "(13-digit DRN); check its first digits."
            )
        _require_check_digit("The MeterPAN", self.digits)
        _require_check_digit("The DRN inside the MeterPAN,", self.digits[len(self.iin) : -1])

    @classmethod
    def from_drn(cls, drn: DRN) -> Self:
        """Build the MeterPAN of a meter number."""
        body = (SHORT_DRN_IIN if len(drn.digits) == 11 else LONG_DRN_IIN) + drn.digits
        return cls(body + luhn_digit(body))

    @property
    def iin(self) -> str:
        """Issuer identification number: "600727" or "0000"."""
        return SHORT_DRN_IIN if self.digits.startswith(SHORT_DRN_IIN) else LONG_DRN_IIN

    @property
    def drn(self) -> DRN:
        """The meter number inside."""
        return DRN(self.digits[len(self.iin) : -1])

    def pan_block(self, kt: KT = KT.DUTK) -> str:
        """Return the 16 digits that enter a DKGA02 derivation (IEC 62055-41 6.5.3).

        Digits 2 to 17 of the MeterPAN; under a DCTK, which is common to many meters, the
        digits of the DRN are zero.
        """
        if kt == KT.DCTK:
            return self.iin[1:] + "0" * (17 - len(self.iin))
        return self.digits[1:17]

    def __str__(self) -> str:
        return self.digits
