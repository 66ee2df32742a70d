"""Ending in good order: Ctrl-C, SIGTERM, or a terminal that is gone."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Ending:
    """Whether the program is to end; a second signal asks for the same, and nothing worse."""

    def __init__(self) -> None:
        self.is_asked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None

    @contextlib.contextmanager
    def by_signals(self) -> Iterator[None]:
        """Let signals ask for the end, until this one."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals are the main thread's
            return
        before = {}
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is None:
                continue
            # A program that was started with nohup goes on without its terminal.
            if name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN:
                continue
            before[number] = signal.signal(number, self._asked)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def wait(self) -> None:
        """Return when the end was asked for."""
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if not self.is_asked:
            await self._event.wait()

    def _asked(self, _number: int, _frame: FrameType | None) -> None:
        self.is_asked = True
        if self._loop is not None and self._event is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)
