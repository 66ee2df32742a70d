"""A journal as JSON Lines, that another program reads and `vtc07 hhu verify` checks.

The first line says what it is, the last one that it is whole. Between them stands an entry a line,
with its digest, and its secrets with their salts, or, masked, without both: the commitments are
there in any case, so that the chain can be checked. Where entries are left out, the next one tells
the digest before it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from vtc07.durable.folder import sync_folder
from vtc07.hhu.journal.chain import NO_COMMITMENTS, canonical
from vtc07.hhu.journal.check import Link, links
from vtc07.hhu.journal.deliveries import JournalError
from vtc07.hhu.journal.disk import beside, refuse_what_is_there, write_new
from vtc07.hhu.journal.rows import Head, JournalRows
from vtc07.hhu.journal.schema import SCHEMA_VERSION

FORMAT: Final = "vtc07 journal"
#: No line of an export is longer; a message of a meter is a few hundred characters.
LONGEST_LINE: Final = 1 << 24

_COVERED: Final = frozenset(
    {
        "number", "kind", "time", "meter_pan", "delivery", "route", "members", "commitments",
        "digest",
    }
)  # fmt: skip
_NO_NUMBER: Final = 1 << 53
_MAY_BE: Final = frozenset({"before", "secrets"})

#: Called with how many entries are done, and how many there are.
OnEntries = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are to be exported; those that fit everything given.

    ``begin``, ``end``: entries from this time on, and before that one; both aware of their zones.
    """

    begin: datetime | None = None
    end: datetime | None = None
    meter_pan: str | None = None
    delivery: int | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return self == Selection()

    def has_time(self, link: Link) -> bool:
        """Whether an entry is of the time that is wanted."""
        time = datetime.fromisoformat(link.time)
        return (self.begin is None or time >= self.begin) and (self.end is None or time < self.end)

    @property
    def document(self) -> dict[str, Any] | None:
        """What the first line says of it."""
        if self.whole:
            return None
        return {
            "from": None if self.begin is None else self.begin.isoformat(),
            "to": None if self.end is None else self.end.isoformat(),
            "meter_pan": self.meter_pan,
            "delivery": self.delivery,
        }


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported: how many entries, and where the journal ended then."""

    entries: int
    head: Head


def export_lines(
    journal: JournalRows,
    selection: Selection = Selection(),
    *,
    masked: bool,
    on_entries: OnEntries = lambda done, whole: None,  # noqa: ARG005 - the face of `OnEntries`
) -> Iterator[str]:
    """Yield the lines of an export, without their ends, one at a time in memory.

    What is written to the journal meanwhile is not in it.
    """
    head = journal.head()
    yield canonical(
        {
            "export": FORMAT,
            "version": SCHEMA_VERSION,
            "masked": masked,
            "selection": selection.document,
        }
    )
    count, last = 0, 0
    found = links(
        journal, until=head.number, meter_pan=selection.meter_pan, delivery=selection.delivery
    )
    for link in found:
        on_entries(link.number, head.number)
        if not selection.has_time(link):
            continue
        before = None if link.number == last + 1 else _digest(journal, link.number - 1)
        try:
            line = _line(link, before, masked=masked)
        except (ValueError, RecursionError):
            raise JournalError(
                f"entry {link.number} of the journal is not what was written, and cannot be "
                "exported; vtc07 hhu verify finds what else is wrong"
            ) from None
        yield line
        count, last = count + 1, link.number
    yield canonical(
        {"entries": count, "head": {"number": head.number, "digest": head.digest.hex()}}
    )


def _digest(journal: JournalRows, number: int) -> bytes:
    rows = journal.select("SELECT digest FROM entry WHERE number = ?", (number,))
    return rows[0][0] if rows else b""


def _line(link: Link, before: bytes | None, *, masked: bool) -> str:
    document = {
        "number": link.number,
        "kind": link.kind,
        "time": link.time,
        "meter_pan": link.meter_pan,
        "delivery": link.delivery,
        "route": link.route,
        "members": json.loads(link.members),
        "commitments": json.loads(link.commitments),
        "digest": link.digest.hex(),
    }
    if before is not None:
        document["before"] = before.hex()
    if not masked and link.secrets is not None and link.commitments != NO_COMMITMENTS:
        document["secrets"] = {
            name: {"salt": salt.hex(), "text": text} for name, (salt, text) in link.secrets.items()
        }
    return canonical(document)


def write_export(lines: Iterable[str], file: Path) -> int:
    """Write an export to a new file for its owner alone; returns how many entries are in it.

    It gets its name when it is whole and on the disk. JournalError: it is there already, or cannot
    be written.
    """
    half = beside(file, ".new")
    count = -2  # the first line and the last one are no entries
    try:
        refuse_what_is_there(file)
        half.unlink(missing_ok=True)
        write_new(half, b"")
        try:
            with half.open("w", encoding="ascii", newline="\n") as writing:
                for line in lines:
                    writing.write(f"{line}\n")
                    count += 1
                writing.flush()
                os.fsync(writing.fileno())
            half.replace(file)
        finally:
            half.unlink(missing_ok=True)
        sync_folder(file.absolute().parent)
    except OSError as error:
        raise JournalError(f"{file} cannot be written: {error.strerror}") from error
    return count


# --- reading one ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExportedLink:
    """An entry of an export. ``before``: the digest before it, where entries are left out."""

    link: Link
    before: bytes | None


class ExportFile:
    """An export that is read a line at a time; `end` is known once all was read.

    Raises JournalError where the first line is not that of an export.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.end: Exported | None = None
        #: its characters, and how many of them are read
        self.size, self.place = path.stat().st_size, 0
        with path.open("rb") as file:
            line = file.readline(LONGEST_LINE)
        try:
            header = json.loads(line)
            self.version = int(header["version"])
            known = header["export"] == FORMAT and 0 < self.version < 1000
            self.masked = bool(header["masked"])
            self.whole = header["selection"] is None
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            known = False
        if not known:
            raise JournalError(f"{path} is neither a journal nor an export of one")
        if self.version != SCHEMA_VERSION:
            raise JournalError(
                f"{path} is an export of version {self.version}; this program knows version "
                f"{SCHEMA_VERSION}. Use the newer program"
            )

    def links(self) -> Iterator[ExportedLink]:
        """Yield its entries; JournalError at a line that is none, with its number."""
        with self._path.open("rb") as file:
            file.readline(LONGEST_LINE)
            number = 1
            while line := file.readline(LONGEST_LINE):
                number += 1
                self.place += len(line)
                if self.end is not None:
                    raise self._no_entry(number, "something stands behind its last line")
                try:
                    document = json.loads(line, object_pairs_hook=_once)
                    if "entries" in document:
                        self.end = _end(document)
                        continue
                    found = _link(document, masked=self.masked)
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    raise self._no_entry(number, "this is no entry of a journal") from None
                yield found

    def _no_entry(self, line: int, why: str) -> JournalError:
        return JournalError(f"{self._path}, line {line}: {why}; export the journal again")


def is_export(path: Path) -> bool:
    """Whether a file begins as an export does; OSError where it cannot be read."""
    with path.open("rb") as file:
        return b'"export":' in file.read(256)


def _end(document: dict[str, Any]) -> Exported:
    head = document["head"]
    return Exported(
        _number(document["entries"]), Head(_number(head["number"]), _hex(head["digest"]))
    )


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _NO_NUMBER:
        raise ValueError("this is no number of entries")
    return value


def _link(document: dict[str, Any], *, masked: bool) -> ExportedLink:
    # What the digest does not cover must not stand there as if it did.
    more = _MAY_BE if not masked else _MAY_BE - {"secrets"}
    if not _COVERED <= document.keys() <= _COVERED | more:
        raise ValueError("members are missing, or others are there")
    secrets = {
        name: (_hex(each["salt"]), str(each["text"]))
        for name, each in document.get("secrets", {}).items()
    }
    before = _hex(document["before"]) if "before" in document else None
    link = Link(
        _number(document["number"]),
        document["kind"],
        document["time"],
        document["meter_pan"],
        document["delivery"],
        document["route"],
        canonical(document["members"]),
        canonical(document["commitments"]),
        _hex(document["digest"]),
        None if masked else secrets,
    )
    return ExportedLink(link, before)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's members; ValueError where one stands twice: who knows which counts."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members


def _hex(text: str) -> bytes:
    return bytes.fromhex(text)
