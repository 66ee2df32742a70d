"""Which ReadCommands to send for a set of registers: the least time on the line.

Pure. A message costs its characters, the command's and the answer's, and two reaction times. On a
slow line an unwanted register between two wanted ones may cost more than a second message; on a
path that does not pace characters (TCP) only the number of messages counts.

An answer is the longest prefix that fits (docs/protocol.md 4), so a plan need not know how long a
text is: it asks as far as might fit and is made anew for what did not arrive.

Where all lengths are known the plan is the best there is. Where texts make a difference: of the
registers (or groups) not yet read take the one that begins first. Some message must hold it, and
among those that do, the one that starts with it and reaches furthest holds every other that any of
them holds. So asking from there as far as the answer can reach is never worse in messages, whatever
the lengths turn out to be. It stops short of that only before unwanted registers that cost more
than a message, as far as their lengths can be told (`usual`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from vtc07.carrier.companion import MS, MessageLimits
from vtc07.carrier.registers import Encoding, Register, RegisterTable

LARGEST_COUNT = 255

#: What a plan costs: time in ns, messages, characters; the first that differs decides.
Cost = tuple[int, int, int]


class CannotRead(ValueError):
    """Registers that cannot be read, or not together; the sentence says which and why."""


@dataclass(frozen=True, slots=True)
class Message:
    """One ReadCommand: ``count`` consecutive readable registers from ``start``."""

    start: Register
    count: int


@dataclass(frozen=True, slots=True)
class Pace:
    """What time a line takes: of one character, and between two messages, in ns.

    ``character_ns`` 0: the path does not pace characters.
    """

    character_ns: int = 0
    reaction_ns: int = 200 * MS


@dataclass(frozen=True, slots=True)
class Span:
    """Registers wanted from one message: their places among the readable ones, ascending."""

    members: tuple[int, ...]

    @property
    def first(self) -> int:
        """The first place."""
        return self.members[0]

    @property
    def last(self) -> int:
        """The last place."""
        return self.members[-1]


def shortest(register: Register) -> int:
    """Return the characters of the shortest value that the register may send."""
    match register.encoding:
        case Encoding.HEX:
            return register.longest
        case Encoding.DECIMAL:
            return len(register.encode(0))
        case _:
            return 0


def usual(register: Register) -> int:
    """Return about how many characters a value of the register has, where that is not fixed.

    A text is taken to be half as long as it can be; of a decimal number's digits, which are as many
    as the largest number of its type has, a quarter.
    """
    least, most = shortest(register), register.longest
    return least + (most - least) // (4 if register.encoding is Encoding.DECIMAL else 2)


def data_set_length(register: Register, value_length: int) -> int:
    """Return the characters of a data set with a value of this length (IEC 62056-21 6.5)."""
    unit = 0 if register.unit is None else 1 + len(register.unit)
    return len(register.address) + 2 + value_length + unit


def answer_length(data_sets: Iterable[int], limits: MessageLimits) -> int:
    """Return the characters of a Data message: STX, data sets in lines, ETX, BCC."""
    total, line = 3, 0
    for length in data_sets:
        if line and line + length > limits.line:
            total += 2
            line = 0
        total += length
        line += length
    return total


def command_length(register: Register, count: int) -> int:
    """Return the characters of the ReadCommand; a count of 1 is sent as an empty one."""
    return len("\x01R1\x02()\x03") + 1 + len(register.address) + (2 if count > 1 else 0)


class Planner:
    """Plans reads of one RegisterTable at one access level, on a line of this pace."""

    def __init__(
        self,
        table: RegisterTable,
        limits: MessageLimits | None = None,
        *,
        level: int = 0,
        pace: Pace | None = None,
    ) -> None:
        self._limits = limits or MessageLimits()
        self._pace = pace or Pace()
        self.readable = tuple(
            r for r in table if r.read_level is not None and r.read_level <= level
        )
        self._places = {r.address: i for i, r in enumerate(self.readable)}
        self._short = [data_set_length(r, shortest(r)) for r in self.readable]
        self._long = [data_set_length(r, r.longest) for r in self.readable]
        self._usual = [data_set_length(r, usual(r)) for r in self.readable]

    def spans(
        self, wanted: Iterable[Register], together: Iterable[Collection[Register]] = ()
    ) -> tuple[Span, ...]:
        """Return what has to arrive: each register by itself, each group in one message.

        Groups that share a register become one. Members of ``together`` need not be in
        ``wanted``. CannotRead: a register that may not be read, or a group that never fits.
        """
        groups: list[set[int]] = [{self.place(r)} for r in wanted]
        for group in together:
            merged = {self.place(r) for r in group}
            apart = [g for g in groups if not g & merged]
            for touching in (g for g in groups if g & merged):
                merged |= touching
            groups = [*apart, merged] if merged else apart
        found = tuple(sorted({Span(tuple(sorted(g))) for g in groups}, key=lambda s: s.first))
        for span in found:
            if self._reach(span.first, self._short) < span.last:
                raise CannotRead(
                    f"{self.readable[span.first].name} to {self.readable[span.last].name} do not "
                    "fit one message, so they cannot be read together"
                )
        return found

    def place(self, register: Register) -> int:
        """Return the register's place among the readable ones, or raise CannotRead."""
        place = self._places.get(register.address)
        if place is None:
            raise CannotRead(f"{register.name} ({register.address}) cannot be read at this level")
        return place

    def next_message(self, spans: Sequence[Span]) -> Message:
        """Return the first message of the best plan for ``spans``, of which there is at least one.

        A plan that every value fits, however long, is taken where it costs no more than one that
        hopes for short ones.
        """
        hopeful = self._least(spans, fits=self._short, roughly=True)
        assert hopeful is not None  # `spans` has seen that every span fits
        safe = self._least(spans, fits=self._long, roughly=True)
        if safe is not None and safe[0] <= hopeful[0]:
            hopeful = self._least(spans, fits=self._long) or hopeful
        start, last = hopeful[1][0]
        return Message(self.readable[start], last - start + 1)

    def plan(self, spans: Sequence[Span]) -> tuple[Message, ...]:
        """Return the whole plan if every value were as long as it can be.

        CannotRead where a group does not fit one message then.
        """
        if not spans:
            return ()
        best = self._least(spans, fits=self._long)
        if best is None:
            raise CannotRead("a group of registers does not fit one message at its longest")
        return tuple(Message(self.readable[s], e - s + 1) for s, e in best[1])

    def missing(self, spans: Sequence[Span], message: Message, answered: int) -> tuple[Span, ...]:
        """Return the spans that an answer of ``answered`` registers to ``message`` leaves."""
        start = self._places[message.start.address]
        end = start + answered
        return tuple(s for s in spans if not (start <= s.first and s.last < end))

    # --- lengths -------------------------------------------------------------------------------

    def _reach(self, start: int, lengths: Sequence[int]) -> int:
        """Return the last place that an answer from ``start`` holds; ``start`` - 1 for none."""
        total, line = 3, 0
        for place in range(start, min(start + self._limits.registers, len(lengths))):
            length = lengths[place]
            if line and line + length > self._limits.line:
                total += 2
                line = 0
            total += length
            line += length
            if total > self._limits.data_message:
                return place - 1
        return min(start + self._limits.registers, len(lengths)) - 1

    def _least(
        self, spans: Sequence[Span], *, fits: Sequence[int], roughly: bool = False
    ) -> tuple[Cost, tuple[tuple[int, int], ...]] | None:
        """Return the best plan and its cost, None where a span does not fit.

        ``fits``: the lengths that must fit a message. What a register costs is its usual length.
        ``roughly``: line ends and the last characters aside, so that of messages which cost about
        the same the one that reaches furthest is taken.

        Worked from the end: what is left after a message is the spans that end behind it, so
        there is one best rest for each end of a message. (A message that lies within another is
        never needed, so messages can be put in an order in which starts and ends both ascend.)
        """
        ends = sorted({span.last for span in spans})
        starts = [0] * len(ends)  # the first place of the spans from this end on
        ordered = sorted(spans, key=lambda span: span.last)
        first, place = len(self.readable), len(ordered)
        for index in range(len(ends) - 1, -1, -1):
            while place and ordered[place - 1].last >= ends[index]:
                place -= 1
                first = min(first, ordered[place].first)
            starts[index] = first
        # best[i]: the cost and the end of the first message, for the spans from ends[i] on
        best: list[tuple[Cost, int] | None] = [None] * len(ends) + [((0, 0, 0), -1)]
        for index in range(len(ends) - 1, -1, -1):
            start = starts[index]
            reach = self._reach(start, fits)
            total, line, at = 3, 0, start
            for chosen in range(index, bisect_left(ends, reach + 1)):
                while at <= ends[chosen]:
                    length = self._usual[at]
                    if line and line + length > self._limits.line and not roughly:
                        total, line = total + 2, 0
                    total, line, at = total + length, line + length, at + 1
                rest = best[chosen + 1]
                if rest is None:
                    continue
                count = LARGEST_COUNT if roughly else ends[chosen] - start + 1
                chars = total + command_length(self.readable[start], count)
                (time_ns, messages, more), _ = rest
                time_ns += 2 * self._pace.reaction_ns + chars * self._pace.character_ns
                cost = (time_ns, messages + 1, 0 if roughly else chars + more)
                known = best[index]
                if known is None or cost < known[0] or (roughly and cost == known[0]):
                    best[index] = cost, chosen
        if best[0] is None:
            return None
        plan: list[tuple[int, int]] = []
        index = 0
        while index < len(ends):
            step = best[index]
            assert step is not None
            plan.append((starts[index], ends[step[1]]))
            index = step[1] + 1
        return best[0][0], tuple(plan)
