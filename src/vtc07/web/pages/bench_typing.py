"""Tokens that are typed in at a keypad of the bench, so that everybody can watch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from vtc07.screens.mood import Mood
from vtc07.web.bench.facts import BenchRefused

if TYPE_CHECKING:
    from vtc07.web.bench.bench import BenchMeter
    from vtc07.web.station import Station

#: Between two keys, in s; so that each can be seen, and a cable pulled in between.
_KEY_S: Final = 0.12
#: Between a token and the next one, in s, so that the display shows what became of it.
_NEXT_S: Final = 1.5


class Typist:
    """Presses the keys of a meter. Belongs to the event loop's thread.

    ``pressed``: how many keys were pressed so far, and the last of them.
    """

    def __init__(self, meter: BenchMeter, station: Station) -> None:
        self._meter = meter
        self._station = station
        self._task: asyncio.Task[None] | None = None
        self.pressed: tuple[int, str] = (0, "")

    @property
    def busy(self) -> bool:
        """Say whether a token is being typed."""
        return self._task is not None and not self._task.done()

    def press(self, key: str) -> None:
        """Press a key as a person does; whoever else is typing stops. Errors as of the meter."""
        self.stop()
        self._press(key)

    def type(self, tokens: Sequence[str]) -> None:
        """Type tokens and enter each, one after another; what stood typed is cleared first."""
        self.stop()
        self._task = asyncio.get_running_loop().create_task(self._type(tokens))

    def stop(self) -> None:
        """Type no further."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _press(self, key: str) -> None:
        self._meter.press(key)
        self.pressed = (self.pressed[0] + 1, key)
        self._station.changed()

    async def _wait(self) -> None:
        """Wait until the token that was entered last is executed, and its result was seen."""
        while self._meter.panel().executing:
            await asyncio.sleep(_KEY_S)
        await asyncio.sleep(_NEXT_S)

    async def _type(self, tokens: Sequence[str]) -> None:
        try:
            for at, token in enumerate(tokens):
                if at:
                    await self._wait()
                for key in ("clear", *token, "enter"):
                    if self._station.closed:
                        return  # whoever opens the place again types by another one
                    self._press(key)
                    await asyncio.sleep(_KEY_S)
        except BenchRefused as error:
            self._station.say(error.said, Mood.BAD)
        finally:
            self._station.changed()
