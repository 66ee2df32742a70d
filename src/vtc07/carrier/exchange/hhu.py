"""A hand-held unit (HHU) of IEC 62056-21, modes A, B and C, without I/O and without registers.

The transitions are in `hhu_states`; here what is heard becomes an input, and an action is carried
out. One command runs at a time and ends in one final event. Time is an integer of ns passed in.
Source: IEC 62056-21 6.3 to 6.5, annexes A and B; what is repeated and how often is our choice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from vtc07.carrier.companion import MessageLimits, Timing
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.exchange.events import (
    ExchangeFailed,
    ExchangeFailure,
    HHUCommand,
    HHUEvent,
    MeterIdentity,
    ProgrammingRefused,
    ReadOut,
    SignedOffFromMeter,
    SignedOn,
    SignOff,
    SignOn,
)
from vtc07.carrier.exchange.hhu_counts import Counts
from vtc07.carrier.exchange.hhu_echo import EchoWatch
from vtc07.carrier.exchange.hhu_hearing import READOUTS, Heard, data, understand
from vtc07.carrier.exchange.hhu_line import HHULine
from vtc07.carrier.exchange.hhu_saying import messages, option_select
from vtc07.carrier.exchange.hhu_states import (
    HHU_BEGINS,
    HHU_TABLE,
    HHUAction,
    HHUInput,
    HHUState,
)
from vtc07.carrier.exchange.messages import ACK, NAK, break_message
from vtc07.carrier.exchange.reader import LONGEST_DATA, HHUReader
from vtc07.carrier.exchange.settings import (
    STANDARD,
    START_SPEED,
    Compatibility,
    Mode,
    Purpose,
    WakeUp,
    mode_and_speed,
)
from vtc07.carrier.framing import Framed
from vtc07.carrier.messages import DEFAULT_LIMITS, IDRequest, parse_id_request
from vtc07.carrier.wake_up_caller import WakeUpCaller

_FAILURES = {
    HHUInput.DAMAGED: ExchangeFailure.DAMAGED,
    HHUInput.NAK: ExchangeFailure.REFUSED_BY_NAK,
}

_NOBODY = MeterIdentity("", "", "")


class HHU:
    """The state machine of one unit on one line (`vtc07.carrier.endpoint.Endpoint`).

    ``timing``: every timer; a command is repeated ``repeat_ns`` after silence, ``attempts`` times
    in all. ``naks``: how often one message is asked for again; None: as ``timing`` says.
    ``paced``: characters take time on this path (serial); False on TCP. The unit asks for changes
    of speed either way. ``wake_up``: how the meter is woken before a request; it may be changed
    between two commands. ``silence_ns``: silence that the meter wants before a request.
    ``longest``: characters of the longest readout or answer that is taken.

    ``on_transition``: told of every row of the state table that is used, as it is; for coverage.
    """

    on_transition: Callable[[HHUState, HHUInput], None] | None = None

    def __init__(
        self,
        timing: Timing,
        *,
        compatibility: Compatibility = STANDARD,
        limits: MessageLimits = DEFAULT_LIMITS,
        paced: bool,
        naks: int | None = None,
        wake_up: WakeUp = WakeUp.NONE,
        silence_ns: int = 0,
        longest: int = LONGEST_DATA,
    ) -> None:
        self.wake_up = wake_up
        self._timing = timing
        self._compat = compatibility
        self._silence_ns = silence_ns
        self._reader = HHUReader(limits, unchecked=compatibility.no_readout_bcc, longest=longest)
        self._echo = EchoWatch()
        self._state = HHUState.READY
        self._events: deque[HHUEvent] = deque()
        self._line = HHULine(timing, paced=paced, longest=longest)
        self._session_speed: int | None = None  # of a session that may be open; None: there is none
        self._woken_fast = False  # so that the session ends with B1
        self._command: HHUCommand = SignOff()
        self._parts: tuple[bytes, ...] = ()  # the command's messages
        self._place = 0  # of the message said last
        self._identity = _NOBODY
        self._selected_speed = START_SPEED
        most_naks = timing.naks if naks is None else naks
        self._counts = Counts(timing.attempts, most_naks, longest)
        self._waking: WakeUpCaller | None = None
        self._failure = ExchangeFailure.NO_ANSWER

    # --- what others ask -----------------------------------------------------------------------

    @property
    def state(self) -> HHUState:
        """What the unit waits for."""
        return self._state

    @property
    def busy(self) -> bool:
        """True while a command runs."""
        return self._state is not HHUState.READY

    @property
    def signed_on(self) -> bool:
        """True while a session may be open: commands can be given, and B0 ends it."""
        return self._session_speed is not None

    @property
    def identity(self) -> MeterIdentity | None:
        """What the meter said of itself in the last sign-on, though it failed; None: nothing."""
        return None if self._identity is _NOBODY else self._identity

    @property
    def line(self) -> HHULine:
        """Speed, pace and reaction time of the line as the sign-on has set them."""
        return self._line

    @property
    def held(self) -> int:
        """How many characters it holds."""
        return self._reader.length + len(self._line.outgoing) + len(self._counts.joined)

    # --- the face ------------------------------------------------------------------------------

    def start(self, command: HHUCommand, now_ns: int) -> None:
        """Begin a command; its characters go out after the reaction time.

        ValueError: a command is running, or this one cannot be said.
        """
        if self.busy:
            raise ValueError("a command is running: one at a time")
        parts: tuple[bytes, ...] = ()
        if isinstance(command, SignOn):
            request = IDRequest(command.address).to_chars()
            if parse_id_request(request) is None:
                raise ValueError(
                    f"{command.address!r} is no address: 0 to 32 digits, letters and spaces"
                )
        elif not isinstance(command, SignOff):
            parts = messages(command, self._compat.check)
        self._command, self._parts, self._place = command, parts, 0
        self._counts.begin(command)
        self._failure = ExchangeFailure.NO_ANSWER
        if isinstance(command, SignOn):
            self._begin_sign_on(now_ns)
        elif self._session_speed is None:
            failed = ExchangeFailed(command, ExchangeFailure.NOT_SIGNED_ON, 0)
            off = isinstance(command, SignOff)
            self._events.append(SignedOffFromMeter() if off else failed)
        else:
            blocks = len(parts) > 1
            self._state = HHUState.WRITING if blocks else HHU_BEGINS[type(command)]
            if isinstance(command, SignOff):
                self._woken_fast |= command.after_fast_wake_up
                self._parts = (self._break(),)
            self._try(now_ns)

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take 7-bit characters, FF for a damaged one, timed by the last of them."""
        if not chars:
            return
        self.handle_timer(now_ns)
        self._line.heed(now_ns)
        chars = self._echo.without(chars)
        if self._waking is not None:
            self._waking.hear(chars, now_ns)
            return
        if not self._listening():
            # Nothing is awaited: what arrives is late or noise. It is not an answer.
            self._reader.discard()
            self._line.disturbed(now_ns)
            return
        if not chars or now_ns < self._line.sent_ns:
            return  # it began before our last character was out: no answer to it
        self._line.heard_ns = now_ns
        for framed in self._reader.feed(chars):
            self._hear(framed, now_ns)
            if not self._listening():
                self._reader.discard()
                return

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return what is to be sent, once its time has come."""
        if self._waking is not None:
            return self._wake(self._waking, now_ns)
        chars = self._line.take(now_ns)
        if chars:
            self._echo.sent(chars)
        return chars

    def next_event(self) -> HHUEvent | None:
        """Return the final event of the command that ended, or None."""
        return self._events.popleft() if self._events else None

    def next_speed_change(self) -> SpeedChange | None:
        """Return the next change of the line's speed at this end, or None."""
        return self._line.next_change()

    def next_timer(self) -> int | None:
        """Return when `handle_timer` or `bytes_to_send` has something to do, or None."""
        if self._waking is not None:
            return self._waking.due_ns
        if self._line.outgoing:
            return self._line.due_ns
        return self._deadline() if self.busy else None

    def handle_timer(self, now_ns: int) -> None:
        """Notice what has gone out, and an answer that does not come or stops in the middle."""
        if not self._listening() or now_ns < self._deadline():
            return
        if self._sends_only():
            purpose = self._command.purpose if isinstance(self._command, SignOn) else None
            if self._state is not HHUState.OPTION:
                self._transit(Heard(HHUInput.SENT), now_ns)
            elif purpose is Purpose.READOUT:
                self._transit(Heard(HHUInput.SENT_FOR_READOUT), now_ns)
            else:
                self._transit(Heard(HHUInput.SENT_FOR_PROGRAMMING), now_ns)
            return
        if now_ns < self._line.patience() and (rest := self._reader.rest()) is not None:
            heard = understand(rest, self._state, self._compat)
            # A single character, damaged into the beginning of a message, gets no NAK.
            if len(rest.chars) != 1 and heard.input is not HHUInput.FOREIGN:
                self._transit(heard, now_ns)
                return
            if now_ns < self._deadline():
                return
        self._transit(Heard(HHUInput.SILENCE), now_ns)

    def connection_lost(self, now_ns: int) -> None:
        """End the running command: the link closed. The next one is a new line."""
        self._reader.discard()
        self._echo.forget()
        self._line.outgoing, self._waking = b"", None
        if self.busy:
            self._failure = ExchangeFailure.LINK_LOST
            self._transit(Heard(HHUInput.LINK_LOST), now_ns)
        self._line.new_link()

    def heed(self, until_ns: int) -> None:
        """Take notice that the line is in use up to an instant, by another core."""
        self._line.heed(until_ns)

    def _listening(self) -> bool:
        return self.busy and not self._line.outgoing and self._waking is None

    def _sends_only(self) -> bool:
        """Say whether the wait is over with our own last character."""
        if self._state is HHUState.SIGN_OFF:
            return not self._woken_fast
        return self._state in (HHUState.OPTION, HHUState.LEAVING)

    def _deadline(self) -> int:
        if self._sends_only():
            return self._line.sent_ns
        return self._line.deadline(in_message=self._reader.in_message)

    # --- hearing -------------------------------------------------------------------------------

    def _hear(self, framed: Framed, now_ns: int) -> None:
        self._transit(understand(framed, self._state, self._compat), now_ns)

    # --- acting --------------------------------------------------------------------------------

    def _transit(self, heard: Heard, now_ns: int) -> None:
        kind = self._counts.refined(
            self._state,
            heard,
            slow=self._selected_speed == START_SPEED,
            before_last=self._place == len(self._parts) - 2,
        )
        if self.on_transition is not None:
            self.on_transition(self._state, kind)
        row, was = HHU_TABLE[self._state], self._state
        if row[heard.input].action is not HHUAction.DROP:
            self._failure = _FAILURES.get(heard.input, self._failure)
        self._state, action = row[kind]
        self._reader.readout = self._state in READOUTS
        match action:
            case HHUAction.DROP:
                pass
            case HHUAction.REQUEST:
                self._request(now_ns, kind, was)
            case HHUAction.SELECT:
                self._identified(heard)
                self._select(now_ns)
            case HHUAction.LISTEN:
                if kind is HHUInput.IDENTIFICATION_AB:
                    self._identified(heard)
                    self._line.sent_ns = now_ns  # a readout is awaited from here on
                if self._state is HHUState.OPERAND:
                    self._session_speed = self._selected_speed
                self._line.change_speed(self._selected_speed)
                self._line.heard_ns = None
            case HHUAction.LEAVE:
                self._leave(now_ns)
            case HHUAction.FINISH:
                self._finish(heard)
            case HHUAction.REFUSED:
                self._events.append(ProgrammingRefused(self._identity, heard.chars))
                self._end_session()
            case HHUAction.SEND_NAK:
                self._counts.naks += 1
                self._schedule(NAK, now_ns)
            case HHUAction.NEXT:
                self._counts.take_block(heard.chars)
                self._schedule(ACK, now_ns)
            case HHUAction.NEXT_BLOCK:
                self._place += 1
                self._counts.next_block_written()
                self._try(now_ns)
            case HHUAction.SAME_BLOCK | HHUAction.REPEAT:
                self._try(now_ns)
            case HHUAction.OVER:
                self._place = 0
                self._counts.all_over()
                self._try(now_ns)
            case HHUAction.FAIL:
                self._fail()

    def _finish(self, heard: Heard) -> None:
        """Report what came; a session that is over leaves the line at 300 Bd."""
        match self._command:
            case SignOn(purpose=purpose):
                self._finish_sign_on(heard, purpose)
            case SignOff():
                self._events.append(SignedOffFromMeter(heard.input is not HHUInput.SILENCE))
                self._end_session()
            case _:
                if heard.input is HHUInput.DATA and self._counts.joined:
                    self._counts.take_block(heard.chars)
                    self._events.append(data(bytes(self._counts.joined)))
                else:
                    assert heard.event is not None
                    self._events.append(heard.event)
                if heard.input is HHUInput.BREAK:
                    self._end_session()
        self._counts.joined.clear()

    def _finish_sign_on(self, heard: Heard, purpose: Purpose) -> None:
        if heard.input is HHUInput.OPERAND:
            self._events.append(SignedOn(self._identity, heard.operand, self._line.speed))
            return
        speed, woken_fast = self._line.speed, self._woken_fast
        self._end_session()
        if woken_fast:
            self._woken_fast, self._session_speed = True, START_SPEED  # B1 is still to be said
        if purpose is Purpose.READOUT:
            self._events.append(ReadOut(self._identity, heard.chars, heard.checked, speed))
            return
        # Modes A and B: whoever wants more gives a command at 300 Bd right after the readout.
        self._session_speed = START_SPEED
        self._events.append(SignedOn(self._identity, "", START_SPEED))

    def _fail(self) -> None:
        self._events.append(ExchangeFailed(self._command, self._failure, self._counts.attempt))
        self._counts.joined.clear()
        if self._session_speed is None:
            self._line.change_speed(START_SPEED)

    # --- sign-on -------------------------------------------------------------------------------

    def _begin_sign_on(self, now_ns: int) -> None:
        self._identity = _NOBODY
        if self._session_speed is None:
            self._state = HHUState.IDENTIFICATION
            self._request(now_ns, None, HHUState.READY)
        else:
            self._state = HHUState.LEAVING
            self._leave(now_ns)

    def _leave(self, now_ns: int) -> None:
        """Send B0 at the speed of the session that may be open."""
        assert self._session_speed is not None
        self._line.change_speed(self._session_speed)
        self._schedule(self._break(), now_ns)

    def _request(self, now_ns: int, why: HHUInput | None, was: HHUState) -> None:
        assert isinstance(self._command, SignOn)
        if why is HHUInput.READOUT:
            self._counts.readouts += 1
        woken_fast = self._woken_fast and why is HHUInput.DAMAGED  # it is awake
        self._end_session()
        self._woken_fast = woken_fast
        self._parts, self._place = (IDRequest(self._command.address).to_chars(),), 0
        self._line.reaction_ns = self._timing.reaction_ns
        self._try(now_ns)
        pause_ns = self._timing.longest_reaction_ns if was is HHUState.LEAVING else 0
        if self._silence_ns or pause_ns:
            self._line.postpone(max(self._silence_ns, pause_ns), now_ns)
        if self.wake_up is not WakeUp.NONE and why is not HHUInput.DAMAGED:
            line = self._line
            self._waking = WakeUpCaller(self.wake_up, self._timing, line.pace_ns, line.due_ns)

    def _wake(self, waking: WakeUpCaller, now_ns: int) -> bytes:
        """Return the next NULs; behind the last of them the request has its time."""
        nuls = waking.bytes_to_send(now_ns)
        self._line.heed(now_ns + len(nuls) * self._line.character_ns)
        if waking.request_ns is not None:
            self._waking = None
            self._woken_fast = self.wake_up is WakeUp.FAST
            self._line.put_off(waking.request_ns)
        return nuls

    def _identified(self, heard: Heard) -> None:
        assert heard.identity is not None
        self._identity = heard.identity
        timing, fast = self._timing, heard.identity.flag[2].islower()
        self._line.reaction_ns = timing.fast_reaction_ns if fast else timing.reaction_ns
        mode, speed = mode_and_speed(heard.identity.baud_identification)
        self._selected_speed = speed if mode is Mode.B else START_SPEED

    def _select(self, now_ns: int) -> None:
        assert isinstance(self._command, SignOn)
        command, wanted = self._command, self._command.speed
        counts = self._counts
        if command.purpose is Purpose.PROGRAMMING and (counts.readouts or counts.is_last):
            wanted = START_SPEED
        z = self._identity.baud_identification
        chars, self._selected_speed = option_select(z, command.purpose, wanted)
        self._schedule(chars, now_ns)

    # --- sending -------------------------------------------------------------------------------

    def _break(self) -> bytes:
        return break_message(self._compat.check, after_fast_wake_up=self._woken_fast)

    def _try(self, now_ns: int) -> None:
        self._counts.tried()
        self._schedule(self._parts[self._place], now_ns)

    def _schedule(self, chars: bytes, now_ns: int) -> None:
        self._reader.discard()
        self._line.schedule(chars, now_ns)

    def _end_session(self) -> None:
        self._session_speed = None
        self._woken_fast = False
        self._line.change_speed(START_SPEED)
