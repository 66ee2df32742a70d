"""The traps of IEC 62056-21 in the field that a meter's port can fall into, each by its name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench_meter_port import (
    ACK,
    B0,
    BLOCKS,
    DATA,
    IDENTIFICATION,
    NAK,
    P0,
    R1,
    READOUT,
    REQUEST,
    SETTINGS,
    TO_PROGRAM,
    TO_READ_OUT,
    PortBench,
    checked,
    command,
    host,
    signed_on,
)

from vtc07.carrier.exchange.events import (
    Block,
    CommandGiven,
    DataSets,
    Identification,
    IdentificationAsked,
    MeterReply,
    MeterRequest,
    ReadoutAsked,
)
from vtc07.carrier.exchange.meter_states import MeterState
from vtc07.carrier.exchange.settings import Compatibility
from vtc07.carrier.messages import DataSet

__all__ = ["signed_on"]


def with_check(value: int) -> bytes:
    """Return a read whose check character is this one."""
    for first in range(0x20, 0x7F):
        for second in range(0x20, 0x7F):
            address = bytes((first, second)).decode()
            chars = command("R1", f"{address}(1)")
            if chars[-1] == value and not set(address) & set("()/!*"):
                return chars
    raise AssertionError(value)


@pytest.mark.parametrize("by_character", [True, False])
@pytest.mark.parametrize("check", [*range(0x20), 0x2F, 0x3F, 0x7F])
def test_bcc_equal_to_a_control_character(check: int, by_character: bool) -> None:
    bench = PortBench(SETTINGS, by_character=by_character)
    bench.sign_on()
    chars = with_check(check)
    assert bench.say(chars).endswith(b"(0001.5*kWh)\x03" + bench.sent[-1][2][-1:])
    assert bench.say(chars[:-1] + bytes([check ^ 1])) == NAK
    assert bench.say(B0) == b""


def test_bcc_equal_to_a_control_character_in_a_partial_block(signed_on: PortBench) -> None:
    """The sheet's block: its check is 03, as ETX."""
    chars = command("W3", "0000(0123456789ABCDEJ)", more=True)
    assert chars[-2:-1] == b"\x04"
    assert signed_on.say(chars) == ACK
    signed_on.host = lambda request: (
        DataSets((DataSet("0000", "0123456789ABCDEF"), *BLOCKS))
        if isinstance(request, CommandGiven)
        else host(request)
    )
    assert signed_on.say(command("R3", "0000(93)")).startswith(b"\x020000(0123456789ABCDEF)")


def test_stx_inside_a_soh_frame_belongs_to_the_bcc(signed_on: PortBench) -> None:
    assert signed_on.say(R1) == DATA
    without_stx = R1[:-1] + bytes([R1[-1] ^ 0x02])
    assert signed_on.say(without_stx) == NAK


@pytest.mark.parametrize("flag", ["VTC", "VTc"])
def test_echo_of_our_own_bytes_is_not_heard(flag: str) -> None:
    bench = PortBench(replace(SETTINGS, flag=flag))
    damaged = R1[:-1] + b"\xff"  # gets NAK, whose echo would ask for it again
    read = command("R3", "0001(3)")
    for chars in (REQUEST, TO_PROGRAM, damaged, command("P1", "(right)"), R1, read):
        bench.hear(chars)
        while not bench.sent or bench.sent[-1][0] < bench.heard_ns:
            bench.advance(1)
        begun, _, sent = bench.sent[-1]
        for place in range(len(sent)):  # each character returns with its end
            bench.now_ns = begun + (place + 1) * bench.port.character_ns
            bench.port.receive(sent[place : place + 1], bench.now_ns)
            bench.turn()
        before = len(bench.sent)
        bench.advance(500)
        assert bench.answers(before) == b""
    assert bench.port.state is MeterState.PARTIAL


@pytest.mark.parametrize(
    "noise", [b"\x7f", b"\x00" * 7, b"\x7f\x00\x7f", b"\xff", b"//", b"?", b"/"]
)
def test_7f_00_noise_before_the_slash(noise: bytes) -> None:
    bench = PortBench(SETTINGS)
    assert bench.say(noise + REQUEST) == IDENTIFICATION
    bench = PortBench(SETTINGS)
    bench.say(noise, 100)
    assert bench.say(REQUEST) == IDENTIFICATION


@pytest.mark.parametrize("noise", [b"\x7f", b"\x00" * 7, b"x", b"\xff"])
def test_7f_00_noise_before_an_option_select_and_a_command(noise: bytes) -> None:
    bench = PortBench(SETTINGS)
    bench.say(REQUEST, 700)
    assert bench.say(noise + TO_PROGRAM) == P0
    assert bench.say(noise + R1) == DATA


@pytest.mark.parametrize("text", ["VTC/1", "a!", "x" * 17, "\x07"])
def test_a_slash_inside_an_identification_is_never_sent(text: str) -> None:
    def says(request: MeterRequest) -> MeterReply | None:
        return Identification(text) if isinstance(request, IdentificationAsked) else host(request)

    bench = PortBench(SETTINGS, host=says)
    with pytest.raises(ValueError, match="16 printable"):
        bench.hear(REQUEST)


def test_a_backslash_that_is_no_mode_is_the_host_s() -> None:
    bench = PortBench(SETTINGS, host=lambda _: Identification("\\MT382-1003"))
    assert bench.say(REQUEST) == b"/VTC5\\MT382-1003\r\n"


def test_third_letter_lower_case_answers_after_20_ms() -> None:
    bench = PortBench(replace(SETTINGS, flag="VTc"))
    bench.hear(REQUEST)
    bench.advance(19)
    assert bench.answers() == b""
    bench.advance(1)
    assert bench.answers() == b"/VTc5TEST1\r\n"


def test_z_space_is_mode_a() -> None:
    bench = PortBench(replace(SETTINGS, baud_identification=" "))
    assert bench.say(REQUEST, 3000) == b"/VTC TEST1\r\n" + READOUT
    assert bench.speeds == []


def test_empty_readout() -> None:
    bench = PortBench(
        SETTINGS, host=lambda r: Block(()) if isinstance(r, ReadoutAsked) else host(r)
    )
    assert bench.sign_on(TO_READ_OUT) == b"\x02!\r\n\x03\x25"


def test_readout_without_bcc() -> None:
    bench = PortBench(replace(SETTINGS, compatibility=Compatibility(no_readout_bcc=True)))
    assert bench.sign_on(TO_READ_OUT) == READOUT[1:-2]
    assert bench.say(NAK) == READOUT[1:-2]


def test_answers_with_and_without_echoed_address(signed_on: PortBench) -> None:
    assert signed_on.say(R1) == DATA
    bench = PortBench(replace(SETTINGS, compatibility=Compatibility(address_not_echoed=True)))
    bench.sign_on()
    assert bench.say(R1) == checked(b"\x02(0001.5*kWh)\x03")


def test_answers_with_cr_lf_before_etx() -> None:
    bench = PortBench(replace(SETTINGS, compatibility=Compatibility(crlf_before_etx=True)))
    bench.sign_on()
    assert bench.say(R1) == checked(b"\x021.8.0(0001.5*kWh)\r\n\x03")
    for ends in (b"\x04", b"\x04", b"\x03"):
        block = bench.say(command("R3", "0001(3)") if len(bench.sent) == 3 else ACK)
        assert block[-4:-1] == b"\r\n" + ends


def test_nak_for_a_readout() -> None:
    bench = PortBench(SETTINGS)
    assert bench.sign_on(TO_READ_OUT) == READOUT
    assert bench.say(NAK) == READOUT
    assert bench.say(NAK) == READOUT


@pytest.mark.parametrize("cut", range(1, 6))
def test_option_select_split_over_tcp_segments(cut: int) -> None:
    bench = PortBench(SETTINGS, paced=False)
    bench.say(REQUEST, 300)
    bench.hear(TO_PROGRAM[:cut])
    bench.advance(1400)
    assert bench.say(TO_PROGRAM[cut:]) == P0


def test_a_second_request_without_waiting_gets_one_identification() -> None:
    for paced in (True, False):
        bench = PortBench(SETTINGS, paced=paced)
        assert bench.say(REQUEST + REQUEST) == IDENTIFICATION
        assert bench.say(TO_PROGRAM) == P0


def test_a_second_request_in_any_state_forgets_what_was() -> None:
    bench = PortBench(SETTINGS)
    bench.sign_on()
    bench.say(command("R3", "0001(3)"))
    assert bench.sign_on() == P0
    assert bench.say(ACK) == b""
    bench.say(command("W3", "0001(a)", more=True))
    assert bench.sign_on() == P0
    assert bench.say(command("W3", "(b)")) == checked(b"\x02(ER02)\x03")


def test_b0_with_a_wrong_check_is_no_b0(signed_on: PortBench) -> None:
    assert signed_on.say(B0[:-1] + b"p") == NAK
    assert signed_on.say(R1) == DATA
    assert signed_on.say(B0) == b""
    assert signed_on.port.state is MeterState.IDLE


def test_wrong_z_programming_is_not_entered() -> None:
    bench = PortBench(SETTINGS)
    assert bench.sign_on(b"\x06061\r\n") == READOUT
    assert bench.sent[-1][1] == 300
    bench.advance(1000)
    assert bench.say(command("P1", "(right)")) == b""
    assert bench.executed == []


def test_password_wrong_then_b0(signed_on: PortBench) -> None:
    assert signed_on.say(command("P1", "(wrong)")) == B0
    assert signed_on.say(R1, 3000) == b""
    assert len(signed_on.executed) == 1


def test_partial_block_naked_first_and_last(signed_on: PortBench) -> None:
    blocks = [signed_on.say(command("R3", "0001(3)"))]
    assert signed_on.say(NAK) == blocks[0]
    blocks += [signed_on.say(ACK), signed_on.say(ACK)]
    assert signed_on.say(NAK) == blocks[2]
    assert [block[-2] for block in blocks] == [4, 4, 3]
    text = b"".join(block[1:-2] for block in blocks)
    assert text == "\r\n".join(map(str, BLOCKS)).encode()


@pytest.mark.parametrize("own", ["0", "000000"])
@pytest.mark.parametrize("asked", ["0", "00", "0" * 32])
def test_address_zeros(own: str, asked: str) -> None:
    bench = PortBench(replace(SETTINGS, addresses=(own,)))
    assert bench.say(f"/?{asked}!\r\n".encode(), 1500) == IDENTIFICATION


def test_128_character_value(signed_on: PortBench) -> None:
    value = "v" * 128
    assert signed_on.say(command("W1", f"{'a' * 16}({value})")) == ACK
    (given,) = signed_on.executed
    assert isinstance(given, CommandGiven)
    assert given.data_sets == (DataSet("a" * 16, value),)
    signed_on.host = lambda _: DataSets((DataSet("1", value),))
    assert signed_on.say(R1) == checked(f"\x021({value})\x03".encode())
    assert signed_on.say(command("R3", "1(1)")) == checked(f"\x021({value})\x03".encode())


def test_78_character_line() -> None:
    def says(request: MeterRequest) -> MeterReply | None:
        if isinstance(request, ReadoutAsked):
            return Block((sets, sets[:2]))
        return DataSets(sets) if isinstance(request, CommandGiven) else host(request)

    sets = tuple(DataSet(f"{n:02}", "v" * 22) for n in range(9))  # 26 characters each: three a line
    bench = PortBench(SETTINGS, host=says)
    for answer in (bench.sign_on(TO_READ_OUT), bench.sign_on() and bench.say(R1)):
        lines = answer[1:-2].replace(b"!", b"").split(b"\r\n")
        assert max(map(len, lines)) == 78
    tight = tuple(DataSet(f"{n:02}", "v" * 23) for n in range(3))
    bench.host = lambda _: DataSets(tight)
    assert max(map(len, bench.say(R1)[1:-2].split(b"\r\n"))) == 54


def test_an_echo_that_comes_late_never_runs_in_a_circle(signed_on: PortBench) -> None:
    """A damaged message answered by NAK, whose echo means "again": that ends."""
    signed_on.hear(R1[:-1] + b"\xff")
    for _ in range(20):
        signed_on.advance(300)
        signed_on.hear(signed_on.sent[-1][2])
    assert signed_on.answers().count(NAK) <= 4
    signed_on.advance(2000)
    assert signed_on.say(R1) == DATA
