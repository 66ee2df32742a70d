"""What an error message to a token entry means: not taken, and why."""

from __future__ import annotations

from vtc07.carrier.endpoint import Procedure
from vtc07.carrier.events import Read, RegistersRead, TokenEntryAnswered
from vtc07.carrier.status import ErrorCode
from vtc07.hhu.outcome import NotTaken, NotTakenReason
from vtc07.hhu.session import Session, SessionError

LOCKOUT_REMAINING = "lockoutRemaining"


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
