"""The one interface behind which a meter's state becomes durable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from vtc07.meter.state import MeterState


@dataclass(frozen=True, slots=True)
class Changes:
    """One transaction: it leads from ``before``, the last state committed, to ``after``.

    A store may write only what differs. Which meter it speaks of is in the nameplate, so that a
    store of many meters can gather the changes of several into one group.
    """

    before: MeterState
    after: MeterState


class Store(Protocol):
    """Non-volatile memory of a meter."""

    def load(self) -> MeterState:
        """Return the state committed last."""

    def commit(self, changes: Changes) -> None:
        """Make a transaction durable: it is when this returns.

        Any exception means that the caller has to take it as not done, and the store as faulty.
        """


@dataclass(slots=True)
class MemoryStore:
    """A store for tests and simulations: what is committed outlives the meter object."""

    state: MeterState
    commits: int = field(default=0)

    def load(self) -> MeterState:
        """Return the state committed last."""
        return self.state

    def commit(self, changes: Changes) -> None:
        """Keep the state."""
        self.state = changes.after
        self.commits += 1
