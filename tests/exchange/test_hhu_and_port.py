"""A hand-held unit and a meter's port on one line: whole sessions, struck at every character."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
from bench_meter_port import BLOCKS, LINES, host

from vtc07.carrier.companion import S, Timing
from vtc07.carrier.endpoint import Perform, Procedure, Reopen, Wait
from vtc07.carrier.exchange.events import (
    Accepted,
    BrokenOff,
    CommandGiven,
    Data,
    ErrorAnswered,
    ExchangeFailed,
    GivePassword,
    GiveResult,
    HHUCommand,
    HHUEvent,
    Order,
    ProgrammingRefused,
    ReadOut,
    SessionEnded,
    SignedOffFromMeter,
    SignedOn,
    SignedOnTo,
    SignOff,
    SignOn,
)
from vtc07.carrier.exchange.hhu import HHU
from vtc07.carrier.exchange.meter_port import MeterPort, PortSettings
from vtc07.carrier.exchange.settings import (
    STANDARD,
    CheckCharacter,
    Compatibility,
    Purpose,
    WakeUp,
)
from vtc07.carrier.grammar import DAMAGED
from vtc07.carrier.messages import DataSet
from vtc07.carrier.wake_up_meter import SleepingPort
from vtc07.links.link import ClientEndpoint, Sender
from vtc07.links.simulated import DROPPED, Fault, SimulatedLine, Verdict

PROGRAM = SignOn(purpose=Purpose.PROGRAMMING)
TEXT = "".join(str(n % 10) for n in range(100))


class Served(MeterPort):
    """A port with its host behind it, as a line serves it. ``given``: the commands it was given."""

    def __init__(self, settings: PortSettings, *, paced: bool = True) -> None:
        super().__init__(settings, paced=paced)
        self.given: list[CommandGiven] = []

    def next_work(self) -> Callable[[], None] | None:
        return None

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        raise AssertionError("there is no work")

    def _reply(self, now_ns: int) -> None:
        while (event := self.next_event()) is not None:
            if isinstance(event, SignedOnTo | SessionEnded):
                continue
            if isinstance(event, CommandGiven):
                self.given.append(event)
            reply = host(event)
            assert reply is not None
            self.answer(event.request, reply, now_ns)

    def receive(self, chars: bytes, now_ns: int) -> None:
        super().receive(chars, now_ns)
        self._reply(now_ns)

    def handle_timer(self, now_ns: int) -> None:
        super().handle_timer(now_ns)
        self._reply(now_ns)


class Woken(SleepingPort):
    """A port that sleeps until it is woken."""

    def __init__(self, port: Served, wake_up: WakeUp) -> None:
        super().__init__(port, wake_up, Timing(), character_ns=-(-10 * S // 300))


class Pair:
    """Both ends and the line between them."""

    def __init__(
        self,
        z: str = "5",
        *,
        flag: str = "VTC",
        compatibility: Compatibility = STANDARD,
        mode_e: bool = False,
        fault: Fault | None = None,
        echo: bool = False,
        paced: bool = True,
        wake_up: WakeUp = WakeUp.NONE,
    ) -> None:
        settings = PortSettings(flag, z, compatibility=compatibility, mode_e=mode_e)
        self.port = Served(settings, paced=paced)
        self.hhu = HHU(Timing(), compatibility=compatibility, paced=paced, wake_up=wake_up)
        self.sent = {"client": 0, "server": 0}
        self.line = SimulatedLine(
            cast("ClientEndpoint", self.hhu),
            self.port if wake_up is WakeUp.NONE else Woken(self.port, wake_up),
            speed=300,
            fault=fault,
            observers=[self._count],
            echo=echo,
            in_runs=not paced,
        )

    def _count(self, sender: Sender, _sent: int, _arrived: int, _now: int) -> None:
        self.sent[sender] += 1

    def run(self, *commands: HHUCommand) -> list[HHUEvent]:
        """Give commands one after another and return their events."""
        events: list[HHUEvent] = []

        def procedure() -> Procedure[None]:
            for command in commands:
                events.append((yield Perform(command)))  # type: ignore[arg-type]

        self.line.run(procedure())
        return events

    def idle(self, seconds: int) -> None:
        self.line.idle(seconds * 10**9)


def shown(event: HHUEvent) -> bytes:
    """Return what a readout shows."""
    assert isinstance(event, ReadOut), event
    return event.chars


EXPECTED = b"".join(b"".join(str(d).encode() for d in line) + b"\r\n" for line in LINES) + b"!\r\n"


@pytest.mark.parametrize("paced", [True, False], ids=["serial", "TCP"])
@pytest.mark.parametrize("z", "0123456789ABCDEF x")
def test_a_readout_in_every_mode_and_at_every_speed(z: str, paced: bool) -> None:
    pair = Pair(z, paced=paced)
    for _ in range(2):  # the second one begins at 300 Bd again
        (event,) = pair.run(SignOn())
        assert shown(event) == EXPECTED
        pair.idle(3)
        assert not pair.port.connected or z not in "0123456789"
    assert pair.hhu.line.speed == 300


@pytest.mark.parametrize(
    "compatibility",
    [
        Compatibility(check=CheckCharacter.SUM),
        Compatibility(no_readout_bcc=True),
        Compatibility(lf_line_ends=True),
        Compatibility(crlf_before_etx=True),
        Compatibility(address_not_echoed=True),
    ],
    ids=["SUM", "no BCC in the readout", "LF line ends", "CR LF before ETX", "no address"],
)
def test_a_session_with_a_meter_that_deviates(compatibility: Compatibility) -> None:
    pair = Pair(compatibility=compatibility)
    signed_on, accepted, data, error, off = pair.run(
        PROGRAM, GivePassword("right"), Order("R1", "1.8.0()"), Order("E2", "0000()"), SignOff()
    )
    assert isinstance(signed_on, SignedOn)
    assert (signed_on.operand, signed_on.speed) == ("4711", 9600)
    assert accepted == Accepted()
    address = "" if compatibility.address_not_echoed else "1.8.0"
    assert isinstance(data, Data)
    assert data.data_sets == (DataSet(address, "0001.5", "kWh"),)
    assert error == ErrorAnswered("ER01")
    assert off == SignedOffFromMeter()
    pair.idle(2)
    assert not pair.port.connected
    (event,) = pair.run(SignOn())
    assert isinstance(event, ReadOut)
    assert event.checked == (not compatibility.no_readout_bcc)


@pytest.mark.parametrize("flag", ["VTC", "VTc"])
@pytest.mark.parametrize("echo", [False, True], ids=["no echo", "echo"])
def test_programming_mode_whole(flag: str, echo: bool) -> None:
    pair = Pair(flag=flag, mode_e=True, echo=echo)
    write = Order("W3", f"C.1({TEXT})", block=32)
    events = pair.run(
        PROGRAM,
        GiveResult("result"),
        Order("R6", "P.01()"),
        write,
        Order("W5", "0.9.2(0171021)(00000000)"),
        Order("R5", "0.0()"),
        SignOff(),
    )
    assert isinstance(events[0], SignedOn)
    assert events[0].identity.has_mode_e
    assert events[1] == Accepted()
    assert isinstance(events[2], Data)
    assert events[2].data_sets == BLOCKS
    assert events[3:5] == [Accepted(), Accepted()]
    assert isinstance(events[5], Data)
    assert [g.data for g in pair.port.given if g.code == "W3"] == [write.data]


def test_a_wrong_password_and_the_next_sign_on() -> None:
    pair = Pair()
    _, refused, again, accepted = pair.run(
        PROGRAM, GivePassword("wrong"), PROGRAM, GivePassword("right")
    )
    assert refused == BrokenOff()
    assert isinstance(again, SignedOn)
    assert accepted == Accepted()


def test_a_meter_without_programming_mode_at_the_speed_asked_for() -> None:
    """It grants 300 Bd and that of Z alone: the unit asks again with Z = 0."""
    pair = Pair("5")
    (event,) = pair.run(SignOn(purpose=Purpose.PROGRAMMING, speed=2400))
    assert isinstance(event, SignedOn)
    assert event.speed == 300


@pytest.mark.parametrize("paced", [True, False], ids=["serial", "TCP"])
@pytest.mark.parametrize("wake_up", [WakeUp.NORMAL, WakeUp.FAST])
def test_a_meter_that_sleeps_is_woken_and_sleeps_again(wake_up: WakeUp, paced: bool) -> None:
    pair = Pair(wake_up=wake_up, paced=paced)
    for _ in range(2):
        signed_on, data, off = pair.run(PROGRAM, Order("R1", "1.8.0()"), SignOff())
        assert isinstance(signed_on, SignedOn)
        assert isinstance(data, Data)
        assert off == SignedOffFromMeter(acknowledged=True)
        pair.idle(3)
        assert not cast("Woken", pair.line.server).awake
    pair.hhu.wake_up = WakeUp.NONE
    (failed,) = pair.run(PROGRAM)
    assert isinstance(failed, ExchangeFailed)


def _strikes(sender: Sender, index: int, verdict: Callable[[int], Verdict]) -> Fault:
    def fault(who: Sender, char: int, place: int, _now: int) -> Verdict:
        return verdict(char) if (who, place) == (sender, index) else char

    return fault


VERDICTS: dict[str, Callable[[int], Verdict]] = {
    "lost": lambda _char: DROPPED,
    "damaged": lambda _char: DAMAGED,
    "flipped": lambda char: char ^ 0x03,
    "doubled": lambda char: bytes([char, char]),
}


@pytest.mark.parametrize("verdict", VERDICTS.values(), ids=VERDICTS)
@pytest.mark.parametrize("sender", ["client", "server"])
@pytest.mark.parametrize("z", ["5", "B", " "], ids=["C", "B", "A"])
def test_a_readout_struck_at_every_character(
    z: str, sender: Sender, verdict: Callable[[int], Verdict]
) -> None:
    """With a check the readout is right; without one it is at least a readout, or none."""
    undisturbed = Pair(z)
    undisturbed.run(SignOn())
    for index in range(undisturbed.sent[sender]):
        pair = Pair(z, fault=_strikes(sender, index, verdict))
        (event,) = pair.run(SignOn())
        if isinstance(event, ReadOut) and event.checked:
            assert event.chars == EXPECTED, index
        if not isinstance(event, ReadOut):
            assert isinstance(event, ExchangeFailed)
        pair.idle(125)  # a session that a flipped Z led astray runs out
        pair.line.fault = None
        (event,) = pair.run(SignOn())
        assert shown(event) == EXPECTED, index


@pytest.mark.parametrize("verdict", VERDICTS.values(), ids=VERDICTS)
@pytest.mark.parametrize("sender", ["client", "server"])
def test_programming_mode_struck_at_every_character(
    sender: Sender, verdict: Callable[[int], Verdict]
) -> None:
    """What is read is right, what is written is written as meant, or a failure is reported."""
    commands = (
        PROGRAM,
        GivePassword("right"),
        Order("R6", "P.01()"),
        Order("W3", f"C.1({TEXT})", block=40),
        Order("R1", "1.8.0()"),
        SignOff(),
    )
    undisturbed = Pair()
    undisturbed.run(*commands)
    shift = list(VERDICTS.values()).index(verdict)  # between them the strikes hit every one
    for index in range(shift, undisturbed.sent[sender], len(VERDICTS)):
        pair = Pair(fault=_strikes(sender, index, verdict))
        signed_on, password, blocks, written, data, _ = pair.run(*commands)
        assert isinstance(signed_on, SignedOn | ProgrammingRefused), index
        if not isinstance(signed_on, SignedOn):
            continue
        assert password == Accepted(), index
        assert isinstance(blocks, Data), index
        assert blocks.data_sets == BLOCKS, index
        assert written == Accepted(), index
        assert {g.data for g in pair.port.given if g.code == "W3"} == {f"C.1({TEXT})"}, index
        assert isinstance(data, Data), index
        assert data.data_sets == (DataSet("1.8.0", "0001.5", "kWh"),)


def _pulled(pair: Pair, sender: Sender, index: int) -> Fault:
    """Pull the cable at a character, and put it back 9 s later."""

    def pull() -> None:
        pair.line.unplug()
        pair.line.schedule(pair.line.now_ns + 9 * 10**9, pair.line.plug)

    def fault(who: Sender, char: int, place: int, now_ns: int) -> Verdict:
        if (who, place) == (sender, index):
            pair.line.schedule(now_ns, pull)
        return char

    return fault


@pytest.mark.parametrize("sender", ["client", "server"])
def test_the_cable_pulled_and_put_back_and_the_session_is_found_again(sender: Sender) -> None:
    """B0 at the last speed frees the meter; its inactivity does where that is lost as well."""
    undisturbed = Pair()
    undisturbed.run(PROGRAM, Order("R1", "1.8.0()"))
    for index in range(0, undisturbed.sent[sender], 2):
        pair = Pair()
        pair.line.fault = _pulled(pair, sender, index)

        def procedure(index: int = index) -> Procedure[HHUEvent]:
            for _ in range(8):
                event = yield from _perform(PROGRAM)
                if isinstance(event, SignedOn):
                    event = yield from _perform(Order("R1", "1.8.0()"))
                    if isinstance(event, Data):
                        return event
                yield Wait(20 * 10**9)
                yield Reopen()
            raise AssertionError(f"character {index}: no session again")

        assert isinstance(pair.line.run(procedure()), Data)


def _perform(command: HHUCommand) -> Procedure[HHUEvent]:
    return cast("HHUEvent", (yield Perform(command)))  # type: ignore[arg-type]
