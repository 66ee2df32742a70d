"""Gathers what the program says, brings the catalogues up to date, and compiles them.

``python catalogues/gather.py`` (``make catalogues``) after every change of a text: each ``CODE.po``
in this folder is given the texts it lacks, without a translation, loses those that are no longer
said, and is compiled to where the program finds it. A new language is a new ``CODE.po``: copy
``vtc07.pot``. Exit code 1: something is not translated, or badly; it is listed.
"""

from __future__ import annotations

import gettext
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes

from vtc07.hhu.texts import DOMAIN, names_in

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent / "src" / "vtc07"
COMPILED = SOURCES / "hhu" / "catalogues"
TEMPLATE = HERE / f"{DOMAIN}.pot"

#: Stands in what is compiled, so that only a change of texts changes it.
NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)
#: The calls whose literal arguments are texts, and which of their arguments.
KEYWORDS = {"said": None, "mark": None, "counted": (1, 2)}


def gathered() -> Catalog:
    """Return every text that the program says, in the order of its files, pages last."""
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
    for path in templates():
        file = path.relative_to(SOURCES.parent.parent).as_posix()
        for call, line in calls_in(path.read_text(encoding="utf-8")):
            text = text_of(call)
            if text is None:
                raise ValueError(f"{file}:{line}: a text that is not written out")
            catalogue.add(text, None, [(file, 0)])
    return catalogue


def templates() -> list[Path]:
    """Return the templates of pages."""
    return sorted((SOURCES / "web" / "templates").rglob("*.html"))


def calls_in(template: str) -> list[tuple[nodes.Call, int]]:
    """Return the calls of a template that have texts, with the lines they stand in."""
    return [
        (call, call.lineno)
        for call in Environment(autoescape=True).parse(template).find_all(nodes.Call)
        if isinstance(call.node, nodes.Name) and call.node.name in KEYWORDS
    ]


def text_of(call: nodes.Call) -> str | tuple[str, str] | None:
    """Return the text of a call, with its plural if it has one; None where it is made elsewhere."""
    count = 2 if isinstance(call.node, nodes.Name) and call.node.name == "counted" else 1
    texts = [
        argument.value
        for argument in call.args[:count]
        if isinstance(argument, nodes.Const) and isinstance(argument.value, str)
    ]
    if len(texts) < count:
        return None
    return texts[0] if count == 1 else (texts[0], texts[1])


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
    single = single_forms(catalogue)
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
        if not isinstance(mine.string, str) and len(others) != catalogue.num_plurals:
            found.append(f"{len(others)} forms of a plural: {english!r}")
        allowed = names_in(english)
        # A form for one number alone may do without it, and that of 1 where English does.
        bare = set(single)
        if not isinstance(message.id, str) and "count" not in names_in(message.id[0]):
            bare.add(gettext.c2py(catalogue.plural_expr)(1))
        for form, other in enumerate(others):
            may_lack = {"count"} if len(others) > 1 and form in bare else set()
            if not allowed - may_lack <= names_in(other) <= allowed:
                found.append(f"other names in braces: {english!r}: {other!r}")
            if other.strip() != other or other.endswith(".") != english.endswith("."):
                found.append(f"begins or ends otherwise: {english!r}: {other!r}")
    found += [f"no longer said: {text!r}" for text in here]
    return found


def single_forms(catalogue: Catalog) -> frozenset[int]:
    """Return which forms of a plural are for one number alone, as three of Arabic's six."""
    rule = gettext.c2py(catalogue.plural_expr)
    forms = [rule(count) for count in range(1000)]
    return frozenset(form for form in forms if forms.count(form) == 1)


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
        catalogue.creation_date = catalogue.revision_date = NO_DATE
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
