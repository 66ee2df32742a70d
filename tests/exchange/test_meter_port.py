"""A meter's port: modes A, B and C, timing, speeds, passwords, partial blocks, addresses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from bench_meter_port import (
    ACK,
    B0,
    B1,
    BLOCKS,
    IDENTIFICATION,
    NAK,
    P0,
    READOUT,
    REQUEST,
    TO_PROGRAM,
    TO_READ_OUT,
    PortBench,
    checked,
    command,
    host,
)

from vtc07.carrier.companion import MS, MessageLimits, Timing
from vtc07.carrier.exchange.events import (
    Block,
    CommandGiven,
    DataSets,
    ErrorText,
    Granted,
    Identification,
    IdentificationAsked,
    MeterReply,
    MeterRequest,
    Operand,
    PasswordGiven,
    ResultGiven,
    SessionEnd,
    SignedOnTo,
)
from vtc07.carrier.exchange.meter_port import MeterPort, PortSettings
from vtc07.carrier.exchange.meter_states import MeterInput, MeterState
from vtc07.carrier.exchange.settings import (
    MODE_B_SPEEDS,
    MODE_C_SPEEDS,
    CheckCharacter,
    Compatibility,
    OptionFault,
)
from vtc07.carrier.messages import DataSet

SETTINGS = PortSettings("VTC", "5", ("10203",))
R1 = command("R1", "1.8.0()")
DATA = checked(b"\x021.8.0(0001.5*kWh)\x03")
P1 = command("P1", "(right)")


def ms(ns: int) -> float:
    return ns / MS


@pytest.fixture
def bench() -> PortBench:
    return PortBench(SETTINGS)


@pytest.fixture
def signed_on(bench: PortBench) -> PortBench:
    assert bench.sign_on() == P0
    return bench


# --- the rows of the sheet's table, by its words --------------------------------------------------


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


def test_partial_a_block_is_filled_up_to_its_size() -> None:
    for size, blocks in ((52, 1), (51, 2)):  # two lines of 24 characters, each with its end
        bench = PortBench(replace(SETTINGS, partial_block=size, limits=MessageLimits(line=40)))
        bench.host = replying(DataSets((DataSet("1", "v" * 21), DataSet("2", "v" * 21))))
        bench.sign_on()
        found = [bench.say(command("R3", "1(2)"))]
        while found[-1][-2] == 0x04:
            found.append(bench.say(ACK))
        assert len(found) == blocks


def test_partial_write_what_is_held_grows_with_the_value(signed_on: PortBench) -> None:
    held = []
    for data in ("0001(abc)", "(def)", "(ghi)"):
        block = command("W3", data, more=True)
        signed_on.say(block)
        held.append(signed_on.port.held - len(block) - len(ACK))
    assert held == [len("0001abc"), len("0001abcdef"), len("0001abcdefghi")]


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


# --- partial writes -------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["W3", "W4"])
def test_partial_write_ack_each_block_and_one_value_at_the_end(
    signed_on: PortBench, code: str
) -> None:
    assert signed_on.say(command(code, "0001(abc)", more=True)) == ACK
    assert signed_on.say(command(code, "(def)", more=True)) == ACK
    assert signed_on.executed == []
    assert signed_on.say(command(code, "(g)")) == ACK
    assert signed_on.executed == [
        CommandGiven(3, code, "0001(abcdefg)", (DataSet("0001", "abcdefg"),))
    ]


def test_partial_write_only_the_damaged_block_is_repeated(signed_on: PortBench) -> None:
    second = command("W3", "(def)", more=True)
    last = command("W3", "(g)")
    signed_on.say(command("W3", "0001(abc)", more=True))
    assert signed_on.say(second[:-1] + b"\xff") == NAK
    assert signed_on.say(second) == ACK
    assert signed_on.say(last[:5] + b"\xff" + last[6:]) == NAK
    assert signed_on.say(last) == ACK
    (given,) = signed_on.executed
    assert isinstance(given, CommandGiven)
    assert given.data == "0001(abcdefg)"


def test_partial_write_equal_blocks_belong_to_the_value(signed_on: PortBench) -> None:
    for more in (True, True, False):
        data = "0001(00)" if signed_on.port.state is not MeterState.WRITING else "(00)"
        assert signed_on.say(command("W3", data, more=more)) == ACK
    (given,) = signed_on.executed
    assert isinstance(given, CommandGiven)
    assert given.data == "0001(000000)"


ER02 = checked(b"\x02(ER02)\x03")


def test_partial_write_a_block_said_again_after_a_lost_ack_is_never_taken_twice(
    signed_on: PortBench,
) -> None:
    second = command("W3", "(00)", more=True)
    signed_on.say(command("W3", "0001(00)", more=True))
    signed_on.say(second, 2000)  # the client does not hear this ACK, and gives up
    assert signed_on.say(second) == ER02
    assert signed_on.say(command("W3", "(11)")) == ER02
    assert signed_on.executed == []


def test_partial_write_a_nak_is_not_answered_by_the_ack_to_the_block_before(
    signed_on: PortBench,
) -> None:
    """A client whose second block was lost on the way would go on with the third."""
    signed_on.say(command("W3", "0001(ab)", more=True))
    assert signed_on.say(NAK) == b""
    assert signed_on.say(command("W3", "(cd)", more=True)) == ACK
    assert signed_on.say(NAK) == b""
    assert signed_on.say(command("W3", "(ef)")) == ACK
    (given,) = signed_on.executed
    assert isinstance(given, CommandGiven)
    assert given.data == "0001(abcdef)"


@pytest.mark.parametrize(
    "chars",
    [
        command("W4", "(b)", more=True),
        command("W3", "b", more=True),
        command("W3", "(b*kWh)", more=True),
        command("W3", "(b)(c)", more=True),
        command("W3", f"({'x' * 180})", more=True),
        command("R3", "0001(1)", more=True),
        command("P1", "(right)", more=True),
    ],
)
def test_partial_write_a_block_that_does_not_fit_ends_the_transfer(
    signed_on: PortBench, chars: bytes
) -> None:
    signed_on.say(command("W3", "0001(a)", more=True))
    for _ in range(30):
        answer = signed_on.say(chars)
        if answer != ACK:
            break
    assert answer == ER02
    assert signed_on.say(command("W3", "(c)")) == ER02
    assert signed_on.executed == []


def test_partial_write_a_first_block_begins_anew_and_another_command_aborts(
    signed_on: PortBench,
) -> None:
    signed_on.say(command("W3", "0001(a)", more=True))
    signed_on.say(command("W3", "0001(b)", more=True))
    assert signed_on.say(command("W3", "(c)")) == ACK
    signed_on.say(command("W3", "0001(a)", more=True))
    assert signed_on.say(R1) == DATA
    assert signed_on.say(command("W3", "(c)")) == ER02
    assert [given.data for given in signed_on.executed if isinstance(given, CommandGiven)] == [
        "0001(bc)",
        "1.8.0()",
    ]


# --- what is sent ---------------------------------------------------------------------------------


def replying(
    reply: MeterReply, to: type = CommandGiven
) -> Callable[[MeterRequest], MeterReply | None]:
    return lambda request: reply if isinstance(request, to) else host(request)


COMMA = Compatibility(decimal_comma=True)
ALL = Compatibility(CheckCharacter.SUM, True, True, True, True, True)


@pytest.mark.parametrize(
    ("compatibility", "readout", "data"),
    [
        (Compatibility(), READOUT, DATA),
        (
            Compatibility(no_readout_bcc=True),
            b"0.0(4711)\r\n1.8.0(0001.5*kWh)\r\n!\r\n",
            DATA,
        ),
        (
            COMMA,
            checked(b"\x020.0(4711)\r\n1.8.0(0001,5*kWh)\r\n!\r\n\x03"),
            checked(b"\x021.8.0(0001,5*kWh)\x03"),
        ),
        (
            Compatibility(crlf_before_etx=True),
            READOUT,
            checked(b"\x021.8.0(0001.5*kWh)\r\n\x03"),
        ),
        (
            Compatibility(lf_line_ends=True),
            checked(b"\x020.0(4711)\n1.8.0(0001.5*kWh)\n!\n\x03"),
            DATA,
        ),
        (Compatibility(address_not_echoed=True), READOUT, checked(b"\x02(0001.5*kWh)\x03")),
        (ALL, b"0.0(4711)\n1.8.0(0001,5*kWh)\n!\n", None),
    ],
)
def test_compatibility_switches(
    compatibility: Compatibility, readout: bytes, data: bytes | None
) -> None:
    bench = PortBench(replace(SETTINGS, compatibility=compatibility))
    bench.say(REQUEST)
    assert bench.say(TO_READ_OUT) == readout
    bench.advance(3000)
    bench.say(REQUEST)
    bench.say(TO_PROGRAM)
    if data is not None:
        assert bench.say(R1) == data


def test_sum_check_both_ways() -> None:
    bench = PortBench(replace(SETTINGS, compatibility=Compatibility(CheckCharacter.SUM)))

    def summed(message: bytes) -> bytes:
        return message + bytes([sum(message[1:]) & 0x7F])

    assert bench.sign_on() == summed(P0[:-1])
    assert bench.say(R1) == NAK
    assert bench.say(summed(R1[:-1])) == summed(DATA[:-1])
    assert bench.say(summed(command("P1", "(wrong)")[:-1])) == summed(b"\x01B0\x03")
    bench.sign_on()
    assert bench.say(B0) == NAK
    assert bench.say(summed(b"\x01B0\x03"), 3000) == b""
    assert bench.port.state is MeterState.IDLE


def test_an_answer_is_the_longest_prefix_that_fits_and_in_blocks_all_of_it() -> None:
    many = DataSets(tuple(DataSet(f"{n:04}", "v" * 30) for n in range(200)))
    bench = PortBench(SETTINGS, host=replying(many))
    bench.sign_on()
    answer = bench.say(command("R1", "0000(C8)"), 3000)
    assert 1024 - 40 < len(answer) <= 1024
    assert answer.startswith(b"\x020000(vvv")
    text, said = b"", command("R3", "0000(C8)")
    while True:
        block = bench.say(said)
        assert len(block) <= 64 + 3
        text += block[1:-2]
        said = ACK
        if block[-2] == 0x03:
            break
    lines = text.split(b"\r\n")
    assert b"".join(lines) == "".join(map(str, many.data_sets)).encode()


@pytest.mark.parametrize(
    ("to", "reply"),
    [
        (IdentificationAsked, Identification("x" * 17)),
        (IdentificationAsked, Identification("a/b")),
        (IdentificationAsked, Granted()),
        (CommandGiven, ErrorText("(x)")),
        (CommandGiven, ErrorText("x" * 33)),
        (CommandGiven, DataSets((DataSet("1!", "2"),))),
        (CommandGiven, DataSets((DataSet("1" * 17, "2"),))),
        (CommandGiven, DataSets((DataSet("1", "\x03"),))),
        (CommandGiven, DataSets((DataSet("1", "x" * 129),))),
        (CommandGiven, DataSets((DataSet("1", "2", "k/h"),))),
        (CommandGiven, Block(())),
        (PasswordGiven, ErrorText("ER01")),
    ],
)
def test_what_cannot_be_said_is_refused_to_the_host(to: type, reply: MeterReply) -> None:
    bench = PortBench(SETTINGS, host=replying(reply, to))
    said = {IdentificationAsked: (REQUEST,), PasswordGiven: (REQUEST, TO_PROGRAM, P1)}.get(
        to, (REQUEST, TO_PROGRAM, R1)
    )
    for chars in said[:-1]:
        bench.say(chars)
    with pytest.raises(ValueError, match=r"\w"):
        bench.hear(said[-1])


def test_a_readout_value_has_32_characters_at_most() -> None:
    bench = PortBench(SETTINGS)
    bench.host = lambda request: (
        Block(((DataSet("1", "x" * 33),),))
        if type(request).__name__ == "ReadoutAsked"
        else host(request)
    )
    bench.say(REQUEST)
    with pytest.raises(ValueError, match="32"):
        bench.hear(TO_READ_OUT)


def test_an_unknown_request_is_refused_and_one_that_is_over_is_not() -> None:
    port = MeterPort(SETTINGS, paced=False)
    with pytest.raises(ValueError, match="no request 1"):
        port.answer(1, Operand(), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"flag": "VT1"},
        {"flag": "VTCX"},
        {"baud_identification": "!"},
        {"baud_identification": ""},
        {"addresses": ("1", "")},
        {"partial_block": 15},
        {"block_error": "(x)"},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        replace(SETTINGS, **wrong)  # type: ignore[arg-type]


def test_nothing_secret_is_in_a_repr(signed_on: PortBench) -> None:
    signed_on.say(command("P1", "(geheim)"))
    assert "geheim" not in repr(signed_on.events)
