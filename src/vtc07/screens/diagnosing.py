"""Finding out what is wrong, as a piece of work with a meter, and its findings' signs."""

from __future__ import annotations

from typing import Final

from vtc07.cli.connection import Connection
from vtc07.hhu.delivery import WallClock
from vtc07.hhu.diagnosis.document import entry_of
from vtc07.hhu.diagnosis.facts import Certainty, Receipt, Weight
from vtc07.hhu.diagnosis.run import Diagnosis, diagnose
from vtc07.hhu.journal.deliveries import UnitJournal
from vtc07.hhu.texts import Said, counted, mark, said
from vtc07.screens.meter_line import Target, greeted
from vtc07.screens.mood import Mood

SIGNS: Final = {
    Weight.GOOD: Mood.GOOD,
    Weight.NOTICE: Mood.CARE,
    Weight.PROBLEM: Mood.BAD,
}
#: What is not certain says so; in English, to be put into the user's language.
CERTAINTY: Final = {
    Certainty.LIKELY: mark("likely"),
    Certainty.POSSIBLE: mark("possible"),
}


def look_into(
    connection: Connection,
    *,
    target: Target,
    receipt: Receipt,
    journal: UnitJournal,
    wall_clock: WallClock,
) -> Diagnosis:
    """Ask the meter at the target what is wrong, with what a receipt says; the journal keeps it."""
    meter = greeted(connection, target)
    found = connection.run(
        diagnose(
            connection.session,
            receipt,
            wall_clock=wall_clock,
            deliveries=lambda: journal.deliveries(meter.meter_pan),
        )
    )
    journal.record(entry_of(found, wall_clock()))
    return found


def verdict(found: Diagnosis) -> tuple[Said, Mood]:
    """Return how much is wrong, and how it is said."""
    wrong = sum(finding.weight is Weight.PROBLEM for finding in found.findings)
    if wrong:
        return counted("{count} thing is wrong.", "{count} things are wrong.", wrong), Mood.BAD
    return said("Nothing is wrong that can be seen from here."), Mood.GOOD
