"""Opening the stores of virtual meters, with their keys."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vtc07.cli.failure import Failure
from vtc07.cli.output import Output
from vtc07.cli.secret import looks_like_a_key
from vtc07.meter import STORE_KEY_VARIABLE, FoundKey, SQLiteStore, find_store_key

_SQLITE = b"SQLite format 3\x00"


def store_key_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--store-key-file``."""
    return click.option(
        "--store-key-file",
        metavar="FILE",
        help=f"Key that protects the store; else {STORE_KEY_VARIABLE}, else STORE.key beside it.",
    )(function)


def store_key(store: Path, key_file: str | None, output: Output, *, make: bool = False) -> FoundKey:
    """Return the key of a store; StoreKeyError where there is none."""
    if key_file is not None and looks_like_a_key(key_file):
        raise Failure(
            "--store-key-file wants the name of a file, not the key itself: what stands in a "
            "command line stays in the shell's history"
        )
    found = find_store_key(store, key_file=Path(key_file) if key_file else None, make=make)
    if key_file is not None:
        warn_if_shared(Path(key_file), output)
    return found


def open_store(path: str, key_file: str | None, output: Output) -> SQLiteStore:
    """Open a store and lock it; StoreError or StoreKeyError where that is not possible."""
    store = Path(path)
    if not store.exists():
        raise Failure(f"there is no store {path}; vtc07 meter new {path} makes a meter")
    with store.open("rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:  # before its key is looked for: it has none
            raise Failure(f"{path} is not the store of a meter; give the file of vtc07 meter new")
    return SQLiteStore.open(store, store_key(store, key_file, output).key)


def warn_if_shared(path: Path, output: Output) -> None:
    """Warn of a key file that others than its owner may read."""
    if os.name != "posix":
        return
    mode = path.stat().st_mode
    if stat.S_ISREG(mode) and mode & 0o077:
        output.warning(
            f"{path} can be read by others than its owner (mode {stat.S_IMODE(mode):04o}); "
            f"take that away with: chmod 600 {path}"
        )
