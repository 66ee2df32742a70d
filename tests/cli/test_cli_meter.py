"""Virtual meters by the command line: made, shown, keyed in; stores and their keys."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
from pathlib import Path

import pytest
from cli_bench import (
    DECODER_KEY,
    PAN,
    PROGRAM,
    VENDING_KEY,
    contents,
    credit,
    done,
    here,
    new_meter,
    one_sentence,
    registers,
    secret_file,
    served,
    vtc07,
)

from vtc07.cli.output import Output
from vtc07.meter import store_file

__all__ = ["here"]

STORE_KEY = "9F" * 32


def test_a_newcomers_meter_needs_nothing_but_a_name(here: Path) -> None:
    made = done("meter", "new", "m.meter", "--json")
    document = made.json
    assert document["meter_pan"] == "600727000000000009"
    assert document["service"] == "electricity"
    assert document["key"]["test_key"] is True
    assert document["manufactured_tid"] == 0
    assert "never use it for real money" in made.err
    assert document["store_key_file"] == "m.meter.key"
    token = credit("25.0", "--test-key")
    assert done("meter", "enter", "m.meter", token, "--json").json == {
        "tokens": [{"token": token, "accepted": True, "result": "Accept"}],
        "not_entered": [],
    }
    values = registers(done("meter", "show", "m.meter", "--json").json)
    assert values["creditBalance"] == 25_000
    assert values["loadSwitch"] == 1


@pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")
def test_store_and_key_file_are_their_owners(here: Path) -> None:
    made = done("meter", "new", "m.meter")
    assert "m.meter.key" in made.err
    for name in ("m.meter", "m.meter.key"):
        assert stat.S_IMODE((here / name).stat().st_mode) == 0o600


def test_the_store_key_from_a_file_or_the_environment(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_file = secret_file(here / "store.key", STORE_KEY)
    new_meter("a.meter", "--store-key-file", key_file)
    assert not (here / "a.meter.key").exists()
    assert vtc07("meter", "show", "a.meter").code == 2
    done("meter", "show", "a.meter", "--store-key-file", key_file)
    done("read", "sim:a.meter", "KRN", "--store-key-file", key_file)
    monkeypatch.setenv("VTC07_STORE_KEY", STORE_KEY)
    done("meter", "show", "a.meter")
    new_meter("b.meter")
    assert not (here / "b.meter.key").exists()
    done("meter", "enter", "b.meter", credit("1.0", "--test-key"))
    monkeypatch.setenv("VTC07_STORE_KEY", "00" * 32)
    result = vtc07("meter", "show", "b.meter")
    assert result.code == 2
    assert "another store key" in one_sentence(result.err)


def test_an_empty_variable_is_no_store_key(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTC07_STORE_KEY", "")
    new_meter("m.meter")
    assert (here / "m.meter.key").exists()
    done("meter", "show", "m.meter")


@pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")
@pytest.mark.parametrize("where", ["beside", "named"])
def test_a_key_file_for_everyone_is_warned_of(here: Path, where: str) -> None:
    new_meter("m.meter")
    key_file, options = here / "m.meter.key", []
    if where == "named":
        key_file = key_file.rename(here / "own.key")
        options = ["--store-key-file", "own.key"]
    assert "chmod" not in done("meter", "show", "m.meter", *options).err
    key_file.chmod(0o640)
    for command in (
        ("meter", "show", "m.meter"),
        ("meter", "enter", "m.meter", credit("1.0", "--test-key")),
        ("read", "sim:m.meter", "KRN"),
    ):
        err = done(*command, *options).err
        assert f"chmod 600 {key_file.name}" in err
        assert "0640" in err


def test_of_many_makers_at_once_one_has_a_meter_that_opens(here: Path) -> None:
    for name in ("a.meter", "b.meter"):
        makers = [
            subprocess.Popen(
                [*PROGRAM, "meter", "new", name],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        said = [maker.communicate()[1] for maker in makers]
        codes = [maker.returncode for maker in makers]
        assert sorted(codes) == [0, 2, 2, 2], said
        assert all("exists already" in err for err, code in zip(said, codes, strict=True) if code)
        done("meter", "show", name)


def test_an_interrupt_after_the_making_leaves_the_meter_its_key(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Output, "note", interrupted)
    assert vtc07("meter", "new", "m.meter").code != 0
    monkeypatch.undo()
    monkeypatch.chdir(here)
    done("meter", "show", "m.meter")


def test_a_meter_that_cannot_be_made_leaves_nothing(here: Path) -> None:
    before = contents(here)
    result = vtc07("meter", "new", "m.meter", "--manufactured", "2050-01-01")
    assert result.code == 2
    assert contents(here) == before


def test_a_disk_that_fails_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path) -> sqlite3.Connection:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store_file, "connect", failing)
    result = vtc07("meter", "new", "m.meter")
    assert result.code == 2
    assert "disk I/O error" in one_sentence(result.err)
    assert contents(here) == {}


def test_what_a_meter_is_made_as_it_shows(here: Path) -> None:
    secret_file(here / "vk.hex", VENDING_KEY)
    new_meter(
        "m.meter", "--companion", "water", "--vending-key-file", "vk.hex", "--pan", PAN,
        "--sgc", "111222", "--ti", "7", "--krn", "3", "--kt", "1", "--ken", "254", "--ea", "11",
        "--base-date", "35", "--manufactured", "2036-05-06",
    )  # fmt: skip
    values = registers(done("meter", "show", "m.meter", "--json").json)
    expected = {
        "meterPAN": PAN, "DRN": PAN[6:17], "EA": "11", "SGC": "111222", "TI": "07", "KRN": 3,
        "KT": 1, "KEN": 254, "baseDate": "35", "creditBalance": 0, "loadSwitch": 0,
        "serverStatus": 0x83, "acceptedTID.1": values["acceptedTID.50"],
    }  # fmt: skip
    assert {name: values[name] for name in expected} == expected
    assert values["acceptedTID.1"] == (366 + 31 + 29 + 31 + 30 + 5 - 1) * 1440
    told = registers(done("read", "sim:m.meter", "0010-001A", "--json").json)
    assert told == {name: values[name] for name in told}
    assert len(told) == 11


def test_a_drn_stands_for_its_meter(here: Path) -> None:
    assert done("meter", "new", "m.meter", "--pan", PAN[6:17], "--json").json["meter_pan"] == PAN


def test_a_manufacturers_key(here: Path) -> None:
    key_file = secret_file(here / "dk.hex", DECODER_KEY)
    new_meter(
        "m.meter", "--kt", "0", "--decoder-key-file", key_file, "--pan", PAN, "--sgc", "111222"
    )
    token = credit("2.0", "--decoder-key-file", key_file, "--kt", "0")
    done("meter", "enter", "m.meter", token)
    assert registers(done("meter", "show", "m.meter", "--json").json)["KT"] == 0


def test_the_credit_maximum_is_laid_over_the_companion(here: Path) -> None:
    new_meter("m.meter", "--credit-maximum", "10.5")
    result = vtc07("meter", "enter", "m.meter", credit("10.6", "--test-key"))
    assert result.code == 1
    assert "OverflowError" in one_sentence(result.err)
    done("meter", "enter", "m.meter", credit("10.5", "--test-key"))


def test_the_keypad_stops_at_the_first_refused_token(here: Path) -> None:
    new_meter()
    first, second = credit("1.0", "--test-key"), credit("2.0", "--test-key", at="2026-03-02")
    result = vtc07("meter", "enter", "m.meter", first, first, second, "--json")
    assert result.code == 1
    assert [token["result"] for token in result.json["tokens"]] == ["Accept", "UsedError"]
    assert result.json["not_entered"] == [second]
    assert "token 2 of 3" in result.error["error"]


def test_the_keypad_locks_after_wrong_tokens(here: Path) -> None:
    new_meter()
    wrong = [f"{number:020d}" for number in range(1 << 27, (1 << 27) + 6)]  # class 1, bad CRC
    for token in wrong[:5]:
        assert "CRCError" in vtc07("meter", "enter", "m.meter", token).out
    result = vtc07("meter", "enter", "m.meter", wrong[5])
    assert result.code == 1
    assert "lockout" in one_sentence(result.err)
    assert registers(done("read", "sim:m.meter", "--json").json)["lockoutRemaining"] == 0


def test_show_tells_logs_and_changes_nothing(here: Path) -> None:
    new_meter()
    token = credit("1.0", "--test-key")
    done("meter", "enter", "m.meter", token)
    before = contents(here)
    document = done("meter", "show", "m.meter", "--json").json
    shown = done("meter", "show", "m.meter").out
    assert contents(here) == before
    assert document["token_log"][0].split(",")[:2] == ["1", token]
    assert [entry.split(",")[1] for entry in document["event_log"]] == [
        "token", "switchClosed", "powerUp", "manufactured",
    ] or [entry.split(",")[1] for entry in document["event_log"]] == [
        "switchClosed", "token", "powerUp", "manufactured",
    ]  # fmt: skip
    assert document["powered"] is False
    for text in ("1.000 kWh", "Tokens, newest first", "Events, newest first", "Accept"):
        assert text in shown


def test_a_store_is_opened_once(here: Path) -> None:
    new_meter()
    with served("m.meter"):
        for arguments in (
            ("meter", "show", "m.meter"),
            ("meter", "enter", "m.meter", credit("1.0", "--test-key")),
            ("meter", "serve", "m.meter"),
            ("read", "sim:m.meter"),
        ):
            result = vtc07(*arguments)
            assert result.code == 2
            assert "open already" in one_sentence(result.err)
    done("meter", "show", "m.meter")


def test_a_damaged_byte_anywhere_is_said_in_a_sentence(here: Path) -> None:
    new_meter()
    whole = (here / "m.meter").read_bytes()
    schema = whole.index(b"CREATE TABLE")
    before = done("meter", "show", "m.meter").out
    said = set()
    for at in [*range(16, 108, 7), *range(schema - 60, schema + 80, 6), *range(0, len(whole), 997)]:
        damaged = bytearray(whole)
        damaged[at] ^= 0x80
        (here / "m.meter").write_bytes(damaged)
        result = vtc07("meter", "show", "m.meter")
        if result.code == 0:
            assert result.out == before
        else:
            assert result.code == 2
            said.add(one_sentence(result.err))
    assert sum("damaged" in sentence for sentence in said) > 5
    (here / "m.meter").write_bytes(whole)
    assert done("meter", "show", "m.meter").out == before


def test_a_torn_store_is_said_to_be_damaged(here: Path) -> None:
    new_meter()
    content = bytearray((here / "m.meter").read_bytes())
    middle = content.index(b"event")
    content[middle : middle + 40] = bytes(40)
    (here / "m.meter").write_bytes(content)
    result = vtc07("meter", "show", "m.meter")
    assert result.code == 2
    assert "damaged" in one_sentence(result.err)
