"""Markup of HTML and SVG that escapes by itself: what is not made by `element` is text.

There is no way to put markup into a page but `element`, so a note that reads ``<script>`` is shown
as these characters. A page has a hundred lines of layout and is written a meter at a time, so a
template library would be one more dependency for what one function does.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterable
from typing import Final

#: What no page can hold: controls, halves of characters, characters that are none.
_NO_TEXT: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_VOID: Final = frozenset({"br", "col", "hr", "img", "meta"})


class Markup(str):
    """Markup that is safe to put into a page as it is; only `element` and `joined` make it."""

    __slots__ = ()


Content = Markup | str | int | None


def escaped(text: str) -> Markup:
    """Return a text as markup that shows it; what no page can hold is shown as U+FFFD."""
    return Markup(html.escape(_NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)))


def joined(parts: Iterable[Content]) -> Markup:
    """Return markup and texts behind one another as one markup; None is nothing."""
    return Markup("".join(_markup(part) for part in parts))


def element(name: str, /, *content: Content, **attributes: str | int | None) -> Markup:
    """Return an element with what stands in it.

    ``attributes``: ``class_`` is ``class``, ``aria_label`` is ``aria-label``; None is left out.
    ValueError: a name that is none, or content in an element that cannot have any.
    """
    given: list[str] = []
    for key, value in attributes.items():
        if value is None:
            continue
        attribute = key.removesuffix("_").replace("_", "-")
        _check(attribute)
        given.append(f' {attribute}="{escaped(str(value))}"')
    _check(name)
    opening = f"<{name}{''.join(given)}>"
    if name in _VOID:
        if content:
            raise ValueError(f"a {name} element holds nothing")
        return Markup(opening)
    return Markup(f"{opening}{joined(content)}</{name}>")


def style(rules: str) -> Markup:
    """Return a style element; texts in it go through `quoted`.

    ValueError where ``rules`` could end the element.
    """
    if "</" in rules or "<!" in rules:
        raise ValueError("rules of style hold no tags")
    return Markup(f"<style>{rules}</style>")


def quoted(text: str) -> str:
    """Return a text as a string of CSS: everything but letters and digits is a number in it."""
    clean = _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text).replace("\n", " ").replace("\t", " ")
    shown = "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in clean)
    return f'"{shown}"'


def _markup(part: Content) -> str:
    if part is None:
        return ""
    return part if isinstance(part, Markup) else escaped(str(part))


@functools.lru_cache(maxsize=256)  # the same few names again and again
def _check(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no name of an element or an attribute")
