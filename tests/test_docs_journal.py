"""docs/journal.md says what is so."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from journal_bench import fill

from vtc07.hhu.journal.entries import EntryKind
from vtc07.hhu.journal.export import export_lines, write_export
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.journal.schema import APPLICATION_ID, SCHEMA_VERSION

_PAGE = (Path(__file__).parent.parent / "docs" / "journal.md").read_text()


def _rows(heading: str) -> list[list[str]]:
    table = _PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [[c.strip() for c in row.split("|")[1:-1]] for row in table.splitlines()[2:]]


def test_every_kind_of_entry_is_explained() -> None:
    told = [row[0].strip("`") for row in _rows("Kind")]
    assert sorted(told) == sorted(kind.value for kind in EntryKind)


def test_the_tables_are_those_of_a_journal(tmp_path: Path) -> None:
    FileJournal(tmp_path / "j").close()
    with closing(sqlite3.connect(tmp_path / "j")) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        there = {
            name: [row[1] for row in database.execute(f"PRAGMA table_info({name})")]
            for (name,) in names
        }
    told = {row[0].strip("`"): re.findall(r"`(\w+)`", row[1]) for row in _rows("Table")}
    assert told == there
    assert f"0x{APPLICATION_ID:X}" in _PAGE
    assert f"version is {SCHEMA_VERSION} " in _PAGE


def test_its_program_checks_an_export(tmp_path: Path) -> None:
    program = _PAGE.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "check.py").write_text(program)
    for masked in (False, True):
        file = tmp_path / f"export{masked}"
        with FileJournal(tmp_path / f"j{masked}") as journal:
            fill(journal)
            write_export(export_lines(journal, masked=masked), file)
            digest = journal.head().digest.hex()
        command = [sys.executable, str(tmp_path / "check.py"), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == f"{digest}\n"
        file.write_text(file.read_text().replace("a note", "another", 1))
        failed = subprocess.run(command, capture_output=True, text=True, check=False)
        assert failed.returncode == 1
        assert "AssertionError: 5" in failed.stderr
