"""What the bench tells its page: kinds of meters, a front panel, characters, tokens issued."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from vtc07.hhu.texts import Said, mark
from vtc07.links.link import Sender
from vtc07.tokens import Service

#: How many times as fast time may pass.
TIME_FACTORS: Final = (1, 10, 60, 600, 3600)
#: The keys of a keypad: digits, clear (all of it), back (the last digit), enter.
KEYS: Final = (*"0123456789", "clear", "back", "enter")
#: Why a load switch is open, for people, by `Panel.disconnect_reason`.
WHY_OPEN: Final = {
    "none": mark("for no reason of its own"),
    "credit": mark("no credit"),
    "tamper": mark("tamper"),
    "power limit": mark("more power than its limit"),
    "phase unbalance": mark("unbalanced phases"),
}


class BenchRefused(Exception):
    """Something that cannot be done on the bench as it is; ``said`` says why and what to do."""

    def __init__(self, why: Said) -> None:
        self.said = why
        super().__init__(str(why))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of meter that the bench has.

    ``title``: marked text. ``companion``: its name. ``phases``: how many loads it has; one for
    water and gas. ``most``: the largest load of a phase that can be set, in ``flow_unit`` (W, or
    litres per hour). ``impulses``: of the lamp, for each 1000 base units (kWh, m3).
    """

    name: str
    title: str
    companion: str
    service: Service
    phases: int
    most: int
    impulses: int

    @property
    def flow_unit(self) -> str:
        """The unit of loads, phases and power on a panel."""
        return "W" if self.service is Service.ELECTRICITY else "l/h"

    @property
    def unit(self) -> str:
        """The unit of credit and consumption on a panel, a thousandth of what people say."""
        return "Wh" if self.service is Service.ELECTRICITY else "l"

    @property
    def large_unit(self) -> str:
        """The unit that people say: 1000 of ``unit``."""
        return "kWh" if self.service is Service.ELECTRICITY else "m3"


KINDS: Final[tuple[Kind, ...]] = (
    Kind(
        "electricity", mark("Electricity, 1 phase"), "electricity",
        Service.ELECTRICITY, 1, 15_000, 1000,
    ),
    Kind(
        "electricity-3", mark("Electricity, 3 phases"), "electricity",
        Service.ELECTRICITY, 3, 15_000, 500,
    ),
    Kind("water", mark("Water"), "water", Service.WATER, 1, 3_000, 1000),
    Kind("gas", mark("Gas"), "gas", Service.GAS, 1, 6_000, 100),
    Kind(
        "electricity-mode-c", mark("Electricity, mode C"), "electricity-mode-c",
        Service.ELECTRICITY, 1, 15_000, 1000,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence about what happened, numbered from 1; ``at``: when, UTC."""

    number: int
    said: Said
    at: datetime


@dataclass(frozen=True, slots=True)
class Panel:
    """A meter as it stands on the bench at one instant.

    What a meter without power does not show is None, and its ``display`` is empty.

    ``display``: the lines of its display, in no language, as a meter has them: the first one large.
    ``shows``: the same as a sentence, for who cannot see the display; None where it is dark.
    ``typed``: digits typed so far. ``result``: of the last token, for some seconds after it.
    ``good``: whether that was taken; None where there is no result to show.
    ``executing``: a token is being executed. ``load_switch``: "open" or "closed" (a valve for
    water and gas). ``disconnect_reason``: why it is open: "none", "credit", "tamper", "power limit"
    or "phase unbalance". ``credit``, ``consumption``: in ``unit``. ``power``, ``phases``: what
    flows now, in ``flow_unit``. ``loads``: what is wanted, of each phase. ``tamper``: flags, 0 is
    none. ``virtual_lockout_s``, ``keypad_lockout_s``: until tokens are taken again, 0: they are.
    ``staged``: sections of a key change that wait for the others. ``key``: what may be told of it:
    SGC, TI, KRN, KEN. ``power_limit``, ``unbalance_limit``: in W, 0 is none.

    ``plugged``: the cable is. ``line_in_use``: somebody has the line open. ``session``: the meter
    has a session open. ``speed``: of the meter's port in Bd. ``time_factor``: as it was set;
    ``pace``: how fast time passes now, 1 while the line is in use.
    ``line_ns``: the time of line and meter, as characters have it.
    ``events``: what was told last, the newest last.
    """

    kind: Kind
    meter_pan: str
    powered: bool
    display: tuple[str, ...]
    shows: Said | None
    typed: str = field(repr=False)
    result: Said | None
    good: bool | None
    executing: bool
    load_switch: Literal["open", "closed"] | None
    disconnect_reason: str | None
    credit: int | None
    unit: str
    consumption: int | None
    power: int | None
    flow_unit: str
    phases: tuple[int, ...]
    loads: tuple[int, ...]
    tamper: int | None
    low_credit_alarm: bool | None
    virtual_lockout_s: int | None
    keypad_lockout_s: int | None
    staged: int | None
    key: str | None
    power_limit: int | None
    unbalance_limit: int | None
    plugged: bool
    line_in_use: bool
    session: bool
    speed: int
    time_factor: int
    pace: int
    line_ns: int
    events: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class LineCharacter:
    """A character that has passed, or was to pass, the line.

    ``number``: from 1. ``sender``: which end. ``sent``: its code. ``arrived``: the code that the
    other end got; 255 for a damaged one, None where it was lost. ``at_ns``: when its last bit was
    sent, by the clock of the line. ``speed``: in Bd, of the sender.
    """

    number: int
    sender: Sender
    sent: int
    arrived: int | None
    at_ns: int
    speed: int

    @property
    def damaged(self) -> bool:
        """Whether it arrived as another one than was sent."""
        return self.arrived is not None and self.arrived != self.sent

    @property
    def lost(self) -> bool:
        """Whether it did not arrive."""
        return self.arrived is None


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an offer. ``label``: marked text. ``unit``: behind it, or empty."""

    name: str
    label: str
    unit: str
    default: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be bought. ``title``: marked text. ``training``: a token to be refused."""

    name: str
    title: str
    fields: tuple[Field, ...] = ()
    training: bool = False


@dataclass(frozen=True, slots=True)
class Issued:
    """What was issued: one token, or the four of a key change in their order.

    ``number``: from 1. ``tokens``: 20 digits each. ``what``: what they are for. ``at``: when, UTC.
    ``results``: what the meter is to say to each of them, in the standard's words.
    """

    number: int
    what: Said
    tokens: tuple[str, ...] = field(repr=False)
    results: tuple[str, ...]
    at: datetime
    training: bool = False
