"""A life on a disk, and its proof: power is cut after each step, in every way, and what is left is
looked at. What lives there, a store or a journal, says itself how it is opened again.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from power_disk import Disk, Tear, cuts

State = TypeVar("State")

#: Opens what is on a disk, by what a sentence says of the place, and returns the state; None:
#: there is nothing.
Reopened = Callable[[dict[str, bytes], str], State | None]


@dataclass(frozen=True)
class Stage(Generic[State]):
    """A piece of a life on a disk: it leads from one durable state to the next.

    ``start``, ``end``: the disk's steps when it began and when it was reported done. ``before``
    None: there was nothing.
    """

    kind: str
    before: State | None
    after: State
    start: int
    end: int


@dataclass
class Life(Generic[State]):
    """What happened on a disk, stage after stage."""

    disk: Disk
    stages: list[Stage[State]] = field(default_factory=list)


@dataclass
class Tally:
    """What was tried."""

    cuts: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        lines = [f"{number:7} {kind}" for kind, number in sorted(self.cuts.items())]
        found = ", ".join(f"{number} {what}" for what, number in sorted(self.found.items()))
        return "\n".join([*lines, f"{self.cuts.total():7} cuts: {found}"])


def prove(
    life: Life[State],
    tally: Tally,
    reopened: Reopened[State],
    *,
    tears: int | None = None,
    seed: int = 0,
) -> None:
    """Cut power after every step of a life and look at what is left.

    ``tears``: so many ways at each place, chosen by the seed; None: every way, and those that
    depend on chance three times. AssertionError where a state is not what it must be.
    """
    everything = [(tear, n) for tear in Tear for n in range(3 if tear in _BY_CHANCE else 1)]
    chance = random.Random(seed)
    for done, platter in cuts(life.disk):
        stage = _stage_at(life, done)
        ways = everything if tears is None else chance.sample(everything, tears)
        seen: set[tuple[tuple[str, bytes], ...]] = set()
        for tear, number in ways:
            files = platter.after(tear, random.Random(f"{seed} {done} {number}"))
            left = tuple(sorted(files.items()))
            tally.cuts[stage.kind] += 1
            if left in seen:
                continue  # looked at already
            seen.add(left)
            where = f"{stage.kind}, after step {done} of {len(life.disk.steps)}, {tear}, {number}"
            tally.found[_judge(reopened(files, where), stage, done, where)] += 1


_BY_CHANCE: Final = (Tear.FIRST, Tear.SECTORS, Tear.GARBAGE)


def _stage_at(life: Life[State], done: int) -> Stage[State]:
    """Return the stage in which power fails: the last that had begun."""
    began = [stage for stage in life.stages if stage.start <= done]
    return began[-1] if began else life.stages[0]


def _judge(found: State | None, stage: Stage[State], done: int, where: str) -> str:
    if done >= stage.end:
        assert found == stage.after, f"a commit that was done is lost: {where}"
        return "after"
    if found == stage.after:
        return "after"
    assert found == stage.before, f"neither the state before nor the one after: {where}"
    return "nothing" if found is None else "before"
