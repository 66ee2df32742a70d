"""The chain of a journal: a digest for each entry, that covers the digest of the one before.

digest = SHA-256(digest before | canonical JSON of the entry). A secret stands in that JSON as its
commitment, SHA-256(salt | text): whoever has salt and text can show that they are what was written
then; whoever has not can check the chain all the same, and learns nothing of the text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

_written: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False).encode
_EMPTY: Final = ("{}", "[]")

#: What stands before the first entry.
START: Final = bytes(32)
#: Characters of salt for each secret; with fewer, a token could be found by trying all there are.
SALT_LENGTH: Final = 16
#: The commitments of an entry without secrets.
NO_COMMITMENTS: Final = "{}"


def canonical(document: Any) -> str:
    """Return the one JSON text of a document: sorted names, no blanks, ASCII.

    ValueError or TypeError: JSON cannot hold it, or would not give it back as it is.
    """
    text = _written(document)
    if text not in _EMPTY and _written(json.loads(text)) != text:
        raise ValueError("the names of a JSON object must be text")
    return text


def commitment(salt: bytes, text: str) -> str:
    """Return what stands for a secret in the chain, in hexadecimal."""
    return hashlib.sha256(salt + text.encode()).hexdigest()


def chained(
    before: bytes,
    *,
    number: int,
    kind: str,
    time: str,
    meter_pan: str | None,
    delivery: int | None,
    route: str | None,
    members: str,
    commitments: str,
) -> bytes:
    """Return the digest of an entry; ``members`` and ``commitments`` are canonical already."""
    word = _written
    text = (
        f'{{"delivery":{word(delivery)},"kind":{word(kind)},"members":{members},'
        f'"meter_pan":{word(meter_pan)},"number":{number},"route":{word(route)},'
        f'"secrets":{commitments},"time":{word(time)}}}'
    )  # which is what `canonical` makes of the whole
    return hashlib.sha256(before + text.encode("ascii")).digest()


def commitments_of(secrets: Mapping[str, tuple[bytes, str]]) -> str:
    """Return the canonical JSON of commitments by name; ``secrets``: salt and text by name."""
    return _written({name: commitment(salt, text) for name, (salt, text) in secrets.items()})
