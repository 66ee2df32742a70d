"""Sessions of mode C, which change the speed, by both drivers over real links."""

from __future__ import annotations

import asyncio
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from virtual_meter import MS, serving, session, virtual_meter

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.events import ClientEvent, Identified, RegistersRead
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.links import aio, blocking
from vtc07.links.address import LinkAddress, PtyAddress, TCPAddress
from vtc07.links.link import Sender

LOOPBACK = TCPAddress("127.0.0.1", 0)


def quick_mode_c() -> Companion:
    companion = load_companion("electricity-mode-c")
    timing = replace(companion.timing, reaction_ns=MS, fast_reaction_ns=MS)
    return replace(companion, timing=timing)


class Speeds:
    """What the drivers' observers of speeds were told."""

    def __init__(self) -> None:
        self.told: list[tuple[Sender, int]] = []
        self.meter_is_back = threading.Semaphore(0)

    def __call__(self, sender: Sender, speed: int, now_ns: int) -> None:
        self.told.append((sender, speed))
        if (sender, speed) == ("server", 300):
            self.meter_is_back.release()


def assert_in_session(events: list[ClientEvent], speeds: Speeds) -> None:
    identified, read, _ = events
    assert isinstance(identified, Identified), identified
    assert isinstance(read, RegistersRead), read
    assert read.values[0].value == 0
    assert [speed for sender, speed in speeds.told if sender == "client"][:2] == [300, 9600]
    assert [speed for sender, speed in speeds.told if sender == "server"] == [9600, 300]


@pytest.fixture(params=["pty", "tcp"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> LinkAddress:
    if request.param == "tcp":
        return LOOPBACK
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo-terminals")
    return PtyAddress(str(tmp_path / "meter"))


def test_blocking(address: LinkAddress) -> None:
    companion, speeds = quick_mode_c(), Speeds()
    port = blocking.open_port(address, companion.link)
    where = port.address if isinstance(port, blocking.TCPPort) else address
    driver = blocking.ServerDriver(virtual_meter(companion), port, on_speed=speeds)
    with serving(driver):
        for _ in range(2):
            speeds.told.clear()
            with blocking.ClientDriver(
                ModeCClient(companion),
                lambda: blocking.open_link(where, companion.link),
                on_speed=speeds,
            ) as client:
                events = client.run(session(companion))
            # The meter goes back when it has heard the break, which has no answer.
            assert speeds.meter_is_back.acquire(timeout=60)
            assert_in_session(events, speeds)


def test_asyncio(address: LinkAddress) -> None:
    companion, speeds = quick_mode_c(), Speeds()

    async def work() -> None:
        port = await aio.open_port(address, companion.link)
        where = port.address if isinstance(port, aio.TCPPort) else address
        driver = aio.ServerDriver(virtual_meter(companion), port, on_speed=speeds)
        served = asyncio.ensure_future(driver.serve())
        for _ in range(2):
            speeds.told.clear()
            async with aio.ClientDriver(
                ModeCClient(companion),
                lambda: aio.open_link(where, companion.link),
                on_speed=speeds,
            ) as client:
                events = await client.run(session(companion))
            while not speeds.meter_is_back.acquire(blocking=False):
                await asyncio.sleep(0)
            assert_in_session(events, speeds)
        driver.stop()
        await served

    asyncio.run(asyncio.wait_for(work(), 60))
