"""The line: every message as it passes, explained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.widget import Widget
from textual.widgets import RichLog

from vtc07.harmless import harmless
from vtc07.hhu.texts import mark, said
from vtc07.screens.passing import Passed
from vtc07.terminal.app import MOST_PASSED
from vtc07.terminal.frame import BACK, Frame, Key


class LineScreen(Frame):
    """The messages of this run of the program, the last at the bottom."""

    TITLE_WORDS = mark("Line")
    KEYS: ClassVar[tuple[Key, ...]] = (("↑↓ PgUp PgDn", mark("look around")), BACK)

    def body(self) -> Iterable[Widget]:
        """Return the log."""
        yield RichLog(max_lines=4 * MOST_PASSED, wrap=True, min_width=20, classes="log")

    def on_mount(self) -> None:
        """Show what has passed already."""
        super().on_mount()
        self.query_one(RichLog).focus()
        if not self.unit.passed:
            self.tell(said("Nothing has passed yet. → is the hand-held unit, ← the meter."))
        for passed in self.unit.passed:
            self.add(passed)

    def add(self, passed: Passed) -> None:
        """Show a message; whoever has scrolled up stays there."""
        log = self.query_one(RichLog)
        for line in passed.lines():
            log.write(Text(harmless(line)), scroll_end=log.is_vertical_scroll_end)
        self.tell(said("→ is the hand-held unit, ← the meter."))

    def action_back(self) -> None:
        """Go back; what is under way goes on."""
        self.go_back()
