"""The client of a meter behind the sign-on of IEC 62056-21 mode C, without I/O.

It has the face of `vtc07.carrier.client.Client`, so every procedure works over it unchanged. The
sign-on is `vtc07.carrier.exchange.hhu`'s, the commands are those of `Client` itself: R1 and W1 by
the same table, a token entry sent once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final

from vtc07.carrier.client import Client
from vtc07.carrier.client_messages import ClientMessages
from vtc07.carrier.companion import Companion, Timing
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.events import (
    Break,
    ClientEvent,
    Command,
    CommandFailed,
    EnterToken,
    Entry,
    Failure,
    Identified,
    Identify,
    SignedOff,
    TokenEntryAnswered,
)
from vtc07.carrier.exchange.events import (
    Accepted,
    BrokenOff,
    ErrorAnswered,
    ExchangeFailed,
    ExchangeFailure,
    GivePassword,
    GiveResult,
    HHUEvent,
    ProgrammingRefused,
    SignedOffFromMeter,
    SignedOn,
    SignOff,
    SignOn,
)
from vtc07.carrier.exchange.hhu import HHU
from vtc07.carrier.exchange.hhu_echo import EchoWatch
from vtc07.carrier.exchange.hhu_saying import messages
from vtc07.carrier.exchange.settings import CheckCharacter, Mode, Purpose, mode_and_speed

#: A secure algorithm of P2: given P0's operand, it returns the result. It must not block. What it
#: raises, and ValueError for a result that no message can hold, comes out of the driver.
Algorithm = Callable[[str], str]

#: Characters of a readout in place of P0 that is heard to its end. At 300 Bd they take 273 s, and
#: so long a line that babbles can hold a sign-on (our choice).
LONGEST_READOUT: Final = 8_192

_FAILURES = {
    ExchangeFailure.NO_ANSWER: Failure.NO_ANSWER,
    ExchangeFailure.DAMAGED: Failure.DAMAGED,
    ExchangeFailure.REFUSED_BY_NAK: Failure.REFUSED_BY_NAK,
    ExchangeFailure.NOT_SIGNED_ON: Failure.SESSION_ENDED,
    ExchangeFailure.LINK_LOST: Failure.LINK_LOST,
}


class ModeCClient:
    """The state machine of one client on one line.

    ``character_ns``: 0 where the path does not pace characters (TCP); else it is paced, by the
    speed of the moment. ``timing``: another set of timers than the companion's. ``password``: is
    given (P1) with every sign-on; ``algorithm`` answers P0's operand (P2) in its place. ``speed``:
    the greatest to ask for, in Bd; None: the meter's. ``silence_ns``: silence that the meter wants
    before a sign-on.

    `Identify` is the whole sign-on into programming mode, after B0 where a session may still be
    open. A password that the meter refused is not given again: every later `Identify` fails with
    `Failure.PASSWORD_REFUSED` and says nothing on the line, until `use_password`.

    ValueError: a companion of direct mode, or a password that no message can hold. A subclass may
    name another core of commands.
    """

    commands_type: ClassVar[type[Client]] = Client

    def __init__(
        self,
        companion: Companion,
        *,
        character_ns: int = 0,
        timing: Timing | None = None,
        password: str | None = None,
        algorithm: Algorithm | None = None,
        speed: int | None = None,
        silence_ns: int = 0,
    ) -> None:
        if companion.mode_c is None:
            raise ValueError(f"companion {companion.name} does not speak mode C")
        self._companion = companion
        self._password = _sayable(password)
        self._algorithm = algorithm
        self._speed = speed
        self._refused = False  # what `password` or `algorithm` says
        self._client = self.commands_type(companion, character_ns=character_ns, timing=timing)
        self._hhu = HHU(
            timing or companion.timing,
            compatibility=companion.compatibility,
            limits=companion.limits,
            paced=character_ns > 0,
            silence_ns=silence_ns,
            longest=LONGEST_READOUT,
        )
        self._echo = EchoWatch()  # of the commands'; the HHU has its own
        self._messages = ClientMessages(companion)
        self._command: Identify | Break | None = None  # that the HHU is carrying out
        self._signed_on: SignedOn | None = None
        self._ready = False  # commands may be given
        self._events: deque[ClientEvent] = deque()

    # --- what others ask -----------------------------------------------------------------------

    @property
    def hhu(self) -> HHU:
        """The sign-on's state machine."""
        return self._hhu

    @property
    def commands(self) -> Client:
        """The state machine of the commands that follow a sign-on."""
        return self._client

    @property
    def busy(self) -> bool:
        """True while a command runs."""
        return self._command is not None or self._client.busy

    @property
    def held(self) -> int:
        """How many characters it holds: of a message under way, and of its own to be sent."""
        return self._hhu.held + self._client.held

    def use_password(self, password: str | None) -> None:
        """Give this password from the next sign-on on; None: none, level 0 alone.

        ValueError: no message can hold it.
        """
        self._password = _sayable(password)
        self._algorithm = None
        self._refused = False

    # --- the face ------------------------------------------------------------------------------

    def start(self, command: Command, now_ns: int) -> None:
        """Begin a command; its characters go out after the reaction time.

        Without a session a register command fails at once, and nothing is sent. ValueError: a
        command is running, or this one cannot be said.
        """
        if self.busy:
            raise ValueError("a command is running: one at a time")
        match command:
            case Identify():
                self._sign_on(command, now_ns)
            case Break():
                self._command = command
                self._ready = False
                self._hhu.start(SignOff(), now_ns)
                self._pump(now_ns)
            case _ if self._ready:
                self._client.start(command, now_ns)
            case EnterToken():
                self._messages.compose(command)
                self._events.append(TokenEntryAnswered(Entry.UNCERTAIN))
            case _:
                self._messages.compose(command)
                self._events.append(CommandFailed(command, Failure.SESSION_ENDED, 0))

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take 7-bit characters, FF for a damaged one, timed by the last of them."""
        if self._command is None:
            self._hhu.heed(now_ns)
            self._client.heed(now_ns)
            self._client.receive(self._echo.without(chars), now_ns)
            self._look(now_ns)
        else:
            self._client.heed(now_ns)
            self._hhu.receive(chars, now_ns)
            self._pump(now_ns)

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return what is to be sent, once its time has come."""
        signing = self._command is not None
        chars = (self._hhu if signing else self._client).bytes_to_send(now_ns)
        if chars:
            self._echo.sent(b"" if signing else chars)
            until_ns = now_ns + len(chars) * self._hhu.line.character_ns
            (self._client if signing else self._hhu).heed(until_ns)
        return chars

    def next_event(self) -> ClientEvent | None:
        """Return the final event of the command that ended, or None."""
        return self._events.popleft() if self._events else None

    def next_timer(self) -> int | None:
        """Return when `handle_timer` or `bytes_to_send` has something to do, or None."""
        return (self._client if self._command is None else self._hhu).next_timer()

    def handle_timer(self, now_ns: int) -> None:
        """Notice an answer that does not come or stops in the middle."""
        if self._command is None:
            self._client.handle_timer(now_ns)
            self._look(now_ns)
        else:
            self._hhu.handle_timer(now_ns)
            self._pump(now_ns)

    def connection_lost(self, now_ns: int) -> None:
        """End the running command: the link closed. The session may still be open at the meter."""
        self._ready = False
        self._echo.forget()
        self._client.connection_lost(now_ns)
        self._look(now_ns)
        self._hhu.connection_lost(now_ns)
        self._pump(now_ns)

    def next_speed_change(self) -> SpeedChange | None:
        """Return the next change of the line's speed at this end, or None."""
        return self._hhu.next_speed_change()

    # --- the sign-on ---------------------------------------------------------------------------

    def _sign_on(self, command: Identify, now_ns: int) -> None:
        self._messages.compose(command)  # ValueError before anything is done
        self._ready = False
        if self._refused:
            self._events.append(CommandFailed(command, Failure.PASSWORD_REFUSED, 0))
            return
        self._command = command
        self._signed_on = None
        self._hhu.wake_up = command.wake_up
        self._hhu.start(SignOn(command.address, Purpose.PROGRAMMING, self._speed), now_ns)
        self._pump(now_ns)

    def _pump(self, now_ns: int) -> None:
        """Go on with the sign-on where the HHU has ended one step of it."""
        while self._command is not None and (event := self._hhu.next_event()) is not None:
            self._next_step(event, self._command, now_ns)

    def _next_step(self, event: HHUEvent, command: Identify | Break, now_ns: int) -> None:
        match event:
            case SignedOn(identity, operand):
                mode, _ = mode_and_speed(identity.baud_identification)
                if mode is not Mode.C:
                    self._end(CommandFailed(command, Failure.PROGRAMMING_REFUSED, 1))
                    return
                self._signed_on = event
                if self._algorithm is not None:
                    self._give_result(self._algorithm, operand, now_ns)
                elif self._password is not None:
                    self._hhu.start(GivePassword(self._password), now_ns)
                else:
                    self._open(level=0)
            case Accepted():
                rule = self._companion.mode_c
                assert rule is not None
                self._open(level=0 if rule.password is None else rule.password.opens)
            case BrokenOff() | ErrorAnswered():
                self._refused = True
                self._end(CommandFailed(command, Failure.PASSWORD_REFUSED, 1))
            case ProgrammingRefused():
                self._end(CommandFailed(command, Failure.PROGRAMMING_REFUSED, 2))
            case SignedOffFromMeter():
                self._end(SignedOff())
            case ExchangeFailed(_, failure, attempts):
                self._end(CommandFailed(command, _FAILURES[failure], attempts))
            case _:
                raise AssertionError(f"no step of a sign-on: {type(event).__name__}")

    def _give_result(self, algorithm: Algorithm, operand: str, now_ns: int) -> None:
        """Say P2; whatever the algorithm raises goes to the driver, and the sign-on is over."""
        try:
            self._hhu.start(GiveResult(algorithm(operand)), now_ns)
        except BaseException:
            self._command = None
            raise

    def _open(self, level: int) -> None:
        signed_on, line = self._signed_on, self._hhu.line
        assert signed_on is not None
        self._client.take_over(
            reaction_ns=line.reaction_ns,
            character_ns=line.character_ns,
            pace_ns=line.pace_ns,
            level=level,
        )
        self._ready = True
        said = signed_on.identity
        identity = self._messages.identity(said.flag, said.baud_identification, said.identification)
        self._end(Identified(identity, level))

    def _end(self, event: ClientEvent) -> None:
        self._command = None
        self._events.append(event)

    # --- commands ------------------------------------------------------------------------------

    def _look(self, now_ns: int) -> None:  # noqa: ARG002 - as `_pump`
        """Take over what the commands' core has to report."""
        while (event := self._client.next_event()) is not None:
            if isinstance(event, CommandFailed) and event.failure is Failure.SESSION_ENDED:
                self._ready = False
            self._events.append(event)


def _sayable(password: str | None) -> str | None:
    """Return a password that P1 can hold; ValueError, without showing it, for another one."""
    if password is not None:
        messages(GivePassword(password), CheckCharacter.XOR)
    return password
