"""A delivery in a real browser: whole, cut, watched from two pages, without script or mouse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_bench import FAST, credit, done, registers
from head_bench import Head, head_on_a_meter
from playwright.sync_api import Locator, Page, expect
from web_bench import COMPANION, Chromium, Web, meter, web

from vtc07.hhu.journal.reading import open_for_reading
from vtc07.trace.values import grouped

AMOUNT = 25_000
ACCEPTED = "delivered: Accept"
NOT_TAKEN = "not taken: the meter has executed no entry of it"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="module")
def at_work(folder: Path) -> Iterator[Web]:
    with web(folder) as here:
        yield here


@pytest.fixture(scope="module")
def head(folder: Path) -> Iterator[Head]:
    with head_on_a_meter(folder) as head:
        yield head


def connect(page: Page, address: str, folder: Path) -> None:
    """Connect at the first page, and wait until the meter was read."""
    page.get_by_label("Address").fill(address)
    page.get_by_label("or a companion file on this machine").fill(str(folder / COMPANION))
    page.get_by_role("button", name="connect", exact=True).click()
    expect(page.locator("main")).to_contain_text("last token")
    expect(page.locator(".work")).to_have_count(0)


def to_deliver(page: Page) -> Locator:
    """Go to where tokens are delivered; return the field for one."""
    place = re.match(r".*/at/[0-9]+", page.url)
    assert place is not None, page.url
    page.goto(place[0] + "/deliver")
    if page.locator("#another").is_visible():  # the last delivery is shown until somebody goes on
        page.locator("#another").click()
    field = page.get_by_role("textbox", name="Token")
    expect(field).to_be_visible()
    return field


def send(page: Page, token: str) -> None:
    """Go to where tokens are delivered, type one, and have it sent."""
    to_deliver(page).press_sequentially(token)
    page.get_by_role("button", name="send", exact=True).click()


def taken(head: Head) -> int:
    """Ask the meter itself what it has taken, in Wh."""
    read = done("read", head.address, "totalCreditAccepted", "--no-journal", "--json").json
    return int(registers(read)["totalCreditAccepted"])


def results(at_work: Web, token: str) -> list[str | None]:
    """Return what the journal has of the deliveries of a token."""
    with open_for_reading(at_work.journal) as journal:
        return [each.result for each in journal.deliveries() if each.token == token]


def test_a_whole_delivery_on_a_pty(
    at_work: Web, browser: Chromium, head: Head, folder: Path
) -> None:
    token = credit("25", "--test-key", at="2026-03-01T12:01")
    with browser.page(at_work) as page:
        connect(page, head.address, folder)
        before = taken(head)
        field, check = to_deliver(page), page.locator("#check")
        field.press_sequentially(token[:11])
        expect(field).to_have_value(f"{token[:4]} {token[4:8]} {token[8:11]}")
        expect(check).to_contain_text("9 digits are missing")
        field.press_sequentially(token[11:])
        expect(check).to_contain_text("Class 0: credit.")
        page.get_by_role("button", name="send", exact=True).click()
        main = page.locator("main")
        expect(main).to_contain_text("delivered: Accept")
        expect(main).to_contain_text("Delivered. Credit now:")
        expect(field).to_be_hidden()
    assert taken(head) - before == AMOUNT
    assert results(at_work, token) == [ACCEPTED]


def test_values_are_shown_as_they_arrive(at_work: Web, browser: Chromium, tmp_path: Path) -> None:
    few = FAST + "[limits]\nregisters = 27\n"
    with head_on_a_meter(tmp_path, companion=few) as head, browser.page(at_work) as page:
        head.hold_at(b"0027")
        page.get_by_label("Address").fill(head.address)
        page.get_by_label("or a companion file on this machine").fill(str(tmp_path / COMPANION))
        page.get_by_role("button", name="connect", exact=True).click()
        head.wait()
        meter = page.locator("[data-part=meter]")
        expect(meter).to_contain_text("0.000 kWh")
        expect(meter).to_contain_text("awaited")
        head.release()
        expect(meter).not_to_contain_text("awaited")


def test_a_delivery_goes_on_whoever_looks(
    at_work: Web, browser: Chromium, head: Head, folder: Path
) -> None:
    token = credit("25", "--test-key", at="2026-03-01T12:02")
    with browser.page(at_work) as page, browser.page(at_work) as another:
        connect(page, head.address, folder)
        before, path = taken(head), page.url
        head.hold_at(token.encode())
        send(page, token)
        head.wait()
        another.goto(page.url)
        for each in (page, another):
            expect(each.locator("[data-sent]")).to_contain_text(grouped(token))
            expect(each.locator(".work")).to_have_count(1)
        page.reload()
        expect(page.locator("[data-sent]")).to_contain_text(grouped(token))
        expect(page.get_by_role("textbox", name="Token")).to_be_hidden()
        another.goto(path)
        head.release()
        expect(page.locator("main")).to_contain_text("delivered: Accept")
        expect(another.locator("main")).to_contain_text("Delivered. Credit now:")
    assert taken(head) - before == AMOUNT
    assert results(at_work, token) == [ACCEPTED]


@pytest.mark.parametrize("whole", [False, True])
def test_a_cut_in_the_middle_and_the_recovery(
    at_work: Web, browser: Chromium, head: Head, folder: Path, whole: bool
) -> None:
    token = credit("25", "--test-key", at="2026-03-01T12:04" if whole else "2026-03-01T12:03")
    with browser.page(at_work) as page:
        connect(page, head.address, folder)
        before = taken(head)
        head.hold_at(token.encode(), whole=whole)
        send(page, token)
        head.wait()
        head.pull()
        main = page.locator("main")
        expect(main).to_contain_text("Nobody can tell from here")
        assert results(at_work, token) == [None]
        head.plug()
        page.locator("nav.places").get_by_role("link", name="Open deliveries").click()
        expect(main).to_contain_text(grouped(token))
        page.get_by_role("button", name="ask the meter that is there").click()
        expect(main).to_contain_text("Nothing is open.")
        if not whole:
            assert taken(head) == before
            send(page, token)
            expect(main).to_contain_text("delivered: Accept")
    assert taken(head) - before == AMOUNT
    assert results(at_work, token) == ([ACCEPTED] if whole else [NOT_TAKEN, ACCEPTED])


def test_a_delivery_without_any_script(
    at_work: Web, browser: Chromium, head: Head, folder: Path
) -> None:
    token = credit("25", "--test-key", at="2026-03-01T12:05")
    with browser.page(at_work, script=False) as page:
        page.get_by_label("Address").fill(head.address)
        page.get_by_label("or a companion file on this machine").fill(str(folder / COMPANION))
        page.get_by_role("button", name="connect", exact=True).click()
        at_work.rests("1")
        page.reload()
        before = taken(head)
        send(page, token)
        at_work.rests("1")
        page.reload()
        expect(page.locator("main")).to_contain_text("delivered: Accept")
    assert taken(head) - before == AMOUNT


def test_a_delivery_by_keyboard_alone(
    at_work: Web, browser: Chromium, head: Head, folder: Path
) -> None:
    token = credit("25", "--test-key", at="2026-03-01T12:06")
    with browser.page(at_work) as page:
        keys = Keys(page)
        keys.press("Tab")
        assert keys.focused() == "To the content"
        keys.press("Enter")
        keys.to("Address")
        page.keyboard.type(head.address)
        keys.to("or a companion file on this machine")
        page.keyboard.type(str(folder / COMPANION))
        keys.to("connect")
        keys.press("Enter")
        main = page.locator("main")
        expect(main).to_contain_text("last token")
        expect(page.locator(".work")).to_have_count(0)
        before = taken(head)
        keys.to("Deliver tokens")
        keys.press("Enter")
        page.wait_for_url("**/deliver")
        if page.locator("#another").is_visible():
            keys.to("another token")
            keys.press("Enter")
        expect(page.get_by_role("textbox", name="Token")).to_be_focused()
        page.keyboard.type(token)
        expect(page.locator("#check")).to_contain_text("Class 0: credit.")
        keys.to("send")
        keys.press("Enter")
        expect(main).to_contain_text("delivered: Accept")
        keys.to("another token")
        keys.press("Enter")
        expect(page.get_by_role("textbox", name="Token")).to_be_focused()
        expect(page.get_by_role("textbox", name="Token")).to_have_value("")
    assert taken(head) - before == AMOUNT


class Keys:
    """A keyboard, and nothing else; wherever it leads, one sees where one is."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def press(self, key: str) -> None:
        """Press a key."""
        self._page.keyboard.press(key)

    def to(self, name: str) -> None:
        """Press Tab until something of this name has the focus, which shows at every step."""
        for _ in range(60):
            self.press("Tab")
            if self.focused() == name:
                return
        raise AssertionError(f"Tab never leads to {name!r}")

    def focused(self) -> str:
        """Return the name of what has the focus; fail where it is not to be seen."""
        name, is_seen = self._page.evaluate(FOCUSED)
        assert is_seen, f"the focus is not to be seen: {name!r}"
        return str(name)


#: The name of what has the focus, and whether it is in sight and marked.
FOCUSED = """() => {
  const it = document.activeElement;
  if (it === document.body) return ["", true];
  const [box, style] = [it.getBoundingClientRect(), getComputedStyle(it)];
  const inSight = box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0;
  const marked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const label = it.labels?.[0]?.cloneNode(true);
  label?.querySelectorAll("input, select, small").forEach((each) => each.remove());
  const name = it.getAttribute("aria-label") ?? label?.textContent ?? it.textContent;
  return [name.replace(/\\s+/g, " ").trim(), inSight && marked];
}"""


def test_a_key_change_of_four_tokens(at_work: Web, browser: Chromium, tmp_path: Path) -> None:
    issued = done("token", "keychange", "--test-key", "--to-krn", "2", "--json").json["tokens"]
    tokens = [each["token"] for each in issued]
    assert len(tokens) == 4
    with meter(tmp_path) as address, browser.page(at_work) as page:
        connect(page, address, tmp_path)
        field = to_deliver(page)
        for token in tokens:
            field.press_sequentially(token)
            page.get_by_role("button", name="one more token").click()
            expect(page.locator("ol.tokens")).to_contain_text(grouped(token))
            expect(page.get_by_role("textbox", name="Token")).to_have_value("")
        page.get_by_role("button", name="send", exact=True).click()
        expect(page.locator("main")).to_contain_text("Are these 4 tokens one key change?")
        page.get_by_role("button", name="Yes, one key change").click()
        expect(page.locator("main")).to_contain_text("the key change is complete")
        for result in ("1stKCT", "2ndKCT", "3rdKCT", "Accept"):
            expect(page.locator("ol.tokens")).to_contain_text(f"delivered: {result}")
        read = done("read", address, "KRN", "--no-journal", "--json").json
        assert int(registers(read)["KRN"]) == 2
    assert [len(results(at_work, token)) for token in tokens] == [1, 1, 1, 1]
