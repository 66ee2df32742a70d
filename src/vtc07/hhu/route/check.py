"""A route looked through before the day begins: everything that is wrong with it, at once.

What a stop says by itself is judged where it is read (`vtc07.hhu.route.stop`); here stops are
compared with each other, and registers with companions. What has to be remembered for that (which
meters and tokens have been seen) lies in a database on disk that nobody else can find and that is
gone afterwards; of a token there is only a keyed digest in it.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion, shipped_companions
from vtc07.hhu.route.facts import RouteError, Stop
from vtc07.hhu.route.file import Reading, place
from vtc07.hhu.route.findings import Finding, RouteUnreadable, Severity, error, warning
from vtc07.hhu.route.numbers import full_number
from vtc07.hhu.route.row import Row, shown
from vtc07.hhu.route.stop import stop_of
from vtc07.hhu.selection import SelectionError, assignment, select
from vtc07.hhu.texts import Said, counted, said

#: Tokens that end in five zeros by chance are one in 100,000; more than this share of them is none.
_ROUNDED_SHARE: Final = 2_000
_SCHEMA: Final = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -2000;
    CREATE TABLE meters (meter TEXT PRIMARY KEY, line INTEGER, sets INTEGER) WITHOUT ROWID;
    CREATE TABLE tokens (token BLOB PRIMARY KEY, line INTEGER, meter TEXT) WITHOUT ROWID;
"""


@dataclass(slots=True)
class Counts:
    """What a route holds: stops, different meters, tokens (those that can be one), key changes.

    ``found``: how many findings there were of each severity.
    """

    stops: int = 0
    meters: int = 0
    tokens: int = 0
    key_changes: int = 0
    writes: int = 0
    reads: int = 0
    found: dict[Severity, int] = field(default_factory=lambda: dict.fromkeys(Severity, 0))


class RouteCheck:
    """One look through a route's file.

    ``companions``: those of the meters of the route. Without any the shipped ones are asked, and
    what none of them knows is a warning only. ``counts``, ``name``, ``digest`` and ``is_json`` are
    complete when `findings` has ended.
    """

    def __init__(self, path: Path | str, companions: Sequence[Companion] = ()) -> None:
        self._reading = Reading(Path(path))
        self._registers = _Registers(companions)
        self._written = self._rounded = 0
        self.counts = Counts()

    @property
    def name(self) -> str:
        """The route's name, as `vtc07.hhu.route.facts.Route.name`."""
        return self._reading.name

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal; empty where it could not be read to its end."""
        return self._reading.digest

    @property
    def is_json(self) -> bool:
        """Say whether it is JSON, so that its stops are counted and not its lines."""
        return self._reading.is_json

    def findings(self) -> Iterator[Finding]:
        """Yield everything that is found, in the order of the file.

        To be called once. Memory does not grow with the route. OSError: it cannot be read.
        RouteError: there is no room on disk for what has to be remembered.
        """
        findings = self._findings()
        while True:
            try:
                finding = next(findings, None)
            except sqlite3.Error as error:
                raise RouteError(
                    f"the check could not write its temporary file ({error}); make room on the "
                    "disk, or name another folder by the variable TMPDIR"
                ) from error
            if finding is None:
                return
            self.counts.found[finding.severity] += 1
            yield finding

    def _findings(self) -> Iterator[Finding]:
        with self._reading, closing(sqlite3.connect("")) as database:
            database.executescript(_SCHEMA)
            seen = _Seen(database, self._reading)
            try:
                yield from self._of_rows(seen)
            except RouteUnreadable as unreadable:
                yield unreadable.finding
                return
            self.counts.meters = seen.meters()
        yield from self._of_all()

    def _of_rows(self, seen: _Seen) -> Iterator[Finding]:
        empty: list[int] = []
        for row in self._reading.rows():
            if row.blank and any(f.kind == "empty-line" for f in row.findings):
                empty.append(row.line)
                continue
            yield from _empty_lines(empty)
            yield from self._of_row(row, seen)
        yield from _empty_lines(empty)

    def _of_row(self, row: Row, seen: _Seen) -> Iterator[Finding]:
        if row.blank:
            yield from row.findings
            return
        stop, found = stop_of(row)
        yield from found
        if row.torn:
            return
        self.counts.stops += 1
        self.counts.tokens += len(stop.deliver)
        self.counts.key_changes += any(token.of_key_change for token in stop.deliver)
        self.counts.writes += len(stop.write)
        self.counts.reads += len(stop.read)
        self._written += len(row.deliver)
        self._rounded += sum(f.kind == "token-rounded" for f in found)
        yield from seen.stop(stop, good=not any(f.kind.startswith(_NO_METER) for f in found))
        yield from self._registers.judge(stop)

    def _of_all(self) -> Iterator[Finding]:
        counts = self.counts
        if not counts.stops:
            what = said("there is no stop in it")
            yield error(0, "empty-route", what, said("write a line for each meter"))
        if self._rounded > 1 and self._rounded * _ROUNDED_SHARE > self._written:
            what = said(
                "{rounded} of {tokens} tokens end in five zeros",
                rounded=self._rounded,
                tokens=self._written,
            )
            advice = said(
                "a program rounded them and they are lost: take them from where they came, and "
                "import the column as text"
            )
            yield error(0, "tokens-rounded", what, advice)


_ADVICE: Final = {
    "read": said("write a register that the meter's companion has"),
    "write": said("write a register that the meter's companion lets be written, and its value"),
}
_NO_METER: Final = ("meter-", "no-meter", "type")


def _empty_lines(lines: list[int]) -> Iterator[Finding]:
    """Yield one finding for empty lines that follow each other; forget them."""
    if lines:
        what = counted(
            "{count} line is empty and left out",
            "{count} lines from here on are empty and left out",
            len(lines),
        )
        advice = said("take them out, or fill in what is missing")
        yield warning(lines[0], "empty-line", what, advice)
        lines.clear()


class _Seen:
    """The meters and tokens that have been seen, and where."""

    def __init__(self, database: sqlite3.Connection, reading: Reading) -> None:
        self._database = database
        self._reading = reading
        self._key = secrets.token_bytes(32)

    def meters(self) -> int:
        """Return how many different meters there are."""
        return int(self._database.execute("SELECT count(*) FROM meters").fetchone()[0])

    def stop(self, stop: Stop, *, good: bool) -> Iterator[Finding]:
        """Remember a stop; yield what it has in common with those before it."""
        meter = full_number(stop.meter)
        if good:
            yield from self._meter(stop, meter)
        for digits in dict.fromkeys(token.digits for token in stop.deliver):
            yield from self._token(stop.line, meter, digits)

    def _meter(self, stop: Stop, meter: str) -> Iterator[Finding]:
        sets = int(any(token.of_key_change for token in stop.deliver))
        before = self._database.execute(
            "SELECT line, sets FROM meters WHERE meter = ?", (meter,)
        ).fetchone()
        if before is None:
            self._database.execute("INSERT INTO meters VALUES (?, ?, ?)", (meter, stop.line, sets))
            return
        line, sets_before = before
        where = self._place(line)
        what = said("meter {meter} is in {place} already", meter=stop.meter, place=where)
        advice = said("both are done, one after the other; make one of them, or take one out")
        yield warning(stop.line, "meter-twice", what, advice)
        if sets and sets_before:
            what = said("there is a key change for this meter in {place} already", place=where)
            advice = said("a meter has one set at a time: leave the one that is meant")
            yield error(stop.line, "set-again", what, advice)
        elif sets:
            self._database.execute(
                "UPDATE meters SET sets = 1, line = ? WHERE meter = ?", (stop.line, meter)
            )

    def _token(self, line: int, meter: str, digits: str) -> Iterator[Finding]:
        token = hashlib.blake2b(digits.encode(), digest_size=16, key=self._key).digest()
        before = self._database.execute(
            "SELECT line, meter FROM tokens WHERE token = ?", (token,)
        ).fetchone()
        if before is None:
            self._database.execute("INSERT INTO tokens VALUES (?, ?, ?)", (token, line, meter))
            return
        where = self._place(before[0])
        last = digits[-4:]
        if before[1] == meter:
            what = said("token ...{last} is in {place} already", last=last, place=where)
            yield error(line, "token-again", what, said("a token counts once: leave one of them"))
            return
        what = said(
            "token ...{last} is in {place} already, for another meter", last=last, place=where
        )
        advice = said("look up which meter it was made for, and take it out of the other stop")
        yield error(line, "token-elsewhere", what, advice)

    def _place(self, line: int) -> Said:
        return place(line, is_json=self._reading.is_json)


@cache
def _shipped() -> tuple[Companion, ...]:
    return tuple(map(load_companion, shipped_companions()))


class _Registers:
    """What companions say to the words of `read` and `write`."""

    def __init__(self, companions: Sequence[Companion]) -> None:
        self._given = bool(companions)
        self._companions = tuple(companions)
        self._of_word = lru_cache(1000)(self._ask)

    def judge(self, stop: Stop) -> Iterator[Finding]:
        """Yield what is wrong with the registers of a stop."""
        for column, words in (("write", stop.write), ("read", stop.read)):
            for word in words:
                if column == "write" and not word.partition("=")[0].strip("= "):
                    continue  # said already
                if (what := self._of_word(column, word)) is not None:
                    advice = _ADVICE[column]
                    yield Finding(
                        stop.line,
                        Severity.ERROR if self._given else Severity.WARNING,
                        f"{column}-register",
                        what,
                        advice,
                    )

    def _ask(self, column: str, word: str) -> Said | None:
        if column == "write" and "=" not in word:
            return None
        refused = ""
        for companion in self._companions or _shipped():
            try:
                if column == "read":
                    select(companion, [word])
                    return None
                register, _ = assignment(companion, word)
            except SelectionError as why:
                refused = refused or str(why)
                continue
            if register.write_level is not None:
                return None
            refused = refused or f"{register.name} of companion {companion.name} cannot be written"
        if self._given:
            return said("{why}", why=shown(refused, 200))
        return said("no shipped companion takes it: {why}", why=shown(refused, 200))
