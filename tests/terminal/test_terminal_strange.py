"""What is too long, too many, or not meant to be shown: the application stays readable."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cli_bench import done, here, registers
from terminal_bench import Bench, at_hand, bench, run

from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.resolution import Snapshot
from vtc07.terminal.journal_screen import DeliveryScreen

assert here

PAN = "600727000000000009"
EVIL = "\x1b]0;owned\x07\x9b2J[b]m"
SHOWN = "?]0;owned??2J[b]m"


@pytest.fixture
def meter(here: Path) -> Iterator[Bench]:
    with bench(here) as found:
        yield found


@pytest.mark.skipif(sys.platform == "win32", reason="no file has such a name there")
def test_nothing_that_others_named_commands_the_terminal(here: Path) -> None:
    (here / f"a{EVIL}.csv").write_text(f"meter,read\n{PAN},KRN\n")
    with FileJournal(here / "deliveries.journal") as journal:
        journal.open_delivery(PAN + EVIL, "11112222333344445555", None, datetime.now(UTC))

    async def work() -> None:
        async with at_hand(here) as hand:
            for screen, shown in (("route", "a" + SHOWN), ("open", PAN), ("journal", PAN)):
                hand.app.show(screen)
                await hand.sees(shown)
                assert SHOWN in hand.screen()
                assert hand.screen().replace("\n", "").isprintable()
                if screen == "journal":
                    await hand.press("enter")
                    await hand.waits(lambda: isinstance(hand.app.screen, DeliveryScreen))
                    await hand.sees("600727000000000009" + SHOWN)
                    assert hand.screen().replace("\n", "").isprintable()
                    await hand.press("escape")
                await hand.press("escape")

    run(work)


def test_a_long_address_leaves_the_title_readable(here: Path) -> None:
    async def work() -> None:
        async with at_hand(here, address=f"sim:{'x' * 200}.meter") as hand:
            await hand.rests()
            title, *_ = hand.screen().splitlines()
            assert title.startswith(" Connect sim:xxx")
            assert title.endswith("…")

    run(work)


def test_a_long_place_puts_nothing_out_of_sight(here: Path) -> None:
    place = "behind the very long street " * 20
    (here / "day.csv").write_text(f"meter,place,read\n{PAN},{place},KRN\n")

    async def work() -> None:
        async with at_hand(here) as hand:
            await hand.choose("Route")
            await hand.choose("day.csv")
            await hand.sees(PAN, "read 1", "not visited", "behind the")

    run(work)


def test_many_results_are_looked_through_by_keys(meter: Bench) -> None:
    with FileJournal(meter.folder / "deliveries.journal") as journal:
        for number in range(30):
            token, now = f"{11112222333344440000 + number}", datetime.now(UTC)
            journal.open_delivery(PAN, token, Snapshot(0, 0, "", 0), now)
            journal.announce_write(number + 1, 1, now)

    async def work() -> None:
        async with meter.hand() as hand:
            await hand.choose("Open deliveries")
            await hand.sees("1111 2222 3333 4444 0000")
            await hand.press("enter")
            await hand.sees("What was open at this meter is known now.", "Delivery 1,")
            assert "Delivery 30," not in hand.screen()
            await hand.press("end")
            await hand.sees("Delivery 30, 1111 2222 3333 4444 0029")
            assert "Tab ↑↓ look around" in hand.screen()

    run(work)


def test_a_field_takes_no_commands_for_the_terminal(meter: Bench) -> None:
    async def work() -> None:
        async with meter.hand() as hand:
            await hand.choose("Write")
            await hand.sees("installationReference")
            await hand.press("down", "enter")
            await hand.paste(EVIL)
            assert hand.field() == ""
            await hand.paste("Flat 7")
            assert hand.field() == "Flat 7"

    run(work)


def test_pressing_enter_twice_takes_no_text_away(meter: Bench) -> None:
    done("write", meter.address, "installationReference=Flat 7", "--companion", "fast.toml")

    def stands() -> object:
        read = done("read", meter.address, "installationReference", "--json")
        return registers(read.json)["installationReference"]

    async def work() -> None:
        async with meter.hand() as hand:
            await hand.choose("Write")
            await hand.sees("Flat 7")
            await hand.press("down", "enter", "enter")
            await hand.sees("Take away what stands in installationReference?")
            await hand.press("enter", "escape")
            await hand.rests()
            assert stands() == "Flat 7"
            await hand.press("enter", "f8")
            await hand.sees("✓ installationReference is written and read back.")
            assert stands() == ""

    run(work)
