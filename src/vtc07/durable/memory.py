"""A database in memory, that loses power when it is told to: for simulations.

The very code that works on a file runs on it, statement by statement. What is committed outlives
whoever committed it, as a file does; what is not is gone when power fails, as SQLite leaves it out
when it opens a file again. What lies below SQLite (pages, journal, log, the disk's own cache) does
not exist here.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self

from vtc07.durable.database import Connection, PowerLost, Rows

#: Called before (False) and after (True) a statement with its SQL.
Hook = Callable[[str, bool], None]


class Memory(ABC):
    """A database that exists until `close`, for one holder at a time but any number in turn.

    ``image``: what another one's `image` returned; by default it is empty. ``name``: what its
    sentences call it. ``hook``: called around statements, may be set and taken away at any time.
    The hook may raise

    - PowerLost: power fails there, see `lose_power`. Before COMMIT ended nothing of the transaction
      remains.
    - `disk_error()` before a statement: the disk refused it.
    - `disk_error()` after one: it was done, and reported as failed.
    """

    #: A statement that begins with one of these goes past the hook.
    unwatched: ClassVar[tuple[str, ...]] = ()

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
        """Return all that is committed, to make others of it.

        ValueError while a transaction is open.
        """
        if self._database.in_transaction:
            raise ValueError("a transaction is open")
        return self._database.serialize()

    @property
    def is_open(self) -> bool:
        """Whether somebody has it open; nobody has, once power failed."""
        return self._connection is not None

    def lose_power(self) -> None:
        """Let power fail between two statements: whoever has it open is dead."""
        self.disconnect()
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

    # --- what its holder asks ------------------------------------------------------------------

    def take(self) -> None:
        """Take hold of it; raises where somebody has it who did not let go."""
        if self._held:
            raise self.in_use()
        self._held = True

    def connect(self) -> Connection:
        """Open what is there."""
        self._connection = _Connection(self, self._database)
        return self._connection

    def release(self) -> None:
        """Let go of it; nothing happens where somebody else has it open by now."""
        if not self.is_open:
            self._held = False

    # --- what its connection asks --------------------------------------------------------------

    def is_open_by(self, connection: Connection) -> bool:
        """Whether a connection is the open one: power did not fail since, nor was it closed."""
        return self._connection is connection

    def disconnect(self) -> None:
        """Roll back what the open connection began, and have none."""
        self._connection = None
        if self._database.in_transaction:
            self._database.rollback()

    # --- what differs from one holder to another -----------------------------------------------

    @abstractmethod
    def in_use(self) -> Exception:
        """Return what `take` raises where somebody has it."""

    @abstractmethod
    def without_power(self) -> BaseException:
        """Return what a connection raises that power failed under, whatever it is asked."""


class _Connection:
    """A connection as its holder sees it; it ends with the power."""

    def __init__(self, home: Memory, database: sqlite3.Connection) -> None:
        self._home = home
        self._database = database
        self._closed = False

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Run a statement between two calls of the hook."""
        if not self._home.is_open_by(self):
            raise self._home.without_power()
        hook = self._home.hook
        if hook is None or sql.startswith(self._home.unwatched):
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

    def close(self) -> None:
        """Roll back what is open; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        if not self._home.is_open_by(self):
            raise self._home.without_power()
        self._home.disconnect()


def disk_error(name: str = "SQLITE_IOERR_WRITE", words: str = "disk I/O error") -> sqlite3.Error:
    """Return what SQLite reports of a disk that fails, for a hook to raise."""
    error = sqlite3.OperationalError(words)
    error.sqlite_errorname = name
    return error
