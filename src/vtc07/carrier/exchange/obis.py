"""What the addresses of a readout mean: the OBIS codes that surely mean one thing.

An address is a full code, `1-0:1.8.0*255`, or a reduced one, `1.8.0` or `1.8` (IEC 62056-61:
value groups A medium, B channel, C quantity, D kind of value, E tariff, F stored value). The
words are this project's own. Sources: the groups of IEC 62056-61 and what is published of them by
its users; for the codes of media 0 and M-Bus channels, DSMR P1 5.2. Reduced codes are taken as
electricity's, which is the only medium that they were made for.

What a maker or a nation has put at an address is not here: nothing is better than a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_CODE = re.compile(
    r"(?:(?P<a>\d{1,2})-(?P<b>\d{1,3}):)?"
    r"(?P<c>[A-Z]|\d{1,3})\.(?P<d>[A-Z]|\d{1,3})(?:\.(?P<e>\d{1,3}))?"
    r"(?:[*&](?P<f>\d{1,3}))?"
)
_NOT_STORED: Final = 255
_MOST_STORED: Final = 99
_MOST_TARIFF: Final = 63
_MOST_CHANNEL: Final = 64  # B above is for utilities and makers

#: Without a medium, or of electricity, or of the meter as a whole.
_METER: Final[Mapping[str, str]] = {
    "F.F": "error and status flags",
    "0.0.0": "meter number",
    **{f"0.0.{number}": "another number of the meter" for number in range(1, 10)},
    "0.1.0": "number of resets of the greatest demand",
    "0.2.0": "version of the meter's software",
    "0.2.1": "number of the parameter set",
    "0.2.2": "number of the tariff program",
    "0.3.0": "pulse constant of the LED, active energy",
    "0.3.3": "pulse constant of the output, active energy",
    "0.4.2": "ratio of the current transformer",
    "0.4.3": "ratio of the voltage transformer",
    "0.8.0": "averaging period of the demand",
    "0.8.4": "period of the load profile",
    "0.9.1": "time of day",
    "0.9.2": "date",
    "0.9.5": "day of the week",
    "C.1.0": "serial number",
    "C.2.0": "number of changes of the configuration",
    "C.2.1": "date of the last change of the configuration",
    "C.5.0": "operating status",
    "C.6.0": "time that the battery was in use",
    "C.6.1": "charge of the battery",
    "C.6.3": "voltage of the battery",
    "C.7.0": "number of power failures",
    "C.7.1": "number of power failures of L1",
    "C.7.2": "number of power failures of L2",
    "C.7.3": "number of power failures of L3",
}
#: C is 96 in figures. Reduced codes in figures are a habit of some nations, with meanings of their
#: own, so that only these are as sure.
_IN_FIGURES: Final = {
    "96.1.0": "C.1.0", "96.5.0": "C.5.0",
    "96.7.0": "C.7.0", "96.7.1": "C.7.1", "96.7.2": "C.7.2", "96.7.3": "C.7.3",
}  # fmt: skip
#: With these two parts alone E is 0.
_SHORTENED: Final = frozenset({"0.0", "C.1", "C.5", "C.7"})
_SWITCH: Final = "state of the disconnecting switch"
#: Whole codes that only mean this with their medium and channel.
_WHOLE: Final[Mapping[str, str]] = {
    "1-3:0.2.8": "version of the P1 telegram",
    "0-0:1.0.0": "date and time",
    "0-0:17.0.0": "limit of power or current",
    "0-0:42.0.0": "name of the meter in its network",
    "0-0:96.1.1": "meter number",
    "0-0:96.1.255": "serial number",
    "0-0:96.3.10": _SWITCH,
    "0-0:96.7.9": "number of long power failures",
    "0-0:96.7.21": "number of power failures in any phase",
    "0-0:96.13.0": "message to the consumer",
    "0-0:96.13.1": "number of a message to the consumer",
    "0-0:96.14.0": "tariff in force",
    "1-0:99.97.0": "log of long power failures",
}
#: Of a meter of another kind, behind this one on M-Bus channel B.
_M_BUS: Final[Mapping[str, str]] = {
    "24.1.0": "kind of the meter",
    "24.2.1": "last reading of the meter",
    "24.3.0": "last hourly reading of the meter",
    "24.4.0": "state of the valve or switch of the meter",
    "96.1.0": "number of the meter",
}
#: Other media, by A.
_MEDIA: Final[Mapping[tuple[str, str], tuple[str, tuple[str, ...]]]] = {
    ("6", "1.0.0"): ("heat energy in all", ("wh", "kwh", "mwh", "mj", "gj")),
    ("7", "3.0.0"): ("gas volume in all", ("m3",)),
    ("8", "1.0.0"): ("water volume in all", ("m3", "l")),
}

_POWERS: Final[Mapping[int, tuple[str, str]]] = {
    1: ("imported", "w"),
    2: ("exported", "w"),
    3: ("imported", "var"),
    4: ("exported", "var"),
    5: ("in quadrant I", "var"),
    6: ("in quadrant II", "var"),
    7: ("in quadrant III", "var"),
    8: ("in quadrant IV", "var"),
    9: ("imported", "va"),
    10: ("exported", "va"),
    15: ("imported plus exported", "w"),
    16: ("imported minus exported", "w"),
}
_WORD: Final = {"w": "", "var": "reactive ", "va": "apparent "}
_VOLTAGE: Final = 12
_MOMENTARY: Final = 7  # D of a value now
#: Quantities with one value, now; 11 to 14 are of the meter, or of any phase.
_NOW: Final[Mapping[int, tuple[str, str]]] = {
    11: ("current", "a"),
    _VOLTAGE: ("voltage", "v"),
    13: ("power factor", ""),
    14: ("frequency", "hz"),
    91: ("current of the neutral", "a"),
    92: ("voltage of the neutral", "v"),
}
#: By D: the words, with those for the quantity and the flow left out; whether it is an energy.
_KINDS: Final[Mapping[int, tuple[str, bool]]] = {
    2: ("sum of the greatest {}demands {}", False),
    4: ("{}demand {} in the period under way", False),
    5: ("{}demand {} in the last period", False),
    6: ("greatest {}demand {}", False),
    7: ("{}power {} now", False),
    8: ("{}energy {}", True),
    9: ("{}energy {} since the last reset", True),
    29: ("{}energy {} in one period", True),
}
_SAGS: Final = {32: "number of voltage sags", 36: "number of voltage swells"}


def meaning_of(address: str, unit: str | None = None) -> str | None:
    """Return in a few words what stands at an address, or None where that is not surely known.

    ``address``: a full or a reduced OBIS code, with the number of a stored value or without.
    ``unit``: that of the value, as the meter writes it; one that does not fit contradicts the
    code, and without one a reduced code says nothing where other meters use the same address.
    """
    match = _CODE.fullmatch(address)
    if match is None:
        return None
    stored = _NOT_STORED if match["f"] is None else int(match["f"])
    if stored == _NOT_STORED:
        return _present(match, unit)
    if stored > _MOST_STORED or match["a"] not in (None, "1"):
        return None
    # Only what is measured: what else has a number behind it is numbered in other ways.
    meaning = _measured(match, unit)
    return None if meaning is None else f"{meaning}; stored value {stored}, of an earlier period"


def _present(match: re.Match[str], unit: str | None) -> str | None:
    medium, channel = match["a"], match["b"]
    short = ".".join(part for part in (match["c"], match["d"], match["e"]) if part is not None)
    if medium is None:
        return _of_meter(short) or _measured(match, unit)
    if whole := _WHOLE.get(f"{medium}-{channel}:{short}"):
        return whole
    if int(channel) > _MOST_CHANNEL:
        return None
    if medium == "0" and channel != "0":
        on_m_bus = _M_BUS.get(short)
        return None if on_m_bus is None else f"{on_m_bus} on M-Bus channel {int(channel)}"
    if medium in ("0", "1") and (of_meter := _of_meter(short)):
        return of_meter
    if medium == "1":
        return _measured(match, unit)
    other = _MEDIA.get((medium, short))
    if other is None or (unit is not None and unit.strip().lower() not in other[1]):
        return None
    return other[0]


def _of_meter(short: str) -> str | None:
    if short == "96.3.10":
        return _SWITCH
    short = _IN_FIGURES.get(short, short)
    return _METER.get(f"{short}.0" if short in _SHORTENED else short)


def _measured(match: re.Match[str], unit: str | None) -> str | None:
    """Return what an electrical quantity is called, if there is such a one."""
    if not (match["c"].isdigit() and match["d"].isdigit()):
        return None
    if int(match["b"] or 0) > _MOST_CHANNEL:
        return None
    quantity, phase = _of_phase(int(match["c"]))
    kind, tariff = int(match["d"]), int(match["e"] or 0)
    # Heat meters have 6.8 and 9.6 of their own: only a unit tells them apart.
    doubtful = match["a"] is None and (match["e"] is None or 3 <= quantity <= 10)
    if quantity in _POWERS and kind in _KINDS:
        flow, base = _POWERS[quantity]
        words, energy = _KINDS[kind]
        most = 0 if kind == _MOMENTARY else _MOST_TARIFF
        if tariff > most or not _fits(unit, base + "h" * energy, doubtful=doubtful):
            return None
        behind = f", {phase}" if phase else ""
        return words.format(_WORD[base], flow) + behind + (f", tariff {tariff}" if tariff else "")
    if tariff:
        return None
    of_phase = f" of {phase}" if phase else ""
    if kind in _SAGS and quantity == _VOLTAGE and match["e"] is not None and unit is None:
        return _SAGS[kind] + of_phase
    name, base = _NOW.get(quantity, ("", ""))
    if kind != _MOMENTARY or not name or not _fits(unit, base, doubtful=doubtful):
        return None
    return name + of_phase


def _of_phase(quantity: int) -> tuple[int, str]:
    """Return the quantity as it is numbered for the whole meter, and the phase in words."""
    phase, rest = divmod(quantity, 20)
    if 1 <= phase <= 3 and 1 <= rest <= 16:
        return rest, f"L{phase}"
    return quantity, ""


def _fits(unit: str | None, base: str, *, doubtful: bool) -> bool:
    if unit is None:
        return not doubtful
    prefixes = ("", "k", "m", "g") if base else ("",)
    return unit.strip().lower() in [prefix + base for prefix in prefixes]
