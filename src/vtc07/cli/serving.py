"""Putting a server on a port until a signal ends it."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
from types import FrameType

from vtc07.carrier.companion import Companion
from vtc07.cli.failure import Failure
from vtc07.links.address import SerialAddress, TCPAddress
from vtc07.links.blocking import LinkPort, ServerDriver, open_link, open_port
from vtc07.links.link import LinkUnavailable, Port
from vtc07.links.serial import character_ns


def open_served_port(
    address: TCPAddress | SerialAddress,
    companion: Companion,
    resources: contextlib.ExitStack,
    *,
    allow_remote: bool,
) -> Port:
    """Open the port at which a meter is to be served; it is closed with the resources."""
    if isinstance(address, SerialAddress):
        port = _serial_port(address, companion, resources)
    else:
        port = _tcp_port(address, companion, allow_remote=allow_remote)
    resources.callback(port.close)
    return port


def stop_on_signals(driver: ServerDriver, resources: contextlib.ExitStack) -> None:
    """Let Ctrl-C and SIGTERM end the serving in good order, until the resources are closed."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        driver.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        resources.callback(signal.signal, number, signal.signal(number, stop))


def _serial_port(
    address: SerialAddress, companion: Companion, resources: contextlib.ExitStack
) -> Port:
    """Open a serial port at once: where that fails, nobody is told that it is listened on."""
    first = [open_link(address, companion.link)]
    resources.callback(first[0].close)
    return LinkPort(
        lambda: first.pop() if first else open_link(address, companion.link),
        character_ns=character_ns(address, companion.link),
    )


def _tcp_port(address: TCPAddress, companion: Companion, *, allow_remote: bool) -> Port:
    try:
        return open_port(address, companion.link, allow_remote=allow_remote)
    except LinkUnavailable as error:
        if allow_remote or _is_loopback(address.host):
            raise
        raise Failure(f"{error}, with --allow-remote") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
