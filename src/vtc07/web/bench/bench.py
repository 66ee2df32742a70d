"""The training bench: virtual meters on lines inside this program, and a point of sale for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from vtc07.web.bench.facts import (
    KEYS,
    KINDS,
    TIME_FACTORS,
    BenchRefused,
    Field,
    Issued,
    Kind,
    LineCharacter,
    Offer,
    Panel,
    Told,
)
from vtc07.web.bench.meter import BenchMeter
from vtc07.web.bench.sale import PointOfSale

__all__ = [
    "KEYS",
    "KINDS",
    "TIME_FACTORS",
    "Bench",
    "BenchMeter",
    "BenchRefused",
    "Field",
    "Issued",
    "Kind",
    "LineCharacter",
    "Offer",
    "Panel",
    "PointOfSale",
    "Told",
]


class Bench:
    """The meters of a bench, each made when it is first asked for.

    ``on_change``: called from any thread when anything of any meter is not as it was. A context
    manager: `close` at the end.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._meters: dict[str, BenchMeter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def meters(self) -> tuple[BenchMeter, ...]:
        """Those that have been made, in that order."""
        return tuple(self._meters.values())

    def meter(self, name: str) -> BenchMeter:
        """Return the meter of the kind of this name; KeyError where there is none."""
        if name not in self._meters:
            kind = {kind.name: kind for kind in KINDS}[name]
            self._meters[name] = BenchMeter(kind, self._on_change)
        return self._meters[name]

    def close(self) -> None:
        """End all threads and lines, whatever is under way on them. A second call does nothing."""
        for meter in self._meters.values():
            meter.close()
