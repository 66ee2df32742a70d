"""A meter's port on its line: modes A and B, speeds, timing, B0 at any time, addresses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench_meter_port import (
    ACK,
    B0,
    DATA,
    IDENTIFICATION,
    NAK,
    P0,
    P1,
    R1,
    READOUT,
    REQUEST,
    SETTINGS,
    TO_PROGRAM,
    TO_READ_OUT,
    PortBench,
    bench,
    command,
    host,
    signed_on,
)

from vtc07.carrier.companion import MS, Timing
from vtc07.carrier.exchange.events import (
    ErrorText,
    SessionEnd,
)
from vtc07.carrier.exchange.meter_states import MeterState
from vtc07.carrier.exchange.settings import (
    MODE_B_SPEEDS,
    MODE_C_SPEEDS,
)

__all__ = ["bench", "signed_on"]


def ms(ns: int) -> float:
    return ns / MS


# --- modes A and B --------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [" ", "Z", "a", "+"])
def test_mode_a_request_identification_readout_all_at_300_then_commands(z: str) -> None:
    bench = PortBench(replace(SETTINGS, baud_identification=z))
    answer = bench.say(REQUEST, 4000)
    assert answer == IDENTIFICATION.replace(b"5", z.encode(), 1) + READOUT
    assert bench.speeds == []
    assert bench.say(P1) == ACK
    assert bench.say(R1) == DATA
    assert bench.say(B0) == b""
    assert bench.end is SessionEnd.BREAK


def test_mode_a_nak_repeats_the_readout() -> None:
    bench = PortBench(replace(SETTINGS, baud_identification=" "))
    bench.say(REQUEST, 4000)
    assert bench.say(NAK, 3000) == READOUT
    assert bench.say(R1) == DATA


@pytest.mark.parametrize(("z", "speed"), MODE_B_SPEEDS.items())
def test_mode_b_readout_at_z_after_a_pause_then_commands_at_300(z: str, speed: int) -> None:
    bench = PortBench(replace(SETTINGS, baud_identification=z))
    bench.say(REQUEST, 4000)
    (begun, first, chars), (later, second, data) = bench.sent
    assert (first, chars) == (300, IDENTIFICATION.replace(b"5", z.encode(), 1))
    assert (second, data) == (speed, READOUT)
    assert 200 <= ms(later - begun) - len(chars) * 1000 / 30 <= 201
    assert bench.speeds == [speed, 300]
    assert bench.say(P1) == ACK
    assert bench.sent[-1][1] == 300


def test_mode_b_a_repeated_readout_is_at_z_again() -> None:
    bench = PortBench(replace(SETTINGS, baud_identification="E"))
    bench.say(REQUEST, 3000)
    assert bench.say(NAK) == READOUT
    assert bench.sent[-1][1] == 9600
    assert bench.speeds == [9600, 300, 9600, 300]


# --- mode C: speeds, mode E -----------------------------------------------------------------------


@pytest.mark.parametrize(("z", "speed"), MODE_C_SPEEDS.items())
def test_speeds_from_300_to_115200(z: str, speed: int) -> None:
    bench = PortBench(replace(SETTINGS, baud_identification=z))
    bench.say(REQUEST)
    assert bench.say(f"\x060{z}1\r\n".encode()) == P0
    assert bench.sent[-1][1] == bench.port.speed == speed
    assert bench.say(R1) == DATA
    bench.say(B0)
    assert bench.port.speed == 300


def test_a_port_may_accept_more_speeds_than_its_z() -> None:
    bench = PortBench(replace(SETTINGS, speeds=(300, 2400, 9600)))
    assert bench.sign_on(b"\x06031\r\n") == P0
    assert bench.port.speed == 2400
    assert bench.sign_on(b"\x06041\r\n") == READOUT  # 4800 is not among them
    assert bench.sent[-1][1] == 300


def test_the_speed_changes_at_once_after_the_option_select_and_not_before(
    bench: PortBench,
) -> None:
    bench.say(REQUEST)
    bench.port.receive(TO_PROGRAM[:-1], bench.now_ns)
    assert bench.port.next_speed_change() is None
    bench.now_ns += bench.port.character_ns
    bench.port.receive(TO_PROGRAM[-1:], bench.now_ns)
    change = bench.port.next_speed_change()
    assert change is not None
    assert change.speed == 9600


def test_after_b0_of_the_meter_the_speed_changes_behind_it(signed_on: PortBench) -> None:
    signed_on.hear(command("P1", "(wrong)"))
    assert signed_on.speeds == [9600]
    signed_on.advance(199)
    assert signed_on.speeds == [9600]
    signed_on.advance(2)
    assert signed_on.sent[-1][1:] == (9600, B0)
    assert signed_on.speeds == [9600, 300]


def test_mode_e_is_announced_and_answered_as_mode_c() -> None:
    bench = PortBench(replace(SETTINGS, mode_e=True))
    assert bench.say(REQUEST) == b"/VTC5\\2TEST1\r\n"
    assert bench.say(b"\x06252\r\n", 2000) == READOUT
    assert bench.sent[-1][1] == 300
    assert bench.say(REQUEST) == b"/VTC5\\2TEST1\r\n"
    assert bench.say(TO_PROGRAM) == P0


# --- timing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flag", "reaction"), [("VTC", 200), ("VTc", 20), ("vtC", 200)])
def test_t_r_by_the_third_flag_letter(flag: str, reaction: int) -> None:
    bench = PortBench(replace(SETTINGS, flag=flag))
    for chars in (REQUEST, TO_PROGRAM, P1, R1, command("R3", "0001()"), ACK, NAK, R1[:-1] + b"\0"):
        before = len(bench.sent)
        bench.hear(chars)
        heard = bench.now_ns
        bench.advance(1000)
        assert ms(bench.sent[before][0] - heard) == reaction


def test_the_answer_comes_when_the_host_gives_it() -> None:
    bench = PortBench(SETTINGS, host_delay_ms=900)
    for chars in (REQUEST, TO_PROGRAM, command("W1", "0001(x)")):
        before = len(bench.sent)
        bench.hear(chars)
        heard = bench.now_ns
        bench.advance(2000)
        assert ms(bench.sent[before][0] - heard) == 900


def test_an_answer_later_than_the_longest_reaction_is_not_sent_but_a_nak_brings_it(
    signed_on: PortBench,
) -> None:
    signed_on.host_delay_ns = 1501 * MS
    assert signed_on.say(command("W1", "0001(x)"), 5000) == b""
    assert signed_on.port.state is MeterState.PROG
    assert signed_on.say(NAK) == ACK
    assert len(signed_on.executed) == 1


@pytest.mark.parametrize("chars", [REQUEST, TO_READ_OUT])
def test_a_sign_on_whose_answer_would_be_late_is_over(chars: bytes) -> None:
    bench = PortBench(SETTINGS)
    if chars is TO_READ_OUT:
        bench.say(REQUEST)
    bench.host_delay_ns = 1501 * MS
    assert bench.say(chars, 5000) == b""
    assert bench.port.state is MeterState.IDLE
    assert bench.line_speed == 300


def test_a_message_that_stops_for_1500_ms_is_discarded(signed_on: PortBench) -> None:
    signed_on.hear(R1[:6])
    signed_on.advance(1495)
    signed_on.hear(R1[6:])
    signed_on.advance(500)
    assert signed_on.sent[-1][2] == DATA
    signed_on.hear(R1[:6])
    signed_on.advance(1501)
    assert signed_on.say(R1[6:]) == b""
    assert signed_on.say(R1) == DATA


def test_a_long_message_in_one_piece_did_not_stop() -> None:
    """130 characters take 4.3 s at 300 Bd; they are timed by the last of them."""
    bench = PortBench(SETTINGS)
    bench.sign_on(b"\x06001\r\n")
    assert bench.port.speed == 300
    bench.hear(b"\x01W1")
    assert bench.say(command("W1", f"0001({'x' * 120})")[3:]) == ACK


def test_nothing_is_heard_until_the_answer_is_out(signed_on: PortBench) -> None:
    signed_on.hear(R1)
    assert signed_on.say(R1) == DATA
    assert len(signed_on.executed) == 1


def test_unpaced_answers_are_out_at_once() -> None:
    bench = PortBench(SETTINGS, paced=False)
    bench.hear(REQUEST)
    bench.advance(200)
    assert bench.answers() == IDENTIFICATION
    assert bench.say(TO_PROGRAM, 200) == P0
    assert bench.say(R1, 200) == DATA


def test_stretched_timers_wait_longer() -> None:
    bench = PortBench(replace(SETTINGS, timing=Timing().stretched(4)))
    bench.say(REQUEST)
    bench.advance(6000)
    assert bench.say(TO_PROGRAM) == P0


# --- B0 while the host works ----------------------------------------------------------------------


def test_b0_while_the_host_works_is_obeyed_after_the_operation() -> None:
    bench = PortBench(SETTINGS)
    bench.sign_on()
    bench.host_delay_ns = 3000 * MS
    bench.hear(command("W1", "0001(x)"))
    bench.advance(1600)
    bench.hear(B0)
    assert bench.port.state is MeterState.PROG  # the operation is not over
    bench.advance(3000)
    assert bench.end is SessionEnd.BREAK
    assert bench.line_speed == 300
    assert ACK not in [chars for _, _, chars in bench.sent]
    bench.host_delay_ns = 0
    assert bench.sign_on() == P0


def test_b0_in_the_reaction_time_ends_the_session_without_the_answer(
    signed_on: PortBench,
) -> None:
    signed_on.hear(R1)
    assert signed_on.say(B0) == b""
    assert signed_on.end is SessionEnd.BREAK


def test_b0_during_a_readout_ends_the_session() -> None:
    bench = PortBench(replace(SETTINGS, baud_identification="0"), by_character=True)
    bench.say(REQUEST)
    bench.say(b"\x06000\r\n", 300)
    assert bench.answers(1) == READOUT  # 1.2 s long, and under way
    assert bench.say(B0) == b""
    assert bench.end is SessionEnd.BREAK
    bench.advance(1000)
    assert bench.say(REQUEST) == IDENTIFICATION.replace(b"5", b"0")


def test_a_host_that_never_answers_leaves_the_port_free_after_inactivity(
    signed_on: PortBench,
) -> None:
    signed_on.host = lambda _: None
    signed_on.say(command("W1", "0001(x)"), 130_000)
    assert signed_on.end is SessionEnd.INACTIVITY
    signed_on.port.answer(3, ErrorText("ER09"), signed_on.now_ns)  # goes nowhere
    signed_on.host = host
    assert signed_on.sign_on() == P0


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "asked", "answers"),
    [
        ("10203", "000010203", True),
        ("00010203", "10203", True),
        ("10203", "1020", False),
        ("10203", "0" * 27 + "10203", True),
        ("10203", "0" * 28 + "10203", False),  # 33 characters
        ("10203", "10203" + "0" * 27, False),  # all 32 are compared
        ("0", "00000000", True),
        ("000", "0", True),
        ("035 0000101", "035 0000101", True),
        ("035 0000101", "035 0000101 ", False),
        ("AbC", "AbC", True),
        ("AbC", "abc", False),
        ("AbC", "00AbC", True),
        ("x" * 32, "x" * 32, True),
    ],
)
def test_addresses_of_section_6_3_1(own: str, asked: str, answers: bool) -> None:
    bench = PortBench(replace(SETTINGS, addresses=(own,)))
    answer = bench.say(f"/?{asked}!\r\n".encode(), 1500)
    assert (answer == IDENTIFICATION) is answers
