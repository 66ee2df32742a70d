"""What is open: deliveries and writes of which nobody knows yet what came of them.

Of all meters, with a place or without one; at the meter that is there it is looked into.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vtc07.carrier.companion_file import shipped_companions
from vtc07.cli.connection import Connection
from vtc07.cli.link_options import AUTO
from vtc07.hhu.journal.deliveries import Delivery, JournalError
from vtc07.hhu.outcome import Unresolved
from vtc07.hhu.resuming import OpenWork, ResumeReport, advice, close_by_hand, open_work
from vtc07.hhu.texts import said
from vtc07.screens.meter_line import Target
from vtc07.screens.places import PLACES, Place, remember
from vtc07.screens.resuming import resume_open, resumed_lines, resumed_said
from vtc07.screens.way import WayError
from vtc07.web.desk import Desk
from vtc07.web.pages.connect import count_open, places_here, typed
from vtc07.web.sending import Sending
from vtc07.web.station import Busy, Station
from vtc07.web.view import Refused, View, is_number, part

#: So long is the note of a delivery that is closed by hand at most.
_LONGEST_NOTE: Final = 300
_LONGEST_NUMBER: Final = 15


@dataclass(frozen=True, slots=True)
class OpenNow:
    """What the journal held without a result when it was asked last."""

    work: OpenWork


@dataclass(frozen=True, slots=True)
class Resumed:
    """What the meter of a place told of what was open at it."""

    report: ResumeReport


@part("open_work")
def still_open(view: View) -> Mapping[str, object]:
    """Return what is open, with advice."""
    kept = view.desk.kept(OpenNow)
    return {"work": OpenWork() if kept is None else kept.work, "advice": advice}


@part("resumed")
def resumed(view: View) -> Mapping[str, object]:
    """Return what the meter of the place told."""
    station = view.station_or_none
    found = None if station is None else station.kept(Resumed)
    return {"lines": () if found is None else resumed_lines(found.report)}


# --- the list -------------------------------------------------------------------------------------


async def show(request: Request) -> Response:
    """Show what is open; without a place, ask where its meter is."""
    return await _page(View(request))


async def _page(view: View, *, typed: str = "", wrong: object = None) -> Response:
    desk = view.desk
    journal = desk.setting.journal
    closed_number = _number(view.request.query_params.get("closed", ""))

    def look() -> tuple[OpenWork, tuple[Place, ...], Delivery | None]:
        work = open_work(journal)
        where = () if view.station_or_none else places_here(desk.setting)
        closed = None
        if closed_number is not None:
            with contextlib.suppress(JournalError):  # it is only an address that somebody typed
                closed = journal.delivery(closed_number)
        return work, where, closed

    work, where, closed = await desk.aside(look)
    _keep(desk, work)
    return view.page(
        "open.html",
        200 if wrong is None else 422,
        here=view.station_or_none,
        places=where,
        closed=None if closed is None or closed.ended is None else closed,
        typed=typed,
        wrong=wrong,
    )


def _number(text: str) -> int | None:
    """Return the number of a delivery as it stands in an address, None where it is none."""
    return int(text) if is_number(text) else None


def _keep(desk: Desk, work: OpenWork) -> None:
    now = OpenNow(work)
    if now != desk.kept(OpenNow):
        desk.keep(now)


# --- asking the meter -----------------------------------------------------------------------------


async def ask(request: Request) -> Response:
    """Ask the meter that is at the place; nothing is entered again."""
    view = View(request)
    station = view.station
    target = station.target
    own = target.companion not in (AUTO, *shipped_companions())
    companion = target.companion if own else view.desk.setting.companion
    _begin(station, Target.typed(target.text, companion))
    return view.go(view.at("open"))


async def ask_at(request: Request) -> Response:
    """Ask the meter at an address, which becomes a place."""
    view = View(request)
    address = (await view.form()).get("address", "")
    try:
        target = typed(view, address, view.desk.setting.companion)
    except WayError as error:
        if view.is_quiet:
            raise Refused(error.said, 422) from None
        return await _page(view, typed=address, wrong=error.said)
    station = view.desk.station_at(target)
    _begin(station, target)
    return view.go(f"/at/{station.name}/open")


def _tell(station: Station, report: ResumeReport) -> None:
    """Have a place whose tokens were unresolved show what its meter told of them."""
    sending = station.kept(Sending)
    if sending is None or sending.end is None or sending.meter_pan != report.meter_pan:
        return
    found = [each for each in report.deliveries if not isinstance(each.outcome, Unresolved)]
    outcomes = {each.delivery.token: each.outcome for each in found}
    with contextlib.suppress(JournalError):  # then it is shown as it was
        journal = station.desk.setting.journal
        closed = {each.delivery.number: journal.delivery(each.delivery.number) for each in found}
        now = sending.known_now(outcomes, closed)
        if now != sending:
            station.forget(Sending)  # and with it what was said of it
            station.keep(now)


def _begin(station: Station, target: Target) -> None:
    setting = station.desk.setting
    target = target.meaning_any()

    def ask(connection: Connection) -> tuple[ResumeReport, OpenWork | None]:
        report = resume_open(
            connection,
            journal=setting.journal,
            wall_clock=setting.wall_clock,
            alone=station.alone_with,
        )
        try:
            return report, open_work(setting.journal)  # of a long journal no page waits for this
        except JournalError:
            return report, None  # the report says so already

    def done(found: tuple[ResumeReport, OpenWork | None]) -> None:
        report, work = found
        remember(setting.state / PLACES, target.text)
        station.keep(Resumed(report))
        station.say(*resumed_said(report))
        for each in station.desk.stations.values():
            _tell(each, report)
        if work is not None:
            _keep(station.desk, work)
        with contextlib.suppress(JournalError):
            count_open(station, setting.journal)

    station.begin(said("looking into what is open"), ask, done, target=target)
    station.forget(Resumed)


# --- closing by hand ------------------------------------------------------------------------------


async def closing(request: Request) -> Response:
    """Ask whether a delivery is to be closed for good, and why."""
    view = View(request)
    delivery = await _open_delivery(view)
    return _closing_page(view, delivery)


def _closing_page(view: View, delivery: Delivery, *, is_missing: bool = False) -> Response:
    return view.page(
        "open_close.html",
        422 if is_missing else 200,
        delivery=delivery,
        advice=advice(delivery),
        back=_back(view),
        is_missing=is_missing,
        longest=_LONGEST_NOTE,
    )


async def close(request: Request) -> Response:
    """Close a delivery by hand, with a note."""
    view = View(request)
    note = " ".join((await view.form()).get("note", "").split())[:_LONGEST_NOTE]
    delivery = await _open_delivery(view)
    if not note:
        return _closing_page(view, delivery, is_missing=True)
    for station in view.desk.stations.values():
        if _may_be_at(station, delivery.meter_pan):
            raise Busy(
                said(
                    "Something is under way with meter {pan}. Wait until that has ended.",
                    pan=delivery.meter_pan,
                )
            )
    setting = view.desk.setting

    def close_it() -> None:
        # Also where a route is at it, or somebody asks it, from a place that means another one.
        with view.desk.alone_with(delivery.meter_pan, None):
            close_by_hand(setting.journal, delivery.number, note, time=setting.wall_clock())

    await view.desk.aside(close_it)
    with contextlib.suppress(JournalError):  # it is closed, whatever can be counted now
        for station in view.desk.stations.values():
            count_open(station, setting.journal)
    return view.go(f"{_back(view)}?closed={delivery.number}")


def _may_be_at(station: Station, meter_pan: str) -> bool:
    """Say whether work is under way that may be about tokens of a meter."""
    return station.work is not None and station.target.meter_pan in (None, meter_pan)


async def _open_delivery(view: View) -> Delivery:
    """Return the delivery that the address names; Refused where it is not open."""
    text = view.request.path_params["number"][:_LONGEST_NUMBER]
    number = _number(text)
    unresolved = await view.desk.aside(view.desk.setting.journal.unresolved)
    found = next((d for d in unresolved if d.number == number), None)
    if found is None:
        raise Refused(said("Delivery {number} is not open, or not any more.", number=text), 404)
    return found


def _back(view: View) -> str:
    return view.at("open") if "station" in view.request.path_params else "/open"


ROUTES: Final = (
    Route("/open", show),
    Route("/open/ask", show, methods=["GET"]),
    Route("/open/ask", ask_at, methods=["POST"]),
    Route("/open/{number}/close", closing, methods=["GET"]),
    Route("/open/{number}/close", close, methods=["POST"]),
    Route("/at/{station}/open", show),
    Route("/at/{station}/open/ask", show, methods=["GET"]),
    Route("/at/{station}/open/ask", ask, methods=["POST"]),
    Route("/at/{station}/open/{number}/close", closing, methods=["GET"]),
    Route("/at/{station}/open/{number}/close", close, methods=["POST"]),
)
