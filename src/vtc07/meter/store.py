"""The durable store of a meter: one SQLite file (docs: store).

Write-ahead log with ``synchronous = FULL``: a commit has reached the disk when it returns, and a
file cut off at any instant opens with the last whole transaction. The file is locked while it is
open. Every record is authenticated with the store key, secrets are encrypted with it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn, Self

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import CompanionError
from vtc07.meter import encoding
from vtc07.meter.companion_source import CompanionSource
from vtc07.meter.encoding import Records, RecordsBroken
from vtc07.meter.records import Changes
from vtc07.meter.state import MeterState
from vtc07.meter.store_key import FoundKey, SealBroken, StoreKey, find_store_key

APPLICATION_ID: Final = 0x56544337  # "VTC7"
SCHEMA_VERSION: Final = 1

_HEADER: Final = b"SQLite format 3\x00"
_FACT: Final = "fact"
_SECRET: Final = "secret"  # noqa: S105 - a kind of record, not a secret
_TOKEN: Final = "token"  # noqa: S105 - likewise
_EVENT: Final = "event"
_COMPANION: Final = "companion"
_KEY_CHECK: Final = ("check", "store key")
_KEY_CHECK_TEXT: Final = b"vtc07 meter store"

_SCHEMA: Final = """
CREATE TABLE record (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    authenticator BLOB NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID
"""
_PUT: Final = "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)"
_DELETE: Final = "DELETE FROM record WHERE kind = ? AND name = ?"

_Name = tuple[str, str]
_Row = tuple[str, str, bytes, bytes]


class StoreError(Exception):
    """A store that cannot be used as asked; one sentence says why and what to do."""


class StoreMissing(StoreError):
    """There is no such file."""


class StoreExists(StoreError):
    """There is a file already where a new store was to be made."""


class StoreInUse(StoreError):
    """The store is open already."""


class NotAStore(StoreError):
    """The file is something else."""


class NewerStore(StoreError):
    """The store was written by a newer version of this program."""


class WrongStoreKey(StoreError):
    """The store was made with another store key."""


class StoreCorrupt(StoreError):
    """The store is damaged, or was changed by something else than this program."""


class SQLiteStore:
    """A meter's store on disk, open and locked until `close`.

    Made by `create` or `open`. `commit` may run in any thread, one at a time.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, key: StoreKey) -> None:
        self._path = path
        self._connection = connection
        self._key = key
        self._state: MeterState | None = None
        self._stored: dict[_Name, bytes] = {}  # what the file holds, in clear
        self._identity = _identity(path)
        self._source: CompanionSource | None = None

    @classmethod
    def create(
        cls, path: Path, state: MeterState, companion: CompanionSource, key: StoreKey
    ) -> Self:
        """Make a store for a new meter and leave it open.

        The file is for its owner only. StoreExists: nothing is ever overwritten. StoreError: it
        cannot be written there; what was begun is taken away.
        """
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            raise _exists(path) from None
        except OSError as error:
            raise StoreError(f"The store {path} cannot be made: {error.strerror}.") from error
        store = None
        try:
            store = cls(path, _connect(path), key)
            store._lock()
            store._initialize(state, companion)
            _sync_directory(path)
        except BaseException as error:
            if store is not None:
                store.close()
            path.unlink(missing_ok=True)
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"The store {path} cannot be made: {error}.") from error
            raise
        return store

    @classmethod
    def open(cls, path: Path, key: StoreKey) -> Self:
        """Open a store, check all of it, and lock it.

        Raises StoreMissing, NotAStore, NewerStore, StoreInUse, WrongStoreKey, StoreCorrupt, or
        StoreError for a file that the system does not let us use.
        """
        _require_sqlite_file(path)
        try:
            connection = _connect(path)
        except sqlite3.Error as error:
            raise StoreError(f"The store {path} cannot be opened: {error}.") from error
        store = cls(path, connection, key)
        try:
            store._identify()
            store._lock()
            store._check_file()
            store._load()
        except sqlite3.Error as error:
            store.close()
            _explain(path, error)
        except BaseException:
            store.close()
            raise
        return store

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def companion_source(self) -> CompanionSource:
        """The companion that the meter was made with, as text."""
        assert self._source is not None
        return self._source

    def companion(self) -> Companion:
        """Return the companion that the meter was made with; StoreError if it cannot be used."""
        try:
            return self.companion_source.companion()
        except CompanionError as error:
            raise StoreError(
                f"The companion {self.companion_source.name} in the store {self._path} cannot be "
                f"used: {error.problems[0]}"
            ) from error

    def load(self) -> MeterState:
        """Return the state committed last."""
        assert self._state is not None
        return self._state

    def commit(self, changes: Changes) -> None:
        """Make a transaction durable.

        StoreError: it was not, or nobody knows; the store is not to be used further.
        """
        if changes.before is not self._state:
            raise StoreError("The transaction does not follow the one before it.")
        stored = _named(encoding.encode(changes.after))
        rows = [
            self._row(name, value)
            for name, value in stored.items()
            if self._stored.get(name) != value
        ]
        gone = [name for name in self._stored if name not in stored]
        try:
            self._require_same_file()
            self._write(rows, gone)
        except sqlite3.Error as error:
            raise StoreError(f"The store {self._path} could not be written: {error}.") from error
        self._state, self._stored = changes.after, stored

    def close(self) -> None:
        """Let go of the file; a second time does nothing."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- opening -------------------------------------------------------------------------------

    def _identify(self) -> None:
        application_id, version = self._pragma("application_id"), self._pragma("user_version")
        if application_id != APPLICATION_ID:
            raise NotAStore(f"{self._path} is a database, but not the store of a meter.")
        if version > SCHEMA_VERSION:
            raise NewerStore(
                f"The store {self._path} was written by a newer version of vtc07 (schema "
                f"{version}, this version knows {SCHEMA_VERSION}); use that version."
            )
        if version != SCHEMA_VERSION:
            raise StoreCorrupt(f"The store {self._path} has no valid schema version.")

    def _lock(self) -> None:
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("BEGIN EXCLUSIVE")
        self._connection.execute("COMMIT")  # the lock stays, by the locking mode

    def _check_file(self) -> None:
        (said,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        if said != "ok":
            raise StoreCorrupt(f"The store {self._path} is damaged: {said}.")

    def _pragma(self, name: str) -> int:
        (value,) = self._connection.execute(f"PRAGMA {name}").fetchone()
        return int(value)

    def _load(self) -> None:
        rows: dict[_Name, bytes] = {}
        facts: dict[str, str] = {}
        secrets: dict[str, bytes] = {}
        logs: dict[str, dict[int, str]] = {_TOKEN: {}, _EVENT: {}}
        files: dict[int, tuple[str, str]] = {}
        stored = self._connection.execute(
            "SELECT kind, name, value, authenticator FROM record"
        ).fetchall()
        authenticators = {(kind, name): auth for kind, name, _, auth in stored}
        rows = {(kind, name): value for kind, name, value, _ in stored}
        self._check_key(rows, authenticators)
        try:
            for (kind, name), value in rows.items():
                self._key.verify(value, f"{kind} {name}", authenticators[kind, name])
                if kind == _FACT:
                    facts[name] = value.decode()
                elif kind == _SECRET:
                    secrets[name] = self._key.unseal(value, f"{kind} {name}")
                elif kind in logs:
                    logs[kind][int(name)] = value.decode()
                elif kind == _COMPANION:
                    source, _, text = value.decode().partition("\n")
                    files[int(name)] = (source, text)
            records = Records(facts, secrets, logs[_TOKEN], logs[_EVENT])
            self._state, self._stored = encoding.decode(records), _named(records)
        except (SealBroken, RecordsBroken, TypeError, ValueError) as error:
            what = str(error) if isinstance(error, RecordsBroken) else "a record was changed"
            raise StoreCorrupt(
                f"The store {self._path} is damaged ({what}), and the meter must not work with "
                "it; go back to a copy of it, or make a new meter."
            ) from None
        self._source = CompanionSource(tuple(files[place] for place in sorted(files)))
        if sorted(files) != list(range(len(files))) or not files:
            raise StoreCorrupt(f"The store {self._path} is damaged: it holds no companion.")

    def _check_key(self, rows: dict[_Name, bytes], authenticators: dict[_Name, bytes]) -> None:
        try:
            value, authenticator = rows[_KEY_CHECK], authenticators[_KEY_CHECK]
            self._key.verify(value, " ".join(_KEY_CHECK), authenticator)
        except KeyError:
            raise StoreCorrupt(f"The store {self._path} is damaged: records are missing.") from None
        except (SealBroken, TypeError):
            raise WrongStoreKey(
                f"The store {self._path} was made with another store key; name the right key file "
                "or set the right VTC07_STORE_KEY."
            ) from None

    # --- writing -------------------------------------------------------------------------------

    def _require_same_file(self) -> None:
        """Refuse to write into a file that has lost its name: it would be gone when closed."""
        try:
            found = _identity(self._path)
        except OSError:
            found = None
        if found != self._identity:
            raise StoreError(f"The store {self._path} was removed or replaced while it was open.")

    def _initialize(self, state: MeterState, companion: CompanionSource) -> None:
        self._stored = _named(encoding.encode(state))
        rows = [self._row(name, value) for name, value in self._stored.items()]
        rows.append(self._row(_KEY_CHECK, _KEY_CHECK_TEXT))
        for place, (source, text) in enumerate(companion.files):
            rows.append(self._row((_COMPANION, str(place)), f"{source}\n{text}".encode()))
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_SCHEMA)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.executemany(_PUT, rows)
        connection.execute("COMMIT")
        self._state, self._source = state, companion

    def _write(self, rows: list[_Row], gone: list[_Name]) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(_DELETE, gone)
            connection.executemany(_PUT, rows)
            connection.execute("COMMIT")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _row(self, name: _Name, value: bytes) -> _Row:
        kind, own_name = name
        if kind == _SECRET:
            value = self._key.seal(value, f"{kind} {own_name}")
        return kind, own_name, value, self._key.authenticator(value, f"{kind} {own_name}")


def make_store(
    path: Path,
    state: MeterState,
    companion: CompanionSource,
    *,
    key_file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[SQLiteStore, FoundKey]:
    """Make the store of a new meter, and a key file beside it unless there is a key already.

    Where ``made`` of the key is a file, the user is to be told of it. Raises what
    `SQLiteStore.create` and `find_store_key` raise.
    """
    if path.exists():
        raise _exists(path)  # before a key is made for it
    found = find_store_key(path, key_file=key_file, environment=environment, make=True)
    return SQLiteStore.create(path, state, companion, found.key), found


def open_store(
    path: Path, *, key_file: Path | None = None, environment: Mapping[str, str] | None = None
) -> SQLiteStore:
    """Open a store with its key; raises what `SQLiteStore.open` and `find_store_key` raise."""
    _require_sqlite_file(path)  # before a missing key is complained of
    found = find_store_key(path, key_file=key_file, environment=environment)
    return SQLiteStore.open(path, found.key)


def _exists(path: Path) -> StoreExists:
    return StoreExists(
        f"{path} exists already and a meter is never overwritten; choose another name, or move "
        "that file away."
    )


def _named(records: Records) -> dict[_Name, bytes]:
    named = {(_FACT, name): text.encode() for name, text in records.facts.items()}
    named |= {(_SECRET, name): value for name, value in records.secrets.items()}
    named |= {(_TOKEN, str(number)): text.encode() for number, text in records.token_log.items()}
    named |= {(_EVENT, str(number)): text.encode() for number, text in records.event_log.items()}
    return named


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _require_sqlite_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(len(_HEADER))
    except FileNotFoundError:
        raise StoreMissing(f"There is no store {path}; make a meter first.") from None
    except OSError as error:
        raise StoreError(f"The store {path} cannot be read: {error.strerror}.") from error
    if head != _HEADER:
        raise NotAStore(f"{path} is not the store of a meter.")


def _explain(path: Path, error: sqlite3.Error) -> NoReturn:
    if error.sqlite_errorname in ("SQLITE_BUSY", "SQLITE_LOCKED"):
        raise StoreInUse(
            f"The store {path} is open already, here or in another program; close it there first."
        ) from error
    schema_is_wrong = error.sqlite_errorname == "SQLITE_ERROR"
    if isinstance(error, sqlite3.OperationalError) and not schema_is_wrong:
        raise StoreError(f"The store {path} cannot be used: {error}.") from error
    raise StoreCorrupt(f"The store {path} is damaged: {error}.") from error


def _sync_directory(path: Path) -> None:
    """Make a new file's name durable, where the system lets a directory be synchronized."""
    with suppress(OSError):
        descriptor = os.open(path.absolute().parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
