"""docs/diagnosis.md names every finding there is, and every finding is tried on a meter."""

from __future__ import annotations

import re
from pathlib import Path

from vtc07.cli.diagnose import diagnose
from vtc07.hhu.diagnosis.facts import Certainty, Code
from vtc07.hhu.key_change.state import KeyChangeStage

_ROOT = Path(__file__).resolve().parents[1]
_TEXT = (_ROOT / "docs" / "diagnosis.md").read_text(encoding="utf-8")


def _first_cells(title: str) -> list[str]:
    section = _TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]


def test_every_finding_stands_in_one_table() -> None:
    cells = [
        *_first_cells("Findings about the meter"),
        *_first_cells("Findings about a token"),
        *_first_cells("Findings about a receipt"),
    ]
    named = [name for cell in cells for name in re.findall(r"`([a-z-]+)`", cell)]
    assert sorted(named) == sorted(code.value for code in Code)


def test_every_certainty_is_explained() -> None:
    assert _first_cells("How sure a finding is")[1:] == [c.value for c in Certainty]


def test_every_stage_of_a_key_change_is_explained() -> None:
    stages = [stage.name.lower().replace("_", "-") for stage in KeyChangeStage]
    named = [cell.strip("`") for cell in _first_cells("Key changes")[1:]]
    assert sorted(named) == sorted(stages)


def test_every_option_of_the_receipt_is_named() -> None:
    options = {name for p in diagnose.params for name in p.opts if name.startswith("--")}
    for name in re.findall(r"`(--[a-z-]+)`", _TEXT):
        assert name in options
    for name in ("--issued-for", "--issued-at", "--sgc", "--krn", "--kt", "--ti", "--base-date"):
        assert f"`{name}`" in _TEXT


def test_every_finding_is_tried_on_a_meter() -> None:
    tests = (_ROOT / "tests" / "hhu").glob("test_hhu_diagnosis*.py")
    tried = {name for path in tests for name in re.findall(r"Code\.([A-Z_]+)", path.read_text())}
    assert tried == {code.name for code in Code}
