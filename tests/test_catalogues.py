"""Every language says everything, with the same names in it, as it was last compiled."""

from __future__ import annotations

import ast
import gettext
from pathlib import Path

import gather
import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from vtc07.hhu.texts import languages, texts_of

WANTED = gather.gathered()


def test_english_french_and_portuguese_are_shipped() -> None:
    assert {"en", "fr", "pt"} <= set(languages())
    assert {path.stem for path in gather.sources()} == set(languages()) - {"en"}


@pytest.mark.parametrize("path", gather.sources(), ids=lambda path: path.stem)
def test_everything_is_translated(path: Path) -> None:
    assert gather.faults(gather.read(path), WANTED) == []


@pytest.mark.parametrize("path", gather.sources(), ids=lambda path: path.stem)
def test_what_is_shipped_is_what_was_translated(path: Path) -> None:
    with (gather.COMPILED / f"{path.stem}.mo").open("rb") as file:
        shipped = gettext.GNUTranslations(file)
    for message in gather.texts_in(gather.read(path)):
        if isinstance(message.id, str):
            assert shipped.gettext(message.id) == message.string
        else:
            one, many = message.id
            forms = {shipped.ngettext(one, many, count) for count in range(200)}
            assert forms == set(message.string or ())


def test_a_text_of_each_language_is_said_in_it() -> None:
    said = {code: texts_of(code)("the link is lost") for code in languages()}
    assert len(set(said.values())) == len(said)


def test_the_template_for_a_new_language_is_up_to_date() -> None:
    with gather.TEMPLATE.open("rb") as file:
        template = read_po(file)
    assert [m.id for m in gather.texts_in(template)] == [m.id for m in gather.texts_in(WANTED)]


def test_what_is_wrong_in_a_catalogue_is_found() -> None:
    catalogue, wanted = Catalog(locale="fr"), Catalog(locale="fr")
    for text in ("reading {register}", "the link is lost", "no answer", "done."):
        wanted.add(text)
    catalogue.add("reading {register}", "lecture de {registre}")
    catalogue.add("the link is lost", "la liaison est perdue ")
    catalogue.add("done.", "fait.")
    catalogue.add("an old text", "un vieux texte")
    kinds = [fault.partition(":")[0] for fault in gather.faults(catalogue, wanted)]
    assert kinds == [
        "other names in braces",
        "begins or ends otherwise",
        "not translated",
        "no longer said",
    ]


def test_every_text_is_written_out_where_it_can_be_gathered() -> None:
    lost = []
    for path in sorted(gather.SOURCES.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        within = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
        hidden = {call for string in within for call in ast.walk(string)}
        for call in ast.walk(tree):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
                continue
            if call.func.id not in gather.KEYWORDS:
                continue
            literal = all(
                isinstance(argument, ast.Constant) and isinstance(argument.value, str)
                for argument in call.args[: 2 if call.func.id == "counted" else 1]
            )
            if call in hidden or not literal:
                lost.append(f"{path.name}:{call.lineno}")
    assert lost == []
