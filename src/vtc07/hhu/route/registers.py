"""The registers of a stop, written and read, and what that came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vtc07.carrier.endpoint import Procedure
from vtc07.carrier.registers import Register
from vtc07.carrier.status import ErrorCode
from vtc07.hhu.delivery import WallClock
from vtc07.hhu.journal.entries import ActivityJournal
from vtc07.hhu.plan import CannotRead
from vtc07.hhu.reading import Registers, read
from vtc07.hhu.route.task import TaskResult
from vtc07.hhu.selection import SelectionError, assignment, select
from vtc07.hhu.session import Session
from vtc07.hhu.texts import Said, counted, said
from vtc07.hhu.values import document, text_for_people
from vtc07.hhu.writing import WriteResult, write


@dataclass(frozen=True, slots=True)
class Came:
    """What a task came to. ``problem``: what the journal could not take; ``why``: as in a state."""

    result: TaskResult
    said: Said
    values: tuple[dict[str, Any], ...] = ()
    problem: str = ""
    why: str = ""


def write_word(
    session: Session, journal: ActivityJournal, word: str, *, wall_clock: WallClock, route: str
) -> Procedure[Came]:
    """Write ``REGISTER=VALUE`` and read it back. Raises NoLink or AnotherMeter."""
    try:
        register, value = assignment(session.companion, word)
    except SelectionError as error:
        return Came(TaskResult.REFUSED, said("{why}", why=str(error)))
    try:
        (done,) = yield from write(
            session,
            [(register, value)],
            verify=True,
            journal=journal,
            wall_clock=wall_clock,
            route=route,
        )
    except CannotRead as error:
        return Came(TaskResult.REFUSED, said("{why}", why=str(error)))
    return _written(session, done)


def _written(session: Session, done: WriteResult) -> Came:
    register = done.register
    if done.not_sent:
        why = said("not written: {why}", why=done.not_sent)
        return Came(TaskResult.TO_DO, why, problem=done.not_sent)
    if not done.written:
        if done.error is ErrorCode.ACCESS_DENIED and (register.write_level or 0) > session.level:
            return Came(TaskResult.TO_DO, _PASSWORD)
        reason = said("no reason that the companion names")
        if done.error is not None:
            reason = Said(done.error.value)
        if done.error_text:
            reason = said("{reason} ({text})", reason=reason, text=done.error_text)
        return Came(TaskResult.REFUSED, said("refused: {reason}", reason=reason))
    if done.read_back is None:
        return Came(TaskResult.DONE, said("written"), problem=done.problem)
    values = (document(register, done.read_back, session.companion),)
    if done.good:
        return Came(TaskResult.DONE, said("written and read back"), values, done.problem)
    back = text_for_people(register, done.read_back, session.companion)
    text = said("written, but it reads {text}", text=repr(back))
    return Came(TaskResult.REFUSED, text, values, done.problem)


_PASSWORD = said("not allowed without the meter's password")


def read_words(session: Session, words: Sequence[str]) -> Procedure[tuple[Came, ...]]:
    """Read what words mean, together in the least time. Raises NoLink or AnotherMeter."""
    wanted: dict[str, tuple[Register, ...]] = {}
    came: dict[str, Came] = {}
    for word in words:
        try:
            registers = select(session.companion, [word])
        except SelectionError as error:
            came[word] = Came(TaskResult.REFUSED, said("{why}", why=str(error)))
            continue
        if any((register.read_level or 0) > session.level for register in registers):
            came[word] = Came(TaskResult.TO_DO, _PASSWORD)
        else:
            wanted[word] = registers
    try:
        found = yield from read(session, [r for registers in wanted.values() for r in registers])
    except CannotRead:
        for word, registers in wanted.items():  # one of them is the cause
            came[word] = yield from _read_one(session, registers)
    else:
        for word, registers in wanted.items():
            came[word] = _read(session, registers, found)
    return tuple(came[word] for word in words)


def _read_one(session: Session, registers: tuple[Register, ...]) -> Procedure[Came]:
    try:
        found = yield from read(session, registers)
    except CannotRead as error:
        return Came(TaskResult.REFUSED, said("{why}", why=str(error)))
    return _read(session, registers, found)


def _read(session: Session, registers: tuple[Register, ...], found: Registers) -> Came:
    told = {value.register: value.value for value in found.values}
    values = tuple(document(r, told[r], session.companion) for r in registers if r in told)
    refused = [refusal for refusal in found.refused if refusal.register in registers]
    if not refused:
        return Came(
            TaskResult.DONE, counted("value read", "{count} values read", len(values)), values
        )
    names = ", ".join(refusal.register.name for refusal in refused)
    why = said(
        "the meter refused to tell {names}: {reason}", names=names, reason=Said(refused[0].why)
    )
    return Came(TaskResult.REFUSED, why, values)
