"""A meter at a port of mode C, and somebody who types commands into it."""

from __future__ import annotations

import re

from bench_meter import MeterBench, new_meter

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.exchange.messages import CommandMessage, check_is_good
from vtc07.meter import (
    Changes,
    MemoryStore,
    MeterServer,
    MeterState,
    PowerLost,
    SecureAlgorithm,
    Store,
    StoreError,
)

#: To be found again wherever it should not stand.
PASSWORD = "Vq7-Kx 93"
WRONG = "Vq7-Kx 94"
ACK, B0 = b"\x06", b"\x01B0\x03q"


class Fragile(MemoryStore):
    """A store that can be broken."""

    broken = False

    def commit(self, changes: Changes) -> None:
        if self.broken:
            raise StoreError("gone")
        super().commit(changes)


class ModeCLine:
    """A driver with somebody at its end. ``held``: no job is run until that is False again."""

    def __init__(
        self,
        state: MeterState | None = None,
        *,
        companion: Companion | str = "electricity-mode-c",
        store: Store | None = None,
        execution_ns: int = 1 * S,
        algorithm: SecureAlgorithm | None = None,
    ) -> None:
        self.companion = load_companion(companion) if isinstance(companion, str) else companion
        made = state or new_meter(self.companion, password=PASSWORD)
        self.store = store or Fragile(made)
        self.algorithm = algorithm
        self.bench = MeterBench(
            companion=self.companion, store=self.store, execution_ns=execution_ns
        )
        self.now_ns = self.bench.now_ns
        self.held = False
        self.connect()

    def connect(self) -> None:
        """Put the meter on the line."""
        self.server = MeterServer(self.companion, self.bench.meter, algorithm=self.algorithm)

    def power_cycle(self) -> None:
        """Let power fail and return."""
        self.bench.now_ns = self.now_ns
        self.bench.power_up()
        self.connect()

    def work(self) -> None:
        while not self.held and (job := self.server.next_work()) is not None:
            error: Exception | None = None
            try:
                job()
            except PowerLost:
                raise
            except Exception as raised:  # noqa: BLE001 - as a driver does it
                error = raised
            self.server.work_done(error, self.now_ns)

    def run(self, seconds: float) -> bytes:
        end, sent = self.now_ns + int(seconds * S), b""
        self.work()
        while (timer := self.server.next_timer()) is not None and timer <= end:
            if self.held and timer <= self.now_ns:
                break  # what is due is a job
            self.now_ns = max(timer, self.now_ns)
            self.server.handle_timer(self.now_ns)
            self.work()
            sent += self.server.bytes_to_send(self.now_ns)
        self.now_ns = end
        self.server.handle_timer(end)
        self.work()
        return sent + self.server.bytes_to_send(end)

    def say(self, chars: bytes) -> bytes:
        self.server.receive(chars, self.now_ns)
        return self.run(0.3)

    def sign_on(self) -> bytes:
        """Sign on for programming mode and return P0."""
        assert self.say(b"/?!\r\n").startswith(b"/VTM5")
        return self.say(b"\x06051\r\n")

    def readout(self) -> bytes:
        """Sign on for the readout and return it."""
        assert self.say(b"/?!\r\n").startswith(b"/VTM5")
        readout = self.say(b"\x06050\r\n")
        assert check_is_good(readout)
        self.run(3)
        return readout

    def ask(self, code: str, data: str = "") -> bytes:
        answer = self.say(CommandMessage(code, data).to_chars())
        if len(answer) > 1:
            assert check_is_good(answer), answer
        return answer

    def give(self, password: str) -> bytes:
        """Sign on and give a password."""
        assert self.sign_on() == b"\x01P0\x02()\x03`"
        return self.ask("P1", f"({password})")

    def read(self, address: str, count: str = "") -> list[str]:
        """Return the values of an answer."""
        return re.findall(r"\(([^*)]*)", self.ask("R1", f"{address}({count})")[1:-2].decode())

    @property
    def state(self) -> MeterState:
        """What the store holds."""
        return self.store.load()
