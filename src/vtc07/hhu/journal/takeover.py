"""A journal of version 1 (JSON Lines) becomes one of today, safe against a crash at any instant.

The new one is made whole beside the old one (its name with ``.new`` behind); then the old one is
copied (``.v1``); then the new one takes the name. Until that last step the name leads to the old
journal, and the next opening begins again. The old one is only read, and refused where it is not
in order.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from vtc07.durable.folder import sync_folder
from vtc07.hhu.journal import lines as journal_lines
from vtc07.hhu.journal.deliveries import DeliveryBook
from vtc07.hhu.journal.disk import append_once, beside, write_new
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.result import Result
from vtc07.hhu.journal.rows import LAST_TOKEN, TOKEN
from vtc07.hhu.journal.sqlite import SQLiteJournal


@dataclass(frozen=True, slots=True)
class OldJournal:
    """What a journal of version 1 holds.

    ``torn``: a last line that a crash left, empty without one. ``origin``: says what it was.
    """

    entries: tuple[NewEntry, ...]
    torn: bytes
    origin: dict[str, Any]


def read_old(content: bytes, name: str) -> OldJournal:
    """Read a journal of version 1; JournalCorrupt or JournalError where it is not in order."""
    lines, _, _, tail = found = journal_lines.found_in(content)
    if lines or (tail and not journal_lines.may_be_torn_header(tail)):
        journal_lines.check_header(lines[0] if lines else tail, name)
    book = DeliveryBook()
    entries: list[NewEntry] = []
    for number, line in enumerate(lines[1:], 2):
        journal_lines.take(line, number, name, book)
        entries.append(_entry(json.loads(line), book))
    origin = {"from_version": 1, "from_sha256": hashlib.sha256(content).hexdigest()}
    return OldJournal(tuple(entries), b"" if found.entry is not None else tail, origin)


def take_over(file: Path, content: bytes, name: str) -> Path | None:
    """Put a journal of today in the place of an old one; returns where a torn line was moved."""
    old = read_old(content, name)
    new = beside(file, ".new")
    for leftover in (new, beside(new, "-wal"), beside(new, "-shm"), beside(new, "-journal")):
        leftover.unlink(missing_ok=True)
    write_new(new, b"")
    with SQLiteJournal(_Beside(new, name)) as journal:
        if old.entries:
            journal.adopt(old.entries, old.origin)
    torn = _set_aside(file, old.torn) if old.torn else None
    _keep(file, content)
    os.replace(new, file)  # noqa: PTH105 - its name says what counts here
    sync_folder(file.parent)
    return torn


class _Beside:
    """The place of a journal that nobody knows of yet."""

    def __init__(self, file: Path, name: str) -> None:
        self._file = file
        self._name = name

    @property
    def name(self) -> str:
        """What sentences call it: the journal that it will be."""
        return self._name

    def take(self) -> None:
        """Do nothing: the lock is that of the journal."""

    def connect(self) -> sqlite3.Connection:
        """Open it."""
        return sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)

    def require_in_place(self) -> None:
        """Do nothing: it has no place yet."""

    def release(self) -> None:
        """Do nothing."""


def _entry(members: dict[str, Any], book: DeliveryBook) -> NewEntry:
    number = members["delivery"]
    delivery = book.one(number)
    time = datetime.fromisoformat(members["time"])
    match members["entry"]:
        case "opened":
            s0 = delivery.s0
            told = None
            secrets = {TOKEN: delivery.token}
            if s0 is not None:
                told = {"status": s0.status, "sequence": s0.sequence, "last_status": s0.last_status}
                secrets[LAST_TOKEN] = s0.last_token
            pan = delivery.meter_pan
            return NewEntry(EntryKind.OPENED, time, {"s0": told}, pan, number, secrets=secrets)
        case "write":
            write = {"write": members["number"]}
            return NewEntry(EntryKind.WRITE, time, write, delivery.meter_pan, number)
    result = Result.in_words(members["result"]).members
    return NewEntry(EntryKind.RESULT, time, result, delivery.meter_pan, number)


def _set_aside(file: Path, tail: bytes) -> Path:
    """Keep a torn last line in a file beside, behind what is there already."""
    torn = beside(file, ".torn")
    append_once(torn, tail.rstrip(b"\n") + b"\n")
    sync_folder(file.parent)
    return torn


def _keep(file: Path, content: bytes) -> None:
    """Keep the old journal beside the new one; what is there already is never overwritten."""
    number = 1
    kept = beside(file, ".v1")
    while kept.exists() and kept.read_bytes() != content:
        number += 1
        kept = beside(file, f".v1-{number}")
    if not kept.exists():
        half = beside(kept, ".new")
        half.unlink(missing_ok=True)
        write_new(half, content)
        os.replace(half, kept)  # noqa: PTH105 - its name says what counts here
    sync_folder(file.parent)
