"""A recorded delivery that ends at any statement of the journal, or at any character of the line.

Whatever happened, the journal verifies, the token was taken once at most, and what the next run
finds out is true.
"""

from __future__ import annotations

import pytest
from hhu_bench import wall_clock
from recorded_unit import Unit, tokens, unit
from true_outcomes import TOKEN, WH

from vtc07.carrier.companion import Companion, S
from vtc07.durable.database import PowerLost
from vtc07.hhu.delivery import resolve_earlier, send
from vtc07.hhu.history.sequence import sequence_of
from vtc07.hhu.history.sequence_text import text_lines
from vtc07.hhu.journal.check import ChainCheck, links, misfitting_deliveries
from vtc07.hhu.journal.entries import EntryKind
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.outcome import Delivered


class Ended(PowerLost):
    """The unit lost power, or somebody pressed Ctrl-C."""


def find_out(made: Unit, place: MemoryPlace, companion: Companion) -> None:
    """Let a new program look at the same journal and the same meter, and judge what it says."""
    made.is_alive = False
    line = made.meter.line
    line.fault = None
    line.idle(companion.timing.inactivity_ns + 10 * S)
    again = Unit(companion, place, state=made.meter.state)
    with again.journal:
        open_before = again.journal.unresolved()
        report = again.run(resolve_earlier(again.session, again.journal, wall_clock=wall_clock))
        again.run(again.session.sign_off())
        again.recording.finish()
        assert again.recording.problems == []
        assert again.journal.unresolved() == ()
        accepted = made.meter.state.account.accepted
        assert accepted in (0, WH)
        for earlier in report.earlier:
            assert isinstance(earlier.outcome, Delivered) == (accepted == WH)
        assert len(report.earlier) == len(open_before)
        if accepted and not open_before:
            (known,) = again.journal.deliveries()
            assert known.result == "delivered: Accept"
        check = ChainCheck()
        for link in links(again.journal, until=again.journal.head().number):
            check.take(link)
        assert check.findings == []
        assert list(misfitting_deliveries(again.journal)) == []
        if number := again.journal.newest_delivery():
            drawn = list(text_lines(sequence_of(again.journal, number, mask=True)))
            assert TOKEN not in "".join(drawn)
            assert max(map(len, drawn)) <= 80


def statements_of_a_delivery(companion: Companion) -> int:
    count = 0

    def counting(_statement: str, _done: bool) -> None:
        nonlocal count
        count += 1

    with unit(companion) as made:
        made.place.hook = counting
        made.run(send(made.session, made.journal, tokens(TOKEN), wall_clock=wall_clock))
    return count


def test_power_that_fails_at_any_statement(electricity: Companion) -> None:
    count = statements_of_a_delivery(electricity)
    assert count > 100
    for last in range(count):
        left = last

        def failing(_statement: str, _done: bool) -> None:
            nonlocal left
            if left == 0:
                raise Ended
            left -= 1

        with MemoryPlace() as place:
            made = Unit(electricity, place)
            place.hook = failing
            with pytest.raises(Ended):
                made.run(send(made.session, made.journal, tokens(TOKEN), wall_clock=wall_clock))
            place.hook = None
            place.lose_power()
            find_out(made, place, electricity)


def test_an_interruption_at_any_character(electricity: Companion) -> None:
    """What had passed by then is there, and says that it was interrupted."""
    with unit(electricity) as made:
        made.run(send(made.session, made.journal, tokens(TOKEN), wall_clock=wall_clock))
        count = sum(len(message.chars) for message in made.seen)
    assert count > 200
    for last in range(0, count, 3):
        left = last

        def failing(_sender: str, char: int, _place: int, _ns: int) -> int:
            nonlocal left
            if left == 0:
                raise Ended
            left -= 1
            return char

        with MemoryPlace() as place:
            made = Unit(electricity, place, fault=failing)
            with made.journal:
                with pytest.raises(Ended):
                    made.run(send(made.session, made.journal, tokens(TOKEN), wall_clock=wall_clock))
                made.recording.finish()
                assert made.recording.problems == []
                answers = made.entries(EntryKind.ANSWERED)
                assert answers[-1].members["answer"] == "Interrupted"
                heard = sum(len(e.members["hex"]) // 2 for e in made.entries(EntryKind.MESSAGE))
                assert heard == last
            find_out(made, place, electricity)
