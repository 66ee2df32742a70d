"""A companion file as a tree of values that know where they stand, and one laid over another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vtc07.carrier.toml_lines import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a companion: ``line`` from 1, 0 where no line can be named.

    ``key`` is the dotted path of the key, empty where the file as a whole is meant.
    """

    source: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        """Return the one sentence for people."""
        line = f", line {self.line}" if self.line else ""
        key = f"{self.key}: " if self.key else ""
        return f"{self.source}{line}: {key}{self.message}"


@dataclass(slots=True)
class Node:
    """A value with its file and line. Tables have ``children``, arrays ``elements``."""

    value: Any
    source: str
    line: int
    children: dict[str, Node] = field(default_factory=dict)
    elements: list[Node] = field(default_factory=list)

    @property
    def is_table(self) -> bool:
        """True for a table, inline ones too."""
        return isinstance(self.value, dict)

    def problem(self, key: str, message: str) -> Problem:
        """Return a problem that stands where this value does."""
        return Problem(self.source, self.line, key, message)


def located(value: Any, lines: Mapping[Path, int], source: str, path: Path = ()) -> Node:
    """Return the tree of a parsed TOML value with the lines that `toml_lines.locate` found."""
    node = Node(value, source, lines.get(path, 1))
    if isinstance(value, dict):
        node.children = {k: located(v, lines, source, (*path, k)) for k, v in value.items()}
    elif isinstance(value, list):
        node.elements = [located(v, lines, source, (*path, i)) for i, v in enumerate(value)]
    return node


def nodes(tree: Node) -> Iterator[Node]:
    """Give a value and all that is in it, in the file's order."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed((*node.children.values(), *node.elements))


def derive(base: Node, over: Node, problems: list[Problem]) -> Node:
    """Lay a file over the one it extends, table by table and key by key; neither is changed.

    A key of ``over`` replaces that of ``base``, arrays as a whole; only registers are laid over
    each other by address, and ``table.remove`` takes registers of the base away first.
    """
    merged = _lay(
        _without(base, "register"), _without(_without_remove(over), "register"), is_root=True
    )
    registers = _registers(base, over, problems)
    if registers is not None:
        merged.children["register"] = registers
    return merged


def _without(node: Node, key: str) -> Node:
    children = {k: v for k, v in node.children.items() if k != key}
    return Node(node.value, node.source, node.line, children, node.elements)


def _without_remove(over: Node) -> Node:
    table = over.children.get("table")
    if table is None or "remove" not in table.children:
        return over
    children = dict(over.children) | {"table": _without(table, "remove")}
    return Node(over.value, over.source, over.line, children, over.elements)


def _lay(base: Node, over: Node, *, is_root: bool = False) -> Node:
    if not (base.is_table and over.is_table):
        return over
    children = dict(base.children)
    for key, node in over.children.items():
        children[key] = _lay(children[key], node) if key in children else node
    # A table that both files have is named where the last of them has it.
    return Node(over.value, over.source, over.line if not is_root else 1, children)


def _registers(base: Node, over: Node, problems: list[Problem]) -> Node | None:
    inherited = base.children.get("register")
    own = over.children.get("register")
    kept = list(inherited.elements) if inherited is not None else []
    table = over.children.get("table")
    remove = table.children.get("remove") if table is not None else None
    if remove is not None:
        kept = _remove(kept, remove, problems)
    if own is None:
        if inherited is None:
            return None
        return Node([], inherited.source, inherited.line, elements=kept)
    if not own.elements:
        return own  # not an array of tables: the rules say what is wrong
    places = {_address(node): i for i, node in enumerate(kept) if _address(node) is not None}
    again: dict[str | None, int] = {}
    for node in own.elements:
        address = _address(node)
        if address is None:
            kept.append(node)
        elif address in again:
            problems.append(
                node.children["address"].problem(
                    f"register[{address}].address",
                    f"the address {address} stands in line {again[address]} already: "
                    "one [[register]] an address",
                )
            )
        else:
            again[address] = node.line
            if address in places:
                kept[places[address]] = _lay(kept[places[address]], node)
            else:
                kept.append(node)
    return Node([], own.source, own.line, elements=kept)


def _remove(kept: list[Node], remove: Node, problems: list[Problem]) -> list[Node]:
    if not isinstance(remove.value, list) or not all(isinstance(e, str) for e in remove.value):
        problems.append(
            remove.problem("table.remove", 'a list of addresses is wanted, such as ["0030"]')
        )
        return kept
    addresses = {_address(node) for node in kept}
    gone = set()
    for index, element in enumerate(remove.elements):
        address = element.value.upper()
        if address in addresses:
            gone.add(address)
        else:
            problems.append(
                element.problem(
                    f"table.remove[{index}]",
                    f"the companion extended has no [[register]] with address {element.value!r}",
                )
            )
    return [node for node in kept if _address(node) not in gone]


def _address(node: Node) -> str | None:
    """Return a register's address in the case in which addresses are compared."""
    address = node.children.get("address")
    if address is None or not isinstance(address.value, str):
        return None
    return address.value.upper()
