"""Consumption, credit and the load switch over powered time (docs/protocol.md 11).

Loads are constant over pieces of time, so the instant at which credit runs out is computed, not
polled: the switch opens then, however late the meter's timer is served, and the balance is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, Protocol

from vtc07.meter.logs import EventName
from vtc07.meter.rules import Rules
from vtc07.meter.state import MeterState
from vtc07.tokens import Service

#: One base unit in (base units per hour) times ns.
UNIT: Final = 3600 * 10**9
_CONNECTION_TIME_RATE: Final = 3600  # a second for every second of connection


class DisconnectReason(IntEnum):
    """Register disconnectReason: why the load switch is open; the highest that holds counts."""

    NONE = 0
    CREDIT = 1
    TAMPER = 2
    POWER_LIMIT = 3
    PHASE_UNBALANCE = 4


@dataclass(frozen=True, slots=True)
class Demand:
    """What the load would take if the switch is closed, and until when that holds.

    ``phases``: W of each phase for electricity, litres per hour for water and gas (one entry).
    ``until_ns``: the powered instant of the next change, or None for never. ``pace``: seconds of
    consumption that are metered in one second, more than 1 for a load that is accelerated; limits
    and registers go by what flows all the same.
    """

    phases: tuple[int, ...]
    until_ns: int | None = None
    pace: int = 1

    @property
    def power(self) -> int:
        """What flows through all phases together, in W or litres per hour."""
        return sum(self.phases)

    @property
    def rate(self) -> int:
        """What is metered, in base units per hour (W are Wh per hour)."""
        return sum(self.phases) * self.pace


class Load(Protocol):
    """What hangs on the meter. Answers must depend on the instant only."""

    def demand(self, powered_ns: int) -> Demand:
        """Return the demand at a powered instant; its ``until_ns`` lies after that instant."""


@dataclass(frozen=True, slots=True)
class ConstantLoad:
    """The same demand for ever: W of each phase, or litres per hour."""

    phases: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if not self.phases or min(self.phases) < 0:
            raise ValueError("a load needs at least one phase and takes no negative power")

    def demand(self, powered_ns: int) -> Demand:  # noqa: ARG002 - the same at every instant
        """Return the demand."""
        return Demand(self.phases)


def usual_load(service: Service) -> Load:
    """Return the load of a meter that nobody gave one: none; a time meter counts its seconds."""
    return ConstantLoad((_CONNECTION_TIME_RATE if service is Service.TIME else 0,))


def disconnect_reason(state: MeterState) -> DisconnectReason:
    """Return the highest reason that holds the load switch open, or NONE."""
    switch = state.switch
    if switch.unbalance_trip_until_ns is not None:
        return DisconnectReason.PHASE_UNBALANCE
    if switch.power_trip_until_ns is not None:
        return DisconnectReason.POWER_LIMIT
    if switch.tamper:
        return DisconnectReason.TAMPER
    return DisconnectReason.CREDIT if state.account.balance <= 0 else DisconnectReason.NONE


def drawn(state: MeterState, load: Load) -> tuple[int, ...]:
    """Return what flows through each phase now: nothing while the switch is open."""
    phases = load.demand(state.powered_ns).phases
    return phases if state.switch.closed else (0,) * len(phases)


def settle(state: MeterState, load: Load, rules: Rules) -> MeterState:
    """Return the state with everything done that is due at its instant.

    Staged sections and trips whose time has come end; the switch follows its reasons; a load
    above a limit trips. Every change of the switch is an event. Doing it twice changes nothing.
    """
    now = state.powered_ns
    if state.staging is not None and state.staging.deadline_ns <= now:
        state = replace(state, staging=None)
    switch = state.switch
    if switch.power_trip_until_ns is not None and switch.power_trip_until_ns <= now:
        switch = replace(switch, power_trip_until_ns=None)
    if switch.unbalance_trip_until_ns is not None and switch.unbalance_trip_until_ns <= now:
        switch = replace(switch, unbalance_trip_until_ns=None)
    if switch is not state.switch:
        state = replace(state, switch=switch)
    state = _follow_reasons(state, rules)
    if state.switch.closed:
        state = _follow_reasons(_trip(state, load.demand(now), rules), rules)
    return state


def _follow_reasons(state: MeterState, rules: Rules) -> MeterState:
    reason = disconnect_reason(state)
    closed = reason is DisconnectReason.NONE
    if closed == state.switch.closed:
        return state
    state = replace(state, switch=replace(state.switch, closed=closed))
    if closed:
        return state.with_event(rules, EventName.SWITCH_CLOSED)
    return state.with_event(rules, EventName.SWITCH_OPEN, reason)


def _trip(state: MeterState, demand: Demand, rules: Rules) -> MeterState:
    until = state.powered_ns + rules.trip_delay_ns
    switch = state.switch
    if 0 < switch.maximum_power < demand.power:
        state = replace(state, switch=replace(state.switch, power_trip_until_ns=until))
        state = state.with_event(rules, EventName.LIMIT_TRIP, DisconnectReason.POWER_LIMIT)
    if 0 < switch.maximum_unbalance < _unbalance(state, demand):
        state = replace(state, switch=replace(state.switch, unbalance_trip_until_ns=until))
        state = state.with_event(rules, EventName.LIMIT_TRIP, DisconnectReason.PHASE_UNBALANCE)
    return state


def _unbalance(state: MeterState, demand: Demand) -> int:
    """Return the greatest difference between two of the meter's phases, in W."""
    phases = demand.phases
    least = 0 if len(phases) < state.nameplate.phases else min(phases)
    return max(phases) - least


def low_credit_alarm(state: MeterState) -> bool:
    """Say whether the alarm is enabled and the balance at or below its threshold."""
    settings = state.settings
    return (
        bool(settings.low_credit_alarm_enabled)
        and state.account.balance <= settings.low_credit_threshold
    )


def _rate(state: MeterState, load: Load) -> int:
    """Return what is metered now, in base units per hour."""
    return load.demand(state.powered_ns).rate if state.switch.closed else 0


def instant_of_consumption(state: MeterState, load: Load, units: int) -> int | None:
    """Return the powered instant at which ``units`` more have been consumed at today's demand.

    None where nothing flows.
    """
    rate = _rate(state, load)
    if not rate:
        return None
    missing = max(0, units * UNIT - state.account.remainder)
    return state.powered_ns + -(-missing // rate)


def next_change(state: MeterState, load: Load) -> int | None:
    """Return the powered instant at which something changes by itself, or None.

    The end of a piece of load, of a trip, of staging, of the credit; the begin of the low-credit
    alarm. For a settled state it lies in the future, and it stays the same while time passes.
    """
    switch, settings = state.switch, state.settings
    instants = [
        load.demand(state.powered_ns).until_ns,
        switch.power_trip_until_ns,
        switch.unbalance_trip_until_ns,
        None if state.staging is None else state.staging.deadline_ns,
        instant_of_consumption(state, load, state.account.balance),
    ]
    until_alarm = state.account.balance - settings.low_credit_threshold
    if settings.low_credit_alarm_enabled and until_alarm > 0:
        instants.append(instant_of_consumption(state, load, until_alarm))
    return min((instant for instant in instants if instant is not None), default=None)


def advance(state: MeterState, to_ns: int, load: Load, rules: Rules) -> MeterState:
    """Return the settled state at the powered instant ``to_ns``, with all that happens before it.

    The result does not depend on how the way is cut into calls.
    """
    while True:
        state = settle(state, load, rules)
        if state.powered_ns >= to_ns:
            return state
        change = next_change(state, load)
        state = pass_time(state, to_ns if change is None else min(change, to_ns), load)


def pass_time(state: MeterState, to_ns: int, load: Load) -> MeterState:
    """Return the state at ``to_ns``, which lies not after its `next_change`.

    Before that instant it is settled if it was.
    """
    elapsed = to_ns - state.powered_ns
    account = state.account
    if rate := _rate(state, load):
        whole, remainder = divmod(account.remainder + rate * elapsed, UNIT)
        account = replace(
            account,
            balance=account.balance - whole,
            consumed=account.consumed + whole,
            remainder=remainder,
        )
    return replace(
        state,
        powered_ns=to_ns,
        account=account,
        virtual_lockout=state.virtual_lockout.elapsed(elapsed),
        keypad_lockout=state.keypad_lockout.elapsed(elapsed),
        password_guard=state.password_guard.elapsed(elapsed),
    )
