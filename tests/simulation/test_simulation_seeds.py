"""Deliveries in which everything goes wrong: nothing false comes of any of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from vtc07.simulation.faults import ONLY_MODE_C, Fault, Garble, in_words
from vtc07.simulation.issued import key
from vtc07.simulation.plan import draw
from vtc07.simulation.story import describe, tell
from vtc07.simulation.tally import Tally, run_seeds
from vtc07.simulation.world import simulate

SEEDS = 2000
PROGRAM = (sys.executable, "-c", "from vtc07.cli.main import main; main()")
PARTS = 8


@pytest.fixture(scope="module")
def some() -> Tally:
    return run_seeds(10_000, 400)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_seed_comes_to_a_violation(part: int) -> None:
    size = SEEDS // PARTS
    tally = run_seeds(part * size, size)
    assert tally.failures == []
    assert tally.runs == size


def test_every_kind_of_fault_strikes(some: Tally) -> None:
    kinds = {fault.kind for fault in Fault.__args__ if isinstance(fault.kind, str)}
    kinds |= {f"character {garble.value}" for garble in Garble} | {"line cut", "link lost"}
    assert kinds - ONLY_MODE_C == some.faults.keys()


def test_the_runs_use_nearly_every_row_of_the_state_tables(some: Tally) -> None:
    used, rows = some.rows
    assert rows - used == len(some.unused) <= 6, some.unused


def test_what_is_reported_is_of_every_kind(some: Tally) -> None:
    said = " ".join(some.outcomes)
    for words in ("delivered", "refused", "not taken", "not sent", "unresolved"):
        assert words in said


@pytest.mark.parametrize("seed", [7, 33, 241, 1873])
def test_the_same_seed_is_the_same_run_to_the_byte(seed: int) -> None:
    assert tell(draw(seed))[1] == tell(draw(seed))[1]
    first, second = (simulate(draw(seed), in_detail=True) for _ in range(2))
    assert first.remains == second.remains
    assert first == second


def test_a_run_is_the_same_in_another_process_with_other_hashes() -> None:
    def told(hash_seed: str) -> str:
        return subprocess.run(
            [*PROGRAM, "simulate", "--seed", "33", "--json"],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    one = told("1")
    assert one == told("2")
    assert json.loads(one)["story"] == tell(draw(33))[1]


def test_no_key_is_in_any_story_or_disk() -> None:
    for seed in range(60):
        plan = draw(seed)
        text = "\n".join((*describe(plan), *tell(plan)[1])).upper()
        remains = simulate(plan, in_detail=True).remains
        for revision in range(4):
            material = key(plan.make.ea, revision).material
            assert material.hex().upper() not in text
            assert material not in remains
            assert material.hex().upper().encode() not in remains.upper()


def test_a_story_is_told_with_what_went_wrong() -> None:
    plan = next(p for p in map(draw, range(100)) if "power lost in a commit" in str(describe(p)))
    run, story = tell(plan)
    text = "\n".join(story)
    assert run.violation is None
    for words in ("→ IDRequest", "← IDResponse", "→ WriteCommand 000F tokenEntry", "delivered: "):
        assert words in text
    assert "*** power lost in a commit" in text
    times = [float(line.split()[0]) for line in story]
    assert times == sorted(times)


def test_two_faults_that_differ_are_said_differently() -> None:
    drawn = {fault for seed in range(400) for fault in draw(seed).faults}
    plain = (Garble.DAMAGE, Garble.DROP, Garble.DOUBLE)  # their number means nothing
    faults = {f for f in drawn if getattr(f, "garble", None) not in plain}
    words = {in_words(fault) for fault in faults}
    assert len(words) == len(faults) > 400
    assert not any("(" in said or "=" in said for said in words)
