"""What is wrong, at pages: a receipt with its errors where they are, and findings with advice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cli_bench import credit
from deliver_bench import Slips, is_kept_quiet
from web_bench import COMPANION, Chromium, Web, meter, web

from vtc07.trace.values import grouped


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as served:
        yield served


@pytest.fixture(scope="module")
def station(here: Web, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("meter")
    with meter(folder) as address:
        yield here.connect(address, str(folder / COMPANION))


def test_a_receipt_is_compared_with_the_meter(here: Web, station: str) -> None:
    path = f"/at/{station}/diagnose"
    with here.events(station, "findings") as events:
        here.http.post(path, {"sgc": "123456", "ti": "7", "token": ""})
        told = events.sees("findings", "SGC")
    assert "✗" in told
    assert "→" in told
    page = here.client().get(path)  # another browser, later
    assert told in page.text
    assert 'value="123456"' in page.html
    emptied = here.http.post(f"{path}/afresh")
    assert 'value="123456"' not in emptied.html
    assert "→" not in emptied.text


@pytest.mark.parametrize(
    ("field", "text", "why"),
    [
        ("token", "12345", "20"),
        ("sgc", '"><script>alert(1)</script>', "SGC:"),
        ("krn", "x", "is not a whole number"),
        ("issued", "yesterday", "is no time"),
        ("meter", "12", "meter (MeterPAN or DRN):"),
    ],
)
def test_an_error_is_said_at_its_field(
    here: Web, station: str, field: str, text: str, why: str
) -> None:
    answer = here.http.post(f"/at/{station}/diagnose", {field: text, "ti": "07"})
    assert answer.status == 422
    assert why in answer.text
    assert f'id="wrong-{field}"' in answer.html
    assert f'aria-describedby="wrong-{field}"' in answer.html
    assert "<script>alert" not in answer.html
    assert 'value="07"' in answer.html  # what was typed stands there still
    quiet = here.http.post(f"/at/{station}/diagnose", {field: text}, quiet=True)
    assert (quiet.status, why in quiet.json["said"]) == (422, True)


def test_why_is_asked_only_of_what_was_refused_just_now(here: Web, station: str) -> None:
    answer = here.http.post(f"/at/{station}/diagnose/refused", {"draft": "1"})
    assert (answer.status, "No token was refused here just now." in answer.text) == (409, True)


def test_a_refused_token_is_looked_into_in_the_browser(
    here: Web, station: str, browser: Chromium
) -> None:
    bad = credit("5.0", "--test-key", "--ti", "07")
    slips = Slips(here, station)
    with browser.page(here, slips.path(), width=360) as page:
        page.locator("#token").fill(bad)
        page.get_by_role("button", name="send", exact=True).click()
        page.get_by_role("button", name="why?").click()
        page.get_by_text("a digit is wrong").first.wait_for()
        assert page.url == f"{here.origin}/at/{station}/diagnose"
        assert page.get_by_label("token").input_value() == grouped(bad)
        page.get_by_label("KRN").fill("x")
        page.keyboard.press("Enter")
        page.get_by_text("is not a whole number").wait_for()
        assert page.get_by_label("KRN").evaluate("each => each === document.activeElement")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert is_kept_quiet(here, bad)
