"""Addresses of meters as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

FORMS = (
    "tcp://HOST:PORT (an IPv6 host in brackets), a serial port such as /dev/ttyUSB0 or COM3, "
    "rfc2217://HOST:PORT for a serial port in the network, pty:PATH, or sim:STORE"
)
_TCP = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]:/?#@\s]+)):(?P<port>[0-9]+)/?"
)
_LONGEST_HOST = 255
_INNER = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
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
class RFC2217Address:
    """A serial port behind a server in the network (RFC 2217). ``port``: 1 to 65535."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"rfc2217://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class PtyAddress:
    """A pseudo-terminal by a path: whoever serves makes it there, a client opens it."""

    path: str

    def __str__(self) -> str:
        return f"pty:{self.path}"


@dataclass(frozen=True, slots=True)
class SimulatedAddress:
    """A meter simulated in this very process, its state in ``store``."""

    store: str

    def __str__(self) -> str:
        return f"sim:{self.store}"


@dataclass(frozen=True, slots=True)
class InnerAddress:
    """A line inside this very program, by its name; there is one only where a program makes it."""

    name: str

    def __str__(self) -> str:
        return f"inner:{self.name}"


#: What a link can be opened at. A meter is served at all but an `InnerAddress`.
LinkAddress = TCPAddress | SerialAddress | RFC2217Address | PtyAddress | InnerAddress
Address = LinkAddress | SimulatedAddress


def parse(text: str) -> Address:
    """Return the address a text stands for, or raise AddressError."""
    text = text.strip()
    scheme, _, rest = text.partition("://")
    if scheme.lower() == "tcp" and "://" in text:
        return TCPAddress(*_host_and_port("tcp", rest, text))
    if scheme.lower() == "rfc2217" and "://" in text:
        host, port = _host_and_port("rfc2217", rest, text)
        if port == 0:
            raise AddressError(f"{text!r} names port 0: write the one that the server listens on")
        return RFC2217Address(host, port)
    if text.startswith("pty:"):
        if not text[4:]:
            raise AddressError("pty: wants a path after the colon, as in pty:/tmp/meter")
        return PtyAddress(text[4:])
    if text.startswith("sim:"):
        if not text[4:]:
            raise AddressError("sim: wants the meter's store after the colon, as in sim:meter.db")
        return SimulatedAddress(text[4:])
    if text.startswith("inner:") and _INNER.fullmatch(text[6:]):
        return InnerAddress(text[6:])
    if _COM.fullmatch(text):
        return SerialAddress(text.upper())
    if text.startswith("/") and not text.endswith("/"):
        return SerialAddress(text)
    raise AddressError(f"{text!r} is not the address of a meter: write {FORMS}")


def _host_and_port(scheme: str, rest: str, text: str) -> tuple[str, int]:
    match = _TCP.fullmatch(rest)
    if match is None:
        raise AddressError(
            f"{text!r} is no address of this kind: write {scheme}://HOST:PORT, an IPv6 host in "
            f"brackets, as in {scheme}://meter.example:4059 or {scheme}://[::1]:4059"
        )
    port = match["port"].lstrip("0") or "0"
    if len(port) > 5 or int(port) > 65535:
        raise AddressError(f"{text!r} names port {port}: TCP ports are 0 to 65535")
    host: str = match["six"] or match["host"]
    if not _is_host(host):
        raise AddressError(f"{text!r} names no host: labels of 1 to 63 signs with dots between")
    return host, int(port)


def _is_host(name: str) -> bool:
    """Say whether the system can be asked for a name; it is not looked up."""
    try:
        return len(name) <= _LONGEST_HOST and bool(name.encode("idna"))
    except UnicodeError:
        return False
