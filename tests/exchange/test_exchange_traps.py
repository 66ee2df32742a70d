"""Traps of reading and building messages, each by its name; those of states are elsewhere."""

from __future__ import annotations

import pytest

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.exchange.blocks import Row, Value, parse_block
from vtc07.carrier.exchange.events import MeterIdentity
from vtc07.carrier.exchange.messages import (
    B0,
    CommandMessage,
    OptionSelect,
    build_answer,
    build_block,
    build_data,
    build_error,
    build_identification,
    check_character,
    check_is_good,
    close,
    error_text,
    parse_command_message,
    parse_data_sets,
    parse_identification,
)
from vtc07.carrier.exchange.reader import HHUReader, PortReader
from vtc07.carrier.exchange.settings import Compatibility, Mode, mode_and_speed
from vtc07.carrier.exchange.telegram import Framing, parse_telegram
from vtc07.carrier.framing import Frame, Framed
from vtc07.carrier.grammar import EOT
from vtc07.carrier.messages import DataSet

LIMITS = MessageLimits()
READ = CommandMessage("R1", "1.8.0()").to_chars()


def hhu(chars: bytes, *, readout: bool = False, unchecked: bool = False) -> list[Framed]:
    reader = HHUReader(LIMITS, unchecked=unchecked)
    reader.readout = readout
    return list(reader.feed(chars))


def port(*pieces: bytes, option_select: bool = False) -> list[Framed]:
    reader = PortReader(LIMITS)
    reader.commands, reader.option_select = True, option_select
    return [framed for piece in pieces for framed in reader.feed(piece)]


def test_trap_check_character_equal_to_a_control_character() -> None:
    partial = close(b"\x020000(0123456789ABCDEF)", end=EOT)
    assert partial[-1] == 0x03
    seen = {}
    for number in range(4096):  # every control character turns up as a check
        message = close(b"\x02F(%04d)" % number)
        seen[message[-1]] = message
    for first in range(0x20, 0x7F):
        message = close(b"\x02%c)" % first)
        seen[message[-1]] = message
    controls = [seen[check] for check in (1, 2, 3, 4, 6, 0x0A, 0x0D, 0x15) if check in seen]
    assert len(controls) >= 4
    for message in [partial, *controls]:
        ahead, behind = hhu(message + READ)
        assert (ahead.chars, behind.chars) == (message, READ)
        assert check_is_good(ahead.chars)
    for value in range(0x80):
        command = b"\x01W1\x02A(1)\x03" + bytes((value,))
        ahead, behind = port(command, READ)
        assert (ahead.chars, behind.chars) == (command, READ)


def test_trap_stx_inside_a_soh_frame_belongs_to_the_check() -> None:
    assert READ[-1] == check_character(b"R1\x021.8.0()\x03")
    assert READ[-1] != check_character(b"R11.8.0()\x03")
    without = READ[:-1] + bytes((READ[-1] ^ 0x02,))
    assert parse_command_message(without) is None
    (framed,) = hhu(READ)  # and it begins no message of its own
    assert (framed.frame, framed.chars) == (Frame.COMMAND, READ)


def test_trap_echo_of_our_own_bytes() -> None:
    block = build_block([[DataSet("F.F", "00")]])
    select = OptionSelect("0", "5", "0").to_chars()
    heard = hhu(b"/?!\r\n/ABC5X\r\n" + select + block, readout=True)
    assert [framed.frame for framed in heard] == [
        Frame.ECHO, Frame.IDENTIFICATION, Frame.ECHO, Frame.DATA,
    ]  # fmt: skip
    heard = hhu(READ + close(b"\x021.8.0(1)"))
    assert [framed.frame for framed in heard] == [Frame.COMMAND, Frame.DATA]
    telegram = parse_telegram(b"/?!\r\n/ABC5X\r\n" + select + block)
    assert telegram is not None
    assert telegram.identity == MeterIdentity("ABC", "5", "X")
    assert (telegram.framing, telegram.check_good) == (Framing.CHECKED, True)


def test_trap_noise_before_the_slash() -> None:
    (framed,) = hhu(b"\x7f\x00\x00\x7f\xff/ABC5X\r\n")
    assert framed == Framed(Frame.IDENTIFICATION, b"/ABC5X\r\n")
    assert [framed.chars for framed in port(b"\x7f\x00\xff/?!\r\n")] == [b"/?!\r\n"]


def test_trap_slash_inside_an_identification() -> None:
    (framed,) = hhu(b"/ABC5a/b\r\n")
    assert parse_identification(framed.chars) == MeterIdentity("ABC", "5", "a/b")


def test_trap_backslash_before_a_letter_is_no_mode() -> None:
    identity = parse_identification(b"/ABk5\\MX382-1003\r\n")
    assert identity == MeterIdentity("ABk", "5", "\\MX382-1003")
    assert not identity.has_mode_e
    identity = parse_identification(b"/ABk5\\2MX382\r\n")
    assert identity is not None
    assert identity.has_mode_e


def test_trap_third_letter_in_lower_case() -> None:
    identity = parse_identification(build_identification("VTc", "5", "X"))
    assert identity is not None
    assert identity.flag == "VTc"


def test_trap_z_is_a_space() -> None:
    identity = parse_identification(b"/ABC X1\r\n")
    assert identity == MeterIdentity("ABC", " ", "X1")
    assert mode_and_speed(identity.baud_identification) == (Mode.A, 300)


def test_trap_empty_readout() -> None:
    empty = build_block([])
    assert empty == b"\x02!\r\n\x03%"
    block = parse_block(empty)
    assert (block.rows, block.ended, block.leftovers) == ((), True, ())
    (framed,) = hhu(build_block([], Compatibility(no_readout_bcc=True)), readout=True)
    assert framed == Framed(Frame.BLOCK, b"!\r\n")


def test_trap_readout_without_a_check() -> None:
    compat = Compatibility(no_readout_bcc=True)
    chars = build_block([[DataSet("F.F", "00")]], compat)
    assert chars == b"F.F(00)\r\n!\r\n"
    assert [framed.chars for framed in hhu(chars, readout=True)] == [chars]
    (framed,) = hhu(b"\x02" + chars, readout=True, unchecked=True)
    assert parse_block(framed.chars).rows == (Row("F.F", (Value("00"),)),)


def test_trap_answers_with_and_without_an_echoed_address() -> None:
    assert parse_data_sets("1.8.0(12*kWh)") == (DataSet("1.8.0", "12", "kWh"),)
    assert parse_data_sets("(12*kWh)") == (DataSet("", "12", "kWh"),)
    compat = Compatibility(address_not_echoed=True)
    assert build_answer([DataSet("1.8.0", "12", "kWh")], compat) == ["(12*kWh)"]
    assert error_text("(12)", compat) is None
    assert error_text("(ER04)", compat) == "ER04"


def test_trap_answers_with_a_line_end_before_etx() -> None:
    compat = Compatibility(crlf_before_etx=True)
    message = build_data(build_answer([DataSet("VOLTA", "231.5")], compat), compat)
    assert message[:-1] == b"\x02VOLTA(231.5)\r\n\x03"
    assert check_is_good(message)
    assert parse_data_sets(message[1:-2].decode("ascii")) == (DataSet("VOLTA", "231.5"),)
    assert error_text("(ER04)\r\n") == "ER04"
    assert build_error("ER04") == b"\x02(ER04)\x03\x11"


def test_trap_option_select_split_over_segments() -> None:
    select = OptionSelect("0", "5", "1").to_chars()
    for cut in range(1, len(select)):
        (framed,) = port(select[:cut], select[cut:], option_select=True)
        assert framed == Framed(Frame.OPTION_SELECT, select)


@pytest.mark.parametrize("option_select", [False, True])
@pytest.mark.parametrize("before", [b"/?12", b"\x0605", READ[:4], READ[:-2], b"/", b"/?1/"])
def test_trap_a_second_request_anywhere(before: bytes, option_select: bool) -> None:
    heard = port(before, b"/?!\r\n", option_select=option_select)
    assert heard[-1] == Framed(Frame.REQUEST, b"/?!\r\n")


@pytest.mark.parametrize("before", [b"/?12", b"\x0605", READ[:4], READ[:-2], b"\x15"])
def test_trap_break_anywhere(before: bytes) -> None:
    assert port(before, B0, option_select=True)[-1] == Framed(Frame.COMMAND, B0)
    (command,) = [parse_command_message(framed.chars) for framed in port(B0)]
    assert command == CommandMessage("B0", has_data=False)


def test_trap_value_of_128_characters() -> None:
    value = "x" * 128
    command = CommandMessage("W1", f"0123456789ABCDEF({value})")
    (framed,) = port(command.to_chars())
    assert parse_command_message(framed.chars) == command
    assert build_answer([DataSet("A", value), DataSet("B", "1")]) == [f"A({value})", "B(1)"]
    (framed,) = hhu(build_data([f"A({value})"]))
    assert parse_data_sets(framed.chars[1:-2].decode("ascii")) == (DataSet("A", value),)


def test_trap_line_of_78_characters() -> None:
    sets = [DataSet("1.8.0", "0" * 19) for _ in range(3)]  # 26 characters each
    assert build_answer(sets) == ["".join(map(str, sets))]
    sets[2] = DataSet("1.8.0", "0" * 20)
    assert build_answer(sets) == ["".join(map(str, sets[:2])), str(sets[2])]
    block = build_block([sets])
    assert max(map(len, block[1:-2].split(b"\r\n"))) <= 78
    assert len(parse_block(block).rows) == 3
