"""A route worked on at the keys, meter after meter, with a cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cable import Cable
from cli_bench import credit, done, here, registers
from terminal_bench import Bench, Hand, at_hand, bench, run

assert here

PAN = "600727000000000009"
OTHER = "600727111111111153"


@pytest.fixture
def meter(here: Path) -> Iterator[Bench]:
    with bench(here) as found:
        yield found


def route(folder: Path, *rows: str) -> None:
    (folder / "monday.csv").write_text("\n".join(("meter,place,deliver,write,read", *rows)) + "\n")


def test_a_meter_of_a_route_is_done_and_the_next_is_waited_for(meter: Bench) -> None:
    token = credit("5.0", "--test-key")
    route(
        meter.folder,
        f"{PAN},Flat 7,{token},lowCreditThreshold=500,creditBalance",
        f"{OTHER},Flat 8,,,creditBalance",
    )

    async def work() -> None:
        async with at_hand(meter.folder, companion="fast.toml") as hand:
            await hand.choose("Route")
            await hand.choose("monday.csv")
            await hand.sees("0 of 2 meters done", "Flat 7", "Flat 8", "not visited")
            await hand.press("enter")
            await hand.sees("Where is the meter?")
            await hand.type(meter.address)
            await hand.press("enter")
            await hand.sees(f"deliver {token[-4:]}: delivered: Accept", "1 of 2 meters done")
            await hand.sees("read creditBalance: 5.000 kWh", "3 tasks done")
            await hand.sees("Enter next meter")
            await hand.press("enter")
            await hand.sees("everything is done at this meter")
            await hand.press("escape")
            await hand.sees("Flat 8", "not visited")
            await hand.press("f4")
            await hand.sees(
                f"{PAN} deliver 1, write 1, read 1 done Flat 7",
                f"{OTHER} read 1 not visited Flat 8",
            )
            assert len(hand.app.journal.deliveries()) == 1

    run(work)
    read = done("read", meter.address, "lowCreditThreshold", "--no-journal", "--json").json
    assert registers(read)["lowCreditThreshold"] == 500


def test_a_visit_that_is_cut_goes_on_where_it_ended(meter: Bench) -> None:
    token = credit("5.0", "--test-key")
    route(meter.folder, f"{PAN},Flat 7,{token},,creditBalance")

    async def work() -> None:
        with Cable(meter.address, token.encode(), whole=True) as cable:
            async with meter.hand(cable.address) as hand:
                await hand.choose("Route")
                await hand.choose("monday.csv")
                await hand.sees("0 of 1 meters done")
                await hand.press("enter")
                await hand.sees("1 open")
        async with meter.hand() as hand:
            await hand.sees("is open")
            await hand.choose("Route")
            await hand.choose("monday.csv")
            await hand.sees("1 open")
            await hand.press("enter")
            await hand.sees("Earlier delivery 1: delivered: Accept", "1 of 1 meters done")
            await hand.sees("There is nothing left to do on this route.")
            await hand.sees("and with", "everything at this meter")

    run(work)
    read = done("read", meter.address, "totalCreditAccepted", "--no-journal", "--json").json
    assert registers(read)["totalCreditAccepted"] == 5_000


def test_a_meter_that_is_not_on_the_route_is_said(meter: Bench) -> None:
    route(meter.folder, f"{OTHER},Flat 8,,,creditBalance")

    async def work() -> None:
        async with meter.hand() as hand:
            await hand.choose("Route")
            await hand.choose("monday.csv")
            await hand.sees("0 of 1 meters done")
            await hand.press("enter")
            await hand.sees("this meter is not on the route")

    run(work)


def test_a_file_that_is_no_route_says_why(meter: Bench) -> None:
    (meter.folder / "monday.csv").write_text("hello\n")
    (meter.folder / "long.csv").write_text(
        "meter,place,read\n" + "".join(f"{OTHER},Flat {n},KRN\n" for n in range(250))
    )

    async def work() -> None:
        async with meter.hand() as hand:
            await hand.choose("Route")
            await hand.choose("monday.csv")
            await hand.sees("✗", "monday.csv")
            await hand.choose("Another file")
            await hand.type("missing.csv")
            await hand.press("enter")
            await hand.sees("missing.csv cannot be used")
            await hand.choose("long.csv")
            await hand.sees("0 of 250 meters done", "Flat 0")
            await hand.press("f6", "f6")
            await hand.sees("Flat 200")
            await hand.press("f6")
            await hand.sees("There are no more.")
            await hand.press("f7")
            await hand.sees("Flat 100")

    run(work)


def test_a_corrected_file_goes_on_with_the_round_and_a_new_round_begins_anew(meter: Bench) -> None:
    route(meter.folder, f"{PAN},Flat 7,,,creditBalance")

    async def visit(hand: Hand) -> None:
        await hand.choose("Route")
        await hand.choose("monday.csv")

    async def work() -> None:
        async with meter.hand() as hand:
            await visit(hand)
            await hand.sees("0 of 1 meters done")
            await hand.press("enter")
            await hand.sees("1 of 1 meters done")
        route(meter.folder, f"{PAN},Flat 7,,,creditBalance", f"{OTHER},Flat 8,,,creditBalance")
        async with meter.hand() as hand:
            await visit(hand)
            await hand.sees("Is this the same route, corrected?")
            await hand.press("1")
            await hand.sees("1 of 2 meters done")
            await hand.press("f8")
            await hand.sees("Begin a new round?")
            await hand.press("escape")
            await hand.sees("1 of 2 meters done")
            await hand.press("f8", "f8")
            await hand.sees("0 of 2 meters done")

    run(work)


def test_a_route_whose_file_is_gone_is_told_once(meter: Bench) -> None:
    route(meter.folder, f"{PAN},Flat 7,,,creditBalance")

    async def work() -> None:
        async with meter.hand() as hand:
            await hand.choose("Route")
            await hand.choose("monday.csv")
            await hand.sees("0 of 1 meters done")
            (meter.folder / "monday.csv").unlink()
            await hand.press("f4")
            await hand.sees("monday.csv cannot be used")
            await hand.rests()
            await hand.press("enter")
            await hand.sees("monday.csv cannot be used")
            await hand.rests()

    run(work)
