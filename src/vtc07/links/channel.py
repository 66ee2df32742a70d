"""The way between two ends: what is under way, what becomes of it, and when it is there.

Who the ends are is not known here, but to `SimulatedLine`, which is this with two endpoints.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.grammar import DAMAGED
from vtc07.links.clock import Clock, VirtualClock
from vtc07.links.fault import (
    DROPPED,
    LINK_LOST,
    UNPLUGGED,
    EchoFault,
    Fault,
    FaultPlaces,
    Held,
    LineObserver,
    Verdict,
)
from vtc07.links.lane import Lane
from vtc07.links.link import Sender, SpeedObserver
from vtc07.links.noise import Noise
from vtc07.links.waveform import Format
from vtc07.links.wire import CLIENT, SERVER, Wire

_SENDERS: Final[tuple[Sender, Sender]] = ("client", "server")

_STUCK: Final = 1000  # events at one instant; more come only from a timer that never advances


class Channel:
    """Two lanes, the levels on them, the clock, and whatever is done to them.

    Pairs are of the client's and the server's end. Everything else as `SimulatedLine` says it.
    """

    def __init__(
        self,
        *,
        speeds: tuple[int, int],
        formats: tuple[Format, Format],
        clock: Clock | None,
        fault: Fault | None,
        fault_places: FaultPlaces | None,
        observers: Iterable[LineObserver],
        on_speed: SpeedObserver | None,
        in_runs: bool,
        echoes: tuple[bool, bool],
        echo_fault: EchoFault | None,
        noise: Noise | None,
        collisions: bool,
    ) -> None:
        for speed in speeds:
            _check_speed(speed)
        self.fault = fault
        self.fault_places = fault_places
        self.observers = tuple(observers)
        self._on_speed = on_speed
        self._first_speeds = speeds
        self._clock: Clock = clock if clock is not None else VirtualClock()
        self._now = self._clock.now_ns()
        self._runs = in_runs
        self._echoes = echoes
        self._echo_fault = echo_fault
        self._echoed = [0, 0]
        self._collides = collisions
        self._plugged = True
        self._open = True
        self._lanes = (Lane("client", speeds[CLIENT]), Lane("server", speeds[SERVER]))
        self._wire = Wire(
            self._lanes,
            formats,
            collisions=collisions,
            echoes=echoes,
            noise=noise,
            now_ns=self._now,
        )
        self._retuned: int | None = None  # an end whose change of speed nobody has been told of
        self._actions: list[tuple[int, int, Callable[[], None]]] = []
        self._scheduled = 0
        self._rounds = 0

    @property
    def now_ns(self) -> int:
        """The instant up to which everything has happened."""
        return self._now

    @property
    def plugged(self) -> bool:
        """False from `unplug` to `plug`."""
        return self._plugged

    @property
    def open(self) -> bool:
        """False from the loss of the link until it is opened again."""
        return self._open

    def speed(self, sender: Sender) -> int:
        """Return the speed in Bd at which an end sends and hears now."""
        return self._lanes[sender == "server"].speed

    # --- what is done to it ---------------------------------------------------------------------

    def unplug(self) -> None:
        """Take the head off: silence in both directions, from now on.

        What is being sent takes its time all the same, but does not arrive.
        """
        self._plugged = False

    def plug(self) -> None:
        """Put the head on again. A character under way arrives as far as its end is ahead."""
        if self._wire.matters and not self._plugged:
            for end in (CLIENT, SERVER):  # what noise there was meanwhile struck nobody
                self._wire.listen(end, self._now, plugged=False)
        self._plugged = True

    def lose(self) -> None:
        """Close the connection under both ends."""
        raise NotImplementedError

    def schedule(self, instant_ns: int, action: Callable[[], None]) -> None:
        """Have ``action`` called at an instant (`plug`, a power failure, a keypad entry)."""
        self._scheduled += 1
        heapq.heappush(self._actions, (max(instant_ns, self._now), self._scheduled, action))

    def inject(self, sender: Sender, chars: bytes) -> None:
        """Put noise on the line as if ``sender`` had sent it, behind what it is sending now."""
        if self._open and chars:
            self._lanes[sender == "server"].send(chars, self._now)

    def silence(self, sender: Sender, *, speed: int | None = None) -> None:
        """Let what one end has still to send never come: it lost power, or crashed.

        ``speed``: that it goes on with, where another one is put in its place; None: its first.
        """
        if speed is not None:
            _check_speed(speed)
        end = SERVER if sender == "server" else CLIENT
        self._clear(end, self._first_speeds[end] if speed is None else speed)

    def sent(self, sender: Sender) -> int:
        """Return how many characters one end has sent whose end has come: the next one's place."""
        return self._lanes[sender == "server"].count

    def queued(self, sender: Sender) -> int:
        """Return how many characters one end has handed over whose end is still to come."""
        return self._lanes[sender == "server"].queued

    def _shut(self, *ends: int) -> None:
        """Close the link; the ends that are closed with it begin at their first speed again."""
        self._open = False
        for end in (CLIENT, SERVER):
            self._clear(end, self._first_speeds[end] if end in ends else None)
        if self._wire.matters:
            self._wire.clear(self._now)

    def _clear(self, end: int, speed: int | None) -> None:
        """Let nothing more come of what an end was sending; ``speed`` None: its own goes on."""
        lane = self._lanes[end]
        before = lane.speed
        lane.clear()
        if speed is not None:
            lane.speed = speed
        if lane.speed != before:
            self._retune(end)

    def _change(self, end: int, change: SpeedChange) -> None:
        _check_speed(change.speed)
        if self._lanes[end].change_speed(change.speed):
            self._retune(end)

    def _retune(self, end: int) -> None:
        self._wire.retune(end, self._now)
        self._tell_speed(end)

    def _tell_retuned(self) -> None:
        """Tell of a change of speed behind a character that observers have been told of."""
        if self._retuned is not None:
            end, self._retuned = self._retuned, None
            self._tell_speed(end)

    def _tell_speed(self, end: int) -> None:
        if self._on_speed is not None:
            self._on_speed(_SENDERS[end], self._lanes[end].speed, self._now)

    # --- time -----------------------------------------------------------------------------------

    def _instants(self) -> Iterator[int | None]:
        """Yield when something happens next on the way itself."""
        for lane in self._lanes:
            yield lane.end
        if self._wire.matters:
            yield self._wire.next_ns(plugged=self._plugged)
        for instant, _, _ in self._actions[:1]:
            yield instant

    def _act(self) -> None:
        """Do what is scheduled next."""
        instant, _, action = heapq.heappop(self._actions)
        self._go(instant)
        action()

    def _go(self, instant: int) -> None:
        if instant > self._now:
            self._clock.sleep_until(instant)
            self._now = instant
            self._rounds = 0
            return
        self._rounds += 1
        if self._rounds > _STUCK:
            raise RuntimeError("an endpoint's timer stays due however often it is handled")

    # --- characters -----------------------------------------------------------------------------

    def _receive(self, end: int, chars: bytes, instant_ns: int) -> None:
        """Hand characters to an end."""
        raise NotImplementedError

    def _arrive(self, end: int, horizon: int | None) -> None:
        """Let the next character arrive; in runs, all that end before anything else happens."""
        lane = self._lanes[end]
        number = lane.ending_before(horizon) if self._runs else 1
        run, last = bytearray(), self._now
        verdict: Verdict = 0
        scheduled = self._scheduled
        while number > 0:
            asked = self._asked(lane)
            if asked:
                place, sent, now = lane.count, lane.burst[lane.at], self._now
                assert self.fault is not None
                verdict = self.fault(lane.sender, sent, place, now)
                if isinstance(verdict, Held):
                    lane.hold(verdict.duration_ns)
                    break
                self._advance(end, 1)
                number -= 1
                passed = self._passed(end, sent, verdict, now)
                self._tell_retuned()
                if passed:
                    run += passed
                    last = now
                if isinstance(verdict, int) and verdict <= UNPLUGGED:
                    break
            else:
                count = number if asked is None else self._unasked(lane, number)
                last = self._pass(end, count, run, last)
                number -= count
            if lane.end is None or number <= 0 or scheduled != self._scheduled:
                break
            self._go(lane.end)
        if run and self._open:
            self._receive(1 - end, bytes(run).translate(self._wire.straight[end]), last)
            self._echo(end, run, last)
        self._interrupt(verdict)

    def _arrive_by_levels(self, end: int) -> None:
        """Let a character end where it is not its own affair what is heard of it."""
        lane, now = self._lanes[end], self._now
        sent, began = lane.burst[lane.at], lane.began
        verdict: int | bytes = sent
        if self.fault is not None and self._asked(lane):
            said = self.fault(lane.sender, sent, lane.count, now)
            if isinstance(said, Held):
                lane.hold(said.duration_ns)
                return
            verdict = said
        passed = _characters(verdict) if self._plugged else b""
        self._wire.carry(end, sent, passed, began, now)
        self._advance(end, 1)
        heard = self._wire.listen(1 - end, now, plugged=self._plugged)
        self._tell(lane.sender, sent, heard, now)
        self._tell_retuned()
        if heard and self._open:
            self._receive(1 - end, heard, now)
        if not self._collides:
            self._echo(end, passed, now)
        self._hear(end)
        self._interrupt(verdict)

    def _hear(self, end: int) -> None:
        """Give an end what the levels have brought by now."""
        heard = self._wire.listen(end, self._now, plugged=self._plugged)
        for char in heard:
            self._tell(self._lanes[1 - end].sender, char, bytes((char,)), self._now)
        if heard and self._open:
            self._receive(end, heard, self._now)

    def _echo(self, end: int, passed: bytes | bytearray, now: int) -> None:
        """Return to an end what it sent, where its head or loop does that."""
        if not self._echoes[end] or not self._open:
            return
        back = bytes(passed).translate(self._wire.back[end])
        if self._echo_fault is not None:
            kept, place = bytearray(), self._echoed[end]
            for more, char in enumerate(back):
                kept += _characters(self._echo_fault(_SENDERS[end], char, place + more, now))
            self._echoed[end] += len(back)
            back = bytes(kept)
        if back:
            self._receive(end, back, now)

    def _interrupt(self, verdict: Verdict) -> None:
        if verdict == UNPLUGGED:
            self.unplug()
        elif verdict == LINK_LOST:
            self.lose()

    def _advance(self, end: int, number: int) -> None:
        if self._lanes[end].advance(number):
            self._wire.retune(end, self._now)
            self._retuned = end  # told behind the character

    def _asked(self, lane: Lane) -> bool | None:
        """Say whether the fault wants to see the next character; None: it wants no more."""
        if self.fault is None:
            return None
        if lane.count == lane.held:
            return False
        if self.fault_places is None:
            return True
        place = self.fault_places(lane.sender, lane.count)
        return None if place is None else place <= lane.count

    def _unasked(self, lane: Lane, number: int) -> int:
        """Return how many of the next characters the fault does not want to see."""
        if self.fault_places is None:
            return 1
        place = self.fault_places(lane.sender, lane.count + (lane.count == lane.held))
        return number if place is None else min(number, place - lane.count)

    def _pass(self, end: int, count: int, run: bytearray, last: int) -> int:
        """Let characters arrive as they were sent; returns when the last that did has ended."""
        lane = self._lanes[end]
        at = lane.at
        if self.observers or count == 1:
            for step in range(count):
                sent, now = lane.burst[at + step], self._now
                self._advance(end, 1)
                passed = self._passed(end, sent, sent, now)
                self._tell_retuned()
                if passed:
                    run += passed
                    last = now
                if step + 1 < count:
                    assert lane.end is not None
                    self._go(lane.end)
            return last
        chars = lane.burst[at : at + count]
        lane.advance(count - 1)
        assert lane.end is not None
        self._go(lane.end)
        self._advance(end, 1)
        self._tell_retuned()
        if not self._plugged:
            return last
        run += chars
        return self._now

    def _passed(self, end: int, sent: int, verdict: int | bytes, now: int) -> bytes:
        """Return what gets through of one character, and tell the observers what arrives."""
        passed = _characters(verdict) if self._plugged else b""
        if self.observers:
            self._tell(_SENDERS[end], sent, passed.translate(self._wire.straight[end]), now)
        return passed

    def _tell(self, sender: Sender, sent: int, arrived: bytes, now: int) -> None:
        for observer in self.observers:
            observer(sender, sent, arrived[0] if arrived else DROPPED, now)
            for extra in arrived[1:]:
                observer(sender, extra, extra, now)


def _characters(verdict: int | bytes) -> bytes:
    if isinstance(verdict, bytes):
        return verdict
    return bytes((min(verdict, DAMAGED),)) if verdict >= 0 else b""


def _check_speed(speed: int) -> None:
    if speed < 1:
        raise ValueError(f"a line of {speed} Bd: the speed is at least 1 Bd")
