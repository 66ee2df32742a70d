"""The disk of a hand-held unit with its journal: it outlives the unit, and may crash it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from vtc07.durable.database import PowerLost
from vtc07.hhu.journal.chain import SALT_LENGTH
from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.result import Result
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.outcome import Outcome
from vtc07.hhu.resolution import Snapshot
from vtc07.simulation.faults import CrashAtJournal
from vtc07.simulation.ledger import Violation


class UnitCrashed(PowerLost):
    """The hand-held unit lost its program and its memory; what it wrote down is left."""


class UnitDisk:
    """A disk with a journal of deliveries; ``crash``: where it crashes its unit, once.

    ``struck``: told of that crash as it happens. ``place_type``: what the journal stands on.
    """

    def __init__(
        self,
        crash: CrashAtJournal | None = None,
        struck: Callable[[CrashAtJournal], None] | None = None,
        place_type: type[MemoryPlace] = MemoryPlace,
    ) -> None:
        # Making the tables is slow; they are made for real only where that is what crashes.
        made = crash is None or crash.commit > 0
        self._place = place_type(_empty_journal() if made else _new_disk(), name="of the unit")
        self._salts = 0
        self._strike: _Strike | None = None
        if crash is not None:
            self._place.hook = self._strike = _Strike(self._place, crash, struck, made=made)
        self.journal = self._open()

    def spare(self) -> None:
        """Let it crash its unit no more."""
        self._place.hook = None

    def lose_power(self) -> None:
        """Lose what was not committed, and open the journal anew.

        Violation where it holds something else than it had reported as durable, and what was under
        way if that was committed.
        """
        before = self.journal
        self._place.lose_power()
        self.journal = self._open()
        kept = self._strike is not None and self._strike.committed
        wanted = before.under_way if kept else before.known
        if self._strike is not None:
            self._strike.committed = False
        self.journal.known = self.journal.under_way = self._found()
        if self.journal.known != wanted:
            raise Violation("after a crash the journal holds something else")

    def check(self) -> None:
        """Raise Violation where the journal does not hold what it reported as durable."""
        if self._found() != self.journal.known:
            raise Violation("the journal does not hold what was written into it")

    def image(self) -> bytes:
        """Return all that is on the disk, once the unit is done."""
        self._place.lose_power()
        return self._place.image()

    def close(self) -> None:
        """Forget all of it."""
        self._place.close()

    def _found(self) -> Known:
        return {delivery.number: delivery for delivery in self.journal.deliveries()}

    def _open(self) -> WatchedJournal:
        while True:
            try:
                return WatchedJournal(self._place, salt=self._salt)
            except UnitCrashed:  # while the tables were made: switched on once more
                self._place.lose_power()

    def _salt(self) -> bytes:
        """Return salt that depends on nothing but how much there was: the same run, the same."""
        self._salts += 1
        return self._salts.to_bytes(SALT_LENGTH, "big")


Known = Mapping[int, Delivery]


class WatchedJournal(SQLiteJournal):
    """A journal that remembers what it reported as durable.

    ``known``: the deliveries by number. ``under_way``: the same with what it is about to write.
    """

    def __init__(self, place: MemoryPlace, *, salt: Callable[[], bytes]) -> None:
        self.known: Known = {}
        self.under_way: Known = {}
        super().__init__(place, salt=salt)

    def open_delivery(
        self, meter_pan: str, token: str, s0: Snapshot | None, time: datetime
    ) -> Delivery:
        """Write down that a token is about to go to a meter."""
        number = max(self.known, default=0) + 1
        self._begin_with(Delivery(number, meter_pan, token, s0, time))
        delivery = super().open_delivery(meter_pan, token, s0, time)
        self.known = self.under_way
        return delivery

    def announce_write(self, delivery: int, number: int, time: datetime) -> None:
        """Write down that an entry is about to be sent."""
        self._begin_with(replace(self.known[delivery], writes=number))
        super().announce_write(delivery, number, time)
        self.known = self.under_way

    def close_delivery(self, delivery: int, outcome: Outcome, time: datetime) -> None:
        """Write down how it ended."""
        ended = Result.of(outcome)
        self._begin_with(replace(self.known[delivery], ended=ended, closed=time))
        super().close_delivery(delivery, outcome, time)
        self.known = self.under_way

    def _begin_with(self, delivery: Delivery) -> None:
        self.under_way = {**self.known, delivery.number: delivery}


@lru_cache(maxsize=1)
def _new_disk() -> bytes:
    """Return a database without a table; its pages are small, for they are copied and searched."""
    database = sqlite3.connect(":memory:")
    database.execute("PRAGMA page_size = 1024")
    database.execute("PRAGMA user_version = 0")
    image = database.serialize()
    database.close()
    return image


@lru_cache(maxsize=1)
def _empty_journal() -> bytes:
    with MemoryPlace(_new_disk()) as place:
        SQLiteJournal(place).close()
        return place.image()


class _Strike:
    """A hook of the database that crashes the unit once: at a step of a transaction, or its end."""

    def __init__(
        self,
        place: MemoryPlace,
        crash: CrashAtJournal,
        struck: Callable[[CrashAtJournal], None] | None,
        *,
        made: bool,
    ) -> None:
        self._place = place
        self._crash = crash
        self._struck = struck
        self._commits = int(made)
        self._step = 0
        #: it crashed its unit behind a COMMIT
        self.committed = False

    def __call__(self, sql: str, after: bool) -> None:  # noqa: FBT001 - the hook's own convention
        crash = self._crash
        last = sql == "COMMIT"
        here = self._commits == crash.commit and (self._step >= crash.step or last)
        if here and after == crash.done:
            self._place.hook = None
            self.committed = last and after
            if self._struck is not None:
                self._struck(crash)
            raise UnitCrashed
        if after:
            self._step = 0 if last else self._step + 1
            self._commits += last
