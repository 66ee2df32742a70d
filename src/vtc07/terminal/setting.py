"""What the application is started with, and what its line tells it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from vtc07.cli.link_options import AUTO
from vtc07.hhu.delivery import WallClock
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.texts import Said, Texts
from vtc07.screens.passing import Passed


class Stepped(Message):
    """A piece of work has come a step further."""

    def __init__(self, what: Said) -> None:
        super().__init__()
        self.what = what


class OnTheLine(Message):
    """A message has passed on the line."""

    def __init__(self, passed: Passed) -> None:
        super().__init__()
        self.passed = passed


@dataclass(frozen=True, slots=True)
class Setting:
    """What the application is started with. ``state``: the folder of what it remembers.

    ``companion``: of the meters, as for `vtc07 read`.
    """

    texts: Texts
    journal: FileJournal
    wall_clock: WallClock
    state: Path
    address: str | None = None
    companion: str = AUTO
