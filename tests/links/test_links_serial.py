"""Serial ports on real pseudo-terminals: no 7E1, but marks in the data as from a UART."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

import needs
from vtc07.carrier.companion import LinkSettings, Parity, Preset
from vtc07.links import aio, blocking
from vtc07.links.address import SerialAddress
from vtc07.links.link import LinkLost, LinkUnavailable
from vtc07.links.serial import options

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)
import termios
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


# --- a change of speed --------------------------------------------------------------------------

MARKS = termios.INPCK | termios.PARMRK
HEAD = LinkSettings(Preset.OPTICAL, 300, Parity.SOFTWARE, echo=True)


def settings_of(fileno: int) -> tuple[int, int]:
    """Return speed and input marks, as the other side of the pseudo-terminal sees them."""
    found = termios.tcgetattr(fileno)
    return found[5], found[0] & MARKS


def test_blocking_the_speed_changes_and_nothing_else(pty: tuple[int, SerialAddress]) -> None:
    """What has been received is kept, damage is marked as before, and nothing sent is lost."""
    master, address = pty
    link = blocking.SerialLink.open(address, SETTINGS, parity=Parity.SOFTWARE)
    assert settings_of(master) == (termios.B2400, MARKS)
    os.write(master, b"\xb2\x35\x32")
    link.send(b"252")
    link.set_speed(9600)
    assert settings_of(master) == (termios.B9600, MARKS)
    os.write(master, b"\xff\x8d\x00")
    link.send(b"\r")
    received = b""
    while len(received) < 6:
        received += link.receive(GUARD_NS)
    assert received == b"25\xff\x7f\r\x00"
    assert os.read(master, 10) == b"\xb2\x35\xb2\x8d"
    link.close()
    with pytest.raises(LinkLost):
        link.set_speed(300)


def test_asyncio_the_speed_changes_and_nothing_else(pty: tuple[int, SerialAddress]) -> None:
    master, address = pty

    async def work() -> None:
        link = await aio.SerialLink.open(address, SETTINGS, parity=Parity.SOFTWARE)
        assert settings_of(master) == (termios.B2400, MARKS)
        os.write(master, b"\xb2\x35\x32")
        await link.send(b"252")
        await link.set_speed(9600)
        assert settings_of(master) == (termios.B9600, MARKS)
        os.write(master, b"\xff\x8d\x00")
        await link.send(b"\r")
        received = b""
        while len(received) < 6:
            received += await link.receive(GUARD_NS)
        assert received == b"25\xff\x7f\r\x00"
        assert os.read(master, 10) == b"\xb2\x35\xb2\x8d"
        await link.close()
        with pytest.raises(LinkLost):
            await link.set_speed(300)

    guarded(work())


@pytest.mark.parametrize("speed", [300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200])
def test_every_speed_of_the_standard_can_be_gone_on_at(
    pty: tuple[int, SerialAddress], speed: int
) -> None:
    master, address = pty
    link = blocking.SerialLink.open(address, SETTINGS)
    link.set_speed(speed)
    assert settings_of(master) == (getattr(termios, f"B{speed}"), MARKS)
    link.close()


def test_a_speed_that_no_port_knows_is_a_lost_link(pty: tuple[int, SerialAddress]) -> None:
    link = blocking.SerialLink.open(pty[1], SETTINGS)
    with pytest.raises(LinkLost, match="does not take 301 Bd"):
        link.set_speed(301)
    link.close()

    async def work() -> None:
        link = await aio.SerialLink.open(pty[1], SETTINGS)
        with pytest.raises(LinkLost, match="does not take 301 Bd"):
            await link.set_speed(301)
        await link.close()

    guarded(work())


def test_a_port_that_goes_away_before_the_speed_changes_is_a_lost_link(
    pty: tuple[int, SerialAddress],
) -> None:
    link = blocking.SerialLink.open(pty[1], SETTINGS)
    os.close(pty[0])
    with pytest.raises(LinkLost):
        link.set_speed(9600)
    link.close()


def test_an_echo_is_taken_before_and_after_a_change_of_speed(
    pty: tuple[int, SerialAddress],
) -> None:
    master, address = pty
    link = blocking.SerialLink.open(address, replace(HEAD, parity=Parity.NONE))
    for speed, chars in ((9600, b"\x06051\r\n"), (300, b"\x01R1\x02")):
        link.send(chars)
        os.write(master, os.read(master, 10) + b"\x02")
        received = b""
        while not received:
            received = link.receive(GUARD_NS)
        assert received == b"\x02"
        link.set_speed(speed)
    link.close()


def test_a_character_takes_as_long_as_the_speed_has_it() -> None:
    """Of a port with a UART; what is said of a real one is what the core is made with."""
    import serialx

    master, slave = os.openpty()
    tty.setraw(slave)
    port: Any = cast("Any", serialx).Serial(os.ttyname(slave), 300)
    port.open()
    link = blocking.SerialLink(port, "/dev/ttyUSB7", SETTINGS, Parity.NONE)  # as if it were one
    assert link.character_ns == SETTINGS.character_ns
    link.set_speed(9600)
    assert link.character_ns == replace(SETTINGS, speed=9600).character_ns
    link.close()
    for end in (master, slave):
        os.close(end)


def test_every_character_passes_as_it_is(pty: tuple[int, SerialAddress]) -> None:
    """A port is raw: NUL wakes a meter, and XOFF, CR or the interrupt character do nothing."""
    master, address = pty
    chars = bytes(range(128))
    link = blocking.SerialLink.open(address, SETTINGS)
    link.send(chars)
    assert os.read(master, 200) == chars
    os.write(master, chars[::-1])
    received = b""
    while len(received) < 128:
        received += link.receive(GUARD_NS)
    assert received == chars[::-1]
    link.close()


@pytest.mark.parametrize("level", [True, False, None])
def test_the_levels_that_power_a_head_are_those_of_the_settings(level: bool | None) -> None:
    import serialx

    asked = options(serialx, replace(SETTINGS, rts=level, dtr=not level), Parity.UART)
    assert asked["rts_on_open"] is serialx.PinState.convert(level)
    assert asked["dtr_on_open"] is serialx.PinState.convert(not level)
    assert (asked["byte_size"], asked["parity"]) == (7, serialx.Parity.EVEN)
