"""Tokens: any digits under any key, what an encoder makes of any fields, a meter that gets them.

The first byte chooses what is tried; the rest is what it gets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from fuzz_sessions import KEYS, MADE, PAN
from trial_meter import MeterTrial
from vtc07.carrier.companion import S
from vtc07.carrier.status import TokenStatus
from vtc07.meter import MeterState, Rules, application
from vtc07.tokens import (
    CLEAR_ALL_REGISTERS,
    DKGA,
    DRN,
    EA,
    KEN,
    KRN,
    KT,
    MAXIMUM_AMOUNT,
    MAXIMUM_CURRENCY_AMOUNT,
    MAXIMUM_TID,
    SGC,
    TI,
    TID,
    BaseDate,
    Block,
    CRCError,
    DecoderKey,
    KeyAttributes,
    KeyChangeSection,
    MeterPAN,
    MfrCode,
    NotSupported,
    OutOfRange,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    TokenData,
    TokenError,
    TransferCredit,
    TransferCurrency,
    VendingKey,
    assemble_key,
    codec,
    decode,
    decode_amount,
    decode_currency,
    derive_decoder_key,
    encode,
    encode_amount,
    encode_currency,
    interpret,
    key_change_set,
    load_tables,
    luhn_digit,
    open_token,
    seal,
)

T = TypeVar("T")
_EAS = tuple(EA)
LONGEST = 512
_VENDING_KEY = VendingKey(bytes(range(20)))


def one(data: bytes) -> None:
    """Try one input."""
    if not data:
        return
    rest = data[1:]
    match data[0] % 7:
        case 0:
            try_digits(rest)
        case 1:
            try_block(rest)
        case 2:
            try_text(rest[:512].decode("utf-8", "replace"))
        case 3:
            try_amounts(rest)
        case 4:
            try_key_change(rest)
        case 5:
            try_dates(rest)
        case _:
            MeterTrial(rest).run()


# --- digits, blocks ------------------------------------------------------------------------------


def try_digits(data: bytes) -> None:
    """Any 66 bits under any key: read, sealed to the same digits again, and never by surprise."""
    key = _key(data)
    token = TokenData(int.from_bytes(data[1:10], "big") & (1 << 66) - 1)
    assert TokenData.from_digits(token.digits) == TokenData.from_digits(token.grouped) == token
    assert TokenData.assemble(token.token_class, token.block64) == token
    try:
        block = open_token(token, key)
    except NotSupported:
        assert token.token_class == 3
        return
    assert seal(block, key) == token, "a block seals to other digits"
    block.require_widths()
    _check_meaning(block, key)
    if not block.authentic:
        try:
            decode(token, key)
        except CRCError:
            return
        raise AssertionError("a token is read whose CRC does not fit")


def try_block(data: bytes) -> None:
    """Any class, subclass and data, with the right CRC: encoded, opened and encoded again."""
    key = _key(data)
    number = int.from_bytes(data[1:8], "big")
    token_class, subclass, data44 = number >> 48 & 3, number >> 44 & 15, number & (1 << 44) - 1
    block = Block.of(token_class, subclass, data44)
    try:
        token = seal(block, key)
    except NotSupported:
        assert token_class == 3
        return
    assert open_token(token, key) == block
    assert open_token(token, key).authentic
    _check_meaning(block, key)
    other = DecoderKey(key.ea, bytes(byte ^ 0x10 for byte in key.material))
    if token_class != 1:
        assert open_token(token, other).block64 != block.block64
    assert key.material.hex() not in repr((block, token, key)).lower()


def _check_meaning(block: Block, key: DecoderKey) -> None:
    """What a block means is encoded to the same block again."""
    try:
        meaning = interpret(block)
    except NotSupported:
        reserved = {0: 8, 1: 3, 2: 11}[block.token_class]
        assert block.subclass >= reserved
        return
    assert (meaning.token_class, meaning.subclass) == (block.token_class, block.subclass)
    if isinstance(meaning, TransferCurrency) and not meaning.amount:
        return  # a minus before zero, which no encoder writes
    assert meaning.data44() == block.data44, "a meaning has other bits than its block"
    if isinstance(meaning, TransferCredit):
        assert meaning.amount == _amount(block.value16), "a token is worth another amount"
    elif isinstance(meaning, SetMaximumPowerLimit | SetMaximumPhasePowerUnbalanceLimit):
        assert meaning.watts == _amount(block.value16)
    again = encode(meaning, key, allow_undefined=True)
    assert decode(again, key) == meaning
    if block.authentic:
        assert again == seal(block, key), "an authentic block encodes to other digits"
    assert block.has_tid == (isinstance(getattr(meaning, "tid", None), int))
    assert block.is_key_change == isinstance(meaning, KeyChangeSection)
    try:
        assert encode(meaning, key) == again
    except OutOfRange:
        assert meaning.has_undefined_values


def _amount(field: int) -> int:
    """Return an amount by the formula of IEC 62055-41 6.3.6, without any table."""
    exponent, mantissa = field >> 14, field & 0x3FFF
    scale: int = 10**exponent
    return mantissa * scale + (1 << 14) * (scale // 9)


def _key(data: bytes) -> DecoderKey:
    """Choose a key by the first byte: a test's key, or one of the input's own bytes."""
    first = data[0] if data else 0
    ea = _EAS[first % 3]
    if first < 0xC0:
        return KEYS[ea]
    return DecoderKey(ea, data[10 : 10 + ea.key_bytes].ljust(ea.key_bytes, b"\x5a"))


# --- texts, amounts, dates -----------------------------------------------------------------------


def try_text(text: str) -> None:
    """Any text to everything that reads text: a value that writes itself, or a TokenError."""
    plain = text.replace(" ", "").replace("-", "")
    token = _read(TokenData.from_digits, text)
    assert token is None or token.digits == plain
    for number_type in (MeterPAN, DRN, SGC, TI, MfrCode):
        value = _read(number_type, text)
        assert value is None or str(value) == text
        assert value is None or (text.isascii() and text.isdigit())
    pan, drn = _read(MeterPAN, text), _read(DRN, text)
    if pan is not None:
        assert MeterPAN.from_drn(pan.drn) == pan
        assert luhn_digit(text[:-1]) == text[-1]
    if drn is not None:
        assert DRN.of(drn.mfr_code, drn.dsn) == drn
        assert MeterPAN.from_drn(drn).drn == drn
    for ea in _EAS:
        key = _read(partial(DecoderKey.from_hex, ea), text)
        assert key is None or key.material.hex() == "".join(text.split()).lower()
    vending = _read(VendingKey.from_hex, text)
    assert vending is None or vending.material.hex() == "".join(text.split()).lower()
    base = _read(BaseDate.from_code, text)
    assert base is None or base.code == text
    tables = _read(lambda said: load_tables(said, allow_unknown=True), text)
    if tables is not None:
        assert sorted(tables.sub1) == sorted(tables.sub2) == list(range(16))
        assert sorted(tables.perm) == list(range(64))


def _read(reader: Callable[[str], T], text: str) -> T | None:
    try:
        return reader(text)
    except TokenError as error:
        if len(text) >= 16 and not text.isdigit() and re.fullmatch("[0-9A-Fa-f]+", text):
            said = str(error)
            assert text not in said, "an error shows what may be a key"
        return None


def try_amounts(data: bytes) -> None:
    """Amounts are rounded up, by less than one step, and keep their order."""
    units = int.from_bytes(data[:4], "big", signed=True)
    try:
        field = encode_amount(units)
    except OutOfRange:
        assert not 0 <= units <= MAXIMUM_AMOUNT
    else:
        carried = decode_amount(field)
        assert units <= carried < units + 10 ** (field >> 14)
        assert encode_amount(carried) == field
        if units:
            assert encode_amount(units - 1) <= field
    field = int.from_bytes(data[4:6], "big")
    assert encode_amount(decode_amount(field)) == field
    money = int.from_bytes(data[6:22], "big", signed=True)
    try:
        sign_and_exponent, part = encode_currency(money)
    except OutOfRange:
        assert abs(money) > MAXIMUM_CURRENCY_AMOUNT
    else:
        carried = decode_currency(sign_and_exponent, part)
        assert money <= carried < money + 10 ** ((sign_and_exponent & 7) << 2 | part >> 14)
        assert (carried < 0) == bool(sign_and_exponent & 8) or carried == 0
        assert decode_currency(*encode_currency(carried)) == carried


def try_dates(data: bytes) -> None:
    """TIDs are minutes of their base date, both ways; the reserved minute is never given out."""
    base = tuple(BaseDate)[data[0] % 3] if data else BaseDate.Y2014
    seconds = int.from_bytes(data[1:7], "big", signed=True) % (200 * 366 * 86400)
    at = datetime(1900, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    try:
        minute = TID.of_minute(at, base)
    except OutOfRange:
        assert not base.epoch <= at < base.last + timedelta(minutes=1)
        return
    assert minute.issued_at(base) <= at < minute.issued_at(base) + timedelta(minutes=1)
    assert minute.is_reserved == (minute.issued_at(base).strftime("%H:%M") == "00:01")
    tid = TID.of(at, base)
    assert tid == minute + minute.is_reserved
    taken = {int(tid) + place for place, byte in enumerate(data[7:40]) if byte & 1}
    try:
        free = tid.next_free(taken)
    except OutOfRange:
        assert MAXIMUM_TID - tid <= 33
        return
    assert free >= tid
    assert free not in taken
    assert not free.is_reserved


# --- key change ----------------------------------------------------------------------------------


def try_key_change(data: bytes) -> None:
    """A set of tokens takes the meter to exactly the key and attributes that it was made for."""
    data = data.ljust(32, b"\0")
    ea = _EAS[data[0] % 3]
    attributes = KeyAttributes(
        KT(data[1] % 4),
        SGC.of(int.from_bytes(data[2:5], "big") % 1_000_000),
        TI.of(data[5] % 100),
        KRN(1 + data[6] % 9),
        KEN(data[7]),
        BaseDate.Y2014,
    )
    ro, three = bool(data[8] & 1), bool(data[8] & 2) and ea is not EA.MISTY1
    new = DecoderKey(ea, data[9 : 9 + ea.key_bytes])
    tokens = key_change_set(KEYS[ea], new, attributes, ro=ro, three_kct=three)
    sections = [decode(token, KEYS[ea]) for token in tokens]
    kept = [section for section in sections if isinstance(section, KeyChangeSection)]
    assert len(kept) == len(sections) == (4 if ea is EA.MISTY1 else 2 + three)
    if data[8] & 4:
        kept.reverse()
    made = assemble_key(kept, ea)
    assert made.material == new.material, "a key change carries another key"
    assert (made.ken, made.krn, made.kt, made.ti) == (
        attributes.ken,
        attributes.krn.number,
        attributes.kt,
        attributes.ti.number,
    )
    assert made.ro == ro
    assert made.sgc in (None, attributes.sgc.number)
    assert (made.sgc is None) == (len(kept) == 2)
    for left_out in range(len(kept)):
        try:
            assemble_key(kept[:left_out] + kept[left_out + 1 :], ea)
        except OutOfRange:
            continue
        raise AssertionError("a key is made of an incomplete set")
    shown = repr((sections, made)).lower()
    assert new.material.hex() not in shown
    assert str(int.from_bytes(new.material[:4], "big")) not in shown or data[9] < 2
    if ea is not EA.DEA and attributes.kt in (KT.DDTK, KT.DUTK):
        arguments = (attributes.kt, attributes.sgc, attributes.ti, attributes.krn)
        derived = derive_decoder_key(
            DKGA.DKGA04, _VENDING_KEY, MeterPAN(PAN), *arguments, attributes.base_date, ea
        )
        assert len(derived.material) == ea.key_bytes


# --- seeds, words, defects ----------------------------------------------------------------------


def seeds() -> dict[str, bytes]:
    """Return tokens of every kind under every algorithm, identifiers, keys, and meters' lives."""
    found: dict[str, bytes] = {}
    kinds = [(0, s) for s in range(9)] + [(1, s) for s in range(4)] + [(2, s) for s in range(12)]
    for place, (token_class, subclass) in enumerate([*kinds, (3, 0)]):
        fields = token_class << 48 | subclass << 44 | 5 << 40 | (MADE + 60) << 16
        value = CLEAR_ALL_REGISTERS if (token_class, subclass) == (2, 1) else 0
        number = (fields | value).to_bytes(7, "big")
        found[f"block-{place}"] = bytes((1, place % 3)) + number
        large = (fields | 0x8123).to_bytes(7, "big")
        found[f"block-large-{place}"] = bytes((1, place % 3)) + large
        if token_class != 3:
            block = Block.of(token_class, subclass, (fields | value) & (1 << 44) - 1)
            token = seal(block, KEYS[_EAS[place % 3]])
            found[f"digits-{place}"] = bytes((0, place % 3)) + token.value66.to_bytes(9, "big")
        found[f"meter-{place}"] = bytes((6, place % 12)) + (b"\x01" + number) * 2
    texts = (
        "31584246324892415288",
        "3158 4246 3248 9241 5288",
        PAN,
        "11111111115",
        "0000000000000",
        "123456",
        "07",
        "3100",
        "00112233445566778899aabbccddeeff",
        "00 11 22 33 44 55 66 77",
        "0011223344556677889900112233445566778899",
        '{"sub1": [1], "sub2": [2], "perm": [3]}',
        '{"actual": {}}',
        "\u0663\u0664",
    )
    for place, text in enumerate(texts):
        found[f"text-{place}"] = b"\x02" + text.encode()
    for place, units in enumerate((0, 16383, 16384, 180223, 180224, MAXIMUM_AMOUNT)):
        money = (units * 1000).to_bytes(16, "big", signed=True)
        found[f"amount-{place}"] = b"\x03" + units.to_bytes(4, "big") + b"\xff\xff" + money
        less = (-units * 1000).to_bytes(16, "big", signed=True)
        found[f"amount-less-{place}"] = b"\x03" + b"\xff" * 4 + b"\x40\x00" + less
    for place in range(12):
        head = bytes((4, place % 3, place % 4, 1, 2, 3, place, place, 255, place))
        found[f"key-{place}"] = head + bytes(range(0x31, 0x51))
    for place, seconds in enumerate((3_000_000_000, 3_597_523_260, 4_900_000_000)):
        found[f"date-{place}"] = bytes((5, place)) + seconds.to_bytes(6, "big") + b"\1\0" * 16
    credit = b"\x00\x00\x05\x00\x40\x00\x00\x64"
    noise = b"\x06" + bytes(range(7))
    hour = b"\x07" + (3600 * S).to_bytes(7, "big")
    found["meter-credit"] = b"\x06\x00" + credit + b"\x05" + bytes(7) + hour + credit
    found["meter-full"] = b"\x06\x40" + credit + hour + credit[:-1] + b"\x05"
    found["meter-lockout"] = b"\x06\x00" + noise * 6 + hour + credit
    for ea_place in range(3):
        found[f"meter-key-change-{ea_place}"] = bytes((6, ea_place << 2)) + b"".join(
            b"\x04" + (2 << 48 | section << 44 | 0x11 << 36 | 2 << 32 | 77).to_bytes(7, "big")
            for section in (3, 4, 8, 9)
        )
    return found


def words() -> tuple[bytes, ...]:
    """Return pieces of texts and of fields."""
    return (
        b"600727",
        b"0000",
        b"sub1",
        b"sub2",
        b"perm",
        b'"actual"',
        b"\xff\xff",
        (MADE + 61).to_bytes(3, "big"),
        b"73786976294838206463",
    )


def _tids_are_forgotten() -> None:
    def broken(state: MeterState, tid: int, rules: Rules) -> MeterState:  # noqa: ARG001
        return state

    application._with_tid = broken


def _credit_for_the_refused() -> None:
    def broken(state: MeterState, token_class: int, tid: int) -> TokenStatus:
        status = validate(state, token_class, tid)
        return TokenStatus.ACCEPT if status is TokenStatus.USED_ERROR else status

    validate = application._validate
    application._validate = broken


def _any_crc_is_good() -> None:
    codec._crc = lambda token_class, subclass, data44: 0  # noqa: ARG005


def _amounts_round_down() -> None:
    def broken(field: int) -> int:
        return max(0, decode_amount(field) - 1) if field & 0x8000 else decode_amount(field)

    vars(codec)["decode_amount"] = broken


PLANTS: dict[str, Callable[[], None]] = {
    "TIDs are forgotten": _tids_are_forgotten,
    "used tokens are taken": _credit_for_the_refused,
    "any CRC is good": _any_crc_is_good,
    "amounts are rounded down": _amounts_round_down,
}
