"""What people are told, in their language: sentences as facts, and the catalogues of gettext.

A sentence is made once, as `Said`: an English template and what stands in it. Whoever shows it
gives it the `Texts` of a language; ``str()`` is English, for journals, JSON and scripts. Templates
are written out where they are made (``said("...")``, or `mark` for one that is kept in a table), so
that they can be gathered into the catalogues. The standards' own words (Accept, MeterPAN, KRN) are
the same in every language.
"""

from __future__ import annotations

import gettext
import string
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from vtc07.harmless import harmless

DOMAIN: Final = "vtc07"


class Texts:
    """The texts of one language. ``language``: its code, as ``pt``."""

    def __init__(self, language: str, translations: gettext.NullTranslations) -> None:
        self.language = language
        self._translations = translations

    def __call__(self, message: str) -> str:
        """Return a template or a text in this language; in English where it is not translated."""
        return self._translations.gettext(message) if message else ""

    def plural(self, one: str, many: str, count: int) -> str:
        """Return the template for ``count`` of something."""
        try:
            return self._translations.ngettext(one, many, count)
        except ArithmeticError:  # a catalogue whose rule of plurals divides by zero
            return one if count == 1 else many


ENGLISH: Final = Texts("en", gettext.NullTranslations())


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence: ``template`` with ``{names}``, and ``values`` of them.

    ``many``: the template for another number than 1 of ``count``. A value that is `Said` itself is
    put into words in the same language. What a terminal would obey is not shown.
    """

    template: str
    values: tuple[tuple[str, Said | str | int], ...] = ()
    many: str = ""

    def words(self, texts: Texts = ENGLISH, *, isolated: bool = False) -> str:
        """Return the sentence in a language.

        ``isolated``: for a page that is written from right to left, where each value keeps its own
        direction: it stands between the characters of Unicode for that (U+2068, U+2069).
        """
        values = dict(self.values)
        count = values.get("count")
        if self.many and isinstance(count, int):
            template = texts.plural(self.template, self.many, count)
        else:
            template = texts(self.template)
        shown = {
            name: value.words(texts, isolated=isolated)
            if isinstance(value, Said)
            else _value(str(value), isolated=isolated)
            for name, value in values.items()
        }
        # A catalogue with a wrong name in it must not hide what is to be said.
        plain = self.many if self.many and count != 1 else self.template
        for each in (template, plain):
            filled = _filled(harmless(each), shown)
            if filled is not None:
                return filled
        return harmless(plain)

    def __str__(self) -> str:
        return self.words()

    def document(self) -> dict[str, Any]:
        """Return the sentence as a document for JSON, with ``text`` in English."""
        return {"text": str(self), **_parts(self)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Said:
        """Return the sentence of a document; one without a template says its ``text``."""
        template = document.get("template")
        if not isinstance(template, str):
            return said("{text}", text=str(document.get("text", "")))
        values = document.get("values", {})
        read = {n: cls.from_document(v) if isinstance(v, Mapping) else v for n, v in values.items()}
        return cls(template, tuple(read.items()), str(document.get("many", "")))


def _value(value: str, *, isolated: bool) -> str:
    return f"\u2068{harmless(value)}\u2069" if isolated and value else harmless(value)


def _filled(template: str, values: Mapping[str, str]) -> str | None:
    """Return a template with its values in it, None where it wants anything else than these.

    Templates come from catalogues and journals that others made: a name is a name here, and
    nothing that is looked up in a value, or says how wide it is to be.
    """
    text: list[str] = []
    try:
        for before, name, form, conversion in string.Formatter().parse(template):
            text.append(before)
            if name is None:
                continue
            if form or conversion or name not in values:
                return None
            text.append(values[name])
    except ValueError:  # a brace without its other one
        return None
    return "".join(text)


def _parts(sentence: Said) -> dict[str, Any]:
    values = {n: _parts(v) if isinstance(v, Said) else v for n, v in sentence.values}
    parts: dict[str, Any] = {"template": sentence.template}
    if sentence.many:
        parts["many"] = sentence.many
    return {**parts, "values": values} if values else parts


def said(template: str, **values: Said | str | int) -> Said:
    """Make a sentence of a template that is written out in the call."""
    return Said(template, tuple(values.items()))


def counted(one: str, many: str, count: int, **values: Said | str | int) -> Said:
    """Make a sentence about ``count`` of something; both templates are written out in the call."""
    return Said(one, (("count", count), *values.items()), many)


def mark(template: str) -> str:
    """Return the template; catalogues gather it from where it is marked."""
    return template


def names_in(template: str) -> frozenset[str]:
    """Return the names that stand in a template."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name)


def languages(folder: Path | None = None) -> tuple[str, ...]:
    """Return the codes of the languages there are catalogues of, English first.

    ``folder``: catalogues of the user's own, ``CODE.mo``, beside the shipped ones.
    """
    found = {path.stem for path in _shipped().glob("*.mo")}
    if folder is not None:
        found |= {path.stem for path in folder.glob("*.mo")}
    return (ENGLISH.language, *sorted(found - {ENGLISH.language}))


def texts_of(language: str, folder: Path | None = None) -> Texts:
    """Return the texts of a language, by its code or a locale's name (``pt_BR.UTF-8``).

    A user's own catalogue in ``folder`` is asked first, then the shipped one; English where there
    is none of either. ValueError: a catalogue cannot be read.
    """
    for code in _codes(language):
        translations: gettext.NullTranslations | None = None
        for place in (_shipped(), folder):
            path = None if place is None else place / f"{code}.mo"
            if path is None or not path.is_file():
                continue
            try:
                with path.open("rb") as file:
                    found = gettext.GNUTranslations(file)
            except (OSError, ValueError, UnicodeDecodeError, IndexError, struct.error) as error:
                raise ValueError(
                    f"the catalogue {path} cannot be read ({error}); compile it again"
                ) from error
            if translations is not None:
                found.add_fallback(translations)
            translations = found
        if translations is not None:
            return Texts(code, translations)
    return ENGLISH


def _codes(language: str) -> tuple[str, ...]:
    """Return the codes to look for: ``pt_BR`` before ``pt``; no folder can be named by one."""
    code = language.partition(".")[0].partition("@")[0].replace("-", "_")
    if not code.replace("_", "").isalnum():
        return ()
    return tuple(dict.fromkeys((code, code.partition("_")[0])))


def _shipped() -> Path:
    return Path(str(resources.files("vtc07.hhu"))) / "catalogues"
