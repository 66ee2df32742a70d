"""What newcomers stumbled over: streams that take nothing, rounded limits, traces, strangers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_bench import FAST, PROGRAM, credit, done, here, new_meter, served, vtc07

from vtc07.carrier.companion_file import load_companion

__all__ = ["here"]

TEST = ("--test-key",)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("command", ["version", "decode", "show", "send"])
def test_a_full_disk_behind_stdout_is_no_traceback_and_no_refusal(here: Path, command: str) -> None:
    new_meter("m.meter")
    token = credit("4.0", *TEST)
    arguments = {
        "version": ["--version"],
        "decode": ["token", "decode", "56493153725450313471"],
        "show": ["meter", "show", "m.meter"],
        "send": ["send", "sim:m.meter", token],
    }[command]
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [*PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert "Traceback" not in run.stderr
    assert "could not be written" in run.stderr
    assert run.returncode == 0
    if command == "send":
        shown = done("meter", "show", "m.meter", "--json").json["registers"]
        assert {r["name"]: r["value"] for r in shown}["totalCreditAccepted"] == 4000


@pytest.mark.skipif(sys.platform == "win32", reason="shells close streams differently there")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_traceback(here: Path, closed: str) -> None:
    new_meter("m.meter")
    line = f"exec '{sys.executable}' -c 'from vtc07.cli.main import main; main()' "
    for arguments in ("--version", f"send sim:m.meter {credit('1.0', *TEST)}"):
        run = subprocess.run(
            ["sh", "-c", f"{line}{arguments} {closed}"], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        assert "Traceback" not in run.stderr
    assert done("meter", "show", "m.meter", "--json").json


@pytest.mark.parametrize("kind", ["power-limit", "phase-unbalance-limit"])
def test_a_limit_that_a_token_cannot_hold_is_said(here: Path, kind: str) -> None:
    raised = done("token", "issue", kind, "16385", *TEST)
    assert "carries 16394 W" in raised.err
    exact = done("token", "issue", kind, "16384", *TEST)
    assert "carries" not in exact.err


def test_a_trace_explains_its_messages(here: Path) -> None:
    new_meter("m.meter", "--companion", "water")
    done("send", "sim:m.meter", credit("4.0", *TEST, "--service", "water"), "--trace", "t.jsonl")
    lines = [json.loads(line) for line in (here / "t.jsonl").read_text().splitlines()[1:]]
    notes = [line["note"] for line in lines]
    assert all(notes)
    assert any("tokenStatus 0 (none)" in note for note in notes)
    assert any("tokenStatus 1 (Accept)" in note for note in notes)


def test_a_meter_of_no_known_companion_is_told_all_the_same(here: Path) -> None:
    (here / "fast.toml").write_text(FAST.replace('"VTc"', '"QQq"'))
    new_meter("m.meter", "--companion", "fast.toml")
    with served("m.meter") as meter:
        identity = done("identify", meter.address)
        assert "QQq" in identity.out
        assert "--companion" in identity.err
        document = done("identify", meter.address, "--json").json
        assert (document["flag"], document["companion"]) == ("QQq", None)
        refused = vtc07("read", meter.address)
        assert refused.code == 2


def test_without_a_command_help_is_shown_without_an_error(here: Path) -> None:
    for command in ((), ("meter",), ("token",)):
        shown = vtc07(*command)
        assert shown.code == 2
        assert "error:" not in shown.err
        assert "Commands:" in shown.err


def test_results_are_told_in_words(here: Path) -> None:
    new_meter("m.meter")
    wrong = credit("4.0", *TEST, "--krn", "2")
    refused = vtc07("send", "sim:m.meter", wrong)
    assert refused.code == 1
    assert "a digit is wrong, or the token is for another meter or another key" in refused.err
    assert load_companion("electricity").token_entry.status.describe(13) in refused.err


def test_a_meter_on_a_battery_and_a_slow_path(here: Path) -> None:
    new_meter("m.meter")
    done(
        "read",
        "sim:m.meter",
        "creditBalance",
        "--wake-up",
        "normal",
        "--profile",
        "gsm",
        "--trace",
        "t",
    )
    notes = [json.loads(line)["note"] for line in (here / "t").read_text().splitlines()[1:]]
    assert notes[0] == "wake-up, 528 NUL"
    assert notes[1].startswith("IDRequest")
    for command in (("read", "sim:m.meter"), ("meter", "serve", "m.meter")):
        refused = vtc07(*command, "--profile", "gms")
        assert refused.code == 2
        assert "the profiles it has: gsm" in refused.err
