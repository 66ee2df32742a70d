"""The password of a meter's mode C port: how it is kept, and what wrong ones cost.

IEC 62056-21 has the password (P1) and the access level behind it (annex D), but neither how a
meter keeps it nor a delay after wrong ones: both are our choice (docs/companion.md).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, Self

from vtc07.carrier.companion import PasswordPolicy, S

LONGEST_PASSWORD: Final = 32  # IEC 62056-21 6.5: a value of any mode
_PASSWORD = re.compile(r"[ \"#$%&'+-.0-~]{1,32}")  # 20..7E without ( ) * / !

# A comparison takes some 10 ms and 4 MiB here. It is felt neither within the 1.5 s in which a
# meter must answer nor by thousands of meters in one process, and over the line the growing delay
# is what stops guessing. The hash is for a store that fell into wrong hands: its records are
# sealed with the store key, and whoever has that too tries some hundred passwords a second and
# core, not many millions.
_LOG2_N: Final = 12
_R: Final = 8
_P: Final = 1
_SALT_BYTES: Final = 16
_DIGEST_BYTES: Final = 32
_MOST_MEMORY: Final = 64 * 2**20
_LARGEST_LOG2_N: Final = 16  # 2^16 * 8 * 128 bytes, and some more, are above: a broken record


class PasswordRefused(ValueError):
    """A text that no client could send as a password; the sentence does not repeat it."""


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What is kept of a password: scrypt (RFC 7914) under a salt of its own, and its parameters."""

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    log2_n: int = _LOG2_N
    r: int = _R
    p: int = _P

    @classmethod
    def of(cls, password: str, salt: bytes | None = None) -> Self:
        """Hash a password of 1 to 32 characters of 20..7E without ( ) * / and !.

        ``salt``: 16 bytes, by default random ones. PasswordRefused: it is none.
        """
        if not _PASSWORD.fullmatch(password):
            raise PasswordRefused(
                f"A password has 1 to {LONGEST_PASSWORD} characters: letters, digits, spaces and "
                "signs of ASCII, but not ( ) * / or !."
            )
        salt = os.urandom(_SALT_BYTES) if salt is None else salt
        return cls(salt, _scrypt(password, salt, _LOG2_N, _R, _P))

    @classmethod
    def from_bytes(cls, kept: bytes) -> Self:
        """Return what `to_bytes` gave; ValueError for anything else."""
        log2_n, r, p = kept[:3]
        salt, digest = kept[3 : 3 + _SALT_BYTES], kept[3 + _SALT_BYTES :]
        if len(digest) != _DIGEST_BYTES or not (0 < log2_n < _LARGEST_LOG2_N and r == _R and p):
            raise ValueError("not the hash of a password")
        return cls(salt, digest, log2_n, r, p)

    def to_bytes(self) -> bytes:
        """Return it as a store keeps it."""
        return bytes((self.log2_n, self.r, self.p)) + self.salt + self.digest

    def matches(self, password: str) -> bool:
        """Compare, in a time that does not depend on how much of it is right."""
        found = _scrypt(password, self.salt, self.log2_n, self.r, self.p)
        return hmac.compare_digest(found, self.digest)


def _scrypt(password: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=1 << log2_n, r=r, p=p, maxmem=_MOST_MEMORY,
        dklen=_DIGEST_BYTES,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PasswordGuard:
    """What wrong passwords have led to; a right one sets all of it to 0.

    ``failures``: wrong ones in succession. ``remaining_ns``: powered time until one is compared
    again; 0: the next one is. ``last_delay_s``: length of the latest delay in s, 0: none yet.
    """

    failures: int = 0
    remaining_ns: int = 0
    last_delay_s: int = 0

    @property
    def delaying(self) -> bool:
        """True while no password is compared."""
        return self.remaining_ns > 0

    def after(self, *, right: bool, policy: PasswordPolicy) -> PasswordGuard:
        """Return the guard after a password was compared."""
        if right:
            return PasswordGuard()
        failures = self.failures + 1
        if failures < policy.failures:
            return replace(self, failures=failures)
        length = min(policy.growth * self.last_delay_s, policy.longest_s) or policy.first_s
        return PasswordGuard(failures, length * S, length)

    def elapsed(self, powered_ns: int) -> PasswordGuard:
        """Return the guard after ``powered_ns`` more of powered time."""
        if not self.remaining_ns:
            return self
        return replace(self, remaining_ns=max(0, self.remaining_ns - powered_ns))


class SecureAlgorithm(Protocol):
    """A maker's secure algorithm behind P0 and P2 (IEC 62056-21 6.5, annex D level 3).

    A wrong result counts as a wrong password does, with the same delays.
    """

    def operand(self) -> str:
        """Return what P0 carries this time: at most 32 characters of 20..7E without ( ) * / !.

        Asked in the driver's thread whenever programming mode is entered.
        """

    def check(self, operand: str, result: str) -> int | None:
        """Return the access level that ``result`` opens, None where it is wrong.

        ``operand``: what P0 carried. Run where commits are, perhaps in another thread; use
        `hmac.compare_digest`. An exception counts as wrong.
        """


#: Compares something and returns the access level that it opens, None where it is wrong.
Proof = Callable[[], int | None]
