"""A simulated line between two pseudo-terminals, in real time. POSIX systems only.

What happens on the line is `SimulatedLine`'s affair, on a clock of its own that is brought up to
the real one again and again. So every character comes out when its last bit would, at most a
moment late, and lateness adds up to nothing.
"""

from __future__ import annotations

import contextlib
import selectors
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from vtc07.links.clock import Clock, MonotonicClock, VirtualClock
from vtc07.links.noise import Noise
from vtc07.links.pty_end import PtyEnd
from vtc07.links.simulated import LineObserver, SimulatedLine
from vtc07.links.waveform import EIGHT_BITS, EIGHT_BITS_WITH_PARITY

S: Final = 1_000_000_000
#: How soon a new speed of a program, an opening of its end, and `PtyLine.stop` are noticed.
LONGEST_WAIT_NS: Final = 10_000_000
#: So many characters an end takes in advance; a program that says more has to wait.
_MOST_QUEUED: Final = 4096


@dataclass(frozen=True, slots=True)
class LineOptions:
    """What a line between two programs is like; else as `SimulatedLine` says.

    ``speed``: of both ends in Bd, to begin with. ``follow_speeds``: whether an end goes on at the
    speed that its program sets. ``software_parity``: the programs have even parity in bit 7, and a
    damaged character arrives with a wrong one; without it, as whatever was read.
    ``cut_after_ns``: take the head off so long after the first character; ``plug_after_ns``: put it
    on again so long after that.
    """

    speed: int = 300
    follow_speeds: bool = True
    software_parity: bool = False
    echo_a: bool = False
    echo_b: bool = False
    noise: Noise | None = None
    collisions: bool = False
    cut_after_ns: int | None = None
    plug_after_ns: int | None = None


class PtyLine:
    """A line whose ends are pseudo-terminals at two paths; end a is the line's client.

    OSError where a path cannot be made. ``told``: gets a sentence when the line is cut and plugged.
    A context manager: `close` at the end.
    """

    def __init__(
        self,
        paths: tuple[Path, Path],
        options: LineOptions,
        *,
        clock: Clock | None = None,
        observers: Iterable[LineObserver] = (),
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._clock: Clock = clock if clock is not None else MonotonicClock()
        self._options = options
        self._told = told
        self._stopped = False
        self._spoken = False
        self._resources = contextlib.ExitStack()
        with contextlib.ExitStack() as made:
            self.ends = tuple(
                made.enter_context(contextlib.closing(self._end(path))) for path in paths
            )
            self._selector = made.enter_context(selectors.SelectSelector())
            self._resources = made.pop_all()
        format_ = EIGHT_BITS_WITH_PARITY if options.software_parity else EIGHT_BITS
        #: the line itself, to be acted on from this thread only
        self.line = SimulatedLine(
            *self.ends,
            speed=options.speed,
            client_format=format_,
            server_format=format_,
            clock=VirtualClock(self._clock.now_ns()),
            observers=observers,
            echo=options.echo_a,
            server_echo=options.echo_b,
            noise=options.noise,
            collisions=options.collisions,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take both ends away. A second call does nothing."""
        self._resources.close()

    def stop(self) -> None:
        """Have `serve` return soon. May be called from any thread, or a signal."""
        self._stopped = True

    def serve(self) -> None:
        """Be the line until `stop`."""
        while not self._stopped:
            self.turn()

    def turn(self) -> None:
        """Catch up with the clock, take what the programs said, and wait for what comes next."""
        now = self._clock.now_ns()
        self.line.idle(max(0, now - self.line.now_ns))
        spoken = [end.look() for end in self.ends if self._takes_more(end)]
        if any(spoken) and not self._spoken:
            self._spoken = True
            self._begin()
        self.line.idle(0)
        due = self.line.next_ns
        wait = LONGEST_WAIT_NS if due is None else min(LONGEST_WAIT_NS, due - self._clock.now_ns())
        self._listen()
        self._selector.select(max(0, wait) / S)

    def _end(self, path: Path) -> PtyEnd:
        return PtyEnd(path, self._options.speed, follow=self._options.follow_speeds)

    def _takes_more(self, end: PtyEnd) -> bool:
        return self.line.queued("client" if end is self.ends[0] else "server") < _MOST_QUEUED

    def _listen(self) -> None:
        """Wait for those ends that a program has open, and that may say more."""
        wanted = {end.fileno() for end in self.ends if end.present and self._takes_more(end)}
        listened = set(self._selector.get_map())
        for descriptor in listened - wanted:
            self._selector.unregister(descriptor)
        for descriptor in wanted - listened:
            self._selector.register(descriptor, selectors.EVENT_READ)

    def _begin(self) -> None:
        """Put the cut on the line's agenda, with the first character."""
        if (after := self._options.cut_after_ns) is not None:
            self.line.schedule(self.line.now_ns + after, self._cut)

    def _cut(self) -> None:
        self.line.unplug()
        self._told("the line is cut")
        if (after := self._options.plug_after_ns) is not None:
            self.line.schedule(self.line.now_ns + after, self._plug)

    def _plug(self) -> None:
        self.line.plug()
        self._told("the line is plugged again")
