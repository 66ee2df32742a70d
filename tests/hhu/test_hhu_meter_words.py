"""A meter that repeats a token in its error messages: nobody but the secrets tells it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hhu_bench import PAN, ScriptedMeter

from vtc07.carrier.companion import Companion
from vtc07.carrier.events import CommandRefused, Read, Write
from vtc07.carrier.status import ErrorCode
from vtc07.hhu.diagnosis.document import document_of
from vtc07.hhu.diagnosis.run import diagnose
from vtc07.hhu.history.recorded_members import Kept
from vtc07.hhu.journal.entries import EntryKind
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.outcome import NotTaken, NotTakenReason
from vtc07.hhu.session import Session
from vtc07.hhu.writing import write

TOKEN = "53946384935773839465"
NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def test_in_a_delivery_s_result() -> None:
    with MemoryPlace() as place, SQLiteJournal(place) as journal:
        journal.open_delivery(PAN, TOKEN, None, NOW)
        refused = NotTaken(NotTakenReason.ENTRY_REFUSED, error_text=f"ER07 {TOKEN}")
        assert TOKEN in str(refused)  # who is there may read it
        journal.close_delivery(1, refused, NOW)
        (result,) = journal.entries(kinds=[EntryKind.RESULT])
        assert "ER07 ####################" in json.dumps(dict(result.members))
        assert TOKEN not in json.dumps(dict(result.members))


def test_in_what_became_of_a_write(electricity: Companion) -> None:
    bench = ScriptedMeter(electricity)
    bench.failing = lambda c: (
        CommandRefused(c, ErrorCode.ACCESS_DENIED, f"ER04 {TOKEN}")
        if isinstance(c, Write)
        else None
    )
    register = electricity.table.named("lowCreditThreshold")
    with MemoryPlace() as place, SQLiteJournal(place) as journal:
        session = Session(electricity)
        bench.run(write(session, [(register, 7)], journal=journal, wall_clock=lambda: NOW))
        (ended,) = journal.entries(kinds=[EntryKind.SET])
        assert ended.members["error_text"] == "ER04 ####################"


@pytest.mark.parametrize("mask", [True, False])
def test_in_a_diagnosis(electricity: Companion, mask: bool) -> None:
    bench = ScriptedMeter(electricity)
    bench.failing = lambda c: (
        CommandRefused(c, None, f"ER99 {TOKEN}") if isinstance(c, Read) else None
    )
    found = bench.run(diagnose(Session(electricity), wall_clock=lambda: NOW))
    text = json.dumps(document_of(found, mask=mask))
    assert "ER99" in text
    assert (TOKEN in text) is not mask


def test_in_what_is_kept_of_a_value() -> None:
    assert TOKEN not in repr(Kept({}, {"value": TOKEN}))
