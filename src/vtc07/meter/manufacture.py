"""Making a meter: its first state (docs/protocol.md 11)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from vtc07.carrier.companion import Companion
from vtc07.carrier.grammar import ADDRESS
from vtc07.meter.logs import EventName
from vtc07.meter.passwords import PasswordHash, PasswordRefused
from vtc07.meter.rules import Rules
from vtc07.meter.state import MeterState, Nameplate, Settings
from vtc07.tokens import KT, TID, DecoderKey, KeyAttributes, MeterPAN, Service

_ADDRESS: Final = re.compile(ADDRESS)


class ManufactureRefused(ValueError):
    """A meter that cannot be made as asked; the sentence says why."""


def manufacture(
    companion: Companion,
    meter_pan: MeterPAN,
    key: DecoderKey,
    attributes: KeyAttributes,
    manufactured: TID | datetime,
    *,
    phases: int = 1,
    device_address: str = "",
    software_version: str | None = None,
    password: str | None = None,
) -> MeterState:
    """Return a meter as it leaves the factory: balance 0, switch open, no limits.

    ``key``: a DITK, or derived from a vending key; ``attributes`` are those of that key.
    ``manufactured``: the date of manufacture, as a TID of the base date or as a time with zone;
    the whole TID store holds it, so that no older token is ever taken. ``phases``: 1 or 3 (3 for
    electricity only). ``device_address``: one more address for its port. ``software_version``:
    by default the companion's. ``password``: opens the companion's password level at a port of
    mode C, kept as a hash; None: nothing opens it. Raises ManufactureRefused, CompanionUnfit where
    the companion serves no meter of ours, ValueRefused for a software version that its register
    cannot hold, and OutOfRange for a date that the base date does not cover.
    """
    rules = Rules.of(companion)
    policy = rules.policy
    if attributes.kt is KT.DCTK:
        raise ManufactureRefused(
            "A DCTK (KT 3) belongs to magnetic card meters, and this meter has no card reader; "
            "use a DITK, DDTK or DUTK (KT 0 to 2)."
        )
    if phases not in (1, 3) or (phases == 3 and rules.service is not Service.ELECTRICITY):
        raise ManufactureRefused("A meter has 1 phase, or 3 if it is for electricity.")
    version = policy.software_version if software_version is None else software_version
    if companion.table.has("softwareVersion"):
        companion.table.named("softwareVersion").data_type.check(version)
    if device_address and not _ADDRESS.fullmatch(device_address):
        raise ManufactureRefused(
            "A device address has 1 to 32 characters, each a digit, a letter or a space."
        )
    if password is not None and rules.password is None:
        raise ManufactureRefused(
            f"By the companion {companion.name} the port knows no password; make the meter without "
            "one, or with a companion of mode C."
        )
    if isinstance(manufactured, datetime):
        manufactured = TID.of_minute(manufactured, attributes.base_date)
    state = MeterState(
        nameplate=Nameplate(meter_pan, rules.service, version, phases, device_address),
        key=key,
        attributes=attributes,
        tids=(int(manufactured),) * policy.tid_store_size,
        settings=Settings(
            policy.low_credit_threshold,
            policy.installation_reference,
            policy.low_credit_alarm_enabled,
        ),
        password=None if password is None else _hashed(password),
    )
    return state.with_event(rules, EventName.MANUFACTURED)


def _hashed(password: str) -> PasswordHash:
    try:
        return PasswordHash.of(password)
    except PasswordRefused as error:
        raise ManufactureRefused(str(error)) from error
