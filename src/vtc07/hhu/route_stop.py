"""From a line of a route file to a stop, and everything that is wrong with it by itself.

Programs for tables spoil numbers: they keep 15 digits of them, write 6.00727E+17, and take zeros at
the front away. Nothing is mended here: what cannot be what was meant is refused, and the sentence
says how the file is to be made.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from vtc07.hhu.route import RouteToken, Stop
from vtc07.hhu.route_findings import Finding, Severity, error, note, warning
from vtc07.hhu.route_row import RawToken, Row, for_people, missing_tasks, names, plain, shown
from vtc07.hhu.texts import Said, counted, said
from vtc07.tokens.crc import crc
from vtc07.tokens.errors import CheckDigitError, TokenError
from vtc07.tokens.identifiers import DRN, MeterPAN
from vtc07.tokens.tokendata import MAXIMUM_TOKENDATA, TokenData

_NUMBER: Final = re.compile(r"[0-9]+(?:[ -]+[0-9]+)*", re.ASCII)
_EXPONENT: Final = re.compile(r"[0-9]+(?:[.,][0-9]*)?[eE][+-]?[0-9]+", re.ASCII)
_DECIMALS: Final = re.compile(r"[0-9]+[.,][0-9]{0,3}", re.ASCII)
_GROUPED: Final = re.compile(r"[0-9]{1,3}(?:[.,'][0-9]{3})+", re.ASCII)
_SECTION: Final = re.compile(r"([0-9]{1,2}) */ *([0-9]{1,2}) *: *(.*)", re.ASCII | re.DOTALL)
_NOTHING: Final = frozenset({"nan", "null", "none", "n/a", "na", "#n/a", "-", "--", "nil", "0"})


def stop_of(row: Row) -> tuple[Stop, tuple[Finding, ...]]:
    """Return the stop of a line, with its errors, and everything that was found."""
    found = list(row.findings)
    meter = _meter(row, found)
    place, said_of_place = for_people(row.line, "place", row.place)
    notes, said_of_notes = for_people(row.line, "notes", row.notes)
    found += said_of_place
    found += said_of_notes
    tokens = tuple(_tokens(row, found))
    _judge_sets(row.line, tokens, found)
    write = tuple(_words(row.line, "write", row.write, found))
    _judge_writes(row.line, write, found)
    read = tuple(_words(row.line, "read", row.read, found))
    if missing_tasks(row) and not row.torn and not any(f.kind == "type" for f in found):
        found.append(
            warning(
                row.line,
                "no-tasks",
                said("nothing is to be done at this meter"),
                said("fill in deliver, write or read, or take the line out"),
            )
        )
    errors = tuple(f.said for f in found if f.severity is Severity.ERROR)
    return Stop(row.line, meter, place, tokens, write, read, notes, errors), tuple(found)


# --- the meter ------------------------------------------------------------------------------------


def meter_key(text: str) -> str:
    """Return a meter number as it is compared: digits alone, where it is one; else the text."""
    text = plain(text)
    if text.isdigit() and text.isascii():
        return text
    return re.sub("[ -]", "", text) if _NUMBER.fullmatch(text) else text


def full_number(meter: str) -> str:
    """Return the MeterPAN of a meter number that is a good DRN; anything else as it is."""
    if len(meter) not in (11, 13):
        return meter
    try:
        return MeterPAN.from_drn(DRN(meter)).digits
    except TokenError:
        return meter


def _meter(row: Row, found: list[Finding]) -> str:
    if row.torn:
        return ""
    meter = meter_key(row.meter)
    if wrong := _wrong_meter(row.line, meter):
        found.append(wrong)
        return shown(meter)
    return meter


def _wrong_meter(line: int, meter: str) -> Finding | None:
    if not meter:
        what = said("there is no meter number")
        return error(line, "no-meter", what, said("fill in meter: the MeterPAN or the DRN"))
    if spoiled := _spoiled(line, "meter-spoiled", said("meter"), meter):
        return spoiled
    if not (meter.isascii() and meter.isdigit()):
        what = said("{text} is not a meter number", text=repr(shown(meter)))
        advice = said("write the 18 digits of the MeterPAN, or the 11 or 13 of the DRN")
        return error(line, "meter-characters", what, advice)
    if len(meter) not in (11, 13, 18):
        return _wrong_length(line, meter)
    try:
        MeterPAN(meter) if len(meter) == 18 else DRN(meter)
    except CheckDigitError:
        if len(meter) == 18 and meter.endswith("000"):
            what = said(
                "the check digits of meter {meter} are wrong, and it ends in 000", meter=meter
            )
            return error(line, "meter-rounded", what, _as_text())
        what = said("the check digits of meter {meter} are wrong", meter=meter)
        advice = said("compare every digit with the meter's label or the list it was taken from")
        return error(line, "meter-check-digit", what, advice)
    except TokenError:
        what = said(
            "meter {meter} does not begin as a MeterPAN does: 600727, or 0000 and 13 digits",
            meter=meter,
        )
        return error(line, "meter-issuer", what, said("compare its first digits with the label"))
    return None


def _wrong_length(line: int, meter: str) -> Finding:
    what = counted(
        "meter {meter} has {count} digit, and a MeterPAN has 18, a DRN 11 or 13",
        "meter {meter} has {count} digits, and a MeterPAN has 18, a DRN 11 or 13",
        len(meter),
        meter=meter if len(meter) < 20 else shown(meter),
    )
    for length in (11, 13, 18):
        if len(meter) < length and _is_meter(filled := meter.zfill(length)):
            advice = said(
                "a program took zeros at the front away: it may be {filled}; compare it with the "
                "label, and keep the column as text",
                filled=filled,
            )
            return error(line, "meter-zeros", what, advice)
    return error(line, "meter-length", what, said("compare it with the meter's label"))


def _is_meter(digits: str) -> bool:
    try:
        MeterPAN(digits) if len(digits) == 18 else DRN(digits)
    except TokenError:
        return False
    return True


def _as_text() -> Said:
    return said(
        "a program took it for a number and lost digits: take it from where it came, and import "
        "the column as text"
    )


def _spoiled(line: int, kind: str, name: Said, text: str) -> Finding | None:
    """Find a number that a program took for a quantity."""
    if _EXPONENT.fullmatch(text):
        what = said("{name} is {text}, a number with an exponent", name=name, text=text)
        return error(line, kind, what, _as_text())
    if _DECIMALS.fullmatch(text) or _GROUPED.fullmatch(text):
        what = said("{name} is written as a quantity, with a point or comma", name=name)
        return error(line, kind, what, _as_text())
    return None


# --- tokens ---------------------------------------------------------------------------------------


def _tokens(row: Row, found: list[Finding]) -> Iterator[RouteToken]:
    for place, raw in enumerate(row.deliver, 1):
        section, sections, text = raw.section, raw.sections, plain(raw.text)
        if match := _SECTION.fullmatch(text):
            if section is not None or sections is not None:
                found.append(_marked_twice(row.line, place))
            section, sections, text = int(match[1]), int(match[2]), plain(match[3])
        if (section is None) != (sections is None):
            found.append(_half_marked(row.line, place))
            section = sections = None
        if len(text) != 20 or not text.isascii() or not text.isdigit():
            text = re.sub("[ -]", "", text) if _NUMBER.fullmatch(text) else text
        if wrong := _wrong_token(row.line, place, text):
            found.append(wrong)
            continue
        found += _doubts(row.line, place, text)
        yield RouteToken(text, section, sections)


def token_name(place: int, digits: str = "") -> Said:
    """Name a token by its place in the list, from 1, and its last four digits."""
    if digits:
        return said("token {place} (...{last})", place=place, last=digits[-4:])
    return said("token {place}", place=place)


def _wrong_token(line: int, place: int, text: str) -> Finding | None:
    token = token_name(place)
    if spoiled := _spoiled(line, "token-spoiled", token, text):
        return spoiled
    if not (text.isascii() and text.isdigit()):
        return _no_digits(line, token, text)
    if len(text) != 20:
        return _wrong_count(line, token, text)
    if int(text) > MAXIMUM_TOKENDATA:
        what = said("{token} is larger than 66 bits can hold", token=token_name(place, text))
        return error(line, "token-range", what, said("no token is: compare its first digits"))
    data = TokenData(int(text))
    if data.token_class == 3:
        what = said("{token} is of class 3, which no meter takes", token=token_name(place, text))
        return error(line, "token-class", what, said("a digit is wrong: compare every digit"))
    if data.token_class == 1:
        block = data.block64
        if crc(1, block >> 60, block >> 16 & 0xFFF_FFFF_FFFF) != block & 0xFFFF:
            what = said(
                "{token} is of class 1, in clear, and its CRC is wrong",
                token=token_name(place, text),
            )
            return error(line, "token-crc", what, said("a digit is wrong: compare every digit"))
    return None


def _no_digits(line: int, token: Said, text: str) -> Finding:
    if text.lower() in _NOTHING:
        what = said("{token} is {text}, no token", token=token, text=repr(text))
        return error(line, "token-characters", what, said("leave the cell empty instead"))
    if re.fullmatch(r"[0-9][0-9 -]*(?:[,|+&/][ ]*[0-9][0-9 -]*)+", text):
        what = said("{token} holds something between digits that is not ';'", token=token)
        advice = said("write ';' between two tokens, and only spaces or hyphens within one")
        return error(line, "token-separator", what, advice)
    if ":" in text or "/" in text:
        what = said("{token} is not marked as a section is", token=token)
        advice = said("write 2/4: and the token for the second token of a key change of four")
        return error(line, "token-mark", what, advice)
    what = said("{token} holds something else than digits", token=token)
    advice = said("write 20 digits 0 to 9, at most with spaces or hyphens between groups")
    return error(line, "token-characters", what, advice)


def _wrong_count(line: int, token: Said, text: str) -> Finding:
    what = counted(
        "{token} has {count} digit, and a token has 20",
        "{token} has {count} digits, and a token has 20",
        len(text),
        token=token,
    )
    if len(text) > 20 and len(text) % 20 == 0:
        advice = said("these are several tokens: write ';' between them")
    elif len(text) > 20:
        advice = said("count again, and write ';' between two tokens")
    elif 16 <= len(text) < 20:
        advice = said(
            "a digit was left out, or a program took zeros at the front away: compare every digit, "
            "and keep the column as text"
        )
    else:
        advice = said("count again: five groups of four")
    return error(line, "token-length", what, advice)


def _doubts(line: int, place: int, text: str) -> Iterator[Finding]:
    """Yield what is strange about a token that can be one."""
    if text.endswith("00000"):
        what = said("{token} ends in five zeros", token=token_name(place))
        advice = said(
            "one in 100,000 does, and every one that a program took for a number: compare it with "
            "where it came from"
        )
        yield warning(line, "token-rounded", what, advice)
    data = TokenData(int(text))
    if data.token_class == 1 and data.block64 >> 60 > 2:
        what = said("{token} is of a reserved kind of class 1", token=token_name(place, text))
        yield warning(line, "token-reserved", what, said("ask whoever issued it what it is for"))


# --- key changes ----------------------------------------------------------------------------------


def _judge_sets(line: int, tokens: Sequence[RouteToken], found: list[Finding]) -> None:
    for digits, times in Counter(token.digits for token in tokens).items():
        if times > 1:
            what = said(
                "the token ...{last} stands in it {times} times", last=digits[-4:], times=times
            )
            found.append(error(line, "token-twice", what, said("leave one of them")))
    marked = [token for token in tokens if token.of_key_change]
    if marked:
        found += _wrong_set(line, marked)
        _judge_order(line, tokens, found)
        return
    management = [t for t in tokens if TokenData(int(t.digits)).token_class == 2]
    if len(management) > 1:
        what = counted(
            "{count} token of class 2 is not marked as one of a key change",
            "{count} tokens of class 2 are not marked as those of a key change",
            len(management),
        )
        advice = said(
            "if they are one, write 1/{count}: before the first, and so on", count=len(management)
        )
        found.append(warning(line, "set-unmarked", what, advice))


def _wrong_set(line: int, marked: Sequence[RouteToken]) -> Iterator[Finding]:
    counts = sorted({token.sections or 0 for token in marked})
    if len(counts) > 1:
        what = said("the key change is said to be of {counts} tokens", counts=names(counts))
        advice = said(
            "a set has one number of tokens, and a meter one set at a time: mend the marks"
        )
        yield error(line, "set-counts", what, advice)
        return
    count = counts[0]
    if count not in (2, 3, 4):
        what = said("a key change of {tokens} tokens is marked", tokens=count)
        yield error(
            line, "set-size", what, said("there are sets of 2, 3 and 4 tokens: mend the marks")
        )
        return
    places = Counter(token.section or 0 for token in marked)
    if outside := sorted(place for place in places if not 1 <= place <= count):
        what = said(
            "token {places} of a key change of {tokens} is marked",
            places=names(outside),
            tokens=count,
        )
        yield error(line, "set-place", what, said("they count from 1 to {tokens}", tokens=count))
    if twice := sorted(place for place, times in places.items() if times > 1):
        what = said(
            "token {places} of the key change of {tokens} stands in it more than once",
            places=names(twice),
            tokens=count,
        )
        advice = said("leave one set of {tokens} tokens with one of each", tokens=count)
        yield error(line, "set-twice", what, advice)
    if missing := [place for place in range(1, count + 1) if place not in places]:
        what = said(
            "token {places} of the key change of {tokens} is missing",
            places=names(missing),
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
            yield error(line, "set-class", what, said("it is no token of a key change: look it up"))


def _judge_order(line: int, tokens: Sequence[RouteToken], found: list[Finding]) -> None:
    sections = [token.section for token in tokens if token.section is not None]
    if sections != sorted(sections):
        what = said("the tokens of the key change are not in their order")
        found.append(note(line, "set-order", what, said("that is fine: a meter takes any order")))
    flags = "".join("k" if token.of_key_change else "-" for token in tokens)
    if "-" in flags.strip("-"):
        what = said("another token stands between those of the key change")
        advice = said("put it before or after them, as its key is the old or the new one")
        found.append(warning(line, "set-interrupted", what, advice))


def _marked_twice(line: int, place: int) -> Finding:
    what = said("{token} is marked twice", token=token_name(place))
    return error(line, "token-mark", what, said("leave the members section and sections alone"))


def _half_marked(line: int, place: int) -> Finding:
    what = said("{token} has only one of section and sections", token=token_name(place))
    return error(line, "token-mark", what, said("give both, as 2 and 4, or neither"))


# --- registers ------------------------------------------------------------------------------------


def _words(line: int, column: str, words: Sequence[str], found: list[Finding]) -> Iterator[str]:
    for word in words:
        if word.isascii() and word.isprintable():
            yield word
            continue
        text, _ = for_people(line, column, word)
        what = said(
            "{column} holds a character that no meter knows: {text}",
            column=column,
            text=repr(shown(text)),
        )
        advice = said("write it without accents and other signs")
        found.append(error(line, f"{column}-characters", what, advice))


def _judge_writes(line: int, words: Sequence[str], found: list[Finding]) -> None:
    registers: Counter[str] = Counter()
    for word in words:
        name, equals, _ = word.partition("=")
        registers[name.strip().lower()] += 1
        if not equals or not name.strip():
            what = said("{text} says no register and value", text=repr(shown(word)))
            advice = said("write REGISTER=VALUE, as in lowCreditThreshold=500")
            found.append(error(line, "write-form", what, advice))
    for name, times in registers.items():
        if name and times > 1:
            what = said("register {name} is written more than once", name=name)
            found.append(
                warning(line, "write-twice", what, said("leave the value that is to stay"))
            )


def needs_section(raw: RawToken) -> bool:
    """Say whether JSON marks it as one of a key change."""
    return raw.section is not None or raw.sections is not None
