"""What a meter remembers of tokens and events: its two logs, as far as they tell, newest first.

The forms of the entries are those of our own companions (docs/protocol.md 11). An entry of another
form is no evidence of anything and is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from vtc07.carrier.endpoint import Procedure
from vtc07.carrier.events import CommandRefused, Read, RegistersRead
from vtc07.carrier.registers import Register, RegisterTable
from vtc07.hhu.progress import Reading
from vtc07.hhu.resolution import SEQUENCE_MODULUS
from vtc07.hhu.session import Session
from vtc07.hhu.snapshot import token_log
from vtc07.tokens.tid import MAXIMUM_TID
from vtc07.tokens.tokendata import MAXIMUM_TOKENDATA

_TOKEN_ENTRY = re.compile(
    r"([0-9]{1,10}),([0-9]{20}),([0-9]{0,8}),((?:[0-9]\.[0-9]{1,2})?),([0-9]{0,20}),([0-9]{1,3})"
)
_EVENT_ENTRY = re.compile(r"([0-9]{1,20}),([A-Za-z]{1,24}),([0-9]{0,10})")
_EVENT_LOG = re.compile(r"eventLog[^A-Za-z0-9]?[0-9]+")
#: The kinds of tokens, class.subclass, that are sections of a key change, in the order of issue.
SECTIONS = ("2.3", "2.4", "2.8", "2.9")
_CHUNK = 16  # entries asked for at once, where it is not known how many there are


@dataclass(frozen=True, slots=True)
class ExecutedToken:
    """An entry of the token log.

    ``tid``, ``kind`` (class.subclass) and ``value`` (base units, watts, register, Control) are None
    where the meter does not tell, as of a token that was not authentic. ``status``: a register
    value, which `StatusValues` names.
    """

    sequence: int
    token: str = field(repr=False)
    tid: int | None
    kind: str | None
    value: int | None
    status: int

    @classmethod
    def parse(cls, text: str) -> ExecutedToken | None:
        """Read ``sequence,token,TID,class.subclass,value,status``; None for anything else."""
        match = _TOKEN_ENTRY.fullmatch(text)
        if match is None or int(match[1]) >= SEQUENCE_MODULUS:
            return None
        sequence, token, tid, kind, value, status = match.groups()
        if int(tid or 0) > MAXIMUM_TID or int(token) > MAXIMUM_TOKENDATA:
            return None
        return cls(
            int(sequence),
            token,
            int(tid) if tid else None,
            kind or None,
            int(value) if value else None,
            int(status),
        )


@dataclass(frozen=True, slots=True)
class MeterEvent:
    """An entry of the event log. ``powered_s``: seconds powered since manufacture."""

    powered_s: int
    name: str
    detail: int | None

    @classmethod
    def parse(cls, text: str) -> MeterEvent | None:
        """Read ``seconds,event,detail``; None for anything else."""
        match = _EVENT_ENTRY.fullmatch(text)
        if match is None:
            return None
        return cls(int(match[1]), match[2], int(match[3]) if match[3] else None)


@dataclass(frozen=True, slots=True)
class TokenHistory:
    """Entries of the token log, newest first. ``whole``: no token was ever executed before them."""

    entries: tuple[ExecutedToken, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class EventHistory:
    """Entries of the event log, newest first, as far as they were wanted."""

    entries: tuple[MeterEvent, ...]

    def time_of_token(self, sequence: int) -> int | None:
        """Return the powered second at which the token of this sequence was executed, or None."""
        for event in self.entries:
            if event.name == "token" and event.detail == sequence:
                return event.powered_s
        return None

    @property
    def newest_s(self) -> int | None:
        """The powered second of the newest event: the meter's time is at least that."""
        return self.entries[0].powered_s if self.entries else None


def event_log(table: RegisterTable) -> tuple[Register, ...]:
    """Return the registers of the event log in the table's order: newest entry first."""
    return tuple(r for r in table if _EVENT_LOG.fullmatch(r.name) and r.read_level is not None)


def read_tokens(session: Session, sequence: int | None) -> Procedure[TokenHistory | None]:
    """Read the token log; None where there is none or the meter refuses it.

    ``sequence``: tokenSequence as read just now: no more entries are there than that; None where
    it is not known. Raises NoLink or AnotherMeter.
    """
    log = token_log(session.companion.table)
    if not log:
        return None
    count = len(log) if sequence is None else min(len(log), sequence)
    texts = yield from _read_log(session, log[:count], len(log), lambda _text: False)
    if texts is None:
        return None
    found = [ExecutedToken.parse(text) for text in texts if text]
    entries = tuple(entry for entry in found if entry is not None)
    if found and not entries:
        return None
    oldest = entries[-1].sequence if entries else 1
    whole = "" in texts or count < len(log) or oldest == 1
    return TokenHistory(entries, whole and len(entries) == len(found))


def read_newest(session: Session, count: int) -> Procedure[tuple[ExecutedToken, ...] | None]:
    """Read so many of the newest entries of the token log, as far as it has them.

    None where there is none or the meter refuses it. Raises NoLink or AnotherMeter.
    """
    log = token_log(session.companion.table)[: max(1, count)]
    if not log:
        return None
    texts = yield from _read_log(session, log, len(log), lambda _text: False)
    if texts is None:
        return None
    entries = (ExecutedToken.parse(text) for text in texts if text)
    return tuple(entry for entry in entries if entry is not None)


def read_events(
    session: Session, enough: Callable[[MeterEvent], bool]
) -> Procedure[EventHistory | None]:
    """Read the event log, newest first, up to the entry at which it is ``enough``.

    None where there is none or the meter refuses it. Raises NoLink or AnotherMeter.
    """
    log = event_log(session.companion.table)
    if not log:
        return None

    def last(text: str) -> bool:
        event = MeterEvent.parse(text)
        return event is not None and enough(event)

    texts = yield from _read_log(session, log, _CHUNK, last)
    if texts is None:
        return None
    found = (MeterEvent.parse(text) for text in texts if text)
    return EventHistory(tuple(event for event in found if event is not None))


def _read_log(
    session: Session, log: tuple[Register, ...], at_once: int, enough: Callable[[str], bool]
) -> Procedure[tuple[str, ...] | None]:
    """Read entries until an unused one, or one that is enough, or the end of the log."""
    texts: list[str] = []
    most = min(session.companion.limits.registers, at_once)
    while len(texts) < len(log):
        start = log[len(texts)]
        count = min(len(log) - len(texts), most)
        session.on_progress(Reading(start.name, count))
        event = yield from session.command(Read(start, count))
        if isinstance(event, CommandRefused):
            return None
        assert isinstance(event, RegistersRead)
        found = [str(value.value) for value in event.values]
        texts.extend(found)
        if "" in found or any(enough(text) for text in found):
            break
    return tuple(texts)
