"""What a journal stands on: a database that SQLite runs, wherever its bytes are.

The journal itself speaks SQL to a `Connection` and knows nothing of files. The journal of a person
is a file (`vtc07.hhu.journal.file`), of a simulation a piece of memory
(`vtc07.hhu.journal.memory`), and every statement, check and precaution is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


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


class Place(Protocol):
    """Where one journal is."""

    @property
    def name(self) -> str:
        """What people call it: the file's path as the user gave it."""

    def take(self) -> None:
        """Take hold of it for one writer at a time, made anew where there is none.

        JournalLocked: somebody else has it. JournalError: it cannot be held.
        """

    def connect(self) -> Connection:
        """Open what is there, which may be empty; only while it is held."""

    def require_in_place(self) -> None:
        """Raise JournalError where what is written would not be found under the name."""

    def release(self) -> None:
        """Let go; a second time, or without `take`, does nothing."""
