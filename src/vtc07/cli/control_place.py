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
import socket
import stat
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from vtc07.links.address import AddressError, SerialAddress, SimulatedAddress, parse

#: The longest name of a Unix socket that every system takes, in bytes.
_LONGEST_SOCKET_NAME: Final = 100
_LONGEST_FILE: Final = 4096
#: The longest wait for whoever listens to take a connection.
CONNECT_LIMIT_S: Final = 5
_SOCKET: Final = "control"
_UNFINISHED: Final = "new"
_SUFFIX: Final = ".control"
_FOLDER: Final = "vtc07-"
#: A link is not followed, a pipe is not waited for, and nothing is translated.
_AS_IT_IS: Final = (
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)


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
    return resolved.with_name(resolved.name + _SUFFIX)


def by_address(address: str) -> Path | None:
    """Return the control file's name of an address; None where there is no safe place for it."""
    folder = runtime_folder()
    name = hashlib.sha256(address.encode()).hexdigest()[:32]
    return None if folder is None else folder / f"{name}{_SUFFIX}"


def control_file(target: str) -> Path | None:
    """Return where the control file of a STORE or an ADDRESS would be."""
    store = store_meant(target)
    return by_address(str(parse(target))) if store is None else beside(store)


def store_meant(target: str) -> Path | None:
    """Return the store that a STORE or an ADDRESS names, None for an address.

    A whole path may name either; that of a serial port leads to a device.
    """
    try:
        address = parse(target)
    except AddressError:
        return Path(target)
    if isinstance(address, SimulatedAddress):
        return Path(address.store)
    if isinstance(address, SerialAddress) and not address.device.startswith("/dev/"):
        path = Path(address.device)
        return path if path.is_absolute() and not path.is_char_device() else None
    return None


def runtime_folder() -> Path | None:
    """Return the user's own folder for what lives as long as programs run, made if need be.

    None where there is none that nobody else can write in, or put another in its place.
    """
    from platformdirs import user_runtime_path  # noqa: PLC0415 - only a served meter needs it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where it falls back, that is looked at below
            folder = user_runtime_path("vtc07", appauthor=False)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_kept(folder.parent):
            return None
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder if _is_private(folder) else None
    except OSError:
        return None


def _is_private(folder: Path) -> bool:
    """Whether it is a folder of this user's that nobody else can look into; OSError: none there."""
    found = folder.lstat()
    if os.name != "posix":
        return stat.S_ISDIR(found.st_mode)
    ours = found.st_uid == os.geteuid()
    return stat.S_ISDIR(found.st_mode) and ours and not found.st_mode & 0o077


def _is_kept(folder: Path) -> bool:
    """Whether nobody but this user and root can rename what this user makes in a folder."""
    if os.name != "posix":
        return True
    found = folder.stat()
    trusted = (os.geteuid(), 0)
    if found.st_uid not in trusted or folder.lstat().st_uid not in trusted:  # a link has an owner
        return False
    return not found.st_mode & 0o022 or bool(found.st_mode & stat.S_ISVTX)


def write(path: Path, place: Place) -> None:
    """Write a control file, for its owner only; one from before is replaced.

    OSError where that cannot be, and where a file is in the way that is something else.
    """
    if not _is_replaceable(path):
        raise OSError(f"{path} is in the way, and is no control file of yours; move it away")
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
        found: Any = json.loads(_content(path))
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


def _content(path: Path) -> bytes:
    """Return how a file of this user's begins; OSError: anything else, whose word is not taken."""
    descriptor = os.open(path, os.O_RDONLY | _AS_IT_IS)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        theirs = os.name == "posix" and found.st_uid != os.geteuid()
        if not stat.S_ISREG(found.st_mode) or theirs:
            raise OSError("not a file of this user")
        return file.read(_LONGEST_FILE)


def _is_replaceable(path: Path) -> bool:
    """Whether nothing is there, or a control file of any server's, or one that was not finished."""
    try:
        content = _content(path)
        if not content:
            return True
        found: Any = json.loads(content)
    except FileNotFoundError:
        return True
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("vtc07") == 1 and "secret" in found


# --- sockets' files -----------------------------------------------------------------------------


@contextlib.contextmanager
def listening(backlog: int) -> Iterator[tuple[socket.socket, Path]]:
    """Open a Unix socket in a folder that only its owner can look into.

    OSError where there is no place for one. It is closed and taken away afterwards.
    """
    folder = _new_folder()
    file = folder / _SOCKET
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            # Whoever finds it by its name finds someone listening, or it was left behind.
            listener.bind(str(folder / _UNFINISHED))
            listener.listen(backlog)
            (folder / _UNFINISHED).rename(file)
            yield listener, file
    finally:
        _remove_socket(file)


def connected(file: str) -> socket.socket:
    """Return a connection to a Unix socket of this user's, or raise OSError."""
    if not hasattr(socket, "AF_UNIX"):
        raise ConnectionError("no Unix sockets here")
    if not _is_private(Path(file).parent):
        raise ConnectionError("another user may be listening")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(CONNECT_LIMIT_S)
        connection.connect(file)
    except BaseException:
        connection.close()
        raise
    return connection


def remove_leavings(path: Path) -> None:
    """Take away what servers that were killed have left: control files and sockets.

    ``path``: the control file beside the store. To be called by whoever has that store open, so
    that nobody else can be serving it.
    """
    before = read(path)
    if before is not None:
        remove(path, before)
        if before.unix is not None:
            _remove_dead_socket(Path(before.unix))
    folder = runtime_folder()
    if folder is None:
        return
    for file in folder.glob(f"{_FOLDER}*/{_SOCKET}"):
        _remove_dead_socket(file)
    for file in folder.glob(f"*{_SUFFIX}"):
        place = read(file)
        if place is None:
            continue
        if place.unix is not None:
            _remove_dead_socket(Path(place.unix))  # one with a long name is elsewhere
        if place == before or (place.unix is not None and not Path(place.unix).exists()):
            remove(file, place)


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


def _remove_dead_socket(file: Path) -> None:
    """Take away a socket at which nobody listens, and its folder.

    The name may come from anywhere: nothing but a socket of ours is removed.
    """
    if file.name != _SOCKET or not file.parent.name.startswith(_FOLDER) or not file.is_socket():
        return
    try:
        connected(str(file)).close()
    except ConnectionRefusedError:
        _remove_socket(file)
    except OSError:
        return


def _remove_socket(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.with_name(_UNFINISHED).unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        file.parent.rmdir()
