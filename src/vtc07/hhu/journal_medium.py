"""What a journal is kept on: a file, or a memory that can lose power at any character.

The journal decides what is written (`vtc07.hhu.journal_kept`); a medium makes it durable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from vtc07.hhu.journal import JournalError, JournalLocked


class Medium(Protocol):
    """Where the characters of one journal are, in the hands of one user at a time.

    Every method but `close` may raise OSError, which the journal turns into a sentence.
    """

    @property
    def name(self) -> str:
        """How a sentence calls it: the file's path as the user gave it."""

    def first_line(self, longest: int) -> bytes:
        """Return its first line with its end, or so many characters of it; leave no trace.

        Empty where there is nothing yet. JournalError: it can hold no journal.
        """

    def open(self) -> bytes:
        """Take hold of it, made anew where there is none, and return all it holds.

        JournalLocked: somebody else has it. JournalError: it cannot be held alone.
        """

    def accept(self) -> None:
        """Know that it holds a journal in order; it is not changed before this."""

    def cut(self, size: int) -> None:
        """Keep the first ``size`` characters, durably."""

    def set_aside(self, tail: bytes) -> None:
        """Keep a torn tail elsewhere, durably; it is cut off only after that."""

    def require_in_place(self) -> None:
        """Raise JournalError where others would not find it, or have written to it."""

    def append(self, line: bytes) -> None:
        """Write one line behind the others and return when it is durable.

        OSError: it is not, and as far as possible nothing of it is left.
        """

    def close(self) -> None:
        """Let go of it. A second call, or one without `open`, does nothing."""


class MemoryDisk:
    """What outlives the journals on it, and loses power where it is told to.

    For simulations of a hand-held unit that crashes: make a journal on it
    (``KeptJournal(MemoryMedium(disk))``), abandon that journal in the middle, say with
    `lose_power` what the disk still has, and make the next journal on it.

    ``before_append`` and ``after_append`` are called with each line, when nothing of it is durable
    yet and when all of it is; both may be replaced at any time. They may raise what they like: a
    BaseException of the simulation's own is a crash at that instant; OSError, before, is a disk
    that takes no more.
    """

    def __init__(
        self,
        content: bytes = b"",
        *,
        name: str = "memory",
        before_append: Callable[[bytes], None] | None = None,
        after_append: Callable[[bytes], None] | None = None,
    ) -> None:
        self.name = name
        self.before_append = before_append
        self.after_append = after_append
        #: the tails that were set aside, oldest first
        self.torn: list[bytes] = []
        #: the line that a crash met between its writing and its being durable, or nothing
        self.under_way = b""
        self.durable = bytearray(content)
        #: whose journal is open
        self.holder: MemoryMedium | None = None

    @property
    def content(self) -> bytes:
        """What is durable."""
        return bytes(self.durable)

    def lose_power(self, survives: int = 0, *, zeros: int = 0) -> None:
        """Crash: whoever holds it is gone, and so is what was not durable.

        Of the line under way the first ``survives`` characters are found again (all of them where
        only the program was killed), with ``zeros`` NULs behind them, as a file system can leave
        where it had made room already. ValueError: more than the line has.
        """
        if not 0 <= survives <= survives + zeros <= len(self.under_way):
            raise ValueError(
                f"{survives} + {zeros} characters cannot be left of {len(self.under_way)}"
            )
        self.durable += self.under_way[:survives] + bytes(zeros)
        self.under_way = b""
        self.holder = None


class MemoryMedium:
    """The `Medium` of one journal on a `MemoryDisk`, held from `open` to `close` or a crash."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk

    @property
    def name(self) -> str:
        """The disk's name."""
        return self._disk.name

    def first_line(self, longest: int) -> bytes:
        """Return its first line."""
        line, end, _ = bytes(self._disk.durable[:longest]).partition(b"\n")
        return line + end

    def open(self) -> bytes:
        """Take hold of the disk and return all it holds."""
        if self._disk.holder is not None:
            raise JournalLocked(self.name)
        self._disk.holder = self
        self._disk.under_way = b""
        return self._disk.content

    def accept(self) -> None:
        """Know that it holds a journal in order: nothing to do here."""

    def cut(self, size: int) -> None:
        """Keep the first ``size`` characters."""
        del self._disk.durable[size:]

    def set_aside(self, tail: bytes) -> None:
        """Keep a torn tail in ``torn`` of the disk."""
        self._disk.torn.append(tail)

    def require_in_place(self) -> None:
        """Raise JournalError where the power was lost since."""
        if self._disk.holder is not self:
            raise JournalError(
                f"the journal {self.name} is not in the hands of this program any more"
            )

    def append(self, line: bytes) -> None:
        """Write one line behind the others."""
        disk = self._disk
        disk.under_way = line
        if disk.before_append is not None:
            try:
                disk.before_append(line)
            except OSError:
                disk.under_way = b""
                raise
        disk.durable += line
        disk.under_way = b""
        if disk.after_append is not None:
            disk.after_append(line)

    def close(self) -> None:
        """Let go of the disk."""
        if self._disk.holder is self:
            self._disk.holder = None
