"""The least time that a session may take on a line, worked out from the sheet alone.

Nothing here knows how the hand-held unit plans or what it sends. A message of n characters takes
n times 10 bits. Whoever speaks waits a reaction time after the last character on the line, either
way; only the very first message waits for nothing.

What a session cannot do without (docs/protocol.md 4, 7, 8 and 10):

- the IDRequest with the empty address, the shortest there is, and its IDResponse; in mode C the
  option select as well, at 300 Bd, and the meter's P0 at the new speed;
- the MeterPAN, read and compared: by itself before a token is entered, as a snapshot is a message
  of its own; in a reading along with whatever else the message brings;
- the registers wanted. Every cover of them by messages is considered: a message brings consecutive
  readable registers, as many as fit, and costs its command, two reaction times and the answer, all
  at the true lengths of the values, which a client cannot know beforehand. The least sum is the
  shortest way through the table;
- for tokens: the snapshot S0 (one, counts in turn from 04), then for each token the entry, its ACK
  and the execution, and one snapshot asked so that its command ends when the execution does; it is
  S0 of the next token.

A client cannot know when an execution ends that takes longer than the companion states. For such a
one `tokens` also gives the time with so many polls: the first snapshot is asked when the stated
time is over, and the next ones 500 ms after the answer before. The difference is what the polls
cost; it is told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vtc07.carrier.companion import Companion
from vtc07.carrier.registers import Register

CHARACTER = 10 * 10**9  # ns at 1 Bd
TOKEN_DIGITS = 20
SNAPSHOT_START = "tokenStatus"
SIGN_ON_SPEED = 300  # Bd, IEC 62056-21 6.3.1

#: Tells how many characters a register's value has.
Length = Callable[[Register], int]


@dataclass(frozen=True)
class Line:
    """A line of ``speed`` Bd and the reaction time of both of its ends, in ns."""

    speed: int
    reaction_ns: int

    def burst(self, characters: int) -> int:
        """Return the time of a message, in ns."""
        return -(-characters * CHARACTER // self.speed)

    def exchange(self, up: int, down: int) -> int:
        """Return the time of a message after another one, and of its answer."""
        return 2 * self.reaction_ns + self.burst(up) + self.burst(down)


def data_set(register: Register, length: int) -> int:
    """Return the characters of ``registerID(value*unit)``."""
    return len(register.address) + 2 + length + (len(register.unit) + 1 if register.unit else 0)


def data_message(sets: Sequence[int], line: int) -> int:
    """Return the characters of a Data message of these data sets, lines of at most ``line``."""
    total = 3  # STX, ETX, BCC
    filled = 0
    for length in sets:
        if filled and filled + length > line:
            total, filled = total + 2, 0
        total, filled = total + length, filled + length
    return total


def read_command(start: Register, count: int) -> int:
    """Return the characters of ``SOH R1 STX registerID(count) ETX BCC``."""
    return 8 + len(start.address) + (0 if count == 1 else 2)


def sign_on(companion: Companion, line: Line) -> int:
    """Return the time from the first character to the identification, or to P0 in mode C."""
    widths = [register.width or 0 for register in companion.identification]
    response = len("/FLGZ\r\n") + sum(widths)
    rule = companion.mode_c
    if rule is None:
        return line.burst(len("/?!\r\n")) + line.reaction_ns + line.burst(response)
    slow = Line(SIGN_ON_SPEED, line.reaction_ns)
    return (
        slow.burst(len("/?!\r\n"))
        + line.reaction_ns
        + slow.burst(response + (len("\\2") if rule.mode_e else 0))
        + line.reaction_ns
        + slow.burst(len("\x060Z1\r\n"))
        + line.reaction_ns
        + line.burst(len("\x01P0\x02()\x03B"))
    )


def readout(line: Line, response: int, block: int) -> int:
    """Return the least time for a readout of mode C with so many characters in its two messages."""
    slow = Line(SIGN_ON_SPEED, line.reaction_ns)
    return (
        slow.burst(len("/?!\r\n"))
        + slow.reaction_ns
        + slow.burst(response)
        + slow.reaction_ns
        + slow.burst(len("\x060Z0\r\n"))
        + line.reaction_ns
        + line.burst(block)
    )


def reading(
    companion: Companion, line: Line, wanted: frozenset[Register], length: Length
) -> tuple[int, int]:
    """Return the least time for reading registers in a session under way, and its messages."""
    readable = [r for r in companion.table if r.read_level == 0]
    sets = [data_set(r, length(r)) for r in readable]
    limits = companion.limits
    best: list[tuple[int, int]] = [(0, 0)] * (len(readable) + 1)  # from this place to the end
    for start in range(len(readable) - 1, -1, -1):
        if readable[start] not in wanted:
            best[start] = best[start + 1]
            continue
        ways = []
        for end in range(start + 1, min(start + 255, len(readable)) + 1):
            answer = data_message(sets[start:end], limits.line)
            if answer > limits.data_message:
                break
            if readable[end - 1] in wanted:
                cost = line.exchange(read_command(readable[start], end - start), answer)
                ways.append((cost + best[end][0], 1 + best[end][1]))
        best[start] = min(ways)
    return best[0]


def pan(companion: Companion) -> frozenset[Register]:
    """Return the register that has to be compared, as far as there is one."""
    table = companion.table
    return frozenset({table.named("meterPAN")} if table.has("meterPAN") else ())


@dataclass(frozen=True)
class TokenTask:
    """What the entries of a session are about.

    ``last_tokens``: the length of lastToken before the first entry and after each.
    ``execution_ns``: what the meter takes for each. ``polls``: for each entry, how many snapshots
    showed 16; ``first_ns``: the first of them comes so long after the entry, if not later.
    """

    last_tokens: Sequence[int]
    execution_ns: int
    polls: Sequence[int]
    first_ns: int = 0


def tokens(companion: Companion, line: Line, task: TokenTask, length: Length) -> int:
    """Return the least time for entering tokens in a session under way, the MeterPAN included."""
    rule, table = companion.token_entry, companion.table
    start = table.named(SNAPSHOT_START)
    turn = 0

    def snapshot(last_token: int) -> tuple[int, int]:
        nonlocal turn
        count = rule.snapshot_counts[turn % len(rule.snapshot_counts)]
        turn += 1
        found = [
            data_set(r, last_token if r.name == "lastToken" else length(r))
            for r in table.readable_from(start, count)
        ]
        return read_command(start, count), data_message(found, companion.limits.line)

    now = reading(companion, line, pan(companion), length)[0]
    now += line.exchange(*snapshot(task.last_tokens[0]))
    entry = 8 + len(rule.register.address) + TOKEN_DIGITS  # SOH W1 STX id ( ) ETX BCC
    for place, polls in enumerate(task.polls):
        now += line.reaction_ns + line.burst(entry)
        executed, first = now + task.execution_ns, now + task.first_ns
        now += line.reaction_ns + line.burst(1)  # ACK
        pause = line.reaction_ns
        for _ in range(polls):
            command, answer = snapshot(task.last_tokens[place])
            now = max(now + pause + line.burst(command), first)
            now += line.reaction_ns + line.burst(answer)
            pause = max(line.reaction_ns, companion.timing.poll_ns)
        command, answer = snapshot(task.last_tokens[place + 1])
        now = max(now + pause + line.burst(command), executed)
        now += line.reaction_ns + line.burst(answer)
    return now
