"""How something is said."""

from __future__ import annotations

import enum
from typing import Final

from vtc07.hhu.outcome import Meaning


class Mood(enum.Enum):
    """How something is said; the sign stands before it, so that colour is not needed."""

    PLAIN = ""
    BUSY = "…"
    GOOD = "✓"
    CARE = "!"
    BAD = "✗"


#: How it is said what a piece of work came to.
MOODS: Final = {
    Meaning.DONE: Mood.GOOD,
    Meaning.REFUSED: Mood.BAD,
    Meaning.NO_LINK: Mood.BAD,
    Meaning.UNRESOLVED: Mood.CARE,
}
