"""The journal in a file: one process writes at a time, any number read meanwhile.

Symbolic links are followed first; then a file beside the journal (its name with ``.lock`` behind,
which stays) is locked. A second name by a hard link is refused: what SQLite keeps beside the
journal while it is in use (``-wal``, ``-shm``) goes by the name, and would be missed under the
other one. Before each entry it is made sure that the name still leads to the open file and that
nobody else has written to it. A file that is no journal gets no lock file beside it either.

A journal of version 1 is taken over when it is opened (`vtc07.hhu.journal.takeover`).

Rights. All of these files are readable and writable by their owner alone: a token that was not
taken is still money.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from vtc07.durable.folder import sync_folder
from vtc07.hhu.journal import lines as journal_lines
from vtc07.hhu.journal.check import first_wrong
from vtc07.hhu.journal.deliveries import JournalError, JournalLocked
from vtc07.hhu.journal.disk import OWNER_ONLY, beside, write_new
from vtc07.hhu.journal.schema import APPLICATION_ID
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.journal.takeover import take_over

_HEADER: Final = b"SQLite format 3\x00"
_APPLICATION_ID_AT: Final = slice(68, 72)
#: How long a statement waits for another program that holds the database for an instant.
_PATIENCE_S: Final = 5.0
#: So many entries are looked at after a crash: more than a log ever holds.
_ENOUGH: Final = 10_000

_Identity = tuple[int, int]

# A process loses all its locks on a file when it closes any descriptor of it. So no journal is
# looked at by other means while this process has it open.
_guard: Final = threading.RLock()
_open_here: Final[Counter[_Identity]] = Counter()


class FileJournal(SQLiteJournal):
    """A journal in a file that is created where there is none, its folders too.

    Use as a context manager, or call `close`. Raises JournalLocked, JournalCorrupt (version 1), or
    JournalError where the file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = FilePlace(path)
        super().__init__(self._file)
        if self._file.left_open:
            self._require_order()

    @property
    def torn(self) -> Path | None:
        """Where a torn tail of a journal of version 1 was moved, None where there was none."""
        return self._file.torn

    def _require_order(self) -> None:
        """Refuse a journal that does not fit the log which a crash left beside it.

        SQLite takes what stands in the log for a part of the journal, whichever journal the log
        belongs to: somebody may have put a copy in the journal's place meanwhile.
        """
        try:
            wrong = first_wrong(self, newest=_ENOUGH)
        except BaseException:
            self.close()
            raise
        if wrong is not None:
            self.close()
            raise JournalError(
                f"the journal {self.path} is not in order ({wrong}). A program that used it ended "
                f"in the middle; if the file was replaced since, put a copy in its place once more "
                f"and move {beside(self.path, '-wal')} away first"
            )


class FilePlace:
    """The `vtc07.hhu.journal.place.Place` of a file, locked from `take` to `release`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Both are fixed now: the working folder may change while the journal is open.
        self._name = Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow links
        self._file = Path(os.path.realpath(path))  # does not raise for links in a circle
        self._lock = FileLock(f"{self._file}.lock", timeout=0, mode=OWNER_ONLY, thread_local=False)
        self._identity: _Identity | None = None
        self._log: _Identity | None = None
        #: where a torn tail was moved, None where there was none
        self.torn: Path | None = None
        #: whether a program that used it ended without closing it
        self.left_open = False

    @property
    def name(self) -> str:
        """The path as the user gave it."""
        return str(self._path)

    def take(self) -> None:
        """Lock it, made anew where there is none; take over a journal of version 1."""
        try:
            self._take()
        except OSError as error:
            self.release()
            raise JournalError(
                f"the journal {self._path} cannot be used: {error.strerror}"
            ) from error
        except BaseException:
            self.release()
            raise

    def _take(self) -> None:
        with _guard:
            require_journal(self._file, self.name)  # before anything is left beside it
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise JournalLocked(self.name) from None
            head = require_journal(self._file, self.name)
            if head is None:
                self._make()
            elif not is_database(head, self._file):
                self.torn = take_over(self._file, self._file.read_bytes(), self.name)
            log = beside(self._file, "-wal")
            self.left_open = log.exists() and log.stat().st_size > 0
            _give_to_owner_alone(self._file)

    def _make(self) -> None:
        log = beside(self._file, "-wal")
        if log.exists() and log.stat().st_size:
            raise JournalError(
                f"the journal {self._path} is missing, but {log} is there, which belongs to it and "
                "holds its newest entries; put the journal back beside it, or move that file away "
                "as well"
            )
        with contextlib.suppress(FileExistsError):  # an empty one
            write_new(self._file, b"")
        sync_folder(self._file.parent)

    def connect(self) -> sqlite3.Connection:
        """Open the file."""
        with _guard:
            self._identity = identity(self._file)
            return connect(self._file, "rw")

    def require_in_place(self) -> None:
        """Refuse to go on if the name leads elsewhere now."""
        log = _identity_or_none(beside(self._file, "-wal"))
        if self._log is None:
            self._log = log
        if self._identity is None or self._identity != _identity_or_none(self._name):
            raise JournalError(
                f"the journal {self._path} was deleted, moved or replaced while it was in use, and "
                "nothing is written to it any more; put it back in its place before tokens are "
                "sent, or check by hand the meters that it names"
            )
        if self._log != log:
            raise JournalError(
                f"{beside(self._path, '-wal')}, which holds the newest entries of the journal, was "
                "deleted, moved or replaced while it was in use, and nothing is written any more; "
                "put it back in its place before tokens are sent"
            )

    def release(self) -> None:
        """Let others use the file. A second call does nothing."""
        self._lock.release()


class _Connection(sqlite3.Connection):
    """A connection of this process, known as long as it is open."""

    identity: _Identity | None = None

    def close(self) -> None:
        """Close it; a second time does nothing."""
        with _guard:
            super().close()
            if self.identity is not None:
                _open_here[self.identity] -= 1
                self.identity = None


def connect(file: Path, mode: str) -> _Connection:
    """Open a database that exists, for statements and transactions as they are written."""
    with _guard:
        connection = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_PATIENCE_S,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
        )
        connection.identity = identity(file)
        _open_here[connection.identity] += 1
    return connection


def require_journal(file: Path, name: str) -> bytes | None:
    """Return the first characters of a journal, None where there is nothing or an empty file.

    JournalError for what is something else, from its first characters. Leaves no trace.
    """
    with _guard:
        try:
            found = file.stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(found.st_mode):
            raise JournalError(
                f"the journal {name} cannot be used: it is no ordinary file; name another"
            )
        if found.st_nlink > 1:
            raise JournalError(
                f"the journal {name} has a second name (a hard link), by which another program "
                "could use it at the same time; remove that name"
            )
        if _open_here[found.st_dev, found.st_ino]:
            return _HEADER
        with file.open("rb") as content:
            head = content.readline(journal_lines.LONGEST_HEADER)
            if head.startswith(_HEADER[:6]):
                content.seek(0)
                head = content.read(100)
    if not head:
        return None
    if not is_database(head, file):
        if not journal_lines.may_be_torn_header(head):
            journal_lines.check_header(journal_lines.entry_in(head) or head, name)
    elif head[_APPLICATION_ID_AT] not in (bytes(4), b"", APPLICATION_ID.to_bytes(4, "big")):
        raise JournalError(
            f"{name} is no journal of deliveries, but a database of another program; name another "
            "file"
        )
    return head


def is_database(head: bytes, file: Path) -> bool:
    """Whether a file that begins so is SQLite's, or will be when a broken-off change is undone."""
    return head.startswith(_HEADER) or (
        head.strip(b"\0") == b"" and beside(file, "-journal").exists()
    )


def identity(file: Path) -> _Identity:
    """Return what tells one file from another, whatever its name."""
    found = file.stat()
    return found.st_dev, found.st_ino


def _identity_or_none(file: Path) -> _Identity | None:
    try:
        return identity(file)
    except OSError:
        return None


def _give_to_owner_alone(file: Path) -> None:
    if sys.platform != "win32":
        for each in (file, beside(file, "-wal"), beside(file, "-shm")):
            with contextlib.suppress(FileNotFoundError):
                each.chmod(OWNER_ONLY)
