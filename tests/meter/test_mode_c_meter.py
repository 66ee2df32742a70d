"""A payment meter at a port of mode C: the same registers and tokens as at a direct one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from bench_meter import PAN, MeterBench, credit, new_meter
from bench_mode_c import ACK, B0, PASSWORD, ModeCLine
from bench_store import KEY, edit

from meter_cases import cases, manufactured
from vtc07.carrier.companion import Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.mode_c_server import ModeCServer
from vtc07.carrier.server import Server
from vtc07.carrier.status import TokenStatus
from vtc07.meter import (
    CompanionSource,
    ConstantLoad,
    MemoryStore,
    Meter,
    MeterServer,
    OutOfOrderServer,
    SQLiteStore,
    StoreCorrupt,
    find_remains,
)

#: Every register of a maker's, so to say, at a literal address; the logs stay where they are.
LITERAL = """\
extends = "electricity-mode-c"
[companion]
title = "Our meter with the addresses of a maker"
[table]
addresses = "literal"
remove = ["0021", "0031", "0004", "0005", "0006", "0007", "000F"]
[token_entry]
snapshot_counts = [4]
"""
REGISTERS = (
    ("1.8.0", "totalConsumption", "u64", "r"),
    ("600100FF", "installationReference", "text 32", "rw"),
    ("C.90.1", "tokenStatus", "u8", "r"),
    ("C.90.2", "tokenSequence", "u32", "r"),
    ("C.90.3", "lastToken", "token", "r"),
    ("C.90.4", "lastTokenStatus", "u8", "r"),
    ("C.90", "tokenEntry", "token", "w"),
)


def literal_text() -> str:
    text = LITERAL
    for address, name, kind, access in REGISTERS:
        text += f'[[register]]\naddress = "{address}"\nname = "{name}"\ntype = "{kind}"\n'
        text += f'access = "{access}"\nmeaning = "as in electricity"\n'
        text += 'unit = "Wh"\n' if name == "totalConsumption" else ""
        text += "write_level = 2\n" if access == "rw" else ""
    return text


@pytest.fixture
def literal(tmp_path: Path) -> CompanionSource:
    file = tmp_path / "maker.toml"
    file.write_text(literal_text())
    return CompanionSource.of(file)


def digits(line: ModeCLine, tid: int = 1, tenths: int = 5) -> str:
    return line.bench.digits(credit(tid, tenths))


def deliver(line: ModeCLine, token: str, entry: str = "000F", status: str = "0004") -> int:
    """Enter a token as any client would, and return its result from the snapshot."""
    assert line.ask("W1", f"{entry}({token})") == ACK
    while (now := line.read(status, "4"))[0] == "16":
        line.run(0.5)
    assert now[2] == token
    return int(now[3])


# --- the core ------------------------------------------------------------------------------------


@pytest.mark.parametrize("character_ns", [0, 1_041_667])
def test_the_core_is_that_of_the_sign_on(character_ns: int) -> None:
    for name, core in (("electricity", Server), ("electricity-mode-c", ModeCServer)):
        companion = load_companion(name)
        meter = Meter(companion, MemoryStore(new_meter(companion)), now_ns=0)
        server = MeterServer(companion, meter, character_ns=character_ns)
        assert type(server.core) is core
    server.receive(b"/?!\r\n", S)
    server.handle_timer(S + S // 4)
    answer = server.bytes_to_send(S + S // 4)
    assert answer.startswith(b"/VTM5")
    # Paced, the identification is under way for 0.6 s at 300 Bd, and nothing else is heard.
    server.receive(b"\x06051\r\n", S + S // 2)
    server.handle_timer(S + S)
    assert (server.bytes_to_send(S + S) == b"") is bool(character_ns)


# --- registers -----------------------------------------------------------------------------------


def test_every_register_shows_what_the_meter_has() -> None:
    line = ModeCLine()
    line.sign_on()
    deliver(line, digits(line))
    line.run(5)
    for register in line.companion.table:
        if register.read_level is None:
            continue
        line.bench.now_ns = line.now_ns
        value = register.encode(line.bench.read(register.name))
        for code in ("R1", "R5", "R3", "R6"):
            answer = line.ask(code, f"{register.address}()")
            unit = f"*{register.unit}" if register.unit else ""
            shown = f"\x02{register.address}({value}{unit})\x03".encode()
            assert answer[:-1] == shown


def test_the_readout_is_the_meter_at_one_instant() -> None:
    line = ModeCLine()
    line.sign_on()
    deliver(line, digits(line, tenths=123))
    line.say(B0)
    line.bench.meter.set_load(ConstantLoad((36_000,)), line.now_ns)
    line.run(100)
    text = line.readout().decode()
    rows = dict(re.findall(r"([^\r\n\x02(]+)\(([^*)]*)", text))
    assert rows["0.0.0"] == PAN.digits
    assert rows["C.1.0"] == PAN.drn.digits
    assert rows["1.7.0"] == rows["21.7.0"] == "36000"
    assert int(rows["19.10.0"]) + int(rows["1.8.0"]) == int(rows["19.10.1"]) == 12_300
    assert int(rows["1.8.0"]) > 900
    assert (rows["19.40.0"], rows["19.40.1"], rows["96.3.10"]) == ("1", "1", "1")
    assert len(rows) == len(line.companion.readout)


def test_a_write_and_its_event() -> None:
    line = ModeCLine()
    assert line.give(PASSWORD) == ACK
    assert line.ask("W1", "0031(flat 3)") == ACK
    assert line.ask("W5", "19.10.2(2500)") == ACK
    assert line.read("0031") == ["flat 3"]
    assert line.read("19.10.2") == ["2500"]
    line.bench.now_ns = line.now_ns
    assert line.bench.events_logged()[-2:] == [f"write,{0x31}", f"write,{0x30}"]


# --- tokens --------------------------------------------------------------------------------------


def test_a_token_and_its_result() -> None:
    line = ModeCLine()
    line.sign_on()
    assert line.read("0004", "4") == ["0", "0", "", "0"]
    token = digits(line)
    assert line.ask("W1", f"000F({token})") == ACK
    assert line.read("0004", "4") == ["16", "0", "", "0"]
    other = digits(line, 2)
    assert line.ask("W1", f"000F({other})").startswith(b"\x02(ER07)")
    line.run(1)
    assert line.read("19.40.0", "4") == ["1", "1", token, "1"]
    assert line.read("0020") == ["500"]
    assert deliver(line, token) == 10  # UsedError
    assert line.state.account.balance == 500


def test_a_token_outlives_its_session() -> None:
    line = ModeCLine()
    line.sign_on()
    assert line.ask("W1", f"000F({digits(line)})") == ACK
    assert line.say(B0) == b""
    assert not line.server.connected
    line.run(1)
    assert line.state.account.balance == 500


def test_the_lockout_of_the_carrier() -> None:
    line = ModeCLine(execution_ns=0)
    line.sign_on()
    for number in range(5):
        assert deliver(line, f"{number:020d}") == 13  # CRCError
    assert line.ask("W1", f"000F({digits(line)})").startswith(b"\x02(ER06)")
    assert line.read("0004", "4")[0] == "15"
    assert 55 <= int(line.read("19.40.4")[0]) <= 60
    assert line.ask("W1", "000F(x)").startswith(b"\x02(ER06)")
    assert line.ask("P1", f"({PASSWORD})") == ACK  # which has nothing to do with it
    assert line.ask("W1", f"000F({digits(line)})").startswith(b"\x02(ER06)")
    line.run(61)
    assert deliver(line, digits(line)) == 1


def test_literal_addresses_serve_and_deliver(literal: CompanionSource, tmp_path: Path) -> None:
    companion = literal.companion()
    made = new_meter(companion, password=PASSWORD)
    with SQLiteStore.create(tmp_path / "m", made, literal, KEY) as store:
        line = ModeCLine(store=store, companion=store.companion())
        line.sign_on()
        token = digits(line)
        assert deliver(line, token, "C.90", "C.90.1") == 1
        assert line.read("C.90.1", "4") == ["1", "1", token, "1"]
        assert line.read("1.8.0", "1") == ["0"]
        assert line.ask("P1", f"({PASSWORD})") == ACK
        assert line.ask("W1", "600100FF(cellar)") == ACK
        assert line.read("600100FF") == ["cellar"]
        assert line.ask("R1", "0021()").startswith(b"\x02(ER03)")
        assert b"\r\n1.8.0(0*Wh)\r\n" in line.readout()
        # An address of 32 bits is a number too; 1.8.0 is none.
        line.bench.now_ns = line.now_ns
        assert line.bench.events_logged()[-1] == f"write,{0x600100FF}"


@pytest.mark.parametrize("scenario", cases("meter_scenarios.json", "scenarios"))
def test_scenario(scenario: dict[str, Any]) -> None:
    """The shared scenarios, their tokens written and their results read at a port of mode C."""
    line = ModeCLine(manufactured(scenario["meter"]), execution_ns=0)
    numbers = line.companion.token_entry.status
    line.sign_on()
    for step in scenario["steps"]:
        if "token" not in step:
            line.run(step["wait_s"])
            line.sign_on()  # for it was inactive meanwhile
            continue
        wanted = TokenStatus(step["expect"].split(maxsplit=1)[0])
        assert deliver(line, step["token"]) == numbers.number(wanted), step


# --- a meter that is out of order ----------------------------------------------------------------


class _Remains(ModeCLine):
    """The same line with what is left of a meter."""

    def __init__(self, server: OutOfOrderServer, companion: Companion) -> None:
        self.companion = companion
        self.now_ns = 5 * S
        self.held = False
        self.server = server  # type: ignore[assignment]


def test_a_meter_whose_store_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "meter"
    source = CompanionSource.of("electricity-mode-c")
    SQLiteStore.create(path, new_meter(source.companion(), password=PASSWORD), source, KEY).close()
    edit(path, "UPDATE record SET value = 'x' WHERE name = 'account'")
    with pytest.raises(StoreCorrupt):
        SQLiteStore.open(path, KEY)
    remains = find_remains(path, KEY)
    assert remains is not None
    companion = remains.companion_source.companion()
    line = _Remains(OutOfOrderServer(companion, remains.nameplate), companion)
    assert line.say(f"/?{PAN.digits}!\r\n".encode()) == b"/VTM5050004010041\r\n"
    assert line.say(b"\x06051\r\n") == b"\x01P0\x02()\x03`"
    assert line.read("0010") == [PAN.digits]
    assert line.ask("R1", "1.8.0()").startswith(b"\x02(ER08)")
    assert line.ask("W1", f"000F({'0' * 20})").startswith(b"\x02(ER08)")
    assert line.ask("W1", "0030(1)").startswith(b"\x02(ER04)")
    assert line.ask("P1", f"({PASSWORD})") == B0
    assert (
        line.readout()[:-1]
        == (
            f"\x020.0.0({PAN.digits})\r\nC.1.0({PAN.drn.digits})\r\n0.2.0(vtc07)\r\nF.F(0041)\r\n"
            "!\r\n\x03"
        ).encode()
    )


def test_a_meter_that_does_not_know_itself() -> None:
    companion = load_companion("electricity-mode-c")
    line = _Remains(OutOfOrderServer(companion, None), companion)
    assert line.say(f"/?{PAN.digits}!\r\n".encode()) == b""
    assert line.readout()[:-1] == b"\x02F.F(0041)\r\n!\r\n\x03"


# --- companions ----------------------------------------------------------------------------------


def test_the_same_meter_has_the_same_registers_as_at_a_direct_port() -> None:
    direct, mode_c = load_companion("electricity"), load_companion("electricity-mode-c")
    names = [(r.address, r.name, r.data_type, r.unit) for r in direct.table]
    assert names == [(r.address, r.name, r.data_type, r.unit) for r in mode_c.table]
    assert direct.meter == mode_c.meter
    state = new_meter(mode_c, password=PASSWORD)
    benches = [MeterBench(state, companion=each) for each in (direct, mode_c)]
    for bench in benches:
        bench.enter(credit(3, 7))
    for register in direct.table:
        if register.read_level is not None and register.name not in ("tableID", "FOIN"):
            assert len({bench.read(register.name) for bench in benches}) == 1
