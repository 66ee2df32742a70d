"""A delivery's history as a sequence of steps with times, out of the journal.

Every session in which something was done for the delivery is a part of it: the one that opened it,
from its first message on (or from the end of the delivery before it in the same session), and
each later one that looked into it. What is drawn of that is in
`vtc07.hhu.history.sequence_drawing`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from vtc07.carrier.events import CommandFailed, SignedOff, TokenEntryAnswered
from vtc07.carrier.events import Entry as EntryAnswer
from vtc07.hhu.history.token_masking import MASK
from vtc07.hhu.journal.deliveries import Delivery, JournalError
from vtc07.hhu.journal.entries import Entry, EntryKind
from vtc07.hhu.journal.result import Result
from vtc07.hhu.texts import Said, counted, said
from vtc07.trace.message import Sender

_SESSION_KINDS = (EntryKind.ASKED, EntryKind.MESSAGE, EntryKind.ANSWERED, EntryKind.NOTE)
#: A message of which a token was taken out by whoever made this copy of the journal.
_COVERED: Final = 8 * MASK
#: So many entries before one are looked through for the session in which it was written.
_LOOK_BACK: Final = 100
#: No session pauses for so long between a command and what is written down of a delivery.
_LONG_OVER: Final = timedelta(minutes=10)


class ReadableJournal(Protocol):
    """What is needed of a journal here. Both may raise JournalError."""

    def entries(self, *, after: int = 0, delivery: int | None = None) -> Iterator[Entry]:
        """Yield the entries that fit everything given, oldest first."""

    def delivery(self, number: int) -> Delivery:
        """Return one delivery; JournalError where there is none of this number."""


class StepKind(enum.Enum):
    """What a step is; the value stands in JSON."""

    MESSAGE = "message"
    """A message, or characters that are none, passed on the line."""
    SPEED = "speed"
    """An end of the line went on at another speed."""
    OPENED = "opened"
    """The delivery was written down, before the token was sent."""
    ANNOUNCED = "announced"
    """An entry of the token was written down, before it was sent."""
    RESULT = "result"
    """The result was written down."""
    FAILED = "failed"
    """A command came to nothing, or nobody knows what it came to."""
    REOPENED = "reopened"
    """The link was opened again, or that failed."""
    LEFT_OUT = "left out"
    """More messages passed here than are kept of one command."""
    INTERRUPTED = "interrupted"
    """A person, or another program, ended the work."""
    ENDED = "ended"
    """The journal says nothing more of a command that was about to be sent."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    ``entry``: the number of the journal's entry that says it. ``time``: of a message the end of
    its last character. ``at_ns``: the same since the session's first command, by the clock of the
    line; None outside of a session. ``said``: what happened, for all but messages and speeds.

    Of a message: ``sender``; ``lines``, which explain it; ``hex``, its characters; ``took_ns``,
    from its first to its last character; ``sound``, it was whole and undamaged as far as this end
    knows; ``masked``, digits of a token are covered.
    """

    kind: StepKind
    entry: int
    time: datetime
    at_ns: int | None = None
    said: Said | None = None
    sender: Sender | None = None
    lines: tuple[str, ...] = field(default=(), repr=False)
    hex: str = field(default="", repr=False)
    took_ns: int = 0
    sound: bool = True
    masked: bool = False


@dataclass(frozen=True, slots=True)
class SequencePart:
    """What happened in one session, in its order.

    ``session``: the number of its first entry, None for what was written down outside of any.
    ``began``: when its first command was given. ``address``: of the link. ``companion``: by which
    its messages are explained, None where the meter was only asked for it.
    """

    session: int | None
    began: datetime
    address: str
    companion: str | None
    steps: tuple[Step, ...]

    @property
    def is_simulated(self) -> bool:
        """Say whether its times are of a simulated line's clock, and only begin at ``began``."""
        return self.address.startswith("sim:")


@dataclass(frozen=True, slots=True)
class DeliverySequence:
    """A delivery's history. ``token``: its 20 digits, None where tokens are not to be shown.

    ``result``: its result in words, None as long as it is open.
    """

    number: int
    meter_pan: str
    token: str | None = field(repr=False)
    opened: datetime
    closed: datetime | None
    writes: int
    result: Said | None
    parts: tuple[SequencePart, ...]


def sequence_of(journal: ReadableJournal, number: int, *, mask: bool = False) -> DeliverySequence:
    """Return the history of delivery ``number``.

    ``mask``: without any token, neither its own nor one that a meter told. Raises JournalError.
    """
    delivery = journal.delivery(number)
    parts: list[_Part] = []
    for entry in journal.entries(delivery=number):
        with _understood(entry.number):
            session = _session_of(entry) or _session_around(journal, entry)
            if not parts or parts[-1].session != session:
                parts.append(_begun(journal, session, entry, mask=mask))
            parts[-1].take(entry)
    return DeliverySequence(
        number,
        delivery.meter_pan,
        None if mask else delivery.token,
        delivery.opened,
        delivery.closed,
        delivery.writes,
        None if delivery.ended is None else delivery.ended.said,
        tuple(part.finished() for part in parts),
    )


@contextmanager
def _understood(number: int) -> Iterator[None]:
    """Turn what comes of members that nobody of us wrote into a sentence."""
    try:
        yield
    except (TypeError, ValueError, OverflowError, AttributeError):
        raise JournalError(
            f"entry {number} of the journal, or one that led to it, is not what was written; "
            "vtc07 hhu verify finds what else is wrong"
        ) from None


# --- sessions -----------------------------------------------------------------------------------


def _session_of(entry: Entry) -> int | None:
    """Return the session that an entry says it belongs to."""
    if entry.kind not in _SESSION_KINDS:
        return None
    session = entry.members.get("session")
    if session is None and entry.kind is EntryKind.ASKED:
        return entry.number  # the first one of its session
    return session if isinstance(session, int) else None


def _session_around(journal: ReadableJournal, entry: Entry) -> int | None:
    """Return the session in the midst of which an entry was written, None for none.

    A journal has one writer, so it is that of the last command before it, unless that one took
    leave of the meter, was of another meter, or is long over: the session of a program that was
    killed.
    """
    last = None
    for before in journal.entries(after=max(0, entry.number - 1 - _LOOK_BACK)):
        if before.number >= entry.number:
            break
        if _session_of(before) is not None:
            last = before
    if last is None or last.members.get("answer") == SignedOff.__name__:
        return None
    if last.meter_pan not in (None, entry.meter_pan) or entry.time - last.time > _LONG_OVER:
        return None
    return _session_of(last)


def _begun(journal: ReadableJournal, session: int | None, entry: Entry, *, mask: bool) -> _Part:
    """Return the part that ``entry`` begins, with what led to it in the same session."""
    if session is None:
        return _Part(None, entry, mask=mask)
    part: _Part | None = None
    lead: list[Entry] = []
    for earlier in journal.entries(after=session - 1):
        if part is None:
            part = _Part(session, earlier, mask=mask)
        if earlier.number >= entry.number:
            break
        part.learn(earlier)
        if earlier.delivery not in (None, entry.delivery):
            lead.clear()  # that led to the delivery before
        elif earlier.delivery is None and _session_of(earlier) == session:
            lead.append(earlier)
    if part is None:
        return _Part(None, entry, mask=mask)
    for earlier in lead:
        part.take(earlier)
    return part


class _Part:
    """A part while its entries are taken; ``first``: the entry that its times are counted from."""

    def __init__(self, session: int | None, first: Entry, *, mask: bool) -> None:
        self.session = session
        self._first = first
        self._mask = mask
        self._steps: list[Step] = []
        self._at_ns = 0  # of the last command or answer
        self._asked: Entry | None = None  # a command without an answer yet
        self._companion: str | None = None

    def take(self, entry: Entry) -> None:
        """Take the next entry."""
        at_ns = entry.members.get("at")
        match entry.kind:
            case EntryKind.MESSAGE:
                self._steps.append(self._message(entry))
                return
            case EntryKind.ASKED:
                self._asked = entry
                self.learn(entry)
            case EntryKind.ANSWERED:
                self._asked = None
        if isinstance(at_ns, int):
            self._at_ns = max(self._at_ns, at_ns)
        kind, sentence = _told(entry)
        if kind is not None:
            self._steps.append(self._step(kind, entry, sentence))

    def learn(self, entry: Entry) -> None:
        """Take notice of the companion's name, where an entry tells it."""
        if entry.kind is EntryKind.ASKED and isinstance(entry.members.get("companion"), str):
            self._companion = entry.members["companion"]

    def finished(self) -> SequencePart:
        """Return the part."""
        if self._asked is not None:
            nothing_more = said("nothing more is written down: the program ended, or goes on yet")
            self._steps.append(self._step(StepKind.ENDED, self._asked, nothing_more))
        # What has no end is written down behind what came after it: its time tells.
        steps = sorted(self._steps, key=lambda step: step.at_ns or 0)
        members = self._first.members
        return SequencePart(
            self.session,
            self._first.time,
            str(members.get("address", "")),
            self._companion,
            tuple(steps),
        )

    def _step(self, kind: StepKind, entry: Entry, sentence: Said) -> Step:
        if self.session is None:
            return Step(kind, entry.number, entry.time, None, sentence)
        return Step(kind, entry.number, self._time(self._at_ns), self._at_ns, sentence)

    def _message(self, entry: Entry) -> Step:
        members = entry.members
        at_ns = int(members.get("at", 0))
        lines = tuple(str(line) for line in members.get("said", ()))
        chars = str(members.get("hex", ""))
        masked = _COVERED in "".join(lines) or bool(entry.secrets)
        if not self._mask and {"said", "hex"} <= entry.secrets.keys():
            lines, chars = tuple(entry.secrets["said"].split("\n")), entry.secrets["hex"]
            masked = False
        sender: Sender = "server" if members.get("from") == "server" else "client"
        return Step(
            StepKind.SPEED if "speed" in members else StepKind.MESSAGE,
            entry.number,
            self._time(at_ns),
            at_ns,
            sender=sender,
            lines=lines,
            hex=chars,
            took_ns=at_ns - int(members.get("began", at_ns)),
            sound=bool(members.get("sound", True)),
            masked=masked,
        )

    def _time(self, at_ns: int) -> datetime:
        return self._first.time + timedelta(microseconds=at_ns // 1000)


# --- what an entry says in words ----------------------------------------------------------------


def _told(entry: Entry) -> tuple[StepKind | None, Said]:
    """Return what an entry other than a message says; None for the kind: nothing to be shown."""
    members = entry.members
    match entry.kind:
        case EntryKind.OPENED:
            s0 = members.get("s0")
            if s0 is None:
                return StepKind.OPENED, said("the delivery is written down")
            return StepKind.OPENED, said(
                "the delivery is written down; before it the meter's tokenSequence is {sequence}",
                sequence=int(s0.get("sequence", 0)),
            )
        case EntryKind.WRITE:
            return StepKind.ANNOUNCED, said(
                "entry {number} of the token is written down, before it is sent",
                number=int(members.get("write", 0)),
            )
        case EntryKind.RESULT:
            return StepKind.RESULT, said("result: {result}", result=_result(members))
        case EntryKind.NOTE if "reopened" in members:
            if members["reopened"]:
                return StepKind.REOPENED, said("the link is opened again")
            return StepKind.REOPENED, said("the link could not be opened again")
        case EntryKind.NOTE if isinstance(missing := members.get("left_out"), int):
            return StepKind.LEFT_OUT, counted(
                "{count} more message is not kept", "{count} more messages are not kept", missing
            )
        case EntryKind.ANSWERED:
            return _answered(members)
    return None, Said("")


def _result(members: Mapping[str, Any]) -> Said | str:
    try:
        return Result.from_members(members).said
    except (KeyError, TypeError, ValueError):  # of a newer program
        return str(members.get("text", ""))


def _answered(members: Mapping[str, Any]) -> tuple[StepKind | None, Said]:
    match members.get("answer"):
        case CommandFailed.__name__:
            return StepKind.FAILED, counted(
                "{count} attempt came to nothing: {failure}",
                "{count} attempts came to nothing: {failure}",
                int(members.get("attempts", 1)),
                failure=Said(str(members.get("failure", ""))),
            )
        case TokenEntryAnswered.__name__ if members.get("entry") == EntryAnswer.UNCERTAIN.value:
            return StepKind.FAILED, said("whether the entry arrived is unknown")
        case "Interrupted":
            return StepKind.INTERRUPTED, said("the work was interrupted here")
        case "NotSent":
            return StepKind.FAILED, said("not sent: {why}", why=str(members.get("error", "")))
    return None, Said("")
