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

from vtc07.hhu.entries import ActivityJournal, Entry, EntryKind, NewEntry
from vtc07.hhu.route import Route

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

    ``digests``: of the files that it was worked on with, oldest first.
    """

    number: int
    began: datetime
    digests: tuple[str, ...]


def rounds(journal: Entries, name: str) -> tuple[RouteRound, ...]:
    """Return the rounds of the routes of a name, oldest first."""
    found: dict[int, RouteRound] = {}
    for entry in journal.entries(kinds=(EntryKind.ROUTE,), route=name):
        digest, continued = str(entry.members["digest"]), entry.members.get("round")
        if continued is None:
            found[entry.number] = RouteRound(entry.number, entry.time, (digest,))
        elif continued in found:
            before = found[continued]
            found[continued] = replace(before, digests=(*before.digests, digest))
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


def begin_round(journal: ActivityJournal, route: Route, time: datetime) -> RouteRound:
    """Begin a round: what was read and written before does not count. Raises JournalError."""
    members = {"digest": route.digest, "stops": route.size}
    (number,) = journal.record(NewEntry(EntryKind.ROUTE, time, members, route=route.name))
    return RouteRound(number, time, (route.digest,))


def continue_round(
    journal: ActivityJournal, route: Route, earlier: RouteRound, time: datetime
) -> RouteRound:
    """Go on with a round although the file was changed since. Raises JournalError."""
    members = {"digest": route.digest, "stops": route.size, "round": earlier.number}
    journal.record(NewEntry(EntryKind.ROUTE, time, members, route=route.name))
    return replace(earlier, digests=(*earlier.digests, route.digest))
