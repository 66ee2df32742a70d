"""The journal in the browser: deliveries, one message by message, its check, copies of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli_bench import credit, done
from web_bench import COMPANION, Chromium, Web, meter, web

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.outcome import Delivered, NotTaken, NotTakenReason
from vtc07.hhu.resuming import close_by_hand
from vtc07.web.library import number_of

PAN = "600727000000000009"
OTHER = "600727111111111153"
HTML = "<img src=x onerror=alert(1)><script>alert(2)</script>"
BEGAN = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


def old_journal(path: Path, count: int) -> None:
    """Write a journal of so many deliveries: every third refused, every fiftieth left open."""
    path.parent.mkdir(parents=True, mode=0o700)
    with FileJournal(path) as journal:
        for n in range(1, count + 1):
            time = BEGAN + timedelta(minutes=n)
            pan = PAN if n % 2 else OTHER
            made = journal.open_delivery(pan, f"{n:020d}", None, time)
            journal.announce_write(made.number, 1, time)
            if n % 50:
                outcome = Delivered(TokenStatus.ACCEPT, n)
                journal.close_delivery(made.number, outcome, time)
        made = journal.open_delivery(PAN, f"{9:020d}", None, BEGAN)
        close_by_hand(journal, made.number, HTML, time=BEGAN)


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("web")
    old_journal(folder / "state" / "vtc07" / "deliveries.journal", 250)
    with web(folder) as here:
        yield here


def delivered(web: Web, folder: Path, amount: str) -> tuple[str, int]:
    """Deliver a token by a route; returns it, and the number of the delivery."""
    token = credit(amount, "--test-key")
    content = f"meter,deliver,read\n{PAN},{token},creditBalance\n".encode()
    answer = web.http.upload("/routes", {"file": ("one.csv", content)}, follow=False)
    route = answer.headers["Location"]
    with meter(folder) as address:
        form = {"address": address, "companion": str(folder / COMPANION)}
        place = web.http.post(f"{route}/place", form, follow=False).headers["Location"]
        web.http.post(f"{route}/round", {"round": "other"})
        web.http.post(place)
        web.rests(place.split("/")[2])
    page = web.http.get("/journal")
    number = re.search(r'href="/journal/([0-9]+)"', page.html)
    assert number
    return token, int(number[1])


def test_deliveries_come_newest_first_a_page_at_a_time(at_work: Web) -> None:
    first = at_work.http.get("/journal")
    numbers = [
        int(n)
        for n in re.findall(r'scope="row" role="rowheader"><a href="/journal/([0-9]+)"', first.html)
    ]
    assert len(numbers) == 100
    assert numbers == sorted(numbers, reverse=True)
    assert "5 deliveries are open" in first.text
    assert re.search(r"[0-9]{20}", first.text) is None
    older = re.search(r'rel="next" href="([^"]*)"', first.html)
    assert older
    path = older[1].replace("&amp;", "&")
    second = at_work.http.get(path)
    more = [
        int(n)
        for n in re.findall(
            r'scope="row" role="rowheader"><a href="/journal/([0-9]+)"', second.html
        )
    ]
    assert more == list(range(numbers[-1] - 1, numbers[-1] - 101, -1))


def test_deliveries_of_one_meter_or_open_ones_alone(at_work: Web) -> None:
    of_one = at_work.http.get(f"/journal?meter={OTHER}")
    cells = re.findall(r'<td class="pan" role="cell"><bdi>([0-9]{18})</bdi>', of_one.html)
    assert set(cells) == {OTHER}
    by_drn = at_work.http.get(f"/journal?meter={OTHER[6:17]}")
    assert set(re.findall(r"<bdi>([0-9]{18})</bdi>", by_drn.html)) == {OTHER}
    still_open = at_work.http.get("/journal?open=1")
    numbers = re.findall(
        r'scope="row" role="rowheader"><a href="/journal/([0-9]+)"', still_open.html
    )
    assert numbers == ["250", "200", "150", "100", "50"]
    assert at_work.http.get("/journal?meter=12").status == 422
    assert at_work.http.get("/journal?before=x&open=2").status == 200
    hostile = at_work.http.get("/journal?meter=<script>alert(1)</script>")
    assert "<script>alert" not in hostile.html


def test_a_delivery_is_drawn_and_its_token_covered_until_it_is_asked_for(
    at_work: Web, tmp_path: Path
) -> None:
    token, number = delivered(at_work, tmp_path, "5.0")
    page = at_work.http.get(f"/journal/{number}")
    assert "<svg" in page.html
    assert " style=" not in page.html
    assert "<style" not in page.html
    assert "delivered: Accept" in page.text
    digits = re.sub(r"[^0-9]", "", page.text)
    assert token not in digits
    assert token not in page.html
    shown = at_work.http.get(f"/journal/{number}?tokens=shown")
    grouped = " ".join(token[at : at + 4] for at in range(0, 20, 4))
    assert grouped in shown.text
    text = done("hhu", "show", str(number), "--mask", "--journal", str(at_work.journal)).out
    for word in ("IDRequest", PAN, "Accept"):
        assert word in text
        assert word in page.text
    assert at_work.http.get("/journal/999999").status == 404
    assert at_work.http.get("/journal/x").status == 404


def test_what_a_person_wrote_into_the_journal_is_text(at_work: Web) -> None:
    page = at_work.http.get("/journal/251")
    assert HTML in page.text
    assert "<img src=x" not in page.html
    assert "<script>alert" not in page.html
    assert HTML not in at_work.http.get("/journal").html


def test_the_chain_is_checked_and_every_page_is_told(at_work: Web) -> None:
    with at_work.events("", "verifying") as events:
        answer = at_work.http.post("/journal/verify", quiet=True)
        assert answer.status == 204
        text = events.sees("verifying", "The journal is as it was written")
    document = done("hhu", "verify", "--journal", str(at_work.journal), "--json").json
    assert document["digest"] in text
    assert f"entries {document['entries']}" in text
    assert document["digest"] in at_work.http.get("/journal").text


def test_an_export_is_masked_and_verifies(at_work: Web, tmp_path: Path) -> None:
    answer = at_work.http.post("/journal/export")
    assert answer.status == 200
    assert "attachment" in answer.headers["Content-Disposition"]
    file = tmp_path / "export.jsonl"
    file.write_bytes(answer.body)
    own = ("--journal", str(at_work.journal))
    found = done("hhu", "verify", str(file), *own, "--json").json
    assert (found["verified"], found["masked"], found["whole"]) == (True, True, True)
    assert b'"secrets"' not in answer.body
    by_cli = tmp_path / "cli.jsonl"
    done("hhu", "export", "--mask", str(by_cli), *own)
    assert by_cli.read_bytes() == answer.body
    shown = at_work.http.post("/journal/export", {"tokens": "shown", "to": "2026-03-02"})
    file.write_bytes(shown.body)
    found = done("hhu", "verify", str(file), *own, "--json").json
    assert (found["verified"], found["masked"], found["whole"]) == (True, False, False)
    assert at_work.http.post("/journal/export", {"from": "2026-13-01"}).status == 422
    wrong = {"from": "2026-03-02", "to": "2026-03-01"}
    assert "exchange them" in at_work.http.post("/journal/export", wrong).text


def test_a_copy_verifies_and_nothing_is_left_behind(at_work: Web, tmp_path: Path) -> None:
    answer = at_work.http.post("/journal/backup")
    assert answer.status == 200
    assert re.search(
        r'filename="deliveries-[0-9]+\.journal"', answer.headers["Content-Disposition"]
    )
    file = tmp_path / "copy.journal"
    file.write_bytes(answer.body)
    assert done("hhu", "verify", str(file), "--json").json["verified"] is True
    left = [path.name for path in (at_work.folder / "state" / "vtc07").iterdir()]
    assert not [name for name in left if name.startswith("download")]


def test_the_pages_keep_the_policy_for_content(
    at_work: Web, browser: Chromium, tmp_path: Path
) -> None:
    with browser.page(at_work, "/journal", width=360) as page:
        page.get_by_role("button", name="check the journal").click()
        page.get_by_text("The journal is as it was written").wait_for()
        with page.expect_download() as downloaded:
            page.get_by_role("button", name="export", exact=True).click()
        file = tmp_path / "export.jsonl"
        downloaded.value.save_as(file)
        page.goto(f"{at_work.origin}/journal/251")
        page.get_by_text("onerror").first.wait_for()
    assert done("hhu", "verify", str(file), "--json").json["verified"] is True


def test_newest_deliveries_before_one(tmp_path: Path) -> None:
    with FileJournal(tmp_path / "j.journal") as journal:
        for n in range(1, 8):
            made = journal.open_delivery(PAN if n % 2 else OTHER, f"{n:020d}", None, BEGAN)
            if n != 3:
                reason = NotTaken(NotTakenReason.NOT_ARRIVED)
                journal.close_delivery(made.number, reason, BEGAN)
        assert [d.number for d in journal.newest(2, before=5)] == [3, 4]
        assert [d.number for d in journal.newest(9, PAN, before=5)] == [1, 3]
        assert [d.number for d in journal.newest(9, only_open=True, before=3)] == []
        assert [d.number for d in journal.newest(9, only_open=True, before=4)] == [3]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("10000000", 10_000_000),
        ("9" * 16, 0),
        ("-1", 0),
        ("\u0663", 0),
        ("", 0),
        (None, 0),
    ],
)
def test_a_delivery_of_any_number_has_a_page(text: str | None, number: int) -> None:
    assert number_of(text) == number
