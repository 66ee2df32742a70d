"""Recorded sessions replayed: the HHU's characters in, the meter's characters out, as recorded.

The host is scripted with what the meter in the recording knew; nothing of the line is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_meter_port import PortBench, command

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.exchange.events import (
    Acknowledged,
    Block,
    CommandGiven,
    DataSets,
    Granted,
    Identification,
    IdentificationAsked,
    MeterReply,
    MeterRequest,
    Operand,
    OperandAsked,
    PasswordGiven,
    ReadoutAsked,
)
from vtc07.carrier.exchange.meter_port import PortSettings
from vtc07.carrier.exchange.meter_states import MeterState
from vtc07.carrier.exchange.settings import CheckCharacter, Compatibility
from vtc07.carrier.messages import DataSet

Host = Callable[[MeterRequest], MeterReply | None]


def recorded(shared: Path, name: str) -> list[tuple[str, bytes]]:
    """Return who said what, in order."""
    lines = json.loads((shared / "telegrams" / f"{name}.session.json").read_text())
    return [(line["from"], bytes.fromhex(line["hex"])) for line in lines]


def replay(bench: PortBench, lines: list[tuple[str, bytes]]) -> int:
    """Say what the HHU said and compare what the meter answers; return the number of answers."""
    compared = 0
    for place, (sender, chars) in enumerate(lines):
        if sender == "HHU":
            answer = bench.say(chars, 1100)
            if place + 1 < len(lines) and lines[place + 1][0] == "METER":
                assert answer == lines[place + 1][1]
                compared += 1
    return compared


def known(
    identification: str,
    operand: str = "",
    values: dict[str, tuple[str, ...]] | None = None,
    readout: Block | None = None,
) -> Host:
    """Return a host that knows these things and grants every password."""

    def host(request: MeterRequest) -> MeterReply | None:
        match request:
            case IdentificationAsked():
                return Identification(identification)
            case OperandAsked():
                return Operand(operand)
            case PasswordGiven():
                return Granted()
            case ReadoutAsked():
                return readout
            case CommandGiven(code=code, data_sets=data_sets) if code[0] == "R":
                assert values is not None
                address = data_sets[0].address
                first, *rows = values[address]
                return DataSets((DataSet(address, first), *(DataSet("", row) for row in rows)))
            case CommandGiven():
                return Acknowledged()
        return None

    return host


def test_18_neva_mt324_sign_on_operand_and_password(shared: Path) -> None:
    bench = PortBench(
        PortSettings("TPC", "5", ("201",)), host=known("NEVAMT324.2307", operand="00000000")
    )
    assert replay(bench, recorded(shared, "18_neva_mt324_signon")) == 3
    assert bench.port.state is MeterState.PROG
    assert bench.speeds == [9600]


def test_20_energomera_ce102m_with_sum_and_a_line_end_before_etx(shared: Path) -> None:
    compatibility = Compatibility(check=CheckCharacter.SUM, crlf_before_etx=True)
    values = {
        "CURRE": ("0.402",),
        "FREQU": ("49.97",),
        "VOLTA": ("237.58",),
        "ET0PE": ("68.42", "45.54", "22.88", "0.00", "0.00", "0.00"),
    }
    # This meter gives each data set a line. Ours fills its lines up to ``limits.line``
    # characters: with so few, a data set is a line.
    limits = MessageLimits(line=11)
    settings = PortSettings("EKT", "5", ("141628345",), compatibility=compatibility, limits=limits)
    bench = PortBench(settings, host=known("CE102Mv01", "141628345", values))
    assert replay(bench, recorded(shared, "20_energomera_ce102m")) == 7


def test_25_apator_norax3_option_256_gets_the_readout(shared: Path) -> None:
    readout = Block(((DataSet("0-0:C.1.0", "72432595"),),))
    bench = PortBench(PortSettings("APA", "5", mode_e=True), host=known("NORAX30", readout=readout))
    lines = recorded(shared, "25_apator_norax3_signon")
    assert replay(bench, lines) == 1
    _, speed, chars = bench.sent[-1]
    assert speed == 300
    assert chars.startswith(b"\x020-0:C.1.0(72432595)\r\n!\r\n\x03")
    assert bench.port.state is MeterState.SENT_READOUT


def test_26_pozyton_lp1_address_with_a_space(shared: Path) -> None:
    bench = PortBench(PortSettings("POZ", "4", ("035 0000101",)), host=known("LP1-VP02.04*"))
    assert replay(bench, recorded(shared, "26_pozyton_lp1_signon")) == 1
    assert bench.port.state is MeterState.PROG
    assert bench.speeds == [4800]
    other = PortBench(PortSettings("POZ", "4", ("0350000101",)), host=known("LP1-VP02.04*"))
    with pytest.raises(AssertionError):
        replay(other, recorded(shared, "26_pozyton_lp1_signon"))


def test_29_lis200_formatted_write(shared: Path) -> None:
    (write, acknowledged, data) = recorded(shared, "29_pwitab_lis200_w2")
    bench = PortBench(PortSettings("ELS", "5"), host=known("LIS200", values={"3:171.0": ("0",)}))
    bench.say(b"/?!\r\n")
    bench.say(b"\x06051\r\n")
    assert replay(bench, [write, acknowledged]) == 1
    (given,) = bench.executed
    assert given == CommandGiven(3, "W2", "C003(910324092239)", (DataSet("C003", "910324092239"),))
    # The last frame of the recording answers a read that is not in it.
    assert bench.say(command("R1", "3:171.0(1)")) == data[1]
