"""A meter's port of IEC 62056-21, modes A, B and C, without I/O and without registers.

The transitions are in `meter_states`; here what is heard becomes an input, and an action is
carried out. Time is an integer of ns passed in. A request goes to the host as an event and is
answered once. Source: IEC 62056-21 6.3 to 6.5 and annex A.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from vtc07.carrier.companion import S
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.exchange.events import (
    IdentificationAsked,
    MeterEvent,
    MeterReply,
    MeterRequest,
    OperandAsked,
    ReadoutAsked,
    SessionEnd,
    SessionEnded,
    SignedOnTo,
)
from vtc07.carrier.exchange.messages import (
    ACK,
    NAK,
    break_message,
    build_error,
)
from vtc07.carrier.exchange.meter_blocks import PartialWrite
from vtc07.carrier.exchange.meter_hearing import (
    faulty_option,
    judge_command,
    judge_option,
    judge_request,
)
from vtc07.carrier.exchange.meter_replies import Answer, PortSettings, encode
from vtc07.carrier.exchange.meter_states import METER, MeterAction, MeterInput, MeterState
from vtc07.carrier.exchange.reader import PortReader
from vtc07.carrier.exchange.settings import (
    START_SPEED,
    Mode,
    mode_and_speed,
)
from vtc07.carrier.framing import Frame, Framed

__all__ = ["MeterPort", "PortSettings"]

_ENDS = {
    MeterInput.REQUEST_OTHER: SessionEnd.OTHER_METER,
    MeterInput.BREAK: SessionEnd.BREAK,
    MeterInput.BREAK_ACKNOWLEDGED: SessionEnd.BREAK,
    MeterInput.OPTION_FAULT_SILENCE: SessionEnd.OPTION_FAULT,
    MeterInput.DENIED: SessionEnd.PASSWORD,
    MeterInput.LATE: SessionEnd.LATE,
    MeterInput.INACTIVITY: SessionEnd.INACTIVITY,
    MeterInput.LINK_CLOSED: SessionEnd.LINK,
}


class _Said(NamedTuple):
    """A message, the speed it is sent at, and that to go on with."""

    chars: bytes
    speed: int
    then: int


class MeterPort:
    """The state machine of one port (`vtc07.carrier.endpoint.Endpoint`).

    ``paced``: characters take time on this path (serial); False on TCP. The port asks for changes
    of speed either way.

    From the end of a message to the last character of its answer, nothing is heard but B0: a
    client sends nothing else then. A B0 that comes while the host works is obeyed when the host
    has answered, and that answer is not sent.

    ``on_transition``: told of every row of the state table that is used, as it is; for coverage.
    """

    on_transition: Callable[[MeterState, MeterInput], None] | None = None

    def __init__(self, settings: PortSettings, *, paced: bool) -> None:
        self._settings = settings
        self._timing = settings.timing
        self._kind = settings.compatibility.check
        self._mode, self._top_speed = mode_and_speed(settings.baud_identification)
        self._paced = paced
        self._reader = PortReader(settings.limits)
        self._state = MeterState.IDLE
        self._events: deque[MeterEvent] = deque()
        self._changes: deque[SpeedChange] = deque()
        self._speed = START_SPEED
        self._chosen_speed = START_SPEED  # by the option select
        self._requests = 0
        self._pending: MeterRequest | None = None  # what the host has yet to answer
        self._break_due = False  # B0 was heard while the host worked
        self._overheard = b""  # the latest characters while nothing else is heard
        self._outgoing: _Said | None = None  # an answer whose time has not come
        self._latest: _Said | None = None  # what a NAK brings again
        self._repeats = 0
        self._due_ns = 0
        self._heard_ns = 0  # last character received
        self._sent_ns = 0  # last character of the latest answer, which may be still to come
        self._asked_ns = 0  # last character of the message that is being answered
        self._alive_ns = 0  # last correct message received, or last character sent
        self._operand = ""
        self._blocks: deque[bytes] = deque()  # of a partial read, yet to be sent
        self._writing = PartialWrite(self._timing.longest_reaction_ns)

    @property
    def state(self) -> MeterState:
        """Where in a session the port is."""
        return self._state

    @property
    def connected(self) -> bool:
        """True while a session is open."""
        return self._state is not MeterState.IDLE

    @property
    def speed(self) -> int:
        """The speed in Bd at which the port hears, and sends what comes next."""
        return self._speed

    @property
    def character_ns(self) -> int:
        """Duration of one character of 10 bits in ns, rounded up; 0 where not paced."""
        return -(-10 * S // self._speed) if self._paced else 0

    @property
    def held(self) -> int:
        """How many characters it holds."""
        said = sum(len(message.chars) for message in (self._outgoing, self._latest) if message)
        blocks = sum(len(block) for block in self._blocks)
        return self._reader.length + self._writing.held + said + blocks + len(self._overheard)

    # --- the face ------------------------------------------------------------------------------

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take 7-bit characters, FF for a damaged one, timed by the last of them."""
        first_ns = now_ns - max(0, len(chars) - 1) * self.character_ns
        self.handle_timer(first_ns)
        for at in range(len(chars)):
            char, char_ns = chars[at : at + 1], now_ns - (len(chars) - 1 - at) * self.character_ns
            if self._answering() or char_ns - self.character_ns < self._sent_ns:
                self._overhear(char)  # it began before our last character was out
                continue
            self._heard_ns = char_ns
            for framed in self._reader.feed(char):
                self._hear(framed, char_ns)

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return the answer once its reaction time is over, else nothing."""
        said = self._outgoing
        if said is None or now_ns < self._due_ns:
            return b""
        self._outgoing = None
        if now_ns - self._asked_ns > self._timing.longest_reaction_ns:
            self._transit(MeterInput.LATE)  # the client has given up, and may be sending again
            if self.connected:
                self._set_speed(said.then)
            return b""
        self._alive_ns = self._sent_ns = now_ns + len(said.chars) * self.character_ns
        self._set_speed(said.then)
        return said.chars

    def next_event(self) -> MeterEvent | None:
        """Return the next event for the host, oldest first."""
        return self._events.popleft() if self._events else None

    def next_speed_change(self) -> SpeedChange | None:
        """Return the next change of the line's speed at this end, or None."""
        return self._changes.popleft() if self._changes else None

    def next_timer(self) -> int | None:
        """Return when `handle_timer` or `bytes_to_send` has something to do, or None."""
        timers = []
        if self._outgoing is not None:
            timers.append(self._due_ns)
        if self._reader.in_message:
            timers.append(self._heard_ns + self._timing.inter_character_ns)
        elif (wait := self._wait_over_ns()) is not None:
            timers.append(wait)
        if self.connected:
            timers.append(self._alive_ns + self._timing.inactivity_ns)
        return min(timers, default=None)

    def handle_timer(self, now_ns: int) -> None:
        """Discard a message that stopped in the middle; go on, or end, where a wait is over."""
        silent = now_ns - self._heard_ns >= self._timing.inter_character_ns
        if silent and self._reader.in_message:
            self._incomplete()
        wait = self._wait_over_ns()
        if wait is not None and now_ns >= wait and not self._reader.in_message:
            if self._state is MeterState.SENT_READOUT:
                self._transit(MeterInput.READOUT_OVER)
            elif self._mode is Mode.C:
                self._transit(MeterInput.NO_OPTION, now_ns)
                self._asked_ns -= self._settings.reaction_ns  # t_t is over: no reaction time more
            else:
                self._transit(MeterInput.IDENTIFIED, wait)
        if self.connected and now_ns - self._alive_ns >= self._timing.inactivity_ns:
            self._transit(MeterInput.INACTIVITY)

    def connection_lost(self, now_ns: int) -> None:  # noqa: ARG002 - one face for all cores
        """Be at the start at once."""
        self._sent_ns = 0  # what was still to be sent never will be
        self._outgoing = None
        self._reader.discard()
        self._transit(MeterInput.LINK_CLOSED)

    def answer(self, request: int, reply: MeterReply, now_ns: int) -> None:
        """Answer a request event; exactly once for each.

        An answer to a session that ended meanwhile goes nowhere. ValueError: no such request, or a
        reply that does not fit it or cannot be said.
        """
        pending = self._pending
        if pending is None or pending.request != request:
            if 0 < request <= self._requests:
                return  # its session is over
            raise ValueError(f"there is no request {request}")
        answer = encode(pending, reply, self._settings)
        self._pending = None
        if self._break_due:
            self._transit(MeterInput.BREAK)
            return
        if isinstance(pending, OperandAsked):
            self._operand = answer.operand
        if answer.heard is None:
            # In mode B the readout alone is at the speed of Z: what follows is at 300 Bd again.
            back = isinstance(pending, ReadoutAsked) and self._state is MeterState.PROG
            self._send(answer.chars, now_ns, START_SPEED if back else None)
        else:
            self._transit(answer.heard, now_ns, answer=answer)

    # --- hearing -------------------------------------------------------------------------------

    def _answering(self) -> bool:
        return self._pending is not None or self._outgoing is not None

    def _wait_over_ns(self) -> int | None:
        """Return when the wait after an identification or a readout is over, or None."""
        if self._answering():
            return None
        if self._state is MeterState.SENT_READOUT:
            return self._sent_ns + self._timing.longest_reaction_ns + self.character_ns
        if self._state is MeterState.WAIT_OPTION:
            return self._sent_ns + (self._timing.option_wait_ns if self._mode is Mode.C else 0)
        return None

    def _overhear(self, char: bytes) -> None:
        """Listen for B0 alone."""
        if not self.connected:
            return
        b0 = break_message(self._kind)
        self._overheard = (self._overheard + char)[-len(b0) :]
        if self._overheard != b0:
            return
        if self._pending is not None:
            self._break_due = True
        else:
            self._transit(MeterInput.BREAK)

    def _incomplete(self) -> None:
        frame = self._reader.frame
        self._reader.discard()
        if frame is Frame.OPTION_SELECT:
            over_ns = self._heard_ns + self._timing.inter_character_ns
            self._transit(faulty_option(self._settings), over_ns)
        elif frame is Frame.REQUEST:
            self._transit(MeterInput.REQUEST_DAMAGED)
        else:
            self._transit(MeterInput.INCOMPLETE)

    def _hear(self, framed: Framed, now_ns: int) -> None:
        broken = framed.damaged or framed.overlong
        chars, settings = framed.chars, self._settings
        match framed.frame:
            case Frame.REQUEST:
                request = MeterInput.REQUEST_DAMAGED if broken else judge_request(chars, settings)
                self._transit(request, now_ns)
            case Frame.OPTION_SELECT if broken:
                self._transit(faulty_option(settings), now_ns)
            case Frame.OPTION_SELECT:
                option, self._chosen_speed = judge_option(chars, settings)
                self._transit(option, now_ns)
            case Frame.COMMAND if broken:
                self._transit(MeterInput.DAMAGED, now_ns)
            case Frame.COMMAND:
                heard, asked = judge_command(
                    chars,
                    settings,
                    self._state,
                    operand=self._operand,
                    writing=self._writing,
                    heard_ns=(now_ns - len(chars) * self.character_ns, now_ns),
                )
                self._transit(heard, now_ns, asked=asked)
            case Frame.NAK:
                again = self._repeats < settings.limits.repeats
                self._transit(MeterInput.NAK if again else MeterInput.NAK_TOO_MANY, now_ns)
            case _:
                partial = self._state is MeterState.PARTIAL
                more = MeterInput.ACK_MORE if len(self._blocks) > 1 else MeterInput.ACK_LAST
                self._transit(more if partial else MeterInput.NOISE, now_ns)

    # --- acting --------------------------------------------------------------------------------

    def _transit(
        self,
        heard: MeterInput,
        now_ns: int = 0,
        *,
        asked: MeterRequest | None = None,
        answer: Answer | None = None,
    ) -> None:
        was, (state, action) = self._state, METER[self._state][heard]
        if self.on_transition is not None:
            self.on_transition(was, heard)
        self._state = state
        if now_ns and action is not MeterAction.SILENCE and answer is None:
            self._alive_ns = self._asked_ns = now_ns
        if state is not MeterState.PARTIAL and heard is not MeterInput.ACK_LAST:
            self._blocks.clear()
        if state is not MeterState.WRITING:
            self._writing.forget()
        match action:
            case MeterAction.IDENTIFY:
                self._set_speed(START_SPEED)
                self._forget()
                self._events.append(SignedOnTo())
                self._ask(IdentificationAsked(0))
            case MeterAction.READ_OUT:
                self._set_speed(self._chosen_speed)
                self._ask(ReadoutAsked(0))
            case MeterAction.READ_OUT_SLOW:
                self._ask(ReadoutAsked(0))
            case MeterAction.READ_OUT_THEN_LISTEN:
                self._set_speed(self._top_speed)
                self._ask(ReadoutAsked(0))
            case MeterAction.SEND_OPERAND:
                self._set_speed(self._chosen_speed)
                self._ask(OperandAsked(0))
            case MeterAction.ASK:
                assert asked is not None
                self._ask(asked)
            case MeterAction.SEND_DATA:
                assert answer is not None
                self._send(answer.chars, now_ns)
            case MeterAction.SEND_BLOCK:
                if answer is not None:
                    self._blocks.extend(answer.blocks)
                self._send(self._blocks.popleft(), now_ns)
            case MeterAction.KEEP_BLOCK | MeterAction.ACKNOWLEDGE:
                self._send(ACK, now_ns)
            case MeterAction.REFUSE:
                refusal = build_error(self._settings.block_error, self._kind)
                self._send(answer.chars if answer is not None else refusal, now_ns)
            case MeterAction.BREAK_OFF:
                self._send(break_message(self._kind), now_ns)
            case MeterAction.SEND_NAK:
                self._send(NAK, now_ns)
            case MeterAction.REPEAT:
                self._repeats += 1
                if self._latest is not None:
                    self._set_speed(self._latest.speed)
                    self._schedule(self._latest, now_ns)
            case MeterAction.SILENCE:
                pass
        if state is MeterState.IDLE:
            if action is MeterAction.SILENCE:
                self._outgoing = None
            self._end(was, heard)
        self._reader.commands = self.connected
        self._reader.option_select = state is MeterState.WAIT_OPTION

    def _end(self, was: MeterState, heard: MeterInput) -> None:
        """Be at the start, once the last answer is out."""
        self._forget()
        if self._outgoing is None:
            self._set_speed(START_SPEED)
        else:
            self._outgoing = self._outgoing._replace(then=START_SPEED)
        if was is not MeterState.IDLE:
            if self._reader.frame is not Frame.REQUEST:
                self._reader.discard()  # no check's place outlives the session
            end = _ENDS.get(heard, SessionEnd.READOUT_DONE)
            self._events.append(SessionEnded(end))

    def _forget(self) -> None:
        self._pending = None
        self._overheard = b""
        self._break_due = False
        self._latest = None
        self._repeats = 0
        self._operand = ""
        self._blocks.clear()
        self._writing.forget()

    def _ask(self, event: MeterRequest) -> None:
        self._requests += 1
        self._pending = replace(event, request=self._requests)
        self._overheard = b""
        self._reader.discard()
        self._events.append(self._pending)

    # --- answering -----------------------------------------------------------------------------

    def _set_speed(self, speed: int) -> None:
        if speed != self._speed:
            self._speed = speed
            self._changes.append(SpeedChange(speed))

    def _send(self, chars: bytes, now_ns: int, then: int | None = None) -> None:
        """Send a new message; ``then``: the speed to go on with."""
        self._repeats = 0
        self._latest = _Said(chars, self._speed, self._speed if then is None else then)
        self._schedule(self._latest, now_ns)

    def _schedule(self, said: _Said, now_ns: int) -> None:
        self._outgoing = said
        self._overheard = b""
        self._reader.discard()
        self._due_ns = max(now_ns, self._asked_ns + self._settings.reaction_ns)
