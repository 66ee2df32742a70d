"""A disk that loses power: what reached it before, what did not, and what did so by halves.

SQLite runs on it through a VFS. Every write, truncation, creation, deletion and synchronization is
kept in order, so that power can be cut after any of them, as often as wanted and in many ways.

What is assumed of a disk is what SQLite assumes: what was synchronized stays; everything else may
be there, or not, or in parts, in any order; a write does no harm beside itself. A name that was
made or taken away counts only once its folder was synchronized.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

SECTOR: Final = 512


class Op(enum.Enum):
    """What is done to a disk."""

    CREATE = "create"
    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    DELETE = "delete"
    SYNC_FOLDER = "synchronize the folder"


@dataclass(frozen=True, slots=True)
class Step:
    """One operation. ``file``: which file, whatever its name is by then; 0 for a folder."""

    op: Op
    file: int = 0
    name: str = ""
    offset: int = 0  # or the new size
    data: bytes = b""


class PowerIsOff(Exception):
    """The disk does nothing any more."""


class DiskFails(Exception):
    """The disk reports an error, once."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that a disk reports at a step. ``done``: it did what it says that it could not."""

    step: int
    done: bool


@dataclass(slots=True)
class Disk:
    """The disk as long as power is on.

    ``files``: what is on it and has reached it, by name. ``cut_after``: power fails after so many
    steps; the step that would be next is not done. ``failure``: an error that it reports.
    """

    files: Mapping[str, bytes]
    cut_after: int | None = None
    failure: Failure | None = None
    steps: list[Step] = field(default_factory=list)
    off: bool = False
    _names: dict[str, int] = field(default_factory=dict)
    _contents: dict[int, bytearray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, (name, content) in enumerate(self.files.items(), 1):
            self._names[name] = number
            self._contents[number] = bytearray(content)

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return name in self._names

    def open(self, name: str, *, create: bool) -> int:
        """Return the number of a file; KeyError if there is none and none is to be made."""
        if name not in self._names:
            if not create:
                raise KeyError(name)
            file = len(self._contents) + 1
            self._do(Step(Op.CREATE, file, name))
            self._names[name] = file
            self._contents[file] = bytearray()
            self._report()
        return self._names[name]

    def read(self, file: int, offset: int, amount: int) -> bytes:
        """Read; fewer bytes where the file ends."""
        self._require_power()
        return bytes(self._contents[file][offset : offset + amount])

    def size(self, file: int) -> int:
        """Return the length of a file."""
        return len(self._contents[file])

    def write(self, file: int, offset: int, data: bytes) -> None:
        """Write."""
        self._do(Step(Op.WRITE, file, offset=offset, data=data))
        _write(self._contents[file], offset, data)
        self._report()

    def truncate(self, file: int, size: int) -> None:
        """Cut a file off."""
        self._do(Step(Op.TRUNCATE, file, offset=size))
        del self._contents[file][size:]
        self._report()

    def sync(self, file: int) -> None:
        """Let all that was written to a file reach the disk."""
        self._do(Step(Op.SYNC, file))
        self._report()

    def delete(self, name: str) -> None:
        """Take a name away; KeyError if there is none."""
        file = self._names[name]
        self._do(Step(Op.DELETE, file, name))
        del self._names[name]
        self._report()

    def sync_folder(self) -> None:
        """Let names that were made or taken away reach the disk."""
        self._do(Step(Op.SYNC_FOLDER))
        self._report()

    def _do(self, step: Step) -> None:
        self._require_power()
        if self.cut_after is not None and len(self.steps) >= self.cut_after:
            self.off = True
            raise PowerIsOff
        failure = self.failure
        if failure is not None and len(self.steps) == failure.step and not failure.done:
            self.failure = None
            raise DiskFails
        self.steps.append(step)

    def _report(self) -> None:
        if self.failure is not None and len(self.steps) > self.failure.step:
            self.failure = None
            raise DiskFails

    def _require_power(self) -> None:
        if self.off:
            raise PowerIsOff


class Tear(enum.Enum):
    """What becomes of that which had not reached the disk."""

    NOTHING = "nothing of it is there"
    EVERYTHING = "all of it is there"
    CONTENT = "all that was written is there, but no name"
    NAMES = "names are there, but nothing that was written"
    FIRST = "all up to some step is there"
    SECTORS = "some sectors are there, and some names"
    GARBAGE = "some sectors are there, and others hold anything"


@dataclass(slots=True)
class _Platter:
    """What has reached the disk, and what has not."""

    names: dict[str, int]
    contents: dict[int, bytes]
    pending: list[Step] = field(default_factory=list)

    def do(self, step: Step) -> None:
        if step.op is Op.SYNC:
            kept = [s for s in self.pending if s.file == step.file and s.op in _CONTENT]
            content = bytearray(self.contents.get(step.file, b""))
            for done in kept:
                _apply(content, done)
            self.contents[step.file] = bytes(content)
            self.pending = [s for s in self.pending if s not in kept]
        elif step.op is Op.SYNC_FOLDER:
            for done in self.pending:
                _name(self.names, done)
            self.pending = [s for s in self.pending if s.op in _CONTENT]
        else:
            self.pending.append(step)

    def after(self, tear: Tear, chance: random.Random) -> dict[str, bytes]:
        names = dict(self.names)
        contents = {file: bytearray(content) for file, content in self.contents.items()}
        first = chance.randint(0, len(self.pending)) if tear is Tear.FIRST else 0
        lost_names: set[str] = set()  # of each name the first steps survive, or none
        for place, step in enumerate(self.pending):
            if step.op in _CONTENT:
                content = contents.setdefault(step.file, bytearray())
                if tear in (Tear.EVERYTHING, Tear.CONTENT) or place < first:
                    _apply(content, step)
                elif tear in (Tear.SECTORS, Tear.GARBAGE):
                    _apply_by_halves(content, step, chance, garbage=tear is Tear.GARBAGE)
                continue
            kept = tear in (Tear.EVERYTHING, Tear.NAMES) or place < first
            if tear in (Tear.SECTORS, Tear.GARBAGE):
                kept = chance.random() < 0.5
            if not kept:
                lost_names.add(step.name)
            elif step.name not in lost_names:
                _name(names, step)
        return {name: bytes(contents.get(file, b"")) for name, file in names.items()}


_CONTENT: Final = (Op.WRITE, Op.TRUNCATE)


def cuts(disk: Disk, start: int = 0) -> Iterator[tuple[int, _Platter]]:
    """Go through all places at which power may be cut: after so many steps, from ``start`` on."""
    names = {name: number for number, name in enumerate(disk.files, 1)}
    platter = _Platter(names, {names[name]: content for name, content in disk.files.items()})
    for done in range(len(disk.steps) + 1):
        if done >= start:
            yield done, platter
        if done < len(disk.steps):
            platter.do(disk.steps[done])


def _write(content: bytearray, offset: int, data: bytes) -> None:
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _apply(content: bytearray, step: Step) -> None:
    if step.op is Op.WRITE:
        _write(content, step.offset, step.data)
    else:
        del content[step.offset :]


def _apply_by_halves(
    content: bytearray, step: Step, chance: random.Random, *, garbage: bool
) -> None:
    if step.op is Op.TRUNCATE:
        if chance.random() < 0.5:
            _apply(content, step)
        return
    end = step.offset + len(step.data)
    at = step.offset
    while at < end:
        until = min(end, (at // SECTOR + 1) * SECTOR)
        sector = step.data[at - step.offset : until - step.offset]
        fate = chance.random()
        if fate < 0.5:
            _write(content, at, sector)
        elif garbage and fate < 0.75:
            _write(content, at, chance.randbytes(len(sector)))
        at = until


def _name(names: dict[str, int], step: Step) -> None:
    if step.op is Op.CREATE:
        names[step.name] = step.file
    elif step.op is Op.DELETE:
        names.pop(step.name, None)
