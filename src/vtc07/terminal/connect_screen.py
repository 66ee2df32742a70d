"""The first screen: where the meter is, and what can be done without one."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import OptionList

from vtc07.cli.connection import UnknownCompanion
from vtc07.cli.link_options import AUTO
from vtc07.hhu.texts import counted, mark, said
from vtc07.links.ports import serial_ports
from vtc07.screens.looking import look_at
from vtc07.screens.meter_line import Target
from vtc07.screens.mood import Mood
from vtc07.screens.overview import Overview
from vtc07.screens.places import PLACES, Place, places, remember, remember_companion, used_before
from vtc07.screens.way import WayError
from vtc07.terminal.dialogs import Wanted
from vtc07.terminal.frame import ENTER, LINE, Frame, Key, Menu, Words

_AT: Final = "at "
_OTHER: Final = "other"
_ITEMS: Final = (
    (_OTHER, mark("Another address ...")),
    ("route", mark("Route: many meters, one after another")),
    ("open", mark("Open deliveries")),
    ("journal", mark("Journal")),
    ("quit", mark("Quit")),
)


class ConnectScreen(Frame):
    """Choose where the meter is. ``address``: connect there at once."""

    TITLE_WORDS = mark("Connect")
    KEYS: ClassVar[tuple[Key, ...]] = (
        (ENTER, mark("choose")),
        ("F5", mark("look for ports")),
        LINE,
        ("F3", mark("light/dark")),
        ("Ctrl+Q", mark("quit")),
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f5", "look", show=False)]

    def __init__(self, address: str | None = None) -> None:
        super().__init__()
        self._first = address

    def body(self) -> Iterable[Widget]:
        """Return the list of places and things to do."""
        yield Menu(classes="fill")

    def on_mount(self) -> None:
        """Show what is there, and connect where an address was given."""
        super().on_mount()
        self.action_look()
        if self._first is not None:
            self._connect_to(self._first)

    def on_screen_resume(self) -> None:
        """Count open deliveries again."""
        super().on_screen_resume()
        self.action_look()

    def action_look(self) -> None:
        """Look for ports, and into the journal for what is open."""
        self.aside(self._look, self._offer)

    def _look(self) -> tuple[tuple[Place, ...], int]:
        found = places(used_before(self.unit.setting.state / PLACES), serial_ports())
        return found, len(self.unit.journal.unresolved())

    def _offer(self, found: tuple[tuple[Place, ...], int]) -> None:
        where, is_open = found
        texts = self.unit.texts
        items = [(_AT + place.address, _described(place)) for place in where]
        for name, words in _ITEMS:
            shown = texts(words)
            if name == "open" and is_open:
                shown = counted(
                    "Open deliveries: {count} is to be looked into",
                    "Open deliveries: {count} are to be looked into",
                    is_open,
                ).words(texts)
            items.append((name, shown))
        self.query_one(Menu).offer(items)
        if is_open and not self.unit.line.busy:
            self.tell(
                said("Before other tokens go to these meters, look into what is open."), Mood.CARE
            )

    # --- what is chosen --------------------------------------------------------------------------

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Do what was chosen."""
        name = event.option_id or ""
        if self.unit.line.busy:
            return
        if name.startswith(_AT):
            self._connect_to(name.removeprefix(_AT))
        elif name == _OTHER:
            self._ask_for_address("")
        elif name == "quit":
            self.app.exit()
        else:
            self.unit.show(name)

    def _ask_for_address(self, text: str, why: Words = "") -> None:
        def given(address: str | None) -> None:
            if address is not None:
                self._connect_to(address)

        forms = said(
            "Where is the meter? /dev/ttyUSB0 or COM3, tcp://HOST:PORT, rfc2217://HOST:PORT, "
            "pty:PATH, or sim:STORE; behind it, options as of vtc07 read: --wake-up, --rts, --speed"
        )
        if why:
            forms = said("{why}\n{forms}", why=why, forms=forms)
        self.app.push_screen(Wanted(forms, text=text), given)

    def _connect_to(self, address: str) -> None:
        try:
            self.unit.target = Target.typed(address, self.unit.setting.companion)
        except WayError as error:
            self._ask_for_address(address, error.said)
            return
        self.unit.overview = None
        self.connect()

    def connect(self) -> None:
        """Greet the meter at the target and read what is looked at first."""
        target = self.unit.target
        assert target is not None
        self.show_title()
        self.with_meter(functools.partial(look_at, target=target), self._connected)

    def _connected(self, overview: Overview) -> None:
        from vtc07.terminal.meter_screen import MeterScreen  # noqa: PLC0415 - it knows us

        target = self.unit.target
        assert target is not None
        remember(self.unit.setting.state / PLACES, target.text)
        if target.companion not in (AUTO, self.unit.setting.companion):
            remember_companion(self.unit.setting.state / PLACES, target.companion)
        self.unit.met(overview)
        self.app.push_screen(MeterScreen())

    def failed_with(self, error: Exception) -> bool:
        """Ask for the companion of a meter that none of the shipped ones describes."""
        if not isinstance(error, UnknownCompanion):
            return False

        def given(name: str | None) -> None:
            if name is not None:
                target = self.unit.target
                assert target is not None
                self.unit.target = target.spoken(str(Path(name).absolute()))
                self.connect()

        question = said(
            "The meter says it is {flag} {identification}, which no shipped companion describes. "
            "The name of its companion file?",
            flag=error.identity.flag,
            identification=error.identity.identification,
        )
        self.app.push_screen(Wanted(question), given)
        return True

    def go_back(self) -> None:
        """Stay: there is nothing behind the first screen."""


def _described(place: Place) -> str:
    return f"{place.address}  ({place.what})" if place.what else place.address
