"""Serial ports, blocking."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import SerialAddress
from vtc07.links.characters import CharacterCoder
from vtc07.links.echo import EchoFilter
from vtc07.links.link import LinkLost
from vtc07.links.ports import load_serialx, remember, whereabouts
from vtc07.links.serial import (
    cannot_open,
    go_on_at,
    has_termios,
    is_pseudo_terminal,
    options,
    take_over,
    usual_parity,
)

if TYPE_CHECKING:
    from serialx import BaseSerial

_CHUNK = 4096


class SerialLink:
    """An open serial port; see `vtc07.links.serial` for how damaged characters are found."""

    def __init__(
        self, port: BaseSerial, device: str, settings: LinkSettings, parity: Parity
    ) -> None:
        self._port = port
        self._settings = settings
        self._paced = not is_pseudo_terminal(device)
        self._echo = EchoFilter(
            echoes=settings.echo, character_ns=settings.character_ns, paced=self._paced
        )
        marked = take_over(port, parity, device)
        self._coder = CharacterCoder(parity, marked=marked)
        self._buffer = bytearray(_CHUNK)
        self._closed = False
        from serialx import SerialException  # noqa: PLC0415 - an optional part, here by now

        self._errors = (OSError, SerialException)

    @property
    def character_ns(self) -> int:
        """Duration of one character in ns, by the port's speed; 0 on a pseudo-terminal."""
        return self._settings.character_ns if self._paced else 0

    @classmethod
    def open(
        cls, address: SerialAddress, settings: LinkSettings, *, parity: Parity | None = None
    ) -> SerialLink:
        """Open a port with the settings' speed and parity (or another ``parity``).

        A pseudo-terminal has neither speed nor UART: no parity there unless it is asked for. An
        adapter that was open before is found again under the name that it has now.

        LinkUnavailable: no such port, no permission, in use, format not possible, no serialx.
        """
        serialx = load_serialx(f"cannot open {address}")
        parity = usual_parity(address, settings) if parity is None else parity
        device = whereabouts(address.device)
        port: Any = serialx.Serial(device, **options(serialx, settings, parity))
        try:
            port.open()
            link = cls(port, device, settings, parity)
        except Exception as error:
            port.close()
            raise cannot_open(address, error) from error
        remember(address.device)
        return link

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
        """Go on at ``speed`` Bd once all that was handed over has gone out.

        LinkLost where the port is gone or does not take this speed.
        """
        self._check_open()
        try:
            if has_termios():
                go_on_at(self._port.fileno(), speed)
            else:
                self._port.flush()
                self._port.reconfigure_port(baudrate=speed)
        except self._errors as error:
            raise LinkLost(f"the serial port cannot go on at {speed} Bd: {error}") from error
        self._settings = replace(self._settings, speed=speed)
        self._echo.character_ns = self._settings.character_ns

    def close(self) -> None:
        """Close. A second call does nothing."""
        self._closed = True
        self._port.close()

    def _check_open(self) -> None:
        if self._closed:
            raise LinkLost("the link is closed")
