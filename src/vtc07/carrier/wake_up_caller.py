"""Waking a meter on a battery, the HHU's side of IEC 62056-21 annex B, without I/O.

Normal (B.1): one long run of NULs and a pause, then the request. Fast (B.2): bursts of NULs with
short pauses, in one of which the meter says ACK; the request follows, and the session ends with B1.
"""

from __future__ import annotations

from typing import Final

from vtc07.carrier.companion import MS, Timing
from vtc07.carrier.exchange.settings import WakeUp
from vtc07.carrier.grammar import ACK

FAST_BURST_NS: Final = 550 * MS  # Tn: 500 to 600 ms
FAST_LISTEN_NS: Final = 30 * MS  # beyond two characters: 20 to 40 ms
FAST_FOR_NS: Final = 4500 * MS  # at least so long without an ACK
FAST_REQUEST_NS: Final = 300 * MS  # after the ACK: 200 to 1500 ms


class WakeUpCaller:
    """The NULs before one request.

    ``character_ns``: how long one character takes at the meter's end, where a path may not show
    it (TCP to a gateway). ``kind`` is not `WakeUp.NONE`.
    """

    def __init__(self, kind: WakeUp, timing: Timing, character_ns: int, begin_ns: int) -> None:
        if kind is WakeUp.NONE:
            raise ValueError("nobody is to be woken")
        self._fast = kind is WakeUp.FAST
        self._timing = timing
        self._character_ns = character_ns
        self._first_ns: int | None = None
        self._busy_ns = begin_ns  # the last NUL of the latest burst is out
        self.due_ns = begin_ns
        """When `bytes_to_send` has the next NULs, or `request_ns` comes to be known."""
        self.request_ns: int | None = None
        """When the request may go out; None while the meter is still being woken."""

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return the NULs whose time has come."""
        if self.request_ns is not None or now_ns < self.due_ns:
            return b""
        if self._first_ns is None:
            self._first_ns = now_ns
        if not self._fast:
            nuls = -(-self._timing.wake_up_ns // self._character_ns)
            self._busy_ns = now_ns + nuls * self._character_ns
            self.due_ns = self.request_ns = self._busy_ns + self._timing.wake_up_pause_ns
            return bytes(nuls)
        if now_ns - self._first_ns >= FAST_FOR_NS:
            # No ACK was heard: it may have been lost, or the meter was awake all the time.
            self.due_ns = self.request_ns = now_ns + self._timing.reaction_ns
            return b""
        nuls = FAST_BURST_NS // self._character_ns
        self._busy_ns = now_ns + nuls * self._character_ns
        self.due_ns = self._busy_ns + 2 * self._character_ns + FAST_LISTEN_NS
        return bytes(nuls)

    def hear(self, chars: bytes, now_ns: int) -> None:
        """Take what arrives meanwhile: an ACK says that the meter is awake.

        It counts during a burst as well: a path may deliver it late.
        """
        if self._fast and self.request_ns is None and ACK in chars:
            quiet_ns = self._busy_ns + self._timing.reaction_ns
            self.due_ns = self.request_ns = max(now_ns + FAST_REQUEST_NS, quiet_ns)
