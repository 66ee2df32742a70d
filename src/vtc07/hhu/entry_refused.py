"""What an error message to a token entry, or to what comes before it, means: not taken, and why."""

from __future__ import annotations

from vtc07.carrier.endpoint import Procedure
from vtc07.carrier.events import CommandRefused, Read, RegistersRead, TokenEntryAnswered
from vtc07.carrier.status import ErrorCode
from vtc07.hhu.outcome import NotTaken, NotTakenReason
from vtc07.hhu.session import Session, SessionError

LOCKOUT_REMAINING = "lockoutRemaining"
_SERVER_STATUS, _TOKEN_STATUS = "serverStatus", "tokenStatus"
_STORE_FAULT_BIT = 0x40


def refusal(session: Session, answer: TokenEntryAnswered) -> Procedure[NotTaken]:
    """Return the outcome of an entry that was answered with an error message.

    In a token lockout the meter is asked how long it still lasts; no answer to that changes
    nothing.
    """
    if answer.error is not ErrorCode.TOKEN_LOCKOUT:
        return NotTaken(NotTakenReason.ENTRY_REFUSED, answer.error, answer.error_text)
    remaining_s: int | None = None
    table = session.companion.table
    if table.has(LOCKOUT_REMAINING) and table.named(LOCKOUT_REMAINING).read_level is not None:
        try:
            event = yield from session.command(Read(table.named(LOCKOUT_REMAINING)))
        except SessionError:
            event = None
        if isinstance(event, RegistersRead):
            remaining_s = int(event.values[0].value)
    return NotTaken(NotTakenReason.LOCKOUT, answer.error, answer.error_text, remaining_s)


def out_of_order(session: Session) -> Procedure[NotTaken | None]:
    """Return the outcome of an entry to a meter that cannot tell its token status; None: it can.

    Asked only where the identification shows a store fault. What the bits of serverStatus mean
    is the maker's choice, so the meter is taken at its word only when it refuses this read.
    Raises NoLink or AnotherMeter.
    """
    table = session.companion.table
    status = None if session.meter is None else session.meter.value(_SERVER_STATUS)
    if not isinstance(status, int) or not status & _STORE_FAULT_BIT:
        return None
    if not table.has(_TOKEN_STATUS) or table.named(_TOKEN_STATUS).read_level is None:
        return None
    event = yield from session.command(Read(table.named(_TOKEN_STATUS)))
    if isinstance(event, CommandRefused) and event.error is ErrorCode.STORE_FAULT:
        return NotTaken(NotTakenReason.OUT_OF_ORDER, event.error, event.error_text)
    return None
