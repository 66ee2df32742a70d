"""What many runs came to, added up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from vtc07.simulation.doubles import REAL, Parts
from vtc07.simulation.plan import draw
from vtc07.simulation.powered import DIRECT
from vtc07.simulation.rows import rows_of
from vtc07.simulation.run import Coverage, Run
from vtc07.simulation.world import simulate


@dataclass(slots=True)
class Tally:
    """Sums over runs with one companion. ``failures``: seeds with a violation, and its sentence."""

    companion: str = DIRECT
    runs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    coverage: Coverage = field(default_factory=Counter)
    characters: int = 0
    commits: int = 0
    power_losses: int = 0
    tokens_executed: int = 0
    line_ns: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)

    def add(self, run: Run) -> None:
        """Add one run."""
        self.runs += 1
        self.faults.update(run.faults)
        self.outcomes.update(run.outcomes)
        self.coverage.update(run.coverage)
        self.characters += run.characters
        self.commits += run.commits
        self.power_losses += run.power_losses
        self.tokens_executed += run.tokens_executed
        self.line_ns += run.line_ns
        if run.violation is not None:
            self.failures.append((run.plan.seed, run.violation))

    def merge(self, other: Tally) -> None:
        """Add the sums of other runs."""
        self.runs += other.runs
        self.faults.update(other.faults)
        self.outcomes.update(other.outcomes)
        self.coverage.update(other.coverage)
        self.characters += other.characters
        self.commits += other.commits
        self.power_losses += other.power_losses
        self.tokens_executed += other.tokens_executed
        self.line_ns += other.line_ns
        self.failures.extend(other.failures)

    @property
    def rows(self) -> tuple[int, int]:
        """How many rows of the state tables were used, and how many there are to be used."""
        wanted = rows_of(self.companion)
        return len(wanted & self.coverage.keys()), len(wanted)

    @property
    def unused(self) -> list[str]:
        """The rows that were not used, in words."""
        return sorted(
            f"{s.value}: {heard.value}"
            for s, heard in rows_of(self.companion) - self.coverage.keys()
        )


def first_caught(parts: Parts, seeds: int, companion: str = DIRECT) -> tuple[int, str] | None:
    """Return the first seed, of so many from 0, that comes to a violation, and its sentence."""
    for seed in range(seeds):
        run = simulate(draw(seed, companion), parts)
        if run.violation is not None:
            return seed, run.violation
    return None


def run_seeds(start: int, number: int, parts: Parts = REAL, companion: str = DIRECT) -> Tally:
    """Run the plans of ``number`` seeds from ``start`` on."""
    tally = Tally(companion)
    for seed in range(start, start + number):
        tally.add(simulate(draw(seed, companion), parts))
    return tally
