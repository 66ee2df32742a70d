"""The blocking front: links, ports and drivers for threads and scripts."""

from __future__ import annotations

from collections.abc import Callable

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import (
    InnerAddress,
    LinkAddress,
    PtyAddress,
    RFC2217Address,
    TCPAddress,
)
from vtc07.links.blocking.client import ClientDriver
from vtc07.links.blocking.interruption import Interrupted, Interruption
from vtc07.links.blocking.pair import PairLink, null_modem
from vtc07.links.blocking.pty import PtyLink, PtyPort
from vtc07.links.blocking.rfc2217 import RFC2217Link
from vtc07.links.blocking.serial import SerialLink
from vtc07.links.blocking.server import LinkPort, ServerDriver
from vtc07.links.blocking.tcp import TCPLink, TCPPort
from vtc07.links.inner import no_port_inside, open_inner
from vtc07.links.link import Link, Port
from vtc07.links.tcp import CONNECT_LIMIT_NS, SILENCE_NS

__all__ = [
    "ClientDriver",
    "Interrupted",
    "Interruption",
    "LinkPort",
    "PairLink",
    "PtyLink",
    "PtyPort",
    "RFC2217Link",
    "SerialLink",
    "ServerDriver",
    "TCPLink",
    "TCPPort",
    "null_modem",
    "open_link",
    "open_port",
]


def open_link(
    address: LinkAddress,
    settings: LinkSettings,
    *,
    parity: Parity | None = None,
    stretch: int = 1,
) -> Link:
    """Open a client's link, or raise LinkUnavailable.

    ``parity``: None means ``none`` on TCP and on a pseudo-terminal, and what ``settings`` say on a
    serial port, here or in the network. ``stretch``: how many times as long the path may take to
    connect and to answer, as in a companion's profile.
    """
    match address:
        case TCPAddress():
            return TCPLink.connect(
                address, parity=parity or Parity.NONE, timeout_ns=CONNECT_LIMIT_NS * stretch
            )
        case RFC2217Address():
            return RFC2217Link.open(address, settings, parity=parity, stretch=stretch)
        case PtyAddress():
            return PtyLink.open(address, settings, parity=parity)
        case InnerAddress():
            return open_inner(address, settings)
        case _:
            return SerialLink.open(address, settings, parity=parity)


def open_port(
    address: LinkAddress,
    settings: LinkSettings,
    *,
    parity: Parity | None = None,
    allow_remote: bool = False,
    stretch: int = 1,
    told: Callable[[str], None] | None = None,
) -> Port:
    """Open a meter's port, or raise LinkUnavailable.

    ``parity`` as for `open_link`. ``allow_remote``: listen on another address than loopback.
    ``stretch``: how many times as long the path may be silent, or take to answer. A serial port,
    here or in the network, is waited for where it was open and went away; ``told`` hears of that.
    """
    match address:
        case TCPAddress():
            return TCPPort(
                address,
                parity=parity or Parity.NONE,
                allow_remote=allow_remote,
                silence_ns=SILENCE_NS * stretch,
            )
        case PtyAddress():
            return PtyPort(address, settings, parity=parity)
        case InnerAddress():
            raise no_port_inside(address)
        case _:
            first = open_link(address, settings, parity=parity, stretch=stretch)
            return LinkPort(
                lambda: open_link(address, settings, parity=parity, stretch=stretch),
                character_ns=first.character_ns,
                first=first,
                waits=True,
                told=told,
            )
