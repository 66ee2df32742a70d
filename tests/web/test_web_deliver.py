"""Tokens delivered at pages: checked, each list sent once, followed, and nothing said untruly."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from cable import GUARD_S, Cable
from cli_bench import credit, done, registers
from deliver_bench import Slips, credit_at, deliveries, is_kept_quiet, refuse_deliveries
from web_bench import COMPANION, Chromium, Web, free_port, meter, observed, web
from web_bench import enter as let_in

from vtc07.trace.values import grouped


@dataclass(frozen=True)
class Table:
    """An application and a meter. ``companion``: its file."""

    web: Web
    address: str
    companion: str

    def slips(self, address: str | None = None) -> Slips:
        """Connect to the meter, or at the end of a cable to it, and have tokens in the hand."""
        return Slips(self.web, self.web.connect(address or self.address, self.companion))


@pytest.fixture(scope="module")
def shared_web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("deliver")) as here:
        yield here


@pytest.fixture(scope="module")
def table(shared_web: Web, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """One meter for all tests that leave no trace at it but credit of their own."""
    folder = tmp_path_factory.mktemp("meter")
    with meter(folder) as address:
        yield Table(shared_web, address, str(folder / COMPANION))


@pytest.fixture
def alone(shared_web: Web, tmp_path: Path) -> Iterator[Table]:
    """A meter of the test's own."""
    with meter(tmp_path) as address:
        yield Table(shared_web, address, str(tmp_path / COMPANION))


def token(amount: str, minute: int, *options: str) -> str:
    return credit(amount, "--test-key", *options, at=f"2026-03-01T12:{minute:02d}")


# --- gathering ------------------------------------------------------------------------------------


def test_a_token_is_checked_as_it_is_typed(table: Table) -> None:
    slips = table.slips()
    digits = token("1.0", 1)

    def said(text: str) -> str:
        answer = slips.http.post(slips.path("check"), {"token": text}, quiet=True)
        assert answer.status == 200
        return answer.text

    assert said(digits[:19]) == "1 digit is missing"
    assert said(grouped(digits)) == "✓ Class 0: credit."
    assert "No token is as large as this" in said("9")
    assert said("<b>") == "Type the 20 digits of the token, or paste one or several."


def test_tokens_are_gathered_for_every_page_and_taken_away_again(table: Table) -> None:
    slips, other = table.slips(), table.web.client()
    first, second, third = (token("1.0", minute) for minute in (2, 3, 4))
    assert "1 token is ready" in slips.add(first).text
    assert "The token is not complete" in slips.add(first).text  # it stands there already
    wrong = slips.add("12 <script>alert(1)</script>")
    assert (wrong.status, "<script>alert" in wrong.html) == (422, False)
    assert 'value="12 &lt;script&gt;' in wrong.html
    # As they stand in a message, and in one piece, as a field of one line gets two lines.
    for text in (f"Token 1: {grouped(second)}\nToken 2: {grouped(third)}. Thank you",):
        answer = slips.http.post(slips.path("take"), {"text": text}, quiet=True)
        assert answer.json["field"] == ""
    page = other.get(slips.path())
    assert "3 tokens are ready to be sent, in this order." in page.text
    assert page.text.index(grouped(first)) < page.text.index(grouped(second))
    number = slips.shown()["draft"]
    slips.http.post(slips.path("remove"), {"draft": number, "place": "1"})
    assert grouped(second) not in other.get(slips.path()).text
    for strange in ("9" * 5000, "-1", "x", "2"):
        fields = {"draft": slips.shown()["draft"], "place": strange}
        assert slips.http.post(slips.path("remove"), fields).status == 422
    stale = slips.http.post(slips.path("remove"), {"draft": number, "place": "0"})
    assert (stale.status, "was changed meanwhile" in stale.text) == (409, True)
    # A page that shows another list than there is sends nothing.
    stale = slips.http.post(slips.path("send"), {"draft": number, "meter": ""})
    assert "was changed meanwhile" in stale.text
    for _ in range(2):
        slips.http.post(slips.path("remove"), {"draft": slips.shown()["draft"], "place": "0"})
    assert slips.add(first + second).text.count("Class 0: credit.") == 2
    for _ in range(2):
        slips.http.post(slips.path("remove"), {"draft": slips.shown()["draft"], "place": "0"})
    assert not [each for each in deliveries(table.web) if each.token in (first, second, third)]


def test_what_is_pasted_is_looked_at_before_it_is_taken(table: Table) -> None:
    slips, digits = table.slips(), token("1.0", 5)

    def taken(text: str) -> tuple[int, str]:
        answer = slips.http.post(slips.path("take"), {"text": text}, quiet=True)
        return answer.status, answer.json.get("field", answer.json.get("said"))

    assert taken(f"meter 600727000000000009: {digits}, 25 kWh") == (200, grouped(digits))
    assert taken("1234") == (200, "1234")
    assert taken("nothing") == (
        422,
        "No token was found: 20 digits, in one piece or in groups of four.",
    )
    assert taken(f"{grouped(digits)} 1234")[0] == 422  # which 20 of the 24 nobody can tell


def test_there_is_an_end_to_what_is_gathered(table: Table) -> None:
    slips = table.slips()
    assert slips.add("0" * 21).status == 422
    assert slips.add("1" * 60_000).status == 422
    assert slips.add("x" * 60_000).status == 422
    assert "20 digits" not in slips.http.post(slips.path("check"), {"token": "0" * 21}).text
    assert slips.add(" ".join(f"{n:020d}" for n in range(21))).status == 422
    many = " ".join(f"{n:020d}" for n in range(20))
    assert "20 tokens are ready" in slips.add(many).text
    assert "too many tokens" in slips.add(token("1.0", 6)).text
    for _ in range(20):
        slips.http.post(slips.path("remove"), {"draft": slips.shown()["draft"], "place": "0"})


# --- sending --------------------------------------------------------------------------------------


def test_a_list_is_sent_once_however_often_it_is_asked_for(alone: Table) -> None:
    slips, digits = alone.slips(), token("25.0", 10)
    fields = {**slips.shown(), "token": grouped(digits)}
    others = [alone.web.client() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda http: http.post(slips.path("send"), fields, follow=False), others)
        )
    assert {answer.status for answer in answers} == {303}
    assert {answer.headers["Location"] for answer in answers} == {slips.path()}
    alone.web.rests(slips.station)
    page = slips.page().text
    assert "✓ Delivered" in page
    assert "delivered: Accept" in page
    assert "credit before, as it was read last 0.000 kWh credit now 25.000 kWh" in page
    again = slips.http.post(slips.path("send"), fields)  # the page is loaded again
    assert "✓ Delivered" in again.text
    slips.another()
    late = slips.http.post(slips.path("send"), fields)  # and again, when all is over
    assert "was changed meanwhile" in late.text
    alone.web.rests(slips.station)
    assert len([each for each in deliveries(alone.web) if each.token == digits]) == 1
    assert credit_at(alone.address) == 25_000
    assert "this meter took it" in slips.http.post(slips.path("check"), {"token": digits}).text
    assert "The meter took it before; nothing was entered." in slips.deliver(digits)
    assert credit_at(alone.address) == 25_000
    assert is_kept_quiet(alone.web, digits)


def test_what_is_refused_is_explained_and_looked_into(alone: Table) -> None:
    slips = alone.slips()
    good, bad, left = token("5.0", 11), token("5.0", 12, "--ti", "07"), token("6.0", 13)
    page = slips.deliver(f"{good} {bad} {left}")
    assert "✗ Not all are delivered" in page
    assert "refused: CRCError a digit is wrong, or the token is for another meter" in page
    assert "not sent: the delivery stopped before" in page
    found = re.search(r'name="draft" value="([^"]+)"', slips.page().html)
    assert found is not None
    why = slips.http.post(
        f"/at/{slips.station}/diagnose/refused", {"draft": found[1]}, follow=False
    )
    assert why.headers["Location"] == f"/at/{slips.station}/diagnose"
    alone.web.rests(slips.station)
    diagnosed = slips.http.get(why.headers["Location"])
    assert "wrong" in diagnosed.html.partition("<h1>")[0]
    assert diagnosed.text.count(grouped(bad)) == 1
    assert f'value="{grouped(bad)}"' in diagnosed.html
    assert "1 token is ready" in slips.another(again="yes").text  # what was not sent
    assert grouped(left) in slips.page().text
    assert "Credit now: 11.000 kWh" in slips.send().text + alone.web.rests(slips.station)
    assert is_kept_quiet(alone.web, bad)


def test_a_key_change_is_asked_about_and_delivered_whole(alone: Table) -> None:
    slips = alone.slips()
    found = done("token", "keychange", "--test-key", "--to-krn", "2", "--json").json["tokens"]
    tokens = [each["token"] for each in found]
    slips.add(" ".join(tokens[:-1]))
    before = slips.shown()
    asked = slips.http.post(slips.path("send"), {**before, "token": tokens[-1]})
    assert asked.path == slips.path("whole")
    assert f"Are these {len(tokens)} tokens one key change?" in asked.text
    twice = slips.http.post(slips.path("send"), {**before, "token": tokens[-1]})
    assert twice.html == asked.html
    assert not [each for each in deliveries(alone.web) if each.token in tokens]
    sent = slips.send(how="set")
    assert sent.path == slips.path()
    assert "the key change is complete" in alone.web.rests(slips.station)
    page = slips.page().text
    assert "✓ Delivered to meter 600727000000000009 the key change is complete" in page
    assert page.count("✓ delivered:") == len(tokens)
    slips.http.post(slips.path("send"), {**before, "token": tokens[-1]})
    assert not slips.web.rests(slips.station).startswith("…")
    read = done("read", alone.address, "KRN", "--no-journal", "--json").json
    assert registers(read)["KRN"] == 2
    assert len([each for each in deliveries(alone.web) if each.token in tokens]) == len(tokens)


def test_nothing_goes_to_another_meter_than_the_page_shows(table: Table) -> None:
    slips, digits = table.slips(), token("1.0", 14)
    answer = slips.send(digits, meter="600727111111111153")
    assert "Another meter is meant here now" in answer.text
    assert f'value="{digits}"' in answer.html  # what was typed still stands there
    assert slips.http.get(slips.path("send")).path == slips.path()
    nowhere = Slips(table.web, table.web.connect("tcp://127.0.0.1:9"))
    assert "No meter is connected here" in nowhere.send(digits).text
    assert not [each for each in deliveries(table.web) if each.token == digits]


def test_tokens_that_were_gathered_for_a_meter_go_to_no_other(table: Table, tmp_path: Path) -> None:
    """Somebody goes on to the next meter with a token still in the list."""
    digits, port = token("1.0", 16), free_port()
    listen = f"tcp://127.0.0.1:{port}"
    with meter(tmp_path, listen=listen) as address:
        slips = Slips(table.web, table.web.connect(address, table.companion))
        assert "1 token is ready" in slips.add(digits).text
    with meter(tmp_path, "--pan", "600727111111111153", name="next", listen=listen) as address:
        table.web.connect(address, table.companion)
        assert "to meter 600727111111111153" in slips.page().text
        for answer in (slips.send(), slips.add(token("1.0", 17))):
            assert "were gathered for meter 600727000000000009" in answer.text
        table.web.rests(slips.station)
    assert not [each for each in deliveries(table.web) if each.token == digits]


def test_a_list_that_is_empty_is_not_sent(table: Table) -> None:
    slips = table.slips()
    answer = slips.send()
    assert (answer.status, "The token is not complete" in answer.text) == (422, True)
    assert "Delivered" not in slips.page().text


def test_tokens_stay_those_of_their_meter_when_one_is_taken_away(
    table: Table, tmp_path: Path
) -> None:
    first, second, listen = token("1.0", 18), token("1.0", 19), f"tcp://127.0.0.1:{free_port()}"
    with meter(tmp_path, listen=listen) as address:
        slips = Slips(table.web, table.web.connect(address, table.companion))
        assert "2 tokens are ready" in slips.add(f"{first} {second}").text
    with meter(tmp_path, "--pan", "600727111111111153", name="next", listen=listen) as address:
        table.web.connect(address, table.companion)
        slips.http.post(slips.path("remove"), {"draft": slips.shown()["draft"], "place": "0"})
        assert "were gathered for meter 600727000000000009" in slips.send().text
    assert not [each for each in deliveries(table.web) if each.token in (first, second)]


def test_no_token_is_sent_that_the_journal_does_not_take(tmp_path: Path) -> None:
    digits = token("25.0", 15)
    with web(tmp_path) as here, meter(tmp_path) as address:
        slips = Slips(here, here.connect(address, str(tmp_path / COMPANION)))
        refuse_deliveries(here)
        page = slips.deliver(digits)
        assert "✗ Not delivered" in page
        assert "the journal could not be written, so the token was not entered" in page
        assert credit_at(address) == 0


# --- in the middle --------------------------------------------------------------------------------


def test_a_delivery_is_followed_from_every_page_and_left_only_when_sure(alone: Table) -> None:
    first, second, third = token("5.0", 20), token("6.0", 21), token("7.0", 22)
    with Cable(alone.address, second.encode(), whole=True, hangs=True) as cable:
        slips = alone.slips(cable.address)
        sent_as = slips.shown()["draft"]
        slips.send(f"{first} {second} {third}")
        assert cable.failed.wait(GUARD_S)
        other = Slips(alone.web, slips.station, alone.web.client())
        live = slips.sees("delivered: Accept", "under way", "waiting")
        page = other.page().text
        assert "Delivered" not in page
        assert grouped(third) in live
        assert grouped(third) in page
        assert "delivered: Accept" in page
        assert (
            "Something else is under way here"
            in other.http.post(f"/at/{slips.station}/diagnose", {}).text
        )
        anew = other.http.post(slips.path("another"), {"draft": sent_as})
        assert (anew.status, "Tokens are being delivered." in anew.text) == (409, True)
        assert "delivered: Accept" in other.page().text
        sure = other.http.post(f"/at/{slips.station}/leave", {"back": slips.path()})
        assert "Tokens are being delivered." in sure.text
        other.http.post(f"/at/{slips.station}/leave", {"back": slips.path(), "sure": "yes"})
        alone.web.rests(slips.station)
        number = next(each.number for each in deliveries(alone.web) if each.token == second)
        page = slips.page().text
        assert "! Not known" in page
        assert f"Delivery {number} stands open in the journal" in page
        assert page.count("delivered: Accept") == 1
        assert "not sent: the delivery stopped before" in page
        answer = slips.another(again="yes")
        assert grouped(third) in answer.text
        assert grouped(second) not in answer.text
    slips = alone.slips()
    assert "The meter took it before" not in slips.deliver(f"{second} {third}")
    page = slips.page().text
    assert f"Earlier delivery {number}: delivered: Accept" in page
    assert credit_at(alone.address) == 18_000


def test_a_cut_before_the_meter_has_the_token_is_mended(alone: Table) -> None:
    digits = token("25.0", 23)
    with Cable(alone.address, digits.encode()) as cable:
        slips = alone.slips(cable.address)
        page = slips.deliver(digits)
        assert "! Not known" in page
        assert "unresolved: the meter could not be reached again" in page
    slips = alone.slips()
    assert "is open. It is looked into first" in slips.add(digits).text
    assert "Credit now: 25.000 kWh" in slips.send().text + alone.web.rests(slips.station)
    assert "not taken" in slips.page().text  # of the earlier delivery
    assert credit_at(alone.address) == 25_000


def test_a_line_that_is_gone_sends_nothing_and_says_so(alone: Table) -> None:
    digits = token("25.0", 24)
    with Cable(alone.address, b"never") as cable:
        slips = alone.slips(cable.address)
        cable._pull()
        page = slips.deliver(digits)
    assert "Not delivered" in page
    assert "Nothing is open in the journal" in page
    assert "1 token is ready" in slips.another(again="yes").text


def test_a_program_that_is_killed_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    """The meter has the token, and nobody was told: the next program asks."""
    digits = token("25.0", 25)
    with meter(tmp_path) as address:
        companion = str(tmp_path / COMPANION)
        stale: dict[str, str] = {}
        dead = Cable(address, digits.encode(), whole=True, hangs=True)
        with dead as cable, contextlib.suppress(Killed), web(tmp_path) as here:
            slips = Slips(here, here.connect(cable.address, companion))
            stale |= {**slips.shown(), "token": digits}
            slips.http.post(slips.path("send"), stale)
            assert cable.failed.wait(GUARD_S)
            here.process.send_signal(signal.SIGKILL)
            here.process.wait()
            raise Killed
        with web(tmp_path) as here:
            page = here.http.get("/open").text
            assert "do not enter it again" in page
            assert grouped(digits) in page
            slips = Slips(here, here.connect(address, companion))
            # The browser sends its page again: a list of a program that is no more.
            assert "was changed meanwhile" in here.http.post(slips.path("send"), stale).text
            here.http.post(f"/at/{slips.station}/open/ask")
            assert "What was open at this meter is known now." in here.rests(slips.station)
            page = here.http.get(f"/at/{slips.station}/open").text
            assert "delivered: Accept" in page
            assert "Nothing is open." in page
            assert "The meter took it before; nothing was entered." in slips.deliver(digits)
        assert credit_at(address) == 25_000


class Killed(Exception):
    """The program was killed, as the test wanted it."""


# --- in a browser ---------------------------------------------------------------------------------


def test_digits_fall_into_groups_and_are_judged(table: Table, browser: Chromium) -> None:
    slips, digits = table.slips(), token("1.0", 30)
    with browser.page(table.web, slips.path()) as page:
        field = page.locator("#token")
        page.keyboard.type(f"{digits[:5]}x{digits[5:19]}")  # the field has the focus
        page.get_by_text("1 digit is missing").wait_for()
        assert field.input_value() == grouped(digits[:19])
        page.keyboard.type(digits[19:] + "77")
        page.locator("#check").get_by_text("Class 0: credit.").wait_for()
        assert field.input_value() == grouped(digits)
        # A digit in the middle: the cursor stays where one types.
        field.evaluate("each => each.setSelectionRange(7, 7)")
        page.keyboard.press("Backspace")
        page.get_by_text("1 digit is missing").wait_for()
        assert field.evaluate("each => each.selectionStart") == 6
        page.keyboard.type(digits[5])
        page.locator("#check").get_by_text("Class 0: credit.").wait_for()
        assert field.input_value() == grouped(digits)
        assert page.get_by_role("button", name="scan with the camera").is_hidden()
        page.keyboard.press("Enter")  # keeps it, and sends nothing
        page.get_by_role("heading", name="1 token is ready to be sent.").wait_for()
        assert field.input_value() == ""
        page.get_by_role("button", name="remove token 1").click()
        page.get_by_role("heading", name="1 token is ready to be sent.").wait_for(state="detached")
    assert not [each for each in deliveries(table.web) if each.token == digits]


PASTE = """(field, text) => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  field.dispatchEvent(
    new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""
#: Keys as a scanner types them, to wherever the focus is; whether Enter was left to the page.
SCAN = """(text) => {
  const press = (key) => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  for (const key of text) press(key);
  return press("Enter");
}"""


def test_tokens_are_pasted_and_typed_by_a_scanner(alone: Table, browser: Chromium) -> None:
    slips = alone.slips()
    first, second, third = token("1.0", 31), token("2.0", 32), token("3.0", 33)
    with browser.page(alone.web, slips.path(), width=360) as page:
        field = page.locator("#token")
        field.evaluate(PASTE, f"1: {grouped(first)}\n2: {grouped(second)}\n")
        page.get_by_role("heading", name="2 tokens are ready to be sent").wait_for()
        page.get_by_role("button", name="send", exact=True).focus()
        assert page.evaluate(SCAN, third) is False
        page.get_by_text("Class 0: credit.").nth(2).wait_for()
        assert field.input_value() == grouped(third)
        assert page.url.endswith(slips.path())
        assert page.evaluate(SCAN, "12") is True  # so few may be typed by a person
        assert not [each for each in deliveries(alone.web) if each.token == third]
        page.get_by_role("button", name="send", exact=True).dblclick()
        page.locator(".verdict", has_text="Delivered").wait_for()
        assert page.get_by_text("delivered: Accept").count() == 3
        assert page.get_by_role("button", name="send", exact=True).is_hidden()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("button", name="another token").click()
        field.wait_for()
        assert field.evaluate("each => each === document.activeElement")
    assert credit_at(alone.address) == 6_000


def test_without_a_script_everything_is_there_but_what_is_live(
    alone: Table, browser: Chromium
) -> None:
    slips = alone.slips()
    first, second = token("1.0", 35), token("2.0", 36)
    with browser.page(alone.web, slips.path(), script=False) as page:
        page.locator("#token").fill(grouped(first))
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="1 token is ready to be sent.").wait_for()
        page.locator("#token").fill("1234")
        page.get_by_role("button", name="send", exact=True).click()
        page.get_by_text("The token is not complete").wait_for()
        page.locator("#token").fill(second)
        page.get_by_role("button", name="send", exact=True).click()
        page.locator(".verdict", has_text="Delivered").wait_for()
        page.get_by_role("button", name="another token").click()
        page.get_by_text("Type the 20 digits").wait_for()
    assert credit_at(alone.address) == 3_000


#: A detector as browsers have it, in place of one: it reads the same from every picture.
DETECTOR = """
globalThis.BarcodeDetector = class {
  static async getSupportedFormats() { return ["qr_code"]; }
  async detect(video) {
    return video.videoWidth ? [{ rawValue: "no token" }, { rawValue: "TOKEN" }] : [];
  }
};
const really = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => (globalThis.camera = await really(wanted));
"""


def test_a_camera_reads_a_slip_and_its_light_goes_off(table: Table, browser: Chromium) -> None:
    slips, digits = table.slips(), token("1.0", 34)
    seeing = browser._running.chromium.launch(
        executable_path=shutil.which("chromium"),
        args=[
            "--no-sandbox",
            "--disable-gpu",
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
        ],
    )
    try:
        context = seeing.new_context(permissions=["camera"])
        context.add_init_script(DETECTOR.replace("TOKEN", f"STS {digits}"))
        page = context.new_page()
        seen = observed(page, table.web.origin)
        let_in(page, table.web)
        page.goto(table.web.origin + slips.path())
        page.get_by_role("button", name="scan with the camera").click()
        page.locator("#check").get_by_text("Class 0: credit.").wait_for()
        page.locator("#camera").wait_for(state="hidden")
        assert page.locator("#token").input_value() == grouped(digits)
        assert page.evaluate("camera.getTracks().map((track) => track.readyState)") == ["ended"]
        assert "tokens are ready" not in page.content()
        seen.nothing()
    finally:
        seeing.close()
