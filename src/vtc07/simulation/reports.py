"""Whether what a hand-held unit reported agrees with what the meter did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from vtc07.carrier.status import ErrorCode
from vtc07.hhu.delivery import SendReport
from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.outcome import (
    Delivered,
    Meaning,
    NotSent,
    NotTaken,
    NotTakenReason,
    Outcome,
    Refused,
    Unresolved,
    UnresolvedReason,
)
from vtc07.simulation.ledger import Ledger, Violation

#: What the token log reaches back: behind that, a result may be lost.
_LOG = 50


@dataclass(frozen=True, slots=True)
class Report:
    """An outcome as it was reported.

    ``since``: tokens that the run had executed when S0 of the delivery was read, None where no
    delivery was opened. ``seen``: tokens executed by the last snapshot that the unit read; what
    others did after it, it cannot know. ``until``: tokens executed when the outcome was reported.
    ``on_its_way``: a write of this very unit was being executed then. ``disturbed``: faults could
    still strike. ``alone``: nobody else had the line just before, whose answer it may have got.
    """

    unit: int
    digits: str = field(repr=False)
    outcome: Outcome
    since: int | None
    seen: int
    until: int
    on_its_way: bool
    disturbed: bool
    alone: bool


def judge(report: Report, ledger: Ledger) -> None:
    """Raise Violation where a report is not true.

    "Unresolved" is true wherever the rule allows it: with the link lost or another meter there as
    long as faults strike, with a token that is still being executed, and with a result that the
    token log no longer reaches. Never with a sequence below S0: that would be a lost transaction.
    """
    outcome = report.outcome
    since = 0 if report.since is None else report.since
    ours = [
        e
        for e in ledger.results(report.digits, since, report.until)
        if e.number <= report.seen or e.unit == report.unit
    ]
    accepted = [e for e in ours if e.status.taken]
    match outcome:
        case Delivered(status=status, sequence=sequence):
            found = ledger.results(report.digits, 0, report.until)
            true = any(e.status is status and sequence in (None, e.sequence) for e in found)
        case Refused(status=status, sequence=sequence):
            told = any(e.status is status and sequence in (None, e.sequence) for e in ours)
            true = told and not accepted
        case Unresolved(reason=reason):
            true = _may_be_unresolved(reason, report, since)
        case NotTaken(error=ErrorCode() as error):
            told = (report.unit, report.digits, error) in ledger.refusals
            true = (told or not report.alone) and not (ours or report.on_its_way)
        case _:
            # Not taken, in all its kinds: nothing of ours was executed, nor will it be.
            true = report.since is None or not (ours or report.on_its_way)
    if not true:
        did = ", ".join(f"{e.status.value} as number {e.number}" for e in ours) or "nothing"
        raise Violation(
            f"unit {report.unit} reported '{outcome}' of a token; since S0 (number {since}) the "
            f"meter did with it: {did}"
        )


def _may_be_unresolved(reason: UnresolvedReason, report: Report, since: int) -> bool:
    match reason:
        case UnresolvedReason.GAP:
            return report.until - since > _LOG
        case UnresolvedReason.NO_LINK | UnresolvedReason.ANOTHER_METER | UnresolvedReason.EXECUTING:
            return report.disturbed
        case _:
            return False


def judge_journal(unit: int, deliveries: Sequence[Delivery], ledger: Ledger) -> None:
    """Raise Violation where a result that stands in a unit's journal is not true.

    Of a token that was delivered again later, only what happened before that counts.
    """
    for place, delivery in enumerate(deliveries):
        if delivery.result is None or delivery.s0 is None:
            continue
        again = (d.s0 for d in deliveries[place + 1 :] if d.token == delivery.token)
        until = next((ledger.place(s0.sequence) for s0 in again if s0 is not None), None)
        since_s0 = ledger.results(delivery.token, ledger.place(delivery.s0.sequence), until)
        word, _, status = delivery.result.partition(": ")
        match word:
            case "delivered":
                ever = ledger.results(delivery.token, 0, None)
                true = any(e.status.taken and status.startswith(e.status.value) for e in ever)
            case "refused":
                true = any(not e.status.taken for e in since_s0)
            case "not taken":
                true = all(e.unit != unit for e in since_s0)
            case _:
                true = word.startswith("unresolved")
        if not true:
            raise Violation(f"the journal of unit {unit} says '{delivery.result}' of a token")


def in_short(outcome: Outcome) -> str:
    """Return the beginning of an outcome's words, for counting."""
    return str(outcome).partition(" (")[0].partition(";")[0].partition(": check")[0]


def worth_another(report: SendReport) -> bool:
    """Say whether a person would try again at once."""
    if report.meaning is Meaning.DONE:
        return False
    return not all(is_an_end(outcome) for outcome in report.outcomes)


def is_an_end(outcome: Outcome) -> bool:
    """Say whether an outcome is one with which a delivery without faults may end."""
    match outcome:
        case Delivered() | Refused() | NotSent():
            return True
        case NotTaken(reason=reason):
            return reason is NotTakenReason.LOCKOUT
        case Unresolved(reason=reason):
            return reason is UnresolvedReason.GAP
        case _:
            return False


#: Outcomes that do not say that nothing was executed.
MAY_BE_EXECUTED: Final = (Delivered, Refused, Unresolved)
