"""The server: a meter's side of the carrier, without I/O.

IEC 62055-52 6.6 and 6.7 by their titles; in detail docs/protocol.md 5.

The transitions are in `states`; here what is heard becomes an input, and an action is carried out.
Time is an integer of ns passed in. A request goes to the host as an event and is answered once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from vtc07.carrier.companion import Companion
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.events import (
    Connected,
    Disconnected,
    Done,
    End,
    IdentificationRequested,
    ReadRequested,
    Refused,
    Reply,
    ServerEvent,
    TokenEntered,
    Values,
    WriteRequested,
)
from vtc07.carrier.framing import Frame, Framed
from vtc07.carrier.grammar import IDENTIFICATION_SENT
from vtc07.carrier.messages import (
    ACK_MESSAGE,
    NAK_MESSAGE,
    BreakCommand,
    CommandMessage,
    ErrorMessage,
    IDResponse,
    MalformedCommand,
    ReadCommand,
    UndefinedCommand,
    WriteCommand,
    bcc_is_good,
    build_data,
    parse_command,
    parse_id_request,
)
from vtc07.carrier.reader import Reader
from vtc07.carrier.register_rules import data_sets, encoded, judge_read, judge_write
from vtc07.carrier.states import SERVER, ServerAction, ServerInput, ServerState
from vtc07.carrier.status import ErrorCode

_ENDS = {
    ServerInput.BREAK: End.BREAK,
    ServerInput.ID_REQUEST_OTHER: End.OTHER_METER,
    ServerInput.THIRD_ERROR: End.ERRORS,
    ServerInput.INACTIVITY: End.INACTIVITY,
    ServerInput.LINK_CLOSED: End.LINK,
}


def same_address(asked: str, own: str) -> bool:
    """Compare device addresses (IEC 62056-21 6.3.1).

    Leading zeros mean nothing on either side, and all-zero addresses are equal whatever their
    length; case and spaces count.
    """
    return asked.lstrip("0") == own.lstrip("0")


class Server:
    """The state machine of one port.

    ``addresses``: what the meter answers to besides the empty address (MeterPAN, DRN, a device
    address). ``character_ns``: how long one character takes on this path, 0 where the path does
    not pace them (TCP); only the inactivity limit depends on it.

    ``on_transition``: told of every row of the state table that is used, as it is; for coverage.
    """

    on_transition: Callable[[ServerState, ServerInput], None] | None = None

    def __init__(
        self, companion: Companion, addresses: Sequence[str], *, character_ns: int = 0
    ) -> None:
        if not all(addresses):
            raise ValueError("an own address is never empty: the empty address is everybody's")
        self._companion = companion
        self._timing = companion.timing
        self._addresses = tuple(addresses)
        self._character_ns = character_ns
        self._reader = Reader(companion.limits, commands=False)
        self._state = ServerState.IDLE
        self._events: deque[ServerEvent] = deque()
        self._requests = 0
        self._pending: ServerEvent | None = None  # the request that the host has yet to answer
        self._outgoing = b""  # an answer whose time has not come
        self._due_ns = 0
        self._heard_ns = 0  # last character received
        self._sent_ns = 0  # last character of the latest answer, which may be still to come
        self._asked_ns = 0  # last character of the message that is being answered
        self._alive_ns = 0  # last correct message received, or last character sent
        self._errors = 0
        self._last_message = b""
        self._repeats = 0

    @property
    def state(self) -> ServerState:
        """Idle or Connected."""
        return self._state

    @property
    def connected(self) -> bool:
        """True while a session is open."""
        return self._state is ServerState.CONNECTED

    @property
    def held(self) -> int:
        """How many characters it holds: of a message under way, and of an answer."""
        return self._reader.length + len(self._outgoing)

    # --- the face ------------------------------------------------------------------------------

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take 7-bit characters, FF for a damaged one, timed by the last of them.

        From the end of a message to the last character of its answer, what arrives is not heard: a
        client sends nothing then. So no answer ever waits behind another one, to reach a client
        that asked something else meanwhile.
        """
        self.handle_timer(now_ns)
        if not chars or self._answering() or now_ns < self._sent_ns:
            return
        self._heard_ns = now_ns
        for framed in self._reader.feed(chars):
            self._hear(framed, now_ns)
            self._reader.commands = self.connected
            if self._answering():
                return

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return the answer once its reaction time is over, else nothing."""
        if not self._outgoing or now_ns < self._due_ns:
            return b""
        chars, self._outgoing = self._outgoing, b""
        if now_ns - self._asked_ns > self._timing.longest_reaction_ns:
            return b""  # too late: the client has given up, and may be sending again
        self._alive_ns = self._sent_ns = now_ns + len(chars) * self._character_ns
        return chars

    def next_event(self) -> ServerEvent | None:
        """Return the next event for the host, oldest first."""
        return self._events.popleft() if self._events else None

    def next_timer(self) -> int | None:
        """Return when `handle_timer` or `bytes_to_send` has something to do, or None."""
        timers = []
        if self._outgoing:
            timers.append(self._due_ns)
        if self._reader.in_message:
            timers.append(self._heard_ns + self._timing.inter_character_ns)
        if self.connected:
            timers.append(self._alive_ns + self._timing.inactivity_ns)
        return min(timers, default=None)

    def handle_timer(self, now_ns: int) -> None:
        """Discard a message that stopped in the middle; end a session without traffic."""
        if now_ns - self._heard_ns >= self._timing.inter_character_ns and self._reader.discard():
            self._error(ServerInput.INCOMPLETE, self._heard_ns + self._timing.inter_character_ns)
        if self.connected and now_ns - self._alive_ns >= self._timing.inactivity_ns:
            self._transit(ServerInput.INACTIVITY)

    def connection_lost(self, now_ns: int) -> None:  # noqa: ARG002 - one face for both cores
        """Be Idle at once."""
        self._sent_ns = 0  # what was still to be sent never will be
        self._reader.discard()
        self._transit(ServerInput.LINK_CLOSED)

    def next_speed_change(self) -> SpeedChange | None:
        """Return None: the line has one speed in direct mode."""
        return None

    def answer(self, request: int, reply: Reply, now_ns: int) -> None:
        """Answer a request event; exactly once for each.

        An answer to a session that ended meanwhile goes nowhere. ValueError: no such request, or
        a reply that does not fit it.
        """
        pending = self._pending
        if pending is None or getattr(pending, "request", None) != request:
            if 0 < request <= self._requests:
                return  # its session is over
            raise ValueError(f"there is no request {request}")
        chars = self._encode(pending, reply)
        self._pending = None
        self._send(chars, now_ns)

    # --- hearing -------------------------------------------------------------------------------

    def _answering(self) -> bool:
        return self._pending is not None or bool(self._outgoing)

    def _hear(self, framed: Framed, now_ns: int) -> None:
        match framed.frame:
            case Frame.REQUEST:
                request = None if framed.damaged else parse_id_request(framed.chars)
                if request is None:
                    self._error(ServerInput.ID_REQUEST_DAMAGED, now_ns)
                elif self._is_mine(request.address):
                    self._transit(ServerInput.ID_REQUEST, now_ns)
                else:
                    self._transit(ServerInput.ID_REQUEST_OTHER)
            case Frame.COMMAND:
                if framed.damaged or framed.overlong or not bcc_is_good(framed.chars):
                    self._error(ServerInput.DAMAGED, now_ns)
                    return
                command = parse_command(framed.chars)
                if isinstance(command, BreakCommand):
                    self._transit(ServerInput.BREAK)
                else:
                    self._transit(ServerInput.COMMAND, now_ns, command)
            case Frame.NAK:
                again = self._repeats < self._companion.limits.repeats
                self._transit(ServerInput.NAK if again else ServerInput.NAK_TOO_MANY, now_ns)
            case _:
                self._transit(ServerInput.NOISE)

    def _is_mine(self, address: str) -> bool:
        return not address or any(same_address(address, own) for own in self._addresses)

    def _error(self, heard: ServerInput, now_ns: int) -> None:
        third = self.connected and self._errors + 1 >= self._companion.limits.errors
        self._transit(ServerInput.THIRD_ERROR if third else heard, now_ns)

    # --- acting --------------------------------------------------------------------------------

    def _transit(
        self, heard: ServerInput, now_ns: int = 0, command: CommandMessage | None = None
    ) -> None:
        was, (state, action) = self._state, SERVER[self._state][heard]
        if self.on_transition is not None:
            self.on_transition(was, heard)
        self._state = state
        match action:
            case ServerAction.IDENTIFY:
                self._correct(now_ns)
                if was is ServerState.IDLE:
                    self._events.append(Connected())
                self._ask(
                    IdentificationRequested(self._next_request(), self._companion.identification)
                )
            case ServerAction.ANSWER:
                self._correct(now_ns)
                assert command is not None
                self._obey(command, now_ns)
            case ServerAction.REPEAT:
                self._alive_ns = self._asked_ns = now_ns  # errors are left alone
                self._repeats += 1
                self._schedule(self._last_message, now_ns)
            case ServerAction.COUNT_AND_NAK:
                self._errors += 1
                self._asked_ns = now_ns
                self._send(NAK_MESSAGE, now_ns)
            case ServerAction.COUNT:
                self._errors += 1
            case ServerAction.SILENCE:
                pass
        if state is ServerState.IDLE:
            self._forget(was, heard)

    def _correct(self, now_ns: int) -> None:
        self._errors = 0
        self._alive_ns = self._asked_ns = now_ns

    def _forget(self, was: ServerState, heard: ServerInput) -> None:
        self._reader.commands = False
        self._pending = None
        self._outgoing = self._last_message = b""
        self._errors = self._repeats = 0
        if was is ServerState.CONNECTED:
            self._reader.discard()  # no BCC's place outlives the session
            self._events.append(Disconnected(_ENDS[heard]))

    def _obey(self, command: CommandMessage, now_ns: int) -> None:
        outcome: ReadRequested | WriteRequested | TokenEntered | ErrorCode
        match command:
            case ReadCommand():
                outcome = judge_read(
                    self._companion,
                    self._next_request(),
                    command.register_id,
                    command.number,
                    limits=self._companion.limits,
                )
            case WriteCommand():
                outcome = judge_write(
                    self._companion, self._next_request(), command.register_id, command.value
                )
            case MalformedCommand():
                outcome = ErrorCode.MALFORMED_DATA_SET
            case UndefinedCommand() | BreakCommand():
                outcome = ErrorCode.UNDEFINED_COMMAND
        if isinstance(outcome, ErrorCode):
            self._send(self._error_message(outcome), now_ns)
        else:
            self._ask(outcome)

    def _next_request(self) -> int:
        self._requests += 1
        return self._requests

    def _ask(self, event: ServerEvent) -> None:
        self._pending = event
        self._events.append(event)

    # --- answering -----------------------------------------------------------------------------

    def _encode(self, pending: ServerEvent, reply: Reply) -> bytes:
        match pending, reply:
            case IdentificationRequested(registers=registers), Values(values):
                return self._identification("".join(encoded(registers, values)))
            case ReadRequested(registers=registers), Values(values):
                answer = [str(data_set) for data_set in data_sets(registers, values)]
                return build_data(answer, self._companion.limits)
            case ((WriteRequested() | TokenEntered()), Done()):
                return ACK_MESSAGE
            case ((ReadRequested() | WriteRequested() | TokenEntered()), Refused(error)):
                return self._error_message(error)
        raise ValueError(f"{type(reply).__name__} is no answer to {type(pending).__name__}")

    def _identification(self, text: str) -> bytes:
        if len(text) > IDENTIFICATION_SENT:
            raise ValueError(f"the identification has {len(text)} characters, at most 16 are sent")
        companion = self._companion
        return IDResponse(companion.flag, companion.baud_identification, text).to_chars()

    def _error_message(self, error: ErrorCode) -> bytes:
        return ErrorMessage(self._companion.errors[error]).to_chars()

    def _send(self, chars: bytes, now_ns: int) -> None:
        """Send a new message."""
        self._last_message = chars
        self._repeats = 0
        self._schedule(chars, now_ns)

    def _schedule(self, chars: bytes, now_ns: int) -> None:
        self._outgoing = chars
        self._due_ns = max(now_ns, self._asked_ns + self._companion.reaction_ns)
