"""The proof of what a loss of power does to a unit's journal: at every write of every entry.

As with a store (`power_proof`): the journal's database lies on a disk that keeps every step, power
is cut after each, and the real journal opens what is left. Its chain must be whole, what is derived
must fit, and it must hold what it held before the entry or after; after, if the entry was reported
as durable.

As a program it tries every way at every place and prints what it did.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

if __name__ == "__main__":
    sys.path += [str(Path(__file__).parents[1] / place) for place in ("", "meter")]

import power_life
from power_database import DiskConnection, Mounted
from power_disk import Disk, Failure, Tear, cuts
from power_life import Life, Stage, Tally

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal.chain import SALT_LENGTH
from vtc07.hhu.journal.check import ChainCheck, links, misfitting_deliveries
from vtc07.hhu.journal.deliveries import Delivery, JournalError, JournalLocked
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.rows import JournalRows
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.outcome import Delivered, NotTaken, NotTakenReason
from vtc07.hhu.resolution import Snapshot
from vtc07.meter import PowerLost

JOURNAL: Final = "journal"
LOG: Final = "journal-wal"
RECOVERY: Final = "recovery at opening"
_AT: Final = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
_PAN: Final = "600727111111111153"
#: Pages after which the log is brought into the database: few, so that it happens now and then.
_CHECKPOINT: Final = 12


@dataclass(frozen=True)
class Held:
    """What a journal holds: the digest of every entry in their order, and all deliveries."""

    digests: tuple[bytes, ...]
    deliveries: tuple[Delivery, ...]


class DiskPlace:
    """A journal's place that is a file of a disk."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self._held = False
        self._mounted = Mounted(disk)

    @property
    def name(self) -> str:
        return JOURNAL

    def take(self) -> None:
        if self._held:
            raise JournalLocked(JOURNAL)
        self._held = True
        if not self.disk.exists(JOURNAL):
            self.disk.open(JOURNAL, create=True)
            self.disk.sync_folder()

    def connect(self) -> DiskConnection:
        connection = self._mounted.connect(JOURNAL)
        # There is no memory here that processes could share; alone, the log does without.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
        return connection

    def require_in_place(self) -> None:
        if not self.disk.exists(JOURNAL):
            raise JournalError("the journal is gone")

    def release(self) -> None:
        self._held = False

    def forget(self) -> None:
        """Close what a journal without power could not."""
        self._mounted.forget()


@contextmanager
def open_on(disk: Disk) -> Iterator[SQLiteJournal]:
    """Open the journal on a disk; it is closed at the end, if the disk has power still."""
    place = DiskPlace(disk)
    salts = itertools.count()
    try:
        with SQLiteJournal(place, salt=lambda: next(salts).to_bytes(SALT_LENGTH, "big")) as journal:
            yield journal
    finally:
        place.forget()


def held(journal: JournalRows, where: str = "") -> Held:
    """Return what a journal holds; AssertionError where chain or tables are not in order."""
    check = ChainCheck()
    digests = []
    for link in links(journal, until=journal.head().number):
        check.take(link)
        digests.append(link.digest)
    assert not check.findings, f"{check.findings}: {where}"
    assert not misfitting_deliveries(journal), where
    return Held(tuple(digests), journal.deliveries())


# --- lives ---------------------------------------------------------------------------------------


class _Living:
    """A journal whose every call is a stage of its life."""

    def __init__(self, journal: SQLiteJournal, life: Life[Held]) -> None:
        self.journal = journal
        self._life = life

    def does(self, kind: str, call: Callable[[SQLiteJournal], object]) -> None:
        before, start = held(self.journal), len(self._life.disk.steps)
        call(self.journal)
        end = len(self._life.disk.steps)
        self._life.stages.append(Stage(kind, before, held(self.journal), start, end))


def making() -> Life[Held]:
    """Begin a journal where there is nothing."""
    life: Life[Held] = Life(Disk({}))
    with open_on(life.disk) as journal:
        nothing = held(journal)
        end = len(life.disk.steps)
    life.stages.append(Stage("making", nothing, nothing, 0, end))
    return life


def a_day(files: dict[str, bytes], deliveries: int = 3) -> Life[Held]:
    """Let a unit write down what it does on a day, on a disk with these files."""
    life: Life[Held] = Life(Disk(files))
    with open_on(life.disk) as journal:
        start = held(journal)
        life.stages.append(Stage("opening", start, start, 0, len(life.disk.steps)))
        unit = _Living(journal, life)
        for number in range(1, deliveries + 1):
            _deliver(unit, len(start.deliveries) + number)
        unit.does("many entries at once", lambda j: j.record(*map(_message, range(12))))
        begun = len(life.disk.steps)
        last = held(journal)
    life.stages.append(Stage("closing", last, last, begun, len(life.disk.steps)))
    return life


def _deliver(unit: _Living, number: int) -> None:
    token = f"{number:020d}"
    s0 = Snapshot(0, number, f"{number + 7:020d}", 1)
    asked = NewEntry(EntryKind.ASKED, _AT, {"command": "ReadSnapshot", "at": number}, _PAN)
    unit.does("command", lambda j: j.record(asked))
    unit.does("messages and answer", lambda j: j.record(_message(number), _message(number + 1)))
    unit.does("delivery opened", lambda j: j.open_delivery(_PAN, token, s0, _AT))
    unit.does("entry announced", lambda j: j.announce_write(number, 1, _AT))
    if number % 2:
        unit.does("second entry announced", lambda j: j.announce_write(number, 2, _AT))
        taken = Delivered(TokenStatus.ACCEPT, number + 1)
        unit.does("delivered", lambda j: j.close_delivery(number, taken, _AT))
    else:
        not_taken = NotTaken(NotTakenReason.NOT_ARRIVED)
        unit.does("not taken", lambda j: j.close_delivery(number, not_taken, _AT))


def _message(number: int) -> NewEntry:
    members = {"from": "client", "at": number, "hex": f"{number:064x}", "said": ["→ said"] * 3}
    return NewEntry(EntryKind.MESSAGE, _AT, members, _PAN, secrets={"hex": f"{number:060d}"})


def opening(files: dict[str, bytes]) -> Life[Held]:
    """Open a journal; what a loss of power left in its log is recovered."""
    life: Life[Held] = Life(Disk(files))
    with open_on(life.disk) as journal:
        found = held(journal)
    life.stages.append(Stage(RECOVERY, found, found, 0, len(life.disk.steps)))
    return life


def interrupted(life: Life[Held], every: int) -> Iterator[dict[str, bytes]]:
    """Return what is on the disk in the middle of entries, with a log to be recovered."""
    found = 0
    for done, platter in cuts(life.disk):
        files = platter.after(Tear.EVERYTHING, random.Random(0))
        if any(s.start < done < s.end for s in life.stages) and files.get(LOG):
            found += 1
            if found % every == 0:
                yield files


# --- proofs --------------------------------------------------------------------------------------


def prove(life: Life[Held], tally: Tally, *, tears: int | None = None, seed: int = 0) -> None:
    """Cut power after every step of a journal's life; see `power_life.prove`."""
    power_life.prove(life, tally, reopened, tears=tears, seed=seed)


def reopened(files: dict[str, bytes], where: str) -> Held:
    """Return what the real journal finds."""
    try:
        with open_on(Disk(files)) as journal:
            return held(journal, where)
    except JournalError as error:
        raise AssertionError(f"{error}: {where}") from error


def cut_for_real(files: dict[str, bytes]) -> Tally:
    """Let the running journal meet the loss of power: it does nothing more, and nothing is wrong.

    Opening, a delivery and closing are run anew for every step at which power can fail.
    """
    tally = Tally()
    start = reopened(files, "nothing happened")
    number = len(start.deliveries) + 1
    for place in itertools.count():
        disk = Disk(files, cut_after=place)
        allowed = [start]
        try:
            with open_on(disk) as journal:
                for call in _one_delivery(number):
                    call(journal)
                    allowed = [held(journal)]
        except PowerLost:
            assert disk.off
        if not disk.off:
            return tally  # it has no more steps
        *_, (_, platter) = cuts(disk)
        for tear in Tear:
            found = reopened(platter.after(tear, random.Random(place)), f"{place}, {tear}")
            # The entry that was under way is there whole, or not at all.
            assert found == allowed[0] or found.digests[:-1] == allowed[0].digests
            tally.cuts["under a running journal"] += 1
            tally.found["before" if found == start else "after"] += 1
    raise AssertionError


def fail_for_real(files: dict[str, bytes]) -> Tally:
    """Let the disk report an error at every step of a delivery, done or not; then power fails too.

    A journal that could not write says so at every call from then on, and what it reported as
    durable before is there however power fails.
    """
    tally = Tally()
    start = reopened(files, "nothing happened")
    number = len(start.deliveries) + 1
    for place in itertools.count():
        step, done = divmod(place, 2)
        disk = Disk(files, failure=Failure(step, bool(done)))
        durable = start
        refused = False
        try:
            with open_on(disk) as journal:
                for call in _one_delivery(number):
                    try:
                        call(journal)
                    except JournalError:
                        refused = True
                    else:
                        assert not refused, "a journal went on behind an entry that is missing"
                        durable = held(journal)
        except JournalError:
            refused = True  # it could not even be opened, or read
        if disk.failure is not None:
            return tally  # it has no more steps
        *_, (_, platter) = cuts(disk)
        for tear in Tear:
            where = f"{step}, {done}, {tear}"
            found = reopened(platter.after(tear, random.Random(step)), where)
            assert found == durable or found.digests[:-1] == durable.digests, where
            tally.cuts["after a disk that failed"] += 1
            tally.found["refused" if refused else "done"] += 1
    raise AssertionError


def _one_delivery(number: int) -> tuple[Callable[[SQLiteJournal], object], ...]:
    s0 = Snapshot(0, number, "", 0)
    return (
        lambda journal: journal.open_delivery(_PAN, f"{number:020d}", s0, _AT),
        lambda journal: journal.announce_write(number, 1, _AT),
        lambda journal: journal.close_delivery(number, Delivered(TokenStatus.ACCEPT, 1), _AT),
    )


def after(life: Life[Held]) -> dict[str, bytes]:
    """Return the files at the end of a life."""
    *_, (_, platter) = cuts(life.disk)
    return platter.after(Tear.NOTHING, random.Random(0))


def main(seeds: int = 3) -> None:
    """Try every way at every place, with other chances each time, and print what was done."""
    files = after(a_day(after(making())))
    tally = cut_for_real(files)
    for seed in range(seeds):
        for life in (making(), a_day({}), a_day(files, 8)):
            prove(life, tally, seed=seed)
            for left in interrupted(life, every=5):
                prove(opening(left), tally, seed=seed)
    print(tally, fail_for_real(files), sep="\n")


if __name__ == "__main__":
    main()
