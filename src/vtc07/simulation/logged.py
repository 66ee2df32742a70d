"""What a meter writes down of itself: its logs, the last result, its losses of power."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vtc07.carrier.companion import S
from vtc07.carrier.status import TokenStatus
from vtc07.meter import MeterState
from vtc07.simulation.expected import CREDIT_UNIT
from vtc07.simulation.issued import Issued
from vtc07.tokens import (
    ClearCredit,
    InitiateMeterTest,
    Service,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    TokenData,
    TransferCredit,
)

_TOKENS: Final = 50  # entries of the token log
_EVENTS: Final = 100  # entries of the event log

_NOT_AUTHENTIC: Final = (TokenStatus.CRC_ERROR, TokenStatus.MFR_CODE_ERROR)
_NOT_VALID: Final = (
    TokenStatus.OLD_ERROR,
    TokenStatus.USED_ERROR,
    TokenStatus.KEY_EXPIRED_ERROR,
    TokenStatus.DDTK_ERROR,
)
_RESERVED: Final = 3  # a token class


def token_logged_wrongly(
    before: MeterState, after: MeterState, issued: Issued | None
) -> Iterator[str]:
    """Give what is wrong with the log entry and the last result of a token just executed."""
    if not after.token_log:
        yield "the token log is empty"
        return
    entry, last = after.token_log[0], after.last
    if entry.number != after.tokens_executed:
        yield "the token log has a wrong number"
    if after.token_log[1:] != before.token_log[: _TOKENS - 1]:
        yield "the token log lost an entry, or changed one"
    if (last.token, last.status) != (entry.token, entry.status):
        yield "the last result and the token log tell two stories"
    if (last.authentication, last.validation, last.result) != _results(entry.token, entry.status):
        yield "the three results of a token do not give the one that was told"
    if issued is None:
        return
    told: tuple[int | None, str | None, int | None] = (None, None, None)
    token = issued.token
    if token is not None and entry.status not in _NOT_AUTHENTIC:
        told = issued.tid, f"{token.token_class}.{token.subclass}", _value(issued)
    if (entry.tid, entry.kind, entry.value) != told:
        yield "the token log tells another TID, class or value than the token"


def _results(digits: str, status: TokenStatus) -> tuple[TokenStatus, TokenStatus, TokenStatus]:
    """Return AuthenticationResult, ValidationResult and TokenResult (docs/protocol.md 6)."""
    none, good = TokenStatus.NONE, TokenStatus.ACCEPT
    if TokenData.from_digits(digits).token_class == _RESERVED:
        return none, none, status
    if status in _NOT_AUTHENTIC:
        return status, none, none
    return (good, status, none) if status in _NOT_VALID else (good, good, status)


def _value(issued: Issued) -> int | None:
    match issued.token:
        case TransferCredit(service=Service.ELECTRICITY, amount=amount):
            return amount * CREDIT_UNIT
        case SetMaximumPowerLimit(watts=watts) | SetMaximumPhasePowerUnbalanceLimit(watts=watts):
            return watts
        case ClearCredit(register=register):
            return register
        case InitiateMeterTest(control=control):
            return control
        case _:
            return None


def noted_wrongly(before: MeterState, after: MeterState, *, powered_up: bool) -> Iterator[str]:
    """Give what is wrong with the event log and the count of losses of power.

    ``powered_up``: it is the first transaction since power came.
    """
    new = after.events_counted - before.events_counted
    fresh, old = after.event_log[: max(0, new)], after.event_log[max(0, new) :]
    numbers = [event.number for event in fresh]
    if numbers != list(range(after.events_counted, before.events_counted, -1)) or (
        old != before.event_log[: _EVENTS - new]
    ):
        yield "the event log lost an entry, or changed one"
    if any(event.powered_s != after.powered_ns // S for event in fresh):
        yield "an event was not committed at once"
    if after.power_fails != before.power_fails + (powered_up and before.powered):
        yield "a loss of power was not counted, or one that never was"
    if not after.powered:
        yield "a meter under power says that it was switched off"
