"""Messages of IEC 62056-21: checked vectors, tolerant parsing, what the switches change."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.exchange.events import MeterIdentity
from vtc07.carrier.exchange.messages import (
    ACK,
    B0,
    B1,
    NAK,
    CommandMessage,
    OptionSelect,
    break_message,
    build_answer,
    build_block,
    build_data,
    build_error,
    build_identification,
    check_character,
    check_is_good,
    close,
    error_text,
    operand_message,
    parse_command_message,
    parse_data_sets,
    parse_identification,
    parse_option_select,
    value_of,
    with_comma,
)
from vtc07.carrier.exchange.settings import CheckCharacter, Compatibility
from vtc07.carrier.grammar import EOT
from vtc07.carrier.messages import DataSet

XOR, SUM = CheckCharacter
#: Messages without their check, and both checks: made in the shapes of published and recorded ones.
OWN = (
    (b"\x01B0\x03", 0x71, 0x75),
    (b"\x01B1\x03", 0x70, 0x76),
    (b"\x01P0\x02()\x03", 0x60, 0x56),
    (b"\x01P0\x02(7654321)\x03", 0x50, 0x42),
    (b"\x01P1\x02(ABCDEF)\x03", 0x66, 0x6C),
    (b"\x01R1\x0215.8.0(1)\x03", 0x5E, 0x34),
    (b"\x01R2\x02F002\x03", 0x15, 0x61),
    (b"\x01W4\x02FFFE(987654)\x04", 0x66, 0x40),
    (b"\x02(ER02)\x03", 0x17, 0x4D),
    (b"\x020000(0123456789ABCDEF)\x04", 0x03, 0x37),
    (b"\x02!\r\n\x03", 0x25, 0x3B),
)
PRINTABLE = [chr(char) for char in range(0x20, 0x7F)]
VALUE = st.text(st.sampled_from([c for c in PRINTABLE if c not in "()*/!"]), max_size=40)
ADDRESS = st.text(st.sampled_from([c for c in PRINTABLE if c not in "()/!"]), max_size=16)
SETS = st.lists(st.builds(DataSet, ADDRESS, VALUE, st.none() | VALUE), min_size=1, max_size=9)
COMPATS = st.builds(
    Compatibility,
    check=st.sampled_from(CheckCharacter),
    no_readout_bcc=st.booleans(),
    lf_line_ends=st.booleans(),
    crlf_before_etx=st.booleans(),
)


def require_vector(message: bytes, xor: int, total: int) -> None:
    for kind, check in ((XOR, xor), (SUM, total)):
        assert check_character(message[1:], kind) == check
        whole = close(message[:-1], kind, end=message[-1])
        assert whole == message + bytes((check,))
        assert check_is_good(whole, kind)
        other = SUM if kind is XOR else XOR
        assert check_is_good(whole, other) == (xor == total)
        if message[0] == 1:
            command = parse_command_message(whole, kind)
            assert command is not None
            assert command.to_chars(kind) == whole
            assert command.partial == (message[-1] == EOT)


@pytest.mark.parametrize(("message", "xor", "total"), OWN)
def test_own_vectors(message: bytes, xor: int, total: int) -> None:
    require_vector(message, xor, total)


def test_every_shared_vector(shared: Path) -> None:
    text = (shared / "telegrams" / "bcc_vectors.json").read_text("utf-8")
    vectors: list[dict[str, Any]] = json.loads(text)
    checked = [vector for vector in vectors if "bcc_xor" in vector]
    assert len(checked) >= 17
    for vector in checked:
        message = bytes.fromhex(vector["hex"])
        assert message == vector["frame_without_bcc"].encode("ascii")
        require_vector(message, int(vector["bcc_xor"], 16), int(vector["nonstandard_bcc_sum"], 16))
    (select,) = (bytes.fromhex(v["plain"]) for v in vectors if "plain" in v)
    assert parse_option_select(select) == OptionSelect("2", "5", "2")


def test_the_fixed_messages() -> None:
    assert break_message() == B0
    assert break_message(after_fast_wake_up=True) == B1
    assert break_message(SUM) == b"\x01B0\x03\x75"
    assert break_message(SUM, after_fast_wake_up=True) == b"\x01B1\x03\x76"
    assert operand_message() == b"\x01P0\x02()\x03\x60"
    assert operand_message("00000000", SUM) == b"\x01P0\x02(00000000)\x03\x56"
    assert (ACK, NAK) == (b"\x06", b"\x15")
    assert build_error("ER04") == b"\x02(ER04)\x03\x11"
    assert build_error("ER04", SUM) == b"\x02(ER04)\x03\x4f"


@pytest.mark.parametrize("text", ["(", "a*b", "a/b", "a!", "x" * 33, "a\r\n"])
def test_what_no_error_text_or_operand_can_be(text: str) -> None:
    with pytest.raises(ValueError, match="up to 32 characters"):
        build_error(text)
    with pytest.raises(ValueError, match="up to 32 characters"):
        operand_message(text)


# --- identification -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "identity"),
    [
        (b"/ABC5X1\r\n", MeterIdentity("ABC", "5", "X1")),
        (b"/ABc5\r\n", MeterIdentity("ABc", "5", "")),
        (b"/KAM 685-1\r\n", MeterIdentity("KAM", " ", "685-1")),
        (b"/ABC5\\2X1\r\n", MeterIdentity("ABC", "5", "\\2X1", ("2",))),
        (b"/ABC5\\@\\2X1\r\n", MeterIdentity("ABC", "5", "\\@\\2X1", ("@", "2"))),
        (b"/ABC5\\M3-100\r\n", MeterIdentity("ABC", "5", "\\M3-100")),
        (b"/ABC5X\\2\r\n", MeterIdentity("ABC", "5", "X\\2")),
        (b"/ABC5a/b<1>!\r\n", MeterIdentity("ABC", "5", "a/b<1>!")),
        (b"/ABC5\x02X1\r\n", MeterIdentity("ABC", "5", "\x02X1")),
        (b"/ABC5X1\n", MeterIdentity("ABC", "5", "X1")),
        (b"/ABC5X1\n\n", MeterIdentity("ABC", "5", "X1")),
        (b"/ABC5" + b"x" * 60 + b"\r\n", MeterIdentity("ABC", "5", "x" * 60)),
    ],
)
def test_identifications_as_meters_send_them(message: bytes, identity: MeterIdentity) -> None:
    assert parse_identification(message) == identity
    assert identity.has_mode_e == ("2" in identity.escapes)


@pytest.mark.parametrize(
    "message", [b"", b"/?!\r\n", b"/AB5X\r\n", b"ABC5X\r\n", b"/ABC\r\n", b"/ABC5X\xff\r\n"]
)
def test_no_identifications(message: bytes) -> None:
    assert parse_identification(message) is None


def test_an_identification_is_built_as_the_standard_has_it() -> None:
    assert build_identification("VTC", "5", "\\2X1") == b"/VTC5\\2X1\r\n"
    assert build_identification("VTc", " ", "") == b"/VTc \r\n"
    assert build_identification("VTC", "5", "X", Compatibility(lf_line_ends=True)) == b"/VTC5X\n"
    for flag, z, text in [
        ("VT", "5", ""), ("VT1", "5", ""), ("VTC", "/", ""), ("VTC", "!", ""), ("VTC", "", ""),
        ("VTC", "5", "x" * 17), ("VTC", "5", "a/b"), ("VTC", "5", "a!"), ("VTC", "5", "\x02"),
        ("VTC", "5", "é"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=r"characters?|letters"):
            build_identification(flag, z, text)


@given(st.text(st.sampled_from([c for c in PRINTABLE if c not in "/!"]), max_size=16))
def test_what_is_built_is_parsed(text: str) -> None:
    identity = parse_identification(build_identification("VTC", "6", text))
    assert identity is not None
    assert (identity.flag, identity.baud_identification) == ("VTC", "6")
    assert identity.identification == text


@given(st.binary(max_size=80))
def test_no_identification_is_an_exception(message: bytes) -> None:
    for told in (message, b"/" + message, b"/ABC5" + message + b"\r\n"):
        identity = parse_identification(told)
        assert identity is None or len(identity.identification) <= len(told)


# --- option select and commands -------------------------------------------------------------------


def test_option_select() -> None:
    assert OptionSelect("0", "5", "1").to_chars() == b"\x06051\r\n"
    assert parse_option_select(b"\x06051\r\n") == OptionSelect("0", "5", "1")
    for wrong in (
        b"\x06",
        b"\x0605\r\n",
        b"\x060511\r\n",
        b"\x06051\n",
        b"051\r\n",
        b"\x0605\xff\r\n",
    ):
        assert parse_option_select(wrong) is None


@given(
    st.text(st.sampled_from(PRINTABLE), min_size=2, max_size=2),
    st.text(st.sampled_from([*PRINTABLE, "\r", "\n"]), max_size=40) | st.none(),
    st.booleans(),
    st.sampled_from(CheckCharacter),
)
def test_commands_round_trip(
    code: str, data: str | None, partial: bool, kind: CheckCharacter
) -> None:
    command = CommandMessage(code, data or "", partial, data is not None)
    assert parse_command_message(command.to_chars(kind), kind) == command


def test_what_is_no_command() -> None:
    good = CommandMessage("R1", "1.8.0(1)").to_chars()
    assert good == b"\x01R1\x021.8.0(1)\x03\x6b"
    for place in range(len(good)):
        for bit in range(7):
            struck = bytearray(good)
            struck[place] ^= 1 << bit
            assert parse_command_message(bytes(struck)) is None
    for wrong in (
        b"",
        b"\x01",
        b"\x01R1\x03",
        close(b"\x01R"),
        close(b"\x01R1R"),
        close(b"\x01R1\x02\x02(1)"),
    ):
        assert parse_command_message(wrong) is None


def test_a_password_does_not_show() -> None:
    assert "secret" not in repr(CommandMessage("P1", "(secret)"))


def test_values_of_p_commands() -> None:
    assert value_of("()") == ""
    assert value_of("(pass*word)") == "pass*word"
    for wrong in ("", "(", ")", "a(b)", "(a)(b)", "(a", "(a\r\n)"):
        assert value_of(wrong) is None


# --- data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("()", (("", "", None),)),
        ("(v)", (("", "v", None),)),
        ("A(v)(w)(x)", (("A", "v", None), ("", "w", None), ("", "x", None))),
        ("1.8.0(  12*kWh)", (("1.8.0", "  12", "kWh"),)),
        ("1.8.0*12(7,4*kW)", (("1.8.0*12", "7,4", "kW"),)),
        ("A(1)\r\n(2)\r\n", (("A", "1", None), ("", "2", None))),
        ("A(1)\n\n(2)\n", (("A", "1", None), ("", "2", None))),
        ("a(1*m3/h)b(2017/01/18)", (("a", "1", "m3/h"), ("b", "2017/01/18", None))),
        ("9.2(&&)9.4(088*C&082*C)", (("9.2", "&&", None), ("9.4", "088", "C&082*C"))),
        ("1-0:1.8.0*255(1*)", (("1-0:1.8.0*255", "1", ""),)),
    ],
)
def test_data_sets_as_meters_send_them(
    text: str, said: tuple[tuple[str, str, str | None], ...]
) -> None:
    assert parse_data_sets(text) == tuple(DataSet(*parts) for parts in said)


@pytest.mark.parametrize(
    "text", ["", "F001", "A(", "A(1", "A)1(", "A(1)!", "A(1)B", "A(\x02)", "\r\n"]
)
def test_no_data_sets(text: str) -> None:
    assert parse_data_sets(text) is None


@given(SETS, COMPATS, st.integers(20, 90))
def test_an_answer_is_laid_out_and_parsed(
    sets: list[DataSet], compat: Compatibility, line: int
) -> None:
    lines = build_answer(sets, compat, MessageLimits(line=line))
    assert all(len(said) <= line or len(said) == len(str(said_set(said))) for said in lines)
    message = build_data(lines, compat)
    assert check_is_good(message, compat.check)
    assert parse_data_sets(message[1:-2].decode("ascii")) == tuple(sets)


def said_set(line: str) -> DataSet:
    """Return the one data set of a line that is too long."""
    sets = parse_data_sets(line)
    assert sets is not None
    return sets[0]


@given(st.text(max_size=60) | st.text(st.sampled_from("AB1.*()\r\n"), max_size=60))
def test_text_that_parses_says_the_same_again(text: str) -> None:
    sets = parse_data_sets(text)
    if sets is not None:
        assert "".join(map(str, sets)) == re.sub("[\r\n]", "", text)


def test_errors_and_values_without_an_address() -> None:
    assert error_text("(ER04)") == "ER04"
    assert error_text("()") == ""
    assert error_text("(ER04)\r\n") == "ER04"
    for other in ("(1*kWh)", "A(1)", "(1)(2)", f"({'x' * 33})", "", "ER04"):
        assert error_text(other) is None
    bare = Compatibility(address_not_echoed=True)
    assert error_text("(12.5)", bare) is None
    assert error_text("(ER04)", bare) == "ER04"


# --- what the switches change ---------------------------------------------------------------------

ROWS = ((DataSet("F.F", "00"),), (DataSet("1.8.0", "12.5", "kWh"), DataSet("", "22-11")))


def test_a_readout_as_the_standard_has_it() -> None:
    assert build_block([]) == b"\x02!\r\n\x03\x25"
    text = b"\x02F.F(00)\r\n1.8.0(12.5*kWh)(22-11)\r\n!\r\n\x03"
    assert build_block(ROWS) == text + bytes((check_character(text[1:]),))


@pytest.mark.parametrize(
    ("compat", "block"),
    [
        (Compatibility(check=SUM), b"\x02F.F(00)\r\n1.8.0(12.5*kWh)(22-11)\r\n!\r\n\x03\x78"),
        (Compatibility(no_readout_bcc=True), b"F.F(00)\r\n1.8.0(12.5*kWh)(22-11)\r\n!\r\n"),
        (
            Compatibility(no_readout_bcc=True, decimal_comma=True),
            b"F.F(00)\r\n1.8.0(12,5*kWh)(22-11)\r\n!\r\n",
        ),
        (
            Compatibility(no_readout_bcc=True, lf_line_ends=True),
            b"F.F(00)\n1.8.0(12.5*kWh)(22-11)\n!\n",
        ),
        (
            Compatibility(no_readout_bcc=True, crlf_before_etx=True, address_not_echoed=True),
            b"F.F(00)\r\n1.8.0(12.5*kWh)(22-11)\r\n!\r\n",
        ),
    ],
)
def test_a_readout_with_a_switch(compat: Compatibility, block: bytes) -> None:
    assert build_block(ROWS, compat) == block


def answer(compat: Compatibility) -> bytes:
    return build_data(build_answer([s for row in ROWS for s in row], compat), compat)


def test_an_answer_with_each_switch() -> None:
    plain = b"\x02F.F(00)1.8.0(12.5*kWh)(22-11)"
    assert answer(Compatibility()) == close(plain)
    assert answer(Compatibility(check=SUM)) == close(plain, SUM)
    assert answer(Compatibility(no_readout_bcc=True)) == close(plain)
    assert answer(Compatibility(decimal_comma=True)) == close(plain.replace(b"12.5", b"12,5"))
    assert answer(Compatibility(lf_line_ends=True)) == close(plain)
    assert answer(Compatibility(crlf_before_etx=True)) == close(plain + b"\r\n")
    both = Compatibility(crlf_before_etx=True, lf_line_ends=True)
    assert answer(both) == close(plain + b"\n")
    bare = Compatibility(address_not_echoed=True)
    assert answer(bare) == close(b"\x02(00)(12.5*kWh)(22-11)")
    assert build_data(["A(1)"], end=EOT) == close(b"\x02A(1)", end=EOT)


def test_only_numbers_get_a_comma() -> None:
    assert [with_comma(value) for value in ("1.5", " +001.50", "-0.1")] == [
        "1,5",
        " +001,50",
        "-0,1",
    ]
    for other in ("1.2.3", "1.", ".5", "a1.5", "15", "", "."):
        assert with_comma(other) == other
