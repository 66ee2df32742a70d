"""A session with one meter: identification, and the way back to it after a lost link.

Every procedure of `vtc07.hhu` sends its commands through `Session.command`, which knows the rule
of docs/protocol.md 7: three attempts (the client core's), then up to three reconnections
1 s apart, IDRequest, MeterPAN read and compared, and on with the command.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vtc07.carrier.companion import Companion, S, SignOn, Timing
from vtc07.carrier.endpoint import Procedure, perform, reopen, wait
from vtc07.carrier.events import (
    Break,
    ClientEvent,
    Command,
    CommandFailed,
    CommandRefused,
    EnterToken,
    Failure,
    Identified,
    Identify,
    Identity,
    Read,
    RegistersRead,
    RegisterValue,
)
from vtc07.carrier.exchange.settings import WakeUp, mode_and_speed
from vtc07.carrier.registers import Value
from vtc07.hhu.plan import Pace
from vtc07.hhu.progress import AwaitingInactivity, Identifying, OnProgress, Reconnecting, unheard
from vtc07.hhu.texts import Said, mark, said

METER_PAN = "meterPAN"
_MAX_ADDRESS = 32


class SessionError(Exception):
    """The session cannot go on; the message is a sentence for people, ``said`` in any language."""

    def __init__(self, sentence: Said) -> None:
        self.said = sentence
        super().__init__(str(sentence))


class NoLink(SessionError):
    """The meter does not answer, and reconnecting did not help. ``failure``: the last one.

    ``inactivity_s``: how long a meter of mode C stays at the speed of a session that was cut short,
    deaf to a sign-on at 300 Bd; None: not a meter of mode C, or not known to be one.
    """

    def __init__(self, failure: Failure, address: str, inactivity_s: int | None = None) -> None:
        self.failure = failure
        meter = said("meter {address}", address=address) if address else said("any meter")
        sentence = said(
            "no session with {meter}: {failure}; check the head or cable, the address and the "
            "speed, and whether another client is connected",
            meter=meter,
            failure=Said(failure.value),
        )
        if inactivity_s is not None and failure is Failure.NO_ANSWER:
            sentence = said(
                "{sentence}; after a session that was cut short, try again in {seconds} s",
                sentence=sentence,
                seconds=inactivity_s,
            )
        super().__init__(sentence)


#: Sentences for a meter that answers and does not let this client in.
_REFUSED = {
    Failure.PASSWORD_REFUSED: mark(
        "{meter} refused the password; check it, and wait before the next try: after wrong "
        "passwords a meter refuses every one, each time for longer"
    ),
    Failure.PROGRAMMING_REFUSED: mark(
        "{meter} refused programming mode, and sent its readout in its place; look whether it "
        "wants a button pressed or a cover opened first, and whether the companion is its own"
    ),
}


class SignOnRefused(NoLink):
    """The meter answers and does not let this client in (mode C); trying again would not help.

    ``failure``: `Failure.PASSWORD_REFUSED` or `Failure.PROGRAMMING_REFUSED`.
    """

    def __init__(self, failure: Failure, address: str) -> None:
        super().__init__(failure, address)
        meter = said("meter {address}", address=address) if address else said("the meter")
        self.said = Said(_REFUSED[failure], (("meter", meter),))
        self.args = (str(self.said),)


class AnotherMeter(SessionError):
    """A meter answered that is not the one meant: ``expected`` and ``found`` are MeterPANs.

    One of the two is None where a meter refuses to tell its MeterPAN and the other one told it:
    whoever cannot be compared is another one.
    """

    def __init__(self, expected: str | None, found: str | None) -> None:
        self.expected = expected
        self.found = found
        nameless = said("a meter that refuses to tell its MeterPAN")
        super().__init__(
            said(
                "{who} is connected, but {expected} is meant",
                who=nameless if found is None else said("meter {address}", address=found),
                expected=expected or nameless,
            )
        )


@dataclass(frozen=True, slots=True)
class Meter:
    """What is known of the connected meter.

    ``identification``: the registers that the IDResponse carries, decoded; empty where it is not
    laid out as the companion says. ``meter_pan``: None where the companion has no such register,
    the meter refused to tell it, or it was hailed only. ``warnings``: sentences about what does not
    fit the companion. ``level``: the access level that the sign-on opened.
    """

    identity: Identity
    identification: tuple[RegisterValue, ...]
    meter_pan: str | None
    warnings: tuple[str, ...]
    level: int = 0

    def value(self, name: str) -> Value | None:
        """Return the identification's value of the register of this name, or None."""
        for found in self.identification:
            if found.register.name == name:
                return found.value
        return None


class Session:
    """One client's session with one meter on one link.

    ``address``: what the IDRequest says: a MeterPAN, a DRN, a device address, or empty.
    ``meter_pan``: the meter that is meant, 18 digits; where it is not given, an address that can
    be a MeterPAN says it, and else the meter that answers first is the one from then on.
    ``timing``: a profile's timers instead of the companion's; the same as the client core's.
    ``character_ns``: how long a character takes on this path, by which reads are planned; 0 where
    the path does not pace them (TCP), None for what the companion says of its port.
    ``wake_up``: how a meter on a battery is woken before every IDRequest.

    ValueError: an address or a MeterPAN that cannot be one.
    """

    def __init__(
        self,
        companion: Companion,
        *,
        address: str = "",
        meter_pan: str | None = None,
        timing: Timing | None = None,
        character_ns: int | None = None,
        wake_up: WakeUp = WakeUp.NONE,
        on_progress: OnProgress = unheard,
    ) -> None:
        if len(address) > _MAX_ADDRESS:
            raise ValueError(f"{address!r} is no address: at most {_MAX_ADDRESS} characters")
        if meter_pan is not None and not _can_be_meter_pan(meter_pan):
            raise ValueError(f"{meter_pan!r} is no MeterPAN: 18 digits are wanted")
        if meter_pan is None and _can_be_meter_pan(address) and address.strip("0"):
            meter_pan = address
        self.companion = companion
        self.timing = timing or companion.timing
        self.address = address
        self._calling = Identify(address, wake_up)
        self.on_progress = on_progress
        self.meter: Meter | None = None
        self._expected_pan = meter_pan
        self._character_ns = character_ns
        self._compared = False  # the meter that is meant has told its MeterPAN once
        self._hailed_only = False  # the meter that answers has not been asked for it yet
        self._astray = False  # the meter that answers is not the one that is meant

    @property
    def can_compare(self) -> bool:
        """Say whether the companion has a register that tells the MeterPAN."""
        table = self.companion.table
        return table.has(METER_PAN) and table.named(METER_PAN).read_level is not None

    @property
    def level(self) -> int:
        """The access level that is open: 0, or in mode C what the password opened."""
        return 0 if self.meter is None else self.meter.level

    @property
    def pace(self) -> Pace:
        """What time the line takes, as far as it is known: in mode C once the meter has said it."""
        character_ns, timing = self._character_ns, self.timing
        meter, companion = self.meter, self.companion
        if character_ns is None:
            character_ns = companion.link.character_ns
        flag = companion.flag
        if meter is not None:
            flag = meter.identity.flag
            if character_ns and companion.sign_on is SignOn.MODE_C:
                character_ns = -(-10 * S // mode_and_speed(meter.identity.baud_identification)[1])
        fast = flag[2:3].islower()
        return Pace(character_ns, timing.fast_reaction_ns if fast else timing.reaction_ns)

    # --- procedures ----------------------------------------------------------------------------

    def hail(self) -> Procedure[Meter]:
        """Send IDRequest alone: who answers is told, but its MeterPAN is not compared yet.

        For whoever goes on with `vtc07.hhu.reading.read` or `vtc07.hhu.delivery.send`, which read
        and compare it themselves and so save a message. Raises NoLink or AnotherMeter.
        """
        budget = self.timing.reconnects
        failed = yield from self._greet(compare=False)
        if failed is not None:
            yield from self._reconnect(budget, failed.failure)
        assert self.meter is not None
        return self.meter

    def identify(self) -> Procedure[Meter]:
        """Send IDRequest, read the MeterPAN and compare it with the one that is meant.

        Raises NoLink or AnotherMeter.
        """
        budget = self.timing.reconnects
        failed = yield from self._greet()
        if failed is not None:
            yield from self._reconnect(budget, failed.failure)
        assert self.meter is not None
        return self.meter

    def ready(self) -> Procedure[Meter]:
        """Identify the meter unless that has been done; raises NoLink or AnotherMeter."""
        if self.meter is None:
            return (yield from self.identify())
        if self._hailed_only:
            yield from self.compare_meter_pan()
        return self.meter

    def command(self, command: Command) -> Procedure[ClientEvent]:
        """Carry out an ordinary command, reconnecting where needed; never for EnterToken.

        The outcome is never `CommandFailed`: NoLink is raised in its place, and AnotherMeter
        where another meter answers after a reconnection. Reconnections are counted for each
        command, so a meter that answers everything but this one command ends it too. After either
        error the meter is identified first: whoever answers then may be another one.
        """
        if isinstance(command, EnterToken):
            raise TypeError("a token entry is never repeated: it is not an ordinary command")
        if self.meter is None or self._astray:
            yield from self.identify()
        budget = self.timing.reconnects
        event = yield from perform(command)
        while isinstance(event, CommandFailed):
            budget = yield from self._reconnect(budget, event.failure)
            event = yield from perform(command)
        return event

    def compare_meter_pan(self) -> Procedure[str | None]:
        """Read the MeterPAN now and compare it; returns it, None where the meter refuses it.

        Raises NoLink or AnotherMeter.
        """
        event = yield from self.command(self._pan_read())
        if isinstance(event, CommandRefused):
            self.meter_pan_refused(event.error_text)
            return None
        assert isinstance(event, RegistersRead)
        return self.meter_pan_told(event.values[0].value)

    @property
    def hailed_only(self) -> bool:
        """True where the meter that answers is still to be asked for its MeterPAN."""
        return self._hailed_only

    def meter_pan_told(self, value: Value) -> str:
        """Compare a MeterPAN that was read along with other registers, and keep it.

        Raises AnotherMeter.
        """
        found = self._compare(value)
        if self.meter is not None:
            self.meter = replace(self.meter, meter_pan=found)
        return found

    def meter_pan_refused(self, error_text: str) -> None:
        """Take notice that the meter refuses to tell its MeterPAN, after it was hailed.

        Raises AnotherMeter where the one that is meant told it before.
        """
        if not self._hailed_only:
            return
        self._hailed_only = False
        warning = self._without_pan(error_text)
        if self.meter is not None:
            self.meter = replace(self.meter, warnings=(*self.meter.warnings, warning))

    def sign_off(self) -> Procedure[None]:
        """Send a BreakCommand; nothing answers it, and whether it arrives does not matter."""
        yield from perform(Break())
        self.meter = None

    @property
    def compared(self) -> bool:
        """True once a MeterPAN was read and compared: no other meter is taken for this one."""
        return self._compared

    # --- steps ---------------------------------------------------------------------------------

    def _reconnect(self, budget: int, failure: Failure) -> Procedure[int]:
        """Open the link again and greet the meter; returns how many tries are left.

        A meter of mode C that lost its client in the middle of a session may still listen at that
        session's speed: where its B0 was lost as well, it hears a sign-on again once it was
        inactive for long enough (docs/protocol.md 8).
        """
        tries = self.timing.reconnects
        inactive = self.meter is not None and self.companion.sign_on is SignOn.MODE_C
        unanswered = False
        known = None if self._astray or self._hailed_only else self.meter
        nameless = known is not None and known.meter_pan is None
        self._refused(failure)
        while budget:
            budget -= 1
            pause_ns = self.timing.reconnect_pause_ns
            if unanswered and inactive:
                pause_ns, inactive = self.timing.inactivity_ns + pause_ns, False
                self.on_progress(AwaitingInactivity(-(-pause_ns // S)))
            self.on_progress(Reconnecting(tries - budget, tries))
            yield from wait(pause_ns)
            if not (yield from reopen()):
                failure = Failure.LINK_LOST
                continue
            failed = yield from self._greet(nameless=nameless)
            if failed is None:
                return budget
            failure = failed.failure
            unanswered = failure is Failure.NO_ANSWER
            self._refused(failure)
        self.meter = None
        in_mode_c = self.companion.sign_on is SignOn.MODE_C
        raise NoLink(failure, self.address, self.timing.inactivity_ns // S if in_mode_c else None)

    def _refused(self, failure: Failure) -> None:
        """End here where the meter will not let this client in however often it tries."""
        if failure in _REFUSED:
            self.meter = None
            raise SignOnRefused(failure, self.address)

    def _greet(
        self, *, compare: bool = True, nameless: bool = False
    ) -> Procedure[CommandFailed | None]:
        """IDRequest and, to ``compare`` it, MeterPAN, each once; returns what failed.

        ``nameless``: the meter that is meant refused to tell its MeterPAN.
        """
        self.on_progress(Identifying(self.address))
        event = yield from perform(self._calling)
        if isinstance(event, CommandFailed):
            return event
        if not isinstance(event, Identified):
            return CommandFailed(self._calling, Failure.DAMAGED, 1)
        pan: str | None = None
        self._astray = False
        self._hailed_only = self.can_compare and not compare
        warnings = mismatches(self.companion, event.identity)
        if self.can_compare and compare:
            answer = yield from perform(self._pan_read())
            if isinstance(answer, CommandFailed):
                return answer
            if isinstance(answer, CommandRefused):
                warnings += (self._without_pan(answer.error_text),)
            else:
                assert isinstance(answer, RegistersRead)
                told = answer.values[0].value
                if nameless and self._expected_pan is None:
                    raise self._another_meter(str(told))
                pan = self._compare(told)
        values = event.identity.values
        identification = (
            ()
            if values is None
            else tuple(
                RegisterValue(register, value)
                for register, value in zip(self.companion.identification, values, strict=True)
            )
        )
        self.meter = Meter(event.identity, identification, pan, warnings, event.level)
        return None

    def _pan_read(self) -> Read:
        return Read(self.companion.table.named(METER_PAN))

    def _without_pan(self, error_text: str) -> str:
        if self._compared:
            raise self._another_meter(None)
        return f"the meter refuses to tell its MeterPAN ({error_text})"

    def _compare(self, value: Value) -> str:
        found = str(value)
        if self._expected_pan is None:
            self._expected_pan = found
        if found != self._expected_pan:
            raise self._another_meter(found)
        self._compared = True
        self._hailed_only = False
        return found

    def _another_meter(self, found: str | None) -> AnotherMeter:
        self._astray = True
        return AnotherMeter(self._expected_pan, found)


def _can_be_meter_pan(text: str) -> bool:
    return len(text) == 18 and text.isascii() and text.isdigit()


def mismatches(companion: Companion, identity: Identity) -> tuple[str, ...]:
    """Return a sentence for everything in an identification that is not as the companion says.

    FLAG letters (the case of the third, which announces a reaction time, aside), tableID, FOIN,
    protocolVersion, and the layout itself.
    """
    found: list[str] = []
    if identity.flag.upper() != companion.flag.upper():
        found.append(
            f"the meter's FLAG letters are {identity.flag}, those of companion "
            f"{companion.name} are {companion.flag}"
        )
    if identity.values is None:
        found.append(
            f"the identification {identity.identification!r} is not laid out as companion "
            f"{companion.name} says; its registers cannot be told"
        )
        return tuple(found)
    wanted = {
        "tableID": companion.table.table_id,
        "FOIN": companion.table.foin,
        "protocolVersion": companion.protocol_version,
    }
    for register, value in zip(companion.identification, identity.values, strict=True):
        expected = wanted.get(register.name, value)
        if value != expected:
            found.append(
                f"the meter's {register.name} is {value}, that of companion {companion.name} is "
                f"{expected}; its registers may mean something else"
            )
    return tuple(found)
