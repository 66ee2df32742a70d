"""A serial port behind a server in the network (RFC 2217), blocking."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from dataclasses import replace

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import RFC2217Address
from vtc07.links.blocking.tcp import TCPLink
from vtc07.links.characters import CharacterCoder
from vtc07.links.clock import MonotonicClock
from vtc07.links.echo import EchoFilter
from vtc07.links.link import LinkLost
from vtc07.links.rfc2217 import (
    ANSWER_LIMIT_NS,
    ECHO_LATENESS_NS,
    SETTLE_NS,
    RemotePort,
    cannot_connect,
)
from vtc07.links.tcp import CONNECT_LIMIT_NS


class RFC2217Link(TCPLink):
    """An open serial port of a server in the network; see `vtc07.links.rfc2217`."""

    def __init__(
        self,
        connection: socket.socket,
        settings: LinkSettings,
        parity: Parity,
        *,
        stretch: int = 1,
    ) -> None:
        super().__init__(connection, parity)
        self._settings = settings
        self._port = RemotePort(settings, parity)
        self._coder = CharacterCoder(parity, marked=self._port.marked)
        self._echo = EchoFilter(
            echoes=settings.echo,
            character_ns=settings.character_ns,
            lateness_ns=ECHO_LATENESS_NS * stretch,
        )
        self._limit_ns = ANSWER_LIMIT_NS * stretch
        self._clock = MonotonicClock()
        self._out_ns = 0  # when the last character will have gone out at the server's port

    @property
    def character_ns(self) -> int:
        """Duration of one character in ns, by the port's speed."""
        return self._settings.character_ns

    @classmethod
    def open(
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
        link: RFC2217Link | None = None
        try:
            connection = socket.create_connection(
                (address.host, address.port), CONNECT_LIMIT_NS * stretch / 1e9
            )
            link = cls(connection, settings, parity, stretch=stretch)
            link._say()
            link._until(lambda: link._port.settled, "the server does not answer")
        except (OSError, LinkLost) as error:
            controlled = link is not None and link._port.controlled
            if link is not None:
                link.close()
            raise cannot_connect(address, error, controlled=controlled) from error
        link._pending = b""  # from before
        return link

    def send(self, chars: bytes) -> None:
        """Hand characters over; LinkLost where the server is gone or takes nothing for 30 s."""
        now = self._clock.now_ns()
        self._echo.sent(chars, now)
        self._out_ns = max(self._out_ns, now) + len(chars) * self.character_ns
        super().send(chars)

    def receive(self, timeout_ns: int | None) -> bytes:
        """Return what has arrived, waiting at most ``timeout_ns``; LinkLost at the end of it.

        Where nothing but our echo, or words of the server itself, arrived: nothing, before the
        time is over.
        """
        return self._echo.heard(super().receive(timeout_ns), self._clock.now_ns())

    def set_speed(self, speed: int) -> None:
        """Go on at ``speed`` Bd once all has gone out; LinkLost where the port does not take it.

        A server changes at once, with what it still has to send: so this end waits.
        """
        self._clock.sleep_until(self._out_ns + SETTLE_NS)
        self._port.set_speed(speed)
        try:
            self._say()
            self._until(lambda: self._port.settled, "the server does not change the speed")
        except OSError as error:
            raise LinkLost(f"the connection broke: {error.strerror or error}") from error
        self._settings = replace(self._settings, speed=speed)
        self._echo.character_ns = self._settings.character_ns

    def _outgoing(self, data: bytes) -> bytes:
        return self._port.outgoing(data)

    def _incoming(self, data: bytes) -> bytes:
        try:
            data = self._port.incoming(data)
            self._say()
        except LinkLost as error:
            self._end = str(error)
        except OSError as error:
            self._end = f"the connection broke: {error.strerror or error}"
        return data

    def _say(self) -> None:
        if words := self._port.to_send():
            self._connection.sendall(words)

    def _until(self, done: Callable[[], bool], otherwise: str) -> None:
        """Take what comes until something holds; LinkLost where it does not in time."""
        end = self._clock.now_ns() + self._limit_ns
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            while not done():
                if self._end is not None:
                    raise LinkLost(self._end)
                left = end - self._clock.now_ns()
                if left <= 0:
                    raise LinkLost(otherwise)
                if selector.select(left / 1e9):
                    self._read()
