"""``vtc07 simulate``: what is said, its exit codes, its JSON, and Ctrl-C."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_bench import contents, done, here, one_sentence, vtc07

__all__ = ["here"]

#: The program, with a Ctrl-C as from a terminal as soon as the first results are there.
INTERRUPTED = """
import os, signal
from vtc07.cli.main import main
from vtc07.simulation.tally import Tally

merge = Tally.merge

def merge_and_interrupt(self, other):
    merge(self, other)
    os.killpg(0, signal.SIGINT)

Tally.merge = merge_and_interrupt
main()
"""


def _without_speed(document: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in document.items() if name not in ("runs_per_second", "jobs")
    }


def test_seeds_are_run_and_nothing_is_left_behind(here: Path) -> None:
    result = done("simulate", "--seeds", "3", "--start", "7")
    assert "violations" in result.out
    assert contents(here) == {}
    document = done("simulate", "--seeds", "3", "--start", "7", "--json").json
    assert (document["start"], document["runs"], document["violations"]) == (7, 3, [])
    assert document["told"] == []
    assert document["rows_used"] + len(document["rows_not_reached"]) == document["rows"]


def test_processes_share_the_work_and_come_to_the_same(here: Path) -> None:
    arguments = ("simulate", "--seeds", "101", "--json")
    alone = done(*arguments).json
    together = done(*arguments, "--jobs", "2").json
    assert _without_speed(alone) == _without_speed(together)


def test_one_seed_is_told(here: Path) -> None:
    lines = done("simulate", "--seed", "3").out.splitlines()
    assert lines[0].startswith("seed 3: ")
    assert lines[-1] == "no violation"
    document = done("simulate", "--seed", "3", "--json").json
    assert (document["seed"], document["violation"]) == (3, None)
    assert document["plan"] + document["story"] == lines[:-1]


def test_a_violation_is_told_small_and_is_exit_code_1(here: Path) -> None:
    arguments = ("simulate", "--seeds", "50", "--defect", "ack-means-accepted")
    told = vtc07(*arguments)
    assert told.code == 1
    assert "violation" in one_sentence(told.err)
    assert "vtc07 simulate --seed 0 --defect ack-means-accepted" in told.out
    result = vtc07(*arguments, "--json")
    assert result.code == 1
    assert result.error["exit_code"] == 1
    document = result.json
    assert document["violations"][0]["seed"] == document["told"][0]["seed"] == 0
    assert document["told"][0]["violation"]
    assert document["told"][0]["story"]
    again = vtc07("simulate", "--seed", "0", "--defect", "ack-means-accepted", "--json")
    assert again.code == again.error["exit_code"] == 1
    assert again.json["violation"] == document["violations"][0]["violation"]


def test_the_defects_are_listed_with_numbers_for_seeds(here: Path) -> None:
    listed = done("simulate", "--defects", "--json").json
    assert {"name", "does", "seed", "violation"} == set(listed[0])
    assert {entry["seed"] for entry in listed} == {None}
    assert {entry["violation"] for entry in listed} == {None}
    result = vtc07("simulate", "--defects", "--seeds", "1", "--json")
    found = {entry["name"]: entry["seed"] for entry in result.json}
    assert set(found.values()) == {0, None}
    assert result.code == result.error["exit_code"] == 1
    assert all(name in result.error["error"] for name, seed in found.items() if seed is None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--seeds", "0"), "--seeds"),
        (("--seeds", "many"), "--seeds"),
        (("--seed", "-1"), "--seed"),
        (("--seed", "3", "--seeds", "4"), "one run"),
        (("--seed", "3", "--start", "4"), "one run"),
        (("--seed", "3", "--jobs", "2"), "one run"),
        (("--seed", "3", "--exhaustive"), "one run"),
        (("--jobs", "0"), "--jobs"),
        (("--jobs", "100000"), "--jobs"),
        (("--pairs",), "--exhaustive"),
        (("--exhaustive", "--seeds", "3"), "draws nothing"),
        (("--exhaustive", "--defect", "key-shown"), "draws nothing"),
        (("--defect", "nothing"), "key-shown"),
        (("--defects", "--pairs"), "--defects lists"),
        (("--defects", "--seed", "3"), "--defects lists"),
        (("more",), "extra"),
    ],
)
def test_wrong_usage_is_a_sentence(here: Path, options: tuple[str, ...], said: str) -> None:
    result = vtc07("simulate", *options)
    assert result.code == 2
    assert said in one_sentence(result.err)
    assert result.out == ""


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C goes to a process group")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_after_an_interrupt_the_sums_so_far_are_there(here: Path, jobs: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, "simulate", "--seeds", "1000000", "--start", "10",
         "--jobs", jobs, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    out, err = process.communicate()
    assert process.returncode == 130, err
    document = json.loads(out)
    assert document["runs"] > 0
    assert document["runs"] % 50 == 0
    (line,) = err.splitlines()  # and nothing from the processes that worked
    error = json.loads(line)
    assert error["exit_code"] == 130
    assert "--start 10 goes on" in error["error"] or "--start 60 goes on" in error["error"]
