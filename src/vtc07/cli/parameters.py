"""Types of arguments and options: the standard's identifiers, amounts, dates, token digits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vtc07.tokens import (
    DKGA,
    DRN,
    EA,
    KEN,
    KRN,
    KT,
    RND,
    SGC,
    TI,
    TID,
    BaseDate,
    MeterPAN,
    MfrCode,
    OutOfRange,
    Service,
    TokenData,
)

T = TypeVar("T")

if TYPE_CHECKING:
    from vtc07.hhu.report.summary import Period

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # generic from click 8.2 on only


class Parsed(_ParamType):
    """A parameter read by a function; its ValueError becomes click's sentence and exit code 2."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read text; a default that is a value already stays."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,20}", text, re.ASCII):
        raise OutOfRange(f"{text!r} is not a whole number; write decimal digits only.")
    return int(text)


def _decimal_units(text: str, places: int, *, signed: bool) -> int:
    sign = "[-+]?" if signed else ""
    match = re.fullmatch(rf"({sign})([0-9]{{1,40}})(?:\.([0-9]*))?", text, re.ASCII)
    if match is None:
        example = "12.5" if places == 1 else "12.50"
        raise OutOfRange(
            f"{text!r} is not an amount; write decimal digits with a point, as in {example}."
        )
    fraction = match[3] or ""
    if len(fraction.rstrip("0")) > places:
        raise OutOfRange(f"{text!r} has more than {places} decimal place{'s' * (places > 1)}.")
    units = int(match[2] + fraction[:places].ljust(places, "0"))
    return -units if match[1] == "-" else units


def _pan(text: str) -> MeterPAN:
    digits = re.sub(r"[ -]", "", text)
    return MeterPAN.from_drn(DRN(digits)) if len(digits) in (11, 13) else MeterPAN(digits)


def _one_of(what: str, codes: dict[str, T]) -> Callable[[str], T]:
    def parse(text: str) -> T:
        found = codes.get(text.lower())
        if found is None:
            raise OutOfRange(f"{text!r} is not {what}; write one of {', '.join(codes)}.")
        return found

    return parse


def _kt(text: str) -> KT:
    names = {kt.name.lower(): kt for kt in KT} | {str(int(kt)): kt for kt in KT}
    found = names.get(text.lower())
    if found is None:
        raise OutOfRange(f"{text!r} is no key type; write 0 DITK, 1 DDTK, 2 DUTK or 3 DCTK.")
    return found


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise OutOfRange(
            f"{text!r} is no time; write it as 2026-03-01T12:30, in UTC or with its zone as in "
            "2026-03-01T14:30+02:00."
        ) from None


def _day(text: str) -> datetime:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise OutOfRange(f"{text!r} is no date; write it as 2026-03-01.") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _moment(text: str) -> datetime | date:
    """Read a day, or a time by this machine's clock or with its zone."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
            return date.fromisoformat(text)
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time; write it as 2026-03-01, or 2026-03-01T12:30"
        ) from None


def period(begin: datetime | date | None, end: datetime | date | None) -> Period:
    """Return the period from one `MOMENT` to another; a day is whole, by this machine's clock.

    ValueError where it is empty.
    """
    from vtc07.hhu.report.summary import Period, day_of  # noqa: PLC0415 - only where it is asked

    first = begin if begin is None or isinstance(begin, datetime) else day_of(begin, None).begin
    last = end if end is None or isinstance(end, datetime) else day_of(end, None).end
    if first is not None and last is not None and first >= last:
        raise ValueError("--from is not before --to; exchange them")
    return Period(first, last)


PAN = Parsed("MeterPAN", _pan)
SUPPLY_GROUP = Parsed("SGC", SGC)
TARIFF_INDEX = Parsed("TI", lambda text: TI(text.zfill(2) if text else text))
KEY_REVISION = Parsed("KRN", lambda text: KRN(_number(text)))
KEY_EXPIRY = Parsed("KEN", lambda text: KEN(_number(text)))
KEY_TYPE = Parsed("KT", _kt)
MAKER = Parsed("MfrCode", MfrCode)
RANDOM = Parsed("RND", lambda text: RND(_number(text)))
TAKEN = Parsed("TID", lambda text: TID(_number(text)))
DERIVATION = Parsed("DKGA", _one_of("a DKGA", {f"{int(code):02d}": code for code in DKGA}))
ALGORITHM = Parsed("EA", _one_of("an EA", {code.code: code for code in EA}))
BASE = Parsed("YY", _one_of("a base date", {base.code: base for base in BaseDate}))
SERVICE = Parsed(
    "SERVICE", _one_of("a service", {service.name.lower(): service for service in Service})
)
INSTANT = Parsed("TIME", _instant)
DAY = Parsed("DATE", _day)
MOMENT = Parsed("TIME", _moment)
TENTHS = Parsed("AMOUNT", lambda text: _decimal_units(text, 1, signed=False))
MONEY = Parsed("AMOUNT", lambda text: _decimal_units(text, 5, signed=True))
WHOLE = Parsed("NUMBER", _number)


def tokens_of(words: Iterable[str]) -> list[TokenData]:
    """Return the tokens of a command line, where groups of digits may be words of their own.

    DigitsError for what is no token.
    """
    found: list[TokenData] = []
    gathered = ""
    for word in words:
        if not gathered and not re.fullmatch(r"[0-9]{1,19}", word, re.ASCII):
            found.append(TokenData.from_digits(word))
            continue
        gathered += word
        if len(gathered) >= 20 or not gathered.isdigit():
            found.append(TokenData.from_digits(gathered))
            gathered = ""
    if gathered:
        found.append(TokenData.from_digits(gathered))
    return found
