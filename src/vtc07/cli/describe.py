"""Tokens in words: what a decoded token says, with units, and never a part of a key."""

from __future__ import annotations

from typing import Any, Final

from vtc07.tokens import (
    CLEAR_ALL_REGISTERS,
    EA,
    KT,
    METER_TESTS,
    TID,
    BaseDate,
    ClearCredit,
    ClearTamperCondition,
    DecoderKey,
    ExtendedRead,
    ExtendedTokenSet,
    InitiateMeterTest,
    Service,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    SetWaterMeterFactor,
    Token,
    TransferCredit,
    TransferCurrency,
)

UNITS: Final = {
    Service.ELECTRICITY: "kWh",
    Service.WATER: "m3",
    Service.GAS: "m3",
    Service.TIME: "min",
}
#: What ClearCredit can clear, by the word of the command line.
CLEARABLE: Final = {
    **{service.name.lower(): int(service) for service in Service},
    **{f"{service.name.lower()}-currency": int(service) + 4 for service in Service},
    "all": CLEAR_ALL_REGISTERS,
}


def tenths(amount: int) -> str:
    """Return an amount of tenths with its point."""
    return f"{amount // 10}.{amount % 10}"


def money(amount: int) -> str:
    """Return a currency amount, in 1e-5, with its point."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 100_000}.{abs(amount) % 100_000:05d}"


def describe(token: Token, base_date: BaseDate | None, key: DecoderKey | None) -> dict[str, Any]:
    """Return the meaning of a token as a document: kind, class, subclass, fields in words.

    ``base_date``: with it the TID's time is told. Amounts are text, so that nothing rounds them.
    """
    document: dict[str, Any] = {
        "kind": type(token).__name__,
        "class": token.token_class,
        "subclass": token.subclass,
    }
    if isinstance(tid := getattr(token, "tid", None), int):
        document["tid"] = tid
        if base_date is not None:
            document["issued_at"] = TID(tid).issued_at(base_date).strftime("%Y-%m-%dT%H:%MZ")
    if isinstance(rnd := getattr(token, "rnd", None), int):
        document["rnd"] = rnd
    document.update(_fields(token, key))
    return document


def _fields(token: Token, key: DecoderKey | None) -> dict[str, Any]:
    match token:
        case TransferCredit():
            service = token.service
            return {
                "service": service.name.lower(),
                "amount": tenths(token.amount),
                "unit": UNITS[service],
            }
        case TransferCurrency():
            return {"service": token.service.name.lower(), "amount": money(token.amount)}
        case InitiateMeterTest():
            width = 4 if token.four_digit_mfr_code else 2
            return {
                "tests": [
                    {"number": test, "name": METER_TESTS.get(test, "not defined")}
                    for test in token.tests
                ],
                "mfr_code": f"{token.mfr_code:0{width}d}",
            }
        case ExtendedRead():
            return {"index": token.index, "control": token.control, "mfr_code": token.mfr_code}
        case SetMaximumPowerLimit() | SetMaximumPhasePowerUnbalanceLimit():
            return {"limit": token.watts, "unit": "W"}
        case ClearCredit():
            names = {number: name for name, number in CLEARABLE.items()}
            return {"register": token.register, "clears": names.get(token.register, "not defined")}
        case ClearTamperCondition():
            return {"pad": token.pad}
        case SetTariffRate():
            return {"rate": token.rate}
        case SetWaterMeterFactor():
            return {"factor": token.factor}
        case ExtendedTokenSet():
            return {"index": token.index, "value": token.value}
        case _:
            return _section(token, key)


def _section(token: Token, key: DecoderKey | None) -> dict[str, Any]:
    match token:
        case Set1stSectionDecoderKey():
            return {
                "ken_high": token.kenho,
                "krn": token.krn,
                "base_date_rolls_over": bool(token.ro),
                "three_tokens": bool(token.three_kct),
                "kt": token.kt,
                "key_type": KT(token.kt).name,
            }
        case Set2ndSectionDecoderKey():
            return {"ken_low": token.kenlo, "ti": f"{token.ti:02d}"}
        case Set3rdSectionDecoderKey():
            if key is not None and key.ea is EA.MISTY1:
                return {"sgc_low": token.sgclo}
            return {"sgc": f"{token.sgc24:06d}"}
        case Set4thSectionDecoderKey():
            return {"sgc_high": token.sgcho}
    return {}


def sentence(document: dict[str, Any]) -> str:
    """Return a document of `describe` as one line for people."""
    shown = {k: v for k, v in document.items() if k not in ("kind", "class", "subclass")}
    parts = [f"{document['kind']} (class {document['class']}.{document['subclass']})"]
    if "amount" in shown:
        amount = f"{shown.pop('amount')} {shown.pop('unit', 'of the base currency')}"
        parts.append(f"{amount} {shown.pop('service')}")
    elif "limit" in shown:
        parts.append(f"{shown.pop('limit')} {shown.pop('unit')}")
    if "tests" in shown:
        tests = shown.pop("tests")
        parts.append("test " + ", ".join(f"{t['number']} {t['name']}" for t in tests))
    if "issued_at" in shown:
        parts.append(f"TID {shown.pop('tid')} ({shown.pop('issued_at')})")
    for name, value in shown.items():
        shown_value = ("yes" if value else "no") if isinstance(value, bool) else value
        parts.append(f"{_WORDS.get(name, name)} {shown_value}")
    return ", ".join(parts)


_WORDS: Final = {
    "tid": "TID",
    "rnd": "RND",
    "mfr_code": "MfrCode",
    "ken_high": "KEN high half",
    "ken_low": "KEN low half",
    "krn": "KRN",
    "kt": "KT",
    "key_type": "of type",
    "ti": "TI",
    "sgc": "SGC",
    "sgc_low": "SGC low half",
    "sgc_high": "SGC high half",
    "three_tokens": "a third token follows",
    "base_date_rolls_over": "base date rolls over",
}
