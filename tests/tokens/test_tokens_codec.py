"""Tokens to 20 digits and back, for every type of token and every algorithm."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vtc07.tokens import (
    EA,
    MAXIMUM_AMOUNT,
    MAXIMUM_CURRENCY_AMOUNT,
    MAXIMUM_TOKENDATA,
    METER_TESTS,
    Block,
    ClearCredit,
    ClearTamperCondition,
    CRCError,
    DecoderKey,
    DigitsError,
    ExtendedRead,
    ExtendedTokenSet,
    InitiateMeterTest,
    KeyFormatError,
    NotSupported,
    OutOfRange,
    Service,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    SetWaterMeterFactor,
    Token,
    TokenData,
    TransferCredit,
    TransferCurrency,
    crc,
    crc_c,
    decode,
    decode_amount,
    decode_currency,
    encode,
    encode_amount,
    encode_currency,
    interpret,
    open_token,
    seal,
)


def bits(width: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << width) - 1)


def some(width: int) -> st.SearchStrategy[int]:
    """At least one bit."""
    return st.integers(1, (1 << width) - 1)


services = st.sampled_from(Service)
amounts = st.integers(0, MAXIMUM_AMOUNT)
rnd_and_tid = {"rnd": bits(4), "tid": bits(24)}
money = st.integers(-(10**12), 10**12) | st.integers(
    -MAXIMUM_CURRENCY_AMOUNT, MAXIMUM_CURRENCY_AMOUNT
)

DEFINED: dict[type, st.SearchStrategy[Token]] = {
    TransferCredit: st.builds(TransferCredit, service=services, **rnd_and_tid, amount=amounts),
    TransferCurrency: st.builds(TransferCurrency, service=services, tid=bits(24), amount=money),
    InitiateMeterTest: st.builds(InitiateMeterTest, some(36), st.integers(0, 99), st.just(False))
    | st.builds(InitiateMeterTest, some(28), st.integers(0, 9999), st.just(True)),
    ExtendedRead: st.builds(ExtendedRead, bits(36)),
    SetMaximumPowerLimit: st.builds(SetMaximumPowerLimit, **rnd_and_tid, watts=amounts),
    ClearCredit: st.builds(
        ClearCredit, **rnd_and_tid, register=st.sampled_from([*range(8), 0xFFFF])
    ),
    SetTariffRate: st.builds(SetTariffRate, **rnd_and_tid, rate=bits(16)),
    Set1stSectionDecoderKey: st.builds(
        Set1stSectionDecoderKey,
        kenho=bits(4),
        krn=st.integers(1, 9),
        ro=st.booleans(),
        three_kct=st.booleans(),
        kt=bits(2),
        nkho=bits(32),
    ),
    Set2ndSectionDecoderKey: st.builds(
        Set2ndSectionDecoderKey, kenlo=bits(4), ti=st.integers(0, 99), nklo=bits(32)
    ),
    ClearTamperCondition: st.builds(ClearTamperCondition, **rnd_and_tid),
    SetMaximumPhasePowerUnbalanceLimit: st.builds(
        SetMaximumPhasePowerUnbalanceLimit, **rnd_and_tid, watts=amounts
    ),
    SetWaterMeterFactor: st.builds(SetWaterMeterFactor, **rnd_and_tid, factor=bits(16)),
    Set3rdSectionDecoderKey: st.builds(Set3rdSectionDecoderKey, sgclo=bits(12), nkmo2=bits(32)),
    Set4thSectionDecoderKey: st.builds(Set4thSectionDecoderKey, sgcho=bits(12), nkmo1=bits(32)),
    ExtendedTokenSet: st.builds(ExtendedTokenSet, **rnd_and_tid, index=bits(6), value=bits(10)),
}
UNDEFINED: st.SearchStrategy[Token] = st.one_of(
    st.builds(ClearCredit, **rnd_and_tid, register=st.integers(8, 0xFFFE)),
    st.builds(ClearTamperCondition, **rnd_and_tid, pad=st.integers(1, 0xFFFF)),
    st.builds(ExtendedRead, bits(36), st.integers(1, 0xFF)),
    st.builds(InitiateMeterTest, some(36), st.integers(100, 0xFF), st.just(False)),
    st.builds(InitiateMeterTest, some(28), st.integers(10_000, 0xFFFF), st.just(True)),
    st.builds(InitiateMeterTest, st.just(0), st.integers(0, 99), st.booleans()),
    st.builds(
        Set1stSectionDecoderKey,
        kenho=bits(4),
        krn=st.sampled_from([0, *range(10, 16)]),
        ro=st.booleans(),
        three_kct=st.booleans(),
        kt=bits(2),
        nkho=bits(32),
    ),
    st.builds(Set2ndSectionDecoderKey, kenlo=bits(4), ti=st.integers(100, 255), nklo=bits(32)),
)


@st.composite
def decoder_keys(draw: st.DrawFn, ea: EA | None = None) -> DecoderKey:
    ea = ea or draw(st.sampled_from(EA))
    return DecoderKey(ea, draw(st.binary(min_size=ea.key_bytes, max_size=ea.key_bytes)))


def as_carried(token: Token) -> Token:
    """The token with its amount as the field holds it."""
    if isinstance(token, TransferCredit):
        amount = decode_amount(encode_amount(token.amount))
        return TransferCredit(token.service, token.rnd, token.tid, amount)
    if isinstance(token, TransferCurrency):
        amount = decode_currency(*encode_currency(token.amount))
        return TransferCurrency(token.service, token.tid, amount)
    if isinstance(token, SetMaximumPowerLimit | SetMaximumPhasePowerUnbalanceLimit):
        watts = decode_amount(encode_amount(token.watts))
        return type(token)(token.rnd, token.tid, watts)
    return token


@pytest.mark.parametrize("ea", EA)
@pytest.mark.parametrize("kind", DEFINED, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_token_comes_back(kind: type, ea: EA, data: st.DataObject) -> None:
    token, key = data.draw(DEFINED[kind]), data.draw(decoder_keys(ea))
    sealed = encode(token, key)
    assert sealed.token_class == token.token_class
    assert len(sealed.digits) == 20
    decoded = decode(TokenData.from_digits(sealed.grouped), key)
    assert type(decoded) is kind
    assert decoded == as_carried(token)
    assert encode(decoded, key) == sealed
    assert hash(decoded) == hash(as_carried(token))
    block = open_token(sealed, key)
    assert seal(block, key) == sealed
    assert block.has_tid is (hasattr(token, "tid"))
    assert block.is_key_change is ("Section" in kind.__name__)
    if block.has_tid:
        assert block.tid == getattr(token, "tid", None)
    if hasattr(token, "rnd"):
        assert block.rnd == token.rnd


@given(st.one_of(*DEFINED.values()), decoder_keys())
def test_class_1_is_clear_and_the_others_are_not(token: Token, key: DecoderKey) -> None:
    if token.token_class == 1:
        assert encode(token, None) == encode(token, key)
        assert decode(encode(token, None), None) == token
        return
    with pytest.raises(KeyFormatError, match="DecoderKey"):
        encode(token, None)
    sealed = encode(token, key)
    with pytest.raises(KeyFormatError, match="DecoderKey"):
        open_token(sealed, None)
    with pytest.raises(KeyFormatError, match="DecoderKey"):
        seal(open_token(sealed, key), None)


@given(UNDEFINED, decoder_keys())
def test_undefined_values_are_decoded_but_made_only_when_meant(
    token: Token, key: DecoderKey
) -> None:
    with pytest.raises(OutOfRange):
        encode(token, key)
    sealed = encode(token, key, allow_undefined=True)
    assert decode(sealed, key) == token


@given(st.from_regex(r"[0-9]{20}", fullmatch=True), decoder_keys())
def test_any_twenty_digits_raise_nothing_but_token_errors(digits: str, key: DecoderKey) -> None:
    try:
        block = open_token(TokenData.from_digits(digits), key)
    except DigitsError:
        assert int(digits) > MAXIMUM_TOKENDATA
        return
    except NotSupported:
        assert int(digits) >> 27 & 3 == 3
        return
    assert seal(block, key).digits == digits
    expected = crc_c if block.token_class == 0 and block.subclass in range(4, 8) else crc
    fits = block.crc == expected(block.token_class, block.subclass, block.data44)
    assert block.authentic is fits
    if not fits:
        with pytest.raises(CRCError, match="CRC"):
            decode(TokenData.from_digits(digits), key)


@given(st.integers(0, 3), bits(4), bits(44))
def test_every_block_has_a_meaning_or_is_not_supported(cls: int, sub: int, data: int) -> None:
    block = Block.of(cls, sub, data)
    reserved = cls == 3 or sub >= (8, 3, 11)[cls]
    if reserved:
        with pytest.raises(NotSupported, match="not supported"):
            interpret(block)
    else:
        token = interpret(block)
        assert (token.token_class, token.subclass) == (cls, sub)
        if cls == 0 and sub >= 4 and data >> 43 and not decode_currency(data >> 40, data & 0xFFFF):
            return  # a minus sign before zero is read, but not written
        assert token.data44() == data


def test_class_3_is_neither_opened_nor_sealed() -> None:
    for function in (open_token, decode):
        with pytest.raises(NotSupported, match="class 3 is reserved"):
            function(TokenData(3 << 27), None)
    with pytest.raises(NotSupported, match="class 3 is reserved"):
        seal(Block.of(3, 0, 0), None)


@given(DEFINED[TransferCurrency], decoder_keys())
def test_currency_tokens_need_the_other_crc(token: TransferCurrency, key: DecoderKey) -> None:
    block = open_token(encode(token, key), key)
    plain = crc(0, block.subclass, block.data44)
    assert block.crc == crc_c(0, block.subclass, block.data44)
    forged = Block(0, block.subclass, block.data44, plain, authentic=True)
    assert open_token(seal(forged, key), key).authentic is (plain == block.crc)


@given(DEFINED[TransferCredit], decoder_keys(), decoder_keys())
def test_another_key_gives_noise(token: Token, key: DecoderKey, other: DecoderKey) -> None:
    opened = open_token(encode(token, key), other)
    assume(not opened.authentic)  # once in 65,536
    with pytest.raises(CRCError, match="another meter, key or table set"):
        decode(encode(token, key), other)


# --- TokenData ------------------------------------------------------------------------------


@given(st.integers(0, MAXIMUM_TOKENDATA))
def test_token_data_is_class_and_block_transposed(value: int) -> None:
    data = TokenData(value)
    assert TokenData.assemble(data.token_class, data.block64) == data
    assert TokenData.from_digits(data.digits) == data
    assert str(data) == data.grouped
    assert data.digits == str(value).rjust(20, "0")
    assert data.grouped.split(" ") == [data.digits[at : at + 4] for at in (0, 4, 8, 12, 16)]


@given(st.integers(0, 3), bits(64))
def test_the_class_takes_the_place_of_two_bits(cls: int, block: int) -> None:
    value = TokenData.assemble(cls, block).value66
    assert value >> 64 == block >> 27 & 3
    assert value >> 27 & 3 == cls
    untouched = 2**64 - 1 ^ 3 << 27
    assert value & untouched == block & untouched


@given(
    st.integers(0, MAXIMUM_TOKENDATA),
    st.lists(st.sampled_from([" ", "-", "", "  "]), min_size=19, max_size=19),
)
def test_spaces_and_hyphens_between_groups_do_not_matter(value: int, between: list[str]) -> None:
    digits = f"{value:020d}"
    text = "".join(map("".join, zip(digits, [*between, ""], strict=True)))
    assert TokenData.from_digits(text).value66 == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "decimal digits"),
        ("1234567890123456789", "20 digits, but 19"),
        ("123456789012345678901", "20 digits, but 21"),
        ("1" * 5000, "20 digits, but 5000"),
        (str(MAXIMUM_TOKENDATA + 1), "larger than 73786976294838206463"),
        ("9" * 20, "larger than"),
        ("1234 5678 9012 3456 789x", "remove every other character"),
        ("12345678901234567890\n", "remove every other character"),
        ("-2345678901234567890", "remove every other character"),
        ("1234567890123456789\u0663", "remove every other character"),
        ("1234_5678_9012_3456_7890", "remove every other character"),
        (12345678901234567890, "decimal digits"),
        (None, "decimal digits"),
    ],
)
def test_wrong_token_text_is_refused_with_what_to_change(text: str, sentence: str) -> None:
    with pytest.raises(DigitsError, match=sentence) as caught:
        TokenData.from_digits(text)
    assert "\n" not in str(caught.value)


@given(st.text())
def test_any_text_is_a_token_or_refused(text: str) -> None:
    try:
        TokenData.from_digits(text)
    except DigitsError:
        return
    assert sum(char in "0123456789" for char in text) == 20


@pytest.mark.parametrize("value", [-1, 1 << 66, "1", 1.0, None])
def test_token_data_has_66_bits(value: int) -> None:
    with pytest.raises(OutOfRange, match="66 bits"):
        TokenData(value)


@pytest.mark.parametrize(("cls", "block"), [(4, 0), (-1, 0), (0, 1 << 64), (0, -1)])
def test_only_a_class_and_a_block_are_assembled(cls: int, block: int) -> None:
    with pytest.raises(OutOfRange, match="64-bit block"):
        TokenData.assemble(cls, block)


@pytest.mark.parametrize("fields", [(4, 0, 0), (0, 16, 0), (0, 0, 1 << 44), (0, 0, -1)])
def test_a_block_has_fixed_widths(fields: tuple[int, int, int]) -> None:
    with pytest.raises(OutOfRange, match="44 data bits"):
        Block.of(*fields)


@pytest.mark.parametrize(
    "fields",
    [
        (4, 0, 0, 0),
        (0, 16, 0, 0),
        (1, 16, 0, 0),
        (0, 0, 1 << 44, 0),
        (1, 0, -1, 0),
        (0, 0, 0, 1 << 16),
        (1, 0, 0, 1 << 16),
        (0, 0, 0, -1),
        ("0", 0, 0, 0),
        (0, 0, None, 0),
        (0, 0, 0, 1.0),
    ],
)
def test_a_block_that_does_not_fit_is_not_sealed(fields: tuple[int, int, int, int]) -> None:
    for key in (None, DecoderKey(EA.STA, bytes(8)), DecoderKey(EA.MISTY1, bytes(16))):
        with pytest.raises(OutOfRange, match="16-bit CRC"):
            seal(Block(*fields, authentic=False), key)


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        (InitiateMeterTest(1, 100), "MfrCode.*0 to 99"),
        (InitiateMeterTest(1, 10_000, four_digit_mfr_code=True), "MfrCode.*0 to 9999"),
        (InitiateMeterTest(0), "at least one meter test"),
    ],
)
def test_a_meter_test_that_no_meter_serves_is_not_issued(token: Token, sentence: str) -> None:
    with pytest.raises(OutOfRange, match=sentence):
        encode(token, None)


# --- Fields ---------------------------------------------------------------------------------

E = Service.ELECTRICITY
REFUSED: list[tuple[Callable[..., object], tuple[object, ...], str]] = [
    (TransferCredit, (E, 16, 0, 0), "rnd must be"),
    (TransferCredit, (E, -1, 0, 0), "rnd must be"),
    (TransferCredit, (E, 0, 1 << 24, 0), "tid must be"),
    (TransferCredit, (E, 0, None, 0), "tid must be"),
    (TransferCredit, (E, 0, 0, MAXIMUM_AMOUNT + 1), "An amount must be"),
    (TransferCredit, (E, 0, 0, -1), "An amount must be"),
    (TransferCredit, (E, 0, 0, 1.5), "An amount must be"),
    (TransferCredit, (0, 0, 0, 0), "The service must be"),
    (TransferCurrency, (4, 0, 0), "The service must be"),
    (TransferCurrency, (E, 1 << 24, 0), "tid must be"),
    (TransferCurrency, (E, 0, 10**40), "must not exceed"),
    (TransferCurrency, (E, 0, "1"), "whole number"),
    (InitiateMeterTest, (1 << 36,), "control must be"),
    (InitiateMeterTest, (1 << 28, 0, True), "control must be"),
    (InitiateMeterTest, (0, 256), "mfr_code must be"),
    (InitiateMeterTest, (0, 1 << 16, True), "mfr_code must be"),
    (ExtendedRead, (1 << 36,), "control must be"),
    (ExtendedRead, (0, 256), "mfr_code must be"),
    (SetMaximumPowerLimit, (0, 0, MAXIMUM_AMOUNT + 1), "An amount must be"),
    (SetMaximumPowerLimit, (16, 0, 0), "rnd must be"),
    (SetMaximumPhasePowerUnbalanceLimit, (0, -1, 0), "tid must be"),
    (ClearCredit, (0, 0, 1 << 16), "value must be"),
    (ClearTamperCondition, (0, 0, -1), "value must be"),
    (SetTariffRate, (0, 0, "x"), "value must be"),
    (SetWaterMeterFactor, (0, 0, 1 << 16), "value must be"),
    (ExtendedTokenSet, (0, 0, 64, 0), "index must be"),
    (ExtendedTokenSet, (0, 0, 0, 1024), "ExtendedTokenSet: value must be"),
    (Set1stSectionDecoderKey, (16, 1, False, False, 2, 0), "kenho must be"),
    (Set1stSectionDecoderKey, (0, 16, False, False, 2, 0), "krn must be"),
    (Set1stSectionDecoderKey, (0, 1, 2, False, 2, 0), "ro must be"),
    (Set1stSectionDecoderKey, (0, 1, False, 2, 2, 0), "three_kct must be"),
    (Set1stSectionDecoderKey, (0, 1, False, False, 4, 0), "kt must be"),
    (Set1stSectionDecoderKey, (0, 1, False, False, 2, 1 << 32), "nkho must be"),
    (Set2ndSectionDecoderKey, (16, 0, 0), "kenlo must be"),
    (Set2ndSectionDecoderKey, (0, 256, 0), "ti must be"),
    (Set2ndSectionDecoderKey, (0, 0, -1), "nklo must be"),
    (Set3rdSectionDecoderKey, (4096, 0), "sgclo must be"),
    (Set3rdSectionDecoderKey, (0, 1 << 32), "nkmo2 must be"),
    (Set4thSectionDecoderKey, (4096, 0), "sgcho must be"),
    (Set4thSectionDecoderKey, (0, 1 << 32), "nkmo1 must be"),
]


@pytest.mark.parametrize(("make", "fields", "sentence"), REFUSED)
def test_a_field_that_does_not_fit_is_named(
    make: Callable[..., object], fields: tuple[object, ...], sentence: str
) -> None:
    with pytest.raises(OutOfRange, match=sentence):
        make(*fields)


@pytest.mark.parametrize("four_digit", [False, True])
@given(data=st.data())
def test_meter_tests_are_bits_of_the_control(four_digit: bool, data: st.DataObject) -> None:
    width = 28 if four_digit else 36
    numbers = data.draw(st.sets(st.integers(1, width), min_size=1, max_size=width - 1))
    token = InitiateMeterTest.of_tests(numbers, four_digit_mfr_code=four_digit)
    assert token.control == sum(2 ** (number - 1) for number in numbers)
    assert token.tests == tuple(sorted(numbers))
    everything = InitiateMeterTest.of_tests([0, *numbers], four_digit_mfr_code=four_digit)
    assert everything.control == 2**width - 1
    assert everything.tests == (0,)


@pytest.mark.parametrize("tests", [[], [37], [-1], ["1"]])
def test_a_meter_test_that_does_not_exist_is_refused(tests: list[int]) -> None:
    with pytest.raises(OutOfRange, match="meter test"):
        InitiateMeterTest.of_tests(tests)


def test_the_meter_tests_have_names() -> None:
    assert sorted(METER_TESTS) == list(range(19))
    assert METER_TESTS[18] == "DRN"


@given(bits(36))
def test_an_extended_read_has_its_index_on_top(control: int) -> None:
    assert ExtendedRead(control).index == control // 2**30


@given(st.text() | st.integers() | st.floats() | st.none(), st.data())
def test_no_field_value_raises_anything_but_out_of_range(odd: object, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(DEFINED)))
    values: dict[str, object] = {field.name: 0 for field in dataclasses.fields(kind)}
    if "service" in values:
        values["service"] = Service.GAS
    values[data.draw(st.sampled_from(list(values)))] = odd
    with contextlib.suppress(OutOfRange):
        kind(**values)
