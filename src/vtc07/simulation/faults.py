"""What can go wrong in a run, each as a fact: a kind, and where it strikes.

Places are counted from the beginning of a run: characters that one end has sent, commits of the
meter's store, steps of the journal, effects that the client's procedure asked for. So a fault
means the same whatever else is taken out of a run, and a run can be made smaller.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar, Final

from vtc07.links.link import Sender


class Garble(enum.Enum):
    """What becomes of a character."""

    FLIP = "flipped"
    DAMAGE = "damaged"
    DROP = "lost"
    DOUBLE = "doubled"
    BURST = "burst"


class Tokens(enum.Enum):
    """Which tokens somebody else brings."""

    SAME = "the same token"
    OTHER = "another token"
    WRONG = "a wrong token"


@dataclass(frozen=True, slots=True)
class CharacterFault:
    """A character arrives as another one, unreadable, not at all, twice, or with noise behind it.

    ``number``: the bit that is flipped (0 to 6); the number of characters of a burst.
    """

    sender: Sender
    place: int
    garble: Garble
    number: int = 0

    @property
    def kind(self) -> str:
        """The kind, for counting."""
        return f"character {self.garble.value}"


@dataclass(frozen=True, slots=True)
class AckToNak:
    """The ``number``-th ACK of the meter (from 0) arrives as NAK."""

    kind: ClassVar[str] = "ACK garbled into NAK"
    number: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The line is interrupted at a character.

    ``duration_ns``: until it is whole again; None: until the client opens the link again.
    ``told``: both ends notice (a closed connection), else it is an optical head taken off.
    """

    sender: Sender
    place: int
    duration_ns: int | None
    told: bool = False

    @property
    def kind(self) -> str:
        """The kind, for counting."""
        return "link lost" if self.told else "line cut"


@dataclass(frozen=True, slots=True)
class Delay:
    """A character, and all behind it, comes later by ``duration_ns``."""

    kind: ClassVar[str] = "delay"
    sender: Sender
    place: int
    duration_ns: int


@dataclass(frozen=True, slots=True)
class Lag:
    """Each of ``messages`` messages of the meter, from its ``message``-th on, comes so much later.

    A slow path: the answers are whole and in order, but may come when they are not awaited.
    """

    kind: ClassVar[str] = "lag"
    message: int
    messages: int
    duration_ns: int


@dataclass(frozen=True, slots=True)
class Echo:
    """The head returns what is sent into it, all through the run."""

    kind: ClassVar[str] = "echo"


@dataclass(frozen=True, slots=True)
class PowerLostAtCharacter:
    """The meter loses power at a character, for ``off_ns``."""

    kind: ClassVar[str] = "power lost at a character"
    sender: Sender
    place: int
    off_ns: int


@dataclass(frozen=True, slots=True)
class PowerLostInCommit:
    """The meter loses power in its ``commit``-th commit (from 0), at a step of it.

    ``step`` counts what the store asks of its database from 0, modulo as many as there are.
    ``done``: the step still happened.
    """

    kind: ClassVar[str] = "power lost in a commit"
    commit: int
    step: int
    done: bool
    off_ns: int


@dataclass(frozen=True, slots=True)
class DiskFault:
    """A step of a commit fails; ``done``: it is reported as failed, but was done.

    The meter is powered up anew after ``off_ns``.
    """

    kind: ClassVar[str] = "disk fault"
    commit: int
    step: int
    done: bool
    off_ns: int


@dataclass(frozen=True, slots=True)
class CrashAtJournal:
    """The hand-held unit crashes in the ``commit``-th transaction of its journal (from 0).

    The first one makes the tables. ``step`` counts what the journal asks of its database from 0;
    beyond the last one it is the last. ``done``: the step still happened.
    """

    kind: ClassVar[str] = "unit crashed at its journal"
    commit: int
    step: int
    done: bool


@dataclass(frozen=True, slots=True)
class CrashAtCharacter:
    """The hand-held unit crashes at a character."""

    kind: ClassVar[str] = "unit crashed at a character"
    sender: Sender
    place: int


@dataclass(frozen=True, slots=True)
class SecondUnit:
    """Another hand-held unit delivers tokens to the meter before the ``effect``-th effect.

    ``patient``: its person waits first until the meter has ended the session of the first.
    """

    kind: ClassVar[str] = "second unit"
    effect: int
    tokens: Tokens
    patient: bool = False


@dataclass(frozen=True, slots=True)
class KeypadEntry:
    """Somebody enters a token on the meter's keypad, ``at_ns`` after the beginning."""

    kind: ClassVar[str] = "keypad entry"
    at_ns: int
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class HostileClient:
    """A client that sends anything at all has the line before the ``effect``-th effect."""

    kind: ClassVar[str] = "hostile client"
    effect: int
    seed: int


@dataclass(frozen=True, slots=True)
class MeterSwapped:
    """At the ``reopening``-th opening of the link (from 0) another meter is there.

    ``openings``: at how many of them, before it is the right one again.
    """

    kind: ClassVar[str] = "meter swapped"
    reopening: int
    openings: int


@dataclass(frozen=True, slots=True)
class Tampering:
    """The meter is tampered with, ``at_ns`` after the beginning."""

    kind: ClassVar[str] = "tamper"
    at_ns: int


@dataclass(frozen=True, slots=True)
class BreakInjected:
    """Behind a character B0 arrives as well, that the other end never sent; mode C only."""

    kind: ClassVar[str] = "B0 injected"
    sender: Sender
    place: int


@dataclass(frozen=True, slots=True)
class WrongPassword:
    """The first deliveries, so many of them, are begun with a wrong password; mode C only."""

    kind: ClassVar[str] = "wrong password"
    deliveries: int


Fault = (
    CharacterFault
    | AckToNak
    | Cut
    | Delay
    | Lag
    | Echo
    | PowerLostAtCharacter
    | PowerLostInCommit
    | DiskFault
    | CrashAtJournal
    | CrashAtCharacter
    | SecondUnit
    | KeypadEntry
    | HostileClient
    | MeterSwapped
    | Tampering
    | BreakInjected
    | WrongPassword
)

#: What a unit has to resume after.
CRASHES: Final = (CrashAtJournal, CrashAtCharacter)

#: The kinds that only a sign-on of mode C knows.
ONLY_MODE_C: Final = frozenset({BreakInjected.kind, WrongPassword.kind})


def in_words(fault: Fault) -> str:
    """Return a fault as a person would say it; a change of its values changes the words."""
    match fault:
        case CharacterFault(sender, place, garble, number):
            extra = {Garble.FLIP: f" in bit {number}", Garble.BURST: f" of {number + 1} more"}
            return f"{fault.kind}{extra.get(garble, '')}: {_at(sender, place)}"
        case AckToNak(number):
            return f"{fault.kind}: number {number + 1} of the meter's"
        case Cut(sender, place, duration_ns):
            until = "until the link is opened again"
            lasts = until if duration_ns is None else f"for {_time(duration_ns)}"
            return f"{fault.kind}: {_at(sender, place)}, {lasts}"
        case Delay(sender, place, duration_ns):
            return f"{fault.kind} of {_time(duration_ns)}: {_at(sender, place)}"
        case Lag(message, messages, duration_ns):
            return (
                f"{fault.kind} of {_time(duration_ns)}: {messages} messages of the meter, from its "
                f"message {message + 1} on"
            )
        case PowerLostAtCharacter(sender, place, off_ns):
            return f"{fault.kind}: {_at(sender, place)}, for {_time(off_ns)}"
        case PowerLostInCommit(commit, step, done, off_ns):
            return f"{fault.kind}: {_in_commit(commit, step, done=done)}, for {_time(off_ns)}"
        case DiskFault(commit, step, done, off_ns):
            did = ", although it was done" if done else ""
            return (
                f"{fault.kind}: {_in_commit(commit, step, done=False)}{did}; switched off and on "
                f"after {_time(off_ns)}"
            )
        case CrashAtJournal(commit, step, done):
            return f"{fault.kind}: {_in_commit(commit, step, done=done)}"
        case CrashAtCharacter(sender, place):
            return f"{fault.kind}: {_at(sender, place)}"
        case SecondUnit(effect, tokens, patient):
            waits = ", which waits first" if patient else ""
            before = f"before step {effect + 1} of the first"
            return f"{fault.kind}: with {tokens.value}, {before}{waits}"
        case BreakInjected(sender, place):
            return f"{fault.kind}: {_at(sender, place)}"
        case WrongPassword(deliveries):
            return f"{fault.kind}: in the first {deliveries} deliveries"
        case KeypadEntry(at_ns, tokens):
            return f"{fault.kind}: {tokens.value}, after {_time(at_ns)}"
        case HostileClient(effect, seed):
            return f"{fault.kind}: before step {effect + 1} of the unit, with words {seed}"
        case MeterSwapped(reopening, openings):
            return f"{fault.kind}: at opening {reopening + 1} of the link, for {openings}"
        case Tampering(at_ns):
            return f"{fault.kind}: after {_time(at_ns)}"
        case Echo():
            return f"{fault.kind}: the head returns what is sent into it"


def _at(sender: Sender, place: int) -> str:
    return f"at character {place + 1} of the {'unit' if sender == 'client' else 'meter'}"


def _in_commit(commit: int, step: int, *, done: bool) -> str:
    return f"commit {commit + 1}, {'after' if done else 'at'} its step {step + 1} or its last"


def _time(duration_ns: int) -> str:
    return f"{duration_ns / 10**9:.9f}".rstrip("0").rstrip(".") + " s"
