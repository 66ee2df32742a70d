"""What a meter measures and switches, told from one durable state to the next.

Consumption is worked out anew, to the last nanosecond: the load of a simulated meter is constant,
and every change of its switch is committed at once (docs/protocol.md 11).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vtc07.carrier.companion import S
from vtc07.meter import MeterState

_HOUR_NS: Final = 3600 * S
_TRIP_NS: Final = 30 * S
_LOSS_NS: Final = 10 * S  # what may be lost of consumption: so much time, ...
_LOSS_WH: Final = 10  # ... or so much energy, whichever is less
_IDLE_NS: Final = 600 * S  # what may be lost of time on which nothing depends


def metered_wrongly(before: MeterState, after: MeterState, power: int) -> Iterator[str]:
    """Give what is wrong with the consumption and the load switch; ``power``: W of the load."""
    elapsed = after.powered_ns - before.powered_ns
    if elapsed < 0:
        yield "powered time went back"
    drawn = power if before.switch.closed else 0
    flowed = before.account.remainder + drawn * elapsed
    used = after.account.consumed - before.account.consumed
    if (used, after.account.remainder) != divmod(flowed, _HOUR_NS):
        yield f"{used} Wh were counted in {elapsed} ns at {drawn} W"
    switch, old = after.switch, before.switch
    too_much = 0 < switch.maximum_power < power
    if _trip_is_wrong(old.power_trip_until_ns, switch.power_trip_until_ns, after, may=too_much):
        yield "a power limit tripped, or a trip ended, without reason"
    if switch.unbalance_trip_until_ns is not None:
        yield "the load of one phase tripped the limit of unbalance"
    held = switch.tamper or switch.power_trip_until_ns is not None
    if switch.closed and (after.account.balance <= 0 or held):
        yield "the load switch is closed without credit, in spite of a tamper condition or a trip"
    if not switch.closed and after.account.balance > 0 and not held:
        yield "the load switch is open without a reason"
    if switch.closed and too_much:
        yield "the load switch is closed on a load beyond its limit"


def _trip_is_wrong(old: int | None, new: int | None, after: MeterState, *, may: bool) -> bool:
    if new is not None and new == old:
        return new <= after.powered_ns
    if new is not None:
        return not may or new != after.powered_ns + _TRIP_NS
    return old is not None and old > after.powered_ns


def lost_too_much(seen: MeterState, committed: MeterState, power: int) -> Iterator[str]:
    """Give what a loss of power must not cost: ``seen`` was metered, ``committed`` is left."""
    time = seen.powered_ns - committed.powered_ns
    if not time:
        return  # what was committed last may have changed more than time does
    lost = seen.account.consumed - committed.account.consumed
    bound = min(_LOSS_WH, -(-power * _LOSS_NS // _HOUR_NS))
    if lost > bound:
        yield f"{lost} Wh of consumption were lost, at most {bound} may be"
    if any(
        left - then > _LOSS_NS for left, then in zip(_rests(committed), _rests(seen), strict=True)
    ):
        yield f"more than {_LOSS_NS // S} s of a lockout, a delay, a trip or staging last once more"
    if time > _IDLE_NS:
        yield f"{time // S} s of powered time were lost, at most {_IDLE_NS // S} s may be"


def _rests(state: MeterState) -> tuple[int, ...]:
    """Return how long each of what ends by itself still lasts, in ns."""
    trip, staging = state.switch.power_trip_until_ns, state.staging
    ends = (trip, None if staging is None else staging.deadline_ns)
    return (
        state.virtual_lockout.remaining_ns,
        state.keypad_lockout.remaining_ns,
        state.password_guard.remaining_ns,
        *(0 if end is None else max(0, end - state.powered_ns) for end in ends),
    )
