"""The store on a database in memory: power lost and disks that fail, statement by statement."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from bench_meter import MeterBench, credit, new_meter
from bench_store import ELECTRICITY, KEY, lived

from vtc07.meter import (
    Changes,
    MemoryDatabase,
    MeterState,
    NotAStore,
    PowerLost,
    SQLiteStore,
    StoreCorrupt,
    StoreError,
    StoreInUse,
    StoreKey,
    WrongStoreKey,
    disk_error,
)
from vtc07.tokens import DecoderKey


@pytest.fixture
def database() -> Iterator[MemoryDatabase]:
    with MemoryDatabase(name="the store of the test") as made:
        SQLiteStore.create_in(made, new_meter(), ELECTRICITY, KEY).close()
        yield made


def held(database: MemoryDatabase) -> MeterState:
    """Return what a store opened anew holds."""
    database.hook = None
    with SQLiteStore.open_in(database, KEY) as store:
        return store.load()


def another(state: MeterState) -> MeterState:
    """Return a state that differs in a secret, a fact and a count."""
    account = replace(state.account, balance=state.account.balance + 1)
    key = DecoderKey(state.key.ea, bytes(reversed(state.key.material)))
    return replace(state, account=account, key=key, power_fails=state.power_fails + 1)


class Script:
    """A hook that does something at the n-th call, and counts."""

    def __init__(self, at: int = -1, error: BaseException | None = None) -> None:
        self.at, self.error = at, error
        self.calls: list[tuple[str, bool]] = []

    def __call__(self, sql: str, done: bool) -> None:
        self.calls.append((sql, done))
        if len(self.calls) - 1 == self.at and self.error is not None:
            raise self.error


def test_a_life_in_memory_is_the_life_on_disk(database: MemoryDatabase) -> None:
    with SQLiteStore.open_in(database, KEY) as store:
        before = lived(store)
        assert store.name == "the store of the test"
    assert held(database) == before
    with MemoryDatabase(database.image()) as copy:  # a copy goes its own way
        with SQLiteStore.open_in(copy, KEY) as store:
            store.commit(Changes(store.load(), another(before)))
        assert held(copy) != before
    assert held(database) == before


def test_one_store_at_a_time(database: MemoryDatabase) -> None:
    opened = SQLiteStore.open_in(database, KEY)
    with opened, pytest.raises(StoreInUse, match="the store of the test"):
        SQLiteStore.open_in(database, KEY)
    SQLiteStore.open_in(database, KEY).close()
    with SQLiteStore.open_in(database, KEY):
        opened.close()  # a second time does nothing
        with pytest.raises(StoreInUse):
            SQLiteStore.open_in(database, KEY)


def test_what_is_no_store_is_refused() -> None:
    with MemoryDatabase() as empty, pytest.raises(NotAStore):
        SQLiteStore.open_in(empty, KEY)


def test_it_is_checked_as_a_file_is(database: MemoryDatabase) -> None:
    with pytest.raises(WrongStoreKey):
        SQLiteStore.open_in(database, StoreKey(bytes(32)))
    other = sqlite3.connect(":memory:")
    other.deserialize(database.image())
    other.execute("DELETE FROM record WHERE name = 'TIDs'")
    other.commit()
    changed = other.serialize()
    other.close()
    with MemoryDatabase(changed) as damaged, pytest.raises(StoreCorrupt):
        SQLiteStore.open_in(damaged, KEY)


def _commit(database: MemoryDatabase) -> tuple[MeterState, MeterState, SQLiteStore]:
    store = SQLiteStore.open_in(database, KEY)
    before = store.load()
    return before, another(before), store


def test_power_lost_at_every_statement_of_a_commit(database: MemoryDatabase) -> None:
    image = database.image()
    before, after, store = _commit(database)
    database.hook = counting = Script()
    store.commit(Changes(before, after))
    store.close()
    words = [sql.split()[0] for sql, done in counting.calls if done]
    assert words == ["BEGIN", *["INSERT"] * 4, "COMMIT"]
    ends = set()
    for at in range(len(counting.calls)):
        with MemoryDatabase(image) as here:
            before, after, store = _commit(here)
            here.hook = Script(at, PowerLost())
            with pytest.raises(PowerLost):
                store.commit(Changes(before, after))
            calls = len(here.hook.calls)
            with pytest.raises(StoreError, match="closed"):  # whatever still runs, nothing is done
                store.commit(Changes(before, after))
            store.close()
            assert len(here.hook.calls) == calls == at + 1
            found = held(here)
            done = at == len(counting.calls) - 1  # COMMIT ended
            assert found == (after if done else before)
            ends.add(done)
    assert ends == {True, False}


def test_power_lost_between_two_statements(database: MemoryDatabase) -> None:
    before, after, store = _commit(database)
    database.lose_power()
    with pytest.raises(PowerLost):
        store.commit(Changes(before, after))
    with SQLiteStore.open_in(database, KEY) as again:
        store.close()  # the old one does not disturb the new one
        with pytest.raises(StoreInUse):
            SQLiteStore.open_in(database, KEY)
        again.commit(Changes(again.load(), after))
    assert held(database) == after


def test_a_disk_that_fails_at_every_statement(database: MemoryDatabase) -> None:
    image = database.image()
    before, after, store = _commit(database)
    database.hook = counting = Script()
    store.commit(Changes(before, after))
    store.close()
    for at in range(len(counting.calls)):
        with MemoryDatabase(image) as here:
            before, after, store = _commit(here)
            here.hook = Script(at, disk_error())
            with pytest.raises(StoreError, match="disk I/O error"):
                store.commit(Changes(before, after))
            with pytest.raises(StoreError, match="closed"):
                store.commit(Changes(before, after))
            # Also where COMMIT was done and reported as failed: it was taken back.
            assert held(here) == before


def test_power_lost_while_a_done_commit_is_taken_back(database: MemoryDatabase) -> None:
    before, after, store = _commit(database)
    failed: list[str] = []

    def hook(sql: str, done: bool) -> None:
        if sql != "COMMIT" or not done:
            return
        failed.append(sql)
        if len(failed) == 1:
            raise disk_error("SQLITE_IOERR_FSYNC")
        raise PowerLost

    database.hook = hook
    with pytest.raises(PowerLost):  # at the COMMIT by which the new connection takes the lock
        store.commit(Changes(before, after))
    assert held(database) == after  # the one case that docs/protocol.md 11 names


def test_power_lost_while_a_store_is_made() -> None:
    with MemoryDatabase() as database:
        database.hook = counting = Script()
        SQLiteStore.create_in(database, new_meter(), ELECTRICITY, KEY).close()
    opened: list[bool] = []
    for at in range(len(counting.calls)):
        with MemoryDatabase() as database:
            database.hook = Script(at, PowerLost())
            with pytest.raises(PowerLost):
                SQLiteStore.create_in(database, new_meter(), ELECTRICITY, KEY)
            try:
                assert held(database) == new_meter()
                opened.append(True)
            except NotAStore:
                opened.append(False)
    assert opened == sorted(opened)
    assert set(opened) == {False, True}


def test_power_lost_while_a_store_is_opened(database: MemoryDatabase) -> None:
    state = held(database)
    database.hook = counting = Script()
    SQLiteStore.open_in(database, KEY).close()
    for at in range(len(counting.calls)):
        database.hook = Script(at, PowerLost())
        with pytest.raises(PowerLost):
            SQLiteStore.open_in(database, KEY)
        assert held(database) == state


def test_an_image_is_of_what_is_committed(database: MemoryDatabase) -> None:
    seen: list[str] = []

    def hook(sql: str, done: bool) -> None:
        if sql.startswith("INSERT"):
            with pytest.raises(ValueError, match="open"):
                database.image()
            seen.append(sql)

    with SQLiteStore.open_in(database, KEY) as store:
        database.hook = hook
        MeterBench(store=store).enter(credit(1, 10))
    assert seen
