"""Reports in the browser: the very ones that the command line writes, and no script in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from cli_bench import credit, done
from web_bench import COMPANION, Answer, Chromium, Web, meter, web

PAN = "600727000000000009"
HTML = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@dataclass(frozen=True)
class Worked:
    """A route that was worked on. ``path``: of its reports; ``file``: it as it was handed over."""

    web: Web
    path: str
    file: Path
    tokens: tuple[str, str]

    def by_hand(self, folder: Path, form: str, *options: str) -> str:
        """Return the report that the command line writes."""
        file = folder / f"cli.{form}"
        journal = ("--journal", str(self.web.journal))
        done("route", "report", str(self.file), *journal, f"--{form}", str(file), *options)
        return file.read_bytes().decode("utf-8-sig")

    def get(self, form: str, query: str = "") -> Answer:
        """Return the report of the application."""
        answer = self.web.http.get(f"{self.path}/report.{form}{query}")
        assert answer.status == 200, answer.text
        return answer


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worked]:
    folder = tmp_path_factory.mktemp("web")
    tokens = (credit("5.0", "--test-key"), credit("6.0", "--test-key", "--ti", "02"))
    file = folder / "monday.csv"
    file.write_text(
        f'meter,place,deliver,read,notes\n{PAN},"Flat 7 {HTML}",{tokens[0]};{tokens[1]},'
        f'creditBalance,"{HTML}"\n600727111111111153,Flat 8,,creditBalance,=1+1\n'
    )
    with web(folder) as here, meter(folder) as address:
        content = file.read_bytes()
        route = here.http.upload("/routes", {"file": ("monday.csv", content)}, follow=False)
        path = route.headers["Location"]
        form = {"address": address, "companion": str(folder / COMPANION)}
        place = here.http.post(f"{path}/place", form, follow=False).headers["Location"]
        here.http.post(place)
        here.rests(place.split("/")[2])
        yield Worked(here, path.replace("/routes/", "/reports/"), file, tokens)


def timeless(text: str) -> str:
    """Return a report without the time at which it was made."""
    made = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9.]+)?"
    return re.sub(made, "TIME", text)


@pytest.mark.parametrize("form", ["csv", "html", "json"])
@pytest.mark.parametrize("masked", [True, False])
def test_a_file_is_the_one_that_the_command_line_writes(
    worked: Worked, tmp_path: Path, form: str, masked: bool
) -> None:
    options = ("--mask",) if masked else ()
    answer = worked.get(form, "" if masked else "?tokens=shown")
    own = answer.body.decode("utf-8-sig")
    by_hand = worked.by_hand(tmp_path, form, *options)
    if form == "csv":
        assert own == by_hand
        assert answer.body.startswith(b"\xef\xbb\xbf")
    elif form == "json":
        ours, theirs = json.loads(own), json.loads(by_hand)
        assert ours.keys() == theirs.keys()
        assert {key for key in ours if ours[key] != theirs[key]} <= {"made"}
    else:
        assert timeless(own) == timeless(by_hand)
    for token in worked.tokens:
        assert (token in re.sub(r"(?<=[0-9]{4}) (?=[0-9]{4})", "", own)) != masked


def test_a_period_is_of_whole_days(worked: Worked, tmp_path: Path) -> None:
    today = datetime.now().astimezone().date().isoformat()
    for query, options in (
        (f"?day={today}", ("--day", today)),
        (f"?from={today}&to={today}", ("--from", today, "--to", today)),
        ("?day=2020-01-01", ("--day", "2020-01-01")),
        ("?to=2020-01-01", ("--to", "2020-01-01")),
    ):
        own = worked.get("csv", query).body.decode("utf-8-sig")
        assert own == worked.by_hand(tmp_path, "csv", "--mask", *options)
    for query, words in (
        ("?day=1", "no day"),
        (f"?day={today}&from={today}", "not both"),
        ("?from=2026-03-02&to=2026-03-01", "exchange them"),
        ("?day=9999-12-31", "no day that can be reported"),
        ("?from=0001-01-01", ""),
    ):
        answer = worked.web.http.get(worked.path + query)
        assert words in answer.text
        assert answer.status in (200, 422)


def test_the_summary_tells_what_was_done_and_what_is_to_be_looked_at(worked: Worked) -> None:
    page = worked.web.http.get(worked.path)
    assert "Route report: monday" in page.text
    assert "0 of 2 meters done" in page.text
    assert "To be looked at" in page.text
    assert f"token {worked.tokens[1][-4:]}: refused: CRCError" in page.text
    assert HTML in page.text
    assert "<img src=x" not in page.html
    assert "<script>alert" not in page.html
    for token in worked.tokens:
        assert token not in page.html
    digest = re.search(r"--expect ([0-9a-f]{64})", page.text)
    assert digest
    journal = ("--journal", str(worked.web.journal))
    done("hhu", "verify", *journal, "--expect", digest[1])
    assert "monday.csv" in worked.web.http.get("/reports").text
    assert worked.web.http.get("/reports/0123456789abcdef").status == 404
    assert worked.web.http.get(f"{worked.path}/report.exe").status == 404


def test_the_page_for_printing_runs_nothing_and_keeps_its_style(
    worked: Worked, browser: Chromium
) -> None:
    policy = worked.get("html").headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "script" not in policy
    with browser.page(worked.web, worked.path) as page:
        with page.expect_popup() as opened:
            page.get_by_role("link", name="page for printing").click()
        report = opened.value
        report.get_by_text("onerror").first.wait_for()
        assert report.locator("img").count() == 0
        font = report.locator("body").evaluate("body => getComputedStyle(body).fontFamily")
        assert "sans-serif" in font
        origin = report.evaluate("self.origin")
        assert origin == "null"
        with page.expect_download() as downloaded:
            page.get_by_role("link", name="CSV").click()
        assert downloaded.value.suggested_filename == "monday-report-masked.csv"
