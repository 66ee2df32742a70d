"""Writing ordinary registers: simply repeated by the core, read back on request.

The token-entry register is not written here: a token is delivered (`vtc07.hhu.delivery`). With a
journal a SETTING entry is durable before a register is written, and a SET entry says what became
of it; a register whose SETTING cannot be written down is not written either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from vtc07.carrier.endpoint import Procedure, durably
from vtc07.carrier.events import CommandRefused, Write, Written
from vtc07.carrier.registers import Register, Value
from vtc07.carrier.status import ErrorCode
from vtc07.hhu.history.recorded_members import of_value
from vtc07.hhu.history.token_masking import text_without_tokens
from vtc07.hhu.journal.deliveries import JournalError
from vtc07.hhu.journal.entries import ActivityJournal, EntryKind, NewEntry
from vtc07.hhu.progress import RegisterWritten
from vtc07.hhu.reading import read
from vtc07.hhu.session import Session, SessionError


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of one register.

    ``written``: the meter acknowledged. ``error`` and ``error_text``: its error message.
    ``read_back``: the value read afterwards, None where that was not asked for or not possible.
    ``not_sent``: why it was not sent at all, as the journal says; else empty.
    ``problem``: what the journal could not take of the result, which is true all the same.
    """

    register: Register
    value: Value
    written: bool
    error: ErrorCode | None = None
    error_text: str = ""
    read_back: Value | None = None
    not_sent: str = ""
    problem: str = ""

    @property
    def good(self) -> bool:
        """Say whether it was written and, where it was read back, reads as written."""
        return self.written and self.read_back in (None, self.value)


def write(
    session: Session,
    values: Sequence[tuple[Register, Value]],
    *,
    verify: bool = False,
    journal: ActivityJournal | None = None,
    wall_clock: Callable[[], datetime] | None = None,
    route: str | None = None,
) -> Procedure[tuple[WriteResult, ...]]:
    """Write registers in this order and stop at the first that the meter refuses.

    All values are checked first: ValueRefused where a register cannot hold one, ValueError for
    the token-entry register; nothing has been sent then. A register that the companion lists as
    not to be written is the meter's to refuse; such go first, so that a refusal leaves everything
    as it was. So is one that needs a password, where none was given. The meter is identified
    first where need be. Raises NoLink or AnotherMeter.

    ``journal``, ``wall_clock``: where it is written down, and by which time of day; both or none.
    ``route``: the route that the entries are part of. A register that the journal could not take
    ends it too (`WriteResult.not_sent`).
    """
    for register, value in values:
        if register == session.companion.token_entry.register:
            raise ValueError(f"{register.name} takes tokens: a token is delivered, not written")
        register.encode(value)
    yield from session.ready()
    settings = None
    if journal is not None:
        if wall_clock is None:
            raise ValueError("a journal wants the time of day: wall_clock is missing")
        settings = _Settings(session, journal, wall_clock, route)
    results: list[WriteResult] = []
    try:
        yield from _write(session, values, settings, results)
        if verify:
            results = yield from _read_back(session, results)
    except SessionError:
        if settings is not None:  # what is known is not lost with the line
            yield from settings.close(results)
        raise
    if settings is not None:
        results = yield from settings.close(results)
    return tuple(results)


def _write(
    session: Session,
    values: Sequence[tuple[Register, Value]],
    settings: _Settings | None,
    results: list[WriteResult],
) -> Procedure[None]:
    """Write registers up to the first that is refused; appends each result as it is known."""
    for register, value in sorted(values, key=lambda pair: pair[0].write_level is not None):
        if settings is not None and (error := (yield from settings.announce(register, value))):
            results.append(WriteResult(register, value, written=False, not_sent=error))
            return
        event = yield from session.command(Write(register, value))
        if isinstance(event, CommandRefused):
            refusal = WriteResult(
                register, value, written=False, error=event.error, error_text=event.error_text
            )
            results.append(refusal)
            return
        assert isinstance(event, Written)
        session.on_progress(RegisterWritten(register.name))
        results.append(WriteResult(register, value, written=True))


def _read_back(session: Session, results: list[WriteResult]) -> Procedure[list[WriteResult]]:
    """Read what was written; a register that cannot be read keeps None."""
    readable = [
        r.register
        for r in results
        if r.written
        and r.register.read_level is not None
        and r.register.read_level <= session.level
    ]
    found = yield from read(session, readable)
    back = {v.register: v.value for v in found.values}
    return [replace(r, read_back=back.get(r.register)) for r in results]


class _Settings:
    """The journal's entries about the registers of one `write`."""

    def __init__(
        self,
        session: Session,
        journal: ActivityJournal,
        wall_clock: Callable[[], datetime],
        route: str | None,
    ) -> None:
        self._session = session
        self._journal = journal
        self._wall_clock = wall_clock
        self._route = route
        self._announced: list[int] = []  # numbers of the entries, in the results' order

    def announce(self, register: Register, value: Value) -> Procedure[str]:
        """Write down that a register is about to be written; returns why that failed, or empty."""
        entry = self._entry(EntryKind.SETTING, register, value, {})
        try:
            (number,) = yield from durably(lambda: self._journal.record(entry))
        except JournalError as error:
            return str(error)
        self._announced.append(number)
        return ""

    def close(self, results: Sequence[WriteResult]) -> Procedure[list[WriteResult]]:
        """Write down what became of those that were announced, all at once."""
        entries = [
            self._entry(EntryKind.SET, r.register, r.value, self._result(r, number))
            for r, number in zip(results, self._announced, strict=False)
        ]
        if not entries:
            return list(results)
        try:
            yield from durably(lambda: self._journal.record(*entries))
        except JournalError as error:
            problem = str(error)
            return [r if r.not_sent else replace(r, problem=problem) for r in results]
        return list(results)

    def _result(self, result: WriteResult, setting: int) -> dict[str, Any]:
        read_back = result.read_back
        if read_back is not None:
            read_back = of_value(result.register, read_back).members["value"]
        return {
            "setting": setting,
            "written": result.written,
            "error": None if result.error is None else result.error.value,
            "error_text": text_without_tokens(result.error_text),
            "read_back": read_back,
        }

    def _entry(
        self, kind: EntryKind, register: Register, value: Value, more: dict[str, Any]
    ) -> NewEntry:
        kept = of_value(register, value)
        meter = self._session.meter
        return NewEntry(
            kind,
            self._wall_clock(),
            {"register": register.name, "address": register.address, **kept.members, **more},
            None if meter is None else meter.meter_pan,
            route=self._route,
            secrets=kept.secrets,
        )
