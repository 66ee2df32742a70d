"""The asyncio link that TCP and serial ports share: a transport's bytes as characters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

from vtc07.links.characters import CharacterCoder
from vtc07.links.echo import LATENESS_NS, EchoFilter
from vtc07.links.link import LinkLost
from vtc07.links.tcp import SEND_LIMIT_NS

_CLOSE_LIMIT_S = 5.0  # for what is still to be sent; a peer that takes nothing does not hold us


class StreamLink(asyncio.Protocol):
    """One open line over any transport. `receive` may be cancelled without losing a character.

    ``echo``: None where nothing can echo.
    """

    def __init__(
        self,
        coder: CharacterCoder,
        *,
        character_ns: int = 0,
        echo: bool | None = None,
        echo_lateness_ns: int = LATENESS_NS,
        paced: bool = True,
        connected: Callable[[StreamLink], None] | None = None,
        arrived: Callable[[StreamLink], None] | None = None,
    ) -> None:
        self.coder = coder
        self._character_ns = character_ns
        self._echo = (
            None
            if echo is None
            else EchoFilter(
                echoes=echo,
                character_ns=character_ns,
                paced=paced,
                lateness_ns=echo_lateness_ns,
            )
        )
        self._connected = connected
        self._arrived = arrived
        self._transport: asyncio.Transport | None = None
        self._pending = bytearray()
        self._end: str | None = None
        self._changed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = asyncio.Event()

    # --- the transport's side ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        if self._connected is not None:
            self._connected(self)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        self._pending += data
        self._changed.set()
        if self._arrived is not None:
            self._arrived(self)

    def pause_writing(self) -> None:
        """Take notice that the other side takes nothing for now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Take notice that it takes more."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take notice of the end."""
        if exc is None:
            self._finish("the other side closed the connection")
        else:
            self._finish(f"the connection broke: {exc}")
        self._closed.set()

    def _finish(self, why: str) -> None:
        if self._end is None:
            self._end = why
        self._changed.set()
        self._writable.set()

    # --- the link's side --------------------------------------------------------------------------

    @property
    def character_ns(self) -> int:
        """Duration of one character in ns; 0 on TCP."""
        return self._character_ns

    @property
    def ended(self) -> bool:
        """True where nothing more will arrive; what arrived before may still be there."""
        return self._end is not None

    async def send(self, chars: bytes) -> None:
        """Send characters; LinkLost where the other side is gone or takes nothing for 30 s."""
        if self._end is None and self._transport is not None:
            if self._echo is not None:
                self._echo.sent(chars, time.monotonic_ns())
            try:
                self._transport.write(self._bytes(chars))
                async with asyncio.timeout(SEND_LIMIT_NS / 1e9):
                    await self._writable.wait()
            except TimeoutError:
                self.abort("the other side takes nothing any more")
            except OSError as error:
                self.abort(f"the connection broke: {error}")
        if self._end is not None:
            raise LinkLost(self._end)

    def _bytes(self, chars: bytes) -> bytes:
        """Return the transport's bytes for characters."""
        return self.coder.encode(chars)

    async def receive(self, timeout_ns: int | None) -> bytes:
        """Return what has arrived, waiting at most ``timeout_ns``; LinkLost at the end of it.

        Where nothing but our echo has arrived: nothing, before the time is over.
        """
        if not self._pending and self._end is None:
            self._changed.clear()
            try:
                async with asyncio.timeout(None if timeout_ns is None else timeout_ns / 1e9):
                    await self._changed.wait()
            except TimeoutError:
                return b""
        # No await from here on: a cancellation finds the characters taken or still here.
        if self._pending:
            data = bytes(self._pending)
            self._pending.clear()
            chars = self.coder.decode(data)
            return chars if self._echo is None else self._echo.heard(chars, time.monotonic_ns())
        if self._end is not None:
            raise LinkLost(self._end)
        return b""

    def abort(self, why: str) -> None:
        """End the link now."""
        self._finish(why)
        if self._transport is not None:
            self._transport.abort()

    async def set_speed(self, speed: int) -> None:
        """Do nothing: TCP has no speed; a serial port has its own method."""

    def _goes_on_at(self, character_ns: int) -> None:
        """Take notice of another speed."""
        self._character_ns = character_ns
        if self._echo is not None:
            self._echo.character_ns = character_ns

    async def close(self) -> None:
        """Close, and wait until it is. A second call does nothing more."""
        self._finish("the link is closed")
        if self._transport is not None:
            self._transport.close()
            try:
                async with asyncio.timeout(_CLOSE_LIMIT_S):
                    await self._closed.wait()
            except TimeoutError:
                self._transport.abort()
