"""What a check of a route finds: each kind of trouble, where it is and what is said of it."""

from __future__ import annotations

import gc
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion_file import load_companion
from vtc07.hhu.route import check as route_check
from vtc07.hhu.route.check import RouteCheck
from vtc07.hhu.route.facts import RouteError
from vtc07.hhu.route.file import open_route
from vtc07.hhu.route.findings import Finding, Severity
from vtc07.hhu.texts import names_in
from vtc07.tokens import (
    DRN,
    EA,
    KEN,
    KRN,
    KT,
    MAXIMUM_TOKENDATA,
    SGC,
    TI,
    BaseDate,
    DecoderKey,
    InitiateMeterTest,
    KeyAttributes,
    MeterPAN,
    MfrCode,
    Service,
    TokenData,
    TransferCredit,
    encode,
    key_change_set,
)

PAN = "600727000000000009"
OTHER = "600727111111111153"
LONG = MeterPAN.from_drn(DRN.of(MfrCode("1234"), "00000042")).digits
KEY = DecoderKey(EA.MISTY1, bytes(range(16)))
NEW = DecoderKey(EA.MISTY1, bytes(range(1, 17)))
OLD_KEY = DecoderKey(EA.STA, bytes(range(8)))
OLD_NEW = DecoderKey(EA.STA, bytes(range(1, 9)))
ATTRIBUTES = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
FOUR = tuple(t.digits for t in key_change_set(KEY, NEW, ATTRIBUTES, ro=False))
TWO = tuple(t.digits for t in key_change_set(OLD_KEY, OLD_NEW, ATTRIBUTES, ro=False))
THREE = tuple(
    t.digits for t in key_change_set(OLD_NEW, OLD_KEY, ATTRIBUTES, ro=False, three_kct=True)
)
TEST_ALL = encode(InitiateMeterTest(1, 0, four_digit_mfr_code=False), None).digits
TEST_11 = encode(InitiateMeterTest(1, 11, four_digit_mfr_code=False), None).digits
TEST_1234 = encode(InitiateMeterTest(1, 1234, four_digit_mfr_code=True), None).digits


def credit(number: int) -> str:
    return encode(TransferCredit(Service.ELECTRICITY, 5, 6_000_000 + number, 100), KEY).digits


ONE, ANOTHER = credit(1), credit(2)


def marked(tokens: tuple[str, ...], *places: int) -> str:
    places = places or tuple(range(1, len(tokens) + 1))
    return ";".join(f"{place}/{len(tokens)}:{tokens[place - 1]}" for place in places)


def check(
    tmp_path: Path, text: str | bytes, *companions: str, name: str = "monday.csv"
) -> tuple[RouteCheck, list[Finding]]:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    checking = RouteCheck(path, [load_companion(each) for each in companions])
    return checking, list(checking.findings())


def told(found: list[Finding]) -> list[tuple[int, str, str]]:
    return [(each.line, each.severity.value, each.kind) for each in found]


def of_stop(tmp_path: Path, column: str, cell: str, *companions: str, meter: str = PAN) -> str:
    """What is said of one stop with one task, with everything on one line."""
    _, found = check(tmp_path, f'meter,{column}\n{meter},"{cell}"\n', *companions)
    return " | ".join(f"{each.severity.value} {each.kind}: {each.said}" for each in found)


def test_a_good_route_has_nothing_to_be_told(tmp_path: Path) -> None:
    text = (
        "meter,place,deliver,write,read,notes\n"
        f"{PAN},A,{marked(FOUR)};{ONE},lowCreditThreshold=500,creditBalance;0010-001A,x\n"
        f"{OTHER},B,{marked(TWO)},,tokenLog,\n"
        f"{LONG},C,{marked(THREE)};{TEST_ALL};{TEST_1234},installationReference=A,loadSwitch,\n"
    )
    checking, found = check(tmp_path, text, "electricity")
    assert found == []
    counts = checking.counts
    assert (counts.stops, counts.meters, counts.tokens) == (3, 3, 12)
    assert (counts.key_changes, counts.writes, counts.reads) == (3, 2, 4)
    assert set(counts.found.values()) == {0}
    route = open_route(tmp_path / "monday.csv")
    assert (checking.name, checking.digest) == (route.name, route.digest)
    assert route.faulty == 0


# --- one stop ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("meter", "said"),
    [
        ("600727111111111154", "meter-check-digit: the check digits of meter 600727111111111154"),
        ("11111111116", "meter-check-digit: the check digits of meter 11111111116 are wrong"),
        ("600727111111111000", "meter-rounded: meter 600727111111111000 ends in 000"),
        ("123456789012345678", "meter-issuer: meter 123456789012345678 does not begin as"),
        ("6.00727E+17", "meter-spoiled: meter is 6.00727E+17, written with an exponent"),
        ("6,00727E+17", "meter-spoiled: meter is 6,00727E+17, written with an exponent"),
        ("6E17", "meter-spoiled"),
        ("600727111111111153.0", "meter-spoiled: meter is written with a point or comma"),
        ("600.727.111.111.111.153", "meter-spoiled: meter is written with a point or comma"),
        ("60072711111111115", "meter-length: meter 60072711111111115 has 17 digits"),
        ("0", "meter-zeros: meter 0 has 1 digit, and"),
        (LONG[4:], f"meter-zeros: meter {LONG[4:]} has 14 digits"),
        (LONG[4:], f"it may be {LONG}, whose zeros at the front a program took away"),
        (LONG, ""),
        ("kitchen", "meter-characters: 'kitchen' is not a meter number"),
        ("\u0666" * 18, "meter-characters"),
        ("", "no-meter: there is no meter number"),
    ],
)
def test_a_meter_number_that_is_none(tmp_path: Path, meter: str, said: str) -> None:
    text = of_stop(tmp_path, "read", "creditBalance", meter=f'"{meter}"')
    assert said in text
    assert text.startswith("error meter-" if meter else "error no-meter") or not said
    assert bool(text) == bool(said)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (ONE[:-1], "error token-length: token 1 has 19 digits, and a token has 20"),
        (f"{ANOTHER}; {ONE[:15]}", "error token-length: token 2 has 15 digits"),
        (ONE + ANOTHER, "these are several tokens: write ';' between them"),
        (ONE + "1", "error token-length: token 1 has 21 digits"),
        (f"{ONE}, {ANOTHER}", "error token-separator: token 1 holds something between digits"),
        (f"{ONE}|{ANOTHER}", "error token-separator"),
        (TEST_ALL.lstrip("0"), "with zeros at the front it is a token of class 1"),
        ("5.64932E+19", "error token-spoiled: token 1 is 5.64932E+19, written with an exponent"),
        (f"{ONE}.0", "error token-spoiled: token 1 is written with a point or comma"),
        ("nan", "error token-characters: token 1 is 'nan', which is none; leave the cell empty"),
        ("0", "error token-characters: token 1 is '0', which is none"),
        ("later", "error token-characters: token 1 holds something else than digits"),
        ("\uff11" * 20, "error token-characters"),
        (f"1-4:{ONE}", "error token-mark: token 1 is not marked as one of a key change is"),
        (f"KCT1/4: {ONE}", "error token-mark"),
        (str(MAXIMUM_TOKENDATA + 1), "error token-range: token 1 (...6464) is larger than 66"),
        (TokenData.assemble(3, 5).digits, "error token-class: token 1 (...3189) is of class 3"),
        (TokenData.assemble(1, 5).digits, "error token-crc: token 1 (...7733) is of class 1"),
        (TEST_11, "error token-maker: token 1 (...5191) is for meters of maker 11, and this one"),
        ("56493153720366800000", "warning token-rounded: token 1 ends in five zeros"),
        ("12345678901234500000", "error token-rounded: token 1 (...0000) is of class 1, in clear"),
        ("73786976294838300000", "it ends in five zeros; a program took it for a quantity"),
        (f"{ONE};{ANOTHER};{ONE}", f"error token-twice: token ...{ONE[-4:]} stands there 2 times"),
    ],
)
def test_a_token_that_is_none_or_doubtful(tmp_path: Path, cell: str, said: str) -> None:
    text = of_stop(tmp_path, "deliver", cell)
    assert said in text
    assert ONE not in text
    assert "|" not in text.replace("| warning set", ""), "one thing is said once"


def test_a_token_for_its_maker_is_good(tmp_path: Path) -> None:
    made_by_11 = MeterPAN.from_drn(DRN.of(MfrCode("11"), "00000042")).digits
    assert of_stop(tmp_path, "deliver", TEST_11, meter=made_by_11) == ""
    assert of_stop(tmp_path, "deliver", TEST_1234, meter=LONG) == ""
    assert "maker 1234" in of_stop(tmp_path, "deliver", TEST_1234, meter=made_by_11)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (marked(FOUR, 1, 2, 4), "error set-missing: token 3 of the key change of 4 is missing"),
        (marked(FOUR, 2), "error set-missing: token 1, 3, 4 of the key change of 4 is missing"),
        (marked(THREE, 1, 2), "error set-missing: token 3 of the key change of 3 is missing"),
        (marked(TWO, 1), "error set-missing: token 2 of the key change of 2 is missing"),
        (f"{marked(FOUR)};2/4:{TWO[0]}", "error set-twice: token 2 of the key change of 4 stands"),
        (f"{marked(TWO)};1/2:{FOUR[0]};2/2:{FOUR[1]}", "error set-twice: token 1, 2 of the key"),
        (
            f"{marked(TWO)};{marked(FOUR)}",
            "error set-counts: its key change is marked as one of 2,",
        ),
        (f"1/5:{TWO[0]}", "error set-size: a key change of 5 tokens is marked"),
        (f"1/1:{TWO[0]}", "error set-size: a key change of 1 tokens is marked"),
        (f"{marked(TWO)};3/2:{FOUR[0]}", "error set-place: token 3 of a key change of 2 is marked"),
        (f"{marked(TWO)};0/2:{FOUR[0]}", "error set-place: token 0 of a key change of 2 is marked"),
        (f"1/2:{TWO[0]};2/2:{ONE}", f"(...{ONE[-4:]}) is of class 0, not 2"),
        (marked(FOUR, 4, 2, 1, 3), "note set-order: the tokens of the key change are not in their"),
        (f"1/2:{TWO[0]};{ONE};2/2:{TWO[1]}", "warning set-interrupted: another token stands"),
        (";".join(TWO), "warning set-unmarked: 2 tokens of class 2 are not marked"),
    ],
)
def test_a_key_change_that_is_not_whole(tmp_path: Path, cell: str, said: str) -> None:
    text = of_stop(tmp_path, "deliver", cell)
    assert said in text
    assert text.count(" set-") == 1


def test_a_mistyped_section_is_told_as_such_and_as_missing(tmp_path: Path) -> None:
    text = of_stop(tmp_path, "deliver", f"1/2:{TWO[0]};2/2:{TWO[1][:-1]}")
    assert "error token-length: token 2 has 19 digits" in text
    assert "error set-missing: token 2 of the key change of 2 is missing or wrong" in text


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("write", "lowCreditThreshold", "error write-form: 'lowCreditThreshold' names no register"),
        ("write", "=5", "error write-form"),
        ("write", "installationReference=Conceição", "error write-characters"),
        ("write", "lowCreditThreshold=1;LOWcreditThreshold=2", "warning write-twice"),
        ("write", "lowCreditThreshold=abc", "error write-register: lowCreditThreshold cannot be"),
        ("write", "lowCreditThreshold=99999999999", "error write-register: lowCreditThreshold"),
        ("write", "creditBalance=5", "creditBalance of companion electricity cannot be written"),
        ("write", "tokenEntry=5", "error write-register: tokenEntry takes tokens"),
        ("read", "creditBalnce", "error read-register: no register 'creditBalnce' in companion"),
        ("read", "tokenEntry", "error read-register: tokenEntry (000F) cannot be read"),
        ("read", "creditBalance, loadSwitch", "error read-register: no register 'creditBalance,"),
        ("read", "001A-0010", "error read-register: the range '001A-0010' ends before it begins"),
    ],
)
def test_a_register_that_is_none(tmp_path: Path, column: str, cell: str, said: str) -> None:
    text = of_stop(tmp_path, column, cell, "electricity")
    assert said in text
    assert "|" not in text


def test_registers_of_several_companions_are_known(tmp_path: Path) -> None:
    assert "flowRate" in of_stop(tmp_path, "read", "flowRate", "electricity")
    assert of_stop(tmp_path, "read", "flowRate;activePower", "electricity", "water") == ""


def test_without_a_companion_unknown_registers_are_warnings(tmp_path: Path) -> None:
    assert of_stop(tmp_path, "read", "flowRate;activePower") == ""
    text = of_stop(tmp_path, "read", "creditBalnce")
    assert text.startswith("warning read-register: no shipped companion takes it: no register")
    assert open_route(tmp_path / "monday.csv").faulty == 0


# --- several stops ----------------------------------------------------------------------------


def test_a_meter_that_stands_twice_is_told_whatever_number_is_used(tmp_path: Path) -> None:
    text = f"meter,read\n{PAN},creditBalance\n{OTHER},KRN\n00000000000,KRN\n{PAN},KRN\n"
    checking, found = check(tmp_path, text)
    assert told(found) == [(4, "warning", "meter-twice"), (5, "warning", "meter-twice")]
    assert str(found[0].what) == "meter 00000000000 is in line 2 already"
    assert checking.counts.meters == 2


def test_a_token_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    grouped = " ".join(ONE[at : at + 4] for at in range(0, 20, 4))
    text = f"meter,deliver\n{PAN},{ONE}\n{OTHER},{ANOTHER};{grouped}\n00000000000,{ONE}\n"
    _, found = check(tmp_path, text)
    assert told(found) == [
        (3, "error", "token-elsewhere"),
        (4, "warning", "meter-twice"),
        (4, "error", "token-again"),
    ]
    assert f"token ...{ONE[-4:]} is in line 2 already, for another meter" in str(found[0].said)


def test_two_key_changes_for_one_meter_are_an_error(tmp_path: Path) -> None:
    text = f"meter,deliver\n{PAN},{ONE}\n{PAN},{marked(TWO)}\n{PAN},{marked(FOUR)}\n"
    _, found = check(tmp_path, text)
    assert (4, "error", "set-again") in told(found)
    assert "for this meter in line 3 already" in str(found[-1].what)


def test_a_column_that_was_rounded_is_told_as_a_whole(tmp_path: Path) -> None:
    rounded = ["56493153720366800000", "12345678901234500000", "12345678901234700000"]
    lines = "".join(f"{PAN},{token}\n" for token in rounded)
    _, found = check(tmp_path, f"meter,deliver\n{lines}")
    assert told(found)[-1] == (0, "error", "tokens-rounded")
    assert "3 of 3 tokens end in five zeros; a program rounded them" in str(found[-1].said)
    _, found = check(tmp_path, f"meter,deliver\n{PAN},{rounded[0]}\n{OTHER},{ONE}\n")
    assert told(found) == [(2, "warning", "token-rounded")], "one may be so by chance"


def test_few_tokens_of_many_are_round_by_chance(tmp_path: Path) -> None:
    rounded = ["56493153720366800000", "56493153720366900000"]
    tokens = [TokenData.assemble(0, n << 30 | 5).digits for n in range(4_000)]
    lines = "".join(f"{PAN},{token}\n" for token in (*rounded, *tokens))
    _, found = check(tmp_path, f"meter,deliver\n{lines}")
    kinds = [each.kind for each in found]
    assert kinds.count("token-rounded") == 2
    assert "tokens-rounded" not in kinds


def test_everything_is_found_at_once_and_in_order(tmp_path: Path) -> None:
    text = (
        f"meter,place,deliver,read\n{PAN},A,{ONE},\n,B,,KRN\n{PAN},C\n,,,\n,,,\n\n"
        f"meter,place,deliver,read\n{OTHER},D,{ONE},,x\n,,,\n"
    )
    _, found = check(tmp_path, text)
    assert told(found) == [
        (3, "error", "no-meter"),
        (4, "warning", "no-tasks"),
        (4, "warning", "meter-twice"),
        (5, "warning", "empty-line"),
        (8, "warning", "header-again"),
        (9, "error", "too-many-values"),
        (9, "error", "token-elsewhere"),
        (10, "warning", "empty-line"),
    ]
    assert "2 lines from here on are empty" in str(found[3].what)


def test_a_quote_that_is_not_closed_is_told_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    text = f'meter,notes,read\n{PAN},"12" pipe,KRN\n{OTHER},,KRN\n1,,KRN\n'
    checking, found = check(tmp_path, text)
    assert told(found) == [(2, "error", "quotes"), (4, "error", "meter-length")]
    assert checking.counts.stops == 2
    with pytest.raises(RouteError):
        open_route(tmp_path / "monday.csv")


def test_stops_that_a_quote_has_swallowed_are_told(tmp_path: Path) -> None:
    text = f'meter,read,notes\n{PAN},KRN,"see\n{OTHER},KRN,\n{LONG},KRN,"\n'
    checking, found = check(tmp_path, text)
    assert told(found) == [(2, "warning", "quotes")]
    assert "what follows it looks like a stop of its own" in str(found[0].what)
    assert checking.counts.stops == 1


def test_text_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    text = f"meter,place,read,notes\n{PAN},Conceição,KRN,a\x1b[2J\n".encode("cp1252")
    _, found = check(tmp_path, text)
    assert told(found) == [(2, "warning", "encoding"), (2, "warning", "control-characters")]


def test_json_is_checked_alike_and_counted_by_stops(tmp_path: Path) -> None:
    stops: list[Any] = [
        {"meter": PAN, "deliver": [{"token": FOUR[0], "section": 1, "sections": 4}]},
        {},
        {"meter": OTHER, "deliver": ONE, "tokens": 1},
        {"meter": LONG, "deliver": [ONE]},
    ]
    checking, found = check(tmp_path, json.dumps({"stops": stops}), name="monday.json")
    assert told(found) == [
        (1, "error", "set-missing"),
        (2, "error", "no-meter"),
        (2, "warning", "no-tasks"),
        (3, "error", "unknown-member"),
        (4, "error", "token-elsewhere"),
    ]
    assert "is in stop 3 already" in str(found[-1].what)
    assert checking.counts.stops == 4


@pytest.mark.parametrize("text", ["", "meter,x\n", "{", '{"stops": [{"meter": "1"}', b"PK\x03\x04"])
def test_a_file_that_is_no_route_is_one_error_more(tmp_path: Path, text: str | bytes) -> None:
    checking, found = check(tmp_path, text)
    assert found[-1].severity is Severity.ERROR
    assert checking.counts.found[Severity.ERROR] >= 1
    assert checking.digest == ""


def test_what_was_said_names_everything_in_its_templates(tmp_path: Path) -> None:
    """A template with a wrong name would be shown with its braces or raise."""
    text = f"meter,deliver\n1,{ONE[:-1]}\n{PAN},{marked(FOUR, 1)}\n"
    for finding in check(tmp_path, text)[1]:
        for said in (finding.what, finding.advice):
            assert names_in(said.template) == {n for n, _ in said.values if n != "count"} | (
                {"count"} if said.many else set()
            )


def most_memory(path: Path) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        assert list(RouteCheck(path).findings()) == []
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_check_of_a_long_route_takes_no_more_memory(tmp_path: Path) -> None:
    def route(stops: int) -> Path:
        path = tmp_path / "long.csv"
        lines = (
            f"{MeterPAN.from_drn(DRN.of(MfrCode('11'), f'{n:08d}'))},"
            f"{TokenData.assemble(0, n << 30 | 5).digits},KRN\n"
            for n in range(stops)
        )
        path.write_text("meter,deliver,read\n" + "".join(lines))
        return path

    most_memory(route(10))
    short, long = most_memory(route(2_000)), most_memory(route(6_000))
    assert long < 1.2 * short


def test_a_full_disk_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    small = route_check._SCHEMA.replace("cache_size = -2000", "cache_size = 2")
    monkeypatch.setattr(route_check, "_SCHEMA", small)
    path = tmp_path / "monday.csv"
    lines = (f"{PAN},{TokenData.assemble(0, n << 30 | 5).digits}\n" for n in range(500))
    path.write_text("meter,deliver\n" + "".join(lines))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(RouteError, match=r"could not write its temporary file.*make room"):
            list(RouteCheck(path).findings())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


# --- any file -----------------------------------------------------------------------------------

PIECES = st.sampled_from(
    ["meter", "place", "deliver", "write", "read", ",", ";", "\n", "\r\n", '"', "\t", PAN, OTHER,
     ONE, "1/2:", "2/2:", TWO[0], "x=1", "KRN", "=", "{", "}", "[", "]", '"stops":', '"meter":',
     ":", "sep=;", "6.0E+17", "00000", "\x1b", "\ufeff", "\udc80"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40), st.sampled_from(["meter,deliver,read\n", '{"stops":[', ""]))
def test_a_check_without_errors_and_opening_agree(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str], head: str
) -> None:
    path = tmp_path_factory.mktemp("route") / "any"
    path.write_bytes((head + "".join(pieces)).encode("utf-8", "surrogateescape"))
    checking = RouteCheck(path)
    found = list(checking.findings())
    try:
        route = open_route(path)
    except RouteError:
        assert checking.counts.found[Severity.ERROR]
        return
    assert route.size == checking.counts.stops
    assert route.digest == checking.digest
    errors = {f.line for f in found if f.severity is Severity.ERROR}
    assert {stop.line for stop in route.stops() if stop.errors} <= errors
    assert route.faulty == sum(bool(stop.errors) for stop in route.stops())
    if not errors:
        assert route.faulty == 0
    for finding in found:
        text = str(finding.said)
        assert text.isprintable()
        assert ONE not in text
