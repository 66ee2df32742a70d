"""Pseudo-terminals by a path: what both fronts need, where the system has them.

Whoever serves makes one, and a symbolic link to it at the path. It is raw from the begin, and is
made so again whenever a client has gone, whatever that one did to it. The serving side does not
keep the clients' side open: so it notices when the last client has closed it, which a serial port
could not tell, and the next one finds nothing of what the one before left unread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import time
from pathlib import Path
from types import ModuleType
from typing import Final

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import PtyAddress
from vtc07.links.characters import CharacterCoder
from vtc07.links.echo import EchoFilter
from vtc07.links.link import LinkLost, LinkUnavailable
from vtc07.links.serial import error_number, go_on_at, is_pseudo_terminal

#: How soon a client is noticed, in ns: nothing can be waited for but by looking.
LOOK_NS: Final = 20_000_000
_CHUNK: Final = 4096
_CLOSED: Final = "the other side closed the pseudo-terminal"
_OURS = re.compile(r"/dev/(pts/|ttys)\d+")

_REASONS = {
    errno.ENOENT: "there is nothing; start what serves it there first, or check the path",
    errno.EISDIR: "this is a folder; check the path",
    errno.EACCES: "no permission; a pseudo-terminal belongs to the user who serves it",
    errno.EAGAIN: "another program has it open; close that first",
    errno.EWOULDBLOCK: "another program has it open; close that first",
    errno.EIO: "nobody serves it any more; start what served it again",
    errno.ENXIO: "nobody serves it any more; start what served it again",
}


def load_termios(address: PtyAddress) -> ModuleType:
    """Import termios, or raise LinkUnavailable where the system has no pseudo-terminals."""
    try:
        import fcntl  # noqa: F401, PLC0415 - POSIX only
        import termios  # noqa: PLC0415 - POSIX only
    except ImportError as error:
        raise LinkUnavailable(
            f"cannot open {address}: pseudo-terminals are not on this system; use tcp://HOST:PORT"
        ) from error
    return termios


def parity_of(address: PtyAddress, settings: LinkSettings, parity: Parity | None) -> Parity:
    """Return the parity to use; LinkUnavailable where 7E1 itself is asked for.

    Where nobody asks, the settings' 7E1 becomes no parity.
    """
    if parity is Parity.UART:
        raise LinkUnavailable(
            f"cannot open {address}: a pseudo-terminal has no 7 data bits with even parity; "
            "choose parity software or none"
        )
    if parity is not None:
        return parity
    return Parity.NONE if settings.parity is Parity.UART else settings.parity


def make_raw(fileno: int, speed: int, *, drop: bool, served: bool = False) -> None:
    """Let characters pass as they are; ``drop`` those that wait. OSError where that fails.

    ``served``: as a client finds it. CLOCAL means nothing here and is left for the client to set:
    the system refuses settings of which it can take none, and a client at our speed that wants 7E1
    would have nothing else to change.
    """
    import termios  # noqa: PLC0415 - POSIX only

    code = getattr(termios, f"B{speed}", termios.B9600)
    try:
        settings = termios.tcgetattr(fileno)
        settings[0] = settings[1] = settings[3] = 0
        settings[2] = termios.CS8 | termios.CREAD | (0 if served else termios.CLOCAL)
        settings[4] = settings[5] = code
        settings[6][termios.VMIN], settings[6][termios.VTIME] = 1, 0
        when = termios.TCSAFLUSH if drop else termios.TCSANOW
        termios.tcsetattr(fileno, when, settings)
    except termios.error as error:
        raise OSError(*error.args) from error


def open_client(address: PtyAddress, speed: int) -> int:
    """Open the clients' side for this process alone; LinkUnavailable where that fails."""
    load_termios(address)
    try:
        fileno = os.open(address.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise _cannot_open(address, error) from error
    try:
        _take_over(fileno, address, speed)
    except OSError as error:
        os.close(fileno)
        raise _cannot_open(address, error) from error
    except BaseException:
        os.close(fileno)
        raise
    return fileno


def _take_over(fileno: int, address: PtyAddress, speed: int) -> None:
    import fcntl  # noqa: PLC0415 - POSIX only

    if not (os.isatty(fileno) and is_pseudo_terminal(address.path)):
        raise LinkUnavailable(
            f"cannot open {address}: this is no pseudo-terminal; write a serial port's name "
            "without pty:"
        )
    fcntl.flock(fileno, fcntl.LOCK_EX | fcntl.LOCK_NB)
    make_raw(fileno, speed, drop=True)


def _cannot_open(address: PtyAddress, error: OSError) -> LinkUnavailable:
    why = _REASONS.get(error_number(error), error.strerror or str(error))
    return LinkUnavailable(f"cannot open {address}: {why}")


class OpenPty:
    """One open side of a pseudo-terminal, for either front: characters, echo, and its end.

    ``own``: the file is closed with it, and its speed is noted there.
    """

    character_ns: Final = 0  # a pseudo-terminal paces nothing

    def __init__(self, fileno: int, settings: LinkSettings, parity: Parity, *, own: bool) -> None:
        self._fileno = fileno
        self._own = own
        self._coder = CharacterCoder(parity)
        self._echo = EchoFilter(
            echoes=settings.echo, character_ns=settings.character_ns, paced=False
        )
        self._open = True

    def _to_send(self, chars: bytes) -> bytes:
        """Return the bytes that carry characters, whose echo is expected from now on."""
        self._check_open()
        self._echo.sent(chars, time.monotonic_ns())
        return self._coder.encode(chars)

    def _read(self) -> bytes:
        """Return what has arrived and is no echo; LinkLost where the other side has closed it."""
        try:
            data = os.read(self._fileno, _CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise LinkLost(_CLOSED) from error
        if not data:
            raise LinkLost(_CLOSED)
        return self._echo.heard(self._coder.decode(data), time.monotonic_ns())

    def _write(self, data: bytes) -> bytes:
        """Hand bytes over and return the rest; BlockingIOError where there is no room."""
        try:
            return data[os.write(self._fileno, data) :]
        except BlockingIOError:
            raise
        except OSError as error:
            raise LinkLost(_CLOSED) from error

    def _note_speed(self, speed: int) -> None:
        self._check_open()
        if self._own:
            try:
                go_on_at(self._fileno, speed)
            except OSError as error:
                raise LinkLost(f"the pseudo-terminal is gone: {error}") from error

    def _shut(self) -> None:
        if self._open:
            self._open = False
            if self._own:
                os.close(self._fileno)

    def _check_open(self) -> None:
        if not self._open:
            raise LinkLost("the link is closed")


class ServedPty:
    """The serving side of a pseudo-terminal and the link to it at a path.

    LinkUnavailable where it cannot be made: something else is at the path (only a link of ours
    that leads nowhere any more is replaced), or the system has no pseudo-terminals.
    """

    def __init__(self, address: PtyAddress, speed: int) -> None:
        load_termios(address)
        self._path = Path(address.path)
        self._speed = speed
        try:
            self.fileno, self._device = _new(speed)
        except OSError as error:
            raise _cannot_open(address, error) from error
        try:
            self._link(address)
        except BaseException:
            os.close(self.fileno)
            raise

    def _link(self, address: PtyAddress) -> None:
        for _ in range(2):
            try:
                self._path.symlink_to(self._device)
            except FileExistsError:
                if not _is_stale(self._path):
                    raise LinkUnavailable(
                        f"cannot open {address}: something is there already; choose another path, "
                        "or remove it if nothing uses it any more"
                    ) from None
                self._path.unlink(missing_ok=True)
            except OSError as error:
                raise LinkUnavailable(
                    f"cannot open {address}: {error.strerror or error}; check the folder"
                ) from error
            else:
                return
        raise LinkUnavailable(f"cannot open {address}: another program makes it at this moment")

    def has_client(self) -> bool:
        """Say whether a client has the other side open, or has left something to be read."""
        poll = select.poll()
        poll.register(self.fileno, select.POLLIN)
        events = poll.poll(0)
        return not events or bool(events[0][1] & select.POLLIN)

    def hang_up(self) -> None:
        """Make the other side as the next client should find it; to be called without a client.

        What the client before did not read stands in a buffer of the clients' side: so that is
        opened for a moment. A client may have locked it for itself, which outlives it: then there
        is a new one at the path.
        """
        import fcntl  # noqa: PLC0415 - POSIX only
        import termios  # noqa: PLC0415 - POSIX only

        try:
            clients = os.open(self._device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            self._replace()
            return
        try:
            with contextlib.suppress(OSError, termios.error):
                fcntl.ioctl(clients, termios.TIOCNXCL)
                termios.tcflush(clients, termios.TCIFLUSH)
                make_raw(clients, self._speed, drop=False, served=True)
        finally:
            os.close(clients)

    def _replace(self) -> None:
        with contextlib.suppress(OSError):
            fileno, device = _new(self._speed)
            if self._leads_here():
                self._path.unlink()
                self._path.symlink_to(device)
            os.close(self.fileno)
            self.fileno, self._device = fileno, device

    def _leads_here(self) -> bool:
        try:
            return str(self._path.readlink()) == self._device
        except OSError:
            return False

    def close(self) -> None:
        """Remove the link and close. A second call does nothing."""
        if self.fileno < 0:
            return
        if self._leads_here():
            self._path.unlink(missing_ok=True)
        os.close(self.fileno)
        self.fileno = -1


def _new(speed: int) -> tuple[int, str]:
    """Make a pseudo-terminal: the serving side, open, and the name of the clients' side."""
    fileno, clients = os.openpty()
    try:
        device = os.ttyname(clients)
        make_raw(clients, speed, drop=False, served=True)
        os.set_blocking(fileno, False)
    except BaseException:
        os.close(fileno)
        raise
    finally:
        os.close(clients)
    return fileno, device


def _is_stale(path: Path) -> bool:
    """Say whether a path is a link to a pseudo-terminal that is there no more."""
    try:
        target = str(path.readlink())
    except OSError:
        return False
    return _OURS.fullmatch(target) is not None and not os.path.lexists(target)
