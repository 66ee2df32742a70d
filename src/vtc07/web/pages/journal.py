"""The journal: its deliveries, each message by message, whether it is in order, copies of it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vtc07.harmless import harmless
from vtc07.hhu.history.sequence import DeliverySequence, sequence_of
from vtc07.hhu.history.sequence_drawing import figure
from vtc07.hhu.history.sequence_text import facts
from vtc07.hhu.journal.backup import back_up
from vtc07.hhu.journal.deliveries import Delivery, JournalError
from vtc07.hhu.journal.export import Selection, export_lines, write_export
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.hhu.journal.verify import Verification, verify
from vtc07.hhu.report.summary import Period, day_of
from vtc07.hhu.route.numbers import digits_of, full_number
from vtc07.hhu.texts import said
from vtc07.screens.delivering import result_said
from vtc07.screens.mood import MOODS
from vtc07.web.desk import Desk
from vtc07.web.download import Download, made
from vtc07.web.library import asked, number_of
from vtc07.web.station import Busy
from vtc07.web.view import Refused, View, part

#: So many deliveries are shown at once; a journal may hold many more.
PAGE: Final = 100
_PAN_LENGTH: Final = 18


@dataclass(frozen=True, slots=True)
class Verifying:
    """A check of the journal's chain. ``percent``: how far it is; ``found``: what it came to.

    ``problem``: why it could not be done.
    """

    percent: int = 0
    ended: datetime | None = None
    found: Verification | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Page:
    newest: int
    is_open: int
    deliveries: tuple[Delivery, ...]
    more: bool


# --- deliveries -----------------------------------------------------------------------------------


async def listed(request: Request) -> Response:
    """Show deliveries, newest first, a page at a time."""
    view = View(request)
    query = request.query_params
    wanted = query.get("meter", "").strip()[:100]
    pan = full_number(digits_of(wanted)) if wanted else None
    only_open, before = query.get("open") == "1", number_of(query.get("before")) or None
    if pan is not None and not (pan.isdigit() and len(pan) == _PAN_LENGTH):
        raise Refused(said("Write the whole number of the meter: its MeterPAN or its DRN."), 422)
    shown = await asked(view, functools.partial(_page, view.desk, pan, before, only_open=only_open))
    return view.page(
        "journal.html",
        shown=shown,
        wanted=wanted,
        only_open=only_open,
        before=before,
        path=str(view.desk.setting.journal.path),
        result_said=result_said,
        MOODS=MOODS,
    )


def _page(desk: Desk, pan: str | None, before: int | None, *, only_open: bool) -> _Page:
    with open_for_reading(desk.setting.journal.path) as journal, journal.held_still():
        found = journal.newest(PAGE + 1, pan, only_open=only_open, before=before)
        is_open = len(journal.unresolved())
        newest_first = tuple(reversed(found))
        return _Page(journal.newest_delivery(), is_open, newest_first[:PAGE], len(found) > PAGE)


async def show(request: Request) -> Response:
    """Show a delivery as a sequence of messages; without tokens unless they are asked for."""
    view = View(request)
    number = number_of(str(request.path_params["delivery"]))
    masked = request.query_params.get("tokens") != "shown"
    sequence, drawing = await asked(
        view, functools.partial(_drawn, view, number, masked=masked), status=404
    )
    return view.page(
        "delivery.html",
        sequence=sequence,
        facts=facts(sequence, None),
        drawing=drawing,
        masked=masked,
        newest=await asked(view, view.desk.setting.journal.newest_delivery),
    )


def _drawn(view: View, number: int, *, masked: bool) -> tuple[DeliverySequence, Markup]:
    with open_for_reading(view.desk.setting.journal.path) as journal, journal.held_still():
        sequence = sequence_of(journal, number, mask=masked)
    drawing = figure(sequence, texts=view.texts, zone=None, styled=False)
    # Made of elements that escape what stands in them (`vtc07.hhu.report.markup`).
    return sequence, Markup(harmless(drawing))  # noqa: S704 - see above


# --- whether it is in order -----------------------------------------------------------------------


@part("verifying")
def verifying(view: View) -> Mapping[str, object]:
    """Return how far the check of the chain is, or what it came to."""
    return {"state": view.desk.kept(Verifying)}


async def check(request: Request) -> Response:
    """Check the chain of the journal beside the event loop, and keep what it came to."""
    view = View(request)
    desk = view.desk
    state = desk.kept(Verifying)
    if state is not None and state.ended is None:
        raise Busy(said("The journal is being checked already."))
    desk.keep(Verifying())
    loop = asyncio.get_running_loop()

    def told(done: int, whole: int) -> None:
        percent = 100 * done // whole if whole else 100
        loop.call_soon_threadsafe(functools.partial(_checked_so_far, desk, percent))

    found: Verification | None = None
    problem = "it was left"
    try:
        path = desk.setting.journal.path
        found = await desk.aside(functools.partial(verify, path, on_checked=told))
    except (JournalError, OSError) as error:
        problem = str(error)
    finally:
        desk.keep(Verifying(100, desk.setting.wall_clock().astimezone(), found, problem))
    return view.go("/journal#chain")


def _checked_so_far(desk: Desk, percent: int) -> None:
    state = desk.kept(Verifying)
    if state is not None and state.ended is None and state.percent != percent:
        desk.keep(replace(state, percent=percent))


# --- copies ---------------------------------------------------------------------------------------


async def export(request: Request) -> Response:
    """Give the journal as JSON Lines: without tokens, unless they are asked for."""
    view = View(request)
    form = await view.form()
    masked = form.get("tokens") != "shown"
    period = period_of(form)
    desk, today = view.desk, view.desk.setting.wall_clock().astimezone().date()
    make = functools.partial(
        _export, desk, Selection(period.begin, period.end, None, None), masked=masked
    )
    name = f"journal-{today}{'-masked' if masked else ''}.jsonl"
    file = await asked(view, functools.partial(made, desk.setting.state, name, make))
    return Download(file, "application/jsonl", name)


def _export(desk: Desk, selection: Selection, file: Path, *, masked: bool) -> Path:
    with open_for_reading(desk.setting.journal.path) as journal:
        write_export(export_lines(journal, selection, masked=masked), file)
    return file


async def backup(request: Request) -> Response:
    """Give a copy of the journal that was checked; it holds tokens, as the journal does."""
    view = View(request)
    setting = view.desk.setting
    names: list[str] = []

    def make(file: Path) -> Path:
        copy = back_up(setting.journal.path, file.parent).path
        names.append(copy.name)
        return copy

    file = await asked(view, functools.partial(made, setting.state, "copy", make))
    return Download(file, "application/vnd.sqlite3", names[0])


def period_of(form: Mapping[str, str]) -> Period:
    """Return the period that a form names by whole days of this machine's clock.

    ``day``, or ``from`` and ``to``; Refused where they are none.
    """
    day, begin, end = (_day(form.get(name, "")) for name in ("day", "from", "to"))
    if day is not None and (begin is not None or end is not None):
        raise Refused(said("Choose one day, or from when until when: not both."), 422)
    if begin is not None and end is not None and begin > end:
        raise Refused(said("The first day is behind the last one; exchange them."), 422)
    try:
        if day is not None:
            return day_of(day, None)
        return Period(
            None if begin is None else day_of(begin, None).begin,
            None if end is None else day_of(end, None).end,
        )
    except (ValueError, OverflowError):
        raise Refused(said("{day} is no day that can be reported.", day=str(day)), 422) from None


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(said("{day} is no day; write it as 2026-03-01.", day=text[:40]), 422) from (
            None
        )


ROUTES: Final = (
    Route("/journal", listed),
    Route("/journal/verify", check, methods=["POST"]),
    Route("/journal/export", export, methods=["POST"]),
    Route("/journal/backup", backup, methods=["POST"]),
    Route("/journal/{delivery}", show),
)
