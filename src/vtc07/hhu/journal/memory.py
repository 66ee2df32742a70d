"""A journal's place in memory, that loses power when it is told to: for simulations.

The very code of the journal runs on it, see `vtc07.durable.memory`.
"""

from __future__ import annotations

import sqlite3

from vtc07.durable.memory import Hook, Memory
from vtc07.hhu.journal.deliveries import JournalError, JournalLocked


class MemoryPlace(Memory):
    """A `vtc07.hhu.journal.place.Place` that exists until `close`, for one journal at a time.

    The ``hook`` is not called around statements that only read. A call of the journal is ``BEGIN
    IMMEDIATE``, ``INSERT`` and ``UPDATE`` statements and ``COMMIT``. Once power failed, that
    journal refuses every further call with JournalError; make another one on this place.
    """

    unwatched = ("SELECT", "PRAGMA")

    def __init__(
        self, image: bytes = b"", *, name: str = "memory", hook: Hook | None = None
    ) -> None:
        super().__init__(image, name=name, hook=hook)

    def require_in_place(self) -> None:
        """Raise JournalError where the power was lost since."""
        if not self.is_open:
            raise JournalError(
                f"the journal {self.name} is not in the hands of this program any more"
            )

    def in_use(self) -> JournalLocked:
        """Return the error of a journal that was not closed."""
        return JournalLocked(self.name)

    def without_power(self) -> sqlite3.Error:
        """Return an error of SQLite, of which the journal makes its own."""
        return sqlite3.ProgrammingError("it is not in the hands of this program any more")
