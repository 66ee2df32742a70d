"""A fault at every character of an HHU's session: NAK, silence or fall-back, no wrong act."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from bench_meter_port import (
    ACK,
    B0,
    IDENTIFICATION,
    NAK,
    P0,
    READOUT,
    SETTINGS,
    TO_PROGRAM,
    TO_READ_OUT,
    PortBench,
    checked,
    command,
)

from vtc07.carrier.exchange.events import CommandGiven, MeterRequest, PasswordGiven, ResultGiven
from vtc07.carrier.exchange.meter_states import MeterState

SIGN_ON = b"/?10203!\r\n"
SESSION = (
    SIGN_ON,
    TO_PROGRAM,
    command("P1", "(right)"),
    command("W1", "0030(000003E8)"),
    command("R1", "1.8.0(1)"),
    command("W3", "0031(ab)", more=True),
    command("W3", "(cd)", more=True),
    command("W3", "(ef)"),
    command("R3", "0001(3)"),
    ACK,
    command("W5", "0.9.2(0171021)(00000000)"),
)
ANSWERS = (IDENTIFICATION, P0, ACK, ACK, checked(b"\x021.8.0(0001.5*kWh)\x03"), ACK, ACK, ACK)
READ_OUT_SESSION = (SIGN_ON, TO_READ_OUT, NAK)
ERROR = checked(b"\x02(ER02)\x03")

Fault = Callable[[bytes, int], bytes]
FAULTS: dict[str, Fault] = {
    "lost": lambda chars, at: chars[:at] + chars[at + 1 :],
    "damaged": lambda chars, at: chars[:at] + b"\xff" + chars[at + 1 :],
    "doubled": lambda chars, at: chars[: at + 1] + chars[at:],
    **{
        f"bit {bit} turned": lambda chars, at, bit=bit: (  # type: ignore[misc]
            chars[:at] + bytes([chars[at] ^ 1 << bit]) + chars[at + 1 :]
        )
        for bit in range(7)  # as on a line without parity
    },
}


def acts(bench: PortBench) -> list[tuple[str, str]]:
    """Return what the host was asked to do, without the numbers of the requests."""

    def of(request: MeterRequest) -> tuple[str, str]:
        match request:
            case PasswordGiven(password=password):
                return "P1", password
            case ResultGiven(result=result):
                return "P2", result
            case CommandGiven(code=code, data=data):
                return code, data
        raise AssertionError(request)

    return [of(request) for request in bench.executed]


def clean(session: Sequence[bytes]) -> tuple[list[bytes], list[tuple[str, str]]]:
    """Return what a session without a fault is answered, and what it does."""
    bench = PortBench(SETTINGS)
    return [bench.say(chars, 1600) for chars in session], acts(bench)


RIGHT, INTENDED = clean(SESSION)
READ_OUT_RIGHT, _ = clean(READ_OUT_SESSION)


def test_the_clean_session_is_what_it_should_be() -> None:
    assert tuple(RIGHT[: len(ANSWERS)]) == ANSWERS
    assert RIGHT[-1] == ACK
    assert READ_OUT_RIGHT == [IDENTIFICATION, READOUT, READOUT]
    assert INTENDED == [
        ("P1", "right"),
        ("W1", "0030(000003E8)"),
        ("R1", "1.8.0(1)"),
        ("W3", "0031(abcdef)"),
        ("R3", "0001(3)"),
        ("W5", "0.9.2(0171021)(00000000)"),
    ]


def is_part_of(found: list[tuple[str, str]], intended: list[tuple[str, str]]) -> bool:
    """Tell whether these are intended acts in their order, each at most once."""
    left = iter(intended)
    return all(act in left for act in found)


@pytest.mark.parametrize("by_character", [True, False], ids=["by character", "by message"])
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize(
    "session", [SESSION, READ_OUT_SESSION], ids=["programming mode", "readout"]
)
def test_one_fault_at_every_character(
    session: Sequence[bytes], name: str, by_character: bool
) -> None:
    for number, message in enumerate(session):
        for at in range(len(message)):
            strike(session, number, FAULTS[name](message, at), by_character=by_character)


def strike(session: Sequence[bytes], number: int, struck: bytes, *, by_character: bool) -> None:
    bench = PortBench(SETTINGS, by_character=by_character)
    for chars in session[:number]:
        bench.say(chars, 1600)
    before = acts(bench)
    answer = bench.say(struck, 4500)
    here = session[number], struck, answer
    right = (RIGHT if session is SESSION else READ_OUT_RIGHT)[number]
    allowed = {b"", NAK, READOUT, right}
    if number == 0:
        allowed.add(right + READOUT)  # no option select follows within t_t
    if number == 1:
        allowed.add(P0)  # a turned bit, without parity, makes another option select
    if number > 4:
        allowed.add(ERROR)  # a block that does not fit
    assert answer in allowed, here
    assert is_part_of(acts(bench), INTENDED), here
    assert len(acts(bench)) <= len(before) + 1, here

    bench.say(B0, 1700)
    assert bench.port.state is MeterState.IDLE, here
    assert bench.port.speed == 300, here
    done = len(bench.events)
    for chars in SESSION:
        assert bench.say(chars, 1600) not in (b"", NAK), here
    bench.events = bench.events[done:]
    assert acts(bench) == INTENDED, here


CARELESS = tuple(chars for chars in SESSION if not chars.startswith(b"\x01W3"))


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_and_the_session_goes_on_regardless(name: str) -> None:
    """A careless HHU says all the rest as well: what is then done is still only what was meant.

    Blocks of a partial write are not among it: who goes on without an ACK means another value.
    """
    for number, message in enumerate(CARELESS):
        for at in range(len(message)):
            bench = PortBench(SETTINGS)
            for place, chars in enumerate(CARELESS):
                bench.say(FAULTS[name](message, at) if place == number else chars, 1600)
            assert is_part_of(acts(bench), INTENDED), (name, number, at)
