"""Opening routes: what CSV and JSON may look like, and what is refused as a whole."""

from __future__ import annotations

import csv
import gc
import hashlib
import io
import json
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.hhu.route.csv import LONGEST_LINE
from vtc07.hhu.route.facts import Route, RouteError, RouteToken, Stop
from vtc07.hhu.route.file import open_route
from vtc07.hhu.route.json import LONGEST_STOP
from vtc07.tokens import DRN, MeterPAN, MfrCode, TokenData

PAN = "600727000000000009"
DRN_OF_PAN = "00000000000"
OTHER = "600727111111111153"
LONG = MeterPAN.from_drn(DRN.of(MfrCode("1234"), "00000042"))
TOKEN = "56493153725450313471"
SET = tuple(TokenData.assemble(2, 0x0123456789ABCDEF * n & (1 << 64) - 1).digits for n in (3, 5))


def written(tmp_path: Path, text: str | bytes, name: str = "monday.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def opened(tmp_path: Path, text: str | bytes, name: str = "monday.csv") -> Route:
    return open_route(written(tmp_path, text, name))


def only_stop(tmp_path: Path, text: str | bytes, name: str = "monday.csv") -> Stop:
    (stop,) = opened(tmp_path, text, name).stops()
    return stop


def in_json(tmp_path: Path, *stops: Any, **members: Any) -> Route:
    return opened(tmp_path, json.dumps({**members, "stops": stops}), "monday.json")


# --- what a route is ----------------------------------------------------------------


def test_a_csv_route_is_opened(tmp_path: Path) -> None:
    text = (
        "meter,place,deliver,write,read,notes\n"
        f'{OTHER},"12, Mill Lane",5649 3153 7254 5031 3471,lowCreditThreshold=500,'
        "creditBalance;loadSwitch,dog\n"
    )
    route = opened(tmp_path, text)
    assert (route.name, route.size, route.faulty) == ("monday", 1, 0)
    assert route.digest == hashlib.sha256(text.encode()).hexdigest()
    (stop,) = route.stops()
    assert stop == Stop(
        2,
        OTHER,
        "12, Mill Lane",
        (RouteToken(TOKEN),),
        ("lowCreditThreshold=500",),
        ("creditBalance", "loadSwitch"),
        "dog",
    )
    assert route.stops_of(OTHER) == (stop,)
    assert route.stops_of(PAN) == ()


def test_a_json_route_is_opened(tmp_path: Path) -> None:
    route = in_json(
        tmp_path,
        {"meter": PAN, "read": ["creditBalance"], "place": None},
        {
            "meter": DRN_OF_PAN,
            "deliver": [{"token": SET[0], "section": 1, "sections": 2}, f"2/2: {SET[1]}", TOKEN],
            "write": {"lowCreditThreshold": 500, "installationReference": "A;1"},
            "notes": "dog",
        },
        {"meter": PAN, "write": ["x=1;2", " y=3 "], "read": "a; b", "deliver": TOKEN},
        route="North",
    )
    assert (route.name, route.size, route.faulty) == ("North", 3, 0)
    first, second, third = route.stops()
    assert [stop.line for stop in route.stops()] == [1, 2, 3]
    assert first == Stop(1, PAN, read=("creditBalance",))
    assert second.deliver == (
        RouteToken(SET[0], 1, 2), RouteToken(SET[1], 2, 2), RouteToken(TOKEN),
    )  # fmt: skip
    assert second.write == ("lowCreditThreshold=500", "installationReference=A;1")
    assert third.write == ("x=1;2", "y=3")
    assert (third.read, third.deliver) == (("a", "b"), (RouteToken(TOKEN),))


def test_a_json_route_without_a_name_has_that_of_its_file(tmp_path: Path) -> None:
    assert in_json(tmp_path, {"meter": PAN}).name == "monday"
    assert in_json(tmp_path, {"meter": PAN}, route=" \n").name == "monday"


def test_a_token_is_not_in_the_repr_of_a_stop(tmp_path: Path) -> None:
    assert TOKEN not in repr(only_stop(tmp_path, f"meter,deliver\n{PAN},{TOKEN}\n"))


def test_a_meter_is_found_by_meterpan_and_by_drn(tmp_path: Path) -> None:
    lines = [
        "meter,read",
        f"{PAN},a",
        f"{DRN_OF_PAN},b",
        f"{LONG.drn},c",
        f"{LONG},d",
        f"{OTHER},e",
    ]
    route = opened(tmp_path, "\n".join(lines))
    assert [stop.read for stop in route.stops_of(PAN)] == [("a",), ("b",)]
    assert [stop.read for stop in route.stops_of(LONG.digits)] == [("c",), ("d",)]
    assert [stop.line for stop in route.stops_of(OTHER)] == [6]
    assert route.stops_of("600727999999999990") == ()
    assert route.stops_of(LONG.drn.digits) == route.stops_of(LONG.digits)
    assert route.stops_of("0000 1234 0000 0042 63") == route.stops_of(LONG.digits)


# --- the ways a CSV file arrives ----------------------------------------------------

CELLS = [OTHER, "12, Mill; Lane", f"{TOKEN};01234567891000000000", "x=1", "a;b", 'a "dog"']


def as_csv(separator: str, end: str) -> str:
    text = io.StringIO()
    rows = csv.writer(text, delimiter=separator, lineterminator=end)
    rows.writerow(["meter", "place", "deliver", "write", "read", "notes"])
    rows.writerow(CELLS)
    return text.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_every_way_to_write_csv_is_read(
    tmp_path: Path, separator: str, end: str, encoding: str
) -> None:
    text = as_csv(separator, end)
    data = (
        b"\xff\xfe" + text.encode("utf-16-le")
        if encoding == "utf-16-le-mark"
        else text.encode(encoding)
    )
    stop = only_stop(tmp_path, data)
    assert (stop.line, stop.meter, stop.errors) == (2, OTHER, ())
    assert stop.place == CELLS[1]
    assert [token.digits for token in stop.deliver] == CELLS[2].split(";")
    assert (stop.write, stop.read, stop.notes) == (("x=1",), ("a", "b"), 'a "dog"')


@pytest.mark.parametrize("said", ["sep=;", '"sep=;"', "SEP=;", "sep=;;;", "\ufeffsep=;"])
def test_a_line_that_names_the_separator_is_understood(tmp_path: Path, said: str) -> None:
    stop = only_stop(tmp_path, f"{said}\r\nmeter;place\r\n{PAN};A, B\r\n")
    assert (stop.line, stop.meter, stop.place) == (3, PAN, "A, B")


@pytest.mark.parametrize(
    "header",
    ["notes,METER , Place,", '"notes","meter","place"', " notes, meter, place,,"],
)
def test_columns_come_in_any_order_and_any_case(tmp_path: Path, header: str) -> None:
    stop = only_stop(tmp_path, f"{header}\ndog,{PAN},A\n")
    assert (stop.meter, stop.place, stop.notes) == (PAN, "A", "dog")


@pytest.mark.parametrize(
    "meter",
    [
        "6007 2700 0000 0000 09", "600727-000000-000009", "'600727000000000009",
        " 600727000000000009 ",
        '="600727000000000009"', '"=""600727000000000009"""', "6007\u00a02700\u202f0000 0000 09",
        "600727\u2011000000\u2011000009", "\u200b600727000000000009\ufeff", DRN_OF_PAN,
        "'00000000000", "'600727000000000009'",
    ],
)  # fmt: skip
def test_a_meter_number_in_the_clothes_of_other_programs(tmp_path: Path, meter: str) -> None:
    route = opened(tmp_path, f"meter,read\n{meter},a\n")
    (stop,) = route.stops_of(PAN)
    assert stop.meter in (PAN, DRN_OF_PAN)


@pytest.mark.parametrize(
    "cell",
    [
        "5649 3153 7254 5031 3471", "5649-3153-7254-5031-3471", f"'{TOKEN}", f'="{TOKEN}"',
        f" {TOKEN} ; ", f'";{TOKEN};;"', "5649\u00a03153\u00a07254\u00a05031\u00a03471",
        f'"{TOKEN}\n"', f'"\r\n{TOKEN}\r\n\r\n"',
    ],
)  # fmt: skip
def test_a_token_in_the_clothes_of_other_programs(tmp_path: Path, cell: str) -> None:
    stop = only_stop(tmp_path, f"meter|deliver\n{PAN}|{cell}\n")
    assert stop.deliver == (RouteToken(TOKEN),)
    assert stop.errors == ()


def test_a_token_with_spaces_of_windows_1252(tmp_path: Path) -> None:
    token = "5649 3153 7254 5031 3471".replace(" ", "\u00a0").encode("cp1252")
    stop = only_stop(tmp_path, f"meter,deliver\n{PAN},".encode() + token)
    assert stop.deliver == (RouteToken(TOKEN),)


def test_a_utf_16_file_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    stop = only_stop(tmp_path, f"meter,read,notes\n{PAN},a,x".encode("utf-16")[:-1])
    assert (stop.meter, stop.notes) == (PAN, "\ufffd")


def test_sections_of_a_key_change_are_marked(tmp_path: Path) -> None:
    for cell in (f"1/2:{SET[0]};2/2:{SET[1]}", f'"1/2: {SET[0]}\n 2 / 2 : {SET[1]}"'):
        stop = only_stop(tmp_path, f"meter,deliver\n{PAN},{cell}\n")
        assert stop.deliver == (RouteToken(SET[0], 1, 2), RouteToken(SET[1], 2, 2))
        assert stop.errors == ()


def test_windows_1252_in_a_place_is_shown_as_it_was_meant(tmp_path: Path) -> None:
    stop = only_stop(tmp_path, f"meter,place,read\n{PAN},Conceição,a\n".encode("cp1252"))
    assert stop.place == "Conceição"
    assert stop.errors == ()


def test_nothing_of_a_file_moves_the_cursor_of_a_terminal(tmp_path: Path) -> None:
    place = "A\x1b]0;owned\x07\x9b2J\u202eB\tC"
    stop = only_stop(tmp_path, f'meter,place,notes,read\n{PAN},"{place}","two\r\nlines",a\n')
    assert stop.place == "A\ufffd]0;owned\ufffd\ufffd2J\ufffdB C"
    assert stop.notes == "two lines"


def test_a_space_may_stand_before_a_quote(tmp_path: Path) -> None:
    stop = only_stop(tmp_path, f'meter, place, read\n{PAN}, "12, Mill Lane", "a; b"\n')
    assert (stop.place, stop.read, stop.errors) == ("12, Mill Lane", ("a", "b"), ())


def test_a_value_in_a_column_without_a_name_is_an_error(tmp_path: Path) -> None:
    route = opened(tmp_path, f"meter,,read\n{PAN},,a\n{PAN},x,a\n{PAN},,a,\n{PAN},,a,x\n")
    assert [bool(stop.errors) for stop in route.stops()] == [False, True, False, True]


def test_lines_are_those_of_an_editor(tmp_path: Path) -> None:
    text = f'\n\nmeter,place,read\n\n{PAN},"one\ntwo\nthree",a\n,,\n{OTHER},,a\n'
    route = opened(tmp_path, text)
    assert [stop.line for stop in route.stops()] == [5, 9]
    assert route.size == 2


def test_the_header_once_more_is_no_stop(tmp_path: Path) -> None:
    text = f"meter,read\n{PAN},a\n\ufeffmeter,read\n{OTHER},a\n"
    assert [stop.line for stop in opened(tmp_path, text).stops()] == [2, 4]


@pytest.mark.parametrize("end", ["\x1a", "\r\n\x1a", "\n\x1a\x1a"])
def test_the_mark_of_old_systems_for_the_end_is_no_stop(tmp_path: Path, end: str) -> None:
    assert only_stop(tmp_path, f"meter,read\n{PAN},KRN{end}").read == ("KRN",)


def test_what_is_missing_at_the_end_of_a_line_is_empty(tmp_path: Path) -> None:
    stop = only_stop(tmp_path, f"meter,place,read,notes\n{PAN},A\n")
    assert (stop.place, stop.read, stop.notes) == ("A", (), "")


# --- what is no route at all --------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is nothing in it"),
        ("\n,,\n", "there is nothing in it"),
        ("meter,place\n", "there is no stop in it; write a line for each meter"),
        ("meter,place\n,\n\n", "there is no stop in it"),
        ("600727000000000009,A\n", "line 1: the first line does not name the columns"),
        ("Route of Monday\nmeter,place\n", "line 1: the first line does not name the columns"),
        ("meter,tokens\n", "line 1: there is no column 'tokens'; did you mean deliver?"),
        ("MeterPAN,Token\n", "line 1: there is no column 'MeterPAN'; did you mean meter?"),
        ("\nmeter,plaec\n", "line 2: there is no column 'plaec'; did you mean place?"),
        ("meter,x\n", "no column 'x'; there are meter, place, deliver, write, read, notes"),
        ("place,read\n", "there is no column meter"),
        ("meter,read,read\n", "the column read stands there twice"),
        (b"PK\x03\x04...", "a spreadsheet program's own file, no route; save it as 'CSV UTF-8'"),
        (b"\xd0\xcf\x11\xe0", "it is a spreadsheet program's own file"),
        (b"\xef\xbb\xbf<html>", "it is a page of HTML or XML"),
        (b"m\0e\0t\0e\0r\0", "it is no text, or one of another encoding"),
        ("meter,read\n" + "1" * LONGEST_LINE, "line 2: this line has more than 100000 characters"),
        ('meter,read\n1,"a\n2,b\n', 'line 2: a quote (") is not closed'),
        (f'meter,place\n{PAN},"a" b\n', 'line 2: a quote (") in this line is not where one may be'),
        (f'meter,place\n{PAN},"12" pipe\n{PAN},x\n', "line 2: a quote"),
        (f"meter,read\n{PAN},a\nread,meter\n", "line 3: the columns are named once more"),
        ("{", "it is not JSON"),
        ("[]", "it is no object"),
        ("{}", "there are no stops in it"),
        ('{"stops": {}}', "the member stops is no list"),
        ('{"stops": []}', "there is no stop in it"),
        ('{"stops": [{}], "stops": []}', "the member 'stops' stands there twice"),
        ('{"stop": []}', "there is no member 'stop' of a route"),
        ('{"route": 1, "stops": []}', "the member route is no text"),
        ('{"stops": [{"meter": "1"}, {"meter": "2"', "look at stop 2 and behind it"),
        ('{"stops": [{"meter": "1"}]} x', "it is not JSON"),
        ('{"stops": [{"meter": ' + "[" * 100 + "]" * 100 + "}]}", "lists within lists"),
        ('{"stops": [{"meter": "' + "x" * 3 * LONGEST_STOP, "more than 1000000 characters"),
        (b'{"stops": [{"place": "\xe7"}]}', "it is not JSON"),
        ('{"stops": [{"place": 1e99999999999999999999}]}', "it is not JSON"),
        ('{"stops": [{"meter": ' + "1" * 5000 + "}]}", "a number in it has hundreds of digits"),
    ],
)  # fmt: skip
def test_what_is_no_route_is_refused_in_a_sentence(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    with pytest.raises(RouteError) as refused:
        opened(tmp_path, text)
    assert said in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "monday.csv"))
    assert len(str(refused.value)) < 400


def test_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RouteError, match="no file that can be read more than once"):
        open_route(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_route(tmp_path / "none.csv")


def test_a_utf_8_mark_in_front_of_json_is_left_out(tmp_path: Path) -> None:
    route = opened(tmp_path, b'\xef\xbb\xbf {"stops": [{"meter": "1"}]}', "a.json")
    assert route.size == 1


# --- stops that are wrong by themselves ---------------------------------------------


def test_a_stop_with_an_error_does_not_stop_the_others(tmp_path: Path) -> None:
    route = opened(tmp_path, f"meter,deliver\n{PAN},{TOKEN[:-1]}\n{OTHER},{TOKEN}\n")
    assert (route.size, route.faulty) == (2, 1)
    bad, good = route.stops()
    (wrong,) = map(str, bad.errors)
    assert wrong == (
        "token 1 has 19 digits, and a token has 20; a digit was left out, or a program took zeros "
        "at the front away: compare every digit, and import the column as text"
    )
    assert route.stops_of(OTHER) == (good,)
    with pytest.raises(RouteError, match=r"line 2: token 1 has 19 digits.*mend the route"):
        route.stops_of(PAN)


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        ("x", "stop is of another kind than it may be; write an object"),
        ({"meter": 600727000000000009}, "it in quotes: programs keep 15 digits of a number"),
        ({"meter": PAN, "deliver": [56493153725450313471]}, "each token in quotes"),
        ({"meter": PAN, "deliver": [{"token": TOKEN, "section": 1}]}, "give both, as 2 and 4"),
        ({"meter": PAN, "deliver": [{"token": TOKEN, "section": "1", "sections": 2}]},
         "section and sections as numbers"),
        ({"meter": PAN, "deliver": [{"token": TOKEN, "section": 100, "sections": 2}]},
         "section and sections as numbers"),
        ({"meter": PAN, "deliver": [{"section": 1, "sections": 2}]}, "its 20 digits in quotes"),
        ({"meter": PAN, "deliver": [{"token": TOKEN, "sectoin": 1}]}, "no member 'sectoin'"),
        ({"meter": PAN, "deliver": [{"token": f"1/2:{SET[0]}", "section": 1, "sections": 2}]},
         "token 1 is marked twice"),
        ({"meter": PAN, "tokens": [TOKEN]}, "no member 'tokens' of a stop; did you mean deliver?"),
        ({"meter": PAN, "read": [1]}, "a list of texts in quotes"),
        ({"meter": PAN, "write": {"x": True}}, "a text or a number"),
        ({"meter": PAN, "write": {"x=": "1"}}, "no register's name"),
        ({"meter": PAN, "place": {}}, "place is of another kind"),
        ({}, "there is no meter number; fill in meter"),
    ],
)  # fmt: skip
def test_a_stop_in_json_is_judged_by_itself(tmp_path: Path, stop: Any, said: str) -> None:
    route = in_json(tmp_path, stop, {"meter": OTHER, "read": ["a"]})
    assert route.faulty == 1
    assert said in " / ".join(map(str, next(route.stops()).errors))


def test_a_member_that_stands_twice_is_an_error_and_no_token_is_lost_silently(
    tmp_path: Path,
) -> None:
    text = f'{{"stops": [{{"meter": "{PAN}", "deliver": "{TOKEN}", "deliver": []}}]}}'
    route = opened(tmp_path, text, "a.json")
    assert route.faulty == 1
    assert "the member 'deliver' stands there twice" in str(next(route.stops()).errors[0])


def test_numbers_of_json_are_exact_values_of_registers(tmp_path: Path) -> None:
    text = f'{{"stops": [{{"meter": "{PAN}", "write": {{"a": 12.50, "b": -3, "c": "0.1"}}}}]}}'
    stop = only_stop(tmp_path, text, "a.json")
    assert stop.write == (f"a={Decimal('12.50')}", "b=-3", "c=0.1")


# --- a file that changes, and large ones --------------------------------------------


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    route = opened(tmp_path, f"meter,read\n{PAN},creditBalance\n")
    for changed in (f"meter,read\n{PAN},loadSwitch\n", "", f'meter,read\n{PAN},"a'):
        written(tmp_path, changed)
        with pytest.raises(RouteError, match="was changed while it was in use"):
            next(route.stops())
        with pytest.raises(RouteError, match="was changed while it was in use"):
            route.stops_of(PAN)


def test_a_file_that_changes_while_its_stops_are_taken_is_noticed(tmp_path: Path) -> None:
    lines = "".join(f"{PAN},creditBalance\n" for _ in range(20_000))
    route = opened(tmp_path, f"meter,read\n{lines}")
    stops = route.stops()
    next(stops)
    with (tmp_path / "monday.csv").open("a") as file:
        file.write(f"{OTHER},creditBalance\n")
    with pytest.raises(RouteError, match="was changed while it was in use"):
        list(stops)


def test_a_file_may_be_longer_than_a_stop_may_be(tmp_path: Path) -> None:
    stops = [{"meter": PAN, "notes": "x" * 1_000} for _ in range(1_500)]
    assert in_json(tmp_path, *stops).size == 1_500
    path = tmp_path / "monday.json"
    assert path.stat().st_size > LONGEST_STOP


def pan_of(number: int) -> str:
    return MeterPAN.from_drn(DRN.of(MfrCode("11"), f"{number:08d}")).digits


def route_of(tmp_path: Path, stops: int, kind: str) -> Path:
    if kind == "csv":
        lines = (f"{pan_of(n)},Mill Lane {n},{TOKEN},a=1,b;c,\n" for n in range(stops))
        return written(tmp_path, "meter,place,deliver,write,read,notes\n" + "".join(lines))
    document = {"stops": [{"meter": pan_of(n), "deliver": [TOKEN]} for n in range(stops)]}
    return written(tmp_path, json.dumps(document), "monday.json")


def most_memory(path: Path, wanted: str) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        route = open_route(path)
        assert sum(1 for _ in route.stops()) == route.size
        assert len(route.stops_of(wanted)) == 1
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_long_route_takes_no_more_memory_than_a_short_one(tmp_path: Path, kind: str) -> None:
    pan = pan_of(7)
    most_memory(route_of(tmp_path, 10, kind), pan)  # what is kept once: tables of constants
    short = most_memory(route_of(tmp_path, 1_000, kind), pan)
    long = most_memory(route_of(tmp_path, 4_000, kind), pan)
    assert long < 1.2 * short


# --- any file -----------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(
            st.sampled_from([PAN, OTHER, LONG.digits, LONG.drn.digits]),
            st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=20),
            st.lists(st.integers(0, (1 << 64) - 1), max_size=3, unique=True),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    stops: list[tuple[str, str, list[int]]],
    separator: str,
    end: str,
) -> None:
    folder = tmp_path_factory.mktemp("route")
    tokens = [[TokenData.assemble(0, number).digits for number in s[2]] for s in stops]
    text = io.StringIO()
    rows = csv.writer(text, delimiter=separator, lineterminator=end)
    rows.writerow(["meter", "place", "deliver"])
    for (meter, place, _), each in zip(stops, tokens, strict=True):
        rows.writerow([meter, place, ";".join(each)])
    document = {
        "stops": [
            {"meter": meter, "place": place, "deliver": each}
            for (meter, place, _), each in zip(stops, tokens, strict=True)
        ]
    }
    for route in (
        opened(folder, text.getvalue()),
        opened(folder, json.dumps(document, ensure_ascii=False), "monday.json"),
    ):
        found = list(route.stops())
        assert [stop.meter for stop in found] == [meter for meter, _, _ in stops]
        assert [stop.place for stop in found] == [" ".join(place.split()) for _, place, _ in stops]
        assert [[t.digits for t in stop.deliver] for stop in found] == tokens
        assert route.faulty == 0
