"""The names of files, which outlive a loss of power only once their folder is on the disk."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make new names in a folder durable; OSError where the system does not do it."""
    if sys.platform == "win32":
        return  # a folder cannot be opened there; the file system journals its entries
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
