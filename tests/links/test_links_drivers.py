"""The real cores, turned by both drivers over real links."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

import needs
from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion, Parity
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import (
    Perform,
    Procedure,
    SpeedChange,
    durably,
    now,
    perform,
    reopen,
    wait,
)
from vtc07.carrier.events import (
    Break,
    ClientEvent,
    CommandFailed,
    Disconnected,
    Done,
    End,
    Failure,
    IdentificationRequested,
    Identified,
    Identify,
    Read,
    ReadRequested,
    RegistersRead,
    SignedOff,
    Values,
    Write,
    WriteRequested,
    Written,
)
from vtc07.carrier.registers import Kind, Register, Value
from vtc07.carrier.server import Server
from vtc07.links import aio, blocking
from vtc07.links.address import SerialAddress, TCPAddress
from vtc07.links.characters import CharacterCoder
from vtc07.links.link import Link, LinkLost, LinkUnavailable, Sender

MS = 1_000_000
LOOPBACK = TCPAddress("127.0.0.1", 0)
GUARD_S = 60


def quick_companion() -> Companion:
    """The shipped one, with reaction times that let a test over a real line be quick."""
    companion = load_companion("electricity")
    timing = replace(companion.timing, reaction_ns=MS, fast_reaction_ns=MS)
    return replace(companion, timing=timing)


COMPANION = quick_companion()
REFERENCE = COMPANION.table.named("installationReference")
SERVER_STATUS = COMPANION.table.named("serverStatus")


@dataclass
class Memory:
    """A meter's endpoint whose registers are a dictionary; a write is made durable by a job."""

    values: dict[str, Value] = field(default_factory=dict)
    ended: list[End] = field(default_factory=list)
    job: Callable[[], None] = lambda: None
    job_threads: list[int] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._core = Server(COMPANION, ["12345"])
        self._writes: list[WriteRequested] = []
        self._out: WriteRequested | None = None

    def receive(self, chars: bytes, now_ns: int) -> None:
        self._core.receive(chars, now_ns)
        self._answer(now_ns)

    def handle_timer(self, now_ns: int) -> None:
        self._core.handle_timer(now_ns)
        self._answer(now_ns)

    def connection_lost(self, now_ns: int) -> None:
        self._core.connection_lost(now_ns)
        self._answer(now_ns)

    def next_speed_change(self) -> SpeedChange | None:
        return self._core.next_speed_change()

    def bytes_to_send(self, now_ns: int) -> bytes:
        return self._core.bytes_to_send(now_ns)

    def next_timer(self) -> int | None:
        return self._core.next_timer()

    def next_work(self) -> Callable[[], None] | None:
        if self._out is not None or not self._writes:
            return None
        self._out = self._writes.pop(0)

        def work() -> None:
            self.job_threads.append(threading.get_ident())
            self.job()

        return work

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        assert self._out is not None
        request, self._out = self._out, None
        if error is not None:
            self.failures.append(error)
        self.values[request.register.name] = request.value
        self._core.answer(request.request, Done(), now_ns)

    def value(self, register: Register) -> Value:
        return self.values.get(register.name, "" if register.data_type.kind is Kind.TEXT else 0)

    def wait_for_end(self, number: int) -> None:
        """Wait until so many sessions have ended: a BreakCommand has no answer to wait for."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.ended) >= number, GUARD_S)

    async def end(self, number: int) -> None:
        while len(self.ended) < number:
            await asyncio.sleep(0)

    def _answer(self, now_ns: int) -> None:
        while (event := self._core.next_event()) is not None:
            match event:
                case IdentificationRequested(request, registers) | ReadRequested(
                    request, registers
                ):
                    values = Values(tuple(map(self.value, registers)))
                    self._core.answer(request, values, now_ns)
                case WriteRequested():
                    self._writes.append(event)
                case Disconnected(end):
                    with self._changed:
                        self.ended.append(end)
                        self._changed.notify_all()
                case _:
                    pass


def exchange(text: str) -> Procedure[list[ClientEvent]]:
    return (
        yield from several(
            Perform(Identify("12345")),
            Perform(Write(REFERENCE, text)),
            Perform(Read(REFERENCE)),
            Perform(Break()),
        )
    )


def several(*effects: Perform) -> Procedure[list[ClientEvent]]:
    events = []
    for effect in effects:
        events.append((yield from perform(effect.command)))
    return events


def assert_exchanged(events: list[ClientEvent], text: str) -> None:
    identified, written, read, off = events
    assert isinstance(identified, Identified)
    assert isinstance(written, Written)
    assert isinstance(read, RegistersRead)
    assert [(each.register, each.value) for each in read.values] == [(REFERENCE, text)]
    assert isinstance(off, SignedOff)


def client_core() -> Client:
    return Client(COMPANION)


# --- blocking -----------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(driver: blocking.ServerDriver) -> Iterator[list[LinkUnavailable]]:
    """Serve in a thread; what `serve` raised is in the list afterwards."""
    raised: list[LinkUnavailable] = []

    def serve() -> None:
        try:
            driver.serve()
        except LinkUnavailable as error:
            raised.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield raised
    finally:
        driver.stop()
        thread.join(GUARD_S)
        assert not thread.is_alive()


def once(link: Link) -> Callable[[], Link]:
    """Give this link, and then no more."""
    links = [link]

    def next_link() -> Link:
        if not links:
            raise LinkUnavailable("no more")
        return links.pop()

    return next_link


def test_blocking_over_tcp() -> None:
    memory = Memory()
    port = blocking.TCPPort(LOOPBACK)
    with serving(blocking.ServerDriver(memory, port)) as raised:
        for text in ("one", "two"):
            with blocking.ClientDriver(
                client_core(), functools.partial(blocking.open_link, port.address, COMPANION.link)
            ) as client:
                assert_exchanged(client.run(exchange(text)), text)
        memory.wait_for_end(2)
    assert not raised
    assert memory.ended == [End.BREAK, End.BREAK]


def test_blocking_with_work_that_never_ends() -> None:
    """A meter at whose load every commit is behind already when it ends still hears and stops."""

    class Busy(Memory):
        jobs = 0

        def next_work(self) -> Callable[[], None] | None:
            return super().next_work() or (lambda: None)

        def work_done(self, error: Exception | None, now_ns: int) -> None:
            if self._out is None:
                self.jobs += 1
            else:
                super().work_done(error, now_ns)

    near, far = blocking.null_modem()
    busy = Busy()
    with (
        serving(blocking.ServerDriver(busy, blocking.LinkPort(once(far)))),
        blocking.ClientDriver(client_core(), lambda: near) as client,
    ):
        assert_exchanged(client.run(exchange("busy")), "busy")
        busy.wait_for_end(1)
    assert busy.jobs


def test_blocking_acts_in_its_own_thread_in_every_turn() -> None:
    near, far = blocking.null_modem()
    threads: set[int] = set()
    turns = threading.Semaphore(0)

    def act() -> None:
        threads.add(threading.get_ident())
        turns.release()

    driver = blocking.ServerDriver(Memory(), blocking.LinkPort(once(far)), each_turn=act)
    with serving(driver):
        for _ in range(3):  # with nothing said on the line
            assert turns.acquire(timeout=GUARD_S)
    near.close()
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_blocking_over_a_pair_until_it_is_closed() -> None:
    near, far = blocking.null_modem()
    links = iter([far])

    def next_link() -> Link:
        for link in links:
            return link
        raise LinkUnavailable("no more")

    memory = Memory()
    heard: list[tuple[Sender, bytes]] = []
    driver = blocking.ServerDriver(memory, blocking.LinkPort(next_link))
    with serving(driver) as raised:
        core = client_core()
        with blocking.ClientDriver(
            core, lambda: near, observer=lambda sender, chars, _: heard.append((sender, chars))
        ) as client:
            client.run(several(Perform(Identify())))
        memory.wait_for_end(1)  # closed without a BreakCommand
    assert [str(error) for error in raised] in (["no more"], [])
    assert memory.ended == [End.LINK]
    assert heard[0] == ("client", b"/?!\r\n")
    assert {sender for sender, _ in heard[1:]} == {"server"}
    assert b"".join(chars for _, chars in heard[1:]).startswith(b"/VTC3")


class MasterLink:
    """The far end of a pseudo-terminal as a link, with parity in bit 7."""

    character_ns = 0

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno
        self._coder = CharacterCoder(Parity.SOFTWARE)
        os.set_blocking(fileno, False)

    def send(self, chars: bytes) -> None:
        os.write(self._fileno, self._coder.encode(chars))

    def receive(self, timeout_ns: int | None) -> bytes:
        import select

        timeout = None if timeout_ns is None else timeout_ns / 1e9
        if not select.select([self._fileno], [], [], timeout)[0]:
            return b""
        try:
            return self._coder.decode(os.read(self._fileno, 1000))
        except OSError as error:
            raise LinkLost(str(error)) from error

    def set_speed(self, speed: int) -> None:
        raise AssertionError("one speed here")

    def close(self) -> None:
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_both_fronts_over_a_pseudo_terminal() -> None:
    needs.module("serialx")
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    settings = replace(COMPANION.link, speed=19200, parity=Parity.SOFTWARE, rts=None, dtr=None)
    far = MasterLink(master)
    memory = Memory()  # character_ns is 0 in both cores: nothing paces a pseudo-terminal
    port = blocking.LinkPort(lambda: far)
    address = SerialAddress(os.ttyname(slave))
    with serving(blocking.ServerDriver(memory, port)) as raised:
        with blocking.ClientDriver(
            client_core(), lambda: blocking.open_link(address, settings)
        ) as client:
            assert_exchanged(client.run(exchange("by wire")), "by wire")

        async def work() -> None:
            async with aio.ClientDriver(
                client_core(), lambda: aio.open_link(address, settings)
            ) as client:
                assert_exchanged(await client.run(exchange("and again")), "and again")

        guarded(work())
        memory.wait_for_end(2)
    os.close(master)
    os.close(slave)
    assert not raised
    assert memory.ended == [End.BREAK, End.BREAK]


def test_blocking_a_lost_link_ends_the_command_and_reopen_tells_whether_it_is_back() -> None:
    port = blocking.TCPPort(LOOPBACK)
    address = port.address
    client = blocking.ClientDriver(client_core(), lambda: blocking.TCPLink.connect(address))
    server = threading.Thread(target=lambda: take_and_close(port))
    server.start()

    def procedure() -> Procedure[list[object]]:
        found: list[object] = [(yield from perform(Identify()))]
        found.append((yield from perform(Identify())))
        found.append((yield from reopen()))
        found.append((yield from perform(Identify())))
        before = yield from now()
        yield from wait(3 * MS)
        found.append((yield from now()) - before >= 3 * MS)
        return found

    lost, still_lost, reopened, closed, waited = client.run(procedure())
    server.join(GUARD_S)
    for event in (lost, still_lost, closed):
        assert isinstance(event, CommandFailed)
        assert event.failure is Failure.LINK_LOST
    assert reopened is False
    assert "nothing listens there" in str(client.unavailable)
    assert waited is True
    client.close()
    with pytest.raises(LinkUnavailable, match="nothing listens there"):
        client.run(several(Perform(Identify())))


def take_and_close(port: blocking.TCPPort) -> None:
    """A port that takes one request, and is switched off then."""
    link = port.accept(GUARD_S * 1000 * MS)
    assert link is not None
    link.receive(GUARD_S * 1000 * MS)
    port.close()


def test_blocking_an_interruption_closes_procedure_and_link() -> None:
    memory = Memory()
    port = blocking.TCPPort(LOOPBACK)
    steps: list[str] = []

    def interrupted() -> None:
        raise KeyboardInterrupt

    def procedure() -> Procedure[None]:
        try:
            yield from perform(Identify())
            yield from durably(interrupted)
        finally:
            steps.append("tidied")

    with serving(blocking.ServerDriver(memory, port)):
        client = blocking.ClientDriver(
            client_core(), lambda: blocking.TCPLink.connect(port.address)
        )
        with pytest.raises(KeyboardInterrupt):
            client.run(procedure())
        assert steps == ["tidied"]
        # The line is free again: otherwise the second connection would be turned away.
        with blocking.ClientDriver(
            client_core(), lambda: blocking.TCPLink.connect(port.address)
        ) as second:
            assert_exchanged(second.run(exchange("free")), "free")
        memory.wait_for_end(2)
    assert memory.ended == [End.LINK, End.BREAK]


def errors_into_the_procedure() -> Procedure[list[str]]:
    found = []

    def fails() -> None:
        raise OSError("disk full")

    try:
        yield from durably(fails)
    except OSError as error:
        found.append(str(error))
    try:
        yield from perform(Identify("no address: *"))
    except ValueError as error:
        found.append(type(error).__name__)
    found.append((yield from durably(lambda: "kept")))
    return found


def test_blocking_errors_of_effects_are_raised_in_the_procedure() -> None:
    near, _ = blocking.null_modem()
    with blocking.ClientDriver(client_core(), lambda: near) as client:
        assert client.run(errors_into_the_procedure()) == ["disk full", "ValueError", "kept"]


def test_blocking_a_job_that_fails_is_reported_to_the_endpoint() -> None:
    memory = Memory()

    def fails() -> None:
        raise OSError("disk full")

    memory.job = fails
    port = blocking.TCPPort(LOOPBACK)
    with (
        serving(blocking.ServerDriver(memory, port)),
        blocking.ClientDriver(
            client_core(), lambda: blocking.TCPLink.connect(port.address)
        ) as client,
    ):
        client.run(exchange("x"))
    assert [str(error) for error in memory.failures] == ["disk full"]


# --- asyncio ------------------------------------------------------------------------------------


def guarded(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, GUARD_S))


def test_asyncio_over_tcp_with_jobs_off_the_loop() -> None:
    memory = Memory()

    async def work() -> None:
        port = await aio.TCPPort.open(LOOPBACK)
        driver = aio.ServerDriver(memory, port)
        served = asyncio.ensure_future(driver.serve())
        for text in ("one", "two"):
            async with aio.ClientDriver(
                client_core(), lambda: aio.open_link(port.address, COMPANION.link)
            ) as client:
                assert_exchanged(await client.run(exchange(text)), text)
        await memory.end(2)
        driver.stop()
        await served

    guarded(work())
    assert memory.ended == [End.BREAK, End.BREAK]
    assert len(memory.job_threads) == 2
    assert threading.get_ident() not in memory.job_threads


def test_asyncio_the_loop_runs_while_a_job_does() -> None:
    memory = Memory()
    released, begun = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        assert released.wait(GUARD_S)

    memory.job = slow

    async def work() -> None:
        near, far = aio.null_modem()
        links = [far]

        async def next_link() -> aio.PairLink:
            return links.pop()

        driver = aio.ServerDriver(memory, aio.LinkPort(next_link))
        served = asyncio.ensure_future(driver.serve())

        async def near_link() -> aio.PairLink:
            return near

        client = aio.ClientDriver(client_core(), near_link)
        running = asyncio.ensure_future(client.run(exchange("slowly")))
        while not begun.is_set():
            await asyncio.sleep(0)
        assert not running.done()
        released.set()  # by the loop, which therefore was not held up
        assert_exchanged(await running, "slowly")
        driver.stop()
        await served
        await client.close()

    guarded(work())


def test_asyncio_a_lost_link_ends_the_command_and_reopen_tells_whether_it_is_back() -> None:
    async def work() -> None:
        port = await aio.TCPPort.open(LOOPBACK)
        address = port.address

        async def take_and_close() -> None:
            link = await port.accept(None)
            assert link is not None
            await link.receive(None)
            await port.close()

        async def open_link() -> aio.TCPLink:
            return await aio.TCPLink.connect(address)

        taking = asyncio.ensure_future(take_and_close())
        client = aio.ClientDriver(client_core(), open_link)

        def procedure() -> Procedure[list[object]]:
            found: list[object] = [(yield from perform(Identify()))]
            found.append((yield from reopen()))
            found.append((yield from perform(Identify())))
            yield from wait(3 * MS)
            return found

        lost, reopened, closed = await client.run(procedure())
        await taking
        for event in (lost, closed):
            assert isinstance(event, CommandFailed)
            assert event.failure is Failure.LINK_LOST
        assert reopened is False
        assert "nothing listens there" in str(client.unavailable)
        with pytest.raises(LinkUnavailable, match="nothing listens there"):
            await client.run(several(Perform(Identify())))

    guarded(work())


def test_asyncio_a_cancellation_waits_for_durable_work_and_frees_the_line() -> None:
    memory = Memory()
    begun, finished = threading.Event(), threading.Event()
    released = threading.Event()
    steps: list[str] = []

    def slow() -> None:
        begun.set()
        assert released.wait(GUARD_S)
        finished.set()

    def procedure() -> Procedure[None]:
        try:
            yield from perform(Identify())
            yield from durably(slow)
        finally:
            steps.append("tidied")

    async def work() -> None:
        port = await aio.TCPPort.open(LOOPBACK)
        driver = aio.ServerDriver(memory, port)
        served = asyncio.ensure_future(driver.serve())

        async def open_link() -> aio.TCPLink:
            return await aio.TCPLink.connect(port.address)

        client = aio.ClientDriver(client_core(), open_link)
        running = asyncio.ensure_future(client.run(procedure()))
        while not begun.is_set():
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.sleep(0)
        assert not running.done()
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert finished.is_set()
        assert steps == ["tidied"]
        async with aio.ClientDriver(client_core(), open_link) as second:
            assert_exchanged(await second.run(exchange("free")), "free")
        await memory.end(2)
        served.cancel()
        with pytest.raises(asyncio.CancelledError):
            await served
        with pytest.raises(LinkUnavailable):
            await open_link()

    guarded(work())
    assert memory.ended == [End.LINK, End.BREAK]


def test_asyncio_a_cancelled_server_finishes_the_job_that_is_out() -> None:
    memory = Memory()
    begun, released = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        assert released.wait(GUARD_S)

    memory.job = slow

    async def work() -> None:
        port = await aio.TCPPort.open(LOOPBACK)
        served = asyncio.ensure_future(aio.ServerDriver(memory, port).serve())

        async def open_link() -> aio.TCPLink:
            return await aio.TCPLink.connect(port.address)

        client = aio.ClientDriver(client_core(), open_link)
        running = asyncio.ensure_future(client.run(exchange("kept")))
        while not begun.is_set():
            await asyncio.sleep(0)
        served.cancel()
        await asyncio.sleep(0)
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await served
        events = await running
        assert isinstance(events[1], CommandFailed)
        assert memory.values["installationReference"] == "kept"

    guarded(work())


def test_asyncio_wake_has_work_from_elsewhere_noticed() -> None:
    memory = Memory()
    done = threading.Event()
    memory.job = done.set

    async def work() -> None:
        port = await aio.TCPPort.open(LOOPBACK)
        driver = aio.ServerDriver(memory, port)
        served = asyncio.ensure_future(driver.serve())
        await asyncio.sleep(0)
        # As a keypad would: a write that did not come by the line.
        memory._core.receive(b"/?!\r\n", 1)
        memory._answer(1)
        memory._writes.append(WriteRequested(1, REFERENCE, "keypad"))
        driver.wake()
        while not done.is_set():
            await asyncio.sleep(0)
        driver.stop()
        await served

    guarded(work())
    assert memory.values["installationReference"] == "keypad"


def test_asyncio_errors_of_effects_are_raised_in_the_procedure() -> None:
    async def work() -> None:
        near, _ = aio.null_modem()

        async def open_link() -> aio.PairLink:
            return near

        async with aio.ClientDriver(client_core(), open_link) as client:
            found = await client.run(errors_into_the_procedure())
        assert found == ["disk full", "ValueError", "kept"]

    guarded(work())
