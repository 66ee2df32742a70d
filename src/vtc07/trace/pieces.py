"""What an explained message is made of: pieces of text with their roles."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from vtc07.trace.message import Sender


class Role(enum.Enum):
    """What a piece is, for whoever gives it a colour."""

    ARROW = "arrow"
    MESSAGE = "message"
    REGISTER_ID = "registerID"
    NAME = "name"
    VALUE = "value"
    UNIT = "unit"
    MEANING = "meaning"
    ERROR = "error"
    CHECK = "check"
    RAW = "raw"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text; pieces are put together without anything between them."""

    text: str
    role: Role = Role.PLAIN


#: One line of a readout.
Row = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """A message, or a change of speed, explained. ``time_ns``, ``sender``, ``note`` are its own.

    ``bcc_good``: None where the message has no BCC. ``sound``: whole, and undamaged on the line.
    ``began_ns``: when its first character had passed. ``rows``: of a readout, a line for each of
    its data sets; else empty. As text: ``pieces`` only.
    """

    time_ns: int
    began_ns: int
    sender: Sender
    pieces: tuple[Piece, ...]
    bcc_good: bool | None
    sound: bool
    note: str = ""
    rows: tuple[Row, ...] = ()

    def __str__(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    def lines(self, *, arrow: bool = True) -> list[str]:
        """Return the text with its rows, one a line; ``arrow``: with the arrow before it."""
        first = [piece.text for piece in self.pieces if arrow or piece.role is not Role.ARROW]
        return ["".join(first), *("".join(piece.text for piece in row) for row in self.rows)]
