"""A connection of the server: what sends nothing is not waited for, and what is no HTTP is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from vtc07.web.guard import HEADERS, OWNER
from vtc07.web.neighbour import owner_of

#: A connection that asks for nothing, or does not come to the end of its headers, is closed after
#: so long, in s.
_PATIENCE_S: Final = 20.0


class PatientConnection(H11Protocol):
    """A connection that is given up where nothing is asked. The longest head is 16 KiB (h11).

    ``on_request``: told of the number of its file when it has asked for something.
    """

    on_request: Callable[[int], None]
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        peer, here = (transport.get_extra_info(name) for name in ("peername", "sockname"))
        self.app_state = {OWNER: owner_of(peer, here)}
        self._wait_or_not()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless the connection is at its end already."""
        if not self.transport.is_closing():
            super().data_received(data)

    def handle_events(self) -> None:
        """Take requests, and see whether there is something to wait for."""
        super().handle_events()
        if self.cycle is not None and not self.transport.is_closing():
            self.on_request(self.transport.get_extra_info("socket").fileno())
        self._wait_or_not()

    def _unsupported_upgrade_warning(self) -> None:
        """Go on as if nothing but HTTP were known; there is nothing to warn of."""

    def send_400_response(self, msg: str) -> None:
        """Say that this is no request, where an answer has not begun, and hang up."""
        headers: list[tuple[Any, Any]] = [
            *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        try:
            response = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (response, h11.Data(data=msg.encode()), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            pass  # the answer to what came before is under way
        self.transport.close()

    def _wait_or_not(self) -> None:
        is_working = self.cycle is not None and not self.cycle.response_complete
        if is_working or self.transport.is_closing():
            self._wait_no_more()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(_PATIENCE_S, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
