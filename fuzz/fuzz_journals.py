"""Journals of version 1, and exports: any bytes are in order, or an error in a sentence.

What is taken over from a journal of version 1 is compared with a second reading of its lines. An
export that is verified is checked once more, by a second program that shares no code with ours.
"""

from __future__ import annotations

import atexit
import hashlib
import itertools
import json
import random
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from fuzz_sessions import PAN
from vtc07.carrier.status import TokenStatus
from vtc07.hhu import texts
from vtc07.hhu.journal import check as journal_check
from vtc07.hhu.journal import export as journal_export
from vtc07.hhu.journal import lines as journal_lines
from vtc07.hhu.journal import takeover as journal_takeover
from vtc07.hhu.journal.deliveries import JournalError
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.reading import ReadOnlyJournal
from vtc07.hhu.journal.result import Result
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.journal.verify import verify
from vtc07.hhu.outcome import Delivered, Refused
from vtc07.hhu.resolution import Snapshot

LONGEST = 8192
_TOKEN = "11112222333344445555"
_AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@cache
def _file() -> Path:
    memory = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="vtc07-fuzz-", dir=memory if memory.is_dir() else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / "journal"


def one(data: bytes) -> None:
    """Try one input."""
    if data.startswith(b"SQLite format 3"):
        return  # SQLite's own readers are not ours to try
    path = _file()
    path.write_bytes(data)
    try:
        found = verify(path)
    except JournalError as error:
        _can_be_told(str(error))
        return
    for sentence in (*(f.said for f in found.findings), *found.notes):
        _can_be_told(str(sentence))
    if not found.export:
        assert found.good, "a journal of version 1 that was read is taken over in order"
        _compare_old(path, data)
    elif found.good:
        _compare_export(data, whole=found.whole, masked=found.masked)


def _can_be_told(said: str) -> None:
    assert said.isprintable(), "control characters reach the terminal"
    assert not re.search("[0-9]{19}", said), "a token is shown"
    assert len(said) < 1000


# --- a second reading -----------------------------------------------------------------------------


def _compare_old(path: Path, data: bytes) -> None:
    """Read the lines once more, and compare what deliveries they tell of."""
    told: dict[int, list[Any]] = {}
    *lines, tail = data.split(b"\n")
    ends = [line.rstrip(b"\0") for line in lines[-1:] if line.endswith(b"\0")]
    for line in (*lines, tail, tail[:-1], tail.rstrip(b"\0"), *ends):
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            entry = json.loads(line)
            check = entry.pop("check")
            text = json.dumps(entry, separators=(",", ":")).encode()
            if check != f"{zlib.crc32(text):08x}":
                continue
            match entry.get("entry"):
                case "opened" if entry["delivery"] not in told:
                    told[entry["delivery"]] = [entry["meterPAN"], entry["token"], 0, None]
                case "write":
                    told[entry["delivery"]][2] = entry["number"]
                case "result":
                    told[entry["delivery"]][3] = entry["result"]
    with ReadOnlyJournal(path) as journal:
        found = {d.number: [d.meter_pan, d.token, d.writes, d.result] for d in journal.deliveries()}
        assert {n: [str(w) for w in words] for n, words in found.items()} == {
            n: [str(w) for w in words] for n, words in told.items()
        }, "a delivery is lost, made up or changed"
        for delivery in journal.deliveries():
            taken = delivery.ended is not None and delivery.ended.taken is not None
            kept = (delivery.result or "").removeprefix("delivered: ")
            statuses = {status.value for status in TokenStatus if status.taken}
            assert taken == (kept != delivery.result and kept in statuses)


def _compare_export(data: bytes, *, whole: bool, masked: bool) -> None:
    """Check the chain once more, as docs/journal.md says."""
    digest: bytes | None = bytes(32)
    last = 0
    for line in data.splitlines()[1:-1]:
        entry = json.loads(line)
        assert (entry["number"] == last + 1) or not whole
        if entry["number"] != last + 1:
            digest = bytes.fromhex(entry["before"]) if "before" in entry else None
        assert "secrets" not in entry or not masked
        for name, committed in entry["commitments"].items():
            if not masked:
                secret = entry["secrets"][name]
                salted = bytes.fromhex(secret["salt"]) + secret["text"].encode()
                assert hashlib.sha256(salted).hexdigest() == committed
        names = ("delivery", "kind", "members", "meter_pan", "number", "route", "time")
        covered = {name: entry[name] for name in names} | {"secrets": entry["commitments"]}
        text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
        if digest is not None:
            digest = hashlib.sha256(digest + text.encode()).digest()
            assert digest == bytes.fromhex(entry["digest"]), "a changed entry is good"
        digest, last = bytes.fromhex(entry["digest"]), entry["number"]


# --- mutation by structure ------------------------------------------------------------------------


def mutate(data: bytes, longest: int, seed: int, fallback: Callable[[bytes, int], bytes]) -> bytes:
    """Change members of lines, with checks that fit, and whole lines; seldom single characters."""
    chance = random.Random(seed)
    lines = data.split(b"\n")
    if chance.random() < 0.2 or len(lines) < 2:
        return fallback(data, longest)
    for _ in range(chance.choice((1, 1, 2))):
        at = chance.randrange(len(lines))
        match chance.randrange(5):
            case 0:
                lines.insert(at, chance.choice(lines))
            case 1:
                del lines[at]
                lines = lines or [b""]
            case 2:
                lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
            case _:
                lines[at] = _changed(lines[at], chance)
    return b"\n".join(lines)[:longest]


def _changed(line: bytes, chance: random.Random) -> bytes:
    try:
        document = json.loads(line)
    except ValueError:
        return line
    if not isinstance(document, dict) or not document:
        return line
    name = chance.choice(sorted(document))
    values: tuple[Any, ...] = (
        None, 0, 1, 2, 3, -1, 1.0, 1e300, 1 << 70, "", "x", "\x1b[2J", [], {}, True, _TOKEN,
        "delivered: Accept", "delivered: 1stKCT", "accepted now or before", "opened", "write",
        "result", "2026-03-01T00:00:00+00:00", "2026-03-01", "00" * 32, {"a": "00" * 32},
    )  # fmt: skip
    if chance.random() < 0.2:
        document.pop(name)
    else:
        document[name if chance.random() < 0.9 else "more"] = chance.choice(values)
    if "check" in document and chance.random() < 0.95:
        document.pop("check")
        return journal_lines.entry_line(document)[:-1]
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


# --- seeds, words, defects ------------------------------------------------------------------------


def _old() -> bytes:
    token = {"entry": "opened", "time": _AT.isoformat(), "meterPAN": PAN, "token": _TOKEN}
    s0 = {"tokenStatus": 1, "tokenSequence": 7, "lastToken": "0" * 20, "lastTokenStatus": 1}
    said = {"entry": "result", "time": _AT.isoformat(), "meaning": "done"}
    write = {"entry": "write", "time": _AT.isoformat()}
    entries: list[dict[str, Any]] = [
        {**token, "delivery": 1, "s0": s0},
        {**write, "delivery": 1, "number": 1},
        {**write, "delivery": 1, "number": 2},
        {**said, "delivery": 1, "result": "delivered: Accept"},
        {**token, "delivery": 2, "s0": None},
        {**said, "delivery": 2, "result": "refused: used before"},
        {**token, "delivery": 5, "s0": s0},
    ]
    return journal_lines.HEADER + b"".join(journal_lines.entry_line(entry) for entry in entries)


def _exports() -> Iterator[tuple[str, bytes]]:
    numbers = itertools.count(1)
    with (
        MemoryPlace() as place,
        SQLiteJournal(place, salt=lambda: next(numbers).to_bytes(16, "big")) as journal,
    ):
        for number, outcome in enumerate(
            (Delivered(TokenStatus.ACCEPT, 5), Refused(TokenStatus.CRC_ERROR), None), 1
        ):
            journal.open_delivery(PAN, _TOKEN, Snapshot(1, 2, "0" * 20, 1), _AT)
            journal.announce_write(number, 1, _AT)
            journal.record(NewEntry(EntryKind.NOTE, _AT, {"text": "\u00e9", "n": [1, 2.5, None]}))
            if outcome is not None:
                journal.close_delivery(number, outcome, _AT)
        every = journal_export.Selection()
        second = journal_export.Selection(delivery=2)
        for name, selection in (("whole", every), ("part", second)):
            for masked in (False, True):
                lines = journal_export.export_lines(journal, selection, masked=masked)
                yield f"{name}-{masked}", "".join(f"{line}\n" for line in lines).encode()


def seeds() -> dict[str, bytes]:
    """Return journals and exports, whole ones and such as a crash or a hand leaves."""
    old = _old()
    found = {"old": old, "empty": b"", "header": journal_lines.HEADER, "list": b"milk\n"}
    for name, content in (("old", old), *_exports()):
        found[name] = content
        lines = content.splitlines(keepends=True)
        for at in range(len(lines)):
            found[f"{name}-without-{at}"] = b"".join(lines[:at] + lines[at + 1 :])
            found[f"{name}-twice-{at}"] = b"".join(lines[: at + 1] + lines[at:])
            found[f"{name}-cut-{at}"] = b"".join(lines[:at]) + lines[at][: len(lines[at]) // 2]
            for number in range(4):
                changed = _changed(lines[at].rstrip(b"\n"), random.Random(f"{name}{at}{number}"))
                found[f"{name}-{at}-{number}"] = b"".join(
                    [*lines[:at], changed + b"\n", *lines[at + 1 :]]
                )
    for number, tail in enumerate((b"\0", b"\0\0\n", b'{"entry', b"}", old.splitlines()[-1])):
        found[f"tail-{number}"] = old + tail
        found[f"end-{number}"] = old[:-1] + tail
    whole = found["whole-True"]
    return found | {
        "more": whole.replace(b'"route":null', b'"route":null,"more":1', 1),
        "member-twice": whole.replace(b'"route":null', b'"route":null,"route":"x"', 1),
        "secret-in-masked": whole.replace(b'"route":null', b'"route":null,"secrets":{}', 1),
        "number": whole.replace(b'"number":2', b'"number":2.0', 1),
        "escape": found["whole-False"].replace(b'"token":', b'"\\u001b[2J":', 1),
        "deep": whole.replace(b'"n":[1', b'"n":[' + b"[" * 900 + b"]" * 900 + b",1", 1),
        "changed": whole.replace(b'"write":1', b'"write":2', 1),
        "text": found["whole-False"].replace(_TOKEN.encode(), b"2" * 20, 1),
        "taken": journal_lines.HEADER
        + b"".join(
            journal_lines.entry_line(entry)
            for entry in (
                {"entry": "opened", "time": _AT.isoformat(), "meterPAN": PAN, "token": _TOKEN,
                 "delivery": 1, "s0": None},
                {"entry": "result", "time": _AT.isoformat(), "meaning": "done", "delivery": 1,
                 "result": "delivered: CRCError"},
            )
        ),
    }  # fmt: skip


def words() -> tuple[bytes, ...]:
    """Return what means something in a journal."""
    names = (
        "journal", "version", "check", "entry", "opened", "write", "result", "delivery", "number",
        "time", "meterPAN", "token", "s0", "export", "masked", "selection", "kind", "members",
        "commitments", "digest", "before", "secrets", "salt", "text", "entries", "head",
    )  # fmt: skip
    return (*(f'"{name}"'.encode() for name in names), b"null", b"\0", b"\n{", b"}\n")


def _forget_secrets() -> None:
    def broken(self: journal_check.ChainCheck, link: journal_check.Link) -> None:
        self.hidden += link.secrets is None

    journal_check.ChainCheck._check_secrets = broken  # type: ignore[method-assign]


def _trust_digests() -> None:
    def broken(self: journal_check.Link, before: bytes) -> bytes:
        return self.digest or before

    journal_check.Link.digest_after = broken  # type: ignore[method-assign]


def _lose_the_last_write() -> None:
    before = journal_takeover._entry

    def broken(members: dict[str, Any], book: Any) -> NewEntry:
        entry = before(members, book)
        if entry.members.get("write") == 2:
            return NewEntry(EntryKind.NOTE, entry.time)
        return entry

    journal_takeover._entry = broken


def _believe_any_delivered() -> None:
    before = Result.in_words.__func__  # type: ignore[attr-defined]

    def broken(cls: type[Result], text: str) -> Result:
        if text.startswith("delivered"):
            return cls("Delivered", text, TokenStatus.ACCEPT)
        found: Result = before(cls, text)
        return found

    Result.in_words = classmethod(broken)  # type: ignore[method-assign,assignment]


def _show_control_characters() -> None:
    journal_check.quoted = str  # type: ignore[attr-defined,assignment]
    texts.harmless = str  # type: ignore[attr-defined,assignment]


PLANTS: dict[str, Callable[[], None]] = {
    "digests are trusted": _trust_digests,
    "secrets are forgotten": _forget_secrets,
    "the last write is lost": _lose_the_last_write,
    "whatever was delivered is taken": _believe_any_delivered,
    "control characters are shown": _show_control_characters,
}
