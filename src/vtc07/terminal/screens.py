"""The screens by the names that menus have for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from vtc07.terminal.deliver_screen import DeliverScreen
from vtc07.terminal.diagnose_screen import DiagnoseScreen
from vtc07.terminal.frame import Frame
from vtc07.terminal.journal_screen import JournalScreen
from vtc07.terminal.open_screen import OpenScreen
from vtc07.terminal.read_screen import ReadScreen
from vtc07.terminal.route_files_screen import RouteFilesScreen
from vtc07.terminal.write_screen import WriteScreen

SCREENS: Final[Mapping[str, Callable[[], Frame]]] = {
    "deliver": DeliverScreen,
    "read": ReadScreen,
    "write": WriteScreen,
    "diagnose": DiagnoseScreen,
    "route": RouteFilesScreen,
    "open": OpenScreen,
    "journal": JournalScreen,
}
