"""Addresses of meters as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

FORMS = (
    "tcp://HOST:PORT (an IPv6 host in brackets), a serial port such as /dev/ttyUSB0 or COM3, "
    "or sim:STORE"
)
_TCP = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]:/?#@\s]+)):(?P<port>[0-9]+)/?"
)
_COM = re.compile(r"COM[1-9][0-9]{0,2}", re.IGNORECASE)


class AddressError(ValueError):
    """A text is no address. The message is one sentence and says what would be one."""


@dataclass(frozen=True, slots=True)
class TCPAddress:
    """A TCP address. ``port``: 0 to 65535; 0 only makes sense to listen on (any free port)."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SerialAddress:
    """A serial port by the system's name for it."""

    device: str

    def __str__(self) -> str:
        return self.device


@dataclass(frozen=True, slots=True)
class SimulatedAddress:
    """A meter simulated in this very process, its state in ``store``."""

    store: str

    def __str__(self) -> str:
        return f"sim:{self.store}"


Address = TCPAddress | SerialAddress | SimulatedAddress


def parse(text: str) -> Address:
    """Return the address a text stands for, or raise AddressError."""
    text = text.strip()
    if text.lower().startswith("tcp://"):
        return _parse_tcp(text)
    if text.startswith("sim:"):
        if not text[4:]:
            raise AddressError("sim: wants the meter's store after the colon, as in sim:meter.db")
        return SimulatedAddress(text[4:])
    if _COM.fullmatch(text):
        return SerialAddress(text.upper())
    if text.startswith("/dev/") and len(text) > len("/dev/"):
        return SerialAddress(text)
    raise AddressError(f"{text!r} is not the address of a meter: write {FORMS}")


def _parse_tcp(text: str) -> TCPAddress:
    match = _TCP.fullmatch(text[len("tcp://") :])
    if match is None:
        raise AddressError(
            f"{text!r} is not a TCP address: write tcp://HOST:PORT, an IPv6 host in "
            "brackets, as in tcp://meter.example:4059 or tcp://[::1]:4059"
        )
    port = int(match["port"])
    if port > 65535:
        raise AddressError(f"{text!r} names port {port}: TCP ports are 0 to 65535")
    return TCPAddress(match["six"] or match["host"], port)
