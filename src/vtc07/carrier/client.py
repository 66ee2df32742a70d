"""The client: a hand-held unit's side of the carrier, without I/O (docs/protocol.md 4, 7 and 10).

The transitions are in `states`. One command runs at a time and ends in one final event. Ordinary
commands are repeated by the core; a token entry is sent once, and what became of it is for a
snapshot to say (`vtc07.hhu`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from vtc07.carrier.client_messages import ClientMessages
from vtc07.carrier.companion import Companion, Timing
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.events import (
    Break,
    ClientEvent,
    Command,
    CommandFailed,
    CommandRefused,
    EnterToken,
    Entry,
    Failure,
    Identified,
    Identify,
    Read,
    ReadSnapshot,
    RegistersRead,
    SignedOff,
    TokenEntryAnswered,
    Write,
    Written,
)
from vtc07.carrier.exchange.messages import break_message
from vtc07.carrier.exchange.settings import WakeUp
from vtc07.carrier.framing import Frame, Framed
from vtc07.carrier.messages import BREAK_MESSAGE, NAK_MESSAGE, ErrorMessage, parse_id_response
from vtc07.carrier.reader import Reader
from vtc07.carrier.registers import Register
from vtc07.carrier.states import CLIENT, ClientAction, ClientInput, ClientState
from vtc07.carrier.wake_up_caller import WakeUpCaller

#: What a client waits for once a command has begun.
BEGINS: Final[Mapping[type, ClientState]] = {
    Identify: ClientState.REPEATABLE,
    Read: ClientState.REPEATABLE,
    Write: ClientState.REPEATABLE,
    ReadSnapshot: ClientState.SNAPSHOT,
    EnterToken: ClientState.ENTRY,
    Break: ClientState.SIGN_OFF,
}


class Client:
    """The state machine of one client on one line.

    ``character_ns``: how long one character takes on this path, 0 where the path does not pace
    them. ``timing``: another set of timers than the companion's (a profile for slow paths).

    ``on_transition``: told of every row of the state table that is used, as it is; for coverage.
    """

    on_transition: Callable[[ClientState, ClientInput], None] | None = None

    def __init__(
        self, companion: Companion, *, character_ns: int = 0, timing: Timing | None = None
    ) -> None:
        self._companion = companion
        self._timing = timing or companion.timing
        self._character_ns = character_ns
        self._reader = Reader(companion.limits, client=True)
        self._messages = ClientMessages(companion)
        self._state = ClientState.READY
        self._events: deque[ClientEvent] = deque()
        self._command: Command = Break()
        self._expected: tuple[Register, ...] = ()
        self._chars = b""  # the command as sent
        self._outgoing = b""
        self._waking: WakeUpCaller | None = None  # the NULs before an IDRequest
        self._woken_fast = False  # so that the session ends with B1
        self._due_ns = 0
        self._due_limit_ns = 0  # noise cannot put off sending beyond this
        self._attempt = 0
        self._naks = 0
        self._failure = Failure.NO_ANSWER
        self._quiet_from_ns = 0  # the last character on the line, either way
        self._sent_ns = 0  # the last character of the latest attempt or NAK
        self._command_sent_ns = 0
        self._heard_ns: int | None = None  # the last character since then
        self._reaction_ns = companion.reaction_ns
        self._pace_ns = companion.link.character_ns  # at the meter's end, where it may not show

    @property
    def state(self) -> ClientState:
        """What the client waits for."""
        return self._state

    @property
    def busy(self) -> bool:
        """True while a command runs."""
        return self._state is not ClientState.READY

    @property
    def held(self) -> int:
        """How many characters it holds: of a message under way, and of its own to be sent."""
        return self._reader.length + len(self._outgoing)

    # --- the face ------------------------------------------------------------------------------

    def start(self, command: Command, now_ns: int) -> None:
        """Begin a command; its characters go out after the reaction time.

        ValueError: a command is running, or this one cannot be said (an address or a value that
        the companion does not know).
        """
        if self.busy:
            raise ValueError("a command is running: one at a time")
        self._chars, self._expected = self._messages.compose(command)
        if isinstance(command, Break) and self._woken_fast:
            self._chars = break_message(after_fast_wake_up=True)
        self._command = command
        self._state = BEGINS[type(command)]
        self._attempt = 0
        self._failure = Failure.NO_ANSWER
        self._try(now_ns)

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take 7-bit characters, FF for a damaged one, timed by the last of them."""
        if not chars:
            return
        self.handle_timer(now_ns)
        self._quiet_from_ns = max(self._quiet_from_ns, now_ns)
        if not self._listening():
            # Nothing is awaited: what arrives is late or noise. It is not an answer.
            self._reader.discard()
            if self._waking is not None:
                self._waking.hear(chars, now_ns)
            elif self._outgoing:
                quiet_ns = now_ns + self._reaction_ns
                self._due_ns = max(self._due_ns, min(quiet_ns, self._due_limit_ns))
            return
        if now_ns < self._sent_ns:
            return  # it began before our last character was out: no answer to it
        self._heard_ns = now_ns
        for framed in self._reader.feed(chars):
            self._hear(framed, now_ns)
            if not self._listening():
                self._reader.discard()
                return

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return what is to be sent, once its time has come."""
        if self._waking is not None:
            return self._wake(self._waking, now_ns)
        if not self._outgoing or now_ns < self._due_ns:
            return b""
        chars, self._outgoing = self._outgoing, b""
        self._sent_ns = now_ns + len(chars) * self._character_ns
        self._quiet_from_ns = max(self._quiet_from_ns, self._sent_ns)
        if chars != NAK_MESSAGE:
            self._command_sent_ns = self._sent_ns
        self._heard_ns = None
        return chars

    def _wake(self, waking: WakeUpCaller, now_ns: int) -> bytes:
        """Return the next NULs; behind the last of them the IDRequest has its time."""
        nuls = waking.bytes_to_send(now_ns)
        self._quiet_from_ns = max(self._quiet_from_ns, now_ns + len(nuls) * self._character_ns)
        if waking.request_ns is not None:
            self._waking = None
            self._due_ns = waking.request_ns
            self._due_limit_ns = self._due_ns + self._longest_wait()
        return nuls

    def next_event(self) -> ClientEvent | None:
        """Return the final event of the command that ended, or None."""
        return self._events.popleft() if self._events else None

    def next_timer(self) -> int | None:
        """Return when `handle_timer` or `bytes_to_send` has something to do, or None."""
        if self._waking is not None:
            return self._waking.due_ns
        if self._outgoing:
            return self._due_ns
        return self._deadline() if self.busy else None

    def handle_timer(self, now_ns: int) -> None:
        """Notice an answer that does not come or stops in the middle."""
        if not self._listening() or now_ns < self._deadline():
            return
        if self._state is ClientState.SIGN_OFF and not self._woken_fast:
            self._transit(ClientInput.SENT, now_ns)
        elif now_ns < self._patience() and self._reader.in_message:
            lone = self._reader.length == 1
            self._reader.discard()
            if not lone:  # a single character, damaged into the beginning of Data, gets no NAK
                self._failure = Failure.DAMAGED
                self._transit(ClientInput.DAMAGED, now_ns)
        else:
            self._transit(ClientInput.SILENCE, now_ns)

    def connection_lost(self, now_ns: int) -> None:
        """End the running command: the link closed."""
        self._reader.discard()
        self._outgoing, self._waking = b"", None
        if self.busy:
            self._failure = Failure.LINK_LOST
            self._transit(ClientInput.LINK_LOST, now_ns)

    def next_speed_change(self) -> SpeedChange | None:
        """Return None: the line has one speed in direct mode."""
        return None

    # --- where another core signs on (mode C) --------------------------------------------------

    def take_over(self, *, reaction_ns: int, character_ns: int, pace_ns: int, level: int) -> None:
        """Go on where a sign-on has set what a line is like.

        ``character_ns``: as for the constructor, at the speed of now; ``pace_ns``: a character's
        duration at the meter's end; ``level``: the access level that was opened.
        """
        self._reaction_ns = reaction_ns
        self._character_ns, self._pace_ns = character_ns, pace_ns
        self._messages.level = level

    def heed(self, until_ns: int) -> None:
        """Take notice that the line is in use up to an instant."""
        self._quiet_from_ns = max(self._quiet_from_ns, until_ns)

    def _listening(self) -> bool:
        """Say whether an answer is awaited now: a command runs and all of it has been sent."""
        return self.busy and not self._outgoing

    # --- timers --------------------------------------------------------------------------------

    def _deadline(self) -> int:
        """Return the instant at which the present wait ends without an answer.

        Not before 2000 ms after our own last character; the first character of an answer ends
        that wait, and the message then has its own limit between characters. We never speak into
        a line that was not quiet for a reaction time, but not even a line that babbles for ever
        can hold us beyond the time of the longest message.
        """
        if self._state is ClientState.SIGN_OFF and not self._woken_fast:
            return self._sent_ns
        silence = self._sent_ns + self._timing.repeat_ns
        if self._heard_ns is None:
            return silence
        if self._reader.in_message:
            return min(self._heard_ns + self._timing.inter_character_ns, self._patience())
        return min(max(silence, self._heard_ns + self._reaction_ns), self._patience())

    def _patience(self) -> int:
        return self._sent_ns + self._longest_wait()

    def _longest_wait(self) -> int:
        """Return the time of the slowest right answer: late, longest, and stopping short."""
        timing, longest = self._timing, self._companion.limits.data_message
        return timing.repeat_ns + longest * self._slowest_ns + timing.inter_character_ns

    @property
    def _slowest_ns(self) -> int:
        """A character's duration at the meter's end, where a path may not show it (TCP)."""
        return max(self._character_ns, self._pace_ns)

    # --- hearing -------------------------------------------------------------------------------

    def _hear(self, framed: Framed, now_ns: int) -> None:
        heard, event = self._understand(framed, now_ns)
        if heard is ClientInput.DAMAGED:
            self._failure = Failure.DAMAGED
        elif heard is ClientInput.BREAK:
            self._failure = Failure.SESSION_ENDED
        elif heard is ClientInput.NAK:
            self._failure = Failure.REFUSED_BY_NAK
        self._transit(heard, now_ns, event)

    def _understand(self, framed: Framed, now_ns: int) -> tuple[ClientInput, ClientEvent | None]:
        command = self._command
        match framed.frame:
            case Frame.NAK:
                return ClientInput.NAK, None
            case Frame.ACK:
                if isinstance(command, Write):
                    return ClientInput.ANSWER, Written(command.register)
                if isinstance(command, EnterToken):
                    return ClientInput.ANSWER, TokenEntryAnswered(Entry.ACK)
                if isinstance(command, Break):
                    return ClientInput.ANSWER, SignedOff()
                return ClientInput.FOREIGN, None
            case Frame.IDENTIFICATION if isinstance(command, Identify):
                if framed.chars.startswith(b"/?"):
                    return ClientInput.FOREIGN, None  # an echo, or another client
                response = None if framed.damaged else parse_id_response(framed.chars)
                if response is None:
                    return ClientInput.DAMAGED, None
                self._learn_reaction(response.flag)
                self._woken_fast = command.wake_up is WakeUp.FAST
                identity = self._messages.identity(
                    response.flag, response.baud_identification, response.identification
                )
                return ClientInput.ANSWER, Identified(identity)
            case Frame.COMMAND if self._is_break(framed):
                return ClientInput.BREAK, None
            case Frame.DATA if not isinstance(command, Identify):
                return self._understand_data(framed, now_ns)
            case _:
                return ClientInput.FOREIGN, None

    def _understand_data(
        self, framed: Framed, now_ns: int
    ) -> tuple[ClientInput, ClientEvent | None]:
        if framed.damaged or framed.overlong or not self._messages.is_good(framed.chars):
            return ClientInput.DAMAGED, None
        message = self._messages.data(framed.chars)
        command = self._command
        if isinstance(message, ErrorMessage):
            error = self._companion.error_of(message.text)
            if isinstance(command, Break):
                self._chars, self._woken_fast = BREAK_MESSAGE, False  # it does not know B1
                return ClientInput.ERROR, None
            if isinstance(command, EnterToken):
                return ClientInput.ERROR, TokenEntryAnswered(Entry.REFUSED, error, message.text)
            return ClientInput.ERROR, CommandRefused(command, error, message.text)
        values = self._messages.values(message, self._expected) if message else None
        if values is None or not isinstance(command, Read | ReadSnapshot):
            return ClientInput.DAMAGED, None
        if isinstance(command, ReadSnapshot) and len(values) != len(self._expected):
            return ClientInput.FOREIGN, None
        return ClientInput.ANSWER, RegistersRead(values, self._command_sent_ns, now_ns)

    def _is_break(self, framed: Framed) -> bool:
        """Say whether the meter ends the session, which only a meter of mode C does."""
        if self._companion.mode_c is None or framed.damaged:
            return False
        return framed.chars == break_message(self._companion.compatibility.check)

    def _learn_reaction(self, flag: str) -> None:
        fast = flag[2].islower()
        self._reaction_ns = self._timing.fast_reaction_ns if fast else self._timing.reaction_ns

    # --- acting --------------------------------------------------------------------------------

    def _transit(self, heard: ClientInput, now_ns: int, event: ClientEvent | None = None) -> None:
        row, timing = CLIENT[self._state], self._timing
        if row[heard].action is ClientAction.SEND_NAK and self._naks >= timing.naks:
            heard = ClientInput.DAMAGED_TOO_OFTEN
        if row[heard].action is ClientAction.REPEAT and self._attempt >= timing.attempts:
            heard = ClientInput.GIVE_UP
        if self.on_transition is not None:
            self.on_transition(self._state, heard)
        self._state, action = row[heard]
        match action:
            case ClientAction.DROP:
                pass
            case ClientAction.FINISH | ClientAction.REFUSED:
                assert event is not None or isinstance(self._command, Break)
                self._woken_fast = self._woken_fast and not isinstance(self._command, Break)
                self._events.append(event or SignedOff())
            case ClientAction.UNCERTAIN:
                self._events.append(TokenEntryAnswered(Entry.UNCERTAIN))
            case ClientAction.FAIL:
                self._events.append(CommandFailed(self._command, self._failure, self._attempt))
            case ClientAction.SEND_NAK:
                self._naks += 1
                self._schedule(NAK_MESSAGE, now_ns)
            case ClientAction.REPEAT:
                if isinstance(self._command, ReadSnapshot):
                    self._chars, self._expected = self._messages.compose(self._command)
                self._try(now_ns)

    def _try(self, now_ns: int) -> None:
        self._attempt += 1
        self._naks = 0
        self._schedule(self._chars, now_ns)
        if isinstance(self._command, Identify) and self._command.wake_up is not WakeUp.NONE:
            kind, begin_ns = self._command.wake_up, self._due_ns
            self._waking = WakeUpCaller(kind, self._timing, self._slowest_ns, begin_ns)

    def _schedule(self, chars: bytes, now_ns: int) -> None:
        self._reader.discard()
        self._outgoing = chars
        self._due_ns = now_ns
        if self._quiet_from_ns:
            self._due_ns = max(now_ns, self._quiet_from_ns + self._reaction_ns)
        self._due_limit_ns = self._due_ns + self._longest_wait()
