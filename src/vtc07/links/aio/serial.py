"""Serial ports for asyncio."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any, cast

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import SerialAddress
from vtc07.links.aio.stream import StreamLink
from vtc07.links.aio.thread import in_thread
from vtc07.links.characters import CharacterCoder
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


class SerialLink(StreamLink):
    """An open serial port; see `vtc07.links.serial` for how damaged characters are found."""

    def __init__(self, settings: LinkSettings, parity: Parity, *, paced: bool) -> None:
        super().__init__(
            CharacterCoder(parity),
            character_ns=settings.character_ns,
            echo=settings.echo,
            paced=paced,
        )
        self._settings = settings
        self._paced = paced

    @property
    def character_ns(self) -> int:
        """Duration of one character in ns, by the port's speed; 0 on a pseudo-terminal."""
        return self._settings.character_ns if self._paced else 0

    @classmethod
    async def open(
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
        link = cls(settings, parity, paced=not is_pseudo_terminal(device))
        transport = None
        try:
            transport, _ = await serialx.create_serial_connection(
                asyncio.get_running_loop(),
                lambda: link,
                device,
                **options(serialx, settings, parity),
            )
            marked = take_over(transport.serial, parity, device)
        except Exception as error:
            if transport is not None:  # open, but not as it was asked for
                transport.abort()
                await transport.wait_closed()
            await link.close()
            raise cannot_open(address, error) from error
        link.coder = CharacterCoder(parity, marked=marked)
        # Nothing waits in the loop's own buffer: a change of speed has only the port's to wait for.
        transport.set_write_buffer_limits(high=0)
        remember(address.device)
        return link

    async def set_speed(self, speed: int) -> None:
        """Go on at ``speed`` Bd once all that was handed over has gone out.

        LinkLost where the port is gone or does not take this speed.
        """
        await self._writable.wait()
        if self._end is not None:
            raise LinkLost(self._end)
        transport = cast("Any", self._transport)
        try:
            if has_termios():
                # A copy: where the port goes away, its number may become another file's.
                port = os.dup(transport.serial.fileno())
                try:
                    await in_thread(lambda: go_on_at(port, speed))
                finally:
                    os.close(port)
            else:
                await transport.flush()
                await transport.reconfigure_port(baudrate=speed)
        except Exception as error:
            raise LinkLost(f"the serial port cannot go on at {speed} Bd: {error}") from error
        self._settings = replace(self._settings, speed=speed)
        self._goes_on_at(self._settings.character_ns)
