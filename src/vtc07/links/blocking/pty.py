"""Pseudo-terminals, blocking: a client's link, and a meter's port."""

from __future__ import annotations

import contextlib
import select
import time

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import PtyAddress
from vtc07.links.link import LinkLost, LinkUnavailable
from vtc07.links.pty import LOOK_NS, OpenPty, ServedPty, open_client, parity_of
from vtc07.links.tcp import SEND_LIMIT_NS


class PtyLink(OpenPty):
    """One side of a pseudo-terminal. ``own``: the file is closed with the link."""

    @classmethod
    def open(
        cls, address: PtyAddress, settings: LinkSettings, *, parity: Parity | None = None
    ) -> PtyLink:
        """Open the clients' side.

        LinkUnavailable: nobody serves it, in use, 7E1 asked for, no such thing on this system.
        """
        parity = parity_of(address, settings, parity)
        return cls(open_client(address, settings.speed), settings, parity, own=True)

    def send(self, chars: bytes) -> None:
        """Send characters; LinkLost where the other side is gone or takes nothing for 30 s."""
        data = self._to_send(chars)
        while data:
            if not select.select([], [self._fileno], [], SEND_LIMIT_NS / 1e9)[1]:
                raise LinkLost("the other side takes nothing any more")
            with contextlib.suppress(BlockingIOError):  # the room was gone again: look anew
                data = self._write(data)

    def receive(self, timeout_ns: int | None) -> bytes:
        """Return what has arrived, waiting at most ``timeout_ns``; LinkLost at the end of it.

        Where nothing but our echo has arrived: nothing, before the time is over.
        """
        self._check_open()
        timeout = None if timeout_ns is None else max(0, timeout_ns) / 1e9
        if not select.select([self._fileno], [], [], timeout)[0]:
            return b""
        return self._read()

    def set_speed(self, speed: int) -> None:
        """Note the speed in the settings, for whoever looks there; nothing is paced by it."""
        self._note_speed(speed)

    def close(self) -> None:
        """Close. A second call does nothing."""
        self._shut()


class PtyPort:
    """A meter's port at a pseudo-terminal that is made here; clients may come and go.

    LinkUnavailable: see `vtc07.links.pty.ServedPty`; or 7E1 was asked for.
    """

    def __init__(
        self, address: PtyAddress, settings: LinkSettings, *, parity: Parity | None = None
    ) -> None:
        self._settings = settings
        self._parity = parity_of(address, settings, parity)
        self._served = ServedPty(address, settings.speed)
        self._link: PtyLink | None = None

    @property
    def character_ns(self) -> int:
        """0: a pseudo-terminal paces nothing."""
        return 0

    def accept(self, timeout_ns: int | None) -> PtyLink | None:
        """Wait until a client has opened the other side; None where none did in time."""
        if self._served.fileno < 0:
            raise LinkUnavailable("the port is closed")
        if self._link is not None:
            self._link.close()
            self._link = None
            if not self._served.has_client():
                self._served.hang_up()
        end = None if timeout_ns is None else time.monotonic_ns() + timeout_ns
        while not self._served.has_client():
            left = LOOK_NS if end is None else min(LOOK_NS, end - time.monotonic_ns())
            if left <= 0:
                return None
            time.sleep(left / 1e9)
        self._link = PtyLink(self._served.fileno, self._settings, self._parity, own=False)
        return self._link

    def close(self) -> None:
        """Close, and remove the link at the path. A second call does nothing."""
        if self._link is not None:
            self._link.close()
        self._served.close()
