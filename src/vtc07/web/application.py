"""The application: its pages behind the guard, and what is answered where something is wrong."""

from __future__ import annotations

from collections.abc import Collection

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from vtc07.cli.failure import judge
from vtc07.hhu.texts import Said, said
from vtc07.web.desk import Desk
from vtc07.web.guard import Access, Guard
from vtc07.web.live import live
from vtc07.web.pages import connect, frame, line, meter
from vtc07.web.station import Busy
from vtc07.web.view import Refused, View

_PAGES = (frame, connect, meter, line)


def application(
    desk: Desk, access: Access, *, hosts: Collection[str], cookie: str, secure: bool
) -> Starlette:
    """Return the application. ``hosts``, ``cookie``, ``secure`` as for `Guard`."""
    routes: list[Route | Mount] = [
        Route("/live", live),
        Mount("/static", StaticFiles(packages=[("vtc07.web", "static")])),
    ]
    for module in _PAGES:
        routes += module.ROUTES
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(Guard, access=access, hosts=hosts, cookie=cookie, secure=secure),
        ],
        exception_handlers={
            Refused: _refused,
            Busy: _refused,
            HTTPException: _not_there,
            Exception: _failed,
        },
    )
    app.state.desk = desk
    return app


def _refused(request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, Refused) else 409
    why = error.said if isinstance(error, Refused | Busy) else str(error)
    return View(request).refuse(why, status)


def _not_there(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return View(request).refuse(said("There is no such page."), status)


def _failed(request: Request, error: Exception) -> Response:
    """Answer with the sentence of an error that has one; Starlette raises the others again."""
    judged = judge(error)
    sentence = getattr(error, "said", None)
    if isinstance(sentence, Said):
        return View(request).refuse(sentence, 422)
    if judged is not None:
        return View(request).refuse(judged[0], 422)
    return View(request).refuse(said("A defect of this program; nothing more is known here."), 500)
