"""What a meter must say of a token: its result, told from the token and the state before.

A judgement of its own (docs/protocol.md 11), for tokens of which the simulation knows what they
mean; it shares no code with the meter's application process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vtc07.carrier.companion import S
from vtc07.carrier.status import TokenStatus
from vtc07.meter import MeterState
from vtc07.simulation.issued import Issued, TokenKind
from vtc07.tokens import (
    EA,
    KT,
    ClearCredit,
    ClearTamperCondition,
    InitiateMeterTest,
    KeyChangeSection,
    Service,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    TransferCredit,
)

CREDIT_UNIT: Final = 100  # Wh in 0.1 kWh
_MOST_CREDIT: Final = 9_999_999_900  # Wh
_STAGED_NS: Final = 600 * S
_IN_CLEAR: Final = 1  # the class of tokens that no key protects
_CREDIT: Final = 0

_SECTION_STAGED: Final[Mapping[int, TokenStatus]] = {
    3: TokenStatus.FIRST_KCT,
    4: TokenStatus.SECOND_KCT,
    8: TokenStatus.THIRD_KCT,
    9: TokenStatus.FOURTH_KCT,
}


def expected_result(issued: Issued, before: MeterState, after: MeterState) -> TokenStatus:
    """Return the result that a token must have in the transaction from ``before`` to ``after``.

    Of ``after`` only the time and the consumption count: what had passed when it was executed.
    """
    token = issued.token
    if token is None:
        reserved = issued.kind is TokenKind.CLASS_3
        return TokenStatus.FUNCTION_ERROR if reserved else TokenStatus.CRC_ERROR
    if token.token_class != _IN_CLEAR and issued.key != before.key:
        return TokenStatus.CRC_ERROR
    tid = issued.tid
    if tid is not None:
        if tid < min(before.tids):
            return TokenStatus.OLD_ERROR
        if tid in before.tids:
            return TokenStatus.USED_ERROR
        if token.token_class == _CREDIT and before.attributes.kt is KT.DDTK:
            return TokenStatus.DDTK_ERROR
    match token:
        case TransferCredit(service=Service.ELECTRICITY, amount=amount):
            used = after.account.consumed - before.account.consumed
            fits = before.account.balance - used + amount * CREDIT_UNIT <= _MOST_CREDIT
            return TokenStatus.ACCEPT if fits else TokenStatus.OVERFLOW_ERROR
        case (
            ClearCredit()
            | ClearTamperCondition()
            | InitiateMeterTest()
            | SetMaximumPowerLimit()
            | SetMaximumPhasePowerUnbalanceLimit()
        ):
            return TokenStatus.ACCEPT
        case _ if issued.new_key is not None:
            there = {section.subclass for section in staged_then(before, after)}
            whole = _whole_set(issued) <= there | {token.subclass}
            return TokenStatus.ACCEPT if whole else _SECTION_STAGED[token.subclass]
        case _:
            return TokenStatus.FUNCTION_ERROR


def staged_then(before: MeterState, after: MeterState) -> tuple[KeyChangeSection, ...]:
    """Return the sections that were staged and had not run out when a token was executed."""
    staging = before.staging
    if staging is None or after.powered_ns >= staging.deadline_ns:
        return ()
    return staging.sections


def _whole_set(issued: Issued) -> set[int]:
    if issued.key is not None and issued.key.ea is EA.MISTY1:
        return {3, 4, 8, 9}
    return {3, 4, 8} if issued.kind is TokenKind.KEY_CHANGE_WITH_SGC else {3, 4}


def staged_rightly(issued: Issued, before: MeterState, after: MeterState) -> bool:
    """Whether a section that was taken is staged, with those before it, and for long enough."""
    staging, section = after.staging, issued.token
    if staging is None or section is None:
        return False
    wanted = [other for other in staged_then(before, after) if other.subclass != section.subclass]
    return (
        staging.deadline_ns == after.powered_ns + _STAGED_NS
        and len(staging.sections) == len(wanted) + 1
        and all(other in staging.sections for other in (*wanted, section))
    )
