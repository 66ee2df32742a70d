"""A database that SQLite runs, wherever its bytes are, as those see it who speak SQL to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class PowerLost(BaseException):
    """Power failed while a database was at work, as simulations have it.

    Not an Exception: nothing that runs on a device without power can handle it. What was not
    committed is gone, and so is every connection that was open.
    """


class Rows(Protocol):
    """The result of a statement."""

    def fetchone(self) -> Any:
        """Return the next row, or None."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""


class Connection(Protocol):
    """An open database; every failure is a `sqlite3.Error` with its ``sqlite_errorname``."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Rows:
        """Run a statement as it is written: no transaction is begun or ended by itself."""

    def close(self) -> None:
        """Let go of it; an open transaction is rolled back."""
