"""The files that a report is written to: whole or not at all, for their owner only."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TextIO

from vtc07.cli.failure import Failure

#: In place of a file's name: stdout.
STDOUT: Final = "-"
_LOOKED_AT = 2048


@contextlib.contextmanager
def report_file(name: str, *, marks: str, encoding: str = "utf-8") -> Iterator[TextIO]:
    """Open a file that takes the place of an earlier report under ``name`` when it is complete.

    ``marks``: what stands in the first characters of such a report; a file without it is something
    else and stays, with Failure. ``-`` is stdout.
    """
    if name == STDOUT:
        # A page says that it is UTF-8, and a table ends its lines itself, whatever the system does.
        reconfigure: Callable[..., None] | None = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", newline="")
        yield sys.stdout
        return
    path = Path(name)
    _require_place(path, marks)
    descriptor, beside = tempfile.mkstemp(".part", f".{path.name}.", path.absolute().parent)
    try:
        with os.fdopen(descriptor, "w", encoding=encoding, newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def require_apart(written: Sequence[str], read: Sequence[Path]) -> None:
    """Raise Failure where a file would be written twice, or over one that is read."""
    places: set[Path] = set()
    for name in written:
        if name == STDOUT:
            place = Path(STDOUT)
        else:
            place = Path(name).resolve()
            if any(place == Path(source).resolve() for source in read):
                raise Failure(f"{name} is what the report is made of; choose another name for it")
        if place in places:
            where = "stdout" if name == STDOUT else name
            raise Failure(f"two reports would be written to {where}; choose a name for each")
        places.add(place)


def _require_place(path: Path, marks: str) -> None:
    parent = path.absolute().parent
    if not parent.is_dir():
        raise Failure(f"there is no folder {parent} for the report; make it, or correct the name")
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise Failure(f"{path} is not a file; choose another name for the report")
    with path.open("rb") as file:
        begins = file.read(_LOOKED_AT)
    if begins and marks.encode() not in begins:
        raise Failure(f"{path} exists and is no report of this kind; choose another name")
