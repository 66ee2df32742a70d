"""Companion files: the shipped ones, what they say, and deriving one from another."""

from __future__ import annotations

from pathlib import Path

import pytest

from vtc07.carrier.companion import MS, Companion, Gate, Parity, Preset, S, SignOn
from vtc07.carrier.companion_file import (
    LONGEST_CHAIN,
    LONGEST_FILE,
    CompanionError,
    check,
    companion_by_identity,
    load_companion,
    parse_companion,
    shipped_companions,
)
from vtc07.carrier.registers import Encoding
from vtc07.carrier.status import ErrorCode, TokenStatus

#: The RegisterTable of docs/protocol.md 9, typed from it: address, name, type, unit, access.
TABLE = """
0000 tableID u8 - r
0001 FOIN u16 - r
0002 protocolVersion u8 - r
0003 serverStatus u16 - r
0004 tokenStatus u8 - r
0005 tokenSequence u32 - r
0006 lastToken token - r
0007 lastTokenStatus u8 - r
0008 authenticationResult u8 - r
0009 validationResult u8 - r
000A tokenResult u8 - r
000B lockoutRemaining u16 s r
000C softwareVersion text32 - r
000F tokenEntry token - w
0010 meterPAN text18 - r
0011 DRN text13 - r
0012 MfrCode text4 - r
0013 TCT text2 - r
0014 EA text2 - r
0015 SGC text6 - r
0016 KRN u8 - r
0017 KT u8 - r
0018 TI text2 - r
0019 KEN u8 - r
001A baseDate text2 - r
0020 creditBalance s64 Wh r
0021 totalConsumption u64 Wh r
0022 totalCreditAccepted u64 Wh r
0023 activePower u32 W r
0024 activePowerL1 u32 W r
0025 activePowerL2 u32 W r
0026 activePowerL3 u32 W r
0027 loadSwitch u8 - r
0028 disconnectReason u8 - r
0029 maximumPowerLimit u32 W r
002A maximumPhasePowerUnbalanceLimit u32 W r
002B tamperStatus u16 - r
002C powerFailCount u32 - r
0030 lowCreditThreshold u32 Wh rw
0031 installationReference text32 - rw
0032 lowCreditAlarmEnabled u8 - rw
"""


def facts(companion: Companion) -> list[str]:
    return [
        f"{r.address} {r.name} {str(r.data_type).replace(' ', '')} {r.unit or '-'} "
        f"{'r' * (r.read_level == 0)}{'w' * (r.write_level == 0)}"
        for r in companion.table
    ]


def test_electricity_has_the_documented_registers_in_its_order() -> None:
    companion = load_companion("electricity")
    found = facts(companion)
    assert found[:41] == TABLE.split("\n")[1:-1]
    logs = companion.table.registers[41:]
    assert [r.address for r in logs] == [
        *(f"{0x40 + i:04X}" for i in range(50)),
        *(f"{0x80 + i:04X}" for i in range(50)),
        *(f"{0x100 + i:04X}" for i in range(100)),
    ]
    assert [r.name for r in logs] == [
        *(f"acceptedTID.{i}" for i in range(1, 51)),
        *(f"tokenLog.{i}" for i in range(1, 51)),
        *(f"eventLog.{i}" for i in range(1, 101)),
    ]
    assert {str(r.data_type) for r in logs[:50]} == {"u24"}
    assert {r.write_level for r in logs} == {None}


def test_the_longest_log_entries_fit() -> None:
    table = load_companion("electricity").table
    control = 2**36 - 1  # the largest number that an entry shows
    entry = f"{2**32 - 1},{2**66 - 1},{2**24 - 1},2.15,{control},255"
    assert table.named("tokenLog.50").decode(entry) == entry
    event = f"{2**64 - 1},manufactured,{2**32 - 1}"
    assert table.named("eventLog.100").decode(event) == event


def test_electricity_says_what_is_documented() -> None:
    companion = load_companion("electricity")
    timing = companion.timing
    assert (timing.reaction_ns, timing.longest_reaction_ns) == (200 * MS, 1500 * MS)
    assert (timing.fast_reaction_ns, companion.reaction_ns) == (20 * MS, 200 * MS)
    assert (timing.inter_character_ns, timing.repeat_ns) == (1500 * MS, 2000 * MS)
    assert (timing.attempts, timing.naks, timing.token_writes) == (3, 3, 3)
    assert (timing.reconnects, timing.reconnect_pause_ns) == (3, 1 * S)
    assert (timing.inactivity_ns, timing.execution_limit_ns) == (120 * S, 5 * S)
    assert (timing.poll_ns, timing.poll_limit_ns) == (500 * MS, 15 * S)
    slow = timing.stretched(companion.profiles["gsm"])
    assert slow.inter_character_ns <= slow.repeat_ns * 3 // 4
    assert slow.repeat_ns > timing.repeat_ns
    assert slow.reaction_ns == timing.reaction_ns
    assert 2300 * MS >= timing.wake_up_ns >= 2100 * MS
    assert 1700 * MS >= timing.wake_up_pause_ns >= 1500 * MS
    limits = companion.limits
    assert (limits.data_message, limits.command, limits.line) == (1024, 192, 78)
    assert (limits.identification, limits.errors, limits.repeats) == (64, 3, 3)
    lockout = companion.lockout
    assert (lockout.failures, lockout.first_s, lockout.longest_s) == (5, 60, 3600)
    assert lockout.commit_interval_s == 10
    assert dict(companion.errors) == {
        ErrorCode.UNDEFINED_COMMAND: "ER01",
        ErrorCode.MALFORMED_DATA_SET: "ER02",
        ErrorCode.NO_SUCH_REGISTER: "ER03",
        ErrorCode.ACCESS_DENIED: "ER04",
        ErrorCode.VALUE_REFUSED: "ER05",
        ErrorCode.TOKEN_LOCKOUT: "ER06",
        ErrorCode.TOKEN_EXECUTING: "ER07",
        ErrorCode.STORE_FAULT: "ER08",
    }
    status = companion.token_entry.status
    assert [status.number(s) for s in (TokenStatus.THIRD_KCT, TokenStatus.FOURTH_KCT)] == [17, 18]
    assert status.status(16) is TokenStatus.NOT_READY
    assert status.status(19) is None
    assert companion.token_entry.register.address == "000F"
    assert companion.token_entry.snapshot_counts == (4, 5, 6, 7, 8, 9)
    assert [r.name for r in companion.identification] == [
        "tableID",
        "FOIN",
        "protocolVersion",
        "serverStatus",
    ]
    assert companion.link == companion.presets[Preset.OPTICAL]
    assert set(companion.presets) == set(Preset)
    assert {(link.speed, link.parity) for link in companion.presets.values()} == {
        (2400, Parity.UART)
    }
    assert (companion.flag, companion.table.foin, companion.table.table_id) == ("VTC", 0, 1)
    assert (companion.protocol_version, companion.registered) == (1, False)
    assert companion.meter is not None
    assert companion.meter.credit_maximum == 9_999_999_900


def test_the_shipped_companions() -> None:
    assert set(shipped_companions()) >= {"electricity", "gas", "time", "water"}
    for name in shipped_companions():
        assert load_companion(name).name == name


def test_every_shipped_companion_can_be_told_from_the_others_and_claims_nothing() -> None:
    companions = [load_companion(name) for name in shipped_companions()]
    assert not any(c.registered for c in companions)
    for kind in (
        {c.flag.upper() for c in companions},
        {c.table.foin for c in companions},
        {c.table.table_id for c in companions},
        {c.title for c in companions},
    ):
        assert len(kind) == len(companions)


@pytest.mark.parametrize(
    ("name", "unit", "credit_unit"),
    [("electricity", "Wh", 100), ("water", "l", 100), ("gas", "l", 100), ("time", "s", 6)],
)
def test_every_service_counts_in_its_own_unit(name: str, unit: str, credit_unit: int) -> None:
    companion = load_companion(name)
    meter = companion.meter
    assert meter is not None
    assert (meter.service, meter.base_unit, meter.credit_unit) == (name, unit, credit_unit)
    for register in ("creditBalance", "totalConsumption", "totalCreditAccepted"):
        assert companion.table.named(register).unit == unit
    assert companion.table.named("lowCreditThreshold").unit == unit


@pytest.mark.parametrize(("name", "rate"), [("water", "lph"), ("gas", "lph"), ("time", None)])
def test_other_services_are_alike_but_for_electrical_power(name: str, rate: str | None) -> None:
    electricity = {r.address: r for r in load_companion("electricity").table}
    other = {r.address: r for r in load_companion(name).table}
    gone = electricity.keys() - other.keys()
    assert gone == {"0024", "0025", "0026", "0029", "002A"} | ({"0023"} if rate is None else set())
    assert other.keys() <= electricity.keys()
    assert "W" not in {r.unit for r in other.values()}
    for address in other.keys() - {"0023"}:
        assert other[address].name == electricity[address].name
        assert other[address].data_type == electricity[address].data_type
        assert other[address].write_level == electricity[address].write_level
    if rate is not None:
        assert (other["0023"].name, other["0023"].unit) == ("flowRate", rate)


def test_only_management_data_and_tokens_can_be_written() -> None:
    for name in shipped_companions():
        writable = {r.name for r in load_companion(name).table if r.write_level is not None}
        assert writable == {
            "tokenEntry",
            "lowCreditThreshold",
            "installationReference",
            "lowCreditAlarmEnabled",
        }


# --- finding the companion of a meter ----------------------------------------------------------


def identification(companion: Companion) -> str:
    values = {"tableID": companion.table.table_id, "FOIN": companion.table.foin}
    return "".join(r.encode(values.get(r.name, 1)) for r in companion.identification)


@pytest.mark.parametrize("name", shipped_companions())
def test_a_meter_s_identity_finds_its_companion(name: str) -> None:
    companion = load_companion(name)
    said = identification(companion)
    assert companion_by_identity(companion.flag, said) is companion
    fast = companion.flag[:2] + companion.flag[2].lower()
    assert companion_by_identity(fast, said) is companion


def test_another_identity_finds_none() -> None:
    companion = load_companion("electricity")
    said = identification(companion)
    assert companion_by_identity("XYZ", said) is None
    assert companion_by_identity(companion.flag, "02" + said[2:]) is None
    assert companion_by_identity(companion.flag, said + "00") is None
    assert companion_by_identity(companion.flag, said[:-1]) is None
    assert companion_by_identity(companion.flag, "") is None
    assert companion_by_identity(companion.flag, said, among=[]) is None


def test_two_companions_of_one_identity_are_no_answer() -> None:
    one = load_companion("electricity")
    two = parse_companion('extends = "electricity"\n[lockout]\nfailures = 9\n', "two.toml")
    assert companion_by_identity(one.flag, identification(one), among=[one, two]) is None


# --- deriving ----------------------------------------------------------------------------------


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_derived_file_changes_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    path = write(
        tmp_path / "maker.toml",
        """\
extends = "electricity"
[token_entry.status]
"not ready" = 99
[timing]
attempts = 5
[[register]]
address = "0031"
type = "text 16"
""",
    )
    base, derived = load_companion("electricity"), load_companion(str(path))
    assert derived.name == "maker"
    assert derived.timing.attempts == 5
    assert derived.timing.repeat_ns == base.timing.repeat_ns
    assert derived.token_entry.status.number(TokenStatus.NOT_READY) == 99
    assert derived.token_entry.status.number(TokenStatus.ACCEPT) == 1
    reference = derived.table.named("installationReference")
    assert str(reference.data_type) == "text 16"
    assert reference.meaning == base.table.named("installationReference").meaning
    assert [r for r in derived.table if r != reference] == [
        r for r in base.table if r.address != "0031"
    ]


def test_registers_are_added_in_order_of_address_and_removed_with_their_series() -> None:
    derived = parse_companion(
        """\
extends = "electricity"
[table]
remove = ["0032", "0100"]
[[register]]
address = "0033"
name = "extra"
type = "u4"
access = "r"
meaning = "something"
[[register]]
address = "002d"
name = "first"
count = 3
type = "u4"
access = "r"
meaning = "something"
""",
        "x.toml",
    )
    addresses = [r.address for r in derived.table]
    assert addresses == sorted(addresses)
    assert derived.table.named("first.3").address == "002F"
    assert not derived.table.has("lowCreditAlarmEnabled")
    assert not derived.table.has("eventLog.1")
    assert len(derived.table) == 241 - 1 - 100 + 1 + 3


def test_a_removed_address_can_be_given_to_another_register() -> None:
    derived = parse_companion(
        """\
extends = "electricity"
[table]
remove = ["0032"]
[[register]]
address = "0032"
name = "other"
type = "text 5"
access = "r"
meaning = "nothing of the register before"
""",
        "x.toml",
    )
    register = derived.table.find("0032")
    assert register is not None
    assert (register.name, register.write_level, register.encoding) == (
        "other",
        None,
        Encoding.TEXT,
    )


def test_a_chain_of_files_is_followed_relative_to_each_file(tmp_path: Path) -> None:
    write(tmp_path / "a/base.toml", 'extends = "water"\n[lockout]\nfailures = 7\nfirst_s = 30\n')
    write(tmp_path / "b/middle.toml", 'extends = "../a/base.toml"\n[lockout]\nfirst_s = 45\n')
    path = write(tmp_path / "top.toml", 'extends = "b/middle.toml"\n[timing]\nnaks = 1\n')
    companion = load_companion(path)
    assert (companion.lockout.failures, companion.lockout.first_s) == (7, 45)
    assert companion.timing.naks == 1
    assert companion.flag == "VTW"


def test_problems_of_a_chain_name_the_file_that_says_it(tmp_path: Path) -> None:
    base = write(tmp_path / "base.toml", 'extends = "gas"\n\n[lockout]\nfailures = 0\n')
    path = write(tmp_path / "top.toml", 'extends = "base.toml"\n[timing]\nattempts = "3"\n')
    with pytest.raises(CompanionError) as caught:
        load_companion(path)
    found = [(p.source, p.line, p.key) for p in caught.value.problems]
    assert found == [(str(path), 3, "timing.attempts"), (str(base), 4, "lockout.failures")]
    assert str(caught.value).splitlines() == [str(p) for p in caught.value.problems]


def test_a_circle_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "one.toml", 'extends = "two.toml"\n')
    path = write(tmp_path / "two.toml", '# \nextends = "one.toml"\n')
    with pytest.raises(CompanionError, match="itself") as caught:
        load_companion(path)
    assert caught.value.problems[0].key == "extends"


def test_a_chain_has_an_end() -> None:
    def resolve(name: str, _: str) -> tuple[str, str]:
        number = int(name)
        return f"{number}.toml", f'extends = "{number + 1}"\n'

    with pytest.raises(CompanionError, match=str(LONGEST_CHAIN)) as caught:
        parse_companion('extends = "1"', "0.toml", resolve)
    assert caught.value.problems[0].source == f"{LONGEST_CHAIN - 1}.toml"


def test_a_file_named_as_a_shipped_one_may_extend_it(tmp_path: Path) -> None:
    path = write(
        tmp_path / "electricity.toml", 'extends = "electricity"\n[lockout]\nfailures = 3\n'
    )
    assert load_companion(path).lockout.failures == 3
    assert load_companion("electricity").lockout.failures == 5


# --- what cannot be read -----------------------------------------------------------------------


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(CompanionError, match="did you mean 'electricity'") as caught:
        load_companion("electricty")
    assert "water" in str(caught.value)


def test_a_directory_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CompanionError, match="cannot be read"):
        load_companion(tmp_path)
    path = tmp_path / "x.toml"
    path.write_bytes(b"# \xff\n")
    with pytest.raises(CompanionError, match="UTF-8"):
        load_companion(path)
    with pytest.raises(CompanionError, match="UTF-8"):
        parse_companion('extends = "x.toml"', str(tmp_path / "y.toml"))


def test_what_is_longer_than_any_companion_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("a = 1\n" + "#" * LONGEST_FILE)
    with pytest.raises(CompanionError, match="longer than"):
        load_companion(path)
    with pytest.raises(CompanionError, match="longer than"):
        parse_companion('extends = "x.toml"', str(tmp_path / "y.toml"))


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nb = \n", 2), ("a = 1\na = 2\n", 2), ("[x]\n\n[x]\n", 3), ('a = "x', 1)],
)
def test_what_is_not_toml_is_refused_with_its_line(text: str, line: int) -> None:
    (problem,) = check(text, "x.toml")
    assert (problem.line, problem.source) == (line, "x.toml")
    assert "not TOML" in problem.message


@pytest.mark.parametrize("digits", ["1" * 5000, "-1" + "_0" * 5000, "0x" + "f" * 5000, "9" * 40])
@pytest.mark.parametrize("place", ["line = {}", "x = [{{ y = [\n1, {}] }}]"])
def test_a_number_of_more_than_64_bits_is_refused_with_its_line(digits: str, place: str) -> None:
    text = "[limits]\n# \n" + place.format(digits) + "\n"
    (problem,) = check(text, "x.toml")
    assert problem.line == 2 + place.count("\n") + 1
    assert "64 bits" in problem.message
    assert len(str(problem)) < 200


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    for name in ("a\\u0000b", "x" * 5000):
        (problem,) = check(f'extends = "{name}"', str(tmp_path / "x.toml"))
        assert problem.key == "extends"
        assert problem.line == 1
    for name in ("a\0b", "x" * 5000):
        with pytest.raises(CompanionError):
            load_companion(name)


def test_an_empty_file_misses_every_table() -> None:
    missing = {p.key for p in check("", "x.toml")}
    assert missing >= {"companion", "identity", "link", "timing", "register", "errors", "lockout"}


# --- meters of makers --------------------------------------------------------------------------

MODE_C = """\
extends = "electricity"
[identity]
flag = "XXx"
baud_identification = "5"
identification = []
[sign_on]
mode = "mode-c"
[mode_c]
option_fault = "silence"
option_wait_ms = 2000
speeds = [300, 9600]
partial_block = 128
mode_e = false
[link]
optical.speed = 300
current-loop.speed = 300
voltage.speed = 300
[table]
addresses = "literal"
encoding = "decimal"
[token_entry]
encoding = "token-hex"
[meter]
served = false
[readout]
registers = ["energy", "creditBalance"]
[[access]]
level = 0
gate = "none"
meaning = "everybody"
[[access]]
level = 2
gate = "password"
meaning = "whoever knows the password"
[[register]]
address = "1.8.0"
name = "energy"
type = "u40"
unit = "kWh"
scaler = -3
access = "r"
meaning = "import, all tariffs"
[[register]]
address = "600100FF"
name = "device"
type = "text 16"
access = "rw"
write_level = 2
meaning = "device address"
"""


@pytest.mark.parametrize(
    ("old", "new", "key", "word"),
    [
        (
            'baud_identification = "5"',
            'baud_identification = "A"',
            "identity.baud_identification",
            "0 to 9",
        ),
        (
            "identification = []",
            'identification = ["PIN"]',
            "identity.identification[0]",
            "level 0",
        ),
        ("level = 2\ngate", "level = 0\ngate", "access[1].level", "twice"),
        ('"password"', '"none"', "access[1].gate", "level 0"),
        ('level = 0\ngate = "none"', 'level = 1\ngate = "seal"', "access", "level 0 is missing"),
        ("write_level = 2", "write_level = 3", "register[600100FF].write_level", "0, 2"),
        ('"1.8.0"', '"1.8.0"\ncount = 2', "register[1.8.0].count", "hexadecimal"),
        ('"1.8.0"', '"1.8(0"', "register[1.8(0].address", "1 to 16"),
        ('"1.8.0"', '"1.8.0.1.8.0.1.8.0"', "register[1.8.0.1.8.0.1.8.0].address", "1 to 16"),
        ('"energy", "cred', '"PIN", "cred', "readout.registers[0]", "level 0"),
    ],
)
def test_defects_of_mode_c_and_levels(old: str, new: str, key: str, word: str) -> None:
    pin = """
[[register]]
address = "600200FF"
name = "PIN"
type = "u16"
encoding = "hex"
access = "r"
read_level = 2
meaning = "not for everybody"
"""
    assert check(MODE_C + pin, "x.toml") == []
    assert old in MODE_C
    text = MODE_C.replace(old, new, 1) + pin
    found = [p for p in check(text, "x.toml") if p.key == key]
    assert len(found) == 1
    assert word in found[0].message
    assert found[0].source == "x.toml"


def test_a_maker_s_meter_with_mode_c_and_its_own_addresses_can_be_described() -> None:
    companion = parse_companion(MODE_C, "maker.toml")
    assert companion.sign_on is SignOn.MODE_C
    assert companion.meter is None
    assert [r.name for r in companion.readout] == ["energy", "creditBalance"]
    energy = companion.table.find("1.8.0")
    assert energy is not None
    assert energy.encode(1234567) == "1234.567"
    assert companion.table.named("device").write_level == 2
    assert companion.token_entry.encoding is Encoding.TOKEN_HEX
    assert companion.table.named("lastToken").encoding is Encoding.TOKEN_HEX
    assert [level.gate for level in companion.access] == [Gate.NONE, Gate.PASSWORD]
    assert companion.reaction_ns == 20 * MS
    # Addresses of no common order: what was inherited comes first, then the file's own.
    assert [r.address for r in companion.table][-2:] == ["1.8.0", "600100FF"]
