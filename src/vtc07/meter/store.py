"""The durable store of a meter: one SQLite file.

A commit is in the file itself, and has reached the disk, when it returns. While it is written a
rollback journal beside the file (``STORE-journal``) holds what is overwritten, so a file cut off
at any instant opens with the last whole transaction. The file is locked while it is open.

Every record is authenticated with the store key, secrets are encrypted with it, and all records
together are bound to the commit that wrote them (`vtc07.meter.store_contents`). What was changed,
added, taken away or put back, by accident or on purpose, is refused when the store is opened;
a journal that does not give back the whole transaction before is noticed in the same way.

What a store cannot detect, having no memory outside of its file: an older copy of the whole file
put in its place, or the store of another meter with the same store key. Tokens used since the
copy was made would be accepted again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import CompanionError
from vtc07.durable.database import Connection, PowerLost
from vtc07.meter import encoding, store_errors, store_file
from vtc07.meter.companion_source import CompanionSource
from vtc07.meter.encoding import RecordsBroken
from vtc07.meter.records import Changes
from vtc07.meter.state import MeterState
from vtc07.meter.store_contents import (
    CHECK,
    Contents,
    Name,
    Row,
    named,
    named_changes,
    unnamed,
    written_with,
)
from vtc07.meter.store_database import Database, lock, make_durable
from vtc07.meter.store_errors import (
    NewerStore,
    StoreError,
    StoreExists,
    StoreMissing,
    WrongStoreKey,
    damaged,
    quoted,
)
from vtc07.meter.store_file import APPLICATION_ID, FileDatabase, Look
from vtc07.meter.store_key import FoundKey, SealBroken, StoreKey, find_store_key
from vtc07.meter.store_migration import SCHEMA_VERSION, migrated

_SCHEMA: Final = """\
CREATE TABLE record (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    authenticator BLOB NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID"""
_READ: Final = "SELECT kind, name, value, authenticator FROM record"
_PUT: Final = "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)"
_DELETE: Final = "DELETE FROM record WHERE kind = ? AND name = ?"


class SQLiteStore:
    """A meter's store, open and locked until `close`.

    Made by `create` or `open` where it is a file; by `create_in` or `open_in` wherever its
    database is. `commit` may run in any thread, one at a time.
    """

    def __init__(self, database: Database, key: StoreKey) -> None:
        self._database = database
        self._key = key
        self._closed = False
        self._state: MeterState | None = None
        self._contents: Contents | None = None
        self._source: CompanionSource | None = None
        database.take()
        try:
            self._connection = database.connect()
        except BaseException:
            database.release()
            raise

    @classmethod
    def create(
        cls, path: Path, state: MeterState, companion: CompanionSource, key: StoreKey
    ) -> Self:
        """Make a store for a new meter and leave it open.

        The file is for its owner only. StoreExists: nothing is ever overwritten. StoreError: it
        cannot be written there; what was begun is taken away.
        """
        with _new_file(path):
            return cls.create_in(FileDatabase(path), state, companion, key)

    @classmethod
    def create_in(
        cls, database: Database, state: MeterState, companion: CompanionSource, key: StoreKey
    ) -> Self:
        """Make a store in a database that exists and is empty.

        StoreError: it cannot be written; what is in the database then means nothing.
        """
        try:
            store = cls(database, key)
            try:
                lock(store._connection)
                make_durable(store._connection)
                store._initialize(state, companion)
                database.make_name_durable()
            except BaseException:
                store.close()
                raise
        except sqlite3.Error as error:
            raise store_errors.cannot(database.name, "cannot be made", error) from error
        return store

    @classmethod
    def open(cls, path: Path, key: StoreKey) -> Self:
        """Open a store, check all of it, and lock it.

        Raises StoreMissing, NotAStore, NewerStore, StoreInUse, WrongStoreKey, StoreCorrupt, or
        StoreError for a file that the system does not let us use.
        """
        require_store(path)
        return cls.open_in(FileDatabase(path), key)

    @classmethod
    def open_in(cls, database: Database, key: StoreKey) -> Self:
        """Open the store in a database, check all of it, and lock it; raises as `open` does."""
        try:
            store = cls(database, key)
        except sqlite3.Error as error:
            raise store_errors.cannot(database.name, "cannot be opened", error) from error
        try:
            lock(store._connection)
            version = store._identify()
            make_durable(store._connection)
            store._check_file()
            store._load(version)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            store.close()
            store_errors.explain(database.name, error)
        except BaseException:
            store.close()
            raise
        return store

    @property
    def name(self) -> str:
        """What people call it: the file's name."""
        return self._database.name

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
                f"The companion {self.companion_source.name} in the store {self.name} cannot be "
                f"used: {error.problems[0]}"
            ) from error

    def load(self) -> MeterState:
        """Return the state committed last."""
        assert self._state is not None
        return self._state

    def commit(self, changes: Changes) -> None:
        """Make a transaction durable.

        StoreError: it was not. The store is closed then, with the file as it was before, and
        takes no further commit. Where the disk fails so thoroughly that even this cannot be
        written, the next opening rolls the transaction back; only a disk that reported the very
        last step of it as failed, and did it, can show it then.
        """
        if self._closed:
            raise StoreError(f"The store {self.name} is closed; open it again to go on.")
        before, after = self._contents, None
        assert before is not None
        try:
            self._require_place_for(changes)
            changed = named_changes(encoding.encode_changes(changes.before, changes.after))
            after, put, gone = before.followed_by(changed, self._key)
            _write(self._connection, put, gone)
        except PowerLost:
            self._closed = True  # and nothing else: no device acts without power
            raise
        except BaseException as error:
            self._give_up(before, after)
            if isinstance(error, sqlite3.Error):
                raise store_errors.cannot(self.name, "could not be written", error) from error
            raise
        self._state, self._contents = changes.after, after

    def close(self) -> None:
        """Let go of the file; a second time does nothing."""
        self._closed = True
        try:
            self._connection.close()
        except PowerLost:
            return  # it holds nothing any more; somebody else may
        except BaseException:
            self._database.release()
            raise
        self._database.release()

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

    def _identify(self) -> int:
        application_id = self._pragma("application_id")
        version: int = self._pragma("user_version")
        if application_id != APPLICATION_ID:
            raise store_errors.not_a_store(self.name)
        if version > SCHEMA_VERSION:
            raise NewerStore(
                f"The store {self.name} was written by a newer version of vtc07 (schema "
                f"{version}, this version knows {SCHEMA_VERSION}); use that version."
            )
        if version < 1:
            raise damaged(self.name, "it has no valid schema version")
        schema = self._connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        # A trigger or an index would take part in every commit.
        if schema != [("table", "record", _SCHEMA)]:
            raise damaged(self.name, "it holds other tables or rules than a store does")
        if self._pragma("journal_mode") == "wal":
            raise damaged(self.name, "its header was changed")
        return version

    def _check_file(self) -> None:
        said = self._pragma("integrity_check(1)")
        if said != "ok":
            raise damaged(self.name, quoted(said))

    def _pragma(self, name: str) -> Any:
        (value,) = self._connection.execute(f"PRAGMA {name}").fetchone()
        return value

    def _load(self, version: int) -> None:
        contents = self._read()
        if version != SCHEMA_VERSION:
            contents = self._migrate(contents, version)
        self._state, self._source = self._understood(contents.clear)
        self._contents = contents

    def _read(self) -> Contents:
        stored: list[Row] = self._connection.execute(_READ).fetchall()
        try:
            return Contents.read(stored, self._key)
        except SealBroken:
            if stored and not written_with(stored, self._key):
                raise WrongStoreKey(
                    f"The store {self.name} was made with another store key; name the right key "
                    "file or set the right VTC07_STORE_KEY."
                ) from None
            raise damaged(self.name, "records were changed or are missing") from None

    def _understood(self, clear: Mapping[Name, bytes]) -> tuple[MeterState, CompanionSource]:
        try:
            records, source = unnamed(clear)
            return encoding.decode(records), source
        except RecordsBroken as error:
            raise damaged(self.name, str(error)) from None

    def _migrate(self, contents: Contents, version: int) -> Contents:
        """Bring an older store to today's schema in one transaction, and read it anew."""
        try:
            records = migrated(contents.clear, version)
        except RecordsBroken as error:
            raise damaged(self.name, str(error)) from None
        self._understood(records)  # before anything is changed
        gone = dict.fromkeys(name for name in contents.rows if name not in records)
        _, put, deleted = contents.followed_by({**records, **gone}, self._key)
        _write(self._connection, put, deleted, version=SCHEMA_VERSION)
        return self._read()

    # --- writing -------------------------------------------------------------------------------

    def _initialize(self, state: MeterState, companion: CompanionSource) -> None:
        contents = Contents.first(named(encoding.encode(state), companion), self._key)
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_SCHEMA)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        for row in (*contents.rows.values(), contents.check):
            connection.execute(_PUT, row)
        connection.execute("COMMIT")
        self._state, self._source, self._contents = state, companion, contents

    def _require_place_for(self, changes: Changes) -> None:
        if changes.before is not self._state:
            raise StoreError("The transaction does not follow the one before it.")
        if not self._database.in_place():  # it would be gone when closed
            raise StoreError(f"The store {self.name} was removed or replaced while it was open.")

    def _give_up(self, before: Contents, failed: Contents | None) -> None:
        """Close after a failure, with the file as it was before the transaction that failed.

        Closing rolls it back, or leaves the journal with which the next opening does so. But the
        last step may have been done although it was reported as failed: then the transaction
        stands in the file, would show itself later, and is taken back by another one.
        """
        self._closed = True
        with suppress(sqlite3.Error):
            self._connection.close()
        try:
            if failed is not None and self._database.in_place():
                with suppress(sqlite3.Error):
                    self._take_back(before, failed)
        finally:
            self._database.release()

    def _take_back(self, before: Contents, failed: Contents) -> None:
        connection = self._database.connect()
        try:
            lock(connection)
            make_durable(connection)
            found = connection.execute(f"{_READ} WHERE kind = ? AND name = ?", CHECK).fetchone()
            if found == failed.check:
                _write(connection, *before.changes_since(failed))
        finally:
            connection.close()


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
    `SQLiteStore.create` and `find_store_key` raise; a key file made for nothing is taken away.
    """
    with _new_file(path):  # whoever has the name has the key file's as well
        found = find_store_key(path, key_file=key_file, environment=environment, make=True)
        try:
            return SQLiteStore.create_in(FileDatabase(path), state, companion, found.key), found
        except BaseException:
            if found.made is not None:
                found.made.unlink(missing_ok=True)
            raise


def open_store(
    path: Path, *, key_file: Path | None = None, environment: Mapping[str, str] | None = None
) -> SQLiteStore:
    """Open a store with its key; raises what `SQLiteStore.open` and `find_store_key` raise."""
    require_store(path)  # before a missing key is complained of
    found = find_store_key(path, key_file=key_file, environment=environment)
    return SQLiteStore.open(path, found.key)


def require_store(path: Path) -> None:
    """Raise unless this is a store that can be opened, as far as that shows without its key.

    StoreMissing, NotAStore, StoreInUse where this process has it open, StoreError where it cannot
    be read or written: a meter needs to write, and SQLite to make a journal beside it.
    """
    try:
        found = store_file.look(path.resolve())
    except FileNotFoundError:
        raise StoreMissing(f"There is no store {path}; make a meter first.") from None
    except OSError as error:
        raise StoreError(f"The store {path} cannot be read: {error.strerror}.") from error
    if found is Look.OPEN:
        raise store_errors.in_use(path)
    if found is Look.OTHER:
        raise store_errors.not_a_store(path)
    if found is Look.READ_ONLY:
        raise StoreError(
            f"The store {path} cannot be opened, since it or its folder cannot be written; change "
            "their rights, or copy it to a folder where that is possible."
        )


@contextmanager
def _new_file(path: Path) -> Iterator[None]:
    """Claim a name for a store that is made; it is free again where that fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise StoreExists(
            f"{path} exists already and a meter is never overwritten; choose another name, or "
            "move that file away."
        ) from None
    except OSError as error:
        raise StoreError(f"The store {path} cannot be made: {error.strerror}.") from error
    file = path.resolve()
    try:
        os.close(descriptor)
        yield
    except BaseException:
        store_file.journal_of(file).unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        raise


def _write(
    connection: Connection, put: list[Row], gone: list[Name], *, version: int | None = None
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for name in gone:
        connection.execute(_DELETE, name)
    for row in put:
        connection.execute(_PUT, row)
    if version is not None:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("COMMIT")
