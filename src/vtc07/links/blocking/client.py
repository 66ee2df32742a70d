"""The client's driver, blocking: runs procedures over a link."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from vtc07.carrier.endpoint import Durably, Effect, Now, Perform, Procedure, Reopen, Wait
from vtc07.links.blocking.interruption import LONGEST_WAIT_NS, Interrupted, Interruption
from vtc07.links.clock import Clock, MonotonicClock
from vtc07.links.link import (
    ClientEndpoint,
    Link,
    LinkLost,
    LinkUnavailable,
    Observer,
    RaisedForProcedure,
    Sender,
    SpeedObserver,
)

T = TypeVar("T")


class ClientDriver:
    """Turns a client core: one link at a time, opened when the first procedure runs.

    ``open_link`` opens it and raises LinkUnavailable where that fails; from `run` this goes to the
    caller, from a `Reopen` it makes the outcome False and is kept in `unavailable`. A link that is
    lost stays so until the procedure says `Reopen`, or the next `run`. The core must have been made
    for the link's `character_ns`. A context manager: `close` at the end. ``interruption``: by it
    another thread ends a `run`, which then raises `Interrupted`.
    """

    def __init__(
        self,
        core: ClientEndpoint,
        open_link: Callable[[], Link],
        *,
        clock: Clock | None = None,
        observer: Observer | None = None,
        on_speed: SpeedObserver | None = None,
        interruption: Interruption | None = None,
    ) -> None:
        self._core = core
        self._open_link = open_link
        self._clock: Clock = clock if clock is not None else MonotonicClock()
        self._observer = observer
        self._on_speed = on_speed
        self._interruption = interruption
        self._link: Link | None = None
        self.unavailable: LinkUnavailable | None = None

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
        """Close the link. A second call does nothing."""
        if self._link is not None:
            link, self._link = self._link, None
            link.close()
            self._core.connection_lost(self._clock.now_ns())
            self._change_speed()

    def run(self, procedure: Procedure[T]) -> T:
        """Run a procedure to its end and return its result.

        An interruption (KeyboardInterrupt, `Interrupted`) closes procedure and link and goes on to
        the caller.
        """
        try:
            self._check()
            if self._link is None:
                self._link = self._opened()
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
        except Interrupted:
            self.close()
            raise
        except Exception:
            raise
        except BaseException:
            self.close()
            raise
        finally:
            procedure.close()

    def _opened(self) -> Link:
        if self._interruption is None:
            return self._open_link()
        return self._interruption.attended(self._open_link, lambda link: link.close())

    def _check(self) -> None:
        """Raise `Interrupted` where another thread asked for it."""
        if self._interruption is not None:
            self._interruption.check()

    def _carry_out(self, effect: Effect) -> Any:
        match effect:
            case Perform(command):
                try:
                    self._core.start(command, self._clock.now_ns())
                except ValueError as error:
                    raise RaisedForProcedure(error) from error
                if self._link is None:
                    self._core.connection_lost(self._clock.now_ns())
                self._change_speed()
                return self._final_event()
            case Wait(duration_ns):
                end = self._clock.now_ns() + duration_ns
                while self._clock.now_ns() < end:
                    self._turn(end)
                return None
            case Reopen():
                return self._reopen()
            case Durably(action):
                try:
                    return action()
                except Exception as error:
                    raise RaisedForProcedure(error) from error
            case Now():
                return self._clock.now_ns()

    def _final_event(self) -> Any:
        while (event := self._core.next_event()) is None:
            if self._change_speed():
                self._turn(None)
        self._change_speed()
        return event

    def _reopen(self) -> bool:
        self.close()
        try:
            self._link = self._opened()
        except LinkUnavailable as error:
            self.unavailable = error
            return False
        self.unavailable = None
        return True

    def _turn(self, until_ns: int | None) -> None:
        """Do what is due, then wait for characters, the core's timer, or ``until_ns``."""
        self._check()
        core, now = self._core, self._clock.now_ns()
        timer = core.next_timer()
        due = timer is not None and timer <= now
        if due:
            core.handle_timer(now)
            if not self._change_speed():
                return
        if self._link is None:
            assert until_ns is not None, "a command cannot run without a link"
            self._clock.sleep_until(self._in_pieces(until_ns, now))
            return
        if chars := core.bytes_to_send(self._clock.now_ns()):
            try:
                self._link.send(chars)
            except LinkLost:
                self.close()
                return
            self._observe("client", chars)
            self._change_speed()
            return
        if not self._change_speed() or due:
            return  # the command may have ended by it
        ends = [end for end in (until_ns, core.next_timer()) if end is not None]
        wait = max(0, min(ends) - self._clock.now_ns()) if ends else None
        if self._interruption is not None:
            wait = LONGEST_WAIT_NS if wait is None else min(wait, LONGEST_WAIT_NS)
        try:
            chars = self._link.receive(wait)
        except LinkLost:
            self.close()
            return
        if chars:
            self._observe("server", chars)
            core.receive(chars, self._clock.now_ns())
            self._change_speed()

    def _in_pieces(self, until_ns: int, now_ns: int) -> int:
        """Return until when to sleep at once."""
        if self._interruption is None:
            return until_ns
        return min(until_ns, now_ns + LONGEST_WAIT_NS)

    def _change_speed(self) -> bool:
        """Carry out the changes that the core asks for; False where the link was lost by it.

        Without a link there is nothing to change: the next one begins at its own speed.
        """
        lost = False
        while (change := self._core.next_speed_change()) is not None:
            if self._link is None:
                continue
            try:
                self._link.set_speed(change.speed)
            except LinkLost:
                lost = True
                self.close()
                continue
            if self._on_speed is not None:
                self._on_speed("client", change.speed, self._clock.now_ns())
        return not lost

    def _observe(self, sender: Sender, chars: bytes) -> None:
        if self._observer is not None:
            self._observer(sender, chars, self._clock.now_ns())
