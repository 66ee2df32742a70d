"""Route files: any bytes are a route or an error in a sentence; no token is lost, made up or shown.

What our reader makes of a file is compared with a second, handwritten reading of CSV, and with the
`json` of the standard library.
"""

from __future__ import annotations

import atexit
import csv
import itertools
import json
import os
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from fuzz_sessions import KEYS, PAN
from vtc07.hhu.route import csv as route_csv
from vtc07.hhu.route import file as route_file
from vtc07.hhu.route import json as route_json
from vtc07.hhu.route import numbers as route_numbers
from vtc07.hhu.route import row as route_row
from vtc07.hhu.route import stop as route_stop
from vtc07.hhu.route.check import RouteCheck
from vtc07.hhu.route.facts import RouteError, RouteToken, Stop
from vtc07.hhu.route.file import RouteFile, open_route
from vtc07.hhu.route.findings import Finding, Severity
from vtc07.hhu.texts import Said
from vtc07.tokens import (
    DRN,
    EA,
    Block,
    InitiateMeterTest,
    MeterPAN,
    MfrCode,
    Service,
    TokenData,
    TransferCredit,
    encode,
)

LONGEST = 8192
_COLUMNS = ("meter", "place", "deliver", "write", "read", "notes")
_TOKEN_SHAPED = re.compile(r"[0-9](?:[ -]?[0-9]){18}")
_MARK = re.compile(r"([0-9]{1,2}) */ *([0-9]{1,2}) *:(.*)", re.DOTALL)


class _TornError(Exception):
    """A quote stands where none may be."""


@cache
def _path() -> Path:
    """Return a file's path: of one in memory where there are such, for libFuzzer tidies nothing."""
    if hasattr(os, "memfd_create"):
        return Path(f"/proc/self/fd/{os.memfd_create('route')}")
    folder = tempfile.mkdtemp(prefix="vtc07-fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / "route"


def one(data: bytes) -> None:
    """Try one input."""
    path = _path()
    path.write_bytes(data)
    checking = RouteCheck(path)
    error_lines = set()
    for finding in checking.findings():
        said = str(finding.said)
        assert said.isprintable(), "control characters reach the terminal"
        assert not _TOKEN_SHAPED.search(said), "a token is shown"
        assert len(said) < 1000
        assert finding.line >= 0
        if finding.severity is Severity.ERROR:
            error_lines.add(finding.line)
    try:
        route = open_route(path)
    except RouteError as error:
        said = str(error)
        assert said.isprintable(), "control characters reach the terminal"
        assert error_lines, "refused, and nothing is found"
        return
    stops = list(route.stops())
    assert list(route.stops()) == stops
    assert len(stops) == route.size == checking.counts.stops
    assert route.faulty == sum(bool(stop.errors) for stop in stops)
    assert {stop.line for stop in stops if stop.errors} <= error_lines
    assert [stop.line for stop in stops] == sorted({stop.line for stop in stops})
    for stop in stops:
        _check_stop(stop)
    _check_found(route, stops)
    if route.is_json:
        _check_json(data, stops)
    else:
        _check_csv(data, stops)


def _check_stop(stop: Stop) -> None:
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e]", stop.place + stop.notes), (
        "control characters"
    )
    assert all(word.isascii() and word.isprintable() for word in stop.write + stop.read)
    for token in stop.deliver:
        assert re.fullmatch("[0-9]{20}", token.digits)
        number = int(token.digits)
        assert number < 1 << 66, "more than 66 bits"
        assert number >> 27 & 3 != 3, "class 3"
    if stop.errors:
        return
    meter = stop.meter
    assert re.fullmatch("[0-9]{11}|[0-9]{13}|[0-9]{18}", meter)
    assert _fits(meter), "a wrong check digit"
    marks = [(token.section, token.sections) for token in stop.deliver if token.of_key_change]
    if marks:
        count = marks[0][1] or 0
        assert sorted(marks) == [(place, count) for place in range(1, count + 1)], "not whole"
        assert count in (2, 3, 4)


def _fits(meter: str) -> bool:
    """Say whether the last digit is the check digit of the others."""
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(meter))]
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


def _check_found(route: RouteFile, stops: list[Stop]) -> None:
    """Look for the meters of a few stops: each is found with all of its stops, or refused."""
    for stop in stops[:2]:
        if stop.errors:
            continue
        pan = stop.meter if len(stop.meter) == 18 else MeterPAN.from_drn(DRN(stop.meter)).digits
        try:
            found = route.stops_of(pan)
        except RouteError as error:
            said = str(error)
            assert "mend the route" in said
            continue
        assert stop in found
        assert all(each.meter in (pan, MeterPAN(pan).drn.digits) for each in found)


# --- a second reading -----------------------------------------------------------------------------


def _check_csv(data: bytes, stops: list[Stop]) -> None:
    utf_16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding, errors = ("utf-16", "replace") if utf_16 else ("utf-8-sig", "surrogateescape")
    text = data.decode(encoding, errors).rstrip("\x1a")
    if match := re.match(r'(?:[ \t",;|\ufeff]*[\r\n]+)*[ \t\ufeff]*"?sep=(.)', text, re.IGNORECASE):
        readings = [match[1]]
    else:
        readings = [",", ";", "\t", "|"]
    agreed = []
    for separator in readings:
        try:
            agreed.append(list(_read_csv(text, separator)))
        except _TornError:
            continue
    assert any(_agrees(rows, stops) for rows in agreed), "the second reading is another"


def _agrees(rows: list[dict[str, str]], stops: list[Stop]) -> bool:
    if len(rows) != len(stops):
        return False
    return all(
        stop.errors
        or (_digits(row.get("meter", "")) == stop.meter and _same_tokens(row["deliver"], stop))
        if "deliver" in row
        else stop.errors or _digits(row.get("meter", "")) == stop.meter
        for row, stop in zip(rows, stops, strict=True)
    )


def _same_tokens(cell: str, stop: Stop) -> bool:
    parts = [part for part in re.split(r"[;\r\n]", cell) if part.strip()]
    if len(parts) != len(stop.deliver):
        return False
    for part, token in zip(parts, stop.deliver, strict=True):
        match = _MARK.search(part)
        if (match is not None) != token.of_key_change:
            return False
        if match and (int(match[1]), int(match[2])) != (token.section, token.sections):
            return False
        if _digits(match[3] if match else part) != token.digits:
            return False
    return True


def _digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)


def _read_csv(text: str, separator: str) -> Iterator[dict[str, str]]:
    """Yield the lines with a stop: columns by name; _TornError where a quote is wrong."""
    header: list[str] | None = None
    # The header's own quotes are taken as they come, and so is `sep=` in front of it.
    lines = re.split(r"\r\n|\r|\n", text)
    begin = 0
    for line in lines:
        begin += 1
        if not line.strip(' \t",;|\ufeff'):
            continue
        if re.fullmatch(r'"?sep=.[",;\t|]*', line.strip().lstrip("\ufeff"), re.IGNORECASE):
            continue
        cells = line.lstrip("\ufeff").split(separator)
        header = [cell.strip(' \t\ufeff"').lower() for cell in cells]
        break
    if header is None or "meter" not in header:
        raise _TornError
    places = list(itertools.accumulate((len(m[0]) for m in _lines(text)), initial=0))
    for cells in _records(text[places[begin] :], separator):
        if not "".join(cells).strip():
            continue
        names = [cell.strip(" \t\ufeff").lower() for cell in cells]
        if names == header:
            continue
        yield {name: cell for name, cell in zip(header, cells, strict=False) if name}


def _lines(text: str) -> Iterator[re.Match[str]]:
    return re.finditer(r"[^\r\n]*(?:\r\n|\r|\n|$)", text)


def _records(text: str, separator: str) -> Iterator[list[str]]:
    cells: list[str] = []
    cell: list[str] = []
    state = "begin"
    chars = re.sub("\r\n", "\n", text) if '"' not in text else text
    for place, char in enumerate(chars):
        following = chars[place + 1 : place + 2]
        if state == "quoted":
            if char != '"':
                cell.append(char)
            else:
                state = "quote"
            continue
        if state == "quote" and char == '"':
            cell.append(char)
            state = "quoted"
        elif char == separator:
            cells.append("".join(cell))
            cell, state = [], "begin"
        elif char in "\r\n":
            if char == "\r" and following == "\n":
                continue
            yield [*cells, "".join(cell)]
            cells, cell, state = [], [], "begin"
        elif state == "quote":
            raise _TornError
        elif state == "begin" and char == " ":
            continue
        elif state == "begin" and char == '"':
            state = "quoted"
        else:
            cell.append(char)
            state = "plain"
    if state == "quoted":
        raise _TornError
    if cells or cell:
        yield [*cells, "".join(cell)]


def _check_json(data: bytes, stops: list[Stop]) -> None:
    text = re.sub("[\x0b\x0c]", " ", data.decode("utf-8-sig"))  # spaces to yajl
    reader = json.JSONDecoder(object_pairs_hook=_all_members)
    document, end = reader.raw_decode(text.lstrip())
    beyond = text.lstrip()[end:].strip()
    assert not beyond or beyond.startswith('"')  # to yajl a text without an end is nothing yet
    assert len(document["stops"]) == len(stops)
    for said, stop in zip(document["stops"], stops, strict=True):
        if stop.errors:
            continue
        assert set(said) <= set(_COLUMNS), "a member is lost"
        assert _digits(said["meter"]) == stop.meter
        deliver = said.get("deliver") or []
        parts = [
            f"{each['section']}/{each['sections']}:{each['token']}"
            if isinstance(each, dict) and each.get("section")
            else each["token"]
            if isinstance(each, dict)
            else each
            for each in (deliver if isinstance(deliver, list) else [deliver])
        ]
        assert _same_tokens(";".join(parts), stop), "the second reading has other tokens"


def _all_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; a member that stands in it twice leads to one that nobody knows."""
    members = dict(pairs)
    return members if len(members) == len(pairs) else members | {"a member twice": True}


# --- mutation by structure ------------------------------------------------------------------------


@cache
def _cells() -> tuple[str, ...]:
    credit, other = _credit(1), _credit(2)
    clear = encode(InitiateMeterTest(1), None).digits
    change = [_section(n) for n in (1, 2, 3, 4)]
    drn = DRN.of(MfrCode("1234"), "00000042")
    return (
        PAN, PAN[:-1], PAN[:-1] + "0", MeterPAN(PAN).drn.digits, drn.digits, drn.digits[1:],
        MeterPAN.from_drn(drn).digits, "6.00727E+17", "600.727.000.000.000.009", f"'{PAN}",
        f'="{PAN}"', "6007\u00a02700 0000-0000 09", "0", "", " ", "nan", credit, other,
        f"{credit};{other}", f"{credit},{other}", f"{credit}\n{other}", credit[:-1], credit + other,
        " ".join(re.findall("....", credit)), "99999999999999999999", "12345678901234500000", clear,
        clear[4:], TokenData.assemble(3, 5).digits,
        ";".join(f"{place}/4:{token}" for place, token in enumerate(change, 1)),
        f"1/2:{change[0]};2/2:{change[1]}", f"2/2: {change[0]};1/2 :{change[1]}",
        f"1/3:{change[0]};2/3:{change[1]}", f"1/2:{change[0]};1/2:{change[1]}", f"1/2:{credit}",
        "creditBalance;loadSwitch", "creditBalnce", "0010-001A", "tokenEntry", "x", "=5", "KRN=1",
        "lowCreditThreshold=500", "lowCreditThreshold=5.5;installationReference=A", "\x1b[2J\u202e",
        "Concei\u00e7\u00e3o", '12" pipe', '"', "a\nb", f"x\n{PAN},y", "=1+1", *_COLUMNS,
    )  # fmt: skip


def _credit(number: int) -> str:
    token = TransferCredit(Service.ELECTRICITY, 5, 6_000_000 + number, 100)
    return encode(token, KEYS[EA.MISTY1]).digits


def _section(number: int) -> str:
    return TokenData.assemble(2, number * 0x0123456789ABCDEF & (1 << 64) - 1).digits


def mutate(data: bytes, longest: int, seed: int, fallback: Callable[[bytes, int], bytes]) -> bytes:
    """Change cells, lines, separators and members, seldom single characters."""
    chance = random.Random(seed)
    if chance.random() < 0.15:
        return fallback(data, longest)
    text = data.decode("utf-8", "surrogateescape")
    if text.lstrip("\ufeff \n").startswith("{"):
        text = _mutate_json(text, chance)
    else:
        text = _mutate_csv(text, chance)
    return text.encode("utf-8", "surrogateescape")[:longest]


def _mutate_csv(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(lines))
        separator = max(",;\t|", key=lines[0].count)
        cells = lines[at].split(separator)
        place = chance.randrange(len(cells))
        match chance.randrange(9):
            case 0 | 1 | 2:
                cells[place] = _cell(chance, separator)
            case 3:
                cells.insert(place, _cell(chance, separator))
            case 4:
                del cells[place]
            case 5:
                other = chance.randrange(len(cells))
                cells[place], cells[other] = cells[other], cells[place]
            case 6:
                lines.insert(at, chance.choice(lines))
            case 7:
                lines = [line.replace(separator, chance.choice(",;\t|")) for line in lines]
                continue
            case _:
                cells[place] += chance.choice(('"', "\r", " ", "\ufeff", "\udce7", "\x00", "'"))
        lines[at] = separator.join(cells)
    return "\n".join(lines)


def _cell(chance: random.Random, separator: str) -> str:
    cell = chance.choice(_cells())
    if separator in cell or "\n" in cell or chance.random() < 0.2:
        return '"' + cell.replace('"', '""') + '"' if chance.random() < 0.9 else cell
    return cell


def _mutate_json(text: str, chance: random.Random) -> str:
    try:
        document: Any = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict) or chance.random() < 0.2:
        at = chance.randrange(len(text) + 1)
        return (
            text[:at]
            + chance.choice(('"', ",", "]", "}", "[", "{", "1", "null", ""))
            + text[at + 1 :]
        )
    stops = document.get("stops")
    if not isinstance(stops, list) or not stops:
        document["stops"] = stops = [{}]
    stop = chance.choice(stops)
    values: tuple[Any, ...] = (
        chance.choice(_cells()), [chance.choice(_cells()), chance.choice(_cells())], None, 5, 1.5,
        {"token": chance.choice(_cells()), "section": chance.randrange(6), "sections": 2},
        [{"token": chance.choice(_cells())}], {"lowCreditThreshold": 5}, True, [], {},
    )  # fmt: skip
    if isinstance(stop, dict):
        stop[chance.choice((*_COLUMNS, "tokens"))] = chance.choice(values)
    if chance.random() < 0.2:
        stops.append(chance.choice((stop, {}, 1)))
    return json.dumps(document, ensure_ascii=chance.random() < 0.5)


# --- seeds, words, defects ------------------------------------------------------------------------


def seeds() -> dict[str, bytes]:
    """Return routes in every form, with every cell in every column."""
    head = "meter,place,deliver,write,read,notes"
    credit = _credit(1)
    whole = f"{PAN},A,{credit},lowCreditThreshold=500,creditBalance;loadSwitch,x"
    found: dict[str, bytes] = {}
    for name, separator in (("comma", ","), ("semicolon", ";"), ("tab", "\t"), ("bar", "|")):
        for end in ("\n", "\r\n", "\r"):
            line = whole.replace("creditBalance;loadSwitch", '"creditBalance;loadSwitch"')
            text = end.join((head, line, "", line)).replace(",", separator)
            place = f"{name}-{end.encode().hex()}"
            found[place] = text.encode()
            found[f"{place}-mark"] = text.encode("utf-8-sig")
            found[f"{place}-utf16"] = text.encode("utf-16")
    for number, cell in enumerate(_cells()):
        quoted = '"' + cell.replace('"', '""') + '"'
        found[f"meter-{number}"] = f"{head}\n{quoted},A,{credit}\n".encode()
        found[f"deliver-{number}"] = f"meter,deliver,read\n{PAN},{quoted},KRN\n".encode()
        found[f"write-{number}"] = f"meter,write,read\n{PAN},{quoted},{quoted}\n".encode()
        found[f"plain-{number}"] = f"meter,notes,read\n{PAN},{cell},KRN\n".encode()
        stop = {"meter": PAN, "deliver": [cell], "write": [cell], "read": cell, "place": cell}
        found[f"json-{number}"] = json.dumps({"route": cell, "stops": [stop]}).encode()
    marked = [{"token": _section(n), "section": n, "sections": 2} for n in (1, 2)]
    two = json.dumps({"stops": [{"meter": PAN, "deliver": [*marked, credit]}, {"meter": PAN}]})
    found |= {f"head-{n}": f"{line}\n{PAN},KRN\n".encode() for n, line in enumerate(_HEADS)}
    for number, text in enumerate(_texts()):
        found[f"text-{number}"] = text.encode()
    return found | {
        "sep": f"sep=;\nmeter;deliver\n{PAN};{credit}\n".encode(),
        "twice": f"meter,deliver\n{PAN},{credit}\n{PAN},{credit}\n".encode(),
        "header-again": f"meter,read\n{PAN},KRN\nmeter,read\n{PAN},TI\n".encode(),
        "windows": f"meter,place,read\n{PAN},Concei\u00e7\u00e3o,KRN\n".encode("cp1252"),
        "old-end": f"meter,read\n{PAN},KRN\r\n\x1a".encode(),
        "empty": b"", "blank": b"\n,,\n", "head": head.encode(), "zip": b"PK\x03\x04",
        "swallowed": f'meter,read,notes\n{PAN},KRN,"a\n{PAN},KRN,\n{PAN},KRN,"b\n'.encode(),
        "json-two": two.encode(), "json-mark": two.encode("utf-8-sig"),
        "json-member-twice":
            f'{{"stops":[{{"meter":"{PAN}","deliver":"{credit}","deliver":[]}}]}}'.encode(),
        "json-number": f'{{"stops":[{{"meter":{PAN},"write":{{"a":1e5,"b":-1.50}}}}]}}'.encode(),
        "json-deep": ('{"stops":[' + "[" * 50 + "]" * 50 + "]}").encode(),
        "json-long-number": ('{"stops":[' + "1" * 5000 + "]}").encode(),
        "json-exponent": b'{"stops":[1e99999999999999999999]}',
        "json-broken": two[:-3].encode(), "json-more": (two + "x").encode(),
    }  # fmt: skip


_HEADS = ("meter,tokens", "meter,read,read", "place,read", "600727000000000009,A", "meter,x")


def _texts() -> Iterator[str]:
    """Yield routes with what a single cell does not show."""
    credit, other = _credit(1), _credit(2)
    change = [_section(n) for n in (1, 2, 3, 4)]
    marked = f'"1/2:{change[0]};2/2:{change[1]}"'
    meters = ("60072711111111115", "600727111111111154", "600727111111111000",
              "123456789012345678", "600727111111111153.0")  # fmt: skip
    for meter in meters:
        yield f"meter,read\n{meter},KRN\n"
    clear = TokenData.assemble(1, 5).digits
    maker = encode(InitiateMeterTest(1, 99), None).digits
    reserved = TokenData.assemble(1, _with_crc(7)).digits
    rounded = next(
        digits
        for number in itertools.count(5649315372536)
        if TokenData(int(digits := f"{number:015d}00000")).token_class == 0
    )
    tokens = (
        clear, maker, reserved, rounded, f"{change[0]};{change[1]}", f"3/2:{change[0]}",
        f"1/5:{change[0]}", f"1/2:{change[0]};1/3:{change[1]}", f"{credit};{credit}", f"1:{credit}",
        f"1/2:{change[0]};{credit};2/2:{change[1]}",
    )  # fmt: skip
    for token in tokens:
        yield f"meter,deliver\n{PAN},{token}\n"
    yield f"meter,deliver\n{PAN},{rounded}\n{PAN},{rounded}\n"
    yield f"meter,deliver\n{PAN},{credit}\n000001000000000082,{credit}\n"
    yield f'meter,deliver\n{PAN},{marked}\n{PAN},"1/2:{change[2]};2/2:{change[3]}"\n'
    yield f"meter,read\n{PAN},KRN,{other}\n,,\n,,\n{PAN}\n"
    yield f"meter,write\n{PAN},x=1;x=2\n"
    yield f"meter,read\n{PAN},KRN\nread,meter\nKRN,{PAN}\n"
    yield f'{{"stops": [{{"meter": "{PAN}", "reed": "x"}}]}}'
    yield f'{{"stops": [{{"meter": "{PAN}", "read": "x"}}], "more": 1}}'


def _with_crc(subclass: int) -> int:
    return Block.of(1, subclass, 5).block64


def words() -> tuple[bytes, ...]:
    """Return what means something in a route."""
    return tuple(
        word.encode()
        for word in (*_COLUMNS, *_cells(), "sep=;", '"stops"', '"route"', '"token"', '"section"',
                     '"sections"', "null", "\ufeff")
        if word.strip() and len(word) < 60
    )  # fmt: skip


def _lose_the_second() -> None:
    before = route_csv.listed  # type: ignore[attr-defined]
    route_csv.listed = lambda text: before(text)[:1]  # type: ignore[attr-defined]


def _change_a_digit() -> None:
    before = route_stop.digits_of  # type: ignore[attr-defined]

    def broken(text: str) -> str:
        digits: str = before(text)
        return digits[:-1] + "7" if len(digits) == 20 else digits

    route_stop.digits_of = broken  # type: ignore[attr-defined]


def _trust_check_digits() -> None:
    before = route_stop.wrong_meter  # type: ignore[attr-defined]

    def broken(line: int, meter: str) -> Any:
        return None if re.fullmatch("[0-9]{18}", meter) else before(line, meter)

    route_stop.wrong_meter = broken  # type: ignore[attr-defined]


def _take_class_3() -> None:
    before = route_numbers._impossible

    def broken(value: int, place: int) -> tuple[str, Said] | None:
        return None if value >> 27 & 3 == 3 else before(value, place)

    route_numbers._impossible = broken


def _take_quotes_anywhere() -> None:
    class Lenient:
        Error = csv.Error

        @staticmethod
        def reader(lines: Any, **settings: Any) -> Any:
            return csv.reader(lines, **(settings | {"strict": False}))

    route_csv.csv = Lenient  # type: ignore[assignment,attr-defined]


def _show_control_characters() -> None:
    route_stop.for_people = lambda *words: (words[-1], [])  # type: ignore[attr-defined]


def _show_tokens() -> None:
    route_row._without_token = lambda text: text


def _take_the_last_member() -> None:
    route_json._Pairs.twice = property(lambda _: ())  # type: ignore[assignment]


def _let_sections_be_missing() -> None:
    before = route_stop._wrong_set

    def broken(line: int, marked: Sequence[RouteToken]) -> Iterator[Finding]:
        return (found for found in before(line, marked) if found.kind != "set-missing")

    route_stop._wrong_set = broken


def _forget_errors() -> None:
    before = route_file.stop_of  # type: ignore[attr-defined]

    def broken(row: route_row.Row) -> Any:
        stop, found = before(row)
        return replace(stop, errors=()), found

    route_file.stop_of = broken  # type: ignore[attr-defined]


PLANTS: dict[str, Callable[[], None]] = {
    "the second token is lost": _lose_the_second,
    "a digit is changed": _change_a_digit,
    "check digits are trusted": _trust_check_digits,
    "class 3 is taken": _take_class_3,
    "quotes are taken anywhere": _take_quotes_anywhere,
    "control characters are shown": _show_control_characters,
    "tokens are shown": _show_tokens,
    "the last member counts": _take_the_last_member,
    "sections may be missing": _let_sections_be_missing,
    "errors are forgotten": _forget_errors,
}
