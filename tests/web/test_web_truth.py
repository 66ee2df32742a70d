"""What is told stays true where things come together: leaving, swapped meters, a broken line."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from bench_meters import BY_NAME, S, watched
from cable import GUARD_S, Cable
from cli_bench import credit
from deliver_bench import Slips, deliveries
from test_web_station import TITLE, place, rests, run
from web_bench import COMPANION, Web, free_port, meter, web

from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.events import Identity
from vtc07.carrier.status import TokenStatus
from vtc07.cli.connection import Connection
from vtc07.hhu.delivery import EarlierDelivery
from vtc07.hhu.diagnosis.examination import Examination
from vtc07.hhu.diagnosis.facts import Receipt
from vtc07.hhu.diagnosis.run import Diagnosis
from vtc07.hhu.journal.deliveries import ReadableJournal
from vtc07.hhu.outcome import Delivered, Meaning, Unresolved, UnresolvedReason
from vtc07.hhu.resuming import OpenWork, ResumeReport, open_work
from vtc07.hhu.session import Meter
from vtc07.links.address import InnerAddress
from vtc07.links.blocking import open_link
from vtc07.links.clock import VirtualClock
from vtc07.screens.delivering import Told, _looked_at, deliver
from vtc07.screens.meter_line import Target
from vtc07.screens.overview import Overview
from vtc07.web.bench.bench import BenchMeter
from vtc07.web.bench.facts import BenchRefused
from vtc07.web.desk import Desk
from vtc07.web.pages import diagnose, route_work
from vtc07.web.pages import open as open_pages
from vtc07.web.pages.bench_typing import Typist
from vtc07.web.pages.connect import begin_looking
from vtc07.web.pages.deliver import is_met
from vtc07.web.sending import Draft, Sending

PAN = "600727000000000009"
OTHER = "600727111111111153"


# --- leaving --------------------------------------------------------------------------------------


def test_work_can_be_left_at_the_very_moment_it_is_begun(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        station = place(here, silent.getsockname()[1])
        station.begin(TITLE, lambda c: c.greet(), lambda _: None)
        station.leave()
        assert "Left: the meter is not waited for any more." in await rests(station)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        run(tmp_path, work)


@pytest.mark.parametrize("looks", [False, True])
def test_what_was_done_is_told_though_somebody_left_at_its_end(
    tmp_path: Path, *, looks: bool
) -> None:
    """Also where the meter was to be looked at once more, as after a delivery."""

    async def work(here: Desk) -> None:
        with meter(tmp_path) as address:
            station = here.station_at(Target.typed(address, str(tmp_path / COMPANION)))

            def task(connection: Connection) -> str:
                pan = connection.greet().meter_pan
                asyncio.run_coroutine_threadsafe(left(), loop).result(GUARD_S)
                if looks:
                    assert _looked_at(connection, Meaning.DONE) is None
                return str(pan)

            async def left() -> None:
                station.leave()

            loop = asyncio.get_running_loop()
            station.begin(TITLE, task, station.say)
            assert await rests(station) == PAN

    run(tmp_path, work)


# --- at the meter that is meant -------------------------------------------------------------------


def test_no_meter_is_taken_for_one_that_does_not_tell_its_number(tmp_path: Path) -> None:
    """Nobody can compare the two, and a token goes to none that was not looked at."""
    digits = credit("5.0", "--test-key")

    async def work(here: Desk) -> None:
        with meter(tmp_path) as address:
            companion = str(tmp_path / COMPANION)
            station = here.station_at(Target.typed(address, companion))
            nobody = Overview(load_companion(companion), None, ())
            station.overview = nobody  # as far as it has come: it was not read to the end
            assert not is_met(station)
            station.met(nobody)
            assert is_met(station)
            journal, now = here.setting.journal, here.setting.wall_clock

            def send(connection: Connection) -> object:
                return deliver(
                    connection,
                    target=station.target,
                    journal=journal,
                    tokens=(digits,),
                    wall_clock=now,
                )

            station.begin(TITLE, send, lambda _: station.say("delivered"))
            said = await rests(station)
            assert f"meter {PAN} is connected" in said
            assert "a meter that refuses to tell its MeterPAN is meant" in said
            assert not journal.deliveries()
            begin_looking(station, station.target)  # whichever is there is met, and meant
            await rests(station)
            assert station.target.meter_pan == PAN
            assert is_met(station)

    run(tmp_path, work)


@contextmanager
def on_its_way(tmp_path: Path) -> Iterator[tuple[Web, int, str]]:
    """A route's token on its way to another meter than its place has met.

    Gives the application, the delivery's number and the place's name.
    """
    digits, listen = credit("5.0", "--test-key"), f"tcp://127.0.0.1:{free_port()}"
    companion, folder = str(tmp_path / COMPANION), tmp_path / "web"
    folder.mkdir()
    with (
        Cable(listen, digits.encode(), whole=True, hangs=True) as cable,
        web(folder) as here,
    ):
        with meter(tmp_path, "--pan", OTHER, name="first", listen=listen):
            here.connect(cable.address, companion)
        with meter(tmp_path, listen=listen):
            content = f"meter,place,deliver,write,read,notes\n{PAN},Flat 7,{digits},,,\n"
            answer = here.http.upload(
                "/routes", {"file": ("r.csv", content.encode())}, follow=False
            )
            route = answer.headers["Location"]
            form = {"address": cable.address, "companion": companion}
            at = here.http.post(f"{route}/place", form, follow=False).headers["Location"]
            here.http.post(at)
            assert cable.failed.wait(GUARD_S)
            number = next(each.number for each in deliveries(here) if each.token == digits)
            yield here, number, at.split("/")[2]


def test_what_another_meter_tells_of_a_token_is_no_result_here(tmp_path: Path) -> None:
    digits, lost = credit("5.0", "--test-key"), Unresolved(UnresolvedReason.NO_LINK)
    drafted = Draft().taking(digits, PAN)
    assert drafted is not None

    async def work(here: Desk) -> None:
        station = place(here)
        sending = Sending.of(drafted, "shown", whole=False, pan=PAN, credit=None)
        station.keep(sending.ended(Told((lost,), Meaning.UNRESOLVED, (), (), frozenset(), None)))
        journal = here.setting.journal
        opened = journal.open_delivery(OTHER, digits, None, here.setting.wall_clock())
        came = EarlierDelivery(opened, Delivered(TokenStatus.ACCEPT))
        open_pages._tell(station, ResumeReport(OTHER, deliveries=(came,)))
        kept = station.kept(Sending)
        assert kept is not None
        assert kept.is_open
        open_pages._tell(station, ResumeReport(PAN, deliveries=(came,)))
        kept = station.kept(Sending)
        assert kept is not None
        assert not kept.is_open

    run(tmp_path, work)


def test_what_a_route_leaves_is_of_its_meter_and_its_password_stays_with_the_route(
    tmp_path: Path,
) -> None:
    async def work(here: Desk) -> None:
        station = place(here)
        station.met(Overview(load_companion("electricity"), OTHER, ()))
        route_work._mean(station, replace(station.target, password="secret"), PAN)
        assert station.target.meter_pan == PAN
        assert station.target.password is None
        assert station.overview is None  # what is shown of a meter was read of this one
        assert not is_met(station)

    run(tmp_path, work)


def test_what_was_found_out_is_not_shown_beside_another_receipt(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        station = place(here, silent.getsockname()[1])
        meter_there = Meter(Identity("VTc", "3", "", ()), (), PAN, ())
        examined = Examination(load_companion("electricity"), meter_there, {})
        station.keep(diagnose.Found(Diagnosis(examined, Receipt(), (), ()), PAN))
        diagnose.begin(station, {}, Receipt())
        assert station.kept(diagnose.Found) is None
        station.leave()
        await rests(station)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        run(tmp_path, work)


def test_no_delivery_is_closed_by_hand_while_a_route_is_at_its_meter(tmp_path: Path) -> None:
    with on_its_way(tmp_path) as (here, number, station):
        refused = here.http.post(f"/open/{number}/close", {"note": "burnt"})
        assert f"Meter {PAN} is being worked at from" in refused.text
        assert refused.status == 409
        (delivery,) = [each for each in deliveries(here) if each.number == number]
        assert delivery.ended is None
        here.http.post(f"/at/{station}/leave", {"sure": "yes"})
        here.rests(station)
        closed = here.http.post(f"/open/{number}/close", {"note": "burnt"})
        assert f"Delivery {number} is closed" in closed.text


def test_the_end_of_the_program_tells_what_a_route_left_open(tmp_path: Path) -> None:
    def ends() -> None:
        with on_its_way(tmp_path) as (here, _, _):
            here.process.send_signal(signal.SIGINT)
            here.process.wait(GUARD_S)

    # With exit code 4, where every other test wants an end without anything left open.
    with pytest.raises(AssertionError, match=r"4: .*delivery 1 stands open"):
        ends()


def test_no_other_route_is_worked_on_than_the_page_shows(tmp_path: Path) -> None:
    """Two pages of one place; at the other one another route was chosen since."""
    folder, companion = tmp_path / "web", str(tmp_path / COMPANION)
    folder.mkdir()
    with web(folder) as here, meter(tmp_path) as address:
        form = {"address": address, "companion": companion}
        shown = []
        for name in ("first", "second"):
            rows = f"meter,place,deliver,write,read,notes\n{PAN},{name},,,creditBalance,\n"
            route = {"file": (f"{name}.csv", rows.encode())}
            taken = here.http.upload("/routes", route, follow=False).headers["Location"]
            page = here.http.post(f"{taken}/place", form)
            found = re.search(r'name="route" value="([^"]+)" form="work-form"', page.html)
            assert found is not None
            shown.append(found[1])
        stale = here.http.post(page.path, {"route": shown[0]})
        assert (stale.status, "Which route is worked on here?" in stale.text) == (409, True)
        here.http.post(page.path, {"route": shown[1]})
        here.rests(page.path.split("/")[2])
        routes = here.http.get("/routes").text
        assert routes.index("1 of 1 meters done") < routes.index("first")
        assert "0 of 1 meters done" in routes


def test_why_a_token_was_refused_is_asked_of_its_own_meter_alone(tmp_path: Path) -> None:
    listen = f"tcp://127.0.0.1:{free_port()}"
    folder, companion = tmp_path / "web", str(tmp_path / COMPANION)
    folder.mkdir()
    with web(folder) as here:
        with meter(tmp_path, listen=listen) as address:
            slips = Slips(here, here.connect(address, companion))
            assert "refused: CRCError" in slips.deliver(credit("5.0", "--test-key", "--ti", "07"))
            found = re.search(r'name="draft" value="([^"]+)"', slips.page().html)
            assert found is not None
        with meter(tmp_path, "--pan", OTHER, name="next", listen=listen) as address:
            here.connect(address, companion)
            why = here.http.post(f"/at/{slips.station}/diagnose/refused", {"draft": found[1]})
            assert "Another meter is meant here now" in why.text
            assert why.status == 409


def test_a_password_goes_to_no_other_meter_than_the_page_shows(tmp_path: Path) -> None:
    folder = tmp_path / "web"
    folder.mkdir()
    with web(folder) as here, meter(tmp_path) as address:
        station = here.connect(address, str(tmp_path / COMPANION))
        path, form = f"/at/{station}/registers", {"password": "OPENSESAME"}
        answer = here.http.post(f"{path}/values", {**form, "meter": OTHER}, quiet=True)
        assert answer.status == 409
        assert "Another meter is meant here by now" in answer.json["said"]
        assert "forget the password" not in here.http.get(path).text
        here.http.post(f"{path}/values", {**form, "meter": PAN}, quiet=True)
        here.rests(station)
        assert "forget the password" in here.http.get(path).text


# --- a line that breaks ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (b"(00000007)\x03b\x01R1\x020030()", "is written."),
        (b"R1\x020030(03)", "is written and read back."),
    ],
)
def test_a_value_that_was_written_is_said_to_be_though_the_line_breaks_then(
    tmp_path: Path, at: bytes, told: str
) -> None:
    folder, companion = tmp_path / "web", str(tmp_path / COMPANION)
    folder.mkdir()
    with (
        meter(tmp_path) as address,
        Cable(address, at) as cable,
        web(folder) as here,
    ):
        station = here.connect(cable.address, companion)
        path = f"/at/{station}/registers"
        here.http.post(f"{path}/write", {"meter": PAN, "address": "0030", "value": "7"})
        assert f"lowCreditThreshold {told}" in here.rests(station)
        assert cable.failed.is_set()
        change = here.http.get(f"{path}/change?register=0030")
        assert "0.007 kWh" in change.text


# --- the journal ----------------------------------------------------------------------------------


def test_a_long_journal_is_not_looked_through_while_every_page_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def look(journal: ReadableJournal) -> OpenWork:
        looked.append(threading.get_ident())
        return open_work(journal)

    async def work(here: Desk) -> None:
        with meter(tmp_path) as address:
            target = Target.typed(address, str(tmp_path / COMPANION))
            station = here.station_at(target)
            open_pages._begin(station, target)
            assert "Nothing is open at this meter." in await rests(station)
        assert here.kept(open_pages.OpenNow) == open_pages.OpenNow(OpenWork())
        assert looked
        assert threading.get_ident() not in looked

    monkeypatch.setattr(open_pages, "open_work", look)
    run(tmp_path, work)


# --- the bench ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_whoever_asked_a_thread_that_fails_just_then_is_told() -> None:
    with watched(BY_NAME["gas"]) as (it,), ThreadPoolExecutor(3) as others:
        bench, begun, go_on = it.meter, threading.Event(), threading.Event()

        def waits() -> None:
            begun.set()
            go_on.wait(GUARD_S)

        def fails() -> None:
            raise RuntimeError("unforeseen")

        def breaks() -> None:
            bench._works.catch_up = fails  # type: ignore[method-assign]

        done = [others.submit(bench._do, waits)]
        assert begun.wait(GUARD_S)
        for count, action in enumerate((breaks, bench._works.tamper), 1):  # both in one turn
            done.append(others.submit(bench._do, action))
            with bench._guard:
                assert bench._guard.wait_for(lambda n=count: len(bench._actions) == n, GUARD_S)  # type: ignore[misc]
        go_on.set()
        done[0].result(GUARD_S)
        done[1].result(GUARD_S)
        with pytest.raises(BenchRefused, match="The bench is closed"):
            done[2].result(GUARD_S)


def test_a_line_that_is_opened_is_shown_at_once() -> None:
    """Here no time passes, after which what changes by itself would be told."""
    told = threading.Event()
    bench = BenchMeter(BY_NAME["gas"], told.set, clock=VirtualClock(S))
    try:
        bench.set_load(1, 20)
        told.clear()
        link = open_link(InnerAddress("gas"), load_companion("gas").link)
        assert told.wait(GUARD_S)
        assert bench.panel().line_in_use
        told.clear()
        link.close()
        assert told.wait(GUARD_S)
        assert not bench.panel().line_in_use
    finally:
        bench.close()


def test_nobody_types_on_at_a_place_that_is_closed(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        with watched(BY_NAME["electricity"]) as (it,):
            station = here.station_at(Target.typed("inner:electricity", "electricity"))
            typist = Typist(it.meter, station)
            (token,) = it.meter.sale.issue("credit", {}).tokens
            with here.listening() as something:
                typist.type([token])
                while not it.meter.panel().typed:
                    something.clear()
                    await something.wait()
            await here.close_place(station)
            assert typist._task is not None
            await typist._task
            assert it.meter.panel().typed
            assert typist.pressed[1] != "enter"

    run(tmp_path, work)
