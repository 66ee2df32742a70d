"""A change of speed stands between the characters before it and those after it, on both fronts."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from vtc07.carrier.endpoint import Procedure, SpeedChange, perform, reopen
from vtc07.carrier.events import (
    Break,
    ClientEvent,
    Command,
    CommandFailed,
    Failure,
    Identify,
    SignedOff,
)
from vtc07.links import aio, blocking
from vtc07.links.link import Link, LinkLost, LinkUnavailable, Sender

GUARD_S = 60
#: Characters that a core wants to send, or a speed that it wants to go on at.
Step = bytes | int
#: What happened on a link, in its order.
Story = list[bytes | int | str]


class Script:
    """The core of either end: each call lets it do what the script says next.

    A request of the script's is a run of steps; what is heard lets the next run go. A step of a
    speed is only told where every character before it has been handed out.
    """

    def __init__(self, *runs: list[Step], timers: int = 0) -> None:
        self._runs = deque(runs)
        self._steps: deque[Step] = deque()
        self._timers = timers
        self._final: ClientEvent | None = None
        self._command: Command | None = None
        self.heard = b""
        self.lost = 0
        self.ended = threading.Event()

    def _go_on(self) -> None:
        if self._runs:
            self._steps.extend(self._runs.popleft())
        else:
            self._final = SignedOff()
            self.ended.set()

    def start(self, command: Command, now_ns: int) -> None:
        self._command = command
        self._go_on()

    def next_event(self) -> ClientEvent | None:
        event, self._final = self._final, None
        return event

    def receive(self, chars: bytes, now_ns: int) -> None:
        self.heard += chars
        self._go_on()

    def bytes_to_send(self, now_ns: int) -> bytes:
        if self._steps and isinstance(self._steps[0], bytes):
            chars = self._steps.popleft()
            assert isinstance(chars, bytes)
            return chars
        return b""

    def next_speed_change(self) -> SpeedChange | None:
        if self._steps and isinstance(self._steps[0], int):
            speed = self._steps.popleft()
            assert isinstance(speed, int)
            return SpeedChange(speed)
        return None

    def next_timer(self) -> int | None:
        return 0 if self._timers and not self._steps else None

    def handle_timer(self, now_ns: int) -> None:
        if self._timers:
            self._timers -= 1
            self._go_on()

    def connection_lost(self, now_ns: int) -> None:
        self.lost += 1
        self._steps.clear()
        self._steps.append(300)  # where there is no link, nobody is to be told
        if self._command is not None:
            self._final = CommandFailed(self._command, Failure.LINK_LOST, 1)

    def next_work(self) -> Callable[[], None] | None:
        return None

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        raise AssertionError("no work here")


class Told:
    """A link that tells what is done with it, and has one answer to each thing sent."""

    character_ns = 0

    def __init__(self, story: Story, *answers: bytes, fails_at: int | None = None) -> None:
        self.story = story
        self._answers = deque(answers)
        self._fails_at = fails_at

    def send(self, chars: bytes) -> None:
        self.story.append(chars)

    def receive(self, timeout_ns: int | None) -> bytes:
        if self._answers:
            return self._answers.popleft()
        raise LinkLost("no more")

    def set_speed(self, speed: int) -> None:
        if speed == self._fails_at:
            raise LinkLost("the port does not take it")
        self.story.append(speed)

    def close(self) -> None:
        self.story.append("closed")


class AsyncTold:
    """The same for asyncio."""

    character_ns = 0

    def __init__(self, link: Told) -> None:
        self._link = link

    async def send(self, chars: bytes) -> None:
        self._link.send(chars)

    async def receive(self, timeout_ns: int | None) -> bytes:
        return self._link.receive(timeout_ns)

    async def set_speed(self, speed: int) -> None:
        self._link.set_speed(speed)

    async def close(self) -> None:
        self._link.close()


def run_client(
    front: str, core: Script, links: list[Told], procedure: Procedure[list[object]]
) -> tuple[list[object], list[tuple[Sender, int]]]:
    """Run a procedure on one of the fronts; what it found, and what the observer was told."""
    told: list[tuple[Sender, int]] = []

    def on_speed(sender: Sender, speed: int, now_ns: int) -> None:
        told.append((sender, speed))

    if front == "blocking":
        client = blocking.ClientDriver(core, lambda: links.pop(0), on_speed=on_speed)
        return client.run(procedure), told

    async def open_link() -> AsyncTold:
        return AsyncTold(links.pop(0))

    async def work() -> list[object]:
        return await aio.ClientDriver(core, open_link, on_speed=on_speed).run(procedure)

    return asyncio.run(asyncio.wait_for(work(), GUARD_S)), told


def one(command: Command) -> Procedure[list[object]]:
    return [(yield from perform(command))]


FRONTS = pytest.mark.parametrize("front", ["blocking", "asyncio"])


@FRONTS
def test_a_client_sends_at_the_speed_before_and_goes_on_at_the_new_one(front: str) -> None:
    story: Story = []
    core = Script([b"request", b"select", 9600], [b"command", 300])
    events, told = run_client(front, core, [Told(story, b"a", b"b")], one(Identify()))
    assert isinstance(events[0], SignedOff)
    assert story == [b"request", b"select", 9600, b"command", 300]
    assert told == [("client", 9600), ("client", 300)]
    assert core.heard == b"ab"


@FRONTS
def test_a_change_at_the_start_of_a_command_comes_before_its_characters(front: str) -> None:
    story: Story = []
    run_client(front, Script([300, b"request"]), [Told(story, b"a")], one(Identify()))
    assert story == [300, b"request"]


@FRONTS
def test_a_change_by_a_timer_comes_before_what_is_sent_then(front: str) -> None:
    story: Story = []
    core = Script([b"select"], [4800, b"command"], timers=1)
    run_client(front, core, [Told(story, b"a")], one(Identify()))
    assert story == [b"select", 4800, b"command"]


@FRONTS
def test_a_port_that_does_not_take_the_speed_is_a_lost_link(front: str) -> None:
    """And the speed that the core then goes back to is not told to the closed link."""
    story: Story = []
    core = Script([b"select", 9600, b"command"])
    events, told = run_client(front, core, [Told(story, b"a", fails_at=9600)], one(Identify()))
    assert isinstance(events[0], CommandFailed)
    assert events[0].failure is Failure.LINK_LOST
    assert story == [b"select", "closed"]
    assert told == []
    assert core.lost == 1


@FRONTS
def test_a_link_that_is_opened_again_is_told_no_speed_of_the_one_before(front: str) -> None:
    first, second = Story(), Story()

    def procedure() -> Procedure[list[object]]:
        events: list[object] = [(yield from perform(Identify()))]
        events.append((yield from reopen()))
        events.append((yield from perform(Break())))
        return events

    core = Script([b"select", 9600], [b"again"])
    events, told = run_client(front, core, [Told(first), Told(second, b"a")], procedure())
    assert isinstance(events[0], CommandFailed)
    assert events[1] is True
    assert first == [b"select", 9600, "closed"]
    assert second == [b"again"]
    assert told == [("client", 9600)]


def serve(front: str, endpoint: Script, links: list[Told]) -> list[tuple[Sender, int]]:
    """Serve one link after the other until there is none; what the observer was told."""
    told: list[tuple[Sender, int]] = []

    def on_speed(sender: Sender, speed: int, now_ns: int) -> None:
        told.append((sender, speed))

    def next_link() -> Link:
        if not links:
            raise LinkUnavailable("no more")
        return links.pop(0)

    async def next_async() -> AsyncTold:
        link = next_link()
        assert isinstance(link, Told)
        return AsyncTold(link)

    if front == "blocking":
        driver = blocking.ServerDriver(endpoint, blocking.LinkPort(next_link), on_speed=on_speed)
        with pytest.raises(LinkUnavailable, match="no more"):
            driver.serve()
        return told

    async def work() -> None:
        port = aio.LinkPort(next_async)
        with pytest.raises(LinkUnavailable, match="no more"):
            await aio.ServerDriver(endpoint, port, on_speed=on_speed).serve()

    guarded(work())
    return told


def guarded(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, GUARD_S))


@FRONTS
def test_a_server_answers_at_the_speed_before_and_goes_on_at_the_new_one(front: str) -> None:
    story: Story = []
    endpoint = Script([b"identification"], [9600, b"operand"], [b"data", 300])
    told = serve(front, endpoint, [Told(story, b"/?!\r\n", b"\x06051\r\n", b"B0")])
    assert story == [b"identification", 9600, b"operand", b"data", 300, "closed"]
    assert told == [("server", 9600), ("server", 300)]


@FRONTS
def test_a_server_whose_port_does_not_take_the_speed_opens_the_next_link(front: str) -> None:
    first, second = Story(), Story()
    endpoint = Script([b"identification"], [9600, b"operand"], [b"identification"])
    told = serve(
        front, endpoint, [Told(first, b"x", b"y", b"z", fails_at=9600), Told(second, b"x")]
    )
    assert first == [b"identification", "closed"]
    assert second == [b"identification", "closed"]
    assert told == []
    assert endpoint.lost == 2
