"""The client's end of a simulated line inside this program, and the link that is opened there.

Whoever makes such a line turns it in a thread of its own and gives it an `InnerEnd` as its client;
from then on any other thread opens ``inner:NAME`` as it would open a serial port. A character is
heard when its last bit has come, at the speed of the end.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from vtc07.carrier.companion import LinkSettings
from vtc07.carrier.endpoint import SpeedChange
from vtc07.links.address import InnerAddress
from vtc07.links.foreign_end import ForeignEnd
from vtc07.links.lane import BITS_NS
from vtc07.links.link import LinkLost, LinkUnavailable


class InnerEnd(ForeignEnd):
    """The client's endpoint of a `SimulatedLine` that one link at a time is opened at.

    It has its name from here to `close`; ValueError where another one has it. ``changed``: called
    in the link's thread, with nothing held, when the link was opened or closed, or said something.

    The thread that turns the line calls `look` and, as the line does, the endpoint's face; what a
    link says shows there after `look` alone. Everything else may be called in any thread. While no
    link is open, what arrives is lost, as at a serial port.
    """

    def __init__(self, name: str, changed: Callable[[], None]) -> None:
        self.address = InnerAddress(name)
        super().__init__(str(self.address))
        self._changed = changed
        self._guard = threading.Condition()
        self._link: InnerLink | None = None
        self._closed = False
        self._heard = bytearray()
        self._said: deque[bytes | SpeedChange] = deque()
        with _ENDS_GUARD:
            if name in _ENDS:
                raise ValueError(f"there is an end {self.address} already")
            _ENDS[name] = self

    def close(self) -> None:
        """Take the end away, and its name; a link that is open is lost. A second call is idle."""
        with _ENDS_GUARD:
            if _ENDS.get(self.address.name) is self:
                del _ENDS[self.address.name]
        with self._guard:
            self._closed = True
            self._link = None
            self._guard.notify_all()

    @property
    def in_use(self) -> bool:
        """Whether a link is open."""
        return self._link is not None

    def look(self) -> bool:
        """Take what the link has said since the last time; True where it said something."""
        with self._guard:
            found = bool(self._said)
            self.seen += self._said
            self._said.clear()
        return found

    # --- the link's side --------------------------------------------------------------------------

    def open(self, settings: LinkSettings) -> InnerLink:
        """Open the link; LinkUnavailable where another one is open."""
        with self._guard:
            if self._closed:
                raise _no_such_line(self.address)
            if self._link is not None:
                raise LinkUnavailable(
                    f"cannot open {self.address}: it is open already; close that first"
                )
            link = self._link = InnerLink(self, settings.speed)
            self._heard.clear()
            self._said.append(SpeedChange(settings.speed))
        self._changed()
        return link

    def say(self, link: InnerLink, what: bytes | SpeedChange) -> None:
        """Hand something over; LinkLost where the link is not open any more."""
        with self._guard:
            self._require(link)
            self._said.append(what)
        self._changed()

    def hear(self, link: InnerLink, timeout_ns: int | None) -> bytes:
        """Return what has arrived, waiting at most ``timeout_ns``; LinkLost at the end of it."""
        timeout = None if timeout_ns is None else max(0, timeout_ns) / 1e9
        with self._guard:
            self._guard.wait_for(lambda: self._heard or self._link is not link, timeout)
            self._require(link)
            chars = bytes(self._heard)
            self._heard.clear()
            return chars

    def leave(self, link: InnerLink) -> None:
        """Close the link. What it said before still goes out."""
        with self._guard:
            if self._link is not link:
                return
            self._link = None
            self._guard.notify_all()
        self._changed()

    def _require(self, link: InnerLink) -> None:
        if self._link is not link:
            raise LinkLost(f"the line {self.address} is closed")

    # --- an endpoint's face -----------------------------------------------------------------------

    def receive(self, chars: bytes, now_ns: int) -> None:  # noqa: ARG002 - an endpoint's face
        """Hand characters to the link."""
        with self._guard:
            if self._link is not None:
                self._heard += chars
                self._guard.notify_all()


class InnerLink:
    """A link to a line inside this program, blocking (`vtc07.links.link.Link`)."""

    def __init__(self, end: InnerEnd, speed: int) -> None:
        self._end = end
        self._speed = speed

    @property
    def character_ns(self) -> int:
        """Duration of one character in ns, rounded up."""
        return -(-BITS_NS // self._speed)

    def send(self, chars: bytes) -> None:
        """Hand characters over; LinkLost where the line is closed."""
        self._end.say(self, bytes(chars))

    def receive(self, timeout_ns: int | None) -> bytes:
        """Return what has arrived, waiting at most ``timeout_ns``; LinkLost at the end of it."""
        return self._end.hear(self, timeout_ns)

    def set_speed(self, speed: int) -> None:
        """Go on at ``speed`` Bd once all that was handed over has gone out."""
        self._end.say(self, SpeedChange(speed))
        self._speed = speed

    def close(self) -> None:
        """Close. A second call does nothing."""
        self._end.leave(self)


_ENDS: Final[dict[str, InnerEnd]] = {}
_ENDS_GUARD: Final = threading.Lock()


def open_inner(address: InnerAddress, settings: LinkSettings) -> InnerLink:
    """Open a link at the end of this name; LinkUnavailable where there is none, or it is in use."""
    with _ENDS_GUARD:
        end = _ENDS.get(address.name)
    if end is None:
        raise _no_such_line(address)
    return end.open(settings)


def for_threads_alone(address: InnerAddress) -> LinkUnavailable:
    """Build the error of an opening for asyncio."""
    return LinkUnavailable(f"cannot open {address}: a line inside a program is for threads alone")


def no_port_inside(address: InnerAddress) -> LinkUnavailable:
    """Build the error of a port for other meters than the line's own."""
    return LinkUnavailable(f"cannot serve at {address}: a line inside a program has its own meter")


def _no_such_line(address: InnerAddress) -> LinkUnavailable:
    return LinkUnavailable(
        f"cannot open {address}: this program has no such line inside; vtc07 web --bench has"
    )
