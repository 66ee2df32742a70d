"""Pseudo-terminals for asyncio: a client's link, and a meter's port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import PtyAddress
from vtc07.links.link import LinkLost, LinkUnavailable
from vtc07.links.pty import LOOK_NS, OpenPty, ServedPty, open_client, parity_of
from vtc07.links.tcp import SEND_LIMIT_NS


class PtyLink(OpenPty):
    """One side of a pseudo-terminal. ``own``: the file is closed with the link."""

    @classmethod
    async def open(
        cls, address: PtyAddress, settings: LinkSettings, *, parity: Parity | None = None
    ) -> PtyLink:
        """Open the clients' side.

        LinkUnavailable: nobody serves it, in use, 7E1 asked for, no such thing on this system.
        """
        parity = parity_of(address, settings, parity)
        return cls(open_client(address, settings.speed), settings, parity, own=True)

    async def send(self, chars: bytes) -> None:
        """Send characters; LinkLost where the other side is gone or takes nothing for 30 s."""
        data = self._to_send(chars)
        loop = asyncio.get_running_loop()
        while data:
            try:
                data = self._write(data)
            except BlockingIOError:
                watched = self._until(loop.add_writer, loop.remove_writer, SEND_LIMIT_NS)
                if not await watched:
                    raise LinkLost("the other side takes nothing any more") from None

    async def receive(self, timeout_ns: int | None) -> bytes:
        """Return what has arrived, waiting at most ``timeout_ns``; LinkLost at the end of it.

        Where nothing but our echo has arrived: nothing, before the time is over.
        """
        self._check_open()
        loop = asyncio.get_running_loop()
        if not await self._until(loop.add_reader, loop.remove_reader, timeout_ns):
            return b""
        self._check_open()
        # No await from here on: a cancellation finds the characters taken or still there.
        return self._read()

    async def set_speed(self, speed: int) -> None:
        """Note the speed in the settings, for whoever looks there; nothing is paced by it."""
        self._note_speed(speed)

    async def close(self) -> None:
        """Close. A second call does nothing."""
        self._shut()

    async def _until(
        self,
        watch: Callable[[int, Callable[[], object]], object],
        unwatch: Callable[[int], object],
        timeout_ns: int | None,
    ) -> bool:
        """Wait until the file can be read, or written; False where it cannot in time."""
        ready = asyncio.Event()
        watch(self._fileno, ready.set)
        try:
            async with asyncio.timeout(None if timeout_ns is None else timeout_ns / 1e9):
                await ready.wait()
        except TimeoutError:
            return False
        finally:
            unwatch(self._fileno)
        return True


class PtyPort:
    """A meter's port at a pseudo-terminal; made by `open`, else as the blocking one."""

    def __init__(self, served: ServedPty, settings: LinkSettings, parity: Parity) -> None:
        self._served = served
        self._settings = settings
        self._parity = parity
        self._link: PtyLink | None = None

    @property
    def character_ns(self) -> int:
        """0: a pseudo-terminal paces nothing."""
        return 0

    @classmethod
    async def open(
        cls, address: PtyAddress, settings: LinkSettings, *, parity: Parity | None = None
    ) -> PtyPort:
        """Make a pseudo-terminal, or raise LinkUnavailable."""
        parity = parity_of(address, settings, parity)
        return cls(ServedPty(address, settings.speed), settings, parity)

    async def accept(self, timeout_ns: int | None) -> PtyLink | None:
        """Wait until a client has opened the other side; None where none did in time."""
        if self._link is not None and self._served.fileno >= 0:
            await self._link.close()
            self._link = None
            if not self._served.has_client():
                self._served.hang_up()
        end = None if timeout_ns is None else time.monotonic_ns() + timeout_ns
        while True:
            if self._served.fileno < 0:
                raise LinkUnavailable("the port is closed")
            if self._served.has_client():
                break
            left = LOOK_NS if end is None else min(LOOK_NS, end - time.monotonic_ns())
            if left <= 0:
                return None
            await asyncio.sleep(left / 1e9)
        self._link = PtyLink(self._served.fileno, self._settings, self._parity, own=False)
        return self._link

    async def close(self) -> None:
        """Close, and remove the link at the path. A second call does nothing."""
        if self._link is not None:
            await self._link.close()
        self._served.close()
