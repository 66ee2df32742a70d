from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal import (
    Delivery,
    Journal,
    JournalCorrupt,
    JournalError,
    JournalLocked,
    MemoryJournal,
    delivered_before,
)
from vtc07.hhu.journal_file import FileJournal
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


def test_a_last_line_torn_at_any_character_is_set_aside_and_the_rest_is_whole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "j"
    with FileJournal(path) as journal:
        _fill(journal)
        before = journal.deliveries()
        journal.close_delivery(2, DONE, AT)
    content = path.read_bytes()
    start = content[:-1].rindex(b"\n") + 1
    for cut in range(start, len(content) - 1):
        path.write_bytes(content[:cut])
        aside = tmp_path / "j.torn"
        aside.unlink(missing_ok=True)
        with FileJournal(path) as journal:
            assert journal.deliveries() == before
            if cut > start:
                assert journal.torn == aside
                assert aside.read_bytes() == content[start:cut] + b"\n"
            else:
                assert journal.torn is None
            journal.close_delivery(2, DONE, AT)
        assert path.read_bytes() == content


@pytest.mark.parametrize("kept", ["header", "opened", "result"])
def test_a_last_entry_without_its_line_end_is_kept(kept: str, tmp_path: Path) -> None:
    path = tmp_path / "j"
    with FileJournal(path) as journal:
        if kept != "header":
            journal.open_delivery(PAN, TOKEN, S0, AT)
        if kept == "result":
            journal.close_delivery(1, DONE, AT)
        before = journal.deliveries()
    content = path.read_bytes()
    for end in (b"", *(bytes([0x0A ^ 1 << bit]) for bit in range(8)), b"\0", b"\0\n", b"\0\0"):
        path.write_bytes(content[:-1] + end)
        with FileJournal(path) as journal:
            assert journal.deliveries() == before, end
            assert journal.torn is None
        assert path.read_bytes() == content, end
    assert not (tmp_path / "j.torn").exists()


def test_a_kept_entry_that_does_not_belong_is_refused_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with FileJournal(path) as journal:
        journal.open_delivery(PAN, TOKEN, S0, AT)
    content = path.read_bytes()
    twice = content + content.splitlines()[-1]
    path.write_bytes(twice)
    with pytest.raises(JournalCorrupt, match="line 3"):
        FileJournal(path)
    assert path.read_bytes() == twice


def test_torn_tails_gather_in_the_file_beside(tmp_path: Path) -> None:
    path = tmp_path / "j"
    FileJournal(path).close()
    for tail in (b'{"entry', b"\0\0\0", b'{"entry":"opened"\0\0\n'):
        with path.open("ab") as file:
            file.write(tail)
        FileJournal(path).close()
    kept = (tmp_path / "j.torn").read_bytes()
    assert kept == b'{"entry\n\0\0\0\n{"entry":"opened"\0\0\n'
    assert path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("torn", [b'{"journal":"vt', b"{" + bytes(20), bytes(4)])
def test_a_torn_header_begins_a_new_journal(torn: bytes, tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(torn)
    with FileJournal(path) as journal:
        _fill(journal)
    with FileJournal(path) as journal:
        assert len(journal.deliveries()) == 3
    assert (tmp_path / "j.torn").read_bytes() == torn + b"\n"


def test_a_changed_character_anywhere_else_is_refused_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with FileJournal(path) as journal:
        _fill(journal)
    content = path.read_bytes()
    for place in range(len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 0x01
        if content[place : place + 1] == b"\n" or changed[place] == 0x0A:
            continue
        path.write_bytes(changed)
        with pytest.raises(JournalCorrupt) as caught:
            FileJournal(path)
        line = content[:place].count(b"\n") + 1
        assert caught.value.line == line
        assert f"{path}, line {line}" in str(caught.value)
        assert TOKEN not in str(caught.value)
        assert path.read_bytes() == changed


def test_a_line_left_out_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with FileJournal(path) as journal:
        _fill(journal)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    with pytest.raises(JournalCorrupt, match="line 2"):
        FileJournal(path)


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


def test_a_changed_entry_before_a_torn_tail_leaves_the_tail_in_place(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with FileJournal(path) as journal:
        _fill(journal)
    content = path.read_bytes().replace(b'"number":1', b'"number":2', 1) + b'{"entry'
    path.write_bytes(content)
    with pytest.raises(JournalCorrupt, match="line 3"):
        FileJournal(path)
    assert path.read_bytes() == content
    assert not (tmp_path / "j.torn").exists()


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


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
@pytest.mark.parametrize("second_first", [False, True])
def test_a_second_name_of_the_file_is_the_same_journal(
    link: str, second_first: bool, tmp_path: Path
) -> None:
    path, other = tmp_path / "j", tmp_path / "elsewhere" / "k"
    other.parent.mkdir()
    FileJournal(path).close()
    getattr(other, link)(path)
    names = (other, path) if second_first else (path, other)
    if sys.platform == "win32" and link == "hardlink_to":
        with pytest.raises(JournalError, match="hard link"):
            FileJournal(other)
        return
    with FileJournal(names[0]) as journal:
        with pytest.raises(JournalLocked, match="another program is using"):
            FileJournal(names[1])
        journal.open_delivery(PAN, TOKEN, S0, AT)
    with FileJournal(names[1]) as journal:
        assert journal.open_delivery(PAN, TOKEN, S0, AT).number == 2


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
    copy.write_bytes(path.read_bytes())
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
        before, size = journal.deliveries(), path.stat().st_size
        there = os.open(path, os.O_RDONLY)
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
        assert os.fstat(there).st_size == size
        os.close(there)


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


@pytest.mark.parametrize("content", [b"", b"more\n"])
def test_what_somebody_else_wrote_into_it_is_noticed(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "j"
    with FileJournal(path) as journal:
        journal.open_delivery(PAN, TOKEN, S0, AT)
        path.write_bytes(path.read_bytes() + content if content else b"")
        changed = path.read_bytes()
        with pytest.raises(JournalError, match="by another program"):
            journal.announce_write(1, 1, AT)
        assert path.read_bytes() == changed


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
    FileJournal(path).close()
    with path.open("ab") as file:
        file.write(b"torn")
    (tmp_path / "j.torn").write_bytes(b"earlier\n")
    for name in ("j", "j.torn"):
        (tmp_path / name).chmod(0o644)
    with FileJournal(path):
        for name in ("j", "j.torn", "j.lock"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "j").mkdir()
    with pytest.raises(JournalError, match="cannot be used"):
        FileJournal(tmp_path / "j")


@pytest.mark.skipif(sys.platform == "win32", reason="a folder cannot be opened there")
def test_every_entry_is_on_the_disk_and_so_is_the_name_of_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j"
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        where = os.fstat(descriptor)
        (name,) = [p.name for p in (path, tmp_path) if os.path.samestat(where, p.stat())]
        synced.append(f"{name} {where.st_size}" if name == "j" else "folder")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    with FileJournal(path) as journal:
        header = path.stat().st_size
        assert synced == [f"j {header}", "folder"]
        journal.open_delivery(PAN, TOKEN, S0, AT)
        assert synced[2:] == [f"j {path.stat().st_size}"]
    synced.clear()
    FileJournal(path).close()
    assert synced == []


def test_after_a_failed_write_nothing_more_is_trusted_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j"
    journal = FileJournal(path)
    journal.open_delivery(PAN, TOKEN, S0, AT)
    content = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(JournalError, match="No space left"):
            journal.announce_write(1, 1, AT)
    assert path.read_bytes() == content
    with pytest.raises(JournalError, match="not used any more"):
        journal.announce_write(1, 1, AT)
    journal.close()
    with FileJournal(path) as again:
        assert [d.writes for d in again.deliveries()] == [0]


def test_a_newer_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j"
    FileJournal(path).close()
    header = json.loads(path.read_text())
    assert header["version"] == 1
    import zlib

    newer = {"journal": header["journal"], "version": 2}
    check = f"{zlib.crc32(json.dumps(newer, separators=(',', ':')).encode()):08x}"
    path.write_text(json.dumps({**newer, "check": check}) + "\n")
    with pytest.raises(JournalError, match="version 2"):
        FileJournal(path)


def test_no_token_in_a_repr() -> None:
    assert TOKEN not in repr(MemoryJournal().open_delivery(PAN, TOKEN, S0, AT))


def test_what_need_not_be_entered_again() -> None:
    """Accepted tokens, and sections of a set whose completing token was accepted."""

    def known(*results: tuple[str, str | None]) -> list[int]:
        deliveries = [
            Delivery(n, PAN, token, None, AT, result=result)
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
    other = [Delivery(1, OTHER, a, None, AT, result="delivered: Accept")]
    assert delivered_before(other, PAN, [a]) == {}
