"""What a running meter tells its host."""

from __future__ import annotations

from dataclasses import dataclass

from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.tokens import TCT


@dataclass(frozen=True, slots=True)
class TokenExecuted:
    """A token entry came to its end.

    ``status``: the token's result, durable; None where the meter could not store it and nothing
    has changed.
    """

    carrier: TCT
    status: TokenStatus | None


@dataclass(frozen=True, slots=True)
class WriteFinished:
    """A write came to its end: ``error`` is None where it is durable."""

    request: int
    error: ErrorCode | None


@dataclass(frozen=True, slots=True)
class AccessJudged:
    """A password, or a secure algorithm's result, was judged, and what follows is durable.

    ``level``: the access level that is open now; None: it is wrong, or was not compared.
    """

    request: int
    level: int | None


@dataclass(frozen=True, slots=True)
class LowCreditAlarm:
    """The low-credit alarm went on or off; also told at power up, where it is on."""

    active: bool


MeterEvent = TokenExecuted | WriteFinished | AccessJudged | LowCreditAlarm
