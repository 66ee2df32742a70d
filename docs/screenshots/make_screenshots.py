"""Makes the pictures of the web application for the documentation, in a real browser.

    make screenshots

Everything on them was done: a meter is served, tokens are issued and delivered, a route is worked
on. The published test key is used, so no token on a picture is worth anything. What differs from
one time to the next: times of day, and the meters of the bench, which are made anew.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from cli_bench import credit
from head_bench import Head
from playwright.sync_api import Page, expect
from web_bench import Chromium, Web, meter, web

PAN: Final = "600727000000000009"
WIDTH, HEIGHT = 1180, 760
NARROW = 360
#: The picture of the bench shows all that stands side by side.
BENCH_HEIGHT = 680
ROUTE = f"""meter,place,deliver,write,read,notes
{PAN},Hill Street 7,TOKEN,lowCreditThreshold=5000,creditBalance,ring at No 9
600727111111111153,Hill Street 12,,,creditBalance,
600727070000471138,Market Square 1,,,creditBalance,meter in the cellar
"""


def main() -> None:
    """Make all pictures in the folder that is named, or beside this file."""
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    chromium = Chromium()
    try:
        with tempfile.TemporaryDirectory() as name, chromium.awake():
            folder = Path(name)
            served = folder / "meter.pty"
            with meter(folder, "--test-key", listen=f"pty:{served}", companion=None):
                head = Head(str(served), folder / "optical-head")
                try:
                    with web(folder, TZ="UTC") as at_work:
                        _of_the_application(into, chromium, at_work, head, folder)
                finally:
                    head.pull()
            bench = folder / "bench"
            bench.mkdir()
            with web(bench, "--bench", TZ="UTC") as at_work:
                _of_the_bench(into, chromium, at_work)
    finally:
        chromium.close()


def _of_the_application(
    into: Path, chromium: Chromium, at_work: Web, head: Head, folder: Path
) -> None:
    token = credit("120", "--test-key")
    with chromium.page(at_work, width=WIDTH, height=HEIGHT) as page:
        page.get_by_label("Address").fill("pty:optical-head")
        _picture(page, into, "connect")
        page.get_by_role("button", name="connect", exact=True).click()
        expect(page.locator("main")).to_contain_text("last token")
        _rests(page)
        place = page.url
        path = place.removeprefix(at_work.origin)
        page.goto(f"{place}/deliver")
        head.hold_at(token.encode(), whole=True)
        page.get_by_role("textbox", name="Token").press_sequentially(token)
        expect(page.locator("#check")).to_contain_text("Class 0: credit.")
        page.locator("#send").click()
        head.wait()
        expect(page.locator(".work")).to_be_visible()
        _picture(page, into, "delivering")
        head.release()
        expect(page.locator("#another")).to_be_visible()
        _picture(page, into, "delivered")
        page.set_viewport_size({"width": NARROW, "height": HEIGHT})
        _picture(page, into, "deliver_360")
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        page.goto(place)
        _picture(page, into, "meter")
        page.goto(f"{place}/registers")
        page.get_by_role("button", name="At a glance").click()
        expect(page.locator("[data-part=registers]")).to_contain_text("tamperStatus")
        _rests(page)
        _picture(page, into, "registers")
        page.goto(f"{place}/line")
        _picture(page, into, "line")
        page.goto(f"{at_work.origin}/journal/1")
        _picture(page, into, "delivery")
    with chromium.page(at_work, path, width=WIDTH, height=HEIGHT, look="dark") as page:
        _picture(page, into, "dark")
    with chromium.page(at_work, path, width=WIDTH, height=HEIGHT, language="ar") as page:
        _picture(page, into, "arabic")
    route = folder / "Monday.csv"
    route.write_text(ROUTE.replace("TOKEN", credit("50", "--test-key", at="2026-03-02T12:00")))
    with chromium.page(at_work, "/routes", width=NARROW, height=HEIGHT) as page:
        page.locator("input[type=file]").set_input_files(route)
        page.get_by_role("button", name="take it along").click()
        page.get_by_role("button", name="pty:optical-head").first.click()
        page.locator("#work-here").click()
        expect(page.locator("main")).to_contain_text("1 of 3 meters done")
        _rests(page)
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        page.goto(at_work.origin + "/routes")
        page.locator(".routes a").first.click()
        expect(page.locator("main")).to_contain_text("1 of 3 meters done")
        _picture(page, into, "route")


def _of_the_bench(into: Path, chromium: Chromium, at_work: Web) -> None:
    with chromium.page(at_work, "/bench/electricity", width=WIDTH, height=BENCH_HEIGHT) as page:
        page.locator("#read").click()
        expect(page.locator("[data-part=meter]")).to_contain_text("last token")
        _rests(page)
        page.locator("#issue-credit").click()
        page.locator("#unit-1-0").click()
        expect(page.locator("[data-part=gathered] ol.tokens li")).to_have_count(1)
        page.locator("#send").click()
        expect(page.locator("#another")).to_be_visible()
        _rests(page)
        page.locator("#load-1").fill("1500")
        expect(page.locator("[data-part=bench_loads]")).to_contain_text("flowing 1500 W")
        _picture(page, into, "bench")


def _rests(page: Page) -> None:
    """Wait until nothing is under way."""
    expect(page.locator(".work")).to_have_count(0)


def _picture(page: Page, into: Path, name: str) -> None:
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.screenshot(path=into / f"{name}.png", animations="disabled", caret="hide")


if __name__ == "__main__":
    main()
