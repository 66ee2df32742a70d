"""Every vector of ../shared/vectors, in both directions: encoded from fields, and decoded.

The vectors and the actual STA tables stay outside the project; without them these tests are
skipped. A vector of a kind that nothing here handles fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vtc07.tokens import (
    DKGA,
    DRN,
    EA,
    KEN,
    KRN,
    KT,
    SAMPLE_TABLES,
    SGC,
    TI,
    TID,
    BaseDate,
    Block,
    CheckDigitError,
    ClearCredit,
    ClearTamperCondition,
    DecoderKey,
    DigitsError,
    ExtendedRead,
    ExtendedTokenSet,
    InitiateMeterTest,
    KeyAttributes,
    KeyChangeSection,
    MeterPAN,
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
    StaTables,
    Token,
    TokenData,
    TransferCredit,
    TransferCurrency,
    VendingKey,
    assemble_key,
    control_block,
    crc,
    crc_of_bytes,
    decode,
    decode_amount,
    decode_currency,
    derive_decoder_key,
    dkga04_data,
    encode,
    encode_amount,
    encode_currency,
    interpret,
    key_change_set,
    load_tables,
    open_token,
    seal,
)

SHARED = Path(__file__).resolve().parents[2] / "../shared"
TABLES_FILE = SHARED / "data/sta_tables.json"

Vector = dict[str, Any]


def read(name: str) -> Any:
    path = SHARED / "vectors" / name
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


PUBLISHED = [
    (group["name"], v) for group in read("published.json").get("sets", ()) for v in group["vectors"]
]
GENERATED = list(read("generated.json").get("vectors", ()))
NEGATIVE = list(read("negative.json").get("cases", ()))

pytestmark = pytest.mark.skipif(
    not (PUBLISHED and GENERATED and NEGATIVE and TABLES_FILE.exists()),
    reason="the shared vectors are not beside this clone",
)


# --- keys and fields of a vector ------------------------------------------------------------


_ACTUAL: list[StaTables] = []


def tables_of(v: Vector) -> StaTables:
    name = v.get("tables", "actual")
    if name == "sample":
        return SAMPLE_TABLES
    assert name == "actual"
    if not _ACTUAL:
        _ACTUAL.append(load_tables(TABLES_FILE.read_bytes()))
    return _ACTUAL[0]


def base_date_of(v: Vector) -> BaseDate:
    return BaseDate.from_code(str(v.get("bdt", 93)))


def key_of(v: Vector) -> DecoderKey:
    """The vector's key; derived as well, where the vector says from what."""
    key = DecoderKey.from_hex(EA(v.get("ea", 7)), v["decoder_key"], tables_of(v))
    if v.get("vk"):
        derived = derive_decoder_key(
            DKGA(v["dkga"]),
            VendingKey.from_hex(v["vk"]),
            MeterPAN(v.get("meter_pan") or v["pan"]),
            KT(v["kt"]),
            SGC(v["sgc"]),
            TI(v["ti"]),
            KRN(v["krn"]),
            base_date_of(v),
            EA(v["ea"]),
            tables_of(v),
        )
        assert derived.material.hex() == v["decoder_key"].lower()
        assert derived == key
    return key


def utc(text: str) -> datetime:
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise AssertionError(f"unknown form of time: {text}")


def token_of_fields(cls: int, sub: int, head: int, tid: int, value: int) -> Token:
    """Build the dataclass that a class 0 or 2 vector describes, from its plain fields."""
    if cls == 0 and sub < 4:
        return TransferCredit(Service(sub), head, tid, decode_amount(value))
    if cls == 0:
        return TransferCurrency(Service(sub - 4), tid, decode_currency(head, value))
    build: dict[int, Callable[[], Token]] = {
        0: lambda: SetMaximumPowerLimit(head, tid, decode_amount(value)),
        1: lambda: ClearCredit(head, tid, value),
        2: lambda: SetTariffRate(head, tid, value),
        5: lambda: ClearTamperCondition(head, tid, value),
        6: lambda: SetMaximumPhasePowerUnbalanceLimit(head, tid, decode_amount(value)),
        7: lambda: SetWaterMeterFactor(head, tid, value),
        10: lambda: ExtendedTokenSet(head, tid, value >> 10, value & 0x3FF),
    }
    return build[sub]()


def section_of_fields(sub: int, data44: int) -> KeyChangeSection:
    low = data44 & 0xFFFFFFFF
    high = data44 >> 32
    if sub == 3:
        ro, three_kct = bool(high >> 3 & 1), bool(high >> 2 & 1)
        return Set1stSectionDecoderKey(high >> 8, high >> 4 & 15, ro, three_kct, high & 3, low)
    if sub == 4:
        return Set2ndSectionDecoderKey(high >> 8, high & 255, low)
    return (Set3rdSectionDecoderKey if sub == 8 else Set4thSectionDecoderKey)(high, low)


def is_reserved(cls: int, sub: int) -> bool:
    return sub >= {0: 8, 1: 3, 2: 11}[cls]


def both_ways(
    token: Token, digits: str, key: DecoderKey | None, *, undefined: bool = False
) -> Block:
    """Encode the token to the digits, decode the digits to the token; return the block."""
    assert encode(token, key, allow_undefined=undefined).digits == digits
    data = TokenData.from_digits(digits)
    assert TokenData.from_digits(data.grouped) == data
    assert decode(data, key) == token
    block = open_token(data, key)
    assert block.authentic
    assert interpret(block) == token
    assert seal(block, key) == data
    return block


def reserved_both_ways(cls: int, sub: int, data44: int, digits: str, key: DecoderKey) -> Block:
    block = Block.of(cls, sub, data44)
    assert seal(block, key).digits == digits
    opened = open_token(TokenData.from_digits(digits), key)
    assert opened == block
    with pytest.raises(NotSupported):
        interpret(opened)
    return opened


# --- kinds ----------------------------------------------------------------------------------


def check_credit_or_management(v: Vector) -> None:
    key = key_of(v)
    issued = utc(v["issue_time"])
    tid = TID.of(issued, base_date_of(v))
    assert tid == v.get("tid", tid)
    head = v["se"] if "se" in v else v["rnd"]
    value = v["value16"]
    cls, sub = v["cls"], v["sub"]
    if is_reserved(cls, sub):
        block = reserved_both_ways(cls, sub, head << 40 | tid << 16 | value, v["token"], key)
    else:
        token = token_of_fields(cls, sub, head, tid, value)
        undefined = isinstance(token, ClearCredit) and value not in {*range(8), 0xFFFF}
        if undefined:
            with pytest.raises(OutOfRange):
                encode(token, key)
        block = both_ways(token, v["token"], key, undefined=undefined)
        assert (block.token_class, block.subclass) == (cls, sub)
        assert (block.rnd, block.tid, block.value16) == (head, tid, value)
        check_amount_before_encoding(v, token, key)
    if "block64" in v:
        assert block.block64 == int(v["block64"], 16)


def check_amount_before_encoding(v: Vector, token: Token, key: DecoderKey) -> None:
    """Encode again, from the amount that the vector gives before any rounding."""
    if isinstance(token, TransferCredit) and "amount_units" in v:
        credit = TransferCredit(token.service, token.rnd, token.tid, v["amount_units"])
        assert encode(credit, key).digits == v["token"]
    elif isinstance(token, SetMaximumPowerLimit) and "limit_w" in v:
        assert (
            encode(SetMaximumPowerLimit(token.rnd, token.tid, v["limit_w"]), key).digits
            == v["token"]
        )
    elif isinstance(token, SetMaximumPhasePowerUnbalanceLimit) and "limit_w" in v:
        again = SetMaximumPhasePowerUnbalanceLimit(token.rnd, token.tid, v["limit_w"])
        assert encode(again, key).digits == v["token"]
    elif isinstance(token, ClearCredit) and "register" in v:
        assert token.register == v["register"]
    elif isinstance(token, TransferCurrency):
        assert token.amount == int(v["decoded_1e5"])
        amounts = [int(v["decoded_1e5"])]
        if "amount_1e5" in v:
            amounts.append(int(v["amount_1e5"]))
        if v.get("rounding_ok"):
            amounts.append(int(v["amount_base_units"]) * 100_000)
        for amount in amounts:
            assert encode_currency(amount) == (v["se"], v["value16"])
            unrounded = TransferCurrency(token.service, token.tid, amount)
            assert encode(unrounded, key).digits == v["token"]


def check_meter_test(v: Vector) -> None:
    control = int(v["control"], 16) if isinstance(v["control"], str) else v["control"]
    mfr = v["mfr_code"] if "mfr_code" in v else v["mfr"]
    assert v["cls"] == 1
    assert v["sub"] == {"test1": 0, "test2": 1}[v["kind"]]
    token = InitiateMeterTest(control, mfr, v["sub"] == 1)
    block = both_ways(token, v["token"], None)
    assert block.subclass == v["sub"]
    if "test" in v:
        assert token.tests == (v["test"],)
    tests = InitiateMeterTest.of_tests(token.tests, mfr_code=mfr, four_digit_mfr_code=v["sub"] == 1)
    assert tests == token
    if "block64" in v:
        assert block.block64 == int(v["block64"], 16)


def check_extended_read(v: Vector) -> None:
    token = ExtendedRead(int(v["control36"], 16), v["mfr_code"])
    block = both_ways(token, v["token"], None)
    assert (block.token_class, block.subclass) == (v["cls"], v["sub"])
    assert block.data44 == int(v["data44"], 16)


def check_key_change(v: Vector) -> None:
    ea = EA(v["ea"])
    if "old" in v:
        pan, kt = MeterPAN(v["meter_pan"]), KT(v["kt"])
        keys = []
        for side in ("old", "new"):
            a = v[side]
            key = derive_decoder_key(
                DKGA(v["dkga"]),
                VendingKey.from_hex(a["vk"]),
                pan,
                kt,
                SGC(a["sgc"]),
                TI(a["ti"]),
                KRN(a["krn"]),
                base_date_of(a),
                ea,
                tables_of(v),
            )
            assert key.material.hex() == v[f"{side}_key"].lower()
            keys.append(key)
        current, new = keys
        n = v["new"] | {"kt": v["kt"]}
    else:
        current = DecoderKey.from_hex(ea, v["current_key"], tables_of(v))
        new = DecoderKey.from_hex(ea, v["new_key"], tables_of(v))
        n = {name: v[f"new_{name}"] for name in ("ken", "krn", "kt", "ti", "sgc")}
    attributes = KeyAttributes(
        KT(n["kt"]), SGC(n["sgc"]), TI(n["ti"]), KRN(n["krn"]), KEN(n["ken"]), base_date_of(n)
    )
    ro, three_kct = bool(v["ro"]), bool(v["three_kct"])
    made = key_change_set(current, new, attributes, ro=ro, three_kct=three_kct)
    assert [token.digits for token in made] == v["tokens"]

    sections: list[KeyChangeSection] = []
    for digits in v["tokens"]:
        token = decode(TokenData.from_digits(digits), current)
        assert isinstance(token, KeyChangeSection)
        both_ways(token, digits, current)
        sections.append(token)
    assert [s.subclass for s in sections] == [3, 4, 8, 9][: len(sections)]
    received = assemble_key(reversed(sections), ea)
    assert received.material == new.material
    assert (received.ken, received.krn, received.kt, received.ti, received.ro) == (
        n["ken"],
        n["krn"],
        n["kt"],
        int(n["ti"]),
        ro,
    )
    assert received.sgc == (int(n["sgc"]) if len(sections) > 2 else None)
    assert received.sgc_pad == 0


def check_decoder_key(v: Vector) -> None:
    pan, kt, sgc, ti, krn = (
        MeterPAN(v["meter_pan"]),
        KT(v["kt"]),
        SGC(v["sgc"]),
        TI(v["ti"]),
        KRN(v["krn"]),
    )
    assert str(MeterPAN.from_drn(pan.drn)) == v["meter_pan"]
    if "pan_block" in v:
        assert pan.pan_block(kt) == v["pan_block"]
        assert control_block(kt, sgc, ti, krn) == v["control_block"]
    dkga, ea, base = DKGA(v["dkga"]), EA(v.get("ea", 7)), base_date_of(v)
    if dkga is DKGA.DKGA03:
        with pytest.raises(NotSupported, match="DKGA03"):
            VendingKey.from_hex(v["vk"])
        for text in ("00" * 8, "00" * 20):
            with pytest.raises(NotSupported, match="DKGA03"):
                derive_decoder_key(dkga, VendingKey.from_hex(text), pan, kt, sgc, ti, krn, base, ea)
        return
    if "data_block" in v:
        assert dkga04_data(pan, kt, sgc, ti, krn, base, ea).hex() == v["data_block"].lower()
    key = derive_decoder_key(dkga, VendingKey.from_hex(v["vk"]), pan, kt, sgc, ti, krn, base, ea)
    assert key.material.hex() == v["decoder_key"].lower()


def check_cipher_block(v: Vector) -> None:
    key = DecoderKey.from_hex(EA(v["ea"]), v["key"], tables_of(v))
    plain, cipher = int(v["plain"], 16), int(v["cipher"], 16)
    assert key.encrypt(plain) == cipher
    assert key.decrypt(cipher) == plain


def check_sta_token(v: Vector) -> None:
    key = DecoderKey.from_hex(EA.STA, v["decoder_key"], tables_of(v))
    block, cipher = int(v["block64"], 16), int(v["cipher64"], 16)
    assert key.encrypt(block) == cipher
    data = TokenData.assemble(0, cipher)
    assert data.value66 == int(v["token66"], 16)
    assert data.block64 == cipher
    assert data.digits == v["token"]
    assert open_token(data, key).block64 == block
    both_ways(decode(data, key), v["token"], key)


def check_crc(v: Vector) -> None:
    wanted = int(v["crc"], 16)
    if "data56" in v:
        data = bytes.fromhex(v["data56"])
        word = int.from_bytes(data, "big")
        assert crc_of_bytes(data) == wanted
        assert crc(word >> 48, word >> 44 & 15, word & 0xFFFFFFFFFFF) == wanted
        return
    tid = TID.of(utc(v["issue"]), base_date_of(v))
    assert tid == v["tid"]
    data44 = v["rnd"] << 40 | tid << 16 | v["amount16"]
    assert crc(v["cls"], v["sub"], data44) == wanted
    token = TransferCredit(Service(v["sub"]), v["rnd"], tid, decode_amount(v["amount16"]))
    assert token.data44() == data44


def check_amount(v: Vector) -> None:
    assert encode_amount(v["units"]) == v["field"]
    assert decode_amount(v["field"]) == v["decoded"]
    assert encode_amount(v["decoded"]) == v["field"]


def check_tid_memory_fill(v: Vector) -> None:
    at = utc(v["manufactured"])
    assert TID.of(at, BaseDate.Y1993) == v["bdt93"]
    assert TID.of(at, BaseDate.Y2014) == v["bdt14"]
    assert TID(v["bdt93"]).issued_at(BaseDate.Y1993) == at
    assert TID(v["bdt14"]).issued_at(BaseDate.Y2014) == at


def check_tid_rollover(v: Vector) -> None:
    for base in BaseDate:
        last = utc(v[f"bdt{base.code}"])
        assert TID(v["max"]).issued_at(base) == last == base.last
        assert TID.of(last, base) == v["max"]


def check_tid_example(v: Vector) -> None:
    assert TID.of_minute(utc(v["at"]), base_date_of(v)) == v["minutes"]
    at = TID(v["minutes"]).issued_at(base_date_of(v))
    assert at == utc(v["at"]).replace(second=0)
    ordinary = v["minutes"] + 1 if v["minutes"] % 1440 == 1 else v["minutes"]
    assert TID.of(utc(v["at"]), base_date_of(v)) == ordinary


def check_ti_encoding(v: Vector) -> None:
    assert v["text"].startswith("TI 99 ")
    bits = f"{int(control_block(KT.DUTK, SGC('000000'), TI('99'), KRN(1))[7:9], 16):08b}"
    assert f"{bits[:4]} {bits[4:]}" in v["text"]
    bits = f"{Set2ndSectionDecoderKey(0, TI('99').number, 0).data44() >> 32:08b}"
    assert v["text"].endswith(f"{bits[:4]} {bits[4:]}")


def check_compliance_token(v: Vector) -> None:
    """Check one of the JUnit set: decrypted data and the possible times of issue."""
    cls, sub, data44 = v["cls"], v["sub"], int(v["data44"], 16)
    if cls == 1:
        assert v["crc_ok"] is True
        token: Token = (
            InitiateMeterTest(data44 >> 16, data44 & 0xFFFF, four_digit_mfr_code=True)
            if sub
            else InitiateMeterTest(data44 >> 8, data44 & 0xFF)
        )
        assert both_ways(token, v["token"], None).data44 == data44
        return
    key = key_of(v)
    if cls == 2 and sub in {3, 4, 8, 9}:
        token = section_of_fields(sub, data44)
    else:
        tid = data44 >> 16 & 0xFFFFFF
        assert tid in {TID.of(utc(date), base_date_of(v)) for date in v["dates"]}
        token = token_of_fields(cls, sub, data44 >> 40, tid, data44 & 0xFFFF)
    block = both_ways(token, v["token"], key)
    assert (block.token_class, block.subclass, block.data44) == (cls, sub, data44)


def check_class_1_pair(v: Vector) -> None:
    for name, four_digit in (("token_2digit_mfr", False), ("token_4digit_mfr", True)):
        token = InitiateMeterTest.of_tests([v["test"]], four_digit_mfr_code=four_digit)
        assert token.mfr_code == 0
        assert token.tests == (v["test"],)
        both_ways(token, v[name], None)


def check_misty1(v: Vector) -> None:
    check_cipher_block({"ea": 11, **v})


def check_simulator_token(v: Vector) -> None:
    data44 = int(v["data44"], 16)
    token = token_of_fields(
        v["cls"], v["sub"], data44 >> 40, data44 >> 16 & 0xFFFFFF, data44 & 0xFFFF
    )
    assert both_ways(token, v["token"], key_of(v)).data44 == data44


KINDS: dict[str, Callable[[Vector], None]] = {
    "credit": check_credit_or_management,
    "currency": check_credit_or_management,
    "mgmt": check_credit_or_management,
    "test1": check_meter_test,
    "test2": check_meter_test,
    "ext_read": check_extended_read,
    "kct_set": check_key_change,
    "decoder_key": check_decoder_key,
    "cipher_block": check_cipher_block,
    "sta_token": check_sta_token,
    "crc": check_crc,
    "amount": check_amount,
    "tid_memory_fill": check_tid_memory_fill,
    "tid_rollover": check_tid_rollover,
    "ti_encoding": check_ti_encoding,
}
SETS_WITHOUT_KIND: dict[str, Callable[[Vector], None]] = {
    "STS 531-1-0-02 / 531-1-0-04 compliance tests as JUnit": check_compliance_token,
    "Class 1 test/display tokens": check_class_1_pair,
    "MISTY1": check_misty1,
    '"STSSimulator" tokens': check_simulator_token,
    "TID examples": check_tid_example,
}


def handler_of(set_name: str, v: Vector) -> Callable[[Vector], None]:
    if "kind" in v:
        if v["kind"] in KINDS:
            return KINDS[v["kind"]]
    else:
        for beginning, handler in SETS_WITHOUT_KIND.items():
            if set_name.startswith(beginning):
                return handler
    return pytest.fail(f"no test knows vectors of kind {v.get('kind')!r} in set {set_name!r}")


@pytest.mark.parametrize(
    ("set_name", "vector"),
    PUBLISHED,
    ids=[f"{at}-{v.get('kind', 'plain')}-{v.get('id', '')}" for at, (_, v) in enumerate(PUBLISHED)],
)
def test_published_vector(set_name: str, vector: Vector) -> None:
    handler_of(set_name, vector)(vector)


@pytest.mark.parametrize("vector", GENERATED, ids=[f"{v['id']}-{v['kind']}" for v in GENERATED])
def test_generated_vector(vector: Vector) -> None:
    handler_of("generated", vector)(vector)


# --- negative cases -------------------------------------------------------------------------


def negative_digits_refused(v: Vector) -> None:
    with pytest.raises(DigitsError):
        TokenData.from_digits(v["token"])


def negative_check_digit(v: Vector) -> None:
    with pytest.raises(CheckDigitError):
        DRN(v["drn"])


def negative_opened(v: Vector) -> None:
    """What the codec sees of a case that a meter then judges: authentic or not, and what."""
    key = key_of(v) if "decoder_key" in v else None
    unauthentic = v["expect"] == "CRCError"
    for digits in v.get("tokens", [v.get("token")]):
        data = TokenData.from_digits(digits)
        if data.token_class == 3:
            assert v["expect"] == "FunctionError"
            with pytest.raises(NotSupported):
                open_token(data, key)
            continue
        block = open_token(data, key)
        assert block.authentic is not unauthentic
        assert block.authentic is v.get("ref_crc_ok", not unauthentic)
        assert seal(block, key) == data
        if unauthentic:
            continue
        if is_reserved(block.token_class, block.subclass):
            assert v["expect"].startswith("FunctionError")
            with pytest.raises(NotSupported):
                interpret(block)
            continue
        both_ways(interpret(block), digits, key, undefined=True)


def negative_handler(v: Vector) -> Callable[[Vector], None]:
    if "drn" in v:
        return negative_check_digit
    if v["expect"].startswith("refused at the carrier"):
        return negative_digits_refused
    word = v["expect"].split()[0]
    known = {
        *("Accept", "CRCError", "MfrCodeError", "DDTKError", "KeyTypeError"),
        *("FunctionError", "RangeError", "FormatError"),
    }
    if word not in known:
        pytest.fail(f"no test knows the expectation {v['expect']!r}")
    return negative_opened


@pytest.mark.parametrize("case", NEGATIVE, ids=[v["id"] for v in NEGATIVE])
def test_negative_case(case: Vector) -> None:
    negative_handler(case)(case)


def test_undefined_values_are_kept_for_the_meter_to_judge() -> None:
    cases = {v["id"]: v for v in NEGATIVE}
    pad = decode(TokenData.from_digits(cases["N26"]["token"]), key_of(cases["N26"]))
    assert isinstance(pad, ClearTamperCondition)
    assert pad.pad != 0
    register = decode(TokenData.from_digits(cases["N27"]["token"]), key_of(cases["N27"]))
    assert isinstance(register, ClearCredit)
    assert register.register == 8
    other_maker = decode(TokenData.from_digits(cases["N20"]["token"]), None)
    assert isinstance(other_maker, InitiateMeterTest)
    assert other_maker.mfr_code == 47


def test_all_three_files_were_read_whole() -> None:
    published, generated, negative = (
        (SHARED / "vectors" / name).read_text("utf-8")
        for name in ("published.json", "generated.json", "negative.json")
    )
    assert len(PUBLISHED) == sum(len(group["vectors"]) for group in json.loads(published)["sets"])
    assert len(GENERATED) == generated.count('"id"') == len({v["id"] for v in GENERATED})
    assert len(NEGATIVE) == negative.count('"id"')
    assert all(callable(handler_of(name, v)) for name, v in PUBLISHED)
    assert all(callable(handler_of("generated", v)) for v in GENERATED)
    assert all(callable(negative_handler(v)) for v in NEGATIVE)
