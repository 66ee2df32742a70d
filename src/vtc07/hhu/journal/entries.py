"""The entries of a journal: everything that a hand-held unit sends and learns, in its order.

An entry is a fact with a time. Its digest covers the digest of the entry before it, so that
nothing can be changed, added or taken away in the middle without a trace. Tokens are kept apart
from the rest, each behind a commitment that the digest covers: an export without them can still be
verified.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


class EntryKind(enum.Enum):
    """What an entry says; the value stands in the journal."""

    BEGUN = "begun"
    """The first entry of every journal: its format, and the program that began it."""
    OPENED = "opened"
    """A delivery: token, MeterPAN and S0, before the token is sent."""
    WRITE = "write"
    """The n-th token entry of a delivery is about to be sent."""
    RESULT = "result"
    """How a delivery ended."""
    ASKED = "asked"
    """A command is about to be sent to a meter."""
    MESSAGE = "message"
    """A message passed on the line, with its time and its sender."""
    ANSWERED = "answered"
    """What a command came to."""
    SETTING = "setting"
    """An ordinary register is about to be written."""
    SET = "set"
    """What became of that: written, refused, read back."""
    ROUTE = "route"
    """The work on a route begins, begins anew, or goes on with a changed file."""
    ARRIVED = "arrived"
    """A meter of a route was identified; its work begins."""
    TASK = "task"
    """What became of one task of a route at a meter."""
    LEFT = "left"
    """The work at that meter ended, done or not."""
    DIAGNOSED = "diagnosed"
    """What a diagnosis read and found."""
    NOTE = "note"
    """What a person wrote, or what was noticed on the way."""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry that is to be written. ``members`` and ``secrets`` are as in `Entry`."""

    kind: EntryKind
    time: datetime
    members: Mapping[str, Any] = field(default_factory=dict)
    meter_pan: str | None = None
    delivery: int | None = None
    route: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it stands in the journal.

    ``number`` counts from 1 without a gap. ``members`` is what JSON can hold, and never a token:
    what tells one (a token's digits, a message with a token in it) stands in ``secrets`` by name;
    an export that is masked has none. ``digest``: SHA-256, 32 bytes.
    """

    number: int
    kind: EntryKind
    time: datetime
    members: Mapping[str, Any]
    meter_pan: str | None
    delivery: int | None
    route: str | None
    secrets: Mapping[str, str] = field(repr=False)
    digest: bytes


class ActivityJournal(Protocol):
    """A journal that takes entries of every kind. Every method may raise JournalError."""

    def record(self, *entries: NewEntry) -> Sequence[int]:
        """Write entries down together, all or none; returns their numbers when they are durable.

        Deliveries are written by the methods of `vtc07.hhu.journal.deliveries.Journal`, never by
        this one.
        """

    def entries(
        self,
        *,
        after: int = 0,
        kinds: Sequence[EntryKind] = (),
        meter_pan: str | None = None,
        delivery: int | None = None,
        route: str | None = None,
    ) -> Iterator[Entry]:
        """Yield the entries that fit everything given, oldest first, one at a time in memory."""
