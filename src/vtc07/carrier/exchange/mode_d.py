"""Mode D of IEC 62056-21 (6.4.4): a meter that sends by itself, and whoever listens to it.

`/XXX3ident CR LF CR LF block ! CR LF` at 2400 Bd, nothing is ever said back. The P1 port of Dutch
and Belgian meters has the same shape at 9600 or 115200 Bd, with a CRC16 after the `!`.
"""

from __future__ import annotations

import enum
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vtc07.carrier.companion import MS, MessageLimits
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.exchange.events import Block, ReadoutAsked
from vtc07.carrier.exchange.messages import build_block, build_identification, line_end
from vtc07.carrier.exchange.settings import PUSH_SPEED, STANDARD, Compatibility
from vtc07.carrier.exchange.telegram import Telegram, crc16, parse_telegram
from vtc07.carrier.grammar import DAMAGED, LF, SLASH
from vtc07.carrier.messages import DEFAULT_LIMITS

#: What a listener holds of one telegram, in characters, unless told otherwise (our choice).
LONGEST_PUSH: Final = 65_536
#: A silence of this length inside a telegram ends it (IEC 62056-21 6.4.4.3: t_a).
PUSH_SILENCE_NS: Final = 1500 * MS

_BITS = 10
_BANG: Final = 0x21
_END_LINE = re.compile(rb"(?:[^()!]|\([^()]*\))*![0-9A-Fa-f]{0,4}[\r\n]*")
_BLANK = re.compile(rb"[\r\n]+")
_BEGINNING = re.compile(rb"/[A-Za-z]{3}[ -~][^/\r\n]*[\r\n]+\Z")


def build_push(
    flag: str,
    text: str,
    block: Block,
    *,
    z: str = "3",
    with_crc16: bool = False,
    compat: Compatibility = STANDARD,
    limits: MessageLimits = DEFAULT_LIMITS,
) -> bytes:
    """Build a pushed telegram. ``z``: always 3 in mode D. ``with_crc16``: as a P1 port's.

    Raises `ValueError` where an identification cannot be that.
    """
    bare = Compatibility(
        no_readout_bcc=True,
        decimal_comma=compat.decimal_comma,
        lf_line_ends=compat.lf_line_ends,
    )
    ends = line_end(compat).encode("ascii")
    chars = build_identification(flag, z, text, compat) + ends
    chars += build_block(block.lines, bare, limits)
    if not with_crc16:
        return chars
    covered = chars.removesuffix(ends)
    return covered + b"%04X" % crc16(covered) + ends


# --- the meter ------------------------------------------------------------------------------------


class PushSender:
    """A meter in mode D, without its host: every ``interval_ns`` it asks for its block and sends.

    Each `ReadoutAsked` is answered once, by `answer`. The first one is due at once. A telegram is
    never begun before the one before it has gone out at ``speed``, and none is sent later for one
    that was missed. What is heard means nothing.
    """

    def __init__(
        self,
        flag: str,
        text: str,
        *,
        interval_ns: int,
        speed: int = PUSH_SPEED,
        z: str = "3",
        with_crc16: bool = False,
        compat: Compatibility = STANDARD,
        limits: MessageLimits = DEFAULT_LIMITS,
    ) -> None:
        if interval_ns <= 0:
            raise ValueError("the time from one telegram to the next must be more than nothing")
        build_identification(flag, z, text)  # refuses what is none
        self._flag, self._text, self._z = flag, text, z
        self._interval_ns = interval_ns
        self._speed = speed
        self._with_crc16 = with_crc16
        self._compat = compat
        self._limits = limits
        self._request = 0
        self._asked_ns = 0
        self._due: int | None = 0
        self._events: deque[ReadoutAsked] = deque()
        self._outgoing = b""
        self._changes: deque[SpeedChange] = deque()

    def next_event(self) -> ReadoutAsked | None:
        """Return the next request to the host, or None."""
        return self._events.popleft() if self._events else None

    def answer(self, request: int, block: Block, now_ns: int) -> None:
        """Give the block that was asked for; a second answer goes nowhere."""
        if self._due is not None or request != self._request:
            return
        self._outgoing = build_push(
            self._flag,
            self._text,
            block,
            z=self._z,
            with_crc16=self._with_crc16,
            compat=self._compat,
            limits=self._limits,
        )
        duration = len(self._outgoing) * _BITS * 10**9 // self._speed
        self._due = max(self._asked_ns + self._interval_ns, now_ns + duration)

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take no notice: nothing is said to such a meter."""

    def bytes_to_send(self, now_ns: int) -> bytes:  # noqa: ARG002 - the face of an endpoint
        """Return the telegram that is due, once."""
        chars, self._outgoing = self._outgoing, b""
        return chars

    def next_timer(self) -> int | None:
        """Return when the next block is asked for; None until the last one is answered."""
        return self._due

    def handle_timer(self, now_ns: int) -> None:
        """Ask for the block where it is due."""
        if self._due is None or now_ns < self._due:
            return
        self._due = None
        self._asked_ns = now_ns
        self._request += 1
        self._events.append(ReadoutAsked(self._request))
        self._changes.append(SpeedChange(self._speed))  # the link may be another one by now

    def connection_lost(self, now_ns: int) -> None:  # noqa: ARG002 - the face of an endpoint
        """Forget what has not been sent; the next telegram is due as before."""
        self._outgoing = b""

    def next_speed_change(self) -> SpeedChange | None:
        """Return the speed of telegrams, before each of them."""
        return self._changes.popleft() if self._changes else None


class MeterPush:
    """A `PushSender` with its host: what `vtc07.links` serves. ``readout`` gives the block now."""

    def __init__(self, sender: PushSender, readout: Callable[[], Block]) -> None:
        self._sender = sender
        self._readout = readout

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take no notice."""
        self._sender.receive(chars, now_ns)

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return the telegram that is due, once."""
        return self._sender.bytes_to_send(now_ns)

    def next_timer(self) -> int | None:
        """Return when the next telegram is due."""
        return self._sender.next_timer()

    def handle_timer(self, now_ns: int) -> None:
        """Read the block where it is due."""
        self._sender.handle_timer(now_ns)
        while (event := self._sender.next_event()) is not None:
            self._sender.answer(event.request, self._readout(), now_ns)

    def connection_lost(self, now_ns: int) -> None:
        """Forget what has not been sent."""
        self._sender.connection_lost(now_ns)

    def next_speed_change(self) -> SpeedChange | None:
        """Return the speed of telegrams, before each of them."""
        return self._sender.next_speed_change()

    def next_work(self) -> None:
        """Return None: nothing durable is done."""

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        """Take no notice: no job is handed out."""


# --- the listener ---------------------------------------------------------------------------------


class TornBy(enum.Enum):
    """What is wrong with a telegram that was heard."""

    NO_BEGINNING = "its beginning was not heard"
    CUT = "another one began before its end"
    SILENCE = "it stopped before its end"
    LINK = "the link was lost before its end"
    DAMAGED = "a character of it could not be read"
    CHECK = "its CRC16 is wrong"
    OVERLONG = "it is longer than any telegram"


@dataclass(frozen=True, slots=True)
class Pushed:
    """A whole telegram; its CRC16, where it has one, is right."""

    telegram: Telegram


@dataclass(frozen=True, slots=True)
class PushTorn:
    """A telegram that must not be believed. ``chars``: what there is of it, FF where damaged."""

    by: TornBy
    chars: bytes


@dataclass(frozen=True, slots=True)
class NothingPushed:
    """No telegram was heard in the time that `Listen` gave, or the link is lost."""

    link_lost: bool = False


PushEvent = Pushed | PushTorn | NothingPushed


@dataclass(frozen=True, slots=True)
class Listen:
    """Wait for the next telegram, whole or torn, at most ``timeout_ns`` (None: for ever)."""

    timeout_ns: int | None = None


class PushListener:
    """Hears telegrams, and tells each one: `Pushed` or `PushTorn`.

    Works by itself; with `start` it is a core for a client's driver, whose command `Listen` ends
    in one event. At most ``longest`` characters are held.
    """

    def __init__(
        self,
        *,
        speed: int = PUSH_SPEED,
        compat: Compatibility = STANDARD,
        silence_ns: int = PUSH_SILENCE_NS,
        longest: int = LONGEST_PUSH,
    ) -> None:
        self._speed: SpeedChange | None = SpeedChange(speed)
        self._start_speed = SpeedChange(speed)
        self._compat = compat
        self._silence_ns = silence_ns
        self._longest = longest
        self._events: deque[PushEvent] = deque()
        self._deadline: int | None = None
        self._listening = False
        self._heard_ns = 0
        self._stray_bang = False  # outside of a telegram: the last character was a `!`
        self._forget()

    def _forget(self) -> None:
        self._buffer = bytearray()  # empty: outside of a telegram
        self._line = self._line_before = 0

    @property
    def length(self) -> int:
        """The number of characters held."""
        return len(self._buffer)

    def start(self, command: Listen, now_ns: int) -> None:
        """Wait for the next event."""
        self._listening = True
        timeout = command.timeout_ns
        self._deadline = None if timeout is None else now_ns + timeout

    def next_event(self) -> PushEvent | None:
        """Return the next event, or None."""
        if not self._events:
            return None
        self._listening, self._deadline = False, None
        return self._events.popleft()

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take characters, FF for a damaged one."""
        self._heard_ns = now_ns
        for char in chars:
            self._take(char if char < 0x80 else DAMAGED)

    def bytes_to_send(self, now_ns: int) -> bytes:  # noqa: ARG002 - the face of an endpoint
        """Return nothing: a listener never speaks."""
        return b""

    def next_timer(self) -> int | None:
        """Return the end of the longest silence inside a telegram, or of waiting."""
        silence = self._heard_ns + self._silence_ns if self._buffer else None
        ends = [end for end in (silence, self._deadline) if end is not None]
        return min(ends) if ends else None

    def handle_timer(self, now_ns: int) -> None:
        """Give up a telegram after silence, and the waiting after its time."""
        if self._buffer and now_ns >= self._heard_ns + self._silence_ns:
            if _END_LINE.fullmatch(self._buffer, self._line):
                self._finish()
            else:
                self._torn(TornBy.SILENCE)
        if self._deadline is not None and now_ns >= self._deadline:
            self._deadline = None
            if not self._events:
                self._events.append(NothingPushed())

    def connection_lost(self, now_ns: int) -> None:  # noqa: ARG002 - the face of an endpoint
        """Tell what is torn by it; the next link is set to the speed anew."""
        if self._buffer:
            self._torn(TornBy.LINK)
        elif self._listening and not self._events:
            self._events.append(NothingPushed(link_lost=True))
        self._speed = self._start_speed

    def next_speed_change(self) -> SpeedChange | None:
        """Return the speed of telegrams, once a link."""
        change, self._speed = self._speed, None
        return change

    def _take(self, char: int) -> None:
        if char == SLASH and (not self._buffer or self._buffer[-1] == LF):
            if self._buffer:
                self._torn(TornBy.CUT)
            self._stray_bang = False
            self._buffer.append(char)
            return
        if not self._buffer:
            if char == LF and self._stray_bang:
                self._torn(TornBy.NO_BEGINNING)
            self._stray_bang = char == _BANG or (self._stray_bang and char != LF)
            return
        self._buffer.append(char)
        if len(self._buffer) > self._longest:
            self._torn(TornBy.OVERLONG)
        elif char == LF:
            self._end_line()

    def _end_line(self) -> None:
        if _END_LINE.fullmatch(self._buffer, self._line):
            self._finish()
            return
        if _BLANK.fullmatch(self._buffer, self._line) and self._line_before:
            # An empty line follows an identification: this one began in the middle of a line.
            match = _BEGINNING.search(self._buffer, self._line_before, self._line)
            if match is not None:
                begun = bytes(self._buffer[match.start() :])
                del self._buffer[match.start() :]
                self._torn(TornBy.CUT)
                self._buffer += begun
                self._line_before, self._line = 0, len(begun)
                return
        self._line_before, self._line = self._line, len(self._buffer)

    def _finish(self) -> None:
        chars = bytes(self._buffer)
        telegram = parse_telegram(chars, self._compat)
        if telegram is None or telegram.identity is None:
            self._torn(TornBy.NO_BEGINNING)
        elif DAMAGED in chars:
            self._torn(TornBy.DAMAGED)
        elif telegram.check_good is False:
            self._torn(TornBy.CHECK)
        else:
            self._forget()
            self._events.append(Pushed(telegram))

    def _torn(self, by: TornBy) -> None:
        chars = bytes(self._buffer)
        self._forget()
        self._events.append(PushTorn(by, chars))
