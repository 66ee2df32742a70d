"""A meter that sends by itself (mode D), heard by other people's software, unchanged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from foreign_bench import npm_client

from vtc07.carrier.companion import MS
from vtc07.carrier.exchange.events import Block
from vtc07.carrier.exchange.mode_d import MeterPush, PushSender
from vtc07.carrier.messages import DataSet
from vtc07.links.address import TCPAddress
from vtc07.links.blocking import ServerDriver, TCPPort

BLOCK = Block(
    (
        (DataSet("0.0.0", "600727000000000009"),),
        (DataSet("1.8.0", "12.345", "kWh"), DataSet("1.7.0", "500", "W")),
        (DataSet("F.F", "0000"),),
    )
)


@contextmanager
def pushing(*, with_crc16: bool) -> Iterator[TCPAddress]:
    """Serve a meter that pushes; gives its address."""
    sender = PushSender("VTM", "push", interval_ns=100 * MS, speed=115_200, with_crc16=with_crc16)
    port = TCPPort(TCPAddress("127.0.0.1", 0))
    driver = ServerDriver(MeterPush(sender, lambda: BLOCK), port)
    serving = threading.Thread(target=driver.serve)
    serving.start()
    try:
        yield port.address
    finally:
        driver.stop()
        serving.join()


@pytest.mark.parametrize("with_crc16", [False, True])
def test_the_npm_client_hears_a_push_over_tcp(*, with_crc16: bool) -> None:
    with pushing(with_crc16=with_crc16) as address:
        found = npm_client(
            transport="TCPTransport",
            transportTcpHost=address.host,
            transportTcpPort=address.port,
            transportTcpMessageTimeout=20_000,
        )
    assert (found["manufacturer"], found["identification"], found["mode"]) == ("VTM", "push", "D")
    assert {name: each["value"] for name, each in found["measurements"].items()} == {
        "1-0:0.0.0": "600727000000000009",
        "1-0:1.8.0": "12.345 kWh",
        "1-0:1.7.0": "500 W",
        "1-0:97.97": "0000",
    }
