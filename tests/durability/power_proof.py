"""The proof of what a loss of power does to a store: at every write of every kind of commit.

A meter lives on a disk that keeps every step. Power is then cut after each step, and what had not
reached the disk is lost, kept or torn in several ways. The store itself opens what is left: the
meter must be in the state before or after, and a commit that was reported done must be there.

As a program it tries every way at every place and prints what it did.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

if __name__ == "__main__":
    sys.path += [str(Path(__file__).parents[1] / place) for place in ("", "meter")]

import power_life
from bench_meter import MADE, MeterBench, credit, new_meter
from bench_store import ELECTRICITY, KEY, as_version_1
from power_database import JOURNAL, STORE, DiskDatabase
from power_disk import Disk, Failure, Tear, cuts
from power_life import Life, Stage, Tally

from vtc07.carrier.companion import S
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.meter import (
    Changes,
    ConstantLoad,
    MemoryDatabase,
    MeterState,
    NotAStore,
    PowerLost,
    SQLiteStore,
    StoreError,
)
from vtc07.meter.store_migration import SCHEMA_VERSION
from vtc07.tokens import EA, TCT, ClearTamperCondition, DecoderKey, key_change_set

MIGRATION = "migration from schema 1"
ROLLBACK = "rollback at opening"
WRONG = "00000000000000000000"


class _Watched:
    """A store that notes where each commit begins and ends."""

    def __init__(self, store: SQLiteStore, life: Life[MeterState]) -> None:
        self._store = store
        self._life = life
        self.kind = ""

    def load(self) -> MeterState:
        return self._store.load()

    def commit(self, changes: Changes) -> None:
        steps = self._life.disk.steps
        start = len(steps)
        self._store.commit(changes)
        self._life.stages.append(Stage(self.kind, changes.before, changes.after, start, len(steps)))


def long_past() -> bytes:
    """Return a store whose logs and TIDs are full, so that commits take away as well."""
    with MemoryDatabase() as database:
        with SQLiteStore.create_in(database, new_meter(), ELECTRICITY, KEY) as store:
            bench = MeterBench(store=store)
            for number in range(1, 120):
                bench.enter(credit(number, 10))
        return database.image()


def whole_life(image: bytes) -> Life[MeterState]:
    """Let a meter do everything that it commits."""
    life: Life[MeterState] = Life(Disk({STORE: image}))
    database = DiskDatabase(life.disk)
    store = SQLiteStore.open_in(database, KEY)
    watched = _Watched(store, life)
    watched.kind = "power up"
    bench = MeterBench(store=watched, load=ConstantLoad((3_600,)))

    def does(kind: str) -> MeterBench:
        watched.kind = kind
        return bench

    assert does("credit token").enter(credit(200, 99_000)) is TokenStatus.ACCEPT
    assert does("refused token").enter(credit(200, 99_000)) is TokenStatus.USED_ERROR
    does("upkeep").sleep(25)
    register = bench.companion.table.named("installationReference")
    does("write").meter.write(1, register, "flat 3", bench.now_ns)
    bench.work()
    does("tamper").meter.tamper(5, bench.now_ns)
    bench.work()
    does("tamper token").enter(ClearTamperCondition(0, MADE + 201))
    new_key = DecoderKey(EA.MISTY1, bytes(range(100, 116)))
    old = bench.meter.state
    sections = key_change_set(old.key, new_key, old.attributes, ro=False)
    for place, section in enumerate(sections):
        kinds = ("first section staged", "second section staged", "third section staged")
        does(kinds[place] if place < 3 else "key change completing").enter(section)
    assert bench.meter.committed.key == new_key
    for _ in range(4):
        does("token that does not authenticate").enter(WRONG)
    does("lockout trigger").enter(WRONG, TCT.VIRTUAL)
    watched.kind = "refused entry in a lockout"
    assert bench.offer(WRONG) is ErrorCode.TOKEN_LOCKOUT
    bench.work()
    watched.kind = "power off"
    bench.meter.power_off(bench.now_ns + S)
    bench.work()
    store.close()
    database.forget()
    return life


def making() -> Life[MeterState]:
    """Make a store in a file that is there and empty."""
    life: Life[MeterState] = Life(Disk({STORE: b""}))
    database = DiskDatabase(life.disk)
    state = new_meter()
    with SQLiteStore.create_in(database, state, ELECTRICITY, KEY):
        end = len(life.disk.steps)
    life.stages.append(Stage("creation", None, state, 0, end))
    database.forget()
    return life


def version_1(image: bytes) -> bytes:
    """Return the store as the first edition wrote it."""
    connection = sqlite3.connect(":memory:")
    connection.deserialize(image)
    as_version_1(connection)
    connection.commit()
    old = connection.serialize()
    connection.close()
    return old


def opening(files: dict[str, bytes], kind: str) -> Life[MeterState]:
    """Open a store; what is there is rolled back or migrated."""
    life: Life[MeterState] = Life(Disk(files))
    database = DiskDatabase(life.disk)
    with SQLiteStore.open_in(database, KEY) as store:
        state = store.load()
        end = len(life.disk.steps)
    database.forget()
    life.stages.append(Stage(kind, state, state, 0, end))
    return life


def hot_journals(life: Life[MeterState], every: int) -> Iterator[dict[str, bytes]]:
    """Return what is on the disk in the middle of commits, ready to be rolled back."""
    found = 0
    for done, platter in cuts(life.disk):
        files = platter.after(Tear.EVERYTHING, random.Random(0))
        inside = any(stage.start < done < stage.end for stage in life.stages)
        if inside and files.get(JOURNAL, b"\0")[:8] == bytes.fromhex("d9d505f920a163d7"):
            found += 1
            if found % every == 0:
                yield files


def prove(life: Life[MeterState], tally: Tally, *, tears: int | None = None, seed: int = 0) -> None:
    """Cut power after every step of a meter's life; see `power_life.prove`."""
    power_life.prove(life, tally, reopened, tears=tears, seed=seed)


def reopened(files: dict[str, bytes], where: str) -> MeterState | None:
    """Return the state that the real store finds; None: there is none."""
    database = DiskDatabase(Disk(files))
    try:
        with SQLiteStore.open_in(database, KEY) as store:
            (version,) = store._connection.execute("PRAGMA user_version").fetchone()
            assert version == SCHEMA_VERSION
            return store.load()
    except NotAStore:
        return None
    except StoreError as error:
        if not database.in_place():
            return None
        raise AssertionError(f"{error}: {where}") from error
    finally:
        database.forget()


def cut_for_real(image: bytes) -> Tally:
    """Let the running store meet the loss of power: it does nothing more, and nothing is wrong.

    Opening, a commit and closing are run anew for every step at which power can fail.
    """
    tally = Tally()
    start = reopened({STORE: image}, "nothing happened")
    assert start is not None
    for place in itertools.count():
        disk = Disk({STORE: image}, cut_after=place)
        database = DiskDatabase(disk)
        allowed = [start]
        try:
            with SQLiteStore.open_in(database, KEY) as store:
                before = store.load()
                after = _paid(before)
                allowed.append(after)
                store.commit(Changes(before, after))
                allowed.remove(before)
        except PowerLost:
            assert disk.off
        finally:
            database.forget()
        if not disk.off:
            return tally  # it has no more steps
        assert len(disk.steps) == place
        *_, (_, platter) = cuts(disk)
        for tear in Tear:
            found = reopened(platter.after(tear, random.Random(place)), f"{place}, {tear}")
            assert found in allowed
            tally.cuts["under a running store"] += 1
            tally.found["before" if found == start else "after"] += 1
    raise AssertionError


def fail_for_real(image: bytes) -> Tally:
    """Let the disk report an error at every step of a commit, done or not; then power fails too.

    A commit that is reported as failed must never show, however power fails afterwards.
    """
    tally = Tally()
    for number in itertools.count():
        step, done = divmod(number, 2)
        disk = Disk({STORE: image}, failure=Failure(step, bool(done)))
        database = DiskDatabase(disk)
        with SQLiteStore.open_in(database, KEY) as store:
            before = store.load()
            with suppress(StoreError):
                store.commit(Changes(before, _paid(before)))
            kept = store.load()
            failed = disk.failure is None
        database.forget()
        if not failed:
            return tally  # it has no more steps
        *_, (_, platter) = cuts(disk)
        for tear in Tear:
            where = f"{step}, {done}, {tear}"
            assert reopened(platter.after(tear, random.Random(step)), where) == kept, where
            tally.cuts["after a disk that failed"] += 1
            tally.found["before" if kept == before else "after"] += 1
    raise AssertionError


def _paid(state: MeterState) -> MeterState:
    account = replace(state.account, balance=state.account.balance + 1)
    return replace(state, account=account, power_fails=state.power_fails + 1)


def main(seeds: int = 3) -> None:
    """Try every way at every place, with other chances each time, and print what was done."""
    image = long_past()
    tally = cut_for_real(image)
    for seed in range(seeds):
        for life in (making(), opening({STORE: version_1(image)}, MIGRATION)):
            prove(life, tally, seed=seed)
        life = whole_life(image)
        prove(life, tally, seed=seed)
        for files in hot_journals(life, every=3):
            prove(opening(files, ROLLBACK), tally, seed=seed)
    print(tally, fail_for_real(image), sep="\n")


if __name__ == "__main__":
    main()
