"""Meter numbers and tokens of a route as they were written: what each is, or why it is none.

Programs for tables keep 15 digits of a number, write 6.00727E+17, and take zeros at the front away.
Nothing of that is mended: a digit is money. The sentence says what happened and what to do.
"""

from __future__ import annotations

import re
from typing import Final

from vtc07.hhu.route.findings import Finding, error, warning
from vtc07.hhu.route.row import plain, shown
from vtc07.hhu.texts import Said, counted, said
from vtc07.tokens.crc import crc
from vtc07.tokens.errors import CheckDigitError, TokenError
from vtc07.tokens.identifiers import DRN, MeterPAN
from vtc07.tokens.tokendata import MAXIMUM_TOKENDATA, TokenData

_NUMBER: Final = re.compile(r"[0-9]+(?:[ -]+[0-9]+)*", re.ASCII)
_EXPONENT: Final = re.compile(r"[0-9]+(?:[.,][0-9]*)?[eE][+-]?[0-9]+", re.ASCII)
_QUANTITY: Final = re.compile(r"[0-9]+[.,][0-9]{0,3}|[0-9]{1,3}(?:[.,'][0-9]{3})+", re.ASCII)
_JOINED: Final = re.compile(r"[0-9][0-9 -]*(?:[,|+&/] *[0-9][0-9 -]*)+", re.ASCII)
_NOTHING: Final = frozenset({"nan", "null", "none", "n/a", "na", "#n/a", "-", "--", "nil", "0"})
_LENGTHS: Final = (11, 13, 18)


def digits_of(text: str) -> str:
    """Return a number without what stands between its digits; what is no number as it is."""
    text = plain(text)
    if text.isdigit() and text.isascii():
        return text
    return re.sub("[ -]", "", text) if _NUMBER.fullmatch(text) else text


def full_number(meter: str) -> str:
    """Return the MeterPAN of a meter number that is a good DRN; anything else as it is."""
    if len(meter) not in (11, 13):
        return meter
    try:
        return MeterPAN.from_drn(DRN(meter)).digits
    except TokenError:
        return meter


def _maker_of(meter: str) -> int | None:
    """Return the maker's code that a good meter number says."""
    try:
        return MeterPAN(full_number(meter)).drn.mfr_code.number
    except TokenError:
        return None


# --- meter numbers --------------------------------------------------------------------------------


def wrong_meter(line: int, meter: str) -> Finding | None:
    """Say why this, as `digits_of` returned it, is no meter number; None: it is a good one."""
    if not (meter.isascii() and meter.isdigit()):
        return _no_number(line, meter)
    if len(meter) not in _LENGTHS:
        return _wrong_length(line, meter)
    try:
        MeterPAN(meter) if len(meter) == 18 else DRN(meter)
    except CheckDigitError:
        what = said("the check digits of meter {meter} are wrong", meter=meter)
        if len(meter) == 18 and meter.endswith("000"):
            what = said("meter {meter} ends in 000, and its check digits are wrong", meter=meter)
            return error(line, "meter-rounded", what, _as_text())
        advice = said("compare every digit with the meter's label")
        return error(line, "meter-check-digit", what, advice)
    except TokenError:
        what = said(
            "meter {meter} does not begin as a MeterPAN does, with 600727, or with 0000 and 13 "
            "digits more",
            meter=meter,
        )
        return error(line, "meter-issuer", what, said("compare its first digits with the label"))
    return None


def _no_number(line: int, meter: str) -> Finding:
    if not meter:
        what = said("there is no meter number")
        return error(line, "no-meter", what, said("fill in meter: the MeterPAN or the DRN"))
    if spoiled := _spoiled(line, "meter-spoiled", said("meter"), meter):
        return spoiled
    what = said("{text} is not a meter number", text=repr(shown(meter)))
    advice = said("write the 18 digits of the MeterPAN, or the 11 or 13 of the DRN")
    return error(line, "meter-characters", what, advice)


def _wrong_length(line: int, meter: str) -> Finding:
    what = counted(
        "meter {meter} has {count} digit, and a MeterPAN has 18, a DRN 11 or 13",
        "meter {meter} has {count} digits, and a MeterPAN has 18, a DRN 11 or 13",
        len(meter),
        meter=shown(meter),
    )
    for length in _LENGTHS:
        if len(meter) < length and _is_meter(filled := meter.zfill(length)):
            advice = said(
                "it may be {filled}, whose zeros at the front a program took away: compare it with "
                "the label, and import the column as text",
                filled=filled,
            )
            return error(line, "meter-zeros", what, advice)
    return error(line, "meter-length", what, said("compare it with the meter's label"))


def _is_meter(digits: str) -> bool:
    try:
        MeterPAN(digits) if len(digits) == 18 else DRN(digits)
    except TokenError:
        return False
    return True


def _as_text() -> Said:
    return said(
        "a program took it for a quantity and lost digits: take it from where it came, and import "
        "the column as text"
    )


def _spoiled(line: int, kind: str, name: Said, text: str) -> Finding | None:
    """Find a number that a program took for a quantity."""
    if _EXPONENT.fullmatch(text):
        what = said("{name} is {text}, written with an exponent", name=name, text=shown(text))
        return error(line, kind, what, _as_text())
    if _QUANTITY.fullmatch(text):
        what = said("{name} is written with a point or comma, as a quantity is", name=name)
        return error(line, kind, what, _as_text())
    return None


# --- tokens ---------------------------------------------------------------------------------------


def token_name(place: int, digits: str = "") -> Said:
    """Name a token by its place in the list, from 1, and by its last four digits."""
    if digits:
        return said("token {place} (...{last})", place=place, last=digits[-4:])
    return said("token {place}", place=place)


def wrong_token(line: int, place: int, text: str) -> Finding | None:
    """Say why this, as `digits_of` returned it, can be no token; None: it can be one."""
    if not (text.isascii() and text.isdigit()):
        return _no_digits(line, token_name(place), text)
    if len(text) != 20:
        return _wrong_count(line, token_name(place), text)
    if (why := _impossible(int(text), place)) is None:
        return None
    kind, what = why
    if text.endswith("00000"):
        what = said("{what}, and it ends in five zeros", what=what)
        return error(line, "token-rounded", what, _as_text())
    return error(line, kind, what, said("a digit is wrong: compare every digit"))


def _impossible(value: int, place: int) -> tuple[str, Said] | None:
    """Say why no token has this value, with a word for programs."""
    if value > MAXIMUM_TOKENDATA:
        token = token_name(place, str(value))
        return "token-range", said("{token} is larger than 66 bits can hold", token=token)
    data = TokenData(value)
    token_class = data.token_class
    if token_class == 3:
        token = token_name(place, data.digits)
        return "token-class", said("{token} is of class 3, which no meter takes", token=token)
    if token_class == 1 and not _is_authentic(data):
        token = token_name(place, data.digits)
        what = said("{token} is of class 1, in clear, and its CRC does not fit", token=token)
        return "token-crc", what
    return None


def _is_authentic(data: TokenData) -> bool:
    """Say whether this is a token of class 1, which anybody can read, with a CRC that fits."""
    block = data.block64
    fits = crc(1, block >> 60, block >> 16 & 0xFFF_FFFF_FFFF) == block & 0xFFFF
    return data.token_class == 1 and fits


def doubts(line: int, place: int, digits: str, meter: str) -> tuple[Finding, ...]:
    """Return what is strange about a token that can be one, at this meter."""
    if digits.endswith("00000"):
        what = said("{token} ends in five zeros", token=token_name(place))
        advice = said(
            "one token in 100,000 does, and every one that a program rounded: compare it with "
            "where it came from"
        )
        return (warning(line, "token-rounded", what, advice),)
    data = TokenData(int(digits))
    if data.token_class != 1:
        return ()
    token = token_name(place, digits)
    subclass, data44 = data.block64 >> 60, data.block64 >> 16 & 0xFFF_FFFF_FFFF
    if subclass > 2:
        what = said("{token} is of a reserved kind of class 1", token=token)
        return (
            warning(line, "token-reserved", what, said("ask whoever issued it what it is for")),
        )
    code = data44 & (0xFFFF if subclass == 1 else 0xFF)
    maker = _maker_of(meter)
    if maker is not None and code not in (0, maker):
        what = said(
            "{token} is for meters of maker {code}, and this one is of maker {maker}",
            token=token,
            code=code,
            maker=maker,
        )
        return (error(line, "token-maker", what, said("take one for this maker, or for all")),)
    return ()


def _no_digits(line: int, token: Said, text: str) -> Finding:
    if spoiled := _spoiled(line, "token-spoiled", token, text):
        return spoiled
    if text.lower() in _NOTHING:
        what = said("{token} is {text}, which is none", token=token, text=repr(text))
        return error(line, "token-characters", what, said("leave the cell empty instead"))
    if _JOINED.fullmatch(text):
        what = said("{token} holds something between digits that is not ';'", token=token)
        advice = said("write ';' between two tokens, and only spaces or hyphens within one")
        return error(line, "token-separator", what, advice)
    if ":" in text or "/" in text:
        what = said("{token} is not marked as one of a key change is", token=token)
        advice = said("write 2/4: in front of the second token of four")
        return error(line, "token-mark", what, advice)
    what = said("{token} holds something else than digits", token=token)
    advice = said("write 20 digits 0 to 9, at most with spaces or hyphens between groups")
    return error(line, "token-characters", what, advice)


def _wrong_count(line: int, token: Said, text: str) -> Finding:
    if text in _NOTHING:
        return _no_digits(line, token, text)
    what = counted(
        "{token} has {count} digit, and a token has 20",
        "{token} has {count} digits, and a token has 20",
        len(text),
        token=token,
    )
    if len(text) < 20 and _is_authentic(TokenData(int(text))):
        advice = said(
            "with zeros at the front it is a token of class 1: a program took them away; import "
            "the column as text"
        )
    elif len(text) > 20 and len(text) % 20 == 0:
        advice = said("these are several tokens: write ';' between them")
    elif len(text) > 20:
        advice = said("count again, and write ';' between two tokens")
    elif len(text) >= 16:
        advice = said(
            "a digit was left out, or a program took zeros at the front away: compare every digit, "
            "and import the column as text"
        )
    else:
        advice = said("count again: there are five groups of four")
    return error(line, "token-length", what, advice)
