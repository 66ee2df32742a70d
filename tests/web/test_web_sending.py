"""How far tokens have come, as pages show it: by what is known, and by nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import needs
from vtc07.carrier.status import TokenStatus
from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.journal.result import Result
from vtc07.hhu.outcome import (
    Delivered,
    Meaning,
    NoLink,
    NotSent,
    Outcome,
    Refused,
    Unresolved,
    UnresolvedReason,
)
from vtc07.hhu.progress import (
    EntryWritten,
    Polling,
    Progress,
    Reconnecting,
    Resolved,
    ResolvingEarlier,
)
from vtc07.screens.delivering import Told
from vtc07.screens.mood import Mood

needs.module("starlette")

from vtc07.web.sending import DONE, NONE, NOT_ALL, UNKNOWN, Draft, Left, Sending  # noqa: E402

PAN, OTHER = "600727000000000009", "600727111111111153"
TOKENS = tuple(f"{number:020d}" for number in range(1, 4))
ACCEPTED = Delivered(TokenStatus.ACCEPT, 1)
LOST = Unresolved(UnresolvedReason.NO_LINK)


def begun(*, whole: bool = False) -> Sending:
    draft: Draft | None = Draft()
    for digits in TOKENS:
        assert draft is not None
        draft = draft.taking(digits, PAN)
    assert draft is not None
    return Sending.of(draft, "shown", whole=whole, pan=PAN, credit=None)


def after(sending: Sending, *facts: Progress, entering: int | None = None) -> Sending:
    for fact in facts:
        sending = sending.after(fact, entering)
    return sending


def words(sending: Sending) -> list[str]:
    return [" ".join(map(str, (line.said, *line.notes))) for line in sending.lines]


def delivery(digits: str, outcome: Outcome | None) -> Delivery:
    now = datetime.now(UTC)
    ended = None if outcome is None else Result.of(outcome)
    return Delivery(7, PAN, digits, None, now, 1, ended)


def test_one_after_the_other_the_first_without_a_result_is_under_way() -> None:
    sending = begun()
    assert words(sending) == ["under way", "waiting", "waiting"]
    sending = after(sending, Polling("not ready"))  # before it is entered, of another token
    assert words(sending)[0] == "under way"
    sending = after(sending, EntryWritten(1), Polling("not ready"))
    assert words(sending)[0] == "waiting for the result (not ready)"
    sending = after(sending, EntryWritten(2), Reconnecting(1, 3))
    assert words(sending)[0] == "no answer, reconnecting (1 of 3) entered 2 times"
    sending = after(sending, Resolved(0, ACCEPTED), Polling("none"))
    assert words(sending) == ["delivered: Accept", "under way", "waiting"]
    sending = after(sending, EntryWritten(1), Resolved(1, LOST), Resolved(2, NotSent()))
    assert [line.mood for line in sending.lines] == [Mood.GOOD, Mood.CARE, Mood.PLAIN]
    assert sending.verdict is None  # nothing is over before all of it is


def test_what_an_earlier_delivery_comes_to_is_no_token_s_result() -> None:
    sending = after(begun(), ResolvingEarlier(4))
    assert "delivery 4" in str(sending.earlier)
    sending = after(sending, Polling("not ready"), Resolved(None, ACCEPTED))
    assert sending.earlier is None
    assert words(sending) == ["under way", "waiting", "waiting"]


def test_of_a_key_change_only_the_journal_knows_which_is_entered() -> None:
    sending = after(begun(whole=True), EntryWritten(1))
    assert words(sending) == ["under way"] * 3
    sending = after(sending, EntryWritten(1), entering=2)
    assert words(sending) == ["under way", "under way", "the token is entered"]
    sending = after(sending, Resolved(2, Delivered(TokenStatus.FIRST_KCT)))
    assert words(sending)[2] == "delivered: 1stKCT"


def test_what_is_left_is_told_by_the_journal_alone() -> None:
    sending = after(begun(), EntryWritten(1), Resolved(0, ACCEPTED), EntryWritten(1))
    taken, is_open = delivery(TOKENS[0], ACCEPTED), delivery(TOKENS[1], None)
    left = sending.ended(Left((taken, is_open, None)))
    assert words(left) == [
        "delivered: Accept",
        "delivery 7: open",
        "not sent: the delivery stopped before",
    ]
    assert left.verdict == (UNKNOWN, Mood.CARE)
    assert left.untouched == (TOKENS[2],)
    # The meter's word came, and the journal's did not: it is open, whatever was said.
    left = sending.ended(Left((delivery(TOKENS[0], None), None, None)))
    assert words(left)[0] == "delivery 7: open"
    left = sending.ended(Left(None))
    assert words(left) == ["not known"] * 3
    assert left.verdict == (UNKNOWN, Mood.CARE)
    assert left.untouched == ()
    left = sending.ended(Left((taken, None, None)))
    assert left.verdict == (NOT_ALL, Mood.CARE)
    left = begun().ended(Left((None, None, None)))
    assert left.verdict == (NONE, Mood.CARE)
    assert left.untouched == TOKENS
    everything = tuple(delivery(digits, ACCEPTED) for digits in TOKENS)
    assert begun().ended(Left(everything)).verdict == (DONE, Mood.GOOD)


def test_what_was_known_is_not_changed_by_what_becomes_known_later() -> None:
    refused = Refused(TokenStatus.CRC_ERROR)
    later = dict.fromkeys(TOKENS, ACCEPTED)
    sending = told(Meaning.UNRESOLVED, refused, LOST, NotSent()).known_now(later, {})
    assert isinstance(sending.end, Told)
    assert sending.end.outcomes == (refused, ACCEPTED, NotSent())
    assert sending.untouched == (TOKENS[2],)


def told(meaning: Meaning, *outcomes: Outcome) -> Sending:
    return begun().ended(Told(outcomes, meaning, (), (), frozenset(), None))


def test_delivered_is_said_where_all_are() -> None:
    refused = Refused(TokenStatus.CRC_ERROR)
    gone = NoLink("nobody answers")
    assert told(Meaning.DONE, *[ACCEPTED] * 3).verdict == (DONE, Mood.GOOD)
    assert told(Meaning.UNRESOLVED, ACCEPTED, LOST, NotSent()).verdict == (UNKNOWN, Mood.CARE)
    sending = told(Meaning.REFUSED, ACCEPTED, refused, NotSent())
    assert sending.verdict == (NOT_ALL, Mood.BAD)
    assert (sending.refused, sending.untouched) == (TOKENS[1], (TOKENS[2],))
    sending = told(Meaning.NO_LINK, gone, NotSent(), NotSent())
    assert sending.verdict == (NONE, Mood.BAD)
    assert (sending.refused, sending.untouched) == ("", TOKENS)


def test_a_list_is_known_by_every_number_it_was_sent_under_and_never_shown_in_repr() -> None:
    draft = Draft().taking(TOKENS[0], PAN)
    assert draft is not None
    asked = draft.asked(draft.number)
    sending = Sending.of(asked, asked.number, whole=True, pan=PAN, credit=None)
    assert sending.is_of(draft.number)
    assert sending.is_of(asked.number)
    assert not sending.is_of(Draft().number)
    assert not sending.is_of(None)
    assert draft.is_for(PAN)
    assert not draft.is_for(OTHER)
    assert draft.without(0).is_for(OTHER)
    for thing in (draft, sending, sending.lines):
        assert TOKENS[0] not in repr(thing)
