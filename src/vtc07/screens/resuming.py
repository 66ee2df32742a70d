"""Looking into what is open, as a piece of work with a meter, and what became of it in words."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from vtc07.cli.connection import Connection
from vtc07.hhu.delivery import WallClock
from vtc07.hhu.journal.deliveries import UnitJournal
from vtc07.hhu.outcome import Meaning
from vtc07.hhu.resuming import ResumeReport, resume
from vtc07.hhu.texts import Said, said
from vtc07.screens.mood import Mood
from vtc07.trace.values import grouped


def resume_open(
    connection: Connection,
    *,
    journal: UnitJournal,
    wall_clock: WallClock,
    alone: Callable[[str], AbstractContextManager[None]] | None = None,
) -> ResumeReport:
    """Ask whichever meter is there what became of what is open at it; nothing is entered again.

    ``alone``: keeps the meter of a MeterPAN to this work, where others may be at it too: what is
    being entered from another place is not to be taken for what never arrived.
    """
    meter = connection.greet(compare=alone is not None)
    mine = nullcontext() if alone is None or meter.meter_pan is None else alone(meter.meter_pan)
    with mine:
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
