"""Meters of other makers at a TCP port of this machine: the real port core, with a small host."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vtc07.carrier.companion import MS, Timing
from vtc07.carrier.endpoint import ServerEndpoint, SpeedChange
from vtc07.carrier.exchange.events import (
    Block,
    DataSets,
    ErrorText,
    Granted,
    Identification,
    IdentificationAsked,
    MeterReply,
    MeterRequest,
    Operand,
    OperandAsked,
    PasswordGiven,
    ReadoutAsked,
    ResultGiven,
    SessionEnded,
    SignedOnTo,
)
from vtc07.carrier.exchange.meter_port import MeterPort, PortSettings
from vtc07.carrier.exchange.settings import STANDARD, Compatibility
from vtc07.carrier.messages import DataSet
from vtc07.links.address import TCPAddress
from vtc07.links.blocking import ServerDriver, TCPPort

#: Fast, for tests in real time.
QUICK = Timing(reaction_ns=MS, fast_reaction_ns=MS)
LINES = (
    (DataSet("F.F", "00"),),
    (DataSet("0.0.0", "00471100"),),
    (DataSet("1.8.0", "001234.5", "kWh"),),
    (DataSet("1.8.0*12", "001200.0", "kWh"),),
    (DataSet("1.6.1", "0.402", "kW"), DataSet("", "2211120730")),
    (DataSet("C.1.1", "        "),),
    (DataSet("31.7.0", "-1.25", "A"),),
)
Answering = Callable[[MeterRequest], MeterReply]


def answer(request: MeterRequest) -> MeterReply:
    """Reply as a meter that may be read by anyone, and takes nothing."""
    match request:
        case IdentificationAsked():
            return Identification("X1-42")
        case ReadoutAsked():
            return Block(LINES)
        case OperandAsked():
            return Operand("00471100")
        case PasswordGiven() | ResultGiven():
            return Granted()
    if request.code in ("R1", "R5") and request.data_sets:
        asked = request.data_sets[0].address
        for line in LINES:
            if line[0].address == asked:
                return DataSets(line)
    return ErrorText("ER03")


class Maker:
    """A meter's port with its host: what `vtc07.links` serves. ``heard``: what it was asked."""

    def __init__(self, settings: PortSettings, answering: Answering = answer) -> None:
        self._port = MeterPort(settings, paced=False)
        self._answering = answering
        self.heard: list[MeterRequest] = []

    def _settle(self, now_ns: int) -> None:
        while (event := self._port.next_event()) is not None:
            if not isinstance(event, SignedOnTo | SessionEnded):
                self.heard.append(event)
                self._port.answer(event.request, self._answering(event), now_ns)

    def receive(self, chars: bytes, now_ns: int) -> None:
        self._port.receive(chars, now_ns)
        self._settle(now_ns)

    def bytes_to_send(self, now_ns: int) -> bytes:
        return self._port.bytes_to_send(now_ns)

    def next_timer(self) -> int | None:
        return self._port.next_timer()

    def handle_timer(self, now_ns: int) -> None:
        self._port.handle_timer(now_ns)
        self._settle(now_ns)

    def connection_lost(self, now_ns: int) -> None:
        self._port.connection_lost(now_ns)
        self._settle(now_ns)

    def next_speed_change(self) -> SpeedChange | None:
        return self._port.next_speed_change()

    def next_work(self) -> None:
        return None

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        raise AssertionError(error)


def maker(z: str = "5", compat: Compatibility = STANDARD, answering: Answering = answer) -> Maker:
    """Make a meter whose identification has this Z and which deviates so."""
    settings = PortSettings(
        flag="ABc", baud_identification=z, addresses=("12",), compatibility=compat, timing=QUICK
    )
    return Maker(settings, answering)


@contextmanager
def at_a_port(endpoint: ServerEndpoint) -> Iterator[str]:
    """Serve an endpoint at a free port of this machine while the context lasts."""
    port = TCPPort(TCPAddress("127.0.0.1", 0))
    driver = ServerDriver(endpoint, port)
    thread = threading.Thread(target=driver.serve)
    thread.start()
    try:
        yield str(port.address)
    finally:
        driver.stop()
        thread.join()
