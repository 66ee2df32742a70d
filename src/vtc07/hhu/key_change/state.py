"""How far a key change has come in a meter, and which token is to be entered next."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from vtc07.carrier.companion import S
from vtc07.carrier.endpoint import Procedure, durably, now, wait
from vtc07.carrier.registers import Register
from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal.deliveries import Delivery, Journal, JournalError
from vtc07.hhu.key_change.judging import Course, Evidence, Known, judge
from vtc07.hhu.meter_log import MeterEvent, read_events, read_tokens
from vtc07.hhu.outcome import EXPLANATIONS
from vtc07.hhu.plan import CannotRead
from vtc07.hhu.reading import Registers, read
from vtc07.hhu.session import Session
from vtc07.hhu.texts import Said, counted, mark, said
from vtc07.tokens.tokendata import TokenData

_PENDING = "key change pending"
_STATUS = ("serverStatus", "tokenStatus", "tokenSequence")
_MOST_ROUNDS = 6
_KEY_CHANGE_CLASS = 2


class KeyChangeStage(enum.Enum):
    """Where a meter stands in a key change; the value is a phrase for people."""

    NOT_BEGUN = mark("not begun")
    PENDING = mark("sections are missing")
    COMPLETE = mark("complete")
    TIMED_OUT = mark("the sections were forgotten, all are to be entered again")
    REFUSED = mark("a section was refused")
    OVERTAKEN = mark("another key change came between")
    MIXED = mark("the key was changed by tokens of this set and others")
    ANOTHER_SET = mark("the meter holds sections of another set")
    UNKNOWN = mark("not known")


@dataclass(frozen=True, slots=True)
class KeyChangeState:
    """A key change set in a meter.

    ``held``: by the place of each token of the set (from 0), whether the meter holds it, None where
    nobody can tell. ``next_place``: which token to enter next, None where none is to be entered.
    ``expires_in_s``: powered seconds until the meter forgets what it holds, at least and at most;
    None where nothing is held or nobody can tell. ``said``: all of it in words. ``statuses``: by
    the place of each token, the result that it last got of this meter under its present key (or,
    of a set that is complete, under the one before), None where none is known. ``order``: the
    places of the tokens to enter, in this order and no others; once the meter says Accept, the rest
    of them is not needed. ``sequence``: tokenSequence when the meter was asked.
    """

    stage: KeyChangeStage
    held: tuple[bool | None, ...]
    next_place: int | None
    expires_in_s: tuple[int, int] | None
    said: Said
    statuses: tuple[TokenStatus | None, ...] = ()
    order: tuple[int, ...] = ()
    sequence: int | None = None


def key_change_state(
    session: Session,
    tokens: Sequence[str],
    *,
    journal: Journal | None = None,
    wall_clock: Callable[[], datetime] | None = None,
    taken_ns: int | None = None,
) -> Procedure[KeyChangeState]:
    """Ask the connected meter how far this key change has come; nothing is entered.

    ``tokens``: the set in the order of issue, 20 digits each. ``journal``, with ``wall_clock``:
    what it knows of these tokens in this meter is taken into account, where the meter's own log
    does not reach far enough; one that cannot be read is passed over. ``taken_ns``: an instant of
    the driver's clock not after the entry of a section that the meter took.

    The meter's registers are read until nothing happened between the first and the last of them.
    Raises NoLink or AnotherMeter; ValueError as `require_set` does.
    """
    require_set(tokens)
    yield from session.ready()
    evidence, sequence = yield from _gather(session, tokens)
    if evidence is None:
        unknown = (None,) * len(tokens)
        return put_into_words(Course(Known.UNSETTLED, unknown, unknown))
    if journal is not None and wall_clock is not None and session.meter is not None:
        pan = session.meter.meter_pan or session.address
        at = wall_clock()
        told = yield from durably(lambda: _journalled(journal, pan, tokens, at))
        evidence = replace(evidence, journalled=told)
    course = judge(tokens, evidence)
    lifetime_s = evidence.lifetime_s
    if course.expires_in_s is not None and taken_ns is not None and lifetime_s is not None:
        # The meter has not been powered for longer than time has passed here.
        passed_s = -(-((yield from now()) - taken_ns) // S)
        most = course.expires_in_s[1]
        course = replace(course, expires_in_s=(min(most, max(0, lifetime_s - passed_s)), most))
    return replace(put_into_words(course), sequence=sequence)


def require_set(tokens: Sequence[str]) -> None:
    """Raise ValueError where these cannot be the tokens of a key change, each once.

    Which kind of token one is stands in its class alone, as long as it is encrypted: 2.
    """
    if not tokens or len(set(tokens)) != len(tokens):
        raise ValueError("a key change has two to four tokens, each of them once")
    for place, token in enumerate(tokens):
        if TokenData.from_digits(token).token_class != _KEY_CHANGE_CLASS:
            raise ValueError(
                f"token {place + 1} is no token of a key change: it is not of class "
                f"{_KEY_CHANGE_CLASS}; compare its digits, and give it by itself if they are right"
            )


# --- reading ------------------------------------------------------------------------------------


def _gather(
    session: Session, tokens: Sequence[str]
) -> Procedure[tuple[Evidence | None, int | None]]:
    """Read what tells of a key change, all of one time, and tokenSequence then.

    No evidence where the meter never rests.
    """
    status, timing = session.companion.token_entry.status, session.timing
    policy = session.companion.meter
    lifetime_s = None if policy is None else policy.key_change_timeout_s
    rounds = 0
    since_ns = yield from now()
    before = yield from _read_status(session)
    while True:
        executing = before.status is not None and (
            status.status(before.status) is TokenStatus.NOT_READY
        )
        if executing and (yield from now()) - since_ns < timing.poll_limit_ns:
            yield from wait(timing.poll_ns)
            before = yield from _read_status(session)
            continue
        rounds += 1
        if executing or rounds > _MOST_ROUNDS:
            return None, None
        history = yield from read_tokens(session, before.sequence)
        evidence = Evidence(history, None, before.pending, lifetime_s, status)
        oldest = judge(tokens, evidence).oldest_held
        if oldest is not None:
            events = yield from read_events(session, _reaches(oldest))
            evidence = replace(evidence, events=events)
        after = yield from _read_status(session)
        if after == before:
            return evidence, after.sequence
        before = after


@dataclass(frozen=True, slots=True)
class _Status:
    """What tells whether anything happened; None where the meter does not tell it."""

    pending: bool | None
    status: int | None
    sequence: int | None


def _read_status(session: Session) -> Procedure[_Status]:
    table = session.companion.table
    group = [table.named(n) for n in _STATUS if table.has(n)]
    group = [r for r in group if r.read_level is not None and r.read_level <= session.level]
    found = Registers((), (), 0)
    if group:
        try:
            found = yield from read(session, (), together=[group])
        except CannotRead:
            found = yield from read(session, group)
    values = {value.register.name: value.value for value in found.values}
    numbers = [values.get(name) for name in _STATUS]
    server, status, sequence = (n if isinstance(n, int) else None for n in numbers)
    pending = None
    if server is not None and (bit := flag_bit(table.named(_STATUS[0]), _PENDING)) is not None:
        pending = bool(server >> bit & 1)
    return _Status(pending, status, sequence)


def flag_bit(register: Register, name: str) -> int | None:
    """Return the bit of a register of flags that the companion's meaning gives this name."""
    _, found, names = register.meaning.partition("from bit 0: ")
    listed = names.split(", ") if found else []
    return listed.index(name) if name in listed else None


def _reaches(sequence: int) -> Callable[[MeterEvent], bool]:
    return lambda event: event.name == "token" and event.detail == sequence


def _journalled(
    journal: Journal, meter_pan: str, tokens: Sequence[str], at: datetime
) -> dict[str, tuple[TokenStatus, int | None]]:
    """Return what the journal knows: for each token its acceptance, and how many s ago at most."""
    told: dict[str, tuple[TokenStatus, int | None]] = {}
    try:
        deliveries = journal.deliveries(meter_pan)
    except JournalError:
        return told
    for delivery in deliveries:
        status = None if delivery.ended is None else delivery.ended.taken
        if status is not None and delivery.token in tokens:
            told[delivery.token] = status, _age_s(delivery, at)
    return told


def _age_s(delivery: Delivery, at: datetime) -> int | None:
    """Return how long ago it was opened, None where the clock has been set back since."""
    seconds = -int(-(at - delivery.opened).total_seconds() // 1)
    return seconds if seconds >= 0 else None


# --- words --------------------------------------------------------------------------------------

_STAGES = {
    Known.NOTHING: KeyChangeStage.NOT_BEGUN,
    Known.HELD: KeyChangeStage.PENDING,
    Known.COMPLETE: KeyChangeStage.COMPLETE,
    Known.FORGOTTEN: KeyChangeStage.TIMED_OUT,
    Known.REFUSED: KeyChangeStage.REFUSED,
    Known.OVERTAKEN: KeyChangeStage.OVERTAKEN,
    Known.MIXED: KeyChangeStage.MIXED,
    Known.ANOTHER_SET: KeyChangeStage.ANOTHER_SET,
    Known.UNSETTLED: KeyChangeStage.UNKNOWN,
    Known.NO_SECTION: KeyChangeStage.REFUSED,
    Known.UNTOLD: KeyChangeStage.UNKNOWN,
    Known.UNREACHED: KeyChangeStage.UNKNOWN,
}


def put_into_words(course: Course) -> KeyChangeState:
    """Return the state that a course of events amounts to."""
    next_place = course.order[0] if course.order else None
    what = _what(course, next_place)
    if course.expires_in_s is not None and course.known in (
        Known.HELD,
        Known.REFUSED,
        Known.ANOTHER_SET,
    ):
        what = said("{what}; {time}", what=what, time=_time(course.expires_in_s))
    return KeyChangeState(
        _STAGES[course.known],
        course.held,
        next_place,
        course.expires_in_s,
        what,
        course.statuses,
        course.order,
    )


def _what(course: Course, next_place: int | None) -> Said:
    count = len(course.held)
    match course.known:
        case Known.NOTHING:
            return said(
                "no token of this key change is in the meter; enter token 1 of {of} first", of=count
            )
        case Known.HELD:
            return _pending(course, next_place)
        case Known.COMPLETE:
            return said("the key change is complete; no token of it is to be entered any more")
        case Known.FORGOTTEN:
            return said(
                "the meter has forgotten the tokens of this key change that it held; enter all "
                "{of} again, token 1 first",
                of=count,
            )
        case Known.REFUSED:
            place = course.wrong or 0
            status = course.statuses[place]
            why = EXPLANATIONS.get(status, "") if status else ""
            return said(
                "token {place} of {of} was refused: {status} ({why})",
                place=place + 1,
                of=count,
                status=status.value if status else "?",
                why=Said(why),
            )
        case Known.OVERTAKEN:
            return said(
                "another key change was completed since tokens of this one were entered; they are "
                "most likely for a key that the meter has no more: ask for new ones"
            )
        case Known.MIXED:
            return said(
                "the meter has changed its key by tokens of this set and others, and none of this "
                "set is to be entered any more; compare the digits: if all are right, its key is "
                "made of two sets, and must be worked out from both, or the meter be replaced"
            )
        case Known.ANOTHER_SET:
            return said(
                "the meter holds, or may hold, sections of another key change, which it cannot "
                "tell from these: finish that one, or leave the meter powered until it has "
                "forgotten them"
            )
        case Known.NO_SECTION:
            return said(
                "token {place} of {of} is no token of a key change; ask for the right set",
                place=(course.wrong or 0) + 1,
                of=count,
            )
        case Known.UNREACHED:
            return said(
                "how far the key change has come is not known, for the meter could not be asked; "
                "connect to it again and go on with the same tokens"
            )
        case Known.UNTOLD:
            return said("this meter does not tell how far a key change has come")
        case Known.UNSETTLED:
            return said("the meter executes one token after another; ask again when it has ended")


def _pending(course: Course, next_place: int | None) -> Said:
    count, held = len(course.held), [p + 1 for p, h in enumerate(course.held) if h]
    if None in course.held:
        what = said("the meter holds a part of this key change, nobody can tell exactly which")
    else:
        what = counted(
            "the meter holds {count} token of {of} ({places})",
            "the meter holds {count} tokens of {of} ({places})",
            len(held),
            of=count,
            places=", ".join(map(str, held)),
        )
    if next_place is None:
        return said(
            "{what} and waits for more: a token of the set is missing from those that were given",
            what=what,
        )
    return said("{what}; enter token {next} next", what=what, next=next_place + 1)


def _time(seconds: tuple[int, int]) -> Said:
    least, most = seconds
    if least <= 0:
        return said("it forgets them at the latest after {most} s more with power", most=most)
    return said(
        "it forgets them after {least} s to {most} s more with power", least=least, most=most
    )
