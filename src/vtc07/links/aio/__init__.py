"""The asyncio front: links, ports and drivers with the names of `vtc07.links.blocking`."""

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
from vtc07.links.aio.client import ClientDriver
from vtc07.links.aio.fleet import Fleet, FleetLine
from vtc07.links.aio.pair import PairLink, null_modem
from vtc07.links.aio.pty import PtyLink, PtyPort
from vtc07.links.aio.rfc2217 import RFC2217Link
from vtc07.links.aio.serial import SerialLink
from vtc07.links.aio.server import LinkPort, ServerDriver
from vtc07.links.aio.tcp import TCPLink, TCPPort
from vtc07.links.inner import for_threads_alone, no_port_inside
from vtc07.links.link import AsyncLink, AsyncPort
from vtc07.links.tcp import CONNECT_LIMIT_NS, SILENCE_NS

__all__ = [
    "ClientDriver",
    "Fleet",
    "FleetLine",
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


async def open_link(
    address: LinkAddress,
    settings: LinkSettings,
    *,
    parity: Parity | None = None,
    stretch: int = 1,
) -> AsyncLink:
    """Open a client's link, or raise LinkUnavailable.

    ``parity``: None means ``none`` on TCP and on a pseudo-terminal, and what ``settings`` say on a
    serial port, here or in the network. ``stretch``: how many times as long the path may take to
    connect and to answer, as in a companion's profile.
    """
    match address:
        case TCPAddress():
            return await TCPLink.connect(
                address, parity=parity or Parity.NONE, timeout_ns=CONNECT_LIMIT_NS * stretch
            )
        case RFC2217Address():
            return await RFC2217Link.open(address, settings, parity=parity, stretch=stretch)
        case PtyAddress():
            return await PtyLink.open(address, settings, parity=parity)
        case InnerAddress():
            raise for_threads_alone(address)
        case _:
            return await SerialLink.open(address, settings, parity=parity)


async def open_port(
    address: LinkAddress,
    settings: LinkSettings,
    *,
    parity: Parity | None = None,
    allow_remote: bool = False,
    stretch: int = 1,
    told: Callable[[str], None] | None = None,
) -> AsyncPort:
    """Open a meter's port, or raise LinkUnavailable.

    ``parity`` as for `open_link`. ``allow_remote``: listen on another address than loopback.
    ``stretch``: how many times as long the path may be silent, or take to answer. A serial port,
    here or in the network, is waited for where it was open and went away; ``told`` hears of that.
    """
    match address:
        case TCPAddress():
            return await TCPPort.open(
                address,
                parity=parity or Parity.NONE,
                allow_remote=allow_remote,
                silence_ns=SILENCE_NS * stretch,
            )
        case PtyAddress():
            return await PtyPort.open(address, settings, parity=parity)
        case InnerAddress():
            raise no_port_inside(address)
        case _:
            first = await open_link(address, settings, parity=parity, stretch=stretch)
            return LinkPort(
                lambda: open_link(address, settings, parity=parity, stretch=stretch),
                character_ns=first.character_ns,
                first=first,
                waits=True,
                told=told,
            )
