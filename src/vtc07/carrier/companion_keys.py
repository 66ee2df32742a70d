"""Reading the keys of a companion's tables: type, range, and which keys there are at all."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from vtc07.carrier.companion_tree import Node, Problem

LONGEST_TIME_MS = 3_600_000
E = TypeVar("E", bound=enum.Enum)

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    str: "text",
    list: "a list",
    dict: "a table",
    float: "a number with a point",
}


class Keys:
    """The keys of one table. Every reader reports what is wrong and then returns something usable.

    What it returns after a problem is only there so that judging can go on: `good` says whether
    keys may be compared with each other. `finish` reports the keys that nothing asked for.
    """

    def __init__(self, node: Node, path: str, problems: list[Problem]) -> None:
        self.node = node
        self._path = path
        self._problems = problems
        self._known: list[str] = []
        self._bad: set[str] = set()

    def path(self, key: str) -> str:
        """Return the dotted path of a key of this table."""
        return f"{self._path}.{key}" if self._path else key

    def has(self, key: str) -> bool:
        """Say whether the key is given."""
        return key in self.node.children

    def good(self, *keys: str) -> bool:
        """Say whether all of these keys were read without a problem."""
        return self._bad.isdisjoint(keys)

    def problem(self, key: str, message: str) -> None:
        """Report a problem at a key, or at the table where the key is not given."""
        self._bad.add(key)
        node = self.node.children.get(key, self.node)
        self._problems.append(node.problem(self.path(key), message))

    def element_problem(self, key: str, index: int, message: str) -> None:
        """Report a problem at an element of a list."""
        self._bad.add(key)
        node = self.node.children[key].elements[index]
        self._problems.append(node.problem(f"{self.path(key)}[{index}]", message))

    def table(self, key: str, *, optional: bool = False) -> Keys | None:
        """Return a table's keys, or None where it is missing or no table."""
        node = self._take(key, "a table", lambda node: node.is_table, optional=optional)
        return None if node is None else Keys(node, self.path(key), self._problems)

    def element(self, node: Node, path: str) -> Keys:
        """Return the keys of a table that is known already."""
        return Keys(node, path, self._problems)

    def tables(self, key: str) -> list[Node]:
        """Return the tables of an array of tables."""
        node = self._take(
            key,
            f"at least one [[{self.path(key)}]]",
            lambda node: bool(node.elements) and all(e.is_table for e in node.elements),
        )
        return [] if node is None else node.elements

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """Return a whole number of a range."""
        wanted = f"a whole number from {low} to {high}"
        node = self._take(
            key, wanted, lambda node: type(node.value) is int, optional=default is not None
        )
        if node is None:
            return low if default is None else default
        if not low <= node.value <= high:
            self.problem(key, f"{node.value} is out of range, {wanted} is wanted")
            return low
        return int(node.value)

    def boolean(self, key: str, *, default: bool | None = None) -> bool:
        """Return true or false."""
        node = self._take(
            key,
            "true or false",
            lambda node: isinstance(node.value, bool),
            optional=default is not None,
        )
        return bool(default) if node is None else bool(node.value)

    def text(self, key: str, wanted: str = "text", default: str | None = None) -> str:
        """Return a text of one line."""
        node = self._take(
            key, wanted, lambda node: isinstance(node.value, str), optional=default is not None
        )
        if node is None:
            return default or ""
        if any(ord(c) < 0x20 or ord(c) == 0x7F for c in node.value):
            self.problem(key, f"{node.value!r} holds control characters, {wanted} is wanted")
            return default or ""
        return str(node.value)

    def choice(self, key: str, choices: type[E], default: E | None = None) -> E:
        """Return a member of an enumeration by its value."""
        values = [str(member.value) for member in choices]
        wanted = f"one of {', '.join(values)}"
        said = self.text(key, wanted, None if default is None else str(default.value))
        fallback = next(iter(choices)) if default is None else default
        if not self.good(key):
            return fallback
        if said not in values:
            self.problem(key, f"{said!r} is not known, {meant(said, values)}{wanted} is wanted")
            return fallback
        return choices(said)

    def texts(self, key: str, wanted: str) -> list[str]:
        """Return a list of texts, perhaps empty."""
        node = self._take(
            key, wanted, lambda n: isinstance(n.value, list) and not _misfit(n, (str,))
        )
        return [] if node is None else [str(e.value) for e in node.elements]

    def integers(self, key: str, wanted: str) -> list[int]:
        """Return a list of whole numbers, perhaps empty."""
        node = self._take(
            key, wanted, lambda n: isinstance(n.value, list) and not _misfit(n, (int,))
        )
        return [] if node is None else [int(e.value) for e in node.elements]

    def at_least(
        self, values: Mapping[str, int], key: str, other: str, *, above: bool = False
    ) -> None:
        """Report a key whose value is below (``above``: at or below) that of another."""
        if self.good(key, other) and values[key] < values[other] + above:
            relation = "above" if above else "at or above"
            self.problem(key, f"{values[key]} must be {relation} {other}, which is {values[other]}")

    def finish(self) -> None:
        """Report every key of the table that was not asked for."""
        for key, node in self.node.children.items():
            if key not in self._known:
                known = ", ".join(self._known)
                self._problems.append(
                    node.problem(
                        self.path(key),
                        f"there is no such key, {meant(key, self._known)}known here: {known}",
                    )
                )

    def _take(
        self, key: str, wanted: str, fits: Callable[[Node], bool], *, optional: bool = False
    ) -> Node | None:
        self._known.append(key)
        node = self.node.children.get(key)
        if node is None:
            if not optional:
                self.problem(key, f"this key is missing, {wanted} is wanted")
            return None
        if not fits(node):
            kind = _KINDS.get(type(node.value), "a date or time")
            self.problem(key, f"{_shown(node)} is {kind}, {wanted} is wanted")
            return None
        return node


def _misfit(node: Node, kinds: tuple[type, ...]) -> bool:
    return any(type(element.value) not in kinds for element in node.elements)


def _shown(node: Node) -> str:
    if isinstance(node.value, bool):
        return str(node.value).lower()
    if isinstance(node.value, (dict, list)):
        return "this"
    text = repr(node.value) if isinstance(node.value, str) else str(node.value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def meant(said: str, known: Iterable[str]) -> str:
    """Return "did you mean ...? " where a known name is close, else nothing."""
    close = difflib.get_close_matches(said, list(known), 1)
    return f"did you mean {close[0]!r}? " if close else ""
