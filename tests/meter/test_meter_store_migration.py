"""Stores of older editions: what becomes of them, and when nothing may."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from bench_meter import MeterBench, credit, new_meter
from bench_store import ELECTRICITY, KEY, as_version_1, as_version_2, lived

from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.meter import (
    CompanionSource,
    MemoryDatabase,
    MeterState,
    PowerLost,
    SQLiteStore,
    StoreCorrupt,
    StoreError,
    StoreKey,
    WrongStoreKey,
    disk_error,
)
from vtc07.meter.encoding import RecordsBroken
from vtc07.meter.passwords import PasswordGuard
from vtc07.meter.store_contents import Contents, Name
from vtc07.meter.store_migration import SCHEMA_VERSION, migrated

LOCKOUTS = {("fact", "virtualLockout"), ("fact", "keypadLockout")}
GUARD = {("fact", "passwordGuard")}
#: What a store of each older edition must gain.
CHANGED = {1: LOCKOUTS | GUARD, 2: GUARD}
AS_VERSION = {1: as_version_1, 2: as_version_2}


def changed(image: bytes, *statements: str, version: int = SCHEMA_VERSION) -> bytes:
    """Return the image of a database after some statements that no store made."""
    connection = sqlite3.connect(":memory:")
    connection.deserialize(image)
    if version != SCHEMA_VERSION:
        AS_VERSION[version](connection)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    image = connection.serialize()
    connection.close()
    return image


def stored(image: bytes) -> tuple[dict[Name, bytes], int]:
    """Return the records of a store in clear, all authentic, and its schema version."""
    connection = sqlite3.connect(":memory:")
    connection.deserialize(image)
    rows = connection.execute("SELECT kind, name, value, authenticator FROM record").fetchall()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return Contents.read(rows, KEY).clear, version


@pytest.fixture(scope="module")
def life() -> tuple[MeterState, bytes]:
    """A meter with a past, and its store."""
    with MemoryDatabase() as database:
        with SQLiteStore.create_in(database, new_meter(), ELECTRICITY, KEY) as store:
            state = lived(store)
        return state, database.image()


@pytest.fixture(params=sorted(AS_VERSION))
def version(request: pytest.FixtureRequest) -> int:
    """Each older edition."""
    return int(request.param)


@pytest.fixture
def old(life: tuple[MeterState, bytes], version: int) -> Iterator[MemoryDatabase]:
    with MemoryDatabase(changed(life[1], version=version)) as database:
        assert stored(database.image())[1] == version
        yield database


def test_every_older_edition_is_tried() -> None:
    assert sorted(AS_VERSION) == list(range(1, SCHEMA_VERSION))


def test_an_old_store_is_the_same_meter(
    old: MemoryDatabase, life: tuple[MeterState, bytes], version: int
) -> None:
    before, _ = stored(old.image())
    with SQLiteStore.open_in(old, KEY) as store:
        assert store.load() == life[0]
        assert store.companion_source == ELECTRICITY
    after, now = stored(old.image())
    assert now == SCHEMA_VERSION
    assert {name for name in after if after[name] != before.get(name)} == CHANGED[version]
    assert after.keys() == before.keys() | GUARD
    image = old.image()
    SQLiteStore.open_in(old, KEY).close()
    assert old.image() == image  # once is enough


def test_it_goes_on_and_remembers_a_refusal(old: MemoryDatabase) -> None:
    with SQLiteStore.open_in(old, KEY) as store:
        bench = MeterBench(store=store)
        for _ in range(5 - store.load().virtual_lockout.failures):
            bench.enter("00000000000000000000")
        assert bench.offer(credit(3, 1)) is ErrorCode.TOKEN_LOCKOUT
        bench.work()
    with SQLiteStore.open_in(old, KEY) as store:
        bench = MeterBench(store=store)
        assert bench.meter.token_status is TokenStatus.TOKEN_LOCKOUT


def test_power_lost_at_every_statement(
    old: MemoryDatabase, life: tuple[MeterState, bytes], version: int
) -> None:
    image = old.image()
    statements: list[str] = []
    old.hook = lambda sql, done: statements.append(sql)
    SQLiteStore.open_in(old, KEY).close()
    rows = len(CHANGED[version]) + 1  # with the check
    assert sum(sql.startswith("INSERT") for sql in statements) == 2 * rows
    versions = []
    for at in range(len(statements)):
        with MemoryDatabase(image) as here:
            left = iter(range(at))

            def cut(sql: str, done: bool, left: Iterator[int] = left) -> None:
                if next(left, None) is None:
                    raise PowerLost

            here.hook = cut
            with pytest.raises(PowerLost):
                SQLiteStore.open_in(here, KEY)
            here.hook = None
            versions.append(stored(here.image())[1])
            with SQLiteStore.open_in(here, KEY) as store:
                assert store.load() == life[0]
            assert stored(here.image())[1] == SCHEMA_VERSION
    assert versions == sorted(versions)
    assert set(versions) == {version, SCHEMA_VERSION}


def test_a_disk_that_fails_at_every_statement(
    old: MemoryDatabase, life: tuple[MeterState, bytes]
) -> None:
    image = old.image()
    failed = 0
    for word in ("BEGIN IMMEDIATE", "INSERT", "PRAGMA user_version =", "COMMIT"):
        for after in (False, True):
            with MemoryDatabase(image) as here:

                def fail(sql: str, done: bool, word: str = word, after: bool = after) -> None:
                    if sql.startswith(word) and done is after:
                        raise disk_error()

                here.hook = fail
                with pytest.raises(StoreError, match="cannot be used: disk I/O error"):
                    SQLiteStore.open_in(here, KEY)
                failed += 1
                here.hook = None
                with SQLiteStore.open_in(here, KEY) as store:
                    assert store.load() == life[0]
    assert failed == 8


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM record WHERE name = 'keypadLockout'",
        "UPDATE record SET value = value || x'20' WHERE name = 'account'",
        "DELETE FROM record WHERE kind = 'event' AND name = '3'",
    ],
)
def test_a_changed_old_store_is_refused_and_left_alone(old: MemoryDatabase, statement: str) -> None:
    image = changed(old.image(), statement)
    with MemoryDatabase(image) as damaged:
        with pytest.raises(StoreCorrupt):
            SQLiteStore.open_in(damaged, KEY)
        assert damaged.image() == image


def test_another_key_changes_nothing(old: MemoryDatabase) -> None:
    image = old.image()
    with pytest.raises(WrongStoreKey):
        SQLiteStore.open_in(old, StoreKey(bytes(32)))
    assert old.image() == image


@pytest.mark.parametrize("said", [1, 2, 3])
@pytest.mark.parametrize("records", [1, 2, 3])
def test_a_version_that_is_not_that_of_the_records(
    life: tuple[MeterState, bytes], said: int, records: int
) -> None:
    if said == records:
        return
    image = changed(changed(life[1], version=records), f"PRAGMA user_version = {said}")
    with MemoryDatabase(image) as database:
        with pytest.raises(StoreCorrupt, match=r"schema|is missing"):
            SQLiteStore.open_in(database, KEY)
        assert database.image() == image


def test_records_of_an_old_store_that_make_no_sense(life: tuple[MeterState, bytes]) -> None:
    records, _ = stored(changed(life[1], version=1))
    for value in (b"[]", b"{", b'"x"'):
        with pytest.raises(RecordsBroken):
            migrated({**records, ("fact", "keypadLockout"): value}, 1)
    with pytest.raises(RecordsBroken):
        migrated({n: v for n, v in records.items() if n not in LOCKOUTS}, 1)
    assert migrated(records, SCHEMA_VERSION) == records


def test_a_refusal_is_a_part_of_the_state(life: tuple[MeterState, bytes]) -> None:
    state = life[0]
    lockout = replace(state.virtual_lockout, remaining_ns=5, refused=True)
    with MemoryDatabase() as database:
        locked = replace(state, virtual_lockout=lockout)
        SQLiteStore.create_in(database, locked, ELECTRICITY, KEY).close()
        with SQLiteStore.open_in(database, KEY) as store:
            assert store.load().virtual_lockout == lockout


def test_passwords_are_a_part_of_the_state() -> None:
    source = CompanionSource.of("electricity-mode-c")
    made = new_meter("electricity-mode-c", password="a right one")
    guard = PasswordGuard(failures=4, remaining_ns=5, last_delay_s=120)
    with MemoryDatabase() as database:
        waiting = replace(made, password_guard=guard)
        SQLiteStore.create_in(database, waiting, source, KEY).close()
        with SQLiteStore.open_in(database, KEY) as store:
            loaded = store.load()
            assert loaded == waiting
            assert loaded.password is not None
            assert loaded.password.matches("a right one")
            assert not loaded.password.matches("a right On")
        # It is a secret: the row holds neither the hash nor its salt as they are.
        assert made.password is not None
        assert made.password.digest not in database.image()
        assert made.password.salt not in database.image()
