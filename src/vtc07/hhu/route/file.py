"""Opening a route: a CSV or JSON file that is read anew, a line at a time, whenever it is asked.

Nothing of it is kept but its digest and its counts, so that a route of 100,000 stops takes no more
memory than one of ten, and whoever changes the file meanwhile is noticed.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import io
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from vtc07.hhu.route.csv import rows as csv_rows
from vtc07.hhu.route.facts import RouteError, Stop
from vtc07.hhu.route.findings import RouteUnreadable, error
from vtc07.hhu.route.json import JSONRows
from vtc07.hhu.route.numbers import digits_of, full_number
from vtc07.hhu.route.row import Row, for_people
from vtc07.hhu.route.stop import stop_of
from vtc07.hhu.texts import Said, said

_PIECE: Final = 1 << 16
#: How files begin that are something else, and what they are.
_OTHERS: Final = (
    (b"PK\x03\x04", said("a spreadsheet program's own file")),
    (b"\xd0\xcf\x11\xe0", said("a spreadsheet program's own file")),
    (b"%PDF", said("a PDF")),
    (b"\x1f\x8b", said("a compressed file")),
    (b"SQLite format 3\0", said("a database")),
    (b"<", said("a page of HTML or XML")),
)


def open_route(path: Path | str) -> RouteFile:
    """Open a route and read it through once.

    RouteError: it is no route, it is not a file that can be read twice, or a quote in it is not
    closed, so that nobody knows what lines it has. OSError: it cannot be read. A stop that is
    wrong by itself is no reason: it is counted by `Route.faulty`, and the others are worked on.
    """
    return RouteFile(Path(path))


class RouteFile:
    """A route in a file; see `vtc07.hhu.route.facts.Route`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        reading = Reading(path)
        size = faulty = writing = 0
        with reading:
            for row in reading.rows():
                if row.blank:
                    continue
                if row.torn:
                    raise RouteUnreadable(reading.source, row.findings[0])
                size += 1
                stop, _ = stop_of(row)
                faulty += bool(stop.errors)
                writing += bool(stop.write)
        if not size:
            what = said("there is no stop in it")
            raise RouteUnreadable(
                reading.source, error(0, "empty-route", what, said("write a line for each meter"))
            )
        self._size = size
        self._faulty = faulty
        #: at how many of them registers are to be written
        self.writing = writing
        self._digest = reading.digest
        self._name = reading.name
        self.is_json = reading.is_json

    @property
    def name(self) -> str:
        """The member ``route`` of a JSON file, else the file's name without its ending."""
        return self._name

    @property
    def digest(self) -> str:
        """SHA-256 of the file as it was opened, in hexadecimal."""
        return self._digest

    @property
    def size(self) -> int:
        """How many stops it has."""
        return self._size

    @property
    def faulty(self) -> int:
        """How many of them have errors."""
        return self._faulty

    def place(self, line: int) -> Said:
        """Name a stop by where it stands: a line of CSV, a place in a list of JSON."""
        return place(line, is_json=self.is_json)

    def stops(self) -> Iterator[Stop]:
        """Yield the stops in the order of the file; RouteError if it was changed meanwhile."""
        if digest_of(self.path) != self._digest:
            raise self._changed()
        for row in self._rows():
            yield stop_of(row)[0]

    def stops_of(self, meter_pan: str) -> tuple[Stop, ...]:
        """Return the stops of the meter with this MeterPAN, by MeterPAN or by DRN.

        RouteError if the file was changed meanwhile, or one of these stops has errors.
        """
        wanted = full_number(digits_of(meter_pan))
        found = tuple(
            stop_of(row)[0] for row in self._rows() if full_number(digits_of(row.meter)) == wanted
        )
        faulty = [(stop, wrong) for stop in found for wrong in stop.errors]
        if faulty:
            told = "; ".join(f"{self.place(stop.line)}: {wrong}" for stop, wrong in faulty)
            raise RouteError(
                f"{Reading(self.path).source}, {told}; mend the route, then go on with this meter"
            )
        return found

    def _rows(self) -> Iterator[Row]:
        with Reading(self.path) as reading:
            try:
                for row in reading.rows():
                    if not row.blank:
                        yield row
            except RouteUnreadable:
                raise self._changed() from None  # it could be read when it was opened
            if reading.digest != self._digest:
                raise self._changed()

    def _changed(self) -> RouteError:
        return RouteError(
            f"the route {Reading(self.path).source} was changed while it was in use; "
            "check it and begin again"
        )


def place(line: int, *, is_json: bool) -> Said:
    """Name a stop by where it stands; line 0 is the file."""
    if not line:
        return said("the file")
    return said("stop {line}", line=line) if is_json else said("line {line}", line=line)


def digest_of(path: Path) -> str:
    """Return SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Hashed(io.RawIOBase):
    """A file whose digest is taken while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer)).cast("B")
        data = self._file.read(len(view))
        view[: len(data)] = data
        self.sha256.update(data)
        return len(data)


class Reading(contextlib.AbstractContextManager["Reading"]):
    """One time that a route's file is read through.

    ``digest``, ``name``: right after the last row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = for_people(0, "", str(path))[0]
        self.name = for_people(0, "", path.stem)[0]
        self.is_json = False
        self.digest = ""
        self._file: BinaryIO | None = None

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def rows(self) -> Iterator[Row]:
        """Yield the lines; RouteUnreadable where it is no route. To be called once."""
        if not stat.S_ISREG(self.path.stat().st_mode):
            what = said("it is no file that can be read more than once")
            raise self._unreadable("not-a-file", what, said("save it as a file first"))
        self._file = cast("BinaryIO", self.path.open("rb", buffering=0))
        hashed = _Hashed(self._file)
        buffered = io.BufferedReader(hashed, _PIECE)
        encoding = self._begins(buffered.peek(_PIECE)[:_PIECE])
        if self.is_json:
            if encoding == "utf-8-sig":
                buffered.read(len(codecs.BOM_UTF8))
            stops = JSONRows(cast("BinaryIO", buffered), self.source)
            yield from stops
            if stops.title and (title := for_people(0, "route", stops.title)[0]):
                self.name = title
        else:
            errors = "replace" if encoding == "utf-16" else "surrogateescape"
            with io.TextIOWrapper(buffered, encoding, errors, newline="") as text:
                yield from csv_rows(text, self.source)
        self.digest = hashed.sha256.hexdigest()

    def _begins(self, head: bytes) -> str:
        """Look at the beginning; return the encoding of a CSV file."""
        for mark, encoding in (
            (codecs.BOM_UTF16_LE, "utf-16"),
            (codecs.BOM_UTF16_BE, "utf-16"),
        ):
            if head.startswith(mark):
                return encoding
        encoding = "utf-8-sig" if head.startswith(codecs.BOM_UTF8) else "utf-8"
        head = head.removeprefix(codecs.BOM_UTF8).lstrip()
        for beginning, kind in _OTHERS:
            if head.startswith(beginning):
                what = said("it is {kind}, no route", kind=kind)
                raise self._unreadable("not-a-route", what, said("save it as 'CSV UTF-8'"))
        if b"\0" in head:
            what = said("it is no text, or one of another encoding")
            raise self._unreadable("not-a-route", what, said("save it as 'CSV UTF-8'"))
        self.is_json = head[:1] in (b"{", b"[")
        return encoding

    def _unreadable(self, kind: str, what: Said, advice: Said) -> RouteUnreadable:
        return RouteUnreadable(self.source, error(0, kind, what, advice))
