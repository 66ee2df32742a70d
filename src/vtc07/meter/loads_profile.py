"""A load from a CSV profile.

A profile is text of lines ``seconds,L1`` or ``seconds,L1,L2,L3``: from that second on the phases
take so many W, or, for water and gas, so many litres per hour flow. The form is our own::

    seconds,L1        # a header may be there, and comments
    0,150
    21600,1800
    86400,repeat      # may be there, as the last: from here on it begins anew

Seconds ascend from 0 and may have up to nine decimals. Without ``repeat`` the last line holds for
ever.
"""

from __future__ import annotations

import bisect
import csv
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from vtc07.carrier.companion import S
from vtc07.meter.accounting import Demand

#: The longest profile that is read, in bytes: more than a year in steps of a minute.
MOST_BYTES: Final = 16 * 1024 * 1024
REPEAT: Final = "repeat"
_SECONDS: Final = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,9}))?", re.ASCII)
_WATTS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_HEADER: Final = re.compile(r"[^\W\d_]")


class ProfileError(ValueError):
    """A profile that cannot be used; the sentence names file and line and says what to change."""


@dataclass(frozen=True, slots=True)
class ProfileLoad:
    """A load in pieces.

    ``starts_ns``: where each piece begins, ascending from 0. ``pieces``: W of each phase, or
    litres per hour, the same number of phases in all. ``period_ns``: when it begins anew, after
    the last start; None: never, the last piece holds for ever. ValueError: anything else.
    """

    starts_ns: tuple[int, ...] = field(repr=False)
    pieces: tuple[tuple[int, ...], ...] = field(repr=False)
    period_ns: int | None = None

    def __post_init__(self) -> None:
        starts, pieces = self.starts_ns, self.pieces
        if not pieces or len(starts) != len(pieces) or starts[0] != 0:
            raise ValueError("a profile has at least one piece, the first of them at 0")
        ends = (*starts[1:], starts[-1] + 1 if self.period_ns is None else self.period_ns)
        if any(start >= end for start, end in zip(starts, ends, strict=True)):
            raise ValueError("the pieces of a profile ascend, and it repeats after the last")
        if len({len(piece) for piece in pieces}) != 1 or not pieces[0]:
            raise ValueError("every piece of a profile has the same phases")
        if any(watts < 0 for piece in pieces for watts in piece):
            raise ValueError("a load takes no negative power")

    @classmethod
    def parse(cls, text: str, name: str = "the profile") -> Self:
        """Read a profile from its text; ``name``: the file's, for ProfileError."""
        return cls(*_parsed(text, name))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a profile from its file; ProfileError, and OSError as the system gives it."""
        name = str(path)
        if path.exists() and not path.is_file():
            raise ProfileError(f"{name} is no file, so it holds no profile; name a CSV file.")
        try:
            with path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except ValueError:
            raise ProfileError(f"{name!r} cannot be the name of a file.") from None
        except OSError as error:
            if error.filename is not None:  # it was not opened, and the error says which file
                raise
            raise ProfileError(f"{name} cannot be read: {error.strerror}.") from error
        if len(content) > MOST_BYTES:
            raise ProfileError(
                f"{name} is longer than {MOST_BYTES // 1024**2} MiB; a profile may repeat, so one "
                "day or one week is enough."
            )
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ProfileError(f"{name} is not text in UTF-8; save the profile as CSV.") from None
        return cls.parse(text, name)

    def demand(self, powered_ns: int) -> Demand:
        """Return the demand, with the profile's time being powered time."""
        begun_ns = 0
        if self.period_ns is not None:
            begun_ns = powered_ns // self.period_ns * self.period_ns
        place = bisect.bisect_right(self.starts_ns, powered_ns - begun_ns)
        if place < len(self.starts_ns):
            until_ns: int | None = begun_ns + self.starts_ns[place]
        else:
            until_ns = None if self.period_ns is None else begun_ns + self.period_ns
        return Demand(self.pieces[place - 1], until_ns)


def _parsed(
    text: str, name: str
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...], int | None]:
    starts: list[int] = []
    pieces: list[tuple[int, ...]] = []
    period_ns: int | None = None
    header_may_come = True
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}, line {number}"
        content = line.partition("#")[0].strip()
        if not content:
            continue
        cells = _cells(content, where)
        if header_may_come and _HEADER.match(cells[0]):
            header_may_come = False
            continue
        header_may_come = False
        if period_ns is not None:
            raise ProfileError(f"{where}: nothing may follow the line with {REPEAT!r}.")
        start_ns = _seconds(cells[0], where)
        _check_start(start_ns, starts, where)
        if cells[1:] == [REPEAT] and starts:
            period_ns = start_ns
            continue
        piece = tuple(_watts(cell, where) for cell in cells[1:])
        _check_phases(piece, pieces, where)
        starts.append(start_ns)
        pieces.append(piece)
    if not pieces:
        raise ProfileError(f"{name} holds no load; write lines such as 0,150 (seconds, watts).")
    return tuple(starts), tuple(pieces), period_ns


def _cells(content: str, where: str) -> list[str]:
    if '"' not in content:  # nearly always, and the quick way: a meter may wait for it
        return [cell.strip() for cell in content.split(",")]
    try:
        (cells,) = csv.reader([content], strict=True)
    except (csv.Error, ValueError):
        raise ProfileError(f"{where} is no CSV; write numbers with commas between them.") from None
    return [cell.strip() for cell in cells]


def _seconds(cell: str, where: str) -> int:
    match = _SECONDS.fullmatch(cell)
    if match is None and ";" in cell:
        raise ProfileError(
            f"{where}: {_shown(cell)} has semicolons; write commas between the numbers."
        )
    if match is None:
        raise ProfileError(
            f"{where}: {_shown(cell)} is no number of seconds; write digits, with a decimal point "
            "if need be."
        )
    return int(match[1]) * S + int((match[2] or "").ljust(9, "0"))


def _watts(cell: str, where: str) -> int:
    if _WATTS.fullmatch(cell) is None:
        raise ProfileError(
            f"{where}: {_shown(cell)} is no load; write whole watts (litres per hour for water "
            "and gas), at most nine digits."
        )
    return int(cell)


def _check_start(start_ns: int, starts: list[int], where: str) -> None:
    if not starts and start_ns:
        raise ProfileError(f"{where}: a profile begins at 0 seconds; add a line for them.")
    if starts and start_ns <= starts[-1]:
        raise ProfileError(f"{where}: the seconds must be more than in the line before.")


def _check_phases(piece: tuple[int, ...], pieces: list[tuple[int, ...]], where: str) -> None:
    if len(piece) not in (1, 3):
        raise ProfileError(
            f"{where} has {len(piece)} loads behind the seconds; write one, or one for each of "
            "three phases."
        )
    if pieces and len(piece) != len(pieces[0]):
        raise ProfileError(
            f"{where} has {len(piece)} loads, but the lines before have {len(pieces[0])}; write as "
            "many in every line."
        )


def _shown(cell: str) -> str:
    """Return a cell as it may stand in a sentence."""
    return repr(cell if len(cell) <= 20 else cell[:20] + "…")
