"""A household as a load: deterministic from a seed, whole watts, constant over pieces.

Nothing is stored and nothing is drawn from a generator with a state: every number is a hash of
the seed, the day and what it is for, so an instant has the same demand whenever it is asked for.
What a household takes is made up: a base load, a fridge, cooking, light in the evening, a water
heater, a washing machine; for water and gas what goes with them.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from vtc07.carrier.companion import S
from vtc07.meter.accounting import Demand
from vtc07.tokens import Service

_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class _Use:
    """Something that may be used once a day, or once in every ``every_s`` of it.

    Begins between ``from_s`` and ``to_s``, lasts ``shortest_s`` to ``longest_s``, takes ``least``
    to ``most`` W (litres per hour) on ``phase``, on ``percent`` of the days.
    """

    name: str
    from_s: int
    to_s: int
    shortest_s: int
    longest_s: int
    least: int
    most: int
    phase: int = 0
    percent: int = 100
    every_s: int = _DAY_S


def _hours(hours: float) -> int:
    return int(hours * 3600)


_USES: Final[Mapping[Service, tuple[_Use, ...]]] = {
    Service.ELECTRICITY: (
        _Use("base", 0, 0, 3600, 3600, 50, 170, every_s=3600),
        _Use("fridge", 0, 900, 840, 1320, 80, 120, every_s=2700),
        _Use("breakfast", _hours(6.5), _hours(8), 300, 1200, 800, 1800, 1, 80),
        _Use("lunch", _hours(12), _hours(13.5), 600, 2400, 900, 2200, 1, 45),
        _Use("dinner", _hours(17.5), _hours(19.5), 1200, 3600, 1200, 2800, 1, 95),
        _Use("morning light", _hours(5.5), _hours(6.5), 1800, 5400, 40, 120, 0, 90),
        _Use("evening light", _hours(17), _hours(19), 9000, 16200, 80, 260, 0),
        _Use("morning water", _hours(4.5), _hours(6), 1200, 3000, 1800, 2200, 2),
        _Use("evening water", _hours(19), _hours(21.5), 900, 2700, 1800, 2200, 2, 85),
        _Use("washing", _hours(8.5), _hours(15), 4200, 7200, 350, 700, 2, 35),
    ),
    Service.WATER: (
        _Use("taps", 0, 6600, 20, 120, 120, 480, percent=45, every_s=7200),
        _Use("morning shower", _hours(5.5), _hours(7.5), 240, 720, 420, 720, percent=90),
        _Use("evening shower", _hours(18), _hours(22), 240, 720, 420, 720, percent=60),
        _Use("dishes", _hours(18.5), _hours(21), 180, 600, 240, 480, percent=80),
        _Use("washing", _hours(8.5), _hours(15), 300, 600, 300, 600, percent=35),
    ),
    Service.GAS: (
        _Use("breakfast", _hours(6.5), _hours(8), 300, 1200, 100, 260, percent=80),
        _Use("lunch", _hours(12), _hours(13.5), 600, 2400, 150, 400, percent=45),
        _Use("dinner", _hours(17.5), _hours(19.5), 1200, 3600, 200, 500, percent=95),
        _Use("heating", 0, 1500, 600, 2100, 700, 1600, percent=75, every_s=3600),
        _Use("hot water", _hours(5.5), _hours(7.5), 300, 900, 1800, 2600, percent=95),
    ),
}

#: A day in pieces: where each begins, in s of the day from 0 on, and what flows from there on.
_Day = tuple[list[int], list[tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class HouseholdLoad:
    """A household with the habits that follow from ``seed``; powered time 0 is a midnight.

    ``phases``: 1, or 3 for electricity. ``service``: what is used; a meter of connection time has
    no household (ValueError).
    """

    seed: int
    phases: int = 1
    service: Service = Service.ELECTRICITY
    #: The day that was asked for last, worked out; a matter of speed alone.
    _days: dict[int, _Day] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.service not in _USES:
            raise ValueError("a household uses electricity, water or gas")
        if self.phases not in (1, 3) or (self.phases == 3 and self.service != Service.ELECTRICITY):
            raise ValueError("a household has 1 phase, or 3 if it is for electricity")

    def demand(self, powered_ns: int) -> Demand:
        """Return the demand."""
        day, in_day_ns = divmod(powered_ns, _DAY_S * S)
        worked_out = self._days.get(day)
        if worked_out is None:
            worked_out = self._work_out(day)
            self._days.clear()
            self._days[day] = worked_out
        starts, pieces = worked_out
        place = bisect.bisect_right(starts, in_day_ns // S)
        until_s = starts[place] if place < len(starts) else _DAY_S
        return Demand(pieces[place - 1], (day * _DAY_S + until_s) * S)

    def _work_out(self, day: int) -> _Day:
        changes: dict[int, list[int]] = {0: [0] * self.phases}
        for use in _USES[self.service]:
            for slot_s in range(0, _DAY_S, use.every_s):
                drawn = _Draw(self.seed, day, use.name, slot_s)
                if drawn.between(1, 100) > use.percent:
                    continue
                begin = slot_s + drawn.between(use.from_s, use.to_s)
                end = min(begin + drawn.between(use.shortest_s, use.longest_s), _DAY_S)
                watts, phase = drawn.between(use.least, use.most), use.phase % self.phases
                changes.setdefault(begin, [0] * self.phases)[phase] += watts
                if end < _DAY_S:
                    changes.setdefault(end, [0] * self.phases)[phase] -= watts
        starts = sorted(changes)
        flowing = [0] * self.phases
        pieces = []
        for start in starts:
            flowing = [w + change for w, change in zip(flowing, changes[start], strict=True)]
            pieces.append(tuple(flowing))
        return starts, pieces


class _Draw:
    """Numbers for one use on one day: hashes of what they are for."""

    __slots__ = ("_numbers",)

    def __init__(self, seed: int, day: int, name: str, slot_s: int) -> None:
        digest = hashlib.sha256(f"{seed}/{day}/{name}/{slot_s}".encode()).digest()
        self._numbers = (int.from_bytes(digest[at : at + 4], "big") for at in range(0, 32, 4))

    def between(self, least: int, most: int) -> int:
        """Return the next number, from ``least`` to ``most``."""
        return least + next(self._numbers) % (most - least + 1)
