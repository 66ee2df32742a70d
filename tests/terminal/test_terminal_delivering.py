"""Tokens delivered by hand, at the keys, with cuts: nothing lost, nothing twice, nothing untrue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cable import Cable
from cli_bench import credit, done, here, new_meter, registers, vtc07
from terminal_bench import Bench, Hand, bench, happens, run

from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.outcome import Delivered, Meaning, NoLink, meaning_of
from vtc07.screens.delivering import Told
from vtc07.screens.meter_line import Target

assert here


@pytest.fixture
def meter(here: Path) -> Iterator[Bench]:
    with bench(here) as found:
        yield found


def credit_at(meter: Bench) -> int:
    """Ask the meter itself what it has taken, in Wh."""
    read = done("read", meter.address, "totalCreditAccepted", "--no-journal", "--json").json
    return int(registers(read)["totalCreditAccepted"])


async def to_deliver(hand: Hand) -> None:
    await hand.sees("What is wrong?")
    await hand.choose("Deliver tokens")
    await hand.sees("Type the 20 digits")


def test_a_token_is_checked_as_it_is_typed_and_delivered(meter: Bench) -> None:
    token = credit("25.0", "--test-key")

    async def work() -> None:
        async with meter.hand() as hand:
            await to_deliver(hand)
            await hand.type(token[:19])
            assert "1 digit is missing" in await hand.sees("missing")
            await hand.type(token[19:])
            await hand.sees("✓ Class 0: credit.")
            await hand.press("enter")
            await hand.sees("delivered: Accept", "Delivered. Credit now: 25.000 kWh")
            await hand.press("enter")
            await hand.type(token)
            await hand.sees("this meter took it", "(delivery 1)")
            await hand.press("enter")
            await hand.sees("The meter took it before; nothing was entered.")
            assert len(hand.app.journal.deliveries()) == 1

    run(work)
    assert credit_at(meter) == 25_000


def test_the_cable_is_cut_before_the_meter_has_the_token(meter: Bench) -> None:
    token = credit("25.0", "--test-key")

    async def work() -> None:
        with Cable(meter.address, token.encode()) as cable:
            async with meter.hand(cable.address) as hand:
                await to_deliver(hand)
                await hand.paste(token)
                await hand.press("enter")
                await hand.sees("Nobody can tell from here")
                await hand.press("escape", "escape")
                await hand.sees("Open deliveries: 1 is to be looked into")
        async with meter.hand() as hand:
            await hand.sees("1 delivery to this meter is open")
            await hand.choose("Deliver tokens")
            await hand.paste(token)
            await hand.sees("delivery 1 of", "is open")
            await hand.press("enter")
            await hand.sees("Earlier delivery 1: not taken", "Delivered. Credit now: 25.000 kWh")
            assert not hand.app.journal.unresolved()

    run(work)
    assert credit_at(meter) == 25_000


def test_the_cable_is_cut_after_the_meter_has_the_token(meter: Bench) -> None:
    token = credit("25.0", "--test-key")

    async def work() -> None:
        with Cable(meter.address, token.encode(), whole=True) as cable:
            async with meter.hand(cable.address) as hand:
                await to_deliver(hand)
                await hand.paste(token)
                await hand.press("enter")
                await hand.sees("Nobody can tell from here")
        async with meter.hand() as hand:
            await hand.sees("1 delivery to this meter is open")
            await hand.choose("Open deliveries")
            await hand.sees("do not enter it again")
            await hand.press("enter")
            await hand.sees("Delivery 1", "delivered: Accept", "is known now")
            assert not hand.app.journal.unresolved()

    run(work)
    assert credit_at(meter) == 25_000


@asynccontextmanager
async def hanging(
    meter: Bench, token: str, *, whole: bool = False, typed: str = ""
) -> AsyncIterator[tuple[Hand, Cable]]:
    """Deliver what is typed over a cable that hangs at the token, and wait until it does."""
    with Cable(meter.address, token.encode(), whole=whole, hangs=True) as cable:
        async with meter.hand(cable.address) as hand:
            await to_deliver(hand)
            await hand.paste(typed or token)
            await hand.press("enter")
            await happens(cable.failed)
            yield hand, cable


def test_leaving_in_the_middle_is_asked_for_safe_and_says_so(meter: Bench) -> None:
    token = credit("25.0", "--test-key")

    async def work() -> None:
        async with hanging(meter, token, whole=True) as (hand, _):
            await hand.press("escape")
            await hand.sees("Tokens are being delivered.")
            await hand.press("escape")  # go on waiting
            assert hand.busy()
            await hand.press("escape")
            await hand.sees("Tokens are being delivered.")
            await hand.press("enter")  # not the key for it
            await hand.sees("Tokens are being delivered.")
            await hand.press("l")
            await hand.sees("Left", "Delivery 1 stands open in the journal")
            assert not hand.busy()
            assert [d.number for d in hand.app.journal.unresolved()] == [1]
        async with meter.hand() as hand:
            await hand.sees("1 delivery to this meter is open")

    run(work)
    assert credit_at(meter) == 25_000


def test_quitting_in_the_middle_is_asked_for_first(meter: Bench) -> None:
    token = credit("25.0", "--test-key")

    async def work() -> None:
        async with hanging(meter, token) as (hand, _):
            await hand.press("ctrl+q")
            await hand.sees("Tokens are being delivered.")
            await hand.press("l")
            await hand.sees("stands open in the journal")
            await hand.press("ctrl+q")
            assert hand.app._exit

    run(work)
    assert credit_at(meter) == 0


def test_a_question_whether_to_leave_goes_when_the_delivery_has_ended(meter: Bench) -> None:
    token = credit("25.0", "--test-key")

    async def work() -> None:
        async with hanging(meter, token) as (hand, cable):
            await hand.press("escape")
            await hand.sees("Tokens are being delivered.")
            cable._pull()
            await hand.sees("Nobody can tell from here")
            assert "Tokens are being delivered." not in hand.screen()

    run(work)


def test_a_key_change_is_delivered_whole_and_goes_on_where_it_ended(meter: Bench) -> None:
    found = done("token", "keychange", "--test-key", "--to-krn", "2", "--json").json["tokens"]
    tokens = [each["token"] for each in found]

    async def type_set(hand: Hand) -> None:
        for place, token in enumerate(tokens):
            if place:
                await hand.press("plus")
            await hand.paste(token)
        await hand.press("enter")
        await hand.sees(f"Are these {len(tokens)} tokens one key change?")
        await hand.press("1")

    async def work() -> None:
        with Cable(meter.address, tokens[2].encode()) as cable:
            async with meter.hand(cable.address) as hand:
                await to_deliver(hand)
                await type_set(hand)
                await hand.sees("another token")
                assert len(hand.app.journal.unresolved()) == 1
        async with meter.hand() as hand:
            await to_deliver(hand)
            await type_set(hand)
            screen = await hand.sees("the key change is complete")
            assert screen.count("The meter took it before; nothing was entered.") == 2
            assert not hand.app.journal.unresolved()

    run(work)
    read = done("read", meter.address, "KRN", "--no-journal", "--json").json
    assert registers(read)["KRN"] == 2


def test_pasted_tokens_are_taken_together_and_taken_back_one_by_one(meter: Bench) -> None:
    first, second = credit("5.0", "--test-key"), credit("6.0", "--test-key", at="2026-03-02T12:00")

    async def work() -> None:
        async with meter.hand() as hand:
            await to_deliver(hand)
            await hand.paste(f"{first[:4]} {first[4:]}\n{second}")
            await hand.sees("1 " + " ".join(first[at : at + 4] for at in range(0, 20, 4)))
            await hand.press("enter")
            await hand.sees("All 2 tokens are delivered. Credit now: 11.000 kWh")
            await hand.press("enter")
            await hand.paste(f"{first} {second}")
            await hand.sees("this meter took it")
            await hand.press(*["backspace"] * 21)
            assert hand.field().replace(" ", "") == first

    run(work)


def test_a_wrong_token_cannot_be_sent(meter: Bench) -> None:
    async def work() -> None:
        async with meter.hand() as hand:
            await to_deliver(hand)
            await hand.type("1234")
            await hand.press("enter")
            await hand.sees("not complete")
            await hand.type("99999999999999999999")  # what is beyond 20 digits is not taken
            assert len(hand.field().replace(" ", "")) == 20
            await hand.press(*["backspace"] * 30)
            await hand.type("9")
            await hand.sees("No token is as large as this")
            await hand.press("enter")
            assert not hand.busy()
            assert not hand.app.journal.deliveries()

    run(work)


def test_a_meter_that_refuses_says_why_in_words(meter: Bench) -> None:
    token = credit("5.0", "--test-key", "--ti", "07")

    async def work() -> None:
        async with meter.hand() as hand:
            await to_deliver(hand)
            await hand.paste(token)
            await hand.press("enter")
            await hand.sees("refused: CRCError", "a digit is wrong, or the token is for another")
            await hand.sees("0 of 1 delivered")

    run(work)


def test_a_delivery_whose_meter_is_gone_is_closed_by_hand(meter: Bench) -> None:
    token = credit("25.0", "--test-key")

    async def work() -> None:
        with Cable(meter.address, token.encode()) as cable:
            async with meter.hand(cable.address) as hand:
                await to_deliver(hand)
                await hand.paste(token)
                await hand.press("enter")
                await hand.sees("Nobody can tell from here")
                await hand.press("escape", "escape")
                await hand.choose("Open deliveries")
                await hand.sees("do not enter it again")
                await hand.press("f8")
                await hand.sees("Close delivery 1 as unresolved")
                await hand.press("enter")  # a reason is wanted
                await hand.press("escape")
                await hand.press("f8")
                await hand.type("burnt")
                await hand.press("enter")
                await hand.sees("Delivery 1 is closed")
                closed = hand.app.journal.delivery(1)
                assert "burnt" in str(closed.result)

    run(work)


def test_a_token_that_went_to_another_meter_is_told(meter: Bench) -> None:
    token = credit("25.0", "--test-key")
    new_meter(
        "other.meter", "--companion", "fast.toml", "--pan", "600727111111111153", "--test-key"
    )
    journal = str(meter.folder / "deliveries.journal")
    assert vtc07("send", "sim:other.meter", token, "--journal", journal).code == 1

    async def work() -> None:
        async with meter.hand() as hand:
            await to_deliver(hand)
            await hand.paste(token)
            await hand.sees("! Class 0: credit.", "sent to another meter, 600727111111111153")

    run(work)


def test_what_is_known_of_each_token_is_told_after_leaving(meter: Bench) -> None:
    first, second = credit("5.0", "--test-key"), credit("6.0", "--test-key", at="2026-03-02T12:00")

    async def work() -> None:
        async with hanging(meter, second, typed=f"{first} {second}") as (hand, _):
            await hand.press("escape")
            await hand.sees("Tokens are being delivered.")
            await hand.press("l")
            screen = await hand.sees("Left", "Delivery 2 stands open in the journal")
            assert screen.count("delivered: Accept") == 1

    run(work)


def test_a_section_that_is_entered_again_is_not_told_as_known(meter: Bench) -> None:
    found = done("token", "keychange", "--test-key", "--to-krn", "2", "--json").json["tokens"]
    section = found[0]["token"]

    async def work() -> None:
        async with meter.hand() as hand:
            for _ in range(2):
                await to_deliver(hand)
                await hand.paste(section)
                await hand.press("enter")
                screen = await hand.sees("delivered: 1stKCT", "another token")
                assert "nothing was entered" not in screen
                await hand.press("escape")
            assert len(hand.app.journal.deliveries()) == 2

    run(work)


def test_a_line_that_fails_behind_a_delivered_token_hides_nothing() -> None:
    accepted = Delivered(TokenStatus.ACCEPT, 1)
    outcomes = (accepted, NoLink("nobody answers"))
    told = Told(outcomes, meaning_of(outcomes), (), (), frozenset(), None)
    assert str(told.summary) == "1 of 2 delivered."
    nothing = Told((outcomes[1],), Meaning.NO_LINK, (), (), frozenset(), None)
    assert str(nothing.summary) == "The meter was not reached; nothing was sent."


def test_keys_that_come_all_at_once_begin_one_piece_of_work(meter: Bench) -> None:
    async def work() -> None:
        async with meter.hand() as hand:
            await hand.choose("Open deliveries")
            await hand.sees("Nothing is open")
            hand.press_at_once(*["enter"] * 5)
            await hand.sees("Nothing is open at this meter")
            await hand.rests()

    run(work)


def test_a_write_that_cannot_be_looked_into_is_not_told_as_nothing(meter: Bench) -> None:
    """The line breaks when the register is read that was about to be written."""
    pan = "600727000000000009"
    with FileJournal(meter.folder / "deliveries.journal") as journal:
        members = {"register": "installationReference", "value": "Flat 7"}
        journal.record(NewEntry(EntryKind.SETTING, datetime.now(UTC), members, pan))
    address = load_companion("electricity").table.named("installationReference").address

    async def work() -> None:
        with Cable(meter.address, f"R1\x02{address}".encode()) as cable:
            async with meter.hand() as hand:
                await hand.choose("Open deliveries")
                await hand.sees("installationReference=Flat 7")
                assert hand.app.target is not None
                hand.app.target = Target.typed(cable.address, "fast.toml")
                await hand.press("enter")
                await hand.sees("Not everything is known yet.")

    run(work)
