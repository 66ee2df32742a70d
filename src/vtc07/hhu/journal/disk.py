"""Files beside a journal, and what makes them outlive a loss of power."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from vtc07.hhu.journal.deliveries import JournalError

#: A token that was not taken is still money: its owner alone may read and write it.
OWNER_ONLY: Final = 0o600


def beside(file: Path, ending: str) -> Path:
    """Return the name of a file beside another: its name with something behind."""
    return file.with_name(file.name + ending)


def refuse_what_is_there(file: Path) -> None:
    """Raise JournalError where there is something of this name already."""
    if file.exists() or file.is_symlink():
        raise JournalError(f"{file} is there already, and nothing is overwritten; name another")


def write_new(file: Path, content: bytes) -> None:
    """Make a file for its owner alone, and put its content on the disk; FileExistsError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(file, flags, OWNER_ONLY), "wb") as made:  # noqa: PTH123 - made with its rights
        made.write(content)
        made.flush()
        os.fsync(made.fileno())


def append_once(file: Path, line: bytes) -> None:
    """Put a line behind what a file for its owner alone holds, unless it ends with it already.

    A program that did that and then crashed will do it again.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    with open(os.open(file, flags, OWNER_ONLY), "r+b", buffering=0) as kept:  # noqa: PTH123 - made with its rights
        if sys.platform != "win32":
            os.fchmod(kept.fileno(), OWNER_ONLY)
        if not kept.read().endswith(line):
            kept.write(line)
        os.fsync(kept.fileno())
