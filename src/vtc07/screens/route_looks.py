"""What can be seen of a route: its findings, how far it has come, a page of its stops.

All of it reads files and the journal and may take its time: nothing here is for an event loop.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vtc07.hhu.journal.reading import open_for_reading
from vtc07.hhu.route.check import Counts, RouteCheck
from vtc07.hhu.route.facts import Stop
from vtc07.hhu.route.file import RouteFile, open_route
from vtc07.hhu.route.findings import Finding, Severity
from vtc07.hhu.route.numbers import digits_of, full_number
from vtc07.hhu.route.state import RouteStates
from vtc07.hhu.route.task import RouteSummary, StopResult, StopState
from vtc07.screens.kept_routes import KeptRoute

#: So many stops, and so many findings, are shown at once; a route may have many more.
PAGE: Final = 100
#: So many findings of a severity are kept to be shown; of a spoiled column there is one a line.
MOST_FINDINGS: Final = 5_000
#: A stop of which nothing is left to be tried.
FINISHED: Final = (StopResult.DONE, StopResult.REFUSED)
_WORST_FIRST: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of a route found. ``findings``: worst first; ``more``: how many beyond them."""

    findings: tuple[Finding, ...]
    more: int
    counts: Counts
    is_json: bool


@dataclass(frozen=True, slots=True)
class StopPage:
    """A page of a route's stops. ``more``: whether others follow."""

    stops: tuple[StopState, ...]
    more: bool


def check_through(path: Path) -> Checked:
    """Check a route's file through. OSError, RouteError."""
    check = RouteCheck(path)
    found: dict[Severity, list[Finding]] = {severity: [] for severity in _WORST_FIRST}
    more = 0
    for finding in check.findings():
        if len(found[finding.severity]) < MOST_FINDINGS:
            found[finding.severity].append(finding)
        else:
            more += 1
    worst_first = tuple(finding for severity in _WORST_FIRST for finding in found[severity])
    return Checked(worst_first, more, check.counts, check.is_json)


class RouteLooks:
    """What was seen of routes, kept for as long as it is true. May be used by any thread."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._open: dict[str, RouteFile] = {}
        self._checked: dict[str, Checked] = {}
        self._counted: dict[str, tuple[int, RouteSummary]] = {}

    def opened(self, kept: KeptRoute) -> RouteFile:
        """Return a route, opened. OSError, RouteError."""
        route = self._open.get(kept.name)
        if route is None:
            route = self._open[kept.name] = open_route(kept.path)
        return route

    def checked(self, kept: KeptRoute) -> Checked:
        """Return what is wrong with a route. OSError, RouteError."""
        found = self._checked.get(kept.name)
        if found is None:
            found = self._checked[kept.name] = check_through(kept.path)
        return found

    def forget(self, kept: KeptRoute) -> None:
        """Know nothing of a route any more."""
        for known in (self._open, self._checked, self._counted):
            known.pop(kept.name, None)

    def summary(self, kept: KeptRoute) -> RouteSummary:
        """Return how far a route has come. OSError, RouteError, JournalError."""
        route = self.opened(kept)
        with open_for_reading(self._journal) as journal, journal.held_still():
            head = journal.head().number
            known = self._counted.get(kept.name)
            if known is not None and known[0] == head:
                return known[1]
            summary = RouteStates(journal, route).summary()
        self._counted[kept.name] = (head, summary)
        return summary

    def stops(self, kept: KeptRoute, page: int, *, everything: bool, wanted: str = "") -> StopPage:
        """Return a page of stops, from 0: all of them, or those where something is left to do.

        ``wanted``: a piece of the place or of the meter's number. OSError, RouteError,
        JournalError.
        """
        route = self.opened(kept)
        with open_for_reading(self._journal) as journal, journal.held_still():
            states = RouteStates(journal, route)
            found = (states.of(stop) for stop in _wanted(route.stops(), wanted))
            left = (each for each in found if everything or each.result not in FINISHED)
            shown = tuple(itertools.islice(left, page * PAGE, (page + 1) * PAGE + 1))
        return StopPage(shown[:PAGE], len(shown) > PAGE)


def _wanted(stops: Iterator[Stop], wanted: str) -> Iterator[Stop]:
    words = wanted.casefold().strip()
    number = digits_of(wanted.strip())
    for stop in stops:
        meter = digits_of(stop.meter)
        if (
            not words
            or words in stop.place.casefold()
            or words in stop.notes.casefold()
            or (number.isdigit() and (number in meter or number in full_number(meter)))
        ):
            yield stop
