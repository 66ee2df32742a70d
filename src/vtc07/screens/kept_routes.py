"""Routes that were handed over and are kept, each under the digest of its content.

A route's file keeps the name that it came with, as far as that does no harm: by it the journal
knows the route (`vtc07.hhu.route.facts.Route.name`). Tokens stand in it, so it is for its owner
alone. The same content is the same route, however often it comes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from vtc07.durable.folder import sync_folder

#: The folder of routes, in the folder of what the application remembers.
ROUTES: Final = "routes"
_ID: Final = re.compile(r"[0-9a-f]{16}")
_PIECE: Final = 1 << 16
#: What is older was left behind, in s: no file takes so long to be handed over.
_OLD_S: Final = 3600
#: Longer names are cut; file systems take 255 characters of UTF-8.
_LONGEST_NAME: Final = 150
#: Names that are devices on some systems.
_DEVICES: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KeptRoute:
    """A route that is kept. ``name``: 16 hexadecimal digits of its digest; ``path``: its file."""

    name: str
    path: Path

    @property
    def file(self) -> str:
        """The name that its file came with."""
        return self.path.name


class KeptRoutes:
    """The routes in a folder, which is made when the first one comes. May be used by any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> tuple[KeptRoute, ...]:
        """Return what is kept, the one that came last first."""
        try:
            folders = [each for each in self._folder.iterdir() if _ID.fullmatch(each.name)]
        except FileNotFoundError:
            return ()
        found = [route for each in folders if (route := self.find(each.name)) is not None]
        return tuple(sorted(found, key=lambda route: (-_came(route.path), route.file)))

    def find(self, name: str) -> KeptRoute | None:
        """Return a route by its name; None where there is none of it."""
        if not _ID.fullmatch(name):
            return None
        try:
            files = sorted(each for each in (self._folder / name).iterdir() if each.is_file())
        except (FileNotFoundError, NotADirectoryError):
            return None
        return KeptRoute(name, files[0]) if files else None

    def keep(self, content: BinaryIO, called: str) -> tuple[KeptRoute, bool]:
        """Keep a route; returns it, and whether it is new. OSError where it cannot be written."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _written(self._folder, content) as (half, digest):
            name = digest[:16]
            found = self.find(name)
            if found is not None:
                return found, False
            folder = self._folder / name
            folder.mkdir(mode=0o700, exist_ok=True)
            path = folder / harmless_name(called)
            half.replace(path)
            sync_folder(folder)
        sync_folder(self._folder)
        return KeptRoute(name, path), True

    def remove(self, name: str) -> None:
        """Keep a route no more. What the journal knows of it stays."""
        if _ID.fullmatch(name):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self._folder / name)


def harmless_name(called: str) -> str:
    """Return the name of a file that does no harm, as like as can be to the one it was called by.

    No folder, nothing hidden, no sign that a system or a person could take for something else.
    """
    last = re.split(r"[/\\]", called)[-1]
    clean = "".join(c if c.isprintable() and c not in '<>:"|?*' else "_" for c in last)
    stem, dot, ending = clean.strip(" .").rpartition(".")
    if not dot or len(ending) > 8:
        stem, dot, ending = clean.strip(" ."), "", ""
    while len(stem.encode()) > _LONGEST_NAME:
        stem = stem[:-1]
    stem = stem.strip(" .")
    if not stem or _DEVICES.fullmatch(stem):
        stem = f"route{'-' * bool(stem)}{stem}"
    return f"{stem}{dot}{ending}"


def _came(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@contextlib.contextmanager
def _written(folder: Path, content: BinaryIO) -> Iterator[tuple[Path, str]]:
    """Write a file for its owner alone; gives it and its SHA-256, and leaves nothing behind."""
    with contextlib.suppress(OSError):  # what programs left that ended in the middle
        for left in folder.glob(".*.part"):
            if left.stat().st_mtime < time.time() - _OLD_S:
                left.unlink()
    descriptor, name = tempfile.mkstemp(".part", ".", folder)
    half, digest = Path(name), hashlib.sha256()
    try:
        with os.fdopen(descriptor, "wb") as file:
            while piece := content.read(_PIECE):
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        yield half, digest.hexdigest()
    finally:
        half.unlink(missing_ok=True)
