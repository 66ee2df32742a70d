"""The real journal on a memory that loses power: what a crash leaves is what a file would hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hhu_bench import PAN as BENCH_PAN
from hhu_bench import MeterLine, credit, wall_clock

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.status import TokenStatus
from vtc07.hhu.delivery import SendReport, TokenToSend, send
from vtc07.hhu.journal import Journal, JournalCorrupt, JournalError, JournalLocked
from vtc07.hhu.journal_file import FileJournal
from vtc07.hhu.journal_kept import KeptJournal
from vtc07.hhu.journal_medium import MemoryDisk, MemoryMedium
from vtc07.hhu.outcome import Delivered, Refused
from vtc07.hhu.resolution import Snapshot
from vtc07.hhu.session import Session

PAN = "600727111111111153"
TOKEN = "11112222333344445555"
S0 = Snapshot(1, 4_294_967_295, "00000000000000000007", 1)
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
DONE = Delivered(TokenStatus.ACCEPT, 0)


class Crash(BaseException):
    """The hand-held unit is gone."""


def _crash(_line: bytes) -> None:
    raise Crash


def _journal(disk: MemoryDisk) -> KeptJournal:
    return KeptJournal(MemoryMedium(disk))


def _deliver(journal: Journal) -> None:
    """Write what a delivery of two writes writes: four lines."""
    number = journal.open_delivery(PAN, TOKEN, S0, AT).number
    journal.announce_write(number, 1, AT)
    journal.announce_write(number, 2, AT)
    journal.close_delivery(number, DONE, AT)


def _facts(journal: Journal) -> list[tuple[int, str | None]]:
    return [(delivery.writes, delivery.result) for delivery in journal.deliveries()]


def _at(place: int, hook: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return a hook that acts at the ``place``-th append and not at the others."""
    count = iter(range(1_000))
    return lambda line: hook(line) if next(count) == place else None


def test_memory_and_file_hold_the_same_characters(tmp_path: Path) -> None:
    disk = MemoryDisk()
    with _journal(disk) as memory, FileJournal(tmp_path / "j") as file:
        _deliver(memory)
        _deliver(file)
        assert memory.deliveries() == file.deliveries()
    assert disk.content == (tmp_path / "j").read_bytes()


def test_the_content_outlives_the_journal() -> None:
    disk = MemoryDisk()
    with _journal(disk) as journal:
        _deliver(journal)
        before = journal.deliveries()
    with _journal(disk) as journal:
        assert journal.deliveries() == before
        assert journal.open_delivery(PAN, TOKEN, S0, AT).number == 2
    assert disk.torn == []


#: what stands in the journal after 0 to 5 durable lines, the header being the first
_AFTER = [
    [],
    [],
    [(0, None)],
    [(1, None)],
    [(2, None)],
    [(2, "delivered: Accept")],
]


@pytest.mark.parametrize("place", range(5))
def test_a_crash_at_any_character_of_any_line_is_survived(place: int) -> None:
    line_lengths = [len(line) for line in _whole().splitlines(keepends=True)]
    for survives in range(line_lengths[place] + 1):
        for zeros in {0, line_lengths[place] - survives}:
            disk = MemoryDisk(before_append=_at(place, _crash))
            with pytest.raises(Crash):
                _deliver(_journal(disk))
            assert len(disk.under_way) == line_lengths[place]
            disk.lose_power(survives, zeros=zeros)
            disk.before_append = None
            with _journal(disk) as journal:
                # A line that lacks at most its end counts: its check fits.
                kept = survives >= line_lengths[place] - 1
                assert _facts(journal) == _AFTER[place + kept]
                assert bool(disk.torn) == (survives + zeros > 0 and not kept)
                for delivery in journal.unresolved():
                    journal.close_delivery(delivery.number, DONE, AT)
            with _journal(disk) as journal:
                assert journal.unresolved() == ()


@pytest.mark.parametrize("place", range(5))
def test_a_crash_after_a_line_loses_nothing(place: int) -> None:
    disk = MemoryDisk(after_append=_at(place, _crash))
    with pytest.raises(Crash):
        _deliver(_journal(disk))
    assert disk.under_way == b""
    disk.lose_power()
    disk.after_append = None
    with _journal(disk) as journal:
        assert _facts(journal) == _AFTER[place + 1]


@pytest.mark.parametrize("when", ["before_append", "after_append"])
def test_a_journal_that_a_crash_met_writes_nothing_any_more(when: str) -> None:
    disk = MemoryDisk()
    gone = _journal(disk)
    number = gone.open_delivery(PAN, TOKEN, S0, AT).number
    setattr(disk, when, _crash)
    with pytest.raises(Crash):
        gone.announce_write(number, 1, AT)
    setattr(disk, when, None)
    with pytest.raises(JournalError, match="was interrupted"):
        gone.announce_write(number, 1, AT)
    disk.lose_power()
    with _journal(disk) as journal:
        before = disk.content
        with pytest.raises(JournalError, match="not used any more"):
            gone.close_delivery(number, DONE, AT)
        assert disk.content == before
        journal.close_delivery(number, DONE, AT)


def test_an_abandoned_journal_writes_nothing_after_the_power_was_lost() -> None:
    disk = MemoryDisk()
    gone = _journal(disk)
    disk.lose_power()
    with pytest.raises(JournalError, match="not in the hands"):
        gone.open_delivery(PAN, TOKEN, S0, AT)


def test_a_line_under_way_is_gone_for_the_next_journal() -> None:
    disk = MemoryDisk(before_append=_at(1, _crash))
    with _journal(disk) as gone, pytest.raises(Crash):
        _deliver(gone)
    disk.before_append = None
    with _journal(disk) as journal:
        assert disk.under_way == b""
        with pytest.raises(ValueError, match="cannot be left"):
            disk.lose_power(1)
        _deliver(journal)
    assert disk.content == _whole()


def test_a_full_disk_leaves_nothing_of_the_line() -> None:
    def full(_line: bytes) -> None:
        raise OSError(28, "No space left on device")

    disk = MemoryDisk(name="card")
    with _journal(disk) as journal:
        number = journal.open_delivery(PAN, TOKEN, S0, AT).number
        before = disk.content
        disk.before_append = full
        with pytest.raises(JournalError, match="journal card cannot be written: No space left"):
            journal.announce_write(number, 1, AT)
        disk.before_append = None
        with pytest.raises(JournalError, match="not used any more"):
            journal.announce_write(number, 1, AT)
    assert (disk.content, disk.under_way) == (before, b"")
    disk.before_append = full
    with pytest.raises(JournalError, match="No space left"):
        _journal(MemoryDisk(before_append=full))
    with _journal(disk) as journal:
        assert _facts(journal) == [(0, None)]


def test_one_user_at_a_time() -> None:
    disk = MemoryDisk()
    with _journal(disk), pytest.raises(JournalLocked, match="using the journal memory"):
        _journal(disk)


def test_a_second_user_does_not_take_it_from_the_first() -> None:
    disk = MemoryDisk()
    with _journal(disk) as journal:
        with pytest.raises(JournalLocked):
            _journal(disk)
        _deliver(journal)


@pytest.mark.parametrize("content", [b"milk", b"milk\n", b'{"journal":"vt\n', b"\0milk\n"])
def test_what_is_no_journal_is_left_alone(content: bytes) -> None:
    disk = MemoryDisk(content)
    with pytest.raises(JournalCorrupt, match="memory, line 1"):
        _journal(disk)
    assert (disk.content, disk.torn) == (content, [])


def test_power_cannot_leave_more_than_was_written() -> None:
    disk = MemoryDisk()
    with pytest.raises(ValueError, match="cannot be left"):
        disk.lose_power(1)
    with pytest.raises(ValueError, match="cannot be left"):
        disk.lose_power(-1, zeros=1)


@pytest.mark.parametrize("survives", ["nothing", "half", "all but the end", "all"])
@pytest.mark.parametrize("place", range(4))
def test_a_unit_that_crashes_at_a_line_of_a_delivery_delivers_once(
    electricity: Companion, place: int, survives: str
) -> None:
    """Header, opening, announced write, result: the next run finds the truth, whatever is left."""
    bench = MeterLine(electricity)
    disk = MemoryDisk(before_append=_at(place, _crash))

    def deliver() -> SendReport:
        with _journal(disk) as journal:
            report = bench.run(
                send(
                    Session(electricity, address=BENCH_PAN),
                    journal,
                    [TokenToSend(token)],
                    wall_clock=wall_clock,
                )
            )
            assert journal.unresolved() == ()
            return report

    token = credit(1, 100)
    with pytest.raises(Crash):
        deliver()
    length = len(disk.under_way)
    kept = {"nothing": 0, "half": length // 2, "all but the end": length - 1, "all": length}
    disk.lose_power(kept[survives])
    disk.before_append = None
    bench.line.idle(3 * S)
    (outcome,) = deliver().outcomes
    known = place == 3 and survives.startswith("all")  # the result was written: a repeat is used
    assert type(outcome) is (Refused if known else Delivered)
    assert bench.state.account.accepted == 10_000
    assert sum(entry.status is TokenStatus.ACCEPT for entry in bench.state.token_log) == 1


def _whole() -> bytes:
    disk = MemoryDisk()
    with _journal(disk) as journal:
        _deliver(journal)
    return disk.content
