"""A store's database in memory, that loses power when it is told to: for simulations.

The very code of the store runs on it, see `vtc07.durable.memory`.
"""

from __future__ import annotations

from vtc07.durable.database import PowerLost
from vtc07.durable.memory import Memory
from vtc07.meter.store_errors import StoreInUse, in_use


class MemoryDatabase(Memory):
    """A `Database` that exists until `close`, for one store at a time but any number in turn.

    By default it is empty, for `SQLiteStore.create_in`. The ``hook`` is called around every
    statement. A commit is ``BEGIN IMMEDIATE``, ``DELETE`` and ``INSERT`` statements (each row is
    one), and ``COMMIT``. Once power failed, the store raises PowerLost; open another one on this
    database.
    """

    def in_place(self) -> bool:
        """Whether it is there: always."""
        return True

    def make_name_durable(self) -> None:
        """Do nothing: it has no name in a directory."""

    def in_use(self) -> StoreInUse:
        """Return the error of a store that was not closed."""
        return in_use(self.name)

    def without_power(self) -> PowerLost:
        """Return what no device outlives."""
        return PowerLost()
