"""What a store stands on: a database that SQLite runs, wherever its bytes are.

The store itself speaks SQL to a `Connection` and knows nothing of files. A store of a meter is a
file (`vtc07.meter.store_file`), of a simulation a piece of memory (`vtc07.meter.store_memory`),
and every statement, check and precaution is the same.
"""

from __future__ import annotations

from typing import Protocol

from vtc07.durable.database import Connection


class Database(Protocol):
    """The place of one store."""

    @property
    def name(self) -> str:
        """What people call it."""

    def take(self) -> None:
        """Take hold of it for one store at a time; StoreInUse, or StoreError if it is gone."""

    def connect(self) -> Connection:
        """Open what is there; only while it is held."""

    def in_place(self) -> bool:
        """Whether what is written would still be found under the name."""

    def make_name_durable(self) -> None:
        """Let a database that was just made be found after a loss of power."""

    def release(self) -> None:
        """Let go; a second time does nothing."""


def lock(connection: Connection) -> None:
    """Keep everyone else out until the connection is closed; what a crash left is rolled back."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("COMMIT")  # the lock stays, by the locking mode


def make_durable(connection: Connection) -> None:
    """Let every commit be in the database itself, and on the disk, when it returns.

    A rollback journal: it holds what a transaction is about to overwrite and means nothing once
    the transaction is done, so that losing it loses nothing. EXTRA synchronizes its end too.
    """
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
