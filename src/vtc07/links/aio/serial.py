"""Serial ports for asyncio."""

from __future__ import annotations

import asyncio

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import SerialAddress
from vtc07.links.aio.stream import StreamLink
from vtc07.links.characters import CharacterCoder
from vtc07.links.serial import (
    cannot_open,
    character_ns,
    load_serialx,
    mark_damaged,
    options,
    usual_parity,
)


class SerialLink(StreamLink):
    """An open serial port; see `vtc07.links.serial` for how damaged characters are found."""

    @classmethod
    async def open(
        cls, address: SerialAddress, settings: LinkSettings, *, parity: Parity | None = None
    ) -> SerialLink:
        """Open a port with the settings' speed and parity (or another ``parity``).

        A pseudo-terminal has neither speed nor UART: no parity there unless it is asked for.

        LinkUnavailable: no such port, no permission, in use, format not possible, no serialx.
        """
        serialx = load_serialx(address)
        parity = usual_parity(address, settings) if parity is None else parity
        link = cls(
            CharacterCoder(parity),
            character_ns=character_ns(address, settings),
            echo=settings.echo,
        )
        transport = None
        try:
            transport, _ = await serialx.create_serial_connection(
                asyncio.get_running_loop(),
                lambda: link,
                address.device,
                **options(serialx, settings, parity),
            )
            marked = mark_damaged(transport.serial.fileno(), parity)
        except Exception as error:
            if transport is not None:  # open, but not as it was asked for
                transport.abort()
                await transport.wait_closed()
            await link.close()
            raise cannot_open(address, error) from error
        link.coder = CharacterCoder(parity, marked=marked)
        return link
