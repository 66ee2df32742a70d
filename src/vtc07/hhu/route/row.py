"""One line of a route file as it was written: its columns, its cells, and what programs do to them.

Programs for tables put spaces and dashes of their own into numbers, apostrophes and ``="..."``
around them, and write other encodings than UTF-8. What is certain to be meant is understood here.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from vtc07.hhu.route.findings import Finding, warning
from vtc07.hhu.texts import Said, said

#: The columns of a CSV file and the members of a stop in JSON.
COLUMNS: Final = ("meter", "place", "deliver", "write", "read", "notes")

#: What other programs call a column, folded to letters, by the one that is meant.
_ALSO_CALLED: Final = {
    "meter": "meterpan pan drn meternumber meterno meterid serial serialnumber serialno msn",
    "place": "address location street site premises name customer",
    "deliver": "token tokens delivery send credit vend ststoken ststokens kct",
    "write": "writes set setting settings",
    "read": "reads register registers reading readings",
    "notes": "note comment comments remark remarks info",
}
_MEANT: Final = {other: name for name, others in _ALSO_CALLED.items() for other in others.split()}

_SPACES: Final = "\u00a0\u2002\u2003\u2007\u2008\u2009\u200a\u202f\u3000\t"
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2212\u00ad"
_UNSEEN: Final = "\u200b\u200c\u200d\u2060\ufeff\u200e\u200f\u202a\u202c\u202d"
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_PLAIN: Final = str.maketrans(
    dict.fromkeys(_SPACES, " ") | dict.fromkeys(_DASHES, "-") | dict.fromkeys(_UNSEEN)
)
_TEXT_FORMULA: Final = re.compile(r'="([^"]*)"')
_NOT_UTF_8: Final = re.compile("[\udc80-\udcff]")
_BETWEEN: Final = re.compile(r"[;\r\n]")
_MANY_DIGITS: Final = re.compile(r"[0-9](?:[ -]*[0-9]){14,}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RawToken:
    """A token as it was written; ``section`` and ``sections`` where JSON names them."""

    text: str = field(repr=False)
    section: int | None = None
    sections: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line as it was written. ``findings``: what was found wrong with its form already.

    ``blank``: no stop stands in it. ``torn``: where it begins or ends is not certain, so that
    other lines may have got lost in it.
    """

    line: int
    meter: str = ""
    place: str = ""
    deliver: tuple[RawToken, ...] = field(default=(), repr=False)
    write: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    notes: str = ""
    findings: tuple[Finding, ...] = ()
    blank: bool = False
    torn: bool = False


def plain(text: str) -> str:
    """Return a number's cell without what programs put around it to keep it as text.

    ``="0012"``, ``'0012`` and ``'0012'`` are 0012; spaces and dashes of every kind are plain ones.
    """
    text = text.strip()
    if text.isdigit() and text.isascii():
        return text
    if not text.isascii():
        text = _decoded(text).translate(_PLAIN).strip()
    if match := _TEXT_FORMULA.fullmatch(text):
        text = match[1].strip()
    return text.strip("'").strip()


def listed(text: str) -> tuple[str, ...]:
    """Return what stands in a cell, one by one: ``;`` or a new line is between them."""
    if not text:
        return ()
    return tuple(part.strip() for part in _BETWEEN.split(text) if part.strip())


def for_people(line: int, column: str, text: str) -> tuple[str, list[Finding]]:
    """Return a text that can be shown on any terminal: one line, no control characters.

    What is not UTF-8 is taken as Windows-1252, which spreadsheet programs write where "CSV" alone
    is chosen, and told.
    """
    if text.isascii() and text.isprintable():
        return text.strip(), []
    found: list[Finding] = []
    if _NOT_UTF_8.search(text):
        text = _decoded(text)
        what = said("{column} is not UTF-8 and was taken as Windows-1252", column=column)
        advice = said("look whether it reads well, and save the file as 'CSV UTF-8'")
        found.append(warning(line, "encoding", what, advice))
    text = " ".join(text.split())
    shown_text = "".join(c if c.isprintable() or _can_be_shown(c) else "\ufffd" for c in text)
    if shown_text != text:
        what = said("{column} holds control characters, which are not shown", column=column)
        found.append(warning(line, "control-characters", what, said("write it anew without them")))
    return shown_text, found


def unknown_name(name: str) -> Said:
    """Say what a column or member that is not known may have been meant for."""
    folded = _folded(name)
    meant = _MEANT.get(folded)
    close = [meant] if meant else difflib.get_close_matches(folded[:40], COLUMNS, 1, 0.6)
    if close:
        return said("did you mean {name}?", name=close[0])
    return said("there are {names}", names=", ".join(COLUMNS))


def means_a_column(name: str) -> bool:
    """Say whether other programs call a column so."""
    return _folded(name) in _MEANT


def _folded(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def shown(text: str, longest: int = 40) -> str:
    """Return text of a file as it can stand in a sentence: short, and without a token's digits."""
    text, _ = for_people(0, "", text[: 4 * longest])
    text = _MANY_DIGITS.sub(lambda match: _without_token(match[0]), text)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _without_token(text: str) -> str:
    """Return a number as it is, if it has no more digits than a MeterPAN; else its last four."""
    digits = re.sub("[ -]", "", text)
    return text if len(digits) <= 18 else f"...{digits[-4:]}"


def _decoded(text: str) -> str:
    """Return text whose bytes were not UTF-8 as Windows-1252; any other as it is."""
    if not _NOT_UTF_8.search(text):
        return text
    return text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")


def _can_be_shown(character: str) -> bool:
    """Say whether it moves no cursor, turns no direction, and can be stored as UTF-8."""
    return character not in _TURNING and unicodedata.category(character) not in (
        "Cc", "Cs", "Zl", "Zp",
    )  # fmt: skip
