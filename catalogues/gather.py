"""Gathers what the program says, brings the catalogues up to date, and compiles them.

``python catalogues/gather.py`` (``make catalogues``) after every change of a text: each ``CODE.po``
in this folder is given the texts it lacks, without a translation, loses those that are no longer
said, and is compiled to where the program finds it. A new language is a new ``CODE.po``: copy
``vtc07.pot``. Exit code 1: something is not translated, or badly; it is listed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from vtc07.hhu.texts import DOMAIN, names_in

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent / "src" / "vtc07"
COMPILED = SOURCES / "hhu" / "catalogues"
TEMPLATE = HERE / f"{DOMAIN}.pot"

#: The calls whose literal arguments are texts, and which of their arguments.
KEYWORDS = {"said": None, "mark": None, "counted": (1, 2)}


def gathered() -> Catalog:
    """Return every text that the program says, in the order of its files."""
    catalogue = Catalog(
        project="vtc07",
        header_comment="# Texts of vtc07. Names in {braces} stay as they are.",
        fuzzy=False,
    )
    found = extract_from_dir(
        SOURCES, [("**.py", "python")], keywords=KEYWORDS, comment_tags=("Translators:",)
    )
    for file, _, message, comments, context in sorted(found, key=lambda f: (f[0], f[1])):
        catalogue.add(message, None, [(f"src/vtc07/{file}", 0)], (), comments, context=context)
    return catalogue


def read(path: Path) -> Catalog:
    """Read a catalogue."""
    with path.open("rb") as file:
        return read_po(file, locale=path.stem, domain=DOMAIN, abort_invalid=True)


def sources() -> list[Path]:
    """Return the catalogues there are, a language each."""
    return sorted(HERE.glob("*.po"))


def texts_in(catalogue: Catalog) -> Iterator[Message]:
    """Yield the messages but for the header."""
    return (message for message in catalogue if message.id)


def faults(catalogue: Catalog, wanted: Catalog) -> list[str]:
    """Return a line for each text that is missing, not translated, or translated badly."""
    found = []
    here = {message.id: message for message in texts_in(catalogue)}
    for message in texts_in(wanted):
        mine = here.pop(message.id, None)
        english = message.id if isinstance(message.id, str) else message.id[-1]
        others: tuple[str, ...] = ()
        if mine is not None:
            string = mine.string
            others = (string,) if isinstance(string, str) else tuple(string or ())
        if mine is None or mine.fuzzy or not others or not all(others):
            found.append(f"not translated: {english!r}")
            continue
        allowed = names_in(english)
        for other in others:
            # One form of a plural may say "one" without the number.
            if names_in(other) != allowed and (len(others) == 1 or names_in(other) - allowed):
                found.append(f"other names in braces: {english!r}: {other!r}")
            if other.strip() != other or other.endswith(".") != english.endswith("."):
                found.append(f"begins or ends otherwise: {english!r}: {other!r}")
    found += [f"no longer said: {text!r}" for text in here]
    return found


def main() -> int:
    """Bring all up to date; returns the exit code."""
    wanted = gathered()
    _write(TEMPLATE, wanted)
    bad = 0
    COMPILED.mkdir(exist_ok=True)
    for path in sources():
        catalogue = read(path)
        catalogue.update(wanted, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        _write(path, catalogue)
        with (COMPILED / f"{path.stem}.mo").open("wb") as file:
            write_mo(file, catalogue)
        found = faults(catalogue, wanted)
        bad += len(found)
        for fault in found:
            print(f"{path.name}: {fault}")
        print(f"{path.name}: {len(list(texts_in(catalogue)))} texts, {len(found)} to be seen to")
    return 1 if bad else 0


def _write(path: Path, catalogue: Catalog) -> None:
    """Write a catalogue without dates, so that only a change of texts changes the file."""
    with path.open("wb") as file:
        write_po(file, catalogue, omit_header=False, width=96, sort_output=False)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    dropped = (
        '"Project-Id-Version',
        '"Report-Msgid-Bugs-To',
        '"POT-Creation-Date',
        '"PO-Revision-Date',
        '"Last-Translator',
        '"Language-Team',
        '"Generated-By',
    )
    kept = [line for line in lines if not line.startswith(dropped)]
    path.write_text("".join(kept), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
