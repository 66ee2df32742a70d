"""What a journal knows of tokens, for whoever types or has sent them."""

from __future__ import annotations

from collections.abc import Sequence

from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.journal.rows import JournalRows
from vtc07.hhu.texts import Said, said
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


def made_said(made: Sequence[Delivery | None]) -> Said:
    """Return what the journal knows of tokens whose delivery was not waited for, as a sentence."""
    still_open = [each.number for each in made if each is not None and each.ended is None]
    if not still_open:
        return said("Nothing is open in the journal: what was not sent is as good as before.")
    return said(
        "Delivery {number} stands open in the journal: nobody can tell from here whether the meter "
        "took the token. Connect to this meter again and choose Open deliveries: the meter tells, "
        "and nothing is entered twice.",
        number=still_open[0],
    )
