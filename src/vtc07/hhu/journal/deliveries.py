"""The journal of deliveries: what must survive a crash between a token's entry and its result.

An entry is opened before a token is written, every write is announced before it is sent, and a
result closes it. An entry without result is resolved with its own S0 before another token goes to
that meter (docs/protocol.md 10). All three must be durable when they return.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal.entries import ActivityJournal, Entry, EntryKind
from vtc07.hhu.journal.result import Result
from vtc07.hhu.outcome import Delivered, Meaning, Outcome, Refused
from vtc07.hhu.resolution import Snapshot


class JournalError(Exception):
    """The journal cannot be used; the message is a sentence for people."""


class JournalLocked(JournalError):
    """Somebody else has the journal open."""

    def __init__(self, name: str) -> None:
        super().__init__(f"another program is using the journal {name}; wait until it has ended")


class JournalMissing(JournalError):
    """There is no journal of this name to be read, or nothing in it yet."""

    def __init__(
        self, name: str, why: str = "is not there; it begins when something is sent to a meter"
    ) -> None:
        super().__init__(f"the journal {name} {why}")


class JournalCorrupt(JournalError):
    """A line is not what the journal wrote. ``name`` is the journal's; ``line`` counts from 1."""

    def __init__(self, name: str, line: int, why: str) -> None:
        self.name = name
        self.line = line
        super().__init__(
            f"{name}, line {line}: {why}. Nothing was changed; restore the file from a copy, or "
            "move it away and check by hand the meters that it names"
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery as the journal knows it.

    ``s0`` is None where the companion has no snapshot registers. ``writes`` counts the entries
    announced; a crash may have come before the last one was sent. ``ended``: the outcome, None as
    long as it is open.
    """

    number: int
    meter_pan: str
    token: str = field(repr=False)
    s0: Snapshot | None
    opened: datetime
    writes: int = 0
    ended: Result | None = None
    closed: datetime | None = None

    @property
    def result(self) -> str | None:
        """The outcome in words, None as long as it is open."""
        return None if self.ended is None else self.ended.text


class Journal(Protocol):
    """Where deliveries are written down. Every method may raise JournalError.

    Methods that write return when what they wrote is durable. They may be called from another
    thread than the one that opened the journal, one call at a time.
    """

    def open_delivery(
        self, meter_pan: str, token: str, s0: Snapshot | None, time: datetime
    ) -> Delivery:
        """Write down that a token is about to go to a meter; returns the open delivery."""

    def announce_write(self, delivery: int, number: int, time: datetime) -> None:
        """Write down that the ``number``-th entry of it is about to be sent."""

    def close_delivery(self, delivery: int, outcome: Outcome, time: datetime) -> None:
        """Write down how it ended."""

    def unresolved(self, meter_pan: str | None = None) -> Sequence[Delivery]:
        """Return the deliveries without result, oldest first; of one meter, or of all."""

    def deliveries(self, meter_pan: str | None = None) -> Sequence[Delivery]:
        """Return every delivery, oldest first; of one meter, or of all."""

    def delivery(self, number: int) -> Delivery:
        """Return one delivery; JournalError where there is none of this number."""


class ReadableJournal(Protocol):
    """What can be asked of any journal, one that is only read included."""

    def unresolved(self, meter_pan: str | None = None) -> Sequence[Delivery]:
        """Return the deliveries without result, oldest first; of one meter, or of all."""

    def deliveries(self, meter_pan: str | None = None) -> Sequence[Delivery]:
        """Return every delivery, oldest first; of one meter, or of all."""

    def delivery(self, number: int) -> Delivery:
        """Return one delivery; JournalError where there is none of this number."""

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


class UnitJournal(Journal, ActivityJournal, Protocol):
    """The journal of a hand-held unit: its deliveries, and everything else that it does."""


class DeliveryBook:
    """The rules that every journal obeys, over deliveries in memory."""

    def __init__(self) -> None:
        self._deliveries: dict[int, Delivery] = {}
        #: the number of the next delivery
        self.next_number = 1

    def opened(self, delivery: Delivery) -> None:
        """Take an opened delivery; JournalError where its number does not follow the others."""
        if delivery.number in self._deliveries:
            raise JournalError(f"delivery {delivery.number} is opened twice")
        if delivery.number < self.next_number:
            raise JournalError(f"delivery {delivery.number} does not follow those before it")
        self._deliveries[delivery.number] = delivery
        self.next_number = delivery.number + 1

    def announced(self, number: int, write: int) -> None:
        """Take an announced write; JournalError where it does not follow the one before."""
        delivery = self.still_open(number)
        if write != delivery.writes + 1:
            raise JournalError(f"write {write} of delivery {number} follows write {write - 1}")
        self._deliveries[number] = replace(delivery, writes=write)

    def closed(self, number: int, ended: Result, time: datetime) -> None:
        """Take a result."""
        self._deliveries[number] = replace(self.still_open(number), ended=ended, closed=time)

    def one(self, number: int) -> Delivery:
        """Return a delivery; JournalError where there is none of this number."""
        delivery = self._deliveries.get(number)
        if delivery is None:
            raise JournalError(f"there is no delivery {number}")
        return delivery

    def still_open(self, number: int) -> Delivery:
        """Return an open delivery; JournalError where there is none of this number."""
        delivery = self.one(number)
        if delivery.ended is not None:
            raise JournalError(f"delivery {number} has its result already")
        return delivery

    def all(self, meter_pan: str | None = None) -> tuple[Delivery, ...]:
        """Return every delivery, oldest first; of one meter, or of all."""
        return tuple(d for d in self._deliveries.values() if meter_pan in (None, d.meter_pan))

    def unresolved(self, meter_pan: str | None) -> tuple[Delivery, ...]:
        """Return the open ones, oldest first."""
        return tuple(d for d in self.all(meter_pan) if d.ended is None)


class MemoryJournal:
    """A journal that lasts as long as the object: for simulations, and where nothing is at stake.

    A procedure that is abandoned in the middle leaves what a crash would leave in a file.
    """

    def __init__(self) -> None:
        self._book = DeliveryBook()

    def open_delivery(
        self, meter_pan: str, token: str, s0: Snapshot | None, time: datetime
    ) -> Delivery:
        """Write down that a token is about to go to a meter."""
        delivery = Delivery(self._book.next_number, meter_pan, token, s0, time)
        self._book.opened(delivery)
        return delivery

    def announce_write(self, delivery: int, number: int, time: datetime) -> None:  # noqa: ARG002 - the interface's
        """Write down that an entry is about to be sent."""
        self._book.announced(delivery, number)

    def close_delivery(self, delivery: int, outcome: Outcome, time: datetime) -> None:
        """Write down how it ended."""
        self._book.closed(delivery, Result.of(outcome), time)

    def unresolved(self, meter_pan: str | None = None) -> tuple[Delivery, ...]:
        """Return the deliveries without result."""
        return self._book.unresolved(meter_pan)

    def deliveries(self, meter_pan: str | None = None) -> tuple[Delivery, ...]:
        """Return every delivery, oldest first; of one meter, or of all."""
        return self._book.all(meter_pan)

    def delivery(self, number: int) -> Delivery:
        """Return one delivery."""
        return self._book.one(number)


def delivered_before(
    deliveries: Sequence[Delivery], meter_pan: str, tokens: Sequence[str]
) -> dict[int, Delivered]:
    """Return which of ``tokens``, by place, this meter need not be given again.

    Those that the journal knows as accepted, and key change sections whose set is complete: a
    later token of the list was accepted. A section that is only staged may have timed out, and
    entering it again harms nothing.
    """
    known: dict[str, Delivered] = {}
    for delivery in deliveries:
        ended = delivery.ended
        if delivery.meter_pan != meter_pan or ended is None:
            continue
        if ended.taken is not None:
            known[delivery.token] = Delivered(ended.taken)
        elif ended.now_or_before and ended.status is not None:
            known[delivery.token] = Delivered(ended.status, now_or_before=True)
    accepted = [
        place
        for place, token in enumerate(tokens)
        if token in known
        and (known[token].status is TokenStatus.ACCEPT or known[token].now_or_before)
    ]
    return {
        place: known[token]
        for place, token in enumerate(tokens)
        if token in known and accepted and place <= accepted[-1]
    }


def in_doubt(deliveries: Sequence[Delivery]) -> set[str]:
    """Return the tokens that a meter may have taken without anybody knowing.

    ``deliveries``: those to it, oldest first. Only a meter that does not tell what became of a
    token leaves such behind, open or closed; what it said of a token later ends the doubt.
    """
    doubtful: set[str] = set()
    for delivery in deliveries:
        ended = delivery.ended
        if ended is not None and ended.outcome in (Delivered.__name__, Refused.__name__):
            doubtful.discard(delivery.token)
        unknown = delivery.writes if ended is None else ended.meaning is Meaning.UNRESOLVED
        if delivery.s0 is None and unknown:
            doubtful.add(delivery.token)
    return doubtful
