"""What stands in a journal's database, read a page at a time.

Entries are never changed, so a page that is read while somebody writes is as good as any; memory
holds one page, however long the journal is.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from threading import RLock
from types import TracebackType
from typing import Any, Final, Self

from vtc07.durable.database import Connection
from vtc07.hhu.journal.chain import NO_COMMITMENTS, START
from vtc07.hhu.journal.deliveries import Delivery, JournalError
from vtc07.hhu.journal.entries import Entry, EntryKind
from vtc07.hhu.journal.result import Result
from vtc07.hhu.resolution import Snapshot

_PAGE: Final = 256
_COLUMNS: Final = "number, kind, time, meter_pan, delivery, route, members, commitments, digest"
_DELIVERIES: Final = "SELECT number, writes, opened, result FROM delivery"

#: Names of secrets of a delivery's first entry.
TOKEN: Final = "token"  # noqa: S105 - a name, not a secret
LAST_TOKEN: Final = "last_token"  # noqa: S105 - likewise


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a journal: the number of its last entry, 0 without any, and that one's digest."""

    number: int
    digest: bytes


class JournalRows:
    """The reading side of a journal, over an open database; any thread, one call at a time."""

    def __init__(self, name: str, connection: Connection) -> None:
        self._name = name
        self._connection = connection
        self._guard = RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database. A second call does nothing."""
        self._connection.close()

    # --- entries -------------------------------------------------------------------------------

    def head(self) -> Head:
        """Return where the journal ends now."""
        row = self._one("SELECT number, digest FROM entry ORDER BY number DESC LIMIT 1")
        return Head(0, START) if row is None else Head(*row)

    def entries(
        self,
        *,
        after: int = 0,
        kinds: Sequence[EntryKind] = (),
        meter_pan: str | None = None,
        delivery: int | None = None,
        route: str | None = None,
    ) -> Iterator[Entry]:
        """Yield the entries that fit everything given, oldest first, one at a time in memory.

        What is written meanwhile may be among them or not.
        """
        wanted = [kind.value for kind in dict.fromkeys(kinds)]
        # Only the column that finds fewest is looked up in its index; + keeps SQLite from others.
        terms: list[tuple[str, Any]] = []
        for column, value in (("delivery", delivery), ("meter_pan", meter_pan), ("route", route)):
            if value is not None:
                terms.append((f"{'+' if terms else ''}{column} = ?", value))
        if not wanted and terms and terms[0][0] == "route = ?":
            wanted = [kind.value for kind in EntryKind]  # its index has them apart
        if not wanted or delivery is not None or meter_pan is not None:
            kinds_term = f"+kind IN ({', '.join('?' * len(wanted))})"
            where = [term for term, _ in terms] + ([kinds_term] if wanted else [])
            values = [value for _, value in terms] + wanted
            return self._paged(where, values, after)
        each = [
            self._paged([*(t for t, _ in terms), "kind = ?"], [*(v for _, v in terms), kind], after)
            for kind in wanted
        ]
        return heapq.merge(*each, key=lambda entry: entry.number)

    def entry(self, number: int) -> Entry:
        """Return one entry; JournalError where there is none of this number."""
        row = self._one(f"SELECT {_COLUMNS} FROM entry WHERE number = ?", (number,))  # noqa: S608 - made of names in this module
        if row is None:
            raise JournalError(f"the journal {self._name} has no entry {number}")
        return self._entry(row)

    def _paged(self, where: list[str], values: list[Any], after: int) -> Iterator[Entry]:
        sql = (
            f"SELECT {_COLUMNS} FROM entry WHERE {' AND '.join([*where, 'number > ?'])} "  # noqa: S608 - made of names in this module
            f"ORDER BY number LIMIT {_PAGE}"
        )
        while True:
            with self._guard:
                found = [self._entry(row) for row in self.select(sql, (*values, after))]
            yield from found
            if len(found) < _PAGE:
                return
            after = found[-1].number

    def _entry(self, row: Any) -> Entry:
        number, kind, time, meter_pan, delivery, route, members, commitments, digest = row
        secrets = {}
        if commitments != NO_COMMITMENTS:
            secrets = dict(self.select("SELECT name, text FROM secret WHERE entry = ?", (number,)))
        try:
            return Entry(
                number,
                EntryKind(kind),
                datetime.fromisoformat(time),
                json.loads(members),
                meter_pan,
                delivery,
                route,
                secrets,
                digest,
            )
        except (ValueError, TypeError):
            raise self._damaged(f"entry {number} is not what was written") from None

    # --- deliveries ----------------------------------------------------------------------------

    def unresolved(self, meter_pan: str | None = None) -> tuple[Delivery, ...]:
        """Return the deliveries without result, oldest first; of one meter, or of all."""
        return tuple(self.each_delivery(meter_pan, only_open=True))

    def deliveries(self, meter_pan: str | None = None) -> tuple[Delivery, ...]:
        """Return every delivery, oldest first; of one meter, or of all."""
        return tuple(self.each_delivery(meter_pan))

    def each_delivery(
        self, meter_pan: str | None = None, *, only_open: bool = False
    ) -> Iterator[Delivery]:
        """Yield every delivery, oldest first, one at a time in memory."""
        return self._found("result IS NULL" if only_open else "1", meter_pan)

    def deliveries_of(self, token: str) -> tuple[Delivery, ...]:
        """Return the deliveries of a token, to whichever meter, oldest first."""
        sql = (
            "SELECT d.number, d.writes, d.opened, d.result FROM delivery d "
            "JOIN secret s ON s.entry = d.opened AND s.name = ? WHERE s.text = ? ORDER BY d.number"
        )
        with self._guard:
            return tuple(self._delivery(row) for row in self.select(sql, (TOKEN, token)))

    def newest_delivery(self) -> int:
        """Return the number of the newest delivery, 0 without any; they count from 1."""
        (newest,) = self._one("SELECT coalesce(max(number), 0) FROM delivery")
        return int(newest)

    def newest(
        self,
        count: int,
        meter_pan: str | None = None,
        *,
        only_open: bool = False,
        before: int | None = None,
    ) -> tuple[Delivery, ...]:
        """Return the ``count`` newest deliveries, oldest first; of one meter, or of all.

        ``before``: of those that came before this one.
        """
        term = "result IS NULL" if only_open else "1"
        values: list[Any] = []
        if before is not None:
            term += " AND number < ?"
            values.append(before)
        if meter_pan is not None:
            term += " AND meter_pan = ?"
            values.append(meter_pan)
        sql = f"{_DELIVERIES} WHERE {term} ORDER BY number DESC LIMIT ?"
        rows = self.select(sql, (*values, count))
        return tuple(self._delivery(row) for row in reversed(rows))

    def delivery(self, number: int) -> Delivery:
        """Return one delivery; JournalError where there is none of this number."""
        row = self._one(f"{_DELIVERIES} WHERE number = ?", (number,))
        if row is None:
            raise JournalError(f"there is no delivery {number} in the journal {self._name}")
        return self._delivery(row)

    def _found(self, term: str, meter_pan: str | None) -> Iterator[Delivery]:
        values: list[Any] = []
        if meter_pan is not None:
            term += " AND meter_pan = ?"
            values.append(meter_pan)
        sql = f"{_DELIVERIES} WHERE {term} AND number > ? ORDER BY number LIMIT {_PAGE}"
        after = 0
        while True:
            with self._guard:
                found = [self._delivery(row) for row in self.select(sql, (*values, after))]
            yield from found
            if len(found) < _PAGE:
                return
            after = found[-1].number

    def _delivery(self, row: Any) -> Delivery:
        number, writes, opened, result = row
        entry = self.entry(opened)
        end = None if result is None else self.entry(result)
        s0 = entry.members.get("s0")
        try:
            return Delivery(
                number,
                str(entry.meter_pan),
                entry.secrets[TOKEN],
                None
                if s0 is None
                else Snapshot(
                    s0["status"], s0["sequence"], entry.secrets[LAST_TOKEN], s0["last_status"]
                ),
                entry.time,
                writes,
                None if end is None else Result.from_members(end.members),
                None if end is None else end.time,
            )
        except (KeyError, TypeError, ValueError):
            raise self._damaged(f"delivery {number} is not what was written") from None

    # --- SQLite --------------------------------------------------------------------------------

    def _one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        with self._guard, self._said():
            return self._connection.execute(sql, values).fetchone()

    def select(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return rows of the journal's tables; for the modules of the journal alone."""
        with self._guard, self._said():
            return self._connection.execute(sql, values).fetchall()

    def _said(self) -> AbstractContextManager[None]:
        """Turn what SQLite reports into sentences."""
        return said_of(self._name)

    def _damaged(self, what: str) -> JournalError:
        return damaged(self._name, what)


def damaged(name: str, what: str) -> JournalError:
    """Return the error of a journal in which something is not as it was written."""
    return JournalError(
        f"the journal {name} is damaged: {what}. Restore the file from a copy, or move it away and "
        "check by hand the meters that it names"
    )


@contextmanager
def said_of(name: str, doing: str = "cannot be read") -> Iterator[None]:
    """Turn what SQLite reports of the journal ``name`` into JournalError."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        code = getattr(error, "sqlite_errorname", "") or ""
        if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or isinstance(
            error, UnicodeDecodeError
        ):
            raise damaged(name, "its database is not in order") from None
        if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise JournalError(
                f"the journal {name} is held by another program; close that, and try again"
            ) from error
        raise JournalError(f"the journal {name} {doing}: {quoted(error)}") from error


def quoted(said: object) -> str:
    """Return what SQLite says as a part of one sentence; a damaged file can make it say much."""
    words = "".join(c if c.isprintable() else " " for c in str(said)).strip("* .").split()
    return " ".join(words)[:120]
