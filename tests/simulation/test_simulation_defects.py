"""The simulation notices: doubles with a deliberate defect come to a violation."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from vtc07.simulation.defects import DEFECTS
from vtc07.simulation.plan import draw
from vtc07.simulation.shrinking import shrink
from vtc07.simulation.world import simulate

PAGE = Path(__file__).resolve().parents[2] / "docs" / "simulation.md"
ROW = re.compile(r"^\| `([a-z0-9-]+)` \| (.+) \| (\d+) \|", re.MULTILINE)
TABLE = {name: (does, int(seed)) for name, does, seed in ROW.findall(PAGE.read_text("utf-8"))}


def test_the_page_lists_every_defect() -> None:
    assert len(DEFECTS) >= 15
    assert {name: does for name, (does, _) in TABLE.items()} == {
        name: defect.does for name, defect in DEFECTS.items()
    }


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found_by_the_seed_that_the_page_names(name: str) -> None:
    _, seed = TABLE[name]
    assert seed < 2000
    found = simulate(draw(seed), DEFECTS[name].parts)
    assert found.violation is not None
    assert simulate(draw(seed)).violation is None  # the real parts have none
    for earlier in range(max(0, seed - 20), seed):
        assert simulate(draw(earlier), DEFECTS[name].parts).violation is None


@pytest.mark.parametrize("name", ["lockout-forgotten", "client-without-bcc", "pan-not-compared"])
def test_a_failing_plan_is_made_small_and_still_fails(name: str) -> None:
    parts = DEFECTS[name].parts
    plan = draw(TABLE[name][1])
    small = shrink(plan, parts)
    assert simulate(small, parts).violation is not None
    assert len(small.faults) <= len(plan.faults)
    assert len(small.tokens) <= len(plan.tokens)
    assert len(small.faults) <= 3
    for place in range(len(small.faults)):  # nothing is left that could go
        fewer = small.faults[:place] + small.faults[place + 1 :]
        assert simulate(replace(small, faults=fewer), parts).violation is None
