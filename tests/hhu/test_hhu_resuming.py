"""What a crash left open is found out at its meter, or told as unknown with what to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hhu_bench import (
    AT,
    OTHER_PAN,
    PAN,
    MeterLine,
    ScriptedMeter,
    credit,
    no_answer,
    wall_clock,
    without,
)

from vtc07.carrier.companion import Companion
from vtc07.carrier.endpoint import Effect, Perform, Procedure
from vtc07.carrier.events import ClientEvent, Command, EnterToken, Read, ReadSnapshot
from vtc07.carrier.status import TokenStatus
from vtc07.durable.memory import disk_error
from vtc07.hhu.delivery import TokenToSend, send
from vtc07.hhu.journal.deliveries import JournalError
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.outcome import (
    Delivered,
    Meaning,
    NotTaken,
    NotTakenReason,
    Unresolved,
    UnresolvedReason,
)
from vtc07.hhu.resolution import Snapshot
from vtc07.hhu.resuming import (
    OpenWork,
    ResumeReport,
    SettingResult,
    advice,
    close_by_hand,
    open_work,
    resume,
)
from vtc07.hhu.session import Session
from vtc07.hhu.writing import write

TOKEN, OTHER_TOKEN, THIRD = "1" * 20, "2" * 20, "3" * 20
BEFORE = Snapshot(1, 7, OTHER_TOKEN, 1)
ACCEPTED = Snapshot(1, 8, TOKEN, 1)


@pytest.fixture
def place() -> Iterator[MemoryPlace]:
    with MemoryPlace() as place:
        yield place


@pytest.fixture
def journal(place: MemoryPlace) -> SQLiteJournal:
    return SQLiteJournal(place)


def _resume(bench: ScriptedMeter | MeterLine, journal: SQLiteJournal) -> ResumeReport:
    return bench.run(resume(Session(bench.companion), journal, wall_clock=wall_clock))


def _opened(journal: SQLiteJournal, token: str = TOKEN, s0: Snapshot | None = BEFORE) -> int:
    number = journal.open_delivery(PAN, token, s0, AT).number
    journal.announce_write(number, 1, AT)
    return number


def _setting(journal: SQLiteJournal, register: str, value: int | str, pan: str = PAN) -> int:
    members = {"register": register, "value": value}
    (number,) = journal.record(NewEntry(EntryKind.SETTING, AT, members, pan))
    return number


# --- deliveries ----------------------------------------------------------------------------------


def test_every_open_delivery_is_looked_into_behind_one_that_nobody_can_tell(
    electricity: Companion, journal: SQLiteJournal
) -> None:
    bench = ScriptedMeter(electricity)
    gone = _opened(journal, THIRD, Snapshot(1, 900, OTHER_TOKEN, 1))  # above what the meter has
    taken = _opened(journal)
    bench.snapshots.append(ACCEPTED)
    report = _resume(bench, journal)
    assert [(e.delivery.number, e.outcome) for e in report.deliveries] == [
        (gone, Unresolved(UnresolvedReason.BELOW)),
        (taken, Delivered(TokenStatus.ACCEPT, 8)),
    ]
    assert report.meaning is Meaning.UNRESOLVED
    assert (report.meter_pan, report.obstacle) == (PAN, None)
    assert not report.left
    assert not open_work(journal)
    assert bench.count(EnterToken) == 0
    # What is closed as unknown is not asked for again.
    assert _resume(bench, journal) == ResumeReport(PAN)


def test_with_the_link_lost_the_rest_stays_open_and_is_told(
    electricity: Companion, journal: SQLiteJournal
) -> None:
    bench = ScriptedMeter(electricity)
    first, second = _opened(journal), _opened(journal, THIRD)
    bench.failing = lambda c: no_answer(c) if isinstance(c, ReadSnapshot) else None
    report = _resume(bench, journal)
    ((each, outcome),) = [(e.delivery.number, e.outcome) for e in report.deliveries]
    assert each == first
    assert isinstance(outcome, Unresolved)
    assert outcome.reason is UnresolvedReason.NO_LINK
    assert [d.number for d in report.left.deliveries] == [first, second]
    assert report.meaning is Meaning.UNRESOLVED


@pytest.mark.parametrize(
    ("pan", "reason"),
    [(OTHER_PAN, NotTakenReason.ANOTHER_METER), ("", None)],
)
def test_a_meter_that_cannot_be_asked_leaves_all_as_it_was(
    electricity: Companion, journal: SQLiteJournal, pan: str, reason: NotTakenReason | None
) -> None:
    bench = ScriptedMeter(electricity, pan or PAN)
    _opened(journal)
    _setting(journal, "lowCreditThreshold", 5)
    if not pan:
        bench.failing = no_answer
    session = Session(electricity, meter_pan=PAN)
    report = bench.run(resume(session, journal, wall_clock=wall_clock))
    if reason is None:
        assert report.meaning is Meaning.NO_LINK
    else:
        assert isinstance(report.obstacle, NotTaken)
        assert report.obstacle.reason is reason
        assert report.meaning is Meaning.REFUSED
    assert report.meter_pan is None
    assert report.elsewhere == open_work(journal)
    assert len(report.elsewhere.deliveries) == len(report.elsewhere.settings) == 1


def test_what_is_open_at_other_meters_is_told_and_left_alone(
    electricity: Companion, journal: SQLiteJournal
) -> None:
    sent = journal.open_delivery(OTHER_PAN, TOKEN, BEFORE, AT)
    journal.announce_write(sent.number, 1, AT)
    journal.open_delivery(OTHER_PAN, THIRD, BEFORE, AT)
    blind = journal.open_delivery(OTHER_PAN, OTHER_TOKEN, None, AT)
    journal.announce_write(blind.number, 1, AT)
    _setting(journal, "lowCreditThreshold", 5, OTHER_PAN)
    report = _resume(ScriptedMeter(electricity), journal)
    assert report.meaning is Meaning.DONE
    assert report.elsewhere == open_work(journal) == open_work(journal).at(OTHER_PAN)
    assert open_work(journal, PAN) == OpenWork()
    first, unsent, without_registers = map(str, map(advice, report.elsewhere.deliveries))
    assert "connect to that meter and resume" in first
    assert "nothing of it was sent" in unsent
    assert "no registers that tell" in without_registers
    assert "resume" in str(report.elsewhere.settings[0].said)


def test_a_result_that_the_journal_cannot_take_is_true_all_the_same(
    electricity: Companion, journal: SQLiteJournal, place: MemoryPlace
) -> None:
    bench = ScriptedMeter(electricity)
    _opened(journal)
    bench.snapshots.append(ACCEPTED)

    def full(_sql: str, _after: bool) -> None:
        raise disk_error("SQLITE_FULL", "disk full")

    place.hook = full
    report = _resume(bench, journal)
    assert [e.outcome for e in report.deliveries] == [Delivered(TokenStatus.ACCEPT, 8)]
    assert len(report.problems) == 1
    assert report.left.deliveries  # in the journal it is open still
    assert report.meaning is Meaning.UNRESOLVED


def test_a_delivery_whose_meter_is_gone_is_closed_by_hand(journal: SQLiteJournal) -> None:
    number = _opened(journal)
    closed = close_by_hand(journal, number, "the meter burnt", time=AT)
    assert closed.number == number
    found = journal.delivery(number)
    assert found.result is not None
    assert "a person closed the entry by hand (the meter burnt)" in found.result
    assert found.ended is not None
    assert found.ended.taken is None  # it is not taken for delivered
    for again in (number, 77):
        with pytest.raises(JournalError, match=f"no delivery {again} is open"):
            close_by_hand(journal, again, "once more", time=AT)


@pytest.mark.parametrize("last", range(1, 26))
def test_a_delivery_that_breaks_off_anywhere_is_known_after_resuming(
    electricity: Companion, journal: SQLiteJournal, last: int
) -> None:
    """The program is gone after so many effects; a real meter says what became of its tokens."""
    bench = MeterLine(electricity)
    tokens = [credit(1), credit(2)]
    session = Session(electricity, address=PAN)
    sending = send(session, journal, list(map(TokenToSend, tokens)), wall_clock=wall_clock)
    bench.run(_broken_off(sending, last))
    report = _resume(bench, journal)
    assert report.meaning is Meaning.DONE
    assert not open_work(journal)
    taken = [e.token for e in bench.state.token_log if e.status is TokenStatus.ACCEPT]
    said = [d.token for d in journal.deliveries() if d.ended is not None and d.ended.taken]
    assert said == sorted(taken, key=tokens.index)


def _broken_off(procedure: Procedure[object], effects: int) -> Procedure[None]:
    effect: Effect = next(procedure)
    try:
        for _ in range(effects - 1):
            effect = procedure.send((yield effect))
        if isinstance(effect, Perform):  # it goes out, and nobody hears the answer
            yield effect
    except StopIteration:
        pass
    finally:
        procedure.close()


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reads", "expected"),
    [(500, SettingResult.AS_WANTED), (0, SettingResult.ANOTHER), (None, SettingResult.NOT_TOLD)],
)
def test_a_register_whose_writing_was_interrupted_is_read(
    electricity: Companion, journal: SQLiteJournal, reads: int | None, expected: SettingResult
) -> None:
    name = "lowCreditThreshold"
    bench = ScriptedMeter(electricity)
    if reads is None:
        bench = ScriptedMeter(without(electricity, name))
    else:
        bench.registers[name] = reads
    number = _setting(journal, name, 500)
    assert [s.entry for s in open_work(journal).settings] == [number]
    (found,) = _resume(bench, journal).settings
    assert (found.setting.entry, found.result, found.value) == (number, expected, reads)
    assert not open_work(journal)
    (told,) = journal.entries(kinds=(EntryKind.SET,))
    assert told.members["setting"] == number
    assert told.members["read_back"] == reads
    assert told.members["written"] is (True if expected is SettingResult.AS_WANTED else None)


def test_a_setting_that_cannot_be_asked_for_stays_open(
    electricity: Companion, journal: SQLiteJournal
) -> None:
    bench = ScriptedMeter(electricity)
    _setting(journal, "lowCreditThreshold", 500)

    def failing(command: Command) -> ClientEvent | None:
        asked = isinstance(command, Read) and command.start.name == "lowCreditThreshold"
        return no_answer(command) if asked else None

    bench.failing = failing
    report = _resume(bench, journal)
    assert report.settings == ()
    assert len(report.left.settings) == len(open_work(journal).settings) == 1
    assert report.meaning is Meaning.DONE  # of every token it is known


def test_a_register_that_was_written_later_is_not_open(
    electricity: Companion, journal: SQLiteJournal
) -> None:
    bench = ScriptedMeter(electricity)
    register = electricity.table.named("lowCreditThreshold")
    _setting(journal, register.name, 500)
    latest = _setting(journal, register.name, 600)
    assert [s.entry for s in open_work(journal).settings] == [latest]
    session = Session(electricity)
    writing = write(session, [(register, 700)], journal=journal, wall_clock=wall_clock)
    bench.run(writing)
    assert not open_work(journal)
