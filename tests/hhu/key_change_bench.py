"""Key changes on a bench: sets of tokens, and meters in every state of one."""

from __future__ import annotations

from dataclasses import replace

from hhu_bench import AT, KEY, PAN, MeterLine, new_meter, wall_clock

from vtc07.carrier.companion import Companion
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.key_change.delivering import KeyChangeReport, deliver_key_change
from vtc07.hhu.key_change.state import KeyChangeState, key_change_state
from vtc07.hhu.session import Session
from vtc07.meter import MeterState, manufacture
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TI,
    TID,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
    key_change_set,
)

ATTRIBUTES = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
NEW_KEY = DecoderKey(EA.MISTY1, bytes(range(16, 32)))
NEW = replace(ATTRIBUTES, krn=KRN(2))
OTHER_NEW_KEY = DecoderKey(EA.MISTY1, bytes(range(32, 48)))
SHORT_KEY = DecoderKey(EA.STA, bytes(range(8)))
NEW_SHORT_KEY = DecoderKey(EA.STA, bytes(range(8, 16)))


def set_of_four(
    new: DecoderKey = NEW_KEY,
    attributes: KeyAttributes = NEW,
    *,
    current: DecoderKey = KEY,
    ro: bool = False,
) -> list[str]:
    """The four tokens of a 128-bit key."""
    return [t.digits for t in key_change_set(current, new, attributes, ro=ro)]


def short_set(*, three: bool) -> list[str]:
    """The two or three tokens of a 64-bit key."""
    tokens = key_change_set(SHORT_KEY, NEW_SHORT_KEY, NEW, ro=False, three_kct=three)
    return [t.digits for t in tokens]


def made_with(companion: Companion, key: DecoderKey) -> MeterState:
    """A meter with this key."""
    return manufacture(companion, MeterPAN(PAN), key, ATTRIBUTES, TID(5_000_000))


def short_meter(companion: Companion) -> MeterState:
    """A meter with a 64-bit key."""
    return made_with(companion, SHORT_KEY)


FOUR = set_of_four()


def ask(
    bench: MeterLine, tokens: list[str], journal: MemoryJournal | None = None
) -> KeyChangeState:
    """Ask the meter on the bench how far the set has come."""
    session = Session(bench.companion, address=PAN)
    procedure = key_change_state(session, tokens, journal=journal, wall_clock=wall_clock)
    return bench.run(procedure)


def deliver(
    bench: MeterLine, tokens: list[str], journal: MemoryJournal | None = None
) -> KeyChangeReport:
    """Deliver the set to the meter on the bench."""
    session = Session(bench.companion, address=PAN)
    journal = MemoryJournal() if journal is None else journal
    return bench.run(deliver_key_change(session, journal, tokens, wall_clock=wall_clock))


__all__ = [
    "AT", "ATTRIBUTES", "FOUR", "KEY", "NEW", "NEW_KEY", "NEW_SHORT_KEY", "OTHER_NEW_KEY", "PAN",
    "SHORT_KEY", "MeterLine", "ask", "deliver", "made_with", "new_meter", "set_of_four",
    "short_meter", "short_set",
]  # fmt: skip
