"""Delivering a key change whole: its two, three or four tokens, and no token that is not needed.

The meter is asked first which of the tokens it holds, so a change goes on where it ended, whoever
began it. A token that was taken before is not entered again; after the change it would be a wrong
one, and wrong tokens lock a meter out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vtc07.carrier.endpoint import Procedure, now
from vtc07.carrier.status import TokenStatus
from vtc07.hhu.delivery import Deliverer, EarlierDelivery, TokenToSend, WallClock
from vtc07.hhu.journal.deliveries import Journal
from vtc07.hhu.key_change.judging import Course, Known
from vtc07.hhu.key_change.state import (
    KeyChangeStage,
    KeyChangeState,
    key_change_state,
    put_into_words,
    require_set,
)
from vtc07.hhu.meter_log import SECTIONS, read_newest
from vtc07.hhu.outcome import Delivered, Meaning, NotSent, Outcome, Refused, Unresolved, meaning_of
from vtc07.hhu.progress import Resolved
from vtc07.hhu.resolution import SEQUENCE_MODULUS
from vtc07.hhu.session import Session, SessionError

_MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class KeyChangeReport:
    """How the delivery of a key change ended.

    ``state``: where the meter stands now, in words too. ``outcomes``: one for each token, by its
    place; `Delivered` for one that the meter holds, or held when the set became complete, whoever
    entered it. ``entered``: the places of the tokens that were entered now, in this order.
    ``earlier``, ``problems``: as in `vtc07.hhu.delivery.SendReport`.
    """

    state: KeyChangeState
    outcomes: tuple[Outcome, ...]
    entered: tuple[int, ...] = ()
    earlier: tuple[EarlierDelivery, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def meaning(self) -> Meaning:
        """Done where the change is complete; unresolved where nobody can tell of some token."""
        open_ones = tuple(e.outcome for e in self.earlier if isinstance(e.outcome, Unresolved))
        if self.state.stage is KeyChangeStage.COMPLETE:
            return meaning_of(open_ones)
        gravest = meaning_of((*self.outcomes, *open_ones))
        return Meaning.REFUSED if gravest is Meaning.DONE else gravest


def deliver_key_change(
    session: Session, journal: Journal, tokens: Sequence[str], *, wall_clock: WallClock
) -> Procedure[KeyChangeReport]:
    """Deliver a key change set of tokens, 20 digits each, in the order of issue.

    ValueError as `vtc07.hhu.key_change.state.require_set` does.

    The MeterPAN is compared and deliveries to this meter that the journal holds without result are
    resolved first, as `vtc07.hhu.delivery.send` does; then the meter is asked what it holds. Only
    what is missing is entered, each token exactly once by the same rule as any other. The first
    token that is not accepted ends it, and the state says what is held, for how long, and what
    comes next. Nothing is entered where the meter holds sections of another set, where a token of
    the set was refused under the present key, or where it was overtaken by another key change.

    Never raises for what the meter or the line does: that is in the report.
    """
    require_set(tokens)
    set_of_tokens = [TokenToSend(digits) for digits in tokens]
    return (yield from _KeyChange(session, journal, set_of_tokens, wall_clock).run())


class _SectionDeliverer(Deliverer):
    """A deliverer between whose deliveries other commands are sent."""

    def start_afresh(self) -> None:
        """Forget the last snapshot, and what earlier deliveries brought: the meter told since."""
        self._last = None
        self._delivered_before.clear()


class _KeyChange:
    def __init__(
        self, session: Session, journal: Journal, tokens: list[TokenToSend], wall_clock: WallClock
    ) -> None:
        self._session = session
        self._journal = journal
        self._tokens = tokens
        self._wall_clock = wall_clock
        self._deliverer = _SectionDeliverer(session, journal, wall_clock, resend=False)
        self._outcomes: list[Outcome] = [NotSent()] * len(tokens)
        self._entered: list[int] = []
        self._taken_ns: int | None = None  # before the entry of the last section that was taken

    def run(self) -> Procedure[KeyChangeReport]:
        obstacle = yield from self._deliverer.begin(frozenset())
        if obstacle is not None:
            self._outcomes[0] = obstacle
            return self._report(self._untold())
        state = yield from self._ask()
        for _ in range(_MOST_ROUNDS):
            self._note_held(state)
            complete = state.stage is KeyChangeStage.COMPLETE
            if complete or not state.order:
                break
            self._deliverer.start_afresh()
            went_on = True
            for place in state.order:
                went_on = yield from self._enter(place)
                if not went_on:
                    break
            if self._accepted and (yield from self._key_changed(state)):
                return self._report(self._completed(state))
            # What is held now, and for how long; or sections were forgotten on the way.
            state = yield from self._ask()
            if not went_on:
                self._note_held(state)
                break
        return self._report(state)

    # --- steps ---------------------------------------------------------------------------------

    def _ask(self) -> Procedure[KeyChangeState]:
        digits = [token.digits for token in self._tokens]
        try:
            return (
                yield from key_change_state(
                    self._session,
                    digits,
                    journal=self._journal,
                    wall_clock=self._wall_clock,
                    taken_ns=self._taken_ns,
                )
            )
        except SessionError:
            return self._untold()

    def _enter(self, place: int) -> Procedure[bool]:
        """Deliver one token; say whether the next one may follow."""
        began_ns = yield from now()
        outcome = yield from self._deliverer.deliver(self._tokens[place])
        self._outcomes[place] = outcome
        self._entered.append(place)
        self._session.on_progress(Resolved(place, outcome))
        if not isinstance(outcome, Delivered):
            return False
        self._taken_ns = began_ns
        return outcome.status is not TokenStatus.ACCEPT

    @property
    def _accepted(self) -> bool:
        """Say whether the meter has said that the set is complete."""
        return any(
            isinstance(outcome, Delivered) and outcome.status is TokenStatus.ACCEPT
            for outcome in (self._outcomes[place] for place in self._entered)
        )

    def _key_changed(self, state: KeyChangeState) -> Procedure[bool]:
        """Say whether it was this set that the meter accepted, and nothing came in between.

        ``state``: as it was before the first token was entered.
        """
        accepted = self._outcomes[self._entered[-1]]
        if not isinstance(accepted, Delivered) or None in (accepted.sequence, state.sequence):
            return True  # a set that was issued as one is taken for one
        since = ((accepted.sequence or 0) - (state.sequence or 0)) % SEQUENCE_MODULUS
        try:
            newest = yield from read_newest(self._session, since)
        except SessionError:
            return True
        if newest is None:
            return True
        ours = {token.digits for token in self._tokens}
        kinds = {entry.token: entry.kind for entry in newest}
        strange = any(kind in SECTIONS and token not in ours for token, kind in kinds.items())
        return not strange and kinds.get(self._tokens[self._entered[-1]].digits) in SECTIONS

    def _note_held(self, state: KeyChangeState) -> None:
        """Take the meter's word for the tokens that were not entered now."""
        complete = state.stage is KeyChangeStage.COMPLETE
        for place, status in enumerate(state.statuses):
            if place in self._entered or status is None:
                continue
            if status.taken and (complete or state.held[place]):
                self._outcomes[place] = Delivered(status)
            elif not status.taken:
                self._outcomes[place] = Refused(status)

    # --- states --------------------------------------------------------------------------------

    def _untold(self) -> KeyChangeState:
        """Return the state where the meter cannot be asked."""
        statuses = [o.status if isinstance(o, Delivered) else None for o in self._outcomes]
        return put_into_words(Course(Known.UNREACHED, (None,) * len(self._tokens), tuple(statuses)))

    def _completed(self, state: KeyChangeState) -> KeyChangeState:
        """Return the state after Accept; the tokens that were not needed any more were held."""
        statuses = list(state.statuses)
        for place, outcome in enumerate(self._outcomes):
            if isinstance(outcome, Delivered):
                statuses[place] = outcome.status
            elif (status := statuses[place]) is not None and status.taken:
                self._outcomes[place] = Delivered(status)
        nothing: tuple[bool | None, ...] = (False,) * len(self._tokens)
        return put_into_words(Course(Known.COMPLETE, nothing, tuple(statuses)))

    def _report(self, state: KeyChangeState) -> KeyChangeReport:
        report = self._deliverer.report(tuple(self._outcomes))
        return KeyChangeReport(
            state, report.outcomes, tuple(self._entered), report.earlier, report.problems
        )
