"""Two ends of a line in memory, for asyncio: a null modem."""

from __future__ import annotations

import asyncio

from vtc07.links.link import LinkLost


class _Lane:
    """One direction."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.open = True
        self.changed = asyncio.Event()


class PairLink:
    """One end. `receive` may be cancelled without losing a character."""

    def __init__(self, incoming: _Lane, outgoing: _Lane, character_ns: int) -> None:
        self._in, self._out = incoming, outgoing
        self._character_ns = character_ns

    @property
    def character_ns(self) -> int:
        """What `null_modem` was told; nothing is paced by it."""
        return self._character_ns

    async def send(self, chars: bytes) -> None:
        """Send characters; LinkLost where either end is closed."""
        if not self._out.open:
            raise LinkLost("the line is closed")
        self._out.buffer += chars
        self._out.changed.set()

    async def receive(self, timeout_ns: int | None) -> bytes:
        """Return what has arrived, waiting at most ``timeout_ns``; LinkLost at the end of it."""
        lane = self._in
        if not lane.buffer and lane.open:
            lane.changed.clear()
            try:
                async with asyncio.timeout(None if timeout_ns is None else timeout_ns / 1e9):
                    await lane.changed.wait()
            except TimeoutError:
                return b""
        if lane.buffer:
            chars = bytes(lane.buffer)
            lane.buffer.clear()
            return chars
        if not lane.open:
            raise LinkLost("the line is closed")
        return b""

    async def set_speed(self, speed: int) -> None:
        """Do nothing: a line in memory paces nothing."""

    async def close(self) -> None:
        """Close both ends; what was sent before can still be received."""
        for lane in (self._in, self._out):
            lane.open = False
            lane.changed.set()


def null_modem(character_ns: int = 0) -> tuple[PairLink, PairLink]:
    """Return the two ends of a line in memory."""
    up, down = _Lane(), _Lane()
    return PairLink(up, down, character_ns), PairLink(down, up, character_ns)
