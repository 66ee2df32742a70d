"""Reading snapshots until they tell what became of a token (docs/protocol.md 7 and 10).

The decisions are `vtc07.hhu.resolution`'s; here is the patience: the first snapshot once the
execution should be over, where the companion says how long one takes; polls not sooner than 500 ms
after the last answer, up to 15 s from the first snapshot that decides nothing, failed attempts
not counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vtc07.carrier.companion import MS, Companion
from vtc07.carrier.endpoint import Procedure, now, wait
from vtc07.carrier.events import CommandRefused, Read, ReadSnapshot, RegistersRead
from vtc07.carrier.registers import Register, RegisterTable
from vtc07.carrier.status import TokenStatus
from vtc07.hhu.outcome import Unresolved, UnresolvedReason
from vtc07.hhu.plan import command_length
from vtc07.hhu.progress import Polling
from vtc07.hhu.resolution import (
    SEQUENCE_MODULUS,
    Contradictory,
    Decision,
    Executing,
    LogEntry,
    LogNeeded,
    NeverExecuted,
    Snapshot,
    resolve,
)
from vtc07.hhu.session import Session

SNAPSHOT = ("tokenStatus", "tokenSequence", "lastToken", "lastTokenStatus")
_TOKEN_LOG = re.compile(r"tokenLog[^A-Za-z0-9]?[0-9]+")
_MOST_ROUNDS = 8
_RESTLESS = "it executes one token after another, from elsewhere"
_STORE_NS = 25 * MS  # for the commit at the end of an execution


def has_snapshot(companion: Companion) -> bool:
    """Say whether the companion's table has the four registers, to be read as one message."""
    table = companion.table
    if not table.has(SNAPSHOT[0]):
        return False
    start = table.named(SNAPSHOT[0])
    if start.read_level is None:
        return False
    return tuple(r.name for r in table.readable_from(start, len(SNAPSHOT))) == SNAPSHOT


def token_log(table: RegisterTable) -> tuple[Register, ...]:
    """Return the registers of the token log in the table's order: newest entry first."""
    return tuple(r for r in table if _TOKEN_LOG.fullmatch(r.name) and r.read_level is not None)


class Patience:
    """How long a state may last before it is given up, failed attempts not counted."""

    def __init__(self, limit_ns: int, repeat_ns: int) -> None:
        self._limit_ns = limit_ns
        self._repeat_ns = repeat_ns
        self._excused_ns = 0
        self._since: dict[type, int] = {}

    def excuse(self, started_ns: int, sent_ns: int) -> None:
        """Take notice of a command begun at one time whose answered attempt was sent later.

        What lies between is our own sending, unless an attempt failed meanwhile: that takes at
        least the time after which a client repeats.
        """
        if sent_ns - started_ns >= self._repeat_ns:
            self._excused_ns += sent_ns - started_ns

    def lasts(self, state: type, received_ns: int, next_ns: int) -> bool:
        """Say whether an attempt at ``next_ns`` is still within the limit for this state."""
        since = self._since.setdefault(state, received_ns)
        return next_ns <= since + self._limit_ns + self._excused_ns


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot, and when its last character arrived."""

    snapshot: Snapshot
    received_ns: int


def take_snapshot(session: Session, patience: Patience) -> Procedure[Taken]:
    """Read 0004 to 0007 once; NoLink or AnotherMeter where that fails.

    The client core takes no error message for an answer to a snapshot, as it may be a late one.
    """
    started_ns = yield from now()
    event = yield from session.command(ReadSnapshot())
    assert isinstance(event, RegistersRead)
    patience.excuse(started_ns, event.sent_ns)
    values = {found.register.name: found.value for found in event.values}
    status, sequence, token, last_status = (values[name] for name in SNAPSHOT)
    snapshot = Snapshot(int(status), int(sequence), str(token), int(last_status))
    return Taken(snapshot, event.received_ns)


def pause_until(instant_ns: int) -> Procedure[None]:
    """Let time pass up to an instant, never less."""
    while (left_ns := instant_ns - (yield from now())) > 0:
        yield from wait(left_ns)


def new_patience(session: Session) -> Patience:
    """Return the patience of one wait for a token's execution."""
    return Patience(session.timing.poll_limit_ns, session.timing.repeat_ns)


def allow_execution(session: Session) -> Procedure[None]:
    """Let the time pass that the meter needs for a token which it acknowledged just now.

    A snapshot that shows 16 costs a poll, on a slow line seconds. So the first one is asked to
    arrive when the execution is over, where the companion says how long one takes; that time
    began a reaction time before the ACK at the latest.
    """
    companion, pace = session.companion, session.pace
    if companion.meter is None or not has_snapshot(companion):
        return
    start = companion.table.named(SNAPSHOT[0])
    characters = 1 + command_length(start, len(SNAPSHOT))  # the ACK and the command
    already_ns = pace.reaction_ns + characters * pace.character_ns
    wait_ns = companion.meter.execution_ms * MS + _STORE_NS - already_ns
    if wait_ns > pace.reaction_ns:
        yield from wait(wait_ns)


def await_ready(session: Session) -> Procedure[Snapshot | None]:
    """Read snapshots until tokenStatus is not 16: S0, or None where it stays 16."""
    statuses = session.companion.token_entry.status
    patience = new_patience(session)
    while True:
        taken = yield from take_snapshot(session, patience)
        if statuses.status(taken.snapshot.status) is not TokenStatus.NOT_READY:
            return taken.snapshot
        session.on_progress(Polling(statuses.describe(taken.snapshot.status)))
        next_ns = taken.received_ns + session.timing.poll_ns
        if not patience.lasts(Executing, taken.received_ns, next_ns):
            return None
        yield from pause_until(next_ns)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a token, and the snapshot that told.

    ``fresh``: the snapshot was the last that was asked of the meter, so nothing is outstanding
    and a token may be written next.
    """

    decision: Decision | Unresolved
    snapshot: Snapshot
    fresh: bool


def settle(
    session: Session, s0: Snapshot, token: str, *, to_write_again: bool
) -> Procedure[Settlement]:
    """Read the snapshot, and the token log where needed, until they tell or patience ends.

    ``to_write_again``: the caller would write the token again if it was not taken; a decision
    from the log is then confirmed by one more snapshot, so that this is the last command before
    the write. That another token was executed in our token's place is believed when two snapshots
    in succession say so: a check of 7 bits may miss two faults in one message. An undecided end is
    `Executing` or `Contradictory`.

    Raises NoLink or AnotherMeter.
    """
    statuses = session.companion.token_entry.status
    patience = new_patience(session)
    searched: Snapshot | None = None  # the log showed nothing of ours up to this one
    told: Snapshot | None = None  # one that tells of another token
    rounds = 0
    while True:
        taken = yield from take_snapshot(session, patience)
        snapshot, fresh = taken.snapshot, True
        decision = resolve(s0, snapshot, None, token, statuses)
        another = isinstance(decision, NeverExecuted) and not snapshot.same_past(s0)
        if another and (told is None or not told.same_past(snapshot)):
            if rounds >= _MOST_ROUNDS:
                return Settlement(Contradictory(_RESTLESS), snapshot, fresh)
            told = snapshot
            rounds += 1
            continue
        if isinstance(decision, LogNeeded):
            if searched is not None and searched.same_past(snapshot):
                return Settlement(NeverExecuted(), snapshot, fresh=True)
            if rounds >= _MOST_ROUNDS:
                return Settlement(Contradictory(_RESTLESS), snapshot, fresh)
            rounds += 1
            log = yield from _read_log(session, s0, decision.count)
            fresh = False
            if isinstance(log, Unresolved):
                return Settlement(log, snapshot, fresh)
            decision = resolve(s0, snapshot, log, token, statuses)
            if isinstance(decision, NeverExecuted) and to_write_again:
                searched = snapshot
                continue
        if not isinstance(decision, Executing | Contradictory):
            return Settlement(decision, snapshot, fresh)
        session.on_progress(Polling(statuses.describe(snapshot.status)))
        next_ns = taken.received_ns + session.timing.poll_ns
        if not patience.lasts(type(decision), taken.received_ns, next_ns):
            return Settlement(decision, snapshot, fresh)
        yield from pause_until(next_ns)


def _read_log(
    session: Session, s0: Snapshot, count: int
) -> Procedure[tuple[LogEntry, ...] | Unresolved]:
    """Read the log from its newest entry back to S0+1, which stood at place ``count`` just now.

    A token executed meanwhile moves all entries one place further: some then arrive twice, none
    is missed, and S0+1 is found behind the place where it was.
    """
    log = token_log(session.companion.table)
    if not log:
        return Unresolved(UnresolvedReason.GAP, "the companion has no token log")
    entries: list[LogEntry] = []
    reached = False  # S0+1, or one before it, or the log's unused end
    place, end = 0, min(count, len(log))
    while place < end:
        most = session.companion.limits.registers
        event = yield from session.command(Read(log[place], min(end - place, most)))
        if isinstance(event, CommandRefused):
            return Unresolved(UnresolvedReason.REFUSED_READ, event.error_text)
        assert isinstance(event, RegistersRead)
        for found in event.values:
            entry = LogEntry.parse(str(found.value))
            if entry is not None:
                entries.append(entry)
                reached |= not 1 < entry.place_since(s0) < SEQUENCE_MODULUS // 2
            reached |= found.value == ""
        place += len(event.values)
        if place == end and not reached:
            end = min(2 * end, len(log))
    return tuple(entries)
