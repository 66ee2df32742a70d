"""Entries of every kind: what is written, what is found again, and their chain."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tracemalloc
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal_bench import AT, OTHER, PAN, S0, SECOND, TOKEN, fill, note, salts

from vtc07.hhu.journal.chain import canonical
from vtc07.hhu.journal.deliveries import JournalError
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.export import export_lines
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.journal.verify import verify

_KINDS = [
    "begun", "opened", "write", "message", "note", "result",
    "opened", "write", "result", "opened", "write", "note",
]  # fmt: skip


@pytest.fixture
def journal() -> Any:
    with MemoryPlace() as place, SQLiteJournal(place, salt=salts()) as journal:
        fill(journal)
        yield journal


def test_entries_stand_in_their_order_with_what_was_written(journal: SQLiteJournal) -> None:
    entries = list(journal.entries())
    assert [entry.number for entry in entries] == list(range(1, 13))
    assert [entry.kind.value for entry in entries] == _KINDS
    begun, opened, write, message, *_ = entries
    assert begun.members["journal"] == "vtc07 journal"
    assert (begun.members["version"], begun.time) == (2, AT)
    assert opened.secrets == {"token": TOKEN, "last_token": S0.last_token}
    assert (opened.meter_pan, opened.delivery, opened.route) == (PAN, 1, None)
    assert write.members == {"write": 1}
    assert message.secrets == {"hex": f"<{TOKEN}>"}
    assert entries[-1].route == "monday"
    assert journal.entry(4) == message
    with pytest.raises(JournalError, match="no entry 13"):
        journal.entry(13)


def test_no_token_stands_outside_of_the_secrets(journal: SQLiteJournal) -> None:
    for row in journal.select("SELECT * FROM entry"):
        assert not any(token in repr(row) for token in (TOKEN, SECOND, S0.last_token))


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({}, range(1, 13)),
        ({"after": 9}, (10, 11, 12)),
        ({"after": 12}, ()),
        ({"delivery": 1}, (2, 3, 4, 5, 6)),
        ({"delivery": 1, "kinds": [EntryKind.RESULT, EntryKind.OPENED]}, (2, 6)),
        ({"meter_pan": OTHER}, (7, 8, 9)),
        ({"meter_pan": PAN, "delivery": 3}, (10, 11)),
        ({"meter_pan": OTHER, "delivery": 3}, ()),
        ({"kinds": [EntryKind.NOTE, EntryKind.BEGUN]}, (1, 5, 12)),
        ({"kinds": [EntryKind.NOTE, EntryKind.NOTE]}, (5, 12)),
        ({"kinds": [EntryKind.NOTE], "route": "monday"}, (12,)),
        ({"route": "monday"}, (12,)),
        ({"route": "tuesday"}, ()),
        ({"kinds": [EntryKind.NOTE], "after": 5, "meter_pan": PAN}, ()),
    ],
)
def test_entries_are_found_by_all_that_is_asked(
    wanted: dict[str, Any], numbers: Any, journal: SQLiteJournal
) -> None:
    assert [entry.number for entry in journal.entries(**wanted)] == list(numbers)


def test_many_entries_are_found_page_by_page_and_in_order(journal: SQLiteJournal) -> None:
    kinds = (EntryKind.NOTE, EntryKind.ASKED, EntryKind.TASK)
    for number in range(400):
        journal.record(
            *(NewEntry(kind, AT, {"n": number}, PAN, route="r") for kind in kinds[: number % 3 + 1])
        )
    for wanted in ({}, {"kinds": kinds}, {"kinds": kinds, "route": "r"}, {"meter_pan": PAN}):
        found = [entry.number for entry in journal.entries(after=12, **wanted)]
        assert found == list(range(13, journal.head().number + 1))
    assert len(list(journal.entries(kinds=[EntryKind.TASK]))) == 133


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"delivery": 1},
        {"meter_pan": PAN},
        {"meter_pan": PAN, "kinds": [EntryKind.NOTE], "route": "monday"},
        {"route": "monday"},
        {"kinds": [EntryKind.NOTE, EntryKind.OPENED]},
        {"kinds": [EntryKind.NOTE], "route": "monday"},
    ],
)
def test_nothing_is_searched_through_or_sorted(
    wanted: dict[str, Any], journal: SQLiteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page costs what stands on it, however many entries there are."""
    select = journal.select
    plans: list[str] = []

    def explained(sql: str, values: Any = ()) -> list[Any]:
        plans.extend(row[3] for row in select(f"EXPLAIN QUERY PLAN {sql}", values))
        return select(sql, values)

    monkeypatch.setattr(journal, "select", explained)
    list(journal.entries(**wanted))
    assert plans
    assert all(plan.startswith("SEARCH") for plan in plans), plans


def test_entries_are_read_while_others_are_written(journal: SQLiteJournal) -> None:
    numbers = []
    for entry in journal.entries():
        numbers.append(entry.number)
        if len(numbers) < 600:
            journal.record(note(text=str(entry.number)))
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 12


def test_entries_are_written_together_or_not_at_all(journal: SQLiteJournal) -> None:
    assert journal.record() == ()
    assert journal.record(note(), note()) == (13, 14)
    bad: Any = (
        NewEntry(EntryKind.NOTE, AT, {"set": {1, 2}}),
        NewEntry(EntryKind.NOTE, AT, {"number": float("nan")}),
        NewEntry(EntryKind.NOTE, AT, {"by number": {2: 1, 10: 1}}),
        NewEntry(EntryKind.NOTE, datetime(2026, 3, 1)),  # noqa: DTZ001 - without a zone
        NewEntry(EntryKind.OPENED, AT),
        NewEntry(EntryKind.RESULT, AT, {}, PAN, 1),
        NewEntry(EntryKind.BEGUN, AT),
        NewEntry(EntryKind.NOTE, AT, secrets={"text": "\ud800"}),
    )
    for entry in bad:
        with pytest.raises((ValueError, TypeError)):
            journal.record(note(), entry)
    assert journal.head().number == 14
    assert journal.record(note()) == (15,)


def test_the_first_entry_is_written_with_the_second() -> None:
    with MemoryPlace() as place, SQLiteJournal(place) as journal:
        assert journal.head().number == 0
        assert list(journal.entries()) == []
        assert journal.record(note(7)) == (2,)
        assert next(journal.entries()).time == AT + timedelta(minutes=7)


def test_the_chain_is_what_its_description_says(journal: SQLiteJournal) -> None:
    """Computed once more, from the description and nothing of the journal's own code."""
    before = bytes(32)
    secrets: dict[int, dict[str, str]] = {}
    for number, name, salt, text in journal.select("SELECT * FROM secret"):
        assert len(salt) == 16
        committed = hashlib.sha256(salt + text.encode()).hexdigest()
        secrets.setdefault(number, {})[name] = committed
    for entry in journal.entries():
        document = {
            "number": entry.number,
            "kind": entry.kind.value,
            "time": entry.time.isoformat(),
            "meter_pan": entry.meter_pan,
            "delivery": entry.delivery,
            "route": entry.route,
            "members": entry.members,
            "secrets": secrets.get(entry.number, {}),
        }
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        before = hashlib.sha256(before + text.encode()).digest()
        assert entry.digest == before
    assert journal.head().digest == before


def test_the_same_salts_make_the_same_journal() -> None:
    digests = set()
    for salt in (salts(), salts()):
        with MemoryPlace() as place, SQLiteJournal(place, salt=salt) as journal:
            fill(journal)
            digests.add(journal.head().digest)
    assert len(digests) == 1


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(), _json, max_size=4))
def test_whatever_json_can_hold_comes_back_as_it_was(members: dict[str, Any]) -> None:
    text = canonical(members)
    assert json.loads(text) == members
    assert canonical(json.loads(text)) == text
    assert text.isascii()
    with MemoryPlace() as place, SQLiteJournal(place) as journal:
        journal.record(NewEntry(EntryKind.NOTE, AT, members))
        assert journal.entry(2).members == members


def test_the_newest_deliveries(journal: SQLiteJournal) -> None:
    assert [d.number for d in journal.newest(2)] == [2, 3]
    assert [d.number for d in journal.newest(9, PAN)] == [1, 3]
    assert [d.number for d in journal.newest(9, only_open=True)] == [3]
    assert [d.number for d in journal.each_delivery(PAN)] == [1, 3]
    assert journal.delivery(2).meter_pan == OTHER
    with pytest.raises(JournalError, match="no delivery 4"):
        journal.delivery(4)


def test_a_commit_waits_for_the_disk_and_readers_do_not_wait_for_it(tmp_path: Path) -> None:
    with FileJournal(tmp_path / "j") as journal:
        assert journal.select("PRAGMA journal_mode") == [("wal",)]
        assert journal.select("PRAGMA synchronous") == [(2,)]  # FULL: each commit is synchronized
    with closing(sqlite3.connect(tmp_path / "j")) as database:
        assert database.execute("PRAGMA application_id").fetchone() == (0x5654434A,)
        assert database.execute("PRAGMA user_version").fetchone() == (2,)


@pytest.mark.parametrize("version", [1, 3])
def test_another_schema_is_refused_with_its_version(version: int, tmp_path: Path) -> None:
    FileJournal(tmp_path / "j").close()
    with closing(sqlite3.connect(tmp_path / "j")) as database:
        database.execute(f"PRAGMA user_version = {version}")
    content = (tmp_path / "j").read_bytes()
    with pytest.raises(JournalError, match=f"of version {version}; this program knows version 2"):
        FileJournal(tmp_path / "j")
    assert (tmp_path / "j").read_bytes() == content


@pytest.mark.parametrize("application_id", [0, 7])
def test_the_database_of_another_program_is_left_alone(application_id: int, tmp_path: Path) -> None:
    path = tmp_path / "j"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine (a)")
        database.execute(f"PRAGMA application_id = {application_id}")
    content = path.read_bytes()
    with pytest.raises(JournalError, match="of another program"):
        FileJournal(path)
    assert path.read_bytes() == content


def test_memory_does_not_grow_with_the_journal(tmp_path: Path) -> None:
    """Reading, checking and exporting hold a page, whatever there is to be read."""
    path, peaks = tmp_path / "j", []
    with FileJournal(path) as journal:
        for _ in range(2):
            for _ in range(2):
                journal.record(
                    *(note(meter_pan=PAN, secrets={"hex": "30" * 60}) for _ in range(500))
                )
            for _ in range(5):
                journal.open_delivery(OTHER, TOKEN, S0, AT)
            tracemalloc.start()
            read = sum(1 for _ in journal.entries())
            read += sum(1 for _ in journal.entries(kinds=list(EntryKind)))
            read += sum(1 for _ in journal.each_delivery(only_open=True))
            with open_for_reading(path) as reader:
                read += sum(1 for _ in export_lines(reader, masked=False))
            assert verify(path).good
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert read > 3_000
    assert peaks[1] < 1.2 * peaks[0]
