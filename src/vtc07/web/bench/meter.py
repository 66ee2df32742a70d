"""A virtual meter on the bench: its works, turned by a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from typing import Final

from vtc07.cli.journalling import now as wall_now
from vtc07.hhu.texts import said
from vtc07.links.clock import Clock, MonotonicClock
from vtc07.web.bench.facts import BenchRefused, Kind, LineCharacter, Panel
from vtc07.web.bench.pace import MS
from vtc07.web.bench.sale import PointOfSale
from vtc07.web.bench.works import PASSWORD, Surroundings, Works

__all__ = ["PASSWORD", "BenchMeter"]

#: What changes by itself is told so often at most; what people do, at once.
_TELL_NS: Final = 50 * MS
_S: Final = 1_000_000_000

_Action = tuple[Callable[[], None], "Future[None]"]


class BenchMeter:
    """A meter on the bench, with its line, its cable, its supply and its point of sale.

    Everything may be called from any thread, and has happened when it returns: the panel shows it
    then. Each raises BenchRefused where that cannot be done, also after `close`.

    ``on_change``: called, in any thread, when the panel is another one, characters have passed, or
    something was issued. ``clock``: real time; its ns have to pass as `MonotonicClock`'s do.
    """

    def __init__(
        self,
        kind: Kind,
        on_change: Callable[[], None],
        *,
        clock: Clock | None = None,
        wall_clock: Callable[[], datetime] = wall_now,
    ) -> None:
        self.kind = kind
        self.sale = PointOfSale(kind, wall_clock, on_change)
        self._on_change = on_change
        self._clock: Clock = clock if clock is not None else MonotonicClock()
        self._guard = threading.Condition()
        self._actions: deque[_Action] = deque()
        self._woken = False
        self._closed = False
        self._works = Works(kind, self.sale, Surroundings(self._clock, wall_clock, self._wake))
        self._works.turn()
        self._panel = self._works.panel()
        self._passed = 0  # characters that were told of
        self._tell_ns = self._clock.now_ns()  # not before this is anything told by itself
        self._thread = threading.Thread(target=self._run, name=f"bench-{kind.name}", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it is reached: ``inner:NAME``."""
        return str(self._works.end.address)

    @property
    def password(self) -> str | None:
        """The password of its port, None where the port knows none. It is no secret."""
        return self._works.password

    @property
    def meter_pan(self) -> str:
        """Its MeterPAN."""
        return self._works.meter_pan

    def panel(self) -> Panel:
        """Return the meter as it stands; from memory, at once, also after `close`."""
        return self._panel

    def characters(self, after: int) -> tuple[LineCharacter, ...]:
        """Return the characters with higher numbers than ``after``, of the last 5,000."""
        return self._works.tape.after(after)

    def press(self, key: str) -> None:
        """Press a key of the keypad, one of `KEYS`."""
        self._do(lambda: self._works.press(key))

    def set_load(self, phase: int, load: int) -> None:
        """Have a phase, from 1, want so many W; the one load of water and gas, litres per hour."""
        self._do(lambda: self._works.set_load(phase, load))

    def set_supply(self, on: bool) -> None:  # noqa: FBT001 - a switch is on or off
        """Pull the supply out, without warning, or put it back."""
        self._do(lambda: self._works.set_supply(on=on))

    def set_cable(self, plugged: bool) -> None:  # noqa: FBT001 - likewise
        """Pull the cable of the line out, of which nobody is told, or put it back."""
        self._do(lambda: self._works.set_cable(plugged=plugged))

    def tamper(self) -> None:
        """Open the terminal cover."""
        self._do(self._works.tamper)

    def set_time(self, factor: int) -> None:
        """Have time pass so many times as fast (`TIME_FACTORS`) while nobody uses the line."""
        self._do(lambda: self._works.set_time(factor))

    def close(self) -> None:
        """End thread and line, whatever is under way; a link that is open is lost."""
        with self._guard:
            self._closed = True
            self._guard.notify_all()
        self._thread.join()
        self._works.close()
        self._refuse_all()

    # --- the thread -------------------------------------------------------------------------------

    def _wake(self) -> None:
        with self._guard:
            self._woken = True
            self._guard.notify_all()

    def _do(self, action: Callable[[], None]) -> None:
        """Have the thread do something, and wait until it is done."""
        done: Future[None] = Future()
        with self._guard:
            if self._closed:
                raise _closed()
            self._actions.append((action, done))
            self._guard.notify_all()
        done.result()

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        finally:  # also where something has gone wrong that nobody foresaw: none may wait for ever
            with self._guard:
                self._closed = True
            self._works.close()
            self._refuse_all()

    def _turn(self) -> bool:
        """Turn the works once and wait for the next time; False at the end."""
        with self._guard:
            if self._closed:
                return False
            actions = list(self._actions)
            self._actions.clear()
            self._woken = False
        ended: list[tuple[Future[None], Exception | None]] = []
        try:
            for action, done in actions:
                self._works.catch_up()
                ended.append((done, _error_of(action)))
            due = self._works.turn()
            is_opened = self._works.end.in_use is not self._panel.line_in_use  # or closed
            due = self._tell(due, at_once=bool(actions) or is_opened)
        finally:
            not_done = ((done, _closed()) for _, done in actions[len(ended) :])
            for done, error in (*ended, *not_done):
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)
        with self._guard:
            if not (self._actions or self._woken or self._closed):
                self._guard.wait(max(0, due - self._clock.now_ns()) / _S)
        return True

    def _tell(self, due: int, *, at_once: bool) -> int:
        """Tell what is not as it was; return when the next turn is due."""
        now = self._clock.now_ns()
        if now < self._tell_ns and not at_once:
            return min(due, self._tell_ns)
        panel, passed = self._works.panel(), self._works.tape.count
        changed = passed != self._passed or _timeless(panel) != _timeless(self._panel)
        self._panel, self._passed = panel, passed
        if changed:
            self._tell_ns = now + _TELL_NS
            self._on_change()
        return due

    def _refuse_all(self) -> None:
        """Tell those who still wait that nothing happens any more."""
        with self._guard:
            actions = list(self._actions)
            self._actions.clear()
        for _, done in actions:
            done.set_exception(_closed())


def _error_of(action: Callable[[], None]) -> Exception | None:
    """Do something; return what it raised, which is for whoever asked for it."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - see above
        return error
    return None


def _timeless(panel: Panel) -> Panel:
    return replace(panel, line_ns=0)


def _closed() -> BenchRefused:
    return BenchRefused(said("The bench is closed."))
