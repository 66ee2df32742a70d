"""The client's driver for asyncio: runs procedures over a link."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from vtc07.carrier.endpoint import Durably, Effect, Now, Perform, Procedure, Reopen, Wait
from vtc07.links.aio.thread import in_thread
from vtc07.links.clock import Clock, MonotonicClock
from vtc07.links.link import (
    AsyncLink,
    ClientEndpoint,
    LinkLost,
    LinkUnavailable,
    Observer,
    RaisedForProcedure,
    Sender,
    SpeedObserver,
)

T = TypeVar("T")


class ClientDriver:
    """Turns a client core; as `vtc07.links.blocking.ClientDriver`, with the same names.

    `Durably` runs in a thread; a cancellation waits for its end. ``clock`` is only read.
    """

    def __init__(
        self,
        core: ClientEndpoint,
        open_link: Callable[[], Awaitable[AsyncLink]],
        *,
        clock: Clock | None = None,
        observer: Observer | None = None,
        on_speed: SpeedObserver | None = None,
    ) -> None:
        self._core = core
        self._open_link = open_link
        self._clock: Clock = clock if clock is not None else MonotonicClock()
        self._observer = observer
        self._on_speed = on_speed
        self._link: AsyncLink | None = None
        self.unavailable: LinkUnavailable | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the link. A second call does nothing."""
        if self._link is not None:
            link, self._link = self._link, None
            self._core.connection_lost(self._clock.now_ns())
            await self._change_speed()
            await link.close()

    async def run(self, procedure: Procedure[T]) -> T:
        """Run a procedure to its end and return its result.

        A cancellation closes procedure and link and goes on to the caller.
        """
        try:
            if self._link is None:
                self._link = await self._open_link()
            effect = next(procedure)
            while True:
                try:
                    outcome = await self._carry_out(effect)
                except RaisedForProcedure as raised:
                    effect = procedure.throw(raised.error)
                else:
                    effect = procedure.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        except Exception:
            raise
        except BaseException:
            await self.close()
            raise
        finally:
            procedure.close()

    async def _carry_out(self, effect: Effect) -> Any:
        match effect:
            case Perform(command):
                try:
                    self._core.start(command, self._clock.now_ns())
                except ValueError as error:
                    raise RaisedForProcedure(error) from error
                if self._link is None:
                    self._core.connection_lost(self._clock.now_ns())
                await self._change_speed()
                return await self._final_event()
            case Wait(duration_ns):
                end = self._clock.now_ns() + duration_ns
                while self._clock.now_ns() < end:
                    await self._turn(end)
                return None
            case Reopen():
                return await self._reopen()
            case Durably(action):
                try:
                    return await in_thread(action)
                except Exception as error:
                    raise RaisedForProcedure(error) from error
            case Now():
                return self._clock.now_ns()

    async def _final_event(self) -> Any:
        while (event := self._core.next_event()) is None:
            if await self._change_speed():
                await self._turn(None)
        await self._change_speed()
        return event

    async def _reopen(self) -> bool:
        await self.close()
        try:
            self._link = await self._open_link()
        except LinkUnavailable as error:
            self.unavailable = error
            return False
        self.unavailable = None
        return True

    async def _turn(self, until_ns: int | None) -> None:
        """Do what is due, then wait for characters, the core's timer, or ``until_ns``."""
        core, now = self._core, self._clock.now_ns()
        timer = core.next_timer()
        due = timer is not None and timer <= now
        if due:
            core.handle_timer(now)
            if not await self._change_speed():
                return
        if self._link is None:
            assert until_ns is not None, "a command cannot run without a link"
            await asyncio.sleep((until_ns - now) / 1e9)
            return
        if chars := core.bytes_to_send(self._clock.now_ns()):
            try:
                await self._link.send(chars)
            except LinkLost:
                await self.close()
                return
            self._observe("client", chars)
            await self._change_speed()
            return
        if not await self._change_speed() or due:
            return  # the command may have ended by it
        ends = [end for end in (until_ns, core.next_timer()) if end is not None]
        wait = max(0, min(ends) - self._clock.now_ns()) if ends else None
        try:
            chars = await self._link.receive(wait)
        except LinkLost:
            await self.close()
            return
        if chars:
            self._observe("server", chars)
            core.receive(chars, self._clock.now_ns())
            await self._change_speed()

    async def _change_speed(self) -> bool:
        """Carry out the changes that the core asks for; False where the link was lost by it.

        Without a link there is nothing to change: the next one begins at its own speed.
        """
        lost = False
        while (change := self._core.next_speed_change()) is not None:
            if self._link is None:
                continue
            try:
                await self._link.set_speed(change.speed)
            except LinkLost:
                lost = True
                await self.close()
                continue
            if self._on_speed is not None:
                self._on_speed("client", change.speed, self._clock.now_ns())
        return not lost

    def _observe(self, sender: Sender, chars: bytes) -> None:
        if self._observer is not None:
            self._observer(sender, chars, self._clock.now_ns())
