"""Signing in with the password, and out again, where the application has one."""

from __future__ import annotations

import time
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vtc07.hhu.texts import Said, said
from vtc07.web.access import Access
from vtc07.web.guard import give_cookie, owner_of_connection, take_cookie
from vtc07.web.password import LONGEST
from vtc07.web.view import View

_SECOND_NS: Final = 1_000_000_000


async def show(request: Request) -> Response:
    """Show the page that asks for the password."""
    return _page(request, None, 200)


async def sign_in(request: Request) -> Response:
    """Let a browser in that sends the password; one password is compared at a time."""
    view = View(request)
    access: Access = request.app.state.access
    given = (await view.form()).get("password", "")
    left_ns = access.pauses.left_ns(time.monotonic_ns())
    if access.password is None:
        return RedirectResponse("/", status_code=303)
    if left_ns or access.is_comparing:
        seconds = max(1, -(-left_ns // _SECOND_NS))
        why = said(
            "Wrong passwords were tried, so none is compared for {count} s. Try again after that.",
            count=seconds,
        )
        answer = _page(request, why, 429)
        answer.headers["Retry-After"] = str(seconds)
        return answer
    access.is_comparing = True
    try:
        password = access.password
        right = len(given) <= LONGEST and await view.desk.aside(lambda: password.is_of(given))
    finally:
        access.is_comparing = False
    if not right:
        access.pauses.take_wrong(time.monotonic_ns())
        return _page(request, said("That is not the password."), 403)
    access.pauses.take_right()
    _end_session(request, access)
    answer = RedirectResponse(access.landing, status_code=303)
    owner = owner_of_connection(request.scope)
    give_cookie(answer, access, access.sessions.begin(time.monotonic_ns(), owner))
    return answer


async def sign_out(request: Request) -> Response:
    """Let this browser in no more, until the password is given again."""
    access: Access = request.app.state.access
    _end_session(request, access)
    answer = RedirectResponse("/sign-in", status_code=303)
    take_cookie(answer, access)
    View(request).desk.changed()  # pages of this session are told nothing any more
    return answer


def _end_session(request: Request, access: Access) -> None:
    cookies = request.headers.getlist("cookie")
    session = access.session_of(cookies, time.monotonic_ns(), owner_of_connection(request.scope))
    if session is not None:
        access.sessions.end(session)


def _page(request: Request, why: Said | None, status: int) -> Response:
    return View(request).page("sign_in.html", status, why=why)


#: Where there is no password these lead nowhere.
ROUTES: Final = (
    Route("/sign-in", show),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
)
