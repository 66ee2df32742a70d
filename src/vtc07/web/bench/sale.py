"""A point of sale for one meter of the bench."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.texts import Said, mark, said
from vtc07.tokens import (
    MAXIMUM_AMOUNT,
    MAXIMUM_TOKENDATA,
    TID,
    ClearCredit,
    ClearTamperCondition,
    DecoderKey,
    InitiateMeterTest,
    Service,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    Token,
    TokenData,
    TransferCredit,
    decode_amount,
    encode,
    encode_amount,
    open_token,
)
from vtc07.web.bench.facts import BenchRefused, Field, Issued, Kind, Offer
from vtc07.web.bench.keyring import BASE_DATE, Keyring
from vtc07.web.bench.meter_tests import TEST_TITLES

#: How long before it is put on the bench a meter was made; it takes no token from before that.
_AGE: Final = timedelta(days=30)
_OLD: Final = timedelta(days=365)
#: Sales that are remembered; no TID is given twice however long ago that was.
_MOST_ISSUED: Final = 200
_TENTHS: Final = re.compile(r"([0-9]{1,7})(?:[.,]([0-9]))?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_RANDOM: Final = 16
_RESERVED_CLASS: Final = 3
_ACCEPT: Final = (TokenStatus.ACCEPT.value,)
_CRC_ERROR: Final = (TokenStatus.CRC_ERROR.value,)
_KEY_CHANGE: Final = (
    TokenStatus.FIRST_KCT.value,
    TokenStatus.SECOND_KCT.value,
    TokenStatus.THIRD_KCT.value,
    TokenStatus.ACCEPT.value,
)


class PointOfSale:
    """Issues tokens for one meter, with keys that were made at random for it alone.

    ``wall_clock``: the time, UTC; tokens are dated by it however fast time passes on the bench.
    ``on_change``: called when something was issued. No key is shown or told, ever.
    """

    def __init__(
        self, kind: Kind, wall_clock: Callable[[], datetime], on_change: Callable[[], None]
    ) -> None:
        self._kind = kind
        self._wall_clock = wall_clock
        self._on_change = on_change
        self._guard = threading.Lock()
        self._taken: set[int] = set()
        self._issued: tuple[Issued, ...] = ()
        self._count = 0
        #: the keys, for whoever makes the meter
        self.keys = Keyring()
        #: the TID before which the meter takes nothing
        self.manufactured = TID.of(wall_clock() - _AGE, BASE_DATE)

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What can be had for this meter, the tokens for training last."""
        kind = self._kind
        credit = Field("amount", mark("Amount"), kind.large_unit, "10")
        limit = Field("watts", mark("Limit"), "W", "3000")
        electricity = kind.service is Service.ELECTRICITY
        return (
            Offer("credit", mark("Credit"), (credit,)),
            *((Offer("power-limit", mark("Power limit"), (limit,)),) if electricity else ()),
            *((Offer("unbalance", mark("Unbalance limit"), (limit,)),) if kind.phases > 1 else ()),
            Offer("clear-credit", mark("Clear the credit")),
            Offer("clear-tamper", mark("Clear the tamper condition")),
            Offer("key-change", mark("Key change, four tokens")),
            Offer(
                "test-display",
                mark("Test and display"),
                (Field("test", mark("Test, 0 for all of them"), "", "0"),),
            ),
            Offer("wrong-meter", mark("Credit for another meter"), (credit,), training=True),
            Offer("mistyped", mark("Credit with one wrong digit"), (credit,), training=True),
            Offer("old", mark("Credit from before the meter was made"), (credit,), training=True),
            *(
                (Offer("old-key", mark("Credit under the old key"), (credit,), training=True),)
                if self.keys.old_key is not None
                else ()
            ),
            Offer(
                "tariff",
                mark("Tariff rate, which the meter does not know"),
                (Field("rate", mark("Rate"), "", "1"),),
                training=True,
            ),
        )

    @property
    def issued(self) -> tuple[Issued, ...]:
        """What was issued, the newest last."""
        return self._issued

    def issue(self, what: str, fields: Mapping[str, str]) -> Issued:
        """Issue what an offer of this name is.

        ``fields``: by name, as typed; one that is missing is as the offer has it. BenchRefused:
        there is no such offer, or a field is not as it must be.
        """
        with self._guard:
            offer = next((offer for offer in self.offers if offer.name == what), None)
            if offer is None:
                raise BenchRefused(said("This is not for sale here; choose something else."))
            given = {field.name: fields.get(field.name, field.default) for field in offer.fields}
            now = self._wall_clock()
            sentence, tokens, results = self._made(what, given, now)
            self._count += 1
            made = Issued(
                self._count,
                sentence,
                tuple(token.digits for token in tokens),
                results,
                now,
                training=offer.training,
            )
            self._issued = (*self._issued, made)[-_MOST_ISSUED:]
        self._on_change()
        return made

    def _made(
        self, what: str, given: Mapping[str, str], now: datetime
    ) -> tuple[Said, tuple[TokenData, ...], tuple[str, ...]]:
        """Return a sentence of what is issued, the tokens, and what the meter is to say to each."""
        key, tid, rnd = self.keys.key, self._tid(now), secrets.randbelow(_RANDOM)
        token: Token
        match what:
            case "credit" | "wrong-meter" | "mistyped" | "old" | "old-key":
                return self._credit(what, _tenths(given["amount"]), now)
            case "power-limit" | "unbalance":
                watts = _number(given["watts"], MAXIMUM_AMOUNT)
                carried = decode_amount(encode_amount(watts))
                if what == "power-limit":
                    token = SetMaximumPowerLimit(rnd, tid, watts)
                    sentence = said("Power limit {watts} W", watts=carried)
                else:
                    token = SetMaximumPhasePowerUnbalanceLimit(rnd, tid, watts)
                    sentence = said("Unbalance limit {watts} W", watts=carried)
            case "clear-credit":
                token = ClearCredit(rnd, tid, int(self._kind.service))
                sentence = said("Clear the credit")
            case "clear-tamper":
                token = ClearTamperCondition(rnd, tid)
                sentence = said("Clear the tamper condition")
            case "tariff":
                token = SetTariffRate(rnd, tid, _number(given["rate"], 0xFFFF))
                sentence = said("Tariff rate {rate}", rate=token.rate)
                refused = (TokenStatus.FUNCTION_ERROR.value,)
                return sentence, (self._encoded(token, key),), refused
            case "test-display":
                test = _number(given["test"], max(TEST_TITLES))
                sentence = said("Test {number}: {name}", number=test, name=Said(TEST_TITLES[test]))
                return sentence, (encode(InitiateMeterTest.of_tests([test]), None),), _ACCEPT
            case _:
                tokens = self.keys.change()
                revision = self.keys.attributes.krn.number
                return said("Key change to KRN {number}", number=revision), tokens, _KEY_CHANGE
        return sentence, (self._encoded(token, key),), _ACCEPT

    def _credit(
        self, what: str, tenths: int, now: datetime
    ) -> tuple[Said, tuple[TokenData, ...], tuple[str, ...]]:
        carried = decode_amount(encode_amount(tenths))
        amount, unit = f"{carried // 10}.{carried % 10}", self._kind.large_unit
        key, results = self.keys.key, _ACCEPT
        tid = self._tid(now)
        match what:
            case "wrong-meter":
                key, results = self.keys.of_another_meter(), _CRC_ERROR
                sentence = said(
                    "Credit of {amount} {unit} for another meter", amount=amount, unit=unit
                )
            case "old-key":
                old = self.keys.old_key
                assert old is not None  # or there is no such offer
                key, results = old, _CRC_ERROR
                sentence = said(
                    "Credit of {amount} {unit} under the old key", amount=amount, unit=unit
                )
            case "old":
                tid = TID.of(now - _OLD, BASE_DATE).next_free(self._taken)
                results = (TokenStatus.OLD_ERROR.value,)
                sentence = said(
                    "Credit of {amount} {unit} from before the meter was made",
                    amount=amount,
                    unit=unit,
                )
            case "mistyped":
                results = _CRC_ERROR
                sentence = said(
                    "Credit of {amount} {unit} with one wrong digit", amount=amount, unit=unit
                )
            case _:
                sentence = said("Credit of {amount} {unit}", amount=amount, unit=unit)
        while True:
            credit = TransferCredit(self._kind.service, secrets.randbelow(_RANDOM), tid, tenths)
            data = self._encoded(credit, key)
            if what == "mistyped":
                data = _mistyped(data)
            # One noise in 65536 has a right CRC by chance: that would be no training.
            if results != _CRC_ERROR or self._is_noise(data):
                return sentence, (data,), results

    def _is_noise(self, data: TokenData) -> bool:
        """Say whether a token fails by its CRC alone."""
        if data.token_class == _RESERVED_CLASS:
            return False
        return not open_token(data, self.keys.key).authentic

    def _tid(self, now: datetime) -> TID:
        """Return the TID of now, or of the next minute that none was issued for."""
        return TID.of(now, BASE_DATE).next_free(self._taken)

    def _encoded(self, token: Token, key: DecoderKey) -> TokenData:
        """Encode a token; its TID is given to no other one."""
        self._taken.add(int(getattr(token, "tid")))  # noqa: B009 - not every format has one
        return encode(token, key)


def _mistyped(data: TokenData) -> TokenData:
    """Return a token with one digit changed at random."""
    while True:
        digits = list(data.digits)
        at = secrets.randbelow(len(digits))
        digits[at] = str((int(digits[at]) + 1 + secrets.randbelow(9)) % 10)
        value = int("".join(digits))
        if value <= MAXIMUM_TOKENDATA:
            return TokenData(value)


def _tenths(text: str) -> int:
    match = _TENTHS.fullmatch(text.strip())
    tenths = 0 if match is None else int(match[1]) * 10 + int(match[2] or 0)
    if not 0 < tenths <= MAXIMUM_AMOUNT:
        raise BenchRefused(
            said(
                "{text} is no amount: write a number with at most one decimal, above 0 and up to "
                "{most}.",
                text=text,
                most=str(MAXIMUM_AMOUNT // 10),
            )
        )
    return tenths


def _number(text: str, most: int) -> int:
    text = text.strip()
    if not _NUMBER.fullmatch(text) or int(text) > most:
        raise BenchRefused(
            said(
                "{text} is not right: write a whole number from 0 to {most}.", text=text, most=most
            )
        )
    return int(text)
