"""What became of a token, told from snapshots and the token log alone (docs/protocol.md 10).

No procedure, no time, no line: one pure function that is right for every history of a meter. It
says "not taken" only where no entry since S0 can have been ours.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vtc07.carrier.status import StatusValues, TokenStatus

SEQUENCE_MODULUS = 1 << 32
_LOG_ENTRY = re.compile(r"([0-9]{1,10}),([0-9]{20}),[^,]*,[^,]*,[^,]*,([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """tokenStatus, tokenSequence, lastToken, lastTokenStatus of one Data message.

    ``status`` and ``last_status`` are register values; `StatusValues` knows their names.
    """

    status: int
    sequence: int
    last_token: str = field(repr=False)
    last_status: int

    def same_past(self, other: Snapshot) -> bool:
        """Say whether both speak of the same last result, whatever tokenStatus shows."""
        return (self.sequence, self.last_token, self.last_status) == (
            other.sequence,
            other.last_token,
            other.last_status,
        )


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One executed token of the token log, known by its sequence."""

    sequence: int
    token: str = field(repr=False)
    status: int

    @classmethod
    def parse(cls, text: str) -> LogEntry | None:
        """Read ``sequence,token,TID,class.subclass,value,status``, or return None.

        None too for an empty (unused) entry and for one that is not of this form: either is no
        evidence of anything.
        """
        match = _LOG_ENTRY.fullmatch(text)
        if match is None or int(match[1]) >= SEQUENCE_MODULUS:
            return None
        return cls(int(match[1]), match[2], int(match[3]))

    def place_since(self, s0: Snapshot) -> int:
        """Return how many tokens after ``s0`` it was executed, modulo 2^32."""
        return (self.sequence - s0.sequence) % SEQUENCE_MODULUS


# --- decisions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Executing:
    """tokenStatus is "not ready": poll."""


@dataclass(frozen=True, slots=True)
class Contradictory:
    """The values cannot all be true of one meter at one time: read again. ``why`` for people."""

    why: str


@dataclass(frozen=True, slots=True)
class LogNeeded:
    """The snapshot alone does not tell: read the ``count`` newest entries of the token log.

    ``count`` may be more than the log holds.
    """

    count: int


@dataclass(frozen=True, slots=True)
class Executed:
    """The token was executed to this result. ``status`` None: a number without a name."""

    status: TokenStatus | None
    number: int
    sequence: int


@dataclass(frozen=True, slots=True)
class NeverExecuted:
    """No entry since S0 was ours: not taken."""


class Loss(enum.Enum):
    """Why the meter's memory does not tell."""

    GAP = "entries since S0 are no longer in the log"
    BELOW = "the sequence is below S0"


@dataclass(frozen=True, slots=True)
class Lost:
    """The meter's memory does not tell any more."""

    loss: Loss


Decision = Executing | Contradictory | LogNeeded | Executed | NeverExecuted | Lost


def resolve(
    s0: Snapshot,
    snapshot: Snapshot,
    log: Iterable[LogEntry] | None,
    token: str,
    statuses: StatusValues,
) -> Decision:
    """Decide what became of ``token``, entered after ``s0`` was read.

    ``log``: entries of the token log as read after ``snapshot``, in any order, repeats allowed;
    None where it was not read. The newest entry S0+1 .. S is known without it: it is lastToken.

    The rule, and one step beyond its letter: where entries are missing, a refusal among
    those that are left is not reported as the result, for an acceptance may be among the missing
    ones and the refusal be that of a repeat.
    """
    if statuses.status(snapshot.status) is TokenStatus.NOT_READY:
        return Executing()
    distance = (snapshot.sequence - s0.sequence) % SEQUENCE_MODULUS
    if distance == 0:
        if snapshot.same_past(s0):
            return NeverExecuted()
        return Contradictory("the sequence is unchanged, the last result is another")
    if distance >= SEQUENCE_MODULUS // 2:
        return Lost(Loss.BELOW)

    known = None if log is None else tuple(log)
    newest = LogEntry(snapshot.sequence, snapshot.last_token, snapshot.last_status)
    entries: dict[int, LogEntry] = {distance: newest}
    for entry in known or ():
        place = entry.place_since(s0)
        if not 1 <= place <= distance:
            continue  # older than S0, or executed after the snapshot
        if entries.setdefault(place, entry) != entry:
            return Contradictory("the token log and the last result tell two stories")
    if known is not None and newest not in known:
        return Contradictory("the token log is older than the last result")
    return _judge(entries, distance, token, statuses, log_read=known is not None)


def _judge(
    entries: Mapping[int, LogEntry],
    distance: int,
    token: str,
    statuses: StatusValues,
    *,
    log_read: bool,
) -> Decision:
    ours = [entries[place] for place in sorted(entries) if entries[place].token == token]
    named = [(entry, statuses.status(entry.status)) for entry in ours]
    for entry, status in named:
        if status is not None and status.taken:
            return Executed(status, entry.status, entry.sequence)
    if any(status is not None and not status.is_result for _, status in named):
        return Contradictory("a result is no result")
    if len(entries) < distance:
        return Lost(Loss.GAP) if log_read else LogNeeded(distance)
    if not named:
        return NeverExecuted()
    entry, status = named[-1]
    return Executed(status, entry.status, entry.sequence)
