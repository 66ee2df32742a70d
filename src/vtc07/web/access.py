"""How the application is reached, and who has been let in.

On this machine alone (loopback) the address that is written at the start lets one in: it holds a
random token, which the first request turns into a cookie. Where others can reach the port there is
no such token: an address goes through histories, screens and chats, and there it would open the
meter to the whole network. There the password alone lets one in, over TLS; and so it does on
loopback where a password was asked for.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from vtc07.web.password import PasswordHash, Pauses

#: Browsers that are let in at the same time; one more, and the one that was used least is not.
MOST_SESSIONS: Final = 64
#: A session that a password began ends after so long without use: 12 h, in ns.
IDLE_NS: Final = 12 * 3600 * 1_000_000_000
#: Pages of one browser that are told what happens, at the same time.
MOST_STREAMS: Final = 32
#: More cookies of our name than that are not looked at.
_MOST_COOKIES: Final = 8


@dataclass(slots=True)
class _Session:
    used_ns: int
    owner: int | None = None
    streams: int = 0


class Sessions:
    """The browsers that were let in, by a digest of what their cookies hold.

    ``idle_ns``: how long one lasts without use; None: as long as the program. Times are in ns of a
    clock that never goes back.
    """

    def __init__(self, idle_ns: int | None = None) -> None:
        self._idle_ns = idle_ns
        self._sessions: dict[bytes, _Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, now_ns: int, owner: int | None = None) -> str:
        """Return the cookie of a new session. ``owner``: who alone may use it, None: anybody."""
        self._end_idle(now_ns)
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].used_ns)]
        cookie = secrets.token_urlsafe(32)
        self._sessions[_digest(cookie)] = _Session(now_ns, owner)
        return cookie

    def known(self, cookies: Iterable[str], now_ns: int, owner: int | None = None) -> str | None:
        """Return which of these is the cookie of a session, or None.

        ``owner``: whose program asks, as far as it is known.
        """
        self._end_idle(now_ns)
        for cookie in cookies:
            session = self._sessions.get(_digest(cookie))
            if session is not None and session.owner in (None, owner):
                return cookie
        return None

    def use(self, cookie: str, now_ns: int) -> None:
        """Take note that somebody works with a session."""
        if (session := self._sessions.get(_digest(cookie))) is not None:
            session.used_ns = now_ns

    def end(self, cookie: str) -> None:
        """End a session: whoever has its cookie is let in no more."""
        self._sessions.pop(_digest(cookie), None)

    def take_stream(self, cookie: str) -> bool:
        """Count a page that is told what happens; False where there are too many of them."""
        session = self._sessions.get(_digest(cookie))
        if session is None or session.streams >= MOST_STREAMS:
            return False
        session.streams += 1
        return True

    def give_stream_back(self, cookie: str) -> None:
        """Count such a page no more."""
        if (session := self._sessions.get(_digest(cookie))) is not None:
            session.streams -= 1

    def _end_idle(self, now_ns: int) -> None:
        if self._idle_ns is None:
            return
        for key in [
            key
            for key, session in self._sessions.items()
            if now_ns - session.used_ns >= self._idle_ns
        ]:
            del self._sessions[key]


def _digest(cookie: str) -> bytes:
    # What is looked up is no more the cookie, so how long that takes tells nothing of it.
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).digest()


@dataclass(slots=True)
class Access:
    """How the application is reached, and who is let in.

    ``hosts``: its names, with the port, as browsers write them in ``Host``. ``cookie``: the name of
    the cookie. ``is_secure``: over TLS; ``is_remote``: by others than this machine. ``token``: of
    the address, None where only the password lets one in. ``landing``: the page that is shown
    first. ``is_comparing``: whether a password is being compared just now.
    """

    hosts: frozenset[str]
    cookie: str
    is_secure: bool = False
    is_remote: bool = False
    token: str | None = field(default=None, repr=False)
    password: PasswordHash | None = field(default=None, repr=False)
    landing: str = "/"
    sessions: Sessions = field(default_factory=Sessions, repr=False)
    pauses: Pauses = field(default_factory=Pauses)
    is_comparing: bool = False

    @property
    def scheme(self) -> str:
        """How addresses of pages begin."""
        return "https" if self.is_secure else "http"

    def lets_in(self, token: str) -> bool:
        """Say whether this is the token of the address."""
        if self.token is None:
            return False
        given = token.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(given, self.token.encode())

    def session_of(
        self, cookies: Iterable[str], now_ns: int, owner: int | None = None
    ) -> str | None:
        """Return the session that the ``Cookie`` headers of a request name, or None.

        ``owner``: whose program asks, as far as it is known.
        """
        ours = []
        for header in cookies:
            for word in header.split(";"):
                name, is_one, value = word.strip().partition("=")
                if is_one and name == self.cookie:
                    ours.append(value)
        return self.sessions.known(ours[:_MOST_COOKIES], now_ns, owner)


def new_token() -> str:
    """Return a token for an address: 256 random bits."""
    return secrets.token_urlsafe(32)
