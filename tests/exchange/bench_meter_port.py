"""A meter's port on a bench: a virtual clock, a line with a speed, a host that follows a script."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence

import pytest

from vtc07.carrier.companion import MS
from vtc07.carrier.exchange.events import (
    Acknowledged,
    Block,
    CommandGiven,
    DataSets,
    Denied,
    ErrorText,
    Granted,
    Identification,
    IdentificationAsked,
    MeterEvent,
    MeterReply,
    MeterRequest,
    Operand,
    OperandAsked,
    PasswordGiven,
    ReadoutAsked,
    ResultGiven,
    SessionEnd,
    SessionEnded,
    SignedOnTo,
)
from vtc07.carrier.exchange.messages import CommandMessage
from vtc07.carrier.exchange.meter_port import MeterPort, PortSettings
from vtc07.carrier.exchange.meter_states import MeterInput, MeterState
from vtc07.carrier.messages import DataSet


def checked(message: bytes) -> bytes:
    """Add the check to a message from SOH or STX to ETX or EOT."""
    return message + bytes([functools.reduce(operator.xor, message[1:])])


ACK, NAK = b"\x06", b"\x15"
B0, B1 = b"\x01B0\x03\x71", b"\x01B1\x03\x70"
REQUEST = b"/?!\r\n"
TO_READ_OUT, TO_PROGRAM = b"\x06050\r\n", b"\x06051\r\n"
IDENTIFICATION = b"/VTC5TEST1\r\n"
READOUT = checked(b"\x020.0(4711)\r\n1.8.0(0001.5*kWh)\r\n!\r\n\x03")
P0 = checked(b"\x01P0\x02(4711)\x03")
LINES = ((DataSet("0.0", "4711"),), (DataSet("1.8.0", "0001.5", "kWh"),))
BLOCKS = tuple(DataSet(f"000{n}", f"{n}" * 50) for n in range(1, 4))


def command(code: str, data: str | None = None, *, more: bool = False) -> bytes:
    """Return a command's characters; ``more``: EOT in place of ETX."""
    return CommandMessage(code, data or "", partial=more, has_data=data is not None).to_chars()


SETTINGS = PortSettings("VTC", "5", ("10203",))
R1 = command("R1", "1.8.0()")
P1 = command("P1", "(right)")
DATA = checked(b"\x021.8.0(0001.5*kWh)\x03")  # the host's answer to R1


def host(request: MeterRequest) -> MeterReply | None:
    """Reply as a simple meter does."""
    match request:
        case IdentificationAsked():
            return Identification("TEST1")
        case ReadoutAsked():
            return Block(LINES)
        case OperandAsked():
            return Operand("4711")
        case PasswordGiven(password=password):
            return Granted() if password == "right" else Denied()
        case ResultGiven(operand=operand, result=result):
            return Granted() if (operand, result) == ("4711", "result") else Denied()
        case CommandGiven(code=code, data_sets=data_sets):
            if code in ("R3", "R4", "R6"):
                return DataSets(BLOCKS)
            if code[0] == "R" and data_sets:
                return DataSets((DataSet(data_sets[0].address, "0001.5", "kWh"),))
            return Acknowledged() if code[0] == "W" else ErrorText("ER01")
    raise AssertionError(request)


class PortBench:
    """Says characters to a port, at the port's speed, and collects what it answers.

    ``host``: replies to a request, or None for none; ``host_delay_ms``: how long it takes.
    ``by_character``: each character comes alone, else a message comes with its last character.
    """

    def __init__(
        self,
        settings: PortSettings | None = None,
        *,
        paced: bool = True,
        host: Callable[[MeterRequest], MeterReply | None] = host,
        host_delay_ms: int = 0,
        by_character: bool = False,
    ) -> None:
        self.settings = settings or PortSettings("VTC", "5", ("10203",))
        self.port = MeterPort(self.settings, paced=paced)
        self.now_ns = 1_000 * MS
        self.host = host
        self.sent: list[tuple[int, int, bytes]] = []  # first character in ns, speed, characters
        self.speeds: list[int] = []
        self.events: list[MeterEvent] = []
        self.used: list[tuple[MeterState, MeterInput]] = []
        self.line_speed = 300
        self.heard_ns = 0  # the last character of the latest message said
        self.host_delay_ns = host_delay_ms * MS
        self._due: list[tuple[int, int, MeterReply]] = []
        self._by_character = by_character
        self.port.on_transition = lambda state, heard: self.used.append((state, heard))

    def turn(self) -> None:
        """Let the host answer, and the port send what is due, as a driver does."""
        self._change()
        self._serve()
        self._answer()
        self._serve()
        self._change()
        if chars := self.port.bytes_to_send(self.now_ns):
            self.sent.append((self.now_ns, self.line_speed, chars))
        self._change()

    def _serve(self) -> None:
        while (event := self.port.next_event()) is not None:
            self.events.append(event)
            if not isinstance(event, SignedOnTo | SessionEnded):
                reply = self.host(event)
                if reply is not None:
                    due = self.now_ns + self.host_delay_ns
                    self._due.append((due, event.request, reply))
            self._answer()
            self._change()

    def _answer(self) -> None:
        while self._due and self._due[0][0] <= self.now_ns:
            _, request, reply = self._due.pop(0)
            self.port.answer(request, reply, self.now_ns)

    def _change(self) -> None:
        while (change := self.port.next_speed_change()) is not None:
            self.line_speed = change.speed
            self.speeds.append(change.speed)

    def advance(self, ms: float) -> None:
        """Let time pass, with every timer called when it is due."""
        end = self.now_ns + int(ms * MS)
        self.turn()
        while True:
            timers = [due for due, _, _ in self._due]
            if (timer := self.port.next_timer()) is not None:
                timers.append(timer)
            if not timers or min(timers) > end:
                break
            self.now_ns = max(self.now_ns, min(timers))
            self.port.handle_timer(self.now_ns)
            self.turn()
        self.now_ns = end

    def hear(self, chars: bytes) -> None:
        """Give characters to the port; they take their time on the line."""
        pieces = [bytes((char,)) for char in chars] if self._by_character else [chars]
        for piece in pieces:
            self.now_ns += len(piece) * self.port.character_ns
            self.port.receive(piece, self.now_ns)
            self.turn()
        self.heard_ns = self.now_ns

    def say(self, chars: bytes, wait_ms: float = 1200) -> bytes:
        """Say characters, wait, and return what the port answered meanwhile."""
        before = len(self.sent)
        self.hear(chars)
        self.advance(wait_ms)
        return self.answers(before)

    def answers(self, since: int = 0) -> bytes:
        """Return what was sent from the ``since``-th time on."""
        return b"".join(chars for _, _, chars in self.sent[since:])

    def sign_on(self, option: bytes = TO_PROGRAM) -> bytes:
        """Sign on and select; return the answer to the option select."""
        assert self.say(REQUEST) == IDENTIFICATION
        return self.say(option)

    @property
    def end(self) -> SessionEnd | None:
        """Why the latest session ended."""
        ends = [event.end for event in self.events if isinstance(event, SessionEnded)]
        return ends[-1] if ends else None

    @property
    def executed(self) -> Sequence[MeterRequest]:
        """What the host was asked to do."""
        return [
            event
            for event in self.events
            if isinstance(event, CommandGiven | PasswordGiven | ResultGiven)
        ]


@pytest.fixture
def bench() -> PortBench:
    """Return a port in mode C, at the start."""
    return PortBench(SETTINGS)


@pytest.fixture
def signed_on() -> PortBench:
    """Return a port in programming mode."""
    bench = PortBench(SETTINGS)
    assert bench.sign_on() == P0
    return bench
