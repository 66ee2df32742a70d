"""What of a damaged store can still be trusted: what the meter was made as.

A damaged store is never used, mended or changed. But each record is authentic by itself or not,
and nameplate and companion never change in a meter's life: where theirs are whole, they are true,
whatever became of the rest.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vtc07.carrier.companion_file import CompanionError
from vtc07.meter import encoding
from vtc07.meter.companion_source import CompanionSource
from vtc07.meter.encoding import RecordsBroken
from vtc07.meter.state import Nameplate
from vtc07.meter.store_contents import COMPANION, FACT, Name, authentic, companion_of
from vtc07.meter.store_key import SealBroken, StoreKey

_FIND: Final = "SELECT kind, name, value, authenticator FROM record WHERE kind = ? AND name = ?"


@dataclass(frozen=True, slots=True)
class Remains:
    """What a damaged store still tells. ``nameplate`` None: not even who the meter is."""

    companion_source: CompanionSource
    nameplate: Nameplate | None


def find_remains(path: Path, key: StoreKey) -> Remains | None:
    """Read what is left of a damaged store; None where not even its companion is.

    The file is read as it is, without its journal, and nothing in it or beside it is changed.
    """
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error:
        return None
    with closing(connection):
        source = _companion(connection, key)
        return None if source is None else Remains(source, _nameplate(connection, key))


def _companion(connection: sqlite3.Connection, key: StoreKey) -> CompanionSource | None:
    files: list[bytes] = []
    while (text := _value(connection, (COMPANION, str(len(files))), key)) is not None:
        files.append(text)
    try:
        source = companion_of(files)
        source.companion()  # says whether it is whole: each file but the last extends the next
    except (RecordsBroken, CompanionError):
        return None
    return source


def _nameplate(connection: sqlite3.Connection, key: StoreKey) -> Nameplate | None:
    text = _value(connection, (FACT, "nameplate"), key)
    try:
        return None if text is None else encoding.decode_nameplate(text.decode())
    except ValueError:
        return None


def _value(connection: sqlite3.Connection, name: Name, key: StoreKey) -> bytes | None:
    """Return the value of a record that is authentic by itself, or None."""
    try:
        row = connection.execute(_FIND, name).fetchone()
        return None if row is None else authentic(row, key)
    except (sqlite3.Error, SealBroken, UnicodeDecodeError):
        return None
