"""The fuzz targets: their seeds pass, planted defects are found, and a short run is clean.

docs/fuzzing.md. The long runs are `make fuzz`.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

import needs
from fuzz_run import Outcome, fuzz, main
from fuzz_target import TARGETS, load

SECONDS = 20
DEEP = "units in commands"  # in the target datasets: no seed shows it
RUN = Path(__file__).parent.parent / "fuzz" / "fuzz_run.py"
#: The least number of seeds: what our own sessions, companions and tokens give.
SEEDS = {
    "reader": 90,
    "datasets": 400,
    "exchange": 500,
    "companions": 100,
    "tokens": 120,
    "trace": 100,
    "routes": 300,
    "journals": 300,
}


def replayed(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Try inputs in a process of its own: a planted defect stays."""
    command = [sys.executable, str(RUN), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def require_clean(outcome: Outcome) -> None:
    assert outcome.exit_code == 0, outcome.log.read_text("utf-8", "replace")[-3000:]
    assert outcome.found == ()
    assert outcome.clean


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_passes(target: str) -> None:
    module = load(target)
    seeds = module.seeds()
    assert len(seeds) >= SEEDS[target]
    for name, data in seeds.items():
        assert len(data) <= module.LONGEST, f"{name} would be cut off"
        module.one(data)


@pytest.mark.parametrize("target", TARGETS)
def test_the_seeds_are_the_same_in_every_process(target: str) -> None:
    said = (
        "import hashlib, sys; from fuzz_target import load;"
        "print(hashlib.sha256(repr(sorted(load(sys.argv[1]).seeds().items())).encode()).hexdigest())"
    )
    command = [sys.executable, "-c", said, target]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=RUN.parent)
    here = repr(sorted(load(target).seeds().items())).encode()
    assert ended.stdout.strip() == hashlib.sha256(here).hexdigest()


@pytest.mark.parametrize(
    ("target", "plant"),
    [(target, plant) for target in TARGETS for plant in load(target).PLANTS if plant != DEEP],
)
def test_a_planted_defect_is_found_by_the_seeds(target: str, plant: str) -> None:
    ended = replayed(target, "--plant", plant, "--replay")
    assert ended.returncode == 1
    assert f"to the target {target}." in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run_is_clean(target: str, tmp_path: Path) -> None:
    needs.module("atheris")
    outcome = fuzz(target, tmp_path, seconds=SECONDS, seed=1)
    require_clean(outcome)
    assert outcome.seeds >= SEEDS[target]
    assert outcome.executions > outcome.seeds, "nothing but the seeds was tried"
    assert outcome.edges > 100, "the code under test is not seen"


@pytest.mark.parametrize("target", TARGETS)
def test_a_run_finds_a_planted_defect_and_its_input_can_be_replayed(
    target: str, tmp_path: Path
) -> None:
    needs.module("atheris")
    plant = next(iter(load(target).PLANTS))
    outcome = fuzz(target, tmp_path, seconds=SECONDS, seed=1, plant=plant)
    assert outcome.exit_code != 0
    assert not outcome.clean
    (crash,) = outcome.found
    assert "Uncaught Python exception" in outcome.log.read_text("utf-8", "replace")
    again = replayed(target, "--plant", plant, "--replay", str(crash))
    assert f"This is what {crash} does to the target {target}." in again.stderr
    mended = replayed(target, "--replay", str(crash))
    assert mended.returncode == 0, mended.stderr


def test_a_run_finds_by_itself_what_no_seed_shows(tmp_path: Path) -> None:
    needs.module("atheris")
    assert replayed("datasets", "--plant", DEEP, "--replay").returncode == 0
    outcome = fuzz("datasets", tmp_path, seconds=0, seed=1, plant=DEEP, runs=1_000_000)
    assert not outcome.clean
    assert outcome.executions > outcome.seeds


def test_what_was_found_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs.module("atheris")
    common = ["--seconds", "1", "--seed", "1", "--jobs", "1", "--folder", str(tmp_path)]
    assert main(["datasets", *common, "--plant", "signs are lost"]) == 1
    (crash,) = (tmp_path / "datasets" / "found").iterdir()
    said = capsys.readouterr().out
    assert "BROKEN" in said
    assert f"--replay {crash}" in said
    crash.unlink()
    assert main(["datasets", *common]) == 0
    assert "clean" in capsys.readouterr().out


def test_an_unknown_target_is_answered_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["radio"])
    assert "companions" in capsys.readouterr().err
