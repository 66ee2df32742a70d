"""RegisterTable, Register, and the encodings of values (docs/protocol.md 4 and 9)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.registers import (
    MAX_TOKEN_DATA,
    DataType,
    Encoding,
    Kind,
    Register,
    RegisterTable,
    ValueRefused,
)

TEXT = st.text(
    [chr(c) for c in range(0x20, 0x7F) if chr(c) not in "()*/!"], min_size=0, max_size=128
)
NUMBER_TYPES = st.one_of(
    st.builds(DataType, st.just(Kind.UNSIGNED), st.integers(1, 64)),
    st.builds(DataType, st.just(Kind.SIGNED), st.integers(2, 64)),
)


def register(data_type: str, encoding: Encoding = Encoding.HEX, scaler: int = 0) -> Register:
    return Register("0000", "value", DataType.parse(data_type), encoding, "", scaler=scaler)


def of(data_type: DataType, encoding: Encoding, scaler: int = 0) -> Register:
    return Register("0000", "value", data_type, encoding, "", scaler=scaler)


@pytest.mark.parametrize(
    ("data_type", "value", "sent"),
    [
        ("s64", -100, "FFFFFFFFFFFFFF9C"),
        ("s64", 0x18FF9C, "000000000018FF9C"),
        ("u8", 16, "10"),
        ("u14", 0b10110100111100, "2D3C"),
        ("u1", 1, "1"),
        ("u24", 0x6480E3, "6480E3"),
        ("u5", 31, "1F"),
        ("s5", -1, "FF"),
        ("s5", -16, "F0"),
        ("s62", -1, "FFFFFFFFFFFFFFFF"),
    ],
)
def test_hex_is_of_fixed_width_and_two_s_complement_of_that_width(
    data_type: str, value: int, sent: str
) -> None:
    assert register(data_type).encode(value) == sent
    assert register(data_type).decode(sent) == value


@given(data=st.data(), data_type=NUMBER_TYPES)
def test_every_number_in_hex_comes_back_in_either_case(
    data: st.DataObject, data_type: DataType
) -> None:
    value = data.draw(st.integers(data_type.minimum, data_type.maximum))
    field = of(data_type, Encoding.HEX)
    sent = field.encode(value)
    assert len(sent) == field.width == field.longest == -(-data_type.size // 4)
    assert sent == sent.upper()
    assert field.decode(sent) == value
    assert field.decode(sent.lower()) == value


@given(data=st.data(), data_type=NUMBER_TYPES, scaler=st.integers(-18, 18))
def test_every_number_in_decimal_comes_back_and_is_the_scaled_value(
    data: st.DataObject, data_type: DataType, scaler: int
) -> None:
    value = data.draw(st.integers(data_type.minimum, data_type.maximum))
    field = of(data_type, Encoding.DECIMAL, scaler)
    sent = field.encode(value)
    assert field.decode(sent) == value
    assert len(sent) <= field.longest <= 128
    assert field.width is None
    whole, _, fraction = sent.partition(".")
    assert len(fraction) == max(0, -scaler)
    assert int(whole + fraction) == value * 10 ** max(0, scaler)


@given(value=TEXT)
def test_text_comes_back(value: str) -> None:
    field = register("text 128", Encoding.TEXT)
    assert field.encode(value) == value
    assert field.decode(value) == value


@given(number=st.integers(0, MAX_TOKEN_DATA))
def test_tokens_come_back_as_digits_and_as_hex(number: int) -> None:
    token = f"{number:020d}"
    assert register("token", Encoding.TOKEN).encode(token) == token
    assert register("token", Encoding.TOKEN).decode(token) == token
    sent = register("token", Encoding.TOKEN_HEX).encode(token)
    assert len(sent) == 17
    assert int(sent, 16) == number
    assert register("token", Encoding.TOKEN_HEX).decode(sent.lower()) == token


@pytest.mark.parametrize("encoding", [Encoding.TOKEN, Encoding.TOKEN_HEX])
def test_a_token_register_may_be_empty(encoding: Encoding) -> None:
    assert register("token", encoding).encode("") == ""
    assert register("token", encoding).decode("") == ""


@given(data=st.data(), data_type=NUMBER_TYPES)
def test_no_other_width_is_taken(data: st.DataObject, data_type: DataType) -> None:
    field = of(data_type, Encoding.HEX)
    assert field.width is not None
    wrong = data.draw(st.integers(0, 20).filter(lambda n: n != field.width))
    with pytest.raises(ValueRefused, match=str(field.width)):
        field.decode("0" * wrong)


@given(data=st.data(), data_type=NUMBER_TYPES)
def test_a_number_beyond_the_type_is_neither_sent_nor_taken(
    data: st.DataObject, data_type: DataType
) -> None:
    beyond = data.draw(
        st.one_of(st.integers(max_value=data_type.minimum - 1), st.integers(data_type.maximum + 1))
    )
    for encoding in (Encoding.HEX, Encoding.DECIMAL):
        with pytest.raises(ValueRefused):
            of(data_type, encoding).encode(beyond)
    if len(str(beyond)) <= 128:
        with pytest.raises(ValueRefused):
            of(data_type, Encoding.DECIMAL).decode(str(beyond))


@given(junk=st.text(max_size=140), data_type=NUMBER_TYPES, scaler=st.integers(-3, 3))
def test_junk_is_refused_or_is_a_value_that_can_be_sent_again(
    junk: str, data_type: DataType, scaler: int
) -> None:
    fields = [
        of(data_type, Encoding.HEX, scaler),
        of(data_type, Encoding.DECIMAL, scaler),
        register("token", Encoding.TOKEN),
        register("token", Encoding.TOKEN_HEX),
        register("text 20", Encoding.TEXT),
    ]
    for field in fields:
        try:
            value = field.decode(junk)
        except ValueRefused:
            continue
        assert field.decode(field.encode(value)) == value


@pytest.mark.parametrize(
    ("data_type", "encoding", "text"),
    [
        ("u8", Encoding.HEX, ""),
        ("u8", Encoding.HEX, "1G"),
        ("u8", Encoding.HEX, " 1"),
        ("u8", Encoding.HEX, "+1"),
        ("u8", Encoding.HEX, "1_"),
        ("u16", Encoding.HEX, "0x1F"),
        ("u5", Encoding.HEX, "20"),
        ("u14", Encoding.HEX, "4000"),
        ("s5", Encoding.HEX, "10"),
        ("s5", Encoding.HEX, "EF"),
        ("u8", Encoding.HEX, "\u0660\u0661"),  # digits, but not of ISO/IEC 646
        ("u8", Encoding.DECIMAL, "256"),
        ("u8", Encoding.DECIMAL, "-1"),
        ("u8", Encoding.DECIMAL, ""),
        ("u8", Encoding.DECIMAL, "+1"),
        ("u8", Encoding.DECIMAL, "1."),
        ("u8", Encoding.DECIMAL, ".5"),
        ("u8", Encoding.DECIMAL, "1,5"),
        ("u8", Encoding.DECIMAL, "1.5"),
        ("u8", Encoding.DECIMAL, "1e2"),
        ("u8", Encoding.DECIMAL, "0" * 129),
        ("token", Encoding.TOKEN, "1" * 19),
        ("token", Encoding.TOKEN, "1" * 21),
        ("token", Encoding.TOKEN, "73786976294838206464"),
        ("token", Encoding.TOKEN, "1234 5678 9012 3456 7"),
        ("token", Encoding.TOKEN_HEX, "40000000000000000"),
        ("token", Encoding.TOKEN_HEX, "FFFFFFFFFFFFFFFFF"),
        ("token", Encoding.TOKEN_HEX, "1" * 16),
        ("text 4", Encoding.TEXT, "12345"),
        ("text 4", Encoding.TEXT, "a(b"),
        ("text 4", Encoding.TEXT, "a*b"),
        ("text 4", Encoding.TEXT, "a/b"),
        ("text 4", Encoding.TEXT, "a!"),
        ("text 4", Encoding.TEXT, "a\r\n"),
        ("text 4", Encoding.TEXT, "é"),
        ("text 4", Encoding.TEXT, "\x7f"),
    ],
)
def test_what_is_not_a_value_is_refused(data_type: str, encoding: Encoding, text: str) -> None:
    with pytest.raises(ValueRefused):
        register(data_type, encoding).decode(text)


@pytest.mark.parametrize(
    ("scaler", "text", "value"),
    [
        (-2, "1.5", 150),
        (-2, "1.500", 150),
        (-2, "-0.05", -5),
        (-2, "7", 700),
        (2, "700", 7),
        (0, "0012", 12),
        (0, "-0", 0),
    ],
)
def test_decimals_are_taken_as_meters_write_them(scaler: int, text: str, value: int) -> None:
    assert register("s32", Encoding.DECIMAL, scaler).decode(text) == value


@pytest.mark.parametrize(("scaler", "text"), [(-2, "1.005"), (2, "750")])
def test_decimals_that_would_lose_digits_are_refused(scaler: int, text: str) -> None:
    with pytest.raises(ValueRefused):
        register("s32", Encoding.DECIMAL, scaler).decode(text)


@pytest.mark.parametrize("value", ["5", True, None, 5.0])
def test_a_number_register_takes_whole_numbers_only(value: object) -> None:
    with pytest.raises(ValueRefused):
        register("u8").encode(value)  # type: ignore[arg-type]


def test_a_text_register_takes_no_number() -> None:
    with pytest.raises(ValueRefused):
        register("text 4", Encoding.TEXT).encode(5)


@given(
    data_type=st.one_of(NUMBER_TYPES, st.builds(DataType, st.just(Kind.TEXT), st.integers(1, 128)))
)
def test_a_type_is_read_from_its_own_spelling(data_type: DataType) -> None:
    assert DataType.parse(str(data_type)) == data_type


@pytest.mark.parametrize(
    "text",
    [
        "",
        "u",
        "u0",
        "u65",
        "s1",
        "s65",
        "text",
        "text 0",
        "text 129",
        "text  5",
        "U8",
        "token 5",
        "u8 ",
    ],
)
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"64 bits|128"):
        DataType.parse(text)


def table(*access: tuple[str, int | None]) -> RegisterTable:
    return RegisterTable(
        1,
        0,
        [
            Register(
                address, f"r{address}", DataType.parse("u8"), Encoding.HEX, "", read_level=level
            )
            for address, level in access
        ],
    )


def test_a_read_goes_on_in_the_table_s_order_and_skips_what_may_not_be_read() -> None:
    registers = table(("0001", 0), ("000A", None), ("0010", 2), ("0020", 0), ("0030", 0))
    start = registers.find("0001")
    assert start is not None
    assert [r.address for r in registers.readable_from(start, 2)] == ["0001", "0020"]
    assert [r.address for r in registers.readable_from(start, 2, level=2)] == ["0001", "0010"]
    assert [r.address for r in registers.readable_from(start, 9)] == ["0001", "0020", "0030"]


def test_a_register_is_found_in_either_case_and_by_name() -> None:
    registers = table(("000A", 0), ("1.8.0", 0))
    assert registers.find("000a") is registers.named("r000A")
    assert registers.find("1.8.0") is registers.named("r1.8.0")
    assert registers.find("000B") is None
    assert registers.has("r000A")
    assert not registers.has("r000B")
    assert registers.place(registers.named("r1.8.0")) == 1
    with pytest.raises(KeyError):
        registers.named("r000B")


def test_addresses_that_differ_in_case_only_are_one_address() -> None:
    with pytest.raises(ValueError, match="share"):
        table(("000a", 0), ("000A", 0))
