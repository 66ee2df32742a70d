"""What both fronts need of serial ports, which `serialx` opens (optional part ``serial``).

A UART tells of a damaged character beside the data, not in it. On POSIX systems we ask termios for
marks in the data (INPCK and PARMRK without IGNPAR), so that every damaged character arrives as FF.
Elsewhere (Windows) `serialx` has no such report: a damaged character then arrives as whatever the
driver hands over, and only BCC and message checks find it. A pseudo-terminal has no UART: it takes
no 7 data bits, so ``software`` or ``none`` is the parity for it, ``none`` unless told otherwise.

Ports are raw: no character means anything to the system, NUL, CR and XOFF among them. One program
has a port: by an advisory lock, which serialx takes, and by TIOCEXCL, which programs that know of
no lock must respect.
"""

from __future__ import annotations

import errno
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import InnerAddress, LinkAddress, RFC2217Address, SerialAddress
from vtc07.links.link import LinkUnavailable
from vtc07.links.ports import ports_that_exist, serial_ports

if TYPE_CHECKING:
    from serialx import AllConnectKwargs, BaseSerial

_REASONS = {
    errno.ENOENT: "there is no such port; check the name, and whether the head is plugged in",
    errno.ENXIO: "there is no device behind this port; check whether the head is plugged in",
    errno.ENODEV: "there is no device behind this port; check whether the head is plugged in",
    errno.EACCES: "no permission; on Linux, add yourself to the port's group (often dialout)",
    errno.EPERM: "no permission; on Linux, add yourself to the port's group (often dialout)",
    errno.EBUSY: "another program has it open; close that first",
    errno.EAGAIN: "another program has it open; close that first",
    errno.ENOTTY: "this is no serial port; check the name",
    errno.EISDIR: "this is a folder and no serial port; check the name",
    errno.EINVAL: (
        "the port does not take this speed or character format; where it has no 7 data bits with "
        "even parity, choose parity software or none"
    ),
}


#: Errors after which it helps to know the ports that exist.
_ANOTHER_PORT = {
    errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EBUSY, errno.EAGAIN, errno.ENOTTY, errno.EISDIR
}  # fmt: skip


def error_number(error: Exception) -> int:
    """Return the system's number of an error, 0 where it has none."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None and error.args and isinstance(error.args[0], int):
        number = error.args[0]  # termios.error is no OSError, but has the number first
    return number or 0


def cannot_open(address: SerialAddress, error: Exception) -> LinkUnavailable:
    """Build the error of a port that does not open; it names those that exist."""
    number = error_number(error)
    why = _REASONS.get(number, str(error))
    if number in _ANOTHER_PORT or isinstance(error, FileNotFoundError):
        others = [
            port for port in serial_ports() if address.device not in (port.device, port.stable)
        ]
        why = f"{why}; {ports_that_exist(others)}"
    return LinkUnavailable(f"cannot open {address}: {why}")


def is_pseudo_terminal(path: str) -> bool:
    """Say whether a path is one side of a pseudo-terminal: no UART, no 7E1, no pace."""
    where = Path(path).resolve()
    return where.is_relative_to("/dev/pts") or re.fullmatch(r"/dev/ttys\d+", str(where)) is not None


def usual_parity(address: SerialAddress, settings: LinkSettings) -> Parity:
    """Return the parity of a port for which nobody asked another one.

    It is the settings'; but a pseudo-terminal, which cannot do 7E1, has none in its place.
    """
    if settings.parity is Parity.UART and is_pseudo_terminal(address.device):
        return Parity.NONE
    return settings.parity


def character_ns(address: LinkAddress, settings: LinkSettings) -> int:
    """Return the duration of a character in ns, 0 where nothing paces them."""
    paced = isinstance(address, RFC2217Address | InnerAddress) or (
        isinstance(address, SerialAddress) and not is_pseudo_terminal(address.device)
    )
    return settings.character_ns if paced else 0


def options(serialx: ModuleType, settings: LinkSettings, parity: Parity) -> AllConnectKwargs:
    """Return what serialx is to be told of a port: format, speed, and what powers the head."""
    uart = parity is Parity.UART
    return {
        "baudrate": settings.speed,
        "byte_size": 7 if uart else 8,
        "parity": serialx.Parity.EVEN if uart else serialx.Parity.NONE,
        "stopbits": serialx.StopBits.ONE,
        "rts_on_open": serialx.PinState.convert(settings.rts),
        "dtr_on_open": serialx.PinState.convert(settings.dtr),
    }


def has_termios() -> bool:
    """Say whether the system's ports have the settings of POSIX."""
    try:
        importlib.import_module("termios")
    except ImportError:
        return False
    return True


def take_over(port: BaseSerial, parity: Parity, device: str) -> bool:
    """Have a port that was opened for us alone, and damaged characters marked.

    False where the system has no termios, and so no marks. OSError where another program has the
    port (EBUSY), or where 7E1 was asked for and the port, without a word, did not take it
    (EINVAL: a pseudo-terminal).
    """
    if not has_termios():
        return False
    import fcntl  # noqa: PLC0415 - POSIX only
    import termios  # noqa: PLC0415 - POSIX only

    fileno = port.fileno()
    attributes = termios.tcgetattr(fileno)
    format_bits = attributes[2] & (termios.CSIZE | termios.PARENB)
    if parity is Parity.UART and format_bits != termios.CS7 | termios.PARENB:
        raise OSError(errno.EINVAL, "7 data bits with even parity were not taken")
    attributes[0] = (attributes[0] | termios.INPCK | termios.PARMRK) & ~(
        termios.IGNPAR | termios.ISTRIP | termios.IGNBRK | termios.BRKINT
    )
    termios.tcsetattr(fileno, termios.TCSANOW, attributes)
    if not is_pseudo_terminal(device):  # there it would outlive us: the other side stays open
        fcntl.ioctl(fileno, termios.TIOCEXCL)
    return True


def go_on_at(fileno: int, speed: int) -> None:
    """Have termios change the speed once all has gone out, and nothing else of the port.

    What has been received stays, as do the marks of damage and the levels that power a head: a
    library's own way of changing settings may throw the one away and forget the other. OSError
    where the port is gone, or (EINVAL) does not take the speed. Only where `has_termios`.
    """
    import termios  # noqa: PLC0415 - POSIX only

    code = getattr(termios, f"B{speed}", None)
    if code is None:
        raise OSError(errno.EINVAL, f"the port does not take {speed} Bd")
    try:
        attributes = termios.tcgetattr(fileno)
        attributes[4] = attributes[5] = code
        _patiently(lambda: termios.tcsetattr(fileno, termios.TCSADRAIN, attributes), termios.error)
        taken = termios.tcgetattr(fileno)[5]
    except termios.error as error:
        raise OSError(*error.args) from error
    standard = {value for name, value in vars(termios).items() if re.fullmatch(r"B\d+", name)}
    if taken != code and taken in standard:  # else: nearly this speed, as the port can do it
        raise OSError(errno.EINVAL, f"the port does not take {speed} Bd")


def _patiently(work: Callable[[], None], kind: type[Exception]) -> None:
    """Do something again for as long as only a signal came between."""
    while True:
        try:
            work()
        except kind as error:
            if error_number(error) != errno.EINTR:
                raise
        else:
            return
