"""Recording a session: everything that it sends and learns goes to the journal by itself.

A `Recording` wraps procedures. Before each command an ASKED entry is durable; after it, in one
transaction, the messages that passed and what the command came to. That takes no time of the line:
between an answer and the next command either end has its reaction time (IEC 62056-21 6.4).

Of a line that is flooded the first and the last messages are kept, and a note between them says how
many are not.

A journal that fails in the middle of a session ends the recording, not the session: the first
problem is kept to be told. A delivery has a stricter rule of its own (`vtc07.hhu.delivery`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from vtc07.carrier.companion import Companion
from vtc07.carrier.endpoint import Durably, Effect, Now, Perform, Procedure, Reopen
from vtc07.carrier.events import Command
from vtc07.hhu.history import recorded_members
from vtc07.hhu.history.token_masking import text_without_tokens
from vtc07.hhu.journal.deliveries import Delivery, JournalError
from vtc07.hhu.journal.entries import ActivityJournal, EntryKind, NewEntry
from vtc07.hhu.progress import Progress, Resolved, ResolvingEarlier
from vtc07.trace.message import TraceMessage, TraceSpeed
from vtc07.trace.recorder import Recorder

T = TypeVar("T")

#: So many messages at the beginning, and as many at the end, of what passes for one command are
#: kept: more than any command takes, and no end of them for what floods a line.
MOST_KEPT: Final = 500


class _Passing:
    """The messages that pass between two entries: the first ones and the last ones."""

    def __init__(self) -> None:
        self._first: list[TraceMessage | TraceSpeed] = []
        self._last: deque[TraceMessage | TraceSpeed] = deque(maxlen=MOST_KEPT)
        self._count = 0

    def take(self, message: TraceMessage | TraceSpeed) -> None:
        """Take the next one."""
        self._count += 1
        kept = self._first if len(self._first) < MOST_KEPT else self._last
        kept.append(message)

    def taken(self) -> tuple[list[TraceMessage | TraceSpeed], int, list[TraceMessage | TraceSpeed]]:
        """Return the first ones, how many are missing behind them, and the last ones; once."""
        first, last = self._first, list(self._last)
        missing = self._count - len(first) - len(last)
        self._first, self._count = [], 0
        self._last.clear()
        return first, missing, last


class Recording:
    """The way of one session into a journal.

    ``companion``, ``meter_pan``: what is known of the meter at the moment, None where it is not
    yet. ``explained_by``: by which companion messages are explained, else the meter's.
    ``address``: of the link, for whoever reads the journal. `recorder` is to be given every
    character of the line, with the times of the clock that drives the procedures. `heard` is an
    `OnProgress`: it says which delivery the messages belong to. ``route``: the name that the
    entries get, where the session is work of a route; may be set at any time.
    """

    def __init__(
        self,
        journal: ActivityJournal,
        *,
        wall_clock: Callable[[], datetime],
        companion: Callable[[], Companion | None],
        meter_pan: Callable[[], str | None],
        explained_by: Callable[[], Companion | None] | None = None,
        address: str = "",
    ) -> None:
        self._journal = journal
        self._wall_clock = wall_clock
        self._companion = companion
        self._explained_by = companion if explained_by is None else explained_by
        self._told: str | None = None  # the companion's name that was written down last
        self._meter_pan = meter_pan
        self._address = address
        self._passing = _Passing()
        self._notes: list[NewEntry] = []
        self._began_ns: int | None = None
        self._session: int | None = None  # the number of its first entry
        self._delivery: int | None = None
        self._given_up = False
        self.route: str | None = None
        #: sentences about what the journal could not take
        self.problems: list[str] = []
        self.recorder = Recorder(self._passing.take, on_speed=self._passing.take, start_ns=0)

    # --- what the session says -----------------------------------------------------------------

    def heard(self, progress: Progress) -> None:
        """Take notice of a step."""
        if isinstance(progress, ResolvingEarlier):
            self._delivery = progress.delivery
        elif isinstance(progress, Resolved):
            self._delivery = None

    def recorded(self, procedure: Procedure[T]) -> Procedure[T]:
        """Run a procedure as it is, and write down what it does."""
        try:
            effect = next(procedure)
            while True:
                try:
                    outcome = yield from self._carried_out(effect)
                except Exception as error:  # noqa: BLE001 - whatever an effect raises is the procedure's
                    effect = procedure.throw(error)
                else:
                    effect = procedure.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            self._delivery = None
            procedure.close()

    def finish(self) -> None:
        """Write down what is left, when the link is closed. A second call does nothing."""
        self.recorder.finish()
        self._write_now(*self._what_passed())

    # --- effects -------------------------------------------------------------------------------

    def _carried_out(self, effect: Effect) -> Procedure[Any]:
        match effect:
            case Perform(command):
                return (yield from self._perform(command))
            case Durably():
                outcome = yield effect
                if isinstance(outcome, Delivery) and outcome.ended is None and not outcome.writes:
                    self._delivery = outcome.number  # what follows is about this one
                return outcome
            case Reopen():
                worked = yield effect
                at_ns = yield Now()
                self._notes.append(self._entry(EntryKind.NOTE, at_ns, {"reopened": bool(worked)}))
                return worked
            case _:
                return (yield effect)

    def _perform(self, command: Command) -> Procedure[Any]:
        at_ns = yield Now()
        if self._began_ns is None:
            self._began_ns = at_ns
        kept = recorded_members.of_command(command)
        passed = self._what_passed()
        asked = self._entry(EntryKind.ASKED, at_ns, kept.members, kept.secrets)
        number = yield from self._write(*passed, asked)
        if self._session is None:
            self._session = number
        try:
            event = yield Perform(command)
        except GeneratorExit:  # an interruption; nothing can be asked of the driver any more
            self._write_now(*self._what_passed(), self._answer(number, None, "Interrupted"))
            raise
        except ValueError as error:  # a command that cannot be said
            self._notes.append(
                self._answer(number, at_ns, "NotSent", error=text_without_tokens(str(error)))
            )
            raise
        at_ns = yield Now()
        members = {"asked": number, **recorded_members.of_event(event)}
        passed = self._what_passed()
        yield from self._write(*passed, self._entry(EntryKind.ANSWERED, at_ns, members))
        return event

    def _answer(
        self, asked: int | None, at_ns: int | None, answer: str, **members: str
    ) -> NewEntry:
        return self._entry(EntryKind.ANSWERED, at_ns, {"asked": asked, "answer": answer, **members})

    # --- entries -------------------------------------------------------------------------------

    def _entry(
        self,
        kind: EntryKind,
        at_ns: int | None,
        members: Mapping[str, Any],
        secrets: Mapping[str, str] | None = None,
    ) -> NewEntry:
        """Make an entry; ``at_ns``: by the driver's clock, None where it cannot be asked."""
        whole = dict(members)
        if at_ns is not None and self._began_ns is not None:
            whole["at"] = at_ns - self._began_ns
        if self._session is not None:
            whole["session"] = self._session
        elif kind is EntryKind.ASKED:
            whole["address"] = self._address
        if kind is EntryKind.ASKED:
            companion = self._companion()
            if companion is not None and companion.name != self._told:
                whole["companion"] = self._told = companion.name
        return NewEntry(
            kind,
            self._wall_clock(),
            whole,
            self._meter_pan(),
            self._delivery,
            self.route,
            secrets or {},
        )

    def _what_passed(self) -> list[NewEntry]:
        """Return entries of the messages that have passed since the last call, and notes."""
        first, missing, last = self._passing.taken()
        notes = self._notes[:]
        self._notes.clear()
        if self._given_up:
            return notes
        entries = [self._message(message) for message in first]
        if missing:
            entries.append(self._entry(EntryKind.NOTE, None, {"left_out": missing}))
        return [*entries, *(self._message(message) for message in last), *notes]

    def _message(self, message: TraceMessage | TraceSpeed) -> NewEntry:
        began_ns = self._began_ns or 0
        if isinstance(message, TraceSpeed):
            members = recorded_members.of_speed(message, began_ns)
            return self._entry(EntryKind.MESSAGE, None, members)
        kept = recorded_members.of_message(message, self._explained_by(), began_ns)
        return self._entry(EntryKind.MESSAGE, None, kept.members, kept.secrets)

    def _write(self, *entries: NewEntry) -> Procedure[int | None]:
        """Write entries and return the number of the last one, None where that failed."""
        if self._given_up:
            return None
        try:
            numbers = yield Durably(lambda: self._journal.record(*entries))
        except JournalError as error:
            self._give_up(error)
            return None
        last: int = numbers[-1]
        return last

    def _write_now(self, *entries: NewEntry) -> None:
        """Write entries where no driver is there to be asked for it."""
        if self._given_up or not entries:
            return
        try:
            self._journal.record(*entries)
        except JournalError as error:
            self._give_up(error)

    def _give_up(self, error: JournalError) -> None:
        self._given_up = True
        self.problems.append(f"from here on this session is not recorded: {error}")
