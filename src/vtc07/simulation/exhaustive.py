"""Every single fault of a kind, one after the other, and every pair of two cuts.

For one delivery of each kind of token: the line is cut at every character of either end, and the
power at every step of every commit. For two kinds also in pairs: a cut in the session, and one at
every character of its recovery. Nothing is drawn here; the number of runs is what there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from vtc07.carrier.companion import MS
from vtc07.simulation.doubles import REAL, Parts
from vtc07.simulation.faults import Cut, PowerLostInCommit
from vtc07.simulation.issued import TokenKind
from vtc07.simulation.plan import NEARLY_FULL, Plan
from vtc07.simulation.powered import DIRECT, MeterMake
from vtc07.simulation.run import Run
from vtc07.simulation.world import simulate
from vtc07.tokens import EA

#: What is cut in pairs.
PAIRED: Final = (TokenKind.CREDIT, TokenKind.KEY_CHANGE)


@dataclass(frozen=True, slots=True)
class Count:
    """How many runs one kind of token had: ``cuts``, ``power_losses`` and ``pairs`` of cuts."""

    kind: TokenKind
    cuts: int = 0
    power_losses: int = 0
    pairs: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.kind,
            self.cuts + other.cuts,
            self.power_losses + other.power_losses,
            self.pairs + other.pairs,
        )


def plan_of(kind: TokenKind, *, executing: bool = True, companion: str = DIRECT) -> Plan:
    """Return the delivery of one token (or set) without a fault.

    ``executing``: the token takes so long that the client sees tokenStatus 16.
    """
    credit = NEARLY_FULL if kind is TokenKind.OVERFLOW else 5000
    pair = kind in (TokenKind.KEY_CHANGE, TokenKind.KEY_CHANGE_WITH_SGC)
    make = MeterMake(
        ea=EA.STA if pair else EA.MISTY1,
        credit=credit,
        execution_ns=900 * MS if executing else 0,
        companion=companion,
    )
    return Plan(0, make, ((kind, 0),))


def undisturbed(plan: Plan) -> Run:
    """Return the run of a plan without a fault; ValueError where even that is wrong."""
    run = simulate(plan, in_detail=True)
    if run.violation is not None:
        raise ValueError(f"a delivery without a fault: {run.violation}")
    return run


def cuts(plan: Plan) -> Iterator[Plan]:
    """Give the plan with a cut at every character, of either end, told or not."""
    up, down = undisturbed(plan).sent
    for told in (False, True):
        for place in range(up):
            yield replace(plan, faults=(Cut("client", place, None, told),))
        for place in range(down):
            yield replace(plan, faults=(Cut("server", place, None, told),))


def power_losses(plan: Plan) -> Iterator[Plan]:
    """Give the plan with a loss of power before and after every step of every commit."""
    for commit, steps in enumerate(undisturbed(plan).steps):
        for step in range(steps):
            for done in (False, True):
                yield replace(plan, faults=(PowerLostInCommit(commit, step, done, 0),))


def first_cuts(plan: Plan) -> tuple[Cut, ...]:
    """Return the cuts that a pair begins with: one at every character of either end."""
    up, down = undisturbed(plan).sent
    return (
        *(Cut("client", place, None) for place in range(up)),
        *(Cut("server", place, None) for place in range(down)),
    )


def pairs(plan: Plan, first: Cut) -> Iterator[Plan]:
    """Give the plan with one cut, and a second one at every character that follows it."""
    run = simulate(replace(plan, faults=(first,)))
    if not run.struck:
        return
    (up, down), (last_up, last_down) = run.struck[0], run.sent
    for place in range(up + (first.sender == "client"), last_up):
        yield replace(plan, faults=(first, Cut("client", place, None)))
    for place in range(down + (first.sender == "server"), last_down):
        yield replace(plan, faults=(first, Cut("server", place, None)))


def run_singles(
    kind: TokenKind, parts: Parts = REAL, *, companion: str = DIRECT
) -> tuple[Count, list[Run]]:
    """Run every single cut and every single loss of power; return the count and the failures."""
    plan, failures = plan_of(kind, companion=companion), list[Run]()
    count = Count(kind)
    for single in cuts(plan):
        count += Count(kind, cuts=1)
        _run(single, parts, failures)
    for single in power_losses(plan):
        count += Count(kind, power_losses=1)
        _run(single, parts, failures)
    return count, failures


def run_pairs(
    kind: TokenKind, first: Cut, parts: Parts = REAL, *, companion: str = DIRECT
) -> tuple[Count, list[Run]]:
    """Run every pair that begins with a cut; return the count and the failures."""
    failures, count = list[Run](), Count(kind)
    for pair in pairs(plan_of(kind, executing=False, companion=companion), first):
        count += Count(kind, pairs=1)
        _run(pair, parts, failures)
    return count, failures


def _run(plan: Plan, parts: Parts, failures: list[Run]) -> None:
    run = simulate(plan, parts)
    if run.violation is not None:
        failures.append(run)
