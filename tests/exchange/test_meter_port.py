"""A meter's port: the rows of IEC 62056-21's annex A, by their words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench_meter_port import (
    ACK,
    B0,
    B1,
    BLOCKS,
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
    checked,
    command,
    signed_on,
)

from vtc07.carrier.companion import MS
from vtc07.carrier.exchange.events import (
    CommandGiven,
    ResultGiven,
    SessionEnd,
    SignedOnTo,
)
from vtc07.carrier.exchange.meter_states import MeterInput, MeterState
from vtc07.carrier.exchange.settings import (
    OptionFault,
)
from vtc07.carrier.messages import DataSet

__all__ = ["bench", "signed_on"]


def ms(ns: int) -> float:
    return ns / MS


# --- each row by its words ----------------------------------------------------------------------


@pytest.mark.parametrize("address", ["", "10203", "0010203", "00000000000000000000000000010203"])
def test_idle_valid_request_address_matches_or_absent_identification_after_t_r(
    bench: PortBench, address: str
) -> None:
    bench.hear(f"/?{address}!\r\n".encode())
    bench.advance(199)
    assert bench.answers() == b""
    bench.advance(1)
    assert bench.answers() == IDENTIFICATION
    assert bench.port.state is MeterState.WAIT_OPTION
    assert bench.port.speed == 300
    assert SignedOnTo() in bench.events


@pytest.mark.parametrize(
    "chars",
    [b"/?10204!\r\n", b"/?1020\xff!\r\n", R1, B0, B1, NAK, ACK, TO_PROGRAM, b"\x00" * 99, b"/?!\n"],
)
def test_idle_anything_else_address_of_another_meter_silence(
    bench: PortBench, chars: bytes
) -> None:
    assert bench.say(chars, 5000) == b""
    assert bench.events == []
    assert bench.port.state is MeterState.IDLE
    assert not bench.port.connected
    assert bench.say(REQUEST) == IDENTIFICATION


def test_wait_option_y_0_set_baud_readout(bench: PortBench) -> None:
    assert bench.sign_on(TO_READ_OUT) == READOUT
    assert bench.sent[-1][1] == 9600
    assert bench.port.state is MeterState.SENT_READOUT


def test_wait_option_y_1_set_baud_send_p0(bench: PortBench) -> None:
    assert bench.sign_on(TO_PROGRAM) == P0
    assert bench.sent[-1][1] == 9600
    assert bench.port.state is MeterState.PROG


@pytest.mark.parametrize("y", "0123456789AZ")
@pytest.mark.parametrize("v", "01239")
def test_wait_option_unsupported_readout_at_300(bench: PortBench, v: str, y: str) -> None:
    answer = bench.sign_on(f"\x06{v}5{y}\r\n".encode())
    if (v, y) == ("0", "1"):
        assert answer == P0
    else:
        assert answer == READOUT
        assert bench.sent[-1][1] == (9600 if (v, y) == ("0", "0") else 300)
        assert bench.port.state is MeterState.SENT_READOUT


@pytest.mark.parametrize("z", "1234678ABCDEF ~")
@pytest.mark.parametrize("y", "01")
def test_wait_option_wrong_z_readout_at_300_programming_not_entered(
    bench: PortBench, z: str, y: str
) -> None:
    assert bench.sign_on(f"\x060{z}{y}\r\n".encode()) == READOUT
    assert bench.sent[-1][1] == 300
    assert bench.port.state is MeterState.SENT_READOUT
    assert bench.speeds == []


@pytest.mark.parametrize(("y", "answer"), [("0", READOUT), ("1", P0)])
def test_wait_option_z_0_stays_at_300(bench: PortBench, y: str, answer: bytes) -> None:
    assert bench.sign_on(f"\x0600{y}\r\n".encode()) == answer
    assert bench.sent[-1][1] == 300
    assert bench.speeds == []


FAULTY = [
    b"\x060\xff1\r\n",
    b"\x0605\r\n",
    b"\x060511\r\n",
    b"\x06\r\n",
    b"\x06051\n",
    b"\x060\x005\r\n",
]


@pytest.mark.parametrize("option", FAULTY)
def test_wait_option_parity_or_syntax_error_annex_a_idle_silently(
    bench: PortBench, option: bytes
) -> None:
    assert bench.say(REQUEST) == IDENTIFICATION
    assert bench.say(option, 5000) == b""
    assert bench.end is SessionEnd.OPTION_FAULT
    assert bench.sign_on() == P0


@pytest.mark.parametrize("option", FAULTY)
def test_wait_option_parity_or_syntax_error_6_4_3_readout_at_300(option: bytes) -> None:
    bench = PortBench(replace(SETTINGS, option_fault=OptionFault.READOUT))
    assert bench.say(REQUEST) == IDENTIFICATION
    assert bench.say(option) == READOUT
    assert bench.sent[-1][1] == 300


@pytest.mark.parametrize("fault", OptionFault)
def test_wait_option_one_that_breaks_off_is_a_syntax_error(fault: OptionFault) -> None:
    bench = PortBench(replace(SETTINGS, option_fault=fault))
    assert bench.say(REQUEST) == IDENTIFICATION
    answer = bench.say(b"\x0605", 4000)
    assert answer == (b"" if fault is OptionFault.SILENCE else READOUT)


def test_wait_option_t_t_runs_out_readout_at_300(bench: PortBench) -> None:
    assert bench.say(REQUEST, 200) == IDENTIFICATION
    identified = bench.sent[-1][0] + len(IDENTIFICATION) * bench.port.character_ns
    bench.advance(4000)
    begun, speed, chars = bench.sent[-1]
    assert (speed, chars) == (300, READOUT)
    assert 1500 < ms(begun - identified) <= 2200


@pytest.mark.parametrize("fault", OptionFault)
def test_wait_option_an_option_select_under_way_at_t_t_is_waited_for(fault: OptionFault) -> None:
    bench = PortBench(replace(SETTINGS, option_fault=fault), by_character=True)
    assert bench.say(REQUEST, 600) == IDENTIFICATION
    bench.advance(1950)
    assert bench.say(TO_PROGRAM) == P0


@pytest.mark.parametrize("state", [state for state in MeterState if state is not MeterState.IDLE])
def test_a_new_request_is_a_sign_on_in_any_state(bench: PortBench, state: MeterState) -> None:
    into(bench, state)
    before = len(bench.sent)
    assert bench.say(b"/?!\r\n") == IDENTIFICATION
    assert bench.sent[before][1] == 300
    assert bench.say(TO_PROGRAM) == P0
    assert bench.events.count(SignedOnTo()) == 2


@pytest.mark.parametrize("state", [state for state in MeterState if state is not MeterState.IDLE])
def test_b0_in_any_state_nothing_then_idle_at_300(bench: PortBench, state: MeterState) -> None:
    into(bench, state)
    assert bench.say(B0, 3000) == b""
    assert bench.end is SessionEnd.BREAK
    assert (bench.port.state, bench.port.speed) == (MeterState.IDLE, 300)
    assert bench.sign_on() == P0


@pytest.mark.parametrize("state", [state for state in MeterState if state is not MeterState.IDLE])
def test_b1_in_any_state_ack_then_idle_at_300(bench: PortBench, state: MeterState) -> None:
    into(bench, state)
    at = bench.port.speed
    assert bench.say(B1, 3000) == ACK
    assert bench.sent[-1][1] == at
    assert bench.end is SessionEnd.BREAK
    assert (bench.port.state, bench.line_speed) == (MeterState.IDLE, 300)


def into(bench: PortBench, state: MeterState) -> None:
    """Bring a port into a state."""
    said = {
        MeterState.WAIT_OPTION: (),
        MeterState.SENT_READOUT: (TO_READ_OUT,),
        MeterState.PROG: (TO_PROGRAM,),
        MeterState.PARTIAL: (TO_PROGRAM, command("R3", "0001(3)")),
        MeterState.WRITING: (TO_PROGRAM, command("W3", "0001(a)", more=True)),
    }[state]
    for chars in (REQUEST, *said):
        bench.say(chars, 700)
    assert bench.port.state is state


def test_sent_readout_nak_repeats_the_readout_three_times(bench: PortBench) -> None:
    bench.sign_on(TO_READ_OUT)
    for _ in range(3):
        assert bench.say(NAK) == READOUT
        assert bench.sent[-1][1] == 9600
    asked = [event for event in bench.events if not isinstance(event, SignedOnTo)]
    assert len(asked) == 2  # identification and readout, each once
    assert bench.say(NAK, 3000) == b""
    assert bench.end is SessionEnd.READOUT_DONE


@pytest.mark.parametrize("chars", [R1, ACK, TO_PROGRAM, B0, R1[:-1] + b"\xff", b"/?\xff\r\n"])
def test_sent_readout_else_idle_300(bench: PortBench, chars: bytes) -> None:
    bench.sign_on(TO_READ_OUT)
    assert bench.say(chars, 300) == b""
    assert (bench.port.state, bench.port.speed) == (MeterState.IDLE, 300)


def test_sent_readout_without_nak_idle_300_after_the_longest_reaction(bench: PortBench) -> None:
    bench.sign_on(TO_READ_OUT)
    over = bench.sent[-1][0] + len(READOUT) * bench.port.character_ns
    while bench.port.state is MeterState.SENT_READOUT:
        bench.advance(1)
    assert 1500 <= ms(bench.now_ns - over) <= 1503
    assert bench.speeds == [9600, 300]
    assert bench.end is SessionEnd.READOUT_DONE


@pytest.mark.parametrize(
    "chars",
    [
        R1[:-1] + bytes([R1[-1] ^ 1]),
        R1[:5] + b"\xff" + R1[6:],
        command("R1", "9" * 300),
        checked(b"\x01R1\x02\x07()\x03"),
        checked(b"\x01R\x03"),
        command("P1", "right"),
        checked(b"\x01\x03"),
    ],
    ids=["BCC", "parity", "overlong", "control character", "short code", "P1", "empty"],
)
def test_prog_protocol_error_nak_stay(signed_on: PortBench, chars: bytes) -> None:
    assert signed_on.say(chars) == NAK
    assert signed_on.executed == []
    assert signed_on.say(R1) == DATA


@pytest.mark.parametrize("chars", [command("P1", "(wrong)"), command("P2", "(wrong)")])
def test_prog_p1_p2_wrong_b0_then_idle(signed_on: PortBench, chars: bytes) -> None:
    assert signed_on.say(chars) == B0
    assert signed_on.sent[-1][1] == 9600
    assert signed_on.end is SessionEnd.PASSWORD
    assert signed_on.speeds[-1] == 300
    assert signed_on.sign_on() == P0


@pytest.mark.parametrize("chars", [P1, command("P2", "(result)")])
def test_prog_p1_p2_right_ack(signed_on: PortBench, chars: bytes) -> None:
    assert signed_on.say(chars) == ACK
    assert signed_on.port.state is MeterState.PROG


def test_prog_p2_is_given_with_the_operand_of_this_p0(signed_on: PortBench) -> None:
    signed_on.say(command("P2", "(a*b)"))
    assert signed_on.executed == [ResultGiven(3, "4711", "a*b")]


@pytest.mark.parametrize("code", ["E2", "X9", "R9", "W9", "P0", "P3", "B0", "B1", "B2", "zz", "!!"])
def test_prog_illegal_command_error_message_stay(signed_on: PortBench, code: str) -> None:
    assert signed_on.say(command(code, "0001()")) == checked(b"\x02(ER01)\x03") or code[0] in "RW"
    assert isinstance(signed_on.executed[0], CommandGiven)
    assert signed_on.say(R1) == DATA


@pytest.mark.parametrize("code", ["R1", "R2", "R5"])
def test_prog_command_needing_a_response_data_stay(signed_on: PortBench, code: str) -> None:
    assert signed_on.say(command(code, "1.8.0(1)")) == DATA
    assert signed_on.executed == [CommandGiven(3, code, "1.8.0(1)", (DataSet("1.8.0", "1"),))]


@pytest.mark.parametrize("code", ["W1", "W2", "W3", "W4", "W5"])
def test_prog_else_ack_stay(signed_on: PortBench, code: str) -> None:
    assert signed_on.say(command(code, "0001(x)")) == ACK
    assert signed_on.executed == [CommandGiven(3, code, "0001(x)", (DataSet("0001", "x"),))]


@pytest.mark.parametrize("code", ["R3", "R4", "R6"])
def test_partial_ack_next_block_nak_same_again_last_ends_in_etx(
    signed_on: PortBench, code: str
) -> None:
    one, two, three = (str(data_set).encode() for data_set in BLOCKS)
    first, second = checked(b"\x02" + one + b"\r\n\x04"), checked(b"\x02" + two + b"\r\n\x04")
    last = checked(b"\x02" + three + b"\x03")
    assert signed_on.say(command(code, "0001(3)")) == first
    assert signed_on.say(NAK) == first
    assert signed_on.say(NAK) == first
    assert signed_on.say(ACK) == second
    assert signed_on.say(NAK) == second
    assert signed_on.say(ACK) == last
    assert signed_on.port.state is MeterState.PROG
    assert signed_on.say(NAK) == last
    assert signed_on.say(ACK) == b""
    assert len(signed_on.executed) == 1


def test_partial_new_command_aborts_the_transfer_and_is_obeyed(signed_on: PortBench) -> None:
    signed_on.say(command("R3", "0001(3)"))
    assert signed_on.say(R1) == DATA
    assert signed_on.say(ACK) == b""  # nothing is left of the transfer


@pytest.mark.parametrize(
    "state", [MeterState.PROG, MeterState.PARTIAL, MeterState.WRITING, MeterState.WAIT_OPTION]
)
def test_any_inactivity_60_to_120_s_idle_300(state: MeterState) -> None:
    bench = PortBench(SETTINGS)
    if state is MeterState.WAIT_OPTION:
        bench.host = lambda _: None
        bench.hear(REQUEST)
    else:
        into(bench, state)
    bench.advance(118_000)
    assert bench.port.state is state
    bench.advance(3_000)
    assert (bench.port.state, bench.line_speed) == (MeterState.IDLE, 300)
    assert bench.end is SessionEnd.INACTIVITY


def test_any_a_request_under_way_when_inactivity_is_over_is_still_heard() -> None:
    bench = PortBench(SETTINGS)
    bench.sign_on(b"\x06001\r\n")
    bench.advance(117_500)
    for _ in range(4):
        bench.hear(b"/?")
        bench.advance(1000)
    assert bench.end is SessionEnd.INACTIVITY
    assert bench.say(b"10203!\r\n") == IDENTIFICATION


def test_any_a_command_under_way_when_inactivity_is_over_is_forgotten() -> None:
    bench = PortBench(SETTINGS)
    bench.sign_on(b"\x06001\r\n")
    bench.advance(117_500)
    for _ in range(4):
        bench.hear(b"\x01R")
        bench.advance(1000)
    assert bench.end is SessionEnd.INACTIVITY
    assert bench.port.held == 0


def test_any_an_incomplete_request_is_a_damaged_one(signed_on: PortBench) -> None:
    signed_on.say(b"/?102", 1600)
    assert signed_on.used[-1] == (MeterState.PROG, MeterInput.REQUEST_DAMAGED)
    assert signed_on.say(R1) == DATA


def test_prog_every_message_may_be_repeated_three_times(signed_on: PortBench) -> None:
    for said, answer in ((b"", P0), (R1, DATA), (P1, ACK), (R1[:-1] + b"\x00", NAK)):
        if said:
            assert signed_on.say(said) == answer
        assert [signed_on.say(NAK) for _ in range(4)] == [answer] * 3 + [b""]
    assert len(signed_on.executed) == 2


def test_partial_all_blocks_are_held_until_they_are_sent(signed_on: PortBench) -> None:
    block = len(str(BLOCKS[0])) + 5
    held = []
    for said in (command("R3", "0001(3)"), ACK, ACK, R1):
        signed_on.say(said)
        held.append(signed_on.port.held)
    assert held == [3 * block - 2, 2 * block - 2, block - 2, len(DATA)]
