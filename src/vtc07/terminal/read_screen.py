"""Reading registers: whole groups by one key, or any by name."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import OptionList

from vtc07.carrier.companion import Companion
from vtc07.carrier.events import RegisterValue
from vtc07.hhu import selection
from vtc07.hhu.reading import Registers
from vtc07.hhu.texts import counted, mark, said
from vtc07.hhu.values import text_for_people
from vtc07.screens.mood import Mood
from vtc07.screens.registers import is_unused, read_wanted
from vtc07.terminal.dialogs import Wanted
from vtc07.terminal.frame import BACK, ENTER, LINE, Frame, Key, Menu
from vtc07.terminal.table import WordTable

_CHOSEN: Final = "chosen"
_ITEMS: Final = (
    ("overview", mark("At a glance")),
    ("tokenLog", mark("Token log")),
    ("eventLog", mark("Event log")),
    ("everything", mark("Everything that can be read")),
    (_CHOSEN, mark("Registers by name or number ...")),
)


class ReadScreen(Frame):
    """Choose what to read; then its values."""

    TITLE_WORDS = mark("Read")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f5", "again", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._what = ""
        self._words: tuple[str, ...] = ()

    def body(self) -> Iterable[Widget]:
        """Return the choice, and the table that takes its place."""
        yield Menu(classes="fill")
        yield WordTable()

    def on_mount(self) -> None:
        """Offer what the companion has."""
        super().on_mount()
        overview = self.unit.overview
        assert overview is not None
        companion = overview.companion
        names = {selection.base_name(register) for register in selection.readable(companion)}
        items = [
            (name, self.unit.texts(words))
            for name, words in _ITEMS
            if not name.endswith("Log") or name in names
        ]
        self.query_one(Menu).offer(items)
        self._show_menu(shown=True)

    def offered(self) -> Iterable[Key]:
        """Return the keys of the moment."""
        if self.query_one(Menu).display:
            return ((ENTER, mark("choose")), BACK, LINE)
        return (("↑↓", mark("look around")), ("F5", mark("read again")), BACK, LINE)

    def _show_menu(self, *, shown: bool) -> None:
        menu, table = self.query_one(Menu), self.query_one(WordTable)
        menu.display, table.display = shown, not shown
        (menu if shown else table).focus()
        self.show_keys()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Read what was chosen."""
        if self.unit.line.busy:
            return
        self._what = event.option_id or ""
        self._words = (self._what,)
        if self._what != _CHOSEN:
            self.action_again()
            return

        def given(words: str | None) -> None:
            if words:
                self._words = tuple(words.replace(",", " ").split())
                self._read_chosen()

        question = said(
            "Which registers? Names (creditBalance), numbers (0020), ranges (0010-001A) or series "
            "(tokenLog), with spaces between them."
        )
        self.app.push_screen(Wanted(question), given)

    def _read_chosen(self) -> None:
        """Read registers by their names, if they mean any."""
        overview = self.unit.overview
        assert overview is not None
        try:
            selection.select(overview.companion, self._words)
        except selection.SelectionError as error:
            self.tell(str(error), Mood.BAD)
        else:
            self.action_again()

    def action_again(self) -> None:
        """Read, or read again."""
        target = self.unit.target
        if target is None or not self._what:
            return
        work = functools.partial(read_wanted, target=target, what=self._what, words=self._words)
        self.with_meter(work, self._show)

    def _show(self, found: Registers) -> None:
        overview = self.unit.overview
        assert overview is not None
        companion = overview.companion
        texts = self.unit.texts
        rows = [
            (v.register.address, _row(v, companion))
            for v in found.values
            if not is_unused(v, len(found.values))
        ]
        rows += [
            (r.register.address, (r.register.address, r.register.name, texts(r.why)))
            for r in found.refused
        ]
        columns = (texts(mark("ID")), texts(mark("register")), texts(mark("value")))
        self.query_one(WordTable).fill(columns, rows)
        self._show_menu(shown=False)
        if found.refused:
            self.tell(
                counted(
                    "The meter refused to tell {count} register.",
                    "The meter refused to tell {count} registers.",
                    len(found.refused),
                ),
                Mood.BAD,
            )
        elif unused := len(found.values) - len(rows):
            self.tell(
                counted(
                    "{count} empty entry of a log is not shown.",
                    "{count} empty entries of logs are not shown.",
                    unused,
                )
            )

    def go_back(self) -> None:
        """Go back to the choice first."""
        if self.query_one(Menu).display:
            super().go_back()
        else:
            self.tell("")
            self._show_menu(shown=True)


def _row(found: RegisterValue, companion: Companion) -> tuple[str, str, str]:
    register = found.register
    return register.address, register.name, text_for_people(register, found.value, companion)
