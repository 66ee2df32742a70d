"""What a run came to: facts and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from vtc07.carrier.exchange.hhu_states import HHUInput, HHUState
from vtc07.carrier.exchange.meter_states import MeterInput, MeterState
from vtc07.carrier.states import ClientInput, ClientState, ServerInput, ServerState
from vtc07.simulation.plan import Plan

#: A row of a state table: where an end was, and what it heard.
Row = (
    tuple[ServerState, ServerInput]
    | tuple[ClientState, ClientInput]
    | tuple[MeterState, MeterInput]
    | tuple[HHUState, HHUInput]
)

Coverage = Counter[Row]


@dataclass(slots=True)
class Run:
    """What a run came to. ``violation`` is None where everything was as it must be.

    ``faults``: those that struck, by kind; ``outcomes``: what was reported, by its words;
    ``line_ns``: how long it took on the line; ``sent``: characters of the client and of the
    meter. ``struck``: for each fault of a character, how many characters had been sent then;
    ``steps``: how many each commit had; ``remains``: all that the meter's and the unit's disks hold
    in the end (both only where they were asked for).
    """

    plan: Plan
    violation: str | None = None
    faults: Counter[str] = field(default_factory=Counter)
    coverage: Coverage = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    characters: int = 0
    commits: int = 0
    power_losses: int = 0
    tokens_executed: int = 0
    line_ns: int = 0
    sent: tuple[int, int] = (0, 0)
    struck: list[tuple[int, int]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    remains: bytes = b""


#: Told of what happens in a run besides characters: an instant and a sentence.
OnStory = Callable[[int, str], None]
