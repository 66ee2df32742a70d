"""Who may ask what: the session, the origin of a request, what it is asked for, and its body.

Everything but the way in and the static files wants the cookie of a session. A request that changes
something must come from a page of ours (its ``Origin`` says so), and the ``Host`` must be one of
our names, so that no other site, and no name that was bent to this machine, reaches a meter through
somebody's browser. No answer allows another origin anything (there is no CORS here), and none may
be shown in another's frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from vtc07.hhu.texts import Said, said
from vtc07.web.access import Access
from vtc07.web.body import Body, BodyRefused
from vtc07.web.defect import report, sentence_of
from vtc07.web.view import View

_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "media-src 'self' blob:",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types vtc07",
)
#: On every answer.
HEADERS: Final = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer a browser would say no origin of a form either, and be refused.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "X-Robots-Tag": "noindex",
}
#: Half a year: a browser asks this name in no other way than by TLS. Never said of this machine by
#: itself: ``localhost`` would be locked for all that is served there, at whatever port.
_ONLY_BY_TLS: Final = "max-age=15552000"

#: Where the state of a request holds whose program asks (`vtc07.web.neighbour`).
OWNER: Final = "owner"

_READING: Final = ("GET", "HEAD")
_METHODS: Final = (*_READING, "POST")
_SIGN_IN: Final = "/sign-in"
#: What is in the headers of the pages' own requests, and of nobody else's.
_OWN_SITES: Final = ("same-origin", "none")


class _Not(Exception):
    """A request is answered here, and not by a page."""

    def __init__(self, why: Said, status: int, **headers: str) -> None:
        self.said = why
        self.status = status
        self.headers = headers
        super().__init__(str(why))


class Guard:
    """Stands before the application: lets a request through, or answers it."""

    def __init__(self, app: Starlette, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await _close(scope, send)
            return
        scope["app"] = self._app
        answering = _Answering(send, keeps_tls=self._access.is_secure and self._access.is_remote)
        body = Body(receive, scope["path"], _length(scope))
        session: str | None = None
        try:
            headers = Headers(scope=scope)
            is_led_here = self._check_where(scope, headers)
            session = self._access.session_of(
                headers.getlist("cookie"), time.monotonic_ns(), owner_of_connection(scope)
            )
            self._check_what(scope, headers)
            answer = _onward("/") if is_led_here else self._way_in(scope, session)
            if answer is not None:
                await answer(scope, body.receive, answering.send)
            else:
                await body.require_fit()
                await self._through(scope, body, answering, session)
        except (_Not, BodyRefused) as refusal:
            if not answering.has_begun:
                answer = self._refusal(scope, session, refusal)
                await answer(scope, receive, answering.send)
        except Exception as error:  # noqa: BLE001 - a defect of ours; nothing of it goes to a page
            if sentence_of(error) is None:
                report(error)
            if not answering.has_begun:
                await _plain(said("A defect of this program; nothing more is known here."), 500)(
                    scope, receive, answering.send
                )

    # --- what is checked -------------------------------------------------------------------------

    def _check_where(self, scope: Scope, headers: Headers) -> bool:
        """Refuse what was asked under a name that is not ours, or from a page that is not.

        True for somebody who follows another site's link: the browser then sends no cookie of ours,
        and is led on from here.
        """
        hosts = [host.lower() for host in headers.getlist("host")]
        if len(hosts) != 1 or hosts[0] not in self._access.hosts:
            raise _Not(said("This address does not lead here."), 421)
        own = f"{self._access.scheme}://{hosts[0]}"
        origins = headers.getlist("origin")
        if scope["method"] not in _READING and origins != [own]:
            raise _Not(said("This was not asked by a page of this application."), 403)
        # The address may be opened from anywhere: from a mail, or the file of --open.
        if scope["path"] == "/enter" and scope["method"] == "GET":
            return False
        if any(origin != own for origin in origins):
            raise _Not(said("No other site is answered."), 403)
        if set(headers.getlist("sec-fetch-site")) <= set(_OWN_SITES):
            return False
        follows = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
        if scope["method"] == "GET" and follows == ("navigate", "document"):
            return True
        raise _Not(said("No other site is answered."), 403)

    def _check_what(self, scope: Scope, headers: Headers) -> None:
        """Refuse what no page of ours asks for."""
        path: str = scope["path"]
        method: str = scope["method"]
        if method not in _METHODS or (_is_stream(path) and method != "GET"):
            allowed = "GET" if _is_stream(path) else ", ".join(_METHODS)
            raise _Not(said("That cannot be asked here."), 405, Allow=allowed)
        pieces = path.split("/")
        strange = any(piece in (".", "..") for piece in pieces) or "\\" in path
        if not path.startswith("/") or strange or not path.isprintable():
            raise _Not(said("There is no such page."), 404)
        lengths = headers.getlist("content-length")
        if any(not _is_length(each) for each in lengths):
            raise _Not(said("That cannot be asked here."), 400)
        has_body = "transfer-encoding" in headers or any(int(each) for each in lengths)
        if method in _READING and has_body:
            raise _Not(said("That cannot be asked here."), 400)

    # --- who is let in ---------------------------------------------------------------------------

    def _way_in(self, scope: Scope, session: str | None) -> Response | None:
        """Return the answer to whoever is not in yet; None: the request goes through."""
        path: str = scope["path"]
        if path == "/enter" and scope["method"] == "GET":
            return self._enter(scope, session)
        if path.startswith("/static/") or session is not None:
            return None
        if self._access.password is not None:
            if path == _SIGN_IN:
                return None
            if scope["method"] == "GET" and not _is_stream(path):
                return RedirectResponse(_SIGN_IN, status_code=303)
            raise _Not(said("Sign in first."), 401)
        raise _Not(
            said("Open the address that vtc07 web wrote when it started: it lets this browser in."),
            401,
        )

    def _enter(self, scope: Scope, session: str | None) -> Response:
        name, _, token = scope["query_string"].decode("latin-1").partition("=")
        if name != "token" or not self._access.lets_in(token):
            raise _Not(said("This address lets nobody in any more."), 401)
        answer = _onward(self._access.landing)
        if session is None:
            owner = owner_of_connection(scope)
            session = self._access.sessions.begin(time.monotonic_ns(), owner)
            give_cookie(answer, self._access, session)
        return answer

    # --- going through, and not ------------------------------------------------------------------

    async def _through(
        self, scope: Scope, body: Body, answering: _Answering, session: str | None
    ) -> None:
        sessions = self._access.sessions
        if session is None or scope["path"].startswith("/static/"):
            await self._app(scope, body.receive, answering.send)
            return
        if not _is_stream(scope["path"]):  # that an open page asks for, with nobody before it
            sessions.use(session, time.monotonic_ns())
            await self._app(scope, body.receive, answering.send)
            return
        if not sessions.take_stream(session):
            raise _Not(
                said("Too many pages of this browser are open. Close some of them."),
                503,
                **{"Retry-After": "10"},
            )
        try:
            owner = owner_of_connection(scope)
            answering.goes_on = lambda: bool(sessions.known([session], time.monotonic_ns(), owner))
            await self._app(scope, body.receive, answering.send)
        except _SignedOut:
            await answering.end()
        finally:
            sessions.give_stream_back(session)

    def _refusal(self, scope: Scope, session: str | None, why: _Not | BodyRefused) -> Response:
        """Return the answer: a page to whoever is let in, one line to everybody else."""
        if session is None or _is_stream(scope["path"]):
            answer: Response = _plain(why.said, why.status)
        else:
            answer = View(Request(scope)).refuse(why.said, why.status)
        for name, value in getattr(why, "headers", {}).items():
            answer.headers[name] = value
        answer.headers["Connection"] = "close"  # whatever else it sends is not waited for
        return answer


class _SignedOut(Exception):
    """The session of a page that is told what happens has ended."""


class _Answering:
    """What is sent, with the headers that every answer has."""

    def __init__(self, send: Send, *, keeps_tls: bool) -> None:
        self._send = send
        self._keeps_tls = keeps_tls
        self.has_begun = False
        self.goes_on: Callable[[], bool] = _yes

    async def send(self, message: Message) -> None:
        """Send a piece of the answer."""
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if self._keeps_tls:
                headers.setdefault("Strict-Transport-Security", _ONLY_BY_TLS)
            # A file is asked for again each time, and not sent where it is what it was (its ETag).
            kept = "no-cache" if "etag" in headers else "no-store"
            headers.setdefault("Cache-Control", kept)
        elif not self.goes_on():
            raise _SignedOut
        await self._send(message)

    async def end(self) -> None:
        """End an answer."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def owner_of_connection(scope: Scope) -> int | None:
    """Return the user of this machine whose program asks, None where the system does not tell."""
    owner: int | None = scope.get("state", {}).get(OWNER)
    return owner


def give_cookie(answer: Response, access: Access, session: str) -> None:
    """Have the browser keep a session, as long as it runs; no script sees it, no other site."""
    answer.set_cookie(
        access.cookie, session, httponly=True, samesite="strict", secure=access.is_secure, path="/"
    )


def take_cookie(answer: Response, access: Access) -> None:
    """Have the browser keep no session any more."""
    answer.delete_cookie(
        access.cookie, httponly=True, samesite="strict", secure=access.is_secure, path="/"
    )


def _onward(path: str) -> Response:
    """Return a page that leads to a page of ours.

    Not a redirection: the cookie is for requests from this site alone, and one that began at
    another site would go on as that one's. The address that is left may hold the token.
    """
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>vtc07</title>'
        f'<meta http-equiv="refresh" content="0; url={path}"><a href="{path}">vtc07</a></html>',
        headers={"Referrer-Policy": "no-referrer"},
    )


def _yes() -> bool:
    return True


def _plain(why: Said, status: int) -> Response:
    return PlainTextResponse(str(why), status)


def _is_stream(path: str) -> bool:
    """Say whether the answer goes on as long as the page is open."""
    return path == "/live" or (path.startswith("/bench/") and path.endswith("/characters"))


def _is_length(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _length(scope: Scope) -> int | None:
    given = Headers(scope=scope).get("content-length", "")
    return int(given) if _is_length(given) else None


async def _close(scope: Scope, send: Send) -> None:
    """Refuse what is no request of HTTP."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
