"""A server that hears anything at any time, and what must hold whatever that is."""

from __future__ import annotations

import re

from fuzz_script import CHARACTER_NS, PAUSES, Op, steps
from vtc07.carrier.companion import MS, Companion
from vtc07.carrier.events import (
    Connected,
    Disconnected,
    Done,
    IdentificationRequested,
    ReadRequested,
    Refused,
    Reply,
    Request,
    TokenEntered,
    Values,
    WriteRequested,
)
from vtc07.carrier.messages import (
    ACK_MESSAGE,
    NAK_MESSAGE,
    DataMessage,
    ErrorMessage,
    bcc_is_good,
    parse_data,
)
from vtc07.carrier.registers import Kind, Register, Value
from vtc07.carrier.server import Server
from vtc07.carrier.status import ErrorCode

PAN = "600727111111111153"
_COMMAND = re.compile(rb"\x01(?:R1|W1)\x02([ -'+-~]+)\(([ -'+-~]*)\)\x03(.)", re.DOTALL)
_REQUEST = re.compile(rb"/\?([0-9A-Za-z ]{0,32})!\r\n")


class ServerTrial:
    """Two servers that hear the same, one in fragments and one character by character."""

    def __init__(self, companion: Companion, character_ns: int) -> None:
        self.companion = companion
        self.whole = Server(companion, [PAN, "42"], character_ns=character_ns)
        self.single = Server(companion, [PAN, "42"], character_ns=character_ns)
        self.now = 7 * 10**9
        self.heard = bytearray()  # what the second one listened to
        self.heard_at = self.now
        self.pending: Request | None = None
        self.asked: Request | None = None  # the last request
        self.reply: Reply | None = None  # and its reply
        self.connected = False
        self.slow = self.refuse = self.full = False

    def run(self, script: bytes) -> None:
        """Go through a script."""
        for step in steps(script):
            match step:
                case bytes():
                    self.now += CHARACTER_NS
                    self._hear(step)
                case Op.LOST:
                    self.whole.connection_lost(self.now)
                    self.single.connection_lost(self.now)
                case Op.TIMER:
                    timer = self.whole.next_timer()
                    self.now = self.now if timer is None else max(self.now, timer)
                case Op.SLOW:
                    self.slow = not self.slow
                case Op.REFUSE:
                    self.refuse = True
                case Op.FULL:
                    self.full = not self.full
                case _ if step in PAUSES:
                    self.now += PAUSES[step]
                case _:
                    self.now += 10 * MS
            self._settle()
        self.whole.connection_lost(self.now)
        self.single.connection_lost(self.now)
        self._settle()
        assert not self.whole.connected
        assert self.whole.next_timer() is None
        # And it can be opened again.
        self.now += CHARACTER_NS
        self._hear(b"/?!\r\n")
        assert self.whole.connected

    def _hear(self, chars: bytes) -> None:
        self.whole.receive(chars, self.now)
        for char in chars:
            self.single.handle_timer(self.now)
            if not self.single._answering():
                self.heard.append(char)
                self.heard_at = self.now
            self.single.receive(bytes((char,)), self.now)
        self._events()

    def _settle(self) -> None:
        self.whole.handle_timer(self.now)
        self.single.handle_timer(self.now)
        self._events()
        if self.pending is not None and not self.slow:
            self._answer()
        out = self.whole.bytes_to_send(self.now)
        assert out == self.single.bytes_to_send(self.now), "fragments change what is answered"
        if out:
            self._sent(out)
        assert self.whole.connected == self.single.connected == self.connected
        timer = self.whole.next_timer()
        assert timer == self.single.next_timer()
        assert timer is None or timer > self.now, "a timer stays due"
        limits = self.companion.limits
        assert self.whole._reader.length <= max(limits.command, 37) + 1
        assert len(self.whole._last_message) <= limits.data_message
        assert self.connected or not (self.whole._last_message or self.whole._outgoing)

    def _events(self) -> None:
        while True:
            event = self.single.next_event()
            assert event == self.whole.next_event(), "fragments change what is understood"
            match event:
                case None:
                    return
                case Connected():
                    assert not self.connected
                    self.connected = True
                case Disconnected():
                    assert self.connected
                    self.connected, self.pending = False, None
                case _:
                    assert self.connected
                    assert self.pending is None, "two requests at a time"
                    self._check_request(event)
                    self.pending = self.asked = event
                    self.reply = None

    def _check_request(self, event: Request) -> None:
        """A request is made by a whole, undamaged message that ended with the last character."""
        heard = bytes(self.heard)
        if isinstance(event, IdentificationRequested):
            match = _REQUEST.fullmatch(heard[heard.rindex(b"/?") :])
            assert match is not None
            asked = match[1].decode().lstrip("0")
            assert not match[1] or asked in (PAN, "42"), "another meter's request"
            return
        start = heard.rindex(b"\x01", 0, len(heard) - 1)
        chars = heard[start:]
        match = _COMMAND.fullmatch(chars)
        assert match is not None, "a request without a whole command"
        assert bcc_is_good(chars)
        assert len(chars) <= self.companion.limits.command
        address, text = match[1].decode(), match[2].decode()
        register = self.companion.table.find(address)
        assert register is not None
        match event:
            case ReadRequested(registers=registers):
                assert chars[1] == ord("R")
                assert registers[0] == register
                assert all(r.read_level == 0 for r in registers)
                assert len(registers) <= (int(text, 16) if text else 1)
            case WriteRequested(register=written, value=value):
                assert chars[1] == ord("W")
                assert written == register != self.companion.token_entry.register
                assert register.write_level == 0
                assert register.encode(value) == text.upper() or register.encode(value) == text
            case TokenEntered(token=token):
                assert chars[1] == ord("W")
                assert register == self.companion.token_entry.register
                fits = re.fullmatch("[0-9]{20}", text) and int(text) < 2**66
                assert token == (text if fits else None), "a token that was not entered"

    def _answer(self) -> None:
        request, self.pending = self.pending, None
        assert request is not None
        reply: Reply
        match request:
            case IdentificationRequested(registers=registers):
                reply = Values(tuple(_value(r, full=self.full) for r in registers))
            case ReadRequested(registers=registers) if not self.refuse:
                reply = Values(tuple(_value(r, full=self.full) for r in registers))
            case TokenEntered(token=None):
                reply = Refused(ErrorCode.VALUE_REFUSED)
            case WriteRequested() | TokenEntered() if not self.refuse:
                reply = Done()
            case _:
                reply = Refused(ErrorCode.STORE_FAULT)
        self.refuse = False
        self.reply = reply
        for server in (self.whole, self.single):
            server.answer(request.request, reply, self.now)
            server.answer(request.request, reply, self.now)  # a second one goes nowhere

    def _sent(self, out: bytes) -> None:
        assert self.connected, "an Idle server speaks"
        timing = self.companion.timing
        elapsed = self.now - self.heard_at
        assert self.companion.reaction_ns <= elapsed <= timing.longest_reaction_ns
        if out == NAK_MESSAGE:
            return
        if out == ACK_MESSAGE:
            assert isinstance(self.reply, Done), "an ACK for nothing"
            assert isinstance(self.asked, WriteRequested | TokenEntered)
            return
        if out.startswith(b"/"):
            assert isinstance(self.asked, IdentificationRequested)
            return
        assert len(out) <= self.companion.limits.data_message
        assert bcc_is_good(out)
        message = parse_data(out)
        if isinstance(message, ErrorMessage):
            assert self.companion.error_of(message.text) is not None
            return
        assert isinstance(message, DataMessage)
        assert isinstance(self.asked, ReadRequested)
        assert isinstance(self.reply, Values)
        said = zip(message.data_sets, self.asked.registers, self.reply.values, strict=False)
        for data_set, register, value in said:
            assert data_set.address == register.address
            assert register.decode(data_set.value) == value
            assert data_set.unit == register.unit


def _value(register: Register, *, full: bool) -> Value:
    if register.data_type.is_number:
        return register.data_type.maximum if full else register.data_type.minimum
    if register.data_type.kind is Kind.TOKEN:
        return f"{2**66 - 1}" if full else ""
    return "x" * (register.data_type.size if full else 0)
