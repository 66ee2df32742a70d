"""Every language says everything, with the same names in it, as it was last compiled."""

from __future__ import annotations

import ast
import gettext
from pathlib import Path

import gather
import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from jinja2 import nodes

from vtc07.hhu.texts import counted, languages, names_in, texts_of

WANTED = gather.gathered()


def test_english_french_portuguese_and_arabic_are_shipped() -> None:
    assert {"en", "fr", "pt", "ar"} <= set(languages())
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


def test_arabic_counts_in_six_forms() -> None:
    texts = texts_of("ar")
    numbers = (1, 2, 3, 10, 11, 99, 100, 102, 103, 111)
    said = [counted("{count} token", "{count} tokens", number).words(texts) for number in numbers]
    assert said == [
        "رمز واحد",
        "رمزان",
        "3 رموز",
        "10 رموز",
        "11 رمزًا",
        "99 رمزًا",
        "100 رمز",
        "102 رمز",
        "103 رموز",
        "111 رمزًا",
    ]


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


def test_what_is_wrong_in_the_forms_of_a_plural_is_found() -> None:
    catalogue, wanted = Catalog(locale="ar"), Catalog(locale="ar")
    text = ("{count} token", "{count} tokens")
    wanted.add(text)
    right = ("{count} أ", "أ", "أ", "{count} أ", "{count} أ", "{count} أ")
    catalogue.add(text, right)
    assert gather.faults(catalogue, wanted) == []
    for form, wrong in ((3, "أ"), (5, "{number} أ"), (1, "{number} أ"), (4, "")):
        catalogue[text].string = (*right[:form], wrong, *right[form + 1 :])
        assert len(gather.faults(catalogue, wanted)) == 1, form
    catalogue[text].string = right[:2]
    assert gather.faults(catalogue, wanted) == [f"2 forms of a plural: {text[1]!r}"]


def test_a_number_is_missing_only_where_there_is_one_number() -> None:
    catalogue, wanted = Catalog(locale="fr"), Catalog(locale="fr")
    said, read = ("{count} token", "{count} tokens"), ("value read", "{count} values read")
    for text in (said, read):
        wanted.add(text)
        catalogue.add(text, ("un", "{count}"))
    # French says none as it says one: without its number it would say "un" of none.
    assert gather.faults(catalogue, wanted) == [f"other names in braces: {said[1]!r}: 'un'"]


@pytest.mark.parametrize("path", gather.templates(), ids=lambda path: path.stem)
def test_every_text_of_a_page_is_written_out_with_the_names_that_are_given(path: Path) -> None:
    for call, line in gather.calls_in(path.read_text(encoding="utf-8")):
        text = gather.text_of(call)
        assert text is not None, f"line {line}"
        given = {each.key for each in call.kwargs}
        if isinstance(text, tuple):
            assert names_in(text[1]) - {"count"} == given, f"line {line}"
        elif isinstance(call.node, nodes.Name) and call.node.name == "said":
            assert names_in(text) == given, f"line {line}"


def test_texts_of_pages_are_found_wherever_they_stand() -> None:
    page = """<p title="{{ words(said('one {a}', a=1)) }}">
    {% if x %}{{ counted("two", "{count} twos", n) }}{% endif %}
    {% set ALL = (("a", mark("three")),) %}{% macro m() %}{{ t(mark("four")) }}{% endmacro %}
    {{ words(said(x)) }} {{ said("five" ~ x) }} {{ other("six") }}"""
    found = [gather.text_of(call) for call, _ in gather.calls_in(page)]
    texts = {text for text in found if text is not None}
    assert texts == {"one {a}", ("two", "{count} twos"), "three", "four"}
    assert found.count(None) == 2


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
