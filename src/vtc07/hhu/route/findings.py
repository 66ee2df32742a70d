"""What is found wrong in a route file: where, what it is, and what to do about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from vtc07.hhu.route.facts import RouteError
from vtc07.hhu.texts import Said, mark, said


class Severity(enum.Enum):
    """How bad it is; the value is a word for people."""

    ERROR = mark("error")
    """What it says cannot be done as it stands."""
    WARNING = mark("warning")
    """It can be done, and is probably not what was meant."""
    NOTE = mark("note")
    """It is in order; somebody may wonder about it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    ``line``: as `vtc07.hhu.route.facts.Stop.line`; 0 for the file as a whole. ``kind``: a short
    word for programs, as ``token-length``. ``what`` never shows a token, at most its last four
    digits; ``advice`` is what to do.
    """

    line: int
    severity: Severity
    kind: str
    what: Said
    advice: Said

    @property
    def said(self) -> Said:
        """Both in one sentence, without the place."""
        return said("{what}; {advice}", what=self.what, advice=self.advice)


class RouteUnreadable(RouteError):
    """The file as a whole cannot be used; ``finding`` says why, the message also where."""

    def __init__(self, source: str, finding: Finding) -> None:
        place = f", line {finding.line}" if finding.line else ""
        super().__init__(f"{source}{place}: {finding.said}")
        self.finding = finding


def error(line: int, kind: str, what: Said, advice: Said) -> Finding:
    """Make a finding that is an error."""
    return Finding(line, Severity.ERROR, kind, what, advice)


def warning(line: int, kind: str, what: Said, advice: Said) -> Finding:
    """Make a finding that is a warning."""
    return Finding(line, Severity.WARNING, kind, what, advice)


def note(line: int, kind: str, what: Said, advice: Said) -> Finding:
    """Make a finding that is only told."""
    return Finding(line, Severity.NOTE, kind, what, advice)
