"""Identifiers, TID, amounts and CRC: the values that tokens are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vtc07.tokens import (
    DRN,
    EA,
    KEN,
    KRN,
    KT,
    MAXIMUM_AMOUNT,
    MAXIMUM_CURRENCY_AMOUNT,
    MAXIMUM_TID,
    RND,
    SGC,
    TI,
    TID,
    BaseDate,
    CheckDigitError,
    MeterPAN,
    MfrCode,
    OutOfRange,
    TokenError,
    crc,
    crc_c,
    crc_of_bytes,
    decode_amount,
    decode_currency,
    encode_amount,
    encode_currency,
    luhn_digit,
)
from vtc07.tokens.tid import MAXIMUM_TID as LAST

decimal = st.text("0123456789", min_size=1, max_size=30)
serials = st.from_regex(r"[0-9]{8}", fullmatch=True)
makers = st.from_regex(r"[0-9]{2}|[0-9]{4}", fullmatch=True)
tids = st.integers(0, MAXIMUM_TID)


# --- Luhn, DRN, MeterPAN --------------------------------------------------------------------


def luhn_sum(digits: str) -> int:
    doubled = [sum(map(int, str(2 * int(digit)))) for digit in digits[-2::-2]]
    return sum(doubled) + sum(map(int, digits[::-2]))


@given(decimal)
def test_a_luhn_digit_makes_the_sum_a_multiple_of_ten(digits: str) -> None:
    assert luhn_sum(digits + luhn_digit(digits)) % 10 == 0


@given(decimal, st.data())
def test_a_luhn_digit_catches_every_single_wrong_digit(digits: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(digits) - 1))
    other = data.draw(st.sampled_from("0123456789"))
    assume(other != digits[place])
    assert luhn_digit(digits[:place] + other + digits[place + 1 :]) != luhn_digit(digits)


@pytest.mark.parametrize("text", ["", "12a", "-1", "\u0661", " 1", "1.5"])
def test_a_luhn_digit_is_for_digits_only(text: str) -> None:
    with pytest.raises(OutOfRange, match="digits"):
        luhn_digit(text)


@given(makers, serials)
def test_drn_and_meter_pan_lead_to_each_other(maker: str, serial: str) -> None:
    drn = DRN.of(MfrCode(maker), serial)
    pan = MeterPAN.from_drn(drn)
    assert len(str(pan)) == 18
    assert MeterPAN(str(pan)) == pan
    assert pan.drn == drn == DRN(str(drn))
    assert (drn.mfr_code, drn.dsn) == (MfrCode(maker), serial)
    assert pan.iin == ("600727" if len(maker) == 2 else "0000")
    assert luhn_sum(str(pan)) % 10 == 0
    assert pan.pan_block() == str(pan)[1:17]
    assert pan.pan_block(KT.DCTK) == pan.iin[1:] + "0" * len(str(drn))
    assert drn.mfr_code.is_four_digit is (len(maker) == 4)


@given(makers, serials, st.integers(1, 9))
def test_a_wrong_check_digit_is_told_with_the_right_one(maker: str, serial: str, by: int) -> None:
    drn = str(DRN.of(MfrCode(maker), serial))
    wrong = drn[:-1] + str((int(drn[-1]) + by) % 10)
    with pytest.raises(CheckDigitError, match=f"call for {drn[-1]}"):
        DRN(wrong)
    iin = "600727" if len(maker) == 2 else "0000"
    with pytest.raises(CheckDigitError, match="inside the MeterPAN"):
        MeterPAN(iin + wrong + luhn_digit(iin + wrong))
    pan = str(MeterPAN.from_drn(DRN(drn)))
    with pytest.raises(CheckDigitError, match=f"call for {pan[-1]}"):
        MeterPAN(pan[:-1] + str((int(pan[-1]) + by) % 10))


REFUSED: list[tuple[Callable[..., object], object, str]] = [
    (DRN, "123", "11 or 13 digits"),
    (DRN, "1234567890X", "decimal digits"),
    (DRN, 12345678903, "decimal digits"),
    (MeterPAN, "60072700000000000", "18 digits, but 17"),
    (MeterPAN, "", "18 decimal digits"),
    (MeterPAN, "700727000000000000", "600727"),
    (MfrCode, "123", "2 or 4 digits"),
    (SGC, "12345", "6 digits, but 5"),
    (SGC, "12345\u0666", "6 decimal digits"),
    (SGC.of, 1_000_000, "0 to 999999"),
    (TI, "1", "2 digits"),
    (TI, 1, "2 decimal digits"),
    (TI.of, 100, "0 to 99"),
    (TI.of, -1, "0 to 99"),
    (KRN, 0, "1 to 9"),
    (KRN, 10, "1 to 9"),
    (KRN, "1", "1 to 9"),
    (KEN, 256, "0 to 255"),
    (KEN, -1, "0 to 255"),
    (RND, 16, "0 to 15"),
    (RND, 1.0, "0 to 15"),
    (TID, -1, "0 to 16777215"),
    (TID, 1 << 24, "0 to 16777215"),
    (TID, None, "0 to 16777215"),
    (BaseDate.from_code, "94", "93"),
    (encode_amount, -1, "0 to 18201624"),
    (encode_amount, 18201625, "0 to 18201624"),
    (encode_amount, 1.5, "0 to 18201624"),
    (decode_amount, 65536, "16 bits"),
    (decode_amount, -1, "16 bits"),
    (encode_currency, MAXIMUM_CURRENCY_AMOUNT + 1, "must not exceed"),
    (encode_currency, -MAXIMUM_CURRENCY_AMOUNT - 1, "must not exceed"),
    (encode_currency, "1", "whole number"),
]


@pytest.mark.parametrize(("make", "value", "sentence"), REFUSED)
def test_what_is_out_of_range_is_refused(
    make: Callable[..., object], value: object, sentence: str
) -> None:
    with pytest.raises(OutOfRange, match=sentence) as caught:
        make(value)
    assert str(caught.value).endswith(".")


@given(st.integers(1, 9), st.integers(0, 255), st.integers(0, 15), st.integers(0, 99))
def test_number_codes_print_as_the_standard_writes_them(
    krn: int, ken: int, rnd: int, ti: int
) -> None:
    assert (str(KRN(krn)), str(KEN(ken)), str(RND(rnd))) == (str(krn), str(ken), str(rnd))
    assert (KRN(krn).number, KEN(ken).number, RND(rnd).number) == (krn, ken, rnd)
    assert repr(KRN(krn)) == f"KRN({krn})"
    assert hash(KEN(ken)) == hash(KEN(ken))
    assert TI(f"{ti:02d}") == TI.of(ti)
    assert TI.of(ti).number == ti


@given(st.integers(0, 999_999))
def test_an_sgc_keeps_its_leading_zeros(number: int) -> None:
    assert SGC.of(number).number == number
    assert str(SGC.of(number)) == f"{number:06d}"


@given(st.integers(0, 255), tids)
def test_a_ken_expires_by_the_high_byte_of_the_tid(ken: int, tid: int) -> None:
    assert KEN(ken).expired_for(tid) is (tid // 65536 > ken)
    assert not KEN(255).expired_for(tid)


def test_the_withdrawn_algorithm_is_flagged() -> None:
    assert [ea.withdrawn for ea in EA] == [False, True, False]
    assert [ea.key_bits for ea in EA] == [64, 64, 128]


# --- TID ------------------------------------------------------------------------------------


@given(st.sampled_from(BaseDate), tids, st.integers(0, 59_999_999))
def test_the_tid_of_a_time_is_its_minute_unless_reserved(
    base: BaseDate, minutes: int, microseconds: int
) -> None:
    at = base.epoch + timedelta(minutes=minutes, microseconds=microseconds)
    assert TID.of_minute(at, base) == minutes
    tid = TID.of(at, base)
    reserved = (at.hour, at.minute) == (0, 1)
    assert TID(minutes).is_reserved is reserved
    assert tid == minutes + reserved
    assert not tid.is_reserved
    assert tid.issued_at(base) == at.replace(second=0, microsecond=0) + timedelta(minutes=reserved)


def test_another_time_zone_is_converted() -> None:
    at = datetime(2016, 2, 29, 13, 30, tzinfo=timezone(timedelta(hours=2)))
    assert TID.of(at, BaseDate.Y2014) == TID.of(at.astimezone(UTC), BaseDate.Y2014)


@pytest.mark.parametrize("base", BaseDate)
def test_the_ends_of_a_base_date(base: BaseDate) -> None:
    assert TID.of(base.epoch, base) == 0
    assert TID.of(base.last, base) == LAST
    for outside in (base.epoch - timedelta(seconds=1), base.last + timedelta(minutes=1)):
        with pytest.raises(OutOfRange, match="use another base date"):
            TID.of(outside, base)
    with pytest.raises(OutOfRange, match="UTC"):
        TID.of(datetime(2015, 1, 1), base)  # noqa: DTZ001  a time without a zone is the point


def test_the_base_dates_follow_each_other() -> None:
    assert BaseDate.Y1993.next() is BaseDate.Y2014
    assert BaseDate.Y2014.next() is BaseDate.Y2035
    with pytest.raises(OutOfRange, match="2035"):
        BaseDate.Y2035.next()
    assert [BaseDate.from_code(base.code) for base in BaseDate] == list(BaseDate)


@given(tids, st.sets(st.integers(0, 40), max_size=40))
def test_the_next_free_tid_is_the_first_one(start: int, offsets: set[int]) -> None:
    taken = {start + offset for offset in offsets}
    expected = next(
        tid for tid in range(start, start + 100) if tid not in taken and tid % 1440 != 1
    )
    if expected > MAXIMUM_TID:
        with pytest.raises(OutOfRange, match="No TID is free"):
            TID(start).next_free(taken)
    else:
        assert TID(start).next_free(taken) == expected


@pytest.mark.parametrize("taken", [{MAXIMUM_TID}, range(MAXIMUM_TID - 5, 1 << 60)])
def test_no_free_tid_at_the_end_of_a_base_date_is_said_with_what_to_do(
    taken: Collection[int],
) -> None:
    with pytest.raises(OutOfRange, match=r"base date.*key change") as caught:
        TID(MAXIMUM_TID).next_free(taken)
    assert str(caught.value).endswith(".")


# --- Amounts --------------------------------------------------------------------------------


@given(st.integers(0, MAXIMUM_AMOUNT))
def test_an_amount_is_rounded_up_to_the_next_that_a_field_holds(units: int) -> None:
    field = encode_amount(units)
    decoded = decode_amount(field)
    assert decoded >= units
    if field:
        assert decode_amount(field - 1) < units, "a smaller field would have held it"
    assert encode_amount(decoded) == field


def test_amount_fields_ascend_so_that_the_smallest_exponent_is_taken() -> None:
    values = [decode_amount(field) for field in range(65536)]
    assert values == sorted(set(values))
    assert values[-1] == MAXIMUM_AMOUNT
    assert [encode_amount(value) for value in values] == list(range(65536))


@given(
    st.integers(-MAXIMUM_CURRENCY_AMOUNT, MAXIMUM_CURRENCY_AMOUNT)
    | st.integers(-(10**8), 10**8)
    | st.integers(-(10**20), 10**20)
)
def test_a_currency_amount_is_rounded_toward_plus_infinity(amount: int) -> None:
    sign_and_exponent, field = encode_currency(amount)
    decoded = decode_currency(sign_and_exponent, field)
    assert decoded >= amount
    assert bool(sign_and_exponent & 8) is (amount < 0)
    size = (sign_and_exponent & 7) << 16 | field
    neighbour = size - 1 if amount >= 0 else size + 1
    if 0 <= neighbour < 1 << 19:
        nearer = decode_currency(neighbour >> 16 | sign_and_exponent & 8, neighbour & 0xFFFF)
        assert nearer < amount
    if decoded:
        assert encode_currency(decoded) == (sign_and_exponent, field)
    else:
        assert encode_currency(decoded) == (0, 0)


def test_the_largest_currency_amounts_fit() -> None:
    assert encode_currency(MAXIMUM_CURRENCY_AMOUNT) == (7, 0xFFFF)
    assert encode_currency(-MAXIMUM_CURRENCY_AMOUNT) == (15, 0xFFFF)
    assert encode_currency(0) == (0, 0)


@pytest.mark.parametrize(("head", "field"), [(16, 0), (-1, 0), (0, 65536), (0, -1)])
def test_a_currency_field_that_is_too_wide_is_refused(head: int, field: int) -> None:
    with pytest.raises(OutOfRange):
        decode_currency(head, field)


# --- CRC ------------------------------------------------------------------------------------


@given(st.integers(0, 3), st.integers(0, 15), st.integers(0, 2**44 - 1))
def test_the_crc_of_a_token_is_that_of_its_seven_bytes(cls: int, sub: int, data: int) -> None:
    seven = (cls << 48 | sub << 44 | data).to_bytes(7, "big")
    assert crc(cls, sub, data) == crc_of_bytes(seven)
    assert crc_c(cls, sub, data) == crc_of_bytes(seven + b"\x01")


def test_the_crc_is_the_known_one_with_its_bytes_swapped() -> None:
    assert crc_of_bytes(b"123456789") == 0x374B  # 0x4B37 in the usual order


@pytest.mark.parametrize("fields", [(4, 0, 0), (0, 16, 0), (0, 0, 1 << 44), (-1, 0, 0)])
def test_a_crc_covers_fifty_bits_only(fields: tuple[int, int, int]) -> None:
    for function in (crc, crc_c):
        with pytest.raises(TokenError, match="44 data bits"):
            function(*fields)
