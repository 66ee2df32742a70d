"""Serial ports, blocking."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import SerialAddress
from vtc07.links.characters import CharacterCoder
from vtc07.links.echo import EchoFilter
from vtc07.links.link import LinkLost
from vtc07.links.serial import (
    cannot_open,
    character_ns,
    load_serialx,
    mark_damaged,
    options,
    usual_parity,
)

if TYPE_CHECKING:
    from serialx import BaseSerial

_CHUNK = 4096


class SerialLink:
    """An open serial port; see `vtc07.links.serial` for how damaged characters are found."""

    def __init__(self, port: BaseSerial, parity: Parity, character_ns: int, *, echo: bool) -> None:
        self._port = port
        self._echo = EchoFilter(echoes=echo, character_ns=character_ns)
        self._character_ns = character_ns
        self._coder = CharacterCoder(parity, marked=mark_damaged(port.fileno(), parity))
        self._buffer = bytearray(_CHUNK)
        self._closed = False
        from serialx import SerialException  # noqa: PLC0415 - an optional part, here by now

        self._errors = (OSError, SerialException)

    @property
    def character_ns(self) -> int:
        """Duration of one character in ns, by the port's speed."""
        return self._character_ns

    @classmethod
    def open(
        cls, address: SerialAddress, settings: LinkSettings, *, parity: Parity | None = None
    ) -> SerialLink:
        """Open a port with the settings' speed and parity (or another ``parity``).

        A pseudo-terminal has neither speed nor UART: no parity there unless it is asked for.

        LinkUnavailable: no such port, no permission, in use, format not possible, no serialx.
        """
        serialx = load_serialx(address)
        parity = usual_parity(address, settings) if parity is None else parity
        port: Any = serialx.Serial(address.device, **options(serialx, settings, parity))
        try:
            port.open()
            return cls(port, parity, character_ns(address, settings), echo=settings.echo)
        except Exception as error:
            port.close()
            raise cannot_open(address, error) from error

    def send(self, chars: bytes) -> None:
        """Hand characters to the port; LinkLost where it is gone."""
        self._check_open()
        self._echo.sent(chars, time.monotonic_ns())
        try:
            self._port.write(self._coder.encode(chars))
        except self._errors as error:
            raise LinkLost(f"the serial port is gone: {error}") from error

    def receive(self, timeout_ns: int | None) -> bytes:
        """Return what has arrived, waiting at most ``timeout_ns``; LinkLost where it is gone.

        Where nothing but our echo has arrived: nothing, before the time is over.
        """
        self._check_open()
        timeout = None if timeout_ns is None else max(0, timeout_ns) / 1e9
        try:
            count = self._port.readinto(self._buffer, timeout=timeout)
        except self._errors as error:
            raise LinkLost(f"the serial port is gone: {error}") from error
        heard = self._coder.decode(bytes(self._buffer[:count]))
        return self._echo.heard(heard, time.monotonic_ns())

    def set_speed(self, speed: int) -> None:
        """Go on at ``speed`` Bd once all that was handed over has gone out; else LinkLost."""
        self._check_open()
        raise LinkLost(f"the port cannot go on at {speed} Bd")

    def close(self) -> None:
        """Close. A second call does nothing."""
        self._closed = True
        self._port.close()

    def _check_open(self) -> None:
        if self._closed:
            raise LinkLost("the link is closed")
