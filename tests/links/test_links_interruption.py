"""A blocking driver's work is ended from another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion
from vtc07.carrier.endpoint import Procedure, durably, perform, wait
from vtc07.carrier.events import Identify
from vtc07.links import blocking
from vtc07.links.blocking import Interrupted, Interruption
from vtc07.links.link import Link, LinkLost, LinkUnavailable

S = 1_000_000_000
GUARD_S = 60


def ended_from_elsewhere(
    driver: blocking.ClientDriver, procedure: Procedure[object], interrupt: Callable[[], None]
) -> list[Interrupted]:
    """Run a procedure in a thread and interrupt it once it has begun; return what it raised."""
    begun = threading.Event()
    raised: list[Interrupted] = []

    def tell() -> Procedure[None]:
        begun.set()
        yield from procedure

    def run() -> None:
        try:
            driver.run(tell())
        except Interrupted as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(GUARD_S)
    interrupt()
    thread.join(GUARD_S)
    assert not thread.is_alive()
    return raised


@pytest.fixture
def silent() -> Iterator[tuple[blocking.PairLink, blocking.PairLink]]:
    """A line at whose other end nobody answers."""
    ends = blocking.null_modem()
    yield ends
    ends[0].close()


def test_waiting_for_an_answer_ends(
    electricity: Companion, silent: tuple[blocking.PairLink, blocking.PairLink]
) -> None:
    interruption = Interruption()
    link: Link = silent[0]
    with blocking.ClientDriver(
        Client(electricity), lambda: link, interruption=interruption
    ) as driver:
        raised = ended_from_elsewhere(driver, perform(Identify()), interruption.interrupt)
    assert len(raised) == 1
    with pytest.raises(LinkLost):
        link.receive(0)  # the link was closed


def test_a_pause_of_a_procedure_ends(
    electricity: Companion, silent: tuple[blocking.PairLink, blocking.PairLink]
) -> None:
    interruption = Interruption()
    with blocking.ClientDriver(
        Client(electricity), lambda: silent[0], interruption=interruption
    ) as driver:
        raised = ended_from_elsewhere(driver, wait(10_000 * S), interruption.interrupt)
    assert len(raised) == 1


def test_a_pause_after_a_lost_link_ends(
    electricity: Companion, silent: tuple[blocking.PairLink, blocking.PairLink]
) -> None:
    interruption = Interruption()
    silent[1].close()
    with blocking.ClientDriver(
        Client(electricity), lambda: silent[0], interruption=interruption
    ) as driver:
        driver.run(perform(Identify()))  # by which the loss is noticed
        raised = ended_from_elsewhere(driver, wait(10_000 * S), interruption.interrupt)
    assert len(raised) == 1


def test_what_is_being_written_down_is_written_down(
    electricity: Companion, silent: tuple[blocking.PairLink, blocking.PairLink]
) -> None:
    interruption = Interruption()
    written: list[str] = []

    def write() -> None:
        interruption.interrupt()
        written.append("entry")

    def procedure() -> Procedure[None]:
        try:
            yield from durably(write)
            yield from wait(10_000 * S)
            written.append("never")
        finally:
            written.append("ended")

    with (
        blocking.ClientDriver(
            Client(electricity), lambda: silent[0], interruption=interruption
        ) as driver,
        pytest.raises(Interrupted),
    ):
        driver.run(procedure())
    assert written == ["entry", "ended"]


def test_nothing_begins_after_it(
    electricity: Companion, silent: tuple[blocking.PairLink, blocking.PairLink]
) -> None:
    interruption = Interruption()
    interruption.interrupt()
    opened: list[str] = []

    def open_link() -> Link:
        opened.append("opened")
        return silent[0]

    driver = blocking.ClientDriver(Client(electricity), open_link, interruption=interruption)
    with driver, pytest.raises(Interrupted):
        driver.run(perform(Identify()))
    assert not opened


def test_a_connection_attempt_is_left_and_what_it_comes_to_is_closed(
    electricity: Companion,
) -> None:
    interruption, release, closed = Interruption(), threading.Event(), threading.Event()
    calling = threading.Event()

    class Late:
        """A link that was opened after nobody waited for it any more."""

        def close(self) -> None:
            closed.set()

    def opened() -> Link:
        calling.set()
        assert release.wait(GUARD_S)
        return cast("Link", Late())

    def interrupt() -> None:
        assert calling.wait(GUARD_S)
        interruption.interrupt()

    core = Client(electricity)
    raised: list[Interrupted] = []
    with blocking.ClientDriver(core, opened, interruption=interruption) as driver:

        def run() -> None:
            try:
                driver.run(perform(Identify("")))
            except Interrupted as error:
                raised.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        interrupt()
        thread.join(GUARD_S)
        assert not thread.is_alive()
    assert len(raised) == 1
    assert not closed.is_set()  # the attempt goes on still, and nobody waits for it
    release.set()
    assert closed.wait(GUARD_S)


def test_what_a_connection_attempt_raises_is_raised(electricity: Companion) -> None:
    def opened() -> Link:
        raise LinkUnavailable("nobody is there")

    with (
        blocking.ClientDriver(Client(electricity), opened, interruption=Interruption()) as driver,
        pytest.raises(LinkUnavailable, match="nobody is there"),
    ):
        driver.run(perform(Identify("")))
