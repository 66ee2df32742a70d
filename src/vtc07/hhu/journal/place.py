"""What a journal stands on: a database that SQLite runs, wherever its bytes are.

The journal itself speaks SQL to a `Connection` and knows nothing of files. The journal of a person
is a file (`vtc07.hhu.journal.file`), of a simulation a piece of memory
(`vtc07.hhu.journal.memory`), and every statement, check and precaution is the same.
"""

from __future__ import annotations

from typing import Protocol

from vtc07.durable.database import Connection


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
