"""Rounds of a route: what counts as done, when its file is changed or it is worked on once more.

A round begins at the first meter. It goes by the route's name and by the digest of its file, so
that next week's file of the same name is not taken for done. A file that was only corrected goes on
with the round of the one before when a person says so (`continue_round`), and a route that is
worked on again and again begins anew when a person says so (`begin_round`). Tokens know no rounds:
what a meter has taken, it has taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from vtc07.hhu.journal.entries import ActivityJournal, Entry, EntryKind, NewEntry
from vtc07.hhu.route.facts import Route

#: Tells the time of day for the journal; aware of its zone.
WallClock = Callable[[], datetime]


class Entries(Protocol):
    """What can be asked for entries: an `ActivityJournal`, or one that is open for reading."""

    def entries(
        self,
        *,
        after: int = 0,
        kinds: Sequence[EntryKind] = (),
        meter_pan: str | None = None,
        delivery: int | None = None,
        route: str | None = None,
    ) -> Iterator[Entry]:
        """Yield the entries that fit everything given, oldest first."""


@dataclass(frozen=True, slots=True)
class RouteRound:
    """One round of a route. ``number``: of the journal's entry that began it.

    ``digests``: of the files that it was worked on with, oldest first. ``joined``: numbers of
    rounds that were begun with one of them before somebody said that it is the same route.
    """

    number: int
    began: datetime
    digests: tuple[str, ...]
    joined: tuple[int, ...] = ()

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers by which the entries of visits name it."""
        return (self.number, *self.joined)


def rounds(journal: Entries, name: str) -> tuple[RouteRound, ...]:
    """Return the rounds of the routes of a name, oldest first."""
    found: dict[int, RouteRound] = {}
    for entry in journal.entries(kinds=(EntryKind.ROUTE,), route=name):
        digest, continued = str(entry.members["digest"]), entry.members.get("round")
        if continued is None:
            found[entry.number] = RouteRound(entry.number, entry.time, (digest,))
        elif continued in found:
            joined = [found.pop(n) for n in entry.members.get("joins", ()) if n in found]
            before = found[continued]
            digests = dict.fromkeys([*before.digests, *(d for j in joined for d in j.digests)])
            found[continued] = replace(
                before,
                digests=(*(d for d in digests if d != digest), digest),
                joined=(*before.joined, *(n for j in joined for n in j.numbers)),
            )
    return tuple(found.values())


def current_round(journal: Entries, route: Route) -> RouteRound | None:
    """Return the round that an open route is in, None where its work has not begun."""
    of_it = (r for r in rounds(journal, route.name) if route.digest in r.digests)
    return max(of_it, key=lambda r: r.number, default=None)


def round_of_another_file(journal: Entries, route: Route) -> RouteRound | None:
    """Return the last round of a route of this name whose file was another one.

    None where the route's work has begun already, with this very file.
    """
    if current_round(journal, route) is not None:
        return None
    return max(rounds(journal, route.name), key=lambda r: r.number, default=None)


def round_before(journal: Entries, route: Route) -> RouteRound | None:
    """Return the round that an open route would go on with, were its file only a corrected one.

    The last one with another file, before this one's own began; None where there is none, and where
    it goes on with that already.
    """
    own = current_round(journal, route)
    if own is not None and own.digests[0] != route.digest:
        return None
    others = (
        r
        for r in rounds(journal, route.name)
        if route.digest not in r.digests and (own is None or r.number < own.number)
    )
    return max(others, key=lambda r: r.number, default=None)


def begin_round(journal: ActivityJournal, route: Route, time: datetime) -> RouteRound:
    """Begin a round: what was read and written before does not count. Raises JournalError."""
    members = {"digest": route.digest, "stops": route.size}
    (number,) = journal.record(NewEntry(EntryKind.ROUTE, time, members, route=route.name))
    return RouteRound(number, time, (route.digest,))


def continue_round(
    journal: ActivityJournal, route: Route, earlier: RouteRound, time: datetime
) -> RouteRound:
    """Go on with a round although the file was changed since; what was done with either counts.

    Raises JournalError.
    """
    own = current_round(journal, route)
    joins = () if own is None or own.number == earlier.number else own.numbers
    members = {"digest": route.digest, "stops": route.size, "round": earlier.number}
    if joins:
        members = {**members, "joins": list(joins)}
    journal.record(NewEntry(EntryKind.ROUTE, time, members, route=route.name))
    found = current_round(journal, route)
    assert found is not None
    return found
