"""The journal in a file: JSON Lines, append-only, one process at a time.

`vtc07.hhu.journal_kept` says what is written, and what a crash can leave. Durable means fsync of
the file, of the folder too when the file is new. A torn tail is moved to a file beside the journal
(its name with ``.torn`` behind), to which it is appended. A file that does not begin as a journal
gets no lock file beside it either.

One process at a time. Symbolic links are followed first, then a file beside the journal (its name
with ``.lock`` behind, which stays) is locked, and then the file itself, which may have a second
name by a hard link; where the system cannot lock it so (Windows), a file with a second name is
refused. Before each entry it is made sure that the name still leads to the open file and that
nobody else has written to it.

Rights. File, lock and torn tails are readable and writable by their owner alone: a token that was
not taken is still money.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from vtc07.hhu.journal import JournalError, JournalLocked
from vtc07.hhu.journal_kept import KeptJournal

if sys.platform != "win32":
    import fcntl

_OWNER_ONLY = 0o600


class FileJournal(KeptJournal):
    """A `Journal` in a file that is created where there is none, its folders too.

    Use as a context manager, or call `close`. Raises JournalLocked, JournalCorrupt, or
    JournalError where the file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = FileMedium(path)
        super().__init__(self._file)

    @property
    def torn(self) -> Path | None:
        """Where a torn tail was moved, None where there was none."""
        return self._file.torn


class FileMedium:
    """The `vtc07.hhu.journal_medium.Medium` of a file, locked from `open` to `close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Both are fixed now: the working folder may change while the journal is open.
        self._name = Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow links
        self._file = Path(os.path.realpath(path))  # does not raise for links in a circle
        self._descriptor = -1
        self._size = 0
        #: where a torn tail was moved, None where there was none
        self.torn: Path | None = None
        self._lock = FileLock(f"{self._file}.lock", timeout=0, mode=_OWNER_ONLY, thread_local=False)

    @property
    def name(self) -> str:
        """The path as the user gave it."""
        return str(self._path)

    def first_line(self, longest: int) -> bytes:
        """Return its first line; JournalError for what is no ordinary file."""
        try:
            regular = stat.S_ISREG(self._file.stat().st_mode)
        except FileNotFoundError:
            return b""
        if not regular:
            raise JournalError(
                f"the journal {self._path} cannot be used: it is no ordinary file; name another"
            )
        with self._file.open("rb") as file:
            return file.readline(longest)

    def open(self) -> bytes:
        """Open and lock the file, made anew where there is none, and return all it holds."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            raise self._locked() from None
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(self._file, flags, _OWNER_ONLY)
        self._lock_the_file_itself()
        with open(self._descriptor, "rb", closefd=False) as file:
            content = file.read()
        self._size = len(content)
        return content

    def accept(self) -> None:
        """Give the file to its owner alone."""
        _give_to_owner_alone(self._descriptor)

    def cut(self, size: int) -> None:
        """Keep the first ``size`` characters."""
        os.ftruncate(self._descriptor, size)
        os.fsync(self._descriptor)
        self._size = size

    def set_aside(self, tail: bytes) -> None:
        """Keep a torn last line in a file beside."""
        self.torn = self._file.with_name(self._file.name + ".torn")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        aside = os.open(self.torn, flags, _OWNER_ONLY)
        try:
            _give_to_owner_alone(aside)
            _write_all(aside, tail.rstrip(b"\n") + b"\n")
            os.fsync(aside)
        finally:
            os.close(aside)
        _sync_folder(self._file.parent)

    def require_in_place(self) -> None:
        """Refuse to go on if the name leads elsewhere now, or if somebody else wrote."""
        ours = os.fstat(self._descriptor)
        try:
            in_place = os.path.samestat(ours, self._name.stat())
        except OSError:
            in_place = False
        if not in_place:
            raise JournalError(
                f"the journal {self._path} was deleted, moved or replaced while it was in use, and "
                "nothing is written to it any more; put it back in its place before tokens are "
                "sent, or check by hand the meters that it names"
            )
        if ours.st_size != self._size:
            raise JournalError(
                f"the journal {self._path} was written to by another program while it was in use; "
                "find out which, and restore the file from a copy before tokens are sent"
            )

    def append(self, line: bytes) -> None:
        """Write one line behind the others, and to the disk."""
        try:
            _write_all(self._descriptor, line)
            os.fsync(self._descriptor)
            if not self._size:
                _sync_folder(self._file.parent)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(line)

    def close(self) -> None:
        """Close the file and let others use it. A second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._lock.release()

    def _lock_the_file_itself(self) -> None:
        if sys.platform == "win32":
            if os.fstat(self._descriptor).st_nlink > 1:
                raise JournalError(
                    f"the journal {self._path} has a second name (a hard link), by which another "
                    "program could use it at the same time; remove that name"
                )
        else:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise self._locked() from None

    def _locked(self) -> JournalLocked:
        return JournalLocked(self.name)


def _give_to_owner_alone(descriptor: int) -> None:
    if sys.platform != "win32":
        os.fchmod(descriptor, _OWNER_ONLY)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return  # a folder cannot be opened there; the file system journals its entries
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
