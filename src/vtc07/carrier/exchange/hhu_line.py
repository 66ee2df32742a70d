"""A hand-held unit's use of its line: when it may speak, at which speed, how long it waits.

It never speaks into a line that was not quiet for the reaction time (IEC 62056-21 6.4), and not
even a line that babbles for ever holds it beyond the time of the longest message.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from vtc07.carrier.companion import S, Timing
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.exchange.settings import START_SPEED

#: How long noise alone, of which no message begins, keeps a unit waiting (our choice). A broken
#: loop is one endless run of NULs.
LONGEST_NOISE_NS: Final = 300 * S


class HHULine:
    """The turn of one unit on its line.

    ``paced``: characters take time on this path. ``longest``: characters of the longest message
    that is awaited. All instants are ns of the clock that the callers pass in.
    """

    def __init__(self, timing: Timing, *, paced: bool, longest: int) -> None:
        self._timing = timing
        self._paced = paced
        self._longest = longest
        self.reaction_ns = timing.reaction_ns
        self.speed = START_SPEED
        self._told: int | None = None  # the speed that the link was told last; None: a new link
        self._changes: deque[SpeedChange] = deque()
        self.outgoing = b""
        self.due_ns = 0
        self._due_limit_ns = 0  # noise cannot put off sending beyond this
        self._quiet_from_ns: int | None = None  # the last character on the line, either way
        self.sent_ns = 0  # the last character of our latest message
        self.heard_ns: int | None = None  # the last character since then

    # --- speed ---------------------------------------------------------------------------------

    @property
    def pace_ns(self) -> int:
        """Duration of one character at the meter's end, whether this path shows it or not."""
        return -(-10 * S // self.speed)

    @property
    def character_ns(self) -> int:
        """Duration of one character of 10 bits here, rounded up; 0 where not paced."""
        return self.pace_ns if self._paced else 0

    def change_speed(self, speed: int) -> None:
        """Go on at this speed; the link is told where it does not have it."""
        self.speed = speed
        if self._told != speed:
            self._told = speed
            self._changes.append(SpeedChange(speed))

    def next_change(self) -> SpeedChange | None:
        """Return the next change that the link is to be told."""
        return self._changes.popleft() if self._changes else None

    def new_link(self) -> None:
        """Begin on a link of which nothing is known."""
        self.outgoing = b""
        self._told = None
        self._changes.clear()

    # --- speaking ------------------------------------------------------------------------------

    def schedule(self, chars: bytes, now_ns: int) -> None:
        """Have characters go out as soon as the line was quiet for the reaction time."""
        self.outgoing = chars
        self.due_ns = now_ns
        if self._quiet_from_ns is not None:
            self.due_ns = max(now_ns, self._quiet_from_ns + self.reaction_ns)
        self._due_limit_ns = self.due_ns + self._noise_wait()

    def postpone(self, quiet_ns: int, now_ns: int) -> None:
        """Let them wait until the line has been quiet for so long."""
        quiet_from_ns = now_ns if self._quiet_from_ns is None else self._quiet_from_ns
        self.put_off(quiet_from_ns + quiet_ns)

    def put_off(self, until_ns: int) -> None:
        """Let them wait until an instant."""
        self.due_ns = max(self.due_ns, until_ns)
        self._due_limit_ns = self.due_ns + self._noise_wait()

    def disturbed(self, now_ns: int) -> None:
        """Let them wait for the end of what is heard, within limits."""
        quiet_ns = now_ns + self.reaction_ns
        self.due_ns = max(self.due_ns, min(quiet_ns, self._due_limit_ns))

    def take(self, now_ns: int) -> bytes:
        """Return what goes out now."""
        if not self.outgoing or now_ns < self.due_ns:
            return b""
        chars, self.outgoing = self.outgoing, b""
        self.sent_ns = now_ns + len(chars) * self.character_ns
        self.heed(self.sent_ns)
        self.heard_ns = None
        return chars

    def heed(self, until_ns: int) -> None:
        """Take notice that the line is in use up to an instant."""
        self._quiet_from_ns = max(self._quiet_from_ns or 0, until_ns)

    # --- waiting -------------------------------------------------------------------------------

    def deadline(self, *, in_message: bool) -> int:
        """Return the instant at which the wait for an answer is over.

        Not before ``repeat_ns`` after our own last character; the first character of an answer
        ends that wait, and the message then has its own limit between characters.
        """
        silence = self.sent_ns + self._timing.repeat_ns
        if self.heard_ns is None:
            return silence
        if in_message:
            return min(self.heard_ns + self._timing.inter_character_ns, self.patience())
        quiet = self.heard_ns + self.reaction_ns
        return min(max(silence, quiet), self.sent_ns + self._noise_wait())

    def patience(self) -> int:
        """Return the end of the wait, whatever is heard."""
        return self.sent_ns + self.longest_wait()

    def longest_wait(self) -> int:
        """Return the time of the slowest answer: late, longest, and stopping short."""
        timing = self._timing
        return timing.repeat_ns + self._longest * self.pace_ns + timing.inter_character_ns

    def _noise_wait(self) -> int:
        return min(self.longest_wait(), max(LONGEST_NOISE_NS, self._timing.repeat_ns))
