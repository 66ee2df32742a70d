"""The interface of a link, its errors, and what a driver needs of a client core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, Protocol

from vtc07.carrier.endpoint import Endpoint

#: Which end sent a character.
Sender = Literal["client", "server"]

#: Told of characters as one end of a link sends or receives them: sender, characters (7-bit, FF
#: for a damaged one), and when the last of them was handed over, in ns of the driver's clock.
Observer = Callable[[Sender, bytes, int], None]

#: Told when one end of a link has gone on at another speed: which end, the speed in Bd, and when,
#: in ns of the driver's clock. What was observed before it went out at the speed before.
SpeedObserver = Callable[[Sender, int, int], None]


#: A port that went away is looked for so often, in ns.
AGAIN_NS: Final = 500_000_000


class LinkUnavailable(Exception):
    """A link cannot be opened. The message says what, at which address, and what to do."""


class LinkLost(Exception):
    """An open link has ended: the other side closed it, or the port is gone."""


class Link(Protocol):
    """One open line of 7-bit characters, blocking.

    Characters received are 7-bit, with FF in place of one that was damaged; none is left out.
    """

    @property
    def character_ns(self) -> int:
        """Duration of one character in ns; 0 where the link has no speed of its own."""

    def send(self, chars: bytes) -> None:
        """Hand characters over for sending; LinkLost where that is no longer possible."""

    def receive(self, timeout_ns: int | None) -> bytes:
        """Return what has arrived, or wait for something, at most ``timeout_ns`` (None: for ever).

        Nothing in time: empty. LinkLost where the link has ended and all of it has been read.
        """

    def set_speed(self, speed: int) -> None:
        """Go on at ``speed`` Bd once all that was handed over has gone out.

        Nothing happens where the link has no speed of its own. LinkLost where the port is gone or
        does not take this speed.
        """

    def close(self) -> None:
        """Close. A second call does nothing."""


class AsyncLink(Protocol):
    """One open line of 7-bit characters, for asyncio; else as `Link`.

    `receive` may be cancelled at any time without losing a character.
    """

    @property
    def character_ns(self) -> int:
        """Duration of one character in ns; 0 where the link has no speed of its own."""

    async def send(self, chars: bytes) -> None:
        """Hand characters over for sending; LinkLost where that is no longer possible."""

    async def receive(self, timeout_ns: int | None) -> bytes:
        """Return what has arrived, or wait for it; empty where nothing came in time."""

    async def set_speed(self, speed: int) -> None:
        """Go on at ``speed`` Bd once all that was handed over has gone out; else as `Link`."""

    async def close(self) -> None:
        """Close. A second call does nothing."""


class Port(Protocol):
    """A meter's port, blocking: one line, on which one link at a time comes and goes."""

    @property
    def character_ns(self) -> int:
        """Duration of one character in ns; 0 where the link has no speed of its own."""

    def accept(self, timeout_ns: int | None) -> Link | None:
        """Wait for the next link; None where none came in time.

        LinkUnavailable where none will ever come.
        """

    def close(self) -> None:
        """Close the port, and the link that is open on it."""


class AsyncPort(Protocol):
    """A meter's port for asyncio; else as `Port`. `accept` may be cancelled at any time."""

    @property
    def character_ns(self) -> int:
        """Duration of one character in ns; 0 where the link has no speed of its own."""

    async def accept(self, timeout_ns: int | None) -> AsyncLink | None:
        """Wait for the next link; None where none came in time."""

    async def close(self) -> None:
        """Close the port, and the link that is open on it."""


class ClientEndpoint(Endpoint, Protocol):
    """The face of the client core: a command goes in, its one final event comes out.

    Which commands and events these are is between the core and the procedure; drivers only hand
    them on.
    """

    def start(self, command: Any, now_ns: int) -> None:
        """Begin a command; none may be running."""

    def next_event(self) -> Any:
        """Return the next event, or None."""


class RaisedForProcedure(Exception):
    """Carries what an effect raised (`Durably`, a command that cannot be said) to its procedure.

    Only drivers see it.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
