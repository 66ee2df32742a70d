"""What is open, at pages: asked for at its meter, with a place and without, or closed by hand."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cable import GUARD_S, Cable
from cli_bench import credit
from deliver_bench import Slips, credit_at, deliveries
from web_bench import COMPANION, Chromium, Web, meter, web

from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.file import FileJournal
from vtc07.trace.values import grouped

PAN = "600727000000000009"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """An application whose journal has had an open write, of a program before."""
    folder = tmp_path_factory.mktemp("open")
    state = folder / "state" / "vtc07"
    state.mkdir(parents=True, mode=0o700)
    with FileJournal(state / "deliveries.journal") as journal:
        members = {"register": "installationReference", "value": "<b>Flat 7</b>"}
        journal.record(NewEntry(EntryKind.SETTING, datetime.now(UTC), members, PAN))
    with web(folder) as served:
        yield served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("meter")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with meter(folder) as found:
        yield found


@pytest.fixture(scope="module")
def companion(folder: Path, address: str) -> str:
    return str(folder / COMPANION)


def token(minute: int) -> str:
    return credit("5.0", "--test-key", at=f"2026-03-01T13:{minute:02d}")


def left_open(here: Web, address: str, companion: str, digits: str, *, whole: bool) -> int:
    """Leave a delivery open, by a cable that is pulled; return its number."""
    with Cable(address, digits.encode(), whole=whole) as cable:
        page = Slips(here, here.connect(cable.address, companion)).deliver(digits)
        assert "! Not known" in page
    return next(each.number for each in deliveries(here) if each.token == digits)


def test_what_is_open_is_asked_for_where_no_place_is_yet(
    here: Web, address: str, companion: str
) -> None:
    before = credit_at(address)
    lost, taken = token(1), token(2)
    first = left_open(here, address, companion, lost, whole=False)
    page = here.http.get("/open")
    assert page.text.index(f"delivery {first}: open") < page.text.index("installationReference=")
    assert "installationReference=<b>Flat 7</b> !" in page.text
    assert "<b>Flat" not in page.html
    assert "do not enter it again" in page.text
    assert grouped(lost) in page.text
    wrong = here.http.post("/open/ask", {"address": "no place"})
    assert (wrong.status, "is no address" in wrong.text) == (422, True)
    asked = here.http.post("/open/ask", {"address": address}, follow=False)
    assert asked.status == 303
    station = asked.headers["Location"].split("/")[2]
    here.rests(station)
    page = here.http.get(asked.headers["Location"])
    assert f"Delivery {first}, {grouped(lost)}: not taken" in page.text
    assert "installationReference: it reads another value" in page.text
    assert "Nothing is open." in page.text
    second = left_open(here, address, companion, taken, whole=True)
    with here.events(station, "open_work", "resumed", "work") as events:
        here.http.get(f"/at/{station}/open")
        events.sees("open_work", f"delivery {second}: open")
        here.http.post(f"/at/{station}/open/ask", quiet=True)
        events.sees("resumed", f"Delivery {second}, {grouped(taken)}: delivered: Accept")
        events.sees("open_work", "Nothing is open.")
    assert credit_at(address) - before == 5_000


def test_a_delivery_whose_meter_is_gone_is_closed_by_hand(
    here: Web, address: str, companion: str
) -> None:
    digits = token(3)
    number = left_open(here, address, companion, digits, whole=False)
    path = f"/open/{number}/close"
    assert f"Close delivery {number} as unresolved, for good?" in here.http.get(path).text
    missing = here.http.post(path, {"note": "  "})
    assert (missing.status, "A reason is wanted." in missing.text) == (422, True)
    note = f"burnt <i>down</i>, {digits}"
    closed = here.http.post(path, {"note": note})
    assert f"Delivery {number} is closed: nobody knows" in closed.text
    result = next(each.result for each in deliveries(here) if each.number == number)
    assert result is not None
    assert "burnt <i>down</i>" in result
    assert digits not in result
    again = here.http.post(path, {"note": note})
    assert (again.status, "is not open, or not any more" in again.text) == (404, True)
    for strange in ("9999", "9" * 5000, "x", "-1", "%00"):
        assert here.http.get(f"/open/{strange}/close").status == 404
        assert here.http.post(f"/open/{strange}/close", {"note": "x"}).status == 404
        assert "is closed" not in here.http.get(f"/open?closed={strange}").text


def test_nothing_is_closed_or_asked_for_while_it_is_being_delivered(
    here: Web, address: str, companion: str, tmp_path: Path
) -> None:
    """A second head reaches the same meter; here it is a twin of it, which says the same name."""
    digits = token(4)
    dead = Cable(address, digits.encode(), whole=True, hangs=True)
    with meter(tmp_path) as twin, dead as cable:
        slips = Slips(here, here.connect(cable.address, companion))
        slips.send(digits)
        assert cable.failed.wait(GUARD_S)
        number = next(each.number for each in deliveries(here) if each.token == digits)
        refused = here.http.post(f"/open/{number}/close", {"note": "burnt"})
        assert (refused.status, "Something is under way with meter" in refused.text) == (409, True)
        place = here.connect(twin, companion)
        here.http.post(f"/at/{place}/open/ask")
        said = here.rests(place)
        assert f"Meter {PAN} is being worked at from" in said
        page = Slips(here, place).deliver(token(6))
        assert "is being worked at from" in page
        assert "Not delivered" in page
        here.http.post(f"/at/{slips.station}/leave", {"sure": "yes"})
        here.rests(slips.station)
    place = here.connect(address, companion)
    here.http.post(f"/at/{place}/open/ask")
    here.rests(place)
    result = next(each.result for each in deliveries(here) if each.number == number)
    assert result == "delivered: Accept"


def test_nothing_is_closed_while_somebody_connects_to_whichever_meter_is_there(
    here: Web, address: str, companion: str
) -> None:
    digits = token(7)
    number = left_open(here, address, companion, digits, whole=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        form = {"address": f"tcp://127.0.0.1:{silent.getsockname()[1]}", "companion": companion}
        path = here.http.post("/connect", form, follow=False).headers["Location"]
        refused = here.http.post(f"/open/{number}/close", {"note": "burnt"})
        here.http.post(f"{path}/leave", {"sure": "yes"})
        here.rests(path.split("/")[2])
    assert (refused.status, "Something is under way with meter" in refused.text) == (409, True)
    closed = here.http.post(f"/open/{number}/close", {"note": "burnt"})
    assert f"Delivery {number} is closed" in closed.text


def test_it_is_closed_by_hand_with_the_keyboard_alone(
    here: Web, address: str, companion: str, browser: Chromium
) -> None:
    digits = token(5)
    number = left_open(here, address, companion, digits, whole=False)
    with browser.page(here, "/open", width=360) as page:
        page.get_by_role("link", name=f"close by hand … delivery {number}").press("Enter")
        page.wait_for_url(f"**/open/{number}/close")
        page.keyboard.type("no such house")
        page.keyboard.press("Enter")
        page.get_by_text(f"Delivery {number} is closed").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
