"""The file of a store as the system sees it: whether it may be opened, who has it, how it is tied.

The lock that keeps other programs out is a POSIX lock, and a process loses all of its locks on a
file when it closes *any* descriptor of that file. So no store is opened, not even to look at it,
while this process has it open already: a register of open files stands before every opening. Do
not open the file of an open store by other means in the same process either, to copy it say.
"""

from __future__ import annotations

import enum
import os
import sqlite3
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, Self
from weakref import WeakValueDictionary

from vtc07.durable.folder import sync_folder
from vtc07.meter.store_errors import StoreError, in_use

APPLICATION_ID: Final = 0x56544337  # "VTC7"

_HEADER: Final = b"SQLite format 3\x00"
_APPLICATION_ID_AT: Final = slice(68, 72)
_JOURNAL_HEADER: Final = bytes.fromhex("d9d505f920a163d7")

_Identity = tuple[int, int]


class Claim:
    """This process's hold on a file, until `release` or until nobody has the claim any more."""

    def __init__(self, identity: _Identity) -> None:
        self._identity = identity

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Return a claim, or None where this process has the file open; OSError: no such file."""
        identity = _identity(path)
        claim = cls(identity)
        with _guard:
            if identity in _claims:
                return None
            _claims[identity] = claim
        return claim

    def holds(self, path: Path) -> bool:
        """Whether this name is still that of the file claimed."""
        try:
            return _identity(path) == self._identity
        except OSError:
            return False

    def release(self) -> None:
        """Let the file be opened again; a second time does nothing."""
        with _guard:
            if _claims.get(self._identity) is self:
                del _claims[self._identity]


_guard: Final = threading.Lock()
_claims: Final[WeakValueDictionary[_Identity, Claim]] = WeakValueDictionary()


class FileDatabase:
    """The database of a store that is a file, which exists."""

    def __init__(self, path: Path) -> None:
        self._path = path  # as it was said
        self._file = path.resolve()  # the working directory may change
        self._claim: Claim | None = None

    @property
    def name(self) -> str:
        """The file's name as it was given."""
        return str(self._path)

    def take(self) -> None:
        """Claim the file; StoreInUse, or StoreError where there is none."""
        try:
            self._claim = Claim.take(self._file)
        except OSError as error:
            raise StoreError(
                f"The store {self._path} cannot be opened: {error.strerror}."
            ) from error
        if self._claim is None:
            raise in_use(self._path)

    def connect(self) -> sqlite3.Connection:
        """Open the file."""
        return connect(self._file)

    def in_place(self) -> bool:
        """Whether the name is still that of the file that was claimed."""
        return self._claim is not None and self._claim.holds(self._file)

    def make_name_durable(self) -> None:
        """Synchronize the folder."""
        sync_directory(self._file)

    def release(self) -> None:
        """Let the file be opened again; a second time does nothing."""
        if self._claim is not None:
            self._claim.release()


class Look(enum.Enum):
    """What a file is, from outside."""

    STORE = enum.auto()
    OPEN = enum.auto()
    """This process has it open."""
    READ_ONLY = enum.auto()
    """A store that cannot be written, or beside which no journal can be made."""
    OTHER = enum.auto()


def look(path: Path) -> Look:
    """Look at a file without disturbing who has it open; OSError where that is not possible."""
    with _guard:  # nobody can open it in between
        found = path.stat()
        if (found.st_dev, found.st_ino) in _claims:
            return Look.OPEN
        if not stat.S_ISREG(found.st_mode):
            return Look.OTHER
        with path.open("rb") as file:
            head = file.read(_APPLICATION_ID_AT.stop)
        if not _is_store(head) and not _is_torn(path):
            return Look.OTHER
    return Look.STORE if _writable(path) else Look.READ_ONLY


def connect(path: Path) -> sqlite3.Connection:
    """Open a database that exists, for statements and transactions as they are written."""
    return sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )


def journal_of(path: Path) -> Path:
    """Return the file beside a database that SQLite keeps while it is open."""
    return path.with_name(path.name + "-journal")


def sync_directory(path: Path) -> None:
    """Make a new file's name durable, where the system lets a directory be synchronized."""
    with suppress(OSError):
        sync_folder(path.absolute().parent)


def _identity(path: Path) -> _Identity:
    found = path.stat()
    return found.st_dev, found.st_ino


def _is_store(head: bytes) -> bool:
    return (
        head.startswith(_HEADER)
        and int.from_bytes(head[_APPLICATION_ID_AT], "big") == APPLICATION_ID
    )


def _is_torn(path: Path) -> bool:
    """Whether a journal stands beside the file that may give it back its first page."""
    try:
        with journal_of(path).open("rb") as file:
            return file.read(len(_JOURNAL_HEADER)) == _JOURNAL_HEADER
    except OSError:
        return False


def _writable(path: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return all(
        os.access(place, rights, effective_ids=effective)
        for place, rights in ((path, os.R_OK | os.W_OK), (path.parent, os.W_OK | os.X_OK))
    )
