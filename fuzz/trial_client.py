"""A client that hears anything at any time, and what must hold whatever that is."""

from __future__ import annotations

from fuzz_script import CHARACTER_NS, PAUSES, Op, steps
from vtc07.carrier.client import Client
from vtc07.carrier.companion import MS, Companion
from vtc07.carrier.events import (
    Break,
    ClientEvent,
    Command,
    CommandFailed,
    CommandRefused,
    EnterToken,
    Entry,
    Identified,
    Identify,
    Read,
    ReadSnapshot,
    RegistersRead,
    SignedOff,
    TokenEntryAnswered,
    Write,
    Written,
)
from vtc07.carrier.exchange.settings import WakeUp
from vtc07.carrier.messages import (
    ACK_MESSAGE,
    BREAK_MESSAGE,
    NAK_MESSAGE,
    DataMessage,
    ErrorMessage,
    ReadCommand,
    WriteCommand,
    bcc_is_good,
    parse_data,
)

PAN = "600727111111111153"
TOKEN = "12345678901234567890"


def commands(companion: Companion) -> tuple[Command, ...]:
    """Return what a client can be told here."""
    table = companion.table
    return (
        EnterToken(TOKEN),
        ReadSnapshot(),
        Identify(),
        Identify(PAN, wake_up=WakeUp.NORMAL),
        Read(table.named("tokenStatus"), 4),
        Read(table.named("meterPAN")),
        Read(table.registers[0], 255),
        Write(table.named("lowCreditThreshold"), 1000),
        Write(table.named("installationReference"), "Flat 7"),
        Break(),
    )


class ClientTrial:
    """Two clients that hear the same, one in fragments and one character by character."""

    def __init__(self, companion: Companion, character_ns: int) -> None:
        self.companion = companion
        self.whole = Client(companion, character_ns=character_ns)
        self.single = Client(companion, character_ns=character_ns)
        self.character_ns = character_ns
        self.now = 7 * 10**9
        self.heard = bytearray()  # since the last character was sent
        self.known = commands(companion)
        self.command: Command | None = None
        self.entries = 0  # how often the token went out

    def run(self, script: bytes) -> None:
        """Go through a script, then to the end of the command that is left."""
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
                case _ if step in PAUSES:
                    self.now += PAUSES[step]
                case _ if step >= Op.COMMAND:
                    known = self.known
                    self._start(known[(step - Op.COMMAND) % len(known)])
                case _:
                    self.now += 10 * MS
            self._settle()
        for _ in range(100):
            timer = self.whole.next_timer()
            if timer is None:
                break
            self.now = max(self.now, timer)
            self._settle()
        assert self.command is None, "a command does not end"
        assert not self.whole.busy

    def _start(self, command: Command) -> None:
        if self.command is not None:
            return
        for client in (self.whole, self.single):
            client.start(command, self.now)
        self.command = command
        self.entries = 0
        self.heard.clear()
        timer = self.whole.next_timer()
        self.now = max(self.now, timer or 0)  # its first character goes out

    def _hear(self, chars: bytes) -> None:
        self.whole.receive(chars, self.now)
        for char in chars:
            self.heard.append(char)
            self.single.receive(bytes((char,)), self.now)
            self._event(self.single.next_event())
        assert self.single.busy == self.whole.busy, "fragments change what is understood"
        while self.whole.next_event() is not None:
            pass

    def _settle(self) -> None:
        self.whole.handle_timer(self.now)
        self.single.handle_timer(self.now)
        event = self.whole.next_event()
        assert event == self.single.next_event()
        self._event(event)
        out = self.whole.bytes_to_send(self.now)
        assert out == self.single.bytes_to_send(self.now), "fragments change what is said"
        if out:
            self._sent(out)
        timer = self.whole.next_timer()
        assert timer == self.single.next_timer()
        assert self.whole.busy or timer is None
        limits = self.companion.limits
        most = max(limits.data_message, limits.command, limits.identification + 7) + 1
        assert self.whole._reader.length <= most

    def _sent(self, out: bytes) -> None:
        assert self.command is not None, "a client speaks without a command"
        if out == NAK_MESSAGE:
            assert not isinstance(self.command, EnterToken | ReadSnapshot | Break)
        elif isinstance(self.command, EnterToken):
            self.entries += 1
            assert self.entries == 1, "a token is sent twice"
            assert out == WriteCommand("000F", TOKEN).to_chars()
        elif isinstance(self.command, Break):
            assert out == BREAK_MESSAGE
        elif isinstance(self.command, ReadSnapshot):
            assert out in {ReadCommand("0004", f"{n:02X}").to_chars() for n in range(4, 10)}
        self.heard.clear()

    def _event(self, event: ClientEvent | None) -> None:
        if event is None:
            return
        command, self.command = self.command, None
        assert command is not None, "two ends of one command"
        heard = bytes(self.heard)
        match event:
            case Written():
                assert isinstance(command, Write)
                assert heard.endswith(ACK_MESSAGE)
            case TokenEntryAnswered(Entry.ACK):
                assert isinstance(command, EnterToken)
                assert heard.endswith(ACK_MESSAGE), "an ACK that nobody sent"
                assert self.entries == 1
            case TokenEntryAnswered(Entry.REFUSED, error, text):
                assert isinstance(command, EnterToken)
                assert heard.endswith(ErrorMessage(text).to_chars())
                assert error == self.companion.error_of(text)
            case TokenEntryAnswered(Entry.UNCERTAIN):
                assert isinstance(command, EnterToken)
            case CommandRefused(_, error, text):
                assert not isinstance(command, EnterToken | ReadSnapshot)
                assert heard.endswith(ErrorMessage(text).to_chars())
                assert error == self.companion.error_of(text)
            case RegistersRead(values):
                assert isinstance(command, Read | ReadSnapshot)
                self._check_read(command, heard, event)
                assert values
            case Identified(identity):
                assert isinstance(command, Identify)
                head = f"/{identity.flag}{identity.baud_identification}"
                assert heard.endswith(f"{head}{identity.identification}\r\n".encode())
            case SignedOff():
                assert isinstance(command, Break)
            case CommandFailed(failed):
                assert failed == command
                assert not isinstance(command, EnterToken)

    def _check_read(self, command: Read | ReadSnapshot, heard: bytes, event: RegistersRead) -> None:
        start = heard.rindex(b"\x02", 0, len(heard) - 1)
        assert bcc_is_good(heard[start:])
        message = parse_data(heard[start:])
        assert isinstance(message, DataMessage)
        sets = [(s.address.upper(), s.value) for s in message.data_sets]
        assert [a for a, _ in sets] == [v.register.address for v in event.values]
        for (_, text), value in zip(sets, event.values, strict=True):
            assert value.register.decode(text) == value.value
        names = [v.register.name for v in event.values]
        if isinstance(command, ReadSnapshot):
            assert names[:4] == ["tokenStatus", "tokenSequence", "lastToken", "lastTokenStatus"]
        else:
            assert len(names) <= command.count
            assert names[0] == command.start.name
        assert event.sent_ns <= event.received_ns == self.now
