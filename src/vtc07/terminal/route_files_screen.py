"""Which route: the files that are there, or any by its name."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Final

from textual.widget import Widget
from textual.widgets import OptionList

from vtc07.hhu.route.file import RouteFile, open_route
from vtc07.hhu.texts import mark, said
from vtc07.screens.mood import Mood
from vtc07.terminal.dialogs import Wanted
from vtc07.terminal.frame import BACK, ENTER, Frame, Key, Menu
from vtc07.terminal.route_screen import RouteScreen

_OTHER: Final = "other"


class RouteFilesScreen(Frame):
    """Choose the file of a route: those in the working folder, or any by its name."""

    TITLE_WORDS = mark("Route")
    KEYS: ClassVar[tuple[Key, ...]] = ((ENTER, mark("choose")), BACK)

    def body(self) -> Iterable[Widget]:
        """Return the list."""
        yield Menu(classes="fill")

    def on_mount(self) -> None:
        """Offer what is in the folder."""
        super().on_mount()
        folder = Path.cwd()
        found = sorted(
            path.name
            for path in folder.iterdir()
            if path.suffix.lower() in (".csv", ".json") and path.is_file()
        )
        items = [(f"/{name}", name) for name in found]
        items.append((_OTHER, self.unit.texts(mark("Another file ..."))))
        self.query_one(Menu).offer(items)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open a route, or ask for its name."""
        name = event.option_id or ""
        if name != _OTHER:
            self._open(name.removeprefix("/"))
            return

        def given(file: str | None) -> None:
            if file is not None:
                self._open(file)

        self.app.push_screen(Wanted(said("The route's file, CSV or JSON?")), given)

    def _open(self, file: str) -> None:
        self.tell(said("opening {file}", file=file), Mood.BUSY)
        self.aside(functools.partial(open_route, Path(file)), self._opened)

    def _opened(self, route: RouteFile) -> None:
        self.tell("")
        self.app.push_screen(RouteScreen(route))
