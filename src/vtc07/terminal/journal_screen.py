"""The journal: its deliveries, newest first, and each as a sequence of messages."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import DataTable, RichLog

from vtc07.harmless import harmless
from vtc07.hhu.history.sequence import sequence_of
from vtc07.hhu.history.sequence_text import text_lines
from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.texts import Said, mark, said
from vtc07.screens.delivering import result_said
from vtc07.screens.mood import Mood
from vtc07.terminal.frame import BACK, ENTER, LINE, Frame, Key
from vtc07.terminal.table import WordTable

#: So many deliveries are shown at once; a journal may hold many more.
PAGE: Final = 100


class JournalScreen(Frame):
    """The deliveries of the journal, newest first, a page at a time."""

    TITLE_WORDS = mark("Journal")
    KEYS: ClassVar[tuple[Key, ...]] = (
        (ENTER, mark("messages")),
        ("F6", mark("older")),
        ("F7", mark("newer")),
        BACK,
        LINE,
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f6", "page(1)", show=False),
        Binding("f7", "page(-1)", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._first = 0  # the newest delivery shown
        self._newest = 0

    def body(self) -> Iterable[Widget]:
        """Return the table."""
        yield WordTable()

    def on_mount(self) -> None:
        """Show the newest."""
        super().on_mount()
        self.query_one(WordTable).focus()
        self._load(None)

    def _load(self, first: int | None) -> None:
        self.aside(functools.partial(self._read, first), self._show)

    def _read(self, first: int | None) -> tuple[int, int, list[Delivery]]:
        journal = self.unit.journal
        newest = journal.newest_delivery()
        first = newest if first is None else min(first, newest)
        return newest, first, [journal.delivery(n) for n in range(first, max(0, first - PAGE), -1)]

    def _show(self, found: tuple[int, int, list[Delivery]]) -> None:
        self._newest, self._first, deliveries = found
        texts = self.unit.texts
        columns = [
            texts(word)
            for word in (mark("No."), mark("time"), mark("meter"), mark("token"), mark("result"))
        ]
        rows = [(str(delivery.number), self._cells(delivery)) for delivery in deliveries]
        self.query_one(WordTable).fill(columns, rows)
        if not deliveries:
            self.tell(said("The journal holds no delivery yet."))
        elif self._newest > PAGE:
            self.tell(
                said(
                    "Deliveries {first} to {last} of {newest}",
                    first=deliveries[0].number,
                    last=deliveries[-1].number,
                    newest=self._newest,
                )
            )

    def _cells(self, delivery: Delivery) -> tuple[str, ...]:
        ended = delivery.ended
        result = said("open") if ended is None else result_said(ended)
        return (
            str(delivery.number),
            f"{delivery.opened.astimezone():%m-%d %H:%M}",
            delivery.meter_pan,
            f"...{delivery.token[-4:]}",
            self.words(result),
        )

    def action_page(self, way: int) -> None:
        """Show older or newer deliveries."""
        first = self._first - way * PAGE
        if way > 0 and first < 1:
            self.tell(said("There are no older ones."))
        elif way < 0 and self._first >= self._newest:
            self._load(None)
        else:
            self._load(first)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Show the messages of a delivery."""
        self.app.push_screen(DeliveryScreen(int(event.row_key.value or 0)))


class DeliveryScreen(Frame):
    """One delivery as a sequence of messages with their times."""

    KEYS: ClassVar[tuple[Key, ...]] = (("↑↓ PgUp PgDn", mark("look around")), BACK, LINE)

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def title_words(self) -> Said:
        """Return what stands in the title."""
        return said("Delivery {number}", number=self._number)

    def body(self) -> Iterable[Widget]:
        """Return the drawing's place."""
        yield RichLog(wrap=False, auto_scroll=False, min_width=20, classes="log")

    def on_mount(self) -> None:
        """Draw it."""
        super().on_mount()
        self.query_one(RichLog).focus()
        self.aside(self._draw, self._show)

    def _draw(self) -> list[str]:
        sequence = sequence_of(self.unit.journal, self._number)
        return list(
            text_lines(sequence, width=self.app.size.width - 3, texts=self.unit.texts, zone=None)
        )

    def _show(self, lines: list[str]) -> None:
        log = self.query_one(RichLog)
        for line in lines:
            log.write(Text(harmless(line)))
        if not lines:
            self.tell(said("The journal holds nothing of it."), Mood.CARE)
