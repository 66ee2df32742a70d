"""What a companion says of mode C: every key, what may be wrong with it, and what is made of it."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

import pytest
from bench_mode_c_server import literal_text
from hypothesis import given, settings
from hypothesis import strategies as st
from spoiled_lines import spoiled

from vtc07.carrier.companion import MS, Gate, ModeCRule, PasswordPolicy, SignOn
from vtc07.carrier.companion_file import check, load_companion, parse_companion
from vtc07.carrier.exchange.settings import (
    MODE_C_SPEEDS,
    STANDARD,
    CheckCharacter,
    Compatibility,
    OptionFault,
)
from vtc07.carrier.registers import Encoding

TEXT = (
    resources.files("vtc07.carrier")
    .joinpath("companions", "electricity-mode-c.toml")
    .read_text("utf-8")
)
SPEEDS = "speeds = [300, 600, 1200, 2400, 4800, 9600]"
DIRECT = 'extends = "electricity"\n'

#: What is changed in the text of `electricity-mode-c`, the key that must be named, a word of the
#: message. The line must be that of the mark «, which is taken out.
REPLACED = [
    ('option_fault = "silence"', 'option_fault = "silense"«', "mode_c.option_fault", "'silence'"),
    ('option_fault = "silence"', "option_fault = 1«", "mode_c.option_fault", "readout"),
    ("option_wait_ms = 2000", "option_wait_ms = 1500«", "mode_c.option_wait_ms", "above"),
    ("option_wait_ms = 2000", "option_wait_ms = 120000«", "mode_c.option_wait_ms", "below"),
    ("option_wait_ms = 2000", "option_wait_ms = 0«", "mode_c.option_wait_ms", "1 to"),
    ("option_wait_ms = 2000", 'option_wait_ms = "2 s"«', "mode_c.option_wait_ms", "whole number"),
    (SPEEDS, "speeds = [300, 9601, 9600]«", "mode_c.speeds[1]", "no speed of mode C"),
    (SPEEDS, "speeds = [300, 9600, 300]«", "mode_c.speeds[2]", "already"),
    (SPEEDS, "speeds = [9600]«", "mode_c.speeds", "300 is missing"),
    (SPEEDS, "speeds = [300, 4800]«", "mode_c.speeds", "9600 is missing"),
    (SPEEDS, "speeds = []«", "mode_c.speeds", "300 is missing"),
    (SPEEDS, 'speeds = ["300"]«', "mode_c.speeds", "list of speeds"),
    (SPEEDS, "speeds = 9600«", "mode_c.speeds", "list of speeds"),
    ("partial_block = 256", "partial_block = 15«", "mode_c.partial_block", "16 to 1024"),
    ("partial_block = 256", "partial_block = 1025«", "mode_c.partial_block", "16 to 1024"),
    ("mode_e = false", 'mode_e = "no"«', "mode_c.mode_e", "true or false"),
    ("mode_e = false", "mod_e = false«", "mode_c.mod_e", "did you mean 'mode_e'"),
    ("opens = 2", "opens = 0«", "mode_c.password.opens", "1 to 9"),
    ("opens = 2", "opens = 3«", "mode_c.password.opens", "[[access]] has 2"),
    ("failures = 3", "failures = 0«", "mode_c.password.failures", "1 to 255"),
    ("first_s = 60", "first_s = 9«", "mode_c.password.first_s", "commit_interval_s"),
    ("growth = 2", "growth = 11«", "mode_c.password.growth", "1 to 10"),
    ("growth = 2", "growth = 1.5«", "mode_c.password.growth", "whole number"),
    ("longest_s = 3600", "longest_s = 59«", "mode_c.password.longest_s", "first_s"),
    ("commit_interval_s = 10", "interval_s = 10«", "mode_c.password.interval_s", "commit_inter"),
    (
        'baud_identification = "5"',
        'baud_identification = "A"«',
        "identity.baud_identification",
        "9",
    ),
    ('alias = "1.8.0"', 'alias = "1.8(0"«', "register[0021].alias", "no address"),
    ('alias = "1.8.0"', f'alias = "{"1" * 17}"«', "register[0021].alias", "1 to 16"),
    ('alias = "1.8.0"', "alias = 180«", "register[0021].alias", "printable"),
    ('alias = "1.8.0"', 'alias = "1.7.0"', "register[0023].alias", "totalConsumption"),
    ('alias = "1.8.0"', 'alias = "0020"«', "register[0021].alias", "creditBalance"),
    ('alias = "1.8.0"', 'alias = "0021"«', "register[0021].alias", "totalConsumption"),
    ('"powerFailCount",\n', '"powerFailCount", "tokenLog.1",«\n', "readout.registers[19]", "32"),
    ("[link.optical]\nspeed = 300", "[link.optical]\nspeed = 2400«", "link.optical.speed", "300"),
    (
        "[link.voltage]\nspeed = 300",
        "[link.voltage]\nspeed = 9600«",
        "link.voltage.speed",
        "baud_identification",
    ),
]


@pytest.mark.parametrize(("old", "new", "key", "word"), REPLACED)
def test_what_is_wrong_is_named(old: str, new: str, key: str, word: str) -> None:
    assert old in TEXT
    marked = TEXT.replace(old, new, 1)
    text = marked.replace("«", "")
    found = [p for p in check(text, "x.toml") if p.key == key]
    assert len(found) == 1, check(text, "x.toml")
    assert word in found[0].message
    if "«" in marked:
        assert found[0].line == marked[: marked.index("«")].count("\n") + 1


@pytest.mark.parametrize(
    "key", ["option_fault", "option_wait_ms", "speeds", "partial_block", "mode_e"]
)
def test_every_key_of_mode_c_must_be_there(key: str) -> None:
    lines = [line for line in TEXT.split("\n") if not line.startswith(f"{key} =")]
    (problem,) = check("\n".join(lines), "x.toml")
    assert problem.key == f"mode_c.{key}"
    assert "missing" in problem.message


@pytest.mark.parametrize(
    "key", ["opens", "failures", "first_s", "growth", "longest_s", "commit_interval_s"]
)
def test_every_key_of_the_password_must_be_there(key: str) -> None:
    lines = [line for line in TEXT.split("\n") if not line.startswith(f"{key} =")]
    (problem,) = check("\n".join(lines), "x.toml")
    assert problem.key == f"mode_c.password.{key}"


def test_mode_c_needs_its_table() -> None:
    (problem,) = check(
        DIRECT + '[sign_on]\nmode = "mode-c"\n'
        "[link]\noptical.speed = 300\ncurrent-loop.speed = 300\nvoltage.speed = 300\n",
        "x.toml",
    )
    assert (problem.key, problem.line) == ("mode_c", 1)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[mode_c]\nmode_e = false\n", "mode_c"),
        ("[compatibility]\nlf_line_ends = true\n", "compatibility"),
        ('[[register]]\naddress = "0021"\nalias = "1.8.0"\n', "register[0021].alias"),
    ],
)
def test_a_direct_companion_has_none_of_it(text: str, key: str) -> None:
    (problem,) = check(DIRECT + text, "x.toml")
    assert problem.key == key
    assert "mode-c" in problem.message


def test_without_a_password_p1_opens_nothing() -> None:
    start = TEXT.index("[mode_c.password]")
    end = TEXT.index("[[access]]")
    companion = parse_companion(TEXT[:start] + TEXT[end:], "x.toml")
    assert companion.mode_c is not None
    assert companion.mode_c.password is None


def test_the_shipped_one() -> None:
    companion = load_companion("electricity-mode-c")
    assert companion.sign_on is SignOn.MODE_C
    assert companion.mode_c == ModeCRule(
        option_fault=OptionFault.SILENCE,
        speeds=(300, 600, 1200, 2400, 4800, 9600),
        partial_block=256,
        mode_e=False,
        password=PasswordPolicy(2, 3, 60, 2, 3600, 10),
    )
    assert companion.compatibility == STANDARD
    assert companion.timing.option_wait_ns == 2000 * MS
    assert (companion.link.speed, companion.baud_identification) == (300, "5")
    assert {(a.level, a.gate) for a in companion.access} == {(0, Gate.NONE), (2, Gate.PASSWORD)}
    written = {r.name: r.write_level for r in companion.table if r.write_level is not None}
    assert written == {
        "tokenEntry": 0,
        "lowCreditThreshold": 2,
        "installationReference": 2,
        "lowCreditAlarmEnabled": 2,
    }
    assert {r.read_level for r in companion.table} == {0, None}
    direct = load_companion("electricity")
    assert [r.address for r in companion.table] == [r.address for r in direct.table]
    hexadecimal = [r.name for r in companion.table if r.encoding is Encoding.HEX]
    flags = ["tableID", "FOIN", "protocolVersion", "serverStatus", "tamperStatus"]
    assert hexadecimal == flags
    assert not companion.registered
    identities = {
        (c.flag, c.table.foin, c.table.table_id)
        for c in map(load_companion, ("electricity", "water", "gas", "time", "electricity-mode-c"))
    }
    assert len(identities) == len({flag for flag, _, _ in identities}) == 5


def test_a_direct_companion_has_no_rule() -> None:
    companion = load_companion("electricity")
    assert companion.mode_c is None
    assert companion.compatibility == STANDARD
    assert all(r.alias is None for r in companion.table)


@pytest.mark.parametrize("z", MODE_C_SPEEDS)
def test_every_speed_of_z(z: str) -> None:
    speed = MODE_C_SPEEDS[z]
    text = TEXT.replace('baud_identification = "5"', f'baud_identification = "{z}"')
    text = text.replace(SPEEDS, f"speeds = {sorted({speed, 300}, reverse=True)}")
    companion = parse_companion(text, "x.toml")
    assert companion.mode_c is not None
    assert companion.mode_c.speeds == tuple(sorted({300, speed}))


def test_every_switch() -> None:
    switches = {
        "no_readout_bcc": True,
        "decimal_comma": True,
        "lf_line_ends": True,
        "crlf_before_etx": True,
        "address_not_echoed": True,
    }
    for name in switches:
        text = f'extends = "electricity-mode-c"\n[compatibility]\n{name} = true\n'
        assert parse_companion(text, "x.toml").compatibility == replace(
            STANDARD,
            **{name: True},  # type: ignore[arg-type]
        )
        (problem,) = check(text.replace("true", '"yes"'), "x.toml")
        assert (problem.key, problem.line) == (f"compatibility.{name}", 3)
    text = 'extends = "electricity-mode-c"\n[compatibility]\ncheck = "sum"\n'
    assert parse_companion(text, "x.toml").compatibility.check is CheckCharacter.SUM
    (problem,) = check(text.replace('"sum"', '"crc"'), "x.toml")
    assert "xor, sum" in problem.message
    (problem,) = check(text.replace("check", "chek"), "x.toml")
    assert "did you mean 'check'" in problem.message
    assert set(switches) | {"check"} == set(Compatibility.__dataclass_fields__)


def test_the_decimal_comma_of_decimal_values() -> None:
    text = """\
extends = "electricity-mode-c"
[compatibility]
decimal_comma = true
[[register]]
address = "0023"
unit = "kW"
scaler = -3
"""
    table = parse_companion(text, "x.toml").table
    power = table.named("activePower")
    assert power.encode(7_405) == "7,405"
    assert power.decode("7,405") == power.decode("7.405") == 7_405
    with pytest.raises(ValueError, match="decimal number"):
        power.decode("7,4,05")
    assert table.named("totalConsumption").encode(5) == "5"
    assert table.named("softwareVersion").encode("1.5") == "1.5"
    point = load_companion("electricity-mode-c").table.named("activePower")
    with pytest.raises(ValueError, match="decimal number"):
        point.decode("7,4")


def test_an_alias_finds_its_register() -> None:
    table = load_companion("electricity-mode-c").table
    for said in ("1.8.0", "0021"):
        assert table.find(said) is table.named("totalConsumption")
    assert table.find("f.f") is table.find("F.F") is table.named("serverStatus")
    assert table.find("1.8.1") is None
    assert table.place(table.named("totalConsumption")) < table.place(table.named("activePower"))
    twice = [replace(r, alias="1.8.0") for r in table]
    with pytest.raises(ValueError, match="share an address"):
        replace(table, registers=twice)


def test_messages_must_have_room_for_an_alias() -> None:
    text = """\
extends = "electricity-mode-c"
[limits]
command = 55
[[register]]
address = "0031"
alias = "C.2.9"
type = "text 32"
"""
    longest = len("\x01W1\x02") + len("C.2.9()") + 32 + len("\x03?")
    assert longest < 55
    assert check(text, "x.toml") == []
    (problem,) = check(text.replace('"C.2.9"', '"C.2.9.0123456789"'), "x.toml")
    assert problem.key == "limits.command"
    assert "installationReference" in problem.message


def test_an_alias_is_taken_back_by_an_empty_one() -> None:
    text = 'extends = "electricity-mode-c"\n[[register]]\naddress = "0021"\nalias = ""\n'
    table = parse_companion(text, "x.toml").table
    assert table.named("totalConsumption").alias is None
    assert table.find("1.8.0") is None


def test_a_series_has_no_alias() -> None:
    text = 'extends = "electricity-mode-c"\n[[register]]\naddress = "0040"\nalias = "P.98"\n'
    (problem,) = check(text, "x.toml")
    assert (problem.key, problem.line) == ("register[0040].alias", 4)


def test_literal_addresses_for_every_register() -> None:
    companion = parse_companion(literal_text(load_companion("electricity-mode-c")), "x.toml")
    assert companion.meter is not None
    assert companion.table.named("totalConsumption").address == "1.8.0"
    assert companion.table.named("installationReference").address == "600100FF"
    assert companion.token_entry.register.address.startswith("L")


def test_mode_e_s_escape_takes_room_in_the_identification() -> None:
    text = 'extends = "electricity-mode-c"\n[mode_c]\nmode_e = true\n'
    companion = parse_companion(text, "x.toml")
    assert companion.mode_c is not None
    assert companion.mode_c.mode_e
    longer = text + '[[register]]\naddress = "0001"\ntype = "u32"\n'
    (problem,) = check(longer, "x.toml")
    assert problem.key == "identity.identification"
    assert "at most 14" in problem.message
    assert check(longer.replace("mode_e = true", "mode_e = false"), "x.toml") == []


def test_a_profile_stretches_the_wait_for_an_option_select() -> None:
    companion = load_companion("electricity-mode-c")
    assert companion.timing.stretched(4).option_wait_ns == 8_000 * MS


LINES = TEXT.splitlines()


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_text_crashes_the_judge(data: st.DataObject) -> None:
    lines = spoiled(data, LINES)
    for problem in check("\n".join(lines), "x.toml"):
        assert problem.message
