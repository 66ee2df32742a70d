"""A serial port behind a server in the network (RFC 2217), for asyncio."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import replace

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import RFC2217Address
from vtc07.links.aio.stream import StreamLink
from vtc07.links.characters import CharacterCoder
from vtc07.links.link import LinkLost
from vtc07.links.rfc2217 import (
    ANSWER_LIMIT_NS,
    ECHO_LATENESS_NS,
    SETTLE_NS,
    RemotePort,
    cannot_connect,
)
from vtc07.links.tcp import CONNECT_LIMIT_NS


class RFC2217Link(StreamLink):
    """An open serial port of a server in the network; see `vtc07.links.rfc2217`."""

    def __init__(self, settings: LinkSettings, parity: Parity, *, stretch: int = 1) -> None:
        self._port = RemotePort(settings, parity)
        super().__init__(
            CharacterCoder(parity, marked=self._port.marked),
            character_ns=settings.character_ns,
            echo=settings.echo,
            echo_lateness_ns=ECHO_LATENESS_NS * stretch,
        )
        self._settings = settings
        self._limit_ns = ANSWER_LIMIT_NS * stretch
        self._answered = asyncio.Event()
        self._out_ns = 0  # when the last character will have gone out at the server's port

    @classmethod
    async def open(
        cls,
        address: RFC2217Address,
        settings: LinkSettings,
        *,
        parity: Parity | None = None,
        stretch: int = 1,
    ) -> RFC2217Link:
        """Open the server's port with the settings' speed and parity (or another ``parity``).

        LinkUnavailable: no connection, no server of serial ports, speed or format not possible.
        """
        parity = settings.parity if parity is None else parity
        link = cls(settings, parity, stretch=stretch)
        try:
            async with asyncio.timeout(CONNECT_LIMIT_NS * stretch / 1e9):
                await asyncio.get_running_loop().create_connection(
                    lambda: link, address.host, address.port
                )
            await link._until(lambda: link._port.settled, "the server does not answer")
        except (OSError, LinkLost) as error:
            await link.close()
            controlled = link._port.controlled
            raise cannot_connect(address, error, controlled=controlled) from error
        except BaseException:
            link.abort("the link is closed")
            raise
        link._pending.clear()  # from before
        return link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and say what this end wants."""
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self._say()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived: characters, and words of the server itself."""
        try:
            data = self._port.incoming(data)
        except LinkLost as error:
            self.abort(str(error))
            return
        finally:
            self._answered.set()
        self._say()
        if data:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take notice of the end."""
        super().connection_lost(exc)
        self._answered.set()

    async def send(self, chars: bytes) -> None:
        """Send characters; LinkLost where the server is gone or takes nothing for 30 s."""
        self._out_ns = max(self._out_ns, time.monotonic_ns()) + len(chars) * self.character_ns
        await super().send(chars)

    def _bytes(self, chars: bytes) -> bytes:
        return self._port.outgoing(super()._bytes(chars))

    async def set_speed(self, speed: int) -> None:
        """Go on at ``speed`` Bd once all has gone out; LinkLost where the port does not take it.

        A server changes at once, with what it still has to send: so this end waits.
        """
        await asyncio.sleep(max(0, self._out_ns + SETTLE_NS - time.monotonic_ns()) / 1e9)
        if self._end is not None:
            raise LinkLost(self._end)
        self._port.set_speed(speed)
        self._say()
        await self._until(lambda: self._port.settled, "the server does not change the speed")
        self._settings = replace(self._settings, speed=speed)
        self._goes_on_at(self._settings.character_ns)

    def _say(self) -> None:
        if (words := self._port.to_send()) and self._transport is not None:
            self._transport.write(words)

    async def _until(self, done: Callable[[], bool], otherwise: str) -> None:
        """Wait until something holds; LinkLost where it does not in time."""
        try:
            async with asyncio.timeout(self._limit_ns / 1e9):
                while not done():
                    if self._end is not None:
                        raise LinkLost(self._end)
                    self._answered.clear()
                    await self._answered.wait()
        except TimeoutError as error:
            raise LinkLost(otherwise) from error
