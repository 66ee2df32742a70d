"""What is the case with a meter, whatever token there is: supply, credit, tamper, lockout, store.

The key and its dates are `vtc07.hhu.diagnosis.key`'s.
"""

from __future__ import annotations

from collections.abc import Iterator

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.diagnosis.examination import Examination
from vtc07.hhu.diagnosis.facts import Certainty, Code, Finding, notice, problem
from vtc07.hhu.texts import Said, counted, said
from vtc07.trace.values import meaning_text

_WRONG = (TokenStatus.CRC_ERROR, TokenStatus.MFR_CODE_ERROR)


def findings_of_meter(examined: Examination) -> Iterator[Finding]:
    """Yield what is the case with the meter, the gravest first."""
    for warning in examined.meter.warnings:
        yield notice(
            Code.OTHER_COMPANION,
            said("the meter is not quite what the companion describes: {warning}", warning=warning),
            said("read it with its own companion; what follows may be wrong"),
        )
    if examined.broken is not None:
        yield problem(
            Code.OUT_OF_ORDER,
            said("the meter is out of order, for its store is faulty; it takes no tokens"),
            said("have the meter exchanged; tokens are as good as before, keep them"),
        )
        return
    if examined.flag("store fault"):
        yield problem(
            Code.STORE_FAULT,
            said("the meter could not store something since it was powered up; it takes no tokens"),
            said("switch it off and on again; if that stays so, have it exchanged"),
        )
    if examined.refused:
        names = ", ".join(refused.register.name for refused in examined.refused)
        yield notice(
            Code.REFUSED_READ,
            said(
                "the meter refused to tell {names} ({why})",
                names=names,
                why=Said(examined.refused[0].why),
            ),
            said("what is said below is without that"),
        )
    if examined.status("tokenStatus") is TokenStatus.NOT_READY:
        yield notice(
            Code.EXECUTING,
            said("the meter is executing a token just now"),
            said("wait some seconds and ask again"),
        )
    yield from _lockouts(examined)
    yield from _tamper(examined)
    yield from _supply(examined)


# --- lockouts -------------------------------------------------------------------------------------


def _lockouts(examined: Examination) -> Iterator[Finding]:
    remaining_s = examined.number("lockoutRemaining")
    locked = examined.flag("lockout") if remaining_s is None else remaining_s > 0
    policy = examined.companion.lockout
    wrong = _wrong_in_succession(examined)
    if locked:
        still = (
            said("token entry at this port is locked after too many wrong tokens")
            if not remaining_s
            else said(
                "token entry at this port is locked for {time} more, after too many wrong tokens",
                time=span(remaining_s),
            )
        )
        yield problem(
            Code.LOCKOUT,
            still,
            said(
                "leave the meter powered for that time, for it does not count down without power; "
                "until a right token is accepted, every wrong one locks it again, each time for "
                "longer, up to {longest}",
                longest=span(policy.longest_s),
            ),
        )
    elif wrong is not None and wrong >= policy.failures - 1:
        yield notice(
            Code.LOCKOUT_NEAR,
            counted(
                "{count} wrong token was entered since one was accepted; one more may lock token "
                "entry",
                "{count} wrong tokens were entered since one was accepted; one more may lock token "
                "entry",
                wrong,
            ),
            said("compare every digit before the next entry"),
            Certainty.LIKELY,  # each carrier counts its own, and the log does not say which it was
        )
    event = examined.newest_event("lockout")
    if event is not None and not locked and event.detail:
        since_s = examined.since_s(event.powered_s)
        if since_s is not None and since_s < event.detail:
            yield notice(
                Code.KEYPAD_LOCKOUT,
                said(
                    "a lockout began that is not this port's any more; if it is the keypad's, that "
                    "takes no tokens for up to {time} more",
                    time=span(event.detail - since_s),
                ),
                said("this port is open: enter the token here"),
                Certainty.POSSIBLE,  # the log does not say whose it was
            )
    event = examined.newest_event("password")
    if event is not None and event.detail:
        since_s = examined.since_s(event.powered_s)
        if since_s is not None and since_s < event.detail:
            yield notice(
                Code.PASSWORD_DELAY,
                said(
                    "after wrong passwords the port refuses every one for up to {time} more",
                    time=span(event.detail - since_s),
                ),
                said("wait for that, then give the right one; tokens want no password"),
            )


def _wrong_in_succession(examined: Examination) -> int | None:
    """Return how many wrong tokens came since an encrypted one was accepted, as far as told."""
    if examined.tokens is None:
        return None
    statuses = examined.companion.token_entry.status
    count = 0
    for entry in examined.tokens.entries:
        status = statuses.status(entry.status)
        if status in _WRONG:
            count += 1
        elif status is not None and status.taken and not (entry.kind or "").startswith("1."):
            break
    return count


# --- tamper and supply ----------------------------------------------------------------------------


def _tamper(examined: Examination) -> Iterator[Finding]:
    flags = examined.number("tamperStatus")
    tampered = examined.flag("tamper") if flags is None else flags > 0
    if not tampered:
        return
    what = said("the meter has noticed tampering")
    if flags:
        what = said("the meter has noticed tampering (flags {flags})", flags=f"{flags:04X}")
    event = examined.newest_event("tamper")
    since_s = None if event is None else examined.since_s(event.powered_s)
    if since_s is not None:
        what = said("{what}, at least {time} ago with power", what=what, time=span(since_s))
    yield problem(
        Code.TAMPER,
        what,
        said(
            "have the installation looked at; only a ClearTamperCondition token ends it, credit "
            "does not"
        ),
    )


def _supply(examined: Examination) -> Iterator[Finding]:
    balance = examined.number("creditBalance")
    exhausted = examined.flag("credit exhausted") if balance is None else balance <= 0
    reason = _reason(examined)
    switch = examined.number("loadSwitch")
    is_open = examined.flag("load switch open", "valve shut") if switch is None else switch == 0
    if is_open:
        yield problem(Code.SWITCH_OPEN, *_why_open(examined, reason, exhausted=bool(exhausted)))
    if exhausted:
        yield problem(
            Code.NO_CREDIT,
            said("there is no credit left")
            if balance is None
            else said("there is no credit left ({balance})", balance=examined.amount(balance)),
            said("deliver a credit token"),
        )
    elif balance is not None:
        threshold = examined.number("lowCreditThreshold")
        if threshold and balance <= threshold:
            yield notice(
                Code.LOW_CREDIT,
                said(
                    "credit is low: {balance} left, the alarm is set to {threshold}",
                    balance=examined.amount(balance),
                    threshold=examined.amount(threshold),
                ),
                said("deliver a credit token before it is used up"),
            )
    for name, code, limit in (
        ("power limit", Code.POWER_LIMIT, "maximumPowerLimit"),
        ("phase unbalance", Code.UNBALANCE_LIMIT, "maximumPhasePowerUnbalanceLimit"),
    ):
        if reason == name or (name == "power limit" and examined.flag("power limit tripped")):
            yield _trip(examined, code, limit)


def _reason(examined: Examination) -> str:
    """Return why the switch is open in the words of the companion, empty where it does not say."""
    number = examined.number("disconnectReason")
    if number is None:
        return ""
    register = examined.companion.table.named("disconnectReason")
    return meaning_text(register, number, examined.companion)


def _why_open(examined: Examination, reason: str, *, exhausted: bool) -> tuple[Said, Said | None]:
    words = {
        "credit": said("for credit is used up"),
        "tamper": said("for tampering was noticed"),
        "power limit": said("for more power was drawn than is allowed"),
        "phase unbalance": said("for the phases were loaded too unevenly"),
    }
    why = words.get(reason)
    if why is None and exhausted:
        why = words["credit"]
    if why is None and (examined.flag("tamper") or examined.number("tamperStatus")):
        why = words["tamper"]
    what = said("the supply is off")
    if why is not None:
        what = said("the supply is off, {why}", why=why)
    event = examined.newest_event("switchOpen", "switchClosed")
    since_s = None
    if event is not None and event.name == "switchOpen":
        since_s = examined.since_s(event.powered_s)
    if since_s:
        what = said("{what}; for at least {time} with power", what=what, time=span(since_s))
    if why is None:
        return what, said("the meter does not tell why; look at what is said below")
    return what, None  # what would help is said with the cause


def _trip(examined: Examination, code: Code, limit: str) -> Finding:
    policy = examined.companion.meter
    watts = examined.number(limit)
    what = {
        Code.POWER_LIMIT: said("more power was drawn than is allowed"),
        Code.UNBALANCE_LIMIT: said("one phase was loaded too much more than another"),
    }[code]
    if watts:
        what = said("{what} ({limit} W)", what=what, limit=watts)
    if policy is None:
        advice = said("switch off what draws much; the supply then comes back by itself")
    else:
        advice = said(
            "switch off what draws much; the supply comes back by itself {time} after it went off",
            time=span(policy.trip_delay_s),
        )
    return problem(code, what, advice)


def span(seconds: int) -> str:
    """Return a time for people, in the two greatest units: ``2 h 5 min``, ``40 s``."""
    units = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    for place, (size, name) in enumerate(units):
        if seconds >= size:
            text = f"{seconds // size} {name}"
            rest = seconds % size
            if place + 1 < len(units) and (less := rest // units[place + 1][0]):
                text += f" {less} {units[place + 1][1]}"
            return text
    return "0 s"
