"""A simulated line: two endpoints, one clock, exact character times, faults on demand.

A discrete-event run without thread: the same endpoints, procedure, faults and seed of the noise
give the same characters at the same nanoseconds. On a `VirtualClock` it takes no time; on a
`MonotonicClock` it shows the real pace.

Characters of a burst follow each other without a gap: the k-th ends k * 10 bits after the burst's
start, rounded up to a whole ns of the burst, not of each character, so nothing adds up. Work of
the server (`next_work`) and `Durably` take no time. What falls on one instant happens in this
order: scheduled actions, characters from the client, characters from the server, what levels bring
beyond them (`vtc07.links.wire`), the server's timer, the client's timer, the end of a `Wait`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

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
from vtc07.links.channel import Channel
from vtc07.links.clock import Clock
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
from vtc07.links.link import ClientEndpoint, RaisedForProcedure, SpeedObserver
from vtc07.links.noise import Noise
from vtc07.links.waveform import EVEN_PARITY, Format
from vtc07.links.wire import CLIENT, SERVER

__all__ = [
    "DROPPED",
    "LINK_LOST",
    "UNPLUGGED",
    "EchoFault",
    "Fault",
    "FaultPlaces",
    "Held",
    "LineObserver",
    "SimulatedLine",
    "Verdict",
]

T = TypeVar("T")


class SimulatedLine(Channel):
    """A half-duplex line between a client's and a server's endpoint.

    ``speed``: of both ends in Bd, to begin with; ``server_speed``: the server's, where it is
    another one. An end changes it when its endpoint says so, once what it handed over before has
    gone out. An end is at its first speed again when its link is opened anew (the client's by
    `Reopen`, both after a loss), and when it fell silent (`silence`). Ends of different speeds read
    each other's levels as UARTs do: as damaged characters, and some wrong ones.

    ``client_format``, ``server_format``: what an end makes of the 8 bits of a character; where they
    differ, 8 bits are taken for something else than they were sent as.

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

    ``on_speed``: told of every end that goes on at another speed, behind its last character at
    the speed before.

    ``echo``: the head or loop returns what the client sends to the client, as it arrives; the
    client's endpoint has to take it out (`vtc07.links.echo`). ``server_echo``: likewise for the
    server. ``echo_fault``: what becomes of the characters on their way back.

    ``noise``: what strikes the line at a rate (`vtc07.links.noise`).

    ``collisions``: both ends speak on one pair of wires, or into one light. Where they speak at
    once, each hears what the other one says through its own; without them each direction is a line
    of its own.

    `client` and `server` may be replaced between two events (a meter that restarts).
    """

    def __init__(
        self,
        client: ClientEndpoint,
        server: ServerEndpoint,
        *,
        speed: int = 2400,
        server_speed: int | None = None,
        client_format: Format = EVEN_PARITY,
        server_format: Format = EVEN_PARITY,
        clock: Clock | None = None,
        fault: Fault | None = None,
        fault_places: FaultPlaces | None = None,
        observers: Iterable[LineObserver] = (),
        on_speed: SpeedObserver | None = None,
        server_sees_close: bool = False,
        in_runs: bool = False,
        echo: bool = False,
        server_echo: bool = False,
        echo_fault: EchoFault | None = None,
        noise: Noise | None = None,
        collisions: bool = False,
    ) -> None:
        super().__init__(
            speeds=(speed, speed if server_speed is None else server_speed),
            formats=(client_format, server_format),
            clock=clock,
            fault=fault,
            fault_places=fault_places,
            observers=observers,
            on_speed=on_speed,
            in_runs=in_runs,
            echoes=(echo, server_echo),
            echo_fault=echo_fault,
            noise=noise,
            collisions=collisions,
        )
        self.client = client
        self.server = server
        self.reachable = True
        self._server_sees_close = server_sees_close

    @property
    def next_ns(self) -> int | None:
        """When something happens next, by what is known now; None: never by itself."""
        found = [*self._instants(), self.server.next_timer(), self.client.next_timer()]
        return min((instant for instant in found if instant is not None), default=None)

    def lose(self) -> None:
        """Close the connection under both ends."""
        if not self._open:
            return
        self._shut(SERVER, CLIENT)
        self.server.connection_lost(self._now)
        self._work()
        self.client.connection_lost(self._now)

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

    def _final_event(self) -> Any:
        while (event := self.client.next_event()) is None:
            if not self._step(None):
                raise RuntimeError("the client waits, but nothing is left to happen on the line")
        return event

    def _pass_until(self, instant_ns: int) -> None:
        while self._step(instant_ns):
            pass

    def _reopen(self) -> bool:
        if self._open:
            self._shut(CLIENT, *((SERVER,) if self._server_sees_close else ()))
            if self._server_sees_close:
                self.server.connection_lost(self._now)
                self._work()
            self.client.connection_lost(self._now)
        self._open = self.reachable
        return self._open

    # --- one step -------------------------------------------------------------------------------

    def _step(self, limit_ns: int | None) -> bool:
        """Do what comes next, at or before ``limit_ns``. False where the limit came first.

        Without a limit: False where nothing is left to happen.
        """
        now = self._now
        client, server = self.client, self.server
        up, down = self._lanes
        self._work()
        self._take(CLIENT, client)
        self._take(SERVER, server)
        server_timer, client_timer = server.next_timer(), client.next_timer()

        instant = limit_ns
        for candidate in (server_timer, client_timer):
            if candidate is not None and (instant is None or candidate < instant):
                instant = candidate
        horizon = instant  # before it nothing happens but characters, and what is scheduled
        for candidate in (up.end, down.end):
            if candidate is not None and (instant is None or candidate < instant):
                instant = candidate
        levels = self._wire.next_ns(plugged=self._plugged) if self._wire.matters else None
        if levels is not None and (instant is None or levels < instant):
            instant = levels
        if self._actions and (instant is None or self._actions[0][0] <= instant):
            self._act()
            return True
        if instant is None:
            return False
        instant = max(instant, now)
        self._go(instant)
        if instant in (up.end, down.end):
            if self._wire.matters:
                self._arrive_by_levels(CLIENT if up.end == instant else SERVER)
                return True
            if self._actions and (horizon is None or self._actions[0][0] < horizon):
                horizon = self._actions[0][0]
            lane, other = (up, down) if up.end == instant else (down, up)
            if other.end is not None and (horizon is None or other.end < horizon):
                horizon = other.end
            self._arrive(CLIENT if lane is up else SERVER, horizon)
        elif levels is not None and levels <= instant:
            self._hear(SERVER)
            self._hear(CLIENT)
        elif server_timer is not None and server_timer <= instant:
            server.handle_timer(instant)
        elif client_timer is not None and client_timer <= instant:
            client.handle_timer(instant)
        else:
            return False
        return True

    def _take(self, end: int, endpoint: Endpoint) -> None:
        """Take changes of speed and characters from an end, in the order that it gives them."""
        more = True
        while True:
            while (change := endpoint.next_speed_change()) is not None:
                self._change(end, change)
            if not more:
                return
            chars = endpoint.bytes_to_send(self._now)
            more = bool(chars)
            if chars and self._open:
                self._lanes[end].send(chars, self._now)

    def _work(self) -> None:
        while (job := self.server.next_work()) is not None:
            try:
                job()
            except Exception as error:  # noqa: BLE001 - the endpoint is told whatever its job raises
                self.server.work_done(error, self._now)
            else:
                self.server.work_done(None, self._now)

    def _receive(self, end: int, chars: bytes, instant_ns: int) -> None:
        (self.server if end == SERVER else self.client).receive(chars, instant_ns)
