"""Pseudo-terminals by a path: real ones, on both fronts."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from virtual_meter import have_a_session, quick_companion, serving
from virtual_meter import served as served_meter

from vtc07.carrier.companion import LinkSettings, Parity, Preset
from vtc07.links import aio, blocking
from vtc07.links.address import PtyAddress
from vtc07.links.link import LinkLost, LinkUnavailable
from vtc07.links.pty import ServedPty

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)
import fcntl
import termios

GUARD_NS = 60_000_000_000
SETTINGS = LinkSettings(Preset.OPTICAL, 300, Parity.UART)
EVERY_BYTE = bytes(range(256))


def guarded(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


@pytest.fixture
def address(tmp_path: Path) -> PtyAddress:
    return PtyAddress(str(tmp_path / "meter"))


@contextlib.contextmanager
def served(address: PtyAddress, parity: Parity | None = None) -> Iterator[blocking.PtyPort]:
    port = blocking.PtyPort(address, SETTINGS, parity=parity)
    try:
        yield port
    finally:
        port.close()


def accepted(port: blocking.PtyPort) -> blocking.PtyLink:
    link = port.accept(GUARD_NS)
    assert link is not None
    return link


def all_of(receive: Callable[[int | None], bytes], count: int) -> bytes:
    heard = b""
    while len(heard) < count:
        heard += receive(GUARD_NS)
    return heard


# --- blocking -----------------------------------------------------------------------------------


def test_every_character_passes_both_ways_as_it_is(address: PtyAddress) -> None:
    """NUL for a wake-up, CR, XOFF, the interrupt character: none means anything to the system."""
    chars = bytes(range(128))
    with served(address) as port:
        client = blocking.open_link(address, SETTINGS)
        link = accepted(port)
        assert (link.character_ns, client.character_ns, port.character_ns) == (0, 0, 0)
        client.send(chars)
        assert all_of(link.receive, 128) == chars
        link.send(chars[::-1])  # the same would be an echo
        assert all_of(client.receive, 128) == chars[::-1]
        client.close()


def test_software_parity_is_sent_and_checked(address: PtyAddress) -> None:
    with served(address, Parity.SOFTWARE) as port:
        plain = blocking.PtyLink.open(address, SETTINGS)  # bit 7 is never set there
        link = accepted(port)
        plain.send(b"15")
        assert all_of(link.receive, 2) == b"\xff5"  # 31 hex has three bits
        plain.close()
        with pytest.raises(LinkLost):
            link.receive(GUARD_NS)
        client = blocking.open_link(address, SETTINGS, parity=Parity.SOFTWARE)
        link = accepted(port)
        client.send(b"15")
        assert all_of(link.receive, 2) == b"15"
        client.close()


@pytest.mark.parametrize("serves", [True, False])
def test_7e1_is_refused_with_what_would_do(address: PtyAddress, serves: bool) -> None:
    sentence = "no 7 data bits with even parity; choose parity software or none"
    opens = blocking.open_port if serves else blocking.open_link
    with pytest.raises(LinkUnavailable, match=sentence):
        opens(address, SETTINGS, parity=Parity.UART)
    assert not os.path.lexists(address.path)


def test_clients_come_and_go_and_the_next_finds_it_as_the_first_did(address: PtyAddress) -> None:
    with served(address) as port:
        for _ in range(3):
            fileno = os.open(address.path, os.O_RDWR | os.O_NOCTTY)  # foreign software
            link = accepted(port)
            os.write(fileno, b"/?!\r\n")
            assert all_of(link.receive, 5) == b"/?!\r\n"
            link.send(b"nobody reads this")
            spoilt = termios.tcgetattr(fileno)
            spoilt[0] |= termios.ICRNL | termios.ISTRIP
            spoilt[3] |= termios.ECHO | termios.ICANON | termios.ISIG
            termios.tcsetattr(fileno, termios.TCSANOW, spoilt)
            os.close(fileno)
            with pytest.raises(LinkLost, match="closed the pseudo-terminal"):
                all_of(link.receive, 1000)  # what the client has been sent may have come back
            assert port.accept(0) is None
        client = os.open(address.path, os.O_RDWR | os.O_NOCTTY)
        link = accepted(port)
        link.send(EVERY_BYTE)
        heard = b""
        while len(heard) < 256:
            heard += os.read(client, 256)
        assert heard == bytes(code & 0x7F for code in EVERY_BYTE)
        os.close(client)


def test_software_that_asks_for_7e1_is_let_in_each_time(address: PtyAddress) -> None:
    """The system leaves the format as it is, and says so only where it can change nothing else."""
    with served(address) as port:
        for _ in range(3):
            fileno = os.open(address.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            link = accepted(port)
            wanted = termios.tcgetattr(fileno)
            wanted[2] &= ~termios.CSIZE
            wanted[2] |= termios.CS7 | termios.PARENB | termios.CREAD | termios.CLOCAL
            wanted[4] = wanted[5] = termios.B300
            termios.tcsetattr(fileno, termios.TCSANOW, wanted)
            os.write(fileno, b"x")
            assert all_of(link.receive, 1) == b"x"
            os.close(fileno)
            with pytest.raises(LinkLost):
                link.receive(GUARD_NS)
            assert port.accept(0) is None


def test_a_client_that_locked_it_for_itself_locks_nobody_out(
    address: PtyAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock outlives the client; only who may do everything can undo it."""
    with served(address) as port:
        before = Path(address.path).readlink()
        for may_undo in (True, False):
            fileno = os.open(address.path, os.O_RDWR | os.O_NOCTTY)
            link = accepted(port)
            fcntl.ioctl(fileno, termios.TIOCEXCL)
            os.close(fileno)
            with pytest.raises(LinkLost):
                link.receive(GUARD_NS)
            with monkeypatch.context() as patch:
                if not may_undo:  # these tests may run as root, whom no lock keeps out
                    patch.setattr("vtc07.links.pty.os.open", no_open)
                assert port.accept(0) is None
            assert (Path(address.path).readlink() == before) is may_undo
        client = blocking.PtyLink.open(address, SETTINGS)
        link = accepted(port)
        client.send(b"/?!")
        assert all_of(link.receive, 3) == b"/?!"
        client.close()
    assert not os.path.lexists(address.path)


def no_open(path: str, flags: int) -> int:
    raise OSError(errno.EBUSY, "locked")


def test_what_a_client_wrote_before_it_closed_is_heard(address: PtyAddress) -> None:
    with served(address) as port:
        assert port.accept(0) is None
        fileno = os.open(address.path, os.O_RDWR | os.O_NOCTTY)
        os.write(fileno, b"\x01B0\x03q")
        os.close(fileno)
        link = accepted(port)
        assert all_of(link.receive, 5) == b"\x01B0\x03q"
        with pytest.raises(LinkLost):
            link.receive(GUARD_NS)


def test_a_client_notices_that_the_meter_is_gone(address: PtyAddress) -> None:
    with served(address):
        client = blocking.PtyLink.open(address, SETTINGS)
    with pytest.raises(LinkLost, match="closed the pseudo-terminal"):
        client.receive(GUARD_NS)
    with pytest.raises(LinkLost):
        client.send(b"x")
    client.close()
    client.close()
    with pytest.raises(LinkLost, match="the link is closed"):
        client.receive(0)
    with pytest.raises(LinkUnavailable, match="start what serves it there first"):
        blocking.PtyLink.open(address, SETTINGS)


def test_a_speed_is_noted_where_others_can_see_it(address: PtyAddress) -> None:
    with served(address) as port:
        client = blocking.PtyLink.open(address, SETTINGS)
        link = accepted(port)
        client.send(b"\x06051\r\n")
        client.set_speed(9600)
        link.set_speed(9600)
        assert termios.tcgetattr(client._fileno)[4:6] == [termios.B9600, termios.B9600]
        assert all_of(link.receive, 6) == b"\x06051\r\n"
        client.close()


def test_two_programs_do_not_share_one(address: PtyAddress) -> None:
    with served(address):
        first = blocking.PtyLink.open(address, SETTINGS)
        with pytest.raises(LinkUnavailable, match="another program has it open"):
            blocking.PtyLink.open(address, SETTINGS)
        first.close()
        blocking.PtyLink.open(address, SETTINGS).close()


def test_the_path_is_there_while_it_is_served_and_no_longer(address: PtyAddress) -> None:
    path = Path(address.path)
    with served(address) as port:
        assert path.is_symlink()
        assert str(path.readlink()).startswith("/dev/")
    assert not os.path.lexists(path)
    port.close()  # a second time


@pytest.mark.parametrize("what", ["file", "folder", "link", "dangling", "served"])
def test_nothing_that_is_at_the_path_is_replaced(address: PtyAddress, what: str) -> None:
    path = Path(address.path)
    other = None
    if what == "file":
        path.write_text("precious")
    elif what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to("/dev/null")
    elif what == "dangling":
        path.symlink_to(path.with_name("somebody's"))
    else:
        other = ServedPty(address, 300)
    before = path.lstat()
    with pytest.raises(LinkUnavailable, match="something is there already"):
        blocking.PtyPort(address, SETTINGS)
    assert path.lstat() == before
    if other is not None:
        other.close()


def test_a_link_that_a_killed_meter_left_is_replaced(address: PtyAddress) -> None:
    path = Path(address.path)
    path.symlink_to("/dev/pts/999999" if sys.platform == "linux" else "/dev/ttys999999")
    with served(address) as port:
        client = blocking.PtyLink.open(address, SETTINGS)
        assert port.accept(GUARD_NS) is not None
        client.close()
    assert not os.path.lexists(path)


def test_a_path_that_somebody_else_has_taken_is_left_to_them(address: PtyAddress) -> None:
    path = Path(address.path)
    with served(address):
        path.unlink()
        path.write_text("precious")
    assert path.read_text() == "precious"


def test_a_path_where_nothing_can_be_made_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(LinkUnavailable, match="check the folder"):
        blocking.PtyPort(PtyAddress(str(tmp_path / "no" / "such" / "folder")), SETTINGS)


def test_a_file_is_no_pseudo_terminal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", "/dev/null"):
        with pytest.raises(LinkUnavailable, match="this is no pseudo-terminal"):
            blocking.PtyLink.open(PtyAddress(str(path)), SETTINGS)


def test_sessions_over_a_served_path(address: PtyAddress) -> None:
    companion = quick_companion()
    with serving(served_meter(blocking.open_port(address, SETTINGS), companion)) as raised:
        for _ in range(3):
            have_a_session(lambda: blocking.open_link(address, SETTINGS), companion)
    assert not raised
    assert not os.path.lexists(address.path)


# --- asyncio ------------------------------------------------------------------------------------


async def async_all_of(link: aio.PtyLink, count: int) -> bytes:
    heard = b""
    while len(heard) < count:
        heard += await link.receive(GUARD_NS)
    return heard


def test_asyncio_every_character_passes_and_clients_come_and_go(address: PtyAddress) -> None:
    async def work() -> None:
        chars = bytes(range(128))
        port = await aio.PtyPort.open(address, SETTINGS)
        assert await port.accept(0) is None
        for _ in range(2):
            client = await aio.PtyLink.open(address, SETTINGS)
            link = await port.accept(None)
            assert link is not None
            assert (link.character_ns, client.character_ns, port.character_ns) == (0, 0, 0)
            await client.send(chars)
            assert await async_all_of(link, 128) == chars
            await link.send(chars[::-1])
            assert await async_all_of(client, 128) == chars[::-1]
            assert await client.receive(0) == b""
            await client.set_speed(9600)
            await link.set_speed(9600)
            assert termios.tcgetattr(client._fileno)[5] == termios.B9600
            await client.close()
            await client.close()
            with pytest.raises(LinkLost, match="closed the pseudo-terminal"):
                await link.receive(None)
        await port.close()
        assert not os.path.lexists(address.path)
        with pytest.raises(LinkUnavailable, match="the port is closed"):
            await port.accept(0)

    guarded(work())


def test_asyncio_more_than_the_system_keeps_is_sent_as_it_is_read(address: PtyAddress) -> None:
    async def work() -> None:
        port = await aio.open_port(address, SETTINGS)
        client = await aio.open_link(address, SETTINGS)
        link = await port.accept(None)
        assert link is not None
        sending = asyncio.ensure_future(link.send(b"0123456789" * 30_000))
        assert isinstance(client, aio.PtyLink)
        assert await async_all_of(client, 300_000) == b"0123456789" * 30_000
        await sending
        await client.close()
        await port.close()

    guarded(work())


def test_asyncio_a_cancelled_receive_loses_no_character(address: PtyAddress) -> None:
    async def work() -> None:
        port = await aio.open_port(address, SETTINGS)
        client = await aio.open_link(address, SETTINGS)
        link = await port.accept(None)
        assert isinstance(link, aio.PtyLink)
        waiting = asyncio.ensure_future(link.receive(None))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await client.send(b"kept")
        assert await async_all_of(link, 4) == b"kept"
        await client.close()
        await port.close()

    guarded(work())


def test_asyncio_refusals_are_the_same_sentences(address: PtyAddress) -> None:
    async def work() -> None:
        with pytest.raises(LinkUnavailable, match="choose parity software or none"):
            await aio.open_port(address, SETTINGS, parity=Parity.UART)
        with pytest.raises(LinkUnavailable, match="start what serves it there first"):
            await aio.open_link(address, SETTINGS)
        port = await aio.open_port(address, SETTINGS)
        first = await aio.open_link(address, SETTINGS)
        with pytest.raises(LinkUnavailable, match="another program has it open"):
            await aio.open_link(address, SETTINGS)
        await port.close()
        with pytest.raises(LinkLost):
            await first.receive(None)
        with pytest.raises(LinkLost):
            await first.send(b"x")
        await first.close()

    guarded(work())
