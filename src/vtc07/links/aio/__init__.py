"""The asyncio front: links, ports and drivers with the names of `vtc07.links.blocking`."""

from __future__ import annotations

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import SerialAddress, TCPAddress
from vtc07.links.aio.client import ClientDriver
from vtc07.links.aio.pair import PairLink, null_modem
from vtc07.links.aio.serial import SerialLink
from vtc07.links.aio.server import LinkPort, ServerDriver
from vtc07.links.aio.tcp import TCPLink, TCPPort
from vtc07.links.link import AsyncLink, AsyncPort

__all__ = [
    "ClientDriver",
    "LinkPort",
    "PairLink",
    "SerialLink",
    "ServerDriver",
    "TCPLink",
    "TCPPort",
    "null_modem",
    "open_link",
    "open_port",
]


async def open_link(
    address: TCPAddress | SerialAddress, settings: LinkSettings, *, parity: Parity | None = None
) -> AsyncLink:
    """Open a client's link, or raise LinkUnavailable.

    ``parity``: None means ``none`` on TCP, and what ``settings`` say on a serial port.
    """
    if isinstance(address, TCPAddress):
        return await TCPLink.connect(address, parity=parity or Parity.NONE)
    return await SerialLink.open(address, settings, parity=parity)


async def open_port(
    address: TCPAddress | SerialAddress,
    settings: LinkSettings,
    *,
    parity: Parity | None = None,
    allow_remote: bool = False,
) -> AsyncPort:
    """Open a meter's port, or raise LinkUnavailable.

    ``parity`` as for `open_link`. ``allow_remote``: listen on another address than loopback.
    """
    if isinstance(address, TCPAddress):
        return await TCPPort.open(address, parity=parity or Parity.NONE, allow_remote=allow_remote)
    return LinkPort(
        lambda: SerialLink.open(address, settings, parity=parity),
        character_ns=settings.character_ns,
    )
