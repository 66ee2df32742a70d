"""Tokens of a run, each with what it means: a purse that knows the meter's keys.

Keys and numbers are fixed, so that a run depends on its plan alone. Everything is cached: a token
of a kind and number is always the same.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from functools import cache, lru_cache
from hashlib import sha256
from typing import Final

from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TI,
    BaseDate,
    ClearCredit,
    ClearTamperCondition,
    DecoderKey,
    ExtendedRead,
    ExtendedTokenSet,
    InitiateMeterTest,
    KeyAttributes,
    Service,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    SetWaterMeterFactor,
    Token,
    TokenData,
    TransferCredit,
    TransferCurrency,
    encode,
    key_change_sections,
)

#: TID of the day the meters were made: nothing older is taken.
MADE: Final = 5_000_000
_FIRST: Final = 6_000_000  # TID of the first token
_APART: Final = 10  # minutes between two tokens
_LARGEST: Final = 18_000_624  # 0.1 kWh, an amount that a token holds without rounding


class TokenKind(enum.Enum):
    """What is delivered; a key change is a whole set."""

    CREDIT = "credit"
    OVERFLOW = "credit beyond the register"
    OTHER_SERVICE = "credit of another service"
    CURRENCY = "currency credit"
    OLD = "old credit"
    METER_TEST = "meter test"
    EXTENDED_READ = "extended read"
    POWER_LIMIT = "maximum power limit"
    UNBALANCE_LIMIT = "maximum phase power unbalance limit"
    CLEAR_CREDIT = "clear credit"
    CLEAR_TAMPER = "clear tamper condition"
    TARIFF_RATE = "tariff rate"
    WATER_FACTOR = "water meter factor"
    EXTENDED_SET = "extended token set"
    KEY_CHANGE = "key change"
    KEY_CHANGE_WITH_SGC = "key change with SGC"
    WRONG = "wrong digits"
    CLASS_3 = "reserved class"


@dataclass(frozen=True, slots=True)
class Issued:
    """One token and its meaning; ``token`` is None where the digits mean nothing.

    ``number`` tells tokens of a kind apart. ``key``: what a meter must have to open it.
    ``new_key`` and ``new_attributes``: what the set leads to that this section belongs to.
    """

    digits: str = field(repr=False)
    kind: TokenKind
    number: int
    token: Token | None = field(default=None, repr=False)
    key: DecoderKey | None = field(default=None, repr=False)
    new_key: DecoderKey | None = field(default=None, repr=False)
    new_attributes: KeyAttributes | None = None

    @property
    def tid(self) -> int | None:
        """Its TID, None where it has none."""
        tid = getattr(self.token, "tid", None)
        return None if tid is None else int(tid)


@cache
def key(ea: EA, revision: int) -> DecoderKey:
    """Return the ``revision``-th decoder key (from 0) of every meter of an algorithm.

    All have the same one: a token that reaches the wrong meter would be accepted there.
    """
    material = sha256(f"simulated decoder key {ea.code} {revision}".encode()).digest()
    return DecoderKey(ea, material[: ea.key_bytes])


@cache
def attributes(revision: int, kt: KT = KT.DUTK) -> KeyAttributes:
    """Return the attributes of that key; after a key change it is always a DUTK."""
    return KeyAttributes(
        KT.DUTK if revision else kt,
        SGC("600411"),
        TI(f"{revision % 100:02d}"),
        KRN(revision % 9 + 1),
        KEN(255),
        BaseDate.Y2014,
    )


@lru_cache(maxsize=20_000)
def issue(kind: TokenKind, number: int, ea: EA, revision: int) -> tuple[Issued, ...]:
    """Return a token, or the set of a key change, under the meter's ``revision``-th key."""
    if kind in (TokenKind.KEY_CHANGE, TokenKind.KEY_CHANGE_WITH_SGC):
        return _key_change(kind, number, ea, revision)
    if kind in (TokenKind.WRONG, TokenKind.CLASS_3):
        return (Issued(_digits(kind, number), kind, number),)
    token, present = _token(kind, number), key(ea, revision)
    return (Issued(encode(token, present).digits, kind, number, token, present),)


def _digits(kind: TokenKind, number: int) -> str:
    noise = int.from_bytes(sha256(f"{kind.value} {number}".encode()).digest()[:8], "big")
    token_class = 3 if kind is TokenKind.CLASS_3 else 2 * (number % 2)
    return TokenData.assemble(token_class, noise).digits


def _key_change(kind: TokenKind, number: int, ea: EA, revision: int) -> tuple[Issued, ...]:
    old, new, named = key(ea, revision), key(ea, revision + 1), attributes(revision + 1)
    three = kind is TokenKind.KEY_CHANGE_WITH_SGC and ea is not EA.MISTY1
    return tuple(
        Issued(encode(section, old).digits, kind, number, section, old, new, named)
        for section in key_change_sections(new, named, ro=False, three_kct=three)
    )


def _token(kind: TokenKind, number: int) -> Token:
    tid, rnd = _FIRST + number * _APART, number % 16
    match kind:
        case TokenKind.CREDIT:
            return TransferCredit(Service.ELECTRICITY, rnd, tid, 10 + number % 500)
        case TokenKind.OVERFLOW:
            return TransferCredit(Service.ELECTRICITY, rnd, tid, _LARGEST)
        case TokenKind.OTHER_SERVICE:
            return TransferCredit(Service.WATER, rnd, tid, 10 + number % 500)
        case TokenKind.CURRENCY:
            return TransferCurrency(Service.ELECTRICITY, tid, 100_000)
        case TokenKind.OLD:
            return TransferCredit(Service.ELECTRICITY, rnd, MADE - 1 - number, 20)
        case TokenKind.METER_TEST:
            return InitiateMeterTest(1)
        case TokenKind.EXTENDED_READ:
            return ExtendedRead(1)
        case TokenKind.POWER_LIMIT:
            return SetMaximumPowerLimit(rnd, tid, 1000 + number % 4000)
        case TokenKind.UNBALANCE_LIMIT:
            return SetMaximumPhasePowerUnbalanceLimit(rnd, tid, 1000 + number % 4000)
        case TokenKind.CLEAR_CREDIT:
            return ClearCredit(rnd, tid, 0)
        case TokenKind.CLEAR_TAMPER:
            return ClearTamperCondition(rnd, tid)
        case TokenKind.TARIFF_RATE:
            return SetTariffRate(rnd, tid, number % 100)
        case TokenKind.WATER_FACTOR:
            return SetWaterMeterFactor(rnd, tid, 1)
        case TokenKind.EXTENDED_SET:
            return ExtendedTokenSet(rnd, tid, 1, 1)
        case _:
            raise ValueError(f"{kind.value} is no single token")
