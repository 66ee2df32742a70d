"""What is open: deliveries and writes of which nobody knows yet what came of them."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import DataTable, Static

from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.resuming import OpenWork, ResumeReport, advice, close_by_hand, open_work
from vtc07.hhu.texts import Said, mark, said
from vtc07.screens.meter_line import Target
from vtc07.screens.mood import Mood
from vtc07.screens.resuming import resume_open, resumed_lines, resumed_said
from vtc07.terminal.dialogs import Wanted
from vtc07.terminal.frame import BACK, ENTER, LINE, Frame, Key
from vtc07.terminal.table import WordTable
from vtc07.trace.values import grouped


class OpenScreen(Frame):
    """What is open, of all meters; at the meter that is there it is looked into."""

    TITLE_WORDS = mark("Open deliveries")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "resume", show=False),
        Binding("f8", "close_by_hand", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._advice: list[Said] = []
        self._numbers: list[int] = []  # of the deliveries, in the order of their rows
        self._asked = False  # a meter, so that something else is said

    def body(self) -> Iterable[Widget]:
        """Return the table, and what was found out."""
        with Vertical():
            yield WordTable()
            yield Static(id="advice", markup=False)
            with VerticalScroll(id="results", can_focus=False):
                yield Static(id="found", markup=False)

    def offered(self) -> Iterable[Key]:
        """Return the keys of the moment."""
        results = self.query_one("#results").can_focus
        return (
            (ENTER, mark("ask the meter that is there")),
            ("F8", mark("close by hand")),
            *((("Tab ↑↓", mark("look around")),) if results else ()),
            BACK,
            LINE,
        )

    def on_mount(self) -> None:
        """Show what is open."""
        super().on_mount()
        self.query_one(WordTable).focus()
        self._look()

    def _look(self) -> None:
        self.aside(functools.partial(open_work, self.unit.journal), self._show)

    def _show(self, work: OpenWork) -> None:
        self._advice = [advice(d) for d in work.deliveries] + [s.said for s in work.settings]
        self._numbers = [delivery.number for delivery in work.deliveries]
        texts = self.unit.texts
        columns = [texts(w) for w in (mark("meter"), mark("time"), mark("what"))]
        rows = [
            (
                f"delivery {d.number}",
                (
                    d.meter_pan,
                    f"{d.opened.astimezone():%m-%d %H:%M}",
                    grouped(d.token),
                ),
            )
            for d in work.deliveries
        ]
        rows += [
            (
                f"setting {s.entry}",
                (
                    s.meter_pan or "",
                    f"{s.time.astimezone():%m-%d %H:%M}",
                    f"{s.register}={s.value}",
                ),
            )
            for s in work.settings
        ]
        self.query_one(WordTable).fill(columns, rows)
        if not rows:
            self._advise(None)
            if not self._asked:
                self.tell(said("Nothing is open."), Mood.GOOD)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Say what is unknown of the row, and what to do."""
        self._advise(event.cursor_row)

    def _advise(self, row: int | None) -> None:
        known = row is not None and row < len(self._advice)
        words = self.words(self._advice[row]) if row is not None and known else ""
        self.query_one("#advice", Static).update(Content(words))

    def action_close_by_hand(self) -> None:
        """Close the delivery of the row, whose meter cannot be asked any more, for good."""
        row = self.query_one(WordTable).cursor_row
        if self.unit.line.busy or row >= len(self._numbers):
            return
        number = self._numbers[row]

        def given(note: str | None) -> None:
            if note is None:
                return
            close = functools.partial(
                close_by_hand, self.unit.journal, number, note, time=self.unit.wall_clock()
            )
            self.aside(close, self._closed_by_hand)

        question = said(
            "Close delivery {number} as unresolved, for good? Only where its meter cannot be asked "
            "any more. Why, in your words:",
            number=number,
        )
        self.app.push_screen(Wanted(question), given)

    def _closed_by_hand(self, delivery: Delivery) -> None:
        self._asked = True
        self.tell(
            said(
                "Delivery {number} is closed: nobody knows whether its meter took the token.",
                number=delivery.number,
            ),
            Mood.CARE,
        )
        self._look()

    def on_data_table_row_selected(self) -> None:
        """Look into what is open at the meter that is there."""
        self.action_resume()

    def action_resume(self) -> None:
        """Ask the meter that is there; nothing is entered again."""
        if self.unit.line.busy:
            return
        self.unit.want_target(self, self._resume)

    def _resume(self, target: Target) -> None:
        work = functools.partial(
            resume_open, journal=self.unit.journal, wall_clock=self.unit.wall_clock
        )
        self.with_meter(work, self._resumed, target=target)

    def _resumed(self, report: ResumeReport) -> None:
        self._asked = True
        lines = [self.words(line) for line in resumed_lines(report)]
        self.query_one("#found", Static).update(Content("\n".join(lines)))
        results = self.query_one("#results")
        results.can_focus = True  # what does not fit is looked at by the arrow keys
        results.focus()
        self.show_keys()
        self._look()
        self.tell(*resumed_said(report))
