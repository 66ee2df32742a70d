"""The lines of a journal: JSON Lines with a check, and what a crash can leave at their end.

The first line names format and version; each further line is one entry with the CRC-32 of its
other members under ``check``, so that no flipped digit passes for a token.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from datetime import datetime
from typing import Any, Final, NamedTuple

from vtc07.hhu.journal.deliveries import Delivery, DeliveryBook, JournalCorrupt, JournalError
from vtc07.hhu.journal.result import Result
from vtc07.hhu.resolution import Snapshot

FORMAT: Final = "vtc07 journal"
VERSION: Final = 1
#: No header is longer.
LONGEST_HEADER: Final = 4096

_LARGEST: Final = (1 << 63) - 1
_NO_ENTRY = (ValueError, KeyError, AttributeError, TypeError, RecursionError)


def _encode(members: dict[str, Any]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode("ascii")


def _check(members: dict[str, Any]) -> str:
    return f"{zlib.crc32(_encode(members)):08x}"


def entry_line(members: dict[str, Any]) -> bytes:
    """Return the line of an entry, with its check and its line end."""
    return _encode({**members, "check": _check(members)}) + b"\n"


#: The first line.
HEADER: Final = entry_line({"journal": FORMAT, "version": VERSION})


class Found(NamedTuple):
    """What stands in a journal: its whole lines, without their ends, and what follows them.

    ``entry`` is the last line where it lacks nothing but its line end; it is one of ``lines``
    too. ``whole``: how many characters the other lines have.
    """

    lines: list[bytes]
    whole: int
    entry: bytes | None
    tail: bytes


def found_in(content: bytes) -> Found:
    """Tell whole lines from a last one that is cut short or has NULs."""
    whole = _end_of_whole_lines(content)
    lines, tail = content[:whole].split(b"\n")[:-1], content[whole:]
    entry = entry_in(tail)
    if entry is not None:
        lines.append(entry)
    return Found(lines, whole, entry, tail)


def check_header(line: bytes, name: str) -> None:
    """Raise JournalCorrupt, or JournalError for another version, unless it is our first line."""
    header = _parse(line, 1, name)
    version = header.get("version")
    if header.get("journal") != FORMAT or type(version) is not int or not 0 < version < 1000:
        raise JournalCorrupt(name, 1, "this is no journal of deliveries")
    if version != VERSION:
        raise JournalError(
            f"{name} is a journal of version {version}; this program knows "
            f"version {VERSION}. Use the newer program, or another journal"
        )


def take(line: bytes, number: int, name: str, book: DeliveryBook) -> None:
    """Enter a line into the book; JournalCorrupt where it does not belong there."""
    members = _parse(line, number, name)
    try:
        match members["entry"]:
            case "opened":
                book.opened(_delivery(members))
            case "write":
                _time(members)
                book.announced(_number(members["delivery"]), _number(members["number"]))
            case "result":
                result = Result.in_words(_text(members["result"]))
                book.closed(_number(members["delivery"]), result, _time(members))
            case _:
                why = "this is no kind of entry"
                raise JournalError(why)  # noqa: TRY301 - said once for all that is wrong here
    except JournalError as error:
        raise JournalCorrupt(name, number, str(error)) from None
    except (KeyError, TypeError, ValueError):
        raise JournalCorrupt(name, number, "the entry lacks what it must hold") from None


def may_be_torn_header(line: bytes) -> bool:
    """Whether it is the beginning of a header, or has NULs in place of parts of it."""
    return (
        line != HEADER
        and len(line) <= len(HEADER)
        and all(there in (0, meant) for there, meant in zip(line, HEADER, strict=False))
    )


def entry_in(tail: bytes) -> bytes | None:
    """Return the entry in a tail that has its check, but no line end or another character there."""
    for entry in (tail.rstrip(b"\0\n"), tail[:-1]):
        with contextlib.suppress(*_NO_ENTRY):
            members = json.loads(entry)
            if members.pop("check") == _check(members) and entry.endswith(b"}"):
                return entry
    return None


def _parse(line: bytes, number: int, name: str) -> dict[str, Any]:
    try:
        members = json.loads(line)
        check = members.pop("check")
    except _NO_ENTRY:
        raise JournalCorrupt(name, number, "this is no entry") from None
    if check != _check(members):
        raise JournalCorrupt(name, number, "the entry was changed (its check is wrong)")
    result: dict[str, Any] = members
    return result


def _delivery(members: dict[str, Any]) -> Delivery:
    s0 = members["s0"]
    return Delivery(
        _number(members["delivery"]),
        _text(members["meterPAN"]),
        _text(members["token"]),
        None
        if s0 is None
        else Snapshot(
            _number(s0["tokenStatus"]),
            _number(s0["tokenSequence"]),
            _text(s0["lastToken"]),
            _number(s0["lastTokenStatus"]),
        ),
        _time(members),
    )


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise ValueError("this is no number of a journal")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("this is no text")
    value.encode()  # UnicodeEncodeError for half a character
    return value


def _time(members: dict[str, Any]) -> datetime:
    time = datetime.fromisoformat(members["time"])
    if time.tzinfo is None:
        raise ValueError("a time without its zone")
    return time


def _end_of_whole_lines(content: bytes) -> int:
    whole = content.rfind(b"\n") + 1
    if whole == len(content) and b"\0" in (last := content[:-1].rpartition(b"\n")[2]):
        whole -= len(last) + 1
    return whole
