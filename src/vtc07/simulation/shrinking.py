"""Making a plan that fails as small as it can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from vtc07.carrier.companion import S
from vtc07.simulation.doubles import REAL, Parts
from vtc07.simulation.faults import (
    Cut,
    Delay,
    Fault,
    HostileClient,
    KeypadEntry,
    PowerLostAtCharacter,
    PowerLostInCommit,
)
from vtc07.simulation.plan import Plan
from vtc07.simulation.powered import MeterMake
from vtc07.simulation.world import simulate

_MOST_RUNS = 400


def shrink(plan: Plan, parts: Parts = REAL, *, fails: Callable[[Plan], bool] | None = None) -> Plan:
    """Return the smallest plan found that still fails: fewer faults, fewer tokens, simpler values.

    ``fails``: by default whether the run has a violation. The plan given must fail.
    """
    if fails is None:

        def fails(smaller: Plan) -> bool:
            return simulate(smaller, parts).violation is not None

    runs, found = 0, True
    while found and runs < _MOST_RUNS:
        found = False
        for smaller in _smaller(plan):
            runs += 1
            if fails(smaller):
                plan, found = smaller, True
                break
            if runs >= _MOST_RUNS:
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    for place in range(len(plan.faults)):
        yield replace(plan, faults=plan.faults[:place] + plan.faults[place + 1 :])
    for place in reversed(range(len(plan.tokens))):
        if len(plan.tokens) > 1:
            yield replace(plan, tokens=plan.tokens[:place] + plan.tokens[place + 1 :])
    simple = MeterMake(ea=plan.make.ea, kt=plan.make.kt, companion=plan.make.companion)
    for name in (
        "power",
        "credit",
        "execution_ns",
        "failures",
        "tampered",
        "executed",
        "wrong_passwords",
    ):
        value = getattr(simple, name)
        if getattr(plan.make, name) != value:
            yield replace(plan, make=replace(plan.make, **{name: value}))
    if plan.threshold is not None:
        yield replace(plan, threshold=None)
    if plan.stated_ms:
        yield replace(plan, stated_ms=0)
    if plan.resumes:
        yield replace(plan, resumes=False)
    if plan.password:
        yield replace(plan, password=False)
    if plan.speed is not None:
        yield replace(plan, speed=None)
    if not plan.addressed:
        yield replace(plan, addressed=True)
    for place, fault in enumerate(plan.faults):
        simpler: Fault | None = None
        match fault:
            case Cut(duration_ns=int()):
                simpler = replace(fault, duration_ns=None)
            case Delay(duration_ns=duration) if duration % S:
                simpler = replace(fault, duration_ns=-(-duration // S) * S)
            case PowerLostAtCharacter(off_ns=off) | PowerLostInCommit(off_ns=off) if off:
                simpler = replace(fault, off_ns=0)
            case KeypadEntry(at_ns=at) if at % S:
                simpler = replace(fault, at_ns=at // S * S)
            case HostileClient(seed=seed) if seed > 100:
                for smaller in range(20):
                    yield _with(plan, place, replace(fault, seed=smaller))
        if simpler is not None:
            yield _with(plan, place, simpler)


def _with(plan: Plan, place: int, fault: object) -> Plan:
    return replace(plan, faults=(*plan.faults[:place], fault, *plan.faults[place + 1 :]))  # type: ignore[arg-type]
