"""The blocking front: links, ports and drivers for threads and scripts."""

from __future__ import annotations

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import SerialAddress, TCPAddress
from vtc07.links.blocking.client import ClientDriver
from vtc07.links.blocking.pair import PairLink, null_modem
from vtc07.links.blocking.serial import SerialLink
from vtc07.links.blocking.server import LinkPort, ServerDriver
from vtc07.links.blocking.tcp import TCPLink, TCPPort
from vtc07.links.link import Link, Port

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


def open_link(
    address: TCPAddress | SerialAddress, settings: LinkSettings, *, parity: Parity | None = None
) -> Link:
    """Open a client's link, or raise LinkUnavailable.

    ``parity``: None means ``none`` on TCP, and what ``settings`` say on a serial port.
    """
    if isinstance(address, TCPAddress):
        return TCPLink.connect(address, parity=parity or Parity.NONE)
    return SerialLink.open(address, settings, parity=parity)


def open_port(
    address: TCPAddress | SerialAddress,
    settings: LinkSettings,
    *,
    parity: Parity | None = None,
    allow_remote: bool = False,
) -> Port:
    """Open a meter's port, or raise LinkUnavailable.

    ``parity`` as for `open_link`. ``allow_remote``: listen on another address than loopback.
    """
    if isinstance(address, TCPAddress):
        return TCPPort(address, parity=parity or Parity.NONE, allow_remote=allow_remote)
    return LinkPort(
        lambda: SerialLink.open(address, settings, parity=parity),
        character_ns=settings.character_ns,
    )
