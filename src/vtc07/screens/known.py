"""What a journal knows of tokens, for whoever types or has sent them."""

from __future__ import annotations

from collections.abc import Sequence

from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.journal.rows import JournalRows
from vtc07.screens.delivering import sighting
from vtc07.screens.token_entry import Sighting


def sightings(journal: JournalRows, digits: str, meter_pan: str | None) -> tuple[Sighting, ...]:
    """Return what the journal knows of a token, at the meter that is meant."""
    if meter_pan is None:
        return ()
    found = journal.deliveries_of(digits)
    here = [delivery for delivery in found if delivery.meter_pan == meter_pan]
    elsewhere = [delivery for delivery in found if delivery.meter_pan != meter_pan]
    return tuple(sighting(each, meter_pan) for each in (*here[-1:], *elsewhere[-1:]))


def settled(journal: JournalRows, tokens: Sequence[str]) -> frozenset[int]:
    """Return the deliveries of these tokens that have a result."""
    made = (delivery for digits in tokens for delivery in journal.deliveries_of(digits))
    return frozenset(delivery.number for delivery in made if delivery.ended is not None)


def made_since(
    journal: JournalRows, tokens: Sequence[str], before: frozenset[int] | None
) -> tuple[Delivery | None, ...]:
    """Return the last delivery of each token but those that were settled ``before``.

    None: all that are, so that only open ones are left.
    """
    before = settled(journal, tokens) if before is None else before
    found = []
    for digits in tokens:
        made = [d for d in journal.deliveries_of(digits) if d.number not in before]
        found.append(made[-1] if made else None)
    return tuple(found)
