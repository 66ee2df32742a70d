"""Keys: lengths, derivation and its refusals, and that no text ever shows key material."""

from __future__ import annotations

import copy
import hashlib
import hmac
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    BaseDate,
    DecoderKey,
    KeyAttributes,
    KeyChangeSection,
    KeyFormatError,
    MeterPAN,
    MfrCode,
    NotSupported,
    OutOfRange,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    StaTables,
    TokenError,
    VendingKey,
    assemble_key,
    control_block,
    decode,
    derive_decoder_key,
    dkga04_data,
    encode,
    key_change_sections,
    key_change_set,
    open_token,
)
from vtc07.tokens.ciphers.dea import DEACipher
from vtc07.tokens.ciphers.misty1 import MISTY1Cipher
from vtc07.tokens.ciphers.sta import STACipher

REVERSED_TABLES = StaTables(SAMPLE_TABLES.sub1, SAMPLE_TABLES.sub2, SAMPLE_TABLES.perm[::-1])
PAN = MeterPAN.from_drn(DRN.of(MfrCode("47"), "20481632"))
VK8 = VendingKey(bytes(range(0x30, 0x38)))
VK20 = VendingKey(bytes(range(0xA0, 0xB4)))

eas = st.sampled_from(EA)
pans = st.builds(
    lambda maker, serial: MeterPAN.from_drn(DRN.of(MfrCode(maker), serial)),
    st.from_regex(r"[0-9]{2}|[0-9]{4}", fullmatch=True),
    st.from_regex(r"[0-9]{8}", fullmatch=True),
)
sgcs = st.integers(0, 999_999).map(SGC.of)
tis = st.integers(0, 99).map(TI.of)
krns = st.integers(1, 9).map(KRN)
bases = st.sampled_from(BaseDate)


def derive(
    dkga: DKGA = DKGA.DKGA04,
    vending_key: VendingKey = VK20,
    kt: KT = KT.DUTK,
    ea: EA = EA.STA,
    base_date: BaseDate = BaseDate.Y2014,
) -> DecoderKey:
    return derive_decoder_key(
        dkga, vending_key, PAN, kt, SGC("004711"), TI("07"), KRN(3), base_date, ea
    )


# --- Derivation -----------------------------------------------------------------------------


@given(
    vending=st.binary(min_size=8, max_size=8),
    pan=pans,
    kt=st.sampled_from([1, 2, 3]),
    sgc=sgcs,
    ti=tis,
    krn=krns,
)
def test_dkga02_is_a_feed_forward_of_des(
    *, vending: bytes, pan: MeterPAN, kt: int, sgc: SGC, ti: TI, krn: KRN
) -> None:
    key = derive_decoder_key(
        DKGA.DKGA02, VendingKey(vending), pan, KT(kt), sgc, ti, krn, BaseDate.Y1993, EA.STA
    )
    block = str(pan)[1:17]
    if kt == 3:
        block = ("00727" if pan.iin == "600727" else "000").ljust(16, "0")
    x = int(block, 16) ^ int(f"{kt}{sgc}{ti}{krn}FFFFFF", 16)
    expected = DEACipher(vending).encrypt(x) ^ x ^ int.from_bytes(vending, "big")
    assert int.from_bytes(key.material, "big") == expected
    assert control_block(KT(kt), sgc, ti, krn) == f"{kt}{sgc}{ti}{krn}FFFFFF"


@pytest.mark.parametrize(
    ("name", "odd", "sentence"),
    [
        ("meter_pan", str(PAN), "MeterPAN"),
        ("sgc", 4711, "SGC"),
        ("sgc", "4711", "SGC"),
        ("ti", 1, "TI"),
        ("ti", "7", "TI"),
        ("krn", 0, "KRN"),
        ("krn", 10, "KRN"),
        ("krn", "3", "KRN"),
        ("kt", 2, "key type"),
        ("base_date", "14", "BaseDate"),
        ("vending_key", bytes(range(8)), "VendingKey"),
    ],
)
@pytest.mark.parametrize("dkga", [DKGA.DKGA02, DKGA.DKGA04])
def test_what_is_not_of_its_type_derives_no_key(
    dkga: DKGA, name: str, odd: object, sentence: str
) -> None:
    fields: dict[str, Any] = {
        "vending_key": VK8 if dkga is DKGA.DKGA02 else VK20,
        "meter_pan": PAN,
        "kt": KT.DUTK,
        "sgc": SGC("004711"),
        "ti": TI("07"),
        "krn": KRN(3),
        "base_date": BaseDate.Y2014,
    }
    assert derive_decoder_key(dkga, **fields, ea=EA.STA).ea is EA.STA
    with pytest.raises(TokenError, match=sentence) as caught:
        derive_decoder_key(dkga, **{**fields, name: odd}, ea=EA.STA)
    assert type(caught.value) is (KeyFormatError if name == "vending_key" else OutOfRange)


@pytest.mark.parametrize("place", range(4))
def test_a_control_block_has_typed_parts(place: int) -> None:
    parts: list[Any] = [KT.DUTK, SGC("004711"), TI("07"), KRN(3)]
    parts[place] = 5
    with pytest.raises(OutOfRange):
        control_block(*parts)
    with pytest.raises(OutOfRange):
        dkga04_data(PAN, parts[0], parts[1], parts[2], parts[3], BaseDate.Y2014, EA.STA)


@given(
    vending=st.binary(min_size=20, max_size=20),
    pan=pans,
    kt=st.sampled_from([KT.DDTK, KT.DUTK]),
    sgc=sgcs,
    ti=tis,
    krn=krns,
    base=bases,
    ea=st.sampled_from([EA.STA, EA.MISTY1]),
)
def test_dkga04_authenticates_the_attributes(
    *, vending: bytes, pan: MeterPAN, kt: KT, sgc: SGC, ti: TI, krn: KRN, base: BaseDate, ea: EA
) -> None:
    data = dkga04_data(pan, kt, sgc, ti, krn, base, ea)
    assert len(data) == 49
    text = b"\x04\x0204\x02%s\x02%02d\x02%s\x00\x04\x06%s\x01%d\x01%d\x12%s\x00\x00\x00%c" % (
        base.code.encode(),
        ea,
        str(ti).encode(),
        str(sgc).encode(),
        kt,
        krn,
        str(pan).encode(),
        64 if ea is EA.STA else 128,
    )
    assert data == text
    key = derive_decoder_key(DKGA.DKGA04, VendingKey(vending), pan, kt, sgc, ti, krn, base, ea)
    assert key.ea is ea
    assert key.material == hmac.new(vending, text, hashlib.sha256).digest()[: len(key.material)]


def test_the_attributes_make_the_key() -> None:
    keys = {
        derive(),
        derive(ea=EA.MISTY1),
        derive(kt=KT.DDTK),
        derive(base_date=BaseDate.Y2035),
        derive(DKGA.DKGA02, VK8),
        derive(DKGA.DKGA02, VK8, kt=KT.DCTK),
        derive(DKGA.DKGA02, VK8, ea=EA.DEA),
    }
    assert len(keys) == 7
    assert derive(DKGA.DKGA02, VK8).material == derive(DKGA.DKGA02, VK8, ea=EA.DEA).material


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: derive(DKGA.DKGA01, VK8), NotSupported, "DKGA01 is not supported"),
        (lambda: derive(DKGA.DKGA03, VK8), NotSupported, "DKGA03 is not supported"),
        (lambda: VendingKey(bytes(16)), NotSupported, "DKGA03"),
        (lambda: derive(DKGA.DKGA02, VK8, ea=EA.MISTY1), NotSupported, "EA11 keys are derived"),
        (lambda: derive(ea=EA.DEA), NotSupported, "EA09 is withdrawn"),
        (lambda: derive(kt=KT.DCTK), NotSupported, "KT 3"),
        (lambda: derive(kt=KT.DITK), NotSupported, "manufacturer loads it"),
        (lambda: derive(DKGA.DKGA02, VK8, kt=KT.DITK), NotSupported, "manufacturer loads it"),
        (lambda: derive(DKGA.DKGA02, VK20), KeyFormatError, "8 bytes, but 20"),
        (lambda: derive(DKGA.DKGA04, VK8), KeyFormatError, "20 bytes, but 8"),
        (lambda: derive(4), OutOfRange, "DKGA.DKGA04"),  # type: ignore[arg-type]
        (lambda: derive(kt=2), OutOfRange, "KT.DUTK"),  # type: ignore[arg-type]
        (lambda: derive(ea=7), OutOfRange, "EA.STA"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_derived_is_refused(
    make: Callable[[], object], error: type[TokenError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        make()


# --- Material -------------------------------------------------------------------------------


@given(st.binary(max_size=40), eas)
def test_a_key_has_the_length_of_its_algorithm(material: bytes, ea: EA) -> None:
    if len(material) == ea.key_bytes:
        key = DecoderKey(ea, material)
        assert key.material == material
        assert key == DecoderKey.from_hex(ea, material.hex().upper())
    else:
        with pytest.raises(KeyFormatError, match=f"EA{ea.code} has {ea.key_bytes} bytes"):
            DecoderKey(ea, material)
    if len(material) in {8, 20}:
        assert VendingKey.from_hex(material.hex()) == VendingKey(material)
        assert VendingKey(material).dkga is (DKGA.DKGA02 if len(material) == 8 else DKGA.DKGA04)
    elif len(material) != 16:
        with pytest.raises(KeyFormatError, match=r"8 bytes .* or 20 bytes"):
            VendingKey(material)


def test_keys_are_equal_by_algorithm_tables_and_material() -> None:
    one, two = bytes(8), b"\x01" + bytes(7)
    assert DecoderKey(EA.STA, one) == DecoderKey(EA.STA, one)
    assert hash(DecoderKey(EA.STA, one)) == hash(DecoderKey(EA.STA, one))
    assert DecoderKey(EA.STA, one) != DecoderKey(EA.STA, two)
    assert DecoderKey(EA.STA, one) != DecoderKey(EA.DEA, one)
    assert DecoderKey(EA.STA, one) != DecoderKey(EA.STA, one, REVERSED_TABLES)
    assert DecoderKey(EA.DEA, one) == DecoderKey(EA.DEA, one, REVERSED_TABLES)
    assert DecoderKey(EA.STA, one) != one
    assert VendingKey(one) != VendingKey(two)
    assert VendingKey(one) != one
    assert len({VendingKey(one), VendingKey(one), VendingKey(two)}) == 2


@pytest.mark.parametrize("ea", EA)
def test_a_used_key_can_be_copied(ea: EA) -> None:
    key = DecoderKey(ea, bytes(range(ea.key_bytes)))
    cipher = key.encrypt(0x0123456789ABCDEF)
    for twin in (copy.copy(key), copy.deepcopy(key), pickle.loads(pickle.dumps(key))):
        assert twin == key
        assert twin.decrypt(cipher) == 0x0123456789ABCDEF


# --- Nothing shows a key --------------------------------------------------------------------


def assert_hides(text: str, material: bytes) -> None:
    """No three bytes of the material in a row, in hexadecimal, and no word of it in decimal."""
    lower = text.lower()
    for at in range(len(material) - 2):
        part = material[at : at + 3]
        assert part.hex() not in lower
        assert "".join(f"\\x{byte:02x}" for byte in part) not in lower
    for width in (4, 8, 16):
        for at in range(0, len(material) - width + 1, 4):
            assert str(int.from_bytes(material[at : at + width], "big")) not in text


# No byte of it prints as a character, and no word of it is small.
def secret(length: int) -> bytes:
    return bytes(0x80 + 37 * at % 128 for at in range(length))


def texts_about(thing: object) -> Iterator[str]:
    yield repr(thing)
    yield str(thing)
    yield f"{thing}"


@pytest.mark.parametrize("ea", EA)
def test_no_repr_shows_a_key(ea: EA) -> None:
    material = secret(ea.key_bytes)
    key, current = DecoderKey(ea, material), DecoderKey(ea, bytes(ea.key_bytes))
    key.encrypt(0)
    key.decrypt(0)
    attributes = KeyAttributes(KT.DUTK, SGC("123456"), TI("12"), KRN(1), KEN(255), BaseDate.Y2014)
    sections = key_change_sections(key, attributes, ro=False)
    tokens = key_change_set(current, key, attributes, ro=False)
    things: list[object] = [
        key,
        attributes,
        *sections,
        sections,
        *tokens,
        *(decode(token, current) for token in tokens),
        *(open_token(token, current) for token in tokens),
        assemble_key(sections, ea),
        {"key": key},
    ]
    for thing in things:
        for text in texts_about(thing):
            assert_hides(text, material)
    assert ea.code in repr(key)


def test_no_repr_shows_a_vending_key_or_a_prepared_cipher() -> None:
    things: list[tuple[object, int]] = [
        (VendingKey(secret(8)), 8),
        (VendingKey(secret(20)), 20),
        (STACipher(secret(8), SAMPLE_TABLES), 8),
        (DEACipher(secret(8)), 8),
        (MISTY1Cipher(secret(16)), 16),
    ]
    for thing, length in things:
        for text in texts_about(thing):
            assert_hides(text, secret(length))


def odd_uses(material: bytes) -> Iterator[Callable[[], object]]:
    text = material.hex()
    for make in (VendingKey.from_hex, lambda t: DecoderKey.from_hex(EA.STA, t)):
        yield from (
            lambda odd=odd, make=make: make(odd)
            for odd in (text + "0", text + "xy", f"{text} {text}", f"0x{text}", text[:-3], [text])
        )
    for raw in (material + b"\x00", material[:-1], bytearray(material), text):
        yield lambda raw=raw: VendingKey(raw)  # type: ignore[misc]
        for ea in EA:
            yield lambda raw=raw, ea=ea: DecoderKey(ea, raw * 3)  # type: ignore[misc]
    yield lambda: DecoderKey("07", material)  # type: ignore[arg-type]
    yield lambda: DecoderKey(EA.STA, material[:8], "tables")  # type: ignore[arg-type]
    for dkga in (DKGA.DKGA01, DKGA.DKGA03, DKGA.DKGA04):
        yield lambda dkga=dkga: derive(dkga, VendingKey(material[:8]))  # type: ignore[misc]


@pytest.mark.parametrize("length", [8, 16, 20])
def test_no_error_shows_a_key(length: int) -> None:
    material = secret(length)
    uses = list(odd_uses(material))
    for use in uses:
        with pytest.raises(TokenError) as caught:
            use()
        error: BaseException = caught.value
        assert_hides(str(error), material)
        assert_hides(repr(error), material)
        assert error.__cause__ is None
        assert error.__context__ is None
        assert_hides("".join(traceback.format_exception_only(error)), material)
    assert len(uses) == 33


def test_no_error_of_a_section_shows_its_part_of_the_key() -> None:
    material = secret(8)
    key, current = DecoderKey(EA.STA, material), DecoderKey(EA.STA, bytes(8))
    attributes = KeyAttributes(KT.DUTK, SGC("123456"), TI("12"), KRN(1), KEN(255), BaseDate.Y2014)
    first, second = key_change_sections(key, attributes, ro=False)
    for section, field, value in (
        (first, "nkho", int.from_bytes(material, "big")),
        (first, "krn", 16),
        (second, "nklo", material.hex()),
        (second, "ti", 256),
    ):
        fields = {name: getattr(section, name) for name in section.__slots__} | {field: value}
        with pytest.raises(OutOfRange) as caught:
            type(section)(**fields)
        assert_hides(str(caught.value), material)
    high, low = (int.from_bytes(half, "big") for half in (material[:4], material[4:]))
    undefined: tuple[KeyChangeSection, ...] = (
        Set1stSectionDecoderKey(0, 0, ro=False, three_kct=False, kt=2, nkho=high),
        Set2ndSectionDecoderKey(0, 200, low),
    )
    for odd in undefined:
        with pytest.raises(OutOfRange) as caught:
            encode(odd, current)
        assert_hides(str(caught.value), material)
