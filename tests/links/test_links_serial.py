"""Serial ports on real pseudo-terminals: no 7E1, but marks in the data as from a UART."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

import needs
from vtc07.carrier.companion import LinkSettings, Parity, Preset
from vtc07.links import aio, blocking
from vtc07.links.address import SerialAddress
from vtc07.links.link import LinkLost, LinkUnavailable

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)
import tty

needs.module("serialx")

GUARD_NS = 60_000_000_000
SETTINGS = LinkSettings(Preset.OPTICAL, 2400, Parity.UART)


@pytest.fixture
def pty() -> Iterator[tuple[int, SerialAddress]]:
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, SerialAddress(os.ttyname(slave))
    for end in (master, slave):
        try:
            os.close(end)
        except OSError:
            assert end == master  # closed by the test


def guarded(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def test_blocking_software_parity_is_sent_and_checked(pty: tuple[int, SerialAddress]) -> None:
    master, address = pty
    link = blocking.SerialLink.open(address, SETTINGS, parity=Parity.SOFTWARE)
    assert link.character_ns == 0  # a pseudo-terminal has no speed
    link.send(b"252")
    assert os.read(master, 10) == b"\xb2\x35\xb2"
    os.write(master, b"\xb2\x35\x32\xff\x8d\x00\x0a")
    received = b""
    while len(received) < 7:
        received += link.receive(GUARD_NS)
    assert received == b"25\xff\x7f\r\x00\n"  # FF is DEL with its parity, doubled by the driver
    assert link.receive(0) == b""
    link.close()
    link.close()
    with pytest.raises(LinkLost):
        link.send(b"x")


def test_blocking_without_parity_bit_7_is_ignored(pty: tuple[int, SerialAddress]) -> None:
    master, address = pty
    link = blocking.open_link(address, SETTINGS, parity=Parity.NONE)
    os.write(master, b"\xaf\x3f\xff\x00!")
    received = b""
    while len(received) < 5:
        received += link.receive(GUARD_NS)
    assert received == b"/?\x7f\x00!"
    link.close()


def test_blocking_a_port_that_goes_away_is_a_lost_link(pty: tuple[int, SerialAddress]) -> None:
    master, address = pty
    link = blocking.SerialLink.open(address, SETTINGS, parity=Parity.NONE)
    os.close(master)
    with pytest.raises(LinkLost, match="serial port is gone"):
        link.receive(GUARD_NS)
    link.close()


def test_asyncio_software_parity_is_sent_and_checked(pty: tuple[int, SerialAddress]) -> None:
    master, address = pty

    async def work() -> None:
        link = await aio.SerialLink.open(address, SETTINGS, parity=Parity.SOFTWARE)
        assert link.character_ns == 0
        await link.send(b"252")
        assert os.read(master, 10) == b"\xb2\x35\xb2"
        os.write(master, b"\xb2\x35\x32\xff\x8d\x00\x0a")
        received = b""
        while len(received) < 7:
            received += await link.receive(GUARD_NS)
        assert received == b"25\xff\x7f\r\x00\n"
        assert await link.receive(0) == b""
        await link.close()
        await link.close()
        with pytest.raises(LinkLost):
            await link.send(b"x")

    guarded(work())


def test_asyncio_a_port_that_goes_away_is_a_lost_link(pty: tuple[int, SerialAddress]) -> None:
    master, address = pty

    async def work() -> None:
        link = await aio.open_link(address, SETTINGS, parity=Parity.NONE)
        os.close(master)
        with pytest.raises(LinkLost):
            await link.receive(GUARD_NS)
        await link.close()

    guarded(work())


async def async_open(address: SerialAddress, parity: Parity) -> None:
    await aio.SerialLink.open(address, SETTINGS, parity=parity)


def refusals(address: SerialAddress) -> Iterator[str]:
    with pytest.raises(LinkUnavailable) as caught:
        blocking.SerialLink.open(address, SETTINGS, parity=Parity.UART)
    yield str(caught.value)
    with pytest.raises(LinkUnavailable) as caught:
        guarded(async_open(address, Parity.UART))
    yield str(caught.value)


def test_a_port_that_cannot_do_7e1_says_which_parity_would_do(
    pty: tuple[int, SerialAddress],
) -> None:
    for sentence in refusals(pty[1]):
        assert sentence.startswith(f"cannot open {pty[1]}: ")
        assert "parity software or none" in sentence


def test_a_port_that_is_not_there_is_said_not_to_be_there() -> None:
    for sentence in refusals(SerialAddress("/dev/no-such-optical-head")):
        assert sentence.startswith("cannot open /dev/no-such-optical-head: there is no such port")


def test_a_port_in_use_is_said_to_be_in_use(pty: tuple[int, SerialAddress]) -> None:
    first = blocking.SerialLink.open(pty[1], SETTINGS, parity=Parity.NONE)
    for sentence in refusals(pty[1]):
        assert "another program has it open" in sentence
    first.close()


def test_without_serialx_the_way_to_install_it_is_told(
    pty: tuple[int, SerialAddress], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "serialx", None)
    for sentence in refusals(pty[1]):
        assert 'pip install "vtc07[serial]"' in sentence


def test_a_pseudo_terminal_has_no_parity_unless_it_is_asked_for(
    pty: tuple[int, SerialAddress],
) -> None:
    master, address = pty
    link = blocking.SerialLink.open(address, SETTINGS)
    link.send(b"252")
    assert os.read(master, 10) == b"252"
    link.close()
