"""What befalls a store: damage, power that fails in the middle of a commit, a disk that fails."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from bench_meter import MeterBench, credit, new_meter
from bench_store import ELECTRICITY, KEY, edit, lived, no_file_beyond, sentence

from vtc07.meter import (
    Changes,
    MemoryDatabase,
    MeterState,
    SQLiteStore,
    StoreCorrupt,
    StoreError,
)
from vtc07.tokens import DecoderKey

posix_only = pytest.mark.skipif(os.name != "posix", reason="limits as POSIX has them")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "meter.vtc07"


def made(path: Path, tokens: int = 0) -> MeterState:
    """Make a store whose meter has executed some tokens; returns what it holds."""
    with SQLiteStore.create(path, new_meter(), ELECTRICITY, KEY) as store:
        bench = MeterBench(store=store)
        for number in range(1, tokens + 1):
            bench.enter(credit(number, 10))
        return bench.meter.committed


def require_same_or_refused(path: Path, expected: MeterState) -> bool:
    """Require that a store opens with this state or is refused in a sentence; True if refused."""
    try:
        store = SQLiteStore.open(path, KEY)
    except StoreError as error:
        said = str(error)
    else:
        with store:
            assert store.load() == expected
        return False
    assert str(path) in said
    assert said.endswith(".")
    assert said.isprintable()
    return True


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0x80, 0x01, 0xFF])
def test_a_damaged_byte_anywhere_ends_in_a_sentence(path: Path, mask: int) -> None:
    with SQLiteStore.create(path, new_meter(), ELECTRICITY, KEY) as store:
        before = lived(store)
    content = path.read_bytes()
    schema = content.index(b"CREATE TABLE")
    places = [*range(108), *range(schema - 60, schema + 250), *range(0, len(content), 37)]
    refused = 0
    for at in places:
        damaged = bytearray(content)
        damaged[at] ^= mask
        path.write_bytes(damaged)
        refused += require_same_or_refused(path, before)
    assert refused > len(places) // 3


def _images(lives: int) -> list[tuple[bytes, MeterState]]:
    """Return a store's file and state after some token, after the next, and so on."""
    images = []
    with (
        MemoryDatabase() as database,
        SQLiteStore.create_in(database, new_meter(), ELECTRICITY, KEY) as store,
    ):
        bench = MeterBench(store=store)
        for number in range(1, 61 + lives):
            bench.enter(credit(number, 10))
            images.append((database.image(), bench.meter.committed))
    return images[-lives:]


def _opened(image: bytes) -> MeterState | None:
    """Return the state of a store, None where it is refused as damaged."""
    with MemoryDatabase(image) as database:
        try:
            with SQLiteStore.open_in(database, KEY) as store:
                return store.load()
        except StoreCorrupt:
            return None


def test_a_page_of_an_older_time_is_noticed_or_the_same() -> None:
    """What a disk leaves that wrote some pages of a commit and not the others."""
    (old, before), *_, (new, after) = _images(3)
    size = int.from_bytes(new[16:18], "big")
    assert (len(old), size) == (len(new), 4096)
    pages = range(0, len(new), size)
    differing = [at for at in pages if old[at : at + size] != new[at : at + size]]
    assert len(differing) > 2
    for chosen in range(1 << len(differing)):
        torn = bytearray(new)
        for place, at in enumerate(differing):
            if chosen >> place & 1:
                torn[at : at + size] = old[at : at + size]
        everything, nothing = chosen == (1 << len(differing)) - 1, chosen == 0
        assert _opened(bytes(torn)) == (before if everything else after if nothing else None)


def test_a_page_that_was_lost_or_holds_anything_is_noticed() -> None:
    ((image, state),) = _images(1)
    size = int.from_bytes(image[16:18], "big")
    chance = random.Random(1)
    for at in range(size, len(image), size):
        for page in (bytes(size), b"\xff" * size, chance.randbytes(size), image[:size]):
            assert _opened(image[:at] + page + image[at + size :]) is None
    for at in range(size, len(image), 512):
        torn = image[:at] + bytes(512) + image[at + 512 :]
        assert _opened(torn) in (None, state)  # the same where nothing but free space was lost


def test_a_damaged_check_is_not_said_to_be_another_key(path: Path) -> None:
    made(path)
    edit(path, "UPDATE record SET value = x'00' || value WHERE kind = 'check'")
    with pytest.raises(StoreCorrupt) as raised:
        SQLiteStore.open(path, KEY)
    sentence(raised, path)


@pytest.mark.parametrize("name", ["TIDs", "account", "decoderKey", "contents"])
def test_an_older_record_put_back_is_noticed(path: Path, name: str) -> None:
    before = made(path)
    old = path.with_name("old")
    shutil.copy(path, old)
    with SQLiteStore.open(path, KEY) as store:
        bench = MeterBench(store=store)
        for number in range(1, 4):
            bench.enter(credit(number, 10))
        if name == "decoderKey":  # there and back, so that it is sealed anew
            store.commit(_with_another_key(bench.meter.committed))
            store.commit(Changes(store.load(), bench.meter.committed))
    connection = sqlite3.connect(path)
    connection.execute("ATTACH ? AS old", (str(old),))
    changed = connection.execute(
        "SELECT count(*) FROM record JOIN old.record AS was USING (kind, name) "
        "WHERE name = ? AND record.authenticator <> was.authenticator",
        (name,),
    ).fetchone()
    connection.execute("REPLACE INTO record SELECT * FROM old.record WHERE name = ?", (name,))
    connection.commit()
    connection.close()
    assert changed == (1,)
    with pytest.raises(StoreCorrupt) as raised:
        SQLiteStore.open(path, KEY)
    sentence(raised, path)
    # The limit of it: a copy of the whole is a store like any other.
    with SQLiteStore.open(old, KEY) as store:
        assert store.load() == before


def _with_another_key(state: MeterState) -> Changes:
    key = DecoderKey(state.key.ea, bytes(reversed(state.key.material)))
    return Changes(state, replace(state, key=key))


# --- power that fails in the middle --------------------------------------------------------------


def _cut_in_the_middle(path: Path) -> tuple[MeterState, bytes, bytes]:
    """Cut a commit off half way; returns the state before, and what file and journal hold."""
    before = made(path, tokens=40)
    store = SQLiteStore.open(path, KEY)
    contents = store._contents
    assert contents is not None
    changed = {n: v[:-1] for n, v in contents.clear.items() if n[0] != "companion"}
    _, put, _ = contents.followed_by(changed, KEY)
    connection = store._connection
    connection.execute("PRAGMA cache_size = 2")  # so that pages are written before the end
    connection.execute("BEGIN IMMEDIATE")
    for row in put:
        connection.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)", row)
    journal = path.with_name(path.name + "-journal")
    cut = path.read_bytes(), journal.read_bytes()
    store.close()
    with SQLiteStore.open(path, KEY) as again:
        assert again.load() == before
    return before, *cut


def test_a_commit_that_was_cut_off_is_rolled_back(path: Path) -> None:
    before, file, journal = _cut_in_the_middle(path)
    beside = path.with_name(path.name + "-journal")
    path.write_bytes(file)
    beside.write_bytes(journal)
    with SQLiteStore.open(path, KEY) as store:
        assert store.load() == before
        bench = MeterBench(store=store)
        bench.enter(credit(1000, 10))
        after = bench.meter.committed
    assert not beside.exists()
    with SQLiteStore.open(path, KEY) as store:
        assert store.load() == after


@pytest.mark.parametrize("journal_is", ["gone", "empty", "without its header"])
def test_half_a_commit_without_its_journal_is_noticed(path: Path, journal_is: str) -> None:
    _, file, journal = _cut_in_the_middle(path)
    path.write_bytes(file)
    left = {"gone": None, "empty": b"", "without its header": bytes(28) + journal[28:]}[journal_is]
    if left is not None:
        path.with_name(path.name + "-journal").write_bytes(left)
    with pytest.raises(StoreCorrupt) as raised:
        SQLiteStore.open(path, KEY)
    sentence(raised, path)


def test_a_damaged_journal_never_gives_another_state(path: Path) -> None:
    before, file, journal = _cut_in_the_middle(path)
    beside = path.with_name(path.name + "-journal")
    refused = 0
    places = [*range(28), *range(510, 530), *range(0, len(journal), 61)]
    for at in places:
        damaged = bytearray(journal)
        damaged[at] ^= 0x80
        path.write_bytes(file)
        beside.write_bytes(damaged)
        refused += require_same_or_refused(path, before)
    for length in range(0, len(journal), 509):
        path.write_bytes(file)
        beside.write_bytes(journal[:length])
        refused += require_same_or_refused(path, before)
    assert refused > 20


def test_a_first_page_that_was_torn_comes_back_from_the_journal(path: Path) -> None:
    with SQLiteStore.create(path, new_meter(), ELECTRICITY, KEY) as store:
        connection = store._connection
        before = store.load()
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA user_version = 9")  # a change of the first page
        connection.execute("UPDATE record SET value = value || x'20'")
        beside = path.with_name(path.name + "-journal")
        file, journal = path.read_bytes(), beside.read_bytes()
    path.write_bytes(bytes(512) + file[512:])
    beside.write_bytes(journal)
    with SQLiteStore.open(path, KEY) as store:
        assert store.load() == before


def test_no_commit_needs_the_journal_of_the_one_before(path: Path) -> None:
    with SQLiteStore.create(path, new_meter(), ELECTRICITY, KEY) as store:
        bench = MeterBench(store=store)
        for number in range(1, 6):
            bench.enter(credit(number, 10))
            pulled = path.with_name(f"pulled{number}")
            shutil.copy(path, pulled)
            beside = path.with_name(path.name + "-journal")
            stale = bytearray(beside.read_bytes())
            stale[number] ^= 0x10  # and damage to it does nothing
            path.with_name(pulled.name + "-journal").write_bytes(stale)
            with SQLiteStore.open(pulled, KEY) as copy:
                assert copy.load() == bench.meter.committed


# --- a disk that fails ---------------------------------------------------------------------------


def _paid(state: MeterState) -> MeterState:
    return replace(state, account=replace(state.account, balance=state.account.balance + 1))


@posix_only
def test_after_a_failed_commit_there_is_no_other(path: Path) -> None:
    with SQLiteStore.create(path, new_meter(), ELECTRICITY, KEY) as store:
        before = store.load()
        after = _paid(before)
        with no_file_beyond(100), pytest.raises(StoreError) as raised:
            store.commit(Changes(before, after))
        sentence(raised, path)
        with SQLiteStore.open(path, KEY) as other:  # nobody holds it any more
            assert other.load() == before
        with pytest.raises(StoreError, match="closed") as raised:  # the disk has room again
            store.commit(Changes(before, after))
        sentence(raised, path)
        assert store.load() == before
    with SQLiteStore.open(path, KEY) as again:
        assert again.load() == before


def test_a_store_that_was_away_takes_nothing_when_it_is_back(path: Path) -> None:
    with SQLiteStore.create(path, new_meter(), ELECTRICITY, KEY) as store:
        before = store.load()
        elsewhere = path.with_name("elsewhere")
        path.rename(elsewhere)
        with pytest.raises(StoreError, match="removed or replaced"):
            store.commit(Changes(before, _paid(before)))
        elsewhere.rename(path)
        with pytest.raises(StoreError, match="closed"):
            store.commit(Changes(before, _paid(before)))


def test_a_commit_done_but_reported_as_failed_is_taken_back(path: Path) -> None:
    with SQLiteStore.create(path, new_meter(), ELECTRICITY, KEY) as store:
        bench = MeterBench(store=store)
        bench.enter(credit(1, 10))
        state, before = store.load(), store._contents
        bench.enter(credit(2, 10))
        after = store._contents
        assert before is not None
        store._give_up(before, after)  # as where the last step was done and said it was not
        with SQLiteStore.open(path, KEY) as again:
            assert again.load() == state


@posix_only
def test_a_disk_that_is_full_at_any_point_loses_nothing(path: Path) -> None:
    made(path, tokens=3)
    content = path.read_bytes()
    failed = 0
    for size in range(0, len(content) + 8192, 2048):
        path.write_bytes(content)
        with SQLiteStore.open(path, KEY) as store:
            with no_file_beyond(size):
                try:
                    store.commit(Changes(store.load(), _paid(store.load())))
                except StoreError:
                    failed += 1
            expected = store.load()
        with SQLiteStore.open(path, KEY) as again:
            assert again.load() == expected
        assert not path.with_name(path.name + "-journal").exists()
    assert failed > 1
