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
from vtc07.meter import (
    STORE_KEY_VARIABLE,
    CompanionSource,
    FoundKey,
    MeterState,
    Remains,
    SQLiteStore,
    find_remains,
    find_store_key,
)
from vtc07.meter import make_store as make_library_store
from vtc07.meter.store import require_store


def store_key_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--store-key-file``."""
    return click.option(
        "--store-key-file",
        metavar="FILE",
        help=f"Key that protects the store; else {STORE_KEY_VARIABLE}, else STORE.key beside it.",
    )(function)


def make_store(
    path: Path, state: MeterState, companion: CompanionSource, key_file: str | None, output: Output
) -> Path | None:
    """Make the store of a new meter and close it; returns the key file made for it, if one was.

    StoreError or StoreKeyError where that is not possible; nothing is left then.
    """
    store, found = make_library_store(path, state, companion, key_file=_named(key_file))
    store.close()
    _warn_if_shared(found, output)
    return found.made


def open_store(path: str, key_file: str | None, output: Output) -> SQLiteStore:
    """Open a store and lock it; StoreError or StoreKeyError where that is not possible."""
    store = Path(path)
    if not store.exists():
        raise Failure(f"there is no store {path}; vtc07 meter new {path} makes a meter")
    require_store(store)  # before its key is looked for: another file has none
    found = find_store_key(store, key_file=_named(key_file))
    _warn_if_shared(found, output)
    return SQLiteStore.open(store, found.key)


def remains_of(path: str, key_file: str | None) -> Remains | None:
    """Return what a damaged store still tells, or None; its key was found once already."""
    store = Path(path)
    return find_remains(store, find_store_key(store, key_file=_named(key_file)).key)


def _named(key_file: str | None) -> Path | None:
    if not key_file:
        return None
    if looks_like_a_key(key_file):
        raise Failure(
            "--store-key-file wants the name of a file, not the key itself: what stands in a "
            "command line stays in the shell's history"
        )
    return Path(key_file)


def _warn_if_shared(found: FoundKey, output: Output) -> None:
    """Warn of a key file that others than its owner may read, wherever it was found."""
    if found.read is None or os.name != "posix":
        return
    mode = found.read.stat().st_mode
    if stat.S_ISREG(mode) and mode & 0o077:
        output.warning(
            f"{found.read} can be read by others than its owner (mode {stat.S_IMODE(mode):04o}); "
            f"take that away with: chmod 600 {found.read}"
        )
