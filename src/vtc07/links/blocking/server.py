"""The server's driver, blocking: serves a meter at a port."""

from __future__ import annotations

import threading
from collections.abc import Callable

from vtc07.carrier.endpoint import ServerEndpoint
from vtc07.links.clock import Clock, MonotonicClock
from vtc07.links.link import (
    AGAIN_NS,
    Link,
    LinkLost,
    LinkUnavailable,
    Observer,
    Port,
    Sender,
    SpeedObserver,
)

#: The longest wait in one piece: how soon `stop`, and work from elsewhere, is noticed.
LONGEST_WAIT_NS = 100_000_000
#: Jobs run in one turn; the line is looked after however much work there is.
_MOST_JOBS = 16


class ServerDriver:
    """Turns a server's endpoint at a port until `stop`; jobs run in between, in the same thread.

    The endpoint is turned whether or not a link is there: an execution goes on. What another
    thread does to the endpoint is that thread's affair to lock; timers and work that come of it
    are noticed within 100 ms. ``each_turn`` is called at the begin of every turn, in the thread of
    `serve` and at least every 100 ms: there the endpoint may be acted on without a lock.
    """

    def __init__(
        self,
        endpoint: ServerEndpoint,
        port: Port,
        *,
        clock: Clock | None = None,
        observer: Observer | None = None,
        on_speed: SpeedObserver | None = None,
        each_turn: Callable[[], None] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._port = port
        self._clock: Clock = clock if clock is not None else MonotonicClock()
        self._observer = observer
        self._on_speed = on_speed
        self._each_turn = each_turn
        self._link: Link | None = None
        self._job_out = False
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Have `serve` return soon. May be called from any thread."""
        self._stopped.set()

    def serve(self) -> None:
        """Serve until `stop`, or until an interruption; then link and port are closed.

        LinkUnavailable where the port gives no more links.
        """
        try:
            while not self._stopped.is_set():
                self._turn()
        finally:
            self._lost()
            if not self._job_out:
                self._work()
            self._port.close()

    def _turn(self) -> None:
        if self._each_turn is not None:
            self._each_turn()
        endpoint, now = self._endpoint, self._clock.now_ns()
        timer = endpoint.next_timer()
        if timer is not None and timer <= now:
            endpoint.handle_timer(now)
            self._change_speed()
        busy = self._work()
        chars = endpoint.bytes_to_send(self._clock.now_ns())
        if chars and self._link is not None:
            try:
                self._link.send(chars)
            except LinkLost:
                self._lost()
            else:
                self._observe("server", chars)
        self._change_speed()
        wait = 0 if busy else LONGEST_WAIT_NS
        if (timer := endpoint.next_timer()) is not None:
            wait = max(0, min(wait, timer - self._clock.now_ns()))
        if self._link is None:
            self._link = self._port.accept(wait)
            return
        try:
            chars = self._link.receive(wait)
        except LinkLost:
            self._lost()
            return
        if chars:
            self._observe("client", chars)
            endpoint.receive(chars, self._clock.now_ns())
            self._change_speed()

    def _change_speed(self) -> None:
        """Carry out the changes that the endpoint asks for, behind all that was handed over.

        Without a link there is nothing to change: the next one begins at its own speed.
        """
        while (change := self._endpoint.next_speed_change()) is not None:
            if self._link is None:
                continue
            try:
                self._link.set_speed(change.speed)
            except LinkLost:
                self._lost()
                continue
            if self._on_speed is not None:
                self._on_speed("server", change.speed, self._clock.now_ns())

    def _lost(self) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            link.close()
            self._endpoint.connection_lost(self._clock.now_ns())
            self._change_speed()

    def _work(self) -> bool:
        """Run jobs; True where there may be more."""
        for _ in range(_MOST_JOBS):
            if (job := self._endpoint.next_work()) is None:
                return False
            self._job_out = True  # stays so where an interruption ends the job
            failure: Exception | None = None
            try:
                job()
            except Exception as error:  # noqa: BLE001 - the endpoint is told whatever its job raises
                failure = error
            self._job_out = False
            self._endpoint.work_done(failure, self._clock.now_ns())
            self._change_speed()
        return True

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
        open_link: Callable[[], Link],
        *,
        character_ns: int = 0,
        first: Link | None = None,
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

    def accept(self, timeout_ns: int | None) -> Link | None:
        """Open the next link; None where it does not open in time, and is waited for."""
        if self._closed:
            raise LinkUnavailable("the port is closed")
        if self._first is not None:
            link, self._first = self._first, None
            return link
        if not self._may_try(timeout_ns):
            return None
        try:
            link = self._open_link()
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

    def _may_try(self, timeout_ns: int | None) -> bool:
        """Wait until it makes sense to try again; False where that is not in time."""
        if self._again_ns is None:
            return True
        left = self._again_ns - self._clock.now_ns()
        if timeout_ns is not None and timeout_ns < left:
            self._clock.sleep_until(self._clock.now_ns() + timeout_ns)
            return False
        self._clock.sleep_until(self._again_ns)
        return True

    def _say(self, sentence: str, *, lost: bool) -> None:
        """Tell of a change, once."""
        if lost != self._lost:
            self._lost = lost
            if self._told is not None:
                self._told(sentence)

    def close(self) -> None:
        """Open no more links; one that was given is its user's to close."""
        self._closed = True
        if self._first is not None:
            self._first.close()
            self._first = None
