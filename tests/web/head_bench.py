"""An optical head between a unit and a meter on a pty: it holds the line, and can be pulled off."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

from cli_bench import FAST
from web_bench import GUARD_S, meter


class Head:
    """What passes between a pty that a unit opens at ``address``, and the one of a meter.

    Nothing passes while it is held, and everything that came meanwhile when it is released; pulled
    off, it is gone for the unit and the meter, until it is plugged in again.
    """

    def __init__(self, meter_path: str, path: Path) -> None:
        self._meter_path = meter_path
        self._path = path
        self.address = f"pty:{path}"
        self._at = b""
        self._whole = False
        self._held = threading.Event()
        self._passing: threading.Thread | None = None
        self._seen = b""
        self.plug()

    def plug(self) -> None:
        """Put it on the meter."""
        self._held.clear()
        self._at, self._seen = b"", b""
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self._meter = os.open(self._meter_path, os.O_RDWR | os.O_NOCTTY)
        self._woken, self._wake = socket.socketpair()
        self._path.symlink_to(os.ttyname(self._theirs))
        self._passing = threading.Thread(target=self._pass)
        self._passing.start()

    def pull(self) -> None:
        """Take it off: the unit's port is gone, and the meter hears nobody any more."""
        if self._passing is None:
            return
        self._path.unlink()
        self._wake.send(b"e")
        self._passing.join(GUARD_S)
        assert not self._passing.is_alive()
        self._passing = None
        for end in (self._ours, self._theirs, self._meter):
            os.close(end)
        self._wake.close()
        self._woken.close()

    def hold_at(self, chars: bytes, *, whole: bool = False) -> None:
        """Hold the line once the unit has sent these characters; ``whole``: behind their message.

        Otherwise the meter gets nothing of what they came with.
        """
        self._at, self._whole, self._seen = chars, whole, b""

    def wait(self) -> None:
        """Wait until it is held."""
        assert self._held.wait(GUARD_S), f"never sent: {self._at!r}"

    def release(self) -> None:
        """Let pass what was held, and what comes."""
        self._at = b""
        self._held.clear()
        self._wake.send(b"r")

    def _pass(self) -> None:
        pending = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for end in (self._ours, self._meter):
                selector.register(end, selectors.EVENT_READ)
            held = False
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        if self._woken.recv(1) == b"e":
                            return
                        os.write(self._meter, pending)
                        pending = b""
                        for end in (self._ours, self._meter) if held else ():
                            selector.register(end, selectors.EVENT_READ)
                        held = False
                    elif held:
                        continue
                    elif key.fileobj == self._meter:
                        os.write(self._ours, os.read(self._meter, 4096))
                    else:
                        chars = os.read(self._ours, 4096)
                        if self._reached(chars) and not self._whole:
                            pending = chars
                        else:
                            os.write(self._meter, chars)
                        if self._held.is_set():
                            held = True
                            for end in (self._ours, self._meter):
                                selector.unregister(end)

    def _reached(self, chars: bytes) -> bool:
        if not self._at:
            return False
        self._seen += chars
        _, found, behind = self._seen.partition(self._at)
        # A message ends with ETX and its check character.
        if found and (not self._whole or b"\x03" in behind[:-1]):
            self._held.set()
            return True
        return False


@contextlib.contextmanager
def head_on_a_meter(
    folder: Path, *options: str, name: str = "m", companion: str = FAST
) -> Iterator[Head]:
    """Serve a new meter at a pty, with a head on it. ``options``: of ``meter new``."""
    served = folder / f"{name}.pty"
    with meter(folder, *options, name=name, listen=f"pty:{served}", companion=companion):
        head = Head(str(served), folder / f"{name}.head")
        try:
            yield head
        finally:
            head.pull()
