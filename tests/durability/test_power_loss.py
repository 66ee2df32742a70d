"""Loss of power at every write and synchronization of every kind of commit."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from bench_store import KEY
from power_database import STORE
from power_disk import SECTOR, Disk, Op, PowerIsOff, Step, Tear, cuts
from power_life import Life, Tally
from power_proof import (
    MIGRATION,
    ROLLBACK,
    cut_for_real,
    fail_for_real,
    hot_journals,
    long_past,
    making,
    opening,
    prove,
    version_1,
    whole_life,
)

from vtc07.meter import Connection, MeterState, SQLiteStore, store
from vtc07.meter.store_database import make_durable


@pytest.fixture(scope="module")
def image() -> bytes:
    return long_past()


@pytest.fixture(scope="module")
def life(image: bytes) -> Life[MeterState]:
    return whole_life(image)


def test_every_commit_of_a_life(life: Life[MeterState]) -> None:
    tally = Tally()
    prove(life, tally)
    assert set(tally.cuts) == {
        "power up", "credit token", "refused token", "upkeep", "write", "tamper", "tamper token",
        "first section staged", "second section staged", "third section staged",
        "key change completing", "token that does not authenticate", "lockout trigger",
        "refused entry in a lockout", "power off",
    }  # fmt: skip
    assert min(tally.cuts.values()) > 100
    assert tally.found["before"] > 1000
    assert tally.found["after"] > 20


def test_the_making_of_a_store() -> None:
    tally = Tally()
    prove(making(), tally)
    assert set(tally.found) == {"nothing", "after"}
    assert min(tally.found.values()) > 5


def test_a_migration(image: bytes) -> None:
    tally = Tally()
    prove(opening({STORE: version_1(image)}, MIGRATION), tally)
    assert tally.cuts[MIGRATION] > 200


def test_a_rollback_at_opening(life: Life[MeterState]) -> None:
    tally = Tally()
    for files in hot_journals(life, every=4):
        prove(opening(files, ROLLBACK), tally, tears=4)
    assert tally.cuts[ROLLBACK] > 1000


def test_a_running_store_does_nothing_after_a_loss_of_power(image: bytes) -> None:
    tally = cut_for_real(image)
    assert min(tally.found["before"], tally.found["after"]) > 5


def test_a_commit_that_was_reported_as_failed_never_shows(image: bytes) -> None:
    assert fail_for_real(image).found["before"] > 200


def test_the_library_that_the_store_uses_finds_the_same(
    life: Life[MeterState], tmp_path: Path
) -> None:
    """The proof runs on another build of SQLite; here is the one of the product, on real files."""
    for files in hot_journals(life, every=15):
        (stage,) = opening(files, ROLLBACK).stages
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        with SQLiteStore.open(tmp_path / STORE, KEY) as opened:
            assert opened.load() == stage.after
        (tmp_path / STORE).unlink()


@pytest.mark.parametrize(
    "weak",
    ["PRAGMA synchronous = OFF", "PRAGMA journal_mode = MEMORY", "PRAGMA journal_mode = OFF"],
)
def test_the_proof_notices_a_store_that_is_not_durable(
    image: bytes, monkeypatch: pytest.MonkeyPatch, weak: str
) -> None:
    def weakened(connection: Connection) -> None:
        make_durable(connection)
        connection.execute(weak)

    monkeypatch.setattr(store, "make_durable", weakened)
    life = whole_life(image)
    monkeypatch.undo()
    with pytest.raises(AssertionError, match=r"lost|neither|damaged"):
        prove(life, Tally())


# --- the disk itself -----------------------------------------------------------------------------


def _left(disk: Disk, tear: Tear, done: int | None = None) -> dict[str, bytes]:
    places = dict(cuts_copied(disk, tear))
    return places[len(disk.steps) if done is None else done]


def cuts_copied(disk: Disk, tear: Tear) -> list[tuple[int, dict[str, bytes]]]:
    return [(done, platter.after(tear, random.Random(1))) for done, platter in cuts(disk)]


def test_what_was_synchronized_stays_and_the_rest_may_go() -> None:
    disk = Disk({"a": b"old"})
    a = disk.open("a", create=False)
    disk.write(a, 0, b"NEW")
    disk.sync(a)
    disk.write(a, 1, b"xy")
    disk.truncate(a, 2)
    assert disk.read(a, 0, 9) == b"Nx"
    assert _left(disk, Tear.NOTHING) == {"a": b"NEW"}
    assert _left(disk, Tear.EVERYTHING) == {"a": b"Nx"}
    assert _left(disk, Tear.NOTHING, 1) == {"a": b"old"}
    assert _left(disk, Tear.EVERYTHING, 1) == {"a": b"NEW"}


def test_names_need_their_folder() -> None:
    disk = Disk({"a": b"old"})
    b = disk.open("b", create=True)
    disk.write(b, 0, b"content")
    disk.sync(b)
    disk.delete("a")
    assert (disk.exists("a"), disk.exists("b")) == (False, True)
    assert _left(disk, Tear.NOTHING) == {"a": b"old"}
    assert _left(disk, Tear.CONTENT) == {"a": b"old"}
    assert _left(disk, Tear.NAMES) == {"b": b"content"}
    disk.sync_folder()
    assert _left(disk, Tear.NOTHING) == {"b": b"content"}
    with pytest.raises(KeyError):
        disk.open("a", create=False)


def test_sectors_are_torn() -> None:
    disk = Disk({"a": bytes(8 * SECTOR)})
    disk.write(disk.open("a", create=False), 0, b"\x01" * 8 * SECTOR)
    content = _left(disk, Tear.SECTORS)["a"]
    sectors = {content[at : at + SECTOR] for at in range(0, len(content), SECTOR)}
    assert sectors == {bytes(SECTOR), b"\x01" * SECTOR}
    content = _left(disk, Tear.GARBAGE)["a"]
    sectors = {content[at : at + SECTOR] for at in range(0, len(content), SECTOR)}
    assert len(sectors) > 2


def test_a_disk_without_power_does_nothing() -> None:
    disk = Disk({"a": b"old"}, cut_after=1)
    a = disk.open("a", create=False)
    disk.write(a, 0, b"x")
    for deed in (
        lambda: disk.write(a, 0, b"y"),
        lambda: disk.sync(a),
        lambda: disk.delete("a"),
        lambda: disk.read(a, 0, 1),
    ):
        with pytest.raises(PowerIsOff):
            deed()
    assert disk.steps == [Step(Op.WRITE, a, data=b"x")]
