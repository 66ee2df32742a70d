"""TCP, blocking: a client's link, and a meter's port."""

from __future__ import annotations

import selectors
import socket

from vtc07.carrier.companion import Parity
from vtc07.links.address import TCPAddress
from vtc07.links.characters import CharacterCoder
from vtc07.links.clock import Clock, MonotonicClock
from vtc07.links.link import LinkLost
from vtc07.links.tcp import (
    CONNECT_LIMIT_NS,
    SEND_LIMIT_NS,
    SILENCE_NS,
    bound_address,
    cannot_connect,
    listen,
)

_CHUNK = 4096


class TCPLink:
    """One TCP connection. Nagle's delay is off: a message is small and waited for."""

    def __init__(self, connection: socket.socket, parity: Parity = Parity.NONE) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(SEND_LIMIT_NS / 1e9)
        self._connection = connection
        self._coder = CharacterCoder(parity)
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ)
        self._pending = b""
        self._end: str | None = None  # why nothing more will come

    @property
    def character_ns(self) -> int:
        """0: TCP has no speed."""
        return 0

    @classmethod
    def connect(
        cls,
        address: TCPAddress,
        *,
        parity: Parity = Parity.NONE,
        timeout_ns: int = CONNECT_LIMIT_NS,
    ) -> TCPLink:
        """Connect, or raise LinkUnavailable."""
        try:
            where = (address.host, address.port)
            connection = socket.create_connection(where, timeout_ns / 1e9)
        except OSError as error:
            raise cannot_connect(address, error) from error
        return cls(connection, parity)

    def send(self, chars: bytes) -> None:
        """Send characters; LinkLost where the other side is gone or takes nothing for 30 s."""
        if self._end is not None and not self._pending:
            raise LinkLost(self._end)
        try:
            self._connection.sendall(self._outgoing(self._coder.encode(chars)))
        except OSError as error:
            self._end = _why(error)
            raise LinkLost(self._end) from error

    def receive(self, timeout_ns: int | None) -> bytes:
        """Return what has arrived, waiting at most ``timeout_ns``; LinkLost at the end of it."""
        if not self._pending and self._end is None:
            ready = self._selector.select(None if timeout_ns is None else max(0, timeout_ns) / 1e9)
            self._look({key.fileobj for key, _ in ready})
        if self._pending:
            data, self._pending = self._pending, b""
            return self._coder.decode(data)
        if self._end is not None:
            raise LinkLost(self._end)
        return b""

    def _look(self, ready: set[object]) -> None:
        if self._connection in ready:
            self._read()

    def _read(self) -> bool:
        """Take what is there without waiting; False where there is nothing."""
        self._connection.settimeout(0)
        try:
            data = self._connection.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._end = _why(error)
            return False
        finally:
            self._connection.settimeout(SEND_LIMIT_NS / 1e9)
        if data:
            self._pending += self._incoming(data)
        else:
            self._end = "the other side closed the connection"
        return bool(data)

    def _incoming(self, data: bytes) -> bytes:
        """Return the characters' bytes among the connection's: over bare TCP, all of them."""
        return data

    def _outgoing(self, data: bytes) -> bytes:
        """Return the connection's bytes for the characters'."""
        return data

    def set_speed(self, speed: int) -> None:
        """Do nothing: TCP has no speed."""

    def close(self) -> None:
        """Close. A second call does nothing."""
        if self._connection.fileno() < 0:
            return
        self._selector.close()
        self._end = self._end or "the link is closed"
        self._connection.close()


class _AcceptedLink(TCPLink):
    """A meter's end of a connection: while it waits, it keeps the port a single line."""

    def __init__(
        self,
        connection: socket.socket,
        parity: Parity,
        listener: socket.socket,
        clock: Clock,
        silence_ns: int,
    ) -> None:
        super().__init__(connection, parity)
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ)
        self._clock = clock
        self._silence_ns = silence_ns
        self._heard_ns = clock.now_ns()

    def _look(self, ready: set[object]) -> None:
        if self._connection in ready:
            self._read()
        elif self._listener in ready:
            self._second()

    def _read(self) -> bool:
        arrived = super()._read()
        if arrived:
            self._heard_ns = self._clock.now_ns()
        return arrived

    def _second(self) -> None:
        """Judge a second connection: turned away, unless this one has ended or gives way."""
        while self._read():
            pass
        if self._end is not None:
            return  # the second waits in the listener's queue and is the next to be accepted
        if self._clock.now_ns() - self._heard_ns >= self._silence_ns:
            self._end = "the connection was silent for too long and gave way to another"
            return
        try:
            second, _ = self._listener.accept()
        except OSError:
            return  # it has gone again
        second.close()


class TCPPort:
    """A meter's TCP port: one line. Binds to loopback unless ``allow_remote``.

    A second connection is closed at once; but the end of the first is looked for before that, and
    a first one from which nothing came for ``silence_ns`` is closed in favour of the second
    (docs/protocol.md 3). LinkUnavailable where the port cannot be opened. Port 0 takes any free
    one; see `address`.
    """

    character_ns = 0

    def __init__(
        self,
        address: TCPAddress,
        *,
        parity: Parity = Parity.NONE,
        allow_remote: bool = False,
        silence_ns: int = SILENCE_NS,
        clock: Clock | None = None,
    ) -> None:
        self._listener = listen(address, allow_remote=allow_remote)
        #: where the port listens
        self.address = bound_address(self._listener)
        self._parity = parity
        self._silence_ns = silence_ns
        self._clock: Clock = clock if clock is not None else MonotonicClock()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._link: _AcceptedLink | None = None

    def accept(self, timeout_ns: int | None) -> TCPLink | None:
        """Wait for the next connection; None where none came in time.

        To be called when the link before has ended; it is closed here at the latest.
        """
        if self._link is not None:
            self._link.close()
            self._link = None
        if not self._selector.select(None if timeout_ns is None else max(0, timeout_ns) / 1e9):
            return None
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return None  # it has gone again
        self._link = _AcceptedLink(
            connection, self._parity, self._listener, self._clock, self._silence_ns
        )
        return self._link

    def close(self) -> None:
        """Close the port and its connection. A second call does nothing.

        The port goes first: whoever notices the end of the connection finds no port any more.
        """
        if self._listener.fileno() >= 0:
            self._selector.close()
            self._listener.close()
        if self._link is not None:
            self._link.close()


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "the other side takes nothing any more"
    return f"the connection broke: {error.strerror or error}"
