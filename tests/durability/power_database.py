"""A database on such a disk: SQLite's own code, from another build of it, over a VFS."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from power_disk import Disk, DiskFails, PowerIsOff

import needs
from vtc07.meter import PowerLost, StoreError, StoreInUse

needs.module("apsw")

import apsw  # noqa: E402 - where it is missing, the tests are skipped

STORE: Final = "store"
JOURNAL: Final = "store-journal"
_VFS: Final = "power"
_disks: dict[str, Disk] = {}
_numbers = itertools.count()


class _File:
    """An open file; a disk without power reports errors, and nothing happens."""

    def __init__(self, disk: Disk, file: int, *, new_journal: bool) -> None:
        self._disk = disk
        self._file = file
        self._name_is_new = new_journal

    def xRead(self, amount: int, offset: int) -> bytes:
        with _errors():
            return self._disk.read(self._file, offset, amount)

    def xWrite(self, data: bytes, offset: int) -> None:
        with _errors():
            self._disk.write(self._file, offset, bytes(data))

    def xTruncate(self, size: int) -> None:
        with _errors():
            self._disk.truncate(self._file, size)

    def xSync(self, _flags: int) -> None:
        """As SQLite's own on Unix: a new journal's name is synchronized with its content."""
        with _errors():
            self._disk.sync(self._file)
            if self._name_is_new:
                self._disk.sync_folder()
                self._name_is_new = False

    def xFileSize(self) -> int:
        return self._disk.size(self._file)

    def xClose(self) -> None:
        pass

    def xLock(self, _level: int) -> None:
        pass

    def xUnlock(self, _level: int) -> None:
        pass

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, _op: int, _pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return 4096

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE  # as SQLite's own on Unix


class _PowerVFS(apsw.VFS):
    def __init__(self) -> None:
        super().__init__(_VFS, base="")

    def xFullPathname(self, name: str) -> str:
        return name

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None:  # a file without a name is of no use after a loss of power
            return apsw.VFSFile("", None, flags)
        disk, _, file = path.partition("/")
        create = bool(flags[0] & apsw.SQLITE_OPEN_CREATE)
        with _errors():
            new = not _disks[disk].exists(file)
            number = _disks[disk].open(file, create=create)
        return _File(_disks[disk], number, new_journal=new)

    def xDelete(self, name: str, sync_folder: bool) -> None:
        disk, _, file = name.partition("/")
        with _errors():
            _disks[disk].delete(file)
            if sync_folder:
                _disks[disk].sync_folder()

    def xAccess(self, name: str, _flags: int) -> bool:
        disk, _, file = name.partition("/")
        return _disks[disk].exists(file)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (PowerIsOff, DiskFails) as error:
        raise apsw.IOError(type(error).__name__) from None
    except KeyError:
        raise apsw.CantOpenError("no such file") from None


_vfs = _PowerVFS()


class DiskDatabase:
    """A store's database that is a file of a disk."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self._held = False
        self._mounted = Mounted(disk)

    @property
    def name(self) -> str:
        return STORE

    def take(self) -> None:
        if self._held:
            raise StoreInUse(STORE)
        if not self.disk.exists(STORE):
            raise StoreError("no such file")
        self._held = True

    def connect(self) -> DiskConnection:
        return self._mounted.connect(STORE)

    def in_place(self) -> bool:
        return self.disk.exists(STORE)

    def make_name_durable(self) -> None:
        with _sqlite_errors(self.disk):
            self.disk.sync_folder()

    def release(self) -> None:
        self._held = False

    def forget(self) -> None:
        """Close what a store without power could not."""
        self._mounted.forget()


class Mounted:
    """A disk that SQLite can reach, until `forget`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._key = f"disk{next(_numbers)}"
        self._connections: list[DiskConnection] = []
        _disks[self._key] = disk

    def connect(self, name: str) -> DiskConnection:
        """Open the database of this name, which is there."""
        with _sqlite_errors(self._disk):
            made = apsw.Connection(
                f"{self._key}/{name}", flags=apsw.SQLITE_OPEN_READWRITE, vfs=_VFS
            )
        self._connections.append(DiskConnection(self._disk, made))
        return self._connections[-1]

    def forget(self) -> None:
        """Close what a disk without power left open."""
        for connection in self._connections:
            connection.abandon()
        _disks.pop(self._key, None)


class DiskConnection:
    """A connection as a store or a journal sees it."""

    def __init__(self, disk: Disk, connection: apsw.Connection) -> None:
        self._disk = disk
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> apsw.Cursor:
        with _sqlite_errors(self._disk):
            return self._connection.execute(sql, tuple(parameters))

    def close(self) -> None:
        if not self._disk.off:
            self.abandon()

    def abandon(self) -> None:
        with suppress(apsw.Error):
            self._connection.close(True)


@contextmanager
def _sqlite_errors(disk: Disk) -> Iterator[None]:
    """Let errors be those of the module that the store knows."""
    try:
        yield
    except (apsw.Error, PowerIsOff, DiskFails) as error:
        if disk.off:
            raise PowerLost from None
        code = getattr(error, "extendedresult", 0)
        names: Any = {**apsw.mapping_result_codes, **apsw.mapping_extended_result_codes}
        translated = sqlite3.OperationalError(str(error))
        translated.sqlite_errorname = names.get(code, names.get(code & 0xFF, ""))
        raise translated from error
