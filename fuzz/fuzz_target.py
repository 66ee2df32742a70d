"""Run one target under libFuzzer: `python fuzz/fuzz_target.py TARGET [--plant NAME] ARGUMENTS`.

The arguments are libFuzzer's; a file as the last one is run once, as it is. `fuzz_run` is the
comfortable way.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

TARGETS = ("reader", "datasets", "exchange", "companions", "tokens", "trace", "routes", "journals")


class Target(Protocol):
    """What a module `fuzz_<target>` has."""

    #: The length of the longest input that makes sense.
    LONGEST: int
    #: Defects that can be planted, to see that the target finds them: a name and what does it.
    PLANTS: Mapping[str, Callable[[], None]]

    def one(self, data: bytes) -> None:
        """Try one input; any exception is a finding."""

    def seeds(self) -> Mapping[str, bytes]:
        """Return inputs to begin with, by name; always the same."""

    def words(self) -> tuple[bytes, ...]:
        """Return character sequences that mean something here."""


def load(name: str) -> Target:
    """Return a target's module."""
    if name not in TARGETS:
        raise ValueError(f"there is no target {name!r}: {', '.join(TARGETS)}")
    return cast("Target", importlib.import_module(f"fuzz_{name}"))


def main(arguments: list[str]) -> None:
    """Fuzz a target."""
    atheris = importlib.import_module("atheris")  # the targets themselves do without
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--plant", help="a defect to be planted")
    options, others = parser.parse_known_args(arguments)
    sys.path.insert(0, str(Path(__file__).parent))
    with atheris.instrument_imports(include=["vtc07"], enable_loader_override=False):
        target = load(options.target)
    if options.plant:
        target.PLANTS[options.plant]()
    keywords = {}
    if mutate := getattr(target, "mutate", None):

        def mutator(data: bytes, longest: int, seed: int) -> bytes:
            return bytes(mutate(data, longest, seed, atheris.Mutate))

        keywords["custom_mutator"] = mutator
    atheris.Setup([sys.argv[0], *others], target.one, **keywords)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
