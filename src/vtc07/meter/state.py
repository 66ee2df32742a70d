"""Everything durable about a meter, as one immutable fact.

A transaction leads from one `MeterState` to the next; what is not here does not survive a loss
of power. Energy-like amounts are integers in the service's base unit (Wh, litres, s), time is
powered time since manufacture in ns: a meter has no calendar.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from vtc07.carrier.companion import S
from vtc07.carrier.status import TokenStatus
from vtc07.carrier.token_entry import Lockout
from vtc07.meter.logs import TOKEN_SEQUENCE_MODULUS, Event, EventName, TokenLogEntry
from vtc07.meter.passwords import PasswordGuard, PasswordHash
from vtc07.meter.rules import Rules
from vtc07.tokens import TCT, DecoderKey, KeyAttributes, KeyChangeSection, MeterPAN, Service


@dataclass(frozen=True, slots=True)
class Nameplate:
    """What a meter is made as and stays.

    ``phases``: 1 or 3. ``device_address``: a further address that the port answers to, or empty.
    """

    meter_pan: MeterPAN
    service: Service
    software_version: str
    phases: int = 1
    device_address: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """Credit and totals in base units.

    ``remainder``: consumption below one base unit, in base units per hour times ns; always less
    than 3600 * 10**9. It keeps integers exact over any number of small steps.
    """

    balance: int = 0
    consumed: int = 0
    accepted: int = 0
    remainder: int = 0


@dataclass(frozen=True, slots=True)
class LoadSwitch:
    """The load switch, the limits and what holds it open. Limits in W, 0 is none.

    ``power_trip_until_ns``, ``unbalance_trip_until_ns``: the powered instant at which a limit
    trip ends, or None.
    """

    closed: bool = False
    maximum_power: int = 0
    maximum_unbalance: int = 0
    tamper: int = 0
    power_trip_until_ns: int | None = None
    unbalance_trip_until_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Staging:
    """Sections of a key change that wait for the rest of their set.

    One of a subclass at most, ascending. ``deadline_ns``: the powered instant at which they are
    forgotten.
    """

    sections: tuple[KeyChangeSection, ...]
    deadline_ns: int

    def section(self, subclass: int) -> KeyChangeSection | None:
        """Return the staged section of this subclass, or None."""
        return next((found for found in self.sections if found.subclass == subclass), None)


@dataclass(frozen=True, slots=True)
class LastToken:
    """The token executed last, from whatever carrier, and its three results.

    A result is NONE where it was not reached, ACCEPT where it was good.
    """

    token: str = field(default="", repr=False)
    status: TokenStatus = TokenStatus.NONE
    authentication: TokenStatus = TokenStatus.NONE
    validation: TokenStatus = TokenStatus.NONE
    result: TokenStatus = TokenStatus.NONE


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client may write."""

    low_credit_threshold: int = 0
    installation_reference: str = ""
    low_credit_alarm_enabled: int = 0


@dataclass(frozen=True, slots=True)
class MeterState:
    """A meter between two transactions.

    ``tids``: the TID store, largest first, always of the companion's size. ``powered``: True
    from power up until an orderly power off, so that a loss of power is known afterwards.
    ``last_test``: Control of the last class 1 token, for the display; None before the first.
    ``password``: what is kept of the password of its port, None for a meter without one. Logs are
    newest first.
    """

    nameplate: Nameplate
    key: DecoderKey
    attributes: KeyAttributes
    tids: tuple[int, ...]
    settings: Settings = Settings()
    account: Account = Account()
    switch: LoadSwitch = LoadSwitch()
    staging: Staging | None = None
    virtual_lockout: Lockout = field(default_factory=Lockout)
    keypad_lockout: Lockout = field(default_factory=Lockout)
    password: PasswordHash | None = None
    password_guard: PasswordGuard = field(default_factory=PasswordGuard)
    last: LastToken = LastToken()
    tokens_executed: int = 0
    last_test: int | None = None
    powered_ns: int = 0
    powered: bool = False
    power_fails: int = 0
    events_counted: int = 0
    token_log: tuple[TokenLogEntry, ...] = field(default=(), repr=False)
    event_log: tuple[Event, ...] = field(default=(), repr=False)

    @property
    def token_sequence(self) -> int:
        """TokenSequence: tokens executed to a result, modulo 2^32."""
        return self.tokens_executed % TOKEN_SEQUENCE_MODULUS

    @property
    def powered_s(self) -> int:
        """Whole seconds powered since manufacture."""
        return self.powered_ns // S

    def lockout(self, carrier: TCT) -> Lockout:
        """Return the lockout of the virtual carrier (TCT 07) or of the keypad (TCT 02)."""
        return self.virtual_lockout if carrier is TCT.VIRTUAL else self.keypad_lockout

    def with_lockout(self, carrier: TCT, lockout: Lockout) -> MeterState:
        """Return the state with that carrier's lockout replaced."""
        if carrier is TCT.VIRTUAL:
            return replace(self, virtual_lockout=lockout)
        return replace(self, keypad_lockout=lockout)

    def with_event(self, rules: Rules, name: EventName, detail: int | None = None) -> MeterState:
        """Return the state with an event of this instant in its log."""
        event = Event(self.events_counted + 1, self.powered_s, name, detail)
        return replace(
            self,
            events_counted=event.number,
            event_log=(event, *self.event_log)[: rules.event_log_size],
        )
