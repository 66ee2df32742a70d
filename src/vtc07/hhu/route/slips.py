"""Slips of the finger: two numbers that differ as typed ones do from printed ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slip:
    """How two numbers of the same length differ.

    ``place``: of the first digit that differs, from 1. ``swapped``: that digit and the next one
    changed places; else it is that one digit.
    """

    place: int
    swapped: bool


def slip(one: str, other: str) -> Slip | None:
    """Return how two numbers differ, None unless it is one digit, or two neighbours swapped."""
    if len(one) != len(other):
        return None
    places = [
        place for place, pair in enumerate(zip(one, other, strict=True)) if len(set(pair)) > 1
    ]
    if len(places) == 1:
        return Slip(places[0] + 1, swapped=False)
    if len(places) == 2 and places[1] == places[0] + 1:
        first, second = places
        if (one[first], one[second]) == (other[second], other[first]):
            return Slip(first + 1, swapped=True)
    return None


def nearest(number: str, others: Iterable[str]) -> tuple[str, Slip] | None:
    """Return the first of ``others`` that differs from a number by a slip, and how."""
    for other in others:
        if (found := slip(number, other)) is not None:
            return other, found
    return None
