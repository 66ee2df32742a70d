"""The three encryption algorithms of IEC 62055-41 6.5.4 over 64-bit blocks held as integers.

A cipher object is a key made ready for many blocks. Tables that no key depends on are built
when the first cipher needs them, not at import.
"""

from __future__ import annotations

from typing import Protocol


class BlockCipher(Protocol):
    """A key, ready to use."""

    def encrypt(self, block: int) -> int:
        """Encrypt one 64-bit block."""
        ...

    def decrypt(self, block: int) -> int:
        """Decrypt one 64-bit block."""
        ...
