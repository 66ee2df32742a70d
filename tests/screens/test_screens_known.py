"""What a journal knows of tokens, for whoever has sent them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.outcome import Delivered, Refused
from vtc07.screens.known import made_said, made_since, settled, sightings

PAN, OTHER = "600727000000000009", "600727111111111153"
TOKEN, UNSENT = "1" * 20, "2" * 20
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_last_delivery_of_a_token_is_what_became_of_it(tmp_path: Path) -> None:
    with FileJournal(tmp_path / "journal") as journal:
        first = journal.open_delivery(PAN, TOKEN, None, NOW)
        journal.close_delivery(first.number, Refused(TokenStatus.CRC_ERROR), NOW)
        before = settled(journal, (TOKEN, UNSENT))
        assert before == {first.number}
        # Nothing began: what was known before is no result of what was asked for now.
        assert made_since(journal, (TOKEN, UNSENT), before) == (None, None)
        assert made_since(journal, (TOKEN, UNSENT), None) == (None, None)
        second = journal.open_delivery(PAN, TOKEN, None, NOW)
        assert settled(journal, (TOKEN,)) == before
        for known in (before, None, frozenset[int]()):
            (made, nothing) = made_since(journal, (TOKEN, UNSENT), known)
            assert made is not None
            assert (made.number, nothing) == (second.number, None)
            assert f"Delivery {second.number} stands open" in str(made_said((made, nothing)))


def test_a_token_is_known_by_its_last_delivery_here_and_elsewhere(tmp_path: Path) -> None:
    with FileJournal(tmp_path / "journal") as journal:
        for pan in (PAN, OTHER):
            refused = journal.open_delivery(pan, TOKEN, None, NOW)
            journal.close_delivery(refused.number, Refused(TokenStatus.CRC_ERROR), NOW)
            taken = journal.open_delivery(pan, TOKEN, None, NOW)
            journal.close_delivery(taken.number, Delivered(TokenStatus.ACCEPT), NOW)
        here, there = sightings(journal, TOKEN, PAN)
        assert (here.delivery, here.here, here.accepted) == (2, True, True)
        assert (there.delivery, there.here, there.accepted) == (4, False, True)
        assert sightings(journal, UNSENT, PAN) == ()
