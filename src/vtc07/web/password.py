"""The password of an application that others can reach: kept as its scrypt hash, tried slowly.

A file of it is one line: ``scrypt:N:r:p:SALT:HASH``, salt and hash in hexadecimal. Nobody can tell
the password from it, but whoever has the file can try words against it at home; so it is its
owner's alone, and a password has ten characters at least.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from typing import Final, Self

from vtc07.cli.failure import Failure

#: A password is so long at least, and at most, in characters.
SHORTEST: Final = 10
LONGEST: Final = 256

_NUMBER: Final = re.compile(r"[0-9]{1,8}")

_SECOND_NS: Final = 1_000_000_000
#: From this wrong password on, counted from 1, there is a pause after each.
_FIRST_PAUSED: Final = 3
_LONGEST_PAUSE_NS: Final = 60 * _SECOND_NS
#: Wrong passwords are forgotten after so long without another one.
_FORGOTTEN_NS: Final = 3600 * _SECOND_NS

#: 32 MiB and about a tenth of a second: RFC 7914 with what is advised for passwords.
_N: Final = 1 << 15
_R: Final = 8
_P: Final = 1
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
#: A file may ask for no more than so much memory, in bytes.
_MOST_MEMORY: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What is kept of a password. ``n``, ``r``, ``p``: the costs of scrypt (RFC 7914)."""

    n: int
    r: int
    p: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, password: str) -> Self:
        """Return the hash of a password, with a salt of its own."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return cls(_N, _R, _P, salt, _scrypt(password, salt, (_N, _R, _P), _HASH_BYTES))

    @classmethod
    def parse(cls, line: str) -> Self:
        """Return what a line says; ValueError where it is none."""
        name, *rest = line.strip().split(":")
        if name != "scrypt" or len(rest) != 5:
            raise ValueError("no hash of a password")
        n, r, p = (int(word) for word in rest[:3] if _NUMBER.fullmatch(word))
        salt, digest = (bytes.fromhex(word) for word in rest[3:])
        costs_right = n > 1 and n & (n - 1) == 0 and r > 0 and 0 < p <= 16
        if not costs_right or 128 * n * r > _MOST_MEMORY or len(salt) < 8 or len(digest) < 16:
            raise ValueError("no hash of a password")
        return cls(n, r, p, salt, digest)

    @property
    def line(self) -> str:
        """The line of its file."""
        return f"scrypt:{self.n}:{self.r}:{self.p}:{self.salt.hex()}:{self.digest.hex()}"

    def is_of(self, password: str) -> bool:
        """Say whether this is the password; takes about a tenth of a second in any case."""
        found = _scrypt(password, self.salt, (self.n, self.r, self.p), len(self.digest))
        return hmac.compare_digest(found, self.digest)


def _scrypt(password: str, salt: bytes, costs: tuple[int, int, int], length: int) -> bytes:
    n, r, p = costs
    # One letter may be written in two ways, and two keyboards do; so they are made one.
    text = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    memory = 128 * n * r + 128 * r * (p + 2) + 1024 * 1024
    return hashlib.scrypt(text, salt=salt, n=n, r=r, p=p, maxmem=memory, dklen=length)


def require_fit(password: str) -> None:
    """Failure for what is too short, or too long, for a password of an application in a network."""
    if len(password) < SHORTEST:
        raise Failure(
            f"that is too short: whoever reaches the port can try words, so take {SHORTEST} "
            "characters or more, some words in a row for instance; nothing was written"
        )
    if len(password) > LONGEST:
        raise Failure(f"that is longer than {LONGEST} characters; nothing was written")


@dataclass(slots=True)
class Pauses:
    """How long nobody's password is compared, after wrong ones: for all who try, together.

    The first two wrong ones cost nothing; after each further one there is a pause, of 1 s, 2 s,
    4 s, ... and a minute at most. In a pause nothing is compared, the right password neither, and
    the pause grows no longer by it. Times are in ns of a clock that never goes back.

    It is counted for the application and not for each sender: senders can be had without number,
    and each would have to be remembered. Whoever is signed in already is not touched by it.
    """

    wrong: int = 0
    until_ns: int = 0
    last_ns: int = 0

    def left_ns(self, now_ns: int) -> int:
        """Return how long the pause still is; 0: a password is compared."""
        return max(0, self.until_ns - now_ns)

    def take_wrong(self, now_ns: int) -> None:
        """Count a wrong password, which was compared at this time."""
        if now_ns - self.last_ns > _FORGOTTEN_NS:
            self.wrong = 0
        # Counted no further than the longest pause needs.
        self.wrong = min(self.wrong + 1, _FIRST_PAUSED + 7)
        self.last_ns = now_ns
        if self.wrong >= _FIRST_PAUSED:
            pause = min(_SECOND_NS << (self.wrong - _FIRST_PAUSED), _LONGEST_PAUSE_NS)
            self.until_ns = now_ns + pause

    def take_right(self) -> None:
        """Forget the wrong ones: somebody knew it."""
        self.wrong = 0
        self.until_ns = 0
