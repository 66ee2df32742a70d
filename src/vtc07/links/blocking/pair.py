"""Two ends of a line in memory, blocking: a null modem."""

from __future__ import annotations

import threading

from vtc07.links.link import LinkLost


class _Line:
    """What the two ends share."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.open = True
        self.buffers = (bytearray(), bytearray())


class PairLink:
    """One end; it may be used from another thread than the other end."""

    def __init__(self, line: _Line, side: int, character_ns: int) -> None:
        self._line = line
        self._in, self._out = line.buffers[side], line.buffers[1 - side]
        self._character_ns = character_ns

    @property
    def character_ns(self) -> int:
        """What `null_modem` was told; nothing is paced by it."""
        return self._character_ns

    def send(self, chars: bytes) -> None:
        """Send characters; LinkLost where either end is closed."""
        with self._line.changed:
            if not self._line.open:
                raise LinkLost("the line is closed")
            self._out += chars
            self._line.changed.notify_all()

    def receive(self, timeout_ns: int | None) -> bytes:
        """Return what has arrived, waiting at most ``timeout_ns``; LinkLost at the end of it."""
        timeout = None if timeout_ns is None else max(0, timeout_ns) / 1e9
        with self._line.changed:
            self._line.changed.wait_for(lambda: self._in or not self._line.open, timeout)
            if self._in:
                chars = bytes(self._in)
                self._in.clear()
                return chars
            if not self._line.open:
                raise LinkLost("the line is closed")
            return b""

    def set_speed(self, speed: int) -> None:
        """Do nothing: a line in memory paces nothing."""

    def close(self) -> None:
        """Close both ends; what was sent before can still be received."""
        with self._line.changed:
            self._line.open = False
            self._line.changed.notify_all()


def null_modem(character_ns: int = 0) -> tuple[PairLink, PairLink]:
    """Return the two ends of a line in memory."""
    line = _Line()
    return PairLink(line, 0, character_ns), PairLink(line, 1, character_ns)
