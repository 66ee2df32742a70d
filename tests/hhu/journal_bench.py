"""What the tests of the journal write into journals, and how journals of version 1 looked."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal import lines as journal_lines
from vtc07.hhu.journal.deliveries import UnitJournal
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.outcome import Delivered, Outcome, Refused
from vtc07.hhu.resolution import Snapshot

PAN, OTHER = "600727111111111153", "600727000000000009"
TOKEN, SECOND = "11112222333344445555", "22223333444455556666"
S0 = Snapshot(1, 4_294_967_295, "00000000000000000007", 1)
AT: Final = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
DONE = Delivered(TokenStatus.ACCEPT, 0)


def salts() -> Callable[[], bytes]:
    """Return a source of salts that is the same for every journal."""
    numbers = itertools.count(1)
    return lambda: next(numbers).to_bytes(16, "big")


def note(minute: int = 0, *, text: str = "a note", **more: Any) -> NewEntry:
    return NewEntry(EntryKind.NOTE, AT + timedelta(minutes=minute), {"text": text}, **more)


def fill(journal: UnitJournal) -> None:
    """Write 12 entries: three deliveries of two meters, one of them open, and messages."""
    first = journal.open_delivery(PAN, TOKEN, S0, AT)
    journal.announce_write(first.number, 1, AT)
    message = NewEntry(
        EntryKind.MESSAGE, AT, {"from": "client"}, PAN, 1, secrets={"hex": f"<{TOKEN}>"}
    )
    journal.record(message, note(1, meter_pan=PAN, delivery=1))
    journal.close_delivery(first.number, DONE, AT + timedelta(minutes=2))
    second = journal.open_delivery(OTHER, SECOND, None, AT + timedelta(minutes=10))
    journal.announce_write(second.number, 1, AT + timedelta(minutes=11))
    refused: Outcome = Refused(TokenStatus.CRC_ERROR)
    journal.close_delivery(second.number, refused, AT + timedelta(minutes=12))
    journal.open_delivery(PAN, SECOND, S0, AT + timedelta(minutes=20))
    journal.announce_write(3, 1, AT + timedelta(minutes=21))
    journal.record(note(22, route="monday"))


def version_1(*entries: dict[str, Any]) -> bytes:
    """Return a journal of version 1."""
    return journal_lines.HEADER + b"".join(journal_lines.entry_line(entry) for entry in entries)


def opened(number: int, pan: str = PAN, token: str = TOKEN, *, s0: bool = True) -> dict[str, Any]:
    told = {
        "tokenStatus": S0.status,
        "tokenSequence": S0.sequence,
        "lastToken": S0.last_token,
        "lastTokenStatus": S0.last_status,
    }
    return {
        "entry": "opened",
        "delivery": number,
        "time": AT.isoformat(),
        "meterPAN": pan,
        "token": token,
        "s0": told if s0 else None,
    }


def written(delivery: int, number: int) -> dict[str, Any]:
    return {"entry": "write", "delivery": delivery, "time": AT.isoformat(), "number": number}


def ended(delivery: int, result: str, meaning: str = "done") -> dict[str, Any]:
    return {
        "entry": "result",
        "delivery": delivery,
        "time": AT.isoformat(),
        "meaning": meaning,
        "result": result,
    }


#: Three deliveries; the last one is open.
OLD: Final = version_1(
    opened(1),
    written(1, 1),
    ended(1, "delivered: Accept"),
    opened(2, OTHER, SECOND, s0=False),
    written(2, 1),
    ended(2, "refused: CRCError", "refused"),
    opened(3, token=SECOND),
    written(3, 1),
    written(3, 2),
)
