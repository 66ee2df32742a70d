"""An end of a simulated line that somebody else moves: a program, or another thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.events import ClientEvent, Command


class ForeignEnd:
    """The face of an endpoint whose commands and timers are not the line's affair.

    ``name``: of the end, for people. What it says and the speeds it goes on at are put into
    `seen`, in their order, by whoever looks; the line takes them from there. It serves at either
    end of a `vtc07.links.simulated.SimulatedLine`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.seen: deque[bytes | SpeedChange] = deque()

    def bytes_to_send(self, now_ns: int) -> bytes:  # noqa: ARG002 - an endpoint's face
        """Return what was said, up to the next change of speed."""
        if self.seen and isinstance(self.seen[0], bytes):
            chars = self.seen.popleft()
            assert isinstance(chars, bytes)
            return chars
        return b""

    def next_speed_change(self) -> SpeedChange | None:
        """Return the next change of speed, where it comes before anything that was said."""
        if self.seen and isinstance(self.seen[0], SpeedChange):
            change = self.seen.popleft()
            assert isinstance(change, SpeedChange)
            return change
        return None

    def next_timer(self) -> int | None:
        """Return None: whoever moves it has timers of their own."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Do nothing."""

    def connection_lost(self, now_ns: int) -> None:
        """Do nothing: only whoever moves it opens and closes."""

    def start(self, command: Command, now_ns: int) -> None:  # noqa: ARG002 - an endpoint's face
        """Refuse: commands are given elsewhere."""
        raise ValueError(f"{self._name} is moved from elsewhere: it takes no {command}")

    def next_event(self) -> ClientEvent | None:
        """Return None."""
        return None

    def next_work(self) -> Callable[[], None] | None:
        """Return None."""
        return None

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        """Do nothing."""
