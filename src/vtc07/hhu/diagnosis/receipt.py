"""What stands beside a token, compared with the meter: whether the token can be for its key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from vtc07.hhu.diagnosis.examination import Examination
from vtc07.hhu.diagnosis.facts import Certainty, Code, Finding, Receipt, problem
from vtc07.hhu.diagnosis.key import day, key_expiry, next_base_date, tid_of
from vtc07.hhu.route.slips import slip
from vtc07.hhu.texts import said
from vtc07.tokens.tid import TID

_KEY_TYPES = {0: "DITK", 1: "DDTK", 2: "DUTK", 3: "DCTK"}


def differences(examined: Examination, receipt: Receipt) -> Iterator[Finding]:
    """Yield what is another on the receipt than in the meter: each makes it another key."""
    yield from _meter(examined, receipt)
    sgc = examined.text("SGC")
    if receipt.sgc is not None and sgc is not None and receipt.sgc != sgc:
        yield problem(
            Code.WRONG_SGC,
            said(
                "the token is for SGC {theirs}; the meter's is {ours}", theirs=receipt.sgc, ours=sgc
            ),
            said(
                "ask for a token for SGC {ours}, or for the key change to SGC {theirs} first",
                ours=sgc,
                theirs=receipt.sgc,
            ),
        )
    ti = examined.text("TI")
    if receipt.ti is not None and ti is not None and receipt.ti != ti:
        yield problem(
            Code.WRONG_TI,
            said("the token is for TI {theirs}; the meter's is {ours}", theirs=receipt.ti, ours=ti),
            said(
                "ask for a token for TI {ours}, or for the key change to TI {theirs} first",
                ours=ti,
                theirs=receipt.ti,
            ),
        )
    yield from _revision(examined, receipt)
    kt = examined.number("KT")
    if receipt.kt is not None and kt is not None and receipt.kt != kt:
        theirs, ours = (_KEY_TYPES.get(n, str(n)) for n in (receipt.kt, kt))
        yield problem(
            Code.WRONG_KEY_TYPE,
            said(
                "the token is for a key of type {theirs}; the meter's is a {ours}",
                theirs=theirs,
                ours=ours,
            ),
            said(
                "ask for a token for its {ours}, or for the key change to a {theirs} first",
                ours=ours,
                theirs=theirs,
            ),
        )
    base = examined.base_date
    if receipt.base_date is not None and base is not None and receipt.base_date != base.code:
        yield problem(
            Code.WRONG_BASE_DATE,
            said(
                "the token counts its time from base date {theirs}; the meter from {ours}",
                theirs=receipt.base_date,
                ours=base.code,
            ),
            said("bring both to the same base date by a key change with roll over (RO)"),
        )


def _meter(examined: Examination, receipt: Receipt) -> Iterator[Finding]:
    if receipt.meter is None:
        return
    pan = examined.meter.meter_pan or examined.text("meterPAN")
    drn = examined.text("DRN") or (pan or "")[-14 if (pan or "").startswith("0000") else -12 : -1]
    ours = pan if len(receipt.meter) == 18 else drn
    if not ours or ours == receipt.meter:
        return
    advice = said("enter it into the meter it is for; for this one ask for its own")
    if slip(receipt.meter, ours) is not None:
        advice = said("compare the number on the receipt once more: it is all but this meter's")
    yield problem(
        Code.OTHER_METER,
        said(
            "the token is for meter {theirs}; this is meter {ours}", theirs=receipt.meter, ours=ours
        ),
        advice,
    )


def _revision(examined: Examination, receipt: Receipt) -> Iterator[Finding]:
    krn = examined.number("KRN")
    if receipt.krn is None or krn is None or receipt.krn == krn:
        return
    if receipt.krn < krn:
        yield problem(
            Code.OLD_KEY_REVISION,
            said(
                "the token is for key revision {theirs}; the meter's key is of revision {ours}, a "
                "later one",
                theirs=receipt.krn,
                ours=krn,
            ),
            said("ask for a token under key revision {ours}", ours=krn),
        )
        return
    yield problem(
        Code.NEW_KEY_REVISION,
        said(
            "the token is for key revision {theirs}; the meter's key is still of revision {ours}",
            theirs=receipt.krn,
            ours=krn,
        ),
        said(
            "enter the tokens of the key change to revision {theirs} first, then this one",
            theirs=receipt.krn,
        ),
    )


def foreseen(examined: Examination, issued: datetime) -> Iterator[Finding]:
    """Yield what the meter would hold against a token of this time of issue, by its TID."""
    base = examined.base_date
    if base is None:
        return
    tid = tid_of(issued, base)
    following = next_base_date(base)
    if tid is None:
        if following is not None and issued > base.last:
            yield problem(
                Code.BASE_DATE_NOT_ROLLED,
                said(
                    "the token is of {issued}, which base date {base} does not reach: its time is "
                    "counted from {following}, and the meter takes it for old",
                    issued=day(issued),
                    base=base.code,
                    following=following.code,
                ),
                said(
                    "deliver a key change with roll over (RO) to base date {following}, then a "
                    "new token",
                    following=following.code,
                ),
            )
        return
    if examined.tids and tid < min(examined.tids):
        yield problem(
            Code.TOO_OLD,
            said(
                "the token is of {issued}; the meter takes none of before {oldest}",
                issued=day(issued),
                oldest=day(TID(min(examined.tids)).issued_at(base)),
            ),
            said("ask for a new token"),
        )
    elif tid in examined.tids:
        yield problem(
            Code.SAME_MINUTE,
            said(
                "the meter has accepted a token of {issued}: this one, or another of the same "
                "minute",
                issued=day(issued),
            ),
            said("look at the meter's token log; if it is not there, ask for a new token"),
            Certainty.LIKELY,  # several of one minute get the next minutes
        )
    expiry = key_expiry(examined)
    if expiry is not None and issued >= expiry:
        yield problem(
            Code.TOKEN_AFTER_KEY_EXPIRY,
            said(
                "the token is of {issued}, and the meter's key is only for tokens of before "
                "{expiry} (KEN {ken})",
                issued=day(issued),
                expiry=day(expiry),
                ken=examined.number("KEN") or 0,
            ),
            said("change the key to one with a later KEN, then ask for a new token under it"),
        )
