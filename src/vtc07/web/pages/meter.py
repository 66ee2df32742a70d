"""The meter that is connected, at a glance, as it is read; and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vtc07.web.pages.connect import Open, begin_looking
from vtc07.web.station import UnknownMeter
from vtc07.web.view import View, part


@part("meter")
def meter(view: View) -> Mapping[str, object]:
    """Return what is known of the meter so far."""
    station = view.station
    return {
        "overview": station.overview,
        "open": station.kept(Open),
        "unknown": station.kept(UnknownMeter),
    }


async def show(request: Request) -> Response:
    """Show the meter."""
    view = View(request)
    return view.page("meter.html", here=view.station)


async def again(request: Request) -> Response:
    """Look at whichever meter is there now."""
    view = View(request)
    begin_looking(view.station, view.station.target)
    return view.go(view.at())


ROUTES: Final = (
    Route("/at/{station}", show),
    Route("/at/{station}/again", again, methods=["POST"]),
)
