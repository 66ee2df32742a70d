"""What is wrong, in words: what a support desk asks for, and why a token was refused."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from vtc07.hhu.texts import Said


class Weight(enum.Enum):
    """How much a finding matters."""

    GOOD = "good"
    NOTICE = "notice"
    PROBLEM = "problem"


class Certainty(enum.Enum):
    """How sure a finding is, without keys."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True)
class Finding:
    """One explanation: ``what`` is the case.

    ``code``: a stable name for scripts, as ``wrong-sgc``. ``advice``: what would help, None where
    nothing is to be done.
    """

    code: str
    weight: Weight
    certainty: Certainty
    what: Said
    advice: Said | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is printed beside a token, as far as somebody typed it: all None where nothing was.

    Digits as printed: ``sgc`` 6, ``ti`` 2; ``krn``, ``kt``; ``meter``: MeterPAN or DRN;
    ``issued``: when the token was made.
    """

    meter: str | None = None
    sgc: str | None = None
    krn: int | None = None
    kt: int | None = None
    ti: str | None = None
    issued: datetime | None = None
    token: str | None = field(default=None, repr=False)
