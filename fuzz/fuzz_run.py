"""Fuzz targets one after the other or two at a time: `python fuzz/fuzz_run.py [TARGET...]`.

Everything is kept in a folder (`.fuzz`), by target: `seeds` (made anew each time), `corpus` (what
was found worth keeping), `found` (inputs that break something) and the `log`.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fuzz_target import TARGETS, load

_HERE = Path(__file__).parent
_COVERAGE = re.compile(r"^#[0-9]+\s.* cov: ([0-9]+) ft: ([0-9]+)", re.MULTILINE)
_EXECUTED = re.compile(r"stat::number_of_executed_units: ([0-9]+)")
_SEEDS = re.compile(r"seed corpus: files: ([0-9]+)")
_LONGEST_INPUT_S = 30
_MEMORY_MB = 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. ``edges`` and ``features`` are libFuzzer's measures of coverage.

    ``found``: inputs that this run has saved because something broke; ``seeds``: inputs that it
    began with; ``log``: all that was said.
    """

    target: str
    exit_code: int
    seeds: int
    executions: int
    seconds: int
    edges: int
    features: int
    found: tuple[Path, ...]
    log: Path

    @property
    def clean(self) -> bool:
        """True where nothing broke."""
        return self.exit_code == 0 and not self.found


def prepare(target: str, folder: Path) -> Path:
    """Write a target's seeds and words; return its folder."""
    place = folder / target
    for name in ("seeds", "corpus", "found"):
        (place / name).mkdir(parents=True, exist_ok=True)
    for old in (place / "seeds").iterdir():
        old.unlink()
    module = load(target)
    for name, data in module.seeds().items():
        (place / "seeds" / name).write_bytes(data)
    words = ("".join(f"\\x{byte:02X}" for byte in word) for word in module.words())
    (place / "words").write_text("".join(f'"{word}"\n' for word in words), "ascii")
    return place


def fuzz(
    target: str, folder: Path, *, seconds: int, seed: int = 0, plant: str = "", runs: int = -1
) -> Outcome:
    """Fuzz one target for so long, or for so many runs. ``seed`` 0: another one each time."""
    place = prepare(target, folder)
    before = set((place / "found").iterdir())
    command = [
        sys.executable,
        str(_HERE / "fuzz_target.py"),
        target,
        *(["--plant", plant] if plant else []),
        f"-max_total_time={seconds}",
        f"-runs={runs}",
        f"-seed={seed}",
        f"-max_len={load(target).LONGEST}",
        f"-timeout={_LONGEST_INPUT_S}",
        f"-rss_limit_mb={_MEMORY_MB}",
        f"-dict={place / 'words'}",
        f"-artifact_prefix={place / 'found'}/",
        "-print_final_stats=1",
        "-verbosity=1",
        str(place / "corpus"),
        str(place / "seeds"),
    ]
    log = place / "log"
    began = time.monotonic()
    with log.open("wb") as file:
        ended = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    said = log.read_text("utf-8", "replace")
    coverage = _COVERAGE.findall(said) or [("0", "0")]
    return Outcome(
        target,
        ended.returncode,
        _number(_SEEDS, said),
        _number(_EXECUTED, said),
        round(time.monotonic() - began),
        int(coverage[-1][0]),
        int(coverage[-1][1]),
        tuple(sorted(set((place / "found").iterdir()) - before)),
        log,
    )


def _number(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.search(text)
    return int(match[1]) if match else 0


def replay(target: str, plant: str, paths: list[Path]) -> None:
    """Try inputs once, without libFuzzer: what breaks is raised. No paths: every seed."""
    module = load(target)
    inputs = {str(path): path.read_bytes() for path in paths} or dict(module.seeds())
    if plant:
        module.PLANTS[plant]()
    for name, data in inputs.items():
        try:
            module.one(data)
        except Exception as error:
            error.add_note(f"This is what {name} does to the target {target}.")
            raise
    print(f"{target}: {len(inputs)} inputs, nothing broke")


def _tell(outcome: Outcome) -> None:
    rate = outcome.executions // max(1, outcome.seconds)
    print(
        f"{outcome.target:11} {outcome.executions:10} executions, {rate:6} a second, "
        f"{outcome.edges:5} edges, {outcome.features:6} features, "
        f"{'clean' if outcome.clean else 'BROKEN'}",
        flush=True,
    )
    if outcome.clean:
        return
    print(f"  what was said is in {outcome.log}")
    for path in outcome.found:
        again = shlex.join((sys.executable, __file__, outcome.target, "--replay", str(path)))
        print(f"  {path} breaks it; again: {again}")


def main(arguments: list[str]) -> int:
    """Run what the command line asks for; 1 where something broke."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=2, help="targets at a time")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--folder", type=Path, default=_HERE.parent / ".fuzz")
    parser.add_argument("--plant", default="", help="a defect to be planted, of the target's")
    parser.add_argument("--replay", type=Path, nargs="*", help="inputs; none: every seed")
    options = parser.parse_args(arguments)
    targets = options.targets or list(TARGETS)
    if unknown := set(targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}: there are {', '.join(TARGETS)}")
    if options.replay is not None:
        for target in targets:
            replay(target, options.plant, options.replay)
        return 0

    def run(target: str) -> Outcome:
        outcome = fuzz(
            target,
            options.folder,
            seconds=options.seconds,
            seed=options.seed,
            plant=options.plant,
        )
        _tell(outcome)
        return outcome

    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(run, targets))
    return 0 if all(outcome.clean for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
