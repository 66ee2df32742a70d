"""What may become of a character on a simulated line, and who decides it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vtc07.links.link import Sender

#: What a fault may return besides the character that arrives (`DAMAGED` among them).
DROPPED = -1
UNPLUGGED = -2
LINK_LOST = -3


@dataclass(frozen=True, slots=True)
class Held:
    """A fault's verdict: the character, and all behind it, come later by ``duration_ns``."""

    duration_ns: int


#: What a fault makes of a character: the one that arrives in its place, `DAMAGED` or one of the
#: numbers above; several that arrive at the same instant (a doubled one, noise); or `Held`.
Verdict = int | bytes | Held

#: Decides what becomes of one character: sender, character, its place among all that this sender
#: ever sent on the line (from 0), and the instant of its end. Returns the character that arrives:
#: the same, a changed one, `DAMAGED`, or `DROPPED`; or `UNPLUGGED` or `LINK_LOST`, which take the
#: character and do what `SimulatedLine.unplug` or `SimulatedLine.lose` does; or one of the other
#: verdicts. A character that was held is not asked about again.
Fault = Callable[[Sender, int, int, int], Verdict]

#: Tells a line which characters its fault wants to see: given a sender and a place, the first place
#: from there on, or None for no more.
FaultPlaces = Callable[[Sender, int], int | None]

#: What becomes of a character that an echo returns to its sender: sender, character, its place
#: among all that were returned to it (from 0), and the instant. Returns what comes back: the same,
#: another one, `DAMAGED`, `DROPPED`, or several.
EchoFault = Callable[[Sender, int, int, int], int | bytes]

#: Told of every character at its end: sender, as sent, as it arrived (`DAMAGED`, or `DROPPED`
#: where it did not), instant in ns. What arrives without having been sent is told as noise would.
LineObserver = Callable[[Sender, int, int, int], None]
