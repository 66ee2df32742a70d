"""A delivery as a piece of work with a meter, and its results in words."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from vtc07.carrier.status import TokenStatus
from vtc07.cli.connection import Connection
from vtc07.hhu import selection
from vtc07.hhu.delivery import EarlierDelivery, SendReport, TokenToSend, WallClock, send
from vtc07.hhu.journal.deliveries import Delivery, Journal
from vtc07.hhu.journal.result import Result
from vtc07.hhu.key_change.delivering import KeyChangeReport, deliver_key_change
from vtc07.hhu.outcome import (
    EXPLANATIONS,
    Delivered,
    Meaning,
    NotTaken,
    NotTakenReason,
    Outcome,
    Refused,
    Unresolved,
    UnresolvedReason,
)
from vtc07.hhu.plan import CannotRead
from vtc07.hhu.reading import read
from vtc07.hhu.session import SessionError
from vtc07.hhu.texts import Said, Texts, counted, said
from vtc07.links.blocking import Interrupted
from vtc07.links.link import LinkUnavailable
from vtc07.screens.meter_line import Target, greeted
from vtc07.screens.mood import MOODS, Mood
from vtc07.screens.overview import Overview
from vtc07.screens.token_entry import Sighting
from vtc07.tokens import TokenData
from vtc07.trace.values import grouped


@dataclass(frozen=True, slots=True)
class Told:
    """What became of tokens, and the meter as it was afterwards, where it could be read.

    ``known``: places of tokens that were taken before, so that nothing was entered. ``state``: of
    a key change, where the meter stands in it.
    """

    outcomes: tuple[Outcome, ...]
    meaning: Meaning
    earlier: tuple[EarlierDelivery, ...]
    problems: tuple[str, ...]
    known: frozenset[int]
    overview: Overview | None
    state: Said | None = None

    @property
    def mood(self) -> Mood:
        """How it is said."""
        return MOODS[self.meaning]

    @property
    def summary(self) -> Said:
        """All of it in one sentence."""
        outcomes = self.outcomes
        if self.state is not None:
            return self.state
        taken = sum(isinstance(outcome, Delivered) for outcome in outcomes)
        match self.meaning:
            case Meaning.DONE:
                credit = None if self.overview is None else self.overview.text("creditBalance")
                if credit is not None:
                    return counted(
                        "Delivered. Credit now: {credit}",
                        "All {count} tokens are delivered. Credit now: {credit}",
                        taken,
                        credit=credit,
                    )
                return counted("Delivered.", "All {count} tokens are delivered.", taken)
            case Meaning.UNRESOLVED:
                return said(
                    "Nobody can tell from here. Do not give the token to anybody before it is "
                    "looked into."
                )
            case Meaning.NO_LINK if not taken:
                return said("The meter was not reached; nothing was sent.")
        return said("{taken} of {count} delivered.", taken=taken, count=len(outcomes))

    def refused(self, tokens: Sequence[str]) -> str:
        """Return the token that the meter executed and refused; empty where there is none."""
        pairs = zip(tokens, self.outcomes, strict=True)
        return next((digits for digits, outcome in pairs if isinstance(outcome, Refused)), "")

    def lines(self, tokens: Sequence[str], texts: Texts) -> list[str]:
        """Return what is said of each token, in order, and of earlier deliveries first."""
        lines = [each.words(texts) for each in self.earlier_said()]
        for place, (digits, outcome) in enumerate(zip(tokens, self.outcomes, strict=True)):
            lines += [f"{place + 1}  {grouped(digits)}", f"   {outcome.said.words(texts)}"]
            lines += [f"   {each.words(texts)}" for each in self.notes(place)]
        return [*lines, *self.problems]

    def earlier_said(self) -> list[Said]:
        """Return what became of earlier deliveries that stood open."""
        return [earlier_delivery_said(earlier) for earlier in self.earlier]

    def notes(self, place: int) -> list[Said]:
        """Return what is to be said of a token beside its outcome."""
        outcome = self.outcomes[place]
        notes = []
        if place in self.known:
            notes.append(said("The meter took it before; nothing was entered."))
        status = outcome.status if isinstance(outcome, Delivered | Refused) else None
        if status is not None and status in EXPLANATIONS and self.state is None:
            notes.append(Said(EXPLANATIONS[status]))
        return notes


def earlier_delivery_said(earlier: EarlierDelivery) -> Said:
    """Return what became of a delivery that stood open, as a sentence."""
    return said(
        "Earlier delivery {number}: {outcome}",
        number=earlier.delivery.number,
        outcome=earlier.outcome.said,
    )


def deliver(
    connection: Connection,
    *,
    target: Target,
    journal: Journal,
    tokens: tuple[str, ...],
    wall_clock: WallClock,
) -> Told:
    """Deliver tokens to the meter at the target, and read it once more."""
    meter = greeted(connection, target)
    before = journal.deliveries(meter.meter_pan)
    taken = {d.token for d in before if d.ended is not None and d.ended.taken is not None}
    to_send = [
        TokenToSend(digits, has_tid=TokenData.from_digits(digits).token_class == 0)
        for digits in tokens
    ]
    report = connection.run(
        send(connection.session, journal, to_send, wall_clock=wall_clock, resume=True)
    )
    entered = {delivery.token for delivery in journal.deliveries(meter.meter_pan)[len(before) :]}
    known = frozenset(
        place
        for place, (digits, outcome) in enumerate(zip(tokens, report.outcomes, strict=True))
        if digits in taken - entered and isinstance(outcome, Delivered)
    )
    return _told(connection, report, known)


def deliver_set(
    connection: Connection,
    *,
    target: Target,
    journal: Journal,
    tokens: tuple[str, ...],
    wall_clock: WallClock,
) -> Told:
    """Deliver the tokens of one key change: whole, or up to a state that is known."""
    greeted(connection, target)
    report = connection.run(
        deliver_key_change(connection.session, journal, tokens, wall_clock=wall_clock)
    )
    known = frozenset(
        place
        for place, outcome in enumerate(report.outcomes)
        if isinstance(outcome, Delivered) and place not in report.entered
    )
    return _told(connection, report, known, report.state.said)


def _told(
    connection: Connection,
    report: SendReport | KeyChangeReport,
    known: frozenset[int],
    state: Said | None = None,
) -> Told:
    looked_at = _looked_at(connection, report.meaning)
    return Told(
        report.outcomes, report.meaning, report.earlier, report.problems, known, looked_at, state
    )


def can_be_key_change(tokens: Sequence[str]) -> bool:
    """Say whether these can be the tokens of one key change: two to four of class 2."""
    return len(tokens) in range(2, 5) and all(
        TokenData.from_digits(digits).token_class == 2 for digits in tokens
    )


def _looked_at(connection: Connection, meaning: Meaning) -> Overview | None:
    """Read the meter once more, where it is there; nothing depends on it."""
    if meaning in (Meaning.NO_LINK, Meaning.UNRESOLVED):
        return None
    with contextlib.suppress(SessionError, LinkUnavailable, CannotRead, Interrupted):
        found = connection.run(read(connection.session, selection.overview(connection.companion)))
        return Overview(
            connection.companion, connection.meter_pan, found.values, connection.unusual_speed
        )
    return None


def result_said(result: Result) -> Said | str:
    """Return a result out of the journal as a sentence, in English only where it is an odd one."""
    status = result.status
    match result.outcome, status, result.reason:
        case "Delivered", TokenStatus(), _:
            return Delivered(status, result.sequence, now_or_before=result.now_or_before).said
        case "Refused", TokenStatus(), _:
            return Refused(status, result.sequence).said
        case "NotTaken", _, str(reason) if reason in NotTakenReason.__members__:
            return NotTaken(NotTakenReason[reason]).said
        case "Unresolved", _, str(reason) if reason in UnresolvedReason.__members__:
            return Unresolved(UnresolvedReason[reason]).said
    return result.text


def sighting(delivery: Delivery, meter_pan: str | None) -> Sighting:
    """Return what the journal knows of a token by one delivery of it."""
    ended = delivery.ended
    return Sighting(
        delivery.number,
        delivery.meter_pan,
        delivery.meter_pan == meter_pan,
        f"{delivery.opened:%Y-%m-%d}",
        None if ended is None else result_said(ended),
        accepted=ended is not None and ended.taken is not None,
    )
