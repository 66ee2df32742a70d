"""Many meters in one loop: real meters, real client cores, real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

import needs
from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion
from vtc07.hhu.reading import read
from vtc07.hhu.session import Session
from vtc07.hhu.writing import write
from vtc07.links import aio
from vtc07.links.address import TCPAddress
from vtc07.links.clock import Clock, MonotonicClock
from vtc07.links.link import LinkUnavailable, Sender
from vtc07.meter import (
    MemoryStore,
    Meter,
    MeterServer,
    MeterState,
    TokenExecuted,
    manufacture,
)
from vtc07.meter.records import Changes
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TCT,
    TI,
    TID,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
    Service,
    TransferCredit,
    encode,
    luhn_digit,
)

LOOPBACK = TCPAddress("127.0.0.1", 0)
GUARD_S = 60
S = 1_000_000_000
KEY = DecoderKey(EA.MISTY1, bytes(range(16)))
TOKEN = encode(TransferCredit(Service.ELECTRICITY, 5, 6_000_000, 100), KEY).digits


def quick_companion() -> Companion:
    """The shipped one, with a reaction time that lets a test over a real line be quick."""
    companion = load_companion("electricity")
    return replace(companion, timing=replace(companion.timing, reaction_ns=1_000_000))


COMPANION = quick_companion()


class AheadClock(MonotonicClock):
    """A clock that the test puts forward."""

    ahead_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns


def guarded(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, GUARD_S))


def pan(number: int) -> str:
    drn = f"{number:010d}"
    digits = f"600727{drn}{luhn_digit(drn)}"
    return digits + str(luhn_digit(digits))


def manufactured(number: int) -> MeterState:
    attributes = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
    return manufacture(COMPANION, MeterPAN(pan(number)), KEY, attributes, TID(0))


def served(
    number: int = 1,
    *,
    store: MemoryStore | None = None,
    clock: Clock | None = None,
    executed: Callable[[TokenExecuted], None] | None = None,
) -> MeterServer:
    now_ns = (clock or MonotonicClock()).now_ns()
    meter = Meter(
        COMPANION, store or MemoryStore(manufactured(number)), now_ns=now_ns, execution_ns=0
    )
    return MeterServer(COMPANION, meter, token_executed=executed)


def client(line: aio.FleetLine) -> aio.ClientDriver:
    return aio.ClientDriver(Client(COMPANION), lambda: aio.TCPLink.connect(line.address))


def test_every_meter_answers_at_its_own_port_at_the_same_time() -> None:
    async def one(line: aio.FleetLine) -> str | int:
        async with client(line) as driver:
            session = Session(COMPANION, character_ns=0)
            found = await driver.run(read(session, [COMPANION.table.named("meterPAN")]))
            return found.value("meterPAN")

    async def run() -> None:
        async with aio.Fleet() as fleet:
            lines = [await fleet.add(served(number), LOOPBACK) for number in range(30)]
            assert len(fleet) == len({line.address for line in lines}) == 30
            told = await asyncio.gather(*(one(line) for line in lines))
        assert told == [pan(number) for number in range(30)]

    guarded(run())


def test_a_write_is_made_durable_in_a_thread_and_then_acknowledged() -> None:
    threads: list[str] = []

    class Noting(MemoryStore):
        def commit(self, changes: Changes) -> None:
            threads.append(threading.current_thread().name)
            super().commit(changes)

    store = Noting(manufactured(1))

    async def run() -> None:
        async with aio.Fleet(workers=1) as fleet:
            line = await fleet.add(served(store=store), LOOPBACK)
            async with client(line) as driver:
                register = COMPANION.table.named("lowCreditThreshold")
                session = Session(COMPANION, character_ns=0)
                (result,) = await driver.run(write(session, [(register, 500)], verify=True))
                assert result.good
                assert store.state.settings.low_credit_threshold == 500

    guarded(run())
    assert threads
    assert all(name.startswith("fleet") for name in threads)


def test_a_token_from_the_keypad_is_executed_after_wake() -> None:
    ended: list[TokenExecuted] = []
    store = MemoryStore(manufactured(1))

    async def run() -> None:
        done = asyncio.Event()

        def executed(event: TokenExecuted) -> None:
            ended.append(event)
            done.set()

        async with aio.Fleet() as fleet:
            endpoint = served(store=store, executed=executed)
            line = await fleet.add(endpoint, LOOPBACK)
            now_ns = MonotonicClock().now_ns()
            assert endpoint.meter.enter(TOKEN, TCT.NUMERIC, now_ns) is None
            line.wake()
            await done.wait()

    guarded(run())
    assert len(ended) == 1
    assert store.state.account.accepted == 10_000


def test_closing_waits_for_the_commit_that_is_out() -> None:
    begun, may_end = threading.Event(), threading.Event()

    class Slow(MemoryStore):
        def commit(self, changes: Changes) -> None:
            begun.set()
            assert may_end.wait(GUARD_S)
            super().commit(changes)

    store = Slow(manufactured(1))

    async def run() -> None:
        fleet = aio.Fleet()
        endpoint = served(store=store)
        line = await fleet.add(endpoint, LOOPBACK)
        assert endpoint.meter.enter(TOKEN, TCT.NUMERIC, MonotonicClock().now_ns()) is None
        line.wake()
        await asyncio.to_thread(begun.wait, GUARD_S)
        closing = asyncio.ensure_future(fleet.close())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not closing.done()
        may_end.set()
        await closing
        assert endpoint.meter.committed.account.accepted == 10_000
        await fleet.close()  # a second call does nothing

    guarded(run())


def test_a_second_connection_is_closed_and_the_first_goes_on() -> None:
    async def run() -> None:
        clock = AheadClock()
        async with aio.Fleet(clock=clock) as fleet:
            line = await fleet.add(served(clock=clock), LOOPBACK)
            with called(line) as first, called(line) as second, called(line) as third:
                assert (await answer(first)).startswith(b"/VTC")
                assert await answer(second) == b""
                assert await answer(third) == b""
                assert (await answer(first)).startswith(b"/VTC")
                clock.ahead_ns += 121 * S  # it has been silent for so long, and gives way
                with called(line) as fourth:
                    assert (await answer(fourth)).startswith(b"/VTC")
                    assert await answer(first, b"") == b""

    guarded(run())


def where(line: aio.FleetLine) -> tuple[str, int]:
    return line.address.host, line.address.port


def called(line: aio.FleetLine) -> socket.socket:
    connection = socket.create_connection(where(line), GUARD_S)
    connection.setblocking(False)
    return connection


async def answer(connection: socket.socket, said: bytes = b"/?!\r\n") -> bytes:
    """What a meter says to somebody; nothing where it has closed the connection."""
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(connection, said)
        return await loop.sock_recv(connection, 64)
    except ConnectionError:
        return b""


def test_who_comes_just_after_the_first_has_gone_is_served() -> None:
    async def run() -> None:
        async with aio.Fleet() as fleet:
            line = await fleet.add(served(), LOOPBACK)
            for _ in range(20):
                with called(line) as connection:
                    assert (await answer(connection)).startswith(b"/VTC")

    guarded(run())


def test_a_meter_that_is_taken_off_leaves_the_others_alone() -> None:
    async def run() -> None:
        async with aio.Fleet() as fleet:
            first = await fleet.add(served(1), LOOPBACK)
            second = await fleet.add(served(2), LOOPBACK)
            async with client(second) as driver:
                session = Session(COMPANION, character_ns=0)
                await driver.run(session.identify())
                await first.close()
                await first.close()
                assert len(fleet) == 1
                with pytest.raises(LinkUnavailable):
                    await aio.TCPLink.connect(first.address)
                assert await driver.run(session.compare_meter_pan()) == pan(2)

    guarded(run())


def test_what_a_meter_raises_by_mistake_ends_serve_with_it() -> None:
    class Broken(MeterServer):
        def receive(self, chars: bytes, now_ns: int) -> None:
            raise ZeroDivisionError

    async def run() -> None:
        fleet = aio.Fleet()
        meter = Meter(COMPANION, MemoryStore(manufactured(1)), now_ns=MonotonicClock().now_ns())
        line = await fleet.add(Broken(COMPANION, meter), LOOPBACK)
        serving = asyncio.ensure_future(fleet.serve())
        with called(line) as connection:
            assert await answer(connection) == b""
            with pytest.raises(ZeroDivisionError):
                await serving

    guarded(run())


def test_a_commit_that_fails_is_a_store_fault_of_that_meter_alone() -> None:
    class Full(MemoryStore):
        def commit(self, changes: Changes) -> None:
            raise OSError("the disk is full")

    async def run() -> None:
        async with aio.Fleet() as fleet:
            broken, sound = served(1, store=Full(manufactured(1))), served(2)
            line = await fleet.add(broken, LOOPBACK)
            other = await fleet.add(sound, LOOPBACK)
            register = COMPANION.table.named("lowCreditThreshold")
            for at, written in ((line, False), (other, True)):
                async with client(at) as driver:
                    session = Session(COMPANION, character_ns=0)
                    (result,) = await driver.run(write(session, [(register, 500)]))
                    assert result.written is written
            assert broken.meter.store_fault
            assert not sound.meter.store_fault

    guarded(run())


def test_an_observer_hears_both_ends() -> None:
    heard: list[tuple[Sender, bytes]] = []

    async def run() -> None:
        async with aio.Fleet() as fleet:
            line = await fleet.add(
                served(), LOOPBACK, observer=lambda who, chars, _: heard.append((who, chars))
            )
            async with client(line) as driver:
                await driver.run(Session(COMPANION).hail())

    guarded(run())
    assert heard[0] == ("client", b"/?!\r\n")
    assert heard[-1][0] == "server"


def test_serve_ends_by_stop_and_nothing_is_added_afterwards() -> None:
    async def run() -> None:
        fleet = aio.Fleet()
        line = await fleet.add(served(), LOOPBACK)
        asyncio.get_running_loop().call_soon(fleet.stop)
        await fleet.serve()
        with pytest.raises(LinkUnavailable, match="closed"):
            await fleet.add(served(2), LOOPBACK)
        with pytest.raises(LinkUnavailable):
            await aio.TCPLink.connect(line.address)

    guarded(run())


def test_a_meter_is_not_offered_to_the_network_unless_that_is_allowed() -> None:
    async def run() -> None:
        async with aio.Fleet() as fleet:
            with pytest.raises(LinkUnavailable, match="expressly"):
                await fleet.add(served(), TCPAddress("0.0.0.0", 0))
            assert len(fleet) == 0
            await fleet.add(served(), TCPAddress("0.0.0.0", 0), allow_remote=True)

    guarded(run())


def test_a_process_without_a_file_left_says_so() -> None:
    needs.module("resource")
    import resource

    async def run() -> None:
        async with aio.Fleet() as fleet:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
            try:
                with pytest.raises(LinkUnavailable, match="ulimit"):
                    await fleet.add(served(), LOOPBACK)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    guarded(run())
