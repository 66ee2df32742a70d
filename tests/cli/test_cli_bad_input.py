"""Whatever is given wrong: one sentence, exit code 2, no traceback, nothing changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_bench import (
    DECODER_KEY,
    PAN,
    VENDING_KEY,
    contents,
    here,
    new_meter,
    one_sentence,
    secret_file,
    vtc07,
)

__all__ = ["here"]

ISSUE = ("token", "issue", "credit", "1.0")
SIM = "sim:m.meter"
GOOD = "00000002200248007208"

CASES: dict[str, tuple[tuple[str, ...], str]] = {
    # digits
    "a token too short": (("send", SIM, "1234"), "20 digits"),
    "a token too long": (("send", SIM, "123456789012345678901"), "21"),
    "a token with letters": (("send", SIM, "1234567890123456789x"), "decimal digits"),
    "a token above 66 bits": (("send", SIM, "99999999999999999999"), "larger"),
    "no token": (("send", SIM), "TOKEN"),
    "a good token and a bad one": (("send", SIM, GOOD, "12"), "2"),
    "a bad token at the keypad": (("meter", "enter", "m.meter", "77"), "20 digits"),
    "a bad token to decode": (("token", "decode", "1 2 3"), "20 digits"),
    "a wrong digit": (("token", "decode", "00000002200248007209"), "CRC"),
    "a token of class 3": (("token", "decode", "00000000000402653184"), "class 3"),
    "an amount with two decimals": ((*ISSUE[:3], "1.05", "--test-key"), "1 decimal place"),
    "an amount with a comma": ((*ISSUE[:3], "1,5", "--test-key"), "point"),
    "a negative amount": ((*ISSUE[:3], "--test-key", "--", "-1"), "not an amount"),
    "an amount too large": ((*ISSUE[:3], "1820162.5", "--test-key"), "18201624"),
    "money too fine": (("token", "issue", "currency", "1.000001", "--test-key"), "5 decimal"),
    "watts that are none": (("token", "issue", "power-limit", "5kW", "--test-key"), "digits"),
    "too many watts": (("token", "issue", "power-limit", "18201625", "--test-key"), "18201624"),
    "a rate too large": (("token", "issue", "tariff-rate", "65536", "--test-key"), "65535"),
    "an index too large": (("token", "issue", "extended", "64", "1", "--test-key"), "63"),
    "a value too large": (("token", "issue", "extended", "1", "1024", "--test-key"), "1023"),
    "an unknown register": (("token", "issue", "clear-credit", "steam", "--test-key"), "steam"),
    "an undefined register": (("token", "issue", "clear-credit", "9", "--test-key"), "0 to 7"),
    "an unknown test": (("token", "issue", "meter-test", "first"), "first"),
    "a test too high": (("token", "issue", "meter-test", "37"), "36"),
    "a test subclass 1 lacks": (("token", "issue", "meter-test", "29", "--mfr-code", "0001"), "28"),
    "a read index too large": (("token", "issue", "extended-read", "64"), "63"),
    "a MfrCode of 3 digits": (("token", "issue", "meter-test", "1", "--mfr-code", "123"), "2 or 4"),
    # check digits and identifiers
    "a PAN with a wrong check digit": (
        (*ISSUE, "--test-key", "--pan", "600727111111111154"),
        "check digit",
    ),
    "a DRN with a wrong check digit": ((*ISSUE, "--test-key", "--pan", "11111111116"), "check"),
    "a PAN too short": ((*ISSUE, "--test-key", "--pan", "60072"), "18"),
    "an SGC of 5 digits": ((*ISSUE, "--test-key", "--sgc", "12345"), "6"),
    "a TI too large": ((*ISSUE, "--test-key", "--ti", "100"), "2"),
    "a KRN of 0": ((*ISSUE, "--test-key", "--krn", "0"), "1 to 9"),
    "a KEN of 256": ((*ISSUE, "--test-key", "--ken", "256"), "255"),
    "an unknown key type": ((*ISSUE, "--test-key", "--kt", "4"), "DUTK"),
    "an unknown base date": ((*ISSUE, "--test-key", "--base-date", "56"), "35"),
    "an unknown EA": ((*ISSUE, "--test-key", "--ea", "08"), "07"),
    "DKGA01": ((*ISSUE, "--test-key", "--dkga", "01"), "DKGA01"),
    "EA11 with DKGA02": ((*ISSUE, "--test-key", "--dkga", "02", "--ea", "11"), "DKGA04"),
    "a DCTK by DKGA04": ((*ISSUE, "--test-key", "--kt", "3"), "DCTK"),
    "a DITK derived": ((*ISSUE, "--test-key", "--kt", "0"), "DITK"),
    "a RND of 16": ((*ISSUE, "--test-key", "--rnd", "16"), "15"),
    "a time that is none": ((*ISSUE, "--test-key", "--at", "tomorrow"), "2026-03-01T12:30"),
    "a time before all": ((*ISSUE, "--test-key", "--at", "0001-01-01T00:00+01:00"), "no time"),
    "a time before the base date": ((*ISSUE, "--test-key", "--at", "2013-12-31"), "2014"),
    "a time after the base date": (
        (*ISSUE, "--test-key", "--at", "2025-01-01", "--base-date", "93"),
        "1993",
    ),
    "a TID too large": ((*ISSUE, "--test-key", "--taken", "16777216"), "16777215"),
    # keys
    "no key": (ISSUE, "--vending-key-file"),
    "two keys": ((*ISSUE, "--test-key", "--vending-key-file", "vk.hex"), "one of them"),
    "a vending key without a meter": ((*ISSUE, "--vending-key-file", "vk.hex"), "--pan"),
    "a vending key without its group": (
        (*ISSUE, "--vending-key-file", "vk.hex", "--pan", PAN),
        "--sgc",
    ),
    "no such key file": ((*ISSUE, "--vending-key-file", "nothere.hex"), "nothere.hex"),
    "a folder for a key file": ((*ISSUE, "--vending-key-file", "."), "cannot be read"),
    "a key with other characters": ((*ISSUE, "--vending-key-file", "bad.hex"), "hexadecimal"),
    "a key of a wrong length": ((*ISSUE, "--vending-key-file", "odd.hex"), "8 bytes"),
    "a key of DKGA03": ((*ISSUE, "--vending-key-file", "dkga03.hex"), "DKGA03"),
    "a key file that is none": ((*ISSUE, "--vending-key-file", "binary"), "hexadecimal digits"),
    "a key file far too long": ((*ISSUE, "--vending-key-file", "long.hex"), "longer"),
    "a decoder key for another EA": (
        (*ISSUE, "--decoder-key-file", "dk.hex", "--ea", "11"),
        "16 bytes",
    ),
    "a key as an argument": ((*ISSUE, "--vending-key-file", VENDING_KEY), "shell's history"),
    "a key as an option that is none": ((*ISSUE, "--vending-key", VENDING_KEY), "--vending-key"),
    "a store key as an argument": (
        ("meter", "show", "m.meter", "--store-key-file", "AB" * 32),
        "shell's history",
    ),
    "a keychange to nothing": (("token", "keychange", "--test-key"), "nothing would change"),
    "a base date that does not follow": (
        ("token", "keychange", "--test-key", "--to-base-date", "93"),
        "35 follows",
    ),
    "a forbidden change of key type": (
        ("token", "keychange", "--test-key", "--to-kt", "3"),
        "2 DUTK",
    ),
    "two new keys": (
        ("token", "keychange", "--test-key", "--to-test-key", "--to-vending-key-file", "vk.hex"),
        "one of them",
    ),
    # tables
    "no such tables": ((*ISSUE, "--test-key", "--sta-tables", "nothere.json"), "nothere.json"),
    "tables that are no JSON": ((*ISSUE, "--test-key", "--sta-tables", "vk.hex"), "JSON"),
    "tables without a set": ((*ISSUE, "--test-key", "--sta-tables", "empty.json"), "sub1"),
    "tables with a hole": ((*ISSUE, "--test-key", "--sta-tables", "hole.json"), "sub1"),
    # companions
    "an unknown companion": (("read", SIM, "--companion", "watr"), "did you mean 'water'"),
    "a companion file not there": (("identify", SIM, "--companion", "x.toml"), "x.toml"),
    "a companion that is no TOML": (("read", SIM, "--companion", "bad.toml"), "bad.toml, line 1"),
    "a companion file with problems": (("companion", "check", "bad.toml"), "found"),
    "a companion to show that is none": (("companion", "show", "vk.hex"), "vk.hex"),
    "the companion of another meter": (("read", SIM, "--companion", "water"), "VTW"),
    "writing with another's companion": (
        ("write", SIM, "lowCreditThreshold=1", "--companion", "gas"),
        "VTG",
    ),
    "sending with another's companion": (("send", SIM, GOOD, "--companion", "time"), "VTT"),
    "a sign-on that is not spoken": (("read", SIM, "--companion", "mode-c.toml"), "mode-c"),
    "a meter with such a sign-on": (
        ("meter", "new", "n.meter", "--companion", "mode-c.toml"),
        "mode-c",
    ),
    # addresses
    "an address that is none": (("read", "kitchen"), "sim:STORE"),
    "a port too high": (("read", "tcp://127.0.0.1:70000"), "65535"),
    "no port": (("identify", "tcp://127.0.0.1"), "tcp://HOST:PORT"),
    "sim without a store": (("read", "sim:"), "store"),
    "no such store": (("read", "sim:nothere"), "nothere"),
    "a store that is none": (("read", "sim:vk.hex"), "not the store"),
    "a meter address that is none": (("read", SIM, "--meter-address", "a/b"), "a/b"),
    "a meter address too long": (("read", SIM, "--meter-address", "1" * 33), "32"),
    "a speed that is none": (("read", SIM, "--speed", "fast"), "--speed"),
    "no attempts": (("read", SIM, "--attempts", "0"), "--attempts"),
    "a trace over a file": (("read", SIM, "--trace", "vk.hex"), "exists already"),
    "a trace nowhere": (("read", SIM, "--trace", "no/where"), "no/where"),
    "a journal in a file": (("send", SIM, GOOD, "--journal", "vk.hex/j"), "no folder"),
    "a journal nowhere": (("send", SIM, GOOD, "--journal", "nowhere/j"), "no folder"),
    "a journal that is none": (("send", SIM, GOOD, "--journal", "vk.hex"), "line 1"),
    "a store key for a port": (
        ("read", "tcp://127.0.0.1:1", "--store-key-file", "vk.hex"),
        "sim:STORE",
    ),
    # registers and values
    "an unknown register name": (("read", SIM, "creditBalence"), "did you mean creditBalance"),
    "a register far from any": (("read", SIM, "zzzzzz"), "vtc07 companion show"),
    "a register number not there": (("read", SIM, "0FFF"), "0FFF"),
    "a range the wrong way": (("read", SIM, "001A-0010"), "0010-001A"),
    "a range without registers": (("read", SIM, "0F00-0FFF"), "0F00-0FFF"),
    "a series entry not there": (("read", SIM, "tokenLog.51"), "tokenLog"),
    "a register only to write": (("read", SIM, "tokenEntry"), "vtc07 send"),
    "all and some": (("read", SIM, "--all", "KRN"), "--all"),
    "an assignment without a value": (("write", SIM, "lowCreditThreshold"), "REGISTER=VALUE"),
    "an unknown register to write": (("write", SIM, "lowCreditTreshold=1"), "lowCreditThreshold"),
    "a token as a value": (("write", SIM, f"tokenEntry={GOOD}"), "vtc07 send"),
    "a number that is none": (("write", SIM, "lowCreditThreshold=much"), "decimal number"),
    "a number too large": (("write", SIM, "lowCreditThreshold=4294967296"), "4294967295"),
    "a fraction of a Wh": (("write", SIM, "lowCreditThreshold=0.5"), "0 decimal places"),
    "a text too long": (("write", SIM, f"installationReference={'x' * 33}"), "32"),
    "a text with brackets": (("write", SIM, "installationReference=(x)"), "printable"),
    "a good value and a bad one": (
        ("write", SIM, "lowCreditThreshold=1", "lowCreditAlarmEnabled=no"),
        "lowCreditAlarmEnabled",
    ),
    # meters
    "a store that exists": (("meter", "new", "m.meter"), "never overwritten"),
    "a store in no folder": (("meter", "new", "no/where.meter"), "folder"),
    "a meter of a bad companion": (("meter", "new", "n.meter", "--companion", "bad.toml"), "line"),
    "a DITK without its key": (("meter", "new", "n.meter", "--kt", "0"), "--decoder-key-file"),
    "a meter with a DCTK": (("meter", "new", "n.meter", "--kt", "3", "--dkga", "02"), "DCTK"),
    "a date before the base date": (
        ("meter", "new", "n.meter", "--manufactured", "2000-01-01"),
        "2014",
    ),
    "a date that is none": (("meter", "new", "n.meter", "--manufactured", "today"), "2026-03-01"),
    "no room for credit": (("meter", "new", "n.meter", "--credit-maximum", "0"), "larger"),
    "two phases": (("meter", "new", "n.meter", "--phases", "2"), "--phases"),
    "three phases of water": (
        ("meter", "new", "n.meter", "--phases", "3", "--companion", "water"),
        "electricity",
    ),
    "a store with a wrong key": (("meter", "show", "m.meter", "--store-key-file", "other.key"),
                                 "another store key"),
    "a store with a key that is none": (
        ("meter", "show", "m.meter", "--store-key-file", "vk.hex"), "64 hexadecimal digits"),
    "a store without its key": (("meter", "show", "m.meter", "--store-key-file", "no.key"),
                                "no.key"),
    "serving a simulation": (("meter", "serve", "m.meter", "--listen", "sim:m.meter"), "sim:STORE"),
    "serving everybody": (("meter", "serve", "m.meter", "--listen", "tcp://0.0.0.0:0"),
                          "--allow-remote"),
    "a load that is none": (("meter", "serve", "m.meter", "--load", "1kW"), "1kW"),
    "a load of too many phases": (("meter", "serve", "m.meter", "--load", "1,2,3"), "phases"),
    "showing what is no store": (("meter", "show", "bad.toml"), "not the store"),
    "showing nothing": (("meter", "show", "nothere"), "vtc07 meter new nothere"),
    # the shell
    "an unknown command": (("reed", SIM), "did you mean 'read'"),
    "an unknown subcommand": (("token", "isue"), "did you mean 'issue'"),
    "an unknown option": (("read", SIM, "--fast"), "--fast"),
    "an option without its value": (("read", SIM, "--trace"), "--trace"),
}  # fmt: skip


@pytest.fixture
def folder(here: Path) -> Path:
    new_meter()
    secret_file(here / "vk.hex", VENDING_KEY)
    secret_file(here / "dk.hex", DECODER_KEY)
    secret_file(here / "bad.hex", VENDING_KEY[:-1] + "G")
    secret_file(here / "odd.hex", VENDING_KEY[:-2])
    secret_file(here / "dkga03.hex", VENDING_KEY[:32])
    secret_file(here / "long.hex", VENDING_KEY * 200)
    secret_file(here / "other.key", "7C" * 32)
    (here / "binary").write_bytes(bytes(range(256)))
    (here / "binary").chmod(0o600)
    (here / "empty.json").write_text("{}")
    tables = {"sub1": [0] * 16, "sub2": list(range(16)), "perm": list(range(64))}
    (here / "hole.json").write_text(json.dumps(tables))
    mode_c = 'extends = "electricity"\n[sign_on]\nmode = "mode-c"\n'
    (here / "mode-c.toml").write_text(mode_c)
    (here / "bad.toml").write_text("this is no companion\n")
    return here


@pytest.mark.parametrize("case", CASES)
def test_bad_input(folder: Path, case: str) -> None:
    arguments, said = CASES[case]
    before = contents(folder)
    result = vtc07(*arguments)
    assert result.code == 2, result.everything
    sentence = one_sentence(result.err)
    assert said in sentence
    for key in (VENDING_KEY, DECODER_KEY, "AB" * 32, "7C" * 32):
        assert key not in result.everything
    after = contents(folder)
    if arguments[0] in ("read", "write", "send") and "another" in case:
        # The meter was asked who it is, so it was switched on; nothing else happened to it.
        before.pop("m.meter")
        after.pop("m.meter")
    created = {name for name in after if name not in before}
    assert all("deliveries.journal" in name or name.endswith(".lock") for name in created), created
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("case", CASES)
def test_bad_input_with_json(folder: Path, case: str) -> None:
    arguments, said = CASES[case]
    at = arguments.index("--") if "--" in arguments else len(arguments)
    if arguments[-1].startswith("--trace"):
        at -= 1  # an option without its value would take --json for it
    result = vtc07(*arguments[:at], "--json", *arguments[at:])
    assert result.code == 2, result.everything
    assert result.error["exit_code"] == 2
    assert said in result.error["error"]
    assert set(result.error) == {"error", "exit_code"}
    if result.out:
        json.loads(result.out)
    for line in result.err.splitlines():
        json.loads(line)
