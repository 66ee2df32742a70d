"""EA09, DEA: single DES in ECB mode, one block (IEC 62055-41 6.5.4.2, withdrawn there).

It is kept because DKGA02 is made with it and old tokens exist. The cipher itself comes from
the `cryptography` package, as triple DES with one key three times, and is imported when a
key is first used.
"""

from __future__ import annotations


class DEACipher:
    """A DES key of 8 bytes; parity bits are ignored, as DES does."""

    __slots__ = ("_decryptor", "_encryptor")

    def __init__(self, material: bytes) -> None:
        from cryptography.hazmat.decrepit.ciphers.algorithms import (  # noqa: PLC0415  costly
            TripleDES,
        )
        from cryptography.hazmat.primitives.ciphers import Cipher, modes  # noqa: PLC0415  costly

        cipher = Cipher(TripleDES(material * 3), modes.ECB())  # noqa: S305  the standard's
        # ECB carries no state from block to block, so one context serves them all.
        self._encryptor = cipher.encryptor()
        self._decryptor = cipher.decryptor()

    def encrypt(self, block: int) -> int:
        """Encrypt one 64-bit block."""
        return int.from_bytes(self._encryptor.update(block.to_bytes(8, "big")), "big")

    def decrypt(self, block: int) -> int:
        """Decrypt one 64-bit block."""
        return int.from_bytes(self._decryptor.update(block.to_bytes(8, "big")), "big")
