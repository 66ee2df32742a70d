"""The client against whole conversations: the same characters at the same times.

The server's lines of a transcript are played to the client core, character by character at their
times, and the client is given the commands that the transcript's client sends. What the
transcript's notes say of each token must be what our delivery makes of the same answers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hhu_bench import PAN, ScriptedMeter, wall_clock

from vtc07.carrier.client import Client
from vtc07.carrier.companion import MS, Companion
from vtc07.carrier.events import (
    Break,
    ClientEvent,
    Command,
    EnterToken,
    Entry,
    Identified,
    Identify,
    Read,
    RegistersRead,
    SignedOff,
    TokenEntryAnswered,
    Write,
    Written,
)
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.hhu.delivery import TokenToSend, send
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.outcome import Delivered, NotTaken, NotTakenReason, Outcome, Refused
from vtc07.hhu.reading import read
from vtc07.hhu.resolution import Snapshot
from vtc07.hhu.session import Meter, Session

NAK = b"\x15"
ACK = b"\x06"


@dataclass(frozen=True)
class Line:
    """One message. ``t_ns``: the time of its last character; the line itself takes no time."""

    t_ns: int
    sender: str
    chars: bytes
    note: str
    lost: bool
    silence: bool


@dataclass(frozen=True)
class Transcript:
    header: dict[str, Any]
    lines: tuple[Line, ...]

    @classmethod
    def load(cls, shared: Path, name: str) -> Transcript:
        path = shared / "vectors" / "transcripts" / f"{name}.jsonl"
        header, *lines = (json.loads(text) for text in path.read_text("utf-8").splitlines())
        return cls(
            header,
            tuple(
                Line(
                    round(line["t"] * 1000) * MS,
                    line["from"],
                    bytes.fromhex(line["hex"]),
                    line["note"],
                    line.get("lost", False),
                    line.get("silence", False),
                )
                for line in lines
            ),
        )


_READ = re.compile(rb"\x01R1\x02([0-9A-F]{4})\(([0-9A-F]*)\)\x03")
_WRITE = re.compile(rb"\x01W1\x02([0-9A-F]{4})\(([^)]*)\)\x03")


def _command(companion: Companion, chars: bytes) -> Command | None:
    """The command that a client sends with these characters; None for what ours never says."""
    if chars.startswith(b"/?"):
        return Identify(chars[2:-3].decode())
    if chars.startswith(b"\x01B0"):
        return Break()
    if match := _READ.match(chars):
        register = companion.table.find(match[1].decode())
        assert register is not None
        return Read(register, int(match[2] or b"1", 16))
    if match := _WRITE.match(chars):
        register = companion.table.find(match[1].decode())
        assert register is not None
        text = match[2].decode()
        if register != companion.token_entry.register:
            return Write(register, register.decode(text))
        return EnterToken(text) if len(text) == 20 else None
    return None


class Player:
    """Plays a server's lines to a client core and keeps what the client says and learns."""

    def __init__(self, companion: Companion) -> None:
        self.companion = companion
        self.client = Client(companion)
        self.sent: list[tuple[int, bytes]] = []
        self.events: list[ClientEvent] = []

    def until(self, t_ns: int) -> None:
        """Let the client do what is due before ``t_ns`` and at it."""
        while (timer := self.client.next_timer()) is not None and timer <= t_ns:
            if chars := self.client.bytes_to_send(timer):
                self.sent.append((timer, chars))
            else:
                self.client.handle_timer(timer)
        self._collect()

    def say(self, line: Line, command: Command) -> None:
        self.until(line.t_ns)
        assert not self.client.busy, f"{line.note}: the client has not ended {self.client.state}"
        self.client.start(command, line.t_ns)
        self.until(line.t_ns)

    def hear(self, line: Line, *, damaged: int | None = None) -> None:
        for place, char in enumerate(line.chars):
            heard = 0xFF if place == damaged else char
            self.client.receive(bytes((heard,)), line.t_ns)
        self._collect()

    def _collect(self) -> None:
        while (event := self.client.next_event()) is not None:
            self.events.append(event)


NAMES = (
    "05-two-messages",
    "08-credit-accepted",
    "09-same-token-again",
    "10-corrupted-token",
    "11-key-change-shuffled",
    "12-lockout",
    "15-lost-ack",
)


def _is_right(command: Command, event: ClientEvent, line: Line) -> bool:
    """Say whether an event is the one that the server's line means."""
    match command:
        case Identify():
            return isinstance(event, Identified)
        case Read(start, _):
            return (
                isinstance(event, RegistersRead)
                and event.values[0].register == start
                and len(event.values) == line.chars.count(b"(")
                and event.received_ns == line.t_ns
            )
        case Write(register, _):
            return event == Written(register)
        case EnterToken() if line.lost:
            return event == TokenEntryAnswered(Entry.UNCERTAIN)
        case EnterToken() if line.chars == ACK:
            return event == TokenEntryAnswered(Entry.ACK)
        case EnterToken():
            return isinstance(event, TokenEntryAnswered) and event.entry is Entry.REFUSED
        case _:
            return event == SignedOff()


@pytest.mark.parametrize("name", NAMES)
def test_the_client_says_the_same_at_the_same_times(
    name: str, electricity: Companion, shared: Path
) -> None:
    transcript = Transcript.load(shared, name)
    player = Player(electricity)
    said, command = 0, None
    for line in transcript.lines:
        if line.sender == "client":
            command = _command(electricity, line.chars)
            if command is None:
                continue  # a value that is no token: ours refuses to say it
            player.say(line, command)
            said += 1
            # Our client asks for one register with an empty count, which means the same as 01.
            same = line.chars
            if isinstance(command, Read) and command.count == 1:
                same = player.sent[-1][1] if b"(01)" in line.chars else line.chars
                assert b"()" in same
            assert player.sent[-1] == (line.t_ns, same), line.note
            assert len(player.sent) == said, "nothing else was said"
        elif command is not None:
            if line.lost or line.silence:
                following = [x.t_ns for x in transcript.lines if x.t_ns > line.t_ns]
                player.until(min(following, default=line.t_ns + 5000 * MS))
            else:
                player.hear(line)
            assert len(player.events) == said, line.note
            assert _is_right(command, player.events[-1], line), line.note
    assert said > 4


def test_a_damaged_answer_is_asked_for_again_three_times(
    electricity: Companion, shared: Path
) -> None:
    """Each server line that the transcript's client answers with NAK is damaged on its way.

    The fourth time our client gives the answer up and sends the command again, where the
    transcript shows a server's silence at a fourth NAK; and it never sends NAK to a single
    character, so the rest of that transcript has no counterpart here.
    """
    lines = Transcript.load(shared, "13-client-nak").lines
    last = next(i for i, line in enumerate(lines) if line.note == "NAK 4")
    wanted = [line.chars for line in lines[:last] if line.sender == "client"]
    assert wanted.count(NAK) == 4
    shortest = min(len(line.chars) for line in lines[:last] if line.sender == "server")
    # A message without its first character, or whose end cannot be told, is none to say NAK to.
    for place in range(1, shortest - len("\r\n")):
        player = Player(electricity)
        for line, following in pairwise(lines[: last + 1]):
            if line.sender == "server":
                player.hear(line, damaged=place if following.chars == NAK else None)
            elif line.chars == NAK:
                player.until(line.t_ns)
            else:
                command = _command(electricity, line.chars)
                assert command is not None
                player.say(line, command)
        player.until(lines[last].t_ns)
        assert [chars for _, chars in player.sent] == [*wanted, wanted[-4]]
        assert len(player.events) == 1
        assert isinstance(player.events[0], Identified)


def test_the_rest_of_a_long_read_is_asked_for_as_in_the_transcript(
    electricity: Companion, shared: Path
) -> None:
    """The procedure, on the transcript's answers: two messages, the same two commands."""
    lines = Transcript.load(shared, "05-two-messages").lines
    player = Player(electricity)
    log = [r for r in electricity.table if r.name.startswith("tokenLog.")][:24]
    session = Session(electricity)
    session.meter = Meter(ScriptedMeter(electricity).identity, (), PAN, ())  # identified before
    procedure = read(session, log)
    effect: Any = next(procedure)
    found = None
    for line, answer in zip(lines[2:6:2], lines[3:6:2], strict=True):
        player.say(line, effect.command)
        assert player.sent[-1] == (line.t_ns, line.chars)
        player.hear(answer)
        try:
            effect = procedure.send(player.events[-1])
        except StopIteration as end:
            found = end.value
    assert found is not None
    assert found.messages == 2
    assert [v.register for v in found.values] == log
    assert found.value("tokenLog.24").startswith("1,")


# --- decisions ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """A token of a transcript, what came back, and what the notes say of it."""

    token: str
    answer: ClientEvent
    s0: Snapshot
    after: tuple[Snapshot, ...]
    notes: tuple[str, ...]


def _told(companion: Companion, transcript: Transcript) -> list[Told]:
    """Take a transcript apart: one entry each, and the snapshots up to the next one."""
    meter = transcript.header["meter"]
    shown = Snapshot(
        meter["tokenStatus"], meter["tokenSequence"], meter["lastToken"], meter["lastTokenStatus"]
    )
    told: list[Told] = []
    entry: tuple[str, ClientEvent, Snapshot] | None = None
    after: list[Snapshot] = []
    notes: list[str] = []
    command: Command | None = None

    def end() -> None:
        if entry is not None:
            told.append(Told(*entry, tuple(after), tuple(notes)))
        after.clear()
        notes.clear()

    player = Player(companion)
    for line in transcript.lines:
        if line.sender == "client":
            command = _command(companion, line.chars)
            if command is not None:
                player.say(line, command)
        elif command is not None:
            if line.lost or line.silence:
                player.until(line.t_ns + 2000 * MS)
            else:
                player.hear(line)
            event = player.events[-1]
            if isinstance(command, EnterToken):
                end()
                entry = (command.token, event, shown)
            elif isinstance(event, RegistersRead) and event.values[0].register.address == "0004":
                status, sequence, token, last = (v.value for v in event.values)
                shown = Snapshot(int(status), int(sequence), str(token), int(last))
                after.append(shown)
                notes.append(line.note)
    end()
    return told


ACCEPT = TokenStatus.ACCEPT
CRC = TokenStatus.CRC_ERROR
LOCKED = NotTaken(NotTakenReason.LOCKOUT, ErrorCode.TOKEN_LOCKOUT, "ER06", 58)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("08-credit-accepted", [Delivered(ACCEPT, 1)]),
        ("09-same-token-again", [Refused(TokenStatus.USED_ERROR, 2)]),
        ("10-corrupted-token", [Refused(CRC, 1)]),
        (
            "11-key-change-shuffled",
            [
                Delivered(TokenStatus.THIRD_KCT, 1),
                Delivered(TokenStatus.FIRST_KCT, 2),
                Delivered(TokenStatus.FOURTH_KCT, 3),
                Delivered(ACCEPT, 4),
                Delivered(ACCEPT, 5),
            ],
        ),
        ("12-lockout", [*(Refused(CRC, n) for n in range(1, 6)), LOCKED, Delivered(ACCEPT, 6)]),
        ("15-lost-ack", [Delivered(ACCEPT, 1)]),
    ],
)
def test_each_token_ends_as_the_notes_say(
    name: str, expected: list[Outcome], electricity: Companion, shared: Path
) -> None:
    told = _told(electricity, Transcript.load(shared, name))
    assert len(told) == len(expected)
    for one, wanted in zip(told, expected, strict=True):
        bench, journal = ScriptedMeter(electricity), MemoryJournal()
        bench.registers["lockoutRemaining"] = 58
        bench.entries.append(one.answer)
        bench.snapshots.extend([one.s0, *one.after])
        report = bench.run(
            send(
                Session(electricity, address=PAN),
                journal,
                [TokenToSend(one.token)],
                wall_clock=wall_clock,
            )
        )
        assert report.outcomes == (wanted,)
        assert bench.count(EnterToken) == 1, "nothing is resent"
        assert journal.unresolved() == ()
        if isinstance(wanted, Delivered | Refused):
            # The note to the deciding snapshot: its number and name, or in words.
            number = electricity.token_entry.status.number(wanted.status)
            decided = re.compile(
                rf"{number} {wanted.status.value}|{wanted.status.value}: delivered"
            )
            assert any(decided.search(note) for note in one.notes), one.notes
