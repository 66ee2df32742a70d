"""Looking into what is open, as a piece of work with a meter, and what became of it in words."""

from __future__ import annotations

from vtc07.cli.connection import Connection
from vtc07.hhu.delivery import WallClock
from vtc07.hhu.journal.deliveries import UnitJournal
from vtc07.hhu.outcome import Meaning
from vtc07.hhu.resuming import ResumeReport, resume
from vtc07.hhu.texts import Said, said
from vtc07.screens.mood import Mood
from vtc07.trace.values import grouped


def resume_open(
    connection: Connection, *, journal: UnitJournal, wall_clock: WallClock
) -> ResumeReport:
    """Ask whichever meter is there what became of what is open at it; nothing is entered again."""
    connection.greet(compare=False)
    return connection.run(resume(connection.session, journal, wall_clock=wall_clock))


def resumed_lines(report: ResumeReport) -> list[Said | str]:
    """Return what became of each thing that was open, a line each."""
    lines: list[Said | str] = []
    if report.meter_pan is not None:
        lines.append(said("Meter {pan}:", pan=report.meter_pan))
    if report.obstacle is not None:
        lines.append(report.obstacle.said)
    lines += [
        said(
            "Delivery {number}, {token}: {outcome}",
            number=earlier.delivery.number,
            token=grouped(earlier.delivery.token),
            outcome=earlier.outcome.said,
        )
        for earlier in report.deliveries
    ]
    lines += [
        said("{register}: {result}", register=f.setting.register, result=f.said)
        for f in report.settings
    ]
    return [*lines, *report.problems]


def resumed_said(report: ResumeReport) -> tuple[Said, Mood]:
    """Return all of it in one sentence, and how it is said."""
    looked_into = report.deliveries or report.settings
    if report.obstacle is None and not looked_into and not report.left:
        return said("Nothing is open at this meter."), Mood.GOOD
    if report.meaning is Meaning.DONE and not report.left:
        return said("What was open at this meter is known now."), Mood.GOOD
    return said("Not everything is known yet."), Mood.CARE
