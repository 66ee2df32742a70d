"""The demonstration: every service, every step, and an exit code that can be relied on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from vtc07.carrier.companion import SignOn
from vtc07.carrier.companion_file import load_companion, shipped_companions
from vtc07.carrier.status import TokenStatus
from vtc07.cli.demonstration import Demonstration, Step
from vtc07.cli.keys import test_vending_key as published_key
from vtc07.cli.main import main
from vtc07.links.clock import VirtualClock

SERVICES = ("electricity", "water", "gas", "time")


def test_every_shipped_service_can_be_shown() -> None:
    shipped = map(load_companion, shipped_companions())
    assert set(SERVICES) == {each.name for each in shipped if each.sign_on is SignOn.DIRECT}


@pytest.mark.parametrize("service", SERVICES)
def test_demo_shows_every_step_and_ends_well(service: str) -> None:
    result = CliRunner().invoke(main, ["demo", "--fast", "--service", service])
    assert result.exit_code == 0, result.output
    assert "every step did as it must" in result.stdout
    assert "✗" not in result.stdout
    for shown in (
        "IDRequest 600727000000000009",
        "tokenStatus 16 (not ready)",
        "UsedError",
        "CRCError",
        "1stKCT",
        "the cable is cut",
        "connecting again",
        "ER04",
        "BreakCommand",
    ):
        assert shown in result.stdout
    assert published_key(None).material.hex() not in result.stdout.lower()


def test_times_on_the_line_are_those_of_2400_baud() -> None:
    """`/?` PAN `!` CR LF are 23 characters of 10 bits: 95.8 ms."""
    result = CliRunner().invoke(main, ["demo", "--fast"])
    assert re.search(r"^ +0\.10 s +0\.096 s → IDRequest", result.stdout, re.MULTILINE)


def test_demo_is_the_same_every_time() -> None:
    first, second = (CliRunner().invoke(main, ["demo", "--fast"]).stdout for _ in range(2))
    assert first == second


def test_a_step_that_fails_is_told_and_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """A meter that keeps its credit where the demonstration expects a refusal to be noticed."""

    def lenient(self: Demonstration, title: str) -> Step:
        return self._refused(title, self._issue_credit(10), TokenStatus.USED_ERROR)

    monkeypatch.setattr(Demonstration, "_used", lenient)
    result = CliRunner().invoke(main, ["demo", "--fast"])
    assert result.exit_code == 1
    assert "✗ Accept, credit changed" in result.stdout
    assert "this had to come: UsedError, credit unchanged" in result.stdout
    assert "steps failed" in result.stdout


def test_the_meter_is_durable_after_the_demonstration(tmp_path: Path) -> None:
    told: list[str] = []
    demonstration = Demonstration(
        "electricity",
        tmp_path / "a.meter",
        clock=VirtualClock(),
        observers=[],
        tell=told.append,
    )
    steps = [carry_out() for _, carry_out in demonstration.steps()]
    demonstration.close()
    assert all(step.good for step in steps)
    assert steps[-1].found == "12 tokens, 49600 Wh accepted"
    key = demonstration._key.material
    for file in tmp_path.iterdir():
        assert key not in file.read_bytes()
    assert key.hex() not in "".join(told).lower()
