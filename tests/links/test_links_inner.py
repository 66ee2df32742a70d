"""A line inside this program: its client's end, opened by a name from another thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from vtc07.carrier.companion import Companion
from vtc07.carrier.endpoint import SpeedChange
from vtc07.links import aio, blocking
from vtc07.links.address import InnerAddress, LinkAddress
from vtc07.links.clock import VirtualClock
from vtc07.links.inner import InnerEnd
from vtc07.links.link import Link, LinkLost, LinkUnavailable
from vtc07.links.serial import character_ns
from vtc07.links.simulated import SimulatedLine

S = 1_000_000_000


@dataclass
class Far:
    """The other end of the line: keeps what it hears, and when; says what it is told to."""

    heard: list[tuple[bytes, int]] = field(default_factory=list)
    to_say: bytes = b""
    speeds: list[int] = field(default_factory=list)

    def receive(self, chars: bytes, now_ns: int) -> None:
        self.heard.append((chars, now_ns))

    def bytes_to_send(self, now_ns: int) -> bytes:
        said, self.to_say = self.to_say, b""
        return said

    def next_speed_change(self) -> SpeedChange | None:
        return SpeedChange(self.speeds.pop(0)) if self.speeds else None

    def next_timer(self) -> int | None:
        return None

    def handle_timer(self, now_ns: int) -> None: ...

    def connection_lost(self, now_ns: int) -> None: ...

    def next_work(self) -> None:
        return None

    def work_done(self, error: Exception | None, now_ns: int) -> None: ...


class Bench:
    """A line, its two ends, and how often the near one had something to tell."""

    def __init__(self, name: str = "test") -> None:
        self.told = 0
        self.clock = VirtualClock()
        self.far = Far()
        self.end = InnerEnd(name, self._changed)
        self.line = SimulatedLine(self.end, self.far, speed=2400, clock=self.clock)

    def _changed(self) -> None:
        self.told += 1

    def turn(self, seconds: float = 0) -> None:
        """Take what was said, then let time pass."""
        self.end.look()
        self.line.idle(int(seconds * S))


@contextmanager
def bench(name: str = "test") -> Iterator[Bench]:
    """Give a line that is closed at the end."""
    made = Bench(name)
    try:
        yield made
    finally:
        made.end.close()


def opened(companion: Companion, name: str = "test") -> Link:
    """Open a link by the address, as a connection does."""
    return blocking.open_link(InnerAddress(name), companion.link)


def test_characters_take_their_time_in_both_directions(electricity: Companion) -> None:
    with bench() as it:
        link = opened(electricity)
        assert it.end.in_use
        assert link.character_ns == electricity.link.character_ns
        link.send(b"ab")
        it.turn(0.0042)
        assert [chars for chars, _ in it.far.heard] == [b"a"]
        it.turn(1)
        character = electricity.link.character_ns
        assert it.far.heard == [(b"a", character), (b"b", 2 * character)]
        it.far.to_say = b"xyz"
        it.turn(0.0084)
        assert link.receive(0) == b"xy"
        it.turn(1)
        assert link.receive(0) == b"z"
        assert link.receive(0) == b""
        link.close()
        assert not it.end.in_use


def test_what_was_said_shows_when_it_is_looked_at(electricity: Companion) -> None:
    """Or it would have been said at the instant up to which the line was turned last."""
    with bench() as it:
        link = opened(electricity)
        link.send(b"a")
        it.line.idle(S)
        assert it.far.heard == []
        assert it.end.look()
        it.line.idle(S)
        assert it.far.heard == [(b"a", S + electricity.link.character_ns)]
        assert not it.end.look()
        link.close()


def test_a_thread_waits_until_something_comes(electricity: Companion) -> None:
    with bench() as it:
        link = opened(electricity)
        heard: list[bytes] = []
        thread = threading.Thread(target=lambda: heard.append(link.receive(None)))
        thread.start()
        it.far.to_say = b"x"
        it.turn(1)
        thread.join()
        assert heard == [b"x"]
        link.close()


def test_a_new_speed_stands_behind_what_was_said_before_it(electricity: Companion) -> None:
    with bench() as it:
        link = opened(electricity)
        link.send(b"a")
        link.set_speed(300)
        link.send(b"b")
        assert link.character_ns == -(-10 * S // 300)
        it.turn(0.001)
        assert it.line.speed("client") == 2400
        it.turn(0.0035)  # the first character has ended, the second has begun
        assert it.line.speed("client") == 300
        assert [chars for chars, _ in it.far.heard] == [b"a"]
        link.close()
        # Whoever opens it anew begins at his own speed, and hears nothing of before.
        it.far.speeds, it.far.to_say = [2400], b"late"
        it.turn(1)
        again = opened(electricity)
        it.turn()
        assert it.line.speed("client") == 2400
        assert again.receive(0) == b""
        again.close()


def test_what_was_said_before_a_link_closed_still_goes_out(electricity: Companion) -> None:
    with bench() as it:
        link = opened(electricity)
        link.send(b"bye")
        link.close()
        link.close()
        it.turn(1)
        assert b"".join(chars for chars, _ in it.far.heard) == b"bye"
        with pytest.raises(LinkLost, match="inner:test is closed"):
            link.send(b"more")
        with pytest.raises(LinkLost):
            link.receive(None)


def test_what_a_link_left_unread_is_nobody_s(electricity: Companion) -> None:
    with bench() as it:
        link = opened(electricity)
        it.far.to_say = b"unread"
        it.turn(1)
        link.close()
        again = opened(electricity)
        assert again.receive(0) == b""
        link.close()  # of the other one nothing is closed
        it.far.to_say = b"read"
        it.turn(1)
        assert again.receive(0) == b"read"
        again.close()


def test_one_link_at_a_time(electricity: Companion) -> None:
    with bench() as it:
        link = opened(electricity)
        with pytest.raises(LinkUnavailable, match="open already"):
            opened(electricity)
        link.close()
        opened(electricity).close()
        assert it.told == 4


def test_a_line_that_ends_takes_its_link_with_it(electricity: Companion) -> None:
    with bench() as it:
        link = opened(electricity)
        lost: list[LinkLost] = []

        def wait() -> None:
            with pytest.raises(LinkLost) as raised:
                link.receive(None)
            lost.append(raised.value)

        thread = threading.Thread(target=wait)
        thread.start()
        it.end.close()
        thread.join()
        assert len(lost) == 1
        link.close()
        with pytest.raises(LinkUnavailable, match="no such line inside"):
            it.end.open(electricity.link)


def test_there_is_a_line_only_where_a_program_has_made_it(electricity: Companion) -> None:
    with pytest.raises(LinkUnavailable, match="inner:other: this program has no such line"):
        opened(electricity, "other")
    with bench("one"), bench("two"):
        with pytest.raises(ValueError, match="inner:one already"):
            InnerEnd("one", lambda: None)
        opened(electricity, "two").close()
    with bench("one"):  # its name is free again
        opened(electricity, "one").close()


def test_a_line_that_ended_takes_no_name_from_the_one_after_it(electricity: Companion) -> None:
    with bench() as first:
        first.end.close()
        with bench() as second:
            first.end.close()
            opened(electricity).close()
            assert second.told == 2


def test_it_is_for_threads_and_for_clients_alone(electricity: Companion) -> None:
    address: LinkAddress = InnerAddress("test")
    assert character_ns(address, electricity.link) == electricity.link.character_ns
    with bench():
        with pytest.raises(LinkUnavailable, match="its own meter"):
            blocking.open_port(address, electricity.link)
        with pytest.raises(LinkUnavailable, match="its own meter"):
            asyncio.run(aio.open_port(address, electricity.link))
        with pytest.raises(LinkUnavailable, match="threads alone"):
            asyncio.run(aio.open_link(address, electricity.link))
