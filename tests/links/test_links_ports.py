"""The ports that exist, adapters that are unplugged and come back, and systems without ports."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import needs
from vtc07.carrier.client import Client
from vtc07.carrier.companion import LinkSettings, Parity, Preset
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import Procedure, perform, reopen
from vtc07.carrier.events import CommandFailed, Failure, Identify
from vtc07.links import aio, blocking, ports
from vtc07.links.address import SerialAddress
from vtc07.links.clock import VirtualClock
from vtc07.links.link import AGAIN_NS, LinkLost, LinkUnavailable
from vtc07.links.ports import SerialPort, ports_that_exist, serial_ports

GUARD_NS = 60_000_000_000
SETTINGS = LinkSettings(Preset.OPTICAL, 2400, Parity.UART)


def guarded(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


# --- the ports that exist -----------------------------------------------------------------------


class System:
    """The folders in which Linux tells of its ports."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        needs.module("serialx")
        if sys.platform != "linux":
            pytest.skip("told of in Linux's way")
        from serialx.platforms import serial_linux

        self._root = root
        (root / "sys/class/tty").mkdir(parents=True)
        (root / "dev").mkdir()
        monkeypatch.setattr(serial_linux, "SYS_ROOT", root / "sys")
        monkeypatch.setattr(serial_linux, "DEV_ROOT", root / "dev")

    def device(self, name: str) -> str:
        return str(self._root / "dev" / name)

    def usb(self, name: str, **told: str) -> None:
        """An adapter on USB, as the driver of its chip tells of it."""
        device = self._root / "sys/devices" / f"usb-{name}"
        interface = device / "interface"
        port = interface / name
        port.mkdir(parents=True)
        (self._root / "sys/bus/usb-serial").mkdir(parents=True, exist_ok=True)
        (port / "driver").mkdir()
        (port / "subsystem").symlink_to(self._root / "sys/bus/usb-serial")
        (port / "port_number").write_text("0\n")
        (interface / "bInterfaceNumber").write_text("00\n")
        for key, value in {"bcdDevice": "0600", **told}.items():
            (device / key).write_text(value + "\n")
        self._tty(name, port)

    def native(self, name: str) -> None:
        """A port of the board."""
        port = self._root / "sys/devices" / name
        port.mkdir(parents=True)
        (self._root / "sys/bus/platform").mkdir(parents=True, exist_ok=True)
        (port / "driver").mkdir()
        (port / "subsystem").symlink_to(self._root / "sys/bus/platform")
        self._tty(name, port)
        (self._root / "sys/class/tty" / name / "type").write_text("4\n")

    def _tty(self, name: str, port: Path) -> None:
        tty = self._root / "sys/class/tty" / name
        tty.mkdir()
        (tty / "device").symlink_to(port)
        (self._root / "dev" / name).write_text("")

    def stable(self, name: str, device: str) -> str:
        folder = self._root / "dev/serial/by-id"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(self._root / "dev" / device)
        return str(folder / name)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    return System(tmp_path, monkeypatch)


def test_ports_are_listed_with_what_usb_tells(system: System) -> None:
    system.native("ttyS0")
    system.usb("ttyUSB10", idVendor="10c4", idProduct="ea60")
    system.usb(
        "ttyUSB2",
        idVendor="0403",
        idProduct="6001",
        manufacturer="FTDI",
        product="FT232R USB UART",
        serial="A1B2C3",
    )
    stable = system.stable("usb-FTDI_FT232R_USB_UART_A1B2C3-if00-port0", "ttyUSB2")
    assert serial_ports() == (
        SerialPort(
            system.device("ttyUSB2"), stable, "FT232R USB UART", "FTDI", "A1B2C3", "0403:6001"
        ),
        SerialPort(system.device("ttyUSB10"), usb_id="10c4:ea60"),
        SerialPort(system.device("ttyS0")),
    )
    assert [port.description for port in serial_ports()] == [
        "FTDI FT232R USB UART",
        "USB 10c4:ea60",
        "",
    ]


def test_what_a_device_says_of_itself_cannot_play_with_a_terminal(system: System) -> None:
    system.usb("ttyUSB0", idVendor="0403", idProduct="6001", product="head\x1b[2J\x07")
    assert serial_ports()[0].product == "head?[2J?"


def test_a_missing_port_is_one_sentence_with_the_ports_that_exist(system: System) -> None:
    system.usb("ttyUSB2", idVendor="0403", idProduct="6001", product="Optical head")
    system.native("ttyS0")
    with pytest.raises(LinkUnavailable) as caught:
        blocking.SerialLink.open(SerialAddress("/dev/no-such-head"), SETTINGS)
    sentence = str(caught.value)
    assert "there is no such port" in sentence
    assert f"ports that exist: {system.device('ttyUSB2')} (Optical head), " in sentence
    assert sentence.endswith(system.device("ttyS0"))
    assert "\n" not in sentence


def test_no_ports_are_said_to_be_none(system: System) -> None:
    assert serial_ports() == ()
    with pytest.raises(LinkUnavailable, match="no serial port exists here"):
        blocking.SerialLink.open(SerialAddress("/dev/no-such-head"), SETTINGS)
    assert ports_that_exist([]) == "no serial port exists here"


# --- adapters that come back --------------------------------------------------------------------


class Adapter:
    """An adapter that can be unplugged: a pseudo-terminal, and a link to it where it is plugged."""

    def __init__(self) -> None:
        self.far = -1

    def plug(self, path: Path) -> None:
        import tty

        self.far, near = os.openpty()
        tty.setraw(near)
        path.unlink(missing_ok=True)
        path.symlink_to(os.ttyname(near))
        os.close(near)

    def unplug(self, path: Path | None = None) -> None:
        os.close(self.far)
        if path is not None:
            path.unlink()


pseudo_terminals = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


@pseudo_terminals
def test_a_served_port_waits_for_its_adapter(tmp_path: Path) -> None:
    needs.module("serialx")
    path, adapter, told = tmp_path / "head", Adapter(), list[str]()
    adapter.plug(path)
    clock = VirtualClock()
    address = SerialAddress(str(path))
    port = blocking.LinkPort(
        lambda: blocking.open_link(address, SETTINGS),
        waits=True,
        told=told.append,
        clock=clock,
    )
    link = port.accept(0)
    assert link is not None
    adapter.unplug(path)
    with pytest.raises(LinkLost):
        link.receive(GUARD_NS)
    link.close()
    for _ in range(10):
        assert port.accept(AGAIN_NS // 4) is None
    assert clock.now_ns() > 2 * AGAIN_NS  # it was not looked for all the time
    assert len(told) == 1  # nor told of
    assert told[0].startswith(f"cannot open {path}: there is no such port")
    assert told[0].endswith("; waiting for it to come back")
    adapter.plug(path)
    link = port.accept(AGAIN_NS)
    assert link is not None
    assert told[1:] == ["the port is back"]
    os.write(adapter.far, b"/?!\r\n")
    assert link.receive(GUARD_NS)
    link.close()
    port.close()
    adapter.unplug()


def test_a_port_that_was_never_there_is_not_waited_for(tmp_path: Path) -> None:
    needs.module("serialx")
    address = SerialAddress(str(tmp_path / "head"))
    with pytest.raises(LinkUnavailable, match="there is no such port"):
        blocking.open_port(address, SETTINGS)
    port = blocking.LinkPort(lambda: blocking.open_link(address, SETTINGS), waits=True)
    with pytest.raises(LinkUnavailable, match="there is no such port"):
        port.accept(0)


@pseudo_terminals
def test_a_port_that_is_closed_before_it_is_served_leaves_nothing_open(tmp_path: Path) -> None:
    needs.module("serialx")
    path, adapter = tmp_path / "head", Adapter()
    adapter.plug(path)
    port = blocking.open_port(SerialAddress(str(path)), SETTINGS)
    port.close()
    blocking.open_link(SerialAddress(str(path)), SETTINGS).close()  # nobody has it
    adapter.unplug()


@pseudo_terminals
def test_asyncio_a_served_port_waits_for_its_adapter(tmp_path: Path) -> None:
    needs.module("serialx")

    async def work() -> None:
        path, adapter, told = tmp_path / "head", Adapter(), list[str]()
        adapter.plug(path)
        port = await aio.open_port(SerialAddress(str(path)), SETTINGS, told=told.append)
        link = await port.accept(0)
        assert link is not None
        adapter.unplug(path)
        with pytest.raises(LinkLost):
            await link.receive(None)
        await link.close()
        assert await port.accept(0) is None
        assert await port.accept(0) is None
        adapter.plug(path)
        link = await port.accept(None)
        assert link is not None
        assert told[0].endswith("; waiting for it to come back")
        assert told[1:] == ["the port is back"]
        await link.close()
        await port.close()
        adapter.unplug()

    guarded(work())


@pseudo_terminals
def test_a_client_finds_its_adapter_when_it_is_back(tmp_path: Path) -> None:
    """The session asks for the link again, and is told each time whether it is there."""
    needs.module("serialx")
    path, adapter = tmp_path / "head", Adapter()
    adapter.plug(path)
    client = blocking.ClientDriver(
        Client(load_companion("electricity")),
        lambda: blocking.open_link(SerialAddress(str(path)), SETTINGS),
    )

    def procedure() -> Procedure[list[object]]:
        found: list[object] = [(yield from reopen())]
        adapter.unplug(path)
        found.append((yield from perform(Identify())))
        found.append((yield from reopen()))
        found.append(str(client.unavailable))
        adapter.plug(path)
        found.append((yield from reopen()))
        return found

    there, lost, gone, why, back = client.run(procedure())
    assert (there, gone, back) == (True, False, True)
    assert isinstance(lost, CommandFailed)
    assert lost.failure is Failure.LINK_LOST
    assert str(why).startswith(f"cannot open {path}: there is no such port")
    client.close()
    adapter.unplug()


@pseudo_terminals
def test_an_adapter_is_found_again_under_another_name_by_its_stable_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the one that has its name now is not taken for it: another meter may be there."""
    needs.module("serialx")
    stable = tmp_path / "by-id"
    stable.mkdir()
    monkeypatch.setattr(ports, "STABLE_NAMES", stable)
    monkeypatch.setattr(ports, "_behind", {})
    name, other_name = tmp_path / "ttyUSB0", tmp_path / "ttyUSB1"
    adapter, other = Adapter(), Adapter()
    adapter.plug(name)
    (stable / "usb-head-7").symlink_to(name)
    opens: Callable[[], blocking.SerialLink] = lambda: blocking.SerialLink.open(  # noqa: E731
        SerialAddress(str(name)), SETTINGS
    )
    opens().close()

    (stable / "usb-head-7").unlink()
    adapter.unplug(name)
    other.plug(name)  # another adapter got the name
    with pytest.raises(LinkUnavailable, match="there is no such port"):
        opens()

    adapter.plug(other_name)
    (stable / "usb-head-7").symlink_to(other_name)
    link = opens()
    link.send(b"x")
    assert os.read(adapter.far, 10) == b"x"
    link.close()
    adapter.unplug()
    other.unplug()
