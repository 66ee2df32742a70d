"""Why a token did not decrypt under the meter's key (CRCError), as far as that shows without keys.

A wrong digit and a wrong key look the same to the meter. What tells them apart is the receipt, what
the meter has taken under the same key, and numbers that differ from this one by a slip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.diagnosis.case import Case, ago
from vtc07.hhu.diagnosis.examination import Examination
from vtc07.hhu.diagnosis.facts import Certainty, Code, Finding, Receipt, good, notice, problem
from vtc07.hhu.diagnosis.receipt import differences
from vtc07.hhu.meter_log import SECTIONS, ExecutedToken
from vtc07.hhu.route.slips import Slip, nearest
from vtc07.hhu.texts import Said, counted, said
from vtc07.tokens.crc import crc_of_word
from vtc07.tokens.tokendata import TokenData

_CLEAR = 1  # the class that is not encrypted
_MANY = 2


def crc_is_good(data: TokenData) -> bool:
    """Say whether a token of class 1, which is in the clear, has the CRC that its digits want."""
    block = data.block64
    return crc_of_word(_CLEAR << 48 | block >> 16) == block & 0xFFFF


def findings_of_crc_error(case: Case, right: Sequence[str]) -> Iterator[Finding]:
    """Yield why the token did not decrypt. ``right``: other tokens that this meter has taken."""
    examined, entry = case.examined, case.entry
    if case.token_class == _CLEAR:
        yield unfitting(examined, entry.token, right)
        return
    if (done := _taken_before(case)) is not None:
        yield done
        return
    found = list(differences(examined, case.receipt))
    yield from found
    if case.key_change_after():
        yield notice(
            Code.KEY_CHANGED_SINCE,
            said("the meter's key was changed since this token was tried"),
            said("if the token is for the key that the meter has now, enter it again")
            if not found
            else None,
        )
        return
    if (slipped := mistyped(examined, entry.token, right)) is not None:
        yield slipped
    works = _under_this_key(examined)
    if works is not None:
        yield works
    if found or slipped is not None:
        return
    if (fits := receipt_fits(case.receipt)) is not None:
        yield fits
        yield problem(
            Code.MISTYPED,
            said("most likely a digit of the token is wrong"),
            said(
                "compare every digit with the receipt; if all are right, the token was issued "
                "wrongly: ask for another one"
            ),
            Certainty.LIKELY,
        )
        return
    yield problem(
        Code.WRONG_TOKEN_OR_KEY,
        said(
            "a digit is wrong, or the token is for another meter or another key than this one's: "
            "{own}",
            own=_own(examined),
        ),
        said(
            "compare every digit with the receipt, and these values too; give them to this "
            "diagnosis and it compares them"
        ),
        Certainty.POSSIBLE,
    )


def _taken_before(case: Case) -> Finding | None:
    """Return what explains a token that was taken under the key before."""
    statuses = case.examined.companion.token_entry.status
    for entry in case.earlier:
        status = statuses.status(entry.status)
        if status is None or not status.taken:
            continue
        if entry.kind in SECTIONS:
            return good(
                Code.KEY_CHANGE_DONE,
                said(
                    "this token is one of a key change; it was taken before, {when}, and the key "
                    "has changed since: it is not needed any more",
                    when=ago(case.examined, entry),
                ),
            )
        return problem(
            Code.USED,
            said(
                "this very token was accepted before, {when}, and the key has changed since",
                when=ago(case.examined, entry),
            ),
            said("nothing is to be done: its amount is on the meter"),
        )
    return None


def unfitting(examined: Examination, token: str, right: Sequence[str]) -> Finding:
    """Return that the digits of a token in the clear do not fit together; see `crc_is_good`.

    It need not have been one in the clear: a slip may change the class.
    """
    return mistyped(examined, token, right) or problem(
        Code.MISTYPED,
        said("a digit is wrong: the digits of this token do not fit together"),
        said("compare every digit with the receipt"),
    )


def mistyped(examined: Examination, token: str, right: Sequence[str]) -> Finding | None:
    """Return that a token differs by a slip from one that the meter has taken, where it does."""
    others = (other for other in (*_accepted(examined), *right) if other != token)
    near = nearest(token, others)
    return None if near is None else _mistyped(near[1])


def receipt_fits(receipt: Receipt) -> Finding | None:
    """Return that all of a receipt is as in the meter, where all that makes up a key was given.

    To be asked where `differences` has found none.
    """
    if None in (receipt.meter, receipt.sgc, receipt.ti, receipt.krn, receipt.kt):
        return None
    return good(
        Code.RECEIPT_FITS,
        said("meter, SGC, TI, KRN and KT on the receipt are those of the meter"),
    )


def _accepted(examined: Examination) -> Iterator[str]:
    statuses = examined.companion.token_entry.status
    for entry in () if examined.tokens is None else examined.tokens.entries:
        status = statuses.status(entry.status)
        if status is not None and status.taken:
            yield entry.token


def _mistyped(found: Slip) -> Finding:
    if found.swapped:
        what = said(
            "digits {first} and {second} of this token are swapped, compared with one that the "
            "meter has taken",
            first=found.place,
            second=found.place + 1,
        )
    else:
        what = said(
            "digit {place} of this token is another than in one that the meter has taken",
            place=found.place,
        )
    return problem(
        Code.MISTYPED,
        what,
        said("it was mistyped, and the right one is on the meter already"),
        Certainty.LIKELY,
    )


def _under_this_key(examined: Examination) -> Finding | None:
    """Return what the log tells of the present key: it works, or it has read nothing."""
    history, statuses = examined.tokens, examined.companion.token_entry.status
    if history is None:
        return None
    read: list[ExecutedToken] = []  # tokens of this meter that its present key has read
    wrong: set[str] = set()
    changed: ExecutedToken | None = None
    for entry in history.entries:
        status = statuses.status(entry.status)
        if entry.kind in SECTIONS and status is TokenStatus.ACCEPT:
            changed = entry
            break
        if (entry.kind or "").startswith(("0.", "2.")):
            read.append(entry)
        elif status is TokenStatus.CRC_ERROR and _encrypted(entry.token):
            wrong.add(entry.token)
    if read:
        return notice(
            Code.KEY_WORKS,
            said(
                "the meter's key has read another token, {when}; so its key is the one that tokens "
                "are issued for, and it is this token that is wrong",
                when=ago(examined, read[0]),
            ),
            None,
            Certainty.LIKELY,
        )
    if len(wrong) < _MANY or (changed is None and not history.whole):
        return None
    what = counted(
        "{count} different token was tried under the meter's present key, and it could read none",
        "{count} different tokens were tried under the meter's present key, and it could read none",
        len(wrong),
    )
    if changed is not None:
        what = said("{what}; the key came {when}", what=what, when=ago(examined, changed))
    return problem(
        Code.NO_TOKEN_UNDER_KEY,
        what,
        said(
            "most likely tokens are issued for another key than the meter has ({own}): have these "
            "values compared where tokens are issued",
            own=_own(examined),
        ),
        Certainty.LIKELY,
    )


def _encrypted(token: str) -> bool:
    return TokenData.from_digits(token).token_class in (0, 2)


def _own(examined: Examination) -> Said | str:
    """Return what makes up the meter's key, as far as it tells."""
    names = ("meterPAN", "SGC", "TI", "KRN", "KT", "baseDate")
    told = [f"{name} {examined.values[name]}" for name in names if name in examined.values]
    return ", ".join(told) if told else said("the meter does not tell it")
