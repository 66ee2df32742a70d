"""Deliveries to a scripted meter: situations that a real one does not produce at will."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hhu_bench import (
    ACK,
    AT,
    OTHER_PAN,
    PAN,
    UNCERTAIN,
    ScriptedMeter,
    no_answer,
    wall_clock,
    without,
)

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.events import (
    ClientEvent,
    Command,
    CommandRefused,
    EnterToken,
    Entry,
    Failure,
    Identify,
    Identity,
    Read,
    ReadSnapshot,
    TokenEntryAnswered,
)
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.hhu.delivery import SendReport, TokenToSend, resolve_earlier, send
from vtc07.hhu.journal.deliveries import Delivery, JournalError, MemoryJournal
from vtc07.hhu.outcome import (
    Busy,
    Delivered,
    Meaning,
    NoLink,
    NotSent,
    NotTaken,
    NotTakenReason,
    Outcome,
    Refused,
    Unresolved,
    UnresolvedReason,
)
from vtc07.hhu.progress import EntryWritten, Polling, Progress, Resolved, ResolvingEarlier
from vtc07.hhu.resolution import Snapshot
from vtc07.hhu.session import Session
from vtc07.hhu.texts import said

TOKEN, OTHER_TOKEN, THIRD = "1" * 20, "2" * 20, "3" * 20
BEFORE = Snapshot(1, 7, OTHER_TOKEN, 1)
EXECUTING = Snapshot(16, 7, OTHER_TOKEN, 1)
ACCEPTED = Snapshot(1, 8, TOKEN, 1)
ACCEPT = TokenStatus.ACCEPT


def _refused(error: ErrorCode | None, text: str) -> TokenEntryAnswered:
    return TokenEntryAnswered(Entry.REFUSED, error, text)


ER04 = _refused(ErrorCode.ACCESS_DENIED, "ER04")
ER05 = _refused(ErrorCode.VALUE_REFUSED, "ER05")
ER06 = _refused(ErrorCode.TOKEN_LOCKOUT, "ER06")
ER07 = _refused(ErrorCode.TOKEN_EXECUTING, "ER07")
ER08 = _refused(ErrorCode.STORE_FAULT, "ER08")


def _send(
    bench: ScriptedMeter,
    *tokens: str,
    journal: MemoryJournal | None = None,
    session: Session | None = None,
    resend_if_refusable: bool = False,
    has_tid: bool = True,
    resume: bool = False,
) -> SendReport:
    return bench.run(
        send(
            session or Session(bench.companion, address=PAN),
            journal if journal is not None else MemoryJournal(),
            [TokenToSend(token, has_tid) for token in tokens or (TOKEN,)],
            wall_clock=wall_clock,
            resend_if_refusable=resend_if_refusable,
            resume=resume,
        )
    )


def _not_taken(reason: NotTakenReason, answer: TokenEntryAnswered) -> NotTaken:
    return NotTaken(reason, answer.error, answer.error_text)


@pytest.mark.parametrize(
    ("entries", "snapshots", "expected"),
    [
        # an ACK, and what follows
        ([ACK], [BEFORE, EXECUTING, EXECUTING, ACCEPTED], Delivered(ACCEPT, 8)),
        ([ACK], [BEFORE, Snapshot(17, 8, TOKEN, 17)], Delivered(TokenStatus.THIRD_KCT, 8)),
        ([ACK], [BEFORE, Snapshot(13, 8, TOKEN, 13)], Refused(TokenStatus.CRC_ERROR, 8)),
        ([ACK], [BEFORE, Snapshot(10, 8, TOKEN, 10)], Refused(TokenStatus.USED_ERROR, 8)),
        # anything else: only the snapshot decides
        ([UNCERTAIN], [BEFORE, ACCEPTED], Delivered(ACCEPT, 8)),
        ([UNCERTAIN, ACK], [BEFORE, BEFORE, ACCEPTED], Delivered(ACCEPT, 8)),
        ([UNCERTAIN] * 3, [BEFORE], NotTaken(NotTakenReason.NOT_ARRIVED)),
        # an ACK alone proves nothing: a power failure may have undone the entry
        ([ACK, ACK], [BEFORE, BEFORE, ACCEPTED], Delivered(ACCEPT, 8)),
        # a lockout that is shown is not a result
        ([UNCERTAIN] * 3, [BEFORE, Snapshot(15, 7, OTHER_TOKEN, 1)],
         NotTaken(NotTakenReason.NOT_ARRIVED)),
        # a contradiction is read again
        ([ACK], [BEFORE, Snapshot(1, 7, TOKEN, 1), ACCEPTED], Delivered(ACCEPT, 8)),
        ([ACK], [BEFORE, Snapshot(16, 8, TOKEN, 1), ACCEPTED], Delivered(ACCEPT, 8)),
        # what cannot be told
        ([ACK], [BEFORE, Snapshot(1, 6, TOKEN, 1)], Unresolved(UnresolvedReason.BELOW)),
        ([ACK], [BEFORE, Snapshot(99, 8, TOKEN, 99)],
         Unresolved(UnresolvedReason.UNKNOWN_RESULT, "number 99")),
        # error messages
        ([ER04], [BEFORE], _not_taken(NotTakenReason.ENTRY_REFUSED, ER04)),
        ([ER05], [BEFORE], _not_taken(NotTakenReason.ENTRY_REFUSED, ER05)),
        ([ER08], [BEFORE], _not_taken(NotTakenReason.ENTRY_REFUSED, ER08)),
        ([ER07] * 3, [BEFORE], _not_taken(NotTakenReason.EXECUTING, ER07)),
        ([ER07, ACK], [BEFORE, BEFORE, ACCEPTED], Delivered(ACCEPT, 8)),
        ([ER07], [BEFORE, ACCEPTED], Delivered(ACCEPT, 8)),
        ([UNCERTAIN, ER05], [BEFORE], _not_taken(NotTakenReason.ENTRY_REFUSED, ER05)),
        # an error that the companion does not name: the snapshot tells, once
        ([_refused(None, "E-99")], [BEFORE], NotTaken(NotTakenReason.ENTRY_REFUSED, None, "E-99")),
        ([_refused(None, "E-99")], [BEFORE, ACCEPTED], Delivered(ACCEPT, 8)),
    ],
)  # fmt: skip
def test_what_becomes_of_a_token(
    electricity: Companion,
    entries: list[ClientEvent],
    snapshots: list[Snapshot],
    expected: Outcome,
) -> None:
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    bench.entries.extend(entries)
    bench.snapshots.extend(snapshots)
    report = _send(bench, journal=journal)
    assert report.outcomes == (expected,)
    assert not bench.entries, "every entry of the table was needed"
    assert bench.count(EnterToken) == len(entries)
    (delivery,) = journal.deliveries()
    assert (delivery.meter_pan, delivery.token, delivery.s0) == (PAN, TOKEN, BEFORE)
    assert delivery.writes == len(entries)
    assert (delivery.result is None) == (isinstance(expected, Unresolved) and not expected.final)


def test_the_command_before_every_entry_is_a_snapshot(electricity: Companion) -> None:
    """So nothing is outstanding that could be taken for the answer to the entry."""
    bench = ScriptedMeter(electricity)
    bench.entries.extend([UNCERTAIN, ER07, ACK])
    others = [Snapshot(1, 9, THIRD, 1), Snapshot(1, 9, THIRD, 1)]
    log = {"tokenLog.1": f"9,{THIRD},,,,1", "tokenLog.2": f"8,{THIRD},,,,1"}
    bench.registers.update(log)
    bench.snapshots.extend([BEFORE, *others, *others, Snapshot(1, 10, TOKEN, 1)])
    bench.registers["tokenLog.3"] = f"7,{OTHER_TOKEN},,,,1"
    bench.failing = lambda _c: (
        bench.registers.update({"tokenLog.1": f"10,{TOKEN},,,,1", "tokenLog.2": f"9,{THIRD},,,,1",
                                "tokenLog.3": f"8,{THIRD},,,,1"})
        if not bench.entries else None
    )  # fmt: skip
    (outcome,) = _send(bench).outcomes
    assert outcome == Delivered(ACCEPT, 10)
    for place, command in enumerate(bench.commands):
        if isinstance(command, EnterToken):
            assert isinstance(bench.commands[place - 1], ReadSnapshot)
    assert bench.count(EnterToken) == 3


def test_a_snapshot_that_the_log_followed_is_no_start_for_the_next_token(
    electricity: Companion,
) -> None:
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    fourth = "4" * 20
    journal.open_delivery(PAN, fourth, Snapshot(1, 6, "", 0), AT)
    bench.entries.extend([ACK, ACK])
    bench.registers.update({"tokenLog.1": f"9,{OTHER_TOKEN},,,,1", "tokenLog.2": f"8,{TOKEN},,,,1"})
    moved_on = Snapshot(1, 9, OTHER_TOKEN, 1)
    last = Snapshot(1, 10, THIRD, 1)
    bench.snapshots.extend([Snapshot(1, 7, fourth, 1), moved_on, moved_on, last])
    report = _send(bench, TOKEN, THIRD, journal=journal)
    assert [e.outcome for e in report.earlier] == [Delivered(ACCEPT, 7)]
    assert report.outcomes == (Delivered(ACCEPT, 8), Delivered(ACCEPT, 10))
    entries = [i for i, c in enumerate(bench.commands) if isinstance(c, EnterToken)]
    assert all(isinstance(bench.commands[i - 1], ReadSnapshot) for i in entries)
    # The first token starts from the snapshot that told of the earlier delivery.
    assert bench.count(ReadSnapshot) == 4


def test_polls_keep_their_distance_and_end_after_fifteen_seconds(electricity: Companion) -> None:
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    bench.entries.append(ACK)
    bench.snapshots.extend([BEFORE, EXECUTING])
    heard: list[Progress] = []
    session = Session(electricity, on_progress=heard.append)
    (outcome,) = _send(bench, journal=journal, session=session).outcomes
    assert outcome == Unresolved(UnresolvedReason.EXECUTING)
    polls = [t for t, c in zip(bench.times, bench.commands, strict=True)
             if isinstance(c, ReadSnapshot)][1:]  # fmt: skip
    answered = [t + S // 2 for t in polls]
    assert all(b - a >= S // 2 for a, b in zip(answered, polls[1:], strict=False))
    first = answered[0]
    assert polls[-1] <= first + 15 * S < polls[-1] + S + S // 2
    assert heard.count(Polling("not ready")) == len(polls)
    assert len(journal.unresolved(PAN)) == 1


def test_failed_attempts_do_not_count_as_waiting(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    bench.entries.append(ACK)
    bench.snapshots.extend([BEFORE, *[EXECUTING] * 8, ACCEPTED])
    failures = 0

    def failing(command: Command) -> ClientEvent | None:
        nonlocal failures
        if isinstance(command, ReadSnapshot) and bench.count(ReadSnapshot) % 2 and failures < 6:
            failures += 1
            return no_answer(command)  # 6 s each, and a reconnection
        return None

    bench.failing = failing
    (outcome,) = _send(bench).outcomes
    assert failures == 6
    assert outcome == Delivered(ACCEPT, 8)


def test_another_token_is_believed_when_two_snapshots_say_so(electricity: Companion) -> None:
    """One digit lost and one doubled: lastToken is another, and the BCC is right all the same."""
    garbled = Snapshot(1, 8, f"{int(TOKEN) + 9:020d}", 1)
    bench = ScriptedMeter(electricity)
    bench.entries.append(ACK)
    bench.snapshots.extend([BEFORE, garbled, ACCEPTED])
    assert _send(bench).outcomes == (Delivered(ACCEPT, 8),)
    assert bench.count(EnterToken) == 1

    bench = ScriptedMeter(electricity)
    bench.entries.extend([UNCERTAIN, ACK])
    truly = Snapshot(1, 8, OTHER_TOKEN, 1)
    bench.snapshots.extend([BEFORE, garbled, truly, truly, Snapshot(1, 9, TOKEN, 1)])
    bench.registers.update({"tokenLog.1": f"9,{TOKEN},,,,1", "tokenLog.2": f"8,{OTHER_TOKEN},,,,1"})
    assert _send(bench).outcomes == (Delivered(ACCEPT, 9),)
    assert bench.count(EnterToken) == 2


def test_a_meter_that_tells_of_another_token_each_time_is_unresolved(
    electricity: Companion,
) -> None:
    bench = ScriptedMeter(electricity)
    bench.entries.append(ACK)
    bench.snapshots.append(BEFORE)
    bench.snapshots.extend(Snapshot(1, 8, f"{number:020d}", 1) for number in range(12))
    (outcome,) = _send(bench).outcomes
    assert isinstance(outcome, Unresolved)
    assert outcome.reason is UnresolvedReason.CONTRADICTORY
    assert bench.count(EnterToken) == 1


def test_a_contradiction_that_stays_is_unresolved_and_never_not_taken(
    electricity: Companion,
) -> None:
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    bench.entries.append(UNCERTAIN)
    bench.snapshots.extend([BEFORE, Snapshot(1, 7, TOKEN, 1)])
    (outcome,) = _send(bench, journal=journal).outcomes
    assert isinstance(outcome, Unresolved)
    assert outcome.reason is UnresolvedReason.CONTRADICTORY
    assert len(journal.unresolved(PAN)) == 1


def test_busy_and_nothing_is_sent_or_journaled(electricity: Companion) -> None:
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    bench.snapshots.append(EXECUTING)
    report = _send(bench, TOKEN, THIRD, journal=journal)
    assert report.outcomes == (Busy(), NotSent())
    assert report.meaning is Meaning.REFUSED
    assert bench.count(EnterToken) == 0
    assert journal.deliveries() == ()


def test_a_snapshot_that_shows_another_token_executing_is_waited_for(
    electricity: Companion,
) -> None:
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    bench.entries.append(ACK)
    s0 = Snapshot(1, 8, THIRD, 1)
    bench.snapshots.extend([EXECUTING, EXECUTING, s0, Snapshot(1, 9, TOKEN, 1)])
    assert _send(bench, journal=journal).outcomes == (Delivered(ACCEPT, 9),)
    assert journal.deliveries()[0].s0 == s0


def test_a_lockout_tells_how_long(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    bench.entries.append(ER06)
    bench.snapshots.append(BEFORE)
    bench.registers["lockoutRemaining"] = 47
    (outcome,) = _send(bench).outcomes
    assert outcome == NotTaken(NotTakenReason.LOCKOUT, ErrorCode.TOKEN_LOCKOUT, "ER06", 47)
    assert "47 s" in str(outcome)


def test_a_lockout_is_not_taken_even_where_the_line_ends_there(electricity: Companion) -> None:
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    bench.entries.append(ER06)
    bench.snapshots.append(BEFORE)
    bench.failing = lambda c: no_answer(c) if not bench.entries else None
    (outcome,) = _send(bench, journal=journal).outcomes
    assert outcome == NotTaken(NotTakenReason.LOCKOUT, ErrorCode.TOKEN_LOCKOUT, "ER06", None)
    assert journal.unresolved() == ()


def test_entries_that_meet_an_execution_wait_as_long_as_one_may_last(
    electricity: Companion,
) -> None:
    bench = ScriptedMeter(electricity)
    bench.entries.extend([ER07, ER07, ACK])
    bench.snapshots.extend([BEFORE, BEFORE, BEFORE, ACCEPTED])
    _send(bench)
    entries = [t for t, c in zip(bench.times, bench.commands, strict=True)
               if isinstance(c, EnterToken)]  # fmt: skip
    assert entries[-1] - entries[0] >= 5 * S


# --- the link -----------------------------------------------------------------------------------


def test_no_link_before_the_entry(electricity: Companion) -> None:
    for kind in (Identify, Read, ReadSnapshot):
        bench, journal = ScriptedMeter(electricity), MemoryJournal()
        bench.snapshots.append(BEFORE)
        bench.failing = lambda c, kind=kind: no_answer(c) if isinstance(c, kind) else None  # type: ignore[misc]
        report = _send(bench, TOKEN, THIRD, journal=journal)
        assert isinstance(report.outcomes[0], NoLink)
        assert report.outcomes[1] == NotSent()
        assert report.meaning is Meaning.NO_LINK
        assert journal.deliveries() == ()


def test_no_link_after_the_entry(electricity: Companion) -> None:
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    bench.entries.append(ACK)
    bench.snapshots.append(BEFORE)
    bench.failing = lambda c: no_answer(c) if not bench.entries else None
    report = _send(bench, TOKEN, THIRD, journal=journal)
    assert report.outcomes == (Unresolved(UnresolvedReason.NO_LINK, said("no answer")), NotSent())
    assert report.meaning is Meaning.UNRESOLVED
    (left,) = journal.unresolved(PAN)
    # The next run resolves it first, sends nothing for it, and goes on.
    bench.failing = lambda _c: None
    bench.snapshots.clear()
    bench.snapshots.extend([ACCEPTED, Snapshot(1, 9, THIRD, 1)])  # the first is S0 too
    bench.entries.append(ACK)
    report = _send(bench, TOKEN, THIRD, journal=journal)
    assert [(e.delivery, e.outcome) for e in report.earlier] == [(left, Delivered(ACCEPT, 8))]
    assert report.outcomes == (Delivered(ACCEPT, 8), Delivered(ACCEPT, 9))
    assert report.meaning is Meaning.DONE
    assert bench.count(EnterToken) == 2
    assert journal.unresolved() == ()


def test_another_meter_after_the_entry(electricity: Companion) -> None:
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    bench.entries.append(UNCERTAIN)
    bench.snapshots.append(BEFORE)

    def failing(command: Command) -> ClientEvent | None:
        if isinstance(command, ReadSnapshot) and not bench.entries:
            bench.registers["meterPAN"] = OTHER_PAN
            return no_answer(command, Failure.LINK_LOST)
        return None

    bench.failing = failing
    (outcome,) = _send(bench, journal=journal).outcomes
    assert isinstance(outcome, Unresolved)
    assert outcome.reason is UnresolvedReason.ANOTHER_METER
    assert OTHER_PAN in str(outcome.detail)
    assert len(journal.unresolved(PAN)) == 1
    assert bench.count(EnterToken) == 1


def test_another_meter_before_the_entry(electricity: Companion) -> None:
    bench, journal = ScriptedMeter(electricity, OTHER_PAN), MemoryJournal()
    (outcome,) = _send(bench, journal=journal).outcomes
    assert isinstance(outcome, NotTaken)
    assert outcome.reason is NotTakenReason.ANOTHER_METER
    assert journal.deliveries() == ()


def test_the_meter_pan_is_compared_again_in_a_session_that_is_open(
    electricity: Companion,
) -> None:
    bench = ScriptedMeter(electricity)
    session = Session(electricity)
    bench.run(session.identify())
    bench.registers["meterPAN"] = OTHER_PAN
    (outcome,) = _send(bench, session=session).outcomes
    assert isinstance(outcome, NotTaken)
    assert outcome.reason is NotTakenReason.ANOTHER_METER


def test_a_meter_pan_that_cannot_be_read_stops_it(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    bench.failing = lambda c: (
        CommandRefused(c, ErrorCode.ACCESS_DENIED, "ER04") if isinstance(c, Read) else None
    )
    assert _send(bench).outcomes == (NotTaken(NotTakenReason.PAN_UNKNOWN),)
    assert bench.count(EnterToken) == 0


# --- the journal --------------------------------------------------------------------------------


def test_deliveries_to_other_meters_are_no_obstacle(electricity: Companion) -> None:
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    journal.open_delivery(OTHER_PAN, THIRD, BEFORE, AT)
    bench.entries.append(ACK)
    bench.snapshots.extend([BEFORE, ACCEPTED])
    report = _send(bench, journal=journal)
    assert report.earlier == ()
    assert report.outcomes == (Delivered(ACCEPT, 8),)


def test_an_earlier_delivery_that_stays_unresolved_stops_every_other(
    electricity: Companion,
) -> None:
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    journal.open_delivery(PAN, THIRD, BEFORE, AT)
    bench.snapshots.append(EXECUTING)
    heard: list[Progress] = []
    session = Session(electricity, on_progress=heard.append)
    report = _send(bench, journal=journal, session=session)
    assert report.outcomes == (NotSent(),)
    assert report.meaning is Meaning.UNRESOLVED
    assert bench.count(EnterToken) == 0
    assert len(journal.unresolved(PAN)) == 1
    assert ResolvingEarlier(1) in heard
    assert Resolved(None, Unresolved(UnresolvedReason.EXECUTING)) in heard


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (BEFORE, NotTaken(NotTakenReason.NOT_ARRIVED)),
        (ACCEPTED, Delivered(ACCEPT, 8)),
        (Snapshot(13, 8, TOKEN, 13), Refused(TokenStatus.CRC_ERROR, 8)),
        (Snapshot(1, 6, "", 0), Unresolved(UnresolvedReason.BELOW)),
    ],
)
def test_resolving_without_sending(
    electricity: Companion, now: Snapshot, expected: Outcome
) -> None:
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    journal.open_delivery(PAN, TOKEN, BEFORE, AT)
    bench.snapshots.append(now)
    procedure = resolve_earlier(Session(electricity), journal, wall_clock=wall_clock)
    report = bench.run(procedure)
    assert [e.outcome for e in report.earlier] == [expected]
    assert report.outcomes == ()
    assert bench.count(EnterToken) == 0
    assert journal.unresolved() == ()
    assert (report.meaning is Meaning.UNRESOLVED) == isinstance(expected, Unresolved)


def test_an_earlier_delivery_is_not_resolved_by_what_another_meter_says(
    electricity: Companion,
) -> None:
    """A store fault is asked after, the link is lost, and a neighbour answers."""
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    bench.identity = Identity("VTC", "3", "010000010040", (1, 0, 1, 0x40))
    journal.open_delivery(PAN, TOKEN, BEFORE, AT)
    bench.snapshots.append(BEFORE)  # the neighbour's last token was the same one, of a batch

    def failing(command: Command) -> ClientEvent | None:
        asked = isinstance(command, Read) and command.start.name == "tokenStatus"
        if asked and not bench.reopened:
            bench.registers["meterPAN"] = OTHER_PAN
            return no_answer(command)
        return None

    bench.failing = failing
    procedure = resolve_earlier(Session(electricity), journal, wall_clock=wall_clock)
    (earlier,) = bench.run(procedure).earlier
    assert isinstance(earlier.outcome, Unresolved)
    assert earlier.outcome.reason is UnresolvedReason.ANOTHER_METER
    assert len(journal.unresolved()) == 1


class _FullDisk(MemoryJournal):
    """A journal whose disk is full from the ``full_at``-th entry on."""

    def __init__(self, full_at: int) -> None:
        super().__init__()
        self.left = full_at

    def _spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise JournalError("the disk is full")

    def open_delivery(
        self, meter_pan: str, token: str, s0: Snapshot | None, time: datetime
    ) -> Delivery:
        self._spend()
        return super().open_delivery(meter_pan, token, s0, time)

    def announce_write(self, delivery: int, number: int, time: datetime) -> None:
        self._spend()
        super().announce_write(delivery, number, time)

    def close_delivery(self, delivery: int, outcome: Outcome, time: datetime) -> None:
        self._spend()
        super().close_delivery(delivery, outcome, time)


@pytest.mark.parametrize("full_at", [0, 1])
def test_without_a_journal_no_token_is_sent(electricity: Companion, full_at: int) -> None:
    bench = ScriptedMeter(electricity)
    bench.snapshots.append(BEFORE)
    (outcome,) = _send(bench, journal=_FullDisk(full_at)).outcomes
    assert isinstance(outcome, NotTaken)
    assert outcome.reason is NotTakenReason.JOURNAL
    assert bench.count(EnterToken) == 0


def test_a_result_that_cannot_be_journaled_is_true_all_the_same_and_said(
    electricity: Companion,
) -> None:
    bench, journal = ScriptedMeter(electricity), _FullDisk(2)
    bench.entries.append(ACK)
    bench.snapshots.extend([BEFORE, ACCEPTED])
    report = _send(bench, TOKEN, THIRD, journal=journal)
    assert report.outcomes[0] == Delivered(ACCEPT, 8)
    assert isinstance(report.outcomes[1], NotTaken)
    assert "the disk is full" in report.problems[0]
    assert len(journal.unresolved(PAN)) == 1


# --- companions without the registers -----------------------------------------------------------

SNAPSHOT = ("tokenSequence", "lastToken", "lastTokenStatus")


def test_nothing_is_resent_by_itself_where_nothing_tells(electricity: Companion) -> None:
    bench = ScriptedMeter(without(electricity, "tokenStatus", *SNAPSHOT))
    bench.entries.append(UNCERTAIN)
    report = _send(bench)
    assert report.outcomes == (Unresolved(UnresolvedReason.NO_REGISTERS),)
    assert bench.count(EnterToken) == 1


@pytest.mark.parametrize(
    ("entries", "shown", "has_tid", "expected"),
    [
        ([ACK], [16, 1], False, Delivered(ACCEPT)),
        ([ACK], [10], True, Refused(TokenStatus.USED_ERROR)),
        ([UNCERTAIN, ACK], [10], True, Delivered(TokenStatus.USED_ERROR, now_or_before=True)),
        ([UNCERTAIN, ACK], [16, 1], True, Delivered(ACCEPT)),
        ([UNCERTAIN, ACK], [13], True, Refused(TokenStatus.CRC_ERROR)),
        ([UNCERTAIN] * 3, [0], True, Unresolved(UnresolvedReason.NO_REGISTERS)),
        ([UNCERTAIN], [0], False, Unresolved(UnresolvedReason.NO_REGISTERS)),
        ([UNCERTAIN, ER05], [0], True, Unresolved(UnresolvedReason.NO_REGISTERS)),
        ([ER05], [0], True, _not_taken(NotTakenReason.ENTRY_REFUSED, ER05)),
        ([ER07, ACK], [1], True, Delivered(ACCEPT)),
        ([ER07] * 3, [1], True, _not_taken(NotTakenReason.EXECUTING, ER07)),
        ([ER07], [1], False, _not_taken(NotTakenReason.EXECUTING, ER07)),
        ([ACK], [16], True, Unresolved(UnresolvedReason.EXECUTING)),
        ([ACK], [99], True, Unresolved(UnresolvedReason.UNKNOWN_RESULT, "number 99")),
    ],
)
def test_resending_what_a_meter_would_refuse(
    electricity: Companion,
    entries: list[ClientEvent],
    shown: list[int],
    has_tid: bool,
    expected: Outcome,
) -> None:
    bench = ScriptedMeter(without(electricity, *SNAPSHOT))
    bench.entries.extend(entries)
    left = list(shown)

    def failing(command: Command) -> ClientEvent | None:
        if isinstance(command, Read) and command.start.name == "tokenStatus":
            bench.registers["tokenStatus"] = left.pop(0) if len(left) > 1 else left[0]
        return None

    bench.failing = failing
    report = _send(bench, resend_if_refusable=True, has_tid=has_tid)
    assert report.outcomes == (expected,)
    assert not bench.entries
    assert bench.count(ReadSnapshot) == 0
    assert ("now or before" in str(expected)) == (
        isinstance(expected, Delivered) and expected.now_or_before
    )


def test_an_earlier_entry_without_registers_is_said_once(electricity: Companion) -> None:
    companion = without(electricity, *SNAPSHOT)
    bench, journal = ScriptedMeter(companion), MemoryJournal()
    made = journal.open_delivery(PAN, TOKEN, None, AT)
    journal.announce_write(made.number, 1, AT)
    assert _send(bench, THIRD, journal=journal).meaning is Meaning.UNRESOLVED
    bench.entries.append(ACK)
    bench.registers["tokenStatus"] = 1
    assert _send(bench, THIRD, journal=journal).meaning is Meaning.DONE


def test_an_earlier_entry_of_the_same_token_may_be_resent(electricity: Companion) -> None:
    companion = without(electricity, *SNAPSHOT)
    bench, journal = ScriptedMeter(companion), MemoryJournal()
    made = journal.open_delivery(PAN, TOKEN, None, AT)
    journal.announce_write(made.number, 1, AT)
    bench.entries.append(ACK)
    bench.registers["tokenStatus"] = 10
    report = _send(bench, TOKEN, journal=journal, resend_if_refusable=True)
    assert report.outcomes == (Delivered(TokenStatus.USED_ERROR, now_or_before=True),)
    assert report.meaning is Meaning.DONE


def test_an_entry_that_was_closed_as_unknown_counts_when_its_token_is_resent(
    electricity: Companion,
) -> None:
    """The first run was not permitted to send again, and its delivery is closed."""
    bench, journal = ScriptedMeter(without(electricity, *SNAPSHOT)), MemoryJournal()
    bench.entries.extend([UNCERTAIN, ACK])
    bench.registers["tokenStatus"] = 10
    assert _send(bench, TOKEN, journal=journal).meaning is Meaning.UNRESOLVED
    assert not journal.unresolved()
    report = _send(bench, TOKEN, journal=journal, resend_if_refusable=True)
    now_or_before = Delivered(TokenStatus.USED_ERROR, now_or_before=True)
    assert report.outcomes == (now_or_before,)
    # From then on it counts as delivered for whoever goes on.
    bench.entries.append(ACK)
    bench.registers["tokenStatus"] = 1
    report = _send(bench, TOKEN, OTHER_TOKEN, journal=journal, resume=True)
    assert report.outcomes == (now_or_before, Delivered(ACCEPT))
    assert not bench.entries


@pytest.mark.parametrize("resend", [False, True])
def test_an_earlier_token_of_which_nothing_was_sent_is_as_good_as_before(
    electricity: Companion, resend: bool
) -> None:
    """It was opened, and the program ended before it announced an entry; a meter need not tell."""
    companion = without(electricity, *SNAPSHOT)
    bench, journal = ScriptedMeter(companion), MemoryJournal()
    journal.open_delivery(PAN, TOKEN, None, AT)
    bench.entries.append(ACK)
    bench.registers["tokenStatus"] = 10
    report = _send(bench, TOKEN, journal=journal, resend_if_refusable=resend)
    assert [earlier.outcome for earlier in report.earlier] == [NotTaken(NotTakenReason.NOT_ARRIVED)]
    assert report.outcomes == (Refused(TokenStatus.USED_ERROR),)
    assert not journal.unresolved()


# --- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", ["", "1" * 19, "1" * 21, "73786976294838206464", "٣" * 20])
def test_what_is_no_token_is_refused_at_once(digits: str) -> None:
    with pytest.raises(ValueError, match="token"):
        TokenToSend(digits)


def test_no_token_in_words_or_reprs(electricity: Companion) -> None:
    bench, journal = ScriptedMeter(electricity), MemoryJournal()
    bench.entries.extend([UNCERTAIN, ACK])
    bench.snapshots.extend([BEFORE, BEFORE, Snapshot(16, 7, OTHER_TOKEN, 1), ACCEPTED])
    heard: list[Progress] = []
    session = Session(electricity, on_progress=heard.append)
    report = _send(bench, journal=journal, session=session)
    said = repr((report, heard, journal.deliveries(), TokenToSend(TOKEN), session))
    assert TOKEN not in said
    assert OTHER_TOKEN not in said
    assert [p.number for p in heard if isinstance(p, EntryWritten)] == [1, 2]
    assert journal.deliveries()[0].opened == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("answer", "waits"), [(ACK, True), (UNCERTAIN, False), (no_answer(EnterToken(TOKEN)), False)]
)
def test_only_an_acknowledged_token_is_given_its_time(
    electricity: Companion, answer: ClientEvent, *, waits: bool
) -> None:
    """Whatever else the answer is, the token may never have arrived: look at once."""
    bench = ScriptedMeter(electricity)
    bench.entries.append(answer)
    bench.snapshots.extend([BEFORE, ACCEPTED])
    assert _send(bench).outcomes == (Delivered(ACCEPT, 8),)
    entered = next(i for i, c in enumerate(bench.commands) if isinstance(c, EnterToken))
    pause_ns = bench.times[entered + 1] - (bench.times[entered] + S // 2)
    assert (pause_ns > 0) == waits
    assert pause_ns <= S
