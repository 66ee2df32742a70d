"""From a line of a route file to a stop, and everything that is wrong with it by itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from vtc07.hhu.route.facts import RouteToken, Stop
from vtc07.hhu.route.findings import Finding, Severity, error, note, warning
from vtc07.hhu.route.numbers import (
    digits_of,
    doubts,
    token_name,
    wrong_meter,
    wrong_token,
)
from vtc07.hhu.route.row import Row, for_people, plain, shown
from vtc07.hhu.texts import said
from vtc07.tokens.tokendata import TokenData

_MARKED: Final = re.compile(r"([0-9]{1,2}) */ *([0-9]{1,2}) *: *(.*)", re.ASCII | re.DOTALL)


def stop_of(row: Row) -> tuple[Stop, tuple[Finding, ...]]:
    """Return the stop of a line, with its errors, and everything that was found."""
    found = list(row.findings)
    meter = _meter(row, found)
    place, said_of_place = for_people(row.line, "place", row.place)
    notes, said_of_notes = for_people(row.line, "notes", row.notes)
    found += said_of_place
    found += said_of_notes
    tokens = tuple(_tokens(row, meter, found))
    _judge_tokens(row.line, tokens, found)
    write = tuple(_words(row.line, "write", row.write, found))
    _judge_writes(row.line, write, found)
    read = tuple(_words(row.line, "read", row.read, found))
    if not (row.deliver or row.write or row.read or row.findings):
        what = said("nothing is to be done at this meter")
        advice = said("fill in deliver, write or read, or take the line out")
        found.append(warning(row.line, "no-tasks", what, advice))
    errors = tuple(f.said for f in found if f.severity is Severity.ERROR)
    return Stop(row.line, meter, place, tokens, write, read, notes, errors), tuple(found)


def _meter(row: Row, found: list[Finding]) -> str:
    if row.torn:
        return ""
    meter = digits_of(row.meter)
    if any(finding.kind == "type" for finding in row.findings) and not meter:
        return ""  # that it is no text has been said
    if (wrong := wrong_meter(row.line, meter)) is None:
        return meter
    found.append(wrong)
    return shown(meter)


# --- tokens ---------------------------------------------------------------------------------------


def _tokens(row: Row, meter: str, found: list[Finding]) -> Iterator[RouteToken]:
    for place, raw in enumerate(row.deliver, 1):
        section, sections, text = raw.section, raw.sections, plain(raw.text)
        if not text.isdigit() and (match := _MARKED.fullmatch(text)):
            if section is not None or sections is not None:
                what = said("{token} is marked twice", token=token_name(place))
                advice = said("write section and sections, or 2/4: in front of it")
                found.append(error(row.line, "token-mark", what, advice))
            section, sections, text = int(match[1]), int(match[2]), match[3]
        if (section is None) != (sections is None):
            what = said("{token} has one of section and sections", token=token_name(place))
            found.append(error(row.line, "token-mark", what, said("give both, as 2 and 4")))
            section = sections = None
        digits = digits_of(text)
        if wrong := wrong_token(row.line, place, digits):
            found.append(wrong)
            continue
        found += doubts(row.line, place, digits, meter)
        yield RouteToken(digits, section, sections)


def _judge_tokens(line: int, tokens: Sequence[RouteToken], found: list[Finding]) -> None:
    if len({token.digits for token in tokens}) < len(tokens):
        for digits, times in Counter(token.digits for token in tokens).items():
            if times > 1:
                what = said(
                    "token ...{last} stands there {times} times", last=digits[-4:], times=times
                )
                found.append(error(line, "token-twice", what, said("leave one of them")))
    marked = [token for token in tokens if token.of_key_change]
    if marked:
        wrong = tuple(_wrong_set(line, marked))
        found += wrong or _order(line, tokens)
    elif len(tokens) > 1:
        found += _unmarked(line, tokens)


# --- key changes ----------------------------------------------------------------------------------


def _unmarked(line: int, tokens: Sequence[RouteToken]) -> Iterator[Finding]:
    management = sum(TokenData(int(token.digits)).token_class == 2 for token in tokens)
    if management > 1:
        what = said(
            "{tokens} tokens of class 2 are not marked as those of a key change", tokens=management
        )
        advice = said("if they are one, write 1/{tokens}: before the first", tokens=management)
        yield warning(line, "set-unmarked", what, advice)


def _wrong_set(line: int, marked: Sequence[RouteToken]) -> Iterator[Finding]:
    counts = sorted({token.sections or 0 for token in marked})
    if len(counts) > 1:
        what = said("its key change is marked as one of {counts} tokens", counts=_names(counts))
        advice = said("a meter has one set at a time, of one number of tokens: mend the marks")
        yield error(line, "set-counts", what, advice)
        return
    count = counts[0]
    if count not in (2, 3, 4):
        what = said("a key change of {tokens} tokens is marked", tokens=count)
        advice = said("there are sets of 2, 3 and 4 tokens: mend the marks")
        yield error(line, "set-size", what, advice)
        return
    places = Counter(token.section or 0 for token in marked)
    if outside := sorted(place for place in places if not 1 <= place <= count):
        what = said(
            "token {places} of a key change of {tokens} is marked",
            places=_names(outside),
            tokens=count,
        )
        advice = said("they count from 1 to {tokens}: mend the marks", tokens=count)
        yield error(line, "set-place", what, advice)
    if twice := sorted(place for place, times in places.items() if times > 1):
        what = said(
            "token {places} of the key change of {tokens} stands there more than once",
            places=_names(twice),
            tokens=count,
        )
        advice = said("leave one set, with one of each")
        yield error(line, "set-twice", what, advice)
    if missing := [place for place in range(1, count + 1) if place not in places]:
        what = said(
            "token {places} of the key change of {tokens} is missing or wrong",
            places=_names(missing),
            tokens=count,
        )
        advice = said("a key change is delivered whole: get the missing token, or take the set out")
        yield error(line, "set-missing", what, advice)
    for token in marked:
        if (kind := TokenData(int(token.digits)).token_class) != 2:
            what = said(
                "token {place} of the key change (...{last}) is of class {kind}, not 2",
                place=token.section or 0,
                last=token.digits[-4:],
                kind=kind,
            )
            yield error(line, "set-class", what, said("look up what it is: it changes no key"))


def _order(line: int, tokens: Sequence[RouteToken]) -> Iterator[Finding]:
    sections = [token.section for token in tokens if token.section is not None]
    if sections != sorted(sections):
        what = said("the tokens of the key change are not in their order")
        yield note(line, "set-order", what, said("that is fine: a meter takes any order"))
    flags = "".join("k" if token.of_key_change else "-" for token in tokens)
    if "-" in flags.strip("-"):
        what = said("another token stands between those of the key change")
        advice = said("put it before them if it was made for the old key, else after them")
        yield warning(line, "set-interrupted", what, advice)


def _names(places: Sequence[int]) -> str:
    return ", ".join(map(str, places))


# --- registers ------------------------------------------------------------------------------------


def _words(line: int, column: str, words: Sequence[str], found: list[Finding]) -> Iterator[str]:
    for word in words:
        if word.isascii() and word.isprintable():
            yield word
            continue
        what = said(
            "{column} holds a character that no meter knows: {text}",
            column=column,
            text=repr(shown(word)),
        )
        advice = said("write it without accents and other signs")
        found.append(error(line, f"{column}-characters", what, advice))


def _judge_writes(line: int, words: Sequence[str], found: list[Finding]) -> None:
    registers: Counter[str] = Counter()
    for word in words:
        name, equals, _ = word.partition("=")
        registers[name.strip().lower()] += 1
        if not equals or not name.strip():
            what = said("{text} names no register and value", text=repr(shown(word)))
            advice = said("write REGISTER=VALUE, as in lowCreditThreshold=500")
            found.append(error(line, "write-form", what, advice))
    for name, times in registers.items():
        if name and times > 1:
            what = said("register {name} is written {times} times", name=shown(name), times=times)
            advice = said("leave the value that is to stay")
            found.append(warning(line, "write-twice", what, advice))
