"""A meter at a glance: what a technician looks at first, as names and values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vtc07.carrier.companion import Companion
from vtc07.carrier.events import RegisterValue
from vtc07.carrier.registers import Value
from vtc07.hhu import selection
from vtc07.hhu.session import Meter
from vtc07.hhu.texts import mark
from vtc07.hhu.values import text_for_people

#: Registers that have a line of their own, with what stands before it.
_LINES: Final = {
    "creditBalance": mark("credit"),
    "loadSwitch": mark("load switch"),
    "disconnectReason": mark("open because of"),
    "tamperStatus": mark("tamper"),
    "activePower": mark("power now"),
    "flowRate": mark("flow now"),
    "totalConsumption": mark("consumed"),
    "totalCreditAccepted": mark("credit ever taken"),
    "tokenStatus": mark("token entry"),
    "lastToken": mark("last token"),
    "lastTokenStatus": mark("its result"),
    "lockoutRemaining": mark("locked out for"),
    "maximumPowerLimit": mark("power limit"),
    "serverStatus": mark("status"),
    "softwareVersion": mark("software"),
}
#: By which a credit is low: the threshold, and whether the meter gives an alarm at it.
LOW_CREDIT: Final = ("lowCreditThreshold", "lowCreditAlarmEnabled")
#: Values that need not be said.
_UNSAID: Final = {
    "disconnectReason": "none",
    "maximumPowerLimit": "no limit",
    "lockoutRemaining": "0 s",
}
#: What the key is, in one line; the standards' own words.
_KEY: Final = ("SGC", "KRN", "KT", "TI")
_KEY_MORE: Final = ("EA", "KEN", "baseDate")


@dataclass(frozen=True, slots=True)
class Overview:
    """What was read of a meter, and by which companion. ``meter_pan``: None where it tells none.

    ``speed``: of the line, where it is not the companion's own. ``meter``: what it said when it was
    greeted, where that was kept.
    """

    companion: Companion
    meter_pan: str | None
    values: tuple[RegisterValue, ...]
    speed: int | None = None
    meter: Meter | None = None

    def text(self, name: str) -> str | None:
        """Return a value for people, None where it was not read."""
        for found in self.values:
            if found.register.name == name:
                return text_for_people(found.register, found.value, self.companion)
        return None

    def value(self, name: str) -> Value | None:
        """Return a register's value as the meter told it, None where it was not read."""
        return next((v.value for v in self.values if v.register.name == name), None)

    def wants_care(self, name: str) -> bool:
        """Say whether a register's value is one that somebody should look at."""
        match name, self.value(name):
            case "creditBalance", int(credit):
                return credit <= 0 or self.is_low
            case "loadSwitch", 0:
                return True
            case "tamperStatus" | "lockoutRemaining" | "disconnectReason", int(number):
                return number != 0
        return False

    @property
    def is_low(self) -> bool:
        """Say whether credit stands at or below the threshold at which the meter gives an alarm."""
        credit, (threshold, enabled) = self.value("creditBalance"), map(self.value, LOW_CREDIT)
        if not isinstance(credit, int) or not isinstance(threshold, int) or enabled == 0:
            return False
        return credit <= threshold

    def lines(self) -> Iterator[tuple[str, str, bool]]:
        """Yield names, to be put into the user's language, values, and whether these want care."""
        for label, text, wants_care in self.rows():
            if text is not None:
                yield label, text, wants_care

    def rows(self) -> Iterator[tuple[str, str | None, bool]]:
        """Yield the same with None for each value that the meter can tell and has not told yet."""
        readable = {register.name for register in selection.overview(self.companion)}
        for name, label in _LINES.items():
            text = self.text(name)
            if text is None and name in readable and name not in _UNSAID:
                yield label, None, False
            elif text is not None and text != _UNSAID.get(name):
                yield label, text, self.wants_care(name)
        for names in (_KEY, _KEY_MORE):
            known = [(name, text) for name in names if (text := self.text(name)) is not None]
            if known:
                (first, said), *more = known
                rest = [f"{name} {text}" for name, text in more]
                yield first, "  ".join((said, *rest)), False
