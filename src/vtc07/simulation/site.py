"""The place where the head is put on: one of several meters, each with a time of its own."""

from __future__ import annotations

from collections.abc import Callable

from vtc07.carrier.endpoint import SpeedChange
from vtc07.simulation.powered import PoweredMeter


class Site:
    """The server's end of the line, with the meter that is there now.

    Time passes for all meters; characters come and go for the current one only.
    """

    def __init__(self, meter: PoweredMeter) -> None:
        self.current = meter
        self._meters = [meter]
        self._working: PoweredMeter | None = None

    def add(self, meter: PoweredMeter) -> None:
        """Let there be another meter, somewhere else."""
        self._meters.append(meter)

    def put(self, meter: PoweredMeter) -> None:
        """Put the head on another meter; the one before hears nothing any more."""
        self.current = meter

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take characters from the line."""
        self.current.receive(chars, now_ns)

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return the characters of the current meter; what others say is not on this line."""
        for meter in self._meters:
            if meter is not self.current:
                meter.bytes_to_send(now_ns)
                while meter.next_speed_change() is not None:
                    pass
        return self.current.bytes_to_send(now_ns)

    def next_timer(self) -> int | None:
        """Return the instant of the next timer, or None."""
        if len(self._meters) == 1:
            return self.current.next_timer()
        timers = (meter.next_timer() for meter in self._meters)
        return min((timer for timer in timers if timer is not None), default=None)

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due."""
        for meter in self._meters:
            meter.handle_timer(now_ns)

    def connection_lost(self, now_ns: int) -> None:
        """Take notice that the link closed."""
        self.current.connection_lost(now_ns)

    def next_speed_change(self) -> SpeedChange | None:
        """Return the next change of the line's speed at this end, or None."""
        return self.current.next_speed_change()

    def next_work(self) -> Callable[[], None] | None:
        """Return a commit of any meter, or None."""
        for meter in self._meters:
            job = meter.next_work()
            if job is not None:
                self._working = meter
                return job
        return None

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        """Report the end of the commit that was handed out."""
        assert self._working is not None
        self._working.work_done(error, now_ns)
