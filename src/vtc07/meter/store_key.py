"""The store key: what protects decoder keys at rest, and where it is kept.

32 bytes, written as 64 hexadecimal digits in a file or in the environment. Two keys are derived
from it (HKDF-SHA-256): one seals secrets with AES-256-GCM, one authenticates every other record
with HMAC-SHA-256. Both bind a record to its name, so that records cannot change places.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vtc07.meter.store_file import sync_directory

#: The variable of the environment that may hold the store key.
STORE_KEY_VARIABLE: Final = "VTC07_STORE_KEY"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_LONGEST_FILE: Final = 1024


class StoreKeyError(ValueError):
    """A store key that cannot be had or read; the sentence never shows it."""


class SealBroken(ValueError):
    """A record that was not written with this store key, or was changed since."""


class StoreKey:
    """A store key, ready for use; no repr shows it.

    ``nonces``: gives so many bytes, never the same twice. Only a simulation, which is to be the
    same from run to run and holds no secret, has others than random ones.
    """

    __slots__ = ("_aead", "_authenticating", "_nonces")

    def __init__(self, material: bytes, *, nonces: Callable[[int], bytes] = os.urandom) -> None:
        if len(material) != _KEY_BYTES:
            raise StoreKeyError("A store key has 32 bytes, written as 64 hexadecimal digits.")
        self._nonces = nonces
        self._aead = AESGCM(_derived(material, b"vtc07 store: secrets"))
        self._authenticating = _derived(material, b"vtc07 store: records")

    @classmethod
    def from_hex(cls, text: str, source: str = "The store key") -> Self:
        """Read 64 hexadecimal digits; ``source`` begins the sentence of a StoreKeyError."""
        digits = text.strip()
        try:
            material = bytes.fromhex(digits)
        except ValueError:
            material = b""
        if len(material) != _KEY_BYTES or len(digits) != 2 * _KEY_BYTES:
            raise StoreKeyError(
                f"{source} must hold 64 hexadecimal digits (32 bytes) and nothing else."
            )
        return cls(material)

    def seal(self, secret: bytes, name: str) -> bytes:
        """Encrypt a secret; it opens under the same name only."""
        nonce = self._nonces(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, secret, name.encode())

    def unseal(self, sealed: bytes, name: str) -> bytes:
        """Decrypt a secret; SealBroken if the key, the name or a bit of it is another."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken(name) from error

    def authenticator(self, value: bytes, name: str) -> bytes:
        """Return what proves that this record was written with this key under this name."""
        bound = name.encode()
        message = len(bound).to_bytes(4, "big") + bound + value
        return hmac.digest(self._authenticating, message, "sha256")[:_TAG_BYTES]

    def verify(self, value: bytes, name: str, authenticator: bytes) -> None:
        """Raise SealBroken unless ``authenticator`` fits the record."""
        if not hmac.compare_digest(self.authenticator(value, name), authenticator):
            raise SealBroken(name)

    def __repr__(self) -> str:
        return "<StoreKey>"


def _derived(material: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose).derive(material)


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A store key and where it came from.

    ``made``: the file that was made for it just now, to be told to the user. ``read``: the file
    that it was read from, which others than its owner should not be able to read. Each None
    otherwise.
    """

    key: StoreKey
    made: Path | None = None
    read: Path | None = None


def key_file_beside(store: Path) -> Path:
    """Return where the key of a store is kept unless the user says otherwise."""
    return store.with_name(store.name + ".key")


def find_store_key(
    store: Path,
    *,
    key_file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    make: bool = False,
) -> FoundKey:
    """Return the key of a store: from ``key_file``, from VTC07_STORE_KEY, or from beside it.

    A variable that is empty counts as none. ``make``: with none of these, make a key file beside
    the store that its owner alone may read. Raises StoreKeyError for a key that is missing or
    cannot be read.
    """
    if key_file is not None:
        return FoundKey(_read(key_file), read=key_file)
    text = (os.environ if environment is None else environment).get(STORE_KEY_VARIABLE)
    if text:
        return FoundKey(StoreKey.from_hex(text, f"The variable {STORE_KEY_VARIABLE}"))
    beside = key_file_beside(store)
    if make and not beside.exists():
        return FoundKey(_make(beside), made=beside)
    return FoundKey(_read(beside), read=beside)


def _read(path: Path) -> StoreKey:
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_FILE + 1).decode("ascii")
    except FileNotFoundError as error:
        raise StoreKeyError(
            f"There is no key file {path}; name the one of this store, or set {STORE_KEY_VARIABLE}."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not text"
        raise StoreKeyError(f"The key file {path} cannot be read: {said}.") from None
    # Never more than that: a name may be that of a device without an end.
    return StoreKey.from_hex(text if len(text) <= _LONGEST_FILE else "", f"The key file {path}")


def _make(path: Path) -> StoreKey:
    """Make a key file, whole and durable or not at all."""
    text = secrets.token_hex(_KEY_BYTES)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)  # an empty one would stand in the way of the next try
            raise
    except OSError as error:
        raise StoreKeyError(f"The key file {path} cannot be made: {error.strerror}.") from error
    sync_directory(path)
    return StoreKey.from_hex(text)
