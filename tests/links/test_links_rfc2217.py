"""Serial ports in the network: against a foreign server of them, and one that misbehaves."""

from __future__ import annotations

import asyncio
import itertools
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest
from foreign_rfc2217 import ForeignServer, foreign_server, story
from hypothesis import given
from hypothesis import strategies as st
from virtual_meter import have_a_session, quick_companion, served, serving

from vtc07.carrier.companion import LinkSettings, Parity, Preset
from vtc07.links import aio, blocking
from vtc07.links.address import RFC2217Address
from vtc07.links.link import Link, LinkLost, LinkUnavailable
from vtc07.links.rfc2217 import RemotePort

GUARD_NS = 60_000_000_000
SETTINGS = LinkSettings(Preset.OPTICAL, 300, Parity.UART, rts=True, dtr=False)
FAST = replace(SETTINGS, speed=115_200)


@pytest.fixture
def foreign() -> Iterator[ForeignServer]:
    with foreign_server() as server:
        yield server


def guarded(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def far_end(server: ForeignServer, count: int) -> bytes:
    heard = b""
    while len(heard) < count:
        heard += os.read(server.far, count - len(heard))
    return heard


def all_of(receive: Callable[[int | None], bytes], count: int) -> bytes:
    heard = b""
    while len(heard) < count:
        heard += receive(GUARD_NS)
    return heard


def test_format_speed_and_levels_arrive_at_the_port(foreign: ForeignServer) -> None:
    link = blocking.open_link(foreign.address, SETTINGS)
    told = story(foreign.port)
    assert told[-1] == "300 7E"
    assert ("rts", True) in told
    assert ("dtr", False) in told
    assert link.character_ns == SETTINGS.character_ns
    link.close()
    link.close()
    with pytest.raises(LinkLost):
        link.send(b"x")


def test_the_speed_changes_between_what_was_sent_before_and_after(foreign: ForeignServer) -> None:
    link = blocking.open_link(foreign.address, FAST)
    story(foreign.port)
    link.send(b"\x06051\r\n")
    link.set_speed(9600)
    assert link.character_ns == replace(SETTINGS, speed=9600).character_ns
    link.send(b"\x01R1\x02")
    assert far_end(foreign, 10) == b"\x06051\r\n\x01R1\x02"
    assert story(foreign.port) == [b"\x06051\r\n", "9600 7E", b"\x01R1\x02"]
    link.close()


def test_the_speed_changes_when_all_has_gone_out_and_no_sooner(foreign: ForeignServer) -> None:
    """A server changes it at once, whatever it still has to send."""
    slow = replace(SETTINGS, speed=1200)
    link = blocking.open_link(foreign.address, slow)
    began = time.monotonic_ns()
    link.send(b"\x06051\r\n")
    link.set_speed(9600)
    assert time.monotonic_ns() - began >= 6 * slow.character_ns
    link.close()

    async def work() -> None:
        link = await aio.open_link(foreign.address, slow)
        began = time.monotonic_ns()
        await link.send(b"\x06051\r\n")
        await link.set_speed(9600)
        assert time.monotonic_ns() - began >= 6 * slow.character_ns
        await link.close()

    guarded(work())


def test_what_arrives_while_the_speed_changes_is_kept(foreign: ForeignServer) -> None:
    link = blocking.open_link(foreign.address, FAST)
    os.write(foreign.far, b"before")
    assert isinstance(link, blocking.RFC2217Link)
    assert select.select([link._connection], [], [], 60)[0]
    link.set_speed(9600)
    os.write(foreign.far, b"after")
    assert all_of(link.receive, 11) == b"beforeafter"
    link.close()


def test_every_character_passes_both_ways(foreign: ForeignServer) -> None:
    """With parity in bit 7, so that FF, Telnet's own byte, is among the bytes."""
    chars = bytes(range(128))
    link = blocking.open_link(foreign.address, FAST, parity=Parity.SOFTWARE)
    assert story(foreign.port)[-1] == "115200 8N"
    link.send(chars)
    sent = far_end(foreign, 128)
    assert sent[0x7F] == 0xFF
    assert bytes(code & 0x7F for code in sent) == chars
    os.write(foreign.far, sent[::-1])
    assert all_of(link.receive, 128) == chars[::-1]
    os.write(foreign.far, b"\x31\xff\xfe")
    assert all_of(link.receive, 3) == b"\xff\x7f\xff"  # parity errors, and DEL
    link.close()


def test_a_session_with_a_meter_behind_it(foreign: ForeignServer) -> None:
    companion = quick_companion()
    companion = replace(companion, link=replace(companion.link, speed=115_200))
    far = FarLink(foreign.far)
    with serving(served(blocking.LinkPort(lambda: far), companion)):
        have_a_session(
            lambda: blocking.open_link(foreign.address, companion.link),
            companion,
            character_ns=companion.link.character_ns,
        )


class FarLink:
    """The line behind the foreign server's port."""

    character_ns = 0

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno

    def send(self, chars: bytes) -> None:
        os.write(self._fileno, chars)

    def receive(self, timeout_ns: int | None) -> bytes:
        timeout = None if timeout_ns is None else timeout_ns / 1e9
        ready = select.select([self._fileno], [], [], timeout)[0]
        return os.read(self._fileno, 4096) if ready else b""

    def set_speed(self, speed: int) -> None:
        raise AssertionError("one speed here")

    def close(self) -> None:
        pass


def test_a_meter_is_served_through_a_remote_port(foreign: ForeignServer) -> None:
    companion = quick_companion(20)  # the client is there sooner than the characters take
    companion = replace(companion, link=replace(companion.link, speed=115_200))
    port = blocking.open_port(foreign.address, companion.link)
    assert port.character_ns == companion.link.character_ns
    with serving(served(port, companion)) as raised:
        have_a_session(
            lambda: FarLink(foreign.far), companion, character_ns=companion.link.character_ns
        )
    assert not raised


def test_asyncio_format_speed_and_characters(foreign: ForeignServer) -> None:
    async def work() -> None:
        link = await aio.open_link(foreign.address, FAST)
        assert story(foreign.port)[-1] == "115200 7E"
        assert link.character_ns == FAST.character_ns
        await link.send(b"\x06051\r\n")
        await link.set_speed(9600)
        await link.send(b"\x00R1\x7f")
        assert far_end(foreign, 10) == b"\x06051\r\n\x00R1\x7f"
        assert story(foreign.port) == [b"\x06051\r\n", "9600 7E", b"\x00R1\x7f"]
        assert link.character_ns == replace(SETTINGS, speed=9600).character_ns
        os.write(foreign.far, b"\x00\x11\x13\r\n\x7f")
        heard = b""
        while len(heard) < 6:
            heard += await link.receive(None)
        assert heard == b"\x00\x11\x13\r\n\x7f"
        assert await link.receive(0) == b""
        await link.close()
        await link.close()
        with pytest.raises(LinkLost):
            await link.set_speed(300)
        port = await aio.open_port(foreign.address, FAST)
        assert port.character_ns == FAST.character_ns
        await port.close()

    guarded(work())


# --- servers that misbehave ---------------------------------------------------------------------

DO, DONT, WILL, WONT = b"\xff\xfd", b"\xff\xfe", b"\xff\xfb", b"\xff\xfc"


def control(*values: int) -> bytes:
    return b"\xff\xfa\x2c" + bytes(values).replace(b"\xff", b"\xff\xff") + b"\xff\xf0"


AGREED = DO + b"\x2c"
SETTLED = control(102, 7) + control(103, 3) + control(104, 1) + control(101, 0, 0, 1, 0x2C)
SETTLED_FAST = control(102, 7) + control(103, 3) + control(104, 1) + control(101, 0, 1, 0xC2, 0)


class Scripted:
    """Says its piece to whoever connects, answers nothing, and then may close."""

    def __init__(self, says: bytes, *, closes: bool = False) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = RFC2217Address(*self._listener.getsockname())
        self._says, self._closes = says, closes
        self.connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        self.connection, _ = self._listener.accept()
        self.connection.sendall(self._says)
        if self._closes:
            self.connection.shutdown(socket.SHUT_WR)
        self._ended = False
        while not self._ended:
            try:
                self._ended = not self.connection.recv(4096)
            except OSError:
                return

    def close(self) -> None:
        self._thread.join(60)
        self._listener.close()
        if self.connection is not None:
            self.connection.close()


def refusals(says: bytes, monkeypatch: pytest.MonkeyPatch, *, closes: bool = False) -> list[str]:
    """Return the sentence of either front about a server that says this."""
    for module in ("blocking", "aio"):  # who waits for an answer that never comes, waits long
        monkeypatch.setattr(f"vtc07.links.{module}.rfc2217.ANSWER_LIMIT_NS", 100_000_000)
    found = []
    server = Scripted(says, closes=closes)
    with pytest.raises(LinkUnavailable) as caught:
        blocking.open_link(server.address, SETTINGS)
    server.close()
    found.append(str(caught.value).replace(str(server.address), "ADDRESS"))
    server = Scripted(says, closes=closes)

    async def work() -> None:
        await aio.open_link(server.address, SETTINGS)

    with pytest.raises(LinkUnavailable) as caught:
        guarded(work())
    server.close()
    found.append(str(caught.value).replace(str(server.address), "ADDRESS"))
    return found


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        (b"", "the server does not answer; where it passes characters on as they are, write tcp:"),
        (b"login: ", "the server does not answer; where it passes"),
        (DONT + b"\x2c", "does not control a serial port (RFC 2217); where it passes"),
        (DONT + b"\x00", "does not carry characters as they are (RFC 856); where it passes"),
        (AGREED, "the server does not answer"),
        (AGREED + control(102, 8), "the server's port does not take number of data bits 7"),
        (AGREED + control(103, 1), "the server's port does not take parity 3"),
        (AGREED + control(101, 0, 0, 4, 0xB0), "the server's port does not take speed 300"),
    ],
)
def test_what_is_refused_is_said(
    says: bytes, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for found in refusals(says, monkeypatch):
        assert found.startswith("cannot open ADDRESS: ")
        assert sentence in found
        assert "\n" not in found


def test_a_server_that_closes_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in refusals(AGREED, monkeypatch, closes=True):
        assert "the other side closed the connection" in found


def test_nobody_there_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = RFC2217Address(*listener.getsockname())
    with pytest.raises(LinkUnavailable, match="nothing listens there"):
        blocking.open_link(address, SETTINGS)

    async def work() -> None:
        await aio.open_link(address, SETTINGS)

    with pytest.raises(LinkUnavailable, match="nothing listens there"):
        guarded(work())


def test_a_speed_that_the_port_does_not_take_is_a_lost_link() -> None:
    server = Scripted(AGREED + SETTLED_FAST)
    link: Link = blocking.open_link(server.address, FAST)
    assert server.connection is not None
    server.connection.sendall(control(101, 0, 0, 0x25, 0x80))  # 9600, before it is asked
    server.connection.sendall(control(101, 0, 1, 0xC2, 0))  # 115200 it is and stays
    with pytest.raises(LinkLost, match="does not take speed 300"):
        link.set_speed(300)
    link.close()
    server.close()


def test_damage_that_the_server_tells_of_is_damage_among_the_characters() -> None:
    said = b"ab" + control(106, 0x04) + b"c" + control(106, 0x01) + b"d" + control(107, 0xB0)
    server = Scripted(AGREED + SETTLED)
    link = blocking.open_link(server.address, SETTINGS)
    assert server.connection is not None
    server.connection.sendall(said)
    assert all_of(link.receive, 5) == b"ab\xffcd"
    link.close()
    server.close()


@given(data=st.lists(st.binary(max_size=6) | st.sampled_from([b"\xff", AGREED, SETTLED])))
def test_no_server_breaks_the_reader(data: list[bytes]) -> None:
    port = RemotePort(SETTINGS, Parity.NONE)
    try:
        for piece in data:
            port.incoming(piece)
            port.to_send()
    except LinkLost:
        pass


@given(data=st.binary(max_size=50), cuts=st.lists(st.integers(0, 200)))
def test_bytes_come_through_however_the_connection_cuts_them(data: bytes, cuts: list[int]) -> None:
    port = RemotePort(SETTINGS, Parity.NONE)
    words = DO + b"\x01" + control(200, 255, 240, 7) + b"\xff\xf1"
    stream = words + port.outgoing(data) + words + port.outgoing(data)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    found = b"".join(port.incoming(stream[a:b]) for a, b in itertools.pairwise(edges))
    assert found == data + data


def test_two_sides_that_agree_fall_silent() -> None:
    """What is on already is not answered: else two programs would answer each other for ever."""
    port = RemotePort(SETTINGS, Parity.NONE)
    port.to_send()
    for option in (b"\x00", b"\x03"):
        port.incoming(DO + option + WILL + option)
    assert port.to_send() == b""
    port.incoming(WILL + b"\x01")
    assert port.to_send() == DONT + b"\x01"
    port.incoming(DO + b"\x18")
    assert port.to_send() == WONT + b"\x18"
    port.incoming(WONT + b"\x01" + DONT + b"\x18")
    assert port.to_send() == b""
