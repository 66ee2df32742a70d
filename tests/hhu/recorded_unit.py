"""A unit on a bench whose sessions are recorded into a journal in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from hhu_bench import MeterLine, wall_clock

from vtc07.carrier.companion import Companion
from vtc07.carrier.endpoint import Procedure
from vtc07.carrier.grammar import ACK
from vtc07.hhu.delivery import TokenToSend
from vtc07.hhu.history.recording import Recording
from vtc07.hhu.journal.entries import Entry, EntryKind
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.session import Session
from vtc07.links.link import Sender
from vtc07.links.simulated import UNPLUGGED
from vtc07.trace.message import TraceMessage
from vtc07.trace.recorder import Recorder

T = TypeVar("T")


class Unit:
    """A unit with its journal at a meter, every character of the line recorded."""

    def __init__(self, companion: Companion, place: MemoryPlace, **line: object) -> None:
        self.place = place
        self.is_alive = True  # else the line goes on without it
        self.journal = SQLiteJournal(place)
        self.seen: list[TraceMessage] = []
        trace = Recorder(self.seen.append, start_ns=0)
        observers = [trace.character, self._passes]
        self.meter = MeterLine(companion, observers=observers, **line)  # type: ignore[arg-type]
        self.session = Session(companion)
        self.recording = Recording(
            self.journal,
            wall_clock=wall_clock,
            companion=lambda: companion,
            meter_pan=lambda: None if self.session.meter is None else self.session.meter.meter_pan,
            address="bench",
        )
        self.session.on_progress = self.recording.heard
        self.last_before_sending: set[EntryKind] = set()

    def _passes(self, sender: Sender, sent: int, arrived: int, time_ns: int) -> None:
        if not self.is_alive:
            return
        self.recording.recorder.character(sender, sent, arrived, time_ns)
        if sender == "client" and self.journal.head().number:
            self.last_before_sending.add(list(self.journal.entries())[-1].kind)

    def run(self, procedure: Procedure[T]) -> T:
        return self.meter.run(self.recording.recorded(procedure))

    def entries(self, *kinds: EntryKind, delivery: int | None = None) -> list[Entry]:
        return list(self.journal.entries(kinds=kinds, delivery=delivery))


@contextmanager
def unit(companion: Companion, **line: object) -> Iterator[Unit]:
    with MemoryPlace() as place:
        made = Unit(companion, place, **line)
        with made.journal:
            yield made


def tokens(*digits: str) -> list[TokenToSend]:
    return [TokenToSend(d, has_tid=True) for d in digits]


def pulled_at_the_ack(sender: Sender, char: int, _place: int, _ns: int) -> int:
    return UNPLUGGED if sender == "server" and char == ACK else char
