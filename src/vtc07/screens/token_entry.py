"""A token as it is typed: its digits in groups, and what can be said of it before it is sent."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from vtc07.hhu.texts import Said, counted, said
from vtc07.tokens import (
    MAXIMUM_TOKENDATA,
    ExtendedRead,
    NotSupported,
    TokenData,
    interpret,
    open_token,
)
from vtc07.trace.values import grouped

DIGITS: Final = 20
_GROUP: Final = 4
_AMONG_OTHERS: Final = re.compile(
    r"(?<![0-9])(?<![0-9][ \t\xa0-])"
    r"(?:[0-9]{20}|[0-9]{4}(?:[ \t\xa0-][0-9]{4}){4})"
    r"(?![ \t\xa0-]?[0-9])"
)


class Standing(enum.Enum):
    """How a token that is being typed stands."""

    EMPTY = enum.auto()
    INCOMPLETE = enum.auto()
    GOOD = enum.auto()
    DOUBTFUL = enum.auto()
    """It can be sent; what is said of it should be read first."""
    WRONG = enum.auto()
    """It can be no token of any meter: it is not sent."""

    @property
    def sendable(self) -> bool:
        """Say whether it may be sent."""
        return self in (Standing.GOOD, Standing.DOUBTFUL)


@dataclass(frozen=True, slots=True)
class Check:
    """What is said of a token as far as it is typed."""

    standing: Standing
    lines: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the journal knows of a token. ``here``: it went to the meter that is connected.

    ``delivery``: its number there. ``day``: when it was opened, for people. ``result``: in words,
    None as long as it is open. ``accepted``: the meter took it.
    """

    delivery: int
    meter_pan: str
    here: bool
    day: str
    result: Said | str | None
    accepted: bool


def digits_of(text: str) -> str:
    """Return the decimal digits of a text."""
    return re.sub(r"[^0-9]", "", text)


def regrouped(text: str, cursor: int) -> tuple[str, int]:
    """Return a text that is being typed in groups of four, and where the cursor is then.

    The cursor stays behind the digit behind which it was.
    """
    digits = digits_of(text)[:DIGITS]
    before = min(len(digits_of(text[:cursor])), len(digits))
    return grouped(digits), before + max(0, before - 1) // _GROUP


def tokens_in(text: str) -> tuple[str, ...] | None:
    """Return the tokens of a text that was pasted, None where it holds something else too."""
    if re.search(r"[^0-9\s,;:/-]", text):
        return None
    digits = digits_of(text)
    if not digits or len(digits) % DIGITS:
        return None
    return tuple(digits[at : at + DIGITS] for at in range(0, len(digits), DIGITS))


def tokens_among(text: str) -> tuple[str, ...]:
    """Return the tokens of a text, as they stand in a message: alone, or among other words.

    Among others a token is what nobody can take for anything else: 20 digits of a line, in one
    piece or in five groups of four with a blank or a stroke between, and no more digits beside.
    """
    return tokens_in(text) or tuple(digits_of(found) for found in _AMONG_OTHERS.findall(text))


def check(text: str, before: Sequence[str] = (), sightings: Sequence[Sighting] = ()) -> Check:
    """Return what can be said of a token without keys.

    ``before``: the tokens that go before it. ``sightings``: what the journal knows of it.
    """
    digits = digits_of(text)
    if not digits:
        return Check(Standing.EMPTY, ())
    if len(digits) < DIGITS:
        if _above_66_bits(digits):
            return Check(Standing.WRONG, (_too_large(),))
        missing = counted(
            "{count} digit is missing", "{count} digits are missing", DIGITS - len(digits)
        )
        return Check(Standing.INCOMPLETE, (missing,))
    if int(digits) > MAXIMUM_TOKENDATA:
        return Check(Standing.WRONG, (_too_large(),))
    if digits in before:
        twice = said("The same token stands above already.")
        return Check(Standing.WRONG, (twice,))
    standing, kind = _kind(TokenData.from_digits(digits))
    lines = [kind]
    for sighting in sightings:
        lines.append(_sighted(sighting))
        if standing is Standing.GOOD:
            standing = Standing.DOUBTFUL
    return Check(standing, tuple(lines))


def _above_66_bits(digits: str) -> bool:
    """Say whether it is too large already, whatever digits follow."""
    return int(digits.ljust(DIGITS, "0")) > MAXIMUM_TOKENDATA


def _too_large() -> Said:
    return said("No token is as large as this: compare the first digits with the slip.")


def _kind(data: TokenData) -> tuple[Standing, Said]:
    match data.token_class:
        case 0:
            return Standing.GOOD, said("Class 0: credit.")
        case 1:
            return _class_1(data)
        case 2:
            return Standing.GOOD, said("Class 2: management, or a part of a key change.")
    return (
        Standing.WRONG,
        said("Class 3: no meter takes such a token; compare the digits with the slip."),
    )


def _class_1(data: TokenData) -> tuple[Standing, Said]:
    """Class 1 is not encrypted: its CRC tells a wrong digit at once."""
    block = open_token(data, None)
    if not block.authentic:
        return Standing.WRONG, said("Class 1: a digit is wrong, its check sum does not fit.")
    try:
        token = interpret(block)
    except NotSupported:
        return Standing.DOUBTFUL, said("Class 1 of a kind that few meters know.")
    if isinstance(token, ExtendedRead):
        return Standing.GOOD, said("Class 1: the meter shows something; its check sum is right.")
    return Standing.GOOD, said("Class 1: a test of the meter; its check sum is right.")


def _sighted(sighting: Sighting) -> Said:
    if not sighting.here:
        return said(
            "The journal knows it: sent to another meter, {meter}, on {day} (delivery {number}).",
            meter=sighting.meter_pan,
            day=sighting.day,
            number=sighting.delivery,
        )
    if sighting.result is None:
        return said(
            "The journal knows it: delivery {number} of {day} is open. It is looked into first, "
            "and nothing is entered twice.",
            number=sighting.delivery,
            day=sighting.day,
        )
    if sighting.accepted:
        return said(
            "The journal knows it: this meter took it on {day} (delivery {number}).",
            number=sighting.delivery,
            day=sighting.day,
        )
    return said(
        "The journal knows it from {day} (delivery {number}): {result}.",
        number=sighting.delivery,
        day=sighting.day,
        result=sighting.result,
    )


@dataclass(slots=True)
class Tokens:
    """The tokens that are to be sent together, while a person gathers them.

    Digits, in the order of sending; not in repr, a token is money.
    """

    digits: list[str] = field(default_factory=list, repr=False)

    def take(self, text: str) -> bool:
        """Add a token that is complete and sendable; False, and nothing changed, for another."""
        if not check(text, self.digits).standing.sendable:
            return False
        self.digits.append(digits_of(text))
        return True

    def give_back(self) -> str:
        """Take the last one away again and return it in groups; empty where there is none."""
        return grouped(self.digits.pop()) if self.digits else ""
