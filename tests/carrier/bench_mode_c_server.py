"""A mode C core on a bench: a virtual clock, a host that answers from a dictionary."""

from __future__ import annotations

from collections.abc import Callable

from vtc07.carrier.companion import MS, Companion
from vtc07.carrier.companion_file import parse_companion
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
    Values,
    WriteRequested,
)
from vtc07.carrier.exchange.messages import check_is_good, close
from vtc07.carrier.exchange.settings import CheckCharacter
from vtc07.carrier.mode_c_server import ModeCServer
from vtc07.carrier.registers import Kind, Register, Value
from vtc07.carrier.status import ErrorCode

PAN = "600727111111111153"
#: Not the shipped meter's, to be found again wherever it should not stand.
PASSWORD = "Vq7-Kx 93"
ACK, NAK, B0 = b"\x06", b"\x15", b"\x01B0\x03q"
P0 = b"\x01P0\x02()\x03\x60"

#: A meter whose registers have literal addresses only, as makers' meters have them.
LITERAL = """\
extends = "electricity-mode-c"
[companion]
title = "A meter with literal addresses"
[table]
addresses = "literal"
remove = [ADDRESSES]
"""


def literal_text(base: Companion) -> str:
    """Return the text of electricity-mode-c with literal addresses, no aliases.

    totalConsumption is ``1.8.0``, installationReference ``600100FF``, every other single register
    ``L`` and its place; the logs stay where they are.
    """
    own = {"totalConsumption": "1.8.0", "installationReference": "600100FF"}
    singles = [r for r in base.table if "." not in r.name]
    text = LITERAL.replace("ADDRESSES", ", ".join(f'"{r.address}"' for r in singles))
    for place, register in enumerate(singles):
        access = ("r" if register.read_level is not None else "") + (
            "w" if register.write_level is not None else ""
        )
        text += (
            f'[[register]]\naddress = "{own.get(register.name, f"L{place}")}"\n'
            f'name = "{register.name}"\ntype = "{register.data_type}"\naccess = "{access}"\n'
            f'encoding = "{register.encoding.value}"\nunit = "{register.unit or ""}"\n'
            'meaning = "as it was"\n'
        )
        if register.write_level:
            text += f"write_level = {register.write_level}\n"
    return text


def literal_companion(base: Companion) -> Companion:
    """Return the companion of `literal_text`."""
    return parse_companion(literal_text(base), "literal.toml")


def command(code: str, data: str | None = None, kind: CheckCharacter = CheckCharacter.XOR) -> bytes:
    """Return a command with its check."""
    return close(f"\x01{code}{'' if data is None else chr(2) + data}".encode(), kind)


def error(text: str) -> bytes:
    """Return an error message."""
    return close(f"\x02({text})".encode())


class ModeCBench:
    """Says characters to a server and collects what it answers, with times in ms.

    ``password`` opens level 2. ``refusal``: what a write or a token entry gets; None: it is done.
    """

    def __init__(self, companion: Companion, *, character_ns: int = 0) -> None:
        self.companion = companion
        self.server = ModeCServer(companion, [PAN, "11111111115"], character_ns=character_ns)
        self.now_ns = 1_000 * MS
        self.sent: list[tuple[int, bytes]] = []
        self.speeds: list[int] = []
        self.events: list[ServerEvent] = []
        self.registers: dict[str, Value] = {"meterPAN": PAN}
        self.operand = ""
        self.refusal: ErrorCode | None = None
        self.held = False  # the host keeps its answers back
        self.answer_to: Callable[[Request], Reply] = self._reply

    def value(self, register: Register) -> Value:
        number = register.data_type.kind in (Kind.UNSIGNED, Kind.SIGNED)
        return self.registers.get(register.name, 0 if number else "")

    def _reply(self, request: Request) -> Reply:
        match request:
            case IdentificationRequested() | ReadRequested() | ReadoutRequested():
                return Values(tuple(self.value(r) for r in request.registers))
            case OperandRequested():
                return Challenge(self.operand)
            case PasswordOffered(password=password):
                return Granted(2) if password == PASSWORD else Denied()
            case ResultOffered(operand=operand, result=result):
                return Granted(2) if operand and result == operand[::-1] else Denied()
            case WriteRequested():
                if self.refusal is None:
                    self.registers[request.register.name] = request.value
        return Done() if self.refusal is None else Refused(self.refusal)

    def turn(self) -> None:
        while (event := self.server.next_event()) is not None:
            self.events.append(event)
            if not isinstance(event, Connected | Disconnected) and not self.held:
                self.server.answer(event.request, self.answer_to(event), self.now_ns)
        self._hear_speeds()
        if chars := self.server.bytes_to_send(self.now_ns):
            self.sent.append((self.now_ns // MS, chars))
        self._hear_speeds()

    def _hear_speeds(self) -> None:
        while (change := self.server.next_speed_change()) is not None:
            self.speeds.append(change.speed)

    def advance(self, ms: int) -> None:
        """Let time pass, with every timer called when it is due."""
        end = self.now_ns + ms * MS
        self.turn()
        while (timer := self.server.next_timer()) is not None and timer <= end:
            self.now_ns = max(self.now_ns, timer)
            self.server.handle_timer(self.now_ns)
            self.turn()
        self.now_ns = end

    def say(self, chars: bytes, wait_ms: int = 400) -> bytes:
        """Say characters, wait, and return what the server answered meanwhile."""
        before = len(self.sent)
        self.server.receive(chars, self.now_ns)
        self.turn()
        self.advance(wait_ms)
        return b"".join(chars for _, chars in self.sent[before:])

    def sign_on(self, option: bytes = b"\x06051\r\n") -> bytes:
        """Sign on, for programming mode at the announced speed, and return what came then."""
        assert self.say(b"/?!\r\n").startswith(b"/VTM5")
        return self.say(option)

    def ask(self, code: str, data: str | None = None) -> bytes:
        """Say a command and return the answer, whose check must be good."""
        answer = self.say(command(code, data))
        if len(answer) > 1:
            assert check_is_good(answer), answer
        return answer

    def open(self, password: str = PASSWORD) -> bytes:
        """Sign on and give a password."""
        assert self.sign_on() != b""
        return self.ask("P1", f"({password})")

    @property
    def end(self) -> End | None:
        """Why the latest session ended."""
        ends = [e.end for e in self.events if isinstance(e, Disconnected)]
        return ends[-1] if ends else None

    @property
    def requests(self) -> list[type]:
        """What was asked of the host, in order."""
        return [type(event) for event in self.events]
