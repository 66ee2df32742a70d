"""The keys of one meter of the bench, made at random for it alone and never shown."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from vtc07.tokens import (
    DKGA,
    DRN,
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TI,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
    MfrCode,
    TokenData,
    VendingKey,
    derive_decoder_key,
    key_change_set,
)

BASE_DATE: Final = BaseDate.Y2014
_VENDING_KEY_BYTES: Final = 20
_SUPPLY_GROUP: Final = SGC.of(999_000)
_TARIFF: Final = TI.of(1)
_NEVER: Final = KEN(255)
_LAST_REVISION: Final = 9
_MAKER: Final = MfrCode("99")


@dataclass(frozen=True, slots=True)
class _Revision:
    """A revision of the vending key, and what it makes of the meter."""

    vending: VendingKey = field(repr=False)
    decoder: DecoderKey = field(repr=False)
    attributes: KeyAttributes


class Keyring:
    """The keys of a meter: the one that tokens are issued with, and the one before it.

    EA11 with DKGA04, so that nothing else is needed. A meter is made with the first revision.
    """

    def __init__(self) -> None:
        self.meter_pan = _random_pan()
        self._now = _revision(self.meter_pan, 1)
        self._before: _Revision | None = None

    @property
    def key(self) -> DecoderKey:
        """The key that tokens are issued with."""
        return self._now.decoder

    @property
    def attributes(self) -> KeyAttributes:
        """What belongs to it."""
        return self._now.attributes

    @property
    def old_key(self) -> DecoderKey | None:
        """The key before it, None where there was no key change."""
        return None if self._before is None else self._before.decoder

    def of_another_meter(self) -> DecoderKey:
        """Return the key of a neighbour's meter, of the same supply group."""
        pan = _random_pan()
        while pan == self.meter_pan:
            pan = _random_pan()
        return _decoder_key(self._now.vending, pan, self._now.attributes)

    def change(self) -> tuple[TokenData, ...]:
        """Make a new revision, to be used from now on; return the tokens that lead a meter to it.

        After revision 9 comes 1 again, with another vending key as each has.
        """
        number = self._now.attributes.krn.number % _LAST_REVISION + 1
        new = _revision(self.meter_pan, number)
        tokens = key_change_set(self._now.decoder, new.decoder, new.attributes, ro=False)
        self._before, self._now = self._now, new
        return tokens


def _random_pan() -> MeterPAN:
    return MeterPAN.from_drn(DRN.of(_MAKER, f"{secrets.randbelow(10**8):08d}"))


def _revision(pan: MeterPAN, number: int) -> _Revision:
    attributes = KeyAttributes(KT.DUTK, _SUPPLY_GROUP, _TARIFF, KRN(number), _NEVER, BASE_DATE)
    vending = VendingKey(secrets.token_bytes(_VENDING_KEY_BYTES))
    return _Revision(vending, _decoder_key(vending, pan, attributes), attributes)


def _decoder_key(vending: VendingKey, pan: MeterPAN, attributes: KeyAttributes) -> DecoderKey:
    return derive_decoder_key(
        DKGA.DKGA04,
        vending,
        pan,
        attributes.kt,
        attributes.sgc,
        attributes.ti,
        attributes.krn,
        attributes.base_date,
        EA.MISTY1,
    )
