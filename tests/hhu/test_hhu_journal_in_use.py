"""A journal that is read, copied and exported while another process writes to it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from journal_bench import AT, PAN, S0, TOKEN, fill, note

from vtc07.hhu.journal.backup import back_up
from vtc07.hhu.journal.check import first_wrong
from vtc07.hhu.journal.deliveries import JournalError, JournalLocked, JournalMissing
from vtc07.hhu.journal.entries import EntryKind
from vtc07.hhu.journal.export import Selection, export_lines, write_export
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.journal.reading import ReadOnlyJournal, open_for_reading
from vtc07.hhu.journal.verify import verify

_NOBODY = 65534
_WRITER = """
import sys
import tempfile
from pathlib import Path
from datetime import UTC, datetime
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.file import FileJournal
with FileJournal(Path(sys.argv[1])) as journal:
    while True:
        time = datetime(2026, 3, 1, tzinfo=UTC)
        note = NewEntry(EntryKind.NOTE, time, secrets={"text": "x" * 99})
        print(*journal.record(note), flush=True)
"""


@contextmanager
def _written_to(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process write one entry after another, and kill it at the end."""
    command = [sys.executable, "-c", _WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()  # it is at it
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with FileJournal(tmp_path / "j") as journal:
        fill(journal)
    return tmp_path / "j"


def test_another_process_writes_while_everything_is_done_with_it(path: Path) -> None:
    heads = []
    with _written_to(path):
        with pytest.raises(JournalLocked):
            FileJournal(path)
        with open_for_reading(path) as journal:
            heads.append(journal.head().number)
            assert [d.number for d in journal.unresolved()] == [3]
            write_export(export_lines(journal, masked=False), path.with_name("export"))
            with journal.held_still():
                seen = journal.head()
                assert len(list(journal.entries())) == seen.number
                assert journal.head() == seen
        for found in (verify(path.with_name("export")), verify(path)):
            assert found.good
            heads.append(found.head.number)
        backup = back_up(path, path.with_name("copy"))
        heads.append(backup.verification.head.number)
    assert heads == sorted(heads)
    with FileJournal(path) as journal:
        assert journal.head().number >= heads[-1]
        for other in ("export", "copy"):
            assert verify(path.with_name(other), against=journal).good


def test_what_a_killed_program_was_told_is_written_is_there(path: Path) -> None:
    with _written_to(path) as process:
        assert process.stdout is not None
        last = 0
        while last < 200:
            last = int(process.stdout.readline())
        process.kill()
        last = int(([last, *process.stdout])[-1])
    assert path.with_name("j-wal").stat().st_size  # it was not closed
    with open_for_reading(path) as journal:
        assert journal.head().number >= last
        assert first_wrong(journal, newest=1000) is None
    with FileJournal(path) as journal:
        assert journal.head().number >= last
        journal.record(note())
    assert verify(path).good


def _left_open(path: Path, entries: int) -> None:
    """Leave a journal, in another folder, as a crash would leave it."""
    with FileJournal(path) as journal:
        for _ in range(entries):
            journal.record(note(text="y" * 500))
        left = path.with_name("left")
        left.mkdir()
        for name in ("j", "j-wal"):
            shutil.copy(path.with_name(name), left / name)


def test_a_copy_put_in_the_place_of_a_journal_that_a_crash_left_open_is_refused(path: Path) -> None:
    """SQLite takes what stands in the log for a part of whatever is there."""
    back_up(path, path.with_name("copy"))
    with FileJournal(path) as journal:
        journal.record(*(note(text="x" * 900) for _ in range(3000)))  # more than a log holds
    _left_open(path, 40)
    left = path.with_name("left") / "j"
    shutil.copy(path.with_name("copy"), left)
    with pytest.raises(JournalError, match=r"move .*j-wal away first"):
        FileJournal(left)
    left.with_name("j-wal").rename(left.with_name("away"))
    shutil.copy(path.with_name("copy"), left)
    with FileJournal(left) as journal:
        assert journal.head().number == 12


@pytest.mark.parametrize("newest", [1, 10, 52, 10_000])
def test_a_journal_that_a_crash_left_open_is_used_on(
    newest: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its newest entries are looked at, all of them where there are not so many."""
    monkeypatch.setattr("vtc07.hhu.journal.file._ENOUGH", newest)
    _left_open(path, 40)
    with FileJournal(path.with_name("left") / "j") as journal:
        assert journal.head().number == 52


def test_a_journal_is_not_begun_anew_beside_the_log_of_one_that_is_missing(path: Path) -> None:
    _left_open(path, 3)
    left = path.with_name("left") / "j"
    left.rename(left.with_name("elsewhere"))
    with pytest.raises(JournalError, match="holds its newest entries; put the journal back"):
        FileJournal(left)
    left.with_name("elsewhere").rename(left)
    with FileJournal(left) as journal:
        assert journal.head().number == 15


@pytest.mark.skipif(sys.platform == "win32", reason="an open file stays in its place there")
def test_a_log_that_is_deleted_while_in_use_is_noticed(path: Path) -> None:
    with FileJournal(path) as journal:
        journal.record(note())
        path.with_name("j-wal").rename(path.with_name("away"))
        with pytest.raises(JournalError, match=r"j-wal, which holds the newest entries"):
            journal.record(note())
        path.with_name("away").rename(path.with_name("j-wal"))
        journal.record(note())
    assert verify(path).good


# --- reading --------------------------------------------------------------------------------------


def test_a_reader_changes_nothing(path: Path) -> None:
    content = path.read_bytes()
    with open_for_reading(path) as journal:
        assert journal.version == 2
        with pytest.raises(JournalError, match="readonly"):
            journal.select("DELETE FROM delivery")
        assert [entry.kind for entry in journal.entries(delivery=2)] == [
            EntryKind.OPENED,
            EntryKind.WRITE,
            EntryKind.RESULT,
        ]
    assert path.read_bytes() == content
    assert {file.name for file in path.parent.iterdir()} == {"j", "j.lock"}


def test_readers_and_the_writer_of_one_process_do_not_disturb_each_other(path: Path) -> None:
    with FileJournal(path) as journal:
        with open_for_reading(path) as reader:
            journal.record(note())
            assert reader.head() == journal.head()
            with open_for_reading(path):
                pass
        with pytest.raises(JournalLocked):
            FileJournal(path)
        journal.record(note())
    with open_for_reading(path) as reader:
        with FileJournal(path) as journal:
            journal.record(note())
        assert reader.head().number == 15
    assert verify(path).good


@pytest.mark.skipif(sys.platform == "win32", reason="rights of this kind are POSIX's")
def test_a_journal_that_cannot_be_written_to_is_read(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, open_for_reading(path) as journal:
        kept = journal.head()
        copy = Path(folder) / "kept"
        shutil.copy(path, copy)
        copy.chmod(0o400)
        Path(folder).chmod(0o500)
        with _without_all_rights(folder, copy), pytest.raises(PermissionError):
            (Path(folder) / "new").touch()
        with _without_all_rights(folder, copy), open_for_reading(copy) as reader:
            assert reader.head() == kept
        Path(folder).chmod(0o700)


@contextmanager
def _without_all_rights(*owned: str | Path) -> Iterator[None]:
    """Be somebody whom rights can hold back, the owner of these, where root is not."""
    if os.geteuid() != 0:
        yield
        return
    for name in owned:
        os.chown(name, _NOBODY, -1)
    os.setresuid(_NOBODY, _NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize("made", ["nothing", "an empty file", "no tables"])
def test_where_there_is_no_journal_yet_is_said(made: str, tmp_path: Path) -> None:
    path = tmp_path / "j"
    if made != "nothing":
        path.touch()
    if made == "no tables":
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode = WAL")
    with pytest.raises(JournalMissing, match="it begins when something is sent"):
        ReadOnlyJournal(path)
    FileJournal(path).close()
    ReadOnlyJournal(path).close()


def test_a_folder_and_a_link_in_a_circle_are_said_by_a_reader(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "a")
    for name in ("a", "."):
        with pytest.raises(JournalError, match="cannot be used"):
            ReadOnlyJournal(tmp_path / name)


# --- backups and exports --------------------------------------------------------------------------


def test_a_copy_is_the_journal_and_can_be_used_as_one(path: Path) -> None:
    pages: list[tuple[int, int]] = []
    with FileJournal(path) as journal:
        made = back_up(path, path.with_name("copy"), on_pages=lambda *told: pages.append(told))
        assert made.verification.head == journal.head()
        assert made.verification.name == str(path.with_name("copy"))
        journal.record(note())
    assert pages[-1][0] == pages[-1][1] > 0
    if sys.platform != "win32":
        assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert made.path.read_bytes()[18:20] == b"\x01\x01"  # one file, that needs no log beside it
    with FileJournal(made.path) as copy:
        assert [d.number for d in copy.unresolved()] == [3]
        assert copy.open_delivery(PAN, TOKEN, S0, AT).number == 4
    assert verify(made.path).good


def test_a_copy_in_a_folder_is_named_after_its_last_entry(path: Path) -> None:
    folder = path.with_name("stick")
    folder.mkdir()
    named = path.with_name("my.journal")
    path.rename(named)
    assert back_up(named, folder).path == folder / "my-12.journal"
    with pytest.raises(JournalError, match=r"my-12\.journal is there already"):
        back_up(named, folder)
    assert [file.name for file in folder.iterdir()] == ["my-12.journal"]


@pytest.mark.parametrize("there", ["copy", "copy-wal", "copy-journal"])
def test_a_copy_overwrites_nothing(there: str, path: Path) -> None:
    path.with_name(there).write_text("mine")
    with pytest.raises(JournalError, match=f"{there} is there"):
        back_up(path, path.with_name("copy"))
    assert path.with_name(there).read_text() == "mine"
    assert not path.with_name("copy.new").exists()


def test_a_copy_of_what_is_damaged_is_not_kept(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("DELETE FROM delivery WHERE number = 2")
    with pytest.raises(JournalError, match=r"not in order \(.*delivery 2.*was not kept"):
        back_up(path, path.with_name("copy"))
    assert {file.name for file in path.parent.iterdir()} == {"j", "j.lock"}


def test_a_place_that_cannot_be_written_is_said(path: Path) -> None:
    nowhere = path.parent / "nowhere" / "copy"
    with pytest.raises(JournalError, match="cannot be written"):
        back_up(path, nowhere)
    with open_for_reading(path) as journal, pytest.raises(JournalError, match="cannot be written"):
        write_export(export_lines(journal, masked=True), nowhere)


def test_an_export_has_no_name_before_it_is_whole(path: Path) -> None:
    file = path.with_name("export")

    def broken() -> Iterator[str]:
        with open_for_reading(path) as journal:
            for number, line in enumerate(export_lines(journal, masked=True)):
                if number == 5:
                    raise KeyboardInterrupt
                yield line

    with pytest.raises(KeyboardInterrupt):
        write_export(broken(), file)
    assert {each.name for each in path.parent.iterdir()} == {"j", "j.lock"}
    with open_for_reading(path) as journal:
        assert write_export(export_lines(journal, masked=True), file) == 12
        with pytest.raises(JournalError, match="is there already"):
            write_export(export_lines(journal, masked=True), file)


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        (Selection(), range(1, 13)),
        (Selection(begin=note(10).time), (7, 8, 9, 10, 11, 12)),
        (Selection(begin=note(10).time, end=note(12).time), (7, 8)),
        (Selection(end=note(0).time), ()),
        (Selection(meter_pan=PAN), (2, 3, 4, 5, 6, 10, 11)),
        (Selection(meter_pan=PAN, delivery=3), (10, 11)),
        (Selection(delivery=3, begin=note(21).time), (11,)),
    ],
)
def test_what_is_selected_is_exported_and_can_be_verified(
    selection: Selection, numbers: tuple[int, ...], path: Path
) -> None:
    told: list[int] = []
    file = path.with_name("export")
    with open_for_reading(path) as journal:
        lines = export_lines(
            journal, selection, masked=True, on_entries=lambda done, _: told.append(done)
        )
        assert write_export(lines, file) == len(numbers)
        found = verify(file, against=journal)
    assert found.good
    assert found.whole is (selection == Selection())
    assert found.entries == len(numbers)
    assert set(numbers) <= set(told)
