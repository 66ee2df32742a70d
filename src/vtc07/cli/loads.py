"""What hangs on a virtual meter, as people write it: ``1500``, ``profile:day.csv``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vtc07.cli.failure import Failure
from vtc07.meter import (
    Accelerated,
    ConstantLoad,
    HouseholdLoad,
    Load,
    Nameplate,
    ProfileLoad,
    Since,
)
from vtc07.meter.accounting import usual_load
from vtc07.tokens import Service

FORMS: Final = "1500, 500,0,500, profile:FILE.csv or household:SEED"
#: More would be days in a blink, and a commit for every few units of them.
MOST_ACCELERATION: Final = 100_000
_WATTS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_SEED: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class WantedLoad:
    """A load and the words for it; ``words`` None: that of a meter which nobody gave one."""

    load: Load
    words: str
    acceleration: int = 1

    @property
    def text(self) -> str:
        """The words, with the acceleration."""
        return self.words + (f" x{self.acceleration}" if self.acceleration > 1 else "")


def wanted_load(
    words: str | None, acceleration: int, nameplate: Nameplate, now_ns: int
) -> WantedLoad:
    """Return the load that the words stand for, for the meter of a nameplate.

    ``now_ns``: the powered instant from which a profile counts; a household follows the meter's
    powered time. Failure or ProfileError: a sentence that says what is wrong.
    """
    load, said = _load(words, nameplate, now_ns)
    if acceleration > 1:
        # A profile begins now, however fast: the acceleration is inside.
        if isinstance(load, Since):
            load = Since(Accelerated(load.load, acceleration), load.start_ns)
        else:
            load = Accelerated(load, acceleration)
    return WantedLoad(load, said, acceleration)


def absolute(words: str) -> str:
    """Return the words with the profile's file by its whole name, for another process."""
    kind, _, file = words.strip().partition(":")
    return f"profile:{Path(file).absolute()}" if kind == "profile" and file else words


def _load(words: str | None, nameplate: Nameplate, now_ns: int) -> tuple[Load, str]:
    service = nameplate.service
    if words is None:
        return usual_load(service), "connection time" if service is Service.TIME else "none"
    if service is Service.TIME:
        raise Failure("a meter of connection time has no load: it counts seconds")
    words = words.strip()
    kind, colon, rest = words.partition(":")
    if colon and kind == "profile":
        if not rest:
            raise Failure("the profile's file is missing: write profile:FILE.csv")
        profile = ProfileLoad.read(Path(rest))
        _check_phases(len(profile.pieces[0]), nameplate, f"the profile {rest}")
        return Since(profile, now_ns), words
    if colon and kind == "household":
        if not _SEED.fullmatch(rest):
            raise Failure(f"{rest!r} is no seed: write digits, as in household:7")
        return HouseholdLoad(int(rest), nameplate.phases, service), words
    numbers = [word.strip() for word in words.split(",")]
    if not all(_WATTS.fullmatch(number) for number in numbers):
        raise Failure(f"{words!r} is no load: write {FORMS}")
    _check_phases(len(numbers), nameplate, f"the load {words!r}")
    return ConstantLoad(tuple(int(number) for number in numbers)), words


def _check_phases(count: int, nameplate: Nameplate, what: str) -> None:
    if count not in (1, nameplate.phases):
        raise Failure(
            f"{what} has {count} phases, but the meter has {nameplate.phases}; give one number "
            "for each"
        )
