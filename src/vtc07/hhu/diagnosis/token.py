"""Why a token was refused, by the result that the meter gave it (docs/protocol.md 11).

What only a key could tell, why a token did not decrypt, is `vtc07.hhu.diagnosis.crc`'s; what its
TID has to do with, `vtc07.hhu.diagnosis.tid`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.diagnosis.case import Case, ago
from vtc07.hhu.diagnosis.facts import Certainty, Code, Finding, good, notice, problem
from vtc07.hhu.diagnosis.key import held_sections, next_base_date
from vtc07.hhu.diagnosis.tid import after_key_expiry, too_old, used
from vtc07.hhu.meter_log import SECTIONS
from vtc07.hhu.texts import Said, mark, said

_SERVICES = {
    0: mark("electricity"),
    1: mark("water"),
    2: mark("gas"),
    3: mark("connection time"),
}
_OWN = {"electricity": 0, "water": 1, "gas": 2, "time": 3}
_KEY_TYPES = {0: "DITK", 1: "DDTK", 2: "DUTK", 3: "DCTK"}
_CHILDREN = {0: "DITK, DDTK, DUTK", 1: "DDTK, DUTK", 2: "DUTK, DDTK"}


def findings_of_result(case: Case) -> Iterator[Finding]:
    """Yield why the meter gave the token this result; nothing of CRCError (see the module)."""
    status = case.status
    if status is None:
        number = case.entry.status
        yield notice(
            Code.UNKNOWN_RESULT,
            said(
                "the meter's result is number {number}, which the companion does not name",
                number=number,
            ),
            said("look the number up in the maker's papers, and add it to the companion"),
        )
        return
    explain = _EXPLAINED.get(status)
    if explain is not None:
        yield from explain(case)
    if status.taken or status is TokenStatus.USED_ERROR:
        return
    if case.key_change_after():
        yield notice(
            Code.KEY_CHANGED_SINCE,
            said("the meter's key was changed since this token was tried"),
            said(
                "a token that was issued under the key before is not taken any more: ask for one "
                "under the new key"
            ),
        )


# --- taken ----------------------------------------------------------------------------------------


def _accepted(case: Case) -> Iterator[Finding]:
    examined, entry = case.examined, case.entry
    if entry.kind in SECTIONS:
        yield good(
            Code.KEY_CHANGE_DONE,
            said("this token completed a key change, {when}", when=ago(examined, entry)),
        )
        return
    what = said("the meter accepted this token, {when}", when=ago(examined, entry))
    if entry.value is not None and (entry.kind or "").startswith("0."):
        what = said("{what}: {amount} of credit", what=what, amount=examined.amount(entry.value))
    yield good(Code.ACCEPTED, what)


def _staged(case: Case) -> Iterator[Finding]:
    examined, entry = case.examined, case.entry
    if case.key_change_after():
        yield good(
            Code.KEY_CHANGE_DONE,
            said("this token is one of a key change that is complete; it is not needed any more"),
        )
    elif entry.token in held_sections(examined):
        yield notice(
            Code.SECTION_HELD,
            said(
                "the meter holds this token, {when}; its key changes when the other tokens of the "
                "set have come",
                when=ago(examined, entry),
            ),
            said("enter the other tokens of the set, each once"),
        )
    else:
        pending = examined.flag("key change pending")
        yield problem(
            Code.SECTION_FORGOTTEN,
            said(
                "the meter took this token of a key change, {when}, and has forgotten it, for the "
                "others of its set did not come in time",
                when=ago(examined, entry),
            ),
            said("enter all tokens of the set again, one after the other"),
            Certainty.CERTAIN if pending is False else Certainty.LIKELY,
        )


# --- refused by what it holds --------------------------------------------------------------------


def _default_key(_: Case) -> Iterator[Finding]:
    yield problem(
        Code.CREDIT_UNDER_DEFAULT_KEY,
        said("the token is credit under the meter's default key (DDTK), which takes none"),
        said("change the key to a DUTK, then ask for a new token under that key"),
    )


# --- refused by what it holds ---------------------------------------------------------------------


def _overflow(case: Case) -> Iterator[Finding]:
    examined, value = case.examined, case.entry.value
    policy, balance = examined.companion.meter, examined.number("creditBalance")
    what = said("the meter cannot hold so much credit")
    if policy is None or balance is None or value is None or _holds_less(case):
        yield problem(
            Code.OVERFLOW, what, said("enter the same token again when some credit is used up")
        )
        return
    room = policy.credit_maximum - balance
    if value <= room and not case.key_change_after():
        yield notice(
            Code.ROOM_AGAIN,
            said(
                "the meter had no room for {amount} of credit then; now it has",
                amount=examined.amount(value),
            ),
            said("enter the same token again"),
            Certainty.LIKELY,  # the meter's own maximum may be below that of its kind
        )
        return
    yield problem(
        Code.OVERFLOW,
        said(
            "the token is for {amount}, and the meter, with {balance}, can hold {room} more",
            amount=examined.amount(value),
            balance=examined.amount(balance),
            room=examined.amount(room),
        ),
        said(
            "enter the same token again when no more than {below} is left",
            below=examined.amount(policy.credit_maximum - value),
        )
        if value <= policy.credit_maximum
        else said("no meter of this kind can hold so much; ask for smaller amounts"),
    )


def _holds_less(case: Case) -> bool:
    """Say whether the meter's own maximum is surely below that of its kind.

    It is where all credit that it ever accepted and this token would have been below that.
    """
    examined, value = case.examined, case.entry.value
    policy, accepted = examined.companion.meter, examined.number("totalCreditAccepted")
    if policy is None or accepted is None or value is None:
        return False
    return accepted + value <= policy.credit_maximum


def reserved_class() -> Finding:
    """Return that a token is of the class that is not in use."""
    return problem(
        Code.RESERVED_CLASS,
        said("the token is of class 3, which is not in use: most likely a digit is wrong"),
        said("compare every digit with the receipt; if all are right, ask for another token"),
    )


def _function(case: Case) -> Iterator[Finding]:
    examined, kind = case.examined, case.entry.kind
    policy = examined.companion.meter
    own = Said("?") if policy is None else Said(_SERVICES[_OWN[policy.service]])
    token_class, _, subclass = (kind or "?.").partition(".")
    number = int(subclass) if subclass else 0
    elsewhere = said("ask for the right token; look whose meter this one is for")
    if case.token_class == 3:
        yield reserved_class()
    elif kind is None:
        yield problem(
            Code.NOT_SERVED,
            said("the meter does not serve such a token; it may be for another service"),
            elsewhere,
            Certainty.LIKELY,
        )
    elif token_class == "0" and number in _SERVICES:  # noqa: S105 - a class
        yield problem(
            Code.OTHER_SERVICE,
            said(
                "the token is credit for {service}, and this is a meter for {own}",
                service=Said(_SERVICES[number]),
                own=own,
            ),
            elsewhere,
        )
    elif token_class == "0" and number < 8:  # noqa: S105 - likewise
        yield problem(
            Code.CURRENCY,
            said(
                "the token is credit in money, and this meter counts credit in units of what it "
                "supplies"
            ),
            said("ask for a token in units"),
        )
    elif kind == "2.1":
        yield problem(
            Code.OTHER_SERVICE,
            said(
                "the token clears the credit register of another service (register {number})",
                number=case.entry.value if case.entry.value is not None else "?",
            ),
            elsewhere,
        )
    elif kind == "2.9":
        yield problem(
            Code.NOT_SERVED,
            said(
                "the token is the fourth section of a key change for a 128-bit key (EA 11), and "
                "this meter's algorithm is EA {ea}",
                ea=examined.text("EA") or "?",
            ),
            said("ask for a key change for this meter's own algorithm"),
        )
    else:
        yield problem(
            Code.NOT_SERVED,
            said("the meter does not serve this kind of token (class {kind})", kind=kind),
            said("nothing can be done with it at this meter"),
        )


def _range(case: Case) -> Iterator[Finding]:
    examined, kind = case.examined, case.entry.kind
    base = examined.base_date
    what = {
        "2.1": said("the token clears a credit register that does not exist"),
        "2.3": said("its key revision is not 1 to 9"),
        "2.4": said("its tariff index is above 99"),
    }.get(kind or "", said("a value in the token is not defined"))
    if kind == "2.3" and base is not None and next_base_date(base) is None:
        what = said(
            "its key revision is not 1 to 9, or it rolls over from the last base date ({base})",
            base=base.code,
        )
    elif kind in SECTIONS[2:]:
        what = said("the key change brings a supply group code above 999999")
    yield problem(Code.RANGE, what, said("the token was issued wrongly: ask for another one"))


def _format(_: Case) -> Iterator[Finding]:
    yield problem(
        Code.FORMAT,
        said("the token is not laid out as it must be: what is to be zero in it is not"),
        said("the token was issued wrongly: ask for another one"),
    )


def _key_type(case: Case) -> Iterator[Finding]:
    kt = case.examined.number("KT")
    name = "?" if kt is None else _KEY_TYPES.get(kt, str(kt))
    children = _CHILDREN.get(-1 if kt is None else kt)
    what = said("the meter's key ({name}) cannot change to a key of the token's type", name=name)
    if children:
        what = said("{what}; it may become {children}", what=what, children=children)
    yield problem(Code.KEY_TYPE, what, said("ask for a key change to another key type"))


_EXPLAINED: dict[TokenStatus, Callable[[Case], Iterator[Finding]]] = {
    TokenStatus.ACCEPT: _accepted,
    TokenStatus.FIRST_KCT: _staged,
    TokenStatus.SECOND_KCT: _staged,
    TokenStatus.THIRD_KCT: _staged,
    TokenStatus.FOURTH_KCT: _staged,
    TokenStatus.OVERFLOW_ERROR: _overflow,
    TokenStatus.KEY_TYPE_ERROR: _key_type,
    TokenStatus.FORMAT_ERROR: _format,
    TokenStatus.RANGE_ERROR: _range,
    TokenStatus.FUNCTION_ERROR: _function,
    TokenStatus.OLD_ERROR: too_old,
    TokenStatus.USED_ERROR: used,
    TokenStatus.KEY_EXPIRED_ERROR: after_key_expiry,
    TokenStatus.DDTK_ERROR: _default_key,
}
