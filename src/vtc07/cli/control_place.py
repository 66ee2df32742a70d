"""Where the control socket of a served meter is, and how `vtc07 meter set` finds it.

A control file says where, and holds a secret that every request must show. It lies beside the
store (``STORE.control``), and under the address that the meter is served at, in the user's
runtime directory; both for their owner only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from vtc07.links.address import AddressError, SimulatedAddress, parse

#: The longest name of a Unix socket that every system takes, in bytes.
_LONGEST_SOCKET_NAME: Final = 100
_LONGEST_FILE: Final = 4096
_SOCKET: Final = "control"
_FOLDER: Final = "vtc07-"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a control socket listens: a Unix socket's file, or a port of this machine's loopback.

    ``secret``: what a request must show.
    """

    secret: str
    unix: str | None = None
    tcp: int | None = None


def new_secret() -> str:
    """Return a secret that nobody can guess."""
    return secrets.token_hex(32)


def beside(store: Path) -> Path:
    """Return the control file's name of a store, whatever name the store is called by."""
    resolved = store.resolve()
    return resolved.with_name(resolved.name + ".control")


def by_address(address: str) -> Path | None:
    """Return the control file's name of an address; None where there is no safe place for it."""
    folder = runtime_folder()
    name = hashlib.sha256(address.encode()).hexdigest()[:32]
    return None if folder is None else folder / f"{name}.control"


def control_file(target: str) -> Path | None:
    """Return where the control file of a STORE or an ADDRESS would be."""
    try:
        address = parse(target)
    except AddressError:
        return beside(Path(target))
    if isinstance(address, SimulatedAddress):
        return beside(Path(address.store))
    return by_address(str(address))


def runtime_folder() -> Path | None:
    """Return the user's own folder for what lives as long as programs run, made if need be.

    None where there is none that nobody else can write in.
    """
    from platformdirs import user_runtime_path  # noqa: PLC0415 - only a served meter needs it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it falls back, that is looked at below
        folder = user_runtime_path("vtc07", appauthor=False)
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    if os.name == "posix" and (
        not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077
    ):
        return None
    return folder


def write(path: Path, place: Place) -> None:
    """Write a control file, for its owner only; one from before is replaced."""
    descriptor, name = tempfile.mkstemp(prefix=".control-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump({"vtc07": 1, **asdict(place)}, file)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read(path: Path) -> Place | None:
    """Return what a control file says; None where there is none, or something else."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            found: Any = json.loads(file.read(_LONGEST_FILE))
    except (OSError, ValueError, RecursionError):
        return None
    match found:
        case {"vtc07": 1, "secret": str(secret), "unix": str(unix), "tcp": None}:
            return Place(secret, unix=unix)
        case {"vtc07": 1, "secret": str(secret), "unix": None, "tcp": int(tcp)} if 0 < tcp < 65536:
            return Place(secret, tcp=tcp)
    return None


def remove(path: Path, place: Place) -> None:
    """Take a control file away, unless it is another's by now."""
    if read(path) == place:
        with contextlib.suppress(OSError):
            path.unlink()


# --- sockets' files -----------------------------------------------------------------------------


@contextlib.contextmanager
def socket_file() -> Iterator[Path]:
    """Give the name of a Unix socket to be made, in a folder that only its owner can look into.

    OSError where there is no place for one. What is left of it is taken away afterwards.
    """
    folder = _new_folder()
    try:
        yield folder / _SOCKET
    finally:
        _remove_socket(folder / _SOCKET)


def remove_leavings(path: Path) -> None:
    """Take away what a server that was killed has left: its control file and its socket.

    To be called by whoever has the store open, so that nobody else can be serving it.
    """
    place = read(path)
    if place is None:
        return
    if place.unix is not None:
        left = Path(place.unix)
        # The file may come from anywhere: nothing but a socket of ours is removed.
        if left.name == _SOCKET and left.parent.name.startswith(_FOLDER) and left.is_socket():
            _remove_socket(left)
    remove(path, place)


def _new_folder() -> Path:
    places = [runtime_folder(), Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 - mkdtemp makes a folder of one's own in it
    error: OSError | None = None
    for place in places:
        if place is None:
            continue
        longest = place.absolute() / f"{_FOLDER}12345678" / _SOCKET
        if len(os.fsencode(longest)) > _LONGEST_SOCKET_NAME:
            continue
        try:
            return Path(tempfile.mkdtemp(prefix=_FOLDER, dir=place.absolute()))  # mode 0700
        except OSError as raised:
            error = raised
    raise error or OSError("there is no folder with a name short enough for a socket")


def _remove_socket(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()
