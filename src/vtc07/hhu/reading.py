"""Reading any set of registers with the fewest messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from vtc07.carrier.endpoint import Procedure
from vtc07.carrier.events import CommandRefused, Read, RegistersRead, RegisterValue
from vtc07.carrier.registers import Register, Value
from vtc07.hhu.plan import CannotRead, Planner
from vtc07.hhu.progress import Reading
from vtc07.hhu.session import Session


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
    level: int = 0,
) -> Procedure[Registers]:
    """Read registers, identifying the meter first where need be.

    ``together``: groups whose values must be of one instant. ``level``: the access level of the
    session. A register at which the meter refuses to begin is reported in `Registers.refused` (a
    group as a whole), and the others are read all the same.

    Raises CannotRead, NoLink or AnotherMeter.
    """
    groups = [tuple(group) for group in together]
    order = list(dict.fromkeys([*wanted, *(r for group in groups for r in group)]))
    planner = Planner(session.companion.table, session.companion.limits, level=level)
    spans = planner.spans(order, groups)
    yield from session.ready()
    values: dict[Register, RegisterValue] = {}
    refused: dict[Register, RefusedRead] = {}
    messages = 0
    while spans:
        message = planner.next_message(spans)
        session.on_progress(Reading(message.start.name, message.count))
        event = yield from session.command(Read(message.start, message.count))
        start = planner.place(message.start)
        if isinstance(event, CommandRefused):
            why = event.error.value if event.error else "no reason that the companion names"
            for span in (s for s in spans if s.first == start):
                for register in (planner.readable[place] for place in span.members):
                    refused[register] = RefusedRead(register, event.error_text, why)
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
        spans = left
    return Registers(
        tuple(values[r] for r in order if r in values),
        tuple(refused[r] for r in order if r in refused and r not in values),
        messages,
    )
