"""Sentences as facts, and the catalogues of other languages."""

from __future__ import annotations

import gettext
import json
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.events import Failure
from vtc07.carrier.status import ErrorCode
from vtc07.hhu.carrier_texts import ERRORS, FAILURES
from vtc07.hhu.texts import ENGLISH, Said, Texts, counted, languages, names_in, said, texts_of


def _catalogue(folder: Path, code: str, **messages: str) -> None:
    catalogue = Catalog(locale=code)
    for english, other in messages.items():
        catalogue.add(english.replace("_", " "), other)
    with (folder / f"{code}.mo").open("wb") as file:
        write_mo(file, catalogue)


def test_a_sentence_within_a_sentence_is_in_the_same_language(tmp_path: Path) -> None:
    catalogue = Catalog(locale="fr")
    catalogue.add("no session with {meter}", "pas de session avec {meter}")
    catalogue.add("meter {address}", "le compteur {address}")
    catalogue.add(("{count} token", "{count} tokens"), ("{count} jeton", "{count} jetons"))
    with (tmp_path / "fr.mo").open("wb") as file:
        write_mo(file, catalogue)
    french = texts_of("fr_CA.UTF-8", tmp_path)
    sentence = said("no session with {meter}", meter=said("meter {address}", address="7"))
    assert sentence.words(french) == "pas de session avec le compteur 7"
    assert str(sentence) == "no session with meter 7"
    assert [counted("{count} token", "{count} tokens", n).words(french) for n in (0, 1, 2)] == [
        "0 jeton",
        "1 jeton",
        "2 jetons",
    ]
    assert str(counted("{count} token", "{count} tokens", 0)) == "0 tokens"


def test_a_catalogue_with_a_wrong_name_hides_nothing() -> None:
    class Wrong(gettext.NullTranslations):
        def gettext(self, message: str) -> str:
            return "tout va bien {metre} {"

    assert said("meter {address} is lost", address="7").words(Texts("fr", Wrong())) == (
        "meter 7 is lost"
    )


@pytest.mark.parametrize(
    "template", ["{text:>999999999}", "{text.__class__}", "{text!r}", "{text[0]}", "{", "{0}", "{}"]
)
def test_a_template_of_others_names_values_and_nothing_else(template: str) -> None:
    class Theirs(gettext.NullTranslations):
        def gettext(self, message: str) -> str:
            return template

    assert said("it is {text}", text="so").words(Texts("fr", Theirs())) == "it is so"
    document = {"template": template, "values": {"text": "so"}}
    assert str(Said.from_document(document)) == template


def test_a_value_commands_no_terminal_and_is_no_template() -> None:
    evil = "\x1b]0;owned\x07\x9b2J\u202e\ud800{x}"
    assert str(said("meter {pan}", pan=evil)) == "meter ?]0;owned??2J??{x}"
    assert str(said("{why}", why=said("{text}\n\té", text="\r"))) == "?\n\té"
    assert [str(Said(text)) for text in ("\x1b{x}", "\x1bx")] == ["?{x}", "?x"]


def test_a_rule_of_plurals_that_divides_by_zero_hides_nothing() -> None:
    class Dividing(gettext.NullTranslations):
        def ngettext(self, one: str, many: str, n: int) -> str:
            return (one, many)[n // 0]

    tokens = counted("{count} token", "{count} tokens", 2)
    assert tokens.words(Texts("fr", Dividing())) == "2 tokens"


@pytest.mark.parametrize("content", [b"", b"\xde\x12\x04\x95", b"\xde\x12\x04\x95" + 16 * b"\xff"])
def test_a_damaged_catalogue_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fr.mo").write_bytes(content)
    with pytest.raises(ValueError, match=r"fr\.mo cannot be read"):
        texts_of("fr", tmp_path)


@given(st.text())
def test_any_name_of_a_language_gives_texts(language: str) -> None:
    texts = texts_of(language)
    assert texts.language in languages()
    assert texts("") == ""


def test_a_language_of_the_users_own(tmp_path: Path) -> None:
    _catalogue(tmp_path, "sw", token="tokeni")
    assert "sw" in languages(tmp_path)
    assert "sw" not in languages()
    assert texts_of("sw", tmp_path)("token") == "tokeni"
    assert texts_of("sw")("token") == "token"
    assert texts_of("sw") is ENGLISH


def test_a_broken_catalogue_is_named(tmp_path: Path) -> None:
    (tmp_path / "sw.mo").write_bytes(b"no catalogue")
    with pytest.raises(ValueError, match=r"sw\.mo cannot be read"):
        texts_of("sw", tmp_path)


def test_the_carriers_sentences_are_gathered() -> None:
    assert {failure.value for failure in Failure} == set(FAILURES)
    assert {error.value for error in ErrorCode} == set(ERRORS)


def test_names_in_a_template() -> None:
    assert names_in("{a} of {b}, {a}") == {"a", "b"}
    assert Said("plain").words() == "plain"


def test_a_sentence_is_kept_as_a_document_and_said_in_any_language_later() -> None:
    inner = said("delivery {number}", number=3)
    sentence = counted("{count} token of {what}", "{count} tokens of {what}", 2, what=inner)
    document = json.loads(json.dumps(sentence.document()))
    assert document["text"] == "2 tokens of delivery 3"
    assert Said.from_document(document) == sentence
    assert str(Said.from_document({"text": "{as it is}"})) == "{as it is}"
