"""What it costs to have an entry on the disk, and that it is there by every journal mode."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from journal_power_proof import DiskPlace
from power_database import DiskConnection
from power_disk import Disk, Op

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.file import FileJournal, FilePlace
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.journal.verify import verify
from vtc07.hhu.outcome import Delivered
from vtc07.hhu.resolution import Snapshot

_AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
_PAN, _TOKEN = "600727111111111153", "11112222333344445555"


class _Place(DiskPlace):
    """A disk on which the log is brought into the database as seldom as on any other."""

    def connect(self) -> DiskConnection:
        connection = super().connect()
        connection.execute("PRAGMA wal_autocheckpoint = 1000")
        return connection


def _note(**secrets: str) -> NewEntry:
    return NewEntry(EntryKind.NOTE, _AT, {"text": "a note"}, _PAN, secrets=secrets)


def test_every_call_is_synchronized_once_whatever_it_writes() -> None:
    disk = Disk({})
    place = _Place(disk)
    with SQLiteJournal(place) as journal:
        journal.record(_note())
        costs = []

        @contextmanager
        def counted() -> Iterator[None]:
            before = len(disk.steps)
            yield
            ops = [step.op for step in disk.steps[before:]]
            costs.append(ops.count(Op.SYNC))
            assert ops[-1] is Op.SYNC, "something was written behind it"

        with counted():
            journal.record(_note())
        with counted():
            journal.record(*(_note(hex="30" * 40) for _ in range(30)))
        with counted():
            journal.open_delivery(_PAN, _TOKEN, Snapshot(1, 2, _TOKEN, 1), _AT)
        with counted():
            journal.announce_write(1, 1, _AT)
        with counted():
            journal.close_delivery(1, Delivered(TokenStatus.ACCEPT, 3), _AT)
        assert costs == [1, 1, 1, 1, 1]
        before = len(disk.steps)
        assert len(list(journal.entries())) == 36
        assert len(disk.steps) == before, "reading writes nothing"
    place.forget()


@pytest.mark.skipif(sys.platform == "win32", reason="another way of locking is POSIX's")
def test_where_programs_cannot_share_memory_a_rollback_journal_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system in the network: SQLite then refuses a write-ahead log."""
    path = tmp_path / "j"

    def elsewhere(self: FilePlace) -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{path}?vfs=unix-none", uri=True, isolation_level=None)
        self._identity = (path.stat().st_dev, path.stat().st_ino)
        return connection

    monkeypatch.setattr(FilePlace, "connect", elsewhere)
    with FileJournal(path) as journal:
        assert journal.select("PRAGMA journal_mode") == [("delete",)]
        assert journal.select("PRAGMA synchronous") == [(3,)]  # EXTRA
        journal.record(_note())
        journal.open_delivery(_PAN, _TOKEN, None, _AT)
    monkeypatch.undo()
    assert verify(path).good
    with FileJournal(path) as journal:
        assert journal.select("PRAGMA journal_mode") == [("wal",)]
        assert [d.number for d in journal.unresolved()] == [1]
