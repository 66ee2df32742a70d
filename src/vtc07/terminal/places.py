"""Where meters were reached before: the addresses of this user, the last one first."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vtc07.links.address import AddressError, SimulatedAddress, parse
from vtc07.links.ports import SerialPort

_MOST: Final = 6
#: The file of addresses, in the folder of what the application remembers.
PLACES: Final = "places.json"


@dataclass(frozen=True, slots=True)
class Place:
    """A place where a meter may be. ``what``: what stands there, as the system tells it."""

    address: str
    what: str = ""
    used_before: bool = False


def used_before(file: Path) -> tuple[str, ...]:
    """Return the addresses that were used before; none where there is no such file."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        addresses = found["addresses"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    if not isinstance(addresses, list):
        return ()
    return tuple(str(address) for address in addresses if _is_address(address))[:_MOST]


def remember(file: Path, address: str) -> None:
    """Put an address first among those used before. What cannot be kept is simply not there."""
    address = str(parse(address))
    if isinstance(parse(address), SimulatedAddress):
        address = f"sim:{Path(address[4:]).absolute()}"
    kept = [address, *(other for other in used_before(file) if other != address)][:_MOST]
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = file.with_name(file.name + ".new")
        fresh.write_text(json.dumps({"addresses": kept}, indent=1), encoding="utf-8")
        fresh.replace(file)


def places(before: Iterable[str], ports: Iterable[SerialPort]) -> tuple[Place, ...]:
    """Return where a meter may be: addresses used before, then the ports that are there."""
    by_name = {name: port for port in ports for name in (port.device, port.stable) if name}
    found: dict[str, Place] = {}
    for address in before:
        port = by_name.get(address)
        found[address] = Place(address, "" if port is None else port.description, used_before=True)
    for port in dict.fromkeys(by_name.values()):
        if port.device not in found and port.stable not in found:
            found[port.device] = Place(port.device, port.description)
    return tuple(found.values())


def _is_address(text: object) -> bool:
    try:
        parse(str(text))
    except AddressError:
        return False
    return True
