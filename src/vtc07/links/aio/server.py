"""The server's driver for asyncio: serves a meter at a port."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from vtc07.carrier.endpoint import ServerEndpoint
from vtc07.links.clock import Clock, MonotonicClock
from vtc07.links.link import (
    AGAIN_NS,
    AsyncLink,
    AsyncPort,
    LinkLost,
    LinkUnavailable,
    Observer,
    Sender,
    SpeedObserver,
)


class ServerDriver:
    """Turns a server's endpoint at a port; jobs run in a thread while the line is served.

    The endpoint is turned whether or not a link is there: an execution goes on. Who does
    something to the endpoint from elsewhere in the loop calls `wake`. ``clock`` is only read.
    """

    def __init__(
        self,
        endpoint: ServerEndpoint,
        port: AsyncPort,
        *,
        clock: Clock | None = None,
        observer: Observer | None = None,
        on_speed: SpeedObserver | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._port = port
        self._clock: Clock = clock if clock is not None else MonotonicClock()
        self._observer = observer
        self._on_speed = on_speed
        self._link: AsyncLink | None = None
        self._job: asyncio.Future[None] | None = None
        self._woken = asyncio.Event()
        self._stopped = False

    def stop(self) -> None:
        """Have `serve` return. From the loop's thread only."""
        self._stopped = True
        self._woken.set()

    def wake(self) -> None:
        """Have timers and work looked at anew. From the loop's thread only."""
        self._woken.set()

    async def serve(self) -> None:
        """Serve until `stop` or a cancellation; then link and port are closed.

        A job that is out is waited for. LinkUnavailable where the port gives no more links.
        """
        try:
            while not self._stopped:
                await self._turn()
        finally:
            await self._lost()
            while self._job is not None:
                await asyncio.wait({self._job})
                self._job_done()
                self._start_job()
            await self._port.close()

    async def _turn(self) -> None:
        endpoint, now = self._endpoint, self._clock.now_ns()
        self._woken.clear()
        timer = endpoint.next_timer()
        if timer is not None and timer <= now:
            endpoint.handle_timer(now)
            await self._change_speed()
        self._job_done()
        self._start_job()
        await self._change_speed()
        chars = endpoint.bytes_to_send(self._clock.now_ns())
        if chars and self._link is not None:
            try:
                await self._link.send(chars)
            except LinkLost:
                await self._lost()
            else:
                self._observe("server", chars)
        await self._change_speed()
        wait: int | None = None
        if (timer := endpoint.next_timer()) is not None:
            wait = max(0, timer - self._clock.now_ns())
        if self._link is None:
            self._link = await self._or_sooner(self._port.accept(wait))
            return
        try:
            received = await self._or_sooner(self._link.receive(wait))
        except LinkLost:
            await self._lost()
            return
        if received:
            self._observe("client", received)
            endpoint.receive(received, self._clock.now_ns())
            await self._change_speed()

    async def _or_sooner(self, waiting: Awaitable[Any]) -> Any:
        """Await something that may be cancelled; None where a job ends or `wake` comes before."""
        what: asyncio.Future[Any] = asyncio.ensure_future(waiting)
        woken = asyncio.ensure_future(self._woken.wait())
        awaited = {what, woken} if self._job is None else {what, woken, self._job}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            what.cancel()
            await asyncio.wait({what})
            if not what.cancelled():
                what.exception()  # seen, whether or not we get to raise it
        return None if what.cancelled() else what.result()

    async def _change_speed(self) -> None:
        """Carry out the changes that the endpoint asks for, behind all that was handed over.

        Without a link there is nothing to change: the next one begins at its own speed.
        """
        while (change := self._endpoint.next_speed_change()) is not None:
            if self._link is None:
                continue
            try:
                await self._link.set_speed(change.speed)
            except LinkLost:
                await self._lost()
                continue
            if self._on_speed is not None:
                self._on_speed("server", change.speed, self._clock.now_ns())

    async def _lost(self) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            self._endpoint.connection_lost(self._clock.now_ns())
            await self._change_speed()
            await link.close()

    def _start_job(self) -> None:
        if self._job is None and (job := self._endpoint.next_work()) is not None:
            self._job = asyncio.ensure_future(asyncio.to_thread(job))

    def _job_done(self) -> None:
        if self._job is None or not self._job.done():
            return
        error, self._job = self._job.exception(), None
        if error is not None and not isinstance(error, Exception):
            raise error
        self._endpoint.work_done(error, self._clock.now_ns())

    def _observe(self, sender: Sender, chars: bytes) -> None:
        if self._observer is not None:
            self._observer(sender, chars, self._clock.now_ns())


class LinkPort:
    """A port made of links that are opened one after the other, such as a serial port's.

    ``open_link`` raises LinkUnavailable where there is none (any more). That ends `serve`; but with
    ``waits``, where a link has been open before, it is tried again until it opens: an adapter was
    unplugged, and is plugged in again. ``told`` hears of both. ``first``: a link that is open
    already.
    """

    def __init__(
        self,
        open_link: Callable[[], Awaitable[AsyncLink]],
        *,
        character_ns: int = 0,
        first: AsyncLink | None = None,
        waits: bool = False,
        told: Callable[[str], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._open_link = open_link
        self._character_ns = character_ns
        self._first = first
        self._waits = waits
        self._told = told
        self._clock: Clock = clock if clock is not None else MonotonicClock()
        self._opened = first is not None
        self._lost = False  # and nobody has been told that it is back
        self._again_ns: int | None = None  # not to be tried before
        self._closed = False

    @property
    def character_ns(self) -> int:
        """Duration of one character in ns; 0 where the links have no speed of their own."""
        return self._character_ns

    async def accept(self, timeout_ns: int | None) -> AsyncLink | None:
        """Open the next link; None where it does not open in time, and is waited for."""
        if self._closed:
            raise LinkUnavailable("the port is closed")
        if self._first is not None:
            link, self._first = self._first, None
            return link
        if not await self._may_try(timeout_ns):
            return None
        try:
            link = await self._open_link()
        except LinkUnavailable as error:
            if not (self._waits and self._opened):
                raise
            self._again_ns = self._clock.now_ns() + AGAIN_NS
            self._say(f"{error}; waiting for it to come back", lost=True)
            return None
        self._opened = True
        self._again_ns = None
        self._say("the port is back", lost=False)
        return link

    async def _may_try(self, timeout_ns: int | None) -> bool:
        """Wait until it makes sense to try again; False where that is not in time."""
        if self._again_ns is None:
            return True
        left = self._again_ns - self._clock.now_ns()
        if timeout_ns is not None and timeout_ns < left:
            await asyncio.sleep(max(0, timeout_ns) / 1e9)
            return False
        await asyncio.sleep(max(0, left) / 1e9)
        return True

    def _say(self, sentence: str, *, lost: bool) -> None:
        """Tell of a change, once."""
        if lost != self._lost:
            self._lost = lost
            if self._told is not None:
                self._told(sentence)

    async def close(self) -> None:
        """Open no more links; one that was given is its user's to close."""
        self._closed = True
        if self._first is not None:
            await self._first.close()
            self._first = None
