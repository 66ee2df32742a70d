"""What a verification finds, and what it says that it cannot find."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from journal_bench import PAN, TOKEN, fill, note

from vtc07.hhu.journal.check import MOST_FINDINGS, expected_digest
from vtc07.hhu.journal.deliveries import JournalError, JournalMissing
from vtc07.hhu.journal.export import Selection, export_lines, write_export
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.hhu.journal.verify import Verification, verify


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with FileJournal(tmp_path / "j") as journal:
        fill(journal)
    return tmp_path / "j"


def _digest(path: Path, number: int) -> str:
    with open_for_reading(path) as journal:
        return journal.entry(number).digest.hex()


def _changed(path: Path, *statements: str) -> None:
    """Do to a journal what its triggers refuse, as somebody would who means to."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        triggers = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)
        for _, sql in triggers:
            database.execute(sql)


def _said(found: Verification) -> list[str]:
    return [f"{finding.entry}: {finding.said}" for finding in found.findings]


def test_a_journal_as_it_was_written_is_good(path: Path) -> None:
    found = verify(path)
    assert found.good
    assert (found.entries, found.head.number) == (12, 12)
    assert (found.deliveries, found.open_deliveries) == (3, 1)
    assert found.head.digest.hex() == _digest(path, 12)
    assert (found.export, found.whole, found.masked, found.hidden) == (False, True, False, 0)
    assert found.begin is not None
    assert found.end is not None
    assert (found.end - found.begin).total_seconds() == 22 * 60
    assert "--expect" in str(found.notes[0])


def test_an_empty_journal_is_good(tmp_path: Path) -> None:
    FileJournal(tmp_path / "j").close()
    found = verify(tmp_path / "j")
    assert found.good
    assert (found.entries, found.head.number, found.begin) == (0, 0, None)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE entry SET kind = 'asked' WHERE number = 5", "5: the entry or its digest"),
        ("UPDATE entry SET time = '2026-01-01T00:00:00+00:00' WHERE number = 5", "5: the entry"),
        ("UPDATE entry SET meter_pan = NULL WHERE number = 5", "5: the entry or"),
        ("UPDATE entry SET delivery = 2 WHERE number = 5", "5: the entry or"),
        ("UPDATE entry SET route = 'x' WHERE number = 12", "12: the entry or"),
        ("UPDATE entry SET members = '{}' WHERE number = 5", "5: the entry or"),
        ("UPDATE entry SET members = '{', kind = 'what' WHERE number = 5", "5: the entry or"),
        ("UPDATE entry SET members = x'ff' WHERE number = 5", "5: the entry"),
        ("UPDATE entry SET kind = 7 WHERE number = 5", "5: the entry"),
        ("UPDATE entry SET digest = zeroblob(32) WHERE number = 12", "12: the entry or its digest"),
        ("UPDATE entry SET digest = 'text' WHERE number = 12", "12: the entry or its digest"),
        ("DELETE FROM entry WHERE number = 5", "5: the entry is missing"),
        ("DELETE FROM entry WHERE number IN (4, 5)", "4: the entries up to 5 are missing"),
        ("DELETE FROM entry WHERE number = 1", "1: the entry is missing"),
        ("UPDATE entry SET number = -1 WHERE number = 1", "entries are not in their order"),
        ("UPDATE secret SET text = '9' WHERE entry = 2 AND name = 'token'", "2: its token was"),
        ("UPDATE secret SET salt = zeroblob(16) WHERE entry = 4", "4: its hex was changed"),
        ("DELETE FROM secret WHERE entry = 2 AND name = 'token'", "2: its token is missing"),
        ("INSERT INTO secret VALUES (5, 'more', zeroblob(16), 'x')", "5: it has a more that was"),
        ("INSERT INTO secret VALUES (99, 'more', zeroblob(16), 'x')", "99: a secret is there"),
        ("UPDATE delivery SET result = 6 WHERE number = 3", "finding delivery 3 does not fit"),
        ("UPDATE delivery SET writes = 0 WHERE number = 1", "finding delivery 1 does not fit"),
        ("DELETE FROM delivery WHERE number = 2", "finding delivery 2 does not fit"),
        ("INSERT INTO delivery VALUES (9, '', 2, 0, NULL)", "finding delivery 9 does not fit"),
        ("DROP INDEX entry_kind", "its index entry_kind is missing or was changed"),
        ("CREATE TABLE more (a)", "it has a table more that was added"),
        (
            "CREATE TRIGGER more AFTER INSERT ON entry BEGIN DELETE FROM delivery; END",
            "it has a trigger more that was added",
        ),
    ],
)
def test_whatever_is_changed_is_found_and_where(statement: str, said: str, path: Path) -> None:
    _changed(path, statement)
    found = verify(path)
    assert not found.good
    assert any(said in finding for finding in _said(found)), _said(found)
    assert not any(TOKEN in finding for finding in _said(found))


def test_a_trigger_that_is_gone_is_found(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TRIGGER entry_update")
    assert _said(verify(path)) == ["None: its trigger entry_update is missing or was changed"]


def test_one_changed_entry_is_one_finding(path: Path) -> None:
    _changed(path, 'UPDATE entry SET members = \'{"text":"another"}\' WHERE number = 5')
    assert _said(verify(path)) == ["5: the entry or its digest was changed"]


def test_entries_of_deliveries_that_contradict_each_other_are_found(path: Path) -> None:
    """A chain that is right, written by something that does not keep the rules."""
    with FileJournal(path) as journal:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("UPDATE delivery SET result = NULL, writes = 6 WHERE number = 1")
            database.execute("DELETE FROM delivery WHERE number > 1")
        time = next(journal.entries()).time
        journal.announce_write(1, 7, time)
        journal.open_delivery(PAN, TOKEN, None, time)
    said = " ".join(_said(verify(path)))
    assert "13: the write does not follow the one before" in said
    assert "14: the delivery does not follow those before it" in said


def test_no_more_findings_are_kept_than_anybody_reads(path: Path) -> None:
    with FileJournal(path) as journal:
        journal.record(*(note() for _ in range(MOST_FINDINGS + 50)))
    _changed(path, "UPDATE entry SET time = '2020-01-01T00:00:00+00:00' WHERE number > 12")
    found = verify(path)
    assert len(found.findings) == MOST_FINDINGS
    assert found.more == 50


def test_a_database_that_is_damaged_is_said(path: Path) -> None:
    content = bytearray(path.read_bytes())
    said: list[str] = []
    for place in range(100, len(content), 977):
        content[place] ^= 0xFF
        path.write_bytes(content)
        try:
            said += _said(verify(path))[:1]
        except JournalError as error:
            said.append(str(error).removeprefix(f"the journal {path}"))
        content[place] ^= 0xFF
    assert len(said) > 5
    assert not any(TOKEN in words for words in said)


def test_a_digest_that_was_noted_elsewhere_is_found_again(path: Path) -> None:
    noted = _digest(path, 7)
    for text in (noted, noted[:16], f"{noted[:8]} {noted[8:16].upper()}", ":".join(noted)):
        found = verify(path, expected=expected_digest(text))
        assert found.good
        assert found.expected_at == 7
        assert str(found.notes[0]) == "5 entries came after the digest was noted"
    last = verify(path, expected=_digest(path, 12))
    assert (last.expected_at, last.notes) == (12, ())


@pytest.mark.parametrize("text", ["", "12345678", "0" * 65, "x" * 64, "0x" + "1" * 62])
def test_what_is_no_digest_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        expected_digest(text)


def _cut_off(path: Path) -> None:
    _changed(
        path,
        "DELETE FROM secret WHERE entry > 9",
        "DELETE FROM entry WHERE number > 9",
        "DELETE FROM delivery WHERE opened > 9",
    )


def _written_anew(path: Path) -> None:
    path.unlink()
    with FileJournal(path) as journal:
        fill(journal)


@pytest.mark.parametrize("done", [_cut_off, _written_anew])
def test_what_the_chain_alone_cannot_show_a_noted_digest_does(
    done: Callable[[Path], None], path: Path
) -> None:
    noted = _digest(path, 12)
    done(path)
    assert verify(path).good
    found = verify(path, expected=noted)
    assert [finding.entry for finding in found.findings] == [None]
    assert "cut off, or it was written anew" in _said(found)[0]


def test_a_journal_is_verified_while_it_is_written(path: Path) -> None:
    with FileJournal(path) as journal:
        journal.record(note())
        told: list[tuple[int, int]] = []
        journal.record(*(note() for _ in range(2000)))
        found = verify(path, on_checked=lambda done, whole: told.append((done, whole)))
        assert found.good
        assert found.head == journal.head()
        assert told == [(1000, 2013), (2000, 2013)]
        journal.record(note())


def test_an_earlier_copy_agrees_with_its_journal_and_another_one_does_not(path: Path) -> None:
    copy, other = path.with_name("copy"), path.with_name("other")
    shutil.copy(path, copy)
    with FileJournal(path) as journal, FileJournal(other) as another:
        journal.record(note())
        fill(another)
        assert verify(copy, against=journal).good
        wrong = verify(copy, against=another)
        assert len(wrong.findings) >= 3  # the entries with secrets differ by their salts at least
        assert "the journal has another entry" in _said(wrong)[0]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(JournalMissing, match="is not there"):
        verify(tmp_path / "j")
    (tmp_path / "j").write_text("shopping list\n")
    with pytest.raises(JournalError, match="line 1: this is no entry"):
        verify(tmp_path / "j")


# --- exports --------------------------------------------------------------------------------------


_ALL = Selection()


def _export(path: Path, *, masked: bool, selection: Selection = _ALL) -> Path:
    file = path.with_name("export")
    file.unlink(missing_ok=True)
    with open_for_reading(path) as journal:
        write_export(export_lines(journal, selection, masked=masked), file)
    return file


@pytest.mark.parametrize("masked", [False, True])
def test_an_export_is_verified_masked_or_not(masked: bool, path: Path) -> None:
    file = _export(path, masked=masked)
    found = verify(file)
    assert found.good
    assert (found.export, found.whole, found.masked) == (True, True, masked)
    assert found.hidden == (6 if masked else 0)
    assert (found.entries, found.head.digest.hex()) == (12, _digest(path, 12))
    assert (found.deliveries, found.open_deliveries) == (3, 1)
    assert (TOKEN in file.read_text()) is not masked
    assert verify(file, expected=_digest(path, 7)).expected_at == 7


@pytest.mark.parametrize("masked", [False, True])
def test_any_character_of_an_export_that_is_changed_is_found(masked: bool, path: Path) -> None:
    file = _export(path, masked=masked)
    content = file.read_bytes()
    found = 0
    for place in range(content.index(b"\n") + 1, len(content), 7):
        changed = bytearray(content)
        changed[place] ^= 0x01
        file.write_bytes(changed)
        try:
            good = verify(file).good
        except JournalError:
            good = False
        if good:  # only what JSON does not tell apart, as a digit of a digest in capitals
            assert changed.lower() == content.lower()
        found += not good
    assert found > 300


def test_lines_of_an_export_that_are_missing_or_more_are_found(path: Path) -> None:
    file = _export(path, masked=True)
    lines = file.read_bytes().splitlines(keepends=True)
    for kept, said in (
        (lines[:-1], "its last line is missing"),
        (lines[:5] + lines[6:], "the entry is missing"),
        (lines[:-2] + lines[-1:], "the journal ended"),
        (lines[:6] + lines[5:], "not in their order"),
    ):
        file.write_bytes(b"".join(kept))
        assert any(said in finding for finding in _said(verify(file)))
    more = lines[3][:1] + b'"more":1,' + lines[3][1:]
    twice = lines[3][:1] + b'"kind":"note",' + lines[3][1:]
    half = lines[3].replace(b'"number":3,', b'"number":3.0,')
    told = lines[3][:1] + b'"secrets":{},' + lines[3][1:]  # a masked export has none
    for bad in (
        [*lines, lines[3]],
        [lines[0], b"[]\n", *lines[1:]],
        [*lines[:3], b"{}\n"],
        *([*lines[:3], line, *lines[4:]] for line in (more, twice, half, told)),
    ):
        file.write_bytes(b"".join(bad))
        with pytest.raises(JournalError, match=r"line \d+: "):
            verify(file)


def test_a_part_of_a_journal_says_what_it_is(path: Path) -> None:
    file = _export(path, masked=True, selection=Selection(delivery=2))
    found = verify(file)
    assert found.good
    assert (found.whole, found.entries, found.head.number) == (False, 3, 9)
    assert "part of a journal" in str(found.notes[0])
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines).replace('"refused"', '"done"'))
    assert any("9: the entry" in said for said in _said(verify(file)))
    file.write_text("".join(lines).replace('"before":', '"before_it":'))
    with pytest.raises(JournalError, match="line 2: this is no entry"):
        verify(file)
    start = lines[1].index('"before"')
    file.write_text(lines[0] + lines[1][:start] + lines[1][start + 76 :] + "".join(lines[2:]))
    assert _said(verify(file)) == ["7: the digest before it is missing"]
    file.write_text("".join([*lines[:2], *lines[3:]]))
    assert any("must hold 3 entries and holds 2" in said for said in _said(verify(file)))


def test_an_export_is_compared_with_the_journal(path: Path) -> None:
    file = _export(path, masked=True, selection=Selection(delivery=2))
    with FileJournal(path) as journal:
        journal.record(note())
        assert verify(file, against=journal).good
    with FileJournal(path.with_name("other")) as other:
        fill(other)
        assert "another entry" in _said(verify(file, against=other))[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"export":"vtc07 journal","version":9,"masked":true,"selection":null}', "version 9"),
        (b'{"export":"another journal"}', "neither a journal nor an export"),
        (b'{"export":', "neither a journal nor an export"),
    ],
)
def test_what_begins_as_an_export_and_is_none_is_said(
    line: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(line + b"\n")
    with pytest.raises(JournalError, match=said):
        verify(tmp_path / "x")
