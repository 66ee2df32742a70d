"""The programs of docs/library.md run as printed, print what stands below them, and are typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "library.md"
_BLOCK = re.compile(
    r"^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE
)
_NAME = re.compile(r"# (\w+)\.py\n")


@dataclass(frozen=True)
class Program:
    """A program, and what is printed below it: nothing where no text block follows."""

    name: str
    code: str
    output: str


def _programs() -> list[Program]:
    found = []
    for code, output in _BLOCK.findall(DOCUMENT.read_text(encoding="utf-8")):
        name = _NAME.match(code)
        assert name is not None, f"a program without its name in the first line:\n{code}"
        found.append(Program(name[1], code, output))
    return found


PROGRAMS = _programs()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with all programs in it, as a reader would have it."""
    for program in PROGRAMS:
        (tmp_path / f"{program.name}.py").write_text(program.code, encoding="utf-8")
    return tmp_path


def _python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("VTC07_", "MYPY"))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment | {"PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_every_block_is_a_program_of_its_own() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert len(PROGRAMS) == text.count("```python")
    assert sum(bool(program.output) for program in PROGRAMS) == text.count("```text")
    assert len({program.name for program in PROGRAMS}) == len(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_program_prints_what_is_printed_below_it(program: Program, folder: Path) -> None:
    ran = _python(folder, "-W", "error", f"{program.name}.py")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == program.output


def test_the_programs_are_typed(folder: Path) -> None:
    names = [f"{program.name}.py" for program in PROGRAMS]
    checked = _python(folder, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=.m", *names)
    assert checked.returncode == 0, checked.stdout + checked.stderr
