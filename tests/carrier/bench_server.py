"""A server core on a bench: a virtual clock, a host that answers from a dictionary."""

from __future__ import annotations

from collections.abc import Callable

from vtc07.carrier.companion import MS, Companion
from vtc07.carrier.events import (
    Connected,
    Disconnected,
    Done,
    End,
    IdentificationRequested,
    ReadRequested,
    Reply,
    Request,
    ServerEvent,
    TokenEntered,
    Values,
    WriteRequested,
)
from vtc07.carrier.registers import Kind, Register, Value
from vtc07.carrier.server import Server

PAN = "600727111111111153"


class ServerBench:
    """Says characters to a server and collects what it answers, with times in ms."""

    def __init__(
        self, companion: Companion, *, character_ns: int = 0, host_delay_ms: int = 0
    ) -> None:
        self.server = Server(companion, [PAN, "11111111115"], character_ns=character_ns)
        self.now_ns = 1_000 * MS
        self.sent: list[tuple[int, bytes]] = []
        self.events: list[ServerEvent] = []
        self.registers: dict[str, Value] = {"meterPAN": PAN}
        self.write_reply: Callable[[WriteRequested | TokenEntered], Reply] = lambda _: Done()
        self._host_delay_ns = host_delay_ms * MS

    def value(self, register: Register) -> Value:
        number = register.data_type.kind in (Kind.UNSIGNED, Kind.SIGNED)
        return self.registers.get(register.name, 0 if number else "")

    def _reply(self, request: Request) -> Reply:
        match request:
            case IdentificationRequested() | ReadRequested():
                return Values(tuple(self.value(r) for r in request.registers))
            case WriteRequested():
                reply = self.write_reply(request)
                if reply == Done():
                    self.registers[request.register.name] = request.value
                return reply
            case TokenEntered():
                return self.write_reply(request)
            case _:
                raise AssertionError(f"direct mode never asks for {type(request).__name__}")

    def _turn(self) -> None:
        while (event := self.server.next_event()) is not None:
            self.events.append(event)
            if not isinstance(event, Connected | Disconnected):
                self.server.answer(
                    event.request, self._reply(event), self.now_ns + self._host_delay_ns
                )
        if chars := self.server.bytes_to_send(self.now_ns):
            self.sent.append((self.now_ns // MS, chars))

    def advance(self, ms: int) -> None:
        """Let time pass, with every timer called when it is due."""
        end = self.now_ns + ms * MS
        self._turn()
        while (timer := self.server.next_timer()) is not None and timer <= end:
            self.now_ns = max(self.now_ns, timer)
            self.server.handle_timer(self.now_ns)
            self._turn()
        self.now_ns = end

    def hear(self, chars: bytes) -> None:
        """Give characters to the server now."""
        self.server.receive(chars, self.now_ns)
        self._turn()

    def say(self, chars: bytes, wait_ms: int = 400) -> bytes:
        """Say characters, wait, and return what the server answered meanwhile."""
        before = len(self.sent)
        self.hear(chars)
        self.advance(wait_ms)
        return b"".join(chars for _, chars in self.sent[before:])

    @property
    def end(self) -> End | None:
        """Why the latest session ended."""
        ends = [e.end for e in self.events if isinstance(e, Disconnected)]
        return ends[-1] if ends else None
