"""What the pictures of a meter show: its load switch, its credit, and what somebody must see to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vtc07.carrier.companion import Companion
from vtc07.carrier.registers import Register, Value
from vtc07.hhu.texts import Said, mark, said
from vtc07.hhu.values import text_for_people
from vtc07.screens.mood import Mood
from vtc07.screens.overview import Overview

#: Why a load switch is open, by the register's number.
_REASONS: Final = {
    1: mark("no credit is left"),
    2: mark("tampering was noticed"),
    3: mark("the power limit was passed"),
    4: mark("the phases are loaded too unequally"),
}
#: What bits of the server's status mean, by their companion's words, and how it is said.
_BITS: Final = {
    "tamper": (mark("Tampering was noticed."), Mood.BAD),
    "lockout": (mark("Tokens are not taken for a while, after wrong ones."), Mood.BAD),
    "store fault": (mark("The meter's memory has a fault."), Mood.BAD),
    "credit exhausted": (mark("No credit is left."), Mood.CARE),
    "power limit tripped": (mark("The power limit was passed."), Mood.CARE),
    "key change pending": (mark("A key change has begun and is not complete."), Mood.CARE),
    "default key": (mark("The meter has the default key of its maker still."), Mood.PLAIN),
}
#: Bits that the picture of the load switch shows.
_SHOWN: Final = ("load switch open", "valve shut", "0")
_WITH_VALVE: Final = ("water", "gas")
_STATUS: Final = "serverStatus"
#: A scale has at least one of what people say: a kWh, a cubic metre, an hour.
_LARGE: Final = 1000
_HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class SwitchPicture:
    """The load switch, or the valve. ``is_open``: None as long as it is not known.

    Of a valve, ``is_open`` means what it does of a switch: nothing gets through. ``why``: why not.
    """

    is_open: bool | None
    is_valve: bool = False
    why: Said | None = None

    @property
    def said(self) -> Said:
        """How it stands, in words."""
        match self.is_valve, self.is_open:
            case True, True:
                return said("The valve is shut.")
            case True, False:
                return said("The valve is open.")
            case True, _:
                return said("The valve is not known yet.")
            case _, True:
                return said("The load switch is open: nothing is supplied.")
            case _, False:
                return said("The load switch is closed: the load is supplied.")
        return said("The load switch is not known yet.")


@dataclass(frozen=True, slots=True)
class CreditPicture:
    """The credit on a scale from none to ``full``. Places on it are in thousandths.

    ``text``: the credit with its unit, None as long as it is not known. ``threshold``: where the
    meter begins to warn, None where nobody told.
    """

    text: str | None
    at: int = 0
    full: str = ""
    threshold: int | None = None
    threshold_text: str = ""
    is_negative: bool = False
    is_low: bool = False

    @property
    def note(self) -> Said | None:
        """What is to be said of it besides, None where it is as it should be."""
        if self.is_negative:
            return said("More was used than was bought.")
        if self.is_low:
            return said("The credit is low.") if self.at else said("No credit is left.")
        return None

    @property
    def said(self) -> Said:
        """How it stands, in words."""
        if self.text is None:
            return said("The credit is not known yet.")
        if self.note is not None:
            return said("Credit: {credit}. {note}", credit=self.text, note=self.note)
        return said("Credit: {credit}", credit=self.text)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that somebody must see to, or know."""

    what: Said
    mood: Mood


def load_switch(overview: Overview | None) -> SwitchPicture | None:
    """Return the load switch of a meter, None where its companion knows none."""
    if overview is None or not overview.companion.table.has("loadSwitch"):
        return None
    meter = overview.companion.meter
    is_valve = meter is not None and meter.service in _WITH_VALVE
    state = overview.value("loadSwitch")
    if not isinstance(state, int):
        return SwitchPicture(None, is_valve)
    why = overview.value("disconnectReason")
    return SwitchPicture(state == 0, is_valve, _reason(overview, why) if state == 0 else None)


def _reason(overview: Overview, why: Value | None) -> Said | None:
    if not isinstance(why, int) or why == 0:
        return None
    if why in _REASONS:
        return Said(_REASONS[why])
    return said("{why}", why=overview.text("disconnectReason") or str(why))


def credit(overview: Overview | None) -> CreditPicture | None:
    """Return the credit of a meter, None where its companion knows none."""
    if overview is None or not overview.companion.table.has("creditBalance"):
        return None
    companion, value = overview.companion, overview.value("creditBalance")
    if not isinstance(value, int):
        return CreditPicture(None)
    register = companion.table.named("creditBalance")
    limit = overview.value("lowCreditThreshold")
    threshold = limit if isinstance(limit, int) and limit > 0 else None
    full = _full(max(value, 4 * (threshold or 0)), _HOUR_S if register.unit == "s" else _LARGE)
    return CreditPicture(
        text=text_for_people(register, value, companion),
        at=min(1000, max(0, value) * 1000 // full),
        full=text_for_people(register, full, companion),
        threshold=None if threshold is None else threshold * 1000 // full,
        threshold_text=overview.text("lowCreditThreshold") or "",
        is_negative=value < 0,
        is_low=value <= 0 or overview.is_low,
    )


def _full(wanted: int, unit: int) -> int:
    """Return the smallest 1, 2 or 5 times a power of ten of units that holds what is wanted."""
    power = unit
    while True:
        for factor in (1, 2, 5):
            if factor * power >= wanted:
                return factor * power
        power *= 10


def alarms(overview: Overview | None) -> tuple[Alarm, ...]:
    """Return what is to be seen to, as far as the meter has told it; the worst first."""
    if overview is None:
        return ()
    found = dict(_alarms(overview))
    order = (Mood.BAD, Mood.CARE, Mood.PLAIN)
    return tuple(
        Alarm(what, mood) for each in order for what, mood in found.items() if mood is each
    )


def _alarms(overview: Overview) -> Iterator[tuple[Said, Mood]]:
    status = overview.value(_STATUS)
    if status is None and overview.meter is not None:
        status = overview.meter.value(_STATUS)
    if isinstance(status, int) and overview.companion.table.has(_STATUS):
        for name in _bits(overview.companion.table.named(_STATUS), status, overview.companion):
            what, mood = _BITS.get(name, (None, Mood.CARE))
            yield said("{what}", what=name) if what is None else Said(what), mood
    locked = overview.value("lockoutRemaining")
    if isinstance(locked, int) and locked > 0:
        time = overview.text("lockoutRemaining") or ""
        yield said("Tokens are taken again in {time}.", time=time), Mood.BAD
    tamper = overview.value("tamperStatus")
    if isinstance(tamper, int) and tamper != 0:
        yield Said(_BITS["tamper"][0]), Mood.BAD
    value = overview.value("creditBalance")
    if isinstance(value, int) and value <= 0:
        yield Said(_BITS["credit exhausted"][0]), Mood.CARE
    elif overview.is_low:
        yield said("The credit is low."), Mood.CARE


def _bits(register: Register, status: int, companion: Companion) -> list[str]:
    """Return the companion's words for the bits that are set, but for what is shown elsewhere."""
    if status == 0:
        return []
    return [n for n in text_for_people(register, status, companion).split(", ") if n not in _SHOWN]
