"""Vending keys, decoder keys and their derivation (IEC 62055-41 6.5.2 and 6.5.3).

No repr, str or error of this module shows key material.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final, Self

from vtc07.tokens.ciphers import BlockCipher
from vtc07.tokens.ciphers.dea import DEACipher
from vtc07.tokens.ciphers.misty1 import MISTY1Cipher
from vtc07.tokens.ciphers.sta import SAMPLE_TABLES, STACipher, StaTables
from vtc07.tokens.errors import KeyFormatError, NotSupported, OutOfRange
from vtc07.tokens.identifiers import DKGA, EA, KEN, KRN, KT, SGC, TI, MeterPAN
from vtc07.tokens.tid import BaseDate

_DKGA02_KEY_BYTES: Final = 8
_DKGA03_KEY_BYTES: Final = 16
_DKGA04_KEY_BYTES: Final = 20


def _bytes_of_hex(what: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        pass
    raise KeyFormatError(
        f"{what} must be written in pairs of hexadecimal digits (0-9, A-F); check it for other "
        "characters or a missing digit."
    )


@dataclass(frozen=True, slots=True)
class VendingKey:
    """A vending key: 8 bytes for DKGA02, 20 bytes for DKGA04.

    Raises KeyFormatError for another length, and NotSupported for the 16 bytes of a DKGA03
    key. Equality compares in constant time.
    """

    material: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.material, bytes):
            raise KeyFormatError("A vending key is given as bytes, or as text with from_hex.")
        if len(self.material) == _DKGA03_KEY_BYTES:
            raise NotSupported(
                "A vending key of 16 bytes belongs to DKGA03, which is withdrawn and not "
                "supported; use an 8-byte key with DKGA02 or a 20-byte key with DKGA04."
            )
        if len(self.material) not in (_DKGA02_KEY_BYTES, _DKGA04_KEY_BYTES):
            raise KeyFormatError(
                "A vending key has 8 bytes (16 hexadecimal digits) for DKGA02 or 20 bytes (40) "
                f"for DKGA04, but {len(self.material)} bytes were given."
            )

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Read hexadecimal digits of either case; spaces between bytes are allowed."""
        return cls(_bytes_of_hex("A vending key", text))

    @property
    def dkga(self) -> DKGA:
        """The derivation that a key of this length is for."""
        return DKGA.DKGA02 if len(self.material) == _DKGA02_KEY_BYTES else DKGA.DKGA04

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VendingKey):
            return NotImplemented
        return hmac.compare_digest(self.material, other.material)

    def __hash__(self) -> int:
        return hash(self.material)


@dataclass(frozen=True, slots=True)
class KeyAttributes:
    """What belongs to a decoder key besides its bits (IEC 62055-41 6.5.2.2)."""

    kt: KT
    sgc: SGC
    ti: TI
    krn: KRN
    ken: KEN
    base_date: BaseDate


class DecoderKey:
    """A key of one meter under one encryption algorithm, made ready for many tokens.

    `material` is 8 bytes for EA07 and EA09, 16 for EA11; KeyFormatError otherwise. `tables`
    matters to EA07 only and defaults to the sample set, which no meter in the field uses.
    The cipher is prepared at the first encryption or decryption. Equality compares algorithm,
    table set and, in constant time, the material. Instances do not change.
    """

    __slots__ = ("_cipher", "_ea", "_material", "_tables")

    def __init__(self, ea: EA, material: bytes, tables: StaTables = SAMPLE_TABLES) -> None:
        if not isinstance(ea, EA):
            raise OutOfRange("The encryption algorithm must be EA.STA, EA.DEA or EA.MISTY1.")
        if not isinstance(material, bytes):
            raise KeyFormatError("A decoder key is given as bytes, or as text with from_hex.")
        if len(material) != ea.key_bytes:
            raise KeyFormatError(
                f"A decoder key for EA{ea.code} has {ea.key_bytes} bytes "
                f"({2 * ea.key_bytes} hexadecimal digits), but {len(material)} bytes were given."
            )
        if not isinstance(tables, StaTables):
            raise OutOfRange("The STA tables must be a StaTables, as load_tables returns.")
        self._ea = ea
        self._material = material
        self._tables = tables
        self._cipher: BlockCipher | None = None

    @classmethod
    def from_hex(cls, ea: EA, text: str, tables: StaTables = SAMPLE_TABLES) -> Self:
        """Read hexadecimal digits of either case; spaces between bytes are allowed."""
        return cls(ea, _bytes_of_hex("A decoder key", text), tables)

    @property
    def ea(self) -> EA:
        """The encryption algorithm."""
        return self._ea

    @property
    def material(self) -> bytes:
        """The key itself, for a sealed store; never print, log or send it."""
        return self._material

    @property
    def tables(self) -> StaTables:
        """The STA table set; without meaning unless the algorithm is EA07."""
        return self._tables

    def encrypt(self, block64: int) -> int:
        """Encrypt the 64-bit block of a token."""
        return (self._cipher or self._prepare()).encrypt(block64)

    def decrypt(self, block64: int) -> int:
        """Decrypt the 64-bit block of a token."""
        return (self._cipher or self._prepare()).decrypt(block64)

    def _prepare(self) -> BlockCipher:
        cipher: BlockCipher
        if self._ea is EA.STA:
            cipher = STACipher(self._material, self._tables)
        elif self._ea is EA.DEA:
            cipher = DEACipher(self._material)
        else:
            cipher = MISTY1Cipher(self._material)
        self._cipher = cipher
        return cipher

    def __reduce__(self) -> tuple[type[DecoderKey], tuple[EA, bytes, StaTables]]:
        return type(self), (self._ea, self._material, self._tables)  # a prepared cipher stays

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DecoderKey):
            return NotImplemented
        same_kind = self._ea is other._ea and (
            self._ea is not EA.STA or self._tables == other._tables
        )
        return hmac.compare_digest(self._material, other._material) and same_kind

    def __hash__(self) -> int:
        return hash((self._ea, self._material))

    def __repr__(self) -> str:
        tables = f", {self._tables.name} tables" if self._ea is EA.STA else ""
        return f"<DecoderKey EA{self._ea.code}{tables}>"


def _require_types(kt: object, sgc: object, ti: object, krn: object) -> None:
    """Raise OutOfRange for a bare number or text, which could derive a key of nobody's meter."""
    if not isinstance(kt, KT):
        raise OutOfRange("The key type must be KT.DDTK, KT.DUTK or KT.DCTK.")
    for what, value, its_type, example in (
        ("SGC", sgc, SGC, "SGC.of(4711)"),
        ("TI", ti, TI, "TI.of(7)"),
        ("KRN", krn, KRN, "KRN(1)"),
    ):
        if not isinstance(value, its_type):
            raise OutOfRange(f"The {what} must be a {its_type.__name__}, such as {example}.")


def control_block(kt: KT, sgc: SGC, ti: TI, krn: KRN) -> str:
    """Return the 16 hexadecimal digits of the CONTROLBlock (IEC 62055-41 6.5.3).

    Raises OutOfRange for an argument that is not of its type.
    """
    _require_types(kt, sgc, ti, krn)
    return f"{int(kt)}{sgc}{ti}{krn}FFFFFF"


def dkga04_data(  # noqa: PLR0917  the inputs that the standard lists, in its order
    meter_pan: MeterPAN, kt: KT, sgc: SGC, ti: TI, krn: KRN, base_date: BaseDate, ea: EA
) -> bytes:
    """Return the 49 bytes that DKGA04 authenticates with the vending key.

    Raises OutOfRange for a KT, SGC, TI or KRN that is not of its type.
    """
    _require_types(kt, sgc, ti, krn)
    fields = (
        b"\x04",
        _counted("04"),
        _counted(base_date.code),
        _counted(ea.code),
        _counted(str(ti)),
        b"\x00\x04",
        _counted(str(sgc)),
        _counted(str(int(kt))),
        _counted(str(krn)),
        _counted(str(meter_pan)),
        ea.key_bits.to_bytes(4, "big"),
    )
    return b"".join(fields)


def _counted(text: str) -> bytes:
    return bytes((len(text),)) + text.encode("ascii")


def derive_decoder_key(  # noqa: PLR0917  the inputs that the standard lists, in its order
    dkga: DKGA,
    vending_key: VendingKey,
    meter_pan: MeterPAN,
    kt: KT,
    sgc: SGC,
    ti: TI,
    krn: KRN,
    base_date: BaseDate,
    ea: EA,
    tables: StaTables = SAMPLE_TABLES,
) -> DecoderKey:
    """Derive the decoder key of a meter from a vending key (IEC 62055-41 6.5.3).

    DKGA02 makes 64-bit keys for EA07 and EA09, DKGA04 keys for EA07 and EA11. `base_date`
    enters DKGA04 only. Raises NotSupported for DKGA01 and DKGA03, for a pair of algorithms
    not in use, for DKGA04 with a DCTK and for a DITK, which the manufacturer loads;
    OutOfRange for an argument that is not of its type; and KeyFormatError for a vending key of
    the other algorithm's length, or for one that is no VendingKey.
    """
    dkga = _usable(dkga)
    _require_types(kt, sgc, ti, krn)
    if not isinstance(meter_pan, MeterPAN):
        raise OutOfRange(
            "The meter must be given as a MeterPAN, such as MeterPAN.from_drn returns."
        )
    if not isinstance(base_date, BaseDate):
        raise OutOfRange("The base date must be BaseDate.Y1993, BaseDate.Y2014 or BaseDate.Y2035.")
    if not isinstance(vending_key, VendingKey):
        raise KeyFormatError("The vending key must be given as a VendingKey.")
    if kt is KT.DITK:
        raise NotSupported(
            "A DITK (KT 0) is not derived; the manufacturer loads it, so give it as a raw key."
        )
    _require_pair(dkga, ea)
    if vending_key.dkga is not dkga:
        raise KeyFormatError(
            f"{dkga.name} needs a vending key of "
            f"{_DKGA02_KEY_BYTES if dkga is DKGA.DKGA02 else _DKGA04_KEY_BYTES} bytes, but "
            f"{len(vending_key.material)} were given; name the vending key made for it."
        )
    if dkga is DKGA.DKGA02:
        material = _dkga02(vending_key, meter_pan, kt, sgc, ti, krn)
    elif kt is KT.DCTK:
        raise NotSupported(
            "DKGA04 for a DCTK (KT 3) is not supported, since no test vector for it is public; "
            "use DKGA02 with EA07 for common keys."
        )
    else:
        data = dkga04_data(meter_pan, kt, sgc, ti, krn, base_date, ea)
        material = hmac.digest(vending_key.material, data, hashlib.sha256)[: ea.key_bytes]
    return DecoderKey(ea, material, tables)


def _usable(dkga: DKGA) -> DKGA:
    if dkga is DKGA.DKGA02 or dkga is DKGA.DKGA04:
        return dkga
    if dkga is DKGA.DKGA01:
        raise NotSupported(
            "DKGA01 is not supported: it is a legacy algorithm whose formula is disputed; use "
            "DKGA02 or DKGA04."
        )
    if dkga is DKGA.DKGA03:
        raise NotSupported("DKGA03 is not supported: it is withdrawn; use DKGA02 or DKGA04.")
    raise OutOfRange("The key derivation must be DKGA.DKGA02 or DKGA.DKGA04.")


def _require_pair(dkga: DKGA, ea: EA) -> None:
    if not isinstance(ea, EA):
        raise OutOfRange("The encryption algorithm must be EA.STA, EA.DEA or EA.MISTY1.")
    if dkga is DKGA.DKGA02 and ea is EA.MISTY1:
        raise NotSupported("EA11 keys are derived with DKGA04 only; DKGA02 makes 64-bit keys.")
    if dkga is DKGA.DKGA04 and ea is EA.DEA:
        raise NotSupported("EA09 is withdrawn and has no DKGA04 keys; use EA07 or EA11.")


def _dkga02(  # noqa: PLR0917  the inputs that the standard lists, in its order
    vending_key: VendingKey, meter_pan: MeterPAN, kt: KT, sgc: SGC, ti: TI, krn: KRN
) -> bytes:
    mixed = int(meter_pan.pan_block(kt), 16) ^ int(control_block(kt, sgc, ti, krn), 16)
    encrypted = DEACipher(vending_key.material).encrypt(mixed)
    key = encrypted ^ mixed ^ int.from_bytes(vending_key.material, "big")
    return key.to_bytes(8, "big")
