"""The serial ports that this system has, and finding an adapter again that was unplugged."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from vtc07.links.link import LinkUnavailable

#: Where udev keeps names of adapters that stay the same whatever else is plugged in.
STABLE_NAMES = Path("/dev/serial/by-id")


@dataclass(frozen=True, slots=True)
class SerialPort:
    """One serial port. What the system does not tell is empty."""

    device: str  # to be written as ADDRESS
    stable: str = ""  # a name that stays with the adapter, where there is one
    product: str = ""
    manufacturer: str = ""
    serial_number: str = ""
    usb_id: str = ""  # vendor and product, hexadecimal, as in 0403:6001

    @property
    def description(self) -> str:
        """What stands behind the port, in words; empty where the system does not tell."""
        words = self.product
        if self.manufacturer and not words.casefold().startswith(self.manufacturer.casefold()):
            words = f"{self.manufacturer} {words}".strip()
        return words or (f"USB {self.usb_id}" if self.usb_id else "")


def load_serialx(failing: str) -> ModuleType:
    """Import serialx; LinkUnavailable that begins with what is ``failing``, and says what to do."""
    try:
        return importlib.import_module("serialx")
    except ImportError as error:
        raise LinkUnavailable(
            f'{failing}: serial ports need an optional part: pip install "vtc07[serial]"'
        ) from error
    except Exception as error:  # it finds no way to ports here, and says so in its own words
        raise LinkUnavailable(
            f"{failing}: serial ports are not on this system; use tcp://HOST:PORT, or "
            "rfc2217://HOST:PORT for a serial port in the network"
        ) from error


def serial_ports() -> tuple[SerialPort, ...]:
    """Return the serial ports that exist, USB adapters first, then by name and number.

    None where nothing can tell (no serialx, a system that it does not know).
    """
    try:
        found = importlib.import_module("serialx").list_serial_ports()
    except Exception:  # noqa: BLE001 - a list that helps; without it the port's own error is said
        return ()
    ports = (
        SerialPort(
            device=_shown(each.resolved_device),
            stable=_shown(each.device) if each.device != each.resolved_device else "",
            product=_shown(each.product),
            manufacturer=_shown(each.manufacturer),
            serial_number=_shown(each.serial_number),
            usb_id="" if each.vid is None else f"{each.vid:04x}:{each.pid or 0:04x}",
        )
        for each in found
    )
    return tuple(sorted(ports, key=lambda port: (not port.usb_id, _in_order(port.device))))


def ports_that_exist(ports: Iterable[SerialPort]) -> str:
    """Return a clause that names ports, for a sentence about one that does not open."""
    named = [
        f"{port.device} ({port.description})" if port.description else port.device for port in ports
    ]
    return f"ports that exist: {', '.join(named)}" if named else "no serial port exists here"


def _shown(text: str | None) -> str:
    """Return a device's own text without what a terminal might obey."""
    return "".join(char if char.isprintable() else "?" for char in text or "").strip()


def _in_order(name: str) -> list[tuple[int, str]]:
    """Return a key that puts ttyUSB2 before ttyUSB10."""
    return [
        (int(piece), "") if piece.isdigit() else (-1, piece)
        for piece in re.split(r"(\d+)", name)
        if piece
    ]


# --- finding an adapter again -------------------------------------------------------------------

#: Names of ports that were open in this process, and the stable name of what was behind them.
_behind: dict[str, str] = {}


def remember(device: str) -> None:
    """Keep in mind which adapter is behind a port that was opened just now."""
    stable = _stable_name(device)
    if stable is not None:
        _behind[device] = stable


def whereabouts(device: str) -> str:
    """Return the name to open for a port: the adapter's own, where it was open before.

    Plugged in again, an adapter may have got another number, and another adapter its number. The
    stable name is returned whether or not it exists now: without it, the adapter is not there.
    """
    return _behind.get(device, device)


def _stable_name(device: str) -> str | None:
    """Return the name of a device among the stable ones, if it has one."""
    if Path(device).parent == STABLE_NAMES:
        return None  # it is one
    try:
        target = Path(device).resolve()
        for name in sorted(STABLE_NAMES.iterdir()):
            if name.resolve() == target:
                return str(name)
    except OSError:
        pass
    return None
