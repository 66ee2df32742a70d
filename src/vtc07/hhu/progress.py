"""What a user interface may be told while a procedure runs: frozen facts, one call for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vtc07.hhu.outcome import Outcome
from vtc07.hhu.texts import Said, said


@dataclass(frozen=True, slots=True)
class Identifying:
    """An IDRequest is about to be sent; ``address`` is empty for any meter."""

    address: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A ReadCommand of ``count`` registers from the one named ``first`` is about to be sent."""

    first: str
    count: int


@dataclass(frozen=True, slots=True)
class RegisterWritten:
    """The server acknowledged a write of the register named ``register``."""

    register: str


@dataclass(frozen=True, slots=True)
class EntryWritten:
    """A token entry was sent and answered, or not; ``number`` counts writes of it from 1."""

    number: int


@dataclass(frozen=True, slots=True)
class Polling:
    """A snapshot arrived that decides nothing yet; ``status`` is its tokenStatus for people."""

    status: str


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The link is about to be opened again, for the ``number``-th time ``of`` so many."""

    number: int
    of: int


@dataclass(frozen=True, slots=True)
class AwaitingInactivity:
    """A meter of mode C hears no sign-on before its last session has run out, in ``seconds``."""

    seconds: int


@dataclass(frozen=True, slots=True)
class ResolvingEarlier:
    """A delivery without result stands in the journal and is looked into first."""

    delivery: int


@dataclass(frozen=True, slots=True)
class Resolved:
    """A token's outcome is known. ``place``: which of the tokens to be sent, from 0.

    None where the outcome is that of an earlier delivery out of the journal.
    """

    place: int | None
    outcome: Outcome


Progress = (
    Identifying
    | Reading
    | RegisterWritten
    | EntryWritten
    | Polling
    | Reconnecting
    | AwaitingInactivity
    | ResolvingEarlier
    | Resolved
)

#: Called with each fact, at once and on the thread that runs the procedure; must not block.
OnProgress = Callable[[Progress], None]


def unheard(_progress: Progress) -> None:
    """Take no notice: the default of every `OnProgress`."""


def told(progress: Progress) -> Said:
    """Return a step as a sentence; it never shows a token."""
    match progress:
        case Identifying(address) if address:
            return said("calling meter {address}", address=address)
        case Identifying():
            return said("calling the meter")
        case Reading(first, count) if count > 1:
            return said("reading {register} and {count} more", register=first, count=count - 1)
        case Reading(first, _):
            return said("reading {register}", register=first)
        case RegisterWritten(register):
            return said("{register} is written", register=register)
        case EntryWritten(number) if number > 1:
            return said("the token is entered, for the {number}. time", number=number)
        case EntryWritten():
            return said("the token is entered")
        case Polling(status):
            return said("waiting for the result ({status})", status=status)
        case Reconnecting(number, of):
            return said("no answer, reconnecting ({number} of {of})", number=number, of=of)
        case AwaitingInactivity(seconds):
            return said(
                "the meter may still be in the session that was lost: waiting {seconds} s",
                seconds=seconds,
            )
        case ResolvingEarlier(delivery):
            return said(
                "looking into delivery {delivery}, which stands open in the journal",
                delivery=delivery,
            )
        case Resolved(_, outcome):
            return outcome.said


def sentence(progress: Progress) -> str:
    """Return a step in English; it never shows a token."""
    return str(told(progress))
