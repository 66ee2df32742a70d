"""A receipt as it is typed: what stands beside a token, as far as somebody has it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Final

from vtc07.hhu.diagnosis.facts import Receipt
from vtc07.hhu.texts import Said, mark, said
from vtc07.tokens import DRN, KRN, KT, SGC, TI, MeterPAN, TokenData, TokenError

#: The fields: a name for each, and what stands before it.
FIELDS: Final = (
    ("token", mark("token")),
    ("meter", mark("meter (MeterPAN or DRN)")),
    ("sgc", "SGC"),
    ("ti", "TI"),
    ("krn", "KRN"),
    ("kt", mark("KT (0 to 3)")),
    ("issued", mark("issued (2026-03-01 12:30)")),
)
_LABELS: Final = dict(FIELDS)


class ReceiptError(Exception):
    """A field holds what cannot stand there: ``field`` is its name, ``said`` says why."""

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        self.said: Said = said("{field}: {why}", field=Said(_LABELS[field]), why=why)
        super().__init__(str(self.said))


def receipt_of(fields: Mapping[str, str], zone: tzinfo | None) -> Receipt:
    """Return the receipt that was typed; an empty field was not given. Raises ReceiptError.

    ``zone``: in which the time is meant where it says none, None for that of this machine.
    """
    typed = {name: text.strip() for name, text in fields.items() if text.strip()}
    name = ""
    try:
        for name, text in typed.items():
            _check(name, text)
        return Receipt(
            meter=_digits(typed.get("meter")),
            sgc=typed.get("sgc"),
            krn=int(typed["krn"]) if "krn" in typed else None,
            kt=int(typed["kt"]) if "kt" in typed else None,
            ti=typed["ti"].zfill(2) if "ti" in typed else None,
            issued=_instant(typed["issued"], zone) if "issued" in typed else None,
            token=typed.get("token"),
        )
    except (TokenError, ValueError) as error:
        raise ReceiptError(name, str(error)) from None


def _check(name: str, text: str) -> None:
    match name:
        case "token":
            TokenData.from_digits(text)
        case "meter":
            digits = _digits(text) or ""
            MeterPAN.from_drn(DRN(digits)) if len(digits) in (11, 13) else MeterPAN(digits)
        case "sgc":
            SGC(text)
        case "ti":
            TI(text.zfill(2))
        case "krn":
            KRN(_whole(text))
        case "kt":
            KT(_whole(text))
        case "issued":
            _instant(text, None)


def _digits(text: str | None) -> str | None:
    return None if text is None else text.replace(" ", "").replace("-", "")


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ValueError(f"{text[:20]!r} is not a whole number")
    return int(text)


def _instant(text: str, zone: tzinfo | None) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no time; write it as 2026-03-01 12:30") from None
    if instant.tzinfo is not None:
        return instant
    return instant.astimezone() if zone is None else instant.replace(tzinfo=zone)
