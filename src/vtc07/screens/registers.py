"""Reading and writing registers as a piece of work with a meter, and what it came to in words."""

from __future__ import annotations

from vtc07.carrier.companion import Companion
from vtc07.carrier.events import RegisterValue
from vtc07.carrier.registers import Register, Value
from vtc07.cli.connection import Connection
from vtc07.hhu import selection
from vtc07.hhu.delivery import WallClock
from vtc07.hhu.journal.entries import ActivityJournal
from vtc07.hhu.plan import CannotRead
from vtc07.hhu.reading import OnValues, Registers, read
from vtc07.hhu.session import SessionError
from vtc07.hhu.texts import Said, said
from vtc07.hhu.writing import WriteResult, write
from vtc07.links.blocking import Interrupted
from vtc07.links.link import LinkUnavailable
from vtc07.screens.meter_line import Target, greeted
from vtc07.screens.mood import Mood


def read_wanted(
    connection: Connection,
    *,
    target: Target,
    what: str,
    words: tuple[str, ...],
    on_values: OnValues | None = None,
) -> Registers:
    """Read ``what``: ``overview``, ``everything``, or the registers that ``words`` select.

    SelectionError where the words mean no register.
    """
    greeted(connection, target)
    registers = wanted(connection.companion, what, words)
    return connection.run(read(connection.session, registers, on_values=on_values))


def wanted(companion: Companion, what: str, words: tuple[str, ...]) -> tuple[Register, ...]:
    """Return the registers that are meant."""
    if what == "everything":
        return selection.readable(companion)
    return (
        selection.overview(companion) if what == "overview" else selection.select(companion, words)
    )


def is_unused(found: RegisterValue, beside: int) -> bool:
    """Say whether this is an empty entry of a log. ``beside``: how many values were read."""
    return beside > 1 and found.value == "" and found.register.name[-1:].isdigit()


def read_writable(
    connection: Connection, *, target: Target, registers: tuple[Register, ...]
) -> Registers:
    """Read those of some registers that the session's access level lets be read."""
    greeted(connection, target)
    return _readable(connection, registers)


def write_register(
    connection: Connection,
    *,
    target: Target,
    register: Register,
    value: Value,
    journal: ActivityJournal,
    wall_clock: WallClock,
) -> tuple[WriteResult, Registers]:
    """Write a register and read it back; then read what can be written, as it is now.

    Nothing depends on the second: where the line breaks there, what was read back is told alone.
    """
    greeted(connection, target)
    (result,) = connection.run(
        write(
            connection.session,
            [(register, value)],
            verify=True,
            journal=journal,
            wall_clock=wall_clock,
        )
    )
    try:
        found = _readable(connection, selection.writable(connection.companion))
    except (SessionError, LinkUnavailable, CannotRead, Interrupted):
        back = result.read_back
        found = Registers(() if back is None else (RegisterValue(register, back),), (), 0)
    return result, found


def _readable(connection: Connection, registers: tuple[Register, ...]) -> Registers:
    level = connection.session.level
    readable = [r for r in registers if r.read_level is not None and r.read_level <= level]
    return connection.run(read(connection.session, readable))


def written_said(result: WriteResult) -> tuple[Said | str, Mood]:
    """Return what a write came to as a sentence, and how it is said."""
    name = result.register.name
    if result.not_sent:
        return result.not_sent, Mood.BAD
    if not result.written:
        why = Said(result.error.value) if result.error is not None else result.error_text
        return said("{register} was not written: {why}.", register=name, why=why), Mood.BAD
    if not result.good:
        return (
            said("{register} was written, but reads as another value.", register=name),
            Mood.CARE,
        )
    if result.read_back is None:
        return said("{register} is written.", register=name), Mood.GOOD
    return said("{register} is written and read back.", register=name), Mood.GOOD
