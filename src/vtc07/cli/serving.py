"""Putting a server on a port until a signal ends it."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
from collections.abc import Callable
from types import FrameType

from vtc07.carrier.companion import Companion
from vtc07.cli.failure import Failure
from vtc07.cli.head_options import Head
from vtc07.links.address import LinkAddress, TCPAddress
from vtc07.links.blocking import ServerDriver, open_port
from vtc07.links.link import LinkUnavailable, Port


def open_served_port(
    address: LinkAddress,
    companion: Companion,
    resources: contextlib.ExitStack,
    *,
    allow_remote: bool,
    head: Head | None = None,
    stretch: int = 1,
    told: Callable[[str], None] | None = None,
) -> Port:
    """Open the port at which a meter is to be served; it is closed with the resources.

    ``stretch`` and ``told`` as for `vtc07.links.blocking.open_port`.
    """
    head = Head() if head is None else head
    try:
        port = open_port(
            address,
            head.applied(companion.link),
            parity=head.parity,
            allow_remote=allow_remote,
            stretch=stretch,
            told=told,
        )
    except LinkUnavailable as error:
        elsewhere = isinstance(address, TCPAddress) and not _is_loopback(address.host)
        if allow_remote or not elsewhere:
            raise
        raise Failure(f"{error}, with --allow-remote") from None
    resources.callback(port.close)
    return port


def stop_on_signals(driver: ServerDriver, resources: contextlib.ExitStack) -> None:
    """Let Ctrl-C and SIGTERM end the serving in good order, until the resources are closed."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        driver.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        resources.callback(signal.signal, number, signal.signal(number, stop))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
