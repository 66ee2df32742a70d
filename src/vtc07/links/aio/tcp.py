"""TCP for asyncio: a client's link, and a meter's port."""

from __future__ import annotations

import asyncio
import socket

from vtc07.carrier.companion import Parity
from vtc07.links.address import TCPAddress
from vtc07.links.aio.stream import StreamLink
from vtc07.links.characters import CharacterCoder
from vtc07.links.clock import Clock, MonotonicClock
from vtc07.links.link import LinkUnavailable
from vtc07.links.tcp import (
    CONNECT_LIMIT_NS,
    SILENCE_NS,
    bound_address,
    cannot_connect,
    listen,
)

#: Turns of the loop after which all that has reached this machine has been read: data, the end of
#: it, the call of connection_lost; and one to spare.
_TURNS = 4


class TCPLink(StreamLink):
    """One TCP connection. Nagle's delay is off: a message is small and waited for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)

    @classmethod
    async def connect(
        cls,
        address: TCPAddress,
        *,
        parity: Parity = Parity.NONE,
        timeout_ns: int = CONNECT_LIMIT_NS,
    ) -> TCPLink:
        """Connect, or raise LinkUnavailable."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_ns / 1e9):
                _, link = await loop.create_connection(
                    lambda: cls(CharacterCoder(parity)), address.host, address.port
                )
        except OSError as error:
            raise cannot_connect(address, error) from error
        return link


class TCPPort:
    """A meter's TCP port: one line. Made by `open`; else as `vtc07.links.blocking.TCPPort`."""

    character_ns = 0

    def __init__(
        self, listener: socket.socket, parity: Parity, silence_ns: int, clock: Clock
    ) -> None:
        #: where the port listens
        self.address = bound_address(listener)
        self._parity = parity
        self._silence_ns = silence_ns
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._link: TCPLink | None = None  # the connection that holds the line
        self._heard_ns = 0
        self._waiting: TCPLink | None = None  # the same, while nobody has accepted it
        self._changed = asyncio.Event()
        self._judging: set[asyncio.Task[None]] = set()
        self._closed = False

    @classmethod
    async def open(
        cls,
        address: TCPAddress,
        *,
        parity: Parity = Parity.NONE,
        allow_remote: bool = False,
        silence_ns: int = SILENCE_NS,
        clock: Clock | None = None,
    ) -> TCPPort:
        """Listen, or raise LinkUnavailable. Binds to loopback unless ``allow_remote``."""
        listener = listen(address, allow_remote=allow_remote)
        port = cls(listener, parity, silence_ns, clock if clock is not None else MonotonicClock())
        loop = asyncio.get_running_loop()
        port._server = await loop.create_server(port._new_link, sock=listener)
        return port

    def _new_link(self) -> TCPLink:
        return TCPLink(
            CharacterCoder(self._parity), connected=self._connected, arrived=self._arrived
        )

    def _arrived(self, link: StreamLink) -> None:
        if link is self._link:
            self._heard_ns = self._clock.now_ns()

    def _connected(self, link: StreamLink) -> None:
        assert isinstance(link, TCPLink)
        if self._link is None or self._link.ended:
            self._admit(link)
            return
        task = asyncio.get_running_loop().create_task(self._judge(link))
        self._judging.add(task)
        task.add_done_callback(self._judging.discard)

    def _admit(self, link: TCPLink) -> None:
        self._link = self._waiting = link
        self._heard_ns = self._clock.now_ns()
        self._changed.set()

    async def _judge(self, second: TCPLink) -> None:
        """Turn a second connection away, unless the first has ended or gives way."""
        try:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            second.abort("the port is closed")
            raise
        first = self._link
        if first is not None and not first.ended:
            if self._clock.now_ns() - self._heard_ns < self._silence_ns:
                second.abort("the line is taken")
                return
            first.abort("the connection was silent for too long and gave way to another")
        self._admit(second)

    async def accept(self, timeout_ns: int | None) -> TCPLink | None:
        """Wait for the next connection; None where none came in time."""
        if self._closed:
            raise LinkUnavailable("the port is closed")
        if self._waiting is None:
            self._changed.clear()
            try:
                async with asyncio.timeout(None if timeout_ns is None else timeout_ns / 1e9):
                    await self._changed.wait()
            except TimeoutError:
                return None
        link, self._waiting = self._waiting, None
        return link

    async def close(self) -> None:
        """Close the port and its connection. A second call does nothing."""
        self._closed = True
        self._changed.set()
        for task in self._judging:
            task.cancel()
        if self._server is not None:
            self._server.close()
        if self._link is not None:
            await self._link.close()
