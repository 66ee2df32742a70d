"""Registers read and written, over plain HTTP, against meters that are really served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_bench import FAST, done, secret_file, served
from markupsafe import escape
from web_bench import Answer, Chromium, Web, free_port, meter, text_of, web

PAN = "600727000000000009"
#: A companion that tells of two registers which its meter does not have.
MORE = (
    FAST
    + """
[[register]]
address = "0F00"
name = "elsewhere"
type = "u16"
access = "rw"
meaning = "what this meter does not have"
"""
)
FAST_MODE_C = """
extends = "electricity-mode-c"
[identity]
flag = "VTm"
[timing]
fast_reaction_ms = 1
reconnect_pause_ms = 1
"""
#: Text that a page must show as it stands; the line carries no slash, and no parentheses.
SCRIPT = "<script>alert`1`<script>"
QUOTES = "\"' onfocus=alert`2` <b>&amp;"


@dataclass
class Registers:
    """The application at one meter, and its pages of registers."""

    web: Web
    place: str
    companion: str

    @property
    def path(self) -> str:
        """The path of the page."""
        return f"/at/{self.place}/registers"

    def read(self, **fields: str) -> str:
        """Read, and return what the page then shows of it as text."""
        assert self.post("read", **fields).status == 204
        self.said()
        return self.part("registers")

    def post(self, page: str, **fields: str) -> Answer:
        """Ask quietly."""
        return self.web.http.post(f"{self.path}/{page}", fields, quiet=True)

    def said(self) -> str:
        """Wait until nothing is under way; return what was said then."""
        return self.web.rests(self.place)

    def part(self, name: str) -> str:
        """Return what a part shows."""
        return text_of(self.html(name))

    def html(self, name: str) -> str:
        """Return a part as it is sent."""
        with self.web.events(self.place, name) as events:
            events.until(lambda: name in events.parts)
            return events.parts[name]

    def write(self, address: str, value: str, **fields: str) -> Answer:
        """Send the form of a register as a page without script does."""
        pan = {"meter": "600727000000000009"}
        fields = pan | {"address": address, "value": value} | fields
        return self.web.http.post(f"{self.path}/write", fields)


@pytest.fixture(scope="module")
def registers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registers]:
    """One application, at one meter."""
    folder = tmp_path_factory.mktemp("registers")
    (folder / "web").mkdir()
    own, more, store = folder / "own.toml", folder / "more.toml", str(folder / "m.meter")
    own.write_text(FAST)
    more.write_text(MORE)
    done("meter", "new", store, "--companion", str(own))
    with served(store, "--listen", "tcp://127.0.0.1:0") as there, web(folder / "web") as running:
        place = running.connect(there.address, str(more))
        yield Registers(running, place, str(more))


# --- reading --------------------------------------------------------------------------------------


def test_groups_of_registers_are_read(registers: Registers) -> None:
    page = registers.web.http.get(registers.path).text
    for group in ("At a glance", "Token log", "Event log", "Everything that can be read"):
        assert group in page
    shown = registers.read(what="overview")
    assert "0020 creditBalance 0.000 kWh" in shown
    assert "0027 loadSwitch open" in shown
    shown = registers.read(what="tokenLog")
    assert "empty entries of logs are not shown." in shown
    assert "tokenLog.1" not in shown


def test_registers_are_read_by_name_number_and_range(registers: Registers) -> None:
    shown = registers.read(words="creditBalance, 0027 0010-0011")
    for name in ("creditBalance", "loadSwitch", "meterPAN", "DRN"):
        assert name in shown
    assert "4 values" in shown
    assert "4 registers are read." in registers.said()


def test_a_register_that_the_meter_refuses_says_why_and_the_others_are_read(
    registers: Registers,
) -> None:
    shown = registers.read(words="creditBalance elsewhere")
    assert "0.000 kWh" in shown
    assert "0F00 elsewhere ✗ refused" in shown
    assert "no such register" in shown
    assert "The meter refused to tell 1 register." in registers.said()


@pytest.mark.parametrize(
    ("words", "why"),
    [("creditBalanse", "did you mean creditBalance"), ("", "No register is named")],
)
def test_words_that_mean_no_register_are_refused_at_once(
    registers: Registers, words: str, why: str
) -> None:
    before = registers.part("registers")
    answer = registers.post("read", words=words)
    assert answer.status == 422
    assert why in answer.json["said"]
    assert registers.part("registers") == before


# --- writing --------------------------------------------------------------------------------------


def test_what_can_be_written_is_listed_with_value_meaning_and_unit(registers: Registers) -> None:
    assert registers.post("values").status == 204
    registers.said()
    shown = registers.part("registers_writable")
    assert "lowCreditThreshold 0030 credit at or below which the alarm is given [Wh]" in shown
    assert "0.000 kWh change" in shown
    assert "installationReference 0031 free text" in shown


@pytest.mark.parametrize(
    ("address", "value", "mood", "words"),
    [
        ("0030", "500", "good", "lowCreditThreshold can hold this."),
        ("0030", "5x", "bad", "a decimal number is wanted, in Wh"),
        ("0030", "99999999999", "bad", "lowCreditThreshold cannot be"),
        ("0031", "a" * 33, "bad", "installationReference cannot be"),
        ("0031", SCRIPT, "good", "can hold this"),
        ("0032", "2", "good", "can hold this"),  # its meaning is the meter's to refuse
        ("FFFF", "1", "bad", "no register"),
    ],
)
def test_a_value_is_checked_as_it_is_typed(
    registers: Registers, address: str, value: str, mood: str, words: str
) -> None:
    answer = registers.post("check", address=address, value=value)
    assert answer.status == 200
    assert answer.json["mood"] == mood
    assert words in answer.json["said"]


def test_a_value_is_written_and_read_back(registers: Registers) -> None:
    shown = registers.write("0030", "500")
    assert shown.path == registers.path
    assert registers.said() == "✓ lowCreditThreshold is written and read back."
    assert "0.500 kWh" in registers.part("registers_writable")
    assert "0.500 kWh" in registers.web.http.get(f"{registers.path}/change?register=0030").text


def test_a_value_that_cannot_be_is_shown_again_and_nothing_is_sent(registers: Registers) -> None:
    before = registers.said()
    answer = registers.write("0030", "5x")
    assert answer.status == 422
    assert 'value="5x"' in answer.html
    assert "a decimal number is wanted" in answer.text
    assert registers.said() == before


@pytest.mark.parametrize(
    ("address", "value", "why"),
    [("0F00", "1", "no such register"), ("0032", "2", "lowCreditAlarmEnabled was not written")],
)
def test_a_refused_write_says_why(registers: Registers, address: str, value: str, why: str) -> None:
    registers.write(address, value)
    said = registers.said()
    assert "was not written: " in said
    assert why in said
    assert "✗" in said


def test_a_text_is_taken_away_only_when_that_is_confirmed(registers: Registers) -> None:
    registers.write("0031", "cellar")
    registers.said()
    asked = registers.write("0031", "")
    assert "Nothing is typed. Take away what stands in installationReference?" in asked.text
    assert "cellar" in registers.part("registers_writable")
    registers.write("0031", "", sure="yes")
    assert registers.said() == "✓ installationReference is written and read back."
    assert "installationReference" in registers.part("registers_writable")
    assert "cellar" not in registers.part("registers_writable")


def test_nothing_is_written_to_another_meter_than_the_page_shows(registers: Registers) -> None:
    answer = registers.write("0030", "7", meter="600727111111111153")
    assert answer.status == 409
    assert "Another meter is meant here by now" in answer.text
    assert "0.007" not in registers.read(words="lowCreditThreshold")


def test_what_was_read_of_one_meter_is_not_shown_of_the_next(
    registers: Registers, tmp_path: Path
) -> None:
    listen = f"tcp://127.0.0.1:{free_port()}"
    with meter(tmp_path, listen=listen) as address:
        place = registers.web.connect(address, registers.companion)
        there = Registers(registers.web, place, registers.companion)
        there.write("0030", "777")
        there.said()
        assert PAN in there.read(words="meterPAN")
        assert "0.777" in there.part("registers_writable")
    with meter(tmp_path, "--pan", "600727111111111153", name="next", listen=listen) as address:
        assert registers.web.connect(address, registers.companion) == place
        assert PAN not in there.part("registers")
        assert "0.777" not in there.part("registers_writable")


@pytest.mark.parametrize("register", ["0020", "FFFF", "", "<script>"])
def test_a_register_that_cannot_be_written_has_no_page(registers: Registers, register: str) -> None:
    answer = registers.web.http.get(f"{registers.path}/change?register={register}")
    assert answer.status == 404
    assert "<script>" not in answer.html.replace('<script type="module"', "")


@pytest.mark.parametrize("text", [SCRIPT, QUOTES])
def test_what_a_register_holds_is_shown_as_text(registers: Registers, text: str) -> None:
    registers.write("0031", text)
    assert "is written and read back" in registers.said()
    registers.read(words="installationReference")
    for name in ("registers", "registers_writable"):
        html = registers.html(name)
        assert escape(text) in html
        assert text in registers.part(name)
        assert "<script>alert" not in html
        assert "<b>" not in html
    change = registers.web.http.get(f"{registers.path}/change?register=0031")
    assert text in change.text
    assert text not in change.html
    # A value that was typed and not taken stands in the field again.
    back = registers.write("0031", text + "x" * 33)
    assert back.status == 422
    assert f'value="{escape(text)}x' in back.html
    assert text not in back.html
    line = registers.web.http.get(f"/at/{registers.place}/line")
    assert "installationReference" in line.text
    assert "<script>alert" not in line.html


def test_in_a_browser_a_value_is_checked_as_it_is_typed_and_a_script_stays_text(
    registers: Registers, browser: Chromium
) -> None:
    registers.write("0031", SCRIPT)
    registers.said()
    with browser.page(registers.web, registers.path, width=360) as page:  # no dialog, no error
        page.get_by_role("cell", name=SCRIPT).wait_for()
        page.get_by_role("link", name="change lowCreditThreshold").click()
        page.locator("input[name=value]:focus").wait_for()  # one can type at once
        page.keyboard.type("5x")
        page.get_by_text("a decimal number is wanted, in Wh").wait_for()
        assert page.get_by_label("New value").get_attribute("aria-invalid") == "true"
        page.keyboard.press("Backspace")
        page.get_by_text("lowCreditThreshold can hold this.").wait_for()
        page.keyboard.press("Enter")
        page.get_by_text("lowCreditThreshold is written and read back.").wait_for()
        page.get_by_role("cell", name="0.005 kWh").wait_for()


# --- a password -----------------------------------------------------------------------------------


def test_a_wrong_password_is_said_and_forgotten_and_the_right_one_kept(
    registers: Registers, tmp_path: Path
) -> None:
    secret_file(tmp_path / "password", "OPENSESAME")
    store, companion = str(tmp_path / "c.meter"), tmp_path / "c.toml"
    companion.write_text(FAST_MODE_C)
    password = ("--password-file", str(tmp_path / "password"))
    done("meter", "new", store, "--companion", str(companion), *password)
    application = registers.web
    with served(store, "--listen", "tcp://127.0.0.1:0") as there:
        place = application.connect(there.address, str(companion))
        here = Registers(application, place, "")
        asked = application.http.get(f"{here.path}/change?register=0030")
        assert "This meter wants a password before anything is written." in asked.text
        assert 'type="password"' in asked.html

        missing = here.write("0030", "500")
        assert missing.status == 422
        assert _passwords(here) == 0
        here.write("0030", "500", password="WRONGWRONG")
        assert "refused the password" in here.said()
        assert "wants a password" in here.part("registers_writable")  # it is asked for again
        assert _passwords(here) == 1  # once, and not again and again

        here.write("0030", "500", password="OPENSESAME")
        assert here.said() == "✓ lowCreditThreshold is written and read back."
        assert "wants a password" not in here.part("registers_writable")
        here.write("0030", "600")  # kept
        assert here.said() == "✓ lowCreditThreshold is written and read back."
        before = _passwords(here)

        # Reading needs none, and another meter may be there: it is not given away.
        application.http.post(f"/at/{place}/whoever")
        here.said()
        assert _passwords(here) == before
        here.write("0030", "700")  # the same meter was found: its password is known still
        assert here.said() == "✓ lowCreditThreshold is written and read back."

        assert here.post("forget").status == 204
        assert "wants a password" in here.part("registers_writable")
        everything = application.http.get(f"/at/{place}/line/trace?tokens=shown").html
        shown = application.http.get(f"/at/{place}/line?tokens=shown").html
        for secret in ("OPENSESAME", "WRONGWRONG"):
            assert secret not in everything + shown + application.said
            assert secret.encode().hex() not in everything
    application.http.post(f"/at/{place}/close")


def _passwords(here: Registers) -> int:
    """Count the passwords that were sent so far."""
    trace = here.web.http.get(f"/at/{here.place}/line/trace").html
    return sum(bool(json.loads(line).get("masked")) for line in trace.splitlines())
