"""Issuing and decoding by the command line: every kind, every source of a key, every refusal."""

from __future__ import annotations

import itertools
import json
import os
import stat
from pathlib import Path

import pytest
from cli_bench import (
    DECODER_KEY,
    OTHER_VENDING_KEY,
    PAN,
    SHORT_VENDING_KEY,
    VENDING_KEY,
    credit,
    done,
    here,
    one_sentence,
    secret_file,
    vtc07,
)

from vtc07.cli import secret
from vtc07.tokens import (
    DKGA,
    EA,
    KRN,
    KT,
    SGC,
    TI,
    TID,
    BaseDate,
    DecoderKey,
    MeterPAN,
    TokenData,
    VendingKey,
    assemble_key,
    decode,
    derive_decoder_key,
)

__all__ = ["here"]

AT = ("--at", "2026-03-01T12:00")
BASE = ("--vending-key-file", "vk.hex", "--pan", PAN, "--sgc", "111222")


@pytest.fixture
def keys(here: Path) -> Path:
    secret_file(here / "vk.hex", f"  {VENDING_KEY.lower()}  ")
    secret_file(here / "other.hex", OTHER_VENDING_KEY)
    secret_file(here / "short.hex", SHORT_VENDING_KEY)
    secret_file(here / "dk.hex", DECODER_KEY)
    return here


KINDS: dict[str, tuple[tuple[str, ...], dict[str, object]]] = {
    "credit": (
        ("credit", "25.3"),
        {"kind": "TransferCredit", "service": "electricity", "amount": "25.3", "unit": "kWh"},
    ),
    "credit of water": (
        ("credit", "0.7", "--service", "water"),
        {"subclass": 1, "service": "water", "amount": "0.7", "unit": "m3"},
    ),
    "credit of gas": (("credit", "12", "--service", "gas"), {"subclass": 2, "amount": "12.0"}),
    "credit of time": (
        ("credit", "90.5", "--service", "time"),
        {"subclass": 3, "amount": "90.5", "unit": "min"},
    ),
    "currency": (
        ("currency", "0.12345"),
        {"kind": "TransferCurrency", "subclass": 4, "amount": "0.12345"},
    ),
    "negative currency": (
        ("currency", "-0.00500", "--service", "gas"),
        {"subclass": 6, "amount": "-0.00500"},
    ),
    "power-limit": (("power-limit", "5000"), {"kind": "SetMaximumPowerLimit", "limit": 5000}),
    "phase-unbalance-limit": (
        ("phase-unbalance-limit", "2000"),
        {"kind": "SetMaximumPhasePowerUnbalanceLimit", "limit": 2000},
    ),
    "clear-credit": (("clear-credit",), {"kind": "ClearCredit", "register": 0}),
    "clear-credit all": (("clear-credit", "all"), {"register": 0xFFFF, "clears": "all"}),
    "clear-credit by number": (("clear-credit", "5"), {"clears": "water-currency"}),
    "clear-tamper": (("clear-tamper",), {"kind": "ClearTamperCondition", "pad": 0}),
    "tariff-rate": (("tariff-rate", "3"), {"kind": "SetTariffRate", "rate": 3}),
    "water-factor": (("water-factor", "10"), {"kind": "SetWaterMeterFactor", "factor": 10}),
    "extended": (("extended", "2", "100"), {"kind": "ExtendedTokenSet", "index": 2, "value": 100}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_issued_decodes_to_the_same(keys: Path, kind: str) -> None:
    arguments, expected = KINDS[kind]
    issued = done("token", "issue", *arguments, *BASE, *AT, "--rnd", "11", "--json").json
    decoded = done("token", "decode", issued["token"], *BASE, "--json").json["tokens"][0]
    assert {name: issued[name] for name in expected} == expected
    assert decoded == {name: value for name, value in issued.items() if name != "key"}
    assert decoded["issued_at"] == "2026-03-01T12:00Z"
    assert issued["grouped"].replace(" ", "") == issued["token"]
    assert issued["key"]["meter_pan"] == PAN
    if "rnd" in issued:
        assert issued["rnd"] == 11


def test_the_digits_alone_stand_on_stdout(keys: Path) -> None:
    result = done("token", "issue", "credit", "25.3", *BASE, *AT)
    assert len(TokenData.from_digits(result.out.strip()).grouped) == len(result.out.strip())
    assert "25.3 kWh" in result.err


@pytest.mark.parametrize(
    ("options", "ea"),
    [((), EA.MISTY1), (("--ea", "11"), EA.MISTY1), (("--ea", "07"), EA.STA)],
)
def test_an_issued_token_is_that_of_the_derived_key(
    keys: Path, options: tuple[str, ...], ea: EA
) -> None:
    attributes = ("--ti", "07", "--krn", "4", "--base-date", "14", "--kt", "2")
    token = credit("3.0", *BASE, *attributes, *options)
    key = derive_decoder_key(
        DKGA.DKGA04, VendingKey.from_hex(VENDING_KEY), MeterPAN(PAN), KT.DUTK, SGC("111222"),
        TI("07"), KRN(4), BaseDate.Y2014, ea,
    )  # fmt: skip
    found = decode(TokenData.from_digits(token), key)
    assert (found.token_class, getattr(found, "amount", None)) == (0, 30)


def test_class_1_needs_no_key(here: Path) -> None:
    issued = done("token", "issue", "meter-test", "1", "18", "--mfr-code", "0096", "--json").json
    assert issued["subclass"] == 1
    assert [test["number"] for test in issued["tests"]] == [1, 18]
    assert issued["mfr_code"] == "0096"
    assert "key" not in issued
    everything = done("token", "issue", "meter-test", "--json").json
    assert everything["tests"] == [{"number": 0, "name": "all"}]
    extended = done("token", "issue", "extended-read", "5", "--value", "9", "--json").json
    assert (extended["index"], extended["control"]) == (5, 5 << 30 | 9)
    for document in (issued, everything, extended):
        decoded = done("token", "decode", document["grouped"], "--json").json["tokens"]
        assert decoded == [document]


def test_groups_of_digits_may_be_words_of_their_own(here: Path) -> None:
    first = done("token", "issue", "meter-test", "1").out.split()
    second = done("token", "issue", "meter-test", "2").out.strip()
    decoded = done("token", "decode", *first, second, "-".join(first), "--json").json["tokens"]
    assert [token["tests"][0]["number"] for token in decoded] == [1, 2, 1]


# --- times ----------------------------------------------------------------------------------------


def test_the_tid_follows_the_time_of_issue(keys: Path) -> None:
    def tid(at: str, *options: str) -> int:
        issued = done("token", "issue", "credit", "1", *BASE, "--at", at, *options, "--json").json
        found: int = issued["tid"]
        return found

    noon = tid("2026-03-01T12:00:59")
    assert (
        noon == (TID(noon).issued_at(BaseDate.Y2014) - BaseDate.Y2014.epoch).total_seconds() // 60
    )
    assert tid("2026-03-01T14:00+02:00") == noon
    assert tid("2026-03-01T12:01") == noon + 1
    # 00:01 of each day is reserved
    assert tid("2026-03-02T00:01") == tid("2026-03-02T00:02") == tid("2026-03-02T00:00") + 2
    taken = ("--taken", str(noon), "--taken", str(noon + 1))
    assert tid("2026-03-01T12:00", *taken) == noon + 2
    assert tid("1999-01-01", "--base-date", "93") == 6 * 365 * 1440 + 1440


def test_without_a_time_it_is_now_and_the_random_bits_vary_in_range(keys: Path) -> None:
    issued = done("token", "issue", "credit", "1", *BASE, "--json").json
    assert 0 <= issued["rnd"] <= 15
    assert issued["tid"] > 6_000_000  # later than this test was written


# --- refusals of the point of sale ----------------------------------------------------------------


def test_no_credit_under_a_default_key(keys: Path) -> None:
    for kind in ("credit", "currency"):
        result = vtc07("token", "issue", kind, "1", *BASE, "--kt", "1")
        assert result.code == 2
        assert "DDTK" in one_sentence(result.err)
    done("token", "issue", "clear-tamper", *BASE, "--kt", "1")


def test_no_token_under_an_expired_key(keys: Path) -> None:
    tid = done("token", "issue", "credit", "1", *BASE, *AT, "--json").json["tid"]
    done("token", "issue", "credit", "1", *BASE, *AT, "--ken", str(tid >> 16))
    for kind in (("credit", "1"), ("power-limit", "1"), ("clear-tamper",)):
        result = vtc07("token", "issue", *kind, *BASE, *AT, "--ken", str((tid >> 16) - 1))
        assert result.code == 2
        assert "expired" in one_sentence(result.err)


def test_an_amount_is_rounded_up_and_that_is_said(keys: Path) -> None:
    result = done("token", "issue", "credit", "1638.5", *BASE, "--json")
    assert result.json["amount"] == "1639.4"
    assert "1639.4 kWh" in result.err
    assert "carries" not in done("token", "issue", "credit", "1638.3", *BASE).err
    money = done("token", "issue", "currency", "-0.16385", *BASE, "--json")
    assert money.json["amount"] == "-0.16384"
    assert "carries -0.16384" in money.err


# --- sources of keys ------------------------------------------------------------------------------


def test_a_key_comes_from_file_stdin_environment_or_prompt(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = ("--pan", PAN, "--sgc", "111222")
    expected = credit("5.0", *BASE)
    arguments = ("token", "issue", "credit", "5.0", *AT, "--rnd", "7", *rest)
    by_stdin = done(*arguments, "--vending-key-file", "-", typed=VENDING_KEY + "\n").out
    monkeypatch.setattr(secret, "is_asked_at_a_terminal", lambda: True)
    by_prompt = done(*arguments, typed=VENDING_KEY + "\n")
    monkeypatch.setattr(secret, "is_asked_at_a_terminal", lambda: False)
    monkeypatch.setenv("VTC07_VENDING_KEY", f" {VENDING_KEY}\n")
    by_environment = done(*arguments).out
    other = done(*arguments, "--vending-key-file", "other.hex").out  # a file before the environment
    found = [text.replace(" ", "").strip() for text in (by_stdin, by_prompt.out, by_environment)]
    assert found == [expected] * 3
    assert other != by_environment
    assert VENDING_KEY not in by_prompt.everything


def test_a_decoder_key_may_be_given_itself(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = credit("5.0", "--decoder-key-file", "dk.hex")
    found = decode(TokenData.from_digits(token), DecoderKey.from_hex(EA.STA, DECODER_KEY))
    assert getattr(found, "amount", None) == 50
    monkeypatch.setenv("VTC07_DECODER_KEY", DECODER_KEY)
    assert credit("5.0") == token
    assert done("token", "decode", token, "--json").json["tokens"][0]["amount"] == "5.0"
    monkeypatch.setenv("VTC07_VENDING_KEY", VENDING_KEY)
    result = vtc07("token", "decode", token)
    assert result.code == 2
    assert "both set" in one_sentence(result.err)


def test_the_length_of_a_vending_key_decides_the_derivation(keys: Path) -> None:
    short = ("--vending-key-file", "short.hex", "--pan", PAN, "--sgc", "111222")
    issued = done("token", "issue", "credit", "1", *short, "--json").json
    assert issued["key"]["dkga"] == "02"
    result = vtc07("token", "issue", "credit", "1", *short, "--dkga", "04")
    assert result.code == 2
    assert "20 bytes" in one_sentence(result.err)


def test_the_test_key_is_said_to_be_public(here: Path) -> None:
    for dkga in ("02", "04"):
        result = done("token", "issue", "credit", "1", "--test-key", "--dkga", dkga, "--json")
        assert result.json["key"]["test_key"] is True
        assert result.json["key"]["dkga"] == dkga
        assert "never use it for real money" in result.err


@pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")
def test_a_key_file_that_others_may_read_is_warned_of(keys: Path) -> None:
    assert "chmod" not in done("token", "issue", "credit", "1", *BASE).err
    (keys / "vk.hex").chmod(0o644)
    result = done("token", "issue", "credit", "1", *BASE)
    assert "mode 0644" in result.err
    assert stat.S_IMODE((keys / "vk.hex").stat().st_mode) == 0o644


def test_decoding_without_a_key_says_what_it_takes(keys: Path) -> None:
    encrypted = credit("5.0", *BASE)
    clear = done("token", "issue", "meter-test", "3", "--json").json["token"]
    result = vtc07("token", "decode", clear, encrypted, "--json")
    assert result.code == 2
    first, second = result.json["tokens"]
    assert first["tests"] == [{"number": 3, "name": "cumulative totals"}]
    assert (second["class"], second["problem"]) == (0, "needs a key")
    assert "--decoder-key-file" in result.error["error"]
    assert result.error["exit_code"] == 2


def test_a_token_of_another_meter_does_not_decode(keys: Path) -> None:
    encrypted = credit("5.0", *BASE)
    result = vtc07("token", "decode", encrypted, *BASE, "--krn", "2")
    assert result.code == 2
    assert "CRC" in one_sentence(result.err)


# --- key changes ----------------------------------------------------------------------------------


def _sections(document: dict[str, object], key: DecoderKey) -> list[object]:
    tokens = document["tokens"]
    assert isinstance(tokens, list)
    return [decode(TokenData.from_digits(token["token"]), key) for token in tokens]


def _derived(vending_key: str, ea: EA, krn: int, sgc: str, base: BaseDate) -> DecoderKey:
    return derive_decoder_key(
        DKGA.DKGA04, VendingKey.from_hex(vending_key), MeterPAN(PAN), KT.DUTK, SGC(sgc), TI("01"),
        KRN(krn), base, ea,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ea", "to_sgc", "names"),
    [
        (EA.STA, None, ["Set1st", "Set2nd"]),
        (EA.STA, "333444", ["Set1st", "Set2nd", "Set3rd"]),
        (EA.MISTY1, "333444", ["Set1st", "Set2nd", "Set3rd", "Set4th"]),
    ],
)
def test_a_set_carries_the_new_key(
    keys: Path, ea: EA, to_sgc: str | None, names: list[str]
) -> None:
    options = () if to_sgc is None else ("--to-sgc", to_sgc)
    document = done(
        "token", "keychange", "--vending-key-file", "vk.hex", "--pan", PAN, "--from-sgc", "111222",
        "--to-vending-key-file", "other.hex", "--to-krn", "2", "--to-ken", "200", "--ea", ea.code,
        *options, "--json",
    ).json  # fmt: skip
    current = _derived(VENDING_KEY, ea, 1, "111222", BaseDate.Y2014)
    assembled = assemble_key(_sections(document, current), ea)  # type: ignore[arg-type]
    wanted = _derived(OTHER_VENDING_KEY, ea, 2, to_sgc or "111222", BaseDate.Y2014)
    assert assembled.material == wanted.material
    assert (assembled.krn, assembled.ken, assembled.ro) == (2, 200, False)
    assert assembled.sgc == (int(to_sgc) if to_sgc else None)
    assert [token["section"][:6] for token in document["tokens"]] == names
    results = [token["result"] for token in document["tokens"]]
    assert results == [*("1stKCT", "2ndKCT", "3rdKCT")[: len(names) - 1], "Accept"]


def test_the_next_base_date_rolls_over(keys: Path) -> None:
    document = done(
        "token", "keychange", "--vending-key-file", "vk.hex", "--pan", PAN, "--from-sgc", "111222",
        "--from-base-date", "14", "--to-base-date", "35", "--ea", "07", "--json",
    ).json  # fmt: skip
    current = _derived(VENDING_KEY, EA.STA, 1, "111222", BaseDate.Y2014)
    assembled = assemble_key(_sections(document, current), EA.STA)  # type: ignore[arg-type]
    assert assembled.ro is True
    assert document["base_date_rolls_over"] is True
    wanted = _derived(VENDING_KEY, EA.STA, 1, "111222", BaseDate.Y2035)
    assert assembled.material == wanted.material


def test_which_section_is_which_is_printed_in_order(here: Path) -> None:
    change = ("token", "keychange", "--test-key", "--to-krn", "2", "--with-sgc")
    names = [f"Set{nth}SectionDecoderKey" for nth in ("1st", "2nd", "3rd", "4th")]
    for ea, count in (("07", 3), ("11", 4)):
        lines = done(*change, "--ea", ea).out.splitlines()
        assert [line.split()[-2] for line in lines[1:]] == names[:count]


@pytest.mark.parametrize(
    ("now", "new"), [pair for pair in itertools.product(range(4), repeat=2) if 0 not in pair]
)
def test_key_types_change_as_the_standard_allows(here: Path, now: int, new: int) -> None:
    allowed = {(1, 1), (1, 2), (2, 2), (2, 1), (3, 3)}
    result = vtc07(
        "token", "keychange", "--test-key", "--dkga", "02", "--from-kt", f"{now}", "--to-kt",
        f"{new}", "--to-krn", "2",
    )  # fmt: skip
    assert result.code == (0 if (now, new) in allowed else 2), result.err


def test_a_manufacturers_key_changes_to_a_derived_one(keys: Path) -> None:
    document = done(
        "token", "keychange", "--decoder-key-file", "dk.hex", "--from-kt", "0", "--to-kt", "2",
        "--to-vending-key-file", "vk.hex", "--pan", PAN, "--to-sgc", "111222", "--json",
    ).json  # fmt: skip
    current = DecoderKey.from_hex(EA.STA, DECODER_KEY)
    assembled = assemble_key(_sections(document, current), EA.STA)  # type: ignore[arg-type]
    assert assembled.material == _derived(VENDING_KEY, EA.STA, 1, "111222", BaseDate.Y2014).material
    assert assembled.kt is KT.DUTK


RAW = ("token", "keychange", "--decoder-key-file", "dk.hex", "--from-kt", "0", "--to-krn", "2")


@pytest.mark.parametrize(
    ("options", "carries"),
    [
        ((), None),  # nobody named a supply group, and a 64-bit set carries none
        (("--from-sgc", "111222"), None),
        (("--to-sgc", "111222"), "111222"),
        (("--from-sgc", "111222", "--to-sgc", "111223"), "111223"),
        (("--from-sgc", "111222", "--with-sgc"), "111222"),
    ],
)
def test_the_supply_group_of_a_raw_key_is_never_made_up(
    keys: Path, options: tuple[str, ...], carries: str | None
) -> None:
    document = done(*RAW, "--to-decoder-key-file", "dk.hex", *options, "--json").json
    current = DecoderKey.from_hex(EA.STA, DECODER_KEY)
    assembled = assemble_key(_sections(document, current), EA.STA)  # type: ignore[arg-type]
    assert assembled.sgc == (None if carries is None else int(carries))
    assert document["to"].get("sgc") == (carries or (options[1] if options else None))


def test_a_supply_group_that_is_needed_must_be_named(keys: Path) -> None:
    secret_file(keys / "long.hex", "00112233445566778899AABBCCDDEEFF")
    long = [word.replace("dk.hex", "long.hex") for word in RAW]
    for command in (
        (*RAW, "--to-decoder-key-file", "dk.hex", "--with-sgc"),
        (*RAW, "--to-vending-key-file", "vk.hex", "--pan", PAN),
        (*long, "--to-decoder-key-file", "long.hex"),
    ):
        refused = vtc07(*command)
        assert refused.code == 2
        assert "--from-sgc" in one_sentence(refused.err)
    sent = done(*long, "--to-decoder-key-file", "long.hex", "--from-sgc", "111222", "--json").json
    key = DecoderKey.from_hex(EA.MISTY1, "00112233445566778899AABBCCDDEEFF")
    assembled = assemble_key(_sections(sent, key), EA.MISTY1)  # type: ignore[arg-type]
    assert assembled.sgc == 111222
    refused = vtc07("meter", "new", "m.meter", "--decoder-key-file", "long.hex", "--pan", PAN)
    assert refused.code == 2
    assert "--sgc" in one_sentence(refused.err)
    assert not (keys / "m.meter").exists()


# --- STA tables -----------------------------------------------------------------------------------


def test_sta_tables_from_a_file(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"sub1": list(range(16)), "sub2": [15 - n for n in range(16)], "perm": list(range(64))}
    (keys / "own.json").write_text(json.dumps(own))
    refused = vtc07("token", "issue", "credit", "1", *BASE, "--sta-tables", "own.json")
    assert refused.code == 2
    assert "neither the sample set nor the actual set" in one_sentence(refused.err)
    allowed = ("--sta-tables", "own.json", "--allow-unknown-tables")
    with_own = credit("1", *BASE, *allowed)
    assert with_own != credit("1", *BASE)
    monkeypatch.setenv("VTC07_STA_TABLES", "own.json")
    assert credit("1", *BASE, "--ea", "07", "--allow-unknown-tables") == with_own
    assert credit("1", *BASE, "--ea", "11")  # MISTY1 has no such tables
