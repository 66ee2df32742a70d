"""Deliveries over a real line to a real meter, interrupted at every character."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hhu_bench import PAN, MeterLine, credit, new_meter, wall_clock
from hypothesis import example, given, settings
from hypothesis import strategies as st
from true_outcomes import TOKEN, WH, assert_true, session_with

from vtc07.carrier.companion import MS, Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import Procedure
from vtc07.carrier.grammar import DAMAGED
from vtc07.carrier.status import TokenStatus
from vtc07.hhu.delivery import SendReport, TokenToSend, resolve_earlier, send
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.outcome import (
    Busy,
    Delivered,
    Meaning,
    NoLink,
    NotSent,
    NotTaken,
    Refused,
    Unresolved,
    UnresolvedReason,
)
from vtc07.hhu.progress import Polling, Progress
from vtc07.hhu.session import Session
from vtc07.links.link import Sender
from vtc07.links.simulated import DROPPED, LINK_LOST, UNPLUGGED, Fault


def test_a_neighbour_that_does_not_tell_its_meter_pan_is_not_the_meter_meant() -> None:
    """The head slips off during the entry and is put on another meter with the same key."""
    companion = load_companion("electricity")
    table = companion.table
    silent = tuple(
        replace(register, read_level=None) if register.name == "meterPAN" else register
        for register in table
    )
    bench = MeterLine(companion)
    neighbour = MeterLine(
        replace(companion, table=replace(table, registers=silent)),
        state=new_meter(companion, "000001000000000082"),
    )
    moved = False

    def slip(sender: Sender, char: int, _index: int, now_ns: int) -> int:
        nonlocal moved
        if moved or sender == "server" or char != ord("W"):
            return char
        moved = True

        def put_on_the_neighbour() -> None:
            bench.line.server = neighbour.line.server
            bench.line.plug()

        bench.line.schedule(now_ns + 9 * S, put_on_the_neighbour)
        return UNPLUGGED

    bench.line.fault = slip
    journal = MemoryJournal()
    procedure = send(
        Session(companion, meter_pan=PAN), journal, [TokenToSend(TOKEN)], wall_clock=wall_clock
    )
    (outcome,) = bench.run(procedure).outcomes
    assert isinstance(outcome, Unresolved)
    assert "refuses to tell its MeterPAN" in str(outcome)
    assert neighbour.state.tokens_executed == 0
    assert len(journal.unresolved(PAN)) == 1


def _send(bench: MeterLine, journal: MemoryJournal, *tokens: str) -> SendReport:
    procedure = send(
        session_with(bench.companion),
        journal,
        [TokenToSend(token) for token in tokens],
        wall_clock=wall_clock,
    )
    return bench.run(procedure)


def test_a_delivery(electricity: Companion) -> None:
    bench, journal = MeterLine(electricity), MemoryJournal()
    report = _send(bench, journal, TOKEN, credit(2, 50))
    accepted = TokenStatus.ACCEPT
    assert report.outcomes == (Delivered(accepted, 1), Delivered(accepted, 2))
    assert report.meaning is Meaning.DONE
    assert bench.state.account.balance == WH + 5_000
    assert [d.writes for d in journal.deliveries()] == [1, 1]


def test_the_first_token_that_is_not_accepted_ends_it(electricity: Companion) -> None:
    bench, journal = MeterLine(electricity), MemoryJournal()
    wrong = f"{(int(credit(2)) + 1) % 2**66:020d}"
    report = _send(bench, journal, TOKEN, wrong, credit(3))
    assert [type(o) for o in report.outcomes] == [Delivered, Refused, NotSent]
    assert report.meaning is Meaning.REFUSED
    assert bench.state.token_sequence == 2


def _count_characters(companion: Companion) -> tuple[int, int]:
    counts = {"client": 0, "server": 0}

    def note(sender: Sender, char: int, _index: int, _now: int) -> int:
        counts[sender] += 1
        return char

    bench = MeterLine(companion, fault=note)
    _send(bench, MemoryJournal(), TOKEN)
    return counts["client"], counts["server"]


def _at(sender: Sender, index: int, verdict: int) -> Fault:
    def fault(who: Sender, char: int, place: int, _now: int) -> int:
        return verdict if who == sender and place == index else char

    return fault


@pytest.mark.parametrize("verdict", [DROPPED, DAMAGED, LINK_LOST], ids=["lost", "damaged", "cut"])
@pytest.mark.parametrize("sender", ["client", "server"])
def test_one_character_hit_and_the_token_is_delivered_once(
    electricity: Companion, sender: Sender, verdict: int
) -> None:
    """One fault, wherever it strikes, is overcome: section 10 has an answer to each."""
    step = 3 if verdict == DAMAGED else 1
    for index in range(0, _count_characters(electricity)[sender == "server"], step):
        bench, journal = MeterLine(electricity, fault=_at(sender, index, verdict)), MemoryJournal()
        (outcome,) = _send(bench, journal, TOKEN).outcomes
        assert isinstance(outcome, Delivered), f"character {index}: {outcome}"
        assert_true(outcome, bench, journal)


@pytest.mark.parametrize("sender", ["client", "server"])
def test_another_character_of_the_same_parity_misleads_nobody(
    electricity: Companion, sender: Sender
) -> None:
    """Two bits flipped: the parity is good, and an ACK may become a NAK."""
    for index in range(_count_characters(electricity)[sender == "server"]):

        def flip(who: Sender, char: int, place: int, _now: int, index: int = index) -> int:
            return char ^ 0x03 if who == sender and place == index else char

        bench, journal = MeterLine(electricity, fault=flip), MemoryJournal()
        (outcome,) = _send(bench, journal, TOKEN).outcomes
        assert_true(outcome, bench, journal)


@pytest.mark.parametrize("sender", ["client", "server"])
def test_the_line_cut_for_good_and_what_is_reported_is_true(
    electricity: Companion, sender: Sender
) -> None:
    seen: set[type] = set()
    for index in range(_count_characters(electricity)[sender == "server"]):
        fault = _at(sender, index, UNPLUGGED)
        bench, journal = MeterLine(electricity, fault=fault), MemoryJournal()
        (outcome,) = _send(bench, journal, TOKEN).outcomes
        seen.add(type(outcome))
        assert_true(outcome, bench, journal)
    assert seen >= {NoLink, Unresolved}


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(("client", "server")), st.integers(0, 400)),
        st.sampled_from((DROPPED, DAMAGED, LINK_LOST, ord("A"), 0x06, 0x15, 0x02, 0x03)),
        max_size=12,
    )
)
def test_many_faults_at_once_and_what_is_reported_is_true(
    faults: dict[tuple[str, int], int],
) -> None:
    bench, journal = MeterLine(load_companion("electricity")), MemoryJournal()
    bench.line.fault = lambda who, char, place, _now: faults.get((who, place), char)
    (outcome,) = _send(bench, journal, TOKEN).outcomes
    assert_true(outcome, bench, journal)


happenings = st.lists(
    st.tuples(
        st.integers(0, 40_000).map(lambda ms: ms * MS),
        st.sampled_from(("power", "same token", "another token", "wrong token", "cut")),
    ),
    max_size=6,
)


@example(  # every reconnection fails, and the token is not entered
    [(0, "cut"), (1001 * MS, "cut"), (8427 * MS, "power")],
    ["R", "X", "X"],
)
@example(  # ... after it was entered
    [(2096 * MS, "cut"), (3097 * MS, "cut"), (8927 * MS, "power")],
    ["ACK", "R", "R", "R"],
)
@example(  # the log moves on between the snapshot and the read of the log
    [(2735 * MS, "another token"), (11458 * MS, "power"), (1234 * MS, "another token"),
     (4224 * MS, "wrong token")], [],
)  # fmt: skip
@settings(max_examples=60)
@given(happenings, st.lists(st.sampled_from(("ACK", "R", "W", "X")), max_size=4))
def test_while_others_enter_tokens_and_power_fails_what_is_reported_is_true(
    plan: list[tuple[int, str]], lost: list[str]
) -> None:
    """A keypad, another token, power failures and lost messages, all in one delivery."""
    bench, journal = MeterLine(load_companion("electricity")), MemoryJournal()
    numbers = iter(range(300, 400))
    wrong = f"{(int(TOKEN) + 1) % 2**66:020d}"
    unlucky = {"ACK": ("server", 0x06), "R": ("client", 0x52), "W": ("client", 0x57),
               "X": ("server", 0x02)}  # fmt: skip
    left = [unlucky[name] for name in lost]

    def fault(who: Sender, char: int, _place: int, _now: int) -> int:
        if left and left[0] == (who, char):
            left.pop(0)
            return DROPPED
        return char

    def happen(what: str) -> None:
        if what == "power":
            bench.power_fail()
        elif what == "cut":
            bench.line.lose()
        elif not bench.meter.executing and not bench.state.keypad_lockout.locked:
            bench.keypad({"same token": TOKEN, "wrong token": wrong}.get(what)
                         or credit(next(numbers)))  # fmt: skip

    for instant, what in plan:
        bench.line.schedule(instant, lambda what=what: happen(what))  # type: ignore[misc]
    bench.line.fault = fault
    (outcome,) = _send(bench, journal, TOKEN).outcomes
    if isinstance(outcome, Unresolved):  # every reconnection failed; later the meter tells
        assert outcome.reason is UnresolvedReason.NO_LINK
        assert [what for _, what in plan].count("cut") > 1
        bench.line.fault = None
        session = session_with(bench.companion)
        (earlier,) = bench.run(resolve_earlier(session, journal, wall_clock=wall_clock)).earlier
        outcome = earlier.outcome

    log = bench.state.token_log
    assert sum(e.token == TOKEN and e.status is TokenStatus.ACCEPT for e in log) <= 1
    deliveries = journal.deliveries()
    if not deliveries:  # what happened kept the client from its entry, and it says so
        assert isinstance(outcome, NoLink | Busy)
        assert lost
        return
    s0 = deliveries[0].s0
    assert s0 is not None
    ours = [e.status for e in log if e.token == TOKEN and e.sequence > s0.sequence]
    match outcome:
        case Delivered():
            assert TokenStatus.ACCEPT in ours
        case Refused(status):
            assert TokenStatus.ACCEPT not in ours
            assert status in ours
        case NotTaken():
            assert ours == []
        case _:
            pytest.fail(f"{outcome}: what became of it can always be told here")


@pytest.mark.parametrize("sender", ["client", "server"])
def test_power_fails_while_characters_are_on_their_way(
    electricity: Companion, sender: Sender
) -> None:
    for index in range(0, _count_characters(electricity)[sender == "server"], 4):
        bench, journal = MeterLine(electricity), MemoryJournal()

        def fault(
            who: Sender,
            char: int,
            place: int,
            _now: int,
            index: int = index,
            bench: MeterLine = bench,
        ) -> int:
            if who == sender and place == index:
                bench.line.schedule(bench.line.now_ns, bench.power_fail)
            return char

        bench.line.fault = fault
        (outcome,) = _send(bench, journal, TOKEN).outcomes
        assert isinstance(outcome, Delivered), f"character {index}: {outcome}"
        assert_true(outcome, bench, journal)


def test_the_program_dies_after_every_effect_and_the_next_run_knows(
    electricity: Companion,
) -> None:
    """A procedure abandoned anywhere leaves a journal from which the truth is found."""
    ended = False
    cut = 0
    while not ended:
        bench, journal = MeterLine(electricity), MemoryJournal()
        procedure = send(
            session_with(electricity), journal, [TokenToSend(TOKEN)], wall_clock=wall_clock
        )
        ended = bench.run(_abandoned(procedure, cut))
        bench.line.idle(3 * S)
        if not ended:
            (outcome,) = _send(bench, journal, TOKEN).outcomes
            assert isinstance(outcome, Delivered), f"after effect {cut}: {outcome}"
        assert bench.state.account.accepted == WH
        assert bench.state.token_sequence == 1
        assert journal.unresolved() == ()
        cut += 1
    assert cut > 6


def _abandoned(procedure: Procedure[SendReport], effects: int) -> Procedure[bool]:
    """Carry out so many effects of a procedure and drop it; True where that was its end."""
    outcome: Any = None
    try:
        for _ in range(effects):
            outcome = yield procedure.send(outcome)
        procedure.send(outcome)
    except StopIteration:
        return True
    procedure.close()
    return False


def test_the_same_token_on_the_keypad_meanwhile_counts_as_delivered(electricity: Companion) -> None:
    bench, journal = MeterLine(electricity), MemoryJournal()
    # Before the entry: after the snapshot's answer has begun.
    entered = False

    def fault(who: Sender, char: int, _place: int, _now: int) -> int:
        nonlocal entered
        if who == "client" and char == ord("W") and not entered:
            entered = True
            bench.line.schedule(bench.line.now_ns, lambda: bench.keypad(TOKEN))
        return char

    bench.line.fault = fault
    (outcome,) = _send(bench, journal, TOKEN).outcomes
    assert isinstance(outcome, Delivered)
    assert_true(outcome, bench, journal)


def test_used_before_is_refused_and_said(electricity: Companion) -> None:
    bench, journal = MeterLine(electricity), MemoryJournal()
    _send(bench, journal, TOKEN)
    (outcome,) = _send(bench, journal, TOKEN).outcomes
    assert outcome == Refused(TokenStatus.USED_ERROR, 2)
    assert str(outcome) == "refused: used before"


def test_sixty_tokens_from_the_keypad_make_a_gap(electricity: Companion) -> None:
    """The ACK and the link are lost, and before anyone comes back the log has moved on."""
    bench, journal = MeterLine(electricity, execution_ns=0), MemoryJournal()

    def fault(who: Sender, char: int, _place: int, _now: int) -> int:
        return UNPLUGGED if who == "server" and char == 0x06 else char

    bench.line.fault = fault
    (outcome,) = _send(bench, journal, TOKEN).outcomes
    assert isinstance(outcome, Unresolved)
    assert not outcome.final
    bench.line.fault = None
    bench.line.plug()
    for number in range(51):
        bench.keypad(credit(100 + number))
        bench.line.idle(S)
    report = _send(bench, journal, credit(2))
    (earlier,) = report.earlier
    assert isinstance(earlier.outcome, Unresolved)
    assert earlier.outcome.final
    assert report.outcomes == (NotSent(),)
    assert report.meaning is Meaning.UNRESOLVED
    # It was said; the next token goes its way.
    (outcome,) = _send(bench, journal, credit(200)).outcomes
    assert isinstance(outcome, Delivered)


@pytest.mark.parametrize("others", [1, 2, 21, 49])
def test_tokens_from_elsewhere_in_between_are_looked_up_in_the_log(
    electricity: Companion, others: int
) -> None:
    for arrived in (True, False):
        state = new_meter(electricity)
        bench = MeterLine(electricity, state=state, execution_ns=0)
        journal = MemoryJournal()
        cut_at = 0x06 if arrived else ord("W")
        who_cuts = "server" if arrived else "client"

        def fault(
            who: Sender,
            char: int,
            _place: int,
            _now: int,
            cut: tuple[str, int] = (who_cuts, cut_at),
        ) -> int:
            return UNPLUGGED if (who, char) == cut else char

        bench.line.fault = fault
        (outcome,) = _send(bench, journal, TOKEN).outcomes
        assert isinstance(outcome, Unresolved)
        bench.line.fault = None
        bench.line.plug()
        for number in range(others):
            bench.keypad(credit(100 + number))
            bench.line.idle(S)
        report = _send(bench, journal, TOKEN)
        assert isinstance(report.outcomes[0], Delivered)
        assert isinstance(report.earlier[0].outcome, Delivered) == arrived
        log = bench.state.token_log
        assert sum(e.token == TOKEN for e in log) == 1
        assert journal.unresolved() == ()


def test_an_interrupted_list_is_gone_on_with() -> None:
    """The second of two tokens is cut off for good; the next run needs to know only the journal."""
    companion = load_companion("electricity")
    bench, journal = MeterLine(companion), MemoryJournal()
    tokens = [credit(1, 100), credit(2, 200), credit(3, 300)]
    entries = 0

    def cut_the_second(sender: Sender, char: int, _index: int, _now_ns: int) -> int:
        nonlocal entries
        entries += sender == "client" and char == ord("W")
        return UNPLUGGED if entries == 2 else char

    bench.line.fault = cut_the_second
    first = _send(bench, journal, *tokens)
    assert [type(outcome) for outcome in first.outcomes] == [Delivered, Unresolved, NotSent]
    bench.line.fault = None
    bench.line.plug()

    procedure = send(
        session_with(companion),
        journal,
        [TokenToSend(token) for token in tokens],
        wall_clock=wall_clock,
        resume=True,
    )
    report = bench.run(procedure)
    assert report.meaning is Meaning.DONE
    assert bench.state.account.accepted == 60_000
    assert bench.state.tokens_executed == 3  # the first was not entered again
    again = bench.run(
        send(
            session_with(companion),
            journal,
            [TokenToSend(token) for token in tokens],
            wall_clock=wall_clock,
            resume=True,
        )
    )
    assert again.meaning is Meaning.DONE
    assert bench.state.tokens_executed == 3


def test_an_earlier_delivery_answers_for_one_token_of_a_list_only(electricity: Companion) -> None:
    """The same token twice in a list: what was delivered before is the outcome of the first."""
    for effects in range(20):
        bench, journal = MeterLine(electricity), MemoryJournal()
        wanted = [TokenToSend(TOKEN)]
        bench.run(
            _abandoned(
                send(session_with(electricity), journal, wanted, wall_clock=wall_clock), effects
            )
        )
        if any(delivery.writes for delivery in journal.unresolved()):
            break  # the program died with its write announced
    bench.keypad(TOKEN)  # whoever entered it: since S0 it was accepted once
    bench.line.idle(5 * S)
    twice = [TokenToSend(TOKEN), TokenToSend(TOKEN)]
    report = bench.run(send(session_with(electricity), journal, twice, wall_clock=wall_clock))
    assert len(report.earlier) == 1
    assert [type(outcome) for outcome in report.outcomes] == [Delivered, Refused]
    assert bench.state.account.accepted == WH


@pytest.mark.parametrize("speed", [300, 2400, 19200])
def test_an_execution_as_long_as_stated_costs_no_poll(electricity: Companion, speed: int) -> None:
    bench, journal = MeterLine(electricity, speed=speed), MemoryJournal()
    heard: list[Progress] = []
    session = Session(
        electricity, character_ns=bench.character_ns, on_progress=heard.append, address=PAN
    )
    tokens = [TokenToSend(credit(number)) for number in (1, 2)]
    report = bench.run(send(session, journal, tokens, wall_clock=wall_clock))
    assert all(isinstance(outcome, Delivered) for outcome in report.outcomes)
    assert not any(isinstance(progress, Polling) for progress in heard)


def test_a_longer_execution_is_polled(electricity: Companion) -> None:
    bench = MeterLine(electricity, execution_ns=3 * S)
    heard: list[Progress] = []
    session = Session(electricity, on_progress=heard.append, address=PAN)
    report = bench.run(send(session, MemoryJournal(), [TokenToSend(TOKEN)], wall_clock=wall_clock))
    assert isinstance(report.outcomes[0], Delivered)
    assert any(isinstance(progress, Polling) for progress in heard)
