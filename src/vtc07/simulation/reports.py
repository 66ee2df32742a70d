"""Whether what a hand-held unit reported agrees with what the meter did."""

from __future__ import annotations

from dataclasses import dataclass, field

from vtc07.hhu.outcome import Delivered, Outcome, Refused, Unresolved, UnresolvedReason
from vtc07.simulation.ledger import Ledger, Violation

#: What the token log reaches back: behind that, a result may be lost.
_LOG = 50


@dataclass(frozen=True, slots=True)
class Report:
    """An outcome as it was reported.

    ``since``: tokens executed by the meter before S0 of the delivery was read, None where no
    delivery was opened. ``until``: tokens executed when the outcome was reported. ``on_its_way``:
    a write of this very unit was being executed then. ``disturbed``: faults could still strike.
    """

    unit: str
    digits: str = field(repr=False)
    outcome: Outcome
    since: int | None
    until: int
    on_its_way: bool
    executing: bool
    disturbed: bool


def judge(report: Report, ledger: Ledger) -> None:
    """Raise Violation where a report is not true.

    "Unresolved" is true wherever the rule allows it: with the link lost or another meter there as
    long as faults strike, with a token that is still being executed, and with a result that the
    token log no longer reaches. Never with a sequence below S0: that would be a lost transaction.
    """
    outcome = report.outcome
    since = 0 if report.since is None else report.since
    ours = ledger.results(report.digits, since, report.until)
    accepted = [e for e in ours if e.status.taken]
    match outcome:
        case Delivered(status=status, sequence=sequence):
            found = ledger.results(report.digits, 0, report.until)
            true = any(e.status is status and sequence in (None, e.number) for e in found)
        case Refused(status=status):
            true = not accepted and bool(ours) and ours[-1].status is status
        case Unresolved(reason=reason):
            true = _may_be_unresolved(reason, report, since)
        case _:
            # Not taken, in all its kinds: nothing of ours was executed, nor will it be.
            true = report.since is None or not (ours or report.on_its_way)
    if not true:
        did = ", ".join(f"{e.status.value} as number {e.number}" for e in ours) or "nothing"
        raise Violation(
            f"{report.unit} reported '{outcome}' of a token; since S0 (number {since}) the meter "
            f"did with it: {did}"
        )


def _may_be_unresolved(reason: UnresolvedReason, report: Report, since: int) -> bool:
    match reason:
        case UnresolvedReason.GAP:
            return report.until - since > _LOG
        case UnresolvedReason.NO_LINK | UnresolvedReason.ANOTHER_METER:
            return report.disturbed
        case UnresolvedReason.EXECUTING:
            return report.disturbed and report.executing
        case _:
            return False
