"""The four sections of a key change (IEC 62055-41 6.2.7 to 6.2.10, 6.3.10 to 6.3.20).

Their fields are plain integers of the field's width: a section taken from the air may carry
a KRN of 0 or a TI of 120, and it is the meter that judges it. Issuing goes through
`keychange`, which takes typed values. No repr shows a part of a key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

from vtc07.tokens.errors import OutOfRange
from vtc07.tokens.formats import TokenFormat, require_widths
from vtc07.tokens.identifiers import KT, SGC


@dataclass(frozen=True, slots=True)
class Set1stSectionDecoderKey(TokenFormat):
    """Class 2, subclass 3: high half of KEN, KRN, RO, 3KCT, KT and the key's high 32 bits.

    `kenho` and `krn` have 4 bits. `ro`: the base date rolls over. `three_kct`: the set of a
    64-bit key has a third token with the SGC.
    """

    token_class: ClassVar[int] = 2
    has_undefined_values: ClassVar[bool] = True
    kenho: int
    krn: int
    ro: bool
    three_kct: bool
    kt: int
    nkho: int = field(repr=False)

    def __post_init__(self) -> None:
        require_widths(
            self,
            kenho=(self.kenho, 4),
            krn=(self.krn, 4),
            ro=(self.ro, 1),
            three_kct=(self.three_kct, 1),
            kt=(self.kt, 2),
            nkho=(self.nkho, 32),
        )

    @property
    def subclass(self) -> int:
        """3."""
        return 3

    def data44(self) -> int:
        """KENHO, KRN, RO, 3KCT, KT, NKHO."""
        flags = self.ro << 3 | self.three_kct << 2 | self.kt
        return self.kenho << 40 | self.krn << 36 | flags << 32 | self.nkho

    def require_defined(self) -> None:
        """Refuse a KRN of 0 or above 9."""
        if not 1 <= self.krn <= 9:
            raise OutOfRange("Set1stSectionDecoderKey: a KRN lies between 1 and 9.")


@dataclass(frozen=True, slots=True)
class Set2ndSectionDecoderKey(TokenFormat):
    """Class 2, subclass 4: low half of KEN (4 bits), TI (8 bits) and the key's low 32 bits."""

    token_class: ClassVar[int] = 2
    has_undefined_values: ClassVar[bool] = True
    kenlo: int
    ti: int
    nklo: int = field(repr=False)

    def __post_init__(self) -> None:
        require_widths(self, kenlo=(self.kenlo, 4), ti=(self.ti, 8), nklo=(self.nklo, 32))

    @property
    def subclass(self) -> int:
        """4."""
        return 4

    def data44(self) -> int:
        """KENLO, TI, NKLO."""
        return self.kenlo << 40 | self.ti << 32 | self.nklo

    def require_defined(self) -> None:
        """Refuse a TI above 99."""
        if self.ti > 99:
            raise OutOfRange("Set2ndSectionDecoderKey: a TI lies between 0 and 99.")


@dataclass(frozen=True, slots=True)
class Set3rdSectionDecoderKey(TokenFormat):
    """Class 2, subclass 8, one layout for two uses; which one, the length of the key decides.

    In a 128-bit set `sgclo` is the low half of the SGC and `nkmo2` 32 bits of the key. In the
    three-token set of a 64-bit key the same 44 bits are the SGC (24) and a pad of 20 zeros:
    build it with `with_sgc`, read it with `sgc24` and `pad20`.
    """

    token_class: ClassVar[int] = 2
    sgclo: int
    nkmo2: int = field(repr=False)

    def __post_init__(self) -> None:
        require_widths(self, sgclo=(self.sgclo, 12), nkmo2=(self.nkmo2, 32))

    @classmethod
    def with_sgc(cls, sgc: SGC) -> Self:
        """Build the third token of a 64-bit set."""
        return cls(sgc.number >> 12, (sgc.number & 0xFFF) << 20)

    @property
    def sgc24(self) -> int:
        """The SGC of a 64-bit set, as a number of 24 bits; not all of them are valid SGCs."""
        return self.sgclo << 12 | self.nkmo2 >> 20

    @property
    def pad20(self) -> int:
        """The 20 bits behind the SGC of a 64-bit set; they must be 0."""
        return self.nkmo2 & 0xFFFFF

    @property
    def subclass(self) -> int:
        """8."""
        return 8

    def data44(self) -> int:
        """SGCLO and NKMO2, or SGC and pad."""
        return self.sgclo << 32 | self.nkmo2


@dataclass(frozen=True, slots=True)
class Set4thSectionDecoderKey(TokenFormat):
    """Class 2, subclass 9, for 128-bit keys: high half of the SGC (12 bits) and key bits."""

    token_class: ClassVar[int] = 2
    sgcho: int
    nkmo1: int = field(repr=False)

    def __post_init__(self) -> None:
        require_widths(self, sgcho=(self.sgcho, 12), nkmo1=(self.nkmo1, 32))

    @property
    def subclass(self) -> int:
        """9."""
        return 9

    def data44(self) -> int:
        """SGCHO and NKMO1."""
        return self.sgcho << 32 | self.nkmo1


KeyChangeSection = (
    Set1stSectionDecoderKey
    | Set2ndSectionDecoderKey
    | Set3rdSectionDecoderKey
    | Set4thSectionDecoderKey
)
"""Any section of a key change."""


def section_of(subclass: int, data44: int) -> KeyChangeSection:
    """Read the 44 data bits of subclass 3, 4, 8 or 9."""
    if subclass == 3:
        return Set1stSectionDecoderKey(
            kenho=data44 >> 40,
            krn=data44 >> 36 & 15,
            ro=bool(data44 >> 35 & 1),
            three_kct=bool(data44 >> 34 & 1),
            kt=KT(data44 >> 32 & 3),
            nkho=data44 & 0xFFFFFFFF,
        )
    if subclass == 4:
        return Set2ndSectionDecoderKey(
            kenlo=data44 >> 40, ti=data44 >> 32 & 0xFF, nklo=data44 & 0xFFFFFFFF
        )
    if subclass == 8:
        return Set3rdSectionDecoderKey(sgclo=data44 >> 32, nkmo2=data44 & 0xFFFFFFFF)
    if subclass == 9:
        return Set4thSectionDecoderKey(sgcho=data44 >> 32, nkmo1=data44 & 0xFFFFFFFF)
    raise OutOfRange("Key change sections have the subclasses 3, 4, 8 and 9.")
