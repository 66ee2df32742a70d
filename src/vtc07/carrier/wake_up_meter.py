"""A meter on a battery: its port sleeps until it is woken (IEC 62056-21 annex B), without I/O.

Normal wake-up (B.1): NULs of 2.1 to 2.3 s without gaps, then silence of 1.5 to 1.7 s. Fast wake-up
(B.2): bursts of NULs of 500 to 600 ms with short pauses, in one of which the meter says ACK.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from vtc07.carrier.companion import MS, Timing
from vtc07.carrier.endpoint import ServerEndpoint, SpeedChange
from vtc07.carrier.exchange.messages import ACK
from vtc07.carrier.exchange.settings import WakeUp

# The standard's times, wider by what a meter's own clock and a driver's may be off (our choice).
SHORTEST_RUN_NS: Final = 2000 * MS  # 2.1 s
LONGEST_RUN_NS: Final = 2500 * MS  # 2.3 s: a line that never stops wakes nobody
SHORTEST_SILENCE_NS: Final = 1450 * MS  # 1.5 s
SHORTEST_BURST_NS: Final = 450 * MS  # 500 ms
LONGEST_BURST_NS: Final = 700 * MS  # 600 ms
#: A gap between two NULs of one run: 5 ms, and 35 ms by which runs may be handed over late.
LONGEST_GAP_NS: Final = 40 * MS
#: Ta, from the end of a burst, where another NUL would have been heard, to the ACK.
ACK_NS: Final = 10 * MS
#: The shortest pause after a burst, beyond two characters: later the ACK would meet the next one.
PAUSE_NS: Final = 20 * MS


class Sleeper(ServerEndpoint, Protocol):
    """What may be put to sleep: any server that tells whether a session is open."""

    @property
    def connected(self) -> bool:
        """True while a session is open."""


class SleepingPort:
    """A server's endpoint behind a port that hears nothing but a wake-up while it sleeps.

    It sleeps again at the end of a session, or when none was opened for the time of inactivity.
    What the server still has to send, and its work, go on while the port sleeps.

    ``wake_up``: `NORMAL`, or `FAST`, which knows both. ``character_ns``: duration of a character at
    the speed at which the port sleeps (300 Bd in mode C), also where the path does not pace them:
    there a run is as long as its characters would take. ValueError: `NONE`, or no duration.
    """

    def __init__(
        self, server: Sleeper, wake_up: WakeUp, timing: Timing, *, character_ns: int
    ) -> None:
        if wake_up is WakeUp.NONE or character_ns <= 0:
            raise ValueError("a port that sleeps has a wake-up, and characters that take time")
        self._server = server
        self._fast = wake_up is WakeUp.FAST
        self._timing = timing
        self._character_ns = character_ns
        self._awake = False
        self._awake_ns = 0  # since when
        self._was_connected = False
        self._nuls = 0  # of the latest run without a gap
        self._nul_ns = 0  # the last of them
        self._pause_ns: int | None = None  # the last one before the latest pause that was seen

    @property
    def awake(self) -> bool:
        """True while the server hears what comes."""
        return self._awake

    @property
    def connected(self) -> bool:
        """True while a session is open."""
        return self._server.connected

    # --- the face ------------------------------------------------------------------------------

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take characters from the line, timed by the last of them."""
        begun_ns = now_ns - len(chars) * self._character_ns
        self.handle_timer(now_ns if self._awake else begun_ns)
        while chars and not self._awake:
            run = len(chars) - len(chars.lstrip(b"\x00"))
            self._hear_nuls(run, now_ns - (len(chars) - run) * self._character_ns)
            chars = chars[run:]
            if chars:
                self._nuls, chars = 0, chars[1:]  # neither a run nor silence
        if chars:
            self._server.receive(chars, now_ns)
        self._watch(now_ns)

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return the characters to be sent from now on: the server's, or ACK in a pause."""
        due = self._ack_due_ns()
        if due is not None and now_ns >= due:
            self._pause_ns = self._nul_ns
            if now_ns <= self._nul_ns + 2 * self._character_ns + PAUSE_NS:
                self._wake(now_ns)
                return ACK
        chars = self._server.bytes_to_send(now_ns)
        self._watch(now_ns)
        return chars

    def next_timer(self) -> int | None:
        """Return the instant of the next timer, or None."""
        dues = (self._server.next_timer(), self._ack_due_ns(), self._wake_due_ns())
        timers = [due for due in dues if due is not None]
        if self._awake and not self._server.connected:
            timers.append(self._awake_ns + self._timing.inactivity_ns)
        return min(timers, default=None)

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due."""
        self._server.handle_timer(now_ns)
        due = self._wake_due_ns()
        if due is not None and now_ns >= due:
            self._wake(due)
        self._watch(now_ns)

    def connection_lost(self, now_ns: int) -> None:
        """Take notice that the link closed."""
        self._server.connection_lost(now_ns)
        self._sleep()

    def next_speed_change(self) -> SpeedChange | None:
        """Return the next change of the line's speed at this end, or None."""
        return self._server.next_speed_change()

    def next_work(self) -> Callable[[], None] | None:
        """Return a blocking job to run, or None; at most one is out at a time."""
        return self._server.next_work()

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        """Report the end of the job that was handed out."""
        self._server.work_done(error, now_ns)
        self._watch(now_ns)

    # --- asleep and awake ----------------------------------------------------------------------

    def _hear_nuls(self, count: int, last_ns: int) -> None:
        """Take NULs that came one after the other, the last of them at ``last_ns``."""
        if not count:
            return
        gap_ns = last_ns - count * self._character_ns - self._nul_ns
        self._nuls = count + (self._nuls if gap_ns <= LONGEST_GAP_NS else 0)
        self._nul_ns = last_ns

    def _wake_due_ns(self) -> int | None:
        """Return when the silence after a normal wake-up is over, or None."""
        run_ns = self._nuls * self._character_ns
        if self._awake or not SHORTEST_RUN_NS <= run_ns <= LONGEST_RUN_NS:
            return None
        return self._nul_ns + SHORTEST_SILENCE_NS

    def _ack_due_ns(self) -> int | None:
        """Return when the pause after a burst is surely one, or None."""
        run_ns = self._nuls * self._character_ns
        if self._awake or not self._fast or self._pause_ns == self._nul_ns:
            return None
        if not SHORTEST_BURST_NS <= run_ns <= LONGEST_BURST_NS:
            return None
        return self._nul_ns + self._character_ns + ACK_NS

    def _wake(self, now_ns: int) -> None:
        self._awake = True
        self._awake_ns = now_ns
        self._was_connected = False

    def _sleep(self) -> None:
        self._awake = self._was_connected = False
        self._nuls = 0

    def _watch(self, now_ns: int) -> None:
        """Sleep where a session has ended, or none was opened for long."""
        connected = self._server.connected
        if self._awake and not connected:
            idle_ns = now_ns - self._awake_ns
            if self._was_connected or idle_ns >= self._timing.inactivity_ns:
                self._sleep()
        self._was_connected = self._awake and connected
