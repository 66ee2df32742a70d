"""A foreign server of serial ports (pyserial's) on loopback, with a pseudo-terminal as its port."""

from __future__ import annotations

import contextlib
import importlib
import os
import selectors
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import needs
from vtc07.links.address import RFC2217Address

if sys.platform == "win32":
    pytest.skip("the foreign server's port is a pseudo-terminal", allow_module_level=True)
import tty

needs.module("serial")
_Serial: Any = importlib.import_module("serial").Serial
_PortManager: Any = importlib.import_module("serial.rfc2217").PortManager


class RecordedPort(_Serial):  # type: ignore[misc] # pyserial has no types
    """A real port on a pseudo-terminal, which keeps in mind what it was told.

    A pseudo-terminal has no 7E1 and no control lines: what cannot be done there is only noted.
    """

    _bytesize: int
    _parity: str

    def __init__(self, device: str) -> None:
        self.told: list[tuple[str, object]] = []
        super().__init__(device, 9600, timeout=0)

    def _reconfigure_port(self, force_update: bool = False) -> None:
        self.told.append(("format", f"{self._baudrate} {self._bytesize}{self._parity}"))
        real, self._bytesize, self._parity = (self._bytesize, self._parity), 8, "N"
        try:
            super()._reconfigure_port(force_update)
        finally:
            self._bytesize, self._parity = real

    def _update_rts_state(self) -> None:
        self.told.append(("rts", self._rts_state))

    def _update_dtr_state(self) -> None:
        self.told.append(("dtr", self._dtr_state))

    cts = dsr = ri = cd = property(lambda self: False)


class ForeignServer:
    """Serves one connection after the other; `far` is the line behind the port.

    ``device``: a port that is there already; there is no `far` then.
    """

    def __init__(self, device: str | None = None) -> None:
        self.far = -1
        if device is None:
            self.far, near = os.openpty()
            tty.setraw(near)
            self.port = RecordedPort(os.ttyname(near))
            os.close(near)
        else:
            self.port = RecordedPort(device)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = RFC2217Address(*self._listener.getsockname())
        self._wake, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            with selectors.DefaultSelector() as selector:
                selector.register(self._listener, selectors.EVENT_READ)
                selector.register(self._wake, selectors.EVENT_READ)
                ready = {key.fileobj for key, _ in selector.select()}
            if self._wake in ready:
                return
            connection, _ = self._listener.accept()
            with connection:
                if not self._one(connection):
                    return

    def _one(self, connection: socket.socket) -> bool:
        class Writer:
            def write(self, data: bytes) -> None:
                connection.sendall(data)

        manager = _PortManager(self.port, Writer())
        with selectors.DefaultSelector() as selector:
            for what in (connection, self.port, self._wake):
                selector.register(what, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._wake:
                        return False
                    if key.fileobj is connection:
                        try:
                            data = connection.recv(4096)
                        except OSError:
                            return True
                        if not data:
                            return True
                        for each in manager.filter(data):
                            self.port.told.append(("sent", each))  # before anybody can see it
                            self.port.write(each)
                    else:
                        data = self.port.read(4096)
                        connection.sendall(b"".join(manager.escape(data)))

    def close(self) -> None:
        self._waker.close()
        self._thread.join(60)
        for each in (self._listener, self._wake, self.port):
            each.close()
        if self.far >= 0:
            os.close(self.far)


@contextlib.contextmanager
def foreign_server(device: str | None = None) -> Iterator[ForeignServer]:
    """Serve a port until the end of the block."""
    server = ForeignServer(device)
    try:
        yield server
    finally:
        server.close()


def story(port: Any) -> list[object]:
    """Return what the port was told since the last call: formats, levels, and runs of bytes."""
    found: list[object] = []
    for kind, what in port.told:
        if kind == "sent" and found and isinstance(found[-1], bytes):
            found[-1] += what
        else:
            found.append(what if kind in ("format", "sent") else (kind, what))
    port.told.clear()
    return found
