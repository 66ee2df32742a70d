"""Text of others as it may be shown: meters, files, ports and old journals can hold anything."""

from __future__ import annotations

import re
from typing import Final

#: What a terminal obeys instead of showing it, what turns the direction of writing, and halves of
#: characters, which no stream takes. A new line and a tabulator stay.
_OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def harmless(text: str) -> str:
    """Return text with ``?`` for each character that would move, colour or name a terminal.

    ``?`` is there in every encoding.
    """
    return _OBEYED.sub("?", text)
