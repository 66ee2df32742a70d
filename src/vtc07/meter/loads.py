"""Loads made of other loads: accelerated, begun at some instant, with single phases changed.

The loads themselves: `vtc07.meter.accounting.ConstantLoad`, `vtc07.meter.loads_profile` and
`vtc07.meter.loads_household`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vtc07.meter.accounting import Demand, Load


@dataclass(frozen=True, slots=True)
class Accelerated:
    """A load whose time passes ``factor`` times as fast: a day of it in a few minutes.

    What flows at an instant stays as it is, but ``factor`` seconds of it are metered in a second.
    The meter's own times (trips, lockouts, staging) are not accelerated. ``factor``: 1 or more.
    """

    load: Load
    factor: int

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError("a load is accelerated by a whole number from 1 on")

    def demand(self, powered_ns: int) -> Demand:
        """Return the demand; a piece lasts until the first ns that the next one has begun."""
        demand = self.load.demand(powered_ns * self.factor)
        until_ns = None if demand.until_ns is None else -(-demand.until_ns // self.factor)
        return Demand(demand.phases, until_ns, demand.pace * self.factor)


@dataclass(frozen=True, slots=True)
class Since:
    """A load whose time begins at the powered instant ``start_ns``; before, it is as then."""

    load: Load
    start_ns: int

    def demand(self, powered_ns: int) -> Demand:
        """Return the demand."""
        demand = self.load.demand(max(0, powered_ns - self.start_ns))
        if demand.until_ns is None:
            return demand
        return replace(demand, until_ns=demand.until_ns + self.start_ns)


@dataclass(frozen=True, slots=True)
class PhaseLoad:
    """A load on a meter of ``len(phases)`` phases, of which some are changed.

    ``phases``: for each phase None (what the load asks for; nothing where it has no such phase),
    or the W that it takes instead, 0 for a phase that is switched off.
    """

    load: Load
    phases: tuple[int | None, ...]

    def __post_init__(self) -> None:
        if not self.phases or any(watts is not None and watts < 0 for watts in self.phases):
            raise ValueError("a load needs at least one phase and takes no negative power")
        if len(self.load.demand(0).phases) > len(self.phases):
            raise ValueError("a load with single phases changed needs an entry for each phase")

    def demand(self, powered_ns: int) -> Demand:
        """Return the demand."""
        demand = self.load.demand(powered_ns)
        asked = demand.phases + (0,) * (len(self.phases) - len(demand.phases))
        taken = zip(asked, self.phases, strict=True)
        return replace(demand, phases=tuple(w if set_to is None else set_to for w, set_to in taken))
