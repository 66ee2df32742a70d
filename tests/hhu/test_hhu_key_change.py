"""Key changes delivered whole, to a real meter on a line, from every state one can be in."""

from __future__ import annotations

from key_change_bench import (
    FOUR,
    KEY,
    NEW_KEY,
    MeterLine,
    ask,
    deliver,
    short_meter,
    short_set,
)

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal import MemoryJournal
from vtc07.hhu.key_change_state import KeyChangeStage
from vtc07.hhu.outcome import Delivered, Meaning


def test_a_set_of_four_is_delivered_whole(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    before = ask(bench, FOUR)
    assert (before.stage, before.held) == (KeyChangeStage.NOT_BEGUN, (False,) * 4)
    assert (before.next_place, before.expires_in_s) == (0, None)
    report = deliver(bench, FOUR)
    assert report.meaning is Meaning.DONE
    assert report.entered == (0, 1, 2, 3)
    assert report.state.stage is KeyChangeStage.COMPLETE
    assert report.state.next_place is None
    assert bench.state.key == NEW_KEY
    assert bench.state.tokens_executed == 4


def test_a_complete_set_is_not_entered_again(electricity: Companion) -> None:
    bench, journal = MeterLine(electricity), MemoryJournal()
    deliver(bench, FOUR, journal)
    for known in (journal, MemoryJournal()):
        report = deliver(bench, FOUR, known)
        assert report.meaning is Meaning.DONE
        assert report.entered == ()
        assert all(isinstance(outcome, Delivered) for outcome in report.outcomes)
    assert bench.state.tokens_executed == 4


def test_it_goes_on_where_the_keypad_ended(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    for place in (0, 2):
        bench.keypad(FOUR[place])
        bench.line.idle(20 * S)
    state = ask(bench, FOUR)
    assert state.stage is KeyChangeStage.PENDING
    assert state.held == (True, False, True, False)
    assert state.next_place == 1
    assert "token 2 next" in str(state.said)
    report = deliver(bench, FOUR)
    assert report.entered == (1, 3)
    assert report.outcomes[2] == Delivered(TokenStatus.THIRD_KCT)
    assert bench.state.key == NEW_KEY


def test_sections_that_were_forgotten_are_entered_again(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    bench.keypad(FOUR[0])
    bench.line.idle(601 * S)
    state = ask(bench, FOUR)
    assert (state.stage, state.next_place) == (KeyChangeStage.TIMED_OUT, 0)
    assert bench.state.key == KEY
    assert deliver(bench, FOUR).entered == (0, 1, 2, 3)
    assert bench.state.key == NEW_KEY


def test_sets_of_a_short_key(electricity: Companion) -> None:
    for three in (False, True):
        bench = MeterLine(electricity, state=short_meter(electricity))
        tokens = short_set(three=three)
        report = deliver(bench, tokens)
        assert report.meaning is Meaning.DONE
        assert len(report.outcomes) == len(tokens) == 2 + three
