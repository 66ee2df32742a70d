"""The journal of a hand-held unit in a SQLite database: append-only, each entry chained.

One transaction for each call; it is durable when the call returns. Before it, the end of the
journal is compared with what this program wrote last: nobody else may write at the same time.
"""

from __future__ import annotations

import secrets as randomness
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final

from vtc07 import __version__
from vtc07.hhu.journal.chain import (
    SALT_LENGTH,
    canonical,
    chained,
    commitments_of,
)
from vtc07.hhu.journal.deliveries import Delivery, JournalError
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.place import Place
from vtc07.hhu.journal.result import Result
from vtc07.hhu.journal.rows import LAST_TOKEN, TOKEN, Head, JournalRows, quoted, said_of
from vtc07.hhu.journal.schema import (
    SCHEMA_VERSION,
    check_tables,
    derive,
    is_empty,
    make_durable,
    make_tables,
)
from vtc07.hhu.outcome import Outcome
from vtc07.hhu.resolution import Snapshot

#: These are written by the journal's own methods alone.
_OWN: Final = frozenset({EntryKind.BEGUN, EntryKind.OPENED, EntryKind.WRITE, EntryKind.RESULT})
FORMAT: Final = "vtc07 journal"


def random_salt() -> bytes:
    """Return a new salt from the system's randomness."""
    return randomness.token_bytes(SALT_LENGTH)


class SQLiteJournal(JournalRows):
    """A `Journal` and an `ActivityJournal` at a place, begun where there is none.

    ``salt``: makes `SALT_LENGTH` unpredictable bytes for each secret; simulations have their own.
    Use as a context manager, or call `close`. Raises JournalLocked or JournalError where the place
    cannot be used or written.
    """

    def __init__(self, place: Place, *, salt: Callable[[], bytes] = random_salt) -> None:
        self._place = place
        self._salt = salt
        self._fault: str | None = None
        place.take()
        try:
            with said_of(place.name, "cannot be used"):
                super().__init__(place.name, place.connect())
        except BaseException:
            place.release()
            raise
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database and let others use it. A second call does nothing."""
        with self._guard:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._place.release()
            self._fault = f"the journal {self._name} was closed"

    def _begin(self) -> None:
        with said_of(self._name, "cannot be used"):
            if not is_empty(self._connection):
                check_tables(self._connection, self._name)
            make_durable(self._connection)
            if is_empty(self._connection):
                self._connection.execute("BEGIN IMMEDIATE")
                make_tables(self._connection)
                self._connection.execute("COMMIT")
        self._head = self.head()
        self._place.require_in_place()

    # --- ActivityJournal -----------------------------------------------------------------------

    def record(self, *entries: NewEntry) -> Sequence[int]:
        """Write entries down together, all or none; returns their numbers when they are durable.

        ValueError: an entry of a delivery, which has methods of its own, or one that JSON cannot
        hold.
        """
        for entry in entries:
            if entry.kind in _OWN:
                raise ValueError(f"an entry {entry.kind.value!r} is written by the journal alone")
        if not entries:
            return ()
        with self._transaction(*entries) as numbers:
            pass
        return numbers

    # --- Journal -------------------------------------------------------------------------------

    def open_delivery(
        self, meter_pan: str, token: str, s0: Snapshot | None, time: datetime
    ) -> Delivery:
        """Write down that a token is about to go to a meter."""
        with self._guard:
            (last,) = self._one("SELECT max(number) FROM delivery")
            delivery = Delivery((last or 0) + 1, meter_pan, token, s0, time)
            with self._transaction(
                NewEntry(
                    EntryKind.OPENED,
                    time,
                    {
                        "s0": None
                        if s0 is None
                        else {
                            "status": s0.status,
                            "sequence": s0.sequence,
                            "last_status": s0.last_status,
                        }
                    },
                    meter_pan,
                    delivery.number,
                    secrets={TOKEN: token}
                    if s0 is None
                    else {TOKEN: token, LAST_TOKEN: s0.last_token},
                )
            ) as (number,):
                self._connection.execute(
                    "INSERT INTO delivery VALUES (?, ?, ?, 0, NULL)",
                    (delivery.number, meter_pan, number),
                )
        return delivery

    def announce_write(self, delivery: int, number: int, time: datetime) -> None:
        """Write down that an entry is about to be sent."""
        with self._guard:
            meter_pan, writes = self._still_open(delivery)
            if number != writes + 1:
                raise JournalError(f"write {number} of delivery {delivery} follows {writes}")
            with self._transaction(
                NewEntry(EntryKind.WRITE, time, {"write": number}, meter_pan, delivery)
            ):
                self._connection.execute(
                    "UPDATE delivery SET writes = ? WHERE number = ?", (number, delivery)
                )

    def close_delivery(self, delivery: int, outcome: Outcome, time: datetime) -> None:
        """Write down how it ended."""
        with self._guard:
            meter_pan, _ = self._still_open(delivery)
            members = Result.of(outcome).members
            with self._transaction(
                NewEntry(EntryKind.RESULT, time, members, meter_pan, delivery)
            ) as (number,):
                self._connection.execute(
                    "UPDATE delivery SET result = ? WHERE number = ?", (number, delivery)
                )

    def _still_open(self, number: int) -> tuple[str, int]:
        """Return an open delivery's MeterPAN, and how many entries of it were announced."""
        self._require_trust()
        sql = "SELECT meter_pan, writes, result FROM delivery WHERE number = ?"
        row = self._one(sql, (number,))
        if row is None:
            raise JournalError(f"there is no delivery {number} in the journal {self._name}")
        meter_pan, writes, result = row
        if result is not None:
            raise JournalError(f"delivery {number} has its result already")
        return meter_pan, writes

    # --- an older journal ----------------------------------------------------------------------

    def adopt(self, entries: Sequence[NewEntry], origin: Mapping[str, Any]) -> None:
        """Take over what another journal holds, deliveries and all, into this empty one.

        ``origin``: members for the first entry, that tell where the others are from.
        """
        if self._head.number != 0:
            raise JournalError(f"the journal {self._name} is not empty")
        with self._transaction(*entries, origin=origin):
            derive(self._connection)

    # --- writing -------------------------------------------------------------------------------

    @contextmanager
    def _transaction(
        self, *entries: NewEntry, origin: Mapping[str, Any] | None = None
    ) -> Iterator[Sequence[int]]:
        """Write entries, and what the block writes, together; gives their numbers."""
        # All that can be wrong with an entry itself is found before anything is written.
        prepared = [_Prepared(entry, self._salt) for entry in entries]
        with self._guard:
            self._require_trust()
            self._place.require_in_place()
            with self._trusted():
                self._connection.execute("BEGIN IMMEDIATE")
                self._require_own_end()
                if self._head.number == 0 and prepared:
                    prepared.insert(0, _begun(prepared[0].entry.time, origin or {}))
                head = self._head
                numbers: list[int] = []
                for each in prepared:
                    head = self._insert(each, head)
                    numbers.append(head.number)
                yield tuple(numbers[len(numbers) - len(entries) :])
                self._connection.execute("COMMIT")
                self._head = head

    def _require_trust(self) -> None:
        if self._fault is not None:
            raise JournalError(self._fault)

    @contextmanager
    def _trusted(self) -> Iterator[None]:
        """After a failed write nobody knows what is on the disk: nothing more is trusted to it."""
        try:
            yield
        except sqlite3.Error as error:
            self._roll_back()
            with said_of(self._name, "cannot be written"):
                code = getattr(error, "sqlite_errorname", "") or ""
                if not code.startswith("SQLITE_BUSY"):  # nothing was begun
                    sentence = f"the journal {self._name} cannot be written: {quoted(error)}"
                    self._fault = f"{sentence}; it is not used any more in this run"
                raise
        except JournalError as error:
            self._roll_back()
            self._fault = str(error)
            raise
        except BaseException:
            self._fault = (
                f"the writing of the journal {self._name} was interrupted; it is not used any more "
                "in this run"
            )
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")

    def _require_own_end(self) -> None:
        if self.head() != self._head:
            raise JournalError(
                f"the journal {self._name} was written to by another program while it was in use; "
                "find out which, and restore the file from a copy before tokens are sent"
            )

    def _insert(self, prepared: _Prepared, before: Head) -> Head:
        number = before.number + 1
        entry = prepared.entry
        digest = chained(
            before.digest,
            number=number,
            kind=entry.kind.value,
            time=prepared.time,
            meter_pan=entry.meter_pan,
            delivery=entry.delivery,
            route=entry.route,
            members=prepared.members,
            commitments=prepared.commitments,
        )
        self._connection.execute(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                entry.kind.value,
                prepared.time,
                entry.meter_pan,
                entry.delivery,
                entry.route,
                prepared.members,
                prepared.commitments,
                digest,
            ),
        )
        for name, (salt, text) in prepared.secrets.items():
            self._connection.execute(
                "INSERT INTO secret VALUES (?, ?, ?, ?)", (number, name, salt, text)
            )
        return Head(number, digest)


class _Prepared:
    """An entry with everything that is written of it but its number and its digest."""

    def __init__(self, entry: NewEntry, salt: Callable[[], bytes]) -> None:
        if entry.time.tzinfo is None:
            raise ValueError("an entry's time must say its zone")
        self.entry = entry
        self.time = entry.time.isoformat()
        self.members = canonical(dict(entry.members))
        self.secrets: Mapping[str, tuple[bytes, str]] = {
            name: (salt(), text) for name, text in sorted(entry.secrets.items())
        }
        self.commitments = commitments_of(self.secrets)


def _begun(time: datetime, origin: Mapping[str, Any]) -> _Prepared:
    """Return the first entry of every journal, which is written with the second."""
    program = f"vtc07 {__version__}"
    members = {"journal": FORMAT, "version": SCHEMA_VERSION, "program": program, **origin}
    return _Prepared(NewEntry(EntryKind.BEGUN, time, members), bytes)
