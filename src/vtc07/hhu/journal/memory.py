"""A journal's database in memory, that loses power when it is told to: for simulations.

The very code of the journal runs on it, statement by statement. What is committed outlives the
journal that committed it, as a file does; what is not is gone when power fails, as the recovery of
a write-ahead log leaves it out. What lies below SQLite (pages, log, the disk's own cache) does not
exist here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from vtc07.hhu.journal.deliveries import JournalError, JournalLocked
from vtc07.hhu.journal.place import Connection, Rows

#: Called before (False) and after (True) each statement that writes or ends a transaction.
Hook = Callable[[str, bool], None]

_READS = ("SELECT", "PRAGMA")


class MemoryPlace:
    """A database that exists until `close`, for one journal at a time but any number in turn.

    ``image``: what another one's `image` returned; by default it is empty. ``hook``: called around
    every statement but those that only read, may be set and taken away at any time. A call of the
    journal is ``BEGIN IMMEDIATE``, ``INSERT`` and ``UPDATE`` statements and ``COMMIT``. The hook
    may raise

    - a BaseException of the simulation's own that is no Exception: power fails at that instant.
      Before COMMIT ended nothing of the transaction remains. That journal refuses every further
      call with JournalError; make another one on this place.
    - `disk_error()` before a statement: the disk refused it.
    - `disk_error()` after one: it was done, and reported as failed.
    """

    def __init__(
        self, image: bytes = b"", *, name: str = "memory", hook: Hook | None = None
    ) -> None:
        self.hook = hook
        self._name = name
        self._database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._held = False
        self._connection: _Connection | None = None
        if image:
            self._database.deserialize(image)

    @property
    def name(self) -> str:
        """What its sentences call it."""
        return self._name

    def image(self) -> bytes:
        """Return all that is committed, to make other places of it.

        ValueError while a transaction is open.
        """
        if self._database.in_transaction:
            raise ValueError("a transaction is open")
        return self._database.serialize()

    def lose_power(self) -> None:
        """Let power fail between two statements: whoever has it open is dead."""
        if self._database.in_transaction:
            self._database.rollback()
        self._connection = None
        self._held = False

    def close(self) -> None:
        """Forget all of it."""
        self.lose_power()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- what a journal asks -------------------------------------------------------------------

    def take(self) -> None:
        """Take hold of it; JournalLocked where a journal has it that was not closed."""
        if self._held:
            raise JournalLocked(self._name)
        self._held = True

    def connect(self) -> Connection:
        """Open what is there."""
        self._connection = _Connection(self, self._database)
        return self._connection

    def require_in_place(self) -> None:
        """Raise JournalError where the power was lost since."""
        if self._connection is None:
            raise JournalError(
                f"the journal {self._name} is not in the hands of this program any more"
            )

    def release(self) -> None:
        """Let go of it; nothing happens where another journal has it by now."""
        if self._connection is None:
            self._held = False

    def is_dead(self, connection: _Connection) -> bool:
        """Whether power failed since a connection was made, or it was closed."""
        return self._connection is not connection

    def let_go(self, connection: _Connection) -> None:
        """Take notice that a connection was closed."""
        if self._connection is connection:
            self.lose_power()


class _Connection:
    """A connection as the journal sees it; it ends with the power."""

    def __init__(self, home: MemoryPlace, database: sqlite3.Connection) -> None:
        self._home = home
        self._database = database

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Run a statement, between two calls of the hook if it writes."""
        if self._home.is_dead(self):
            raise sqlite3.ProgrammingError("it is not in the hands of this program any more")
        hook = self._home.hook
        if hook is None or sql.startswith(_READS):
            return self._database.execute(sql, parameters)
        try:
            hook(sql, False)  # noqa: FBT003 - the hook's own convention
            rows = self._database.execute(sql, parameters)
            hook(sql, True)  # noqa: FBT003
        except BaseException as error:
            if not isinstance(error, Exception):
                self._home.lose_power()
            raise
        return rows

    def close(self) -> None:
        """Roll back what is open."""
        self._home.let_go(self)


def disk_error(name: str = "SQLITE_IOERR_WRITE", words: str = "disk I/O error") -> sqlite3.Error:
    """Return what SQLite reports of a disk that fails, for a hook to raise."""
    error = sqlite3.OperationalError(words)
    error.sqlite_errorname = name
    return error
