"""A meter's state as named records, and back: what a store writes, without the store.

A fact is JSON text; a secret is bytes that a store must seal. Log entries have their number as
name and never change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeVar, cast

from vtc07.carrier.status import TokenStatus
from vtc07.carrier.token_entry import Lockout
from vtc07.meter.logs import Event, EventName, TokenLogEntry
from vtc07.meter.passwords import PasswordGuard, PasswordHash
from vtc07.meter.state import (
    Account,
    LastToken,
    LoadSwitch,
    MeterState,
    Nameplate,
    Settings,
    Staging,
)
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TI,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    KeyChangeSection,
    MeterPAN,
    Service,
    StaTables,
)
from vtc07.tokens.keysections import section_of

_KEY = "decoderKey"
_TABLES = "staTables"
_STAGED = "stagedSections"
_PASSWORD = "password"  # noqa: S105 - a record's name
_SECTION_BYTES = 7  # subclass, then 44 data bits
_SUBSTITUTIONS = 16

_Entry = TypeVar("_Entry", TokenLogEntry, Event)
_Part = TypeVar("_Part")
_Name = TypeVar("_Name", str, int)
_Value = TypeVar("_Value", str, bytes)


class RecordsBroken(ValueError):
    """Records from which no state can be read; the sentence names the first one, not its value."""


@dataclass(frozen=True, slots=True)
class Records:
    """A state, taken apart."""

    facts: Mapping[str, str]
    secrets: Mapping[str, bytes] = field(repr=False)
    token_log: Mapping[int, str] = field(repr=False)
    event_log: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """What leads from the records of one state to those of another.

    New values by name; None for a record that is no longer there. A value may be the same as
    before; a record that is not named is.
    """

    facts: Mapping[str, str]
    secrets: Mapping[str, bytes | None] = field(repr=False)
    token_log: Mapping[int, str | None] = field(repr=False)
    event_log: Mapping[int, str | None]


def encode(state: MeterState) -> Records:
    """Take a state apart."""
    return Records(
        {name: _json(fact.value(state)) for name, fact in _FACTS.items()},
        _secrets(state),
        {entry.number: _token_entry(entry) for entry in state.token_log},
        {entry.number: _event(entry) for entry in state.event_log},
    )


def encode_changes(before: MeterState, after: MeterState) -> Difference:
    """Take apart what differs: most of a state is the very same objects after a transaction."""
    return Difference(
        {
            name: _json(fact.value(after))
            for name, fact in _FACTS.items()
            if any(getattr(before, part) is not getattr(after, part) for part in fact.parts)
        },
        {}
        if before.key is after.key
        and before.staging is after.staging
        and before.password is after.password
        else _changed(_secrets(before), _secrets(after)),
        _log_changes(before.token_log, after.token_log, _token_entry),
        _log_changes(before.event_log, after.event_log, _event),
    )


@dataclass(frozen=True, slots=True)
class _Fact:
    """One fact: the parts of a state that it depends on, and its value as JSON has it."""

    parts: tuple[str, ...]
    value: Callable[[MeterState], Any]


def _fields(part: str, kind: Any) -> _Fact:
    """Return the fact that holds each field of a part, of this class, under the field's name."""
    names = tuple(found.name for found in fields(kind))

    def value(state: MeterState) -> dict[str, Any]:
        found = getattr(state, part)
        return {name: getattr(found, name) for name in names}

    return _Fact((part,), value)


_FACTS: Final[Mapping[str, _Fact]] = {
    "nameplate": _Fact(
        ("nameplate",),
        lambda state: {
            "meterPAN": state.nameplate.meter_pan.digits,
            "service": state.nameplate.service.name,
            "softwareVersion": state.nameplate.software_version,
            "phases": state.nameplate.phases,
            "deviceAddress": state.nameplate.device_address,
        },
    ),
    "key": _Fact(
        ("key", "attributes"),
        lambda state: {
            "EA": int(state.key.ea),
            "KT": int(state.attributes.kt),
            "SGC": state.attributes.sgc.digits,
            "TI": state.attributes.ti.digits,
            "KRN": state.attributes.krn.number,
            "KEN": state.attributes.ken.number,
            "baseDate": state.attributes.base_date.code,
        },
    ),
    "TIDs": _Fact(("tids",), lambda state: state.tids),
    "settings": _fields("settings", Settings),
    "account": _fields("account", Account),
    "switch": _fields("switch", LoadSwitch),
    "staging": _Fact(
        ("staging",), lambda state: None if state.staging is None else state.staging.deadline_ns
    ),
    "virtualLockout": _fields("virtual_lockout", Lockout),
    "keypadLockout": _fields("keypad_lockout", Lockout),
    "passwordGuard": _fields("password_guard", PasswordGuard),
    "last": _Fact(
        ("last",),
        lambda state: {
            "token": state.last.token,
            "status": state.last.status.name,
            "authentication": state.last.authentication.name,
            "validation": state.last.validation.name,
            "result": state.last.result.name,
        },
    ),
    "counts": _Fact(
        ("tokens_executed", "events_counted", "token_log", "event_log", "power_fails"),
        lambda state: {
            "tokens": state.tokens_executed,
            "events": state.events_counted,
            "tokenLog": len(state.token_log),
            "eventLog": len(state.event_log),
            "powerFails": state.power_fails,
        },
    ),
    "power": _Fact(
        ("powered_ns", "powered"),
        lambda state: {"poweredNs": state.powered_ns, "powered": state.powered},
    ),
    "lastTest": _Fact(("last_test",), lambda state: state.last_test),
}


def _secrets(state: MeterState) -> dict[str, bytes]:
    secrets = {_KEY: state.key.material}
    if state.key.ea is EA.STA:
        tables = state.key.tables
        secrets[_TABLES] = bytes((*tables.sub1, *tables.sub2, *tables.perm))
    if state.staging is not None:
        secrets[_STAGED] = b"".join(
            bytes((section.subclass,)) + section.data44().to_bytes(_SECTION_BYTES - 1, "big")
            for section in state.staging.sections
        )
    if state.password is not None:
        secrets[_PASSWORD] = state.password.to_bytes()
    return secrets


def _log_changes(
    before: tuple[_Entry, ...], after: tuple[_Entry, ...], text: Callable[[_Entry], str]
) -> dict[int, str | None]:
    """Return what changed of a log: nearly always some entries at its head, and at its end."""
    if before is after:
        return {}
    new = after[0].number - before[0].number if before and after else 0
    stayed = len(after) - new
    if 0 < new < len(after) and stayed <= len(before) and after[new:] == before[:stayed]:
        changed: dict[int, str | None] = {entry.number: text(entry) for entry in after[:new]}
        changed |= {entry.number: None for entry in before[stayed:]}
        return changed
    return _changed(
        {entry.number: text(entry) for entry in before},
        {entry.number: text(entry) for entry in after},
    )


def _changed(
    before: Mapping[_Name, _Value], after: Mapping[_Name, _Value]
) -> dict[_Name, _Value | None]:
    changed: dict[_Name, _Value | None] = {
        name: value for name, value in after.items() if before.get(name) != value
    }
    changed |= {name: None for name in before if name not in after}
    return changed


def decode(records: Records) -> MeterState:
    """Put a state together; RecordsBroken where a record is missing or makes no sense."""
    facts = _Facts(records.facts)
    counts, power = facts["counts"], facts["power"]
    try:
        state = MeterState(
            nameplate=_nameplate(facts["nameplate"]),
            key=_decoder_key(facts["key"], records.secrets),
            attributes=_attributes(facts["key"]),
            tids=tuple(map(int, facts["TIDs"])),
            settings=_part(Settings, facts["settings"]),
            account=_part(Account, facts["account"]),
            switch=_part(LoadSwitch, facts["switch"]),
            staging=_staging(facts["staging"], records.secrets),
            virtual_lockout=_part(Lockout, facts["virtualLockout"]),
            keypad_lockout=_part(Lockout, facts["keypadLockout"]),
            password=_password(records.secrets),
            password_guard=_part(PasswordGuard, facts["passwordGuard"]),
            last=_last(facts["last"]),
            tokens_executed=counts["tokens"],
            last_test=facts["lastTest"],
            powered_ns=power["poweredNs"],
            powered=power["powered"],
            power_fails=counts["powerFails"],
            events_counted=counts["events"],
            token_log=tuple(
                _read_token_entry(number, records.token_log[number])
                for number in sorted(records.token_log, reverse=True)
            ),
            event_log=tuple(
                _read_event(number, records.event_log[number])
                for number in sorted(records.event_log, reverse=True)
            ),
        )
        kept = counts["tokenLog"], counts["eventLog"]
    except RecordsBroken:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # The cause may hold a value: it is left out.
        raise RecordsBroken(f"a record cannot be read ({type(error).__name__})") from None
    _require_whole("token log", records.token_log, state.tokens_executed, kept[0])
    _require_whole("event log", records.event_log, state.events_counted, kept[1])
    if not state.tids:
        raise RecordsBroken("the TID store is empty")
    return state


_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode
_parsed = json.JSONDecoder().decode


class _Facts:
    """Parsed facts by name."""

    def __init__(self, facts: Mapping[str, str]) -> None:
        self._facts = facts

    def __getitem__(self, name: str) -> Any:
        try:
            return _parsed(self._facts[name])
        except (KeyError, ValueError):
            raise RecordsBroken(f"the record {name} is missing or cannot be read") from None


def decode_nameplate(text: str) -> Nameplate:
    """Return the nameplate that the fact of this name tells; RecordsBroken if it tells none."""
    try:
        return _nameplate(_parsed(text))
    except (KeyError, TypeError, ValueError) as error:
        raise RecordsBroken(f"a record cannot be read ({type(error).__name__})") from None


def _part(kind: Callable[..., _Part], fact: Mapping[str, Any]) -> _Part:
    """Put a part together; every field must be there, also one that has a default."""
    if fact.keys() != {found.name for found in fields(cast("Any", kind))}:
        raise RecordsBroken("a record does not have the fields of its schema")
    return kind(**fact)


def _nameplate(fact: Mapping[str, Any]) -> Nameplate:
    return Nameplate(
        MeterPAN(fact["meterPAN"]),
        Service[fact["service"]],
        fact["softwareVersion"],
        fact["phases"],
        fact["deviceAddress"],
    )


def _attributes(fact: Mapping[str, Any]) -> KeyAttributes:
    return KeyAttributes(
        kt=KT(fact["KT"]),
        sgc=SGC(fact["SGC"]),
        ti=TI(fact["TI"]),
        krn=KRN(fact["KRN"]),
        ken=KEN(fact["KEN"]),
        base_date=BaseDate.from_code(fact["baseDate"]),
    )


def _decoder_key(fact: Mapping[str, Any], secrets: Mapping[str, bytes]) -> DecoderKey:
    ea = EA(fact["EA"])
    if ea is not EA.STA:
        return DecoderKey(ea, secrets[_KEY])
    entries = tuple(secrets[_TABLES])
    tables = StaTables(
        entries[:_SUBSTITUTIONS],
        entries[_SUBSTITUTIONS : 2 * _SUBSTITUTIONS],
        entries[2 * _SUBSTITUTIONS :],
    )
    return DecoderKey(ea, secrets[_KEY], tables)


def _staging(deadline_ns: int | None, secrets: Mapping[str, bytes]) -> Staging | None:
    if deadline_ns is None:
        return None
    staged = secrets[_STAGED]
    sections: list[KeyChangeSection] = []
    for at in range(0, len(staged), _SECTION_BYTES):
        data44 = int.from_bytes(staged[at + 1 : at + _SECTION_BYTES], "big")
        sections.append(section_of(staged[at], data44))
    return Staging(tuple(sections), deadline_ns)


def _password(secrets: Mapping[str, bytes]) -> PasswordHash | None:
    return PasswordHash.from_bytes(secrets[_PASSWORD]) if _PASSWORD in secrets else None


def _last(fact: Mapping[str, Any]) -> LastToken:
    return LastToken(
        fact["token"],
        TokenStatus[fact["status"]],
        TokenStatus[fact["authentication"]],
        TokenStatus[fact["validation"]],
        TokenStatus[fact["result"]],
    )


def _token_entry(entry: TokenLogEntry) -> str:
    return _json([entry.token, entry.tid, entry.kind, entry.value, entry.status.name])


def _read_token_entry(number: int, text: str) -> TokenLogEntry:
    token, tid, kind, value, status = _parsed(text)
    return TokenLogEntry(number, token, tid, kind, value, TokenStatus[status])


def _event(event: Event) -> str:
    return _json([event.powered_s, event.name.value, event.detail])


def _read_event(number: int, text: str) -> Event:
    powered_s, name, detail = _parsed(text)
    return Event(number, powered_s, EventName(name), detail)


def _require_whole(log: str, entries: Mapping[int, str], count: int, kept: int) -> None:
    """Refuse a log that is not the last ``kept`` of ``count`` entries."""
    if kept > count or sorted(entries) != list(range(count - kept + 1, count + 1)):
        raise RecordsBroken(f"entries of the {log} are missing")
