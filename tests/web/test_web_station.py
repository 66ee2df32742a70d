"""A place at its limits: work twice at once, what ends in the middle; and the line."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest
from cable import Cable
from cli_bench import FAST, credit, done
from web_bench import COMPANION, Web, meter, text_of, web

from vtc07.carrier.events import Identity
from vtc07.cli.connection import Connection
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.texts import Said, said
from vtc07.links.blocking import Interrupted
from vtc07.screens.kept_routes import ROUTES, KeptRoutes
from vtc07.screens.meter_line import Target
from vtc07.screens.mood import Mood
from vtc07.screens.places import PLACES, remember_companion, whereabouts
from vtc07.screens.route_looks import RouteLooks
from vtc07.trace.file import read_entries
from vtc07.trace.message import TraceMessage
from vtc07.web.desk import Desk
from vtc07.web.library import Library
from vtc07.web.setting import Setting
from vtc07.web.station import Busy, Station

GUARD_S = 30
PAN = "600727111111111153"
TITLE = said("working")


@contextlib.asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    """Give a desk with a journal of its own, closed in the end."""
    with FileJournal(folder / "journal") as journal:
        here = Desk(Setting(journal=journal, wall_clock=lambda: datetime.now(UTC), state=folder))
        try:
            yield here
        finally:
            await here.close()


def run(folder: Path, work: Callable[[Desk], Awaitable[None]]) -> None:
    """Do something at a desk, in an event loop of its own."""

    async def within() -> None:
        async with asyncio.timeout(GUARD_S), desk(folder) as here:
            await work(here)

    asyncio.run(within())


def place(here: Desk, port: int = 9) -> Station:
    """Return a place; nobody is there, and nobody is called."""
    return here.station_at(Target.typed(f"tcp://127.0.0.1:{port}", "electricity"))


async def rests(station: Station) -> str:
    """Wait until nothing is under way; return what was said last."""
    with station.desk.listening() as something:
        while station.busy:
            something.clear()
            await something.wait()
    return "" if station.word is None else str(station.word.what)


# --- work -----------------------------------------------------------------------------------------


def test_work_that_is_begun_twice_at_once_is_done_once(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        station, release, times = place(here), threading.Event(), []

        def once(_: Connection) -> None:
            times.append(threading.get_ident())
            assert release.wait(GUARD_S)

        station.begin(TITLE, once, lambda _: station.say("done"))
        with pytest.raises(Busy, match="Something else is under way here: working"):
            station.begin(TITLE, once, lambda _: None)
        release.set()
        assert await rests(station) == "done"
        assert len(times) == 1
        assert times[0] != threading.get_ident()

    run(tmp_path, work)


@pytest.mark.parametrize("where", ["done", "failed", "ended"])
def test_an_error_in_what_follows_is_said_and_the_place_goes_on(
    tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work(here: Desk) -> None:
        station = place(here)

        def wrong(*_: object) -> NoReturn:
            raise KeyError("nobody meant this")

        def task(_: Connection) -> None:
            if where == "failed":
                raise ValueError("to be dealt with")

        def idle(_: None) -> None:
            pass

        follows: Callable[[None], None] = idle
        if where == "done":
            follows = wrong
        station.begin(
            TITLE,
            task,
            follows,
            failed=wrong if where == "failed" else None,
            ended=wrong if where == "ended" else None,
        )
        assert "A defect of this program ended the work (KeyError)" in await rests(station)
        assert station.word is not None
        assert station.word.mood is Mood.BAD
        station.begin(TITLE, lambda _: 7, lambda result: station.say(str(result)))
        assert await rests(station) == "7"

    run(tmp_path, work)
    assert "nobody meant this" in capsys.readouterr().err  # for whoever mends it


def test_one_piece_of_work_may_follow_from_another(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        station = place(here)

        def then(_: object) -> None:
            station.begin(TITLE, lambda _: None, lambda _: station.say("second"))

        station.begin(TITLE, lambda _: None, then)
        assert await rests(station) == "second"

    run(tmp_path, work)


def test_steps_and_warnings_are_kept_for_whoever_looks(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        station = place(here)
        seen: list[Said] = []

        def task(_: Connection) -> None:
            station.line.warnings.warning("the clock of the meter is wrong")
            for number in range(60):
                station.step(said("step {number}", number=number))
            station.in_loop(lambda: seen.extend(station.work.steps if station.work else ()))

        for shown in (("the clock of the meter is wrong",), ()):  # said once of a meter
            station.begin(TITLE, task, lambda _: None)
            await rests(station)
            await asyncio.sleep(0)
            assert station.warnings == shown
        assert str(seen[-1]) == "step 59"
        assert len(seen) == 100  # of each the last 50

    run(tmp_path, work)


def test_a_page_that_closes_in_the_middle_is_forgotten(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        station, release = place(here), threading.Event()

        async def page() -> None:
            with here.listening() as something:
                await something.wait()
                await asyncio.Event().wait()

        reading = asyncio.create_task(page())
        await asyncio.sleep(0)
        station.begin(TITLE, lambda _: release.wait(GUARD_S), lambda _: station.say("done"))
        reading.cancel()
        await asyncio.wait([reading])
        assert not here._listeners
        release.set()
        assert await rests(station) == "done"

    run(tmp_path, work)


def test_the_end_of_the_program_ends_work_and_begins_none(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        station, began, outcomes = place(here), threading.Event(), []

        def endless(connection: Connection) -> None:
            began.set()
            while True:
                assert connection._interruption is not None
                connection._interruption.check()
                began.wait(0.01)

        def again(error: Exception) -> bool:
            outcomes.append(type(error))
            station.begin(TITLE, lambda _: None, lambda _: None)
            return True

        station.begin(TITLE, endless, lambda _: None, failed=again)
        await asyncio.to_thread(began.wait)
        await here.close()
        assert outcomes == [Interrupted]
        assert not station.busy
        assert "closed" in str(station.word and station.word.what)
        with pytest.raises(Busy, match="This place is closed"):
            station.begin(TITLE, lambda _: None, lambda _: None)

    run(tmp_path, work)


def test_what_is_told_after_the_end_disturbs_nobody(tmp_path: Path) -> None:
    stations: list[Station] = []

    async def work(here: Desk) -> None:
        stations.append(place(here))

    run(tmp_path, work)
    stations[0].step(said("too late"))
    assert stations[0].work is None


# --- places ---------------------------------------------------------------------------------------


def test_one_meter_is_worked_at_from_one_place(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        first, second = place(here, 1), place(here, 2)
        holds, release = threading.Event(), threading.Event()

        def keep(_: Connection) -> None:
            with first.alone_with(PAN):
                holds.set()
                assert release.wait(GUARD_S)

        def want(_: Connection) -> None:
            with second.alone_with(PAN):
                pass

        first.begin(TITLE, keep, lambda _: None)
        await asyncio.to_thread(holds.wait)
        second.begin(TITLE, want, lambda _: second.say("had it"))
        told = await rests(second)
        assert f"Meter {PAN} is being worked at from tcp://127.0.0.1:1." in told
        release.set()
        await rests(first)
        second.begin(TITLE, want, lambda _: second.say("had it"))
        assert await rests(second) == "had it"

    run(tmp_path, work)


def test_a_meter_whose_delivery_is_closed_by_hand_is_nobody_elses(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        station = place(here)
        with here.alone_with(PAN, None):
            assert not here.meters_of(station)
            with pytest.raises(Busy), station.alone_with(PAN):
                pass
        with station.alone_with(PAN):
            assert here.meters_of(station) == {PAN}
            assert not here.meters_of(place(here, 10))

    run(tmp_path, work)


def test_nothing_is_begun_at_a_place_that_is_closed(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        station = place(here)
        await here.close_place(station)
        with pytest.raises(Busy, match="This place is closed"):
            station.begin(TITLE, lambda _: None, lambda _: None)
        assert not station.busy

    run(tmp_path, work)


def test_of_two_companions_that_describe_a_meter_none_is_taken_by_itself(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        station, identity = place(here), Identity("VTc", "3", "010000010003", (1, 0, 1, 3))
        for name in ("one", "two"):
            (tmp_path / f"{name}.toml").write_text(FAST)
        remember_companion(tmp_path / PLACES, str(tmp_path / "one.toml"))
        assert station.line._companion_of(identity) == str(tmp_path / "one.toml")
        remember_companion(tmp_path / PLACES, str(tmp_path / "two.toml"))
        assert station.line._companion_of(identity) is None

    run(tmp_path, work)


def test_a_route_is_changed_or_worked_on_and_never_both(tmp_path: Path) -> None:
    routes = Library(KeptRoutes(tmp_path / ROUTES), RouteLooks(tmp_path / "journal"))
    with routes.change("r"):
        with pytest.raises(Busy, match="being decided"):
            routes.begin("r")
        routes.begin("other")
    routes.begin("r")
    with pytest.raises(Busy, match="being worked at"), routes.change("r"):
        pass
    routes.end("r")
    with routes.change("r"):
        pass


def test_a_meter_is_free_again_after_an_error(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        station, other = place(here, 1), place(here, 2)
        with pytest.raises(ValueError, match="in the middle"), station.alone_with(PAN):
            raise ValueError("in the middle")
        with other.alone_with(PAN):
            pass

    run(tmp_path, work)


def test_a_name_of_a_place_is_given_once(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        first, second = place(here, 1), place(here, 2)
        await here.close_place(first)
        third = place(here, 3)
        assert len({first.name, second.name, third.name}) == 3
        assert list(here.stations.values()) == [second, third]
        assert place(here, 1) is not first

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("tcp://localhost:4059", "tcp://127.0.0.1:4059", True),
        ("tcp://LocalHost.:4059", "tcp://[::ffff:127.0.0.1]:4059", True),
        ("tcp://0.0.0.0:4059", "tcp://127.0.0.1:4059", True),
        ("tcp://meter.example:4059", "tcp://METER.example:4059", True),
        ("tcp://[::1]:4059", "tcp://[0:0:0:0:0:0:0:1]:4059", True),
        ("tcp://localhost:4059", "tcp://localhost:4060", False),
        ("tcp://localhost:4059", "rfc2217://localhost:4059", False),
        ("tcp://meter.example:4059", "tcp://127.0.0.1:4059", False),
        ("COM3", "com3", True),
        ("/dev/ttyUSB0", "/dev/../dev/ttyUSB0", True),
        ("/dev/ttyUSB0", "/dev/ttyUSB1", False),
        ("sim:a.meter", "sim:./a.meter", True),
    ],
)
def test_one_place_however_it_is_written(one: str, other: str, *, same: bool) -> None:
    assert (whereabouts(one) == whereabouts(other)) is same


def test_what_an_open_page_shows_is_looked_at_again_and_again(tmp_path: Path) -> None:
    async def work(here: Desk) -> None:
        found = iter(range(100))
        here.watch_for("numbers", lambda: next(found))
        here.watch_for("numbers", lambda: -1)  # of one name there is one
        with here.listening() as something:
            while (here.kept(int) or 0) < 1:
                something.clear()
                await something.wait()

    run(tmp_path, work)


# --- the line -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Web, str, str]]:
    """The application, a place, and a token that its meter took and told of since."""
    folder = tmp_path_factory.mktemp("line")
    (folder / "web").mkdir()
    token = credit("12.3", "--test-key")
    with meter(folder) as address, web(folder / "web") as running:
        here = running.connect(address, str(folder / COMPANION))
        companion = ("--companion", str(folder / COMPANION))
        done("send", address, token, *companion, "--journal", str(folder / "journal"))
        running.http.post(f"/at/{here}/registers/read", {"words": "lastToken tokenLog.1"})
        running.rests(here)
        yield running, here, token


def test_the_line_is_a_sequence_of_two_sides(delivered: tuple[Web, str, str]) -> None:
    application, here, _ = delivered
    page = application.http.get(f"/at/{here}/line")
    for words in ("hand-held unit to meter", "IDRequest", "meter to hand-held unit", "IDResponse"):
        assert words in page.text
    assert 'class="message client"' in page.html
    assert 'class="message server"' in page.html
    assert 'tabindex="0" role="region"' in page.html


def test_messages_are_told_as_they_pass(delivered: tuple[Web, str, str]) -> None:
    application, here, _ = delivered
    before = application.http.get(f"/at/{here}/line").html
    after = int(before.partition('data-after="')[2].partition('"')[0])
    with application.events(here, streams=("line",), after=after) as events:
        application.http.post(f"/at/{here}/registers/read", {"words": "loadSwitch"})
        events.until(lambda: "BreakCommand" in "".join(events.lines["line"]))
    told = text_of("".join(events.lines["line"]))
    assert "ReadCommand 0027 loadSwitch" in told
    assert "loadSwitch 1 (closed)" in told
    assert "tokenLog" not in told  # what was shown before is not told again


def test_the_line_can_be_kept_as_a_trace(delivered: tuple[Web, str, str]) -> None:
    application, here, _ = delivered
    answer = application.http.get(f"/at/{here}/line/trace")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="vtc07-line-')
    header, entries = read_entries(answer.html.splitlines())
    assert header.companion
    assert header.address.startswith("tcp://")
    assert datetime.fromisoformat(header.started).utcoffset() is not None
    times = [entry.time_ns for entry in entries]
    assert times == sorted(times)  # of several sessions, in one time
    assert all(e.began_ns <= e.time_ns for e in entries if isinstance(e, TraceMessage))
    messages = [entry.chars for entry in entries if isinstance(entry, TraceMessage)]
    assert messages[0] == b"/?!\r\n"
    assert messages.count(b"\x01B0\x03q") >= 2  # all sessions took leave


def test_a_token_on_the_line_is_shown_only_where_that_is_asked_for(
    delivered: tuple[Web, str, str],
) -> None:
    application, here, token = delivered
    in_groups = " ".join(token[at : at + 4] for at in range(0, 20, 4))
    forms = (token, in_groups, token.encode().hex())
    page, trace = f"/at/{here}/line", f"/at/{here}/line/trace"
    for path in (page, trace):
        masked = application.http.get(path).html
        assert not any(form in masked for form in forms)
        assert 20 * "#" in masked
    assert f'<span class="is-value">{20 * "#"}</span>' in application.http.get(page).html
    assert in_groups in application.http.get(f"{page}?tokens=shown").html
    assert token in application.http.get(f"{trace}?tokens=shown").html
    with application.events(here, streams=("line",)) as events:
        events.until(lambda: "tokenLog" in "".join(events.lines["line"]))
    assert not any(form in "".join(events.lines["line"]) for form in forms)


# --- the whole of it ------------------------------------------------------------------------------


def test_the_program_ends_while_a_meter_keeps_silent(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    with (
        meter(tmp_path) as address,
        Cable(address, b"R1\x020003", hangs=True) as cable,
        web(tmp_path / "web") as application,
    ):
        here = application.connect(cable.address, str(tmp_path / COMPANION), wait=False)
        with application.events(here, "meter") as events:
            events.sees("meter", "awaited")
    assert application.process.returncode in (0, 130)  # in good order, and it said nothing odd


def test_without_a_script_pages_look_again_as_long_as_work_is_under_way(tmp_path: Path) -> None:
    again = b'<noscript><meta http-equiv="refresh" content="2"></noscript>'
    with web(tmp_path) as here, socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        address = f"tcp://127.0.0.1:{port}"
        here.http.post("/connect", {"address": address, "companion": "electricity"})
        pages = ("", "/deliver", "/registers", "/diagnose", "/open", "/route", "/line")
        shown = {page: here.http.get(f"/at/1{page}").body for page in pages}
        here.http.post("/at/1/leave", {})
        here.rests("1")
        left = {page: here.http.get(f"/at/1{page}").body for page in pages}
    assert [page for page in pages if again not in shown[page]] == []
    assert [page for page in pages if again in left[page]] == []
