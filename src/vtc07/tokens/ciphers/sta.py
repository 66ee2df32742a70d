"""EA07, STA: the Standard Transfer Algorithm (IEC 62055-41 6.5.4.3) and its table sets.

Sixteen rounds, each a substitution of 16 nibbles and a permutation of 64 bits. The key only
chooses, nibble by nibble, which of two substitution tables is used. So for each of the eight
bytes of the block and each of the four choices that two key bits make, one table of 256 words
can hold substitution and permutation in one: a round is eight look-ups.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from vtc07.tokens.errors import TableError

SAMPLE_DIGEST: Final = "cca464f5c6877eccefb60251dd75db898aaa29d7cfd85ddf9d03cbbed234e58d"
"""SHA-256 of the sample set: its 96 entries, one byte each."""
ACTUAL_DIGEST: Final = "2417810c087e153a22ef481682e2b5da0c93499cadbc2de73d6febd88b19fabd"
"""SHA-256 of the set that the STS Association gives to its members."""

_NAMES: Final = {SAMPLE_DIGEST: "sample", ACTUAL_DIGEST: "actual"}
_LISTS: Final = frozenset({"sub1", "sub2", "perm"})
_MASK: Final = (1 << 64) - 1
_ROUNDS: Final = 16

_Words = tuple[int, ...]
_Round = tuple[_Words, _Words, _Words, _Words, _Words, _Words, _Words, _Words]


@dataclass(frozen=True, slots=True)
class StaTables:
    """Two substitution tables of 16 nibbles and a permutation of 64 bits.

    `perm[i]` is where bit i goes, bit 0 the least significant. Raises TableError unless each
    of the three is a permutation of its range. Two sets are equal if their entries are.
    """

    sub1: tuple[int, ...] = field(repr=False)
    sub2: tuple[int, ...] = field(repr=False)
    perm: tuple[int, ...] = field(repr=False)
    digest: str = field(init=False)
    """SHA-256 of the 96 entries, hexadecimal."""

    def __post_init__(self) -> None:
        for name, table, size in (
            ("sub1", self.sub1, 16),
            ("sub2", self.sub2, 16),
            ("perm", self.perm, 64),
        ):
            if (
                not isinstance(table, tuple)
                or not all(type(entry) is int for entry in table)
                or sorted(table) != list(range(size))
            ):
                raise TableError(
                    f"The STA table {name} must hold every number from 0 to {size - 1} exactly "
                    "once; compare it with its source."
                )
        entries = bytes((*self.sub1, *self.sub2, *self.perm))
        object.__setattr__(self, "digest", hashlib.sha256(entries).hexdigest())

    @property
    def name(self) -> str:
        """Which set it is by its digest: "sample", "actual" or "unknown"."""
        return _NAMES.get(self.digest, "unknown")


SAMPLE_TABLES: Final = StaTables(
    sub1=(12, 10, 8, 4, 3, 15, 0, 2, 14, 1, 5, 13, 6, 9, 7, 11),
    sub2=(6, 9, 7, 4, 3, 10, 12, 14, 2, 13, 1, 15, 0, 11, 8, 5),
    perm=(
        *(29, 27, 34, 9, 16, 62, 55, 2, 40, 49, 38, 25, 33, 61, 30, 23),
        *(1, 41, 21, 57, 42, 15, 5, 58, 19, 53, 22, 17, 48, 28, 24, 39),
        *(3, 60, 36, 14, 11, 52, 54, 12, 31, 51, 10, 26, 0, 45, 37, 43),
        *(44, 6, 59, 4, 7, 35, 56, 50, 13, 18, 32, 47, 46, 63, 20, 8),
    ),
)
"""The set that the standard prints for testing; meters in the field use the actual set."""


def load_tables(source: str | bytes, *, allow_unknown: bool = False) -> StaTables:
    """Read an STA table set from the JSON text of a file that the user has.

    The text is an object with the lists `sub1`, `sub2` and `perm`, or an object of such
    objects by name, of which "actual" is taken, or else the only one; where "actual" is named
    but wrong, no other set is taken for it, and a name may not stand twice in one object. The
    set is recognised by its SHA-256: one that is neither the sample nor the actual set is
    refused unless `allow_unknown` says that it is meant. Raises TableError.
    """
    try:
        content = json.loads(source, object_pairs_hook=_each_name_once)
    except TableError:
        raise
    except (ValueError, TypeError, RecursionError):
        raise TableError(
            "The STA table file is not JSON text; it must be an object with the lists sub1, "
            "sub2 and perm."
        ) from None
    tables = _tables_from(_chosen_set(content))
    if tables.name == "unknown" and not allow_unknown:
        raise TableError(
            "The STA table file holds neither the sample set nor the actual set (its SHA-256 is "
            f"{tables.digest}); correct the file, or allow an unknown set explicitly."
        )
    return tables


def _each_name_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise TableError(
                f"The STA table file has {name[:20]!r} twice in one object; leave the right one."
            )
        members[name] = value
    return members


def _chosen_set(content: object) -> Mapping[str, object]:
    if isinstance(content, dict):
        named = {
            name: value
            for name, value in content.items()
            if isinstance(value, dict) and not _LISTS.isdisjoint(value)
        }
        if not _LISTS.isdisjoint(content):
            if named or "actual" in content:
                raise TableError(
                    "The STA table file holds several sets, one of them without a name; leave one."
                )
            return content
        if "actual" in content:
            actual = content["actual"]
            if not isinstance(actual, dict):
                raise TableError(
                    'The STA table file names a set "actual", but it is no object with the lists '
                    "sub1, sub2 and perm; correct it, or remove the name."
                )
            return actual
        if len(named) == 1:
            return next(iter(named.values()))
        if named:
            raise TableError(
                'The STA table file holds several sets and none is named "actual"; leave one.'
            )
    raise TableError("The STA table file holds no table set; it needs sub1, sub2 and perm.")


def _tables_from(content: Mapping[str, object]) -> StaTables:
    lists: dict[str, tuple[int, ...]] = {}
    for name in ("sub1", "sub2", "perm"):
        value = content.get(name)
        if not isinstance(value, list):
            raise TableError(f"The STA table file needs {name} as a list of numbers.")
        lists[name] = tuple(value)
    return StaTables(lists["sub1"], lists["sub2"], lists["perm"])


def _inverse(table: Sequence[int]) -> tuple[int, ...]:
    inverse = [0] * len(table)
    for source, destination in enumerate(table):
        inverse[destination] = source
    return tuple(inverse)


@lru_cache(maxsize=16)
def _words_by_choice(sub1: _Words, sub2: _Words, perm: _Words) -> tuple[tuple[_Words, ...], ...]:
    """Build, by byte of the block and by pair of key bits, the words of a round."""
    places = []
    for place in range(8):
        destinations = perm[8 * place : 8 * place + 8]
        spread = [
            sum(1 << destinations[bit] for bit in range(8) if byte >> bit & 1)
            for byte in range(256)
        ]
        places.append(
            tuple(
                tuple(spread[low[byte & 15] | high[byte >> 4] << 4] for byte in range(256))
                for high in (sub1, sub2)
                for low in (sub1, sub2)
            )
        )
    return tuple(places)


def _round(words: tuple[tuple[_Words, ...], ...], key: int) -> _Round:
    """Choose the eight tables of a round by bits 3 and 7 of each byte of the rotated key."""
    b0, b1, b2, b3, b4, b5, b6, b7 = (
        choices[key >> 8 * place + 3 & 1 | key >> 8 * place + 6 & 2]
        for place, choices in enumerate(words)
    )
    return b0, b1, b2, b3, b4, b5, b6, b7


def _run(rounds: tuple[_Round, ...], block: int) -> int:
    for t0, t1, t2, t3, t4, t5, t6, t7 in rounds:
        b0, b1, b2, b3, b4, b5, b6, b7 = block.to_bytes(8, "little")
        block = t0[b0] | t1[b1] | t2[b2] | t3[b3] | t4[b4] | t5[b5] | t6[b6] | t7[b7]
    return block


class STACipher:
    """An STA key of 8 bytes under one table set."""

    __slots__ = ("_decryption", "_encryption", "_round_keys", "_tables")

    def __init__(self, material: bytes, tables: StaTables) -> None:
        key = int.from_bytes(material, "big") ^ _MASK
        key = (key >> 12 | key << 52) & _MASK
        self._round_keys = [(key << turn | key >> 64 - turn) & _MASK for turn in range(_ROUNDS)]
        self._tables = tables
        words = _words_by_choice(tables.sub1, tables.sub2, tables.perm)
        self._encryption = tuple(_round(words, key) for key in self._round_keys)
        self._decryption: tuple[_Round, ...] | None = None

    def encrypt(self, block: int) -> int:
        """Encrypt one 64-bit block."""
        return _run(self._encryption, block)

    def decrypt(self, block: int) -> int:
        """Decrypt one 64-bit block."""
        if self._decryption is None:
            self._decryption = self._reversed_rounds()
        return _run(self._decryption, block)

    def _reversed_rounds(self) -> tuple[_Round, ...]:
        """Arrange the inverse so that its rounds have the shape of encryption.

        Undoing a round is "permute back, then substitute back". Permuting back once before
        all rounds leaves "substitute back, then permute back" fifteen times, and a last
        substitution alone.
        """
        sub1, sub2, perm = map(_inverse, (self._tables.sub1, self._tables.sub2, self._tables.perm))
        same = tuple(range(64))
        permute = _words_by_choice(same[:16], same[:16], perm)
        undo = _words_by_choice(sub1, sub2, perm)
        last = _words_by_choice(sub1, sub2, same)
        first_key, *other_keys = self._round_keys
        return (
            _round(permute, 0),
            *(_round(undo, key) for key in reversed(other_keys)),
            _round(last, first_key),
        )
