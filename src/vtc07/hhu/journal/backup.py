"""A copy of a journal, made while it is in use, and checked before it gets its name."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vtc07.durable.folder import sync_folder
from vtc07.hhu.journal.deliveries import JournalError
from vtc07.hhu.journal.disk import beside, refuse_what_is_there, write_new
from vtc07.hhu.journal.reading import ReadOnlyJournal
from vtc07.hhu.journal.rows import said_of
from vtc07.hhu.journal.schema import SCHEMA_VERSION
from vtc07.hhu.journal.verify import Verification, verify

#: Called with how many pages are copied, and how many there are.
OnPages = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was made, and what its verification came to. ``path``: where it is."""

    path: Path
    verification: Verification


def back_up(
    source: Path,
    target: Path,
    *,
    on_pages: OnPages = lambda done, whole: None,  # noqa: ARG005 - the face of `OnPages`
) -> Backup:
    """Copy a journal as it is at one instant, while others write to it; nothing is overwritten.

    ``target``: a file that is not there yet, or a folder, in which the copy is named after the
    journal and its last entry. Raises JournalError where that cannot be done, or where the copy
    is not in order; no copy is there then.
    """
    with ReadOnlyJournal(source) as journal, said_of(str(source)):
        if journal.version != SCHEMA_VERSION:
            raise JournalError(
                f"the journal {source} is of version 1, which is a text file: copy it as it is, "
                "while no program uses it"
            )
        with journal.held_still():
            head = journal.head()
            if target.is_dir():
                target /= f"{source.stem}-{head.number}{source.suffix}"
            half = beside(target, ".new")
            try:
                _refuse_what_is_there(target)
                half.unlink(missing_ok=True)
                write_new(half, b"")
                _copy(journal, half, on_pages)
            except OSError as error:
                raise JournalError(f"{target} cannot be written: {error.strerror}") from error
    try:
        verification = verify(half)
        if not verification.good or verification.head != head:
            finding = verification.findings[0].said if verification.findings else "another end"
            raise JournalError(
                f"the copy of the journal {source} is not in order ({finding}), and was not kept; "
                "run vtc07 hhu verify to see what is wrong with the journal itself"
            )
        _refuse_what_is_there(target)
        half.replace(target)
        sync_folder(target.absolute().parent)
    except OSError as error:
        raise JournalError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        half.unlink(missing_ok=True)
    return Backup(target, replace(verification, name=str(target)))


def _copy(journal: ReadOnlyJournal, half: Path, on_pages: OnPages) -> None:
    copy = sqlite3.connect(half, isolation_level=None)
    try:
        journal.copy_to(copy, on_pages)
        # One file, that is whole by itself; where it is written to again, it gets its log again.
        copy.execute("PRAGMA journal_mode = DELETE").fetchone()
    finally:
        copy.close()
    descriptor = os.open(half, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_what_is_there(target: Path) -> None:
    refuse_what_is_there(target)
    for left in (beside(target, "-wal"), beside(target, "-journal")):
        if left.exists():
            raise JournalError(
                f"{left} is there, which belongs to a journal that is not; move it away, or name "
                "another file"
            )
