"""A simulated line: two endpoints, one clock, exact character times, faults on demand.

A discrete-event run without thread and without randomness: the same endpoints, procedure and
faults give the same characters at the same nanoseconds. On a `VirtualClock` it takes no time; on
a `MonotonicClock` it shows the real pace.

Characters of a burst follow each other without a gap: the k-th ends k * 10 bits after the burst's
start, rounded up to a whole ns of the burst, not of each character, so nothing adds up. Work of
the server (`next_work`) and `Durably` take no time. What falls on one instant happens in this
order: scheduled actions, characters from the client, characters from the server, the server's
timer, the client's timer, the end of a `Wait`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from vtc07.carrier.endpoint import (
    Durably,
    Effect,
    Endpoint,
    Now,
    Perform,
    Procedure,
    Reopen,
    ServerEndpoint,
    Wait,
)
from vtc07.carrier.grammar import DAMAGED
from vtc07.links.clock import Clock, VirtualClock
from vtc07.links.link import ClientEndpoint, RaisedForProcedure, Sender

if TYPE_CHECKING:
    from vtc07.carrier.events import ClientEvent

T = TypeVar("T")

BITS_NS = 10 * 1_000_000_000  # 10 bits a character (IEC 62056-21 clause 5), in ns at 1 Bd

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

#: Told of every character at its end: sender, as sent, as it arrived (`DAMAGED`, or `DROPPED`
#: where it did not), instant in ns. What arrives without having been sent is told as noise would.
LineObserver = Callable[[Sender, int, int, int], None]

_SEVEN_BITS: Final = bytes(range(128)) + bytes((DAMAGED,)) * 128

_STUCK = 1000  # events at one instant; more come only from a timer that never advances


class _Lane:
    """One direction: the burst under way."""

    __slots__ = ("at", "burst", "count", "end", "held", "sender", "start")

    def __init__(self, sender: Sender) -> None:
        self.sender: Sender = sender
        self.burst = bytearray()
        self.start = 0
        self.at = 0  # the place in the burst of the next character to arrive
        self.end: int | None = None  # the end of that character
        self.count = 0  # characters ever sent
        self.held = -1  # the place that was held, and is not asked about again

    def send(self, chars: bytes, now_ns: int, speed: int) -> None:
        """Add characters behind those under way."""
        if self.end is None:
            self.burst = bytearray(chars)
            self.start, self.at = now_ns, 0
            self.end = now_ns - (-BITS_NS // speed)
        else:
            self.burst += chars

    def advance(self, number: int, speed: int) -> None:
        """Go on behind this many characters."""
        self.count += number
        self.at += number
        more = self.at < len(self.burst)
        self.end = self.start - (-(self.at + 1) * BITS_NS // speed) if more else None

    def hold(self, duration_ns: int) -> None:
        """Let the next character, and all behind it, come later."""
        self.held = self.count
        self.start += duration_ns
        if self.end is not None:
            self.end += duration_ns

    def ending_before(self, horizon_ns: int | None, speed: int) -> int:
        """Return how many characters end before an instant; at least the next one counts."""
        left = len(self.burst) - self.at
        if horizon_ns is None:
            return left
        return max(1, min(left, (horizon_ns - 1 - self.start) * speed // BITS_NS - self.at))

    def clear(self) -> None:
        """Forget what is under way."""
        self.burst = bytearray()
        self.at, self.end = 0, None


class SimulatedLine:
    """A half-duplex line of ``speed`` Bd between a client's and a server's endpoint.

    Two ways to interrupt it. `unplug` is an optical head taken off, or a cut cable: characters
    vanish in both directions, those under way too, and neither end is told; `plug` ends it, an
    opening of the link does not. `lose` is a closed connection: what is under way vanishes, both
    ends get `connection_lost`, and nothing passes until the client's procedure opens the link
    again (`Reopen`), which works as long as `reachable` is true.

    ``server_sees_close``: whether the server gets `connection_lost` when the client closes its
    link, as on TCP; a serial line does not tell.

    ``in_runs``: hand characters to the ends in runs, up to the next instant at which anything else
    happens, as an operating system does, and not one by one. Faults and observers still see each at
    its own instant; only an end that would have spoken in the middle of a run speaks after it. It
    is several times as fast, and faster still where ``fault_places`` says which characters the
    fault wants to see (by default every one).

    ``echo``: the head or loop returns what the client sends to the client, as it arrives; the
    client's endpoint has to take it out (`vtc07.links.echo`).

    `client` and `server` may be replaced between two events (a meter that restarts).
    """

    def __init__(
        self,
        client: ClientEndpoint,
        server: ServerEndpoint,
        *,
        speed: int = 2400,
        clock: Clock | None = None,
        fault: Fault | None = None,
        fault_places: FaultPlaces | None = None,
        observers: Iterable[LineObserver] = (),
        server_sees_close: bool = False,
        in_runs: bool = False,
        echo: bool = False,
    ) -> None:
        if speed < 1:
            raise ValueError(f"a line of {speed} Bd: the speed is at least 1 Bd")
        self.client = client
        self.server = server
        self.fault = fault
        self.fault_places = fault_places
        self.observers = tuple(observers)
        self.reachable = True
        self._speed = speed
        self._clock: Clock = clock if clock is not None else VirtualClock()
        self._now = self._clock.now_ns()
        self._runs = in_runs
        self._echo = echo
        self._server_sees_close = server_sees_close
        self._plugged = True
        self._open = True
        self._lanes = (_Lane("client"), _Lane("server"))
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

    # --- faults ---------------------------------------------------------------------------------

    def unplug(self) -> None:
        """Take the head off: silence in both directions, from now on.

        What is being sent takes its time all the same, but does not arrive.
        """
        self._plugged = False

    def plug(self) -> None:
        """Put the head on again. A character under way arrives as far as its end is ahead."""
        self._plugged = True

    def lose(self) -> None:
        """Close the connection under both ends."""
        if not self._open:
            return
        self._shut()
        self.server.connection_lost(self._now)
        self._work()
        self.client.connection_lost(self._now)

    def schedule(self, instant_ns: int, action: Callable[[], None]) -> None:
        """Have ``action`` called at an instant (`plug`, a power failure, a keypad entry)."""
        self._scheduled += 1
        heapq.heappush(self._actions, (max(instant_ns, self._now), self._scheduled, action))

    def inject(self, sender: Sender, chars: bytes) -> None:
        """Put noise on the line as if ``sender`` had sent it, behind what it is sending now."""
        if self._open and chars:
            self._lanes[sender == "server"].send(chars, self._now, self._speed)

    def silence(self, sender: Sender) -> None:
        """Let what one end has still to send never come: it lost power, or crashed."""
        self._lanes[sender == "server"].clear()

    def sent(self, sender: Sender) -> int:
        """Return how many characters one end has sent whose end has come: the next one's place."""
        return self._lanes[sender == "server"].count

    def queued(self, sender: Sender) -> int:
        """Return how many characters one end has handed over whose end is still to come."""
        lane = self._lanes[sender == "server"]
        return len(lane.burst) - lane.at if lane.end is not None else 0

    # --- running --------------------------------------------------------------------------------

    def run(self, procedure: Procedure[T]) -> T:
        """Run a client's procedure to its end and return its result."""
        self._now = max(self._now, self._clock.now_ns())
        try:
            effect = next(procedure)
            while True:
                try:
                    outcome = self._carry_out(effect)
                except RaisedForProcedure as raised:
                    effect = procedure.throw(raised.error)
                else:
                    effect = procedure.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            procedure.close()

    def idle(self, duration_ns: int) -> None:
        """Let time pass on the line, with nothing asked of the client."""
        self._pass_until(max(self._now, self._clock.now_ns()) + duration_ns)

    def _carry_out(self, effect: Effect) -> Any:
        match effect:
            case Perform(command):
                try:
                    self.client.start(command, self._now)
                except ValueError as error:
                    raise RaisedForProcedure(error) from error
                if not self._open:
                    self.client.connection_lost(self._now)
                return self._final_event()
            case Wait(duration_ns):
                self._pass_until(self._now + duration_ns)
                return None
            case Reopen():
                return self._reopen()
            case Durably(action):
                try:
                    return action()
                except Exception as error:
                    raise RaisedForProcedure(error) from error
            case Now():
                return self._now

    def _final_event(self) -> ClientEvent:
        while (event := self.client.next_event()) is None:
            if not self._step(None):
                raise RuntimeError("the client waits, but nothing is left to happen on the line")
        return event

    def _pass_until(self, instant_ns: int) -> None:
        while self._step(instant_ns):
            pass

    def _reopen(self) -> bool:
        if self._open:
            self._shut()
            if self._server_sees_close:
                self.server.connection_lost(self._now)
                self._work()
            self.client.connection_lost(self._now)
        self._open = self.reachable
        return self._open

    def _shut(self) -> None:
        self._open = False
        for lane in self._lanes:
            lane.clear()

    # --- one step -------------------------------------------------------------------------------

    def _step(self, limit_ns: int | None) -> bool:
        """Do what comes next, at or before ``limit_ns``. False where the limit came first.

        Without a limit: False where nothing is left to happen.
        """
        now = self._now
        client, server = self.client, self.server
        up, down = self._lanes
        self._work()
        if (chars := client.bytes_to_send(now)) and self._open:
            up.send(chars, now, self._speed)
        if (chars := server.bytes_to_send(now)) and self._open:
            down.send(chars, now, self._speed)
        server_timer, client_timer = server.next_timer(), client.next_timer()

        instant = limit_ns
        for candidate in (server_timer, client_timer):
            if candidate is not None and (instant is None or candidate < instant):
                instant = candidate
        horizon = instant  # before it nothing happens but characters, and what is scheduled
        for candidate in (up.end, down.end):
            if candidate is not None and (instant is None or candidate < instant):
                instant = candidate
        if self._actions and (instant is None or self._actions[0][0] <= instant):
            instant, _, action = heapq.heappop(self._actions)
            self._go(instant)
            action()
            return True
        if instant is None:
            return False
        instant = max(instant, now)
        self._go(instant)
        if instant in (up.end, down.end):
            if self._actions and (horizon is None or self._actions[0][0] < horizon):
                horizon = self._actions[0][0]
            lane, other = (up, down) if up.end == instant else (down, up)
            if other.end is not None and (horizon is None or other.end < horizon):
                horizon = other.end
            self._arrive(lane, server if lane is up else client, horizon)
        elif server_timer is not None and server_timer <= instant:
            server.handle_timer(instant)
        elif client_timer is not None and client_timer <= instant:
            client.handle_timer(instant)
        else:
            return False
        return True

    def _go(self, instant: int) -> None:
        if instant > self._now:
            self._clock.sleep_until(instant)
            self._now = instant
            self._rounds = 0
            return
        self._rounds += 1
        if self._rounds > _STUCK:
            raise RuntimeError("an endpoint's timer stays due however often it is handled")

    def _work(self) -> None:
        while (job := self.server.next_work()) is not None:
            try:
                job()
            except Exception as error:  # noqa: BLE001 - the endpoint is told whatever its job raises
                self.server.work_done(error, self._now)
            else:
                self.server.work_done(None, self._now)

    def _arrive(self, lane: _Lane, receiver: Endpoint, horizon: int | None) -> None:
        """Let the next character arrive; in runs, all that end before anything else happens."""
        number = lane.ending_before(horizon, self._speed) if self._runs else 1
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
                lane.advance(1, self._speed)
                number -= 1
                arrived = self._arrived(lane.sender, sent, verdict, now)
                if arrived:
                    run += arrived
                    last = now
                if isinstance(verdict, int) and verdict <= UNPLUGGED:
                    break
            else:
                count = number if asked is None else self._unasked(lane, number)
                last = self._pass(lane, count, run, last)
                number -= count
            if lane.end is None or number <= 0 or scheduled != self._scheduled:
                break
            self._go(lane.end)
        if run and self._open:
            receiver.receive(bytes(run), last)
            if self._echo and lane.sender == "client" and self._open:
                self.client.receive(bytes(run), last)
        if verdict == UNPLUGGED:
            self.unplug()
        elif verdict == LINK_LOST:
            self.lose()

    def _asked(self, lane: _Lane) -> bool | None:
        """Say whether the fault wants to see the next character; None: it wants no more."""
        if self.fault is None:
            return None
        if lane.count == lane.held:
            return False
        if self.fault_places is None:
            return True
        place = self.fault_places(lane.sender, lane.count)
        return None if place is None else place <= lane.count

    def _unasked(self, lane: _Lane, number: int) -> int:
        """Return how many of the next characters the fault does not want to see."""
        if self.fault_places is None:
            return 1
        place = self.fault_places(lane.sender, lane.count + (lane.count == lane.held))
        return number if place is None else min(number, place - lane.count)

    def _pass(self, lane: _Lane, count: int, run: bytearray, last: int) -> int:
        """Let characters arrive as they were sent; returns when the last that did has ended."""
        at = lane.at
        if self.observers or count == 1:
            for step in range(count):
                sent, now = lane.burst[at + step], self._now
                lane.advance(1, self._speed)
                arrived = self._arrived(lane.sender, sent, sent, now)
                if arrived:
                    run += arrived
                    last = now
                if step + 1 < count:
                    assert lane.end is not None
                    self._go(lane.end)
            return last
        lane.advance(count - 1, self._speed)
        assert lane.end is not None
        self._go(lane.end)
        lane.advance(1, self._speed)
        if not self._plugged:
            return last
        run += lane.burst[at : at + count].translate(_SEVEN_BITS)
        return self._now

    def _arrived(self, sender: Sender, sent: int, verdict: int | bytes, now: int) -> bytes:
        """Return what arrives of one character, and tell the observers."""
        if isinstance(verdict, int):
            verdict = bytes((min(verdict, DAMAGED),)) if verdict >= 0 else b""
        arrived = verdict.translate(_SEVEN_BITS) if self._plugged else b""
        for observer in self.observers:
            observer(sender, sent, arrived[0] if arrived else DROPPED, now)
            for extra in arrived[1:]:
                observer(sender, extra, extra, now)
        return arrived
