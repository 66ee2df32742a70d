"""What a technician sees, or only hears: nothing stale, nothing silent, nothing out of sight."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cable import GUARD_S, Cable
from cli_bench import credit
from deliver_bench import Slips
from playwright.sync_api import Page, Request, expect
from web_bench import COMPANION, Chromium, Web, meter, station_path, web

PAN = "600727000000000009"
#: What a page is told, as long as somebody looks at it.
LIVE = "/live?"
HIDDEN = """
let hidden = true;
Object.defineProperty(document, "hidden", { get: () => hidden });
globalThis.look = (is) => { hidden = !is; document.dispatchEvent(new Event("visibilitychange")); };
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("field")) as served:
        yield served


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("bench"), "--bench") as served:
        yield served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("meter")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with meter(folder) as found:
        yield found


@pytest.fixture(scope="module")
def place(here: Web, address: str, folder: Path) -> str:
    return here.connect(address, str(folder / COMPANION))


def token(minute: int) -> str:
    return credit("5.0", "--test-key", at=f"2026-03-01T15:{minute:02d}")


# --- nothing stale --------------------------------------------------------------------------------


def test_what_was_said_of_something_else_stands_on_no_other_page(here: Web, place: str) -> None:
    slips, wrong = Slips(here, place), f"{int(token(1)) ^ 1:020d}"
    page = slips.deliver(wrong)
    assert "0 of 1 delivered." in page
    slips.another()
    assert "0 of 1 delivered." not in slips.page().text
    here.http.post(station_path(place, "diagnose"), {"token": wrong})
    found = "things are wrong.", "thing is wrong."
    here.rests(place)
    said = here.http.get(station_path(place, "diagnose")).html.partition("<h1>")[0]
    assert any(each in said for each in found)
    for other in ("deliver", "registers", ""):
        text = here.http.get(station_path(place, other)).text
        assert not any(each in text for each in found)


@pytest.mark.parametrize("leave", [False, True])
def test_what_was_not_known_is_told_once_its_meter_was_asked(
    here: Web, address: str, folder: Path, leave: bool
) -> None:
    digits = token(2 + leave)
    with Cable(address, digits.encode(), whole=True, hangs=leave) as cable:
        name = here.connect(cable.address, str(folder / COMPANION))
        slips = Slips(here, name)
        if leave:
            slips.send(digits)
            assert cable.failed.wait(GUARD_S)
            here.http.post(station_path(name, "leave"), {"sure": "yes"})
            here.rests(name)
        page = slips.page().text if leave else slips.deliver(digits)
    assert "! Not known" in page
    assert f'href="{station_path(name, "open")}">Open deliveries</a>' in slips.page().html
    first = here.http.get("/")
    assert "Open deliveries: 1 is to be looked into" in first.text
    assert 'href="/open"' in first.html.partition("<main")[2]
    asked = here.http.post("/open/ask", {"address": address})
    said = here.rests(asked.path.split("/")[2])
    assert "What was open at this meter is known now." in said
    page = slips.page().text
    assert "✓ Delivered" in page
    assert "Not known" not in page
    assert "Do not give" not in page
    slips.another()


def test_where_nothing_was_sent_nothing_leads_to_what_is_open(
    here: Web, address: str, folder: Path
) -> None:
    with Cable(address, b"never") as cable:
        name = here.connect(cable.address, str(folder / COMPANION))
        gone = cable.address
    assert gone
    slips = Slips(here, name)
    page = slips.deliver(token(4))
    assert "Nothing is open in the journal" in page or "nothing was sent" in page
    delivery = slips.page().html.partition('<section class="card delivery"')[2]
    assert "take what was not sent again" in delivery
    assert "Open deliveries" not in delivery
    slips.another()


def test_the_bench_offers_its_own_meters_and_no_port(bench: Web) -> None:
    for path in ("/", "/open"):
        page = bench.http.get(path)
        assert "inner:electricity-mode-c" in page.text
        assert "/dev/" not in page.text
    name = bench.connect("inner:gas")  # though nobody has been at its page yet
    assert "At a glance" in bench.http.get(station_path(name)).text


def test_a_meter_with_a_valve_speaks_of_no_switch(bench: Web) -> None:
    bought = bench.http.post("/bench/water/issue", {"what": "credit", "amount": "3"}).html
    digits = bought.partition('class="slip-token"')[2].partition(">")[2].partition("<")[0]
    for key in ("clear", *digits.replace(" ", ""), "enter"):
        bench.http.post("/bench/water/press", {"key": key}, quiet=True)
    found = re.search(r'data-station="(\d+)"', bench.http.get("/bench/water").html)
    assert found is not None
    with bench.events(found[1], "bench_events") as told:
        told.sees("bench_events", "Accept", "Valve open: it can flow.")
    text = bench.http.get("/bench/water").text
    assert "the valve opens by itself" in text
    assert "oad switch" not in text


def test_the_head_of_a_page_names_the_meter_once_it_has(
    here: Web, browser: Chromium, folder: Path
) -> None:
    with meter(folder, name="other") as another, browser.page(here) as page:
        page.get_by_label("Address").fill(another)
        page.get_by_label("or a companion file on this machine").fill(str(folder / COMPANION))
        page.get_by_role("button", name="connect", exact=True).click()
        expect(page.locator(".whereabouts")).to_contain_text(PAN)


# --- nothing hidden -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/bench/water"])
def test_a_page_that_nobody_looks_at_holds_no_connection(
    bench: Web, browser: Chromium, path: str
) -> None:
    with browser.page(bench, None) as page:
        told: list[str] = []

        def asked(request: Request) -> None:
            if LIVE in request.url or "/characters" in request.url:
                told.append(request.url)

        page.add_init_script(HIDDEN)
        page.on("request", asked)
        page.goto(bench.origin + path)
        page.wait_for_load_state("networkidle")
        assert not told
        with page.expect_request(lambda request: LIVE in request.url):
            page.evaluate("look(true)")
        with page.expect_event("requestfailed", lambda request: LIVE in request.url):
            page.evaluate("look(false)")


def test_the_result_of_a_write_is_seen_on_a_small_screen(
    here: Web, browser: Chromium, place: str
) -> None:
    with browser.page(here, station_path(place, "registers"), width=360, height=640) as page:
        page.get_by_role("link", name="change lowCreditAlarmEnabled").click()
        page.get_by_role("textbox", name="New value").fill("5")
        page.get_by_role("button", name="write it").click()
        result = page.get_by_text("lowCreditAlarmEnabled was not written")
        expect(result).to_be_in_viewport()


def test_what_is_only_heard_makes_no_page_longer(bench: Web, browser: Chromium) -> None:
    with browser.page(bench, "/bench/electricity") as page:
        page.get_by_role("button", name="Read the meter").click()
        expect(page.locator(".unit-screen")).to_contain_text("MISTY1")
        page.get_by_role("switch", name="Cable").click()
        page.get_by_role("button", name="Read the meter").click()
        expect(page.locator("#tape")).to_contain_text("(lost)")
        inside = "(e) => e.offsetParent.closest('#tape') !== null"
        assert page.locator("#tape .visually-hidden").first.evaluate(inside)


# --- nothing silent, and nothing that drowns the rest ---------------------------------------------


def heard(page: Page) -> str:
    return " ".join(page.locator("#heard").inner_text().split())


def test_who_types_a_token_hears_of_it_at_each_group(
    here: Web, browser: Chromium, place: str
) -> None:
    with browser.page(here, station_path(place, "deliver")) as page:
        field, check = page.get_by_role("textbox", name="Token"), page.locator("#check")
        assert check.get_attribute("aria-live") is None
        field.press_sequentially("0000")
        expect(page.locator("#heard")).to_have_text("16 digits are missing")
        field.press_sequentially("1")
        expect(check).to_contain_text("15 digits are missing")
        assert not heard(page)
        field.fill(token(5))
        expect(page.locator("#heard")).to_have_text("Class 0: credit.")
        page.keyboard.press("Enter")
        expect(page.locator("#heard")).to_have_text("1 token is ready to be sent.")
        page.get_by_role("button", name="remove token 1").click()
        expect(page.locator("#heard")).to_have_text("")


def test_it_is_heard_that_a_meter_was_read(here: Web, browser: Chromium, place: str) -> None:
    with browser.page(here, station_path(place)) as page:
        page.get_by_role("button", name="read again").click()
        status = page.locator(".now [role=status]")
        expect(status).to_have_text("ready")


def test_a_password_that_was_taken_does_not_stay_in_its_field(here: Web, browser: Chromium) -> None:
    with browser.page(here) as page:
        page.route("**/quiet", lambda route: route.fulfill(status=204))
        page.evaluate(
            """() => {
              const form = document.createElement("form");
              form.method = "post"; form.action = "/quiet"; form.dataset.quiet = "";
              const field = document.createElement("input");
              field.type = "password"; field.name = "password"; field.id = "secret";
              form.append(field, document.createElement("button"));
              form.lastChild.textContent = "use";
              document.querySelector("main").append(form);
            }"""
        )
        page.locator("#secret").fill("12345678")
        page.get_by_role("button", name="use").click()
        expect(page.locator("#secret")).to_have_value("")
