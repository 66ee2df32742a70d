"""Checking a chain of entries, one after another: those of a journal, or of an export.

Whatever is found is gathered, and the check goes on: one changed entry is one finding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from vtc07.hhu.journal.chain import START, chained, commitment
from vtc07.hhu.journal.entries import EntryKind
from vtc07.hhu.journal.result import Result
from vtc07.hhu.journal.rows import JournalRows, quoted
from vtc07.hhu.journal.schema import DERIVED
from vtc07.hhu.texts import Said, said

#: No more findings than these are kept, for a journal may be wrong in every entry.
MOST_FINDINGS: Final = 100
_PAGE: Final = 256
_SHORTEST_EXPECTED: Final = 16
#: Numbers of entries are above 0; what somebody put below is to be found too.
_BEFORE_ALL: Final = -(1 << 63)


@dataclass(frozen=True, slots=True)
class Link:
    """An entry as it stands in the chain: `vtc07.hhu.journal.chain` says what its digest covers.

    ``members`` and ``commitments``: canonical JSON. ``secrets``: salt and text by name, None where
    they were left out on purpose.
    """

    number: int
    kind: str
    time: str
    meter_pan: str | None
    delivery: int | None
    route: str | None
    members: str
    commitments: str
    digest: bytes
    secrets: Mapping[str, tuple[bytes, str]] | None = field(repr=False)

    def digest_after(self, before: bytes) -> bytes:
        """Return the digest that it must have behind another."""
        return chained(
            before,
            number=self.number,
            kind=self.kind,
            time=self.time,
            meter_pan=self.meter_pan,
            delivery=self.delivery,
            route=self.route,
            members=self.members,
            commitments=self.commitments,
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written. ``entry``: where, None for the whole."""

    entry: int | None
    said: Said


def links(
    rows: JournalRows,
    *,
    until: int,
    after: int = _BEFORE_ALL,
    meter_pan: str | None = None,
    delivery: int | None = None,
) -> Iterator[Link]:
    """Yield entries of a journal behind a number up to one, as they stand there, page by page."""
    terms, values = "", []
    for column, value in (("delivery", delivery), ("meter_pan", meter_pan)):
        if value is not None:
            terms += f" AND {column} = ?"
            values.append(value)
    entries = (
        "SELECT number, kind, time, meter_pan, delivery, route, members, commitments, digest "  # noqa: S608 - made of names above
        f"FROM entry WHERE number > ? AND number <= ?{terms} ORDER BY number LIMIT {_PAGE}"
    )
    while page := rows.select(entries, (after, until, *values)):
        secrets: dict[int, dict[str, tuple[bytes, str]]] = {row[0]: {} for row in page}
        for entry, name, salt, text in rows.select(
            "SELECT entry, name, salt, text FROM secret WHERE entry BETWEEN ? AND ?",
            (page[0][0], page[-1][0]),
        ):
            if entry in secrets:
                secrets[entry][name] = (salt, text)
        for row in page:
            yield Link(*(*row, secrets[row[0]]))
        after = page[-1][0]


class ChainCheck:
    """Takes entries in their order and keeps what is wrong with them.

    ``whole``: nothing may be missing between them. ``expected``: a digest, or its beginning, that
    was noted elsewhere (`expected_digest`).
    """

    def __init__(self, *, whole: bool = True, expected: str | None = None) -> None:
        self._whole = whole
        #: as it was given
        self.expected = expected
        self._deliveries = _DeliveryRules(self) if whole else None
        self.findings: list[Finding] = []
        #: findings that were not kept
        self.left_out = 0
        self.entries = 0
        #: secrets that could not be checked, for they are left out
        self.hidden = 0
        #: the numbers of the first and last entry, and their times as they stand there
        self.first: tuple[int, str] | None = None
        self.last: tuple[int, str] | None = None
        self.digest = START
        #: the number of the entry whose digest is the expected one
        self.expected_at: int | None = None

    @property
    def open_deliveries(self) -> int:
        """How many deliveries have no result."""
        return 0 if self._deliveries is None else len(self._deliveries.open)

    @property
    def deliveries(self) -> int:
        """How many deliveries there are."""
        return 0 if self._deliveries is None else self._deliveries.count

    def found(self, entry: int | None, sentence: Said) -> None:
        """Keep a finding."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(entry, sentence))
        else:
            self.left_out += 1

    def take(self, link: Link, before: bytes | None = None) -> None:
        """Check the next entry. ``before``: the digest before it, where it is told with it."""
        try:
            self._take(link, before)
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
            self.found(link.number, said("the entry is not one that a journal holds"))
        self.entries += 1
        self.first = self.first or (link.number, str(link.time))
        self.last = (link.number, str(link.time))
        if isinstance(link.digest, bytes):
            self.digest = link.digest
        if self.expected is not None and self.digest.hex().startswith(self.expected):
            self.expected_at = link.number

    def _take(self, link: Link, before: bytes | None) -> None:
        last = 0 if self.last is None else self.last[0]
        if link.number != last + 1:
            if self._whole:
                self._missing(last + 1, link.number - 1)
            elif before is None:
                self.found(link.number, said("the digest before it is missing"))
            known = before
        else:
            known = self.digest
        if known is not None and link.digest_after(known) != link.digest:
            self.found(link.number, said("the entry or its digest was changed"))
        self._check_secrets(link)
        EntryKind(link.kind)
        if (link.number == 1) is not (link.kind == EntryKind.BEGUN.value):
            self.found(link.number, said("a journal begins in its first entry, and only there"))
        if self._deliveries is not None:
            self._deliveries.take(link)

    def _missing(self, first: int, last: int) -> None:
        if last < first:
            self.found(first, said("entries are not in their order"))
        elif first == last:
            self.found(first, said("the entry is missing"))
        else:
            self.found(first, said("the entries up to {last} are missing", last=last))

    def _check_secrets(self, link: Link) -> None:
        commitments = json.loads(link.commitments)
        if not isinstance(commitments, dict):
            raise TypeError("commitments stand by their names")
        if link.secrets is None:
            self.hidden += len(commitments)
            return
        for name, committed in commitments.items():
            if name not in link.secrets:
                self.found(link.number, said("its {secret} is missing", secret=quoted(name)))
            elif commitment(*link.secrets[name]) != committed:
                self.found(link.number, said("its {secret} was changed", secret=quoted(name)))
        for name in link.secrets.keys() - commitments.keys():
            self.found(link.number, said("it has a {secret} that was added", secret=quoted(name)))


class _DeliveryRules:
    """What must hold between the entries of deliveries; remembers the open ones alone."""

    def __init__(self, check: ChainCheck) -> None:
        self._check = check
        self.open: dict[int, int] = {}  # and how many writes were announced
        self.last = 0
        self.count = 0

    def take(self, link: Link) -> None:
        """Look at an entry."""
        number = link.delivery
        match link.kind:
            case EntryKind.OPENED.value:
                if number is None or number <= self.last or link.meter_pan is None:
                    self._wrong(link, said("the delivery does not follow those before it"))
                self.count += 1
                self.last = max(self.last, number or 0)
                self.open[number or 0] = 0
            case EntryKind.WRITE.value:
                writes = json.loads(link.members)["write"]
                if self.open.get(number or 0) != writes - 1:
                    self._wrong(link, said("the write does not follow the one before"))
                self.open[number or 0] = writes
            case EntryKind.RESULT.value:
                Result.from_members(json.loads(link.members))
                if self.open.pop(number or 0, None) is None:
                    self._wrong(link, said("the result is of a delivery that is not open"))

    def _wrong(self, link: Link, sentence: Said) -> None:
        self._check.found(link.number, sentence)


def first_wrong(rows: JournalRows, *, newest: int) -> str | None:
    """Return what is wrong with a journal's database or its newest entries, None if nothing is."""
    for (problem,) in rows.select("PRAGMA quick_check(1)"):
        if problem != "ok":
            return str(problem)[:120]
    head = rows.head()
    check = ChainCheck(whole=False)
    after = max(0, head.number - newest)
    before = rows.select("SELECT digest FROM entry WHERE number = ?", (after,))
    if after and not before:
        return f"entry {after} is missing"
    for link in links(rows, until=head.number, after=after):
        if link.number != after + 1:
            return f"entry {after + 1} is missing"
        check.take(link, before[0][0] if before else None)
        if check.findings:
            return f"entry {link.number}: {check.findings[0].said}"
        after = link.number
    misfits = misfitting_deliveries(rows)
    return str(misfit(misfits[0])) if misfits else None


def misfitting_deliveries(rows: JournalRows) -> list[int]:
    """Return deliveries of which what is derived from the entries is something else; at most 3."""
    columns = "number, meter_pan, opened, writes, result"
    derived, kept = f"SELECT {columns} FROM ({DERIVED})", f"SELECT {columns} FROM delivery"  # noqa: S608 - constants
    found: set[int] = set()
    for one, other in ((derived, kept), (kept, derived)):
        rest = rows.select(f"SELECT number FROM ({one} EXCEPT {other}) LIMIT 3")  # noqa: S608 - constants
        found.update(number for (number,) in rest)
    return sorted(found)[:3]


def misfit(number: int) -> Said:
    """Say that a delivery's derived row is wrong."""
    return said(
        "what is kept for finding delivery {number} does not fit its entries", number=number
    )


def expected_digest(text: str) -> str:
    """Return a digest, or its beginning, as a person typed it; ValueError with a sentence."""
    digits = re.sub(r"[\s:-]", "", text).lower()
    if not re.fullmatch(rf"[0-9a-f]{{{_SHORTEST_EXPECTED},64}}", digits, re.ASCII):
        raise ValueError(
            f"a digest is 64 hexadecimal digits, of which at least the first {_SHORTEST_EXPECTED} "
            "must be given"
        )
    return digits
