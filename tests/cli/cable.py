"""A cable to a served meter that is pulled, or goes dead, at a chosen message."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

#: Ends what is stuck; nothing is measured by it.
GUARD_S = 30


class Cable:
    """The way from the application to a meter, which fails at a chosen place.

    ``at``: characters of the client, behind which nothing passes any more in either direction, the
    message that they stand in included unless ``whole``. The cable is then pulled: every
    connection ends, and none is taken; or, with ``hangs``, it stays as it is, and silent.
    """

    def __init__(self, meter: str, at: bytes, *, whole: bool = False, hangs: bool = False) -> None:
        host, _, port = meter.removeprefix("tcp://").rpartition(":")
        self._meter = (host, int(port))
        self._at, self._whole, self._hangs = at, whole, hangs
        self.failed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pull()
        for thread in self._threads:
            thread.join(GUARD_S)
            assert not thread.is_alive()
        for end in self._ends:
            end.close()

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.failed.is_set():
                    client.close()
                    continue
                meter = socket.create_connection(self._meter)
                self._ends += [client, meter]
                self._start(self._there, client, meter)
                self._start(self._back, meter, client)

    def _there(self, client: socket.socket, meter: socket.socket) -> None:
        seen = b""
        with contextlib.suppress(OSError):
            while chars := client.recv(4096):
                if self.failed.is_set():
                    continue
                seen += chars
                here = self._at in seen
                if not here or self._whole:
                    meter.sendall(chars)
                # A message ends with ETX and its check character.
                if here and b"\x03" in seen[seen.index(self._at) :][:-1]:
                    self.failed.set()
                    if not self._hangs:
                        self._pull()
                        return
        with contextlib.suppress(OSError):
            meter.shutdown(socket.SHUT_RDWR)

    def _back(self, meter: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chars := meter.recv(4096):
                if not self.failed.is_set():
                    client.sendall(chars)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _pull(self) -> None:
        self.failed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
