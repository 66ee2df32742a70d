"""Registers' values for people: energy in kWh, status names, flags in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vtc07.carrier.companion import Companion
from vtc07.carrier.registers import Kind, Register, Value
from vtc07.trace.values import grouped, meaning_text, number_text

#: Names of numbers, by register. What a register's own meaning lists is found there.
_NAMES: Final[Mapping[str, Mapping[int, str]]] = {
    "KT": {0: "DITK", 1: "DDTK", 2: "DUTK", 3: "DCTK"},
    "KEN": {255: "never expires"},
    "loadSwitch": {0: "open", 1: "closed"},
    "disconnectReason": {
        0: "none",
        1: "credit",
        2: "tamper",
        3: "power limit",
        4: "phase unbalance",
    },
    "lowCreditAlarmEnabled": {0: "off", 1: "on"},
    "tamperStatus": {0: "none"},
    "maximumPowerLimit": {0: "no limit"},
    "maximumPhasePowerUnbalanceLimit": {0: "no limit"},
}
_TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "EA": {"07": "STA", "09": "DEA", "11": "MISTY1"},
    "TCT": {"07": "virtual"},
    "baseDate": {"93": "1993-01-01", "14": "2014-01-01", "35": "2035-01-01"},
}
#: Base units shown in the unit that people buy, a thousand of them.
_THOUSANDS: Final = {"Wh": "kWh", "l": "m3"}


def text_for_people(register: Register, value: Value, companion: Companion) -> str:
    """Return a value with its unit, or with what it stands for."""
    if isinstance(value, int):
        return _number(register, value, companion)
    if value and (name := _TEXTS.get(register.name, {}).get(value)):
        return f"{value}, {name}"
    if register.name.startswith("tokenLog."):
        return _token_log(value, companion)
    if register.name.startswith("eventLog."):
        return _event_log(value)
    if register.data_type.kind is Kind.TOKEN:
        return number_text(register, value) if value else "none"
    return value


def _number(register: Register, value: int, companion: Companion) -> str:
    name = _NAMES.get(register.name, {}).get(value)
    if name is not None:
        return name
    if (big := _THOUSANDS.get(register.unit or "")) and register.scaler == 0:
        sign = "-" if value < 0 else ""
        return f"{sign}{abs(value) // 1000}.{abs(value) % 1000:03d} {big}"
    if register.unit == "s" and register.scaler == 0 and abs(value) >= 60:
        minutes, seconds = divmod(abs(value), 60)
        return f"{'-' if value < 0 else ''}{minutes} min {seconds} s"
    meaning = meaning_text(register, value, companion)
    if meaning:
        return meaning
    text = number_text(register, value)
    return f"{text} {register.unit}" if register.unit else text


def _token_log(entry: str, companion: Companion) -> str:
    parts = entry.split(",")
    if len(parts) != 6 or not parts[5].isdigit():
        return entry
    sequence, token, tid, kind, value, status = parts
    said = [f"#{sequence}", grouped(token), companion.token_entry.status.describe(int(status))]
    for name, part in (("class", kind), ("TID", tid), ("value", value)):
        if part:
            said.append(f"{name} {part}")
    return "  ".join(said)


def _event_log(entry: str) -> str:
    parts = entry.split(",")
    if len(parts) != 3:
        return entry
    seconds, event, detail = parts
    return f"{seconds} s  {event}" + (f" {detail}" if detail else "")


def raw_text(register: Register, value: Value) -> str:
    """Return the characters that stand for the value on the line."""
    return register.encode(value)


def document(register: Register, value: Value, companion: Companion) -> dict[str, Any]:
    """Return a register and its value as a document.

    ``value`` is the number in units of ``unit`` times ten to the power of ``scaler``, or text.
    """
    return {
        "address": register.address,
        "name": register.name,
        "value": value,
        "unit": register.unit,
        "scaler": register.scaler,
        "raw": raw_text(register, value),
        "text": text_for_people(register, value, companion),
    }


def row(register: Register, value: Value, companion: Companion) -> list[str]:
    """Return a register and its value as a row: ID, name, value, raw."""
    shown = text_for_people(register, value, companion)
    return [register.address, register.name, shown, raw_text(register, value)]


COLUMNS: Final = ("ID", "register", "value", "raw")
