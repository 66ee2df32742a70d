"""Key change sets: a new decoder key in two, three or four tokens (IEC 62055-41 6.2.7 ff.).

A 64-bit key travels in two tokens, or in three with the SGC; a 128-bit key in four, which
always carry the SGC. All are encrypted with the key that the meter has now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from vtc07.tokens.codec import encode
from vtc07.tokens.errors import OutOfRange
from vtc07.tokens.identifiers import EA, KEN
from vtc07.tokens.keys import DecoderKey, KeyAttributes
from vtc07.tokens.keysections import (
    KeyChangeSection,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
)
from vtc07.tokens.tokendata import TokenData


def key_change_sections(
    new: DecoderKey, attributes: KeyAttributes, *, ro: bool, three_kct: bool = False
) -> tuple[KeyChangeSection, ...]:
    """Return the sections that carry `new` and its attributes, in the order of issue.

    Subclasses 3, 4, 8, 9. `ro`: the base date rolls over, so the meter empties its TID store
    and goes to the next base date. `three_kct`: add the SGC to a 64-bit set; raises
    OutOfRange for a 128-bit key, whose set always has it.
    """
    if three_kct and new.ea is EA.MISTY1:
        raise OutOfRange(
            "A 128-bit key change set has four tokens and always carries the SGC; leave "
            "three_kct off."
        )
    words = [
        int.from_bytes(new.material[at : at + 4], "big") for at in range(0, new.ea.key_bytes, 4)
    ]
    first = Set1stSectionDecoderKey(
        kenho=attributes.ken >> 4,
        krn=attributes.krn.number,
        ro=ro,
        three_kct=three_kct,
        kt=attributes.kt,
        nkho=words[0],
    )
    second = Set2ndSectionDecoderKey(
        kenlo=attributes.ken & 15, ti=attributes.ti.number, nklo=words[-1]
    )
    if three_kct:
        return first, second, Set3rdSectionDecoderKey.with_sgc(attributes.sgc)
    if new.ea is not EA.MISTY1:
        return first, second
    sgc = attributes.sgc.number
    return (
        first,
        second,
        Set3rdSectionDecoderKey(sgclo=sgc & 0xFFF, nkmo2=words[1]),
        Set4thSectionDecoderKey(sgcho=sgc >> 12, nkmo1=words[2]),
    )


def key_change_set(
    current: DecoderKey,
    new: DecoderKey,
    attributes: KeyAttributes,
    *,
    ro: bool,
    three_kct: bool = False,
) -> tuple[TokenData, ...]:
    """Return the tokens that take a meter from `current` to `new`, in the order of issue.

    `attributes` are those of the new key; see `key_change_sections` for the flags. Raises
    OutOfRange when the two keys are for different algorithms: a meter keeps its own.
    """
    if current.ea is not new.ea:
        raise OutOfRange(
            f"A key change cannot lead from EA{current.ea.code} to EA{new.ea.code}; derive the "
            "new key for the meter's own algorithm."
        )
    sections = key_change_sections(new, attributes, ro=ro, three_kct=three_kct)
    return tuple(encode(section, current) for section in sections)


@dataclass(frozen=True, slots=True)
class AssembledKey:
    """What a complete set of sections says; the codes are as received, for the meter to judge.

    `sgc` is None in a set of two tokens, which leaves the meter's SGC as it is. `sgc_pad` are
    the 20 bits behind the SGC of a three-token set, to be 0.
    """

    ea: EA
    material: bytes = field(repr=False)
    ken: KEN
    krn: int
    kt: int
    ti: int
    ro: bool
    sgc: int | None
    sgc_pad: int = 0


def missing_sections(sections: Iterable[KeyChangeSection], ea: EA) -> frozenset[int]:
    """Return the subclasses that a set still lacks under this algorithm.

    EA11 needs 3, 4, 8 and 9. The others need 3 and 4, and 8 if the section of subclass 3 says
    so with 3KCT; before that section has come, 8 is not counted.
    """
    held = {section.subclass: section for section in sections}
    needed = {3, 4, 8, 9} if ea is EA.MISTY1 else {3, 4}
    first = held.get(3)
    if isinstance(first, Set1stSectionDecoderKey) and first.three_kct:
        needed.add(8)
    return frozenset(needed - held.keys())


def assemble_key(sections: Iterable[KeyChangeSection], ea: EA) -> AssembledKey:
    """Put a new key and its attributes together from decoded sections, in any order.

    Of a repeated section the last counts; sections that the set does not need are ignored:
    under EA07 and EA09 the third without 3KCT and the fourth always, under EA11 the 3KCT
    bit. Raises OutOfRange while a needed section is missing.
    """
    sections = tuple(sections)
    missing = missing_sections(sections, ea)
    if missing:
        raise OutOfRange(
            "The key change set is not complete; it still needs the token of subclass "
            f"{' and '.join(map(str, sorted(missing)))}."
        )
    third = fourth = None
    for section in sections:
        match section:
            case Set1stSectionDecoderKey():
                first = section
            case Set2ndSectionDecoderKey():
                second = section
            case Set3rdSectionDecoderKey():
                third = section
            case Set4thSectionDecoderKey():
                fourth = section
    words = [first.nkho, second.nklo]
    sgc: int | None = None
    pad = 0
    if ea is EA.MISTY1:
        if third is not None and fourth is not None:
            words[1:1] = [third.nkmo2, fourth.nkmo1]
            sgc = fourth.sgcho << 12 | third.sgclo
    elif first.three_kct and third is not None:
        sgc, pad = third.sgc24, third.pad20
    return AssembledKey(
        ea=ea,
        material=b"".join(word.to_bytes(4, "big") for word in words),
        ken=KEN(first.kenho << 4 | second.kenlo),
        krn=first.krn,
        kt=first.kt,
        ti=second.ti,
        ro=first.ro,
        sgc=sgc,
        sgc_pad=pad,
    )
