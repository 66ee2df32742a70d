"""The registers of a companion behind the sign-on of mode C."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from bench_mode_c_server import (
    ACK,
    B0,
    NAK,
    P0,
    PAN,
    PASSWORD,
    ModeCBench,
    command,
    error,
    literal_companion,
)

from vtc07.carrier.companion import MS, Companion
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.events import (
    Challenge,
    Connected,
    Disconnected,
    Done,
    End,
    IdentificationRequested,
    OperandRequested,
    PasswordOffered,
    ReadoutRequested,
    ReadRequested,
    ResultOffered,
    TokenEntered,
    Values,
    WriteRequested,
)
from vtc07.carrier.exchange.messages import check_is_good
from vtc07.carrier.exchange.meter_states import MeterState
from vtc07.carrier.exchange.settings import CheckCharacter, Compatibility
from vtc07.carrier.mode_c_server import ModeCServer
from vtc07.carrier.registers import Register
from vtc07.carrier.status import ErrorCode

TOKEN = "56493153725450313471"
SIGN_ON = ["/?!\r\n", "\x06051\r\n"]


@pytest.fixture(scope="module")
def companion() -> Companion:
    return load_companion("electricity-mode-c")


@pytest.fixture(scope="module")
def literal(companion: Companion) -> Companion:
    return literal_companion(companion)


@pytest.fixture
def bench(companion: Companion) -> ModeCBench:
    """A meter in programming mode, at level 0."""
    bench = ModeCBench(companion)
    assert bench.sign_on() == P0
    return bench


def readable(companion: Companion) -> list[Register]:
    return [register for register in companion.table if register.read_level == 0]


# --- sign-on, readout ----------------------------------------------------------------------------


def test_the_identification_is_the_direct_one_with_the_speed_of_z(companion: Companion) -> None:
    bench = ModeCBench(companion)
    bench.registers |= {"tableID": 5, "FOIN": 4, "protocolVersion": 1, "serverStatus": 0x0082}
    assert bench.say(b"/?!\r\n") == b"/VTM5050004010082\r\n"
    assert [type(e) for e in bench.events] == [Connected, IdentificationRequested]


def test_the_readout_has_every_register_of_the_companion_under_its_alias(
    companion: Companion,
) -> None:
    bench = ModeCBench(companion)
    bench.registers |= {"totalConsumption": 1234567, "activePower": 75, "serverStatus": 0x41}
    block = bench.sign_on(b"\x06050\r\n")
    assert check_is_good(block)
    lines = block[1:-2].decode().split("\r\n")
    assert lines[-2:] == ["!", ""]
    wanted = []
    for register in companion.readout:
        unit = f"*{register.unit}" if register.unit else ""
        assert register.alias
        value = register.encode(bench.value(register))
        wanted.append(f"{register.alias}({value}{unit})")
    assert lines[:-2] == wanted
    assert f"0.0.0({PAN})" in lines
    assert "1.8.0(1234567*Wh)" in lines
    assert "F.F(0041)" in lines
    asked = [e for e in bench.events if isinstance(e, ReadoutRequested)]
    assert [e.registers for e in asked] == [companion.readout]  # one snapshot
    bench.advance(3_000)
    assert (bench.end, bench.server.connected, bench.speeds) == (End.READOUT, False, [9600, 300])


def test_a_readout_in_literal_addresses(literal: Companion) -> None:
    block = ModeCBench(literal).sign_on(b"\x06050\r\n")
    assert check_is_good(block)
    assert b"\r\n1.8.0(0*Wh)\r\n" in block


def test_no_option_select_brings_the_readout(companion: Companion) -> None:
    bench = ModeCBench(companion)
    assert bench.say(b"/?!\r\n", 1_900).endswith(b"\r\n")
    assert bench.say(b"", 1_000).startswith(b"\x020.0.0(")
    assert bench.speeds == []


def test_z_0_stays_at_300_bd(companion: Companion) -> None:
    bench = ModeCBench(companion)
    assert bench.sign_on(b"\x06001\r\n") == P0
    assert (bench.server.speed, bench.speeds) == (300, [])
    assert bench.server.state is MeterState.PROG


@pytest.mark.parametrize(("z", "speed"), [("1", 600), ("4", 4800), ("5", 9600)])
def test_speeds_that_the_companion_lists(companion: Companion, z: str, speed: int) -> None:
    bench = ModeCBench(companion)
    assert bench.sign_on(f"\x060{z}1\r\n".encode()) == P0
    assert bench.speeds == [speed]
    assert bench.say(B0) == b""
    assert bench.speeds == [speed, 300]


def test_a_speed_that_the_companion_does_not_list(companion: Companion) -> None:
    bench = ModeCBench(companion)
    assert bench.sign_on(b"\x06061\r\n").startswith(b"\x020.0.0(")
    assert bench.speeds == []


def test_time_of_characters_counts_where_the_path_paces_them(companion: Companion) -> None:
    """Where 300 Bd takes its time, the answer to a command sent later is later."""
    paced, free = ModeCBench(companion, character_ns=1), ModeCBench(companion)
    for bench in (paced, free):
        bench.say(b"/?!\r\n", 0)
        bench.advance(200)  # the identification goes out: 22 characters
        assert len(bench.sent) == 1
        bench.server.receive(b"\x06051\r\n", bench.now_ns)  # much too early where it is paced
        bench.turn()
        bench.advance(300)
    assert paced.sent[1:] == []
    assert [chars for _, chars in free.sent[1:]] == [P0]


# --- reads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["R1", "R5", "R3", "R6"])
def test_every_register_by_its_id(companion: Companion, code: str) -> None:
    bench = ModeCBench(companion)
    bench.sign_on()
    for register in readable(companion):
        unit = f"*{register.unit}" if register.unit else ""
        text = register.encode(bench.value(register))
        shown = f"\x02{register.address}({text}{unit})\x03".encode()
        for said in {register.address, register.address.lower()}:
            assert bench.ask(code, f"{said}()")[:-1] == shown


def test_every_alias_is_echoed_as_asked(bench: ModeCBench) -> None:
    with_alias = [register for register in readable(bench.companion) if register.alias]
    assert len(with_alias) >= 15
    for register in with_alias:
        alias = str(register.alias)
        for code in ("R1", "R5", "R3", "R6"):
            assert bench.ask(code, f"{alias}()").startswith(f"\x02{alias}(".encode())
            assert bench.ask(code, f"{alias.lower()}()").startswith(f"\x02{alias}(".encode())


def test_what_follows_is_shown_in_the_same_manner(bench: ModeCBench) -> None:
    assert bench.ask("R1", "19.40.2(4)").startswith(b"\x0219.40.2()19.40.3(0)0008(0)0009(0)\x03")
    assert bench.ask("R1", "0006(4)").startswith(b"\x020006()0007(0)0008(0)0009(0)\x03")


def test_literal_addresses(literal: Companion) -> None:
    bench = ModeCBench(literal)
    assert bench.open() == ACK
    bench.registers["totalConsumption"] = 42
    assert bench.ask("R1", "1.8.0(1)").startswith(b"\x021.8.0(42*Wh)\x03")
    assert bench.ask("W1", "600100FF(flat 3)") == ACK
    assert bench.ask("R1", "600100FF()").startswith(b"\x02600100FF(flat 3)\x03")
    assert bench.ask("R1", "0021()") == error("ER03")


@pytest.mark.parametrize("count", ["", "1", "01", "001", "0001"])
def test_counts_of_one(bench: ModeCBench, count: str) -> None:
    assert bench.ask("R1", f"0004({count})").startswith(b"\x020004(0)\x03")


@pytest.mark.parametrize("count", ["4", "04", "004", "0004"])
def test_counts_of_four_are_one_snapshot(bench: ModeCBench, count: str) -> None:
    assert bench.ask("R1", f"0004({count})").startswith(b"\x020004(0)0005(0)0006()0007(0)\x03")
    (request,) = [e for e in bench.events if isinstance(e, ReadRequested)]
    names = ["tokenStatus", "tokenSequence", "lastToken", "lastTokenStatus"]
    assert [register.name for register in request.registers] == names


def test_counts_are_hexadecimal(bench: ModeCBench) -> None:
    assert bench.ask("R1", "0010(A)").count(b"(") == bench.ask("R1", "0010(a)").count(b"(") == 10


@pytest.mark.parametrize("count", ["0", "0000", "00001", "G", "-1", " 1", "1.0", "1;2"])
def test_counts_that_are_none(bench: ModeCBench, count: str) -> None:
    assert bench.ask("R1", f"0004({count})") == error("ER05")


def test_r1_shows_the_longest_prefix_that_fits(bench: ModeCBench) -> None:
    answer = bench.ask("R1", "0010(FFFF)")
    assert len(answer) <= bench.companion.limits.data_message
    shown = answer.count(b"(")
    following = bench.companion.table.readable_from(bench.companion.table.named("meterPAN"), 999)
    register = following[shown]
    assert shown < len(following)
    unit = len(f"*{register.unit}") if register.unit else 0
    more = len(f"{register.address}({register.encode(bench.value(register))})") + unit
    assert len(answer) + more > bench.companion.limits.data_message
    assert all(len(line) <= 78 for line in answer[1:-2].split(b"\r\n"))


@pytest.mark.parametrize("code", ["R3", "R6"])
def test_r3_and_r6_show_all_of_it_in_blocks(bench: ModeCBench, code: str) -> None:
    block = bench.ask(code, "0010(FFFF)")
    parts = []
    while block[-2] == 0x04:
        assert len(block) - 3 <= 256
        parts.append(block[1:-2])
        block = bench.say(ACK)
        assert check_is_good(block)
    parts.append(block[1:-2])
    assert len(parts) > 3
    addresses = [line.partition("(")[0] for line in b"".join(parts).decode().split(")")[:-1]]
    start = bench.companion.table.named("meterPAN")
    wanted = [r.address for r in bench.companion.table.readable_from(start, 999)]
    assert [address.strip() for address in addresses] == wanted
    assert [type(e) for e in bench.events].count(ReadRequested) == 1  # one snapshot
    assert bench.ask("R1", "0004()").startswith(b"\x020004(0)")


def test_registers_of_another_level_are_passed_over(companion: Companion) -> None:
    hidden = [replace(r, read_level=2) if r.name == "tokenSequence" else r for r in companion.table]
    table = replace(companion.table, registers=hidden)
    bench = ModeCBench(replace(companion, table=table))
    bench.sign_on()
    assert bench.ask("R1", "0005()") == error("ER04")
    assert bench.ask("R1", "0004(2)").startswith(b"\x020004(0)0006()\x03")
    assert bench.ask("P1", f"({PASSWORD})") == ACK
    assert bench.ask("R1", "0004(2)").startswith(b"\x020004(0)0005(0)\x03")
    assert bench.server.level == 2


# --- writes, levels ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["W1", "W5", "W3"])
def test_writes_at_level_2(bench: ModeCBench, code: str) -> None:
    assert bench.ask(code, "0030(25)") == error("ER04")
    assert bench.ask("P1", f"({PASSWORD})") == ACK
    assert bench.ask(code, "0030(25)") == ACK
    assert bench.ask(code, "C.2.9(by its alias)") == ACK
    (first, second) = [e for e in bench.events if isinstance(e, WriteRequested)]
    assert (first.register.name, first.value) == ("lowCreditThreshold", 25)
    assert (second.register.name, second.value) == ("installationReference", "by its alias")


def test_a_write_in_partial_blocks(bench: ModeCBench) -> None:
    bench.ask("P1", f"({PASSWORD})")
    first = b"\x01W3\x020031(flat )\x04"
    first += bytes([_xor(first[1:])])
    assert bench.say(first) == ACK
    assert bench.requests[-1] is not WriteRequested
    assert bench.ask("W3", "(seven)") == ACK
    assert bench.registers["installationReference"] == "flat seven"


def _xor(covered: bytes) -> int:
    check = 0
    for char in covered:
        check ^= char
    return check


def test_a_token_needs_no_password(bench: ModeCBench) -> None:
    for code in ("W1", "W5", "W3"):
        for address in ("000F", "000f", "19.40.9"):
            assert bench.ask(code, f"{address}({TOKEN})") == ACK
    tokens = [e.token for e in bench.events if isinstance(e, TokenEntered)]
    assert tokens == [TOKEN] * 9


@pytest.mark.parametrize("refusal", [ErrorCode.TOKEN_EXECUTING, ErrorCode.TOKEN_LOCKOUT])
def test_a_token_that_the_meter_refuses(bench: ModeCBench, refusal: ErrorCode) -> None:
    bench.refusal = refusal
    assert bench.ask("W1", f"000F({TOKEN})") == error(bench.companion.errors[refusal])
    assert bench.ask("R1", "0004()").startswith(b"\x020004(0)")


def test_a_level_ends_with_its_session(bench: ModeCBench) -> None:
    assert bench.ask("P1", f"({PASSWORD})") == ACK
    assert bench.server.level == 2
    assert bench.say(B0) == b""
    assert (bench.server.level, bench.end) == (0, End.BREAK)
    bench.sign_on()
    assert bench.ask("W1", "0030(1)") == error("ER04")


def test_a_level_ends_with_a_second_sign_on(bench: ModeCBench) -> None:
    bench.ask("P1", f"({PASSWORD})")
    bench.sign_on()
    assert bench.server.level == 0
    assert bench.ask("W1", "0030(1)") == error("ER04")
    assert [type(e) for e in bench.events].count(Connected) == 1


def test_an_answer_to_a_password_of_a_session_that_is_over_opens_nothing(
    bench: ModeCBench,
) -> None:
    bench.held = True
    bench.say(command("P1", f"({PASSWORD})"), 0)
    (offered,) = [e for e in bench.events if isinstance(e, PasswordOffered)]
    bench.server.connection_lost(bench.now_ns)
    bench.turn()
    bench.held = False
    bench.sign_on()
    before = len(bench.sent)
    bench.server.answer(offered.request, bench.answer_to(offered), bench.now_ns)
    bench.advance(500)
    assert bench.sent[before:] == []
    assert bench.server.level == 0
    assert bench.ask("W1", "0030(1)") == error("ER04")


def test_a_wrong_password_ends_the_session(bench: ModeCBench) -> None:
    assert bench.ask("P1", "(Vq7-Kx 94)") == B0
    assert (bench.end, bench.server.state) == (End.PASSWORD, MeterState.IDLE)
    assert bench.speeds == [9600, 300]
    assert bench.sign_on() == P0


def test_the_secure_algorithm_has_p0_s_operand(companion: Companion) -> None:
    bench = ModeCBench(companion)
    bench.operand = "1a2b3c"
    assert bench.sign_on()[:-1] == b"\x01P0\x02(1a2b3c)\x03"
    assert bench.ask("P2", "(c3b2a1)") == ACK
    (asked,) = [e for e in bench.events if isinstance(e, ResultOffered)]
    assert (asked.operand, asked.result) == ("1a2b3c", "c3b2a1")
    assert bench.ask("W1", "0030(1)") == ACK
    assert bench.ask("P2", "(wrong)") == B0


def test_no_password_or_token_in_a_repr(bench: ModeCBench) -> None:
    bench.ask("P1", f"({PASSWORD})")
    bench.ask("W1", f"000F({TOKEN})")
    shown = "".join(f"{event!r}{event!s}" for event in bench.events)
    shown += f"{bench.server!r}{vars(bench.server)!r}"
    assert PasswordOffered.__name__ in shown
    assert PASSWORD not in shown
    assert TOKEN not in shown


# --- errors, in their order ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", ["R2", "R4", "R7", "R0", "W2", "W4", "W0", "E2", "E0", "P0", "X1", "b0"]
)
@pytest.mark.parametrize("data", ["0004()", "not a data set", "FFFF(1)"])
def test_er01_undefined_commands_come_first(bench: ModeCBench, code: str, data: str) -> None:
    assert bench.ask(code, data) == error("ER01")


@pytest.mark.parametrize("code", ["R1", "R3", "R5", "R6", "W1", "W3", "W5"])
@pytest.mark.parametrize(
    "data",
    [
        "FFFF",
        "(1)",
        "FFFF(1)(2)",
        "FFFF(1*Wh)",
        "FFFF(1",
        "FFFF(1)FFFE(1)",
        "FFFF(1)\r\n",
        "",
    ],
)
def test_er02_comes_before_er03(bench: ModeCBench, code: str, data: str) -> None:
    assert bench.ask(code, data) == error("ER02")


def test_er02_of_a_command_without_data(bench: ModeCBench) -> None:
    assert bench.ask("R1") == error("ER02")


@pytest.mark.parametrize("code", ["R1", "R3", "R5", "R6", "W1", "W3", "W5"])
def test_er03_comes_before_all_that_is_wrong_with_the_value(bench: ModeCBench, code: str) -> None:
    assert bench.ask(code, "FFFF(zz)") == error("ER03")


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("R1", "000F(zz)"),  # what may only be written
        ("R3", "19.40.9()"),
        ("W1", "0020(zz)"),  # what may only be read
        ("W5", "1.8.0(0)"),
        ("W1", "0030(zz)"),  # what needs a password
        ("W3", "0032(2)"),
    ],
)
def test_er04_comes_before_er05(bench: ModeCBench, code: str, data: str) -> None:
    assert bench.ask(code, data) == error("ER04")


def test_no_level_writes_what_only_tokens_change(bench: ModeCBench) -> None:
    bench.ask("P1", f"({PASSWORD})")
    for register in bench.companion.table:
        if register.write_level is None:
            assert bench.ask("W1", f"{register.address}(0)") == error("ER04")


@pytest.mark.parametrize(
    "value", ["", "zz", "-1", "4294967296", "1.5", "1,5", "0x1", "1 ", "9" * 129, "25" + "0" * 30]
)
def test_er05_of_a_number(bench: ModeCBench, value: str) -> None:
    bench.ask("P1", f"({PASSWORD})")
    assert bench.ask("W1", f"0030({value})") == error("ER05")
    assert WriteRequested not in bench.requests


def test_er05_of_text(bench: ModeCBench) -> None:
    bench.ask("P1", f"({PASSWORD})")
    assert bench.ask("W1", f"0031({'x' * 32})") == ACK
    assert bench.ask("W1", f"0031({'x' * 33})") == error("ER05")


@pytest.mark.parametrize("value", ["", "1234", "7" * 21, "73786976294838206464"])
def test_what_is_no_token_is_the_meter_s_to_refuse(bench: ModeCBench, value: str) -> None:
    bench.refusal = ErrorCode.VALUE_REFUSED
    assert bench.ask("W1", f"000F({value})") == error("ER05")
    (entered,) = [e for e in bench.events if isinstance(e, TokenEntered)]
    assert entered.token is None


def test_er08_of_a_meter_that_cannot_store(bench: ModeCBench) -> None:
    bench.ask("P1", f"({PASSWORD})")
    bench.refusal = ErrorCode.STORE_FAULT
    assert bench.ask("W1", "0030(1)") == error("ER08")


def test_a_damaged_command_gets_a_nak_and_changes_nothing(bench: ModeCBench) -> None:
    bench.ask("P1", f"({PASSWORD})")
    damaged = command("W1", "0030(1)")[:-1] + b"\x7f"
    before = len(bench.events)
    assert bench.say(damaged) == NAK
    assert bench.events[before:] == []
    assert bench.ask("W1", "0030(1)") == ACK  # at the level that it had


def test_a_nak_brings_the_same_answer_and_executes_nothing(bench: ModeCBench) -> None:
    assert bench.ask("W1", f"000F({TOKEN})") == ACK
    before = len(bench.events)
    assert bench.say(NAK) == ACK
    assert bench.events[before:] == []


def test_b0_without_data_only(bench: ModeCBench) -> None:
    assert bench.ask("B0", "()") == error("ER01")
    assert bench.server.connected


# --- deviations ----------------------------------------------------------------------------------


def deviating(companion: Companion, **switches: bool | CheckCharacter) -> Iterator[ModeCBench]:
    compatibility = replace(Compatibility(), **switches)  # type: ignore[arg-type]
    energy = companion.table.named("totalConsumption")
    registers = [
        replace(r, scaler=-3, unit="kWh", decimal_comma=compatibility.decimal_comma)
        if r == energy
        else r
        for r in companion.table
    ]
    table = replace(companion.table, registers=registers)
    readout = tuple(table.named(r.name) for r in companion.readout)
    bench = ModeCBench(
        replace(companion, table=table, readout=readout, compatibility=compatibility)
    )
    bench.registers |= {"totalConsumption": 12345, "softwareVersion": "1.5"}
    yield bench


def test_the_sum_as_check(companion: Companion) -> None:
    (bench,) = deviating(companion, check=CheckCharacter.SUM)
    bench.sign_on()
    answer = bench.say(command("R1", "0004()", CheckCharacter.SUM))
    assert answer[:-1] == b"\x020004(0)\x03"
    assert check_is_good(answer, CheckCharacter.SUM)
    assert bench.say(command("R1", "0004()")) == NAK


def test_a_readout_without_check(companion: Companion) -> None:
    (bench,) = deviating(companion, no_readout_bcc=True)
    readout = bench.sign_on(b"\x06050\r\n")
    assert readout.startswith(b"0.0.0(")
    assert readout.endswith(b"!\r\n")
    (bench,) = deviating(companion, no_readout_bcc=True)
    bench.sign_on()
    assert check_is_good(bench.say(command("R1", "0004()")))


def test_a_decimal_comma_in_numbers_alone(companion: Companion) -> None:
    (bench,) = deviating(companion, decimal_comma=True)
    readout = bench.sign_on(b"\x06050\r\n")
    assert b"1.8.0(12,345*kWh)" in readout
    assert b"0.2.0(1.5)" in readout  # a text is no number
    (bench,) = deviating(companion)
    assert b"1.8.0(12.345*kWh)" in bench.sign_on(b"\x06050\r\n")


def test_lf_alone(companion: Companion) -> None:
    (bench,) = deviating(companion, lf_line_ends=True)
    readout = bench.sign_on(b"\x06050\r\n")
    assert b"\r" not in readout[:-1]
    assert readout.count(b"\n") == len(companion.readout) + 1


def test_cr_lf_before_etx(companion: Companion) -> None:
    (bench,) = deviating(companion, crlf_before_etx=True)
    bench.sign_on()
    assert bench.ask("R1", "0004()").startswith(b"\x020004(0)\r\n\x03")
    assert len(bench.ask("R1", "0010(FFFF)")) <= companion.limits.data_message


def test_addresses_that_are_not_echoed(companion: Companion) -> None:
    (bench,) = deviating(companion, address_not_echoed=True)
    bench.sign_on()
    assert bench.ask("R1", "0004(4)").startswith(b"\x02(0)(0)()(0)\x03")
    answer = bench.ask("R1", "0010(FFFF)")
    following = companion.table.readable_from(companion.table.named("meterPAN"), 999)
    assert answer.count(b"(") == len(following)  # which do not fit with their addresses
    assert len(answer) <= companion.limits.data_message


# --- the face ------------------------------------------------------------------------------------


def test_replies_that_do_not_fit(bench: ModeCBench) -> None:
    bench.held = True
    bench.say(command("R1", "0004(2)"), 0)
    (asked,) = [e for e in bench.events if isinstance(e, ReadRequested)]
    for wrong in (Done(), Challenge(""), Values((1,)), Values((1, 2, 3)), Values(("x", 2))):
        with pytest.raises(ValueError, match=r"no answer|values are asked for|whole number"):
            bench.server.answer(asked.request, wrong, bench.now_ns)
    with pytest.raises(ValueError, match="no request"):
        bench.server.answer(asked.request + 1, Values((1, 2)), bench.now_ns)
    bench.server.answer(asked.request, Values((1, 2)), bench.now_ns)
    bench.advance(300)
    assert bench.sent[-1][1].startswith(b"\x020004(1)0005(2)")
    bench.server.answer(asked.request, Values((1, 2)), bench.now_ns)  # once more goes nowhere
    bench.advance(300)
    assert len(bench.sent) == 3


def test_an_answer_that_comes_too_late(bench: ModeCBench) -> None:
    bench.held = True
    bench.say(command("R1", "0004()"), 0)
    (asked,) = [e for e in bench.events if isinstance(e, ReadRequested)]
    bench.advance(1_600)
    before = len(bench.sent)
    bench.server.answer(asked.request, Values((1,)), bench.now_ns)
    bench.advance(100)
    assert bench.sent[before:] == []


def test_inactivity_and_a_link_that_closes(companion: Companion) -> None:
    bench = ModeCBench(companion)
    bench.sign_on()
    bench.advance(121_000)
    assert (bench.end, bench.server.connected) == (End.INACTIVITY, False)
    bench.sign_on()
    bench.server.connection_lost(bench.now_ns)
    bench.turn()
    assert (bench.end, bench.server.connected, bench.server.held) == (End.LINK, False, 0)


@pytest.mark.parametrize("address", ["", PAN, "000" + PAN, "11111111115", "0011111111115"])
def test_addresses_that_are_its_own(companion: Companion, address: str) -> None:
    assert ModeCBench(companion).say(f"/?{address}!\r\n".encode()) != b""


def test_addresses_of_others(companion: Companion) -> None:
    bench = ModeCBench(companion)
    assert bench.say(b"/?600727111111111154!\r\n") == b""
    bench.sign_on()
    assert bench.say(b"/?600727111111111154!\r\n") == b""
    assert bench.end is End.OTHER_METER


def test_every_end_of_a_session_is_told(companion: Companion) -> None:
    bench = ModeCBench(companion)
    bench.sign_on(b"\x06\xff51\r\n")
    assert bench.end is End.ERRORS  # annex A: silence, and back to the start
    bench.sign_on()
    kinds = [type(e) for e in bench.events]
    assert kinds.count(Connected) == kinds.count(Disconnected) + 1


def test_coverage_is_the_port_s(companion: Companion) -> None:
    bench = ModeCBench(companion)
    used: list[MeterState] = []
    bench.server.on_transition = lambda state, _: used.append(state)
    bench.sign_on()
    assert used == [MeterState.IDLE, MeterState.WAIT_OPTION]
    assert OperandRequested in bench.requests


def test_what_it_must_be_made_of(companion: Companion) -> None:
    with pytest.raises(ValueError, match="never empty"):
        ModeCServer(companion, [PAN, ""])
    with pytest.raises(ValueError, match="not mode C"):
        ModeCServer(load_companion("electricity"), [PAN])


def test_reaction_times(bench: ModeCBench) -> None:
    asked = bench.now_ns // MS
    bench.ask("R1", "0004()")
    assert bench.sent[-1][0] - asked == 200
