"""From dataclass to TokenData and back (IEC 62055-41 6.4 and 7.3.2 to 7.3.5).

Reading has two steps, as a meter needs them: `open_token` decrypts and checks the CRC,
`interpret` gives the authentic block its meaning. `decode` does both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self

from vtc07.tokens.amounts import decode_amount, decode_currency
from vtc07.tokens.crc import crc_of_word, takes_crc_c
from vtc07.tokens.errors import CRCError, KeyFormatError, NotSupported, OutOfRange
from vtc07.tokens.formats import (
    ClearCredit,
    ClearTamperCondition,
    ExtendedRead,
    ExtendedTokenSet,
    InitiateMeterTest,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    SetWaterMeterFactor,
    TransferCredit,
    TransferCurrency,
)
from vtc07.tokens.identifiers import Service
from vtc07.tokens.keys import DecoderKey
from vtc07.tokens.keysections import (
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
    section_of,
)
from vtc07.tokens.tokendata import TokenData

Token = (
    TransferCredit
    | TransferCurrency
    | InitiateMeterTest
    | ExtendedRead
    | SetMaximumPowerLimit
    | ClearCredit
    | SetTariffRate
    | Set1stSectionDecoderKey
    | Set2ndSectionDecoderKey
    | ClearTamperCondition
    | SetMaximumPhasePowerUnbalanceLimit
    | SetWaterMeterFactor
    | Set3rdSectionDecoderKey
    | Set4thSectionDecoderKey
    | ExtendedTokenSet
)
"""Any token of classes 0, 1 and 2."""

_KEY_CHANGE_SUBCLASSES: Final = (3, 4, 8, 9)
_SERVICES: Final = tuple(Service)


@dataclass(frozen=True, slots=True)
class Block:
    """A token in clear: class, subclass, 44 data bits, CRC, and whether the CRC fits.

    The data bits and the CRC are not in the repr, since key change tokens carry a key.
    """

    token_class: int
    subclass: int
    data44: int = field(repr=False)
    crc: int = field(repr=False)
    authentic: bool

    @classmethod
    def of(cls, token_class: int, subclass: int, data44: int) -> Self:
        """Build an authentic block; OutOfRange for a value beyond 2, 4 or 44 bits."""
        if token_class >> 2 or subclass >> 4 or data44 >> 44:
            raise OutOfRange("A block has a 2-bit class, a 4-bit subclass and 44 data bits.")
        return cls(token_class, subclass, data44, _crc(token_class, subclass, data44), True)  # noqa: FBT003  the last field

    def require_widths(self) -> None:
        """Raise OutOfRange unless the parts fit 2, 4, 44 and 16 bits.

        Not asked when a block is made: blocks read from tokens fit, and are many.
        """
        try:
            fits = not (
                self.token_class >> 2 or self.subclass >> 4 or self.data44 >> 44 or self.crc >> 16
            )
        except TypeError:
            fits = False
        if not fits:
            raise OutOfRange(
                "A block has a 2-bit class, a 4-bit subclass, 44 data bits and a 16-bit CRC, all "
                "of them whole numbers."
            )

    @property
    def block64(self) -> int:
        """Subclass, data and CRC as the 64 bits that are encrypted."""
        return self.subclass << 60 | self.data44 << 16 | self.crc

    @property
    def rnd(self) -> int:
        """The highest 4 data bits: RND, or S&E in a currency token."""
        return self.data44 >> 40

    @property
    def tid(self) -> int:
        """The 24 data bits of the TID, where the layout has one (see `has_tid`)."""
        return self.data44 >> 16 & 0xFFFFFF

    @property
    def value16(self) -> int:
        """The last 16 data bits."""
        return self.data44 & 0xFFFF

    @property
    def has_tid(self) -> bool:
        """Whether the standard gives this subclass the layout RND, TID, value."""
        if self.token_class == 0:
            return self.subclass <= 7
        return (
            self.token_class == 2
            and self.subclass <= 10
            and self.subclass not in _KEY_CHANGE_SUBCLASSES
        )

    @property
    def is_key_change(self) -> bool:
        """Whether this is a section of a key change."""
        return self.token_class == 2 and self.subclass in _KEY_CHANGE_SUBCLASSES


def _crc(token_class: int, subclass: int, data44: int) -> int:
    return crc_of_word(
        token_class << 48 | subclass << 44 | data44, currency=takes_crc_c(token_class, subclass)
    )


def _missing_key() -> KeyFormatError:
    return KeyFormatError(
        "Tokens of class 0 and 2 are encrypted; give the DecoderKey of the meter."
    )


def encode(token: Token, key: DecoderKey | None, *, allow_undefined: bool = False) -> TokenData:
    """Make the TokenData of a token; class 1 stays in clear and needs no key.

    Amounts and limits are rounded up to what their field can hold. A value that the standard
    leaves undefined (ClearCredit register, pad, KRN or TI of a key change section, MfrCode of
    class 1, a meter test without any test) raises OutOfRange unless `allow_undefined`, which
    serves the testing of meters. Raises KeyFormatError when the key is missing.
    """
    if token.has_undefined_values and not allow_undefined:
        token.require_defined()
    token_class = token.token_class
    subclass = token.subclass
    data = subclass << 44 | token.data44()
    block = data << 16 | crc_of_word(
        token_class << 48 | data, currency=token_class == 0 and 4 <= subclass <= 7
    )
    if token_class != 1:
        if not isinstance(key, DecoderKey):
            raise _missing_key()
        block = key.encrypt(block)
    return TokenData.assemble(token_class, block)


def seal(block: Block, key: DecoderKey | None) -> TokenData:
    """Make the TokenData of a block as it is, its CRC right or wrong.

    For analysis and for testing meters with reserved subclasses. Raises NotSupported for class
    3, OutOfRange for a part that is wider than its field, and KeyFormatError when the key is
    missing.
    """
    block.require_widths()
    if block.token_class == 3:
        raise _class_3()
    clear = block.block64
    if block.token_class != 1:
        if not isinstance(key, DecoderKey):
            raise _missing_key()
        clear = key.encrypt(clear)
    return TokenData.assemble(block.token_class, clear)


def open_token(token: TokenData, key: DecoderKey | None) -> Block:
    """Decrypt a token of class 0 or 2, take one of class 1 as it is, and check its CRC.

    A CRC that does not fit is told by `authentic`, not by an error: with a wrong digit or
    under a wrong key any token decrypts to noise. Raises NotSupported for class 3, without
    decrypting, and KeyFormatError when the key is missing.
    """
    token_class = token.token_class
    block = token.block64
    if token_class == 3:
        raise _class_3()
    if token_class != 1:
        if not isinstance(key, DecoderKey):
            raise _missing_key()
        block = key.decrypt(block)
    subclass, data44, crc = block >> 60, block >> 16 & 0xFFF_FFFF_FFFF, block & 0xFFFF
    return Block(token_class, subclass, data44, crc, crc == _crc(token_class, subclass, data44))


def interpret(block: Block) -> Token:
    """Give a block its meaning; whether it is authentic the caller has asked before.

    Undefined field values are kept. Raises NotSupported for the reserved and proprietary
    subclasses: class 0 from 8, class 1 from 3, class 2 from 11, and for class 3.
    """
    if block.token_class == 0:
        return _class_0(block)
    if block.token_class == 1:
        return _class_1(block)
    if block.token_class == 2:
        return _class_2(block)
    raise _class_3()


def decode(token: TokenData, key: DecoderKey | None) -> Token:
    """Read a token: `open_token`, then `interpret`; raises CRCError if the CRC does not fit."""
    block = open_token(token, key)
    if not block.authentic:
        raise CRCError(
            "The CRC of the token does not fit: a digit is wrong, or the token was made for "
            "another meter, key or table set."
            if block.token_class != 1
            else "The CRC of the token does not fit: a digit is wrong."
        )
    return interpret(block)


def _class_3() -> NotSupported:
    return NotSupported(
        "Token class 3 is reserved and not supported; check the digits, or ask for a token of "
        "class 0, 1 or 2."
    )


def _class_0(block: Block) -> Token:
    if block.subclass >= 8:
        raise NotSupported(
            f"Subclass {block.subclass} of class 0 is reserved and not supported; credit tokens "
            "have the subclasses 0 to 7."
        )
    service = _SERVICES[block.subclass & 3]
    if block.subclass >= 4:
        return TransferCurrency(service, block.tid, decode_currency(block.rnd, block.value16))
    return TransferCredit(service, block.rnd, block.tid, decode_amount(block.value16))


def _class_1(block: Block) -> Token:
    data44 = block.data44
    if block.subclass == 0:
        return InitiateMeterTest(data44 >> 8, data44 & 0xFF, four_digit_mfr_code=False)
    if block.subclass == 1:
        return InitiateMeterTest(data44 >> 16, data44 & 0xFFFF, four_digit_mfr_code=True)
    if block.subclass == 2:
        return ExtendedRead(data44 >> 8, data44 & 0xFF)
    raise NotSupported(
        f"Subclass {block.subclass} of class 1 is reserved and not supported; class 1 has the "
        "subclasses 0 to 2."
    )


def _class_2(block: Block) -> Token:
    rnd, tid, value = block.rnd, block.tid, block.value16
    match block.subclass:
        case 0:
            return SetMaximumPowerLimit(rnd, tid, decode_amount(value))
        case 1:
            return ClearCredit(rnd, tid, value)
        case 2:
            return SetTariffRate(rnd, tid, value)
        case 3 | 4 | 8 | 9:
            return section_of(block.subclass, block.data44)
        case 5:
            return ClearTamperCondition(rnd, tid, value)
        case 6:
            return SetMaximumPhasePowerUnbalanceLimit(rnd, tid, decode_amount(value))
        case 7:
            return SetWaterMeterFactor(rnd, tid, value)
        case 10:
            return ExtendedTokenSet(rnd, tid, value >> 10, value & 0x3FF)
    raise NotSupported(
        f"Subclass {block.subclass} of class 2 is proprietary and not supported; class 2 has the "
        "subclasses 0 to 10."
    )
