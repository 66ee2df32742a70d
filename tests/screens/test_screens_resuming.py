"""What was open at a meter, in one sentence: known is said where all of it is."""

from __future__ import annotations

from datetime import UTC, datetime

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.delivery import EarlierDelivery
from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.outcome import Delivered, Unresolved, UnresolvedReason
from vtc07.hhu.resuming import OpenWork, ResumeReport
from vtc07.screens.mood import Mood
from vtc07.screens.resuming import resumed_said

PAN = "600727000000000009"
OPEN = Delivery(7, PAN, "1" * 20, None, datetime(2026, 3, 1, tzinfo=UTC), 1, None)
TAKEN = EarlierDelivery(OPEN, Delivered(TokenStatus.ACCEPT))
LOST = EarlierDelivery(OPEN, Unresolved(UnresolvedReason.NO_LINK))
LEFT = OpenWork(deliveries=(OPEN,))


def words(report: ResumeReport) -> tuple[str, Mood]:
    what, mood = resumed_said(report)
    return str(what), mood


def test_known_is_said_where_nothing_is_left() -> None:
    nothing = ("Nothing is open at this meter.", Mood.GOOD)
    known = ("What was open at this meter is known now.", Mood.GOOD)
    not_all = ("Not everything is known yet.", Mood.CARE)
    assert words(ResumeReport(PAN)) == nothing
    assert words(ResumeReport(PAN, elsewhere=LEFT)) == nothing
    assert words(ResumeReport(PAN, deliveries=(TAKEN,))) == known
    assert words(ResumeReport(PAN, deliveries=(TAKEN,), left=LEFT)) == not_all
    assert words(ResumeReport(PAN, left=LEFT)) == not_all
    assert words(ResumeReport(PAN, deliveries=(LOST,))) == not_all
    assert words(ResumeReport(None, LOST.outcome)) == not_all
