"""The application: its pages behind the guard, and what is answered where something is wrong."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from vtc07.hhu.texts import said
from vtc07.web.access import Access
from vtc07.web.body import BodyRefused
from vtc07.web.defect import sentence_of
from vtc07.web.desk import Desk
from vtc07.web.guard import Guard
from vtc07.web.live import live
from vtc07.web.pages import (
    bench,
    connect,
    deliver,
    diagnose,
    frame,
    journal,
    line,
    meter,
    registers,
    reports,
    route_work,
    routes,
    sign_in,
)
from vtc07.web.pages import open as open_deliveries
from vtc07.web.station import Busy
from vtc07.web.view import Refused, View

_PAGES = (
    bench,
    frame,
    connect,
    meter,
    registers,
    line,
    deliver,
    open_deliveries,
    diagnose,
    sign_in,
    routes,
    route_work,
    journal,
    reports,
)


def application(desk: Desk, access: Access) -> ASGIApp:
    """Return the application: its pages, and before them who may ask for them."""
    routes: list[Route | Mount] = [
        Route("/live", live),
        Mount("/static", StaticFiles(packages=[("vtc07.web", "static")])),
    ]
    for module in _PAGES:
        routes += module.ROUTES
    pages = Starlette(
        routes=routes,
        exception_handlers={
            Refused: _refused,
            Busy: _refused,
            BodyRefused: _refused,
            ClientDisconnect: _gone,
            HTTPException: _not_there,
            Exception: _failed,
        },
    )
    pages.router.redirect_slashes = False
    pages.state.desk = desk
    pages.state.access = access
    return Guard(pages, access)


def _refused(request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, Refused | BodyRefused) else 409
    why = error.said if isinstance(error, Refused | Busy | BodyRefused) else str(error)
    answer = View(request).refuse(why, status)
    if isinstance(error, BodyRefused):
        answer.headers["Connection"] = "close"  # whatever is still sent is not waited for
    return answer


def _gone(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's face
    """Answer nobody: whoever asked has hung up."""
    return Response(status_code=400)


def _not_there(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    if request.url.path.startswith("/static/"):
        return PlainTextResponse("", status, headers=headers)  # nobody was let in for these
    match status:
        case 404:
            why = said("There is no such page.")
        case 405:
            why = said("That cannot be asked here.")
        case _:
            why = said("The form cannot be read; nothing was changed. Load the page again.")
    answer = View(request).refuse(why, status)
    answer.headers.update(headers or {})
    return answer


def _failed(request: Request, error: Exception) -> Response:
    """Answer with the sentence of an error that has one; Starlette raises each again."""
    why = sentence_of(error)
    if why is not None:
        return View(request).refuse(why, 422)
    return View(request).refuse(said("A defect of this program; nothing more is known here."), 500)
