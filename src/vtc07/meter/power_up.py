"""What is looked at, and what happens, when a meter is powered up."""

from __future__ import annotations

from dataclasses import replace

from vtc07.carrier.companion import Companion
from vtc07.meter.accounting import Load
from vtc07.meter.logs import EventName
from vtc07.meter.rules import CompanionUnfit, Rules
from vtc07.meter.state import MeterState


def require_service(companion: Companion, rules: Rules, state: MeterState) -> None:
    """Raise CompanionUnfit unless the companion is for the meter's service."""
    plate = state.nameplate
    if plate.service is not rules.service:
        raise CompanionUnfit(
            f"The companion {companion.name} is for {rules.service.name.lower()}, but the meter "
            f"is for {plate.service.name.lower()}; use the companion it was made with."
        )


def require_phases(load: Load, state: MeterState) -> None:
    """Raise ValueError where a load has more phases than the meter."""
    phases, fitting = len(load.demand(state.powered_ns).phases), state.nameplate.phases
    if phases > fitting:
        raise ValueError(f"a load of {phases} phases does not fit a meter of {fitting}")


def powered_up(state: MeterState, rules: Rules) -> MeterState:
    """Return a stored state under power; one that was left powered has lost it, which counts."""
    if state.powered:
        fails = (state.power_fails + 1) % 2**32
        state = replace(state, power_fails=fails)
        state = state.with_event(rules, EventName.POWER_FAIL, fails)
    return replace(state, powered=True).with_event(rules, EventName.POWER_UP)
