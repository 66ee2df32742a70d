"""Many meters in one loop, each at a TCP port of its own.

`ServerDriver` serves one endpoint from a task, which suits any kind of link. A fleet is turned by
callbacks and one timer for each line instead: characters in, core, timer, characters out, with no
task and no future on the way, so that thousands of meters fit one process.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, cast

from vtc07.carrier.companion import Parity
from vtc07.carrier.endpoint import ServerEndpoint
from vtc07.links.address import TCPAddress
from vtc07.links.characters import CharacterCoder
from vtc07.links.clock import Clock, MonotonicClock
from vtc07.links.link import LinkUnavailable, Observer
from vtc07.links.tcp import SEND_LIMIT_NS, SILENCE_NS, bound_address, listen, reason

#: Turns of the loop after which the end of a first connection, if it came, is known.
_TURNS = 4

Job = Callable[[], None]


class _Connection(asyncio.Protocol):
    """One TCP connection to a line; it may still be waiting for the line."""

    __slots__ = ("_coder", "_early", "_line", "_stuck", "ended", "heard_ns", "transport")

    def __init__(self, line: FleetLine, parity: Parity) -> None:
        self._line = line
        self._coder = CharacterCoder(parity)
        self._early = b""  # what came before the line was ours
        self._stuck: asyncio.TimerHandle | None = None
        self.heard_ns = 0
        self.ended = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the line."""
        self.transport = cast("asyncio.Transport", transport)
        self._line.called(self)

    def data_received(self, data: bytes) -> None:
        """Hand characters to the meter, once the line is ours."""
        if self._line.connection is self:
            self._line.heard(self, self._coder.decode(data))
        else:
            self._early += data

    def admitted(self) -> None:
        """Take notice that the line is ours."""
        if self._early:
            data, self._early = self._early, b""
            self.data_received(data)

    def send(self, chars: bytes) -> None:
        """Send characters."""
        if self.transport is not None:
            self.transport.write(self._coder.encode(chars))

    def pause_writing(self) -> None:
        """Take notice that the other side takes nothing: it has so much time to go on."""
        loop = asyncio.get_running_loop()
        self._stuck = loop.call_later(SEND_LIMIT_NS / 1e9, self.end)

    def resume_writing(self) -> None:
        """Take notice that the other side goes on."""
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whyever it ended
        """Give the line back."""
        self.ended = True
        self.resume_writing()
        self._line.lost(self)

    def end(self) -> None:
        """Close at once."""
        self.ended = True
        if self.transport is not None:
            self.transport.abort()


class FleetLine:
    """One meter of a `Fleet`, and its port. Made by `Fleet.add`."""

    __slots__ = (
        "_armed_ns", "_endpoint", "_fleet", "_handle", "_observer", "_parity", "_server",
        "address", "connection", "job",
    )  # fmt: skip

    def __init__(
        self,
        fleet: Fleet,
        endpoint: ServerEndpoint,
        address: TCPAddress,
        parity: Parity,
        observer: Observer | None,
    ) -> None:
        #: where the meter listens
        self.address = address
        self._fleet = fleet
        self._endpoint = endpoint
        self._parity = parity
        self._observer = observer
        self._server: asyncio.Server | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._armed_ns = 0
        self.connection: _Connection | None = None
        self.job = False  # one is out

    def wake(self) -> None:
        """Have timers and work looked at anew, after something was done to the endpoint."""
        self._fleet.guarded(self._turn)

    async def close(self) -> None:
        """Take the meter off: close its port, and wait for a job that is out."""
        await self._fleet.take_off(self)

    # --- the connection ---------------------------------------------------------------------------

    def made(self) -> _Connection:
        """Return the protocol of a new connection."""
        return _Connection(self, self._parity)

    def called(self, second: _Connection) -> None:
        """Give the line to a new connection, or turn it away (docs/protocol.md 3)."""
        if self.connection is None or self.connection.ended:
            self._admit(second)
        else:
            asyncio.get_running_loop().call_soon(self._judge, second, _TURNS)

    def _judge(self, second: _Connection, turns: int) -> None:
        first = self.connection
        if turns and first is not None and not first.ended:
            asyncio.get_running_loop().call_soon(self._judge, second, turns - 1)
            return
        if first is not None and not first.ended:
            if self._fleet.clock.now_ns() - first.heard_ns < self._fleet.silence_ns:
                second.end()
                return
            first.end()
            self.lost(first)
        if not second.ended:
            self._admit(second)

    def _admit(self, connection: _Connection) -> None:
        if self._server is None:
            connection.end()  # the meter was taken off
            return
        if self.connection is not None:
            self.lost(self.connection)
        self.connection = connection
        connection.heard_ns = self._fleet.clock.now_ns()
        connection.admitted()

    def heard(self, connection: _Connection, chars: bytes) -> None:
        """Take characters."""
        now_ns = self._fleet.clock.now_ns()
        connection.heard_ns = now_ns
        if self._observer is not None:
            self._observer("client", chars, now_ns)
        self._fleet.guarded(self._receive, chars, now_ns)

    def lost(self, connection: _Connection) -> None:
        """Take notice that a connection ended."""
        if connection is self.connection:
            self.connection = None
            self._fleet.guarded(self._lose)

    # --- turning the endpoint ---------------------------------------------------------------------

    def _receive(self, chars: bytes, now_ns: int) -> None:
        self._endpoint.receive(chars, now_ns)
        self._turn()

    def _lose(self) -> None:
        self._endpoint.connection_lost(self._fleet.clock.now_ns())
        self._turn()

    def _due(self) -> None:
        self._handle = None
        self._fleet.guarded(self._turn)

    def done(self, error: Exception | None) -> None:
        """Take notice of the end of a job."""
        self.job = False
        self._endpoint.work_done(error, self._fleet.clock.now_ns())
        self._turn()

    def _turn(self) -> None:
        """Do what is due, hand out work, send what may be sent, and set the timer."""
        endpoint, now_ns = self._endpoint, self._fleet.clock.now_ns()
        timer = endpoint.next_timer()
        if timer is not None and timer <= now_ns:
            endpoint.handle_timer(now_ns)
        if not self.job and (work := endpoint.next_work()) is not None:
            self.job = True
            self._fleet.run(self, work)
        chars = endpoint.bytes_to_send(now_ns)
        while endpoint.next_speed_change() is not None:
            pass  # TCP has no speed
        if chars and self.connection is not None:
            self.connection.send(chars)
            if self._observer is not None:
                self._observer("server", chars, now_ns)
        if self._server is None:
            return
        timer = endpoint.next_timer()
        if timer is None or (self._handle is not None and now_ns <= self._armed_ns <= timer):
            return  # a timer that comes too early finds nothing due and is set anew
        if self._handle is not None:
            self._handle.cancel()
        self._armed_ns = timer
        loop = asyncio.get_running_loop()
        self._handle = loop.call_later(max(0, timer - now_ns) / 1e9, self._due)

    # --- beginning and end ------------------------------------------------------------------------

    def opened(self, server: asyncio.Server) -> None:
        """Begin."""
        self._server = server
        self._turn()

    async def closed(self) -> None:
        """End: no port, no connection, no timer."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self.connection is not None:
            connection = self.connection
            self.lost(connection)
            connection.end()


class Fleet:
    """Serves many endpoints in the running loop, each at its own TCP port, as one line each.

    The rules of a port are those of `TCPPort`: one connection at a time, loopback only unless
    allowed. Jobs (commits) run in ``workers`` threads of the fleet's own, never two of one meter
    at once. All methods are for the loop's thread. A process needs a file for every port and one
    for every connection: see the limit of the system (``ulimit -n``).
    """

    def __init__(
        self,
        *,
        parity: Parity = Parity.NONE,
        silence_ns: int = SILENCE_NS,
        workers: int = 4,
        clock: Clock | None = None,
    ) -> None:
        self.clock: Clock = clock if clock is not None else MonotonicClock()
        self.silence_ns = silence_ns
        self._parity = parity
        self._lines: set[FleetLine] = set()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="fleet")
        self._finished: deque[tuple[FleetLine, BaseException | None]] = deque()
        self._told = False  # the loop will look at what is finished
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._stopped = False
        self._closed = False
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __len__(self) -> int:
        return len(self._lines)

    async def add(
        self,
        endpoint: ServerEndpoint,
        address: TCPAddress,
        *,
        allow_remote: bool = False,
        observer: Observer | None = None,
    ) -> FleetLine:
        """Serve an endpoint at an address from now on; port 0 is any free one.

        LinkUnavailable where it cannot listen there, or the fleet is closed.
        """
        if self._closed:
            raise LinkUnavailable("the fleet is closed")
        self._loop = loop = asyncio.get_running_loop()
        try:
            listener = listen(address, allow_remote=allow_remote)
        except OSError as error:
            raise LinkUnavailable(f"cannot listen on {address}: {reason(error)}") from error
        line = FleetLine(self, endpoint, bound_address(listener), self._parity, observer)
        server = await loop.create_server(line.made, sock=listener)
        self._lines.add(line)
        line.opened(server)
        return line

    def stop(self) -> None:
        """Have `serve` return."""
        self._stopped = True
        self._changed.set()

    async def serve(self) -> None:
        """Serve until `stop` or a cancellation, then close; endpoints may be added meanwhile.

        Whatever an endpoint raises by mistake ends it, too.
        """
        try:
            while not self._stopped and self._failure is None:
                self._changed.clear()
                await self._changed.wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """Close all ports and wait for jobs that are out. A second call does nothing.

        Raises what an endpoint raised by mistake.
        """
        self._closed = True
        for line in tuple(self._lines):
            await self.take_off(line)
        self._pool.shutdown()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def take_off(self, line: FleetLine) -> None:
        """Take a meter off; see `FleetLine.close`."""
        if line not in self._lines:
            return
        await line.closed()
        while line.job:
            self._changed.clear()
            await self._changed.wait()
        self._lines.discard(line)

    # --- for the lines ----------------------------------------------------------------------------

    def guarded(self, step: Callable[..., None], *arguments: object) -> None:
        """Take a step of one line; a mistake in it ends `serve`, not the loop's callback."""
        try:
            step(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, `serve` raises it
            self._failure = self._failure or error
            self._changed.set()

    def run(self, line: FleetLine, work: Job) -> None:
        """Run a job in a thread, and tell the line of its end."""
        self._pool.submit(self._work, line, work)

    def _work(self, line: FleetLine, work: Job) -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:  # noqa: BLE001 - the endpoint is told whatever its job raises
            error = raised
        with self._lock:
            self._finished.append((line, error))
            if self._told:
                return
            self._told = True
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        """Report every job that has ended: one call of the loop for all of them."""
        with self._lock:
            finished = tuple(self._finished)
            self._finished.clear()
            self._told = False
        for line, error in finished:
            if error is not None and not isinstance(error, Exception):
                line.job = False
                self._failure = self._failure or error
            else:
                self.guarded(line.done, error)
        self._changed.set()
