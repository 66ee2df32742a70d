"""A companion as text, so that a store can keep the one that its meter was made with."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Self

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion, parse_companion, shipped_companions


@dataclass(frozen=True, slots=True)
class CompanionSource:
    """A companion file and, after it, the files that it extends, in order.

    ``files``: file name and text of each. A meter keeps the very words it was made with: a later
    edition of a shipped companion does not move the registers of a meter in the field.
    """

    files: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, name_or_path: str | Path) -> Self:
        """Gather a shipped companion by name or one by path; CompanionError if it is unfit."""
        load_companion(name_or_path)  # says what is wrong, with the names of the user's files
        files: list[tuple[str, str]] = []

        def resolve(name: str | Path, said_in: str) -> tuple[str, str]:
            if isinstance(name, str) and name in shipped_companions():
                source = f"{name}.toml"
                shipped = resources.files("vtc07.carrier").joinpath("companions", source)
                text = shipped.read_text(encoding="utf-8")
            else:
                source = str(Path(said_in).parent / name)
                text = Path(source).read_bytes().decode("utf-8")
            # No directories: the store speaks of the companion, not of a machine. Numbered,
            # since two files of a chain may have the same name.
            files.append((f"{len(files)}/{Path(source).name}", text))
            return source, text

        source, text = resolve(name_or_path, "")
        parse_companion(text, source, resolve)
        return cls(tuple(files))

    @property
    def name(self) -> str:
        """The companion's name."""
        return Path(self.files[0][0]).stem

    def companion(self) -> Companion:
        """Return the companion; CompanionError where this edition of it is not understood."""

        def resolve(_: str, said_in: str) -> tuple[str, str]:
            places = [source for source, _ in self.files]
            following = places.index(said_in) + 1
            if following == len(self.files):
                raise LookupError("the store does not hold the companion that this one extends")
            return self.files[following]

        source, text = self.files[0]
        return parse_companion(text, source, resolve)
