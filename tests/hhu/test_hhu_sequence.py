"""A delivery's history out of the journal: what passed, when, in which session, and its result."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hhu_bench import AT, PAN, credit, wall_clock
from recorded_unit import Unit, pulled_at_the_ack, tokens, unit
from true_outcomes import TOKEN

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.status import TokenStatus
from vtc07.durable.database import PowerLost
from vtc07.hhu.delivery import resolve_earlier, send
from vtc07.hhu.history.sequence import DeliverySequence, StepKind, sequence_of
from vtc07.hhu.journal.deliveries import JournalError
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.result import Result
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.outcome import (
    Busy,
    Delivered,
    NoLink,
    NotSent,
    NotTaken,
    NotTakenReason,
    Outcome,
    Refused,
    Unresolved,
    UnresolvedReason,
)
from vtc07.hhu.reading import read


class PowerFailed(PowerLost):
    """The unit's battery is flat."""


def kinds(sequence: DeliverySequence, part: int = 0) -> list[StepKind]:
    return [step.kind for step in sequence.parts[part].steps]


def lines(sequence: DeliverySequence, part: int = 0) -> list[str]:
    return [line for step in sequence.parts[part].steps for line in step.lines]


def deliver(made: Unit, *digits: str) -> None:
    made.run(send(made.session, made.journal, tokens(*digits), wall_clock=wall_clock))


def test_a_delivery_from_the_sign_on_to_its_result(electricity: Companion) -> None:
    token = credit()
    with unit(electricity) as made:
        deliver(made, token)
        made.run(made.session.sign_off())
        sequence = sequence_of(made.journal, 1)
        passed = made.seen[:-1]  # the BreakCommand is no part of it
    (part,) = sequence.parts
    assert (sequence.meter_pan, sequence.token, sequence.writes) == (PAN, token, 1)
    assert (sequence.opened, sequence.closed) == (AT, AT)
    assert str(sequence.result) == "delivered: Accept"
    assert (part.address, part.companion, part.began) == ("bench", "electricity", AT)
    messages = [step for step in part.steps if step.kind is StepKind.MESSAGE]
    assert [(m.sender, m.at_ns, m.hex) for m in messages] == [
        (m.sender, m.time_ns, m.chars.hex()) for m in passed
    ]
    assert [m.time for m in messages] == [
        AT + timedelta(microseconds=m.time_ns // 1000) for m in passed
    ]
    first = messages[0]
    assert first.took_ns == passed[0].time_ns - passed[0].began_ns > 0
    others = [step.kind for step in part.steps if step.kind is not StepKind.MESSAGE]
    assert others == [StepKind.OPENED, StepKind.ANNOUNCED, StepKind.RESULT]
    entered = next(n for n, step in enumerate(part.steps) if "tokenEntry" in "".join(step.lines))
    assert kinds(sequence)[entered - 2 : entered] == [StepKind.OPENED, StepKind.ANNOUNCED]
    assert kinds(sequence)[-1] is StepKind.RESULT


def test_masked_it_tells_no_token(electricity: Companion) -> None:
    token = credit()
    grouped = " ".join(token[at : at + 4] for at in range(0, 20, 4))
    with unit(electricity) as made:
        deliver(made, token)
        shown, masked = sequence_of(made.journal, 1), sequence_of(made.journal, 1, mask=True)
    assert any(grouped in line for line in lines(shown))
    assert masked.token is None
    told = repr(masked) + "".join(lines(masked))
    told += "".join(step.hex for part in masked.parts for step in part.steps)
    for piece in (token[:6], grouped[:9], token[:6].encode().hex()):
        assert piece not in told
    marked = [step.lines for part in masked.parts for step in part.steps if step.masked]
    assert len(marked) == 2  # the entry, and lastToken
    assert not any(step.masked for part in shown.parts for step in part.steps)
    assert [s.at_ns for s in masked.parts[0].steps] == [s.at_ns for s in shown.parts[0].steps]


def test_a_second_token_begins_where_the_first_ended(electricity: Companion) -> None:
    with unit(electricity) as made:
        deliver(made, credit(1), credit(2))
        first, second = (sequence_of(made.journal, number) for number in (1, 2))
    assert sum("tokenEntry" in line for line in lines(first)) == 1
    assert sum("tokenEntry" in line for line in lines(second)) == 1
    assert second.parts[0].companion == "electricity"
    assert kinds(second)[:3] == [StepKind.OPENED, StepKind.ANNOUNCED, StepKind.MESSAGE]
    assert not {s.entry for s in first.parts[0].steps} & {s.entry for s in second.parts[0].steps}


def test_a_cut_line_its_reconnections_and_what_is_unknown(electricity: Companion) -> None:
    with unit(electricity, fault=pulled_at_the_ack) as made:
        deliver(made, credit())
        sequence = sequence_of(made.journal, 1)
        found = kinds(sequence)
        told = [str(s.said) for s in sequence.parts[0].steps if s.kind is StepKind.FAILED]
    assert sequence.result is None
    assert sequence.closed is None
    assert found.count(StepKind.REOPENED) == 3
    assert told[0] == "whether the entry arrived is unknown"
    assert told[1:] == ["3 attempts came to nothing: no answer"] * 4
    unsound = [s for s in sequence.parts[0].steps if not s.sound]
    assert len(unsound) == 1 + 3 * 4
    times = [step.at_ns for step in sequence.parts[0].steps]
    assert times == sorted(times, key=lambda at: at or 0)


def test_a_torn_answer_stands_where_it_came() -> None:
    """It has no end, so it is known as such only when the next message begins."""

    def entry(kind: EntryKind, at_ns: int, **members: object) -> NewEntry:
        return NewEntry(kind, AT, {"at": at_ns, **members}, PAN, 1)

    with MemoryPlace() as place, SQLiteJournal(place) as journal:
        journal.open_delivery(PAN, TOKEN, None, AT)
        (asked,) = journal.record(entry(EntryKind.ASKED, 0, command="EnterToken", address="a"))
        journal.record(
            entry(EntryKind.ANSWERED, 9, session=asked, asked=asked, answer="CommandFailed"),
            entry(EntryKind.MESSAGE, 5, session=asked, hex="02", said=["torn"], sound=False),
        )
        steps = sequence_of(journal, 1).parts[-1].steps
    assert [(s.kind, s.at_ns) for s in steps] == [(StepKind.MESSAGE, 5), (StepKind.FAILED, 9)]


def test_a_flat_battery_and_the_session_that_looked_into_it(electricity: Companion) -> None:
    """The program ends in the middle of the entry; another one asks the meter."""

    def flat(statement: str, done: bool) -> None:
        entered = statement.startswith("INSERT INTO secret") and made.journal.unresolved()
        if entered and done and len(made.seen) > 6:
            raise PowerFailed

    with MemoryPlace() as place:
        made = Unit(electricity, place)
        made.place.hook = flat
        with pytest.raises(PowerFailed):
            deliver(made, credit())
        place.hook = None
        place.lose_power()
        made.meter.line.idle(5 * S)  # the meter goes on
        again = Unit(electricity, place, state=made.meter.state)
        with again.journal:
            again.run(resolve_earlier(again.session, again.journal, wall_clock=wall_clock))
            sequence = sequence_of(again.journal, 1)
    assert len(sequence.parts) == 2
    assert kinds(sequence, 0)[-1] is StepKind.ENDED
    assert "nothing more" in str(sequence.parts[0].steps[-1].said)
    assert lines(sequence, 1)[0] == "IDRequest to any meter"
    assert kinds(sequence, 1)[-1] is StepKind.RESULT
    assert sequence.parts[0].session != sequence.parts[1].session
    assert str(sequence.result) == "delivered: Accept"


def test_work_between_two_deliveries_is_no_part_of_the_first(electricity: Companion) -> None:
    with unit(electricity) as made:
        deliver(made, credit(1))
        made.run(read(made.session, [electricity.table.named("creditBalance")]))
        deliver(made, credit(2))
        first, second = (sequence_of(made.journal, number) for number in (1, 2))
    assert not any("creditBalance" in line for line in lines(first))
    assert any("creditBalance" in line for line in lines(second))


def test_a_delivery_that_was_not_recorded_has_its_entries_all_the_same(
    electricity: Companion,
) -> None:
    with unit(electricity) as made:
        made.run(made.session.identify())
        made.run(made.session.sign_off())
        made.meter.run(send(made.session, made.journal, tokens(credit()), wall_clock=wall_clock))
        sequence = sequence_of(made.journal, 1)
    (part,) = sequence.parts
    assert part.session is None
    assert kinds(sequence) == [StepKind.OPENED, StepKind.ANNOUNCED, StepKind.RESULT]
    assert [step.time for step in part.steps] == [AT, AT, AT]


def test_what_a_person_closed_by_hand_is_no_part_of_the_session(electricity: Companion) -> None:
    with unit(electricity, fault=pulled_at_the_ack) as made:
        deliver(made, credit())
        later = AT + timedelta(days=3)
        made.journal.close_delivery(
            1, Unresolved(UnresolvedReason.BY_HAND, "the meter was replaced"), later
        )
        sequence = sequence_of(made.journal, 1)
    assert len(sequence.parts) == 2
    assert sequence.parts[1].session is None
    (closed,) = sequence.parts[1].steps
    assert (closed.kind, closed.time) == (StepKind.RESULT, later)
    assert "replaced" in str(closed.said)


def test_an_interruption_is_told(electricity: Companion) -> None:
    def stop(sender: str, char: int, _place: int, _ns: int) -> int:
        if sender == "client" and char == ord("W"):
            raise PowerFailed
        return char

    with unit(electricity, fault=stop) as made:
        with pytest.raises(PowerFailed):
            deliver(made, credit())
        made.recording.finish()
        sequence = sequence_of(made.journal, 1)
        assert made.entries(EntryKind.WRITE)
    assert kinds(sequence)[-1] is StepKind.INTERRUPTED


def test_an_unknown_delivery_is_a_sentence() -> None:
    with (
        MemoryPlace() as place,
        SQLiteJournal(place) as journal,
        pytest.raises(JournalError, match="no delivery 7"),
    ):
        sequence_of(journal, 7)


@pytest.mark.parametrize(
    "outcome",
    [
        Delivered(TokenStatus.ACCEPT, 7),
        Delivered(TokenStatus.USED_ERROR, now_or_before=True),
        Refused(TokenStatus.USED_ERROR),
        Refused(TokenStatus.OVERFLOW_ERROR, 3),
        NotTaken(NotTakenReason.LOCKOUT),
        NotTaken(NotTakenReason.LOCKOUT, lockout_remaining_s=40),
        NotTaken(NotTakenReason.ENTRY_REFUSED, error_text="ER99"),
        NotTaken(NotTakenReason.JOURNAL, detail="the disk is full"),
        Unresolved(UnresolvedReason.GAP),
        Unresolved(UnresolvedReason.UNKNOWN_RESULT, "number 40"),
        Busy(),
        NoLink("no answer"),
        NotSent(),
    ],
)
def test_a_result_out_of_the_journal_is_the_sentence_that_was_said(outcome: Outcome) -> None:
    kept = Result.of(outcome)
    assert str(kept.said) == str(outcome) == kept.text
    told_more = {"disk", "ER99", "40", "answer", "busy", "not sent"}
    if not any(word in kept.text for word in told_more):
        assert kept.said == outcome.said  # so that it can be said in other languages


def test_messages_that_are_not_kept_are_told(electricity: Companion) -> None:
    with unit(electricity) as made:
        made.run(send(made.session, made.journal, tokens(credit()), wall_clock=wall_clock))
        (asked, *_) = made.entries(EntryKind.ASKED, delivery=1)
        session = asked.members.get("session", asked.number)
        members = {"session": session, "left_out": 7}
        made.journal.record(NewEntry(EntryKind.NOTE, AT, members, PAN, 1))
        steps = [step for part in sequence_of(made.journal, 1).parts for step in part.steps]
    (told,) = (step for step in steps if step.kind is StepKind.LEFT_OUT)
    assert str(told.said) == "7 more messages are not kept"
