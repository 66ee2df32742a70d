"""The meter on a line: what its host does with each request."""

from __future__ import annotations

from functools import reduce

import pytest
from bench_meter import PAN, MeterBench, credit, new_meter

from vtc07.carrier.companion import S
from vtc07.carrier.endpoint import ServerEndpoint
from vtc07.carrier.status import TokenStatus
from vtc07.meter import (
    Changes,
    MemoryStore,
    MeterServer,
    MeterState,
    StoreError,
    TokenExecuted,
)
from vtc07.tokens import TCT

ACK = b"\x06"


def command(letters: str, data_set: str) -> bytes:
    body = f"{letters}\x02{data_set}\x03".encode()
    return b"\x01" + body + bytes((reduce(lambda left, right: left ^ right, body),))


class Fragile(MemoryStore):
    broken = False

    def commit(self, changes: Changes) -> None:
        if self.broken:
            raise StoreError("gone")
        super().commit(changes)


class Line:
    """A driver with one client at its end."""

    def __init__(self, state: MeterState | None = None, execution_ns: int = 1 * S) -> None:
        self.store = Fragile(state or new_meter())
        self.bench = MeterBench(store=self.store, execution_ns=execution_ns)
        self.now_ns = self.bench.now_ns
        self.executed: list[TokenExecuted] = []
        self.server = MeterServer(
            self.bench.companion, self.bench.meter, token_executed=self.executed.append
        )
        self.endpoint: ServerEndpoint = self.server
        self.held = False

    def work(self) -> None:
        while not self.held and (job := self.endpoint.next_work()) is not None:
            error: Exception | None = None
            try:
                job()
            except StoreError as raised:
                error = raised
            self.endpoint.work_done(error, self.now_ns)

    def run(self, seconds: float) -> bytes:
        end, sent = self.now_ns + int(seconds * S), b""
        self.work()
        while (timer := self.endpoint.next_timer()) is not None and timer <= end:
            self.now_ns = max(timer, self.now_ns)
            self.endpoint.handle_timer(self.now_ns)
            if self.held:
                sent += self.endpoint.bytes_to_send(self.now_ns)
                break
            self.work()
            sent += self.endpoint.bytes_to_send(self.now_ns)
        self.now_ns = end
        return sent

    def ask(self, message: bytes) -> bytes:
        self.endpoint.receive(message, self.now_ns)
        return self.run(0.3)

    def identify(self, address: str = "") -> bytes:
        return self.ask(f"/?{address}!\r\n".encode())


@pytest.mark.parametrize("address", ["", PAN.digits, PAN.drn.digits, "000" + PAN.digits, "7"])
def test_addresses(address: str) -> None:
    line = Line(new_meter(device_address="7"))
    sessions = [line.server.connected]
    assert line.identify(address).startswith(b"/VTC3")
    sessions.append(line.server.connected)
    assert sessions == [False, True]
    assert Line().identify("8") == b""


def test_a_write_is_acknowledged_when_it_is_durable() -> None:
    line = Line()
    line.identify()
    line.held = True
    assert line.ask(command("W1", "0030(00000007)")) == b""
    job = line.server.next_work()
    assert job is not None
    job()
    assert line.endpoint.bytes_to_send(line.now_ns) == b""
    line.server.work_done(None, line.now_ns)
    assert line.endpoint.bytes_to_send(line.now_ns) == ACK
    assert line.endpoint.bytes_to_send(line.now_ns) == b""


def test_a_write_that_cannot_be_stored() -> None:
    line = Line()
    line.identify()
    line.store.broken = True
    assert line.ask(command("W1", "0032(02)")).startswith(b"\x02(ER05)")
    assert line.ask(command("W1", "0032(01)")).startswith(b"\x02(ER08)")
    assert line.ask(command("W1", "0032(01)")).startswith(b"\x02(ER08)")
    assert line.ask(command("R1", "0032()")).startswith(b"\x020032(00)")
    token = line.bench.digits(credit(1, 5))
    assert line.ask(command("W1", f"000F({token})")).startswith(b"\x02(ER08)")
    assert line.ask(command("R1", "0003()")).startswith(b"\x020003(0043)")


def test_a_token_that_cannot_be_stored() -> None:
    line = Line()
    line.identify()
    line.store.broken = True
    token = line.bench.digits(credit(1, 5))
    assert line.ask(command("W1", f"000F({token})")) == ACK
    assert line.ask(command("R1", "0004()")).startswith(b"\x020004(10)")
    line.run(1)
    assert line.ask(command("R1", "0004(04)")).startswith(b"\x020004(00)0005(00000000)0006()")
    assert line.executed == [TokenExecuted(TCT.VIRTUAL, None)]


def test_a_session_that_ends_before_its_write_does() -> None:
    line = Line()
    line.identify()
    line.held = True
    line.ask(command("W1", "0030(00000007)"))
    line.endpoint.connection_lost(line.now_ns)
    line.held = False
    assert line.run(1) == b""
    line.identify()
    assert line.ask(command("R1", "0030()")).startswith(b"\x020030(00000007*Wh)")


def test_execution_goes_on_without_a_session() -> None:
    line = Line()
    line.identify()
    token = line.bench.digits(credit(1, 5))
    assert line.ask(command("W1", f"000F({token})")) == ACK
    line.endpoint.connection_lost(line.now_ns)
    assert line.run(2) == b""
    assert line.executed == [TokenExecuted(TCT.VIRTUAL, TokenStatus.ACCEPT)]
    assert line.store.state.account.balance == 500


def test_an_orderly_end() -> None:
    line = Line()
    line.identify()
    token = line.bench.digits(credit(1, 5))
    assert line.ask(command("W1", f"000F({token})")) == ACK
    line.server.power_off(line.now_ns)
    line.work()
    assert line.executed == [TokenExecuted(TCT.VIRTUAL, TokenStatus.ACCEPT)]
    assert not line.store.state.powered
    assert line.endpoint.next_timer() is None
