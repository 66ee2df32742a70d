"""What a meter's port sends and takes: partial blocks, deviations, lengths, settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from bench_meter_port import (
    ACK,
    B0,
    DATA,
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
    checked,
    command,
    host,
    signed_on,
)

from vtc07.carrier.companion import MS, MessageLimits
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
)
from vtc07.carrier.exchange.meter_port import MeterPort
from vtc07.carrier.exchange.meter_states import MeterState
from vtc07.carrier.exchange.settings import (
    CheckCharacter,
    Compatibility,
)
from vtc07.carrier.messages import DataSet

__all__ = ["signed_on"]


def ms(ns: int) -> float:
    return ns / MS


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
