"""What is watched while procedures run: whether a unit looks before it writes, and keys."""

from __future__ import annotations

from functools import cache

from vtc07.carrier.events import (
    Command,
    EnterToken,
    Entry,
    Read,
    ReadSnapshot,
    RegistersRead,
    TokenEntryAnswered,
)
from vtc07.simulation.issued import key
from vtc07.simulation.powered import STORE_KEY
from vtc07.simulation.unit import HandHeldUnit
from vtc07.tokens import EA


def look(unit: HandHeldUnit, outcome: object) -> None:
    """Remember which tokenSequence a snapshot speaks of."""
    match outcome:
        case RegistersRead(values=(_, sequence, *_)) if sequence.register.name == "tokenSequence":
            unit.looked_at = int(sequence.value)


def is_blind(command: Command, outcome: object, *, before: bool) -> bool:
    """Say whether an entry may have arrived of which nothing is known yet."""
    match command, outcome:
        case EnterToken(), TokenEntryAnswered(entry=Entry.REFUSED):
            return before
        case EnterToken(), _:
            return True
        case ((ReadSnapshot() | Read()), RegistersRead(values=(first, *_))):
            return before and first.register.name != "tokenStatus"
        case _:
            return before


def shows_a_key(text: bytes, ea: EA) -> bool:
    """Say whether a key of a meter, or of its store, stands in a text, as it is or in digits."""
    upper = text.upper()
    return any(secret in text or digits in upper for secret, digits in _secrets(ea))


@cache
def _secrets(ea: EA) -> tuple[tuple[bytes, bytes], ...]:
    keys = (*(key(ea, revision).material for revision in range(4)), STORE_KEY)
    return tuple((secret, secret.hex().upper().encode()) for secret in keys)
