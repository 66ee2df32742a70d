"""Where meters were reached before: the addresses of this user, the last one first."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vtc07.links.address import (
    AddressError,
    PtyAddress,
    RFC2217Address,
    SerialAddress,
    SimulatedAddress,
    TCPAddress,
    parse,
)
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
    return tuple(word for word in _kept(file, "addresses") if _is_address(word))


def remember(file: Path, address: str) -> None:
    """Put an address first among those used before. What cannot be kept is simply not there."""
    place, *options = address.split(" --")
    parsed = parse(place)
    place = str(parsed)
    if isinstance(parsed, SimulatedAddress):
        place = f"sim:{Path(parsed.store).absolute()}"
    address = " --".join((place, *options))
    _keep(file, "addresses", address)


def own_companions(file: Path) -> tuple[str, ...]:
    """Return the companion files that the user has named before."""
    return _kept(file, "companions")


def remember_companion(file: Path, companion: str) -> None:
    """Keep the name of a companion file of the user's own."""
    _keep(file, "companions", str(Path(companion).absolute()))


def _kept(file: Path, name: str) -> tuple[str, ...]:
    try:
        words = json.loads(file.read_text(encoding="utf-8"))[name]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(map(str, words))[:_MOST] if isinstance(words, list) else ()


def _keep(file: Path, name: str, word: str) -> None:
    content = {each: list(_kept(file, each)) for each in ("addresses", "companions")}
    content[name] = [word, *(other for other in content[name] if other != word)][:_MOST]
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = file.with_name(file.name + ".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as written:
            written.write(json.dumps(content, indent=1))
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


def whereabouts(address: str) -> str:
    """Return where an address leads: the same for two that lead to one place, where it is known.

    Names of this machine are one, and so are the names of one device or file. Nobody else's name
    is looked up: that could take long, or lead elsewhere the next time.
    """
    try:
        found = parse(address)
    except AddressError:
        return address
    match found:
        case TCPAddress(host, port) | RFC2217Address(host, port):
            scheme = "tcp" if isinstance(found, TCPAddress) else "rfc2217"
            return f"{scheme} {_host(host)} {port}"
        case SerialAddress(device) | PtyAddress(device):
            is_path = "/" in device or isinstance(found, PtyAddress)
            return f"device {os.path.realpath(device) if is_path else device}"
        case SimulatedAddress(store):
            return f"store {os.path.realpath(store)}"
    return str(found)


def _host(host: str) -> str:
    name = host.rstrip(".").casefold()
    try:
        ip = ipaddress.ip_address(name)
    except ValueError:
        return "127.0.0.1" if name in ("localhost", "ip4-localhost") else name
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return "127.0.0.1" if ip.is_unspecified and ip.version == 4 else str(ip)


def _is_address(text: object) -> bool:
    try:
        parse(str(text).partition(" --")[0])
    except AddressError:
        return False
    return True
