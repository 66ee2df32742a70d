"""The first page: where meters are, and what can be done without one."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vtc07.carrier.companion_file import load_companion, shipped_companions
from vtc07.cli.link_options import AUTO
from vtc07.hhu.journal.rows import JournalRows
from vtc07.hhu.texts import said
from vtc07.links.ports import serial_ports
from vtc07.screens.looking import look_at
from vtc07.screens.meter_line import Target
from vtc07.screens.overview import Overview
from vtc07.screens.places import PLACES, Place, places, remember, remember_companion, used_before
from vtc07.screens.way import WayError
from vtc07.web.station import Station
from vtc07.web.view import Refused, View


@dataclass(frozen=True, slots=True)
class Open:
    """How many deliveries to the meter of a place are open in the journal."""

    count: int


async def first(request: Request) -> Response:
    """Show the places where a meter may be."""
    view = View(request)
    journal, state = view.desk.setting.journal, view.desk.setting.state

    def look() -> tuple[tuple[Place, ...], int]:
        return places(used_before(state / PLACES), serial_ports()), len(journal.unresolved())

    found, is_open = await view.desk.aside(look)
    return view.page(
        "connect.html", places=found, open_count=is_open, companions=shipped_companions()
    )


async def connect(request: Request) -> Response:
    """Go to a place, and look at the meter that is there."""
    view = View(request)
    form = await view.form()
    chosen = form.get("companion", "") or view.desk.setting.companion
    try:
        target = Target.typed(form.get("address", ""), chosen)
    except WayError as error:
        raise Refused(error.said, 422) from None
    if target.companion != AUTO:
        await view.desk.aside(functools.partial(load_companion, target.companion))
    station = view.desk.station_at(target)
    if not station.busy:
        begin_looking(station, replace(target, password=station.target.password))
    return view.go(f"/at/{station.name}")


async def companion(request: Request) -> Response:
    """Take a companion file for a meter that none of the others describes, and look again."""
    view = View(request)
    file = (await view.form()).get("companion", "")
    if not file:
        raise Refused(said("The name of the companion file is missing."), 422)
    name = file if file in shipped_companions() else str(Path(file).absolute())
    await view.desk.aside(functools.partial(load_companion, name))
    begin_looking(view.station, view.station.target.spoken(name))
    return view.go(view.at())


def begin_looking(station: Station, target: Target) -> None:
    """Look at whichever meter is at a target, and mean that one from now on."""
    fresh = replace(target, meter_pan=None)

    def arrived(overview: Overview) -> None:
        station.in_loop(functools.partial(_show, station, overview))

    def done(overview: Overview) -> None:
        state = station.desk.setting.state / PLACES
        remember(state, target.text)
        if fresh.companion not in (AUTO, station.desk.setting.companion):
            remember_companion(state, fresh.companion)
        station.met(overview)
        count_open(station, station.desk.setting.journal)

    station.begin(
        said("connecting to {address}", address=fresh.address),
        functools.partial(look_at, target=fresh, on_arrival=arrived),
        done,
    )
    station.target = fresh
    station.overview = None
    station.forget(Open)


def _show(station: Station, overview: Overview) -> None:
    station.overview = overview
    station.changed()


def count_open(station: Station, journal: JournalRows) -> None:
    """Keep how many deliveries to the meter that is meant are open."""
    pan = station.target.meter_pan
    station.keep(Open(len(journal.unresolved(pan)) if pan is not None else 0))


ROUTES: Final = (
    Route("/", first),
    Route("/connect", connect, methods=["POST"]),
    Route("/at/{station}/companion", companion, methods=["POST"]),
)
