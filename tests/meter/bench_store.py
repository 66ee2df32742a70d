"""Stores of the bench: a key, a rich life, and what befalls a file from outside."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench_meter import MADE, MeterBench, credit

from vtc07.meter import (
    CompanionSource,
    ConstantLoad,
    MeterState,
    SQLiteStore,
    StoreKey,
)
from vtc07.meter.store_contents import Contents, Name
from vtc07.tokens import (
    TCT,
    InitiateMeterTest,
    Set1stSectionDecoderKey,
    Set3rdSectionDecoderKey,
    SetMaximumPowerLimit,
)

KEY = StoreKey(bytes(range(200, 232)))
ELECTRICITY = CompanionSource.of("electricity")


def lived(store: SQLiteStore) -> MeterState:
    """Let a meter live a rich life on a store and return its committed state."""
    phases = store.load().nameplate.phases
    bench = MeterBench(store=store, load=ConstantLoad((1_234, 5, 6)[:phases]))
    bench.enter(credit(1, 9_999))
    for _ in range(3):
        bench.enter("00000000000000000000")
    bench.enter("00000000000000000001", TCT.NUMERIC)
    bench.enter(Set3rdSectionDecoderKey(0x123, 0x45600000))
    bench.enter(Set1stSectionDecoderKey(1, 2, False, True, 2, 0x89ABCDEF))
    bench.enter(SetMaximumPowerLimit(0, MADE + 5, 1_000))
    bench.enter(InitiateMeterTest.of_tests([3]))
    bench.meter.write(
        1, bench.companion.table.named("installationReference"), 'flat "3"', bench.now_ns
    )
    bench.sleep(123.45)
    bench.meter.tamper(0x21, bench.now_ns)
    bench.work()
    return bench.meter.committed


def edit(path: Path, statement: str, *values: Any) -> None:
    """Change a closed store behind its back."""
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def as_version_2(connection: sqlite3.Connection, key: StoreKey = KEY) -> None:
    """Make of a store's records what the second edition of the store wrote for the same meter."""
    _rewrite(connection, key, {("fact", "passwordGuard"): None}, version=2)


def as_version_1(connection: sqlite3.Connection, key: StoreKey = KEY) -> None:
    """Make of a store's records what the first edition of the store wrote for the same meter."""
    as_version_2(connection, key)
    clear = Contents.read(connection.execute(_READ).fetchall(), key).clear
    changed: dict[Name, bytes | None] = {}
    for name in ("virtualLockout", "keypadLockout"):
        lockout = clear["fact", name]
        changed["fact", name] = lockout.replace(b',"refused":false', b"")
        assert changed["fact", name] != lockout
    _rewrite(connection, key, changed, version=1)


_READ = "SELECT kind, name, value, authenticator FROM record"


def _rewrite(
    connection: sqlite3.Connection, key: StoreKey, changed: dict[Name, bytes | None], version: int
) -> None:
    contents = Contents.read(connection.execute(_READ).fetchall(), key)
    _, put, gone = contents.followed_by(changed, key)
    assert len(put) + len(gone) == len(changed) + 1  # with the check
    connection.executemany("DELETE FROM record WHERE kind = ? AND name = ?", gone)
    connection.executemany("REPLACE INTO record VALUES (?, ?, ?, ?)", put)
    connection.execute(f"PRAGMA user_version = {version}")


def sentence(raised: pytest.ExceptionInfo[Exception], path: Path) -> None:
    """Require that an error is one sentence that names the file."""
    text = str(raised.value)
    assert str(path) in text
    assert text.endswith(".")
    assert "\n" not in text


@contextlib.contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Let the disk be full at once: no file of this process grows beyond so many bytes."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def as_another_user(number: int = 65_534) -> Iterator[None]:
    """Act as somebody without rights, where this is the administrator; else as who one is."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(number)
    try:
        yield
    finally:
        os.seteuid(0)
