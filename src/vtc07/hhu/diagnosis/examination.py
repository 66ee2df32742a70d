"""Everything that a support desk asks for, read of a meter at rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vtc07.carrier.companion import Companion
from vtc07.carrier.endpoint import Procedure
from vtc07.carrier.events import RegisterValue
from vtc07.carrier.registers import Register, Value
from vtc07.carrier.status import TokenStatus
from vtc07.hhu.entry_refused import out_of_order
from vtc07.hhu.key_change.state import flag_bit
from vtc07.hhu.meter_log import EventHistory, MeterEvent, TokenHistory, read_events, read_tokens
from vtc07.hhu.outcome import NotTaken
from vtc07.hhu.plan import CannotRead
from vtc07.hhu.reading import RefusedRead, read
from vtc07.hhu.session import Meter, Session
from vtc07.hhu.values import text_for_people
from vtc07.tokens.tid import MAXIMUM_TID, BaseDate

#: The registers that tell of one instant what the meter is about.
INSTANT = ("serverStatus", "tokenStatus", "tokenSequence", "lastToken", "lastTokenStatus")
#: What a support desk asks for, in the order in which it is shown.
ASKED_FOR = (
    "meterPAN", "DRN", "MfrCode", "softwareVersion", "EA", "SGC", "KRN", "KT", "TI", "KEN",
    "baseDate", "creditBalance", "totalConsumption", "totalCreditAccepted", "lowCreditThreshold",
    "lowCreditAlarmEnabled", "loadSwitch", "disconnectReason", "maximumPowerLimit",
    "maximumPhasePowerUnbalanceLimit", "activePower", "flowRate", "tamperStatus", "serverStatus",
    "lockoutRemaining", "powerFailCount", "tokenStatus", "tokenSequence", "lastToken",
    "lastTokenStatus", "installationReference",
)  # fmt: skip
_ACCEPTED = "acceptedTID"
_MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Examination:
    """What was read of a meter.

    ``values``: by register's name; a meter need not have any of them. ``tokens``, ``events``: its
    logs, None where it has none or does not tell. ``tids``: of the tokens that it accepted, as far
    as it keeps them. ``broken``: it is out of order, and tells hardly anything. ``refused``: what
    it refused to tell.
    """

    companion: Companion
    meter: Meter
    values: Mapping[str, Value] = field(repr=False)
    tokens: TokenHistory | None = None
    events: EventHistory | None = None
    tids: tuple[int, ...] = ()
    broken: NotTaken | None = None
    refused: tuple[RefusedRead, ...] = ()

    def number(self, name: str) -> int | None:
        """Return a register's number, None where it is not told."""
        value = self.values.get(name)
        return value if isinstance(value, int) else None

    def text(self, name: str) -> str | None:
        """Return a register's text, None where it is not told."""
        value = self.values.get(name)
        return value if isinstance(value, str) else None

    def flag(self, *names: str) -> bool | None:
        """Return a bit of serverStatus by a name that the companion gives it, None: not told."""
        status = self.number(INSTANT[0])
        if status is None or not self.companion.table.has(INSTANT[0]):
            return None
        register = self.companion.table.named(INSTANT[0])
        for name in names:
            if (bit := flag_bit(register, name)) is not None:
                return bool(status >> bit & 1)
        return None

    def status(self, name: str) -> TokenStatus | None:
        """Return the status that a register shows, None where it is not told or not named."""
        number = self.number(name)
        return None if number is None else self.companion.token_entry.status.status(number)

    def shown(self, name: str) -> str:
        """Return a register's value for people."""
        register = self.companion.table.named(name)
        return text_for_people(register, self.values[name], self.companion)

    def amount(self, base_units: int) -> str:
        """Return an amount of the service for people."""
        table, policy = self.companion.table, self.companion.meter
        if table.has("creditBalance"):
            return text_for_people(table.named("creditBalance"), base_units, self.companion)
        return f"{base_units} {policy.base_unit}" if policy else str(base_units)

    @property
    def base_date(self) -> BaseDate | None:
        """From when on the meter counts TIDs, None where it is not told."""
        code = self.text("baseDate")
        return next((base for base in BaseDate if base.code == code), None)

    def since_s(self, powered_s: int) -> int | None:
        """Return how many powered seconds ago an instant was, at least; None: not told.

        The log has whole seconds, so up to one of them may not have passed.
        """
        newest_s = None if self.events is None else self.events.newest_s
        return None if newest_s is None else max(0, newest_s - powered_s - 1)

    def newest_event(self, *names: str) -> MeterEvent | None:
        """Return the newest event of one of these names, as far as the log reaches."""
        entries = () if self.events is None else self.events.entries
        return next((event for event in entries if event.name in names), None)

    @property
    def registers(self) -> tuple[RegisterValue, ...]:
        """What a support desk asks for, as far as it was told, in the order to be shown."""
        table = self.companion.table
        return tuple(
            RegisterValue(table.named(name), self.values[name])
            for name in ASKED_FOR
            if name in self.values
        )


def examine(session: Session) -> Procedure[Examination]:
    """Read all that tells what is the case with a meter, all of one time where possible.

    Raises NoLink or AnotherMeter.
    """
    meter = yield from session.ready()
    broken = yield from out_of_order(session)
    registers = _readable(session, ASKED_FOR)
    if broken is not None:
        values = yield from _one_by_one(session, registers)
        return Examination(session.companion, meter, values, broken=broken)
    rounds = 0
    while True:
        rounds += 1
        values, refused = yield from _values(session, registers)
        sequence = values.get("tokenSequence")
        number = sequence if isinstance(sequence, int) else None
        tokens = yield from read_tokens(session, number)
        events = yield from read_events(session, lambda _event: False)
        tids, _ = yield from _values(session, _series(session, _ACCEPTED))
        again, _ = yield from _values(session, _readable(session, INSTANT[2:3]))
        if again.get("tokenSequence", sequence) == sequence or rounds >= _MOST_ROUNDS:
            break
    return Examination(
        session.companion,
        session.meter or meter,
        values,
        tokens,
        events,
        tuple(v for v in tids.values() if isinstance(v, int) and 0 <= v <= MAXIMUM_TID),
        refused=refused,
    )


def _readable(session: Session, names: Iterable[str]) -> tuple[Register, ...]:
    table, level = session.companion.table, session.level
    found = (table.named(name) for name in names if table.has(name))
    return tuple(r for r in found if r.read_level is not None and r.read_level <= level)


def _series(session: Session, name: str) -> tuple[Register, ...]:
    table = session.companion.table
    return _readable(session, [r.name for r in table if r.name.partition(".")[0] == name])


def _one_by_one(session: Session, registers: Iterable[Register]) -> Procedure[dict[str, Value]]:
    """Read registers of a meter that refuses a message with one that it does not know."""
    values: dict[str, Value] = {}
    for register in registers:
        found = yield from read(session, [register])
        values |= {v.register.name: v.value for v in found.values}
    return values


def _values(
    session: Session, registers: tuple[Register, ...]
) -> Procedure[tuple[dict[str, Value], tuple[RefusedRead, ...]]]:
    """Read registers; what tells of one instant in one message where it fits."""
    if not registers:
        return {}, ()
    group = [r for r in registers if r.name in INSTANT]
    try:
        found = yield from read(session, registers, together=[group] if group else [])
    except CannotRead:
        found = yield from read(session, registers)
    values = {v.register.name: v.value for v in found.values}
    refused = {r.register.name: r for r in found.refused}
    if any(register.name in refused for register in group):
        # One of them is refused; the others may be told by themselves.
        alone = yield from _one_by_one(session, group)
        values |= alone
        refused = {name: r for name, r in refused.items() if name not in alone}
    return values, tuple(refused.values())
