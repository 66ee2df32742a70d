"""Why a store cannot be used: one sentence each, that says what to do."""

from __future__ import annotations

import sqlite3
from typing import Final, NoReturn

#: What SQLite reports where the system, not the content of the file, is in the way.
_SYSTEM_ERRORS: Final = (
    "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_READONLY",
    "SQLITE_NOLFS",
)  # fmt: skip
_LONGEST_QUOTE: Final = 120


class StoreError(Exception):
    """A store that cannot be used as asked; one sentence says why and what to do."""


class StoreMissing(StoreError):
    """There is no such file."""


class StoreExists(StoreError):
    """There is a file already where a new store was to be made."""


class StoreInUse(StoreError):
    """The store is open already."""


class NotAStore(StoreError):
    """The file is something else."""


class NewerStore(StoreError):
    """The store was written by a newer version of this program."""


class WrongStoreKey(StoreError):
    """The store was made with another store key."""


class StoreCorrupt(StoreError):
    """The store is damaged, or was changed by something else than this program."""


def in_use(name: object) -> StoreInUse:
    """Return the error of a store that somebody has open."""
    return StoreInUse(
        f"The store {name} is open already, here or in another program; close it there first."
    )


def not_a_store(name: object) -> NotAStore:
    """Return the error of a file that is something else."""
    return NotAStore(
        f"{name} is not the store of a meter, or its beginning is damaged; name another file, or "
        "go back to a copy of it."
    )


def damaged(name: object, what: str) -> StoreCorrupt:
    """Return the error of a store in which something is not as it was written."""
    return StoreCorrupt(
        f"The store {name} is damaged ({what}), and the meter must not work with it; go back to a "
        "copy of it, or make a new meter."
    )


def cannot(name: object, what: str, error: sqlite3.Error) -> StoreError:
    """Return the error of a system that does not let a store be made, opened or written."""
    return StoreError(f"The store {name} {what}: {quoted(error)}.")


def explain(name: object, error: sqlite3.Error | UnicodeDecodeError) -> NoReturn:
    """Raise what an error met while opening means to people."""
    # Not every error comes from SQLite itself; those that do not would quote what they found.
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        raise in_use(name) from error
    if code.startswith(_SYSTEM_ERRORS):
        raise StoreError(f"The store {name} cannot be used: {quoted(error)}.") from error
    raise damaged(name, quoted(error) if code else "its text cannot be read") from None


def quoted(said: object) -> str:
    """Return what SQLite says as a part of one sentence; a damaged file can make it say much."""
    words = "".join(c if c.isprintable() else " " for c in str(said)).strip("* .").split()
    return " ".join(words)[:_LONGEST_QUOTE]
