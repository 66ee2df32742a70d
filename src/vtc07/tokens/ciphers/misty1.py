"""EA11, MISTY1: 128-bit key, 64-bit block, eight rounds (RFC 2994; IEC 62055-41 6.5.4.4).

The inner function FI takes 16 bits and a 16-bit subkey that enters by exclusive or between
two halves of its work. Neither half knows the key, so each is one table of 65,536 entries:
FI(x, k) = after[before[x] ^ k]. Both are computed from S7 and S9 on first use.
"""

from __future__ import annotations

from array import array
from functools import cache
from typing import Final

S7: Final = bytes.fromhex(
    "1b32335a3b1017545b1a72736b2c66491f24136c372e3f4a5d0f405625511c04"
    "0b46200d7b3544422b1e41144b79156f0e550936740c6753280a7e3802076029"
    "1912652f303908685f782a4c6445753d594803577c4f623c1d215e276a704d3a"
    "016d6e6318772305267600312d7a7f61502211064716524e713e6943345c587d"
)
"""The 7-bit substitution of RFC 2994, 128 entries of two hexadecimal digits."""

_S9_DIGITS: Final = (
    "1c30cb15319f1e30e90fb0351810b91171eb13300902d0d3"
    "0c714a03707e0eb1641931d80a311e05502c01d1a2163118"
    "14b1521d200f02b03013a0e511113818e0630e30c81f401b"
    "00109d0f81a016d1f301c14607d0d10821ea18312d0f419e"
    "1d30dd1e21281e00ec05909101112f0260dc0b018c10f1f7"
    "0e716c0b60f90d815110114c1030b815412b1ae01707100c"
    "04705807f1a413412908415d19d1b21a304807c0511ca023"
    "13d1a716503b0420da1920ce0c106b09f1f112c1840fa196"
    "1e116917d03118010a0941da18613e11c0601751cf067119"
    "06506809915000800717c0b70240190de1270db0e41a9052"
    "10909019c1c10281b313516a1760df1e51880c516e1de1b1"
    "0c31df0360ee1ee0f009304909a1b606908112500b05e0b4"
    "1491c717403e13b1b708e1c60ae0100951ef04e0f21fd085"
    "0fd0f60a016f08308a15609b13c1071670981d01e90031fe"
    "0bd1220890d218f01203306a1420ed17011b0e214f158131"
    "14705d1131cd0791611a517909e1b40cc02213201a0e8004"
    "1871ed1970391bf1d702718b0c609c0d014e06c0341f206e"
    "0ca0250ba1910fe01310602f1ad1721db0c010b1d60f51ec"
    "10d0761141ab07510c1e415905411f04b0c41be0f70290a4"
    "00e1f007704d17a08608b0b31710bf10e10409715b160168"
    "0d70bb0661ce0fc0921c506f01604a0a11390af0f119000a"
    "1aa14317b05618d1660d41fb14d19419a0871f81230a71b8"
    "14103c1f914002a15511a1a11980d51261af06112e1571dc"
    "07218a0aa0961150ef04507b08d14505305f1780b202e020"
    "1d503f1c91e71ac0440380140b116b0ab0b505a1821c81d4"
    "0181770640cf06d10019913015a0051201bb1bd0e004f0d6"
    "13f1c412a0150060ff19b0a604308805015f1e812107317e"
    "0bc0c20c91731891f50741cc1e61a819501f04100d1ba032"
    "03d1d10800a80571b91621480d910506207a0211ff112108"
    "1c00a911d1b01a60cd0f305c10205b1d91441f60ad0a503a"
    "1cb13617f0460e101e1dd0e61371fa18508c08f0401b50be"
    "0780000ac11015e1240021bc0a20ea0701fc11615c04c1c2"
)
S9: Final = tuple(int(_S9_DIGITS[at : at + 3], 16) for at in range(0, 3 * 512, 3))
"""The 9-bit substitution of RFC 2994, 512 entries of three hexadecimal digits."""


@cache
def _halves_of_fi() -> tuple[array[int], array[int]]:
    """Build the part of FI before its subkey and the part behind it.

    Input and output halves of FI swap sides: 9 and 7 bits go in, 7 and 9 come out. Arrays of
    16-bit words stay in a processor's second cache, which lists of number objects do not.
    """
    before, after = array("H"), array("H")
    for number in range(0x10000):
        nine, seven = S9[number >> 7] ^ number & 0x7F, number & 0x7F
        before.append((S7[seven] ^ nine & 0x7F) << 9 | nine)
        seven, nine = number >> 9, number & 0x1FF
        after.append(seven << 9 | S9[nine] ^ seven)
    return before, after


_Keys = tuple[int, ...]


class MISTY1Cipher:
    """A MISTY1 key of 16 bytes."""

    __slots__ = ("_after", "_before", "_keys")

    def __init__(self, material: bytes) -> None:
        self._before, self._after = before, after = _halves_of_fi()
        plain = [int.from_bytes(material[at : at + 2], "big") for at in range(0, 16, 2)]
        mixed = [after[before[plain[at]] ^ plain[(at + 1) % 8]] for at in range(8)]
        self._keys: _Keys = (*plain, *mixed)

    def encrypt(self, block: int) -> int:
        """Encrypt one 64-bit block: eight rounds, written out with their subkeys."""
        k0, k1, k2, k3, k4, k5, k6, k7, m0, m1, m2, m3, m4, m5, m6, m7 = self._keys
        before, after = self._before, self._after
        a, b, c, d = block >> 48, block >> 32 & 0xFFFF, block >> 16 & 0xFFFF, block & 0xFFFF
        b ^= a & k0
        a ^= b | m6
        d ^= c & m2
        c ^= d | k4
        t = after[before[a ^ k0] ^ m5] ^ b
        u = after[before[b ^ k2] ^ m1] ^ t
        t = after[before[t ^ k7] ^ m3] ^ u
        c ^= u ^ k4
        d ^= t
        t = after[before[c ^ k1] ^ m6] ^ d
        u = after[before[d ^ k3] ^ m2] ^ t
        t = after[before[t ^ k0] ^ m4] ^ u
        a ^= u ^ k5
        b ^= t
        b ^= a & k1
        a ^= b | m7
        d ^= c & m3
        c ^= d | k5
        t = after[before[a ^ k2] ^ m7] ^ b
        u = after[before[b ^ k4] ^ m3] ^ t
        t = after[before[t ^ k1] ^ m5] ^ u
        c ^= u ^ k6
        d ^= t
        t = after[before[c ^ k3] ^ m0] ^ d
        u = after[before[d ^ k5] ^ m4] ^ t
        t = after[before[t ^ k2] ^ m6] ^ u
        a ^= u ^ k7
        b ^= t
        b ^= a & k2
        a ^= b | m0
        d ^= c & m4
        c ^= d | k6
        t = after[before[a ^ k4] ^ m1] ^ b
        u = after[before[b ^ k6] ^ m5] ^ t
        t = after[before[t ^ k3] ^ m7] ^ u
        c ^= u ^ k0
        d ^= t
        t = after[before[c ^ k5] ^ m2] ^ d
        u = after[before[d ^ k7] ^ m6] ^ t
        t = after[before[t ^ k4] ^ m0] ^ u
        a ^= u ^ k1
        b ^= t
        b ^= a & k3
        a ^= b | m1
        d ^= c & m5
        c ^= d | k7
        t = after[before[a ^ k6] ^ m3] ^ b
        u = after[before[b ^ k0] ^ m7] ^ t
        t = after[before[t ^ k5] ^ m1] ^ u
        c ^= u ^ k2
        d ^= t
        t = after[before[c ^ k7] ^ m4] ^ d
        u = after[before[d ^ k1] ^ m0] ^ t
        t = after[before[t ^ k6] ^ m2] ^ u
        a ^= u ^ k3
        b ^= t
        b ^= a & k4
        a ^= b | m2
        d ^= c & m6
        c ^= d | k0
        return c << 48 | d << 32 | a << 16 | b

    def decrypt(self, block: int) -> int:
        """Decrypt one 64-bit block: the same rounds, backwards."""
        k0, k1, k2, k3, k4, k5, k6, k7, m0, m1, m2, m3, m4, m5, m6, m7 = self._keys
        before, after = self._before, self._after
        c, d, a, b = block >> 48, block >> 32 & 0xFFFF, block >> 16 & 0xFFFF, block & 0xFFFF
        a ^= b | m2
        b ^= a & k4
        c ^= d | k0
        d ^= c & m6
        t = after[before[c ^ k7] ^ m4] ^ d
        u = after[before[d ^ k1] ^ m0] ^ t
        t = after[before[t ^ k6] ^ m2] ^ u
        a ^= u ^ k3
        b ^= t
        t = after[before[a ^ k6] ^ m3] ^ b
        u = after[before[b ^ k0] ^ m7] ^ t
        t = after[before[t ^ k5] ^ m1] ^ u
        c ^= u ^ k2
        d ^= t
        a ^= b | m1
        b ^= a & k3
        c ^= d | k7
        d ^= c & m5
        t = after[before[c ^ k5] ^ m2] ^ d
        u = after[before[d ^ k7] ^ m6] ^ t
        t = after[before[t ^ k4] ^ m0] ^ u
        a ^= u ^ k1
        b ^= t
        t = after[before[a ^ k4] ^ m1] ^ b
        u = after[before[b ^ k6] ^ m5] ^ t
        t = after[before[t ^ k3] ^ m7] ^ u
        c ^= u ^ k0
        d ^= t
        a ^= b | m0
        b ^= a & k2
        c ^= d | k6
        d ^= c & m4
        t = after[before[c ^ k3] ^ m0] ^ d
        u = after[before[d ^ k5] ^ m4] ^ t
        t = after[before[t ^ k2] ^ m6] ^ u
        a ^= u ^ k7
        b ^= t
        t = after[before[a ^ k2] ^ m7] ^ b
        u = after[before[b ^ k4] ^ m3] ^ t
        t = after[before[t ^ k1] ^ m5] ^ u
        c ^= u ^ k6
        d ^= t
        a ^= b | m7
        b ^= a & k1
        c ^= d | k5
        d ^= c & m3
        t = after[before[c ^ k1] ^ m6] ^ d
        u = after[before[d ^ k3] ^ m2] ^ t
        t = after[before[t ^ k0] ^ m4] ^ u
        a ^= u ^ k5
        b ^= t
        t = after[before[a ^ k0] ^ m5] ^ b
        u = after[before[b ^ k2] ^ m1] ^ t
        t = after[before[t ^ k7] ^ m3] ^ u
        c ^= u ^ k4
        d ^= t
        a ^= b | m6
        b ^= a & k0
        c ^= d | k4
        d ^= c & m2
        return a << 48 | b << 32 | c << 16 | d
