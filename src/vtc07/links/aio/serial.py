"""Serial ports for asyncio."""

from __future__ import annotations

import asyncio

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import SerialAddress
from vtc07.links.aio.stream import StreamLink
from vtc07.links.characters import CharacterCoder
from vtc07.links.serial import cannot_open, load_serialx, mark_damaged, options


class SerialLink(StreamLink):
    """An open serial port; see `vtc07.links.serial` for how damaged characters are found."""

    @classmethod
    async def open(
        cls, address: SerialAddress, settings: LinkSettings, *, parity: Parity | None = None
    ) -> SerialLink:
        """Open a port with the settings' speed and parity (or another ``parity``).

        LinkUnavailable: no such port, no permission, in use, format not possible, no serialx.
        """
        serialx = load_serialx(address)
        parity = settings.parity if parity is None else parity
        link = cls(CharacterCoder(parity), character_ns=settings.character_ns)
        try:
            transport, _ = await serialx.create_serial_connection(
                asyncio.get_running_loop(),
                lambda: link,
                address.device,
                **options(serialx, settings, parity),
            )
            marked = mark_damaged(transport.serial.fileno(), parity)
        except Exception as error:
            await link.close()
            raise cannot_open(address, error) from error
        link.coder = CharacterCoder(parity, marked=marked)
        return link
