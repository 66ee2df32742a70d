"""The one face that a driver turns, and the effects that a procedure asks a driver for.

Nothing here does anything: these are the agreements between cores and the drivers in
`vtc07.links`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from vtc07.carrier.events import ClientEvent, Command

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SpeedChange:
    """From here on this end sends and hears at ``speed`` Bd; what it sent before goes out first."""

    speed: int


class Endpoint(Protocol):
    """One end of a line, without I/O. Times are integer ns of any monotonic clock.

    `receive` takes 7-bit characters, FF for a damaged one, timed by the last of them.
    `bytes_to_send` gives what may be sent now, each character once. `next_timer` says when
    `handle_timer` wants to be called; a call that is early or late does no harm.

    `next_speed_change` is asked after every other call until it gives None: a change stands
    between the characters before that call and those after it.
    """

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take characters from the line."""

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return the characters to be sent from now on."""

    def next_timer(self) -> int | None:
        """Return the instant of the next timer, or None."""

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due."""

    def connection_lost(self, now_ns: int) -> None:
        """Take notice that the link closed."""

    def next_speed_change(self) -> SpeedChange | None:
        """Return the next change of the line's speed at this end, or None."""


class ServerEndpoint(Endpoint, Protocol):
    """A server with its host behind it: what `vtc07.links` serves.

    Durable work is handed out, so that an asyncio driver can do it off its loop: after every call
    of the face the driver asks `next_work`; a job is run once, anywhere, and its end is reported
    by `work_done` before the next job is asked for.
    """

    def next_work(self) -> Callable[[], None] | None:
        """Return a blocking job to run, or None; at most one is out at a time."""

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        """Report the end of the job that was handed out."""


# --- procedures ---------------------------------------------------------------------------------
# A procedure is a generator that yields effects and is sent their outcomes. The same procedure
# runs on the blocking driver, on the asyncio driver and in a simulation.


@dataclass(frozen=True, slots=True)
class Perform:
    """Carry out a client command; the outcome is its final event."""

    command: Command


@dataclass(frozen=True, slots=True)
class Wait:
    """Let this much time pass, in ns; no outcome."""

    duration_ns: int


@dataclass(frozen=True, slots=True)
class Reopen:
    """Close the link and open it again; the outcome is True where that worked."""


@dataclass(frozen=True, slots=True)
class Durably:
    """Run blocking work (a journal's write); the outcome is what it returns, or it raises."""

    action: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Now:
    """Ask for the driver's clock; the outcome is ns."""


Effect = Perform | Wait | Reopen | Durably | Now
Procedure = Generator[Effect, Any, T]


def perform(command: Command) -> Procedure[ClientEvent]:
    """Yield one command and return its final event, typed."""
    return cast("ClientEvent", (yield Perform(command)))


def wait(duration_ns: int) -> Procedure[None]:
    """Let time pass."""
    yield Wait(duration_ns)


def reopen() -> Procedure[bool]:
    """Close and open the link; True where that worked."""
    return bool((yield Reopen()))


def durably(action: Callable[[], T]) -> Procedure[T]:
    """Run blocking work off the clock's thread and return its result."""
    return cast("T", (yield Durably(action)))


def now() -> Procedure[int]:
    """Return the driver's clock in ns."""
    return cast("int", (yield Now()))
