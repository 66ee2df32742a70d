"""What both fronts need of serial ports, which `serialx` opens (optional part ``serial``).

A UART tells of a damaged character beside the data, not in it. On POSIX systems we ask termios for
marks in the data (INPCK and PARMRK without IGNPAR), so that every damaged character arrives as FF.
Elsewhere (Windows) `serialx` has no such report: a damaged character then arrives as whatever the
driver hands over, and only BCC and message checks find it. A pseudo-terminal has no UART: it takes
no 7 data bits, so ``software`` or ``none`` is the parity for it, ``none`` unless told otherwise.
"""

from __future__ import annotations

import errno
import importlib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import SerialAddress
from vtc07.links.link import LinkUnavailable

if TYPE_CHECKING:
    from serialx import AllConnectKwargs

_REASONS = {
    errno.ENOENT: "there is no such port; check the name, and whether the head is plugged in",
    errno.ENXIO: "there is no device behind this port; check whether the head is plugged in",
    errno.ENODEV: "there is no device behind this port; check whether the head is plugged in",
    errno.EACCES: "no permission; on Linux, add yourself to the port's group (often dialout)",
    errno.EPERM: "no permission; on Linux, add yourself to the port's group (often dialout)",
    errno.EBUSY: "another program has it open; close that first",
    errno.EAGAIN: "another program has it open; close that first",
    errno.ENOTTY: "this is no serial port; check the name",
    errno.EINVAL: (
        "the port does not take this speed or character format; where it has no 7 data bits with "
        "even parity, choose parity software or none"
    ),
}


def load_serialx(address: SerialAddress) -> ModuleType:
    """Import serialx, or raise LinkUnavailable with the way to install it."""
    try:
        return importlib.import_module("serialx")
    except ImportError as error:
        raise LinkUnavailable(
            f"cannot open {address}: serial ports need an optional part: "
            'pip install "vtc07[serial]"'
        ) from error


def cannot_open(address: SerialAddress, error: Exception) -> LinkUnavailable:
    """Build the error of a port that does not open."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None and error.args and isinstance(error.args[0], int):
        number = error.args[0]  # termios.error is no OSError, but has the number first
    return LinkUnavailable(f"cannot open {address}: {_REASONS.get(number or 0, str(error))}")


def is_pseudo_terminal(address: SerialAddress) -> bool:
    """Say whether a port is one side of a pseudo-terminal: no UART, no 7E1, no pace."""
    return Path(address.device).resolve().is_relative_to("/dev/pts")


def usual_parity(address: SerialAddress, settings: LinkSettings) -> Parity:
    """Return the parity of a port for which nobody asked another one.

    It is the settings'; but a pseudo-terminal, which cannot do 7E1, has none in its place.
    """
    if settings.parity is Parity.UART and is_pseudo_terminal(address):
        return Parity.NONE
    return settings.parity


def character_ns(address: SerialAddress, settings: LinkSettings) -> int:
    """Return the duration of a character in ns, 0 where the port does not pace them."""
    return 0 if is_pseudo_terminal(address) else settings.character_ns


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


def mark_damaged(fileno: int, parity: Parity) -> bool:
    """Have termios mark damaged characters; False where the system has no termios.

    To be done again after every change of the port's settings, which undoes it. OSError (EINVAL)
    where 7E1 was asked for and the port, without a word, did not take it (a pseudo-terminal).
    """
    try:
        import termios  # noqa: PLC0415 - POSIX only
    except ImportError:
        return False
    attributes = termios.tcgetattr(fileno)
    format_bits = attributes[2] & (termios.CSIZE | termios.PARENB)
    if parity is Parity.UART and format_bits != termios.CS7 | termios.PARENB:
        raise OSError(errno.EINVAL, "7 data bits with even parity were not taken")
    attributes[0] = (attributes[0] | termios.INPCK | termios.PARMRK) & ~(
        termios.IGNPAR | termios.ISTRIP | termios.IGNBRK | termios.BRKINT
    )
    termios.tcsetattr(fileno, termios.TCSANOW, attributes)
    return True
