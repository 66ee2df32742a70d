"""Why a token was refused by its TID: used, too old, or issued after the key expired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.diagnosis.case import Case, ago
from vtc07.hhu.diagnosis.facts import Certainty, Code, Finding, problem
from vtc07.hhu.diagnosis.key import day, key_expiry, next_base_date
from vtc07.hhu.texts import said
from vtc07.tokens.tid import TID

_NEW = timedelta(days=400)  # a token in somebody's hand is hardly older
_CLOCKS = timedelta(days=1)


def used(case: Case) -> Iterator[Finding]:
    """Yield why it was UsedError."""
    examined, entry = case.examined, case.entry
    advice = said(
        "it cannot be used again; look at the meter's credit and log, and ask for a new "
        "token if its amount never came"
    )
    if (before := case.accepted_before()) is not None:
        yield problem(
            Code.USED,
            said("this very token was accepted before, {when}", when=ago(examined, before)),
            said("nothing is to be done: its amount is on the meter"),
        )
        return
    statuses = examined.companion.token_entry.status
    for other in () if examined.tokens is None else examined.tokens.entries:
        accepted = statuses.status(other.status) is TokenStatus.ACCEPT
        if accepted and entry.tid is not None and other.tid == entry.tid:
            yield problem(
                Code.SAME_MINUTE,
                said(
                    "another token of the same minute was accepted, {when}; a meter takes one a "
                    "minute",
                    when=ago(examined, other),
                ),
                said("ask for this one to be issued anew, with a time of issue of its own"),
            )
            return
    if examined.tokens is None or not examined.tokens.whole:
        yield problem(
            Code.USED,
            said(
                "the meter has accepted this token before, or another one of the same minute; its "
                "log does not reach back to it"
            ),
            advice,
            Certainty.CERTAIN if entry.tid in examined.tids else Certainty.LIKELY,
        )
        return
    yield problem(
        Code.USED,
        said(
            "the meter was made with the time of this token in its memory, as if it had been used"
        ),
        said("ask for a new token"),
    )


def too_old(case: Case) -> Iterator[Finding]:
    """Yield why it was OldError."""
    examined, tid, base = case.examined, case.entry.tid, case.examined.base_date
    if tid is None or base is None:
        yield problem(
            Code.TOO_OLD,
            said("the token is older than all that the meter remembers"),
            said(
                "ask for a new token; if that is refused too, the base date may want to be rolled "
                "over"
            ),
        )
        return
    issued = TID(tid).issued_at(base)
    following = next_base_date(base)
    later = None if following is None else TID(tid).issued_at(following)
    told = case.receipt.issued
    rolled = later is not None and case.now - _NEW <= later <= case.now + _CLOCKS
    certain = told is not None and later is not None and abs(later - told) <= _CLOCKS
    was_told = told is not None and abs(issued - told) <= _CLOCKS
    if (rolled or certain) and not was_told and later is not None and following is not None:
        yield problem(
            Code.BASE_DATE_NOT_ROLLED,
            said(
                "the token is of {later} if its time is counted from base date {following}; the "
                "meter still counts from {base}, where it is of {issued}, too old for it",
                later=day(later),
                following=following.code,
                base=base.code,
                issued=day(issued),
            ),
            said(
                "deliver a key change with roll over (RO) to base date {following}, then a new "
                "token",
                following=following.code,
            ),
            Certainty.CERTAIN if certain else Certainty.LIKELY,
        )
        if certain:
            return
    what = said("the token is of {issued}", issued=day(issued))
    if examined.tids:
        what = said(
            "{what}; the meter takes none of before {oldest}, for it does not remember further "
            "back",
            what=what,
            oldest=day(TID(min(examined.tids)).issued_at(base)),
        )
    rolled_over = rolled and not was_told
    yield problem(
        Code.TOO_OLD,
        what,
        said("ask for a new token; enter tokens in the order in which they were issued"),
        Certainty.POSSIBLE if rolled_over else Certainty.CERTAIN,
    )


def after_key_expiry(case: Case) -> Iterator[Finding]:
    """Yield why it was KeyExpiredError."""
    examined, tid, base = case.examined, case.entry.tid, case.examined.base_date
    expiry = key_expiry(examined)
    what = said("the token was issued after the meter's key expired")
    if expiry is not None and tid is not None and base is not None:
        what = said(
            "the token is of {issued}, and the meter's key is only for tokens of before {expiry} "
            "(KEN {ken})",
            issued=day(TID(tid).issued_at(base)),
            expiry=day(expiry),
            ken=examined.number("KEN") or 0,
        )
    yield problem(
        Code.TOKEN_AFTER_KEY_EXPIRY,
        what,
        said("change the key to one with a later KEN, then ask for a new token under it"),
    )
