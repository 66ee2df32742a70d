"""A hand-held unit on the line: timing, speeds, repeats, traps of IEC 62056-21, recorded meters."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bench_hhu import (
    ACK,
    B0,
    B1,
    BLOCK,
    DATA,
    ERROR,
    IDENTIFICATION,
    NAK,
    P0,
    PROGRAM,
    READ,
    READOUT,
    REQUEST,
    TO_PROGRAM,
    TO_PROGRAM_SLOWLY,
    TO_READ_OUT,
    HHUBench,
    damaged,
    part,
)
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import MS, S, Timing
from vtc07.carrier.exchange.events import (
    Accepted,
    BrokenOff,
    Data,
    ErrorAnswered,
    ExchangeFailed,
    ExchangeFailure,
    GivePassword,
    GiveResult,
    HHUCommand,
    Order,
    ProgrammingRefused,
    ReadOut,
    SignedOffFromMeter,
    SignedOn,
    SignOff,
    SignOn,
)
from vtc07.carrier.exchange.settings import (
    CheckCharacter,
    Compatibility,
    Purpose,
    WakeUp,
)
from vtc07.carrier.messages import DataSet, close

SECRET = "secret"


# --- sign-on --------------------------------------------------------------------------------------


def read_out(bench: HHUBench, identification: bytes, *, speed: int | None = None) -> bytes:
    """Sign on for a readout and return the option select."""
    bench.start(SignOn(speed=speed))
    bench.hear(identification)
    return bench.until_it_speaks()


@pytest.mark.parametrize("paced", [True, False], ids=["serial", "TCP"])
def test_sign_on_at_300_and_the_readout_at_the_speed_of_z(paced: bool) -> None:
    bench = HHUBench(paced=paced)
    option = read_out(bench, IDENTIFICATION)
    assert (bench.sent[0][1:], option) == ((300, REQUEST), TO_READ_OUT)
    (sent_ms, speed, _) = bench.sent[-1]
    assert speed == 300
    bench.hear(READOUT, 600)
    changed_ms = next(ms for ms, speed in bench.told if speed == 9600)
    assert changed_ms - sent_ms == (200 if paced else 0)  # six characters at 300 Bd
    assert isinstance(bench.last, ReadOut)
    assert (bench.last.chars, bench.last.speed, bench.speed) == (BLOCK, 9600, 300)


def test_the_reaction_time_of_the_meter_is_kept() -> None:
    bench = HHUBench()
    read_out(bench, IDENTIFICATION)
    assert bench.sent[-1][0] - (1_000 + 250) == 200
    bench = HHUBench()
    read_out(bench, b"/VTc5TEST1\r\n")
    assert bench.sent[-1][0] - (1_000 + 250) == 20


def test_third_letter_lower_case_holds_for_commands_too() -> None:
    bench = HHUBench()
    bench.sign_on(b"/VTc5TEST1\r\n")
    bench.hhu.heed(bench.now_ns)
    at = bench.now_ns // MS
    bench.order(READ)
    assert bench.sent[-1][0] - at == 20


@pytest.mark.parametrize(
    ("z", "speed"), [("0", 300), ("4", 4800), ("6", 19200), ("7", 38400), ("9", 115200)]
)
def test_mode_c_speeds(z: str, speed: int) -> None:
    bench = HHUBench()
    assert read_out(bench, f"/VTC{z}TEST\r\n".encode()) == f"\x060{z}0\r\n".encode()
    bench.hear(READOUT)
    assert isinstance(bench.last, ReadOut)
    assert bench.last.speed == speed


@pytest.mark.parametrize(
    ("wanted", "z"), [(300, "0"), (2400, "3"), (4000, "3"), (9600, "5"), (19200, "5"), (50, "0")]
)
def test_a_slower_speed_than_the_meters_is_asked_for(wanted: int, z: str) -> None:
    bench = HHUBench()
    assert read_out(bench, IDENTIFICATION, speed=wanted) == f"\x060{z}0\r\n".encode()


@pytest.mark.parametrize(("z", "speed"), [("A", 600), ("F", 19200), (" ", 300), ("x", 300)])
def test_modes_a_and_b_send_the_readout_unasked(z: str, speed: int) -> None:
    bench = HHUBench()
    bench.start(SignOn())
    bench.hear(f"/KAM{z}MC\r\n".encode())
    assert bench.speed == speed
    bench.hear(BLOCK, 1_400)
    assert bench.said == [REQUEST]
    assert isinstance(bench.last, ReadOut)
    assert (bench.last.chars, bench.last.checked, bench.last.speed) == (BLOCK, False, speed)
    assert bench.speed == 300


def test_programming_mode_in_modes_a_and_b_is_a_command_after_the_readout() -> None:
    bench = HHUBench()
    bench.start(PROGRAM)
    bench.hear(b"/KAMBMC\r\n")
    bench.hear(BLOCK, 500)
    assert bench.reported() == SignedOn(bench.last.identity, "", 300)  # type: ignore[union-attr]
    assert bench.order(READ) == close(b"\x01R1\x021.8.0()")
    assert bench.sent[-1][1] == 300
    bench.hear(DATA)
    assert bench.data().chars == DATA[1:-2]


def test_mode_e_is_recognised_and_answered_as_mode_c() -> None:
    bench = HHUBench()
    bench.start(PROGRAM)
    bench.hear(b"/APA5\\2NORAX30\r\n")
    assert bench.until_it_speaks() == TO_PROGRAM
    bench.hear(P0)
    assert isinstance(bench.last, SignedOn)
    assert bench.last.identity.has_mode_e


def test_wrong_z_readout_in_place_of_p0_and_once_more_with_z_0() -> None:
    bench = HHUBench()
    bench.start(PROGRAM)
    bench.hear(IDENTIFICATION)
    assert bench.until_it_speaks() == TO_PROGRAM
    bench.hear(READOUT)
    assert bench.until_it_speaks() == REQUEST
    bench.hear(IDENTIFICATION)
    assert bench.until_it_speaks() == TO_PROGRAM_SLOWLY
    bench.hear(P0)
    assert isinstance(bench.last, SignedOn)
    assert bench.speed == 300


def test_programming_mode_refused() -> None:
    bench = HHUBench()
    bench.start(PROGRAM)
    for _ in range(2):
        bench.hear(IDENTIFICATION)
        bench.until_it_speaks()
        bench.hear(READOUT)
        bench.until_it_speaks(1_000)
    assert isinstance(bench.last, ProgrammingRefused)
    assert bench.last.chars == BLOCK
    bench.advance(200_000)
    assert len(bench.sent) == 4
    assert not bench.hhu.signed_on


def test_the_last_attempt_at_p0_stays_at_300() -> None:
    """At a speed that one of both cannot do, nothing is heard but noise."""
    bench = HHUBench()
    bench.start(PROGRAM)
    for _ in range(2):
        bench.hear(IDENTIFICATION)
        assert bench.until_it_speaks() == TO_PROGRAM
        bench.hear(b"\xff\x00\xffx\xff", 300)
        assert bench.until_it_speaks() == B0
        assert bench.sent[-1][1] == 9600
        left_ms = bench.sent[-1][0]
        assert bench.until_it_speaks() == REQUEST
        assert bench.sent[-1][0] - left_ms == 1_500
    bench.hear(IDENTIFICATION)
    assert bench.until_it_speaks() == TO_PROGRAM_SLOWLY
    bench.hear(P0)
    assert isinstance(bench.last, SignedOn)


def test_after_a_session_that_may_be_open_b0_at_its_speed_then_sign_on_at_300() -> None:
    bench = HHUBench(paced=True)
    bench.sign_on()
    bench.order(READ)
    bench.lose()
    assert isinstance(bench.last, ExchangeFailed)
    bench.advance(1_000)
    before = len(bench.sent)
    bench.start(PROGRAM)
    bench.hear(IDENTIFICATION, 3_000)
    assert [(speed, chars) for _, speed, chars in bench.sent[before:]] == [
        (9600, B0),
        (300, REQUEST),
    ]
    # five characters at 9600 Bd, and 1.5 s from the last of them
    assert 1_505 <= bench.sent[-1][0] - bench.sent[-2][0] <= 1_506


def test_three_requests_2_s_after_silence_and_no_more() -> None:
    bench = HHUBench(paced=True)
    bench.start(PROGRAM)
    bench.advance(60_000)
    first, second, third = (ms for ms, _, _ in bench.sent)
    sent_ms = 5 * 10_000 / 300
    assert second - first == pytest.approx(2_000 + sent_ms, abs=2)
    assert third - second == pytest.approx(2_000 + sent_ms, abs=2)
    assert bench.events == [ExchangeFailed(PROGRAM, ExchangeFailure.NO_ANSWER, 3)]


def test_a_meter_that_wants_silence_before_a_request_has_it() -> None:
    bench = HHUBench(silence_ms=400)
    bench.start(SignOn())
    bench.advance(399)
    assert bench.sent == []
    bench.advance(1)
    assert bench.said == [REQUEST]


def test_the_readout_of_t_t_is_heard_to_its_end_before_the_next_request() -> None:
    """The identification was lost, so the meter goes on with the readout at 300 Bd."""
    bench = HHUBench(paced=True)
    bench.start(PROGRAM)
    for char in READOUT:
        bench.hear(bytes([char]), 1_000 if char == 0x02 else 33)
    heard_ms = bench.now_ns // MS
    assert bench.until_it_speaks() == REQUEST
    assert bench.sent[-1][0] - heard_ms >= 200


def test_a_line_that_babbles_does_not_hold_a_unit_for_ever() -> None:
    bench = HHUBench(timing=Timing(attempts=1), longest=1_000)
    bench.start(SignOn())
    for _ in range(3_000):
        bench.hear(b"x", 100)
        if bench.events:
            break
    assert isinstance(bench.last, ExchangeFailed)


# --- readout --------------------------------------------------------------------------------------


def test_nak_for_a_readout() -> None:
    bench = HHUBench(naks=2)
    read_out(bench, IDENTIFICATION)
    for _ in range(2):
        bench.hear(damaged(READOUT))
        assert bench.until_it_speaks() == NAK
        assert bench.sent[-1][1] == 9600
    bench.hear(READOUT)
    assert isinstance(bench.last, ReadOut)


def test_a_readout_damaged_too_often_is_a_failure() -> None:
    bench = HHUBench(naks=1)
    read_out(bench, IDENTIFICATION)
    for _ in range(2):
        bench.hear(damaged(READOUT))
        bench.until_it_speaks(3_000)
    assert bench.reported() == ExchangeFailed(SignOn(), ExchangeFailure.DAMAGED, 1)
    assert (bench.said[-1], bench.speed) == (NAK, 300)


def test_a_readout_that_stops_is_asked_for_again() -> None:
    bench = HHUBench()
    read_out(bench, IDENTIFICATION)
    bench.hear(READOUT[:20])
    bench.advance(1_499)
    assert bench.said[-1] == TO_READ_OUT
    bench.advance(1)
    assert bench.said[-1] == NAK


def test_empty_readout() -> None:
    bench = HHUBench()
    read_out(bench, IDENTIFICATION)
    bench.hear(b"\x02!\r\n\x03\x25")
    assert isinstance(bench.last, ReadOut)
    assert (bench.last.chars, bench.last.checked) == (b"!\r\n", True)


def test_readout_without_bcc() -> None:
    bench = HHUBench()
    read_out(bench, IDENTIFICATION)
    bench.hear(BLOCK)
    assert isinstance(bench.last, ReadOut)
    assert (bench.last.chars, bench.last.checked) == (BLOCK, False)


def test_readout_with_stx_and_without_bcc_by_its_switch() -> None:
    bench = HHUBench(compatibility=Compatibility(no_readout_bcc=True))
    read_out(bench, IDENTIFICATION)
    bench.hear(b"\x02" + BLOCK)
    assert isinstance(bench.last, ReadOut)
    assert (bench.last.chars, bench.last.checked) == (BLOCK, False)


def test_a_readout_that_ends_with_its_exclamation_mark() -> None:
    bench = HHUBench()
    read_out(bench, IDENTIFICATION)
    bench.hear(BLOCK.rstrip())
    bench.advance(1_500)
    assert isinstance(bench.last, ReadOut)
    assert bench.last.chars == BLOCK.rstrip()


def test_bcc_equal_to_a_control_character() -> None:
    """A readout whose BCC is CR, and data whose BCC is ETX or NAK."""
    found = set()
    for value in range(200):
        block = b"0.0(%d)\r\n!\r\n" % value
        readout = close(b"\x02" + block)
        if readout[-1] in (0x01, 0x02, 0x03, 0x06, 0x0D, 0x15, 0x2F):
            bench = HHUBench()
            read_out(bench, IDENTIFICATION)
            for char in readout:
                bench.hear(bytes([char]), 0 if char == 2 else 2)
            assert isinstance(bench.last, ReadOut), readout
            found.add(readout[-1])
    assert found


# --- traps of section 11 that are a unit's --------------------------------------------------------


def test_stx_inside_a_soh_frame_belongs_to_the_bcc() -> None:
    bench = HHUBench()
    bench.sign_on()
    assert bench.order(GivePassword("00000000"))[-1] == 0x61
    bench.hear(ACK)
    assert bench.reported() == Accepted()


@pytest.mark.parametrize("paced", [True, False], ids=["while it is sent", "afterwards"])
def test_echo_of_our_own_bytes(paced: bool) -> None:
    """From cheap optical heads, in every step of a session."""
    bench = HHUBench(paced=paced)

    def answered(answer: bytes) -> None:
        at_ms, speed, said = bench.sent[-1]
        chars_ms = 10_000 / speed if paced else 0.0
        for place, char in enumerate(said, 1):
            bench.advance(max(0, int(at_ms + place * chars_ms + 1) - bench.now_ns // MS))
            bench.hear(bytes([char]), 0)
        bench.hear(answer, 300)

    bench.start(PROGRAM)
    answered(IDENTIFICATION)
    assert bench.until_it_speaks() == TO_PROGRAM
    answered(P0)
    assert isinstance(bench.last, SignedOn)
    for command, answer, event in (
        (GivePassword(SECRET), ACK, Accepted()),
        (READ, ERROR, ErrorAnswered("ER04")),
        (Order("W1", "C.1(1)"), ACK, Accepted()),
    ):
        bench.advance(300)
        bench.order(command)
        answered(answer)
        assert bench.reported() == event
    bench.advance(300)
    bench.order(READ)
    answered(damaged(DATA))
    assert bench.until_it_speaks() == NAK
    answered(part(b"1.8.0(1)"))
    assert bench.until_it_speaks() == ACK
    answered(part(b"(2)", more=False))
    assert bench.data().chars == b"1.8.0(1)(2)"
    assert bench.said.count(close(b"\x01R1\x021.8.0()")) == 2  # no echo was taken for an answer


def test_a_line_that_is_in_use_is_not_spoken_into() -> None:
    bench = HHUBench()
    bench.sign_on()
    bench.hear(b"x", 0)
    bench.start(READ)
    for _ in range(4):
        bench.hear(b"x", 150)
    assert len(bench.said) == 2
    heard_ms = bench.now_ns // MS
    assert bench.until_it_speaks() == close(b"\x01R1\x021.8.0()")
    assert bench.sent[-1][0] - heard_ms == 200


def test_a_command_whose_bcc_is_ack_is_not_answered_by_its_echo() -> None:
    bench = HHUBench()
    bench.sign_on()
    for number in range(1_000):
        order = Order("W1", f"C.1({number})")
        if close(f"\x01W1\x02C.1({number})".encode())[-1] == 0x06:
            break
    said = bench.order(order)
    assert said[-1] == 0x06
    bench.hear(said, 1)
    assert len(bench.events) == 1
    bench.hear(ERROR)
    assert bench.reported() == ErrorAnswered("ER04")


def test_an_answer_that_begins_as_our_own_message_is_no_echo() -> None:
    """B0 after P1 begins with SOH, an identification with `/`, and a damaged one counts."""
    bench = HHUBench()
    bench.sign_on()
    bench.order(GivePassword(SECRET))
    bench.hear(B0[:1])
    bench.hear(B0[1:], 5)
    assert bench.reported() == BrokenOff()
    bench = HHUBench()
    bench.start(SignOn())
    bench.hear(b"/\xffTC5TEST1\r\n")
    assert bench.until_it_speaks() == REQUEST


def test_noise_before_the_slash() -> None:
    bench = HHUBench()
    assert read_out(bench, b"\x7f\x00\xff\x00" + IDENTIFICATION) == TO_READ_OUT


def test_slash_inside_an_identification() -> None:
    bench = HHUBench()
    bench.start(PROGRAM)
    bench.hear(b"/LGZ5ZMD/120AP.B32\r\n")
    assert bench.until_it_speaks() == TO_PROGRAM


def test_backslash_followed_by_a_letter_that_is_not_a_mode() -> None:
    bench = HHUBench()
    bench.start(PROGRAM)
    bench.hear(b"/ISk5\\MT382-1003\r\n")
    assert bench.until_it_speaks() == TO_PROGRAM
    bench.hear(P0)
    assert isinstance(bench.last, SignedOn)
    assert not bench.last.identity.has_mode_e


def test_z_is_a_space() -> None:
    bench = HHUBench()
    bench.start(SignOn())
    bench.hear(b"/KAM MC\r\n")
    bench.hear(BLOCK)
    assert isinstance(bench.last, ReadOut)
    assert bench.last.identity.baud_identification == " "


def test_identification_error_restarts() -> None:
    bench = HHUBench()
    bench.start(SignOn())
    bench.hear(damaged(IDENTIFICATION))
    heard_ms = bench.now_ns // MS
    assert bench.until_it_speaks() == REQUEST
    assert bench.sent[-1][0] - heard_ms == 200  # well before t_t is over at the meter


def test_p0_error_is_answered_with_b0() -> None:
    bench = HHUBench()
    bench.start(PROGRAM)
    bench.hear(IDENTIFICATION)
    bench.until_it_speaks()
    bench.hear(damaged(P0))
    assert bench.until_it_speaks() == B0
    assert bench.sent[-1][1] == 9600
    assert bench.until_it_speaks() == REQUEST


def test_b0_of_the_meter_ends_the_session() -> None:
    bench = HHUBench()
    bench.sign_on()
    bench.order(READ)
    bench.hear(B0)
    assert bench.reported() == BrokenOff()
    assert (bench.speed, bench.hhu.signed_on) == (300, False)
    bench.start(READ)
    assert bench.reported() == ExchangeFailed(READ, ExchangeFailure.NOT_SIGNED_ON, 0)


def test_password_wrong_is_b0() -> None:
    bench = HHUBench()
    bench.sign_on()
    bench.order(GivePassword("wrong"))
    bench.hear(B0)
    assert bench.reported() == BrokenOff()
    bench.advance(60_000)
    assert len([chars for chars in bench.said if b"P1" in chars]) == 1


def test_result_of_the_secure_algorithm() -> None:
    bench = HHUBench()
    bench.sign_on()
    assert bench.order(GiveResult("1174")) == close(b"\x01P2\x02(1174)")
    bench.hear(ACK)
    assert bench.reported() == Accepted()


def test_partial_block_naked_first_and_last() -> None:
    """Figure 21: a read of 93 locations, of which the first and the last block are damaged."""
    bench = HHUBench()
    bench.sign_on()
    assert bench.order(Order("R3", "0000(93)")) == close(b"\x01R3\x020000(93)")
    blocks = [
        part(b"0000(0123456789ABCDEF)"),
        part(b"(FEDCBA9876543210)"),
        part(b"(AB)", more=False),
    ]
    assert blocks[0][-1] == 0x03  # the BCC is a control character
    for place, block in enumerate(blocks):
        if place != 1:
            bench.hear(damaged(block))
            assert bench.until_it_speaks() == NAK
        bench.hear(block)
        if place < 2:
            assert bench.until_it_speaks() == ACK
    assert bench.reported() == Data(
        b"0000(0123456789ABCDEF)(FEDCBA9876543210)(AB)",
        (DataSet("0000", "0123456789ABCDEF"), DataSet("", "FEDCBA9876543210"), DataSet("", "AB")),
    )


def test_an_ack_that_became_a_nak_doubles_no_block() -> None:
    bench = HHUBench()
    bench.sign_on()
    bench.order(Order("R6", "P.01()"))
    bench.hear(part(b"P.01(1)"))
    assert bench.until_it_speaks() == ACK
    bench.hear(part(b"P.01(1)"))  # the meter took it for a NAK
    assert bench.until_it_speaks() == close(b"\x01R6\x02P.01()")
    bench.hear(part(b"P.01(1)"))
    assert bench.until_it_speaks() == ACK
    bench.hear(part(b"(2)", more=False))
    assert bench.data().chars == b"P.01(1)(2)"


def test_blocks_that_are_alike_are_taken_all_the_same() -> None:
    bench = HHUBench()
    bench.sign_on()
    order = close(b"\x01R6\x02P.01()")
    bench.order(Order("R6", "P.01()"))
    for _ in range(2):
        bench.hear(part(b"(0)"))
        assert bench.until_it_speaks() == ACK
        bench.hear(part(b"(0)"))
        if bench.until_it_speaks() == order:
            continue
        assert bench.said[-1] == ACK
    bench.hear(part(b"(1)", more=False))
    assert bench.data().chars == b"(0)(0)(1)"


def test_an_answer_without_end_is_not_kept_without_end() -> None:
    bench = HHUBench(longest=100)
    bench.sign_on()
    order = Order("R6", "P.01()")
    bench.order(order)
    for number in range(60):
        if not bench.hhu.busy:
            break
        bench.hear(part(b"(%030d)" % number))
        bench.until_it_speaks(1_000)
        assert bench.hhu.held <= 200
    assert bench.reported() == ExchangeFailed(order, ExchangeFailure.NO_ANSWER, 3)


def test_a_partial_write_repeats_the_damaged_block_only() -> None:
    bench = HHUBench()
    bench.sign_on()
    first = bench.order(Order("W3", "C.1(0123456789)", block=4))
    assert first == b"\x01W3\x02C.1(0123)\x04" + first[-1:]
    bench.hear(ACK)
    second = bench.until_it_speaks()
    assert second == b"\x01W3\x02(4567)\x04" + second[-1:]
    bench.hear(NAK)
    assert bench.until_it_speaks() == second
    bench.hear(ACK)
    assert bench.until_it_speaks() == close(b"\x01W3\x02(89)")
    bench.hear(ACK)
    assert bench.reported() == Accepted()


def test_a_partial_write_that_meets_only_silence_ends() -> None:
    bench = HHUBench()
    bench.sign_on()
    order = Order("W3", "C.1(0123456789)", block=4)
    bench.order(order)
    for _ in range(10):
        if not bench.hhu.busy:
            break
        bench.hear(ACK)  # the first block always arrives, the second never
        bench.until_it_speaks()
        bench.until_it_speaks()
    assert bench.reported() == ExchangeFailed(order, ExchangeFailure.NO_ANSWER, 1)
    assert bench.said.count(b"\x01W3\x02C.1(0123)\x04" + bench.said[2][-1:]) == 3


def test_an_error_message_leaves_the_session_usable() -> None:
    bench = HHUBench()
    bench.sign_on()
    bench.order(READ)
    bench.hear(ERROR)
    assert bench.reported() == ErrorAnswered("ER04")
    bench.advance(300)
    bench.order(READ)
    bench.hear(DATA)
    assert bench.data().data_sets == (DataSet("1.8.0", "0001.5", "kWh"),)


def test_nak_repeats_the_command_and_three_are_enough() -> None:
    bench = HHUBench()
    bench.sign_on()
    bench.order(READ)
    for _ in range(3):
        bench.hear(NAK)
        bench.until_it_speaks(1_000)
    assert bench.reported() == ExchangeFailed(READ, ExchangeFailure.REFUSED_BY_NAK, 3)
    assert bench.said.count(close(b"\x01R1\x021.8.0()")) == 3


def test_a_command_that_must_not_be_done_twice_is_said_once() -> None:
    order = Order("W1", "000F(56493153725450313471)", once=True)
    for heard, failure in (
        (NAK, ExchangeFailure.REFUSED_BY_NAK),
        (b"", ExchangeFailure.NO_ANSWER),
    ):
        bench = HHUBench()
        bench.sign_on()
        said = bench.order(order)
        bench.hear(heard)
        bench.advance(60_000)
        assert bench.reported() == ExchangeFailed(order, failure, 1)
        assert bench.said.count(said) == 1


def test_a_damaged_single_character_gets_no_nak() -> None:
    bench = HHUBench()
    bench.sign_on()
    bench.order(Order("W1", "C.1(1)"))
    bench.hear(b"\x02")  # an ACK, two bits of which were turned
    bench.advance(1_700)
    assert bench.said[-1] != NAK
    assert bench.until_it_speaks() == close(b"\x01W1\x02C.1(1)")


def test_answers_with_crlf_before_etx() -> None:
    bench = HHUBench()
    bench.sign_on()
    bench.order(READ)
    bench.hear(close(b"\x02VOLTA(237.58)\r\n"))
    assert bench.data().data_sets == (DataSet("VOLTA", "237.58"),)


def test_answers_without_echoed_address() -> None:
    bench = HHUBench(compatibility=Compatibility(address_not_echoed=True))
    bench.sign_on()
    bench.order(READ)
    bench.hear(close(b"\x02(237.58)"))
    assert bench.data().data_sets == (DataSet("", "237.58"),)
    bench.advance(300)
    bench.order(READ)
    bench.hear(ERROR)
    assert bench.reported() == ErrorAnswered("ER04")


def test_what_is_dropped_and_the_answer_in_one_piece() -> None:
    bench = HHUBench()
    bench.sign_on()
    bench.order(READ)
    bench.hear(P0 + DATA)
    assert bench.data().chars == DATA[1:-2]


def test_an_answer_and_what_comes_behind_it_in_one_piece() -> None:
    bench = HHUBench()
    bench.sign_on()
    bench.order(READ)
    known = len(bench.events)
    bench.hear(DATA + ACK + B0 + DATA)
    assert len(bench.events) == known + 1
    assert bench.hhu.signed_on
    bench.advance(300)
    bench.order(READ)  # nothing of it is taken for the next answer
    bench.hear(DATA)
    assert len(bench.events) == known + 2


def test_a_failure_says_what_happened_to_its_own_command() -> None:
    bench = HHUBench()
    bench.sign_on()
    bench.order(READ)
    for _ in range(12):
        bench.hear(damaged(DATA))
        bench.until_it_speaks(1_000)
    assert bench.reported() == ExchangeFailed(READ, ExchangeFailure.DAMAGED, 3)
    bench.start(READ)
    bench.advance(30_000)
    assert bench.reported() == ExchangeFailed(READ, ExchangeFailure.NO_ANSWER, 3)


def test_a_value_of_128_characters() -> None:
    value = "0123456789ABCDEF" * 8
    bench = HHUBench()
    bench.sign_on()
    bench.order(READ)
    bench.hear(close(f"\x021.8.0({value})".encode()))
    assert bench.data().data_sets == (DataSet("1.8.0", value),)


def test_what_no_message_can_hold() -> None:
    bench = HHUBench()
    bench.sign_on()
    refused: list[HHUCommand] = [
        GivePassword("a(b"),
        GiveResult("a\x03"),
        Order("R", "1()"),
        Order("R1", "\x03"),
        Order("W3", "no data set", block=3),
        Order("W3", "C.1(1)", block=-1),
    ]
    for command in refused:
        with pytest.raises(ValueError, match=r"\w") as raised:
            bench.hhu.start(command, bench.now_ns)
        assert "a(b" not in str(raised.value)
        assert not bench.hhu.busy


# --- wake-up --------------------------------------------------------------------------------------


@pytest.mark.parametrize("paced", [True, False], ids=["serial", "TCP"])
def test_normal_wake_up(paced: bool) -> None:
    bench = HHUBench(wake_up=WakeUp.NORMAL, paced=paced)
    bench.start(PROGRAM)
    request = bench.until_it_speaks()
    ((woken_ms, speed, nuls), (asked_ms, _, _)) = bench.sent
    assert (request, speed, set(nuls)) == (REQUEST, 300, {0})
    assert 63 <= len(nuls) <= 69
    assert 1_500 <= asked_ms - woken_ms - len(nuls) * 10_000 / 300 <= 1_700


@pytest.mark.parametrize("paced", [True, False], ids=["serial", "TCP"])
def test_fast_wake_up(paced: bool) -> None:
    bench = HHUBench(wake_up=WakeUp.FAST, paced=paced)
    bench.start(PROGRAM)
    bursts = [bench.sent[-1]]
    for _ in range(3):
        assert not bench.until_it_speaks().strip(b"\x00")
        bursts.append(bench.sent[-1])
    for (ms, _, nuls), (next_ms, _, _) in pairwise(bursts):
        burst_ms = len(nuls) * 10_000 / 300
        assert 500 <= burst_ms <= 600
        assert 20 <= next_ms - ms - burst_ms - 2 * 10_000 / 300 <= 41
    bench.hear(ACK, 580)
    woken_ms = bench.now_ns // MS
    assert bench.until_it_speaks() == REQUEST
    assert 200 <= bench.sent[-1][0] - woken_ms <= 1_500
    bench.hear(IDENTIFICATION)
    bench.until_it_speaks()
    bench.hear(P0)
    bench.advance(300)
    assert bench.order(SignOff()) == B1
    bench.advance(100)
    assert bench.hhu.busy  # the meter acknowledges B1 before it leaves
    bench.hear(ACK)
    assert bench.reported() == SignedOffFromMeter(acknowledged=True)


def test_fast_wake_up_of_a_meter_that_does_not_answer_goes_on_for_4500_ms() -> None:
    bench = HHUBench(wake_up=WakeUp.FAST, timing=Timing(attempts=1))
    bench.start(PROGRAM)
    bench.advance(20_000)
    *bursts, (asked_ms, _, asked) = bench.sent
    assert asked == REQUEST
    assert 4_500 <= asked_ms - bursts[0][0] <= 5_500
    assert isinstance(bench.last, ExchangeFailed)


def test_b1_without_ack_is_said_three_times_and_reported() -> None:
    bench = HHUBench()
    bench.sign_on()
    bench.order(SignOff(after_fast_wake_up=True))
    bench.advance(60_000)
    assert bench.said.count(B1) == 3
    assert bench.reported() == SignedOffFromMeter(acknowledged=False)
    assert bench.speed == 300


def test_b1_after_the_readout_of_a_meter_woken_fast() -> None:
    bench = HHUBench(wake_up=WakeUp.FAST)
    bench.start(SignOn())
    bench.hear(ACK, 560)
    bench.until_it_speaks()
    bench.hear(IDENTIFICATION)
    bench.until_it_speaks()
    bench.hear(READOUT)
    assert isinstance(bench.last, ReadOut)
    assert bench.order(SignOff()) == B1
    assert bench.sent[-1][1] == 300


# --- recorded meters ------------------------------------------------------------------------------


def _recorded(shared: Path, number: str) -> list[tuple[bool, bytes]]:
    """Return a recorded session: whether the unit said it, and the characters."""
    (path,) = (shared / "telegrams").glob(f"{number}_*.session.json")
    steps: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return [(step["from"] == "HHU", bytes.fromhex(step["hex"])) for step in steps]


def _replay(bench: HHUBench, session: list[tuple[bool, bytes]], commands: list[HHUCommand]) -> None:
    """Feed in the meter's characters; the unit's must be those recorded, one by one."""
    left = iter(commands)
    for ours, chars in session:
        if not ours:
            bench.hear(chars)
            continue
        if not bench.hhu.busy:
            bench.advance(300)
            bench.start(next(left))
        if not bench.sent or bench.said[-1] != chars:
            bench.until_it_speaks()
        assert bench.said[-1] == chars
    assert next(left, None) is None


def test_recording_18_neva(shared: Path) -> None:
    bench = HHUBench()
    sign_on = SignOn("00000201", Purpose.PROGRAMMING)
    _replay(bench, _recorded(shared, "18"), [sign_on, GivePassword("00000000")])
    assert isinstance(bench.events[0], SignedOn)
    assert bench.events[0].operand == "00000000"
    assert bench.reported() == Accepted()


def test_recording_20_energomera(shared: Path) -> None:
    compatibility = Compatibility(check=CheckCharacter.SUM, crlf_before_etx=True)
    bench = HHUBench(compatibility=compatibility, silence_ms=100)
    reads = [Order("R1", f"{name}()") for name in ("CURRE", "FREQU", "VOLTA", "ET0PE")]
    sign_on = SignOn("141628345", Purpose.PROGRAMMING)
    _replay(bench, _recorded(shared, "20"), [sign_on, GivePassword("777777"), *reads])
    *_, current, frequency, voltage, energy = bench.events
    assert isinstance(current, Data)
    assert current.data_sets == (DataSet("CURRE", "0.402"),)
    assert isinstance(frequency, Data)
    assert frequency.data_sets[0].value == "49.97"
    assert isinstance(voltage, Data)
    assert voltage.data_sets[0].value == "237.58"
    assert isinstance(energy, Data)
    values = [data_set.value for data_set in energy.data_sets]
    assert values == ["68.42", "45.54", "22.88", "0.00", "0.00", "0.00"]
    assert [data_set.address for data_set in energy.data_sets] == ["ET0PE"] + [""] * 5


def test_recording_25_apator_is_answered_as_mode_c(shared: Path) -> None:
    """The recorded client asked for V = 2 and Y = 6 and got a readout; this one asks as mode C."""
    (_, request), (_, identification), _ = _recorded(shared, "25")
    bench = HHUBench()
    bench.start(PROGRAM)
    assert bench.said == [request]
    bench.hear(identification)
    assert bench.until_it_speaks() == TO_PROGRAM


def test_recording_26_pozyton(shared: Path) -> None:
    bench = HHUBench()
    _replay(bench, _recorded(shared, "26"), [SignOn("035 0000101", Purpose.PROGRAMMING)])
    assert bench.hhu.state.value == "awaiting P0"


def test_recording_29_lis_200(shared: Path) -> None:
    """A formatted write, and the answer to a read whose request was not recorded."""
    *written, (_, answer) = _recorded(shared, "29")
    bench = HHUBench()
    bench.sign_on()
    bench.advance(300)
    _replay(bench, written, [Order("W2", "C003(910324092239)")])
    assert bench.reported() == Accepted()
    bench.advance(300)
    bench.order(Order("R1", "3:171.0(1)"))
    bench.hear(answer)
    assert bench.data().data_sets == (DataSet("3:171.0", "0"),)


@pytest.mark.parametrize("number", ["10", "12", "13", "15", "21", "23", "28"])
def test_recorded_readouts_are_taken_whole(shared: Path, number: str) -> None:
    """Whatever a meter sends after its identification; echoes, LF LF and missing ends included."""
    (path,) = (shared / "telegrams").glob(f"{number}_*.bin")
    chars = bytes(char & 0x7F for char in path.read_bytes())
    begin = chars.index(b"/", 1) if chars.startswith(b"/?") else chars.index(b"/")
    identification, end, block = chars[begin:].partition(b"\n")
    bench = HHUBench(compatibility=Compatibility(no_readout_bcc=True))
    bench.start(SignOn())
    bench.hear(chars[:begin] + identification + end)
    if bench.hhu.state.value == "sending the option select":
        bench.until_it_speaks()
    bench.hear(block)
    bench.advance(10_000)
    assert bench.events, bench.hhu.state
    assert isinstance(bench.last, ReadOut), bench.last
    assert len(bench.last.chars) >= len(block.strip(b"\r\n\x02\x03")) - 6


# --- whatever comes -------------------------------------------------------------------------------

PIECES = st.one_of(
    st.sampled_from(
        [ACK, NAK, B0, P0, DATA, ERROR, READOUT, IDENTIFICATION, part(b"1(1)"), damaged(DATA)]
    ),
    st.binary(max_size=12),
)
SEGMENTS = st.lists(PIECES, max_size=3).map(b"".join)  # several messages may come in one piece
COMMANDS = st.sampled_from(
    [PROGRAM, SignOn(), READ, GivePassword("x"), SignOff(), Order("W3", "a(0123)", block=2)]
)


@given(
    st.lists(st.tuples(COMMANDS, st.lists(st.tuples(SEGMENTS, st.integers(0, 2_500)), max_size=6))),
    st.sampled_from(list(WakeUp)),
)
def test_every_command_ends_in_one_event_whatever_is_heard(
    script: list[tuple[HHUCommand, list[tuple[bytes, int]]]], wake_up: WakeUp
) -> None:
    bench = HHUBench(wake_up=wake_up)
    for count, (command, heard) in enumerate(script, 1):
        bench.start(command)
        for chars, after_ms in heard:
            bench.hear(bytes(0xFF if char > 0x7F else char for char in chars), after_ms)
        while bench.hhu.busy:
            bench.advance(5_000)
        assert len(bench.events) == count
        assert bench.hhu.line.speed == bench.speed
        assert bench.hhu.signed_on or bench.speed == 300


def test_a_broken_loop_is_no_answer_within_half_an_hour() -> None:
    """NULs for ever: no message begins with them, so the longest message is not awaited."""
    bench = HHUBench()
    began = bench.now_ns
    bench.start(SignOn())
    while bench.hhu.busy and bench.now_ns - began < 7200 * S:
        bench.hear(b"\x00", after_ms=150)
    failed = bench.reported()
    assert isinstance(failed, ExchangeFailed)
    assert failed.failure is ExchangeFailure.NO_ANSWER
    assert bench.now_ns - began <= 1800 * S


def test_a_long_readout_at_the_slowest_speed_is_heard_to_its_end() -> None:
    """It takes longer than noise alone may, and is no noise."""
    bench = HHUBench(paced=True)
    bench.start(SignOn())
    bench.advance(1000)
    bench.hear(b"/VTC0TEST1\r\n")
    bench.until_it_speaks()
    rows = b"1.8.0(0001.5*kWh)\r\n" * 1000
    readout = close(b"\x02" + rows + b"!\r\n")
    for at in range(0, len(readout), 30):
        bench.hear(readout[at : at + 30], after_ms=1000)
    read = bench.reported()
    assert isinstance(read, ReadOut)
    assert read.chars == rows + b"!\r\n"
