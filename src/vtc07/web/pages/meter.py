"""The meter that is connected, at a glance, as it is read; and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vtc07.hhu.texts import mark
from vtc07.hhu.values import text_for_people
from vtc07.screens.overview import Overview
from vtc07.web.pages.connect import Introduced, Open, begin_looking, look_again
from vtc07.web.picture import alarms, credit, load_switch
from vtc07.web.station import Station, UnknownMeter
from vtc07.web.view import View, part

#: Registers by which a meter is told from others, with what stands before them.
_IDENTITY: Final = {
    "meterPAN": mark("MeterPAN"),
    "DRN": mark("DRN"),
    "protocolVersion": mark("protocol version"),
    "softwareVersion": mark("software"),
}


@part("meter")
def meter(view: View) -> Mapping[str, object]:
    """Return what is known of the meter so far."""
    station = view.station
    overview = station.overview
    return {
        "overview": overview,
        "identity": () if overview is None else tuple(_identity(station, overview)),
        "alarms": alarms(overview),
        "credit": credit(overview),
        "switch": load_switch(overview),
        "open": station.kept(Open),
        "unknown": station.kept(UnknownMeter),
        "is_looking": station.busy,
    }


def _identity(station: Station, overview: Overview) -> Iterator[tuple[str, str]]:
    """Yield what a meter says of itself: at the sign-on, and then in its registers."""
    introduced = station.kept(Introduced)
    told = () if introduced is None else introduced.meter.identification
    texts = {
        found.register.name: text_for_people(found.register, found.value, overview.companion)
        for found in (*told, *overview.values)
    }
    if overview.meter_pan is not None:
        texts["meterPAN"] = overview.meter_pan
    for name, label in _IDENTITY.items():
        if text := texts.get(name):
            yield label, text
    if introduced is not None:
        identity = introduced.meter.identity
        yield mark("FLAG"), identity.flag
        yield mark("identification"), identity.identification
    yield mark("companion"), overview.companion.name


async def show(request: Request) -> Response:
    """Show the meter."""
    view = View(request)
    return view.page("meter.html", here=view.station)


async def again(request: Request) -> Response:
    """Read the meter that is meant again."""
    view = View(request)
    look_again(view.station)
    return view.go(view.at())


async def whoever(request: Request) -> Response:
    """Look at whichever meter is there now, and mean that one."""
    view = View(request)
    begin_looking(view.station, view.station.target)
    return view.go(view.at())


async def close(request: Request) -> Response:
    """Close the place, unless work is under way there."""
    view = View(request)
    await view.desk.close_place(view.station)
    return view.go("/")


ROUTES: Final = (
    Route("/at/{station}", show),
    Route("/at/{station}/again", again, methods=["POST"]),
    Route("/at/{station}/whoever", whoever, methods=["POST"]),
    Route("/at/{station}/close", close, methods=["POST"]),
)
