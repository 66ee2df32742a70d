"""Routes in the browser: taken along, looked through, worked on at real meters."""

from __future__ import annotations

import asyncio
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cli_bench import Proxy, credit, done, registers, vtc07
from web_bench import COMPANION, Answer, Http, Web, free_port, meter, web

from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.route.visit import Known
from vtc07.screens.kept_routes import KeptRoutes
from vtc07.screens.meter_line import Target
from vtc07.tokens import DRN, MeterPAN, MfrCode
from vtc07.web.desk import Desk
from vtc07.web.download import made
from vtc07.web.pages import route_work
from vtc07.web.setting import Setting
from vtc07.web.station import Busy

PAN = "600727000000000009"
OTHER = "600727111111111153"
HTML = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as here:
        yield here


def csv(*rows: str) -> bytes:
    return ("meter,place,deliver,write,read,notes\n" + "\n".join(rows) + "\n").encode()


def take(web: Web, name: str, content: bytes, *, follow: bool = True) -> Answer:
    return web.http.upload("/routes", {"file": (name, content)}, follow=follow)


def taken(web: Web, name: str, content: bytes) -> str:
    """Take a route along, and return the path of its page."""
    answer = take(web, name, content, follow=False)
    assert answer.status == 303, answer.text
    return str(answer.headers["Location"])


def at_meter(web: Web, route: str, address: str) -> str:
    """Choose where the meters of a route are met; returns the place's name."""
    form = {"address": address, "companion": str(web.folder / COMPANION)}
    answer = web.http.post(f"{route}/place", form, follow=False)
    assert answer.status == 303, answer.text
    found = re.fullmatch(r"/at/([0-9]+)/route", answer.headers["Location"])
    assert found
    return found[1]


def visit(web: Web, station: str) -> str:
    """Work at the meter that is there; returns what the page of the work says then."""
    answer = web.http.post(f"/at/{station}/route", follow=False)
    assert answer.status == 303, answer.text
    web.rests(station)
    return web.http.get(f"/at/{station}/route").text


def copy_companion(web: Web, folder: Path) -> None:
    (web.folder / COMPANION).write_text((folder / COMPANION).read_text())


def files_of(web: Web) -> list[Path]:
    folder = web.folder / "state" / "vtc07" / "routes"
    return [path for path in folder.rglob("*") if path.is_file()]


# --- files ----------------------------------------------------------------------------------------


def test_a_route_is_kept_for_its_owner_under_its_content(at_work: Web) -> None:
    content = csv(f"{PAN},Flat 7,,,creditBalance,")
    route = taken(at_work, "first.csv", content)
    assert taken(at_work, "again.csv", content) == route
    (file,) = [path for path in files_of(at_work) if path.name == "first.csv"]
    assert file.read_bytes() == content
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    page = at_work.http.get(route)
    assert "Route first" in page.text
    assert "Nothing is wrong with this file." in page.text
    assert "0 of 1 meters done" in at_work.http.get("/routes").text
    question = at_work.http.post(f"{route}/remove")
    assert "stays in the journal" in question.text
    assert file.exists()
    at_work.http.post(f"{route}/remove", {"sure": "yes"})
    assert not file.exists()
    assert at_work.http.get(route).status == 404


@pytest.mark.parametrize(
    ("called", "kept"),
    [
        ("../../../../etc/cron.d/monday.csv", "monday.csv"),
        ("C:\\Users\\me\\Monday, north.csv", "Monday, north.csv"),
        ("/absolute.csv", "absolute.csv"),
        (".bashrc", "bashrc"),
        ("..", "route"),
        ("<b>x</b>.csv", "b_.csv"),
        ("Montag süd.json", "Montag süd.json"),
        ("nul.csv", "route-nul.csv"),
        ("a" * 400 + ".csv", "a" * 150 + ".csv"),
    ],
)
def test_no_name_of_a_file_does_harm(at_work: Web, called: str, kept: str) -> None:
    content = csv(f"{PAN},{called[-30:].replace(',', '')} {len(called)},,,creditBalance,")
    before = set(files_of(at_work))
    route = taken(at_work, called, content)
    (new,) = set(files_of(at_work)) - before
    assert new.name == kept
    assert new.parent.name == route.removeprefix("/routes/")
    assert kept.rpartition(".")[0] in at_work.http.get(route).text or "." not in kept


def test_everything_that_is_wrong_is_told_before_the_day_begins(at_work: Web) -> None:
    content = csv(
        f"{PAN},Flat 7,6417 8103 5773 4496 364,,creditBalance,",
        f"{OTHER},Flat 8,,,noSuchRegister,",
        f"{OTHER},Flat 9,,,creditBalance,",
    )
    text = at_work.http.get(taken(at_work, "faulty.csv", content)).text
    assert "1 stop cannot be worked on as it stands." in text
    errors, warnings = text.index("line 2"), text.index("line 3")
    assert errors < warnings
    assert "19 digits" in text
    assert "noSuchRegister" in text
    checked = done_or_wrong(at_work, "faulty.csv")
    for finding in checked["findings"]:
        assert " ".join(finding["what"].split()) in text
        assert " ".join(finding["advice"].split()) in text


def done_or_wrong(web: Web, name: str) -> dict[str, list[dict[str, str]]]:
    (file,) = [path for path in files_of(web) if path.name == name]
    found: dict[str, list[dict[str, str]]] = vtc07("route", "check", str(file), "--json").json
    return found


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (csv(f"{PAN},Flat," + "7" * 5_000_000 + ",,,"), "characters"),
        (b"PK\x03\x04" + bytes(100), "a spreadsheet program's own file"),
        (b"\x00\xff" * 500, "no text"),
        (b"<html>" + HTML.encode(), "a page of HTML"),
        (b"", "there is nothing in it"),
        (csv(f'{PAN},"Flat 7,,,creditBalance,'), "line 2"),
        (b'{"stops": [' * 2000, ""),
    ],
)
def test_what_is_no_route_is_not_kept_and_says_why(
    at_work: Web, content: bytes, words: str
) -> None:
    before = set(files_of(at_work))
    answer = take(at_work, "no.csv", content)
    assert answer.status == 422
    assert "was not kept" in answer.text
    assert words in answer.text
    assert set(files_of(at_work)) == before
    assert "<script>alert" not in answer.html


def test_a_form_without_a_file_is_refused_with_a_sentence(at_work: Web) -> None:
    assert "Choose the file" in at_work.http.upload("/routes", {"file": ("", b"")}).text
    assert at_work.http.upload("/routes", {}, {"file": "text"}).status == 422
    assert at_work.http.post("/routes", {"file": "x"}).status == 422
    many = {f"f{n}": ("a.csv", csv("x")) for n in range(3)}
    assert at_work.http.upload("/routes", many).status == 400


def test_text_of_a_route_is_text_wherever_it_is_shown(at_work: Web) -> None:
    row = (
        f'{PAN},"{HTML}",,"lowCreditThreshold=""><script>alert(3)</script>",creditBalance,"{HTML}"'
    )
    route = taken(at_work, "hostile.csv", csv(row) + "not a meter,é\n".encode("latin-1"))
    for path in (route, f"{route}?all=1&find=alert", f"{route}/findings", "/routes"):
        answer = at_work.http.get(path)
        assert answer.status == 200
        assert "<img src=x" not in answer.html
        assert "<script>alert" not in answer.html
    assert HTML in at_work.http.get(route).text
    found = at_work.http.get(f'{route}?find="><script>alert(9)</script>')
    assert "<script>alert(9)" not in found.html


def test_thousands_of_stops_come_a_page_at_a_time_and_are_found(at_work: Web) -> None:
    def pan(number: int) -> str:
        return MeterPAN.from_drn(DRN.of(MfrCode("07"), f"{number:08d}")).digits

    rows = [f"{pan(n)},Street {n},,,creditBalance," for n in range(1, 3001)]
    route = taken(at_work, "many.csv", csv(*rows))
    first = at_work.http.get(route)
    assert first.html.count('class="stop"') == 100
    assert "Street 100" in first.text
    assert "Street 101" not in first.text
    last = at_work.http.get(f"{route}?page=29")
    assert "Street 3000" in last.text
    assert 'rel="next"' not in last.html
    assert "There are no more." in at_work.http.get(f"{route}?page=30").text
    assert at_work.http.get(f"{route}?page=-1&all=x").status == 200
    by_place = at_work.http.get(f"{route}?find=street+2718")
    assert by_place.html.count('class="stop"') == 1
    assert pan(2718) in by_place.text
    by_meter = at_work.http.get(f"{route}?find={pan(2718)}")
    assert "Street 2718" in by_meter.text
    assert by_meter.html.count('class="stop"') == 1


# --- work -----------------------------------------------------------------------------------------


def test_a_route_is_worked_on_at_one_meter_after_another(at_work: Web, tmp_path: Path) -> None:
    token = credit("5.0", "--test-key")
    route = taken(
        at_work,
        "monday.csv",
        csv(
            f'{PAN},"Flat 7 {HTML}",{token},lowCreditThreshold=500,creditBalance,"{HTML}"',
            f"{OTHER},Flat 8,,,creditBalance,",
        ),
    )
    other = tmp_path / "other"
    other.mkdir()
    with meter(tmp_path) as address:
        copy_companion(at_work, tmp_path)
        station = at_meter(at_work, route, address)
        page = at_work.http.get(f"/at/{station}/route")
        assert "0 of 2 meters done" in page.text
        assert "work at the meter that is there" in page.text
        with at_work.events(station, "visit", "work") as events:
            at_work.http.post(f"/at/{station}/route", quiet=True)
            events.sees("visit", f"meter {PAN}")
            text = events.sees("visit", "3 tasks done, and with them everything at this meter")
        assert f"deliver {token[-4:]}: delivered: Accept" in text
        assert "read creditBalance: 5.000 kWh" in text
        assert token not in text
        at_work.rests(station)
        for _ in range(2):  # whoever loads the page again sees the same
            page = at_work.http.get(f"/at/{station}/route")
            assert "1 of 2 meters done" in page.text
            assert "next meter" in page.text
            assert HTML in page.text
            assert "<img src=x" not in page.html
            assert "<script>alert" not in page.html
        assert PAN in at_work.http.get(f"/at/{station}").text  # it is the one that is meant now
        assert "everything is done at this meter" in visit(at_work, station)
        read = done("read", address, "lowCreditThreshold", "--no-journal", "--json").json
        assert registers(read)["lowCreditThreshold"] == 500
    with meter(other, "--pan", OTHER) as address:
        station = at_meter(at_work, route, address)
        text = visit(at_work, station)
        assert "2 of 2 meters done" in text
        assert "There is nothing left to do on this route." in text
    page = at_work.http.get(f"{route}?all=1")
    assert page.html.count('class="badge good"') == 2


def test_what_is_refused_and_who_is_not_on_the_route_is_told(at_work: Web, tmp_path: Path) -> None:
    token = credit("6.0", "--test-key", "--ti", "02")  # of another key
    route = taken(at_work, "refused.csv", csv(f"{PAN},Flat 7,{token},,creditBalance,"))
    away = taken(at_work, "away.csv", csv(f"{OTHER},Flat 8,,,creditBalance,"))
    with meter(tmp_path) as address:
        copy_companion(at_work, tmp_path)
        text = visit(at_work, at_meter(at_work, route, address))
        assert "1 task of this meter is not done" in text
        assert "What is wrong?" in text
        assert "0 of 1 meters done, 0 open, 1 refused" in text
        text = visit(at_work, at_meter(at_work, away, address))
        told = text.partition("this meter is not on the route; it was met before on: ")[2]
        assert "refused" in told.partition(" next meter")[0]


def test_a_visit_that_is_cut_goes_on_where_it_ended(at_work: Web, tmp_path: Path) -> None:
    token = credit("7.0", "--test-key")
    route = taken(at_work, "cut.csv", csv(f"{PAN},Flat 7,{token},,creditBalance,"))
    with meter(tmp_path) as address:
        copy_companion(at_work, tmp_path)
        proxy = Proxy(address, token.encode(), lambda: None, deliver=True)
        text = visit(at_work, at_meter(at_work, route, proxy.address))
        proxy.join()
        assert "1 open" in text
        assert "Open deliveries" in text
        text = visit(at_work, at_meter(at_work, route, address))
        assert "Earlier delivery" in text
        assert "delivered: Accept" in text
        assert "1 of 1 meters done" in text
        read = done("read", address, "totalCreditAccepted", "--no-journal", "--json").json
        assert registers(read)["totalCreditAccepted"] == 7_000


def test_a_key_change_is_done_whole_and_shown_without_its_tokens(
    at_work: Web, tmp_path: Path
) -> None:
    change = done("token", "keychange", "--test-key", "--to-krn", "2", "--json").json["tokens"]
    tokens = [each["token"] for each in change]
    marked = ";".join(f"{n}/4:{token}" for n, token in enumerate(tokens, 1))
    route = taken(at_work, "keys.csv", csv(f"{PAN},Flat 7,{marked},,KRN,"))
    assert "1 key change" in at_work.http.get(route).text
    with meter(tmp_path) as address:
        copy_companion(at_work, tmp_path)
        text = visit(at_work, at_meter(at_work, route, address))
        assert "5 tasks done, and with them everything at this meter" in text
        for place, token in enumerate(tokens, 1):
            assert f"deliver {token[-4:]} {place}/4" in text
            assert token not in text
        assert registers(done("read", address, "KRN", "--no-journal", "--json").json)["KRN"] == 2


def test_while_a_token_is_on_its_way_leaving_is_asked_about_and_every_page_shows_it(
    at_work: Web, tmp_path: Path
) -> None:
    token = credit("8.0", "--test-key")
    route = taken(at_work, "left.csv", csv(f"{PAN},Flat 7,{token},,creditBalance,"))
    seen: list[Answer] = []

    def looked() -> None:
        other = at_work.client()
        seen.append(other.get(f"/at/{station}/route"))
        seen.append(other.post(f"/at/{station}/route"))
        seen.append(other.post(f"{route}/remove", {"sure": "yes"}))
        seen.append(other.post(f"{route}/round", {"round": "anew", "sure": "yes"}))
        seen.append(other.post(f"/at/{station}/leave"))
        seen.append(other.post(f"/at/{station}/leave", {"sure": "yes"}))

    with meter(tmp_path) as address:
        copy_companion(at_work, tmp_path)
        proxy = Proxy(address, token.encode(), looked, deliver=True)
        station = at_meter(at_work, route, proxy.address)
        text = visit(at_work, station)
        proxy.join()
        page, twice, removing, anew, asked, left = seen
        assert f"task 1 of 2: deliver {token[-4:]}" in page.text
        assert f"meter {PAN}" in page.text
        assert twice.status == 409
        assert removing.status == 409
        assert "is being worked at" in removing.text
        assert anew.status == 409
        assert "do not give a token of them to anybody" in asked.text
        assert left.status == 200
        assert "Left. The next visit to this meter goes on where this one ended." in text
        assert "This visit broke off." in text
        text = visit(at_work, at_meter(at_work, route, address))
        assert "1 of 1 meters done" in text
        read = done("read", address, "totalCreditAccepted", "--no-journal", "--json").json
        assert registers(read)["totalCreditAccepted"] == 8_000


def test_a_corrected_file_is_asked_about_and_a_new_round_is_confirmed(
    at_work: Web, tmp_path: Path
) -> None:
    row = f"{PAN},Flat 7,,,creditBalance,"
    first = taken(at_work, "week.csv", csv(row))
    with meter(tmp_path) as address:
        copy_companion(at_work, tmp_path)
        assert "1 of 1 meters done" in visit(at_work, at_meter(at_work, first, address))
        corrected = taken(at_work, "week.csv", csv(row, f"{OTHER},Flat 8,,,creditBalance,"))
        assert "Is this the same route, corrected?" in at_work.http.get(corrected).text
        station = at_meter(at_work, corrected, address)
        refused = at_work.http.post(f"/at/{station}/route")
        assert refused.status == 409
        assert "Say first" in refused.text
        text = at_work.http.post(f"{corrected}/round", {"round": "corrected"}).text
        assert "1 of 2 meters done" in text
        assert "Is this the same route" not in text
        question = at_work.http.post(f"{corrected}/round", {"round": "anew"})
        assert "Begin a new round?" in question.text
        assert "1 of 2 meters done" in at_work.http.get(corrected).text
        text = at_work.http.post(f"{corrected}/round", {"round": "anew", "sure": "yes"}).text
        assert "0 of 2 meters done" in text
        again = taken(at_work, "week.csv", csv(row, row))
        text = at_work.http.post(f"{again}/round", {"round": "other"}).text
        assert "0 of 2 meters done" in text
        assert "Is this the same route" not in text
        assert at_work.http.post(f"{again}/round", {"round": "x"}).status == 422


def test_a_meter_that_is_not_reached_is_visited_again_and_a_route_can_go(
    at_work: Web, tmp_path: Path
) -> None:
    route = taken(at_work, "held.csv", csv(f"{PAN},Flat 7,,,creditBalance,held"))
    with meter(tmp_path) as address:
        copy_companion(at_work, tmp_path)
        station = at_meter(at_work, route, f"tcp://127.0.0.1:{free_port()}")
        assert at_work.http.post(f"/at/{station}/route", quiet=True).status == 204
        at_work.rests(station)
        text = at_work.http.get(f"/at/{station}/route").text
        assert "This visit broke off." in text
        assert "1 of 1 meters done" in visit(at_work, at_meter(at_work, route, address))
    at_work.http.post(f"{route}/remove", {"sure": "yes"})
    answer = at_work.http.post(f"/at/{station}/route")
    assert answer.status == 404


def test_a_meter_of_mode_c_gets_the_password_of_the_place_and_no_page_shows_it(
    at_work: Web, tmp_path: Path
) -> None:
    password = "70617373"
    file = tmp_path / "password"
    file.write_text(password + "\n")
    file.chmod(0o600)
    route = taken(at_work, "c.csv", csv(f"{PAN},Shop,,lowCreditThreshold=500,,"))
    options = ("--companion", "electricity-mode-c", "--password-file", str(file))
    with meter(tmp_path, *options, companion=None) as address:
        form = {"address": address, "companion": "electricity-mode-c"}
        place = at_work.http.post(f"{route}/place", form, follow=False).headers["Location"]
        station = place.split("/")[2]
        at_work.http.post(f"{place}/password", {"password": "11111111"})
        visit(at_work, station)
        assert "refused the password" in at_work.http.get(place).text
        words = visit(at_work, station)
        assert "not allowed without the meter's password" in words
        assert "VTC07_PASSWORD" not in words  # of the command line, which nobody sees here
        at_work.http.post(f"{place}/password", {"password": password})
        text = visit(at_work, station)
        assert "1 of 1 meters done" in text
        assert password not in at_work.http.get(place).html
        assert password not in at_work.said


def test_what_a_program_left_that_ended_in_the_middle_is_removed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    kept = KeptRoutes(state / "routes")
    route, _ = kept.keep(io.BytesIO(csv("x")), "monday.csv")
    old, fresh = state / "download-old", state / "download-new"
    halves = [state / "routes" / name for name in (".old.part", ".new.part")]
    for folder in (old, fresh):
        folder.mkdir()
        (folder / "journal").write_text("tokens")
    for half in halves:
        half.write_text("tokens")
    for each in (old, halves[0]):
        os.utime(each, (0, 0))

    def make(file: Path) -> Path:
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        file.write_text("made")
        return file

    with made(state, "export", make) as file:
        assert file.read() == b"made"
    assert kept.keep(io.BytesIO(csv("x")), "again.csv") == (route, False)
    assert kept.keep(io.BytesIO(csv("y")), "other.csv")[1]
    left = sorted(path.name for path in state.rglob("*") if path.name.startswith(("d", ".")))
    assert left == [".new.part", "download-new"]


def test_two_places_are_never_at_one_meter_with_a_route(tmp_path: Path) -> None:
    async def work(journal: FileJournal) -> None:
        desk = Desk(Setting(journal, lambda: datetime.now(UTC), tmp_path))
        here, there = (
            desk.station_at(Target.typed(f"tcp://127.0.0.1:{port}", "auto"))
            for port in (4059, 4060)
        )
        try:
            with ExitStack() as first, ExitStack() as second:
                route_work._step(here, first, Known(PAN))
                with pytest.raises(Busy, match="4059"):
                    route_work._step(there, second, Known(PAN))
                route_work._step(there, second, Known(OTHER))
            with ExitStack() as again:
                route_work._step(there, again, Known(PAN))
        finally:
            await desk.close()

    with FileJournal(tmp_path / "j.journal") as journal:
        asyncio.run(work(journal))


def test_a_place_that_is_open_is_not_offered_once_more(at_work: Web) -> None:
    """However its address was written: it has options behind it here."""
    route = taken(at_work, "once.csv", csv(f"{PAN},Flat 7,,,creditBalance,once"))
    address = f"tcp://127.0.0.1:{free_port()}"
    form = {"address": f"{address} --attempts 2", "companion": "electricity"}
    assert at_work.http.post(f"{route}/place", form, follow=False).status == 303
    page = at_work.http.get(route)
    assert page.html.count(f"<bdi>{address}</bdi>") <= 1
    assert f"go on at {address}" in page.text
    assert "--attempts 2" not in page.html


def test_a_stranger_and_another_site_get_nothing(at_work: Web) -> None:
    stranger: Http = at_work.stranger()
    assert stranger.get("/routes").status == 401
    headers = {"Origin": "https://example.org"}
    answer = at_work.http.upload("/routes", {"file": ("x.csv", csv("x"))}, headers=headers)
    assert answer.status == 403
