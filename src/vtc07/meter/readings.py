"""The registers of the meter: what each name reads, and what a client may write.

A companion places and encodes registers; their names are fixed here. A companion with a name that
is not here describes another maker's meter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from vtc07.carrier.companion import Companion
from vtc07.carrier.registers import Register, Value, ValueRefused
from vtc07.carrier.status import TokenStatus
from vtc07.meter import accounting
from vtc07.meter.accounting import Load
from vtc07.meter.logs import TOKEN_SEQUENCE_MODULUS, EventName
from vtc07.meter.rules import (
    ACCEPTED_TID_LOG,
    EVENT_LOG,
    LOGS,
    TOKEN_LOG,
    CompanionUnfit,
    Rules,
    log_registers,
)
from vtc07.meter.state import MeterState
from vtc07.tokens import KT, MAXIMUM_AMOUNT, MAXIMUM_TID, TCT


@dataclass(frozen=True, slots=True)
class Instant:
    """A meter at one instant: its state, and what is not durable about it.

    ``token_status``: what tokenStatus shows, 15 and 16 included. ``store_fault``: a commit has
    failed since power up.
    """

    state: MeterState
    load: Load
    token_status: TokenStatus
    store_fault: bool


_STATUSES: Final = (
    "tokenStatus",
    "lastTokenStatus",
    "authenticationResult",
    "validationResult",
    "tokenResult",
)

Reading = Callable[[Instant], Value]


def server_status(instant: Instant) -> int:
    """Return the bits of serverStatus; the lockout is the virtual carrier's."""
    state = instant.state
    bits = (
        not state.switch.closed,
        state.account.balance <= 0,
        bool(state.switch.tamper),
        state.virtual_lockout.locked,
        state.staging is not None,
        state.switch.power_trip_until_ns is not None,
        instant.store_fault,
        state.attributes.kt is KT.DDTK,
    )
    return sum(1 << place for place, bit in enumerate(bits) if bit)


def _phase(number: int) -> Reading:
    def reading(instant: Instant) -> Value:
        phases = accounting.drawn(instant.state, instant.load)
        return phases[number] if number < len(phases) else 0

    return reading


def _status(statuses: Callable[[Instant], TokenStatus], rules: Rules) -> Reading:
    return lambda instant: rules.statuses.number(statuses(instant))


def _readings(companion: Companion, rules: Rules) -> dict[str, Reading]:
    table = companion.table
    return {
        "tableID": lambda _: table.table_id,
        "FOIN": lambda _: table.foin,
        "protocolVersion": lambda _: companion.protocol_version,
        "serverStatus": server_status,
        "tokenStatus": _status(lambda at: at.token_status, rules),
        "tokenSequence": lambda at: at.state.token_sequence,
        "lastToken": lambda at: at.state.last.token,
        "lastTokenStatus": _status(lambda at: at.state.last.status, rules),
        "authenticationResult": _status(lambda at: at.state.last.authentication, rules),
        "validationResult": _status(lambda at: at.state.last.validation, rules),
        "tokenResult": _status(lambda at: at.state.last.result, rules),
        "lockoutRemaining": lambda at: at.state.virtual_lockout.remaining_s,
        "softwareVersion": lambda at: at.state.nameplate.software_version,
        "meterPAN": lambda at: at.state.nameplate.meter_pan.digits,
        "DRN": lambda at: at.state.nameplate.meter_pan.drn.digits,
        "MfrCode": lambda at: at.state.nameplate.meter_pan.drn.mfr_code.digits,
        "TCT": lambda _: f"{TCT.VIRTUAL:02d}",
        "EA": lambda at: at.state.key.ea.code,
        "SGC": lambda at: at.state.attributes.sgc.digits,
        "KRN": lambda at: at.state.attributes.krn.number,
        "KT": lambda at: int(at.state.attributes.kt),
        "TI": lambda at: at.state.attributes.ti.digits,
        "KEN": lambda at: at.state.attributes.ken.number,
        "baseDate": lambda at: at.state.attributes.base_date.code,
        "creditBalance": lambda at: at.state.account.balance,
        "totalConsumption": lambda at: at.state.account.consumed,
        "totalCreditAccepted": lambda at: at.state.account.accepted,
        "activePower": lambda at: sum(accounting.drawn(at.state, at.load)),
        "activePowerL1": _phase(0),
        "activePowerL2": _phase(1),
        "activePowerL3": _phase(2),
        "flowRate": lambda at: sum(accounting.drawn(at.state, at.load)),
        "loadSwitch": lambda at: int(at.state.switch.closed),
        "disconnectReason": lambda at: int(accounting.disconnect_reason(at.state)),
        "maximumPowerLimit": lambda at: at.state.switch.maximum_power,
        "maximumPhasePowerUnbalanceLimit": lambda at: at.state.switch.maximum_unbalance,
        "tamperStatus": lambda at: at.state.switch.tamper,
        "powerFailCount": lambda at: at.state.power_fails,
        "lowCreditThreshold": lambda at: at.state.settings.low_credit_threshold,
        "installationReference": lambda at: at.state.settings.installation_reference,
        "lowCreditAlarmEnabled": lambda at: at.state.settings.low_credit_alarm_enabled,
    }


def _log_reading(log: str, place: int, register: Register, rules: Rules) -> Reading:
    empty: Value = 0 if register.data_type.is_number else ""

    def reading(instant: Instant) -> Value:
        state = instant.state
        if log == ACCEPTED_TID_LOG:
            return state.tids[place] if place < len(state.tids) else empty
        if log == TOKEN_LOG:
            tokens = state.token_log
            return tokens[place].text(rules.statuses) if place < len(tokens) else empty
        events = state.event_log
        return events[place].text if place < len(events) else empty

    return reading


def _longest_values(rules: Rules) -> dict[str, Value]:
    """Return the longest value of every register whose values are no numbers that may be held.

    A number is held within what its register can show (`Readings.value`); text cannot be cut, and
    from tokenSequence and from statuses a client concludes what became of a token.
    """
    status = max(rules.statuses.numbers.values())
    control = 2**36 - 1  # of a class 1 token: with the largest credit, what a log entry can tell
    value = max(control, MAXIMUM_AMOUNT * rules.policy.credit_unit)
    sequence, token = TOKEN_SEQUENCE_MODULUS - 1, "0" * 20
    entry = f"{sequence},{token},{MAXIMUM_TID},2.15,{value},{status}"
    longest_name = max((name.value for name in EventName), key=len)
    return {
        **dict.fromkeys(_STATUSES, status),
        "tokenSequence": sequence,
        "lastToken": token,
        "meterPAN": "0" * 18,
        "DRN": "0" * 13,
        "MfrCode": "0" * 4,
        "TCT": "07",
        "EA": "07",
        "SGC": "0" * 6,
        "TI": "0" * 2,
        "baseDate": "14",
        "softwareVersion": rules.policy.software_version,
        "installationReference": rules.policy.installation_reference,
        TOKEN_LOG: entry,
        EVENT_LOG: f"{2**64 - 1},{longest_name},{2**32 - 1}",
    }


class Readings:
    """The readable registers of a companion, bound to what they read.

    CompanionUnfit on construction: the companion has a register that our meter does not have or
    that could not show its value, or lets a client write one that only tokens may change.
    """

    def __init__(self, companion: Companion, rules: Rules) -> None:
        known = _readings(companion, rules)
        self._readings: dict[str, Reading] = {}
        for log in LOGS:
            for place, register in enumerate(log_registers(companion.table, log)):
                self._readings[register.name] = _log_reading(log, place, register, rules)
        entry = companion.token_entry.register
        for register in companion.table:
            if register == entry or register.name in self._readings:
                continue
            if register.name not in known:
                raise CompanionUnfit(
                    f"The companion {companion.name} has a register {register.name}, which our "
                    "meter does not have; take it out, or choose another companion."
                )
            if register.write_level is not None and register.name not in WRITABLE:
                raise CompanionUnfit(
                    f"The companion {companion.name} lets a client write {register.name}, which "
                    f"only tokens may change; writable are {', '.join(sorted(WRITABLE))}."
                )
            self._readings[register.name] = known[register.name]
        longest = _longest_values(rules)
        for register in companion.table:
            if register != entry:
                value = longest.get(register.name.partition(".")[0], 0)
                self._require_room(companion, register, value)

    @staticmethod
    def _require_room(companion: Companion, register: Register, value: Value) -> None:
        try:
            register.data_type.check(value)
        except ValueRefused as error:
            raise CompanionUnfit(
                f"The companion {companion.name} has a register {register.name} of type "
                f"{register.data_type}, which cannot show what it must: {error}."
            ) from error

    def value(self, register: Register, instant: Instant) -> Value:
        """Return a register's value, held within what its type can show."""
        value = self._readings[register.name](instant)
        if isinstance(value, int):
            return max(register.data_type.minimum, min(value, register.data_type.maximum))
        return value


#: The companions of the meters made last: thousands of meters have the same few.
_recent: deque[tuple[Companion, Rules, Readings]] = deque(maxlen=8)


def rules_and_readings(companion: Companion) -> tuple[Rules, Readings]:
    """Return what a companion lays down for its meters; CompanionUnfit where it cannot."""
    for known, rules, readings in tuple(_recent):
        if known is companion:
            return rules, readings
    rules = Rules.of(companion)
    readings = Readings(companion, rules)
    _recent.append((companion, rules, readings))
    return rules, readings


# --- writing ------------------------------------------------------------------------------------

_Setting = Callable[[MeterState, Value], MeterState | None]


def _threshold(state: MeterState, value: Value) -> MeterState | None:
    return replace(state, settings=replace(state.settings, low_credit_threshold=int(value)))


def _reference(state: MeterState, value: Value) -> MeterState | None:
    return replace(state, settings=replace(state.settings, installation_reference=str(value)))


def _alarm(state: MeterState, value: Value) -> MeterState | None:
    if value not in (0, 1):
        return None
    return replace(state, settings=replace(state.settings, low_credit_alarm_enabled=int(value)))


#: The registers that a client may write; credit, keys, limits and tamper are not among them.
WRITABLE: Final[Mapping[str, _Setting]] = {
    "lowCreditThreshold": _threshold,
    "installationReference": _reference,
    "lowCreditAlarmEnabled": _alarm,
}


def write(state: MeterState, register: Register, value: Value, rules: Rules) -> MeterState | None:
    """Return the state with a register written and the event noted; None: the value is refused."""
    setting = WRITABLE.get(register.name)
    after = None if setting is None else setting(state, value)
    if after is None:
        return None
    try:
        detail = int(register.address, 16)
    except ValueError:
        detail = None
    if detail is not None and detail > 0xFFFFFFFF:
        detail = None
    return after.with_event(rules, EventName.WRITE, detail)
