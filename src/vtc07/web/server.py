"""The HTTP server, as this application wants it: no logs, no signals, no other protocol."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from vtc07.web.connection import PatientConnection
from vtc07.web.listener import Listener

_LOOK_S: Final = 0.01


class _Quiet(uvicorn.Server):
    """A server that leaves the signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


def _nobody(_number: int) -> None:
    pass


class Server:
    """Serves an application at a socket. ``soon_s``: how long answers may take after `end`."""

    def __init__(
        self, app: ASGIApp, listener: socket.socket, tls: ssl.SSLContext | None, *, soon_s: int
    ) -> None:
        self._listener = listener

        class Connection(PatientConnection):
            """A connection of this server."""

            on_request = staticmethod(listener.asked if isinstance(listener, Listener) else _nobody)

        self._server = _Quiet(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=Connection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="critical",  # addresses are nobody's business; defects are told
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=soon_s,
                ssl_context_factory=None if tls is None else lambda _config, _default: tls,
            )
        )

    async def serve(self) -> None:
        """Serve until `end`."""
        await self._server.serve([self._listener])

    async def begun(self) -> None:
        """Return when connections are taken."""
        while not self._server.started:
            await asyncio.sleep(_LOOK_S)

    def end(self) -> None:
        """Take no more connections, and end soon."""
        self._server.should_exit = True
