"""A journal whose power fails at any statement, or whose disk refuses one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest
from journal_bench import AT, DONE, PAN, S0, TOKEN, fill, note, salts

from vtc07.durable.database import PowerLost
from vtc07.durable.memory import disk_error
from vtc07.hhu.journal.check import first_wrong
from vtc07.hhu.journal.deliveries import JournalError, JournalLocked
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.sqlite import SQLiteJournal


class _PowerFails(PowerLost):
    pass


class _Counting:
    """Counts the moments around statements, and fails at one of them."""

    def __init__(self, at: int, error: Callable[[], BaseException] = _PowerFails) -> None:
        self.left = at
        self.error = error
        self.said: list[str] = []

    def __call__(self, sql: str, done: bool) -> None:
        self.said.append(f"{sql.split(maxsplit=1)[0]} {'done' if done else 'begins'}")
        self.left -= 1
        if self.left == -1:
            raise self.error()


_STEPS: list[Callable[[SQLiteJournal], object]] = [
    lambda j: j.open_delivery(PAN, TOKEN, S0, AT),
    lambda j: j.announce_write(1, 1, AT),
    lambda j: j.record(note(text="one", secrets={"a": "b"}), note(text="two")),
    lambda j: j.close_delivery(1, DONE, AT),
]
_ENTRIES = (0, 2, 3, 5, 6)


def test_power_lost_at_any_statement_leaves_each_call_whole_or_not_done() -> None:
    at, failed = 0, True
    while failed:
        with MemoryPlace() as place:
            SQLiteJournal(place).close()
            counting = _Counting(at)
            place.hook = counting
            done = 0
            journal = SQLiteJournal(place, salt=salts())
            try:
                for step in _STEPS:
                    step(journal)
                    done += 1
                failed = False
            except _PowerFails:
                with pytest.raises(JournalError):
                    journal.record(note())
                with pytest.raises(JournalError):
                    journal.deliveries()
            journal.close()
            place.hook = None
            with SQLiteJournal(place) as after:
                entries = after.head().number
                committed = failed and counting.said[-1] == "COMMIT done"
                assert entries == _ENTRIES[done + committed]
                assert first_wrong(after, newest=100) is None
                for step in _STEPS[done + committed :]:
                    step(after)
                assert after.head().number == 6
                assert after.delivery(1).result == "delivered: Accept"
        at += 1
    assert at > 30


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("statement", ["BEGIN", "INSERT", "UPDATE", "COMMIT"])
def test_after_a_failed_statement_nothing_more_is_trusted_to_it(statement: str, done: bool) -> None:
    with MemoryPlace(name="card") as place:
        with SQLiteJournal(place) as journal:
            journal.open_delivery(PAN, TOKEN, S0, AT)

            def hook(sql: str, after: bool) -> None:
                if sql.startswith(statement) and after is done:
                    raise disk_error()

            place.hook = hook
            with pytest.raises(JournalError, match="card cannot be written: disk I/O error"):
                journal.announce_write(1, 1, AT)
            place.hook = None
            for call in (
                lambda: journal.announce_write(1, 1, AT),
                lambda: journal.open_delivery(PAN, TOKEN, S0, AT),
                lambda: journal.record(note()),
            ):
                with pytest.raises(JournalError, match="not used any more in this run"):
                    call()
            assert len(journal.deliveries()) == 1  # it can be read still
        with SQLiteJournal(place) as again:
            written = statement == "COMMIT" and done
            assert again.delivery(1).writes == written
            again.announce_write(1, 1 + written, AT)
            assert first_wrong(again, newest=100) is None


def test_an_interruption_is_no_loss_of_what_was_there() -> None:
    """Ctrl-C in the middle of a call, which nobody may take for done."""
    with MemoryPlace() as place:
        fill(journal := SQLiteJournal(place))

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        place.hook = interrupt
        with pytest.raises(KeyboardInterrupt):
            journal.record(note())
        place.hook = None
        with pytest.raises(JournalError):
            journal.record(note())
        journal.close()
        with SQLiteJournal(place) as again:
            assert again.record(note()) == (13,)


def test_a_place_holds_one_journal_at_a_time() -> None:
    with MemoryPlace(name="card") as place:
        first = SQLiteJournal(place)
        with pytest.raises(JournalLocked, match="card"):
            SQLiteJournal(place)
        place.lose_power()
        with SQLiteJournal(place) as second:
            first.close()  # which it is not any more
            with pytest.raises(JournalLocked):
                SQLiteJournal(place)
            with pytest.raises(JournalError):
                first.record(note())
            second.record(note())
        SQLiteJournal(place).close()


def test_an_image_is_a_place_of_its_own() -> None:
    with MemoryPlace() as place:
        with SQLiteJournal(place) as journal:
            fill(journal)
            head = journal.head()
        image = place.image()
        with MemoryPlace(image) as other, SQLiteJournal(other) as copy:
            assert copy.head() == head
            copy.record(note())
        with SQLiteJournal(place) as journal:
            assert journal.head() == head


def test_a_power_failure_while_a_journal_is_begun_leaves_it_to_be_begun_again() -> None:
    at, failed = 0, True
    while failed:
        with MemoryPlace() as place:
            place.hook = _Counting(at)
            try:
                SQLiteJournal(place).close()
                failed = False
            except _PowerFails:
                place.lose_power()
            place.hook = None
            with SQLiteJournal(place) as journal:
                fill(journal)
                assert first_wrong(journal, newest=100) is None
        at += 1
    assert at > 10


def test_a_disk_that_refuses_to_begin_is_said() -> None:
    def full(sql: str, _: bool) -> None:
        raise disk_error("SQLITE_FULL", "database or disk is full")

    with MemoryPlace(name="card", hook=full) as place:
        with pytest.raises(JournalError, match="card cannot be used: database or disk is full"):
            SQLiteJournal(place)
        place.hook = None
        SQLiteJournal(place).close()


def test_an_error_that_is_sqlites_own_is_one_of_the_hook_too() -> None:
    assert isinstance(disk_error(), sqlite3.Error)
