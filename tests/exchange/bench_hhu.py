"""A hand-held unit on a bench: a virtual clock, and a meter's characters said by hand."""

from __future__ import annotations

from vtc07.carrier.companion import MS, Timing
from vtc07.carrier.exchange.events import Data, HHUCommand, HHUEvent, Order, SignOff, SignOn
from vtc07.carrier.exchange.hhu import HHU
from vtc07.carrier.exchange.hhu_states import HHUInput, HHUState
from vtc07.carrier.exchange.messages import operand_message
from vtc07.carrier.exchange.reader import LONGEST_DATA
from vtc07.carrier.exchange.settings import STANDARD, Compatibility, Purpose, WakeUp
from vtc07.carrier.messages import close

ACK, NAK = b"\x06", b"\x15"
B0, B1 = b"\x01B0\x03\x71", b"\x01B1\x03\x70"
REQUEST = b"/?!\r\n"
IDENTIFICATION = b"/VTC5TEST1\r\n"
TO_READ_OUT, TO_PROGRAM, TO_PROGRAM_SLOWLY = b"\x06050\r\n", b"\x06051\r\n", b"\x06001\r\n"
P0 = operand_message("4711")
BLOCK = b"0.0(4711)\r\n1.8.0(0001.5*kWh)\r\n!\r\n"
READOUT = close(b"\x02" + BLOCK)
DATA = close(b"\x021.8.0(0001.5*kWh)")
ERROR = close(b"\x02(ER04)")
PROGRAM = SignOn(purpose=Purpose.PROGRAMMING)
READ = Order("R1", "1.8.0()")


def part(text: bytes, *, more: bool = True) -> bytes:
    """Return a block of an answer; ``more``: EOT in place of ETX."""
    covered = text + (b"\x04" if more else b"\x03")
    check = 0
    for char in covered:
        check ^= char
    return b"\x02" + covered + bytes([check])


def damaged(message: bytes) -> bytes:
    """Return a message with one wrong character in the middle."""
    at = len(message) // 2
    return message[:at] + b"\xff" + message[at + 1 :]


class HHUBench:
    """Runs commands of a unit against answers given by hand.

    ``sent``: speed and characters of what it said, NULs of a wake-up with it; ``told``: the changes
    of speed that its link was told; both with the time in ms.
    """

    def __init__(
        self,
        *,
        compatibility: Compatibility = STANDARD,
        timing: Timing | None = None,
        paced: bool = False,
        naks: int | None = None,
        wake_up: WakeUp = WakeUp.NONE,
        silence_ms: int = 0,
        longest: int = LONGEST_DATA,
    ) -> None:
        self.hhu = HHU(
            timing or Timing(),
            compatibility=compatibility,
            paced=paced,
            naks=naks,
            wake_up=wake_up,
            silence_ns=silence_ms * MS,
            longest=longest,
        )
        self.now_ns = 1_000 * MS
        self.sent: list[tuple[int, int, bytes]] = []
        self.told: list[tuple[int, int]] = []
        self.events: list[HHUEvent] = []
        self.used: list[tuple[HHUState, HHUInput]] = []
        self.speed = 300  # of the link
        self.known: list[int] = []  # how many messages had been said at each transition
        self.hhu.on_transition = self._note

    def _note(self, state: HHUState, heard: HHUInput) -> None:
        self.used.append((state, heard))
        self.known.append(len(self.sent))

    # --- time ----------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._change()
        if chars := self.hhu.bytes_to_send(self.now_ns):
            self.sent.append((self.now_ns // MS, self.speed, chars))
            self._change()
        while (event := self.hhu.next_event()) is not None:
            self.events.append(event)

    def _change(self) -> None:
        while (change := self.hhu.next_speed_change()) is not None:
            self.speed = change.speed
            self.told.append((self.now_ns // MS, change.speed))

    def advance(self, ms: int) -> None:
        """Let time pass, with every timer called when it is due."""
        end = self.now_ns + ms * MS
        self._turn()
        while (timer := self.hhu.next_timer()) is not None and timer <= end:
            self.now_ns = max(self.now_ns, timer)
            self.hhu.handle_timer(self.now_ns)
            self._turn()
        self.now_ns = end

    def start(self, command: HHUCommand) -> None:
        """Begin a command."""
        self.hhu.start(command, self.now_ns)
        self._turn()

    def hear(self, chars: bytes, after_ms: int = 250) -> None:
        """Let the meter say something, by default 250 ms after now; it comes in one piece."""
        self.advance(after_ms)
        self.hhu.receive(chars, self.now_ns)
        self._turn()

    def lose(self) -> None:
        """Close the link; the next one begins at 300 Bd."""
        self.hhu.connection_lost(self.now_ns)
        self.speed = 300
        self._turn()

    def until_it_speaks(self, most_ms: int = 20_000) -> bytes:
        """Let time pass until something new is said, and return it; empty where nothing is."""
        known, end = len(self.sent), self.now_ns + most_ms * MS
        while len(self.sent) == known and self.now_ns < end and self.hhu.next_timer() is not None:
            self.advance(1)
        return self.sent[-1][2] if len(self.sent) > known else b""

    @property
    def said(self) -> list[bytes]:
        """What it said, message by message."""
        return [chars for _, _, chars in self.sent]

    @property
    def last(self) -> HHUEvent:
        """The latest event."""
        return self.events[-1]

    def reported(self) -> HHUEvent:
        """Return the latest event."""
        return self.events[-1]

    def data(self) -> Data:
        """Return the latest event, which is Data."""
        event = self.events[-1]
        assert isinstance(event, Data), event
        return event

    # --- the way into a session ----------------------------------------------------------------

    def sign_on(self, identification: bytes = IDENTIFICATION, command: SignOn = PROGRAM) -> None:
        """Have programming mode entered."""
        self.start(command)
        self.hear(identification)
        self.until_it_speaks()
        self.hear(P0)
        self.until_ready()

    def until_ready(self) -> None:
        """Let a reaction time pass."""
        self.advance(300)

    def order(self, command: HHUCommand) -> bytes:
        """Begin a command and return its characters once they are out."""
        self.start(command)
        known = self.sent[-1] if self.sent else None
        if known is None or known[0] < self.now_ns // MS:
            self.until_it_speaks()
        return self.sent[-1][2]

    def sign_off(self) -> None:
        """Say B0."""
        self.order(SignOff())
        self.advance(10)
