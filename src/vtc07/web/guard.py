"""Who may ask what: the access token, its cookie, the origin of a request, the size of a body.

Everything but the way in wants the cookie. A request that changes something must come from a page
of ours (its ``Origin`` says so), and the ``Host`` must be one of our names, so that no other site,
and no name that was bent to this machine, reaches a meter through somebody's browser.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The longest body of a form, and of an uploaded route, in bytes.
LONGEST_FORM: Final = 64 * 1024
LONGEST_UPLOAD: Final = 64 * 1024 * 1024

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
_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_SAFE: Final = ("GET", "HEAD")


@dataclass(slots=True)
class Access:
    """Who is let in. ``token``: of the address that is given at the start; never in repr.

    ``sessions``: the cookies given so far.
    """

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    sessions: set[str] = field(default_factory=set, repr=False)

    def admit(self, token: str) -> str | None:
        """Return a new session for whoever knows the token, None for anybody else."""
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return None
        session = secrets.token_urlsafe(32)
        self.sessions.add(session)
        return session

    def knows(self, session: str) -> bool:
        """Say whether a cookie was given by us."""
        return any(hmac.compare_digest(session.encode(), s.encode()) for s in self.sessions)


class Guard:
    """Stands before the application. ``hosts``: its names with port, as browsers write them."""

    def __init__(
        self, app: ASGIApp, *, access: Access, hosts: Collection[str], cookie: str, secure: bool
    ) -> None:
        self._app = app
        self._access = access
        self._hosts = frozenset(hosts)
        self._cookie = cookie
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._answer(scope)
        guarded = _with_headers(send)
        if answer is not None:
            await answer(scope, receive, guarded)
            return
        limit = LONGEST_UPLOAD if scope["path"] == "/routes" else LONGEST_FORM
        await _Limited(self._app, limit)(scope, receive, guarded)

    def _answer(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if headers.get("host") not in self._hosts:
            return PlainTextResponse("This address does not lead here.", 421)
        if scope["method"] not in _SAFE and not self._is_own(headers):
            return PlainTextResponse("This was not asked by a page of this application.", 403)
        if headers.get("sec-fetch-site") == "cross-site" and scope["path"] != "/enter":
            return PlainTextResponse("No other site is answered.", 403)
        if scope["path"] == "/enter" and scope["method"] == "GET":
            return self._enter(scope)
        if scope["path"].startswith("/static/"):
            return None
        session = _cookie_of(headers, self._cookie)
        if session is None or not self._access.knows(session):
            return PlainTextResponse(
                "Open the address that vtc07 web wrote when it started: it lets this browser in.",
                401,
            )
        return None

    def _is_own(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        scheme = "https" if self._secure else "http"
        return origin == f"{scheme}://{headers.get('host')}"

    def _enter(self, scope: Scope) -> Response:
        query = scope["query_string"].decode("latin-1")
        session = self._access.admit(query.removeprefix("token="))
        if session is None:
            return PlainTextResponse("This address lets nobody in any more.", 401)
        # Not a redirection: the cookie is for requests from this site alone.
        answer = HTMLResponse(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>vtc07</title>'
            '<meta http-equiv="refresh" content="0; url=/"><a href="/">vtc07</a></html>'
        )
        answer.set_cookie(
            self._cookie, session, httponly=True, samesite="strict", secure=self._secure, path="/"
        )
        return answer


class _TooLarge(Exception):
    """A body is longer than any of ours."""


class _Limited:
    """Lets no more of a body through than is allowed."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdigit() or int(length) > self._limit:
            await _too_large()(scope, receive, send)
            return
        taken = 0
        begun = False

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, limited, watched)
        except _TooLarge:
            if not begun:
                await _too_large()(scope, receive, send)


def _too_large() -> Response:
    return PlainTextResponse("What was sent is too large; nothing was changed.", 413)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending


def _cookie_of(headers: Headers, name: str) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return None if found is None else found.value
