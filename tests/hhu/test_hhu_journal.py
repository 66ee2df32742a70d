from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal.deliveries import (
    Delivery,
    Journal,
    JournalCorrupt,
    JournalError,
    JournalLocked,
    MemoryJournal,
    delivered_before,
)
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.hhu.journal.result import Result
from vtc07.hhu.outcome import Delivered
from vtc07.hhu.resolution import Snapshot

PAN, OTHER = "600727111111111153", "600727000000000009"
TOKEN = "11112222333344445555"
S0 = Snapshot(1, 4_294_967_295, "00000000000000000007", 1)
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
DONE = Delivered(TokenStatus.ACCEPT, 0)


def _fill(journal: Journal) -> None:
    first = journal.open_delivery(PAN, TOKEN, S0, AT)
    journal.announce_write(first.number, 1, AT)
    journal.close_delivery(first.number, DONE, AT)
    second = journal.open_delivery(PAN, TOKEN, S0, AT)
    journal.announce_write(second.number, 1, AT)
    journal.announce_write(second.number, 2, AT)
    journal.open_delivery(OTHER, TOKEN, None, AT)


def test_what_was_written_is_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "journal.jsonl"
    with FileJournal(path) as journal:
        _fill(journal)
        before = journal.deliveries()
    with FileJournal(path) as journal:
        assert journal.deliveries() == before
        assert journal.torn is None
        (mine,) = journal.unresolved(PAN)
        assert (mine.number, mine.s0, mine.token, mine.writes) == (2, S0, TOKEN, 2)
        assert [d.number for d in journal.unresolved()] == [2, 3]
        journal.close_delivery(2, DONE, AT)
        assert journal.unresolved(PAN) == ()
        assert journal.open_delivery(PAN, TOKEN, S0, AT).number == 4


def test_memory_and_file_hold_the_same(tmp_path: Path) -> None:
    memory = MemoryJournal()
    _fill(memory)
    with FileJournal(tmp_path / "j") as journal:
        _fill(journal)
        assert journal.deliveries() == memory.deliveries()


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_entries_that_do_not_belong_are_refused(kind: str, tmp_path: Path) -> None:
    journal: Journal = MemoryJournal() if kind == "memory" else FileJournal(tmp_path / "j")
    _fill(journal)
    for number in (1, 99):
        with pytest.raises(JournalError, match=str(number)):
            journal.close_delivery(number, DONE, AT)
        with pytest.raises(JournalError, match=str(number)):
            journal.announce_write(number, 1, AT)
    if isinstance(journal, FileJournal):
        journal.close()
        with FileJournal(tmp_path / "j") as again:
            assert len(again.deliveries()) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"shopping list\n", "line 1"),
        (b'{"a":1}\n', "line 1"),
        (b"[]\n", "line 1"),
        (b"\n", "line 1"),
        (b"milk", "line 1"),
        (b"shopping list\nmilk", "line 1"),
        (b"shopping list\nmi\0k\n", "line 1"),
        (b'{"journal":"vt\n', "line 1"),
        (b'{"journal":"vtc07 journal","version":1,"check":"00000000"}', "line 1"),
        (b"[" * 200_000, "line 1"),
    ],
)
def test_a_file_that_is_no_journal_is_left_alone(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(content)
    path.chmod(0o644)
    before = path.stat()
    with pytest.raises(JournalCorrupt, match=said):
        FileJournal(path)
    assert path.read_bytes() == content
    assert path.stat().st_mode == before.st_mode
    assert [file.name for file in tmp_path.iterdir()] == ["j"]


@pytest.mark.skipif(sys.platform == "win32", reason="a named pipe in a folder is POSIX's")
def test_what_is_no_ordinary_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "j")
    with pytest.raises(JournalError, match="no ordinary file"):
        FileJournal(tmp_path / "j")
    assert [file.name for file in tmp_path.iterdir()] == ["j"]


def test_a_second_user_is_told_to_wait(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with (
        FileJournal(path),
        pytest.raises(JournalLocked, match="another program is using the journal"),
    ):
        FileJournal(path)
    FileJournal(path).close()


@pytest.mark.parametrize("second_first", [False, True])
def test_a_second_name_by_a_link_is_the_same_journal(second_first: bool, tmp_path: Path) -> None:
    path, other = tmp_path / "j", tmp_path / "elsewhere" / "k"
    other.parent.mkdir()
    FileJournal(path).close()
    other.symlink_to(path)
    names = (other, path) if second_first else (path, other)
    with FileJournal(names[0]) as journal:
        with pytest.raises(JournalLocked, match="another program is using"):
            FileJournal(names[1])
        journal.open_delivery(PAN, TOKEN, S0, AT)
    with FileJournal(names[1]) as journal:
        assert journal.open_delivery(PAN, TOKEN, S0, AT).number == 2


def test_a_second_name_by_a_hard_link_is_refused_by_either(tmp_path: Path) -> None:
    path, other = tmp_path / "j", tmp_path / "k"
    FileJournal(path).close()
    other.hardlink_to(path)
    for name in (path, other):
        for opening in (FileJournal, open_for_reading):
            with pytest.raises(JournalError, match="hard link"):
                opening(name)
    other.unlink()
    FileJournal(path).close()


def test_a_folder_by_two_names_holds_one_journal(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    with FileJournal(tmp_path / "real" / "j"), pytest.raises(JournalLocked):
        FileJournal(tmp_path / "link" / "j")


def test_a_link_to_a_file_not_yet_there_makes_that_file(tmp_path: Path) -> None:
    (tmp_path / "j").symlink_to(tmp_path / "new" / "k")
    with FileJournal(tmp_path / "j") as journal:
        _fill(journal)
    with FileJournal(tmp_path / "new" / "k") as journal:
        assert len(journal.deliveries()) == 3


def test_links_in_a_circle_are_said(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(JournalError, match="cannot be used"):
        FileJournal(tmp_path / "a")


def _delete(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    copy = path.with_name("copy")
    with closing(sqlite3.connect(path)) as there, closing(sqlite3.connect(copy)) as made:
        there.backup(made)
    copy.replace(path)


def _move_its_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


@pytest.mark.skipif(sys.platform == "win32", reason="an open file stays in its place there")
@pytest.mark.parametrize("away", [_delete, _replace, _move_its_folder])
def test_a_journal_that_is_not_in_its_place_any_more_takes_no_entry(
    away: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "folder" / "j"
    with FileJournal(path) as journal:
        _fill(journal)
        before = journal.deliveries()
        away(path)
        for entry in (
            lambda: journal.open_delivery(PAN, TOKEN, S0, AT),
            lambda: journal.announce_write(2, 3, AT),
            lambda: journal.close_delivery(2, DONE, AT),
        ):
            with pytest.raises(JournalError, match="deleted, moved or replaced") as caught:
                entry()
            assert str(path) in str(caught.value)
        assert journal.deliveries() == before


@pytest.mark.skipif(sys.platform == "win32", reason="an open file stays in its place there")
def test_a_journal_put_back_in_its_place_is_used_on(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with FileJournal(path) as journal:
        path.rename(tmp_path / "away")
        with pytest.raises(JournalError, match="put it back"):
            journal.open_delivery(PAN, TOKEN, S0, AT)
        (tmp_path / "away").rename(path)
        assert journal.open_delivery(PAN, TOKEN, S0, AT).number == 1
    with FileJournal(path) as journal:
        assert len(journal.deliveries()) == 1


def test_a_link_led_elsewhere_while_open_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "j"
    FileJournal(tmp_path / "other").close()
    path.symlink_to(tmp_path / "first")
    with FileJournal(path) as journal:
        path.unlink()
        path.symlink_to(tmp_path / "other")
        with pytest.raises(JournalError, match="replaced"):
            journal.open_delivery(PAN, TOKEN, S0, AT)


def test_another_working_folder_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with FileJournal(Path("j")) as journal:
        monkeypatch.chdir(tmp_path / "elsewhere")
        journal.open_delivery(PAN, TOKEN, S0, AT)
    with FileJournal(tmp_path / "j") as journal:
        assert len(journal.deliveries()) == 1


def test_what_somebody_else_wrote_into_it_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with FileJournal(path) as journal:
        journal.open_delivery(PAN, TOKEN, S0, AT)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(
                "INSERT INTO entry SELECT number + 1, kind, time, meter_pan, delivery, route, "
                "members, commitments, digest FROM entry WHERE number = 2"
            )
        for _ in range(2):
            with pytest.raises(JournalError, match="by another program"):
                journal.announce_write(1, 1, AT)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT max(number) FROM entry").fetchone() == (3,)


def test_nothing_in_it_is_changed_or_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with FileJournal(path) as journal:
        _fill(journal)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        for statement in (
            "DELETE FROM entry",
            "UPDATE entry SET time = ''",
            "DELETE FROM secret WHERE entry = 2",
            "UPDATE secret SET text = ''",
            "INSERT OR REPLACE INTO secret SELECT * FROM secret",
            "INSERT OR REPLACE INTO entry SELECT * FROM entry",
            "REPLACE INTO secret SELECT entry, name, salt, '' FROM secret",
            "INSERT INTO secret SELECT entry, 'more', salt, text FROM secret",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="nothing in a journal"):
                other.execute(statement)
        before = other.execute("SELECT count(*) FROM entry").fetchone()
    with FileJournal(path) as journal:
        assert (journal.head().number,) == before
        assert len(journal.deliveries()) == 3


def test_a_statement_that_another_program_keeps_open_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtc07.hhu.journal.file._PATIENCE_S", 0.0)
    path = tmp_path / "j"
    with (
        FileJournal(path) as journal,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        journal.open_delivery(PAN, TOKEN, S0, AT)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="held by another program"):
            journal.announce_write(1, 1, AT)
        other.execute("ROLLBACK")
        journal.announce_write(1, 1, AT)  # nothing had begun, so it is trusted as before


def test_a_refused_journal_is_not_left_locked(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"no\n")
    with pytest.raises(JournalCorrupt):
        FileJournal(path)
    path.unlink()
    FileJournal(path).close()


@pytest.mark.skipif(sys.platform == "win32", reason="rights of this kind are POSIX's")
def test_owner_alone_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "j"
    for _ in range(2):
        with FileJournal(path) as journal:
            journal.record(NewEntry(EntryKind.NOTE, AT))
            names = {file.name for file in tmp_path.iterdir()}
            assert names == {"j", "j-wal", "j-shm", "j.lock"}
            for name in names:
                assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
        path.chmod(0o644)  # and it is taken back


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "j").mkdir()
    with pytest.raises(JournalError, match="cannot be used"):
        FileJournal(tmp_path / "j")


def test_no_token_in_a_repr(tmp_path: Path) -> None:
    assert TOKEN not in repr(MemoryJournal().open_delivery(PAN, TOKEN, S0, AT))
    with FileJournal(tmp_path / "j") as journal:
        journal.open_delivery(PAN, TOKEN, S0, AT)
        said = repr([*journal.entries(), *journal.deliveries()])
    assert TOKEN not in said
    assert S0.last_token not in said


def test_what_need_not_be_entered_again() -> None:
    """Accepted tokens, and sections of a set whose completing token was accepted."""

    def known(*results: tuple[str, str | None]) -> list[int]:
        deliveries = [
            Delivery(
                n, PAN, token, None, AT, ended=None if result is None else Result.in_words(result)
            )
            for n, (token, result) in enumerate(results, 1)
        ]
        return sorted(delivered_before(deliveries, PAN, ["a" * 20, "b" * 20, "c" * 20]))

    a, b, c = "a" * 20, "b" * 20, "c" * 20
    assert known() == []
    assert known((a, "delivered: Accept"), (b, None)) == [0]
    assert known((a, "delivered: 1stKCT"), (b, "delivered: 2ndKCT")) == []
    assert known((a, "delivered: 1stKCT"), (b, "delivered: 2ndKCT"), (c, None)) == []
    assert known((a, "delivered: 1stKCT"), (b, "delivered: Accept")) == [0, 1]
    assert known((a, "refused: CRCError"), (b, "delivered: Accept")) == [1]
    assert known((a, "unresolved: whatever"), (c, "delivered: Accept")) == [2]
    other = [Delivery(1, OTHER, a, None, AT, ended=Result.in_words("delivered: Accept"))]
    assert delivered_before(other, PAN, [a]) == {}
