"""In a real browser: a route from its file to its report, and a write that the meter refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_bench import credit, done, registers
from playwright.sync_api import expect
from web_bench import COMPANION, Chromium, Web, meter, web

PAN = "600727000000000009"
OTHER = "600727111111111153"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="module")
def at_work(folder: Path) -> Iterator[Web]:
    with web(folder) as here:
        yield here


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with meter(folder) as address:
        yield address


def test_a_route_from_its_file_to_its_report(
    at_work: Web, browser: Chromium, folder: Path, address: str
) -> None:
    token = credit("25", "--test-key")
    route = folder / "Monday.csv"
    route.write_text(
        "meter,place,deliver,write,read,notes\n"
        f"{PAN},Flat 7,{token},lowCreditThreshold=500,creditBalance,the key is at No 9\n"
        f"{OTHER},Flat 8,,,creditBalance,\n"
    )
    with browser.page(at_work, "/routes", width=360, height=640) as page:
        main = page.locator("main")
        page.get_by_label("The route's file").set_input_files(route)
        page.get_by_role("button", name="take it along").click()
        expect(main).to_contain_text("Nothing is wrong with this file.")
        page.get_by_label("Address").fill(address)
        page.get_by_role("button", name="choose", exact=True).click()
        work = page.locator("#work-here")
        box = work.bounding_box()
        assert box is not None
        assert box["height"] >= 48
        assert box["width"] >= 200
        work.click()
        expect(main).to_contain_text("the key is at No 9")
        expect(page.locator(".tasks")).to_contain_text("Accept")
        expect(main).to_contain_text("1 of 2 meters done")
        expect(page.locator(".work")).to_have_count(0)
        page.reload()
        expect(main).to_contain_text("1 of 2 meters done")
        page.get_by_role("button", name="next meter").click()  # the same one is still there
        expect(main).to_contain_text("everything is done at this meter")
        expect(page.locator(".work")).to_have_count(0)
        page.goto(f"{at_work.origin}/reports")
        page.get_by_role("link", name="Monday").first.click()
        expect(main).to_contain_text("1 of 2 meters done")
    read = done(
        "read", address, "totalCreditAccepted", "lowCreditThreshold", "--no-journal", "--json"
    )
    values = registers(read.json)
    assert [int(each) for each in values.values()] == [25_000, 500]


def test_a_refused_write_says_why_and_changes_nothing(
    at_work: Web, browser: Chromium, folder: Path, address: str
) -> None:
    station = at_work.connect(address, str(folder / COMPANION))
    with browser.page(at_work, f"/at/{station}/registers") as page:
        main = page.locator("main")
        page.get_by_role("button", name="read what can be written").click()
        expect(page.locator("[data-part=registers_writable]")).not_to_contain_text("not read")
        expect(page.locator(".work")).to_have_count(0)
        page.get_by_role("link", name="change lowCreditAlarmEnabled").click()
        page.get_by_label("New value").fill("2")
        page.get_by_role("button", name="write it").click()
        expect(main).to_contain_text("refused")
        expect(page.locator(".work")).to_have_count(0)
        page.get_by_role("link", name="change lowCreditAlarmEnabled").click()
        expect(page.get_by_label("New value")).to_be_visible()
    read = done("read", address, "lowCreditAlarmEnabled", "--no-journal", "--json").json
    assert int(registers(read)["lowCreditAlarmEnabled"]) == 0
