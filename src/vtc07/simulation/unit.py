"""A real hand-held unit that may crash, and one that is hostile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion, S
from vtc07.carrier.endpoint import Procedure, SpeedChange
from vtc07.carrier.events import ClientEvent, Command
from vtc07.carrier.messages import IDRequest, ReadCommand, WriteCommand
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.hhu.delivery import Deliverer, SendReport, TokenToSend
from vtc07.hhu.progress import Progress
from vtc07.hhu.resuming import ResumeReport, resume_by
from vtc07.hhu.session import Session
from vtc07.hhu.writing import write
from vtc07.links.echo import EchoFilter
from vtc07.simulation.unit_disk import UnitDisk, WatchedJournal

_EPOCH: Final = datetime(2030, 1, 1, tzinfo=UTC)


class EchoedClient:
    """A client behind a head that echoes: what it sent is taken out of what it hears."""

    def __init__(self, client: Client | ModeCClient, character_ns: int) -> None:
        self._client = client
        self._filter = EchoFilter(echoes=True, character_ns=character_ns)

    def start(self, command: Command, now_ns: int) -> None:
        """Begin a command."""
        self._client.start(command, now_ns)

    def next_event(self) -> ClientEvent | None:
        """Return the next event, or None."""
        return self._client.next_event()

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take characters from the line."""
        self._client.receive(self._filter.heard(chars, now_ns), now_ns)

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return the characters to be sent from now on."""
        chars = self._client.bytes_to_send(now_ns)
        self._filter.sent(chars, now_ns)
        return chars

    def next_timer(self) -> int | None:
        """Return the instant of the next timer, or None."""
        return self._client.next_timer()

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due."""
        self._client.handle_timer(now_ns)

    def connection_lost(self, now_ns: int) -> None:
        """Take notice that the link closed."""
        self._client.connection_lost(now_ns)

    def next_speed_change(self) -> SpeedChange | None:
        """Return the next change of the line's speed at this end, or None."""
        change = self._client.next_speed_change()
        if change is not None:
            self._filter.character_ns = -(-10 * S // change.speed)
        return change


class HandHeldUnit:
    """A hand-held unit: real client core, session, deliverer and journal; its disk outlives it.

    ``number``: which of the run's units it is, from 1. ``now_ns``: the clock of the run, from which
    the journal's time of day comes. ``new_core``, ``session_type``, ``deliverer_type``: what it
    is made of. ``disk``: with its journal.
    ``on_progress``: told of what it does, with itself.
    """

    def __init__(
        self,
        companion: Companion,
        address: str,
        *,
        number: int,
        now_ns: Callable[[], int],
        character_ns: int,
        echo: bool,
        new_core: Callable[[], Client | ModeCClient],
        session_type: type[Session],
        deliverer_type: type[Deliverer],
        on_progress: Callable[[HandHeldUnit, Progress], None],
        disk: UnitDisk,
    ) -> None:
        self.number = number
        self._companion = companion
        self._address = address
        self._now_ns = now_ns
        self._character_ns = character_ns
        self._echo = echo
        self._new_core = new_core
        self._session_type = session_type
        self._deliverer_type = deliverer_type
        self._on_progress = on_progress
        self.disk = disk
        #: what it is to deliver
        self.tokens: list[str] = []
        #: the tokenSequence of the last snapshot that it read
        self.looked_at: int | None = None
        #: the acceptances, by tokenSequence, that it reported in this delivery
        self.claimed: set[int] = set()
        #: the newest delivery in its journal when it last reported, or began to deliver
        self.reported = 0
        #: the earlier delivery that it is looking into
        self.resolving = 0
        self.start()

    def start(self) -> None:
        """Switch it on, as new but for its disk."""
        self.core = self._new_core()
        self.client: Client | ModeCClient | EchoedClient = self.core
        if self._echo:
            self.client = EchoedClient(self.core, self._character_ns)
        self.session = self._session_type(
            self._companion,
            address=self._address,
            on_progress=lambda fact: self._on_progress(self, fact),
        )

    def crash(self) -> None:
        """Lose everything but what is on the disk; start anew."""
        self.disk.lose_power()
        self.start()

    @property
    def journal(self) -> WatchedJournal:
        """Its journal, as it is open now."""
        return self.disk.journal

    def _wall_clock(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self._now_ns() // 1000)

    # --- what it does ----------------------------------------------------------------------------

    def send(self, *, resume: bool) -> Procedure[SendReport]:
        """Deliver its tokens."""
        self.claimed = set()
        self.has_reported()
        wanted = [TokenToSend(digits) for digits in self.tokens]
        return self._deliverer().send(wanted, resume=resume)

    def has_reported(self) -> None:
        """Remember that what its journal holds by now belongs to tokens that it is done with."""
        self.reported = max(self.journal.known, default=0)

    @property
    def open_deliveries(self) -> bool:
        """Whether its journal holds a delivery without a result."""
        return any(d.ended is None for d in self.journal.known.values())

    def write(self, name: str, value: int) -> Procedure[bool]:
        """Write a register; True where the meter acknowledged it, False where it refused."""
        register = self._companion.table.named(name)
        (result,) = yield from write(
            self.session, [(register, value)], journal=self.journal, wall_clock=self._wall_clock
        )
        return result.written

    def resume(self) -> Procedure[ResumeReport]:
        """Find out what became of what its journal holds without result."""
        return resume_by(self._deliverer(), self.session, self.journal, wall_clock=self._wall_clock)

    def _deliverer(self) -> Deliverer:
        return self._deliverer_type(self.session, self.journal, self._wall_clock, resend=False)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What a hostile client says, with a token in it or not, and how long it then waits.

    ``speed``: with which it goes on, in Bd; None: as before.
    """

    chars: bytes
    pause_ns: int
    token: str | None = None
    speed: int | None = None


def hostile_words(random: Random, companion: Companion, tokens: Sequence[str]) -> list[Utterance]:
    """Return what a hostile client says: noise, pieces of messages, commands, others' tokens."""
    said: list[Utterance] = []
    for _ in range(random.randrange(1, 12)):
        said += random.choice(_HOSTILE)(random, companion, tokens)
    return said


def _pause(random: Random) -> int:
    return random.choice((0, S // 10, S // 2, S // 2, S, 2 * S))


def _noise(random: Random, _: Companion, __: Sequence[str]) -> list[Utterance]:
    return [Utterance(random.randbytes(random.randrange(1, 60)), _pause(random))]


def _call(random: Random, _: Companion, __: Sequence[str]) -> list[Utterance]:
    return [Utterance(IDRequest(random.choice(("", "", "0", "999"))).to_chars(), S // 2)]


def _read(random: Random, companion: Companion, _: Sequence[str]) -> list[Utterance]:
    register = random.choice(tuple(companion.table))
    count = f"{random.randrange(256):02X}"
    return [Utterance(ReadCommand(register.address, count).to_chars(), _pause(random))]


def _write(random: Random, companion: Companion, _: Sequence[str]) -> list[Utterance]:
    register = random.choice(tuple(companion.table))
    value = f"{random.randrange(1 << 32):08X}"
    return [Utterance(WriteCommand(register.address, value).to_chars(), _pause(random))]


def _enter(random: Random, companion: Companion, tokens: Sequence[str]) -> list[Utterance]:
    token = f"{random.randrange(1 << 66):020d}"
    if tokens and random.random() < 0.3:
        token = random.choice(tokens)
    entry = companion.token_entry.register
    chars = WriteCommand(entry.address, entry.encode(token)).to_chars()
    said = [Utterance(chars, _pause(random), token)]
    if random.random() < 0.3:
        said.append(Utterance(b"\x15", S))  # the answer once more
    return said


def _piece(random: Random, _: Companion, __: Sequence[str]) -> list[Utterance]:
    whole = IDRequest("").to_chars() + WriteCommand("000F", "1" * 20).to_chars()
    pieces = (
        b"\x06",
        b"\x01",
        b"/?",
        b"\x01R1\x02",
        b"\x03",
        whole[: random.randrange(len(whole))],
    )
    return [Utterance(random.choice(pieces), _pause(random))]


def _naks(random: Random, _: Companion, __: Sequence[str]) -> list[Utterance]:
    return [Utterance(b"\x15", S)] * random.randrange(1, 6)


def _damaged(random: Random, _: Companion, __: Sequence[str]) -> list[Utterance]:
    chars = ReadCommand("0004", "04").to_chars()[:-1] + b"?"  # a wrong BCC
    return [Utterance(chars, S)] * random.randrange(1, 5)


def _silence(_: Random, __: Companion, ___: Sequence[str]) -> list[Utterance]:
    return [Utterance(b"", 121 * S)]


_HOSTILE: Final = (
    _noise, _call, _call, _read, _write, _enter, _enter, _piece, _naks, _damaged, _silence,
)  # fmt: skip


class Nobody:
    """A client's end at which nobody listens."""

    def start(self, command: Command, now_ns: int) -> None:  # noqa: ARG002 - a client's face
        """Refuse a command: nobody is there."""
        raise ValueError("nobody is there to carry out a command")

    def next_event(self) -> ClientEvent | None:
        """Return None."""
        return None

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Hear nothing."""

    def bytes_to_send(self, now_ns: int) -> bytes:  # noqa: ARG002 - an endpoint's face
        """Say nothing."""
        return b""

    def next_timer(self) -> int | None:
        """Return None."""
        return None

    def handle_timer(self, now_ns: int) -> None:
        """Do nothing."""

    def connection_lost(self, now_ns: int) -> None:
        """Do nothing."""

    def next_speed_change(self) -> SpeedChange | None:
        """Return None: it says and hears nothing."""
        return None
