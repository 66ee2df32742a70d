"""One line of a route file as it was written, and what it may say: the columns and their words."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from vtc07.hhu.route_findings import Finding, error, warning
from vtc07.hhu.texts import Said, said

#: The columns of a CSV file and the members of a stop in JSON.
COLUMNS: Final = ("meter", "place", "deliver", "write", "read", "notes")

#: What other programs call a column, folded to letters, and which one is meant.
_MEANT: Final = {
    "meterpan": "meter", "pan": "meter", "drn": "meter", "meternumber": "meter", "meterno": "meter",
    "meterid": "meter", "serial": "meter", "serialnumber": "meter", "msn": "meter",
    "address": "place", "location": "place", "street": "place", "site": "place", "name": "place",
    "customer": "place", "token": "deliver", "tokens": "deliver", "delivery": "deliver",
    "send": "deliver", "credit": "deliver", "stsToken".lower(): "deliver", "kct": "deliver",
    "set": "write", "writes": "write", "setting": "write", "settings": "write",
    "reads": "read", "register": "read", "registers": "read", "readings": "read",
    "note": "notes", "comment": "notes", "comments": "notes", "remark": "notes",
    "remarks": "notes", "info": "notes",
}  # fmt: skip

#: Spaces and dashes of every kind that word processors and spreadsheet programs put in for plain
#: ones, and marks that nobody sees.
_PLAIN: Final = str.maketrans(
    dict.fromkeys("\u00a0\u2007\u2009\u202f\u2002\u2003\u2008\u200a\u3000\t", " ")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\u00ad", "-")
    | dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u200e\u200f\u202a\u202c\u202d")
)
_TEXT_FORMULA: Final = re.compile(r'="([^"]*)"')
_NOT_UTF_8: Final = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class RawToken:
    """A token as it was written; ``section`` and ``sections`` where JSON names them."""

    text: str = field(repr=False)
    section: int | None = None
    sections: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line as it was written. ``findings``: what was found wrong with its form already.

    ``blank``: nothing stands in it. ``torn``: where it begins or ends is not certain, so that
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
    """Return a cell without what programs put around a number to keep it as text.

    ``="0012"`` and ``'0012`` are 0012; spaces and dashes of every kind are plain ones.
    """
    text = text.strip()
    if not text.isascii():
        text = text.translate(_PLAIN).strip()
    if match := _TEXT_FORMULA.fullmatch(text):
        text = match[1].strip()
    return text.removeprefix("'").lstrip() if text.startswith("'") else text


def listed(text: str) -> tuple[str, ...]:
    """Return what stands in a cell, one by one: ``;`` or a new line is between them."""
    if ";" not in text and "\n" not in text and "\r" not in text:
        return (text.strip(),) if text.strip() else ()
    parts = re.split(r"[;\r\n]", text)
    return tuple(part.strip() for part in parts if part.strip())


def for_people(line: int, column: str, text: str) -> tuple[str, list[Finding]]:
    """Return a text that can be shown on any terminal: one line, no control characters.

    What is not UTF-8 is taken as Windows-1252, which spreadsheet programs write where "CSV" alone
    is chosen, and told.
    """
    if text.isascii() and text.isprintable():
        return text.strip(), []
    found: list[Finding] = []
    if _NOT_UTF_8.search(text):
        text = text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
        what = said("{column} is not UTF-8 and was taken as Windows-1252", column=column)
        advice = said("look at it, and choose 'CSV UTF-8' where the file is saved")
        found.append(warning(line, "encoding", what, advice))
    text = " ".join(text.split())
    if not text.isprintable():
        cleaned = "".join(c if _can_be_shown(c) else "\ufffd" for c in text)
        if cleaned != text:
            what = said("{column} holds control characters, which are not shown", column=column)
            advice = said("write it anew without them")
            found.append(warning(line, "control-characters", what, advice))
        text = cleaned
    return text, found


def _can_be_shown(character: str) -> bool:
    """Say whether it moves no cursor, turns no direction, and can be stored as UTF-8."""
    if character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
        return False
    return unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")


def unknown_name(name: str) -> Said:
    """Say what a column or member that is not known may have been meant for."""
    folded = re.sub(r"[^a-z]", "", name.lower())
    meant = _MEANT.get(folded) or next(
        iter(difflib.get_close_matches(folded, COLUMNS, 1, 0.6)), None
    )
    if meant is not None:
        return said("did you mean {name}?", name=meant)
    return said("there are {names}", names=", ".join(COLUMNS))


def shown(text: str, longest: int = 40) -> str:
    """Return text from a file as it can stand in a sentence: short, and no digits of a token."""
    text, _ = for_people(0, "", text)
    text = re.sub(
        r"[0-9](?:[ -]*[0-9]){14,}",
        lambda m: m[0] if len(_digits(m[0])) == 18 else _masked(m[0]),
        text,
    )
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)


def _masked(text: str) -> str:
    return "..." + _digits(text)[-4:]


def missing_tasks(row: Row) -> bool:
    """Say whether nothing is to be done there."""
    return not (row.deliver or row.write or row.read)


def wrong_type(line: int, member: str, wanted: Said) -> Finding:
    """Make the finding for a member of JSON that is of another type."""
    what = said("{member} is not what it must be", member=member)
    return error(line, "type", what, said("write {wanted}", wanted=wanted))


def names(values: Iterable[object]) -> str:
    """Return values with commas between them."""
    return ", ".join(map(str, values))
