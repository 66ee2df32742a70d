"""Loss of power at every write and synchronization of a unit's journal."""

from __future__ import annotations

from pathlib import Path

import pytest
from journal_power_proof import (
    JOURNAL,
    LOG,
    RECOVERY,
    Held,
    a_day,
    after,
    cut_for_real,
    fail_for_real,
    held,
    interrupted,
    making,
    opening,
    prove,
)
from power_life import Life, Tally

from vtc07.durable.database import Connection
from vtc07.hhu.journal import sqlite as journal_sqlite
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.journal.schema import make_durable


@pytest.fixture(scope="module")
def day() -> Life[Held]:
    return a_day(after(making()))


def test_every_entry_of_a_day(day: Life[Held]) -> None:
    tally = Tally()
    prove(day, tally)
    assert set(tally.cuts) == {
        "command", "messages and answer", "delivery opened", "entry announced",
        "second entry announced", "delivered", "not taken", "many entries at once", "closing",
    }  # fmt: skip
    assert min(tally.cuts.values()) > 50
    assert tally.found["before"] > 100
    assert tally.found["after"] > 50


def test_the_making_of_a_journal() -> None:
    tally = Tally()
    prove(making(), tally)
    assert tally.cuts["making"] > 100


def test_a_recovery_at_opening(day: Life[Held]) -> None:
    tally = Tally()
    for files in interrupted(day, every=7):
        prove(opening(files), tally)
    assert tally.cuts[RECOVERY] > 100


def test_a_running_journal_does_nothing_after_a_loss_of_power(day: Life[Held]) -> None:
    tally = cut_for_real(after(day))
    assert min(tally.found["before"], tally.found["after"]) > 20


def test_a_journal_that_could_not_write_refuses_from_then_on(day: Life[Held]) -> None:
    assert fail_for_real(after(day)).found["refused"] > 100


def test_the_library_that_the_journal_uses_finds_the_same(day: Life[Held], tmp_path: Path) -> None:
    """The proof runs on another build of SQLite; here is the one of the product, on real files."""
    for number, files in enumerate(interrupted(day, every=15)):
        assert LOG in files
        (stage,) = opening(files).stages
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        with FileJournal(folder / JOURNAL) as journal:
            assert held(journal) == stage.after


@pytest.mark.parametrize(
    "weak",
    ["PRAGMA synchronous = OFF", "PRAGMA synchronous = NORMAL", "PRAGMA journal_mode = MEMORY"],
)
def test_the_proof_notices_a_journal_that_is_not_durable(
    monkeypatch: pytest.MonkeyPatch, weak: str
) -> None:
    def weakened(connection: Connection) -> None:
        make_durable(connection)
        connection.execute(weak).fetchall()

    monkeypatch.setattr(journal_sqlite, "make_durable", weakened)
    life = a_day({})
    monkeypatch.undo()
    with pytest.raises(AssertionError, match=r"lost|neither|damaged"):
        prove(life, Tally())
