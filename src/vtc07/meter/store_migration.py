"""Older schemas of a store: how their records become those of today.

A step leads from one schema version to the next and changes records by name; what it does not
name stays as it is, to the byte. It must refuse (`RecordsBroken`) whatever is not of its version:
the version stands in the file's header, outside of all that is authenticated.

A new version needs: SCHEMA_VERSION one higher, and one step at the end of `_STEPS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from vtc07.meter.encoding import RecordsBroken
from vtc07.meter.store_contents import FACT, Name

SCHEMA_VERSION: Final = 3

_Records = Mapping[Name, bytes]
_Step = Callable[[_Records], dict[Name, bytes]]


def migrated(records: _Records, version: int) -> dict[Name, bytes]:
    """Return the records of an older store as SCHEMA_VERSION has them.

    ``version``: 1 to SCHEMA_VERSION. RecordsBroken: they are not of that version.
    """
    now = dict(records)
    for step in _STEPS[version - 1 :]:
        now |= step(now)
    return now


def _remember_refusals(records: _Records) -> dict[Name, bytes]:
    """1 to 2: a lockout remembers whether it refused an entry; before, nobody knows."""
    changed: dict[Name, bytes] = {}
    for name in ((FACT, "virtualLockout"), (FACT, "keypadLockout")):
        try:
            lockout = json.loads(records[name])
        except (KeyError, ValueError):
            raise RecordsBroken(f"the record {name[1]} is missing or cannot be read") from None
        if not isinstance(lockout, dict) or "refused" in lockout:
            raise RecordsBroken("its header speaks of another schema version than its records")
        changed[name] = json.dumps({**lockout, "refused": False}, separators=(",", ":")).encode()
    return changed


def _guard_passwords(records: _Records) -> dict[Name, bytes]:
    """2 to 3: wrong passwords are counted; before, there were neither passwords nor a count."""
    name, password = (FACT, "passwordGuard"), ("secret", "password")
    if name in records or password in records:
        raise RecordsBroken("its header speaks of another schema version than its records")
    guard = {"failures": 0, "remaining_ns": 0, "last_delay_s": 0}
    return {name: json.dumps(guard, separators=(",", ":")).encode()}


_STEPS: Final[tuple[_Step, ...]] = (_remember_refusals, _guard_passwords)
