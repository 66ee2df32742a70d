"""When a meter's live state must be committed for its own sake (docs/protocol.md 11)."""

from __future__ import annotations

from typing import Final

from vtc07.carrier.companion import S
from vtc07.meter import accounting
from vtc07.meter.accounting import Load
from vtc07.meter.rules import Rules
from vtc07.meter.state import MeterState

#: How often powered time alone is committed, while nothing depends on it.
IDLE_COMMIT_NS: Final = 600 * S


def upkeep_instant(live: MeterState, committed: MeterState, load: Load, rules: Rules) -> int:
    """Return the powered instant at which the live state must be committed for itself.

    While time passes it stays the same, as long as nothing changes by itself
    (`accounting.next_change`) and no lockout ends.
    """
    if (
        live.events_counted != committed.events_counted
        or (live.staging is None) != (committed.staging is None)
        or (live.virtual_lockout.refused and not committed.virtual_lockout.refused)
        or (live.keypad_lockout.refused and not committed.keypad_lockout.refused)
    ):
        return live.powered_ns
    uncommitted = live.account.consumed - committed.account.consumed
    by_consumption = accounting.instant_of_consumption(
        live, load, max(0, rules.policy.commit_consumption - uncommitted)
    )
    by_time = committed.powered_ns + _interval_ns(live, committed, load, rules)
    return by_time if by_consumption is None else min(by_time, by_consumption)


def _interval_ns(live: MeterState, committed: MeterState, load: Load, rules: Rules) -> int:
    intervals = [IDLE_COMMIT_NS]
    if live.virtual_lockout.locked or live.keypad_lockout.locked:
        intervals.append(rules.lockout.commit_interval_s * S)
    if live.password_guard.delaying and rules.password is not None:
        intervals.append(rules.password.commit_interval_s * S)
    switch = live.switch
    if (
        live.account != committed.account
        or live.staging is not None
        or switch.power_trip_until_ns is not None
        or switch.unbalance_trip_until_ns is not None
        or any(accounting.drawn(live, load))
    ):
        intervals.append(rules.policy.commit_interval_s * S)
    return min(intervals)
