"""The bench in the browser: front panel, line, unit and point of sale, as people use them."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from web_bench import GUARD_S, Chromium, Web, web


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("bench"), "--bench") as served:
        yield served


def station(here: Web, meter: str) -> str:
    """Return the name of the unit's place at a meter of the bench."""
    found = re.search(r'data-station="(\d+)"', here.http.get(f"/bench/{meter}").html)
    assert found is not None
    return found[1]


def issued(here: Web, meter: str, what: str = "credit", **fields: str) -> tuple[str, ...]:
    """Buy something; return the tokens as they stand on the page, the newest slip's."""
    answer = here.http.post(f"/bench/{meter}/issue", {"what": what, **fields})
    assert answer.status == 200, answer.text
    slip = answer.html.partition('class="slip')[2].partition('class="slip ')[0]
    slip = slip.partition('<li class="slip')[0]
    return tuple(digits.replace(" ", "") for digits in re.findall(r">([\d ]{24})</bdi>", slip))


def types(here: Web, meter: str, token: str) -> None:
    for key in ("clear", *token, "enter"):
        answer = here.http.post(f"/bench/{meter}/press", {"key": key}, quiet=True)
        assert answer.status == 204, answer.text


def test_without_the_bench_there_is_none(tmp_path: Path) -> None:
    with web(tmp_path) as served:
        assert served.http.get("/bench").status == 404
        assert served.http.get("/bench/water").status == 404
        assert served.http.post("/bench/water/press", {"key": "1"}).status == 404


def test_its_meters_are_there_to_be_chosen(here: Web) -> None:
    answer = here.http.get("/bench")
    for name in ("electricity", "electricity-3", "water", "gas", "electricity-mode-c"):
        assert f'href="/bench/{name}"' in answer.html
        assert here.http.get(f"/bench/{name}").status == 200
    assert here.http.get("/bench/steam").status == 404


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("press", {"key": "A"}),
        ("press", {}),
        ("load", {"phase": "2", "load": "100"}),
        ("load", {"phase": "1", "load": "99999999"}),
        ("load", {"phase": "1", "load": "-1"}),
        ("load", {"phase": "1", "load": "²"}),
        ("time", {"factor": "7"}),
        ("issue", {"what": "gold"}),
        ("issue", {"what": "credit", "amount": "<b>"}),
        ("type", {"issued": "999"}),
        ("to-unit", {"issued": "1", "token": "44"}),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    here: Web, path: str, fields: dict[str, str]
) -> None:
    answer = here.http.post(f"/bench/water/{path}", fields, quiet=True)
    assert answer.status == 422
    assert len(answer.json["said"]) > 10


def test_a_token_that_was_bought_runs_the_water_until_the_tap_is_closed(here: Web) -> None:
    place = station(here, "water")
    (token,) = issued(here, "water", amount="2")
    with here.events(place, "bench_display", "bench_switch", "bench_loads", "bench_said") as told:
        here.http.post("/bench/water/load", {"phase": "1", "load": "600"})
        told.sees("bench_loads", "wanted 600 l/h, flowing 0 l/h")
        types(here, "water", token)
        told.sees("bench_display", "Accept")
        told.sees("bench_switch", "Valve open")
        told.sees("bench_said", "Accept")
        told.sees("bench_loads", "wanted 600 l/h, flowing 600 l/h")
        here.http.post("/bench/water/load", {"phase": "1", "load": "0"})
        told.sees("bench_loads", "flowing 0 l/h")
        types(here, "water", token)
        told.sees("bench_display", "Used")


def test_four_tokens_change_the_key(here: Web) -> None:
    place = station(here, "gas")
    (before,) = issued(here, "gas", amount="1")
    change = issued(here, "gas", "key-change")
    assert len(change) == 4
    here.http.post("/bench/gas/to-unit", {"issued": "2"})
    with here.events(place, "gathered", "bench_how", "bench_switch", "bench_display") as told:
        told.sees("gathered", "4 tokens are ready")
        told.sees("bench_how", "one key change")
        for token, waiting in zip(change[:3], ("1 part ", "2 parts ", "3 parts "), strict=True):
            types(here, "gas", token)
            told.sees("bench_switch", f"{waiting}of a key change")
        types(here, "gas", change[3])
        told.until(lambda: "of a key change" not in told.text("bench_switch"))
        types(here, "gas", before)
        told.sees("bench_display", "CRCError")


def test_the_characters_of_the_line_are_told_as_they_pass(here: Web) -> None:
    place = station(here, "electricity-mode-c")
    line = http.client.HTTPConnection(here.http.host, timeout=GUARD_S)
    line.request("GET", "/bench/electricity-mode-c/characters?after=0", headers=here.http._kept())
    answer = line.getresponse()
    try:
        here.http.post(f"/at/{place}/again", quiet=True)
        chars: list[list[object]] = []
        while len(chars) < 12:
            text = answer.readline().decode()
            if text.startswith("data: "):
                chars += json.loads(text.removeprefix("data: "))["characters"]
    finally:
        answer.close()
        line.close()
    asked = [each for each in chars if each[1] == "client"]
    assert bytes(each[2] for each in asked if isinstance(each[2], int)).startswith(b"/?")
    assert all(each[2] == each[3] for each in chars)
    assert [each[0] for each in chars] == list(range(1, len(chars) + 1))
    here.http.post(f"/at/{place}/leave", {"sure": "yes"})


def buy(page: Page, amount: str = "5") -> None:
    """Buy credit, and wait for the slip."""
    before = page.locator(".slip").count()
    field = page.locator("form.offer", has_text="Credit").first.locator("input[name=amount]")
    field.fill(amount)
    page.locator("#issue-credit").click()
    expect(page.locator(".slip")).to_have_count(before + 1)


def test_the_front_panel_under_hands_and_keyboard(here: Web, browser: Chromium) -> None:
    with browser.page(here, "/bench/electricity-3") as page:
        lcd = page.locator(".lcd")
        buy(page)
        page.locator(".slip").first.get_by_role("button", name="To the keypad").click()
        expect(lcd).to_be_in_viewport()
        expect(lcd).to_contain_text("Accept")
        expect(page.locator(".switch-row")).to_contain_text("Load switch closed")
        # A slider is moved by the keyboard, and the server has the last word.
        slider = page.get_by_label("Phase L2")
        slider.focus()
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        expect(page.locator("[data-load='2']")).to_contain_text("flowing 500 W")
        page.request.post(
            f"{here.origin}/bench/electricity-3/load",
            form={"phase": "2", "load": "1200"},
            headers={"Origin": here.origin},
        )
        expect(slider).to_have_value("1200")
        # Digits of the computer's keyboard go to the keypad that has the focus, in their order.
        page.locator("#keypad").focus()
        for key in ("Delete", *"12345678901", "Backspace"):
            page.keyboard.press(key)
        expect(lcd).to_contain_text(re.compile(r"1234\s*5678\s*90\b"))
        page.get_by_role("button", name="Clear", exact=True).click()
        expect(lcd).not_to_contain_text("1234")
        # Without supply all is dark; what was counted is still there afterwards.
        supply = page.get_by_role("switch", name="Supply")
        supply.focus()
        page.keyboard.press("Enter")
        expect(supply).to_have_attribute("aria-checked", "false")
        expect(supply).to_be_focused()
        expect(lcd).to_have_class(re.compile("dark"))
        expect(page.get_by_role("status").filter(has_text="no supply")).to_have_count(1)
        supply.click()
        expect(page.locator(".switch-row")).to_contain_text("Load switch closed")


def test_a_cable_that_is_pulled_out_in_mid_delivery(here: Web, browser: Chromium) -> None:
    with browser.page(here, "/bench/electricity", width=360) as page:
        page.get_by_role("button", name="Read the meter").click()
        expect(page.locator(".unit-screen")).to_contain_text("0.000 kWh")
        expect(page.locator("#work, .work")).to_have_count(0)
        buy(page, "7")
        page.locator(".slip").first.get_by_role("button", name="To the unit").click()
        expect(page.locator("[data-part=gathered]")).to_contain_text("1 token is ready")
        page.locator("#send").click()
        # From the acknowledgement on the meter has the token; it is about a second at work with it.
        written = page.locator(".tape .row.client", has_text="W1").last
        expect(written.locator("+ .row.server")).to_contain_text("ACK")
        here.http.post("/bench/electricity/cable", {"on": "no"}, quiet=True)
        expect(page.get_by_role("switch", name="Cable")).to_have_attribute("aria-checked", "false")
        expect(page.locator(".gap-words")).to_be_visible()
        expect(page.locator(".tape .char.lost").first).to_be_attached()
        here.http.post(f"/at/{station(here, 'electricity')}/leave", {"sure": "yes"})
        expect(page.locator("[data-part=delivery]")).to_contain_text("Not known")
        expect(page.locator("[data-part=bench_resume]")).to_contain_text("1 delivery is open")
        page.get_by_role("switch", name="Cable").click()
        page.get_by_role("button", name="Look into what is open").click()
        expect(page.locator("[data-part=resumed]")).to_contain_text("Accept")
        expect(page.locator("[data-part=bench_events]")).to_contain_text("Accept")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
