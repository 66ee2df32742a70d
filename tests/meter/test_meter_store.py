"""The store on disk: what it keeps, what it refuses, what it survives."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench_meter import MADE, MeterBench, credit, new_meter
from bench_store import ELECTRICITY, KEY, edit, lived, sentence

from vtc07.carrier.companion_file import CompanionError
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.meter import (
    Changes,
    CompanionSource,
    MeterState,
    NewerStore,
    NotAStore,
    SQLiteStore,
    StoreCorrupt,
    StoreError,
    StoreExists,
    StoreInUse,
    StoreKey,
    StoreKeyError,
    StoreMissing,
    WrongStoreKey,
    find_store_key,
    make_store,
    open_store,
)
from vtc07.meter.store_migration import SCHEMA_VERSION
from vtc07.tokens import (
    EA,
    KT,
    ClearTamperCondition,
    DecoderKey,
    StaTables,
)

TABLES = StaTables(tuple(range(16)), tuple(reversed(range(16))), tuple(range(63, -1, -1)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "meter.vtc07"


@pytest.fixture
def make(path: Path) -> Iterator[Callable[..., SQLiteStore]]:
    made = []

    def new(state: MeterState | None = None) -> SQLiteStore:
        made.append(SQLiteStore.create(path, state or new_meter(), ELECTRICITY, KEY))
        return made[-1]

    yield new
    for store in made:
        store.close()


# --- keeping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ea", EA)
def test_a_store_opened_again_gives_the_same_state(
    path: Path, make: Callable[..., SQLiteStore], ea: EA
) -> None:
    state = new_meter(ea=ea, phases=3, device_address="7", software_version="v 1")
    if ea is EA.STA:
        key = DecoderKey(ea, state.key.material, TABLES)
        state = MeterState(state.nameplate, key, state.attributes, state.tids)
    store = make(state)
    assert store.load() is state
    before = lived(store)
    assert before.key.tables == (TABLES if ea is EA.STA else before.key.tables)
    assert before.staging is not None
    assert before.switch.power_trip_until_ns is not None
    store.close()
    with SQLiteStore.open(path, KEY) as again:
        assert again.load() == before
        assert again.load().token_log == before.token_log
        assert again.companion() == ELECTRICITY.companion()


def test_a_closed_store_is_one_file(path: Path, make: Callable[..., SQLiteStore]) -> None:
    store = make()
    lived(store)
    store.close()
    store.close()  # a second time does nothing
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o077 == 0


def test_each_commit_is_in_the_file_at_once(
    path: Path, make: Callable[..., SQLiteStore], tmp_path: Path
) -> None:
    store = make()
    bench = MeterBench(store=store)
    for number in range(1, 8):
        bench.enter(credit(number, 10))
        pulled = tmp_path / f"pulled{number}"  # what the disk would hold if power failed now
        pulled.mkdir()
        shutil.copy(path, pulled)  # and with nothing but the file: not even its journal is needed
        with SQLiteStore.open(pulled / path.name, KEY) as copy:
            assert copy.load() == bench.meter.committed
            assert copy.load().account.balance == number * 1_000


def test_logs_keep_their_length(path: Path, make: Callable[..., SQLiteStore]) -> None:
    bench = MeterBench(store=make())
    for number in range(1, 121):
        bench.enter(credit(number, 1))
    state = bench.meter.committed
    assert isinstance(bench.store, SQLiteStore)
    bench.store.close()
    with SQLiteStore.open(path, KEY) as again:
        assert again.load() == state
    rows = sqlite3.connect(path)
    counts = dict(rows.execute("SELECT kind, count(*) FROM record GROUP BY kind").fetchall())
    rows.close()
    assert (counts["token"], counts["event"]) == (50, 100)


_KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from bench_meter import MeterBench, credit, new_meter
from vtc07.meter import CompanionSource, SQLiteStore, StoreKey
key = StoreKey(bytes(range(200, 232)))
store = SQLiteStore.create(
    Path(sys.argv[2]), new_meter(), CompanionSource.of("electricity"), key)
bench = MeterBench(store=store)
for number in range(1, 6):
    bench.enter(credit(number, 10))
bench.offer(credit(9, 10))
bench.meter.handle_timer(bench.now_ns)
bench.meter.next_work()
os._exit(9)
"""


def test_a_killed_meter_lost_nothing_that_was_committed(path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, str(Path(__file__).parent), str(path)], check=False
    )
    assert ended.returncode == 9
    with SQLiteStore.open(path, KEY) as store:
        bench = MeterBench(store=store)
        assert bench.number("creditBalance") == 5_000
        assert bench.number("tokenSequence") == 5
        assert bench.number("powerFailCount") == 1
        assert bench.enter(credit(9, 10)) is TokenStatus.ACCEPT
        assert bench.enter(credit(5, 10)) is TokenStatus.USED_ERROR


def test_a_companion_of_the_users_goes_with_the_store(path: Path, tmp_path: Path) -> None:
    base, derived = tmp_path / "base.toml", tmp_path / "deep" / "own.toml"
    derived.parent.mkdir()
    base.write_text('extends = "electricity"\n[meter]\ncredit_maximum = 123456\n')
    derived.write_text('extends = "../base.toml"\n[lockout]\nfailures = 3\n')
    source = CompanionSource.of(derived)
    assert source.name == "own"
    state = new_meter(source.companion())
    SQLiteStore.create(path, state, source, KEY).close()
    shutil.rmtree(derived.parent)
    base.unlink()
    with SQLiteStore.open(path, KEY) as store:
        companion = store.companion()
        assert companion.meter is not None
        assert companion.meter.credit_maximum == 123456
        assert companion.lockout.failures == 3
        assert companion.name == "own"
        assert store.companion_source == source
    assert str(tmp_path).encode() not in path.read_bytes()
    with pytest.raises(CompanionError):
        CompanionSource.of(derived)


# --- refusing ------------------------------------------------------------------------------------


def test_no_such_store(path: Path) -> None:
    with pytest.raises(StoreMissing) as raised:
        SQLiteStore.open(path, KEY)
    sentence(raised, path)
    assert not path.exists()


def test_a_meter_is_never_overwritten(path: Path, make: Callable[..., SQLiteStore]) -> None:
    make().close()
    before = path.read_bytes()
    with pytest.raises(StoreExists) as raised:
        make()
    sentence(raised, path)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none" / "meter"
    with pytest.raises(StoreError) as raised:
        SQLiteStore.create(path, new_meter(), ELECTRICITY, KEY)
    sentence(raised, path)
    with pytest.raises(StoreError) as raised:
        SQLiteStore.open(tmp_path, KEY)
    sentence(raised, tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3", bytes(4096)])
def test_some_other_file(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(NotAStore) as raised:
        SQLiteStore.open(path, KEY)
    sentence(raised, path)
    assert "name another file, or go back to a copy" in str(raised.value)
    assert path.read_bytes() == content


def test_some_other_database(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE record (kind, name, value, authenticator)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(NotAStore) as raised:
        SQLiteStore.open(path, KEY)
    sentence(raised, path)
    assert path.read_bytes() == before


def test_a_newer_store(path: Path, make: Callable[..., SQLiteStore]) -> None:
    make().close()
    edit(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(NewerStore) as raised:
        SQLiteStore.open(path, KEY)
    sentence(raised, path)
    edit(path, "PRAGMA user_version = 0")
    with pytest.raises(StoreCorrupt):
        SQLiteStore.open(path, KEY)


def test_a_store_is_open_once(path: Path, make: Callable[..., SQLiteStore]) -> None:
    store = make()
    for _ in range(2):
        with pytest.raises(StoreInUse) as raised:
            SQLiteStore.open(path, KEY)
        sentence(raised, path)
    bench = MeterBench(store=store)  # which does not disturb who has it
    assert bench.enter(credit(1, 5)) is TokenStatus.ACCEPT
    store.close()
    with SQLiteStore.open(path, KEY) as again:
        with pytest.raises(StoreInUse):
            SQLiteStore.open(path, KEY)
        assert again.load().account.balance == 500


_OPENS = """
import sys
from pathlib import Path
from vtc07.meter import SQLiteStore, StoreKey, StoreInUse
try:
    SQLiteStore.open(Path(sys.argv[1]), StoreKey(bytes(range(200, 232))))
except StoreInUse as error:
    print(error)
    sys.exit(3)
"""


def test_another_process_cannot_open_it(path: Path, make: Callable[..., SQLiteStore]) -> None:
    make()
    other = subprocess.run(
        [sys.executable, "-c", _OPENS, str(path)], check=False, capture_output=True, text=True
    )
    assert other.returncode == 3, other.stderr
    assert str(path) in other.stdout


def test_another_store_key(path: Path, make: Callable[..., SQLiteStore]) -> None:
    make().close()
    with pytest.raises(WrongStoreKey) as raised:
        SQLiteStore.open(path, StoreKey(bytes(32)))
    sentence(raised, path)
    SQLiteStore.open(path, KEY).close()


_CHANGES = {
    "more credit": (
        "UPDATE record SET value = replace(value, '\"balance\":', '\"balance\":9') "
        "WHERE name = 'account'"
    ),
    "a fact is gone": "DELETE FROM record WHERE name = 'TIDs'",
    "a secret is gone": "DELETE FROM record WHERE kind = 'secret'",
    "a log entry is gone": "DELETE FROM record WHERE kind = 'token' AND name = '2'",
    "the newest log entry is gone": (
        "DELETE FROM record WHERE kind = 'event' AND name = "
        "(SELECT max(CAST(name AS INTEGER)) FROM record WHERE kind = 'event')"
    ),
    "two records change places": (
        "UPDATE record SET value = (SELECT value FROM record WHERE name = 'virtualLockout'), "
        "authenticator = (SELECT authenticator FROM record WHERE name = 'virtualLockout') "
        "WHERE name = 'keypadLockout'"
    ),
    "a record of unknown origin": "INSERT INTO record VALUES ('fact', 'credit', '1', '')",
    "text for a number": "UPDATE record SET authenticator = 'x' WHERE name = 'power'",
    "no companion": "DELETE FROM record WHERE kind = 'companion'",
    "no key check": "DELETE FROM record WHERE kind = 'check'",
    "no records": "DELETE FROM record",
    "no table": "DROP TABLE record",
    "the oldest log entries are gone": (
        "DELETE FROM record WHERE kind = 'token' AND CAST(name AS INTEGER) < 3"
    ),
    "another table": "CREATE TABLE other (x)",
    "an index": "CREATE INDEX other ON record (name)",
    "a view": "CREATE VIEW other AS SELECT * FROM record",
    "a trigger": (
        "CREATE TRIGGER other AFTER INSERT ON record WHEN NEW.name = 'TIDs' BEGIN "
        "DELETE FROM record WHERE kind = 'event'; END"
    ),
    "a write-ahead log": "PRAGMA journal_mode = WAL",
}


@pytest.mark.parametrize("statement", _CHANGES.values(), ids=_CHANGES)
def test_a_changed_store_is_noticed(
    path: Path, make: Callable[..., SQLiteStore], statement: str
) -> None:
    store = make(new_meter(ea=EA.STA))
    lived(store)
    store.close()
    edit(path, statement)
    content = path.read_bytes()
    with pytest.raises(StoreCorrupt) as raised:
        SQLiteStore.open(path, KEY)
    sentence(raised, path)
    assert path.read_bytes() == content  # nothing was mended


def test_every_damaged_byte_is_noticed_or_harmless(
    path: Path, make: Callable[..., SQLiteStore]
) -> None:
    store = make()
    before = lived(store)
    store.close()
    content = path.read_bytes()
    noticed = 0
    for at in range(0, len(content), 97):
        damaged = bytearray(content)
        damaged[at] ^= 0x55
        path.write_bytes(damaged)
        try:
            with SQLiteStore.open(path, KEY) as again:
                assert again.load() == before  # it struck a byte that means nothing
        except StoreError:
            noticed += 1
    assert noticed > len(content) // 97 // 4


def test_a_torn_file_is_noticed(path: Path, make: Callable[..., SQLiteStore]) -> None:
    store = make()
    lived(store)
    store.close()
    content = path.read_bytes()
    for length in (len(content) // 2, len(content) - 4096, 4096, 100):
        path.write_bytes(content[:length])
        with pytest.raises(StoreError) as raised:
            SQLiteStore.open(path, KEY)
        sentence(raised, path)


# --- failing -------------------------------------------------------------------------------------


def test_a_disk_that_refuses(path: Path, make: Callable[..., SQLiteStore]) -> None:
    store = make()
    bench = MeterBench(store=store)
    bench.enter(credit(1, 5))
    before = bench.meter.committed
    store._connection.execute("PRAGMA query_only = ON")  # every write fails from here on
    assert bench.offer(credit(2, 5)) is None
    bench.meter.handle_timer(bench.now_ns)
    bench.work()
    assert bench.number("serverStatus") == 0x40
    assert bench.number("creditBalance") == 500
    assert bench.offer(credit(2, 5)) is ErrorCode.STORE_FAULT
    store.close()
    with SQLiteStore.open(path, KEY) as again:
        assert again.load() == before


def test_a_full_disk(path: Path, make: Callable[..., SQLiteStore]) -> None:
    store = make()
    pages = store._pragma("page_count")
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    bench = MeterBench(store=store)
    kept = bench.meter.committed
    for number in range(1, 200):
        assert bench.offer(credit(number, 1)) in (None, ErrorCode.STORE_FAULT)
        bench.meter.handle_timer(bench.now_ns)
        bench.work()
        if bench.meter.store_fault:
            break
        kept = bench.meter.committed
    assert bench.meter.store_fault
    store.close()
    with SQLiteStore.open(path, KEY) as again:
        assert again.load() == kept


@pytest.mark.parametrize("replaced", [False, True])
def test_a_store_that_is_taken_away(
    path: Path, make: Callable[..., SQLiteStore], replaced: bool
) -> None:
    bench = MeterBench(store=make())
    path.rename(path.with_name("elsewhere"))
    if replaced:
        path.write_bytes(b"")
    assert bench.offer(credit(1, 5)) is None
    bench.meter.handle_timer(bench.now_ns)
    job = bench.meter.next_work()
    assert job is not None
    with pytest.raises(StoreError, match="removed or replaced"):
        job()
    bench.meter.work_done(StoreError(), bench.now_ns)
    assert bench.number("serverStatus") == 0x43
    assert bench.number("creditBalance") == 0


def test_a_transaction_must_follow_the_one_before(make: Callable[..., SQLiteStore]) -> None:
    store = make()
    other = new_meter(kt=KT.DDTK)
    with pytest.raises(StoreError, match="follow"):
        store.commit(Changes(other, other))
    store.close()
    with pytest.raises(StoreError):
        store.commit(Changes(store.load(), other))


# --- the store key -------------------------------------------------------------------------------


def test_a_key_file_is_made_beside_the_store(path: Path) -> None:
    with pytest.raises(StoreKeyError, match="VTC07_STORE_KEY"):
        find_store_key(path, environment={})
    made = find_store_key(path, environment={}, make=True)
    assert made.made == path.with_name("meter.vtc07.key")
    assert made.made.stat().st_mode & 0o777 == 0o600
    found = find_store_key(path, environment={}, make=True)
    assert found.made is None
    name = "same"
    assert found.key.unseal(made.key.seal(b"x", name), name) == b"x"


def test_a_store_is_made_and_opened_with_its_key(path: Path) -> None:
    with pytest.raises(StoreMissing):
        open_store(path, environment={})
    store, found = make_store(path, new_meter(), ELECTRICITY, environment={})
    store.close()
    assert found.made is not None
    with open_store(path, environment={}) as again:
        assert again.load() == new_meter()
    with pytest.raises(WrongStoreKey):
        open_store(path, environment={"VTC07_STORE_KEY": "00" * 32})
    with pytest.raises(StoreExists):
        make_store(path, new_meter(), ELECTRICITY, environment={})
    found.made.unlink()
    with pytest.raises(StoreKeyError):
        open_store(path, environment={})
    with pytest.raises(StoreExists):
        make_store(path, new_meter(), ELECTRICITY, environment={})
    assert not found.made.exists()


def test_where_a_key_comes_from(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(" " + "ab" * 32 + "\n")
    environment = {"VTC07_STORE_KEY": "CD" * 32}
    from_file = find_store_key(path, key_file=file, environment=environment).key
    from_environment = find_store_key(path, environment=environment).key
    assert from_file.authenticator(b"", "") == StoreKey(b"\xab" * 32).authenticator(b"", "")
    assert from_environment.authenticator(b"", "") == StoreKey(b"\xcd" * 32).authenticator(b"", "")


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "zz" * 32, "a b" * 32, "ab " * 32])
def test_a_wrong_key_is_never_repeated(path: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    with pytest.raises(StoreKeyError) as raised:
        find_store_key(path, key_file=file, environment={})
    assert str(file) in str(raised.value)
    with pytest.raises(StoreKeyError) as from_environment:
        find_store_key(path, environment={"VTC07_STORE_KEY": text})
    assert "VTC07_STORE_KEY" in str(from_environment.value)
    assert not text or text[:8] not in str(raised.value) + str(from_environment.value)


def test_unreadable_key_files(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreKeyError, match="no key file"):
        find_store_key(path, key_file=tmp_path / "none", environment={})
    with pytest.raises(StoreKeyError, match="cannot be read"):
        find_store_key(path, key_file=tmp_path, environment={})
    binary = tmp_path / "binary"
    binary.write_bytes(os.urandom(4) + b"\xff")
    with pytest.raises(StoreKeyError, match="not text"):
        find_store_key(path, key_file=binary, environment={})
    with pytest.raises(StoreKeyError, match="cannot be made"):
        find_store_key(tmp_path / "none" / "meter", environment={}, make=True)
    with pytest.raises(StoreKeyError, match="32 bytes"):
        StoreKey(b"short")


def test_tamper_and_its_token_survive(path: Path, make: Callable[..., SQLiteStore]) -> None:
    store = make()
    bench = MeterBench(store=store)
    bench.enter(credit(1, 5))
    bench.meter.tamper(8, bench.now_ns)
    bench.work()
    store.close()
    with SQLiteStore.open(path, KEY) as again:
        bench = MeterBench(store=again)
        assert bench.number("tamperStatus") == 8
        assert bench.enter(ClearTamperCondition(0, MADE + 2)) is TokenStatus.ACCEPT
        assert bench.number("loadSwitch") == 1
