"""`vtc07 companion probe`: a draft from what a meter answers, without ever writing to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_bench import FAST, done, here, new_meter, registers, served, vtc07
from exchange_bench import answer, at_a_port, maker
from hypothesis import given, settings
from hypothesis import strategies as st

from vtc07.carrier.companion import Companion, SignOn
from vtc07.carrier.companion_file import check, parse_companion
from vtc07.carrier.exchange.blocks import parse_block
from vtc07.carrier.exchange.events import (
    Acknowledged,
    CommandGiven,
    ErrorText,
    MeterIdentity,
    MeterReply,
    MeterRequest,
    PasswordGiven,
    ResultGiven,
)
from vtc07.carrier.exchange.settings import (
    STANDARD,
    CheckCharacter,
    Compatibility,
    ReadCode,
    WriteCode,
)
from vtc07.carrier.exchange.telegram import parse_telegram
from vtc07.carrier.registers import Value
from vtc07.cli.companion_draft import DirectFindings, Findings, Tried, draft, draft_direct

__all__ = ["here"]

FAST_MODE_C = """
extends = "electricity-mode-c"
[identity]
flag = "VTm"
[timing]
fast_reaction_ms = 1
"""
IDENTITY = MeterIdentity("ABc", "5", "X1-42")


def drafted(text: str) -> Companion:
    """Return a draft as a companion."""
    assert check(text, "draft.toml") == []
    return parse_companion(text, "draft.toml")


def only_read(heard: list[MeterRequest]) -> set[str]:
    """Require that nothing but reads was asked, and return their codes."""
    assert not any(isinstance(event, PasswordGiven | ResultGiven) for event in heard)
    codes = {event.code for event in heard if isinstance(event, CommandGiven)}
    assert codes <= {"R1", "R5"}
    return codes


def test_a_meter_of_another_maker(here: Path) -> None:
    meter = maker()
    with at_a_port(meter) as address:
        found = done("companion", "probe", address, "--json").json
    assert only_read(meter.heard) == {"R1"}
    assert (found["sign_on"], found["flag"], found["identification"]) == ("mode-c", "ABc", "X1-42")
    companion = drafted(found["companion"])
    assert companion.sign_on is SignOn.MODE_C
    assert companion.meter is None  # served = false
    assert companion.compatibility == STANDARD
    table = companion.table
    assert {(r.address, r.name, str(r.data_type), r.unit, r.scaler) for r in table} == {
        ("TOKEN", "tokenEntry", "token", None, 0),
        ("F.F", "errorRegister", "text 16", None, 0),
        ("0.0.0", "deviceAddress", "text 16", None, 0),
        ("1.8.0", "energyImport", "u32", "kWh", -1),
        ("1.6.1", "r_1_6_1", "u32", "kW", -3),
        ("C.1.1", "r_C_1_1", "text 16", None, 0),
        ("31.7.0", "currentL1", "s32", "A", -2),
    }
    assert table.named("energyImport").decode("001234.5") == 12345
    assert all(register.write_level is None for register in table if register.name != "tokenEntry")
    text = found["companion"]
    assert "# seen: (001234.5 kWh); R1 answers" in text
    assert "# 1.8.0*12: a stored value" in text
    assert found["registers"] == 6
    assert any("tokens: the register" in line for line in found["decide"])


def test_a_known_meaning_is_in_the_draft_and_no_other_medium_s() -> None:
    lines = b"1-0:1.8.0(1.5*kWh)\r\n7-0:1.8.0(2.5*m3)\r\n16.7.0(0.5*kW)\r\n2.8.0(7*m3)\r\n!\r\n"
    companion = drafted(draft(Findings(IDENTITY, parse_block(lines))).text)
    assert {r.address: (r.name, r.meaning) for r in companion.table if r.name != "tokenEntry"} == {
        "1-0:1.8.0": ("energyImport", "energy imported"),
        "7-0:1.8.0": ("r_7_0_1_8_0", "7-0:1.8.0: DECIDE what it means"),
        "16.7.0": ("r_16_7_0", "power imported minus exported now"),
        "2.8.0": ("r_2_8_0", "2.8.0: DECIDE what it means"),
    }


@pytest.mark.parametrize(
    "compat",
    [
        Compatibility(check=CheckCharacter.SUM),
        Compatibility(no_readout_bcc=True),
        Compatibility(decimal_comma=True),
        Compatibility(lf_line_ends=True),
        Compatibility(crlf_before_etx=True),
        Compatibility(address_not_echoed=True),
        Compatibility(check=CheckCharacter.SUM, decimal_comma=True, crlf_before_etx=True),
    ],
)
def test_deviations_are_found_out(compat: Compatibility, here: Path) -> None:
    with at_a_port(maker(compat=compat)) as address:
        found = done("companion", "probe", address, "--json").json
    companion = drafted(found["companion"])
    assert companion.compatibility == compat
    assert companion.table.named("energyImport").scaler == -1


def wants_r5(request: MeterRequest) -> MeterReply:
    if isinstance(request, CommandGiven) and request.code == "R1":
        return Acknowledged()
    if isinstance(request, CommandGiven) and request.data_sets[0].address == "F.F":
        return ErrorText("ER04")
    return answer(request)


def test_a_meter_that_wants_r5(here: Path) -> None:
    meter = maker(answering=wants_r5)
    with at_a_port(meter) as address:
        found = done("companion", "probe", address, "--json").json
    assert only_read(meter.heard) == {"R1", "R5"}
    companion = drafted(found["companion"])
    assert companion.mode_c is not None
    assert (companion.mode_c.read, companion.mode_c.write) == (ReadCode.R5, WriteCode.W5)
    (here / "draft.toml").write_text(found["companion"])
    with at_a_port(meter) as address:
        read = done("read", address, "energyImport", "--companion", "draft.toml", "--json").json
    assert registers(read) == {"energyImport": 12345}
    assert "seen: (001234.5 kWh); R5 answers" in found["companion"]
    assert "seen: (00); R5 is answered ER04" in found["companion"]
    assert any("the meter answers R5" in line for line in found["guessed"])


def test_how_many_are_read_singly(here: Path) -> None:
    meter = maker()
    with at_a_port(meter) as address:
        text = done("companion", "probe", address, "--most", "2").out
    assert sum(isinstance(event, CommandGiven) for event in meter.heard) == 2
    assert text.count("R1 answers") == 2
    assert "only in the readout so far" in text
    drafted(text)


def test_a_meter_without_programming_mode(here: Path) -> None:
    with at_a_port(maker("A")) as address:
        found = done("companion", "probe", address, "--json", "--timeout", "0.3").json
    drafted(found["companion"])
    assert any("the meter is of mode B" in line for line in found["decide"])


def test_our_own_meter_is_read_with_its_draft(here: Path) -> None:
    (here / "fast.toml").write_text(FAST_MODE_C)
    store = new_meter("c.meter", "--companion", "./fast.toml")
    with served(store) as meter:
        said = done("companion", "probe", meter.address, "--out", "draft.toml")
        assert said.out == ""
        assert "draft.toml: a draft with 19 registers" in said.err
        assert done("companion", "check", "draft.toml").out == "draft.toml: good\n"
        read = done(
            "read", meter.address, "--companion", "./draft.toml", "--json",
            "energyImport", "deviceAddress",
        )  # fmt: skip
    assert registers(read.json) == {"energyImport": 0, "deviceAddress": "600727000000000009"}
    again = vtc07("companion", "probe", meter.address, "--out", "draft.toml")
    assert again.code == 2
    assert "draft.toml exists already" in again.err


def test_a_direct_port(here: Path) -> None:
    (here / "fast.toml").write_text(FAST)
    store = new_meter("d.meter", "--companion", "./fast.toml")
    with served(store) as meter:
        found = done("companion", "probe", meter.address, "--json", "--timeout", "0.3").json
        (here / "draft.toml").write_text(found["companion"])
        read = done("read", meter.address, "--companion", "./draft.toml", "--json", "meterPAN")
    assert (found["sign_on"], found["flag"]) == ("direct", "VTc")
    assert registers(read.json) == {"meterPAN": "600727000000000009"}
    companion = drafted(found["companion"])
    assert companion.sign_on is SignOn.DIRECT
    assert companion.table.table_id == 1
    assert companion.meter is None


def test_nobody_answers(here: Path) -> None:
    with at_a_port(maker()) as address:
        found = vtc07("companion", "probe", address, "--meter-address", "9", "--timeout", "0.2")
    assert (found.code, found.out) == (3, "")
    assert "the meter does not answer" in found.err


# --- the text -----------------------------------------------------------------------------------

CHARS = st.text(st.sampled_from("AB1.80*255(kWh)&!/,\"\\'#\x07\x7f\r\n= é["), max_size=80)
LINES = st.lists(
    st.builds(
        "{}({}*{})\r\n".format,
        st.text(st.sampled_from("018.FC*-:\"\\' #"), max_size=17),
        st.text(st.sampled_from("0123456789.-+ \"\\'X"), max_size=40),
        st.text(st.sampled_from('kWhm3/"\\ '), max_size=17),
    ),
    max_size=8,
).map("".join)


IDENTS = st.text(st.characters(max_codepoint=0x7F), max_size=20)  # of 7 bits, as heard


@settings(max_examples=20)  # a companion is judged each time, as a whole
@given(
    CHARS | LINES,
    IDENTS,
    st.sampled_from(["5", "A", " ", "9", "0"]),
    st.sampled_from(["ABC", "abc", "Ene"]),
    st.booleans(),
)
def test_whatever_a_meter_says_is_drafted_as_a_companion(
    text: str, ident: str, z: str, flag: str, comma: bool
) -> None:
    block = parse_block(text.encode("latin-1", "replace"), Compatibility(decimal_comma=comma))
    identity = MeterIdentity(flag, z, ident)
    tried = {row.address: Tried("R1", ident) for row in block.rows}
    found = Findings(identity, block, Compatibility(decimal_comma=comma), tried=tried)
    companion = drafted(draft(found).text)
    values: dict[str, Value] = {}
    for row in block.rows:
        register = companion.table.find(row.address) if row.address else None
        if register is None or register.address in values or row.history is not None:
            continue
        if register.address == row.address and register.name != "tokenEntry":
            values[row.address] = register.decode(row.values[0].value)
    assert len(companion.table) >= 1 + len(values)


NAMES = ["FOIN", "protocolVersion", "serverStatus", "tokenStatus", "lastToken", "meterPAN", "x\n"]


@settings(max_examples=10)
@given(
    st.sampled_from(["ABC", "abc", "Vtc"]),
    st.text(st.characters(max_codepoint=0x7F), max_size=2),
    IDENTS,
    st.dictionaries(st.sampled_from(["tableID", "FOIN", "protocolVersion"]), st.integers(0, 255)),
    st.dictionaries(st.sampled_from(NAMES), st.text(max_size=8)),
)
def test_whatever_a_direct_port_says_is_drafted_as_a_companion(
    flag: str, z: str, ident: str, numbers: dict[str, int], refused: dict[str, str]
) -> None:
    found = DirectFindings(flag, z, ident, numbers, ["tableID"], refused)
    companion = drafted(draft_direct(found).text)
    assert companion.table.table_id == numbers.get("tableID", 1)


def test_every_shared_recording_is_drafted(shared: Path) -> None:
    for path in sorted((shared / "telegrams").glob("*.bin")):
        telegram = parse_telegram(path.read_bytes(), Compatibility(decimal_comma=True))
        assert telegram is not None
        identity = telegram.identity or IDENTITY
        made = draft(Findings(identity, telegram.block))
        companion = drafted(made.text)
        assert len(companion.table) == made.registers + 1
        assert made.registers >= (0 if telegram.identity is None else 4)


def test_a_value_that_is_a_token_of_nothing_is_left_alone(here: Path) -> None:
    """An address TOKEN of the meter's own keeps it, and the placeholder takes another."""
    block = parse_block(b"TOKEN(5)\r\nA(1)\r\n")
    companion = drafted(draft(Findings(IDENTITY, block)).text)
    assert companion.table.named("tokenEntry").address == "TOKEN.1"
    register: Any = companion.table.find("TOKEN")
    assert register.name == "r_TOKEN"


def test_a_meter_of_many_rows_is_not_asked_for_ever(here: Path) -> None:
    """Reads that come to nothing at all end it soon."""

    def deaf(request: MeterRequest) -> MeterReply:
        return Acknowledged() if isinstance(request, CommandGiven) else answer(request)

    meter = maker(answering=deaf)
    with at_a_port(meter) as address:
        found = done("companion", "probe", address, "--json").json
    assert found["registers"] == 6
    assert "only in the readout so far" in found["companion"]
    assert sum(isinstance(event, CommandGiven) for event in meter.heard) <= 2 * 6
