"""The server behind the sign-on of IEC 62056-21 mode C: the registers of a companion at its port.

The line is `vtc07.carrier.exchange.meter_port`'s; here its requests, which are characters, become
requests that speak of registers, and the host's replies become characters again. It has the face
of `vtc07.carrier.server.Server`, and the register rules of `vtc07.carrier.register_rules`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from vtc07.carrier.companion import Companion
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.events import (
    Challenge,
    Connected,
    Denied,
    Disconnected,
    Done,
    End,
    Granted,
    IdentificationRequested,
    OperandRequested,
    PasswordOffered,
    ReadoutRequested,
    ReadRequested,
    Refused,
    Reply,
    Request,
    ResultOffered,
    ServerEvent,
    TokenEntered,
    Values,
    WriteRequested,
)
from vtc07.carrier.exchange import events as exchange
from vtc07.carrier.exchange.meter_port import MeterPort, PortSettings
from vtc07.carrier.exchange.meter_states import MeterInput, MeterState
from vtc07.carrier.grammar import COMMAND_DATA_SET
from vtc07.carrier.messages import DataSet
from vtc07.carrier.register_rules import data_sets, encoded, is_alias, judge_read, judge_write
from vtc07.carrier.status import ErrorCode

#: R5 and R6 are R1 and R3 of national use (VDEW), and are what some clients have instead.
_READS_WHOLE: Final = ("R1", "R5")
_READS_IN_BLOCKS: Final = ("R3", "R6")
_WRITES: Final = ("W1", "W3", "W5")
#: A count of mode C: 1 to 4 hexadecimal digits (our choice; clients in the field say ``(1)``).
_COUNT = re.compile(r"[0-9A-Fa-f]{1,4}")

_ENDS: Final = {
    exchange.SessionEnd.BREAK: End.BREAK,
    exchange.SessionEnd.READOUT_DONE: End.READOUT,
    exchange.SessionEnd.PASSWORD: End.PASSWORD,
    exchange.SessionEnd.OPTION_FAULT: End.ERRORS,
    exchange.SessionEnd.OTHER_METER: End.OTHER_METER,
    exchange.SessionEnd.LATE: End.ERRORS,
    exchange.SessionEnd.INACTIVITY: End.INACTIVITY,
    exchange.SessionEnd.LINK: End.LINK,
}


class ModeCServer:
    """The state machine of one port, with the registers of a companion whose sign-on is mode C.

    ``addresses``: what the meter answers to besides the empty address. ``character_ns``: 0 where
    the path does not pace characters (TCP); else it is paced, by the speed of the moment.

    R1 and R5 read, R3 and R6 read in partial blocks, W1, W3 and W5 write; everything else is an
    undefined command (ER01). Registers are named by registerID or alias and shown as they were
    asked for. Access is at level 0 until the host grants another, and again with every sign-on.
    """

    def __init__(
        self, companion: Companion, addresses: Sequence[str], *, character_ns: int = 0
    ) -> None:
        if not all(addresses):
            raise ValueError("an own address is never empty: the empty address is everybody's")
        self._companion = companion
        self._port = MeterPort(_settings(companion, addresses), paced=character_ns > 0)
        self._events: deque[ServerEvent] = deque()
        self._pending: Request | None = None  # the request that the host has yet to answer
        self._by_alias = False  # how its registers were asked for
        self._connected = False
        self._level = 0

    @property
    def state(self) -> MeterState:
        """Where in a session the port is."""
        return self._port.state

    @property
    def connected(self) -> bool:
        """True while a session is open."""
        return self._port.connected

    @property
    def held(self) -> int:
        """How many characters it holds: of a message under way, and of an answer."""
        return self._port.held

    @property
    def speed(self) -> int:
        """The speed in Bd at which the port hears, and sends what comes next."""
        return self._port.speed

    @property
    def level(self) -> int:
        """The access level that is open."""
        return self._level

    @property
    def on_transition(self) -> Callable[[MeterState, MeterInput], None] | None:
        """Told of every row of the port's state table that is used, as it is; for coverage."""
        return self._port.on_transition

    @on_transition.setter
    def on_transition(self, told: Callable[[MeterState, MeterInput], None] | None) -> None:
        self._port.on_transition = told

    # --- the face ------------------------------------------------------------------------------

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take 7-bit characters, FF for a damaged one, timed by the last of them."""
        self._port.receive(chars, now_ns)
        self._judge_requests(now_ns)

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return the characters to be sent from now on."""
        chars = self._port.bytes_to_send(now_ns)
        self._judge_requests(now_ns)
        return chars

    def next_event(self) -> ServerEvent | None:
        """Return the next event for the host, oldest first."""
        return self._events.popleft() if self._events else None

    def next_speed_change(self) -> SpeedChange | None:
        """Return the next change of the line's speed at this end, or None."""
        return self._port.next_speed_change()

    def next_timer(self) -> int | None:
        """Return when `handle_timer` or `bytes_to_send` has something to do, or None."""
        return self._port.next_timer()

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due."""
        self._port.handle_timer(now_ns)
        self._judge_requests(now_ns)

    def connection_lost(self, now_ns: int) -> None:
        """Be Idle at once."""
        self._port.connection_lost(now_ns)
        self._judge_requests(now_ns)

    def answer(self, request: int, reply: Reply, now_ns: int) -> None:
        """Answer a request event; exactly once for each.

        An answer to a session that ended meanwhile goes nowhere. ValueError: no such request, or
        a reply that does not fit it.
        """
        pending = self._pending
        if pending is None or pending.request != request:
            # The port knows which numbers there were; what it answers goes nowhere.
            self._port.answer(request, exchange.Acknowledged(), now_ns)
            return
        answer = self._answer_of(pending, reply)
        self._pending = None
        if isinstance(reply, Granted):
            self._level = reply.level
        self._port.answer(request, answer, now_ns)
        self._judge_requests(now_ns)

    # --- requests ------------------------------------------------------------------------------

    def _judge_requests(self, now_ns: int) -> None:
        while (event := self._port.next_event()) is not None:
            match event:
                case exchange.SignedOnTo():
                    self._begin()
                case exchange.SessionEnded(end=end):
                    self._end(_ENDS[end])
                case exchange.IdentificationAsked(request=request):
                    asked = self._companion.identification
                    self._ask(IdentificationRequested(request, asked))
                case exchange.ReadoutAsked(request=request):
                    self._ask(ReadoutRequested(request, self._companion.readout))
                case exchange.OperandAsked(request=request):
                    self._ask(OperandRequested(request))
                case exchange.PasswordGiven(request=request, password=password):
                    self._ask(PasswordOffered(request, password))
                case exchange.ResultGiven(request=request, operand=operand, result=result):
                    self._ask(ResultOffered(request, operand, result))
                case exchange.CommandGiven():
                    self._obey(event, now_ns)

    def _begin(self) -> None:
        self._level = 0
        self._pending = None
        if not self._connected:
            self._connected = True
            self._events.append(Connected())

    def _end(self, end: End) -> None:
        self._level = 0
        self._pending = None
        self._connected = False
        self._events.append(Disconnected(end))

    def _obey(self, command: exchange.CommandGiven, now_ns: int) -> None:
        outcome = self._judge(command)
        if isinstance(outcome, ErrorCode):
            self._port.answer(command.request, self._error(outcome), now_ns)
        else:
            self._ask(outcome)

    def _judge(
        self, command: exchange.CommandGiven
    ) -> ReadRequested | WriteRequested | TokenEntered | ErrorCode:
        code, companion = command.code, self._companion
        if code not in (*_READS_WHOLE, *_READS_IN_BLOCKS, *_WRITES):
            return ErrorCode.UNDEFINED_COMMAND
        match = COMMAND_DATA_SET.fullmatch(command.data.encode("ascii", "replace"))
        if match is None:
            return ErrorCode.MALFORMED_DATA_SET
        address, value = match[1].decode("ascii"), match[2].decode("ascii")
        if code in _WRITES:
            return judge_write(companion, command.request, address, value, level=self._level)
        register = companion.table.find(address)
        self._by_alias = register is not None and is_alias(register, address)
        # Without addresses more fit than is known here; the port cuts off what does not.
        whole = code in _READS_WHOLE and not companion.compatibility.address_not_echoed
        return judge_read(
            companion,
            command.request,
            address,
            _count(value),
            level=self._level,
            limits=companion.limits if whole else None,
        )

    def _ask(self, event: Request) -> None:
        self._pending = event
        self._events.append(event)

    # --- replies -------------------------------------------------------------------------------

    def _answer_of(self, pending: Request, reply: Reply) -> exchange.MeterReply:
        match pending, reply:
            case IdentificationRequested(registers=registers), Values(values):
                return exchange.Identification("".join(encoded(registers, values)))
            case ReadoutRequested(registers=registers), Values(values):
                shown = data_sets(registers, values, by_alias=True)
                return exchange.Block(tuple((each,) for each in shown))
            case OperandRequested(), Challenge(operand):
                return exchange.Operand(operand)
            case ((PasswordOffered() | ResultOffered()), Granted()):
                return exchange.Granted()
            case ((PasswordOffered() | ResultOffered()), Denied()):
                return exchange.Denied()
            case ReadRequested(registers=registers), Values(values):
                answer: list[DataSet] = data_sets(registers, values, by_alias=self._by_alias)
                return exchange.DataSets(tuple(answer))
            case ((WriteRequested() | TokenEntered()), Done()):
                return exchange.Acknowledged()
            case ((ReadRequested() | WriteRequested() | TokenEntered()), Refused(error)):
                return self._error(error)
        raise ValueError(f"{type(reply).__name__} is no answer to {type(pending).__name__}")

    def _error(self, error: ErrorCode) -> exchange.ErrorText:
        return exchange.ErrorText(self._companion.errors[error])


def _count(text: str) -> int | None:
    """Return how many registers a read asks for, or None where its value is no count."""
    if not text:
        return 1
    number = int(text, 16) if _COUNT.fullmatch(text) else 0
    return number or None


def _settings(companion: Companion, addresses: Sequence[str]) -> PortSettings:
    rule = companion.mode_c
    if rule is None:
        raise ValueError(f"the sign-on of the companion {companion.name} is not mode C")
    return PortSettings(
        flag=companion.flag,
        baud_identification=companion.baud_identification,
        addresses=tuple(addresses),
        mode_e=rule.mode_e,
        option_fault=rule.option_fault,
        # The registers write their own commas: the port would put them into texts as well.
        compatibility=replace(companion.compatibility, decimal_comma=False),
        timing=companion.timing,
        limits=companion.limits,
        partial_block=rule.partial_block,
        speeds=rule.speeds,
        block_error=companion.errors[ErrorCode.MALFORMED_DATA_SET],
    )
