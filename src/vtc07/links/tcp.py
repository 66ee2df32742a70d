"""What both fronts need of TCP: listening only where allowed, and errors as sentences."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
import sys

from vtc07.links.address import TCPAddress
from vtc07.links.link import LinkUnavailable

CONNECT_LIMIT_NS = 10_000_000_000
#: A peer that takes nothing for so long is gone.
SEND_LIMIT_NS = 30_000_000_000
#: A first connection silent for so long gives way to a second one (docs/protocol.md 3).
SILENCE_NS = 120_000_000_000

_REASONS = {
    errno.ECONNREFUSED: "nothing listens there; is the meter on, and is the port right?",
    errno.ETIMEDOUT: "no answer; is the host right, and is it reachable from here?",
    errno.EHOSTUNREACH: "there is no route to this host; check the network and the address",
    errno.ENETUNREACH: "there is no route to this network; check the network and the address",
    errno.EADDRINUSE: "the port is taken by another program; choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address; listen on one of its own",
    errno.EMFILE: "this process may open no more files; raise the limit (ulimit -n)",
    errno.EACCES: "the system does not allow this port; choose one above 1023",
}


_NUMBER = re.compile(r"\[Errno ([0-9]+)\]")


def reason(error: OSError) -> str:
    """Say why, and what to do about it."""
    if isinstance(error, socket.gaierror):
        return "no such host; check the name"
    if isinstance(error, TimeoutError):
        return _REASONS[errno.ETIMEDOUT]
    number = error.errno
    if number is None and (match := _NUMBER.search(str(error))):
        number = int(match[1])  # asyncio puts the errors of several addresses into one text
    return _REASONS.get(number or 0, error.strerror or str(error))


def cannot_connect(address: TCPAddress, error: OSError) -> LinkUnavailable:
    """Build the error of a client."""
    return LinkUnavailable(f"cannot connect to {address}: {reason(error)}")


def listen(address: TCPAddress, *, allow_remote: bool) -> socket.socket:
    """Return a listening socket.

    LinkUnavailable where the address is not this machine's loopback and ``allow_remote`` is not
    set: the protocol has neither password nor encryption for what a token's bearer may do.
    """
    try:
        family, kind, proto, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise LinkUnavailable(f"cannot listen on {address}: {reason(error)}") from error
    if not (allow_remote or ipaddress.ip_address(str(where[0]).partition("%")[0]).is_loopback):
        raise LinkUnavailable(
            f"will not listen on {address}: everybody on the network could reach the meter, and "
            "this protocol knows no encryption; listen on 127.0.0.1, or allow remote connections "
            "expressly"
        )
    listener = socket.socket(family, kind, proto)
    try:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(8)
        listener.settimeout(0)
    except OSError as error:
        listener.close()
        raise LinkUnavailable(f"cannot listen on {address}: {reason(error)}") from error
    return listener


def bound_address(listener: socket.socket) -> TCPAddress:
    """Return where a listening socket really listens (port 0 becomes a port)."""
    host, port = listener.getsockname()[:2]
    return TCPAddress(host, port)
