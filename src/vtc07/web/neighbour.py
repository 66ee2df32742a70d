"""Whose program asks, on a machine that several people use at once.

A browser gives the cookies of ``127.0.0.1`` to whatever listens there, at any port: so another
user's server can come to know ours, and would be let in with it. Where the system tells to whom
a connection belongs, a session is for the user alone who began it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ADDRESSES_END: Final = 3
_UID: Final = 7
#: 0 for an end that no program holds any more; the system then names root as its owner.
_INODE: Final = 9
#: The tables change while they are read, so that a line may be missed.
_TRIES: Final = 3


def owner_of(peer: object, here: object) -> int | None:
    """Return the user, by number, whose program has connected from ``peer`` to ``here``.

    Both as a socket names them. None for a connection from elsewhere than this machine itself, and
    where the system does not tell, as all but Linux.
    """
    match peer, here:
        case ((str() as host, int() as port, *_), (str() as own, int() as own_port, *_)):
            try:
                if not ipaddress.ip_address(own).is_loopback:
                    return None
                ends = list(zip(_written(host, port), _written(own, own_port), strict=True))
            except ValueError:
                return None
        case _:
            return None
    for _ in range(_TRIES):
        for table, (local, remote) in zip(_TABLES, ends, strict=False):
            with contextlib.suppress(OSError, ValueError, IndexError), table.open("rb") as lines:
                for line in lines:
                    words = line.split()
                    if words[1:_ADDRESSES_END] == [local, remote]:
                        return int(words[_UID]) if int(words[_INODE]) else None
    return None


def _written(host: str, port: int) -> Iterator[bytes]:
    """Yield an end of a connection as the tables have it: of IPv4, where it is, and of IPv6."""
    ip = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        yield _hexadecimal(ip.packed, port)
        ip = ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + ip.packed)
    else:
        yield b""
    yield _hexadecimal(ip.packed, port)


def _hexadecimal(packed: bytes, port: int) -> bytes:
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return b"".join(b"%08X" % word for word in words) + b":%04X" % port
