"""Driving the terminal application as a person does: keys in, the text of the screen out."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cable import GUARD_S
from cli_bench import FAST, done, served
from rich.console import Console

import needs
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.texts import ENGLISH, Texts

needs.module("textual")

from textual.events import Key, Paste  # noqa: E402 - where it is missing, the tests are skipped
from textual.keys import _character_to_key  # noqa: E402 - likewise
from textual.message import Message  # noqa: E402 - likewise
from textual.pilot import Pilot  # noqa: E402 - likewise
from textual.widgets import Input  # noqa: E402 - likewise

from vtc07.terminal.app import HandHeldUnit  # noqa: E402 - likewise
from vtc07.terminal.meter_screen import MeterScreen  # noqa: E402 - likewise
from vtc07.terminal.setting import Setting  # noqa: E402 - likewise

COLUMNS, LINES = 80, 24
COMPANION = "fast.toml"


class Hand:
    """A person at the application: presses keys, and looks at the screen."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self._pilot = pilot
        self.unit = pilot.app
        assert isinstance(self.unit, HandHeldUnit)
        self.app: HandHeldUnit = self.unit
        self._something = asyncio.Event()

    def noticed(self, _message: Message) -> None:
        """Take notice that something happened in the application."""
        self._something.set()

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        await self._pilot.press(*keys)

    def press_at_once(self, *keys: str) -> None:
        """Have keys come in one piece, as over a slow line or from one that is held down."""
        for name in keys:
            key = Key(name, None)
            key.set_sender(self.app)
            self.app.post_message(key)

    async def type(self, text: str) -> None:
        """Type a text into the field that has the focus: faster than anybody can."""
        for char in text:
            key = Key(_character_to_key(char), char)
            key.set_sender(self.app)
            self.app.post_message(key)
        await self._pilot.pause()
        await self.waits(lambda: not self.app._message_queue.qsize())

    async def paste(self, text: str) -> None:
        """Paste a text where the cursor is."""
        focused = self.app.focused
        assert focused is not None
        focused.post_message(Paste(text))
        await self._pilot.pause()

    def busy(self) -> bool:
        """Say whether the meter is being spoken to."""
        return self.app.line.busy

    def field(self) -> str:
        """Return what stands in the field of the screen."""
        return self.app.screen.query_one(Input).value

    async def choose(self, words: str) -> None:
        """Press the digit that stands before words in a list."""
        await self.sees(words)
        for line in self.screen().splitlines():
            if words in line:
                before = line[: line.index(words)].split()
                await self.press(before[-1])
                return
        raise AssertionError(self.screen())

    def screen(self) -> str:
        """Return what stands on the screen, 24 lines of 80 columns."""
        return text_of(self.app)

    async def sees(self, *words: str) -> str:
        """Wait until all of these words stand on the screen; return the screen."""
        flat = [" ".join(each.split()) for each in words]
        try:
            await self.waits(lambda: all(each in self._flat() for each in flat))
        except TimeoutError:
            raise AssertionError(f"never seen: {words}\n{self.screen()}") from None
        return self.screen()

    async def waits(self, condition: Callable[[], bool]) -> None:
        """Wait until something is the case."""
        async with asyncio.timeout(GUARD_S):
            while True:
                self._something.clear()
                await self._pilot.pause()
                if condition():
                    return
                await self._something.wait()

    async def rests(self) -> None:
        """Wait until nothing is under way."""
        await self.waits(lambda: not self.app.workers._workers and not self.app.line.busy)

    def _flat(self) -> str:
        return " ".join(self.screen().replace("│", " ").split())


@contextlib.asynccontextmanager
async def at_hand(
    folder: Path,
    *,
    address: str | None = None,
    texts: Texts = ENGLISH,
    companion: str = "auto",
    size: tuple[int, int] = (COLUMNS, LINES),
) -> AsyncIterator[Hand]:
    """Start the application with a journal in a folder, and end it."""
    with FileJournal(folder / "deliveries.journal") as journal:
        unit = HandHeldUnit(
            Setting(texts, journal, lambda: datetime.now(UTC), folder, address, companion)
        )
        hands: list[Hand] = []

        def noticed(message: Message) -> None:
            for hand in hands:
                hand.noticed(message)

        async with unit.run_test(size=size, message_hook=noticed) as pilot:
            hand = Hand(pilot)
            hands.append(hand)
            yield hand


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run a test."""

    async def whole() -> None:
        await work()

    asyncio.run(whole())


def text_of(unit: HandHeldUnit) -> str:
    """Return the text of the whole screen."""
    width, height = unit.size
    console = Console(
        width=width, height=height, file=io.StringIO(), record=True, legacy_windows=False
    )
    console.print(unit.screen._compositor.render_update(full=True))
    return console.export_text(styles=False)


# --- a meter ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """A served meter that answers fast. ``folder``: where its files and the journal are."""

    folder: Path
    address: str

    @contextlib.asynccontextmanager
    async def hand(self, address: str | None = None, texts: Texts = ENGLISH) -> AsyncIterator[Hand]:
        """Start the application at this meter, or at a cable to it, until it is connected."""
        async with at_hand(
            self.folder, address=address or self.address, texts=texts, companion=COMPANION
        ) as hand:
            await hand.waits(lambda: isinstance(hand.app.screen, MeterScreen))
            yield hand


@contextlib.contextmanager
def bench(folder: Path, *options: str) -> Iterator[Bench]:
    """Serve a meter; ``folder`` must be the working folder."""
    (folder / COMPANION).write_text(FAST)
    done("meter", "new", "m.meter", "--companion", COMPANION, *options)
    with served("m.meter", "--listen", "tcp://127.0.0.1:0") as meter:
        yield Bench(folder, meter.address)


async def happens(event: threading.Event) -> None:
    """Wait for something that another thread does."""
    assert await asyncio.to_thread(event.wait, GUARD_S)
