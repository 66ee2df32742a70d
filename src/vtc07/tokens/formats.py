"""One frozen dataclass for every token that IEC 62055-41 defines (6.2 and 6.3).

The dataclasses hold plain field values and refuse what does not fit their fields. Where a
field can hold values that the standard leaves undefined (a ClearCredit register, a pad, a
MfrCode, the codes of a key change section), a token decoded from the air keeps them, since the
meter has to judge them; `require_defined` tells them apart, and `codec.encode` calls it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from vtc07.tokens.amounts import encode_amount, encode_currency
from vtc07.tokens.errors import OutOfRange
from vtc07.tokens.identifiers import Service

METER_TESTS: Final = {
    0: "all",
    1: "load switch",
    2: "displays",
    3: "cumulative totals",
    4: "KRN and KT",
    5: "TI",
    6: "token input device",
    7: "maximum power limit",
    8: "tamper status",
    9: "active power",
    10: "software version",
    11: "phase power unbalance limit",
    12: "water meter factor",
    13: "tariff rate",
    14: "EA",
    15: "number of KCTs supported",
    16: "SGC",
    17: "KEN",
    18: "DRN",
}
"""The tests that class 1 tokens can ask for, by number (IEC 62055-41 6.3.8)."""

CLEAR_ALL_REGISTERS: Final = 0xFFFF
"""ClearCredit register number that means all of them."""


def require_widths(token: object, **fields: tuple[object, int]) -> None:
    """Raise OutOfRange for the first field that does not fit its width in bits.

    `fields` gives value and width by name. The message never shows the value: some fields
    hold a part of a key.
    """
    for name, (value, bits) in fields.items():
        if not isinstance(value, int) or value >> bits:
            raise OutOfRange(
                f"{type(token).__name__}: {name} must be a whole number of at most {bits} bits, "
                f"0 to {(1 << bits) - 1}."
            )


class TokenFormat(ABC):
    """What all token dataclasses share: class, subclass and the 44 data bits."""

    __slots__ = ()

    token_class: ClassVar[int]
    has_undefined_values: ClassVar[bool] = False
    """Whether fields of this token can hold values that the standard leaves undefined."""

    @property
    @abstractmethod
    def subclass(self) -> int:
        """The 4-bit subclass."""

    @abstractmethod
    def data44(self) -> int:
        """Return the 44 data bits between subclass and CRC."""

    def require_defined(self) -> None:  # noqa: B027 - most formats leave nothing undefined
        """Raise OutOfRange if a field holds a value that the standard leaves undefined."""


# --- Class 0 ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TransferCredit(TokenFormat):
    """Credit for a service: class 0, subclass 0 to 3 (IEC 62055-41 6.2.2).

    `rnd` 0..15, `tid` 24 bits, `amount` 0..18201624 in 0.1 kWh, 0.1 m3 or 0.1 minute. The
    token carries the amount rounded up to what its field can hold; a decoded token shows
    the rounded one.
    """

    token_class: ClassVar[int] = 0
    service: Service
    rnd: int
    tid: int
    amount: int

    def __post_init__(self) -> None:
        try:
            fits = not (self.rnd >> 4 or self.tid >> 24 or self.amount >> 14)
        except TypeError:
            fits = False
        if not fits or self.service.__class__ is not Service:  # the slow way, to say what
            _require_service(self.service)
            encode_amount(self.amount)
            require_widths(self, rnd=(self.rnd, 4), tid=(self.tid, 24))

    @property
    def subclass(self) -> int:
        """The service's number."""
        return int(self.service)

    def data44(self) -> int:
        """RND, TID, amount field."""
        return self.rnd << 40 | self.tid << 16 | encode_amount(self.amount)


@dataclass(frozen=True, slots=True)
class TransferCurrency(TokenFormat):
    """Credit in money: class 0, subclass 4 to 7, with CRC_C (IEC 62055-41 6.3.21).

    `amount` is signed, in 1e-5 of the base currency; it is rounded toward plus infinity to
    what the token can hold. A payment meter of IEC 62055-52 does not serve these tokens.
    """

    token_class: ClassVar[int] = 0
    service: Service
    tid: int
    amount: int

    def __post_init__(self) -> None:
        _require_service(self.service)
        require_widths(self, tid=(self.tid, 24))
        encode_currency(self.amount)

    @property
    def subclass(self) -> int:
        """The service's number plus 4."""
        return self.service + 4

    def data44(self) -> int:
        """S&E, TID, amount field."""
        sign_and_exponent, amount = encode_currency(self.amount)
        return sign_and_exponent << 40 | self.tid << 16 | amount


def _require_service(service: object) -> None:
    if not isinstance(service, Service):
        raise OutOfRange(
            "The service must be Service.ELECTRICITY, Service.WATER, Service.GAS or Service.TIME."
        )


# --- Class 1 ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InitiateMeterTest(TokenFormat):
    """Test or display, for any meter, in clear: class 1, subclass 0 or 1 (6.2.3, 6.3.8).

    `control` has one bit for each test: bit n-1 for test n, all ones for test 0; 36 bits in
    subclass 0, 28 in subclass 1. `mfr_code` is binary, 8 or 16 bits; 0 addresses every maker.
    `four_digit_mfr_code` selects subclass 1. A defined token asks for at least one test, of a
    maker whose code has two decimal digits (0 to 99), or four (0 to 9999) in subclass 1.
    """

    token_class: ClassVar[int] = 1
    has_undefined_values: ClassVar[bool] = True
    control: int
    mfr_code: int = 0
    four_digit_mfr_code: bool = False

    def __post_init__(self) -> None:
        bits = self.control_bits
        require_widths(self, control=(self.control, bits), mfr_code=(self.mfr_code, 44 - bits))

    @classmethod
    def of_tests(
        cls, tests: Iterable[int], *, mfr_code: int = 0, four_digit_mfr_code: bool = False
    ) -> Self:
        """Build the token that asks for these tests; 0 stands for all of them.

        Raises OutOfRange for an empty choice or a number that the control field lacks.
        """
        bits = 28 if four_digit_mfr_code else 36
        control = 0
        for test in tests:
            if not isinstance(test, int) or not 0 <= test <= bits:
                raise OutOfRange(f"A meter test has a number from 0 (all) to {bits}.")
            control |= 1 << test - 1 if test else (1 << bits) - 1
        if not control:
            raise _no_meter_test()
        return cls(control, mfr_code, four_digit_mfr_code)

    @property
    def control_bits(self) -> int:
        """Width of the control field."""
        return 28 if self.four_digit_mfr_code else 36

    @property
    def tests(self) -> tuple[int, ...]:
        """The numbers of the tests asked for, ascending; (0,) when every bit is set."""
        bits = self.control_bits
        if self.control == (1 << bits) - 1:
            return (0,)
        return tuple(test for test in range(1, bits + 1) if self.control >> test - 1 & 1)

    @property
    def subclass(self) -> int:
        """0 for a 2-digit MfrCode, 1 for a 4-digit one."""
        return 1 if self.four_digit_mfr_code else 0

    def data44(self) -> int:
        """Control and MfrCode."""
        return self.control << 44 - self.control_bits | self.mfr_code

    def require_defined(self) -> None:
        """Refuse a control without any test, and a MfrCode of more digits than the subclass has."""
        if not self.control:
            raise _no_meter_test()
        highest = 9999 if self.four_digit_mfr_code else 99
        if self.mfr_code > highest:
            raise OutOfRange(
                f"InitiateMeterTest of subclass {self.subclass} has a MfrCode from 0 to {highest}"
                f"{'' if self.four_digit_mfr_code else '; four digits go with subclass 1'}."
            )


def _no_meter_test() -> OutOfRange:
    return OutOfRange("Choose at least one meter test; 0 asks for all of them.")


@dataclass(frozen=True, slots=True)
class ExtendedRead(TokenFormat):
    """Extended read, for any meter, in clear: class 1, subclass 2.

    `control` has 36 bits, its six highest an index. The MfrCode of a defined token is 0.
    """

    token_class: ClassVar[int] = 1
    has_undefined_values: ClassVar[bool] = True
    control: int
    mfr_code: int = 0

    def __post_init__(self) -> None:
        require_widths(self, control=(self.control, 36), mfr_code=(self.mfr_code, 8))

    @property
    def index(self) -> int:
        """What is to be read, 0..63."""
        return self.control >> 30

    @property
    def subclass(self) -> int:
        """2."""
        return 2

    def data44(self) -> int:
        """Control and MfrCode."""
        return self.control << 8 | self.mfr_code

    def require_defined(self) -> None:
        """Refuse a MfrCode other than 0."""
        if self.mfr_code:
            raise OutOfRange("ExtendedRead is defined for MfrCode 0 only.")


# --- Class 2, meter management -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Management(TokenFormat):
    """The common layout of class 2: RND(4), TID(24), value(16)."""

    token_class: ClassVar[int] = 2
    rnd: int
    tid: int

    def __post_init__(self) -> None:
        require_widths(self, rnd=(self.rnd, 4), tid=(self.tid, 24), value=(self.value16(), 16))

    @abstractmethod
    def value16(self) -> int:
        """Return the last 16 data bits."""

    def data44(self) -> int:
        """RND, TID and value."""
        return self.rnd << 40 | self.tid << 16 | self.value16()


@dataclass(frozen=True, slots=True)
class SetMaximumPowerLimit(_Management):
    """Class 2, subclass 0: maximum power in watts, 0..18201624, rounded up like an amount."""

    watts: int

    @property
    def subclass(self) -> int:
        """0."""
        return 0

    def value16(self) -> int:
        """Return the limit, coded as an amount."""
        return encode_amount(self.watts)


@dataclass(frozen=True, slots=True)
class ClearCredit(_Management):
    """Class 2, subclass 1: set a credit register to zero.

    `register`: 0 electricity, 1 water, 2 gas, 3 time, 4..7 the currency ones, 0xFFFF all;
    other 16-bit values are undefined.
    """

    has_undefined_values: ClassVar[bool] = True
    register: int

    @property
    def subclass(self) -> int:
        """1."""
        return 1

    def value16(self) -> int:
        """Return the register number."""
        return self.register

    def require_defined(self) -> None:
        """Refuse a register other than 0..7 and 0xFFFF."""
        if self.register > 7 and self.register != CLEAR_ALL_REGISTERS:
            raise OutOfRange("ClearCredit knows the registers 0 to 7 and 65535 for all of them.")


@dataclass(frozen=True, slots=True)
class SetTariffRate(_Management):
    """Class 2, subclass 2: reserved for future definition; `rate` is its 16 bits."""

    rate: int

    @property
    def subclass(self) -> int:
        """2."""
        return 2

    def value16(self) -> int:
        """Return the rate."""
        return self.rate


@dataclass(frozen=True, slots=True)
class ClearTamperCondition(_Management):
    """Class 2, subclass 5; `pad` is 0 in a defined token."""

    has_undefined_values: ClassVar[bool] = True
    pad: int = 0

    @property
    def subclass(self) -> int:
        """5."""
        return 5

    def value16(self) -> int:
        """Return the pad."""
        return self.pad

    def require_defined(self) -> None:
        """Refuse a pad other than 0."""
        if self.pad:
            raise OutOfRange("The pad of ClearTamperCondition must be 0.")


@dataclass(frozen=True, slots=True)
class SetMaximumPhasePowerUnbalanceLimit(_Management):
    """Class 2, subclass 6: unbalance between phases in watts, 0..18201624, rounded up."""

    watts: int

    @property
    def subclass(self) -> int:
        """6."""
        return 6

    def value16(self) -> int:
        """Return the limit, coded as an amount."""
        return encode_amount(self.watts)


@dataclass(frozen=True, slots=True)
class SetWaterMeterFactor(_Management):
    """Class 2, subclass 7: reserved; `factor` is its 16 bits."""

    factor: int

    @property
    def subclass(self) -> int:
        """7."""
        return 7

    def value16(self) -> int:
        """Return the factor."""
        return self.factor


@dataclass(frozen=True, slots=True)
class ExtendedTokenSet(_Management):
    """Class 2, subclass 10: an index of 6 bits and a value of 10 bits."""

    index: int
    value: int

    def __post_init__(self) -> None:
        require_widths(self, index=(self.index, 6), value=(self.value, 10))
        _Management.__post_init__(self)

    @property
    def subclass(self) -> int:
        """10."""
        return 10

    def value16(self) -> int:
        """Return index and value."""
        return self.index << 10 | self.value
