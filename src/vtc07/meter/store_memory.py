"""A store's database in memory, that loses power when it is told to: for simulations.

The very code of the store runs on it, statement by statement. What is committed outlives the
store that committed it, as a file does; what is not is gone when power fails, as a hot journal
would roll it back. What lies below SQLite (pages, journal, the disk's own cache) does not exist
here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from vtc07.meter.store_database import PowerLost, Rows
from vtc07.meter.store_errors import in_use

#: Called before (False) and after (True) each statement with its SQL.
Hook = Callable[[str, bool], None]


class MemoryDatabase:
    """A database that exists until `close`, for one store at a time but any number in turn.

    ``image``: what another one's `image` returned; by default it is empty, for
    `SQLiteStore.create_in`. ``hook``: called around every statement, may be set and taken away at
    any time. A commit is ``BEGIN IMMEDIATE``, ``DELETE`` and ``INSERT`` statements (each row is
    one call), and ``COMMIT``. The hook may raise

    - PowerLost: power fails there. Before COMMIT ended nothing of the transaction remains. The
      store raises PowerLost from then on; open another one on this database.
    - `disk_error()` before a statement: the disk refused it.
    - `disk_error()` after one: it was done, and reported as failed.
    """

    def __init__(
        self, image: bytes = b"", *, name: str = "in memory", hook: Hook | None = None
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
        """Return all that is committed, to make other databases of it.

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

    # --- what a store asks ---------------------------------------------------------------------

    def take(self) -> None:
        """Take hold of it; StoreInUse where a store has it that was not closed."""
        if self._held:
            raise in_use(self._name)
        self._held = True

    def connect(self) -> _Connection:
        """Open what is there."""
        self._connection = _Connection(self, self._database)
        return self._connection

    def in_place(self) -> bool:
        """Whether it is there: always."""
        return True

    def make_name_durable(self) -> None:
        """Do nothing: it has no name in a directory."""

    def release(self) -> None:
        """Let go of it."""
        self._held = False

    def is_dead(self, connection: _Connection) -> bool:
        """Whether power failed since a connection was made, or it was closed."""
        return self._connection is not connection


class _Connection:
    """A connection as the store sees it; it ends with the power."""

    def __init__(self, home: MemoryDatabase, database: sqlite3.Connection) -> None:
        self._home = home
        self._database = database

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Run a statement between two calls of the hook."""
        if self._home.is_dead(self):
            raise PowerLost
        hook = self._home.hook
        if hook is None:
            return self._database.execute(sql, parameters)
        rows: sqlite3.Cursor | None = None
        try:
            hook(sql, False)  # noqa: FBT003 - the hook's own convention
            rows = self._database.execute(sql, parameters)
            hook(sql, True)  # noqa: FBT003
        except BaseException as error:
            if rows is not None:
                rows.close()  # a result that is not fetched would stay in the way of a COMMIT
            if isinstance(error, PowerLost):
                self._home.lose_power()
            raise
        return rows

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> object:
        """Run a statement for each set of parameters."""
        if self._home.hook is None and not self._home.is_dead(self):
            return self._database.executemany(sql, parameters)
        for each in parameters:
            self.execute(sql, each)
        return None

    def close(self) -> None:
        """Roll back what is open; PowerLost, and nothing else, once power has failed."""
        if self._home.is_dead(self):
            raise PowerLost
        if self._database.in_transaction:
            self._database.rollback()


def disk_error(name: str = "SQLITE_IOERR_WRITE", words: str = "disk I/O error") -> sqlite3.Error:
    """Return what SQLite reports of a disk that fails, for a hook to raise."""
    error = sqlite3.OperationalError(words)
    error.sqlite_errorname = name
    return error
