"""On the bench in a real browser, the keypad and the unit are given the same token at once."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect
from web_bench import Chromium, web


def test_the_keypad_and_the_unit_race_for_one_token(browser: Chromium, tmp_path: Path) -> None:
    with (
        web(tmp_path, "--bench") as here,
        browser.page(here, "/bench/electricity") as hands,
        browser.page(here, "/bench/electricity") as unit,
    ):
        unit.locator("#read").click()
        known = unit.locator("[data-part=meter]")
        expect(known).to_contain_text("credit ever taken")
        expect(unit.locator(".work")).to_have_count(0)
        hands.locator("#issue-credit").click()
        bought = hands.locator("[data-part=bench_sale]")
        expect(bought).to_contain_text("kWh")
        unit.locator("#unit-1-0").click()
        expect(unit.locator("[data-part=gathered] ol.tokens li")).to_have_count(1)
        hands.locator("#type-1-0").click()
        unit.locator("#send").click()
        expect(unit.locator("#another")).to_be_visible()
        expect(bought).not_to_contain_text("A token is being typed at the keypad.")
        unit.locator("#read").click()
        expect(known).to_contain_text(re.compile(r"credit ever taken\s*10\.000 kWh"))
        # Whichever was first, each tells of it as it is, and the meter took it once.
        expect(unit.locator("[data-part=delivery]")).to_contain_text(re.compile("Accept|Used"))
        accepted = hands.locator("[data-part=bench_events] li", has_text="Accept")
        expect(accepted).to_have_count(1)
