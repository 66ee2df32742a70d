"""The meter that is connected, at a glance, and what can be done with it."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import ClassVar, Final

from rich.table import Table
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import OptionList, Static

from vtc07.harmless import harmless
from vtc07.hhu.texts import counted, mark, said
from vtc07.screens.looking import look_at
from vtc07.screens.mood import Mood
from vtc07.screens.overview import Overview
from vtc07.terminal.frame import BACK, ENTER, LINE, Frame, Key, Menu

_ITEMS: Final = (
    ("deliver", mark("Deliver tokens")),
    ("read", mark("Read")),
    ("write", mark("Write")),
    ("diagnose", mark("What is wrong?")),
    ("route", mark("Route")),
    ("open", mark("Open deliveries")),
    ("journal", mark("Journal")),
)


class MeterScreen(Frame):
    """What the meter says of itself, and a list of what can be done."""

    TITLE_WORDS = mark("Meter")
    KEYS: ClassVar[tuple[Key, ...]] = (
        (ENTER, mark("choose")),
        ("F5", mark("read again")),
        BACK,
        LINE,
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f5", "again", show=False)]

    def body(self) -> Iterable[Widget]:
        """Return values at the left, things to do at the right."""
        yield Horizontal(
            VerticalScroll(Static(id="values"), classes="values", can_focus=False),
            Menu(classes="side"),
            classes="columns",
        )

    def on_mount(self) -> None:
        """Show the meter."""
        super().on_mount()
        texts = self.unit.texts
        menu = self.query_one(Menu)
        menu.offer((name, texts(words)) for name, words in _ITEMS)
        menu.focus()
        self.show_meter()

    def on_screen_resume(self) -> None:
        """Show what was read meanwhile."""
        super().on_screen_resume()
        self.show_meter()

    def show_meter(self) -> None:
        """Show names and values, and what has to be done first."""
        overview = self.unit.overview
        if overview is None:
            return
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, text, wants_care in overview.lines():
            sign = f"{Mood.CARE.value} " if wants_care else ""
            table.add_row(Text(self.unit.texts(name)), Text(sign + harmless(text), style="bold"))
        self.query_one("#values", Static).update(table)
        pan = overview.meter_pan
        if pan is not None:
            self.aside(functools.partial(self._count_open, pan), self._tell_open)

    def _count_open(self, pan: str) -> int:
        return len(self.unit.journal.unresolved(pan))

    def _tell_open(self, is_open: int) -> None:
        if is_open:
            self.tell(
                counted(
                    "{count} delivery to this meter is open: look into it first (Open deliveries).",
                    "{count} deliveries to this meter are open: look into them first (Open "
                    "deliveries).",
                    is_open,
                ),
                Mood.CARE,
            )

    def action_again(self) -> None:
        """Read the meter again."""
        target = self.unit.target
        if target is not None:
            self.with_meter(functools.partial(look_at, target=target), self._read)

    def _read(self, overview: Overview) -> None:
        self.unit.met(overview)
        self.show_meter()
        self.tell(said("Read again."), Mood.GOOD)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go where was chosen."""
        if not self.unit.line.busy:
            self.unit.show(event.option_id or "")
