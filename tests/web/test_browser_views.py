"""Every page in a real browser, with hostile texts wherever a meter or a file can bring them.

Each is looked at in every look, from right to left, and on the narrowest screen: nothing of a
text is carried out, no other host is asked, nothing is cut off, and axe finds nothing serious.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cli_bench import credit, done
from playwright.sync_api import Page, expect
from web_bench import COMPANION, Chromium, Web, meter, web

import needs

AXE = Path(__file__).parents[2] / ".foreign" / "node_modules" / "axe-core" / "axe.min.js"
PAN = "600727000000000009"
#: No parentheses: they end a value on the line.
OF_METER = "<svg onload=alert`1`>&lt;b>"
OF_ROUTE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
OF_FILE = "&lt;img src=x onerror=alert(3)&gt;"


@dataclass(frozen=True)
class World:
    """The application with a meter, a route and a journal in which something was done."""

    web: Web
    bench: Web
    station: str
    route: str
    bad_route: str
    stranger: str

    def views(self) -> dict[str, str]:
        """Every page by a name."""
        at = f"/at/{self.station}"
        return {
            "connect": "/?places",
            "meter": at,
            "deliver": f"{at}/deliver",
            "registers": f"{at}/registers",
            "change": f"{at}/registers/change?register=0031",
            "diagnose": f"{at}/diagnose",
            "open": f"{at}/open",
            "line": f"{at}/line",
            "work on a route": f"{at}/route",
            "routes": "/routes",
            "route": self.route,
            "route with findings": self.bad_route,
            "findings": f"{self.bad_route}/findings",
            "all open": "/open",
            "journal": "/journal",
            "delivery": "/journal/1",
            "reports": "/reports",
            "report": self.route.replace("/routes/", "/reports/"),
            "unknown meter": f"/at/{self.stranger}",
            "not there": "/nothing",
        }

    @property
    def everywhere(self) -> tuple[tuple[Web, dict[str, str]], ...]:
        """Every page of the application, and of the bench."""
        kinds = {name: f"/bench/{name}" for name in ("electricity-3", "water")}
        return (self.web, self.views()), (self.bench, {"bench": "/bench"} | kinds)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("web")
    other = tmp_path_factory.mktemp("bench")
    with (
        meter(folder) as address,
        strange_meter() as strange,
        web(folder) as at_work,
        web(other, "--bench") as bench,
    ):
        yield made(at_work, bench, address, strange)


def made(at_work: Web, bench: Web, address: str, strange: str) -> World:
    """Do something of everything."""
    http = at_work.http
    companion = str(at_work.folder / COMPANION)
    journal = str(at_work.folder / "another.journal")
    value = f"installationReference={OF_METER}"
    done("write", address, value, "--journal", journal, "--companion", companion)
    answer = http.post("/connect", {"address": address, "file": companion}, follow=False)
    station = answer.headers["Location"].removeprefix("/at/")
    at_work.rests(station)
    token = credit("25", "--test-key")
    rows = f'{PAN},"{OF_ROUTE}",{token},lowCreditThreshold=500,installationReference,"{OF_ROUTE}"'
    head = "meter,place,deliver,write,read,notes\n"
    upload = {"file": (f"{OF_FILE}.csv", f"{head}{rows}\n".encode())}
    route = http.upload("/routes", upload, follow=False).headers["Location"]
    bad = f'{PAN},"{OF_ROUTE}",{OF_METER},"{OF_ROUTE}",noSuchRegister,"{OF_ROUTE}"\n'
    upload = {"file": ("bad.csv", (head + bad + rows).encode())}
    bad_route = http.upload("/routes", upload, follow=False).headers["Location"]
    http.post(f"{route}/place", {"at": station})
    http.post(f"/at/{station}/route")
    at_work.rests(station)
    http.post(f"/at/{station}/again")
    at_work.rests(station)
    http.post(f"/at/{station}/registers/read", {"words": "installationReference creditBalance"})
    at_work.rests(station)
    http.post(f"/at/{station}/registers/values")
    at_work.rests(station)
    return World(at_work, bench, station, route, bad_route, at_work.connect(strange))


@contextmanager
def strange_meter() -> Iterator[str]:
    """Be a meter that nobody knows, of a hostile name; give its address."""

    def answer() -> None:
        while True:
            client, _ = listener.accept()
            with client:
                if not client.recv(4096):
                    return
                client.sendall(f"/XYZ5{OF_METER}\r\n".encode())
                while client.recv(4096):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{address[1]}"
        finally:
            socket.create_connection(address).close()
            thread.join()


#: Whether a page is wider than its window, and which elements stand out of it.
OVERFLOW = """() => {
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide <= 0) return [];
  const out = [...document.body.querySelectorAll("*")].filter((each) => {
    const box = each.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 1 || box.left < -1);
  });
  return [`${wide}px`, ...out.slice(0, 8).map((each) => each.outerHTML.slice(0, 120))];
}"""
#: What a finger has to hit and is smaller than 44 by 24 pixels; links in a text are none.
SMALL = """() => [...document.querySelectorAll("button, summary, nav a, .button, select, input")]
  .filter((each) => each.checkVisibility() && !each.closest(".visually-hidden"))
  .filter((each) => !["checkbox", "radio", "hidden", "range"].includes(each.type))
  .map((each) => [each, each.getBoundingClientRect()])
  .filter(([, box]) => box.height < 40 || box.width < 40)
  .map(([each, box]) => `${Math.round(box.width)}x${Math.round(box.height)} ${each.outerHTML}`)"""
#: What of a hostile text became an element.
MADE = """() => [...document.querySelectorAll("[onload], [onerror], img[src='x']")]
  .map((each) => each.outerHTML)"""


def axe(page: Page, *rules: str) -> list[str]:
    """Return what axe finds on a page that is serious or critical; ``rules``: only these."""
    if not AXE.is_file():
        needs.lacking("the npm package axe-core is not installed: run make foreign")
    page.evaluate(AXE.read_text() + "\n;0")
    chosen = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
    options = {"resultTypes": ["violations"], **chosen}
    found: Any = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{each['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def look_through(
    browser: Chromium, world: World, *rules: str, small: bool = False, **how: Any
) -> None:
    """Look at every page; fail with all that was found."""
    found: list[str] = []
    for at_work, views in world.everywhere:
        with browser.page(at_work, None, **how) as page:
            for name, path in views.items():
                answer = page.goto(at_work.origin + path)
                assert answer is not None
                if answer.status != (404 if name == "not there" else 200):
                    found.append(f"{name}: status {answer.status}")
                found += [f"{name}: made {each}" for each in page.evaluate(MADE)]
                found += [f"{name}: overflow {each}" for each in page.evaluate(OVERFLOW)]
                if small:
                    found += [f"{name}: small {each[:160]}" for each in page.evaluate(SMALL)]
                found += [f"{name}: {each}" for each in axe(page, *rules)]
    assert not found, "\n".join(found)


def test_every_page(world: World, browser: Chromium) -> None:
    look_through(browser, world)


@pytest.mark.parametrize("look", ["dark", "sun"])
def test_every_page_has_contrast_in_every_look(world: World, browser: Chromium, look: str) -> None:
    look_through(browser, world, "color-contrast", "link-in-text-block", look=look)


def test_every_page_from_right_to_left(world: World, browser: Chromium) -> None:
    look_through(browser, world, language="ar", width=1000)


def test_every_page_on_the_narrowest_screen(world: World, browser: Chromium) -> None:
    look_through(browser, world, "color-contrast", "target-size", small=True, width=360, height=640)


def test_from_right_to_left_the_order_is_mirrored(world: World, browser: Chromium) -> None:
    with browser.page(world.web, f"/at/{world.station}", language="ar") as page:
        assert page.locator("html").get_attribute("dir") == "rtl"
        brand = page.locator(".brand").bounding_box()
        menu = page.locator("summary").first.bounding_box()
        assert brand is not None
        assert menu is not None
        assert brand["x"] > menu["x"]


def test_what_is_foreign_is_shown_as_text(world: World, browser: Chromium) -> None:
    with browser.page(world.web, None) as page:
        for view, text in (
            ("registers", OF_METER),
            ("unknown meter", OF_METER),
            ("work on a route", OF_ROUTE),
            ("route", OF_ROUTE),
            ("routes", OF_FILE),
            ("findings", "'<img src'"),
        ):
            page.goto(
                world.web.origin + world.views()[view] + ("?all=1" if view == "route" else "")
            )
            expect(page.locator("main"), view).to_contain_text(text)
