"""What a person sees in data blocks and telegrams, in shapes that meters in the field send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.exchange.blocks import Leftover, LoadProfile, Row, Value, parse_block
from vtc07.carrier.exchange.events import MeterIdentity
from vtc07.carrier.exchange.messages import build_block, close
from vtc07.carrier.exchange.settings import CheckCharacter, Compatibility
from vtc07.carrier.exchange.telegram import (
    Framing,
    crc16,
    parse_telegram,
    parse_telegrams,
)
from vtc07.carrier.messages import DataSet

COMMA = Compatibility(decimal_comma=True)


def rows(text: str, compat: Compatibility = COMMA) -> tuple[Row, ...]:
    block = parse_block(text.encode("ascii"), compat)
    assert block.leftovers == ()
    return block.rows


def test_rows_values_and_units() -> None:
    assert rows("F.F(00)\r\n1.8.0(  12.5*kWh)2.8.0()\r\n1.6.1(0.5*kW)(22-11)\r\n!\r\n") == (
        Row("F.F", (Value("00"),)),
        Row("1.8.0", (Value("  12.5", "kWh"),)),
        Row("2.8.0", (Value(""),)),
        Row("1.6.1", (Value("0.5", "kW"), Value("22-11"))),
    )
    assert str(Value("12.5", "kWh")) == "12.5 kWh"
    assert str(Value("12.5")) == "12.5"


def test_history() -> None:
    told = [
        (row.register, row.history)
        for row in rows("1.8.0(1)1.8.0*12(2)1-0:1.8.0*255(3)1.6.1&03(4)1-0:1.8.0*01(5)*1(6)")
    ]
    assert told == [
        ("1.8.0", None), ("1.8.0", 12), ("1-0:1.8.0", None), ("1.6.1", 3), ("1-0:1.8.0", 1),
        ("*1", None),
    ]  # fmt: skip


def test_lines_that_begin_with_a_value_belong_to_the_row_before() -> None:
    assert rows("A(1)\r\n(2)(3)\r\n(4)B(5)\r\n") == (
        Row("A", (Value("1"),), ((Value("2"), Value("3")), (Value("4"),))),
        Row("B", (Value("5"),)),
    )
    (row,) = rows("(1)(2)")
    assert row == Row("", (Value("1"), Value("2")))
    (row,) = rows("A(1)\r\n(2)\r\n(3*V)\r\n")
    assert [value.value for value in row.all_values] == ["1", "2", "3"]


def test_a_load_profile() -> None:
    head = "P.01(1221101000000)(08)(15)(2)(1.5)(kW)(2.5)(kW)"
    (row,) = rows(head + "\r\n(0.1)(0.2)\r\n(0.3)(0.4)\r\n")
    assert row.profile == LoadProfile(
        start="1221101000000",
        status="08",
        period_min=15,
        channels=(("1.5", "kW"), ("2.5", "kW")),
        entries=((Value("0.1"), Value("0.2")), (Value("0.3"), Value("0.4"))),
    )
    (row,) = rows(head + "\r\n(0.1)(0.2)(0.3)(0.4)\r\n")  # two entries on one line
    assert row.profile is not None
    assert len(row.profile.entries) == 2
    for other in (head, head + "\r\n(0.1)", "P(1)(08)(15)(3)(1.5)(kW)\r\n(1)", "A(1)\r\n(2)"):
        (row,) = rows(other)
        assert row.profile is None


def test_joined_values() -> None:
    (row,) = rows("9.4(088*C&082,5*C)")
    (value,) = row.values
    assert value == Value("088&082.5", "C", (Value("088", "C"), Value("082.5", "C")))
    (row,) = rows("9.6(000&12&V*x)")
    assert row.values[0].value == "000&12&V*x"
    assert [part.unit for part in row.values[0].joined] == [None, None, "x"]
    (row,) = rows("9.2(&&)")
    assert row.values == (Value("&&", None, (Value(""), Value(""), Value(""))),)


def test_a_decimal_comma_becomes_a_point_only_where_asked_and_only_in_numbers() -> None:
    text = "A(000007,4*kW)B( -1,50)C(19-05-10,10:01)D(1,2,3)"
    said = [row.values[0].value for row in rows(text)]
    assert said == ["000007.4", " -1.50", "19-05-10,10:01", "1,2,3"]
    assert rows(text, Compatibility())[0].values[0].value == "000007,4"


@pytest.mark.parametrize("ends", ["\r\n", "\n", "\n\n", "\r", "\r\r\n", "\r\n\r\n"])
def test_any_line_ends(ends: str) -> None:
    block = parse_block(ends.join(["A(1)", "(2)", "B(3)", "!", ""]).encode("ascii"))
    assert [str(row.all_values[0]) for row in block.rows] == ["1", "3"]
    assert block.ended


def test_the_end_of_a_block() -> None:
    assert parse_block(b"A(1)!").ended
    assert parse_block(b"A(1)\r\n!1A2B\r\n").after == "1A2B"
    assert not parse_block(b"A(1)\r\n").ended
    block = parse_block(b"A(1)\r\n!\r\nB(2)\r\n")
    assert [row.address for row in block.rows] == ["A"]
    assert block.leftovers == (Leftover(3, "B(2)"),)
    assert parse_block(b"\x02A(1)\r\n!\r\n\x03x") == parse_block(b"A(1)\r\n!\r\n")
    assert parse_block(b"\x02F(1)\x04A").rows == (Row("F", (Value("1"),)),)


def test_what_is_not_understood_is_kept_and_told() -> None:
    block = parse_block(b"A(1)xyz\r\nB(2\r\nC(3)\r\n)(\r\nD\xff(4)\r\n!\r\n")
    assert [row.address for row in block.rows] == ["A", "C", "D\ufffd"]
    assert [left.text for left in block.leftovers] == ["xyz", "B(2", ")("]
    assert str(block.leftovers[0]) == "line 1: 'xyz' is no data set"
    assert block.find("C") == Row("C", (Value("3"),))
    assert block.find("X") is None


TEXT = st.text(st.sampled_from("AB1.*&()!, \r\n"), max_size=80)


@given(st.binary(max_size=80) | TEXT.map(str.encode))
def test_no_text_is_an_exception(chars: bytes) -> None:
    for compat in (Compatibility(), COMMA):
        parse_telegrams(chars, compat)
        for row in parse_block(chars, compat).rows:
            assert row.all_values
            assert row.history is None or row.history >= 0
            assert row.profile is None or row.further


@given(TEXT)
def test_nothing_of_a_text_is_lost(text: str) -> None:
    block = parse_block(text.encode("ascii"))
    seen = block.after + "".join(left.text for left in block.leftovers)
    for row in block.rows:
        seen += row.address
        for value in row.all_values:
            seen += "".join(str(part) for part in value.joined or (value,))
    for kept in "AB1":
        assert seen.count(kept) == text.count(kept)


ADDRESS = st.text(st.sampled_from("0123456789ABCDEF.:-"), min_size=1, max_size=16)
VALUE = st.text(st.sampled_from("0123456789.- :X"), max_size=20)
UNIT = st.none() | st.sampled_from(["kWh", "m3", "V", ""])
LINES = st.lists(st.lists(st.builds(DataSet, ADDRESS, VALUE, UNIT), min_size=1, max_size=3))
SWITCHES = st.builds(
    Compatibility,
    check=st.sampled_from(CheckCharacter),
    no_readout_bcc=st.booleans(),
    decimal_comma=st.booleans(),
    lf_line_ends=st.booleans(),
)


@given(LINES, SWITCHES)
def test_what_a_port_builds_is_seen(lines: list[list[DataSet]], compat: Compatibility) -> None:
    telegram = parse_telegram(b"/ABC5X1\r\n" + build_block(lines, compat), compat)
    assert telegram is not None
    said = [
        DataSet(row.address, value.value, value.unit)
        for row in telegram.block.rows
        for value in row.values
    ]
    assert said == [data_set for line in lines for data_set in line]
    assert telegram.block.ended
    assert telegram.block.leftovers == ()
    assert telegram.framing is (Framing.BARE if compat.no_readout_bcc else Framing.CHECKED)
    assert telegram.check_good is (None if compat.no_readout_bcc else True)


# --- telegrams ----------------------------------------------------------------------------------

IDENT = MeterIdentity("ABC", "5", "X1")
BODY = b"A(1)\r\n!\r\n"


@pytest.mark.parametrize(
    ("chars", "framing", "good"),
    [
        (b"/ABC5X1\r\n" + close(b"\x02" + BODY), Framing.CHECKED, True),
        (b"/ABC5X1\r\n" + close(b"\x02" + BODY)[:-1] + b"x", Framing.CHECKED, False),
        (b"/ABC5X1\r\n\x02" + BODY + b"\x03", Framing.UNCHECKED, None),
        (b"/ABC5X1\r\n\x02" + BODY, Framing.UNCHECKED, None),
        (b"/ABC5X1\n\n\x02A(1)\n\n!", Framing.UNCHECKED, None),
        (b"/ABC5X1\r\n" + BODY, Framing.BARE, None),
        (b"/?!\r\n/ABC5X1\r\n\x06050\r\n" + BODY, Framing.BARE, None),
        (b"/?!\r\n/ABC5X1\r\n\x06050\r\n" + close(b"\x02" + BODY), Framing.CHECKED, True),
        (b"\x7f\x00A(9)\r\n!\r\n/ABC5X1\r\n" + BODY, Framing.BARE, None),
        (b"/ABC5X1\r\n\r\n" + BODY, Framing.PUSHED, None),
        (b"/ABC5X1\r\n\r\nA(1)\r\n!4A3B\r\n", Framing.PUSHED_CRC, False),
    ],
)
def test_framings(chars: bytes, framing: Framing, good: bool | None) -> None:
    telegram = parse_telegram(chars)
    assert telegram is not None
    assert (telegram.identity, telegram.framing, telegram.check_good) == (IDENT, framing, good)
    assert telegram.block.rows == (Row("A", (Value("1"),)),)
    assert telegram.block.ended
    assert chars.replace(b"\x06050\r\n", b"").endswith(telegram.chars)


def test_crc16() -> None:
    assert crc16(b"123456789") == 0xBB3D  # the check value of CRC-16/ARC
    covered = b"/ABC5X1\r\n\r\nA(1)\r\n!"
    telegram = parse_telegram(covered + b"%04X\r\n" % crc16(covered))
    assert telegram is not None
    assert telegram.check_good is True


def test_several_telegrams_and_none() -> None:
    one = b"/ABC5X1\r\n\r\n" + BODY
    assert [t.chars for t in parse_telegrams(b"x" + one + one + one[:-9])] == [one, one, one[:-9]]
    assert parse_telegrams(b"") == ()
    assert parse_telegrams(b"/?!\r\n") == ()
    (answer,) = parse_telegrams(close(b"\x02P.01(1)(2)\r\n(3)\r\n"))
    assert (answer.identity, answer.check_good) == (None, True)
    assert len(answer.block.rows) == 1
    by_sum = close(b"\x02" + BODY, CheckCharacter.SUM)
    assert [t.check_good for t in parse_telegrams(by_sum)] == [False]
    compat = Compatibility(check=CheckCharacter.SUM)
    assert [t.check_good for t in parse_telegrams(by_sum, compat)] == [True]
