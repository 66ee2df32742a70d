"""Delivering a token to a meter whose companion lacks the registers that section 10 needs.

Nothing tells such a client whether an entry arrived, so an entry that was not acknowledged is not
repeated by itself. The caller may permit it for a token with a TID, which a meter refuses a second
time; UsedError then means "accepted now or before".
"""

from __future__ import annotations

from collections.abc import Callable

from vtc07.carrier.endpoint import Procedure, now, perform, wait
from vtc07.carrier.events import (
    CommandRefused,
    EnterToken,
    Entry,
    Read,
    RegistersRead,
    TokenEntryAnswered,
)
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.hhu.entry_refused import refusal
from vtc07.hhu.outcome import (
    Delivered,
    NotTaken,
    NotTakenReason,
    Outcome,
    Refused,
    Unresolved,
    UnresolvedReason,
)
from vtc07.hhu.progress import EntryWritten, Polling
from vtc07.hhu.session import AnotherMeter, NoLink, Session
from vtc07.hhu.snapshot import new_patience, pause_until
from vtc07.hhu.texts import Said

TOKEN_STATUS = "tokenStatus"  # noqa: S105 - a register's name
UNANSWERED = TokenEntryAnswered(Entry.UNCERTAIN)


def enter_unconfirmed(
    session: Session,
    token: str,
    announce: Callable[[int], Procedure[bool]],
    *,
    resend: bool,
    uncertain_before: bool,
) -> Procedure[Outcome]:
    """Write a token; at most as often as the companion's timing permits, if ``resend``.

    ``announce``: journals the write of this number, False where that failed.
    ``uncertain_before``: an earlier delivery of the same token may have arrived.

    An ACK says that the token arrived whole: the meter then is the one to ask for the result,
    where it has a tokenStatus at all.
    """
    timing = session.timing
    uncertain = uncertain_before
    number = 0
    while True:
        number += 1
        if not (yield from announce(number)):
            return _undecided(uncertain) or NotTaken(NotTakenReason.JOURNAL)
        event = yield from perform(EnterToken(token))
        session.on_progress(EntryWritten(number))
        answer = event if isinstance(event, TokenEntryAnswered) else UNANSWERED
        more = number < timing.token_writes
        if answer.entry is Entry.ACK:
            return (yield from _result(session, before=uncertain))
        if answer.entry is Entry.REFUSED:
            if answer.error is not ErrorCode.TOKEN_EXECUTING:
                not_taken = yield from refusal(session, answer)
                return _undecided(uncertain) or not_taken
            if not (resend and more):
                return _undecided(uncertain) or NotTaken(
                    NotTakenReason.EXECUTING, answer.error, answer.error_text
                )
            pauses = max(1, timing.token_writes - 1)
            yield from wait(-(-timing.execution_limit_ns // pauses))
            continue
        uncertain = True
        if not (resend and more):
            return Unresolved(UnresolvedReason.NO_REGISTERS)
        try:
            yield from session.identify()
        except NoLink as failure:
            return Unresolved(UnresolvedReason.NO_LINK, Said(failure.failure.value))
        except AnotherMeter as other:
            return Unresolved(UnresolvedReason.ANOTHER_METER, other.said)


def _undecided(uncertain: bool) -> Unresolved | None:  # noqa: FBT001 - says whether an entry may have arrived
    """Return the outcome where an entry before this one may have arrived."""
    return Unresolved(UnresolvedReason.NO_REGISTERS) if uncertain else None


def _result(session: Session, *, before: bool) -> Procedure[Outcome]:
    """Return the result of an entry that was acknowledged.

    ``before``: an earlier entry may have arrived too.
    """
    table, statuses = session.companion.table, session.companion.token_entry.status
    if not table.has(TOKEN_STATUS) or table.named(TOKEN_STATUS).read_level is None:
        return Unresolved(UnresolvedReason.NO_REGISTERS, "the entry was acknowledged")
    patience = new_patience(session)
    while True:
        try:
            started_ns = yield from now()
            event = yield from session.command(Read(table.named(TOKEN_STATUS)))
        except NoLink as failure:
            return Unresolved(UnresolvedReason.NO_LINK, Said(failure.failure.value))
        except AnotherMeter as other:
            return Unresolved(UnresolvedReason.ANOTHER_METER, other.said)
        if isinstance(event, CommandRefused):
            return Unresolved(UnresolvedReason.NO_REGISTERS, "the entry was acknowledged")
        assert isinstance(event, RegistersRead)
        patience.excuse(started_ns, event.sent_ns)
        number = int(event.values[0].value)
        status = statuses.status(number)
        if status is not TokenStatus.NOT_READY:
            return _outcome(status, number, before=before)
        session.on_progress(Polling(statuses.describe(number)))
        next_ns = event.received_ns + session.timing.poll_ns
        if not patience.lasts(TokenStatus, event.received_ns, next_ns):
            return Unresolved(UnresolvedReason.EXECUTING)
        yield from pause_until(next_ns)


def _outcome(status: TokenStatus | None, number: int, *, before: bool) -> Outcome:
    if status is None:
        return Unresolved(UnresolvedReason.UNKNOWN_RESULT, f"number {number}")
    if status.taken:
        return Delivered(status)
    if not status.is_result:
        return Unresolved(UnresolvedReason.NO_REGISTERS, f"tokenStatus shows {status.value}")
    if status is TokenStatus.USED_ERROR and before:
        return Delivered(status, now_or_before=True)
    return Refused(status)
