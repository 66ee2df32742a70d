"""What passes on the line, as lines to be read: the message, explained, with its time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vtc07.carrier.companion import Companion
from vtc07.trace.message import TraceMessage, TraceSpeed
from vtc07.trace.rendering import Annotation, annotate, annotate_speed


@dataclass(frozen=True, slots=True)
class Passed:
    """A message, or a change of speed, as it passed. ``companion``: whose words explain it."""

    what: TraceMessage | TraceSpeed
    companion: Companion | None
    time: datetime

    @property
    def annotation(self) -> Annotation:
        """What it says."""
        if isinstance(self.what, TraceSpeed):
            return annotate_speed(self.what)
        return annotate(self.what, self.companion)

    @property
    def clock(self) -> str:
        """The time of day, to the millisecond."""
        return f"{self.time:%H:%M:%S}.{self.time.microsecond // 1000:03d}"

    def lines(self) -> tuple[str, ...]:
        """Return it as lines; the first begins with the time of day, to the millisecond."""
        first, *more = self.annotation.lines()
        indent = " " * (len(self.clock) + 3)
        return (f"{self.clock} {first}", *(indent + line for line in more))
