"""Who may open a store, where it and its key may stand, and what a making that fails leaves."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from bench_meter import MeterBench, credit, new_meter
from bench_store import ELECTRICITY, KEY, as_another_user, no_file_beyond, sentence

from vtc07.carrier.status import TokenStatus
from vtc07.meter import (
    CompanionSource,
    SQLiteStore,
    StoreError,
    StoreExists,
    StoreInUse,
    StoreKey,
    StoreKeyError,
    WrongStoreKey,
    find_store_key,
    make_store,
    open_store,
)

posix_only = pytest.mark.skipif(os.name != "posix", reason="rights and limits as POSIX has them")

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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "meter.vtc07"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    with SQLiteStore.create(path, new_meter(), ELECTRICITY, KEY) as made:
        yield made


# --- open once -----------------------------------------------------------------------------------

_TRIES: dict[str, Callable[[Path], object]] = {
    "open": lambda path: SQLiteStore.open(path, KEY),
    "with another key": lambda path: SQLiteStore.open(path, StoreKey(bytes(32))),
    "open_store": lambda path: open_store(path, environment={"VTC07_STORE_KEY": "00" * 32}),
    "open_store without a key": lambda path: open_store(path, environment={}),
    "create": lambda path: SQLiteStore.create(path, new_meter(), ELECTRICITY, KEY),
    "make_store": lambda path: make_store(path, new_meter(), ELECTRICITY, environment={}),
}


@pytest.mark.parametrize("attempt", _TRIES.values(), ids=_TRIES)
@pytest.mark.parametrize("again", [False, True], ids=["made", "opened"])
def test_a_second_try_here_does_not_let_another_process_in(
    path: Path, store: SQLiteStore, attempt: Callable[[Path], object], again: bool
) -> None:
    if again:
        store.close()
        store = SQLiteStore.open(path, KEY)
    names = [path]
    if os.name == "posix":
        names += [path.with_name("link"), path.with_name("hard")]
        names[1].symlink_to(path)
        names[2].hardlink_to(path)
    for name in names:
        with pytest.raises((StoreInUse, StoreExists)) as raised:
            attempt(name)
        sentence(raised, name)
    other = subprocess.run(
        [sys.executable, "-c", _OPENS, str(path)], check=False, capture_output=True, text=True
    )
    assert other.returncode == 3, other.stderr
    assert MeterBench(store=store).enter(credit(1, 5)) is TokenStatus.ACCEPT
    store.close()
    SQLiteStore.open(path, KEY).close()


def test_a_refused_opening_holds_nothing(path: Path, store: SQLiteStore) -> None:
    store.close()
    with pytest.raises(WrongStoreKey):
        SQLiteStore.open(path, StoreKey(bytes(32)))
    SQLiteStore.open(path, KEY).close()


@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_a_store_that_was_forgotten_can_be_opened_again(path: Path) -> None:
    SQLiteStore.create(path, new_meter(), ELECTRICITY, KEY)
    gc.collect()
    SQLiteStore.open(path, KEY).close()


def test_the_working_directory_may_change(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with SQLiteStore.create(Path(path.name), new_meter(), ELECTRICITY, KEY) as store:
        monkeypatch.chdir("/")
        bench = MeterBench(store=store)
        assert bench.enter(credit(1, 5)) is TokenStatus.ACCEPT
        after = bench.meter.committed
    with SQLiteStore.open(path, KEY) as store:
        assert store.load() == after
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Return a folder that somebody without rights can reach."""
    folder = Path(tempfile.mkdtemp()).resolve()
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@posix_only
@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o444, 0o777), (0o666, 0o555)])
def test_a_store_that_cannot_be_written_is_left_alone(
    public_folder: Path, file_mode: int, folder_mode: int
) -> None:
    path = public_folder / "meter"
    SQLiteStore.create(path, new_meter(), ELECTRICITY, KEY).close()
    content = path.read_bytes()
    path.chmod(file_mode)
    public_folder.chmod(folder_mode)
    with as_another_user(), pytest.raises(StoreError, match="cannot be written") as raised:
        SQLiteStore.open(path, KEY)
    sentence(raised, path)
    assert list(public_folder.iterdir()) == [path]
    assert path.read_bytes() == content


# --- making --------------------------------------------------------------------------------------


class _Watched(Mapping[str, str]):
    """An environment without a key; while it is asked for one, something happens."""

    def __init__(self, happens: Callable[[], None]) -> None:
        self._happens = happens

    def __getitem__(self, name: str) -> str:
        self._happens()
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def test_of_two_makers_one_has_store_and_key(path: Path) -> None:
    """The second comes while the first makes its key."""
    refused = []

    def second() -> None:
        with pytest.raises(StoreExists) as raised:
            make_store(path, new_meter(), ELECTRICITY, environment={})
        refused.append(raised)

    store, found = make_store(path, new_meter(), ELECTRICITY, environment=_Watched(second))
    store.close()
    assert len(refused) == 1
    assert found.made is not None
    with open_store(path, environment={}) as again:
        assert again.load() == new_meter()


def test_an_interrupted_making_leaves_nothing(path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_store(path, new_meter(), ELECTRICITY, environment=_Watched(interrupt))
    assert list(path.parent.iterdir()) == []

    class Interrupting(CompanionSource):
        @property
        def files(self) -> tuple[tuple[str, str], ...]:
            assert path.exists()
            assert path.with_name(path.name + ".key").exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_store(path, new_meter(), object.__new__(Interrupting), environment={})
    assert list(path.parent.iterdir()) == []


def test_a_key_that_was_there_stays_when_the_making_fails(path: Path, tmp_path: Path) -> None:
    key_file = tmp_path / "meter.vtc07.key"
    key_file.write_text("5a" * 32)
    path.mkdir()
    with pytest.raises(StoreExists):
        make_store(path, new_meter(), ELECTRICITY, environment={})
    assert key_file.read_text() == "5a" * 32


@posix_only
@pytest.mark.parametrize("size", [0, 10, 64, 65, 100, 4096, 8192])
def test_a_disk_full_while_making_leaves_nothing(path: Path, size: int) -> None:
    with no_file_beyond(size), pytest.raises((StoreError, StoreKeyError)) as raised:
        make_store(path, new_meter(), ELECTRICITY, environment={})
    sentence(raised, path)
    assert list(path.parent.iterdir()) == []
    store, _ = make_store(path, new_meter(), ELECTRICITY, environment={})
    store.close()


# --- the key -------------------------------------------------------------------------------------


def test_an_empty_variable_is_none(path: Path) -> None:
    with pytest.raises(StoreKeyError, match="no key file"):
        find_store_key(path, environment={"VTC07_STORE_KEY": ""})


def test_which_file_was_read(path: Path, tmp_path: Path) -> None:
    made = find_store_key(path, environment={}, make=True)
    assert (made.made, made.read) == (tmp_path / "meter.vtc07.key", None)
    beside = find_store_key(path, environment={})
    assert (beside.made, beside.read) == (None, made.made)
    assert made.made is not None
    copy = Path(shutil.copy(made.made, tmp_path / "copy"))
    assert find_store_key(path, key_file=copy, environment={}).read == copy
    assert find_store_key(path, environment={"VTC07_STORE_KEY": "ab" * 32}).read is None


@posix_only
def test_a_key_file_without_an_end(path: Path, tmp_path: Path) -> None:
    padded = tmp_path / "padded"
    padded.write_text("ab" * 32 + " " * 10_000)
    with pytest.raises(StoreKeyError, match="64 hexadecimal digits"):
        find_store_key(path, key_file=padded, environment={})
    with pytest.raises(StoreKeyError, match="64 hexadecimal digits"):
        find_store_key(path, key_file=Path("/dev/zero"), environment={})
