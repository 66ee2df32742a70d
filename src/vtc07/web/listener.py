"""The socket that listens: it holds so many connections at most, and whoever is silent gives way.

Every connection takes one of the files that a process may have open, from its first character on,
and so does the journal while a token is delivered. So nobody in the network may take them all.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import Any, Final, Self

#: More connections than that are not held: twice what open pages may hold.
MOST: Final = 512


class Listener(socket.socket):
    """A socket that listens, for an event loop that waits for it to be readable.

    ``most``: connections at a time. At that number the one that has kept silent for longest is hung
    up, and where each has asked for something, the new one.
    """

    def __init__(self, made: socket.socket, most: int = MOST) -> None:
        super().__init__(made.family, made.type, made.proto, fileno=made.detach())
        self._most = most
        self._held: dict[int, socket.socket] = {}
        self._silent: dict[int, socket.socket] = {}  # in the order in which they came

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection; BlockingIOError where one that is held must end first."""
        for known in (self._held, self._silent):
            for number in [n for n, each in known.items() if each.fileno() != n]:
                del known[number]
        is_full = len(self._held) >= self._most
        if is_full and self._silent:
            oldest = next(iter(self._silent))
            with contextlib.suppress(OSError):  # it is gone already
                self._silent.pop(oldest).shutdown(socket.SHUT_RDWR)
            raise BlockingIOError
        connection, address = super().accept()
        if is_full:
            connection.close()
            raise ConnectionAbortedError
        number = connection.fileno()
        self._held[number] = self._silent[number] = connection
        return connection, address

    def asked(self, number: int) -> None:
        """Take note that a connection, by its file's number, has asked for something."""
        self._silent.pop(number, None)

    @classmethod
    def of(cls, made: socket.socket) -> Self:
        """Return it in place of a socket that was made, with half of the files there may be."""
        return cls(made, min(MOST, _most_files() // 2))


def _most_files() -> int:
    """Return how many files this process may have open, as far as the system tells."""
    if sys.platform == "win32":
        return 2 * MOST
    import resource  # noqa: PLC0415 - not on every system

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2 * MOST if soft == resource.RLIM_INFINITY else soft
