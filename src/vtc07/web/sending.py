"""Tokens of a place: gathered on its pages, and then sent, each list of them once.

Frozen facts that a place keeps, so that every page shows the same, and one that is closed or loaded
again shows it still. Tokens are never in repr.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.outcome import (
    Delivered,
    Meaning,
    NoLink,
    NotSent,
    Outcome,
    Unresolved,
    meaning_of,
)
from vtc07.hhu.progress import (
    AwaitingInactivity,
    EntryWritten,
    Polling,
    Progress,
    Reconnecting,
    Resolved,
    ResolvingEarlier,
    told,
)
from vtc07.hhu.texts import Said, counted, mark, said
from vtc07.screens.delivering import Told, result_said
from vtc07.screens.known import made_said
from vtc07.screens.mood import MOODS, Mood
from vtc07.screens.token_entry import DIGITS, Check, Sighting, check, digits_of

#: How a delivery ended, in large letters; in English, to be put into the user's language.
DONE: Final = mark("Delivered")
NOT_ALL: Final = mark("Not all are delivered")
NONE: Final = mark("Not delivered")
UNKNOWN: Final = mark("Not known")


def new_number() -> str:
    """Return a number that no other list of tokens has, of this run or of one before."""
    return secrets.token_hex(8)


# --- gathering ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gathered:
    """A token that is to be sent, and what was said of it when it was taken."""

    digits: str = field(repr=False)
    check: Check


@dataclass(frozen=True, slots=True)
class Draft:
    """The tokens that are to be sent together, in this order.

    ``number``: of this very list; another list has another one, so what a page sends is what it
    shows. ``asked_as``: the number under which sending was asked for, where it led to a question.
    ``meter_pan``: the meter that was meant when the first one was taken, None where none was.
    """

    number: str = field(default_factory=new_number)
    tokens: tuple[Gathered, ...] = ()
    asked_as: str | None = None
    meter_pan: str | None = None

    @property
    def digits(self) -> tuple[str, ...]:
        """The tokens."""
        return tuple(token.digits for token in self.tokens)

    def taking(
        self, text: str, meter_pan: str | None, sightings: tuple[Sighting, ...] = ()
    ) -> Draft | None:
        """Return the list with another token at its end, None where that can be none."""
        digits = digits_of(text)
        if len(digits) > DIGITS:
            return None
        found = check(digits, self.digits, sightings)
        if not found.standing.sendable:
            return None
        pan = self.meter_pan if self.tokens else meter_pan
        return Draft(tokens=(*self.tokens, Gathered(digits, found)), meter_pan=pan)

    def without(self, place: int) -> Draft:
        """Return the list without the token at a place, counted from 0."""
        left = (*self.tokens[:place], *self.tokens[place + 1 :])
        return Draft(tokens=left, meter_pan=self.meter_pan)

    def asked(self, number: str) -> Draft:
        """Return the same list, about which is asked because a page sent it under a number."""
        return replace(self, number=new_number(), asked_as=number)

    def is_for(self, meter_pan: str | None) -> bool:
        """Say whether its tokens may be meant for a meter."""
        return not self.tokens or self.meter_pan in (None, meter_pan)


# --- sending --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Course:
    """How far a token has come. ``entered``: so many times; ``outcome``: what became of it."""

    entered: int = 0
    step: Said | None = None
    outcome: Outcome | None = None

    @property
    def said(self) -> Said:
        """How far it has come, as a sentence."""
        if self.outcome is not None:
            return self.outcome.said
        return self.step or said("waiting")

    @property
    def mood(self) -> Mood:
        """How it is said."""
        if isinstance(self.outcome, NotSent):
            return Mood.PLAIN
        if self.outcome is not None:
            return MOODS[self.outcome.meaning]
        return Mood.PLAIN if self.step is None else Mood.BUSY


@dataclass(frozen=True, slots=True)
class Left:
    """A delivery that ended without results: what the journal knows of each token by then.

    ``made``: None where the journal could not be asked.
    """

    made: tuple[Delivery | None, ...] | None

    @property
    def said(self) -> Said:
        """What is known, as a sentence."""
        if self.made is None:
            return said(
                "The journal cannot be read just now: do not give the tokens to anybody before it "
                "was looked into what became of them (Open deliveries)."
            )
        return made_said(self.made)


@dataclass(frozen=True, slots=True)
class Line:
    """What a page shows of a token. ``place``: from 1."""

    place: int
    digits: str = field(repr=False)
    mood: Mood
    said: Said | str
    notes: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Sending:
    """Tokens that are being sent, or were. ``number``: of their list; ``asked_as``: others of it.

    ``whole``: they are one key change, and are entered in the order that the meter wants.
    ``courses``: how far each has come. ``current``: the place of the one that is being entered,
    None where that is not known. ``earlier``: what is being looked into first. ``end``: None as
    long as it is under way. ``credit``: before, as it was read last.
    """

    number: str
    asked_as: frozenset[str]
    tokens: tuple[str, ...] = field(repr=False)
    whole: bool
    courses: tuple[Course, ...]
    meter_pan: str | None = None
    credit: str | None = None
    current: int | None = None
    earlier: Said | None = None
    end: Told | Left | None = None

    @classmethod
    def of(
        cls, draft: Draft, number: str, *, whole: bool, pan: str | None, credit: str | None
    ) -> Sending:
        """Return what begins with a list; ``number``: under which a page sent it."""
        tokens = draft.digits
        asked_as = frozenset({number, draft.asked_as or number})
        courses = (Course(),) * len(tokens)
        return cls(draft.number, asked_as, tokens, whole, courses, pan, credit)

    def is_of(self, number: str | None) -> bool:
        """Say whether a list of this number led to it."""
        return number is not None and (number == self.number or number in self.asked_as)

    # --- as it goes on ---------------------------------------------------------------------------

    def after(self, progress: Progress, entering: int | None) -> Sending:
        """Return it after a step. ``entering``: the place of the token that the journal has open.

        One after the other, it is the first one without a result; of a key change, only the journal
        knows which the meter wanted.
        """
        match progress:
            case ResolvingEarlier():
                return replace(self, earlier=told(progress))
            case Resolved(None, _):
                return replace(self, earlier=None)
            case Resolved(int(place), outcome) if place < len(self.courses):
                course = replace(self.courses[place], outcome=outcome)
                return replace(self._with(place, course), current=None)
            case EntryWritten(number):
                place_now = entering if self.whole else self._first()
                if place_now is None:
                    return self
                course = replace(self.courses[place_now], entered=number, step=told(progress))
                return replace(self._with(place_now, course), current=place_now)
            case Polling() | Reconnecting() | AwaitingInactivity() if self.current is not None:
                course = replace(self.courses[self.current], step=told(progress))
                return self._with(self.current, course)
        return self

    def ended(self, end: Told | Left) -> Sending:
        """Return it with its end."""
        return replace(self, end=end, current=None, earlier=None)

    def known_now(self, outcomes: Mapping[str, Outcome], closed: Mapping[int, Delivery]) -> Sending:
        """Return it with what became known after its end, when its meter was asked.

        ``outcomes``: of tokens that were unresolved; ``closed``: deliveries that are open no more,
        by their numbers.
        """
        end = self.end
        if isinstance(end, Told):
            later = tuple(
                outcomes.get(digits, was) if isinstance(was, Unresolved) else was
                for digits, was in zip(self.tokens, end.outcomes, strict=True)
            )
            if later == end.outcomes:
                return self
            return replace(
                self, end=replace(end, outcomes=later, meaning=meaning_of(later), state=None)
            )
        if isinstance(end, Left) and end.made is not None:
            made = (None if each is None else closed.get(each.number, each) for each in end.made)
            return replace(self, end=Left(tuple(made)))
        return self

    def _first(self) -> int | None:
        places = (place for place, course in enumerate(self.courses) if course.outcome is None)
        return next(places, None)

    def _with(self, place: int, course: Course) -> Sending:
        courses = (*self.courses[:place], course, *self.courses[place + 1 :])
        return replace(self, courses=courses)

    # --- what is shown ---------------------------------------------------------------------------

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is known of each token now."""
        return tuple(self._line(place) for place in range(len(self.tokens)))

    def _line(self, place: int) -> Line:
        digits, course, end = self.tokens[place], self.courses[place], self.end
        if isinstance(end, Told):
            outcome = end.outcomes[place]
            known = Course(outcome=outcome)
            return Line(place + 1, digits, known.mood, known.said, tuple(end.notes(place)))
        if isinstance(end, Left):
            return Line(place + 1, digits, *self._as_left(place, end))
        # What is sent is told of when it was answered: until then it may be on its way.
        if course.outcome is None and course.step is None:
            its_turn = self.whole or place == self._first()
            course = replace(course, step=said("under way")) if its_turn else course
        often = counted("entered {count} time", "entered {count} times", course.entered)
        notes = (often,) if course.entered > 1 and course.outcome is None else ()
        return Line(place + 1, digits, course.mood, course.said, notes)

    def _as_left(self, place: int, end: Left) -> tuple[Mood, Said | str]:
        """Return what is known of a token whose delivery was not waited for: the journal's word."""
        if end.made is None:
            return Mood.CARE, said("not known")
        delivery, course = end.made[place], self.courses[place]
        if delivery is None:
            known = course if course.outcome is not None else Course(outcome=NotSent())
            return known.mood, known.said
        if delivery.ended is None:
            return Mood.CARE, said("delivery {number}: open", number=delivery.number)
        return MOODS[delivery.ended.meaning], result_said(delivery.ended)

    @property
    def verdict(self) -> tuple[str, Mood] | None:
        """How it ended, in a word to be put into the reader's language; None: it has not."""
        end = self.end
        if isinstance(end, Told):
            if end.meaning in (Meaning.DONE, Meaning.UNRESOLVED):
                return (DONE if end.meaning is Meaning.DONE else UNKNOWN), end.mood
            taken = any(isinstance(outcome, Delivered) for outcome in end.outcomes)
            return (NOT_ALL if taken else NONE), end.mood
        if isinstance(end, Left):
            moods = {line.mood for line in self.lines}
            if Mood.CARE in moods:
                return UNKNOWN, Mood.CARE
            if moods == {Mood.GOOD}:
                return DONE, Mood.GOOD
            return (NOT_ALL if Mood.GOOD in moods else NONE), Mood.CARE
        return None

    @property
    def is_open(self) -> bool:
        """Say whether nobody knows yet what became of one of the tokens."""
        if isinstance(self.end, Told):
            return any(isinstance(outcome, Unresolved) for outcome in self.end.outcomes)
        return isinstance(self.end, Left) and any(line.mood is Mood.CARE for line in self.lines)

    @property
    def refused(self) -> str:
        """The token that the meter executed and refused; empty where there is none."""
        return self.end.refused(self.tokens) if isinstance(self.end, Told) else ""

    @property
    def untouched(self) -> tuple[str, ...]:
        """The tokens of which nothing was sent, so that they can be sent again."""
        return tuple(
            digits for place, digits in enumerate(self.tokens) if self._is_untouched(place)
        )

    def _is_untouched(self, place: int) -> bool:
        end = self.end
        if isinstance(end, Told):
            return isinstance(end.outcomes[place], NoLink | NotSent)
        if isinstance(end, Left) and end.made is not None and end.made[place] is None:
            return isinstance(self.courses[place].outcome, NoLink | NotSent | None)
        return False
