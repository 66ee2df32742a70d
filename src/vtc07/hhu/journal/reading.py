"""A journal that is only read, also while another process writes to it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from vtc07.durable.database import Connection
from vtc07.hhu.journal.deliveries import JournalError, JournalMissing
from vtc07.hhu.journal.disk import beside
from vtc07.hhu.journal.file import connect, is_database, require_journal
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.rows import JournalRows, said_of
from vtc07.hhu.journal.schema import SCHEMA_VERSION, be_wary, check_tables, is_empty
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.journal.takeover import read_old

_OLD_VERSION: Final = 1
#: So many are copied before somebody is told.
_PAGES: Final = 1024


class ReadOnlyJournal(JournalRows):
    """A journal open for reading: nothing in it can be changed, and nobody is kept from writing.

    ``version``: 1 for a journal that is still JSON Lines; it is shown as it will be once it is
    taken over, and has no digests that anybody can have noted. Use as a context manager, or call
    `close`. Raises JournalMissing where there is none, JournalCorrupt (version 1), or JournalError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = SCHEMA_VERSION
        self._memory: MemoryPlace | None = None
        name = str(path)
        try:
            super().__init__(name, self._open(Path(os.path.realpath(path)), name))
            with said_of(name):
                self._begin(name)
        except OSError as error:
            self.close()
            raise JournalError(f"the journal {name} cannot be used: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it. A second call does nothing."""
        if hasattr(self, "_connection"):
            self._connection.close()
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    @contextmanager
    def held_still(self) -> Iterator[Self]:
        """Within it the journal stays as it is now, whatever others write to it meanwhile."""
        with said_of(self._name):
            self._connection.execute("BEGIN")
        try:
            self.head()  # the first look is what is held
            yield self
        finally:
            with suppress(sqlite3.Error):  # after an error it may be at its end already
                self._connection.execute("ROLLBACK")

    def copy_to(self, target: sqlite3.Connection, on_pages: Callable[[int, int], None]) -> None:
        """Copy the whole database; sqlite3.Error where that fails. Not for version 1.

        ``on_pages``: called with how many pages are copied, and how many there are.
        """

        def told(_status: int, left: int, whole: int) -> None:
            on_pages(whole - left, whole)

        assert isinstance(self._connection, sqlite3.Connection)
        self._connection.backup(target, pages=_PAGES, progress=told)

    def _begin(self, name: str) -> None:
        be_wary(self._connection)
        self._connection.execute("PRAGMA query_only = ON")
        if is_empty(self._connection):
            raise JournalMissing(name)
        check_tables(self._connection, name)

    def _open(self, file: Path, name: str) -> Connection:
        head = require_journal(file, name)
        if head is None:
            raise JournalMissing(name)
        if is_database(head, file):
            with said_of(name):
                return connect(file, _mode(file))
        self.version = _OLD_VERSION
        old = read_old(file.read_bytes(), name)
        self._memory = MemoryPlace(name=name)
        with SQLiteJournal(self._memory) as journal:
            if old.entries:
                journal.adopt(old.entries, old.origin)
        return self._memory.connect()


def open_for_reading(path: Path) -> ReadOnlyJournal:
    """Open a journal for reading, also while it is written to; see `ReadOnlyJournal`."""
    return ReadOnlyJournal(path)


def _mode(file: Path) -> str:
    """Return how SQLite is to open it.

    Readers and writers share files beside the database, which a reader must be able to make. Where
    it cannot, as on a medium that is read only, nobody can be writing, and the file stays as it is.
    """
    if os.access(file, os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK):
        return "rw"
    log = beside(file, "-wal")
    return "ro" if log.exists() and log.stat().st_size else "ro&immutable=1"
