"""What is the case with a meter's key and its dates: key type, expiry, base date, a key change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from vtc07.hhu.diagnosis.examination import Examination
from vtc07.hhu.diagnosis.facts import Certainty, Code, Finding, notice, problem
from vtc07.hhu.diagnosis.meter import span
from vtc07.hhu.key_change.judging import Evidence, judge
from vtc07.hhu.meter_log import SECTIONS
from vtc07.hhu.texts import Said, counted, said
from vtc07.tokens.errors import OutOfRange
from vtc07.tokens.tid import MAXIMUM_TID, TID, BaseDate

_SOON = timedelta(days=180)
_NEVER_EXPIRES = 255
_DITK, _DDTK = 0, 1


def findings_of_key(examined: Examination, now: datetime) -> Iterator[Finding]:
    """Yield what is the case with the meter's key; ``now``: the time of day, with its zone."""
    kt = examined.number("KT")
    if kt == _DDTK or (kt is None and examined.flag("default key")):
        yield problem(
            Code.DEFAULT_KEY,
            said("the meter still has its default key (DDTK) and takes no credit tokens"),
            said("change its key to a DUTK by the tokens of a key change, then deliver credit"),
        )
    elif kt == _DITK:
        yield notice(
            Code.INITIAL_KEY,
            said(
                "the meter still has the key that its manufacturer loaded (DITK); only who knows "
                "that key can issue tokens for it"
            ),
            said("change its key by tokens that are issued under the manufacturer's key"),
        )
    yield from _pending(examined)
    yield from _dates(examined, now)


def key_expiry(examined: Examination) -> datetime | None:
    """Return from when on tokens are issued too late for the key; None: never, or not told."""
    ken, base = examined.number("KEN"), examined.base_date
    if ken is None or base is None or ken >= _NEVER_EXPIRES:
        return None
    return TID((ken + 1) << 16).issued_at(base)


def next_base_date(base: BaseDate) -> BaseDate | None:
    """Return the base date that follows, None after the last."""
    try:
        return base.next()
    except OutOfRange:
        return None


def day(time: datetime) -> str:
    """Return a time for people, in UTC as TIDs count."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _dates(examined: Examination, now: datetime) -> Iterator[Finding]:
    base = examined.base_date
    expiry = key_expiry(examined)
    if expiry is not None and now >= expiry:
        yield problem(
            Code.KEY_EXPIRED,
            said(
                "the meter's key expired (KEN {ken}): it takes no tokens issued from {date} on",
                ken=examined.number("KEN") or 0,
                date=day(expiry),
            ),
            said("change the key to one with a later KEN, then deliver new tokens"),
        )
    elif expiry is not None and now >= expiry - _SOON:
        yield notice(
            Code.KEY_EXPIRES_SOON,
            said(
                "the meter's key expires soon (KEN {ken}): it takes no tokens from {date} on",
                ken=examined.number("KEN") or 0,
                date=day(expiry),
            ),
            said("change the key before that day"),
        )
    if base is None:
        return
    if now > base.last:
        yield problem(
            Code.BASE_DATE_ENDED,
            said(
                "the meter's base date {base} ended on {date}: it was not rolled over, and takes "
                "tokens that are counted from a later one for old",
                base=base.code,
                date=day(base.last),
            ),
            said("deliver a key change with roll over (RO), then new tokens"),
        )
    elif now > base.last - 2 * _SOON:
        yield notice(
            Code.BASE_DATE_ENDS_SOON,
            said(
                "the meter's base date {base} ends on {date}", base=base.code, date=day(base.last)
            ),
            said("deliver a key change with roll over (RO) before that day"),
        )


def tid_of(issued: datetime, base: BaseDate) -> int | None:
    """Return the TID of a time of issue, None where this base date cannot tell it."""
    minutes = (issued - base.epoch) // timedelta(minutes=1)
    return minutes if 0 <= minutes <= MAXIMUM_TID else None


# --- a key change ---------------------------------------------------------------------------------


def held_sections(examined: Examination) -> tuple[str, ...]:
    """Return the tokens of the sections that the meter holds, by its logs; empty: none, unknown."""
    if examined.tokens is None:
        return ()
    statuses = examined.companion.token_entry.status
    found: list[str] = []
    for entry in examined.tokens.entries:  # newest first, back to the last key change
        status = statuses.status(entry.status)
        if entry.kind not in SECTIONS or status is None or not status.taken:
            continue
        if status.value == "Accept":
            break
        found.append(entry.token)
    candidates = list(dict.fromkeys(reversed(found)))
    if not candidates:
        return ()
    course = judge(candidates, _evidence(examined))
    return tuple(t for t, held in zip(candidates, course.held, strict=True) if held)


def time_left_s(examined: Examination) -> tuple[int, int] | None:
    """Return for how long held sections are held, powered seconds at least and at most."""
    held = held_sections(examined)
    return judge(held, _evidence(examined)).expires_in_s if held else None


def _evidence(examined: Examination) -> Evidence:
    policy = examined.companion.meter
    return Evidence(
        examined.tokens,
        examined.events,
        examined.flag("key change pending"),
        None if policy is None else policy.key_change_timeout_s,
        examined.companion.token_entry.status,
    )


def _pending(examined: Examination) -> Iterator[Finding]:
    pending = examined.flag("key change pending")
    held = held_sections(examined)
    if pending is False or not (pending or held):
        return
    what: Said = said("a key change has begun and is not complete")
    if held:
        what = counted(
            "a key change has begun: the meter holds {count} section of it",
            "a key change has begun: the meter holds {count} sections of it",
            len(held),
        )
    if (left := time_left_s(examined)) is not None:
        what = said(
            "{what}, and forgets them at the latest after {time} more with power, unless another "
            "one is entered",
            what=what,
            time=span(left[1]),
        )
    certainty = Certainty.CERTAIN if pending else Certainty.LIKELY
    yield notice(
        Code.KEY_CHANGE_PENDING,
        what,
        said(
            "enter the other tokens of that set; until it is complete, the meter takes tokens of "
            "its present key"
        ),
        certainty,
    )
