"""identify, read, write and send with a meter of mode C: in one process, and over TCP."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_bench import (
    Result,
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

__all__ = ["here"]

PASSWORD = "Tuesday-4711"
WRONG = "Wednesday-4712"


@pytest.fixture
def meter(here: Path) -> str:
    password = secret_file(here / "pw.txt", PASSWORD)
    options = ("--companion", "electricity-mode-c", "--password-file", password, "--test-key")
    return new_meter("c.meter", *options)


def write(address: str, *options: str, threshold: int = 700, typed: str | None = None) -> Result:
    return vtc07("write", address, f"lowCreditThreshold={threshold}", *options, typed=typed)


def threshold_of(address: str) -> int:
    found: int = registers(done("read", address, "lowCreditThreshold", "--json").json)[
        "lowCreditThreshold"
    ]
    return found


def test_identify_read_and_send_want_no_password(meter: str) -> None:
    address = f"sim:{meter}"
    document = done("identify", address, "--json").json
    assert (document["companion"], document["flag"]) == ("electricity-mode-c", "VTM")
    token = credit("12.3", "--test-key")
    assert "Accept" in done("send", address, token).out
    found = registers(done("read", address, "creditBalance", "lastToken", "--json").json)
    assert found == {"creditBalance": 12300, "lastToken": token}
    again = vtc07("send", address, token)
    assert again.code == 1
    assert "used before" in again.err
    assert registers(done("read", address, "creditBalance", "--json").json) == {
        "creditBalance": 12300
    }


def test_write_wants_the_password_and_says_how_to_give_it(meter: str) -> None:
    refused = write(f"sim:{meter}")
    assert refused.code == 1
    assert "access denied (ER04)" in refused.out
    assert "--password-file" in one_sentence(refused.err)
    assert threshold_of(f"sim:{meter}") == 0


@pytest.mark.parametrize("way", ["file", "stdin", "environment"])
def test_a_right_password(
    meter: str, way: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, typed = f"sim:{meter}", None
    options = ["--trace", "t.jsonl"]
    if way == "environment":
        monkeypatch.setenv("VTC07_PASSWORD", PASSWORD)
    elif way == "stdin":
        options += ["--password-file", "-"]
        typed = PASSWORD + "\n"
    else:
        options += ["--password-file", "pw.txt"]
    result = write(address, *options, typed=typed)
    assert result.code == 0, result.err
    monkeypatch.delenv("VTC07_PASSWORD", raising=False)
    assert threshold_of(address) == 700
    trace = (here / "t.jsonl").read_text()
    for hidden in (PASSWORD, PASSWORD.encode().hex()):
        assert hidden not in result.everything + trace
    assert "password, not shown" in trace


def test_a_wrong_password_is_refused_in_one_sentence_and_shown_nowhere(
    meter: str, here: Path
) -> None:
    address = f"sim:{meter}"
    wrong = secret_file(here / "wrong.txt", WRONG)
    refused = write(address, "--password-file", wrong, "--trace", "t.jsonl")
    assert refused.code == 1
    assert "refused the password" in one_sentence(refused.err)
    trace = (here / "t.jsonl").read_text()
    assert WRONG not in refused.everything + trace
    assert WRONG.encode().hex() not in trace
    assert len(re.findall("password, not shown", trace)) == 1  # it is not tried again by itself
    assert write(address, "--password-file", "pw.txt").code == 0


def test_after_wrong_passwords_the_right_one_has_to_wait(meter: str, here: Path) -> None:
    address = f"sim:{meter}"
    wrong = secret_file(here / "wrong.txt", WRONG)
    for _ in range(3):
        assert write(address, "--password-file", wrong).code == 1
    assert write(address, "--password-file", "pw.txt").code == 1
    log = registers(done("read", address, "eventLog", "--json").json)
    assert sum(",password,60" in str(entry) for entry in log.values()) == 1
    assert done("send", address, credit("1.0", "--test-key")).code == 0  # a token needs none


def test_no_password_is_no_file_of_hexadecimal_digits(meter: str, here: Path) -> None:
    (here / "two.txt").write_text("one\ntwo\n")
    result = write(f"sim:{meter}", "--password-file", "two.txt")
    assert result.code == 2
    assert "one line" in one_sentence(result.err)


def test_over_tcp_the_meter_is_found_and_served_in_mode_c(meter: str) -> None:
    with served(meter) as line:
        document = done("identify", line.address, "--json").json
        assert document["companion"] == "electricity-mode-c"
        token = credit("2.5", "--test-key")
        done("send", line.address, token)
        assert write(line.address, "--password-file", "pw.txt", threshold=900).code == 0
        found = registers(
            done("read", line.address, "creditBalance", "lowCreditThreshold", "--json").json
        )
        assert found == {"creditBalance": 2500, "lowCreditThreshold": 900}


@pytest.mark.parametrize("way", ["normal", "fast"])
@pytest.mark.parametrize("companion", ["electricity", "electricity-mode-c"])
def test_a_meter_on_a_battery_hears_nothing_until_it_is_woken(
    here: Path, way: str, companion: str
) -> None:
    store = new_meter("b.meter", "--companion", companion, "--test-key")
    (here / "once.toml").write_text(f'extends = "{companion}"\n[timing]\nreconnects = 0\n')
    with served(store, "--wake-up", way) as line:
        deaf = vtc07("identify", line.address, "--companion", "once.toml", "--attempts", "1")
        assert deaf.code == 3
        auto = [] if way == "fast" else ["--companion", companion]
        woken = done("identify", line.address, *auto, "--wake-up", way, "--json").json
        assert woken["companion"] == companion


def test_the_highest_speed_is_asked_for(meter: str, here: Path) -> None:
    with served(meter) as line:
        done("identify", line.address, "--speed", "1200", "--trace", "t.jsonl")
    assert "programming mode at 1200 Bd" in (here / "t.jsonl").read_text()


def test_a_client_that_reads_and_writes_by_the_national_commands(meter: str, here: Path) -> None:
    national = 'extends = "electricity-mode-c"\n[mode_c]\nread = "R5"\nwrite = "W5"\n'
    (here / "national.toml").write_text(national)
    options = ("--companion", "national.toml", "--password-file", "pw.txt", "--trace", "t.jsonl")
    assert write(f"sim:{meter}", *options).code == 0
    done("send", f"sim:{meter}", credit("1.0", "--test-key"), "--companion", "national.toml")
    assert threshold_of(f"sim:{meter}") == 700
    assert registers(done("read", f"sim:{meter}", "creditBalance", "--json").json) == {
        "creditBalance": 1000
    }
    trace = (here / "t.jsonl").read_text()
    assert b"\x01R5\x02".hex() in trace
    assert b"\x01W5\x020030".hex() in trace
    assert b"\x01R1".hex() not in trace
