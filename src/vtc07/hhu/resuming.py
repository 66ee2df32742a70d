"""What a crash left open in the journal, and how it is closed: by what the meter tells.

A delivery is open from before its token is sent until its result is known. A program that was
killed, a flat battery or a pulled cable leave it so, and the journal then holds all that is needed
to find out at the meter what became of the token (docs/protocol.md 10). A register that was about
to be written is simply read.

Nothing is sent here but questions.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vtc07.carrier.endpoint import Procedure, durably
from vtc07.carrier.registers import Value
from vtc07.hhu.delivery import Deliverer, EarlierDelivery, WallClock
from vtc07.hhu.history.recorded_members import of_value
from vtc07.hhu.history.token_masking import note_without_tokens
from vtc07.hhu.journal.deliveries import (
    Delivery,
    Journal,
    JournalError,
    ReadableJournal,
    UnitJournal,
)
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.outcome import Meaning, Outcome, Unresolved, UnresolvedReason, meaning_of
from vtc07.hhu.reading import read
from vtc07.hhu.session import AnotherMeter, NoLink, Session
from vtc07.hhu.texts import Said, mark, said


@dataclass(frozen=True, slots=True)
class OpenSetting:
    """A register that was about to be written, of which the journal does not say what came of it.

    ``entry``: the number of the entry that announced it. ``register``: its name.
    """

    entry: int
    meter_pan: str | None
    register: str
    value: Value
    time: datetime
    route: str | None = None

    @property
    def said(self) -> Said:
        """What is unknown and what to do, as long as its meter was not asked."""
        return said(
            "whether {register} was written is unknown; connect to the meter and resume, or write "
            "it again, which does no harm",
            register=self.register,
        )


@dataclass(frozen=True, slots=True)
class OpenWork:
    """What a journal holds without a result, oldest first."""

    deliveries: tuple[Delivery, ...] = ()
    settings: tuple[OpenSetting, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.deliveries or self.settings)

    def at(self, meter_pan: str) -> OpenWork:
        """Return what is open at one meter."""
        return OpenWork(
            tuple(d for d in self.deliveries if d.meter_pan == meter_pan),
            tuple(s for s in self.settings if s.meter_pan == meter_pan),
        )

    def elsewhere(self, meter_pan: str) -> OpenWork:
        """Return what is open at other meters."""
        return OpenWork(
            tuple(d for d in self.deliveries if d.meter_pan != meter_pan),
            tuple(s for s in self.settings if s.meter_pan != meter_pan),
        )


class SettingResult(enum.Enum):
    """What a register shows of a write that a crash interrupted; the value is for people."""

    AS_WANTED = mark("it reads as it was to be written")
    ANOTHER = mark("it reads another value: write it again if that is still wanted")
    NOT_TOLD = mark("it cannot be read: write it again if that is still wanted")


@dataclass(frozen=True, slots=True)
class SettingFound:
    """An open setting and what its register reads now; ``value`` None where it cannot be read."""

    setting: OpenSetting
    result: SettingResult
    value: Value | None = None

    @property
    def said(self) -> Said:
        """The result as a sentence."""
        return Said(self.result.value)


@dataclass(frozen=True, slots=True)
class ResumeReport:
    """What was found out at one meter.

    ``meter_pan``: the meter's, None where it could not be reached or compared; ``obstacle`` then
    says why. ``deliveries`` and ``settings``: those that were looked into, with what became of
    them. ``left``: what is still open at this meter. ``elsewhere``: what is open at others.
    ``problems``: sentences about what the journal could not take; the rest is true all the same.
    """

    meter_pan: str | None
    obstacle: Outcome | None = None
    deliveries: tuple[EarlierDelivery, ...] = ()
    settings: tuple[SettingFound, ...] = ()
    left: OpenWork = OpenWork()
    elsewhere: OpenWork = OpenWork()
    problems: tuple[str, ...] = ()

    @property
    def meaning(self) -> Meaning:
        """The gravest meaning: of what stood in the way, and of what nobody can tell.

        Whatever became of a delivery, `Meaning.DONE` once it is known. What is open at other
        meters does not count.
        """
        bad: list[Outcome] = [
            e.outcome for e in self.deliveries if isinstance(e.outcome, Unresolved)
        ]
        if self.obstacle is not None:
            bad.append(self.obstacle)
        if self.left.deliveries and self.obstacle is None:
            return Meaning.UNRESOLVED
        return meaning_of(tuple(bad))


def advice(delivery: Delivery) -> Said:
    """Return what is unknown of an open delivery whose meter was not asked, and what to do."""
    if not delivery.writes:
        return said(
            "nothing of it was sent: the token is as good as before; resuming at its meter closes "
            "it"
        )
    if delivery.s0 is None:
        return said(
            "whether its meter took the token is unknown, and the meter has no registers that "
            "tell; look at its credit before the token is entered again"
        )
    return said(
        "whether its meter took the token is unknown; do not enter it again, connect to that "
        "meter and resume: the meter tells"
    )


def open_work(journal: ReadableJournal, meter_pan: str | None = None) -> OpenWork:
    """Return what the journal holds without a result, of one meter or of all."""
    settings: dict[tuple[str | None, str], OpenSetting] = {}
    kinds = (EntryKind.SETTING, EntryKind.SET)
    for entry in journal.entries(kinds=kinds, meter_pan=meter_pan):
        register = entry.members.get("register")
        if not isinstance(register, str):
            continue
        # What was begun later in the same register tells more, and a result ends it.
        settings.pop((entry.meter_pan, register), None)
        if entry.kind is EntryKind.SETTING:
            value = entry.secrets.get("value", entry.members.get("value", ""))
            settings[entry.meter_pan, register] = OpenSetting(
                entry.number, entry.meter_pan, register, value, entry.time, entry.route
            )
    return OpenWork(tuple(journal.unresolved(meter_pan)), tuple(settings.values()))


def resume(
    session: Session, journal: UnitJournal, *, wall_clock: WallClock
) -> Procedure[ResumeReport]:
    """Find out what became of everything that is open at the meter that is there.

    Every open delivery to it is resolved and closed with its result, as far as the meter tells;
    then the registers are read whose writing was interrupted. Never raises for what the meter or
    the line does: that is in the report.
    """
    deliverer = Deliverer(session, journal, wall_clock, resend=False)
    return (yield from resume_by(deliverer, session, journal, wall_clock=wall_clock))


def resume_by(
    deliverer: Deliverer, session: Session, journal: UnitJournal, *, wall_clock: WallClock
) -> Procedure[ResumeReport]:
    """Do the same with a deliverer that is made already; for simulations."""
    report = yield from deliverer.resolve_earlier()
    obstacle = report.outcomes[0] if report.outcomes else None
    everything = open_work(journal)
    meter_pan = report.meter_pan
    if meter_pan is None:
        return ResumeReport(
            None, obstacle, report.earlier, elsewhere=everything, problems=report.problems
        )
    found, problems = yield from _settings(
        session, journal, everything.at(meter_pan).settings, wall_clock
    )
    settled = {each.setting for each in found}
    left = everything.at(meter_pan)
    return ResumeReport(
        meter_pan,
        obstacle,
        report.earlier,
        found,
        OpenWork(left.deliveries, tuple(s for s in left.settings if s not in settled)),
        everything.elsewhere(meter_pan),
        (*report.problems, *problems),
    )


def close_by_hand(journal: Journal, number: int, note: str, *, time: datetime) -> Delivery:
    """Close an open delivery whose meter cannot be asked any more, as unresolved for good.

    ``note``: why, in the person's words; a token in it is not kept, for the result stands in masked
    exports too. JournalError where there is no such open delivery.
    """
    found = next((d for d in journal.unresolved() if d.number == number), None)
    if found is None:
        raise JournalError(
            f"no delivery {number} is open; vtc07 hhu resume without ADDRESS lists those that are"
        )
    outcome = Unresolved(UnresolvedReason.BY_HAND, note_without_tokens(note))
    journal.close_delivery(number, outcome, time)
    return found


def _settings(
    session: Session, journal: UnitJournal, wanted: Sequence[OpenSetting], wall_clock: WallClock
) -> Procedure[tuple[tuple[SettingFound, ...], tuple[str, ...]]]:
    """Read the registers of open settings; those that could not be asked for are left out."""
    table = session.companion.table
    registers = [
        table.named(s.register)
        for s in wanted
        if table.has(s.register)
        and (level := table.named(s.register).read_level) is not None
        and level <= session.level
    ]
    values: dict[str, Value] = {}
    if registers:
        try:
            registers_read = yield from read(session, registers)
        except (NoLink, AnotherMeter):
            return (), ()
        values = {v.register.name: v.value for v in registers_read.values}
    found: list[SettingFound] = []
    problems: list[str] = []
    for setting in wanted:
        value = values.get(setting.register)
        result = SettingResult.NOT_TOLD
        if value is not None:
            same = value == setting.value
            result = SettingResult.AS_WANTED if same else SettingResult.ANOTHER
        found.append(SettingFound(setting, result, value))
        entry = _entry(session, found[-1], wall_clock())
        try:
            yield from durably(lambda entry=entry: journal.record(entry))  # type: ignore[misc]
        except JournalError as error:
            problems.append(str(error))
    return tuple(found), tuple(problems)


def _entry(session: Session, found: SettingFound, time: datetime) -> NewEntry:
    """Return the entry that ends a setting, as `vtc07.hhu.writing` has it."""
    setting, table = found.setting, session.companion.table
    members: dict[str, Any] = {"value": setting.value, "read_back": found.value}
    secrets: Mapping[str, str] = {}
    if table.has(setting.register):
        register = table.named(setting.register)
        kept = of_value(register, setting.value)
        members["address"] = register.address
        members["value"], secrets = kept.members["value"], kept.secrets
        if found.value is not None:
            members["read_back"] = of_value(register, found.value).members["value"]
    members |= {
        "register": setting.register,
        "setting": setting.entry,
        "written": True if found.result is SettingResult.AS_WANTED else None,
        "text": str(found.said),
    }
    return NewEntry(
        EntryKind.SET, time, members, setting.meter_pan, route=setting.route, secrets=secrets
    )
