"""What is wrong in a companion is told with its line and key, all of it, and never as a crash."""

from __future__ import annotations

from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spoiled_lines import spoiled

from vtc07.carrier.companion_file import check

ELECTRICITY = (
    resources.files("vtc07.carrier").joinpath("companions", "electricity.toml").read_text("utf-8")
)

#: What is changed in the text of `electricity`, the key that must be named, a word of the message.
#: The line must be that of the changed text's last line that holds the mark «, which is taken out.
REPLACED: list[tuple[str, str, str, str]] = [
    ('flag = "VTC"', 'flag = "vtc"«', "identity.flag", "FLAG"),
    ('flag = "VTC"', 'flag = "VT"«', "identity.flag", "FLAG"),
    ('flag = "VTC"', 'flag = "VT1"«', "identity.flag", "FLAG"),
    ('flag = "VTC"', "flag = 7«", "identity.flag", "7 is a whole number"),
    ('flag = "VTC"', 'flga = "VTC"«', "identity.flga", "did you mean 'flag'"),
    (
        'baud_identification = "3"',
        'baud_identification = "/"«',
        "identity.baud_identification",
        "!",
    ),
    (
        'baud_identification = "3"',
        'baud_identification = ""«',
        "identity.baud_identification",
        "one",
    ),
    ("table_id = 1\n", "table_id = 256«\n", "identity.table_id", "0 to 255"),
    ("foin = 0\n", "foin = -1«\n", "identity.foin", "out of range"),
    ("foin = 0\n", "foin = 65536«\n", "identity.foin", "65535"),
    ("foin = 0\n", "foin = true«\n", "identity.foin", "true is true or false"),
    ('"FOIN", "p', '"FOIM",« "p', "identity.identification[1]", "did you mean 'FOIN'"),
    ('"FOIN", "p', '"meterPAN",« "p', "identity.identification[1]", "fixed width"),
    ('"FOIN", "p', '"tableID",« "p', "identity.identification[1]", "already"),
    ('"FOIN", "p', '"creditBalance",« "p', "identity.identification", "at most 16"),
    ('"FOIN", "p', '4,« "p', "identity.identification", "list of register names"),
    ('preset = "optical"', 'preset = "optcal"«', "link.preset", "did you mean 'optical'"),
    ("speed = 2400", "speed = 2401«", "link.optical.speed", "2400"),
    ('parity = "uart"', 'parity = "even"«', "link.optical.parity", "software"),
    ("echo = false", 'echo = "no"«', "link.optical.echo", "true or false"),
    ('rts = "on"', 'rts = "up"«', "link.optical.rts", "leave"),
    ('dtr = "on"', "dtr = true«", "link.optical.dtr", "leave"),
    ("[link.voltage]", "[link.voltege]«", "link.voltege", "did you mean 'voltage'"),
    ('mode = "direct"', 'mode = "c"«', "sign_on.mode", "mode-c"),
    ("reaction_ms = 200", "reaction_ms = 0«", "timing.reaction_ms", "1 to"),
    ("reaction_ms = 200", "reaction_ms = 2.5«", "timing.reaction_ms", "whole number"),
    (
        "longest_reaction_ms = 1500",
        "longest_reaction_ms = 200«",
        "timing.longest_reaction_ms",
        "above",
    ),
    ("reaction_ms = 200", "reaction_ms = 10«", "timing.reaction_ms", "fast_reaction_ms"),
    ("repeat_ms = 2000", "repeat_ms = 1500«", "timing.repeat_ms", "longest_reaction_ms"),
    (
        "inter_character_ms = 1500",
        "inter_character_ms = 1501«",
        "timing.inter_character_ms",
        "1500",
    ),
    ("inactivity_s = 120", "inactivity_s = 2«", "timing.inactivity_s", "repeat"),
    ("gsm = 4", "gsm = 0«", "profiles.gsm", "1 to 60"),
    ("gsm = 4", "gsm = true«", "profiles.gsm", "whole number"),
    ("gsm = 4", "GSM = 4«", "profiles.GSM", "no name of a profile"),
    ("attempts = 3", "attempts = 0«", "timing.attempts", "1 to 20"),
    ("attempts = 3", "attemps = 3«", "timing.attemps", "did you mean 'attempts'"),
    ("data_message = 1024", "data_message = 72«", "limits.data_message", "tokenLog"),
    ("command = 192", "command = 40«", "limits.command", "installationReference"),
    ("identification = 64", "identification = 15«", "limits.identification", "16 to"),
    (
        'no_such_register = "ER03"',
        'no_such_register = "ER01"«',
        "errors.no_such_register",
        "another",
    ),
    ('no_such_register = "ER03"', 'no_such_register = "E(3"«', "errors.no_such_register", "ASCII"),
    ('no_such_register = "ER03"', 'no_such_register = ""«', "errors.no_such_register", "empty"),
    ('"ER03"', f'"{"E" * 33}"«', "errors.no_such_register", "at most 32"),
    ('register = "tokenEntry"', 'register = "tokenEnter"«', "token_entry.register", "'tokenEntry'"),
    ('register = "tokenEntry"', 'register = "lastToken"«', "token_entry.register", "written"),
    ('register = "tokenEntry"', 'register = "lowCreditThreshold"«', "token_entry.register", "u32"),
    ('encoding = "token"', 'encoding = "text"«', "token_entry.encoding", "token-hex"),
    ("poll_ms = 500", "poll_ms = 199«", "token_entry.poll_ms", "reaction_ms"),
    ("poll_limit_ms = 15000", "poll_limit_ms = 4999«", "token_entry.poll_limit_ms", "execution"),
    ("execution_limit_ms = 5000", "execution_limit_ms = 1000", "meter.execution_ms", "below"),
    ("writes = 3", "writes = 0«", "token_entry.writes", "1 to"),
    ("[4, 5, 6, 7, 8, 9]", "[4, 5, 5]«", "token_entry.snapshot_counts", "different"),
    ("[4, 5, 6, 7, 8, 9]", "[]«", "token_entry.snapshot_counts", "different"),
    ("[4, 5, 6, 7, 8, 9]", "[4,\n 3«]", "token_entry.snapshot_counts[1]", "4 to"),
    ("[4, 5, 6, 7, 8, 9]", "[4, 238«]", "token_entry.snapshot_counts[1]", "to 236"),
    ("3rdKCT = 17", "3rdKCT = 2«", "token_entry.status.3rdKCT", "'1stKCT'"),
    ("3rdKCT = 17", "3rdKCT = 16«", "token_entry.status.3rdKCT", "'not ready'"),
    ("3rdKCT = 17", "3rdKCT = 256«", "token_entry.status.3rdKCT", "0 to 255"),
    ("3rdKCT = 17", "3rdKTC = 17«", "token_entry.status.3rdKTC", "did you mean '3rdKCT'"),
    ("4thKCT = 18", "4thKCT = 17«", "token_entry.status.4thKCT", "'3rdKCT'"),
    ("4thKCT = 18", "4thKCT = 18\nAccept = 2«", "token_entry.status.Accept", "'1stKCT'"),
    ("failures = 5", "failures = 0«", "lockout.failures", "1 to"),
    ("longest_s = 3600", "longest_s = 59«", "lockout.longest_s", "first_s"),
    ("longest_s = 3600", "longest_s = 65536«", "lockout.longest_s", "lockoutRemaining"),
    ('gate = "none"', 'gate = "password"«', "access[0].gate", "mode C"),
    ("level = 0", "level = 1«", "access[0].level", "mode C"),
    ("registers = []", 'registers = ["DRN"]«', "readout.registers", "mode C"),
    ("registers = []", 'registers = ["DNR"«]', "readout.registers[0]", "did you mean 'DRN'"),
    ("registers = []", 'registers = ["tokenEntry"«]', "readout.registers[0]", "level 0"),
    ("registers = []", 'registers = "DRN"«', "readout.registers", "list"),
    ('service = "electricity"', 'service = "steam"«', "meter.service", "water"),
    ('base_unit = "Wh"', 'base_unit = "l"«', "meter.base_unit", "Wh"),
    (
        "credit_maximum = 9999999900",
        "credit_maximum = 9223372036854775808«",
        "meter.credit_maximum",
        "range",
    ),
    ("tid_store_size = 50", "tid_store_size = 51«", "meter.tid_store_size", "50"),
    ("execution_ms = 1000", "execution_ms = 5000«", "meter.execution_ms", "5000"),
    ('software_version = "vtc07"', 'software_version = "a/b"«', "meter.software_version", "ASCII"),
    (
        'installation_reference = ""',
        'installation_reference = "Zürich"«',
        "meter.installation_reference",
        "ASCII",
    ),
    (
        "low_credit_threshold = 0",
        "low_credit_threshold = 4294967296«",
        "meter.low_credit_threshold",
        "u32",
    ),
    (
        "low_credit_alarm_enabled = 0",
        "low_credit_alarm_enabled = 2«",
        "meter.low_credit_alarm_enabled",
        "1",
    ),
    ('addresses = "hexadecimal"', 'addresses = "hex"«', "table.addresses", "hexadecimal"),
    ("address_width = 4", "address_width = 17«", "table.address_width", "1 to 16"),
    ('encoding = "hex"', 'encoding = "text"«', "table.encoding", "decimal"),
    ('address = "0002"', 'address = "002"«', "register[002].address", "4 hexadecimal"),
    ('address = "0002"', 'address = "000G"«', "register[000G].address", "4 hexadecimal"),
    ('address = "0002"', 'address = "0001"«', "register[0001].address", "line"),
    ('address = "0002"', "address = 2«", "register[#3].address", "4 hexadecimal"),
    ('address = "0002"', 'address = "0041"«', "register[0040].address", "protocolVersion"),
    ('name = "KRN"', 'name = "KT"', "register[0017].name", "KT"),
    ('name = "KRN"', 'name = "K RN"«', "register[0016].name", "letter"),
    ('name = "KRN"', 'name = "acceptedTID.1"«', "register[0016].name", "letter"),
    ('name = "KRN"\ntype = "u8"', 'name = "KRN"\ntype = "u65"«', "register[0016].type", "64 bits"),
    (
        'name = "KRN"\ntype = "u8"',
        'name = "KRN"\ntype = "float"«',
        "register[0016].type",
        "u1 to u64",
    ),
    ('type = "text 18"', 'type = "text 129"«', "register[0010].type", "128"),
    ('type = "text 18"', 'type = "text 18"\nencoding = "hex"«', "register[0010].encoding", "text"),
    ('type = "text 18"', 'type = "text 18"\nunit = "m"«', "register[0010].unit", "only numbers"),
    ('type = "text 18"', 'type = "text 18"\nscaler = 1«', "register[0010].scaler", "only numbers"),
    ('\nunit = "Wh"', '\nunit = "W*h"«', "register[0020].unit", "printable"),
    ('\nunit = "Wh"', '\nunit = "kilowatthours day"«', "register[0020].unit", "16"),
    ('name = "KRN"', 'name = "KRN"\nscaler = 19«', "register[0016].scaler", "-18 to 18"),
    (
        'name = "KRN"',
        'name = "KRN"\nread_level = 2«',
        "register[0016].read_level",
        "no access level 2",
    ),
    (
        'name = "KRN"',
        'name = "KRN"\nwrite_level = 0«',
        "register[0016].write_level",
        "says nothing",
    ),
    ('access = "w"', 'access = "x"«', "register[000F].access", "rw"),
    ("count = 100", "count = 0«", "register[0100].count", "1 to"),
    ('address = "0100"', 'address = "FFF0"\n', "register[FFF0].count", "4 digits"),
    ('meaning = "0 or 1"', 'meaning = ""«', "register[0032].meaning", "empty"),
    ('meaning = "0 or 1"', 'meaning = "a\\nb"«', "register[0032].meaning", "control"),
    ('meaning = "0 or 1"', 'meanin = "0 or 1"«', "register[0032].meanin", "did you mean 'meaning'"),
    ('title = "E', 'title = 1979-05-27« #"', "companion.title", "date"),
    ("registered = false", "registered = 0«", "companion.registered", "true or false"),
    ("[companion]", "[other]«\n[companion]", "other", "known here"),
    ("[companion]", "remove = []«\n[companion]", "remove", "known here"),
    ("[table]\n", '[table]\nremove = ["0030"«]\n', "table.remove[0]", "'0030'"),
    ("[table]\n", '[table]\nremove = "0030"«\n', "table.remove", "list"),
    ('title = "E', 'title = " "« # "', "companion.title", "empty"),
    ("poll_ms = 500", "poll_ms = 15001", "token_entry.poll_limit_ms", "poll_ms"),
    ("first_s = 60", "first_s = 9«", "lockout.first_s", "commit_interval_s"),
    ('base_unit = "Wh"', 'base_unit = "s"«', "meter.base_unit", "counts in"),
    (
        'name = "totalConsumption"\ntype = "u64"\nunit = "Wh"',
        'name = "totalConsumption"\ntype = "u64"\nunit = "l"',
        "meter.base_unit",
        "totalConsumption",
    ),
    (
        'name = "tokenEntry"\ntype = "token"',
        'name = "tokenEntry"\ntype = "token"\nencoding = "token-hex"',
        "token_entry.encoding",
        "token-hex",
    ),
    (
        'name = "tokenSequence"\ntype = "u32"\naccess = "r"',
        'name = "tokenSequence"\ntype = "u32"\naccess = "w"',
        "token_entry.snapshot_counts",
        "follow each other",
    ),
    ("[companion]", "extends = 5«\n[companion]", "extends", "name or path"),
    ("[companion]", 'extends = "./none"«\n[companion]', "extends", "no such file"),
]


@pytest.mark.parametrize(("old", "new", "key", "word"), REPLACED)
def test_a_defect_is_told_with_its_line_and_key(old: str, new: str, key: str, word: str) -> None:
    assert old in ELECTRICITY
    marked = ELECTRICITY.replace(old, new, 1)
    text = marked.replace("«", "")
    problems = check(text, "x.toml")
    found = [p for p in problems if p.key == key]
    assert found, [str(p) for p in problems]
    (problem,) = found
    assert word in problem.message
    assert problem.source == "x.toml"
    if "«" in marked:
        mark = marked.index("«")
        expected = marked.count("\n", 0, mark) + 1
        if key.startswith("register[0040]"):  # the defect shows where the series is
            expected = text[: text.index('address = "0040"')].count("\n") + 1
        assert problem.line == expected
    assert str(problem) == f"x.toml, line {problem.line}: {key}: {problem.message}"


#: Lines taken out: the key is missing where its table stands.
@pytest.mark.parametrize(
    ("line", "header", "key"),
    [
        ('flag = "VTC"', "[identity]", "identity.flag"),
        ("repeat_ms = 2000", "[timing]", "timing.repeat_ms"),
        ("3rdKCT = 17", "[token_entry.status]", "token_entry.status.3rdKCT"),
        ("4thKCT = 18", "[token_entry.status]", "token_entry.status.4thKCT"),
        ("failures = 5", "[lockout]", "lockout.failures"),
        ('store_fault = "ER08"', "[errors]", "errors.store_fault"),
        ("tid_store_size = 50", "[meter]", "meter.tid_store_size"),
        ('addresses = "hexadecimal"', "[table]", "table.addresses"),
    ],
)
def test_a_missing_key_is_told_at_its_table(line: str, header: str, key: str) -> None:
    text = ELECTRICITY.replace(line, "", 1)
    (problem,) = [p for p in check(text, "x.toml") if p.key == key]
    assert "missing" in problem.message
    assert text.splitlines()[problem.line - 1] == header


def test_the_shipped_text_itself_has_no_problem() -> None:
    assert check(ELECTRICITY, "x.toml") == []


def test_every_problem_is_told_at_once_and_in_order() -> None:
    text = ELECTRICITY
    for old, new in (
        ('flag = "VTC"', 'flag = "vtc"'),
        ("repeat_ms = 2000", "repeat_ms = 1"),
        ('"ER03"', '"ER02"'),
        ("3rdKCT = 17", "3rdKCT = 16"),
        ('type = "text 18"', 'type = "text 0"'),
        ("count = 50", "count = -1"),
        ('meaning = "0 or 1"', 'meaning = "0 or 1"\nfoo = 1'),
    ):
        text = text.replace(old, new, 1)
    problems = check(text, "x.toml")
    assert [p.key for p in problems] == [
        "identity.flag",
        "timing.repeat_ms",
        "errors.no_such_register",
        "token_entry.status.3rdKCT",
        "register[0010].type",
        "register[0032].foo",
        "register[0040].count",
    ]
    assert [p.line for p in problems] == sorted(p.line for p in problems)


@pytest.mark.parametrize("encoding", ["text", "token", "token-hex", "hexx"])
def test_a_wrong_encoding_of_the_table_is_one_problem(encoding: str) -> None:
    text = ELECTRICITY.replace('encoding = "hex"', f'encoding = "{encoding}"', 1)
    (problem,) = check(text, "x.toml")
    assert problem.key == "table.encoding"


def test_a_problem_with_what_was_inherited_stands_in_the_file_that_clashes() -> None:
    problems = check(
        'extends = "electricity"\n\n[[register]]\naddress = "0023"\ntype = "text 4"\n', "x"
    )
    (problem,) = problems
    assert problem.key == "register[0023].unit"
    assert problem.source == "shipped:electricity.toml"
    problems = check('extends = "electricity"\n[[register]]\naddress = "0033"\n', "x")
    assert {(p.source, p.line) for p in problems} == {("x", 2)}
    assert {p.key for p in problems} == {
        f"register[0033].{key}" for key in ("name", "type", "access", "meaning")
    }


def test_that_there_is_no_level_0_is_one_problem() -> None:
    text = 'extends = "electricity-mode-c"\n[[access]]\nlevel = 2\n'
    text += 'gate = "password"\nmeaning = "whoever knows it"\n'
    assert [(p.key, p.source, p.line) for p in check(text, "x")] == [("access", "x", 2)]


LINES = ELECTRICITY.splitlines()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_text_crashes_the_judge(data: st.DataObject) -> None:
    lines = spoiled(data, LINES[: data.draw(st.sampled_from([100, 160, len(LINES)]))])
    for problem in check("\n".join(lines), "x.toml"):
        assert problem.message
        assert problem.line <= len(lines) + 1
