"""Whether a journal, or an export of one, is as it was written.

What can be shown: that no entry was changed, added or taken away between others, that every secret
is what it was, and that what is derived from the entries fits them. What cannot be shown by the
file alone: that nobody cut off its end, or wrote everything anew from some entry on. Against that
helps a digest that was noted elsewhere, as reports do: everything up to its entry is then as it
was at that time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from vtc07.hhu.journal.check import ChainCheck, Finding, links, misfit, misfitting_deliveries
from vtc07.hhu.journal.export import ExportFile, is_export
from vtc07.hhu.journal.reading import ReadOnlyJournal
from vtc07.hhu.journal.rows import Head, JournalRows, quoted
from vtc07.hhu.journal.schema import SCHEMA_VERSION, make_tables
from vtc07.hhu.texts import Said, counted, said

#: Called with how much is checked, and how much there is; in entries, or in characters.
OnChecked = Callable[[int, int], None]

_STEP: Final = 1000
_SCHEMA: Final = (
    "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification came to.

    ``export``: it was of an export; ``whole``: nothing is left out of it on purpose. ``head``: the
    last entry and its digest. ``begin``, ``end``: times of the first and last entry, None without
    any or where they are no times. ``hidden``: secrets that were left out and could not be
    checked. ``expected_at``: the entry whose digest is the one that was noted. ``more``: findings
    beyond those listed. ``notes``: what this does not show.
    """

    name: str
    export: bool
    version: int
    whole: bool
    masked: bool
    entries: int
    deliveries: int
    open_deliveries: int
    head: Head
    begin: datetime | None
    end: datetime | None
    hidden: int
    expected_at: int | None
    findings: tuple[Finding, ...]
    more: int
    notes: tuple[Said, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(
    path: Path,
    *,
    expected: str | None = None,
    against: JournalRows | None = None,
    on_checked: OnChecked = lambda done, whole: None,  # noqa: ARG005 - the face of `OnChecked`
) -> Verification:
    """Check a journal, also while it is written to, or an export.

    ``expected``: what `vtc07.hhu.journal.check.expected_digest` returned. ``against``: the journal
    of which it is an export or an earlier copy. Raises JournalError for what is neither, or what
    cannot be read.
    """
    try:
        export = is_export(path)
    except OSError:
        export = False  # the journal says what is wrong with it
    if export:
        return _verify_export(path, expected, against, on_checked)
    with ReadOnlyJournal(path) as journal:
        return verify_journal(
            journal, str(path), expected=expected, against=against, on_checked=on_checked
        )


def verify_journal(
    journal: ReadOnlyJournal,
    name: str,
    *,
    expected: str | None = None,
    against: JournalRows | None = None,
    on_checked: OnChecked = lambda done, whole: None,  # noqa: ARG005 - the face of `OnChecked`
) -> Verification:
    """Check an open journal as it is at one instant; see `verify`."""
    check = ChainCheck(expected=expected)
    with journal.held_still():
        head = journal.head()
        _check_database(journal, check)
        for link in links(journal, until=head.number):
            check.take(link)
            if against is not None:
                _compare(against, check, link.number, link.digest)
            if link.number % _STEP == 0:
                on_checked(link.number, head.number)
        _check_derived(journal, check)
    notes = []
    if journal.version != SCHEMA_VERSION:
        notes.append(
            said(
                "it is a journal of version 1, whose entries have a check each, but no chain; it "
                "gets one when it is next written to"
            )
        )
    return _verification(
        name, check, notes, export=False, version=journal.version, whole=True, masked=False
    )


def _verify_export(
    path: Path, expected: str | None, against: JournalRows | None, on_checked: OnChecked
) -> Verification:
    file = ExportFile(path)
    check = ChainCheck(whole=file.whole, expected=expected)
    gaps = 0
    for each in file.links():
        gaps += each.before is not None
        check.take(each.link, each.before)
        if against is not None:
            _compare(against, check, each.link.number, each.link.digest)
        if check.entries % _STEP == 0:
            on_checked(file.place, file.size)
    if file.end is None:
        check.found(None, said("its last line is missing: the export is not whole"))
    else:
        if file.end.entries != check.entries:
            check.found(
                None,
                said(
                    "it must hold {expected} entries and holds {found}",
                    expected=file.end.entries,
                    found=check.entries,
                ),
            )
        last = 0 if check.last is None else check.last[0]
        if file.whole and file.end.head != Head(last, check.digest):
            check.found(None, said("its last entry is not the one at which the journal ended"))
    notes = []
    if not file.whole:
        notes.append(
            said(
                "it is a part of a journal: each entry is checked by itself, and that all belong "
                "to one chain can only be shown with the journal"
            )
        )
    if file.masked:
        notes.append(
            counted(
                "{count} secret was left out, so it was not checked",
                "{count} secrets were left out, so they were not checked",
                check.hidden,
            )
        )
    return _verification(
        str(path),
        check,
        notes,
        export=True,
        version=file.version,
        whole=file.whole,
        masked=file.masked,
    )


def _compare(journal: JournalRows, check: ChainCheck, number: int, digest: bytes) -> None:
    if journal.select("SELECT digest FROM entry WHERE number = ?", (number,)) != [(digest,)]:
        check.found(number, said("the journal has another entry of this number, or none"))


def _verification(
    name: str,
    check: ChainCheck,
    notes: list[Said],
    *,
    export: bool,
    version: int,
    whole: bool,
    masked: bool,
) -> Verification:
    last = 0 if check.last is None else check.last[0]
    if check.expected is not None and check.expected_at is None:
        check.found(
            None,
            said(
                "no entry has the digest that was noted: it is another journal, its end was cut "
                "off, or it was written anew"
            ),
        )
    elif check.expected_at is None and whole:
        notes.append(
            said(
                "that nothing was cut off or written anew from some entry on can only be shown "
                "with a digest that was noted elsewhere (--expect)"
            )
        )
    elif check.expected_at is not None and check.expected_at != last:
        notes.append(
            counted(
                "{count} entry came after the digest was noted",
                "{count} entries came after the digest was noted",
                last - check.expected_at,
            )
        )
    return Verification(
        name,
        export,
        version,
        whole,
        masked,
        check.entries,
        check.deliveries,
        check.open_deliveries,
        Head(last, check.digest),
        None if check.first is None else _time(check.first[1]),
        None if check.last is None else _time(check.last[1]),
        check.hidden,
        check.expected_at,
        tuple(check.findings),
        check.left_out,
        tuple(notes),
    )


def _check_database(journal: JournalRows, check: ChainCheck) -> None:
    for (problem,) in journal.select("PRAGMA integrity_check(3)"):
        if problem != "ok":
            check.found(None, said("its database is damaged: {what}", what=quoted(problem)))
    model = sqlite3.connect(":memory:", isolation_level=None)
    try:
        make_tables(model)
        meant = set(model.execute(_SCHEMA).fetchall())
    finally:
        model.close()
    there = set(journal.select(_SCHEMA))
    for kind, name, _ in sorted(meant - there):
        check.found(
            None, said("its {kind} {name} is missing or was changed", kind=kind, name=quoted(name))
        )
    for kind, name, _ in sorted(row for row in there if row[:2] not in {m[:2] for m in meant}):
        check.found(
            None, said("it has a {kind} {name} that was added", kind=kind, name=quoted(name))
        )


def _check_derived(journal: JournalRows, check: ChainCheck) -> None:
    for number in misfitting_deliveries(journal):
        check.found(None, misfit(number))
    lost = "SELECT DISTINCT entry FROM secret WHERE entry NOT IN (SELECT number FROM entry) LIMIT 3"
    for (number,) in journal.select(lost):
        check.found(number, said("a secret is there of an entry that is not"))


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
