"""A meter's TCP port is one line (both fronts, over real sockets on loopback)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from vtc07.carrier.companion import Parity
from vtc07.links import aio, blocking
from vtc07.links.address import TCPAddress
from vtc07.links.link import LinkLost, LinkUnavailable

S = 1_000_000_000
GUARD_NS = 60 * S  # only against hanging
LOOPBACK = TCPAddress("127.0.0.1", 0)


class SetClock:
    """A clock that stands where the test puts it."""

    def __init__(self) -> None:
        self.time = 0

    def now_ns(self) -> int:
        return self.time

    def sleep_until(self, instant_ns: int) -> None:
        self.time = max(self.time, instant_ns)


def guarded(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def connect(address: TCPAddress) -> socket.socket:
    return socket.create_connection((address.host, address.port), 60)


def is_turned_away(connection: socket.socket) -> bool:
    """Wait for the end of a connection."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@contextlib.contextmanager
def opened(port: blocking.TCPPort) -> Iterator[blocking.TCPPort]:
    try:
        yield port
    finally:
        port.close()


# --- blocking -----------------------------------------------------------------------------------


def accepted(port: blocking.TCPPort) -> blocking.TCPLink:
    link = port.accept(GUARD_NS)
    assert link is not None
    return link


def test_blocking_characters_go_both_ways_in_seven_bits() -> None:
    with opened(blocking.TCPPort(LOOPBACK)) as port:
        client = blocking.TCPLink.connect(port.address)
        server = accepted(port)
        client.send(b"/?!\r\n")
        assert server.receive(GUARD_NS) == b"/?!\r\n"
        server.send(b"\x15")
        assert client.receive(GUARD_NS) == b"\x15"
        assert client.receive(0) == b""
        assert server.character_ns == client.character_ns == 0
        client.close()
        client.close()
        with pytest.raises(LinkLost):
            server.receive(GUARD_NS)


def test_blocking_software_parity_on_the_wire() -> None:
    port = blocking.TCPPort(LOOPBACK, parity=Parity.SOFTWARE)
    with opened(port), connect(port.address) as raw:
        server = accepted(port)
        raw.sendall(b"\xb2\x32")
        received = b""
        while len(received) < 2:
            received += server.receive(GUARD_NS)
        assert received == b"2\xff"
        server.send(b"2")
        assert raw.recv(1) == b"\xb2"


def test_blocking_nagle_is_off_at_both_ends() -> None:
    with opened(blocking.TCPPort(LOOPBACK)) as port:
        client = blocking.TCPLink.connect(port.address)
        for link in (client, accepted(port)):
            option = link._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert option != 0
        client.close()


def test_blocking_a_second_connection_is_closed_at_once() -> None:
    clock = SetClock()
    with opened(blocking.TCPPort(LOOPBACK, clock=clock)) as port, connect(port.address) as first:
        link = accepted(port)
        clock.time += 120 * S - 1
        with connect(port.address) as second:
            assert link.receive(GUARD_NS) == b""
            assert is_turned_away(second)
        first.sendall(b"still here")
        assert link.receive(GUARD_NS) == b"still here"


def test_blocking_the_end_of_the_first_is_looked_for_before_that() -> None:
    with opened(blocking.TCPPort(LOOPBACK)) as port:
        with connect(port.address) as first:
            link = accepted(port)
            first.sendall(b"\x01B0\x03q")
        with connect(port.address) as second:
            assert link.receive(GUARD_NS) == b"\x01B0\x03q"  # not lost
            with pytest.raises(LinkLost, match="closed"):
                link.receive(GUARD_NS)
            link = accepted(port)
            second.sendall(b"/?!\r\n")
            assert link.receive(GUARD_NS) == b"/?!\r\n"


def test_blocking_a_silent_first_gives_way() -> None:
    clock = SetClock()
    with opened(blocking.TCPPort(LOOPBACK, clock=clock)) as port, connect(port.address) as first:
        link = accepted(port)
        clock.time += 100 * S
        first.sendall(b"x")
        assert link.receive(GUARD_NS) == b"x"
        clock.time += 120 * S  # since its last character, not since it came
        with connect(port.address) as second:
            with pytest.raises(LinkLost, match="silent"):
                link.receive(GUARD_NS)
            link = accepted(port)
            assert is_turned_away(first)
            second.sendall(b"y")
            assert link.receive(GUARD_NS) == b"y"


def test_blocking_a_closed_port_cannot_be_reached() -> None:
    port = blocking.TCPPort(LOOPBACK)
    address = port.address
    assert port.accept(0) is None
    port.close()
    port.close()
    with pytest.raises(LinkUnavailable, match=f"{address}.*nothing listens there"):
        blocking.TCPLink.connect(address)


def test_blocking_a_taken_port_is_said_to_be_taken() -> None:
    port = blocking.TCPPort(LOOPBACK)
    with opened(port), pytest.raises(LinkUnavailable, match="taken by another program"):
        blocking.TCPPort(port.address)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_only_an_explicit_word_opens_the_port_to_the_network(host: str) -> None:
    if host == "::" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with pytest.raises(LinkUnavailable, match="expressly"):
        blocking.TCPPort(TCPAddress(host, 0))
    with pytest.raises(LinkUnavailable, match="expressly"):
        guarded(async_open(TCPAddress(host, 0)))
    try:
        port = blocking.TCPPort(TCPAddress(host, 0), allow_remote=True)
    except LinkUnavailable as error:
        pytest.skip(str(error))
    port.close()


async def async_open(address: TCPAddress) -> None:
    await aio.TCPPort.open(address)


# --- asyncio ------------------------------------------------------------------------------------


async def async_accepted(port: aio.TCPPort) -> aio.TCPLink:
    link = await port.accept(GUARD_NS)
    assert link is not None
    return link


async def async_connect(
    address: TCPAddress,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(address.host, address.port)


async def async_is_turned_away(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(1) == b""
    except ConnectionResetError:
        return True


def test_asyncio_characters_go_both_ways_in_seven_bits() -> None:
    async def work() -> None:
        port = await aio.TCPPort.open(LOOPBACK)
        client = await aio.TCPLink.connect(port.address)
        server = await async_accepted(port)
        await client.send(b"/?!\r\n")
        assert await server.receive(GUARD_NS) == b"/?!\r\n"
        await server.send(b"\x15")
        assert await client.receive(GUARD_NS) == b"\x15"
        assert await client.receive(0) == b""
        for link in (client, server):
            assert link._transport is not None
            connection = link._transport.get_extra_info("socket")
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        await client.close()
        await client.close()
        with pytest.raises(LinkLost):
            await server.receive(GUARD_NS)
        with pytest.raises(LinkLost):
            await client.send(b"x")
        await port.close()
        await port.close()
        with pytest.raises(LinkUnavailable, match="nothing listens there"):
            await aio.TCPLink.connect(port_address)

    with opened(blocking.TCPPort(LOOPBACK)) as gone:
        port_address = gone.address
    guarded(work())


def test_asyncio_a_second_connection_is_closed_at_once() -> None:
    async def work() -> None:
        clock = SetClock()
        port = await aio.TCPPort.open(LOOPBACK, clock=clock)
        _, first = await async_connect(port.address)
        link = await async_accepted(port)
        clock.time += 120 * S - 1
        reader, second = await async_connect(port.address)
        assert await async_is_turned_away(reader)
        first.write(b"still here")
        assert await link.receive(GUARD_NS) == b"still here"
        for writer in (first, second):
            writer.close()
        await port.close()

    guarded(work())


def test_asyncio_the_end_of_the_first_is_looked_for_before_that() -> None:
    async def work() -> None:
        port = await aio.TCPPort.open(LOOPBACK)
        # The client's side in plain sockets: both steps are done before the loop sees either.
        first = connect(port.address)
        link = await async_accepted(port)
        first.sendall(b"\x01B0\x03q")
        first.close()
        second = connect(port.address)
        assert await link.receive(GUARD_NS) == b"\x01B0\x03q"
        with pytest.raises(LinkLost, match="closed"):
            await link.receive(GUARD_NS)
        link = await async_accepted(port)
        second.sendall(b"/?!\r\n")
        assert await link.receive(GUARD_NS) == b"/?!\r\n"
        second.close()
        await port.close()

    guarded(work())


def test_asyncio_a_silent_first_gives_way() -> None:
    async def work() -> None:
        clock = SetClock()
        port = await aio.TCPPort.open(LOOPBACK, clock=clock)
        reader, first = await async_connect(port.address)
        link = await async_accepted(port)
        clock.time += 100 * S
        first.write(b"x")
        assert await link.receive(GUARD_NS) == b"x"
        clock.time += 120 * S
        _, second = await async_connect(port.address)
        with pytest.raises(LinkLost, match="silent"):
            await link.receive(GUARD_NS)
        link = await async_accepted(port)
        assert await async_is_turned_away(reader)
        second.write(b"y")
        assert await link.receive(GUARD_NS) == b"y"
        for writer in (first, second):
            writer.close()
        await port.close()

    guarded(work())


def test_asyncio_a_cancelled_receive_loses_nothing() -> None:
    async def work() -> None:
        port = await aio.TCPPort.open(LOOPBACK)
        client = await aio.TCPLink.connect(port.address)
        link = await async_accepted(port)
        received = b""
        for code in range(50):
            waiting = asyncio.ensure_future(link.receive(GUARD_NS))
            await client.send(bytes((code,)))
            for _ in range(code % 4):
                await asyncio.sleep(0)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                received += await waiting
        while len(received) < 50:
            received += await link.receive(GUARD_NS)
        assert received == bytes(range(50))
        await client.close()
        await port.close()

    guarded(work())
