"""The meter's two logs: every token executed to a result, and every event.

Both are rings of as many entries as the RegisterTable shows. Entries are numbered from 1 and the
state keeps the count, so that a missing entry of a store is noticed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from vtc07.carrier.status import StatusValues, TokenStatus

TOKEN_SEQUENCE_MODULUS = 2**32


class EventName(enum.Enum):
    """What the event log tells; the value is the word in the register."""

    MANUFACTURED = "manufactured"
    POWER_UP = "powerUp"
    POWER_FAIL = "powerFail"
    SWITCH_OPEN = "switchOpen"
    SWITCH_CLOSED = "switchClosed"
    TOKEN = "token"  # noqa: S105 - an event's name
    KEY_CHANGE = "keyChange"
    LOCKOUT = "lockout"
    PASSWORD = "password"  # noqa: S105 - likewise
    TAMPER = "tamper"
    LIMIT_TRIP = "limitTrip"
    STORE_FAULT = "storeFault"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the event log.

    ``number`` counts events since manufacture from 1; ``powered_s``: seconds powered since
    manufacture. ``detail``: disconnectReason of switchOpen and limitTrip, tokenSequence of token,
    KRN of keyChange, length in s of lockout, delay in s after wrong ones of password, flags of
    tamper, powerFailCount of powerFail, address of the register of write where that is
    hexadecimal, else None.
    """

    number: int
    powered_s: int
    name: EventName
    detail: int | None = None

    @property
    def text(self) -> str:
        """The entry as its register shows it."""
        return f"{self.powered_s},{self.name.value},{'' if self.detail is None else self.detail}"


@dataclass(frozen=True, slots=True)
class TokenLogEntry:
    """One entry of the token log.

    ``number`` counts tokens since manufacture from 1; tokenSequence is that modulo 2^32.
    ``tid``, ``kind`` (class.subclass) and ``value`` (base units, watts, register or Control) are
    None where the token is not authentic or they have no meaning to this meter.
    """

    number: int
    token: str = field(repr=False)
    tid: int | None
    kind: str | None
    value: int | None
    status: TokenStatus

    @property
    def sequence(self) -> int:
        """The tokenSequence after this token."""
        return self.number % TOKEN_SEQUENCE_MODULUS

    def text(self, statuses: StatusValues) -> str:
        """Return the entry as its register shows it; every number is decimal."""
        shown = (
            self.sequence,
            self.token,
            self.tid,
            self.kind,
            self.value,
            statuses.number(self.status),
        )
        return ",".join("" if part is None else str(part) for part in shown)
