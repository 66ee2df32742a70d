"""What the web application is started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vtc07.cli.link_options import AUTO
from vtc07.hhu.delivery import WallClock
from vtc07.hhu.journal.file import FileJournal


@dataclass(frozen=True, slots=True)
class Setting:
    """What the application is started with. ``state``: the folder of what it remembers.

    ``language``: of every page as long as its reader chooses no other; None: as browsers ask.
    ``catalogues``: a folder of catalogues that go before the shipped ones, or None.
    ``companion``: of the meters, as for `vtc07 read`. ``is_bench``: virtual meters are at hand, and
    the journal is the bench's own. ``has_password``: one signs in, and can sign out.
    """

    journal: FileJournal
    wall_clock: WallClock
    state: Path
    language: str | None = None
    catalogues: Path | None = None
    companion: str = AUTO
    is_bench: bool = False
    has_password: bool = False
