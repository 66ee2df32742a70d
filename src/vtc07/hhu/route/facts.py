"""A route: the meters of a day or a week, and what is to be done at each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from vtc07.hhu.texts import Said


@dataclass(frozen=True, slots=True)
class RouteToken:
    """A token of a route, 20 digits; not in repr, a token is money.

    ``section`` and ``sections``: which of how many tokens of a key change it is (2 of 4), both None
    for any other token.
    """

    digits: str = field(repr=False)
    section: int | None = None
    sections: int | None = None

    @property
    def of_key_change(self) -> bool:
        """Say whether it is one of a key change set."""
        return self.section is not None


@dataclass(frozen=True, slots=True)
class Stop:
    """One meter of a route, and its tasks in the order in which they are done.

    ``line``: where it stands: the line of a CSV file, the place in the list of a JSON file, from 1.
    ``meter``: a MeterPAN (18 digits) or a DRN (11 or 13). ``read``: registers as `vtc07 read` takes
    them; ``write``: ``REGISTER=VALUE``. Tokens are delivered first, then registers written, then
    read, so that what is read is what is left behind.

    ``errors``: why its work cannot be done as it stands in the file (a token of 19 digits, a key
    change with a section missing), and what to do; the rest of it is then what could be read.
    """

    line: int
    meter: str
    place: str = ""
    deliver: tuple[RouteToken, ...] = ()
    write: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    notes: str = ""
    errors: tuple[Said, ...] = ()


class RouteError(Exception):
    """A route cannot be used: a sentence for people, with file, line and what to change."""


class Route(Protocol):
    """A route that is open. Nothing of it is kept in memory but what is being looked at."""

    @property
    def name(self) -> str:
        """By what it is known from one day to the next.

        The file's name without its ending, or what a route in JSON says as its ``route``.
        """

    @property
    def digest(self) -> str:
        """SHA-256 of the file as it was opened, in hexadecimal."""

    @property
    def size(self) -> int:
        """How many stops it has."""

    @property
    def faulty(self) -> int:
        """How many of them have errors; `vtc07 route check` tells each."""

    def stops(self) -> Iterator[Stop]:
        """Yield the stops in the order of the file; RouteError if it was changed meanwhile.

        Also those with errors: they are never worked on, and never done.
        """

    def stops_of(self, meter_pan: str) -> tuple[Stop, ...]:
        """Return the stops of the meter with this MeterPAN, by MeterPAN or by DRN.

        RouteError if the file was changed meanwhile, and where one of these stops has errors: they
        stand in it as one sentence, and nothing is to be done at this meter before they are mended.
        """
