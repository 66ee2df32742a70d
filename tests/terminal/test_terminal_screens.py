"""Every screen, driven by keys at a served meter, on 80 columns by 24 lines."""

from __future__ import annotations

import gettext
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_bench import credit, done, here, new_meter, registers, secret_file, served
from terminal_bench import Bench, Hand, at_hand, bench, run
from textual.widgets import RichLog, Static

from vtc07.hhu.texts import Texts, languages, texts_of
from vtc07.terminal.connect_screen import ConnectScreen
from vtc07.terminal.frame import Frame
from vtc07.terminal.journal_screen import DeliveryScreen
from vtc07.terminal.line_screen import LineScreen
from vtc07.terminal.meter_screen import MeterScreen
from vtc07.terminal.route_screen import RouteScreen
from vtc07.terminal.screens import SCREENS
from vtc07.terminal.table import WordTable

assert here


@pytest.fixture
def meter(here: Path) -> Iterator[Bench]:
    with bench(here) as found:
        yield found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


# --- connect ------------------------------------------------------------------------------------


def test_connecting_by_typing_an_address_and_again_by_one_key(meter: Bench) -> None:
    async def work() -> None:
        async with at_hand(meter.folder, companion="fast.toml") as hand:
            await hand.choose("Another address")
            await hand.type("localhost")
            await hand.press("enter")
            await hand.sees("localhost is no address.")
            await hand.press(*["backspace"] * 9)
            await hand.type(meter.address)
            await hand.press("enter")
            await hand.sees("What is wrong?", "meter 600727000000000009", "credit", "0.000 kWh")
            await hand.press("escape")
            await hand.sees(f"1 {meter.address}")
        async with at_hand(meter.folder, companion="fast.toml") as hand:
            await hand.sees(f"1 {meter.address}")
            await hand.press("enter")
            await hand.sees("What is wrong?")

    run(work)


def test_nobody_answers(here: Path) -> None:
    async def work() -> None:
        async with at_hand(here, address=f"tcp://127.0.0.1:{free_port()}") as hand:
            await hand.sees("✗ cannot connect to tcp://127.0.0.1")
            assert "What is wrong?" not in hand.screen()

    run(work)


def test_a_meter_that_does_not_answer_is_left_with_one_key(here: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:

        async def work() -> None:
            address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
            async with at_hand(here, address=address) as hand:
                await hand.sees("… connecting to")
                await hand.press("escape")
                await hand.sees("! Left: the meter is not waited for any more.")
                assert not hand.busy()

        run(work)


def test_the_companion_of_ones_own_is_asked_for_once(here: Path) -> None:
    (here / "own.toml").write_text(
        'extends = "electricity"\n[identity]\nflag = "OWn"\n[timing]\nfast_reaction_ms = 1\n'
    )
    new_meter("own.meter", "--companion", "own.toml")
    with served("own.meter", "--listen", "tcp://127.0.0.1:0") as own:

        async def work() -> None:
            async with at_hand(here, address=own.address) as hand:
                await hand.sees("which no shipped companion describes")
                await hand.type("own.toml")
                await hand.press("enter")
                await hand.sees("What is wrong?")
                await hand.choose("Read")
                await hand.press("1")
                await hand.sees("creditBalance")
            async with at_hand(here, address=own.address) as hand:
                await hand.sees("What is wrong?")
                await hand.press("f5")
                await hand.sees("Read again.")

        run(work)


def test_another_meter_is_noticed_and_nothing_is_done_there(meter: Bench) -> None:
    port = free_port()
    new_meter("other.meter", "--companion", "fast.toml", "--pan", "600727111111111153")

    async def work() -> None:
        with served("m2.meter", "--listen", f"tcp://127.0.0.1:{port}") as first:
            async with at_hand(here_, address=first.address, companion="fast.toml") as hand:
                await hand.sees("meter 600727000000000009")
                first.stop()
                with served("other.meter", "--listen", f"tcp://127.0.0.1:{port}"):
                    await hand.choose("Deliver tokens")
                    await hand.paste(credit("5.0", "--test-key"))
                    await hand.press("enter")
                    await hand.sees("600727111111111153 is connected, but 600727000000000009 is")
                    await hand.sees("Nothing is open in the journal")
                    assert not hand.app.journal.deliveries()

    here_ = meter.folder
    new_meter("m2.meter", "--companion", "fast.toml")
    run(work)


# --- read and write -----------------------------------------------------------------------------


def test_reading_groups_and_single_registers(meter: Bench) -> None:
    done("send", meter.address, credit("5.0", "--test-key"))

    async def work() -> None:
        async with meter.hand() as hand:
            await hand.choose("Read")
            await hand.choose("Token log")
            await hand.sees("tokenLog.1", "Accept", "empty entries of logs are not shown")
            await hand.press("escape")
            await hand.choose("Registers by name")
            await hand.type("loadSwitch creditBalance")
            await hand.press("enter")
            await hand.sees("0027 loadSwitch closed", "0020 creditBalance 5.000 kWh")
            await hand.press("escape")
            await hand.choose("Registers by name")
            await hand.type("creditBlance")
            await hand.press("enter")
            await hand.sees("no register 'creditBlance'", "did you mean creditBalance or")

    run(work)


def test_writing_a_register_with_a_check_as_it_is_typed(meter: Bench) -> None:
    async def work() -> None:
        async with meter.hand() as hand:
            await hand.choose("Write")
            await hand.sees("lowCreditThreshold", "0.000 kWh")
            await hand.press("enter")
            await hand.type("50")
            await hand.sees("lowCreditThreshold can hold this.")
            await hand.type("x")
            await hand.sees("cannot be '50x'")
            await hand.press("enter")
            assert not hand.busy()
            await hand.press("backspace")
            await hand.type("0")
            await hand.press("enter")
            await hand.sees("lowCreditThreshold is written and read back.", "0.500 kWh")

    run(work)
    read = done("read", meter.address, "lowCreditThreshold", "--no-journal", "--json").json
    assert registers(read)["lowCreditThreshold"] == 500


def test_a_meter_behind_a_password_asks_for_it_and_does_not_show_it(here: Path) -> None:
    password = secret_file(here / "password", "12345678")
    new_meter("c.meter", "--companion", "electricity-mode-c", "--password-file", password)
    with served("c.meter", "--listen", "tcp://127.0.0.1:0") as optical:

        async def work() -> None:
            async with at_hand(here, address=optical.address) as hand:
                await hand.choose("Write")
                await hand.sees("wants a password")
                await hand.type("12345678")
                assert "12345678" not in hand.screen()
                await hand.press("enter")
                await hand.sees("lowCreditThreshold", "0.000 kWh")
                await hand.rests()
                await hand.press("enter")
                await hand.type("700")
                await hand.press("enter")
                await hand.sees("is written and read back.")
                await hand.press("f2")
                await hand.sees("BreakCommand")
                assert "12345678" not in hand.screen()

        run(work)


def test_a_wrong_password_is_given_once(here: Path) -> None:
    password = secret_file(here / "password", "12345678")
    new_meter("c.meter", "--companion", "electricity-mode-c", "--password-file", password)
    with served("c.meter", "--listen", "tcp://127.0.0.1:0") as optical:

        async def work() -> None:
            async with at_hand(here, address=optical.address) as hand:
                await hand.choose("Write")
                await hand.sees("wants a password")
                await hand.type("87654321")
                await hand.press("enter")
                await hand.sees("refused the password")
                await hand.press("f5")
                await hand.sees("0.000 kWh")  # read without any
                await hand.press("escape")
                await hand.choose("Write")
                await hand.sees("wants a password")

        run(work)


def test_a_value_is_not_sent_without_the_password_that_was_wrong_before(here: Path) -> None:
    password = secret_file(here / "password", "12345678")
    new_meter("c.meter", "--companion", "electricity-mode-c", "--password-file", password)
    with served("c.meter", "--listen", "tcp://127.0.0.1:0") as optical:

        async def work() -> None:
            async with at_hand(here, address=optical.address) as hand:
                await hand.choose("Write")
                await hand.sees("wants a password")
                await hand.type("87654321")
                await hand.press("enter")
                await hand.sees("refused the password")
                await hand.rests()
                await hand.press("enter")
                await hand.type("700")
                await hand.press("enter")
                await hand.sees("wants a password")
                await hand.type("12345678")
                await hand.press("enter")
                await hand.sees("is written and read back.")

        run(work)


# --- the line, the journal, what is wrong -------------------------------------------------------


def test_the_line_is_watched_while_something_is_done(meter: Bench) -> None:
    async def work() -> None:
        async with meter.hand() as hand:
            await hand.sees("What is wrong?")
            await hand.press("f2")
            await hand.sees("→ BreakCommand", "← Data")
            await hand.press("escape")
            await hand.sees("What is wrong?")

    run(work)


def test_the_journal_shows_deliveries_and_their_messages(meter: Bench) -> None:
    token = credit("5.0", "--test-key")

    async def work() -> None:
        async with meter.hand() as hand:
            await hand.choose("Journal")
            await hand.sees("The journal holds no delivery yet.")
            await hand.press("escape")
            await hand.choose("Deliver tokens")
            await hand.paste(token)
            await hand.press("enter")
            await hand.sees("delivered: Accept")
            await hand.press("escape")
            await hand.choose("Journal")
            await hand.sees(f"...{token[-4:]} delivered: Accept")
            await hand.press("f6")
            await hand.sees("There are no older ones.")
            await hand.press("enter")
            await hand.sees("Delivery 1", "the delivery is written down", "ReadCommand")
            await hand.press("pagedown")
            await hand.sees("WriteCommand")

    run(work)


def test_why_a_token_was_refused_by_one_key(meter: Bench) -> None:
    async def work() -> None:
        async with meter.hand() as hand:
            await hand.choose("Deliver tokens")
            await hand.paste(credit("5.0", "--test-key", "--ti", "07"))
            await hand.press("enter")
            await hand.sees("refused: CRCError", "F4 why?")
            await hand.press("f4")
            await hand.sees("a digit is wrong, or the token is for another", "TI 01")
            await hand.press("escape")
            await hand.sees("issued (2026-03-01 12:30)")
            await hand.press("down", "down", "down")
            await hand.type("07")
            await hand.press("enter")
            await hand.sees("the token is for TI 07; the meter's is 01")

    run(work)


# --- how it looks -------------------------------------------------------------------------------


def test_without_colour_the_same_is_said(meter: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def work() -> None:
        async with meter.hand() as hand:
            assert hand.app.no_color
            await hand.choose("Deliver tokens")
            await hand.paste("9" * 19)
            await hand.sees("✗ No token is as large as this")
            await hand.press("f3")  # light and dark are a matter of taste, not of meaning
            await hand.sees("✗ No token is as large as this")

    run(work)


#: What the application calls keys, by how it shows them.
SHOWN_KEYS = {
    "Enter": ("enter",),
    "Esc": ("escape",),
    "F2": ("f2",),
    "F3": ("f3",),
    "F4": ("f4",),
    "F5": ("f5",),
    "F6/F7": ("f6", "f7"),
    "F6": ("f6",),
    "F7": ("f7",),
    "F8": ("f8",),
    "Ctrl+Q": ("ctrl+q",),
    "↑↓": ("up", "down"),
    "Tab ↑↓": ("tab", "up", "down"),
    "↑↓ PgUp PgDn": ("up", "down", "pageup", "pagedown"),
    "Backspace": ("backspace",),
}
IN_THE_FIELD = {"+"}  # no binding, for there it is a character


class Marking(gettext.NullTranslations):
    """A language in which everything that is translated stands between marks."""

    def gettext(self, message: str) -> str:
        return f"«{message}»"

    def ngettext(self, one: str, many: str, count: int) -> str:
        return f"«{one if count == 1 else many}»"


async def go_through(hand: Hand, look: Callable[[Hand], None]) -> None:
    """Go through all screens, and have each looked at once it rests."""
    app = hand.app

    async def looked() -> None:
        await hand.rests()
        look(hand)

    await hand.waits(lambda: isinstance(app.screen, MeterScreen))
    await looked()
    for name in SCREENS:
        app.show(name)
        await hand.waits(lambda: not isinstance(app.screen, MeterScreen))
        await looked()
        if name == "read":
            await hand.press("1")
            await hand.waits(lambda: app.screen.query_one(WordTable).display)
            await looked()
            await hand.press("escape")
        elif name == "write":
            await hand.press("enter")
            await looked()
            await hand.press("escape")
        elif name == "diagnose":
            await hand.press("enter")
            await hand.waits(lambda: app.screen.query_one(RichLog).display)
            await looked()
            await hand.press("escape")
        elif name == "journal":
            await hand.press("enter")
            await hand.waits(lambda: isinstance(app.screen, DeliveryScreen))
            await looked()
            await hand.press("escape")
        elif name == "route":
            await hand.press("1")
            await hand.waits(lambda: isinstance(app.screen, RouteScreen))
            await looked()
            await hand.press("escape")
        await hand.press("escape")
        await hand.waits(lambda: isinstance(app.screen, MeterScreen))
    await hand.press("f2")
    await hand.waits(lambda: isinstance(app.screen, LineScreen))
    await looked()
    await hand.press("escape", "escape")
    await hand.waits(lambda: isinstance(app.screen, ConnectScreen))
    await looked()


@pytest.fixture
def busy_day(meter: Bench) -> Bench:
    """A meter, a journal with something in it, and a route."""
    journal = str(meter.folder / "deliveries.journal")
    done("send", meter.address, credit("5.0", "--test-key"), "--journal", journal)
    (meter.folder / "day.csv").write_text("meter,place,read\n600727000000000009,Flat 7,KRN\n")
    return meter


def nothing_is_cut_off(hand: Hand) -> None:
    """Require title, what is said, and keys to stand whole on the screen."""
    screen = " ".join(hand.screen().split())
    for name in ("#title", "#said", "#keys"):
        words = str(hand.app.screen.query_one(name, Static).content)
        assert " ".join(words.split()) in screen, (name, words)


def test_everything_fits_and_every_key_that_is_shown_does_something(busy_day: Bench) -> None:
    looked_at: list[str] = []

    def look(hand: Hand) -> None:
        screen = hand.app.screen
        assert isinstance(screen, Frame)
        nothing_is_cut_off(hand)
        bindings = screen.active_bindings
        for label, _ in screen.offered():
            if label not in IN_THE_FIELD:
                assert all(key in bindings for key in SHOWN_KEYS[label]), (screen, label)
        looked_at.append(type(screen).__name__)

    async def work() -> None:
        async with busy_day.hand() as hand:
            await go_through(hand, look)

    run(work)
    assert set(looked_at) == {kind.__name__ for kind in all_frames(Frame)}


@pytest.mark.parametrize("language", [code for code in languages() if code != "en"])
def test_it_fits_in_every_language(busy_day: Bench, language: str) -> None:
    texts = texts_of(language)

    def look(hand: Hand) -> None:
        nothing_is_cut_off(hand)
        words = str(hand.app.screen.query_one("#keys", Static).content)
        assert f" {texts('back')}" in words or isinstance(hand.app.screen, ConnectScreen)

    async def work() -> None:
        async with busy_day.hand(texts=texts) as hand:
            await go_through(hand, look)

    run(work)


def test_everything_that_is_said_comes_out_of_the_catalogue(busy_day: Bench) -> None:
    def look(hand: Hand) -> None:
        screen = hand.app.screen
        assert isinstance(screen, Frame)
        title, *_ = hand.screen().splitlines()
        assert title.startswith(" «")
        said = str(screen.query_one("#said", Static).content).lstrip("✓!✗… ")
        assert not said or said.startswith("«"), said
        for key, does in screen.offered():
            assert f"«{does}»" in str(screen.query_one("#keys", Static).content)
            assert key

    async def work() -> None:
        async with busy_day.hand(texts=Texts("xx", Marking())) as hand:
            await go_through(hand, look)

    run(work)


def all_frames(kind: type[Frame]) -> Iterator[type[Frame]]:
    """Yield the screens there are."""
    for each in kind.__subclasses__():
        yield each
        yield from all_frames(each)
