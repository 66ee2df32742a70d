"""Key change sets: issued, taken apart, and put together again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TI,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    KeyChangeSection,
    OutOfRange,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
    assemble_key,
    decode,
    key_change_sections,
    key_change_set,
    missing_sections,
)

attributes_of_keys = st.builds(
    KeyAttributes,
    kt=st.sampled_from(KT),
    sgc=st.integers(0, 999_999).map(SGC.of),
    ti=st.integers(0, 99).map(TI.of),
    krn=st.integers(1, 9).map(KRN),
    ken=st.integers(0, 255).map(KEN),
    base_date=st.sampled_from(BaseDate),
)
ATTRIBUTES = KeyAttributes(KT.DUTK, SGC("654321"), TI("42"), KRN(6), KEN(0xA5), BaseDate.Y2035)


def keys_of(ea: EA) -> st.SearchStrategy[DecoderKey]:
    return st.binary(min_size=ea.key_bytes, max_size=ea.key_bytes).map(
        lambda material: DecoderKey(ea, material)
    )


@pytest.mark.parametrize(
    ("ea", "three_kct", "subclasses"),
    [
        (EA.STA, False, [3, 4]),
        (EA.STA, True, [3, 4, 8]),
        (EA.DEA, False, [3, 4]),
        (EA.DEA, True, [3, 4, 8]),
        (EA.MISTY1, False, [3, 4, 8, 9]),
    ],
)
@given(data=st.data(), attributes=attributes_of_keys, ro=st.booleans())
def test_a_set_carries_the_key_in_any_order(
    *,
    ea: EA,
    three_kct: bool,
    subclasses: list[int],
    data: st.DataObject,
    attributes: KeyAttributes,
    ro: bool,
) -> None:
    current, new = data.draw(keys_of(ea)), data.draw(keys_of(ea))
    tokens = key_change_set(current, new, attributes, ro=ro, three_kct=three_kct)
    sections = [decode(token, current) for token in tokens]
    assert [section.subclass for section in sections] == subclasses
    received: list[KeyChangeSection] = []
    for section in data.draw(st.permutations(sections)):
        assert missing_sections(received, ea)
        with pytest.raises(OutOfRange, match="not complete"):
            assemble_key(received, ea)
        assert isinstance(section, KeyChangeSection)
        received.append(section)
    assert not missing_sections(received, ea)
    key = assemble_key(received, ea)
    assert DecoderKey(ea, key.material) == new
    assert (key.ken, key.krn, key.kt, key.ti, key.ro) == (
        attributes.ken,
        attributes.krn,
        attributes.kt,
        attributes.ti.number,
        ro,
    )
    assert key.sgc == (attributes.sgc.number if len(subclasses) > 2 else None)
    assert key.sgc_pad == 0


def test_the_parts_of_a_128_bit_key_and_of_its_sgc_stand_where_they_belong() -> None:
    material = bytes.fromhex("00112233445566778899aabbccddeeff")
    first, second, third, fourth = key_change_sections(
        DecoderKey(EA.MISTY1, material), ATTRIBUTES, ro=True
    )
    assert isinstance(first, Set1stSectionDecoderKey)
    assert isinstance(second, Set2ndSectionDecoderKey)
    assert isinstance(third, Set3rdSectionDecoderKey)
    assert isinstance(fourth, Set4thSectionDecoderKey)
    assert (first.nkho, third.nkmo2, fourth.nkmo1, second.nklo) == (
        0x00112233,
        0x44556677,
        0x8899AABB,
        0xCCDDEEFF,
    )
    assert (first.kenho, second.kenlo) == (0xA, 0x5)
    assert fourth.sgcho << 12 | third.sgclo == 654321
    assert first.data44() >> 32 == 0xA6A, "KENHO A, KRN 6, RO 1, 3KCT 0, KT 2"
    assert second.data44() >> 32 == 0x52A, "KENLO 5, TI 42 in binary"


def test_the_third_token_of_a_64_bit_set_is_the_sgc_and_a_pad() -> None:
    third = Set3rdSectionDecoderKey.with_sgc(SGC("654321"))
    assert third.data44() == 654321 << 20
    assert (third.sgc24, third.pad20) == (654321, 0)
    assert Set3rdSectionDecoderKey(0xFFF, 0xFFFFFFFF).sgc24 == 0xFFFFFF
    assert Set3rdSectionDecoderKey(0, 1).pad20 == 1


def test_out_of_range_codes_and_a_pad_are_left_to_the_meter() -> None:
    first = Set1stSectionDecoderKey(0, 0, ro=False, three_kct=True, kt=2, nkho=1)
    second = Set2ndSectionDecoderKey(0, 255, 2)
    key = assemble_key([Set3rdSectionDecoderKey(0xFFF, 0xFFF00007), second, first], EA.STA)
    assert (key.krn, key.ti, key.sgc, key.sgc_pad) == (0, 255, 0xFFFFFF, 7)


def test_sections_that_a_set_does_not_need_are_ignored() -> None:
    first = Set1stSectionDecoderKey(0, 1, ro=False, three_kct=False, kt=2, nkho=1)
    second = Set2ndSectionDecoderKey(0, 7, 2)
    third, fourth = Set3rdSectionDecoderKey(1, 1), Set4thSectionDecoderKey(1, 1)
    short = assemble_key([first, second], EA.STA)
    assert assemble_key([third, fourth, first, second], EA.STA) == short
    assert short.sgc is None
    flagged = Set1stSectionDecoderKey(0, 1, ro=False, three_kct=True, kt=2, nkho=1)
    sections: list[KeyChangeSection] = [first, second, third, fourth]
    assert assemble_key([flagged, second, third, fourth], EA.MISTY1) == assemble_key(
        sections, EA.MISTY1
    )


def test_the_last_of_a_repeated_section_counts() -> None:
    first = Set1stSectionDecoderKey(0, 1, ro=False, three_kct=False, kt=2, nkho=1)
    again = Set1stSectionDecoderKey(0, 2, ro=False, three_kct=False, kt=2, nkho=3)
    second = Set2ndSectionDecoderKey(0, 7, 2)
    key = assemble_key([first, second, again], EA.STA)
    assert (key.krn, key.material) == (2, bytes.fromhex("0000000300000002"))


def test_what_is_missing_depends_on_the_first_section() -> None:
    flagged = Set1stSectionDecoderKey(0, 1, ro=False, three_kct=True, kt=2, nkho=1)
    second = Set2ndSectionDecoderKey(0, 7, 2)
    assert missing_sections([], EA.STA) == {3, 4}
    assert missing_sections([second], EA.STA) == {3}
    assert missing_sections([flagged], EA.STA) == {4, 8}
    assert missing_sections([flagged, second], EA.STA) == {8}
    assert missing_sections([flagged, second], EA.MISTY1) == {8, 9}
    with pytest.raises(OutOfRange, match="subclass 8 and 9"):
        assemble_key([flagged, second], EA.MISTY1)


def test_a_set_stays_within_one_algorithm() -> None:
    sta, dea = DecoderKey(EA.STA, bytes(8)), DecoderKey(EA.DEA, bytes(8))
    misty1 = DecoderKey(EA.MISTY1, bytes(16))
    with pytest.raises(OutOfRange, match="from EA07 to EA11"):
        key_change_set(sta, misty1, ATTRIBUTES, ro=False)
    with pytest.raises(OutOfRange, match="from EA09 to EA07"):
        key_change_set(dea, sta, ATTRIBUTES, ro=False)
    with pytest.raises(OutOfRange, match="leave three_kct off"):
        key_change_set(misty1, misty1, ATTRIBUTES, ro=False, three_kct=True)
