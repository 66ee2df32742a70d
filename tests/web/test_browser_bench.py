"""The bench that the tests of the web application stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_bench import Chromium, Web, meter, web


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as here:
        yield here


def test_a_meter_is_read_over_http(at_work: Web, tmp_path: Path) -> None:
    with meter(tmp_path) as address:
        station = at_work.connect(address, str(tmp_path / "fast.toml"))
        with at_work.events(station, "meter", streams=["line"]) as events:
            assert "Credit" in events.sees("meter", "600727000000000009")
            events.until(lambda: bool(events.lines["line"]))
        assert "600727000000000009" in at_work.http.get(f"/at/{station}").text
        assert at_work.stranger().get(f"/at/{station}").status == 401


def test_a_meter_is_read_in_the_browser(at_work: Web, browser: Chromium, tmp_path: Path) -> None:
    with meter(tmp_path) as address, browser.page(at_work) as page:
        page.get_by_label("Address").fill(address)
        page.get_by_role("button", name="connect").last.click()
        page.get_by_text("600727000000000009").first.wait_for()
        assert page.title()


def test_another_test_has_an_event_loop_of_its_own(browser: Chromium, at_work: Web) -> None:
    with browser.page(at_work) as page:
        assert page.title()


def test_and_none_is_in_its_way() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert asyncio.run(work()) == 7
