"""The line: what passed on it, message by message, explained."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vtc07.web.view import View, stream


@stream("line")
def line(view: View, after: int) -> list[tuple[int, str]]:
    """Return the messages behind a number."""
    return [
        (number, view.html("parts/message.html", passed=passed))
        for number, passed in view.station.passed
        if number > after
    ]


async def show(request: Request) -> Response:
    """Show what has passed, and what passes."""
    view = View(request)
    return view.page("line.html", here=view.station)


ROUTES: Final = (Route("/at/{station}/line", show),)
