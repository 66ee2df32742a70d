"""The same deliveries behind a sign-on of mode C: nothing false comes of any of them either."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from vtc07.carrier.exchange.hhu_states import HHUInput, HHUState
from vtc07.carrier.exchange.meter_states import MeterInput, MeterState
from vtc07.carrier.registers import Register, Value
from vtc07.meter.events import AccessJudged
from vtc07.meter.passwords import PasswordGuard
from vtc07.simulation.defects import DEFECTS
from vtc07.simulation.doubles import REAL
from vtc07.simulation.exhaustive import cuts, plan_of, power_losses, undisturbed
from vtc07.simulation.faults import (
    ONLY_MODE_C,
    BreakInjected,
    Fault,
    Garble,
    HostileClient,
    WrongPassword,
)
from vtc07.simulation.issued import TokenKind
from vtc07.simulation.plan import draw
from vtc07.simulation.powered import DIRECT, MODE_C, PASSWORD, WatchedMeter
from vtc07.simulation.rows import rows_of
from vtc07.simulation.shrinking import shrink
from vtc07.simulation.story import describe, tell
from vtc07.simulation.tally import Tally, first_caught, run_seeds
from vtc07.simulation.world import simulate

FIRST, SEEDS = 960, 240
PROGRAM = (sys.executable, "-c", "from vtc07.cli.main import main; main()")


@pytest.fixture(scope="module")
def some() -> Tally:
    return run_seeds(FIRST, SEEDS, companion=MODE_C)


def test_no_seed_comes_to_a_violation(some: Tally) -> None:
    assert some.failures == []
    assert some.runs == SEEDS
    assert some.tokens_executed > SEEDS


def test_every_kind_of_fault_strikes(some: Tally) -> None:
    kinds = {fault.kind for fault in Fault.__args__ if isinstance(fault.kind, str)}
    kinds |= {f"character {garble.value}" for garble in Garble} | {"line cut", "link lost"}
    assert kinds >= ONLY_MODE_C
    assert kinds == some.faults.keys()


def test_what_is_reported_is_of_every_kind(some: Tally) -> None:
    said = " ".join(some.outcomes)
    for words in ("delivered", "refused", "not taken", "not sent", "unresolved"):
        assert words in said
    assert any("did not let this client in" in words for words in some.outcomes)


def test_the_runs_use_the_rows_of_a_sign_on_and_none_that_nothing_leads_to(some: Tally) -> None:
    used, rows = some.rows
    assert rows == len(rows_of(MODE_C)) > len(rows_of(DIRECT)) > 0
    assert used > 90
    assert some.coverage.keys() <= rows_of(MODE_C)
    assert some.coverage[MeterState.IDLE, MeterInput.REQUEST] > SEEDS
    assert some.coverage[HHUState.OPERAND, HHUInput.OPERAND] > SEEDS
    assert some.coverage[HHUState.ACCESS, HHUInput.ACK] > 10
    assert not any(isinstance(state, MeterState) for state, _ in rows_of(DIRECT))


def test_a_plan_is_that_of_the_direct_line_and_what_only_a_sign_on_knows() -> None:
    for seed in range(200):
        direct, signed_on = draw(seed), draw(seed, MODE_C)
        assert signed_on.tokens == direct.tokens
        assert (direct.companion, signed_on.companion) == (DIRECT, MODE_C)
        assert not any(isinstance(f, BreakInjected | WrongPassword) for f in direct.faults)
        assert len(signed_on.faults) >= len(direct.faults)


@pytest.mark.parametrize("seed", [3, 114, 206])
def test_the_same_seed_is_the_same_run_to_the_byte(seed: int) -> None:
    plan = draw(seed, MODE_C)
    assert tell(plan)[1] == tell(plan)[1]
    first, second = (simulate(plan, in_detail=True) for _ in range(2))
    assert first.remains == second.remains
    assert first == second


def test_a_story_tells_the_speeds_and_no_password() -> None:
    drawn = (draw(seed, MODE_C) for seed in range(100))
    plan = next(p for p in drawn if p.password and p.speed is None and not p.faults[1:])
    story = "\n".join((*describe(plan), *tell(plan)[1]))
    assert "the meter goes on at 9600 Bd" in story
    assert "the unit goes on at 9600 Bd" in story
    assert "gives the password" in story
    assert PASSWORD not in story


@pytest.mark.parametrize("kind", [TokenKind.CREDIT, TokenKind.KEY_CHANGE])
def test_cuts_and_losses_of_power_end_well(kind: TokenKind) -> None:
    plan = plan_of(kind, companion=MODE_C)
    assert undisturbed(plan).violation is None
    for single in (*islice(cuts(plan), 0, None, 23), *islice(power_losses(plan), 0, None, 5)):
        assert simulate(single).violation is None


def test_a_password_that_was_given_before_the_store_failed_still_counts() -> None:
    run = simulate(draw(5300, MODE_C))  # a write is repeated behind a failed one
    assert run.violation is None
    assert run.faults["disk fault"] == 1


# --- whether it would notice ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "tid-later",
        "never-16",
        "key-shown",
        "durable-later",
        "silence-means-not-taken",
        "ack-means-accepted",
        "unannounced",
        "used-means-delivered",
        "old-snapshot",
    ],
)
def test_a_defect_is_found_behind_a_sign_on_too(name: str) -> None:
    defect = DEFECTS[name]
    assert defect.in_mode_c
    caught = first_caught(defect.parts, 40, MODE_C)
    assert caught is not None
    seed, sentence = caught
    assert sentence
    assert simulate(draw(seed, MODE_C)).violation is None


def test_a_failing_plan_is_made_small_and_still_fails() -> None:
    parts = DEFECTS["ack-means-accepted"].parts
    caught = first_caught(parts, 40, MODE_C)
    assert caught is not None
    small = shrink(draw(caught[0], MODE_C), parts)
    assert small.companion == MODE_C
    assert (small.password, small.speed, small.threshold) == (False, None, None)
    assert simulate(small, parts).violation is not None


class AnyPassword(WatchedMeter):
    """Takes every password for its own."""

    def judge_access(self, request: int, proof: Callable[[], int | None], now_ns: int) -> None:
        super().judge_access(request, lambda: 2, now_ns)


class WrongNotCounted(WatchedMeter):
    """Counts no wrong password."""

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        return cause, replace(after, password_guard=self._committed.password_guard)


class DelayForgotten(WatchedMeter):
    """Compares passwords again after a loss of power, whatever was wrong before."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._live_is(replace(self._live, password_guard=PasswordGuard()))


@pytest.mark.parametrize("double", [AnyPassword, WrongNotCounted, DelayForgotten])
def test_a_meter_that_is_wrong_about_passwords_is_found(double: type[WatchedMeter]) -> None:
    parts = replace(REAL, meter=double)
    assert first_caught(parts, 40, MODE_C) is not None
    assert first_caught(parts, 10) is None  # a direct line has no password


def test_a_meter_that_shows_its_password_is_found() -> None:
    class Shown(WatchedMeter):
        def values(self, registers: Sequence[Register], now_ns: int) -> tuple[Value, ...]:
            return tuple(
                PASSWORD if register.name == "softwareVersion" else value
                for register, value in zip(
                    registers, super().values(registers, now_ns), strict=True
                )
            )

    reads = HostileClient(0, 9)  # it asks for that register, among others
    plan = replace(draw(0, MODE_C), faults=(reads,), password=True)
    assert simulate(plan).violation is None
    assert simulate(plan, replace(REAL, meter=Shown)).violation == "a password was shown"


def test_a_register_that_is_written_without_the_password_is_found() -> None:
    class Open(WatchedMeter):
        def offer_password(self, request: int, password: str, now_ns: int) -> None:
            super().offer_password(request, "", now_ns)
            self._events.clear()
            self._events.append(AccessJudged(request, 2))

    plan = next(
        p
        for p in (draw(seed, MODE_C) for seed in range(400))
        if p.threshold is not None and any(isinstance(f, WrongPassword) for f in p.faults)
    )
    run = simulate(replace(plan, faults=(WrongPassword(1),)), replace(REAL, meter=Open))
    assert run.violation is not None
    assert "password" in run.violation


# --- the command line ----------------------------------------------------------------------------


def told(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "simulate", "--companion", MODE_C, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_line_runs_seeds_and_tells_one() -> None:
    found = json.loads(told("--seeds", "20", "--json").stdout)
    assert (found["runs"], found["violations"]) == (20, [])
    assert any(row.startswith("Partial read: ") for row in found["rows_not_reached"])
    story = json.loads(told("--seed", "3", "--json").stdout)
    assert story["story"] == tell(draw(3, MODE_C))[1]


def test_a_defect_of_a_direct_server_is_none_of_a_sign_on() -> None:
    failed = told("--defect", "nak-obeyed-again", "--seeds", "1")
    assert failed.returncode == 2
    assert "direct line" in failed.stderr
    names = [row["name"] for row in json.loads(told("--defects", "--json").stdout)]
    assert "nak-obeyed-again" not in names
    assert "blind-resend" in names
