"""What many runs came to, added up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from vtc07.carrier.states import (
    CLIENT,
    SERVER,
    ClientInput,
    ClientState,
    ServerInput,
    ServerState,
)
from vtc07.simulation.doubles import REAL, Parts
from vtc07.simulation.plan import draw
from vtc07.simulation.run import Coverage, Row, Run
from vtc07.simulation.world import simulate

_HEARD_IN_IDLE = (
    ServerInput.ID_REQUEST,
    ServerInput.ID_REQUEST_OTHER,
    ServerInput.ID_REQUEST_DAMAGED,
    ServerInput.INCOMPLETE,
    ServerInput.LINK_CLOSED,
)


def _can_be_used(state: object, heard: object) -> bool:
    """Say whether anything can lead to a row of the two tables.

    A server that is Idle frames IDRequests only. A client without a command looks at nothing; it
    hears nothing while it says a BreakCommand, which alone ends when it was sent; and where a
    damaged answer or silence is not answered by an attempt more, no attempts run out. A meter with
    a direct port, as all here have, never says B0.
    """
    match state, heard:
        case _, ClientInput.BREAK:
            return False
        case ServerState.IDLE, _:
            return heard in _HEARD_IN_IDLE
        case ClientState.READY, _:
            return False
        case ClientState.SIGN_OFF, _:
            return heard in (ClientInput.SENT, ClientInput.LINK_LOST)
        case _, ClientInput.SENT:
            return False
        case ((ClientState.SNAPSHOT | ClientState.ENTRY), ClientInput.DAMAGED_TOO_OFTEN):
            return False
        case ClientState.ENTRY, ClientInput.GIVE_UP:
            return False
        case _:
            return True


@dataclass(slots=True)
class Tally:
    """Sums over runs. ``failures``: seeds with a violation, and its sentence."""

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
        """How many rows of the two state tables were used, and how many there are to be used."""
        wanted = _rows()
        return len(wanted & self.coverage.keys()), len(wanted)

    @property
    def unused(self) -> list[str]:
        """The rows that were not used, in words."""
        return sorted(f"{s.value}: {heard.value}" for s, heard in _rows() - self.coverage.keys())


def _rows() -> frozenset[Row]:
    rows: set[Row] = {(state, heard) for state, row in SERVER.items() for heard in row}
    rows |= {(state, heard) for state, row in CLIENT.items() for heard in row}
    return frozenset(row for row in rows if _can_be_used(*row))


def first_caught(parts: Parts, seeds: int) -> tuple[int, str] | None:
    """Return the first seed, of so many from 0, that comes to a violation, and its sentence."""
    for seed in range(seeds):
        run = simulate(draw(seed), parts)
        if run.violation is not None:
            return seed, run.violation
    return None


def run_seeds(start: int, number: int, parts: Parts = REAL) -> Tally:
    """Run the plans of ``number`` seeds from ``start`` on."""
    tally = Tally()
    for seed in range(start, start + number):
        tally.add(simulate(draw(seed), parts))
    return tally
