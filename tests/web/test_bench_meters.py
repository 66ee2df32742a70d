"""Meters of the bench and the unit at them: real threads, real time, the real unit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bench_meters import BY_NAME, at_first, quick, statuses, unit, watched

from vtc07.carrier.status import TokenStatus
from vtc07.cli.connection import Connection
from vtc07.hhu.outcome import Delivered, Meaning, Unresolved
from vtc07.hhu.progress import EntryWritten, Reconnecting
from vtc07.hhu.resuming import resume
from vtc07.hhu.texts import said
from vtc07.hhu.writing import write
from vtc07.links.link import LinkUnavailable
from vtc07.web.bench.bench import Bench, BenchMeter, BenchRefused

ACCEPT = TokenStatus.ACCEPT


def test_a_whole_delivery(tmp_path: Path) -> None:
    with watched(quick(tmp_path)) as (it,), unit(it.meter, tmp_path) as hhu:
        it.meter.set_load(1, 2_000)
        it.meter.set_time(3600)
        assert it.until(lambda panel: panel.pace == 3600).line_in_use is False
        paces: list[tuple[int, bool]] = []
        told = hhu.deliver(
            *it.buy("credit", amount="12.5"),
            on_progress=at_first(
                EntryWritten,
                lambda: paces.append((it.meter.panel().pace, it.meter.panel().line_in_use)),
            ),
        )
        assert told.meaning is Meaning.DONE
        assert told.overview is not None
        assert told.overview.text("creditBalance") == "12.500 kWh"
        assert paces == [(1, True)]
        panel = it.until(lambda panel: panel.pace == 3600)
        assert (panel.line_in_use, panel.session) == (False, False)
        assert panel.credit is not None
        assert panel.credit <= 12_500
        assert str(panel.result) == "Accept"
        assert panel.display == ("Accept", "+12.50 kWh")
        characters = it.meter.characters(0)
        assert [c.number for c in characters] == list(range(1, len(characters) + 1))
        assert all(c.arrived == c.sent and c.speed == 115_200 for c in characters)
        said_by = {
            c.sender: bytes(d.sent for d in characters if d.sender == c.sender) for c in characters
        }
        assert it.meter.meter_pan.encode() in said_by["server"]
        assert b"\x01B0\x03" in said_by["client"]
        assert it.meter.characters(characters[-3].number) == characters[-2:]


def test_a_cable_that_is_pulled_out_in_mid_delivery_and_what_becomes_of_it(tmp_path: Path) -> None:
    with watched(quick(tmp_path)) as (it,), unit(it.meter, tmp_path) as hhu:
        token = it.buy("credit", amount="20")
        told = hhu.deliver(
            *token, on_progress=at_first(EntryWritten, lambda: it.meter.set_cable(False))
        )
        assert told.meaning is Meaning.UNRESOLVED
        assert isinstance(told.outcomes[0], Unresolved)
        lost = [c for c in it.meter.characters(0) if c.lost]
        assert lost
        assert not it.meter.panel().plugged
        it.meter.set_cable(True)
        report = hhu.do(
            lambda connection: connection.run(
                resume(connection.session, hhu.journal, wall_clock=lambda: hhu.at)
            ),
            lambda _: None,
        )
        (resumed,) = report.deliveries
        assert isinstance(resumed.outcome, Delivered)
        assert it.left().credit == 20_000
        # Another time it is not entered again.
        assert statuses(hhu.deliver(*token)) == [ACCEPT]
        panel = it.left()
        assert panel.credit == 20_000
        assert [str(event.said) for event in panel.events].count(
            "token from the virtual carrier: Accept"
        ) == 1


def test_a_cable_that_is_put_back_while_the_unit_still_tries(tmp_path: Path) -> None:
    with watched(quick(tmp_path)) as (it,), unit(it.meter, tmp_path) as hhu:
        tried: list[bool] = []

        def happens(progress: object) -> None:
            if isinstance(progress, EntryWritten) and not tried:
                it.meter.set_cable(False)
            if isinstance(progress, Reconnecting):
                tried.append(True)
                it.meter.set_cable(True)

        told = hhu.deliver(*it.buy("credit", amount="20"), on_progress=happens)
        assert told.meaning is Meaning.DONE
        assert tried
        assert it.left().credit == 20_000


def test_supply_that_is_pulled_out_while_a_token_is_executed(tmp_path: Path) -> None:
    """The token is lost with the power; the unit finds that out and enters it again."""
    kind = quick(tmp_path, execution_ms=400)
    with watched(kind) as (it,), unit(it.meter, tmp_path) as hhu:
        dark = []

        def pull() -> None:
            it.until(lambda panel: panel.executing)
            it.meter.set_supply(False)
            dark.append(it.meter.panel())
            it.meter.set_supply(True)

        told = hhu.deliver(*it.buy("credit", amount="30"), on_progress=at_first(EntryWritten, pull))
        assert told.meaning is Meaning.DONE
        assert statuses(told) == [ACCEPT]
        panel = it.left()
        assert panel.credit == 30_000
        events = [str(event.said) for event in panel.events]
        assert events == [
            "power is lost",
            "power is back",
            "token from the virtual carrier: Accept",
            "the load switch is closed",
        ]
        assert (dark[0].powered, dark[0].display, dark[0].credit) == (False, (), None)


def test_keypad_and_unit_race_for_one_token(tmp_path: Path) -> None:
    """It is credited once, whichever is first, and both hear what is true."""
    kind = quick(tmp_path, execution_ms=150)
    with watched(kind) as (it,), unit(it.meter, tmp_path) as hhu:
        (token,) = it.buy("credit", amount="40")
        typed = []

        def type_it() -> None:
            it.type(token)
            typed.append(it.meter.panel())

        told = hhu.deliver(token, on_progress=at_first(EntryWritten, type_it))
        # The unit was first: the keypad finds the meter at it.
        assert str(typed[0].result) == "a token is being executed"
        assert statuses(told) == [ACCEPT]
        # The keypad is first: the unit finds it used, and credit that is there once.
        (token,) = it.buy("credit", amount="2")
        it.type(token)
        it.left()
        assert statuses(hhu.deliver(token)) == [TokenStatus.USED_ERROR]
        assert it.left().credit == 42_000


def test_keypad_and_unit_at_the_same_time_each_with_a_token(tmp_path: Path) -> None:
    kind = quick(tmp_path, execution_ms=20)
    with watched(kind) as (it,), unit(it.meter, tmp_path) as hhu, ThreadPoolExecutor(1) as other:
        theirs = [it.buy("credit", amount="1")[0] for _ in range(6)]
        ours = [it.buy("credit", amount="1000")[0] for _ in range(3)]

        def type_all() -> None:
            for token in theirs:
                it.type(token)
                # Until it is known what became of it; where the unit's is executed, again.
                while str(it.meter.panel().result) == "a token is being executed":
                    it.until(lambda panel: not panel.executing)
                    it.type(token)
                it.until(lambda panel: not panel.executing)

        typing = other.submit(type_all)
        told = hhu.deliver(*ours)
        typing.result()
        panel = it.left()
        delivered = [outcome for outcome in told.outcomes if isinstance(outcome, Delivered)]
        assert panel.credit == 6_000 + 1_000_000 * len(delivered)
        assert delivered


def test_a_key_change_of_four_tokens_and_credit_under_the_new_key(tmp_path: Path) -> None:
    with watched(quick(tmp_path)) as (it,), unit(it.meter, tmp_path) as hhu:
        change = it.meter.sale.issue("key-change", {})
        told = hhu.deliver(*change.tokens, as_set=True)
        assert told.meaning is Meaning.DONE
        assert [status.value for status in statuses(told) if status] == list(change.results)
        assert it.left().key == "SGC 999000 TI 01 KRN 2 KEN 255"
        assert statuses(hhu.deliver(*it.buy("old-key", amount="1"))) == [TokenStatus.CRC_ERROR]
        assert statuses(hhu.deliver(*it.buy("credit", amount="3"))) == [ACCEPT]
        assert it.left().credit == 3_000


def test_mode_c_with_its_password(tmp_path: Path) -> None:
    """At its true speeds: sign-on at 300 Bd, the rest at 9600."""
    with watched(BY_NAME["electricity-mode-c"]) as (it,), unit(it.meter, tmp_path) as hhu:

        def work(connection: Connection) -> tuple[object, int]:
            connection.greet()
            register = connection.companion.table.named("lowCreditThreshold")
            (result,) = connection.run(write(connection.session, [(register, 5_000)], verify=True))
            return result.read_back, it.meter.panel().speed

        assert hhu.do(work, lambda _: None) == (5_000, 9_600)
        assert it.until(lambda panel: not panel.session).speed == 300
        speeds = {(c.sender, c.speed) for c in it.meter.characters(0)}
        assert speeds == {(end, speed) for end in ("client", "server") for speed in (300, 9_600)}
        assert it.meter.password == "training"


def test_two_meters_at_once(tmp_path: Path) -> None:
    kinds = quick(tmp_path, "one"), quick(tmp_path, "two")
    with (
        watched(*kinds) as (one, two),
        unit(one.meter, tmp_path) as at_one,
        unit(two.meter, tmp_path) as at_two,
        ThreadPoolExecutor(2) as both,
    ):
        first, second = one.buy("credit", amount="1"), two.buy("credit", amount="2")
        together = threading.Barrier(2)

        def meet() -> None:
            together.wait(60)

        told = [
            both.submit(at_one.deliver, *first, on_progress=at_first(EntryWritten, meet)),
            both.submit(at_two.deliver, *second, on_progress=at_first(EntryWritten, meet)),
        ]
        assert [statuses(each.result()) for each in told] == [[ACCEPT], [ACCEPT]]
        assert (one.left().credit, two.left().credit) == (1_000, 2_000)
        assert one.meter.meter_pan != two.meter.meter_pan
        # A token of one is noise to the other.
        assert statuses(at_two.deliver(*one.buy("credit", amount="1"))) == [TokenStatus.CRC_ERROR]


def test_the_line_is_one_unit_s(tmp_path: Path) -> None:
    with watched(quick(tmp_path)) as (it,), unit(it.meter, tmp_path) as hhu:

        def second(connection: Connection) -> None:
            connection.greet()
            with pytest.raises(LinkUnavailable, match="open already"):
                hhu.do(lambda other: other.greet(), lambda _: None)

        hhu.do(second, lambda _: None)


def test_it_ends_in_mid_delivery(tmp_path: Path) -> None:
    """Threads end, a unit in mid-work hears that the line is gone, and nothing can be done."""
    with watched(quick(tmp_path, execution_ms=400)) as (it,), unit(it.meter, tmp_path) as hhu:
        token = it.buy("credit", amount="1")
        told = hhu.deliver(*token, on_progress=at_first(EntryWritten, it.meter.close))
        assert told.meaning is Meaning.UNRESOLVED
        assert not [each for each in threading.enumerate() if each.name.startswith("bench-")]
        it.meter.close()
        with pytest.raises(BenchRefused, match="The bench is closed"):
            it.meter.press("1")
        assert it.meter.panel().powered
        with pytest.raises(LinkUnavailable, match="no such line"):
            hhu.do(lambda connection: connection.greet(), lambda _: None)


def test_whatever_goes_wrong_nobody_waits_for_ever() -> None:
    """An action that fails unforeseen is for whoever asked; the thread goes on."""
    with watched(BY_NAME["water"]) as (it,):

        def broken() -> None:
            raise RuntimeError("unforeseen")

        with pytest.raises(RuntimeError, match="unforeseen"):
            it.meter._do(broken)
        with pytest.raises(BenchRefused) as refused:
            it.meter.set_load(2, 1)
        assert refused.value.said == said("The meter has no phase L{number}.", number=2)
        it.meter.set_load(1, 300)
        assert it.meter.panel().loads == (300,)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_whoever_waits_for_a_thread_that_has_failed_is_told() -> None:
    with watched(BY_NAME["gas"]) as (it,), ThreadPoolExecutor(2) as others:
        meter, begun, go_on = it.meter, threading.Event(), threading.Event()

        def fails() -> None:
            raise RuntimeError("unforeseen")

        def breaks() -> None:
            begun.set()
            go_on.wait(60)
            meter._works.turn = fails  # type: ignore[assignment,method-assign]

        first = others.submit(meter._do, breaks)
        assert begun.wait(60)
        second = others.submit(meter.press, "1")
        with meter._guard:
            assert meter._guard.wait_for(lambda: meter._actions, 60)
        go_on.set()
        first.result()
        with pytest.raises(BenchRefused, match="The bench is closed"):
            second.result()
        with pytest.raises(BenchRefused, match="The bench is closed"):
            meter.press("2")


def test_a_bench_makes_its_meters_when_they_are_asked_for() -> None:
    changes: list[bool] = []
    with Bench(lambda: changes.append(True)) as bench:
        assert bench.meters == ()
        water = bench.meter("water")
        assert isinstance(water, BenchMeter)
        assert water is bench.meter("water")
        assert (water.address, water.password) == ("inner:water", None)
        with pytest.raises(KeyError):
            bench.meter("steam")
        water.sale.issue("credit", {})
        assert changes
    bench.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("bench-")]
