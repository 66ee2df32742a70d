"""Reading any set of registers in the least time on the line."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from vtc07.carrier.endpoint import Procedure
from vtc07.carrier.events import CommandRefused, Read, RegistersRead, RegisterValue
from vtc07.carrier.registers import Register, Value
from vtc07.hhu.plan import CannotRead, Planner
from vtc07.hhu.progress import Reading
from vtc07.hhu.session import METER_PAN, Session

#: Told of all that was read so far, in the order in which it was wanted; on the thread that runs
#: the procedure, must not block. What came of another meter is not among it the next time.
OnValues = Callable[[tuple[RegisterValue, ...]], None]


@dataclass(frozen=True, slots=True)
class RefusedRead:
    """A register that the meter refused to tell. ``error_text``: its error message's text."""

    register: Register
    error_text: str
    why: str


@dataclass(frozen=True, slots=True)
class Registers:
    """What was read: ``values`` in the order in which they were wanted.

    ``messages``: how many Data messages it took. Values of different messages are of different
    instants, save where a group was asked for together.
    """

    values: tuple[RegisterValue, ...]
    refused: tuple[RefusedRead, ...]
    messages: int

    def value(self, name: str) -> Value:
        """Return the value of the register of this name; KeyError if it was not read."""
        for found in self.values:
            if found.register.name == name:
                return found.value
        raise KeyError(name)


def read(
    session: Session,
    wanted: Iterable[Register],
    *,
    together: Iterable[Collection[Register]] = (),
    on_values: OnValues | None = None,
) -> Procedure[Registers]:
    """Read registers, hailing the meter first where need be.

    A MeterPAN that is still to be compared is read along with them; nothing is returned that was
    read of another meter.

    ``together``: groups whose values must be of one instant. A register at which the meter refuses
    to begin is reported in `Registers.refused` (a group as a whole), and the others are read all
    the same. What may be read is by the access level that the session's sign-on opens.
    ``on_values``: told after each answer, once it is known that the meter is the one that is meant.

    Raises CannotRead, NoLink or AnotherMeter.
    """
    groups = [tuple(group) for group in together]
    order = list(dict.fromkeys([*wanted, *(r for group in groups for r in group)]))
    if session.meter is None:
        highest = max((level.level for level in session.companion.access), default=0)
        _planner(session, highest).spans(order, groups)  # CannotRead before anything is sent
        yield from session.hail()
    planner = _planner(session, session.level)
    spans = planner.spans(order, groups)
    pan = _pan_to_compare(session, planner)
    if pan is not None:
        spans = planner.spans([*order, pan], groups)
    elif session.hailed_only:
        yield from session.ready()
    everything = spans
    values: dict[Register, RegisterValue] = {}
    refused: dict[Register, RefusedRead] = {}
    messages = 0
    while spans:
        message = planner.next_message(spans)
        session.on_progress(Reading(message.start.name, message.count))
        was_hailed_only = session.hailed_only
        event = yield from session.command(Read(message.start, message.count))
        if was_hailed_only and not session.hailed_only:
            # The link was lost before the comparison: what came before may be another meter's.
            spans, values, refused = everything, {}, {}
        start = planner.place(message.start)
        if isinstance(event, CommandRefused):
            why = event.error.value if event.error else "no reason that the companion names"
            for span in (s for s in spans if s.first == start):
                for register in (planner.readable[place] for place in span.members):
                    refused[register] = RefusedRead(register, event.error_text, why)
            if pan in refused:
                session.meter_pan_refused(event.error_text)
            spans = tuple(s for s in spans if s.first != start)
            continue
        assert isinstance(event, RegistersRead)
        messages += 1
        left = planner.missing(spans, message, len(event.values))
        if len(left) == len(spans):
            raise CannotRead(
                f"the meter's answer from {message.start.name} on is too short for the registers "
                "that must be read together"
            )
        for span in set(spans) - set(left):
            for place in span.members:
                values[planner.readable[place]] = event.values[place - start]
        if session.hailed_only and pan in values:
            session.meter_pan_told(values[pan].value)
        spans = left
        if on_values is not None and not session.hailed_only:
            on_values(tuple(values[r] for r in order if r in values))
    return Registers(
        tuple(values[r] for r in order if r in values),
        tuple(refused[r] for r in order if r in refused and r not in values),
        messages,
    )


def _planner(session: Session, level: int) -> Planner:
    companion = session.companion
    return Planner(companion.table, companion.limits, level=level, pace=session.pace)


def _pan_to_compare(session: Session, planner: Planner) -> Register | None:
    """Return the MeterPAN's register where it is to be read along with others."""
    if not session.hailed_only:
        return None
    register = session.companion.table.named(METER_PAN)
    return register if register in planner.readable else None
