"""The tables of a journal, and what SQLite is told about them.

``entry`` and ``secret`` are the journal: rows are added and never changed, which triggers see to.
``delivery`` is derived from them in the same transaction, for finding; it can be made anew at any
time, and a verification compares it.
"""

from __future__ import annotations

from typing import Final

from vtc07.durable.database import Connection
from vtc07.hhu.journal.deliveries import JournalError

APPLICATION_ID: Final = 0x5654434A  # "VTCJ"
#: Version 1 was JSON Lines (`vtc07.hhu.journal.lines`).
SCHEMA_VERSION: Final = 2

_REFUSAL: Final = "BEGIN SELECT RAISE(ABORT, 'nothing in a journal is changed or taken away'); END"
_TABLES: Final = (
    """\
CREATE TABLE entry (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    time TEXT NOT NULL,
    meter_pan TEXT,
    delivery INTEGER,
    route TEXT,
    members TEXT NOT NULL,
    commitments TEXT NOT NULL,
    digest BLOB NOT NULL
)""",
    """\
CREATE TABLE secret (
    entry INTEGER NOT NULL,
    name TEXT NOT NULL,
    salt BLOB NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (entry, name)
) WITHOUT ROWID""",
    """\
CREATE TABLE delivery (
    number INTEGER PRIMARY KEY,
    meter_pan TEXT NOT NULL,
    opened INTEGER NOT NULL,
    writes INTEGER NOT NULL,
    result INTEGER
)""",
    "CREATE INDEX entry_kind ON entry (kind)",
    "CREATE INDEX entry_meter ON entry (meter_pan) WHERE meter_pan IS NOT NULL",
    "CREATE INDEX entry_delivery ON entry (delivery) WHERE delivery IS NOT NULL",
    "CREATE INDEX entry_route ON entry (route, kind) WHERE route IS NOT NULL",
    "CREATE INDEX delivery_meter ON delivery (meter_pan)",
    "CREATE INDEX delivery_open ON delivery (meter_pan) WHERE result IS NULL",
    *(
        f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} {_REFUSAL}"
        for table in ("entry", "secret")
        for verb in ("UPDATE", "DELETE")
    ),
    # INSERT OR REPLACE deletes what is in its way without asking the triggers above.
    f"""\
CREATE TRIGGER entry_insert BEFORE INSERT ON entry
WHEN NEW.number <> coalesce((SELECT max(number) FROM entry), 0) + 1 {_REFUSAL}""",  # noqa: S608 - constants
    f"""\
CREATE TRIGGER secret_insert BEFORE INSERT ON secret
WHEN NEW.entry <> (SELECT max(number) FROM entry)
    OR EXISTS (SELECT 1 FROM secret WHERE entry = NEW.entry AND name = NEW.name) {_REFUSAL}""",  # noqa: S608 - constants
)


def make_tables(connection: Connection) -> None:
    """Make the tables of a new journal; within a transaction."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    for statement in _TABLES:
        connection.execute(statement)


#: What ``delivery`` holds, told from the entries.
DERIVED: Final = """\
SELECT delivery AS number, meter_pan, number AS opened,
    (SELECT count(*) FROM entry AS e WHERE e.delivery = entry.delivery AND e.kind = 'write')
        AS writes,
    (SELECT min(number) FROM entry AS e WHERE e.delivery = entry.delivery AND e.kind = 'result')
        AS result
FROM entry WHERE kind = 'opened'"""


def derive(connection: Connection) -> None:
    """Make anew what is derived from the entries; within a transaction."""
    connection.execute("DELETE FROM delivery")
    connection.execute(f"INSERT INTO delivery {DERIVED}")


def is_empty(connection: Connection) -> bool:
    """Whether nothing was ever made in this database."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return not tables


def check_tables(connection: Connection, name: str) -> None:
    """Raise JournalError unless it is a journal of the version that is known here."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise JournalError(
            f"{name} is no journal of deliveries, but a database of another program; name another "
            "file"
        )
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != SCHEMA_VERSION:
        raise JournalError(
            f"{name} is a journal of version {version}; this program knows version "
            f"{SCHEMA_VERSION} and those before it. Use the newer program, or another journal"
        )


def make_durable(connection: Connection) -> None:
    """Let a commit be on the disk when it returns, and others read while it is written.

    A write-ahead log, synchronized once at each commit. Where the system has no memory that
    programs can share, as on a file system in the network, SQLite keeps a rollback journal, whose
    end must be synchronized too; readers and writer then wait for each other.
    """
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute(f"PRAGMA synchronous = {'FULL' if mode == 'wal' else 'EXTRA'}")
    be_wary(connection)


def be_wary(connection: Connection) -> None:
    """Trust nothing that a file may hold beside its rows."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
