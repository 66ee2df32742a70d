"""The plan of a run: what is delivered to which meter, and what goes wrong on the way.

A plan is drawn from a seed and is the whole of it: the same plan gives the same run. A smaller
plan, with a fault less or a token less, is a run of its own, which is how a failure is shrunk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from vtc07.carrier.companion import MS, S
from vtc07.links.link import Sender
from vtc07.simulation.faults import (
    AckToNak,
    BreakInjected,
    CharacterFault,
    CrashAtCharacter,
    CrashAtJournal,
    Cut,
    Delay,
    DiskFault,
    Echo,
    Fault,
    Garble,
    HostileClient,
    KeypadEntry,
    Lag,
    MeterSwapped,
    PowerLostAtCharacter,
    PowerLostInCommit,
    SecondUnit,
    Tampering,
    Tokens,
    WrongPassword,
)
from vtc07.simulation.issued import Issued, TokenKind, issue
from vtc07.simulation.powered import DIRECT, MeterMake
from vtc07.tokens import EA, KT

#: Numbers of tokens that others bring, apart from those of the plan.
OTHERS: Final = 1000

#: Credit at which another 0.1 kWh may already be too much (Wh).
NEARLY_FULL: Final = 9_999_999_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to be.

    ``tokens``: kinds in the order of delivery, each with its number. ``addressed``: the unit calls
    its meter by the MeterPAN, else whichever answers. ``threshold``: what it writes into
    lowCreditThreshold before the tokens, None for nothing. ``stated_ms``: how long a token takes
    by the unit's companion, whatever its meter needs; 0: it looks for the result at once.

    ``resumes``: after a crash it first finds out what became of what is open.

    In mode C: ``password``: the unit gives it; ``speed``: the greatest that it asks for, in Bd,
    None for the meter's.
    """

    seed: int
    make: MeterMake
    tokens: tuple[tuple[TokenKind, int], ...]
    faults: tuple[Fault, ...] = ()
    addressed: bool = True
    threshold: int | None = None
    stated_ms: int = 0
    password: bool = False
    speed: int | None = None
    resumes: bool = False

    @property
    def companion(self) -> str:
        """The name of the meter's and the unit's companion."""
        return self.make.companion

    def issued(self) -> tuple[Issued, ...]:
        """Return the tokens; those behind a key change are issued under the new key."""
        found: list[Issued] = []
        revision = 0
        for kind, number in self.tokens:
            of_kind = issue(kind, number, self.make.ea, revision)
            found += of_kind
            revision += of_kind[0].new_key is not None
        return tuple(found)


# --- drawing ------------------------------------------------------------------------------------

_USUAL: Final = (
    (TokenKind.CREDIT, 50),
    (TokenKind.KEY_CHANGE, 8),
    (TokenKind.KEY_CHANGE_WITH_SGC, 2),
    (TokenKind.CLEAR_CREDIT, 5),
    (TokenKind.POWER_LIMIT, 4),
    (TokenKind.UNBALANCE_LIMIT, 2),
    (TokenKind.CLEAR_TAMPER, 5),
    (TokenKind.METER_TEST, 5),
    (TokenKind.WRONG, 8),
    (TokenKind.OLD, 2),
    (TokenKind.OVERFLOW, 2),
    (TokenKind.OTHER_SERVICE, 2),
    (TokenKind.CURRENCY, 1),
    (TokenKind.EXTENDED_READ, 1),
    (TokenKind.TARIFF_RATE, 1),
    (TokenKind.WATER_FACTOR, 1),
    (TokenKind.EXTENDED_SET, 1),
    (TokenKind.CLASS_3, 1),
)
_KINDS: Final = tuple(kind for kind, _ in _USUAL)
_KIND_WEIGHTS: Final = tuple(weight for _, weight in _USUAL)

# The instants at which somebody stops waiting (docs/protocol.md 7).
_LIMITS_NS: Final = (
    200 * MS, 500 * MS, S, 1500 * MS, 2 * S, 3500 * MS, 5 * S, 15 * S, 60 * S, 120 * S,
)  # fmt: skip


def draw(seed: int, companion: str = DIRECT) -> Plan:
    """Draw the plan of a seed.

    With another companion than the direct one it is the same, and what only mode C has besides.
    """
    plan = _draw(seed)
    return plan if companion == DIRECT else _signed_on(plan, companion)


def _draw(seed: int) -> Plan:
    random = Random(seed)  # noqa: S311 - a run must repeat, not be secret
    make = MeterMake(
        ea=random.choice((EA.MISTY1, EA.MISTY1, EA.STA, EA.DEA)),
        kt=KT.DDTK if random.random() < 0.06 else KT.DUTK,
        credit=random.choice((0, 5000, 5000, 5000, 20, NEARLY_FULL)),
        power=random.choice((0, 0, 0, 1500, 9000)),
        execution_ns=random.choice((0, 300 * MS, 700 * MS, 1300 * MS, 4500 * MS)),
    )
    tokens: list[tuple[TokenKind, int]] = []
    for number in range(random.choice((1, 1, 1, 2, 2, 3))):
        (kind,) = random.choices(_KINDS, _KIND_WEIGHTS)
        again = tokens and random.random() < 0.05
        tokens.append(tokens[0] if again else (kind, number))
    sections = sum(
        4 if kind in (TokenKind.KEY_CHANGE, TokenKind.KEY_CHANGE_WITH_SGC) else 1
        for kind, _ in tokens
    )
    drawn = _Drawing(random, sections)
    faults = [drawn.fault() for _ in range(random.choice((1, 1, 2, 2, 3, 4)))]
    if any(isinstance(fault, MeterSwapped) for fault in faults):
        faults.append(drawn.cut())  # nobody opens the link again unless it was interrupted
    if random.random() < 0.06:
        faults.append(Echo())
    addressed = random.random() < 0.7
    threshold = random.randrange(1, 10_000) if random.random() < 0.12 else None
    # What the meter has behind it is drawn last.
    make = replace(
        make,
        failures=random.choice((0, 0, 0, 0, 0, 0, 0, 3, 4, 5)),
        tampered=random.random() < 0.08,
        executed=random.choice((0, 0, 0, 2**32 - 2)),
    )
    return Plan(
        seed,
        make,
        tuple(tokens),
        tuple(faults),
        addressed,
        threshold,
        stated_ms=random.choice((0, 0, 0, 1000)),
        resumes=random.random() < 0.5,
    )


def _signed_on(plan: Plan, companion: str) -> Plan:
    """Return a plan with a sign-on of mode C and what can go wrong with it."""
    random = Random(f"{companion} {plan.seed}")  # noqa: S311 - as above
    drawn = _Drawing(random, len(plan.issued()))
    faults: list[Fault] = [
        replace(fault, patient=random.random() < 0.6) if isinstance(fault, SecondUnit) else fault
        for fault in plan.faults
    ]
    faults += [drawn.broken_off() for _ in range(random.choice((0, 0, 0, 0, 1, 1, 2)))]
    faults += [drawn.hostile() for _ in range(random.choice((0, 0, 0, 0, 0, 0, 1)))]
    # Answers are short at 9600 Bd: it takes more for one to be late.
    faults += [drawn.lag() for _ in range(random.choice((0, 0, 0, 0, 0, 0, 0, 1)))]
    if random.random() < 0.06:
        faults.append(WrongPassword(random.choice((1, 1, 1, 2, 3))))
    make = replace(
        plan.make,
        companion=companion,
        wrong_passwords=random.choice((0, 0, 0, 0, 0, 0, 0, 1, 2, 3)),
    )
    password = random.random() < (0.8 if plan.threshold is not None else 0.3)
    speed = random.choice((None, None, None, 300, 1200, 2400))
    return replace(plan, make=make, faults=tuple(faults), password=password, speed=speed)


class _Drawing:
    """Draws faults for a delivery of so many tokens."""

    def __init__(self, random: Random, tokens: int) -> None:
        self._random = random
        # What an undisturbed delivery sends, and half as much again.
        self._up = 60 + 110 * tokens
        self._down = 80 + 330 * tokens
        self._commits = 3 + 2 * tokens
        self._effects = 4 + 8 * tokens
        self._duration_ns = (2 + 5 * tokens) * S
        # Trouble often comes at one spot: then everything strikes near one part of the session.
        self._spot = random.random() if random.random() < 0.4 else None

    def fault(self) -> Fault:
        """Draw one."""
        (drawing,) = self._random.choices(_DRAWINGS, _WEIGHTS)
        return drawing(self)

    def _place(self) -> tuple[Sender, int]:
        if self._random.random() < 0.45:
            return "client", self._within(self._up)
        return "server", self._within(self._down)

    def _within(self, many: int) -> int:
        """Return a place among so many, near the spot where there is one."""
        if self._spot is None:
            return self._random.randrange(many)
        spot = self._spot + self._random.uniform(-0.06, 0.06)
        return min(max(0, int(spot * many)), many - 1)

    def _off_ns(self) -> int:
        return self._random.choice((0, 10 * MS, 300 * MS, 2 * S, 7 * S, 30 * S))

    def _around_a_limit(self) -> int:
        limit = self._random.choice(_LIMITS_NS)
        return max(1, limit + self._random.choice((-MS, -1, 0, 1, MS, -50 * MS, 50 * MS, 300 * MS)))

    def character(self) -> Fault:
        """Draw a fault of a character."""
        garble = self._random.choice((Garble.FLIP, *Garble))
        return CharacterFault(*self._place(), garble, self._random.randrange(7))

    def ack(self) -> Fault:
        """Draw an ACK that becomes a NAK."""
        return AckToNak(self._random.randrange(3))

    def cut(self) -> Fault:
        """Draw an interruption of the line."""
        duration = self._random.choice((None, None, 300 * MS, 2 * S, 5 * S, 9 * S, 40 * S))
        return Cut(*self._place(), duration, self._random.random() < 0.4)

    def delay(self) -> Fault:
        """Draw a delay around a time-out."""
        return Delay(*self._place(), self._around_a_limit())

    def lag(self) -> Fault:
        """Draw a path that is slow for a while."""
        first = self._within(self._effects)
        return Lag(first, self._random.randrange(1, 12), self._around_a_limit())

    def power_at_character(self) -> Fault:
        """Draw a loss of power at a character."""
        return PowerLostAtCharacter(*self._place(), self._off_ns())

    def power_in_commit(self) -> Fault:
        """Draw a loss of power in a commit."""
        return PowerLostInCommit(
            self._within(self._commits),
            self._random.randrange(16),
            self._random.random() < 0.5,
            self._off_ns(),
        )

    def disk(self) -> Fault:
        """Draw a disk that fails."""
        return DiskFault(
            self._random.randrange(self._commits),
            self._random.randrange(16),
            self._random.random() < 0.5,
            self._random.choice((2 * S, 10 * S, 60 * S)),
        )

    def crash_at_journal(self) -> Fault:
        """Draw a crash of the hand-held unit at its journal."""
        within = self._random.randrange(200) % 8
        step, done = self._random.choice(((0, False), (within, True), (99, False), (99, True)))
        return CrashAtJournal(self._random.randrange(8), step, done)

    def crash_at_character(self) -> Fault:
        """Draw a crash of the hand-held unit at a character."""
        return CrashAtCharacter(*self._place())

    def broken_off(self) -> Fault:
        """Draw a B0 that nobody sent."""
        return BreakInjected(*self._place())

    def second_unit(self) -> Fault:
        """Draw another hand-held unit."""
        return SecondUnit(self._within(self._effects), self._random.choice(tuple(Tokens)))

    def keypad(self) -> Fault:
        """Draw an entry at the keypad."""
        at_ns = self._within(self._duration_ns)
        return KeypadEntry(at_ns, self._random.choice(tuple(Tokens)))

    def hostile(self) -> Fault:
        """Draw a hostile client."""
        return HostileClient(self._random.randrange(self._effects), self._random.randrange(1 << 30))

    def swap(self) -> Fault:
        """Draw another meter in the place of the right one."""
        return MeterSwapped(self._random.randrange(3), self._random.choice((1, 1, 2, 9)))

    def tamper(self) -> Fault:
        """Draw a tamper condition."""
        return Tampering(self._random.randrange(self._duration_ns))


_WEIGHTED: Final[tuple[tuple[Callable[[_Drawing], Fault], int], ...]] = (
    (_Drawing.character, 22),
    (_Drawing.ack, 6),
    (_Drawing.cut, 14),
    (_Drawing.delay, 6),
    (_Drawing.lag, 4),
    (_Drawing.power_at_character, 7),
    (_Drawing.power_in_commit, 9),
    (_Drawing.disk, 4),
    (_Drawing.crash_at_journal, 8),
    (_Drawing.crash_at_character, 5),
    (_Drawing.second_unit, 6),
    (_Drawing.keypad, 7),
    (_Drawing.hostile, 4),
    (_Drawing.swap, 3),
    (_Drawing.tamper, 2),
)
_DRAWINGS: Final = tuple(drawing for drawing, _ in _WEIGHTED)
_WEIGHTS: Final = tuple(weight for _, weight in _WEIGHTED)
