"""Diagnosing a meter and a token: everything is read, then explained, without keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vtc07.carrier.endpoint import Procedure, durably
from vtc07.carrier.status import TokenStatus
from vtc07.hhu.diagnosis.case import Case
from vtc07.hhu.diagnosis.crc import (
    crc_is_good,
    findings_of_crc_error,
    mistyped,
    receipt_fits,
    unfitting,
)
from vtc07.hhu.diagnosis.examination import Examination, examine
from vtc07.hhu.diagnosis.facts import Certainty, Code, Finding, Receipt, good, notice, problem
from vtc07.hhu.diagnosis.key import day, findings_of_key
from vtc07.hhu.diagnosis.meter import findings_of_meter
from vtc07.hhu.diagnosis.receipt import differences, foreseen
from vtc07.hhu.diagnosis.token import findings_of_result, reserved_class
from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.meter_log import ExecutedToken
from vtc07.hhu.session import Session
from vtc07.hhu.texts import counted, said
from vtc07.tokens.errors import DigitsError
from vtc07.tokens.tokendata import TokenData

_DDTK = 1
_MOST_TOLD = 3
#: The result of a token that says nothing against it.
_REFUSALS = frozenset(s for s in TokenStatus if s.is_result and not s.taken)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found. Findings are in the order in which a person should hear them.

    ``token``: the digits that were explained: those that were given, or else those of the newest
    token, where the meter refused it; None where there is none. ``given``: it was given. ``entry``:
    what the meter remembers of it.
    """

    examined: Examination
    receipt: Receipt
    of_token: tuple[Finding, ...]
    of_meter: tuple[Finding, ...]
    token: str | None = field(default=None, repr=False)
    given: bool = False
    entry: ExecutedToken | None = field(default=None, repr=False)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them, those of the token first."""
        return (*self.of_token, *self.of_meter)


def diagnose(
    session: Session,
    receipt: Receipt | None = None,
    *,
    wall_clock: Callable[[], datetime],
    deliveries: Callable[[], Iterable[Delivery]] | None = None,
) -> Procedure[Diagnosis]:
    """Read what tells of the connected meter, and explain it; nothing is changed.

    ``receipt``: the token, and what stands beside it, as far as known; without a token the newest
    one of the meter is explained, where it was refused. ``deliveries``: those of a journal, oldest
    first, if there is one. Raises NoLink, AnotherMeter, or what ``deliveries`` raises.
    """
    examined = yield from examine(session)
    receipt = receipt or Receipt()
    known: tuple[Delivery, ...] = ()
    if deliveries is not None:
        known = yield from durably(lambda: tuple(_about(examined, receipt, deliveries())))
    return explain(examined, receipt, wall_clock(), known)


def explain(
    examined: Examination, receipt: Receipt, now: datetime, known: Sequence[Delivery] = ()
) -> Diagnosis:
    """Explain what was read. ``known``: deliveries of this token, and those to this meter."""
    of_meter = [*findings_of_meter(examined), *findings_of_key(examined, now)]
    of_token: list[Finding] = []
    token, entry = receipt.token, None
    if token is None:
        entry = _newest_refused(examined)
        token = None if entry is None else entry.token
    if token is None:
        of_token += differences(examined, receipt)
        if receipt.issued is not None:
            of_token += foreseen(examined, receipt.issued)
    else:
        try:
            data = TokenData.from_digits(token)
        except DigitsError as error:
            token = None
            of_token.append(_not_a_token(error))
        else:
            token = data.digits
            of_token += _of_token(examined, receipt, now, data, known)
            entry = next(iter(_entries(examined, token)), None)
    if not of_meter:
        nothing = said("nothing was found that is wrong with the meter")
        of_meter.append(good(Code.NOTHING_WRONG, nothing))
    return Diagnosis(
        examined,
        receipt,
        tuple(of_token),
        tuple(of_meter),
        token,
        receipt.token is not None,
        entry,
    )


def _not_a_token(error: DigitsError) -> Finding:
    return problem(
        Code.NOT_A_TOKEN,
        said("what was given is no token: {why}", why=str(error)),
        said("compare it with the receipt, digit by digit"),
    )


# --- what the meter remembers of a token ----------------------------------------------------------


def _entries(examined: Examination, token: str) -> tuple[ExecutedToken, ...]:
    """Return the entries of a token, newest first; lastToken counts for one of its own."""
    logged = () if examined.tokens is None else examined.tokens.entries
    found = tuple(entry for entry in logged if entry.token == token)
    if found or examined.text("lastToken") != token:
        return found
    last = _last(examined)
    return () if last is None else (last,)


def _last(examined: Examination) -> ExecutedToken | None:
    """Return what the meter tells of the newest token without its log, if there was one."""
    token, status = examined.text("lastToken"), examined.number("lastTokenStatus")
    if not token or status is None:
        return None
    return ExecutedToken(examined.number("tokenSequence") or 0, token, None, None, None, status)


def _newest_refused(examined: Examination) -> ExecutedToken | None:
    token = examined.text("lastToken")
    newest = _entries(examined, token)[:1] if token else ()
    statuses = examined.companion.token_entry.status
    refused = newest and statuses.status(newest[0].status) in _REFUSALS
    return newest[0] if refused else None


# --- a token --------------------------------------------------------------------------------------


def _of_token(
    examined: Examination,
    receipt: Receipt,
    now: datetime,
    data: TokenData,
    known: Sequence[Delivery],
) -> Iterator[Finding]:
    entries = _entries(examined, data.digits)
    right = [d.token for d in known if d.ended is not None and d.ended.taken is not None]
    if not entries:
        yield from _unseen(examined, receipt, data, right)
    else:
        case = Case(examined, receipt, now, entries[0], entries[1:])
        if data.token_class == 3 and (slipped := mistyped(examined, data.digits, right)):
            yield slipped
        elif case.status is TokenStatus.CRC_ERROR:
            yield from findings_of_crc_error(case, right)
        elif case.status is TokenStatus.MFR_CODE_ERROR:
            yield from _other_maker(examined, data)
        else:
            yield from findings_of_result(case)
            yield from _other_receipt(case)
    yield from _in_journal(examined, data, known)


def _unseen(
    examined: Examination, receipt: Receipt, data: TokenData, right: Sequence[str]
) -> Iterator[Finding]:
    """Yield what would become of a token that the meter has not had."""
    if examined.broken is not None:
        return
    history = examined.tokens
    if history is not None and history.whole:
        yield notice(Code.NOT_SEEN, said("the meter has never had this token"))
    else:
        reach = 0 if history is None else len(history.entries)
        yield notice(
            Code.NOT_SEEN,
            counted(
                "this token is not among the newest {count} of the meter",
                "this token is not among the newest {count} of the meter",
                reach,
            )
            if reach
            else said("this token is not the newest of the meter, and it tells of no other"),
            None,
            Certainty.LIKELY,
        )
    if data.token_class == 3:
        yield mistyped(examined, data.digits, right) or reserved_class()
        return
    if data.token_class == 1:
        if not crc_is_good(data):
            yield unfitting(examined, data.digits, right)
        else:
            yield from _other_maker(examined, data)
        return
    if (slipped := mistyped(examined, data.digits, right)) is not None:
        yield slipped
    if data.token_class == 0 and examined.number("KT") == _DDTK:
        yield problem(
            Code.CREDIT_UNDER_DEFAULT_KEY,
            said(
                "the token is credit, and the meter's key is its default key (DDTK), which takes "
                "none"
            ),
            said("change the key to a DUTK, then ask for a new token under that key"),
        )
    different = tuple(differences(examined, receipt))
    yield from different
    if receipt.issued is not None:
        yield from foreseen(examined, receipt.issued)
    if not different and (fits := receipt_fits(receipt)) is not None:
        yield fits


def _other_maker(examined: Examination, data: TokenData) -> Iterator[Finding]:
    """Yield that a token of class 1 is for meters of another manufacturer, where it is."""
    ours, subclass = examined.text("MfrCode"), data.block64 >> 60
    theirs = data.block64 >> 16 & (0xFFFF if subclass else 0xFF)
    number = int(ours) if ours and ours.isascii() and ours.isdigit() else None
    if subclass > 1 or theirs in (0, number):
        return
    if number is None or ours is None:
        what = said("the token is for meters of manufacturer {theirs}", theirs=theirs)
    else:
        what = said(
            "the token is for meters of manufacturer {theirs}; this one is of {ours}",
            theirs=theirs,
            ours=ours,
        )
    yield problem(
        Code.OTHER_MAKER,
        what,
        said("use a token for this manufacturer's meters, or one for all (manufacturer 0)"),
    )


def _other_receipt(case: Case) -> Iterator[Finding]:
    """Yield that the meter's key read a token whose receipt says another key."""
    different = tuple(differences(case.examined, case.receipt))
    if different:
        yield notice(
            Code.RECEIPT_DIFFERS,
            said(
                "the meter's key has read this token, and yet the receipt differs from the meter "
                "({codes}): it is of another token, or the key was changed since",
                codes=", ".join(finding.code for finding in different),
            ),
            None,
            Certainty.CERTAIN,
        )


# --- a journal ------------------------------------------------------------------------------------


def _about(
    examined: Examination, receipt: Receipt, deliveries: Iterable[Delivery]
) -> Iterator[Delivery]:
    """Yield the deliveries that tell of this token or were taken by this meter."""
    newest = _newest_refused(examined) if receipt.token is None else None
    token = (receipt.token or "") if newest is None else newest.token
    digits = "".join(c for c in token if c.isdigit())
    pan = examined.meter.meter_pan
    for delivery in deliveries:
        if delivery.token == digits or (pan is not None and delivery.meter_pan == pan):
            yield delivery


def _in_journal(
    examined: Examination, data: TokenData, known: Sequence[Delivery]
) -> Iterator[Finding]:
    of_it = [delivery for delivery in known if delivery.token == data.digits]
    for delivery in of_it[-_MOST_TOLD:]:
        result = said("it has no result yet") if delivery.ended is None else delivery.ended.text
        elsewhere = delivery.meter_pan != examined.meter.meter_pan
        taken = delivery.ended is not None and delivery.ended.taken is not None
        what = said(
            "the journal knows this token as delivery {number} to meter {meter}, {time}: {result}",
            number=delivery.number,
            meter=delivery.meter_pan,
            time=day(delivery.opened),
            result=result,
        )
        if elsewhere and taken:
            yield problem(Code.OTHER_METER, what, said("it is for that meter, which has taken it"))
        elif delivery.ended is None:
            yield notice(
                Code.IN_JOURNAL,
                what,
                said("find out what became of it (hhu resume) before it is entered again"),
            )
        elif taken:
            yield good(Code.IN_JOURNAL, what)
        else:
            yield notice(Code.IN_JOURNAL, what)
