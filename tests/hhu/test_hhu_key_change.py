"""Key changes delivered whole, to a real meter on a line, from every state one can be in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hhu_bench import PAN, credit, wall_clock, without
from key_change_bench import (
    FOUR,
    KEY,
    NEW,
    NEW_KEY,
    OTHER_NEW_KEY,
    SHORT_KEY,
    MeterLine,
    ask,
    deliver,
    set_of_four,
    short_meter,
    short_set,
)

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.grammar import DAMAGED
from vtc07.carrier.status import TokenStatus
from vtc07.carrier.token_entry import Lockout
from vtc07.hhu.delivery import TokenToSend, send
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.key_change.state import KeyChangeStage
from vtc07.hhu.outcome import Delivered, Meaning, NoLink, NotSent, NotTaken, Refused
from vtc07.hhu.session import Session
from vtc07.links.link import Sender
from vtc07.links.simulated import DROPPED, LINK_LOST, UNPLUGGED, Fault
from vtc07.tokens import (
    EA,
    TCT,
    TID,
    ClearTamperCondition,
    DecoderKey,
    InitiateMeterTest,
    Service,
    TransferCredit,
    encode,
    key_change_set,
)


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


# --- interruptions --------------------------------------------------------------------------------


def _characters(companion: Companion) -> dict[str, int]:
    """Return how many characters each side sends for a whole key change."""
    counts = {"client": 0, "server": 0}

    def note(sender: Sender, char: int, _index: int, _now: int) -> int:
        counts[sender] += 1
        return char

    bench = MeterLine(companion, fault=note)
    deliver(bench, FOUR)
    return counts


def _at(sender: Sender, index: int, verdict: int) -> Fault:
    def fault(who: Sender, char: int, place: int, _now: int) -> int:
        return verdict if who == sender and place == index else char

    return fault


def _assert_whole(bench: MeterLine) -> None:
    assert bench.state.key == NEW_KEY
    assert [entry.status.taken for entry in bench.state.token_log] == [True] * 4


@pytest.mark.parametrize("verdict", [DROPPED, DAMAGED, LINK_LOST], ids=["lost", "damaged", "cut"])
@pytest.mark.parametrize("sender", ["client", "server"])
def test_one_character_hit_and_it_is_delivered_whole(
    electricity: Companion, sender: Sender, verdict: int
) -> None:
    for index in range(0, _characters(electricity)[sender], 7):
        bench = MeterLine(electricity, fault=_at(sender, index, verdict))
        report = deliver(bench, FOUR)
        assert report.meaning is Meaning.DONE, f"character {index}: {report.state.said}"
        _assert_whole(bench)


@pytest.mark.parametrize("same_unit", [True, False])
@pytest.mark.parametrize("sender", ["client", "server"])
def test_the_line_cut_and_whoever_comes_next_ends_it(
    electricity: Companion, sender: Sender, same_unit: bool
) -> None:
    """No token is entered twice and none is left out, wherever it broke off."""
    stages = set()
    for index in range(0, _characters(electricity)[sender], 11):
        bench, journal = (
            MeterLine(electricity, fault=_at(sender, index, UNPLUGGED)),
            MemoryJournal(),
        )
        broken = deliver(bench, FOUR, journal)
        assert broken.meaning is not Meaning.DONE or bench.state.key == NEW_KEY
        stages.add(broken.state.stage)
        bench.line.fault = None
        bench.line.plug()
        bench.line.idle(bench.companion.timing.inactivity_ns + 5 * S)
        report = deliver(bench, FOUR, journal if same_unit else MemoryJournal())
        assert report.meaning is Meaning.DONE, f"character {index}: {report.state.said}"
        _assert_whole(bench)
    assert KeyChangeStage.UNKNOWN in stages


def test_power_fails_in_the_middle(electricity: Companion) -> None:
    for half_seconds in range(1, 24):
        bench = MeterLine(electricity)
        bench.line.schedule(half_seconds * S // 2, bench.power_fail)
        assert deliver(bench, FOUR).meaning is Meaning.DONE
        _assert_whole(bench)


def test_what_is_held_and_until_when_after_a_cut(electricity: Companion) -> None:
    """A unit that sees its own clock says for how long at least."""
    bench = MeterLine(electricity)
    entries = 0

    def third_entry_is_locked_out(sender: Sender, char: int, _index: int, _now: int) -> int:
        nonlocal entries
        entries += sender == "client" and char == ord("W")
        if entries == 3 and sender == "client" and char == ord("W"):
            state = bench.store.state
            lockout = Lockout(5, 60 * S, 60)
            bench.store.state = replace(state, virtual_lockout=lockout)
            bench.line.schedule(_now, bench.power_fail)
        return char

    bench.line.fault = third_entry_is_locked_out
    report = deliver(bench, FOUR)
    assert report.meaning is Meaning.REFUSED
    assert isinstance(report.outcomes[2], NotTaken)
    assert report.outcomes[3] == NotSent()
    assert report.state.stage is KeyChangeStage.PENDING
    assert report.state.held == (True, True, False, False)
    assert report.state.next_place == 2
    assert report.state.expires_in_s is not None
    least, most = report.state.expires_in_s
    staging = bench.meter.state.staging
    assert staging is not None
    left_ns = staging.deadline_ns - bench.meter.state.powered_ns
    assert 500 * S < least * S <= left_ns <= most * S


# --- what ends it before its time -----------------------------------------------------------------


def test_a_token_of_the_set_mistyped(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    wrong = f"{FOUR[2][:18]}{(int(FOUR[2][18:]) + 1) % 100:02d}"
    report = deliver(bench, [*FOUR[:2], wrong, FOUR[3]])
    assert report.meaning is Meaning.REFUSED
    assert report.state.stage is KeyChangeStage.REFUSED
    assert report.outcomes[2] == Refused(TokenStatus.CRC_ERROR, 3)
    assert "token 3 of 4 was refused: CRCError" in str(report.state.said)
    again = deliver(bench, [*FOUR[:2], wrong, FOUR[3]])
    assert again.entered == (), "what was refused under this key is refused again"
    assert again.outcomes[2] == Refused(TokenStatus.CRC_ERROR)
    assert deliver(bench, FOUR).entered == (2, 3)
    assert bench.state.key == NEW_KEY


def test_a_set_of_another_key(electricity: Companion) -> None:
    """One token is tried, and no more: wrong ones lock a meter out."""
    bench = MeterLine(electricity)
    report = deliver(bench, set_of_four(current=OTHER_NEW_KEY))
    assert report.entered == (0,)
    assert [type(o) for o in report.outcomes] == [Refused, NotSent, NotSent, NotSent]


def test_sections_of_another_set_are_not_mixed_in(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    other = set_of_four(OTHER_NEW_KEY)
    bench.keypad(other[3])
    bench.line.idle(5 * S)
    report = deliver(bench, FOUR)
    assert report.state.stage is KeyChangeStage.ANOTHER_SET
    assert report.entered == ()
    assert report.outcomes == (NotSent(),) * 4
    bench.line.idle(601 * S)
    assert deliver(bench, FOUR).meaning is Meaning.DONE
    assert ask(bench, other).stage is KeyChangeStage.OVERTAKEN
    assert deliver(bench, other).entered == ()


def test_a_set_that_is_not_quite_the_one_that_was_entered(electricity: Companion) -> None:
    """One digit wrong in what is asked about, or two sets mixed up: until the key reads a token."""
    bench = MeterLine(electricity)
    for token in FOUR:
        bench.keypad(token)
        bench.line.idle(2 * S)
    wrong = [*FOUR[:3], f"{FOUR[3][:18]}{(int(FOUR[3][18:]) + 1) % 100:02d}"]
    mixed = ask(bench, wrong)
    assert (mixed.stage, mixed.next_place) == (KeyChangeStage.MIXED, None)
    assert "compare the digits" in str(mixed.said)
    assert deliver(bench, wrong).entered == ()
    bench.keypad(encode(TransferCredit(Service.ELECTRICITY, 5, 6_000_000, 1), NEW_KEY).digits)
    bench.line.idle(2 * S)
    assert ask(bench, wrong).stage is KeyChangeStage.COMPLETE


def test_another_token_of_class_2_in_the_set(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    stranger = encode(ClearTamperCondition(5, TID(6_000_000)), KEY).digits
    report = deliver(bench, [*FOUR[:2], stranger, FOUR[3]])
    assert report.state.stage is KeyChangeStage.REFUSED
    assert "token 3 of 4 is no token of a key change" in str(report.state.said)
    assert report.meaning is Meaning.REFUSED
    assert bench.state.key == KEY


def test_a_set_with_a_token_missing(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    report = deliver(bench, FOUR[:3])
    assert report.meaning is Meaning.REFUSED
    assert report.state.stage is KeyChangeStage.PENDING
    assert report.state.next_place is None
    assert "a token of the set is missing" in str(report.state.said)
    assert deliver(bench, FOUR[:3]).entered == ()
    assert deliver(bench, FOUR).entered == (3,)


@pytest.mark.parametrize(
    "tokens",
    [[], [FOUR[0], FOUR[0]], [FOUR[0], credit(1)], ["1234"], [FOUR[0], "9" * 20]],
)
def test_what_is_no_set(electricity: Companion, tokens: list[str]) -> None:
    bench = MeterLine(electricity)
    with pytest.raises(ValueError, match=r"token|digits"):
        deliver(bench, tokens)
    with pytest.raises(ValueError, match=r"token|digits"):
        ask(bench, tokens)
    assert bench.state.tokens_executed == 0


def test_nobody_there(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    bench.line.unplug()
    report = deliver(bench, FOUR)
    assert report.meaning is Meaning.NO_LINK
    assert isinstance(report.outcomes[0], NoLink)
    assert report.state.stage is KeyChangeStage.UNKNOWN
    assert "could not be asked" in str(report.state.said)


# --- meters that tell less ------------------------------------------------------------------------


def _telling_less(companion: Companion, *names: str) -> Companion:
    return without(companion, *(r.name for r in companion.table if r.name.startswith(names)))


def test_without_logs_the_journal_helps(electricity: Companion) -> None:
    companion = _telling_less(electricity, "tokenLog", "eventLog")
    bench, journal = MeterLine(companion), MemoryJournal()
    first = send(
        Session(companion, address=PAN),
        journal,
        [TokenToSend(token) for token in FOUR[:2]],
        wall_clock=wall_clock,
    )
    bench.run(first)
    assert deliver(bench, FOUR).state.stage is KeyChangeStage.ANOTHER_SET, "of whom is not known"
    report = deliver(bench, FOUR, journal)
    assert report.meaning is Meaning.DONE
    assert report.entered == (2, 3)
    assert deliver(bench, FOUR, journal).entered == ()
    _assert_key(bench)


def test_a_meter_that_tells_nothing(electricity: Companion) -> None:
    """Each token is entered once, and only the results that it does tell say how far it came."""
    companion = _telling_less(electricity, "tokenLog", "eventLog", "lastToken", "tokenSequence")
    bench, journal = MeterLine(companion), MemoryJournal()
    report = deliver(bench, FOUR, journal)
    assert report.meaning is Meaning.DONE
    assert report.entered == (0, 1, 2, 3)
    _assert_key(bench)


def _assert_key(bench: MeterLine) -> None:
    assert bench.state.key == NEW_KEY
    assert bench.state.tokens_executed == 4


def test_a_section_of_which_the_log_does_not_tell_any_more(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    bench.keypad(FOUR[0])
    test = encode(InitiateMeterTest(1, 0), None).digits
    for _ in range(50):
        bench.line.idle(2 * S)
        bench.keypad(test)
    bench.line.idle(2 * S)
    state = deliver(bench, FOUR).state
    assert (state.stage, state.held) == (KeyChangeStage.ANOTHER_SET, (None,) * 4)
    assert bench.state.tokens_executed == 51
    bench.line.idle(600 * S)
    assert deliver(bench, FOUR).meaning is Meaning.DONE


def test_a_meter_that_executes_one_token_after_another(electricity: Companion) -> None:
    bench = MeterLine(electricity)
    test = encode(InitiateMeterTest(1, 0), None).digits

    def keypad(at_ns: int) -> None:
        bench.meter.enter(test, TCT.NUMERIC, at_ns)
        bench.line.schedule(at_ns + 11 * S // 10, lambda: keypad(at_ns + 11 * S // 10))

    bench.line.schedule(0, lambda: keypad(0))
    state = ask(bench, FOUR)
    assert state.stage is KeyChangeStage.UNKNOWN
    assert "one token after another" in str(state.said)


def test_a_section_that_the_other_set_did_not_need(electricity: Companion) -> None:
    """A set of two changes a 64-bit key; the SGC token of ours that was held is dropped."""
    bench = MeterLine(electricity, state=short_meter(electricity))
    ours, another = short_set(three=True), DecoderKey(EA.STA, bytes(range(16, 24)))
    other = key_change_set(SHORT_KEY, another, NEW, ro=False)
    for token in (ours[2], *(token.digits for token in other)):
        bench.keypad(token)
        bench.line.idle(2 * S)
    assert ask(bench, ours).stage is KeyChangeStage.OVERTAKEN


def test_a_section_whose_delivery_was_left_open_and_that_was_forgotten_since(
    electricity: Companion,
) -> None:
    """That it was taken then says nothing of now: all are entered again, each once."""
    bench, journal = MeterLine(electricity), MemoryJournal()

    def cut_behind_the_entry(sender: Sender, char: int, _index: int, _now: int) -> int:
        if sender == "server" and char == ord("\x06"):
            bench.line.unplug()
        return char

    bench.line.fault = cut_behind_the_entry
    deliver(bench, FOUR, journal)
    assert len(journal.unresolved()) == 1
    bench.line.fault = None
    bench.line.plug()
    bench.line.idle(700 * S)
    report = deliver(bench, FOUR, journal)
    assert report.meaning is Meaning.DONE
    assert [type(earlier.outcome) for earlier in report.earlier] == [Delivered]
    assert report.entered == (0, 1, 2, 3)
    assert bench.state.tokens_executed == 5


def test_a_section_of_another_set_at_the_keypad_in_between(electricity: Companion) -> None:
    """Nobody can keep a person from that; but Accept is not taken for our key then."""
    bench = MeterLine(electricity)
    (strange, *_) = set_of_four(OTHER_NEW_KEY)
    entries = 0

    def someone_at_the_keypad(sender: Sender, char: int, _index: int, now_ns: int) -> int:
        nonlocal entries
        if sender == "client" and char == ord("W"):
            entries += 1
            if entries == 4:
                bench.line.schedule(now_ns, lambda: bench.keypad(strange))
        return char

    bench.line.fault = someone_at_the_keypad
    report = deliver(bench, FOUR)
    assert bench.state.key not in (KEY, NEW_KEY)
    assert report.state.stage is KeyChangeStage.MIXED
    assert report.meaning is Meaning.REFUSED
