"""How far a key change has come in a meter, and which token is to be entered next."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from vtc07.hhu.texts import Said, mark


class KeyChangeStage(enum.Enum):
    """Where a meter stands in a key change; the value is a phrase for people."""

    NOT_BEGUN = mark("not begun")
    PENDING = mark("sections are missing")
    COMPLETE = mark("complete")
    TIMED_OUT = mark("the sections were forgotten, all are to be entered again")
    REFUSED = mark("a section was refused")
    UNKNOWN = mark("not known")


@dataclass(frozen=True, slots=True)
class KeyChangeState:
    """A key change set in a meter.

    ``held``: by the place of each token of the set (from 0), whether the meter holds it, None where
    nobody can tell. ``next_place``: which token to enter next, None where none is to be entered.
    ``expires_in_s``: powered seconds until the meter forgets what it holds, at least and at most;
    None where nothing is held or nobody can tell. ``said``: all of it in words.
    """

    stage: KeyChangeStage
    held: tuple[bool | None, ...]
    next_place: int | None
    expires_in_s: tuple[int, int] | None
    said: Said
