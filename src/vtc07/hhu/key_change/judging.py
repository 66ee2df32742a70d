"""How far a key change has come, judged from what a meter remembers: pure, without words.

A meter holds one section of each kind, forgets all of them some powered time after the last one
that it took, and changes its key when the set is complete (docs/protocol.md 11). Its token log says
which token was which section and what became of it, its event log when; one bit says whether it
holds any. Sections of two sets cannot be told apart by the meter, so what another set has left
there is told from ours here: a mixture of two sets would be a key that nobody knows.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vtc07.carrier.status import StatusValues, TokenStatus
from vtc07.hhu.meter_log import SECTIONS, EventHistory, ExecutedToken, TokenHistory


class Known(enum.Enum):
    """What is known of a key change."""

    NOTHING = enum.auto()
    """The meter has had none of its tokens under the present key, as far as its log reaches."""
    HELD = enum.auto()
    COMPLETE = enum.auto()
    FORGOTTEN = enum.auto()
    REFUSED = enum.auto()
    OVERTAKEN = enum.auto()
    """Its tokens were taken under a key that was changed since, not by them."""
    MIXED = enum.auto()
    """The meter made its key of sections of this set and of others, and has read nothing under it.

    Where they are of another set, nobody knows that key.
    """
    ANOTHER_SET = enum.auto()
    """The meter holds, or may hold, sections that are not of this set."""
    NO_SECTION = enum.auto()
    """One of its tokens turned out to be another kind of token."""
    UNTOLD = enum.auto()
    """The meter does not tell."""
    UNREACHED = enum.auto()
    """It could not be asked."""
    UNSETTLED = enum.auto()
    """It told several stories, for it was executing tokens all the time."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was read of a meter, at rest.

    ``tokens``, ``events``: None where not told. ``pending``: whether it holds sections, None where
    it does not say. ``lifetime_s``: powered time for which it holds them. ``journalled``: what a
    journal knows of our tokens: how it was taken, and how many seconds ago at most (None: unknown).
    """

    tokens: TokenHistory | None
    events: EventHistory | None
    pending: bool | None
    lifetime_s: int | None
    statuses: StatusValues
    journalled: Mapping[str, tuple[TokenStatus, int | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Course:
    """What became of a set of tokens.

    ``held``, ``statuses``: by place. ``wrong``: the place of a token that was refused, or is none
    of a key change.
    ``order``: places of the tokens to be entered, in this order, and no other; the last of them may
    turn out not to be needed. ``expires_in_s``: powered time until what is held is forgotten.
    ``oldest_held``: the sequence of the oldest token that the meter may hold.
    """

    known: Known
    held: tuple[bool | None, ...]
    statuses: tuple[TokenStatus | None, ...]
    wrong: int | None = None
    order: tuple[int, ...] = ()
    expires_in_s: tuple[int, int] | None = None
    oldest_held: int | None = None


def judge(tokens: Sequence[str], evidence: Evidence) -> Course:
    """Judge how far the set of these tokens, 20 digits each, has come."""
    if evidence.tokens is None:
        return _without_log(tokens, evidence)
    story = _Story(tokens, evidence)
    for entry in reversed(evidence.tokens.entries):
        story.take(entry)
    return story.end()


class _Story:
    """The token log told from its oldest entry on."""

    def __init__(self, tokens: Sequence[str], evidence: Evidence) -> None:
        self._tokens = tuple(tokens)
        self._evidence = evidence
        self._staged: dict[str, ExecutedToken] = {}
        self._unsure: set[str] = set()  # kinds of which nobody knows whether they are still held
        self._last: ExecutedToken | None = None  # the last section that was staged
        self._results: dict[str, TokenStatus] = {}  # under the present key
        self._before: dict[str, TokenStatus] = {}  # sections taken under keys before it
        self._complete: dict[str, TokenStatus] | None = None
        self._mixed = False
        self._no_section: str | None = None

    def take(self, entry: ExecutedToken) -> None:
        """Take notice of the next token that the meter executed."""
        status = self._evidence.statuses.status(entry.status)
        if status is None or not status.is_result:
            return
        section = entry.kind in SECTIONS
        if section and status.taken:
            self._results[entry.token] = status
        elif entry.token in self._tokens:
            self._results[entry.token] = status
            if status.taken:
                self._no_section = entry.token
        if (entry.kind or "").startswith(("0.", "2.")) and self._mixed:
            self._mixed = False  # somebody issues tokens under this key, so it is known
            self._complete = self._complete or dict(self._before)
        if section and status is TokenStatus.ACCEPT:
            self._change_key(entry)
        elif section and status.taken:
            self._stage(entry)

    def _change_key(self, entry: ExecutedToken) -> None:
        taken = {t: s for t, s in self._results.items() if s.taken}
        # Every kind that a key is made of stands here as the meter had it: what it had forgotten
        # was replaced before the set was complete.
        sections = self._staged | {entry.kind or "": entry}
        in_it = {section.token for section in sections.values()}
        if entry.token in self._tokens:
            self._mixed = not in_it <= set(self._tokens) and not in_it >= set(self._tokens)
            self._complete = taken
        else:
            if "2.9" not in sections:
                sections.pop("2.8", None)  # a 64-bit key does without, unless its set has one
            self._mixed = any(section.token in self._tokens for section in sections.values())
        self._before |= taken
        self._results = {}
        self._staged, self._last = {}, None
        self._unsure.clear()

    def _stage(self, entry: ExecutedToken) -> None:
        assert entry.kind is not None
        if self._last is not None:
            lifetime_s, apart_s = self._evidence.lifetime_s, self._apart_s(self._last, entry)
            if lifetime_s is None or apart_s is None or apart_s == lifetime_s:
                self._unsure.update(self._staged)  # whole seconds do not tell which was first
            elif apart_s > lifetime_s:
                self._staged = {}
                self._unsure.clear()
        self._staged[entry.kind] = entry
        self._unsure.discard(entry.kind)
        self._last = entry

    def _apart_s(self, earlier: ExecutedToken, later: ExecutedToken) -> int | None:
        events = self._evidence.events
        if events is None:
            return None
        begin, end = (events.time_of_token(entry.sequence) for entry in (earlier, later))
        return None if begin is None or end is None else end - begin

    # --- the end -------------------------------------------------------------------------------

    def end(self) -> Course:
        """Return what became of the set, by now."""
        evidence, tokens = self._evidence, self._tokens
        self._forget()
        holding = {entry.token: kind for kind, entry in self._staged.items()}
        held: tuple[bool | None, ...] = tuple(
            False if token not in holding else None if holding[token] in self._unsure else True
            for token in tokens
        )
        statuses = tuple(self._results.get(token) for token in tokens)
        journalled = {t for t, (status, _) in evidence.journalled.items() if status.taken}
        accepted = any(status is TokenStatus.ACCEPT for status, _ in evidence.journalled.values())
        if self._mixed:
            return Course(Known.MIXED, held, statuses)
        if self._no_section is not None and self._complete is None:
            place = tokens.index(self._no_section)
            return Course(Known.NO_SECTION, held, statuses, place)
        if self._complete is not None or accepted:
            taken = {t: s for t, (s, _) in evidence.journalled.items()} | (self._complete or {})
            return Course(
                Known.COMPLETE, (False,) * len(tokens), tuple(taken.get(t) for t in tokens)
            )
        ours = [token for token in tokens if self._took(token)]
        oldest = min((e.sequence for e in self._staged.values()), default=None)
        expires = self._expires_in_s(tokens)
        if not ours and any(token in self._before for token in tokens):
            return Course(Known.OVERTAKEN, (False,) * len(tokens), statuses, oldest_held=oldest)
        for place, status in enumerate(statuses):
            if status is not None and not status.taken:
                return Course(Known.REFUSED, held, statuses, place, (), expires, oldest)
        strange = any(token not in tokens for token in holding)
        if evidence.pending and not self._staged:
            # What it holds is older than its log, and may be of this set or not.
            held, strange = (None,) * len(tokens), True
        if strange:
            return Course(Known.ANOTHER_SET, held, statuses, None, (), expires, oldest)
        if holding:
            order = [p for p, h in enumerate(held) if h is False]
            order += [p for p, h in enumerate(held) if h is None]
            return Course(Known.HELD, held, statuses, None, tuple(order), expires, oldest)
        known = Known.FORGOTTEN if ours or journalled else Known.NOTHING
        return Course(known, held, statuses, None, tuple(range(len(tokens))))

    def _took(self, token: str) -> bool:
        status = self._results.get(token)
        return status is not None and status.taken

    def _forget(self) -> None:
        """Take into account what has become of the sections since the last one was staged."""
        pending, last = self._evidence.pending, self._last
        if last is None:
            return
        since_s, lifetime_s = self._since_s(last), self._evidence.lifetime_s
        late = since_s is not None and lifetime_s is not None and since_s > lifetime_s
        if pending is False or (pending is None and late):
            self._staged = {}
        elif pending is None:
            self._unsure.update(self._staged)

    def _since_s(self, entry: ExecutedToken) -> int | None:
        """Return how many whole seconds have passed since a token, at least but for one."""
        events = self._evidence.events
        if events is None or events.newest_s is None:
            return None
        time_s = events.time_of_token(entry.sequence)
        return None if time_s is None else events.newest_s - time_s

    def _expires_in_s(self, tokens: Sequence[str]) -> tuple[int, int] | None:
        lifetime_s, last = self._evidence.lifetime_s, self._last
        if lifetime_s is None or not self._staged:
            return None
        most = lifetime_s
        if last is not None and (since_s := self._since_s(last)) is not None:
            most = max(1, lifetime_s - max(0, since_s - 1))
        ages = [
            age
            for entry in self._staged.values()
            if entry.token in tokens
            and (age := self._evidence.journalled.get(entry.token, (None, None))[1]) is not None
        ]
        least = max(0, lifetime_s - min(ages)) if ages else 0
        return min(least, most), most


def _without_log(tokens: Sequence[str], evidence: Evidence) -> Course:
    """Judge by the journal, and by the bit that says whether sections are held."""
    journalled, lifetime_s = evidence.journalled, evidence.lifetime_s
    statuses = tuple(journalled[t][0] if t in journalled else None for t in tokens)
    nothing: tuple[bool | None, ...] = (False,) * len(tokens)
    everything = tuple(range(len(tokens)))
    if TokenStatus.ACCEPT in statuses:
        return Course(Known.COMPLETE, nothing, statuses)
    if evidence.pending is False:
        known = Known.FORGOTTEN if journalled else Known.NOTHING
        return Course(known, nothing, statuses, None, everything)
    if evidence.pending and not journalled:
        return Course(Known.ANOTHER_SET, (None,) * len(tokens), statuses)
    maybe = [
        p
        for p, token in enumerate(tokens)
        if token in journalled
        and ((age := journalled[token][1]) is None or lifetime_s is None or age <= lifetime_s)
    ]
    order = [p for p in everything if p not in maybe]
    return Course(Known.UNTOLD, (None,) * len(tokens), statuses, None, (*order, *maybe))
