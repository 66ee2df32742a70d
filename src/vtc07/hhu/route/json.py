"""Stops of a route in JSON, one at a time, whatever length the file has.

An object with ``stops``, a list of objects, and optionally ``route``, the route's name.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import ijson  # type: ignore[import-untyped]

from vtc07.hhu.route.findings import Finding, RouteUnreadable, error
from vtc07.hhu.route.row import COLUMNS, RawToken, Row, listed, shown, unknown_name
from vtc07.hhu.texts import Said, said

_MEMBERS: Final = ("route", "stops")
_TOKEN_MEMBERS: Final = ("token", "section", "sections")
_DEEPEST: Final = 8
#: Characters that a stop may take, far more than one needs.
LONGEST_STOP: Final = 1_000_000

#: Less than half of what `int` can be told to take, since a number may be read in two pieces.
_LONG_NUMBER: Final = re.compile(rb"[0-9]{300}")

_Event = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class _Pairs:
    """An object, with members that stand in it twice."""

    members: tuple[tuple[str, Any], ...]

    @property
    def twice(self) -> tuple[str, ...]:
        if len(dict(self.members)) == len(self.members):
            return ()
        times = Counter(name for name, _ in self.members)
        return tuple(name for name, count in times.items() if count > 1)


class _Metered:
    """A file that gives out no more than ``LONGEST_STOP`` characters while nothing comes of them.

    A text without an end would otherwise be gathered in memory. Nor does it give out a number of
    hundreds of digits: ijson stumbles over one that `int` refuses.
    """

    def __init__(self, file: BinaryIO, source: str) -> None:
        self._file = file
        self._source = source
        self._given = 0

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes."""
        if self._given > LONGEST_STOP:
            what = said("a text in it has more than {longest} characters", longest=LONGEST_STOP)
            advice = said("look for a quote that is not closed")
            raise RouteUnreadable(self._source, error(0, "not-a-route", what, advice))
        data = self._file.read(size)
        self._given += len(data)
        if _LONG_NUMBER.search(data):
            what = said("a number in it has hundreds of digits")
            advice = said("look for what was left out between them")
            raise RouteUnreadable(self._source, error(0, "not-a-route", what, advice))
        return data

    def understood(self) -> None:
        """Say that what was given out has been used."""
        self._given = 0


class JSONRows:
    """The stops of a file; ``title`` is the route's own name, once it has been read."""

    def __init__(self, file: BinaryIO, source: str) -> None:
        self._file = _Metered(file, source)
        self._source = source
        self._stop = 0
        self.title: str | None = None

    def __iter__(self) -> Iterator[Row]:
        """Yield the stops; RouteUnreadable where it is no route, or not JSON from some place on."""
        events = self._events()
        kind, _ = next(events)
        if kind != "start_map":
            what = said("it is no object")
            raise self._unreadable("json", what, _what_is_wanted())
        seen: set[str] = set()
        for kind, name in events:
            if kind == "end_map":
                break
            self._member(name, seen)
            kind, value = next(events)  # noqa: PLW2901 - a name and its value are a pair
            if name == "stops":
                yield from self._stops(kind, events)
            elif kind == "string":
                self.title = value
            else:
                raise self._unreadable(
                    "json", said("the member route is no text"), _what_is_wanted()
                )
        if "stops" not in seen:
            raise self._unreadable("json", said("there are no stops in it"), _what_is_wanted())
        for _ in events:  # so that what follows the object is found wrong
            pass

    def _events(self) -> Iterator[_Event]:
        try:
            for event in ijson.basic_parse(self._file, use_float=False):
                self._file.understood()
                yield event
        except (ijson.JSONError, ValueError, ArithmeticError) as broken:
            words = " ".join(str(broken).split("\n")[0].split())
            if isinstance(broken, ArithmeticError):
                words = "a number is out of all bounds"
            what = said("it is not JSON: {error}", error=shown(words, 100))
            raise self._unreadable("json", what, self._place()) from None

    def _member(self, name: str, seen: set[str]) -> None:
        written = repr(shown(name))
        if name not in _MEMBERS:
            what = said("there is no member {name} of a route", name=written)
            raise self._unreadable("unknown-member", what, _what_is_wanted())
        if name in seen:
            what = said("the member {name} stands there twice", name=written)
            raise self._unreadable("member-twice", what, said("leave one of them"))
        seen.add(name)

    def _stops(self, kind: str, events: Iterator[_Event]) -> Iterator[Row]:
        if kind != "start_array":
            what = said("the member stops is no list")
            raise self._unreadable("json", what, _what_is_wanted())
        for begins, value in events:
            if begins == "end_array":
                return
            self._stop += 1
            yield _row(self._stop, self._value(begins, value, events, 0))

    def _value(self, kind: str, value: Any, events: Iterator[_Event], depth: int) -> Any:
        """Build what begins with this event: text, int, Decimal, bool, None, list or _Pairs."""
        if depth > _DEEPEST:
            what = said("stop {place} has lists within lists within lists", place=self._stop)
            raise self._unreadable("json", what, _what_is_wanted())
        if kind == "start_array":
            items = []
            for begins, inner in events:
                if begins == "end_array":
                    break
                items.append(self._value(begins, inner, events, depth + 1))
            return items
        if kind == "start_map":
            members = []
            for begins, name in events:
                if begins == "end_map":
                    break
                members.append((name, self._value(*next(events), events, depth + 1)))
            return _Pairs(tuple(members))
        return value

    def _place(self) -> Said:
        if not self._stop:
            return said("look at its beginning")
        return said("look at stop {place} and behind it", place=self._stop)

    def _unreadable(self, kind: str, what: Said, advice: Said) -> RouteUnreadable:
        return RouteUnreadable(self._source, error(0, kind, what, advice))


def _what_is_wanted() -> Said:
    return said(
        "a route is {example}", example='{"route": "...", "stops": [{"meter": "...", ...}]}'
    )


# --- a stop ---------------------------------------------------------------------------------------


def _row(line: int, value: Any) -> Row:
    found: list[Finding] = []
    if not isinstance(value, _Pairs):
        return Row(line, findings=(_wrong_type(line, "stop", said("an object")),))
    for name in value.twice:
        what = said("the member {name} stands there twice", name=repr(shown(name)))
        found.append(error(line, "member-twice", what, said("leave one of them")))
    members = dict(value.members)
    for name in members:
        if name not in COLUMNS:
            what = said("there is no member {name} of a stop", name=repr(shown(name)))
            found.append(error(line, "unknown-member", what, unknown_name(name)))
    return Row(
        line,
        _text(line, "meter", members.get("meter"), found),
        _text(line, "place", members.get("place"), found),
        tuple(_tokens(line, members.get("deliver"), found)),
        tuple(_writes(line, members.get("write"), found)),
        tuple(_list(line, "read", members.get("read"), found)),
        _text(line, "notes", members.get("notes"), found),
        tuple(found),
    )


def _text(line: int, name: str, value: Any, found: list[Finding]) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    wanted = said("a text in quotes")
    if name == "meter" and not isinstance(value, (list, _Pairs, bool)):
        wanted = said("it in quotes: programs keep 15 digits of a number")
    found.append(_wrong_type(line, name, wanted))
    return ""


def _list(line: int, name: str, value: Any, found: list[Finding]) -> Iterator[str]:
    if value is None:
        return
    if isinstance(value, str):
        yield from listed(value)
        return
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str):
            found.append(_wrong_type(line, name, said("a list of texts in quotes")))
        elif item.strip():
            yield item.strip()


def _tokens(line: int, value: Any, found: list[Finding]) -> Iterator[RawToken]:
    if value is None:
        return
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            yield from map(RawToken, listed(item))
        elif isinstance(item, _Pairs):
            yield from _token(line, item, found)
        else:
            wanted = said("each token in quotes: programs keep 15 digits of a number")
            found.append(_wrong_type(line, "deliver", wanted))


def _token(line: int, value: _Pairs, found: list[Finding]) -> Iterator[RawToken]:
    members = dict(value.members)
    text, section, sections = (members.get(name) for name in _TOKEN_MEMBERS)
    for name in value.twice:
        what = said("the member {name} stands there twice", name=repr(shown(name)))
        found.append(error(line, "member-twice", what, said("leave one of them")))
    for name in members:
        if name not in _TOKEN_MEMBERS:
            what = said("there is no member {name} of a token", name=repr(shown(name)))
            close = difflib.get_close_matches(name, _TOKEN_MEMBERS, 1)
            advice = said("there are {names}", names=", ".join(close or _TOKEN_MEMBERS))
            found.append(error(line, "unknown-member", what, advice))
    if not isinstance(text, str) or not text.strip():
        found.append(_wrong_type(line, "token", said("its 20 digits in quotes")))
    elif not (_is_count(section) and _is_count(sections)):
        found.append(_wrong_type(line, "section", said("section and sections as numbers: 2 and 4")))
    else:
        yield RawToken(text, section, sections)


def _is_count(value: Any) -> bool:
    return value is None or (
        isinstance(value, int) and not isinstance(value, bool) and abs(value) < 100
    )


def _writes(line: int, value: Any, found: list[Finding]) -> Iterator[str]:
    if not isinstance(value, _Pairs):
        yield from _list(line, "write", value, found)
        return
    for name in value.twice:
        what = said("the member {name} stands there twice", name=repr(shown(name)))
        found.append(error(line, "member-twice", what, said("leave one of them")))
    for name, to in value.members:
        if isinstance(to, (list, _Pairs, bool)) or to is None:
            found.append(_wrong_type(line, f"write {shown(name)}", said("a text or a number")))
        elif "=" in name or not name.strip():
            what = said("{name} is no register's name", name=repr(shown(name)))
            found.append(error(line, "write-form", what, said("write its name or its number")))
        else:
            yield f"{name}={to}"


def _wrong_type(line: int, member: str, wanted: Said) -> Finding:
    what = said("{member} is of another kind than it may be", member=member)
    return error(line, "type", what, said("write {wanted}", wanted=wanted))
