"""The journal of a command: which one, how it is opened, and what is said about it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vtc07.carrier.companion import Companion
from vtc07.cli.failure import Failure
from vtc07.cli.gathering import Command, gathering
from vtc07.cli.output import Output
from vtc07.hhu.journal.deliveries import JournalError

if TYPE_CHECKING:
    from vtc07.hhu.history.recording import Recording
    from vtc07.hhu.journal.entries import ActivityJournal
    from vtc07.hhu.journal.file import FileJournal


@dataclass(frozen=True, slots=True)
class JournalOptions:
    """What the options of a command say about its journal. ``wanted``: False with --no-journal."""

    file: str | None
    wanted: bool = True

    @property
    def path(self) -> Path:
        """The journal's file."""
        return journal_path(self.file)


_FILE = click.option(
    "--journal",
    "journal_file",
    metavar="FILE",
    help="The journal; by default deliveries.journal in your state directory.",
)

#: Gives a command that must have a journal ``--journal``, which arrives as ``journal``.
journal_option: Callable[[Command], Command] = gathering(
    "journal", ("journal_file",), lambda values: JournalOptions(values["journal_file"]), (_FILE,)
)

#: The same for a command that may do without: ``--journal`` and ``--no-journal``.
journal_options: Callable[[Command], Command] = gathering(
    "journal",
    ("journal_file", "no_journal"),
    lambda values: JournalOptions(values["journal_file"], not values["no_journal"]),
    (
        click.option(
            "--no-journal", is_flag=True, help="Do not write down what is sent and learnt."
        ),
        _FILE,
    ),
)


def journal_path(journal_file: str | None) -> Path:
    """Return the journal's file: the one that was named, or the user's own.

    Failure for a named one in a folder that does not exist: its name may be mistyped.
    """
    if journal_file is not None:
        path = Path(journal_file)
        if not path.absolute().parent.is_dir():
            raise Failure(
                f"there is no folder {path.absolute().parent} for the journal; make it, or correct "
                "the name: open deliveries stand in the journal"
            )
        return path
    from platformdirs import user_state_path  # noqa: PLC0415 - only where no journal is named

    return user_state_path("vtc07", appauthor=False) / "deliveries.journal"


@contextlib.contextmanager
def opened(options: JournalOptions, output: Output) -> Iterator[FileJournal]:
    """Open the journal for writing, and say what was found wrong with it.

    Raises JournalError: nothing is sent without it.
    """
    from vtc07.hhu.journal.file import FileJournal  # noqa: PLC0415 - only with a journal

    with FileJournal(options.path) as journal:
        if journal.torn is not None:
            output.warning(f"the journal ended in a torn line, which was moved to {journal.torn}")
        yield journal


@contextlib.contextmanager
def opened_if_possible(options: JournalOptions, output: Output) -> Iterator[FileJournal | None]:
    """Open the journal for a command that changes nothing, and goes on without it.

    None, with a note that says why, where it is in use or cannot be used; without a note where it
    is not wanted.
    """
    with contextlib.ExitStack() as stack:
        journal = None
        if options.wanted:
            try:
                journal = stack.enter_context(opened(options, output))
            except JournalError as error:
                output.note(f"this is not written into the journal: {error}")
        yield journal


@contextlib.contextmanager
def recording_in(
    journal: ActivityJournal,
    output: Output,
    *,
    companion: Callable[[], Companion | None],
    explained_by: Callable[[], Companion | None],
    meter_pan: Callable[[], str | None],
    address: str,
) -> Iterator[Recording]:
    """Record a session, and say at its end what the journal could not take."""
    from vtc07.hhu.history.recording import Recording  # noqa: PLC0415 - only with a journal

    recording = Recording(
        journal,
        wall_clock=now,
        companion=companion,
        explained_by=explained_by,
        meter_pan=meter_pan,
        address=address,
    )
    try:
        yield recording
    finally:
        recording.finish()
        for problem in recording.problems:
            output.warning(problem)


def now() -> datetime:
    """Return the time of day: the wall clock of every command."""
    return datetime.now(UTC)
