"""A meter on a line: the carrier's server with the meter as its host."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from vtc07.carrier.companion import Companion, SignOn
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.events import (
    Challenge,
    Connected,
    Denied,
    Disconnected,
    Done,
    Granted,
    IdentificationRequested,
    OperandRequested,
    PasswordOffered,
    ReadoutRequested,
    ReadRequested,
    Refused,
    ResultOffered,
    TokenEntered,
    Values,
    WriteRequested,
)
from vtc07.carrier.mode_c_server import ModeCServer
from vtc07.carrier.server import Server
from vtc07.meter.events import AccessJudged, LowCreditAlarm, TokenExecuted, WriteFinished
from vtc07.meter.meter import Meter
from vtc07.meter.passwords import SecureAlgorithm
from vtc07.meter.rules import CompanionUnfit
from vtc07.tokens import TCT


class MeterServer:
    """What a driver of `vtc07.links` turns (`vtc07.carrier.endpoint.ServerEndpoint`).

    It gives each request of the carrier to the meter and answers it exactly once: reads at once,
    a token entry before it is executed, a write when it is durable, a password when the count of
    wrong ones is. ``character_ns``: duration of a character on this line, 0 where the path does
    not pace them. ``token_executed``: told of every token that came to its end, from whatever
    carrier. ``low_credit_alarm``: told when the alarm goes on or off. ``algorithm``: a maker's
    secure algorithm for P0 and P2 of mode C; without one P0 is empty and every P2 is wrong.

    The core is that of the companion's sign-on; a subclass may name other core types.
    CompanionUnfit: an algorithm, but no rules for what wrong results cost.
    """

    core_type: ClassVar[type[Server]] = Server
    mode_c_core_type: ClassVar[type[ModeCServer]] = ModeCServer

    def __init__(
        self,
        companion: Companion,
        meter: Meter,
        *,
        character_ns: int = 0,
        token_executed: Callable[[TokenExecuted], None] | None = None,
        low_credit_alarm: Callable[[LowCreditAlarm], None] | None = None,
        algorithm: SecureAlgorithm | None = None,
    ) -> None:
        if algorithm is not None and (companion.mode_c is None or not companion.mode_c.password):
            raise CompanionUnfit(
                f"The companion {companion.name} has no [mode_c.password], and so says nothing of "
                "what a wrong result of a secure algorithm costs."
            )
        nameplate = meter.state.nameplate
        addresses = [nameplate.meter_pan.digits, nameplate.meter_pan.drn.digits]
        if nameplate.device_address:
            addresses.append(nameplate.device_address)
        core = self.mode_c_core_type if companion.sign_on is SignOn.MODE_C else self.core_type
        self._server: Server | ModeCServer = core(companion, addresses, character_ns=character_ns)
        self._meter = meter
        self._token_executed = token_executed
        self._low_credit_alarm = low_credit_alarm
        self._algorithm = algorithm

    @property
    def meter(self) -> Meter:
        """The meter behind the line."""
        return self._meter

    @property
    def core(self) -> Server | ModeCServer:
        """The carrier's server before the meter."""
        return self._server

    @property
    def connected(self) -> bool:
        """True while a session is open."""
        return self._server.connected

    def receive(self, chars: bytes, now_ns: int) -> None:
        """Take characters from the line."""
        self._meter.handle_timer(now_ns)
        self._server.receive(chars, now_ns)
        self._pump(now_ns)

    def bytes_to_send(self, now_ns: int) -> bytes:
        """Return the characters to be sent from now on."""
        chars = self._server.bytes_to_send(now_ns)
        self._pump(now_ns)  # an answer that comes too late may end a session of mode C
        return chars

    def next_timer(self) -> int | None:
        """Return the instant of the next timer, or None."""
        server, meter = self._server.next_timer(), self._meter.next_timer()
        if server is None or meter is None:
            return meter if server is None else server
        return min(server, meter)

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due."""
        self._meter.handle_timer(now_ns)
        self._server.handle_timer(now_ns)
        self._pump(now_ns)

    def connection_lost(self, now_ns: int) -> None:
        """Take notice that the link closed; a token that is being executed goes on."""
        self._server.connection_lost(now_ns)
        self._pump(now_ns)

    def next_speed_change(self) -> SpeedChange | None:
        """Return the next change of the line's speed at this end, or None."""
        return self._server.next_speed_change()

    def power_off(self, now_ns: int) -> None:
        """Switch the meter off in good order; then `next_work` is to be run until it gives None."""
        self._server.connection_lost(now_ns)
        self._meter.power_off(now_ns)
        self._pump(now_ns)

    def next_work(self) -> Callable[[], None] | None:
        """Return a commit or a comparison to run, or None; at most one is out at a time."""
        return self._meter.next_work()

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        """Report the end of the job that was handed out."""
        self._meter.work_done(error, now_ns)
        self._pump(now_ns)

    def _pump(self, now_ns: int) -> None:
        while (event := self._server.next_event()) is not None:
            match event:
                case (
                    IdentificationRequested(request=request, registers=registers)
                    | ReadRequested(request=request, registers=registers)
                    | ReadoutRequested(request=request, registers=registers)
                ):
                    values = self._meter.values(registers, now_ns)
                    self._server.answer(request, Values(values), now_ns)
                case WriteRequested(request=request, register=register, value=value):
                    self._meter.write(request, register, value, now_ns)
                case TokenEntered(request=request, token=token):
                    error = self._meter.enter(token, TCT.VIRTUAL, now_ns)
                    reply = Done() if error is None else Refused(error)
                    self._server.answer(request, reply, now_ns)
                case OperandRequested(request=request):
                    operand = "" if self._algorithm is None else self._algorithm.operand()
                    self._server.answer(request, Challenge(operand), now_ns)
                case PasswordOffered(request=request, password=password):
                    self._meter.offer_password(request, password, now_ns)
                case ResultOffered():
                    self._judge_result(event, now_ns)
                case Connected() | Disconnected():
                    pass
        while (ended := self._meter.next_event()) is not None:
            match ended:
                case WriteFinished(request=request, error=refused):
                    done = Done() if refused is None else Refused(refused)
                    self._server.answer(request, done, now_ns)
                case AccessJudged(request=request, level=level):
                    access = Denied() if level is None else Granted(level)
                    self._server.answer(request, access, now_ns)
                case TokenExecuted():
                    if self._token_executed is not None:
                        self._token_executed(ended)
                case LowCreditAlarm():
                    if self._low_credit_alarm is not None:
                        self._low_credit_alarm(ended)

    def _judge_result(self, event: ResultOffered, now_ns: int) -> None:
        algorithm = self._algorithm
        if algorithm is None:
            self._server.answer(event.request, Denied(), now_ns)
            return
        operand, result = event.operand, event.result
        self._meter.judge_access(event.request, lambda: algorithm.check(operand, result), now_ns)
