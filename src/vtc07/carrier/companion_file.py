"""Companion files: finding, reading, deriving one from another (docs/companion.md).

What a file must hold is judged in `companion_rules`. The only I/O is the reading of the named file
or of a shipped one.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable
from functools import cache
from importlib import resources
from pathlib import Path

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_rules import judge
from vtc07.carrier.companion_tree import Node, Problem, derive, located, nodes
from vtc07.carrier.registers import ValueRefused
from vtc07.carrier.toml_lines import locate

#: Takes the value of ``extends`` and the source that says it; returns the source and text of the
#: file meant, or raises LookupError or OSError.
Resolve = Callable[[str, str], tuple[str, str]]

LONGEST_CHAIN = 8
#: A file of a companion is no longer than so many bytes; the shipped ones have less than 20,000.
LONGEST_FILE = 1024 * 1024
_SHIPPED_PREFIX = "shipped:"
_TOO_LARGE = "a whole number has more than 64 bits, a smaller one is wanted"
_LONG_NUMBER = re.compile(r"[0-9_]{3000}")  # `int` refuses more than 4300 digits, without a place
#: A key of so many parts that `tomllib` would take memory and time by their square.
_LONG_KEY = re.compile(
    r"""(?<![\w-])(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){200}"""
)
_TOML_LINE = re.compile(r"(.*) \(at line ([0-9]+), column ([0-9]+)\)", re.DOTALL)


class CompanionError(ValueError):
    """A companion that cannot be used: ``problems`` holds every one that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def shipped_companions() -> tuple[str, ...]:
    """Return the names of the companions that come with the package, in alphabetical order."""
    return tuple(
        sorted(
            entry.name.removesuffix(".toml")
            for entry in resources.files("vtc07.carrier").joinpath("companions").iterdir()
            if entry.name.endswith(".toml")
        )
    )


def load_companion(name_or_path: str | Path) -> Companion:
    """Return a shipped companion by name, or that of a file by path; else raise CompanionError.

    A text that is a shipped name means that one, even if a file is called so; ``./name`` or a
    `Path` means the file.
    """
    if isinstance(name_or_path, str) and name_or_path in shipped_companions():
        return _load_shipped(name_or_path)
    source = str(name_or_path)
    try:
        text = _read(Path(name_or_path))
    except OSError as error:
        raise CompanionError([Problem(source, 0, "", _unreadable(source, error))]) from error
    except ValueError as error:  # a NUL
        problem = f"{source!r} can be the name of no file"
        raise CompanionError([Problem(repr(source), 0, "", problem)]) from error
    return parse_companion(text, source)


def parse_companion(text: str, source: str, resolve: Resolve | None = None) -> Companion:
    """Return the companion that a TOML text describes, or raise CompanionError.

    ``source`` stands in problems and gives the companion its name; ``resolve`` finds what
    ``extends`` names: by default a shipped companion or a file relative to ``source``.
    """
    companion, problems = _parse(text, source, resolve or _resolve)
    if companion is None:
        raise CompanionError(problems)
    return companion


def check(text: str, source: str, resolve: Resolve | None = None) -> list[Problem]:
    """Return every problem of a companion's text; an empty list if it can be used."""
    return _parse(text, source, resolve or _resolve)[1]


def companion_by_identity(
    flag: str, identification: str, among: Iterable[Companion] | None = None
) -> Companion | None:
    """Return the one companion that an IDResponse speaks of, or None.

    FLAG letters (the third in either case: a lower-case one only announces a fast meter), FOIN
    and tableID are compared; these two as far as the companion lays them out. ``among``: by
    default the shipped companions.
    """
    candidates = map(load_companion, shipped_companions()) if among is None else among
    found = [c for c in candidates if c.flag.upper() == flag.upper() and _fits(c, identification)]
    return found[0] if len(found) == 1 else None


def _fits(companion: Companion, identification: str) -> bool:
    said = {"tableID": companion.table.table_id, "FOIN": companion.table.foin}
    at = 0
    for register in companion.identification:
        width = register.width or 0
        try:
            value = register.decode(identification[at : at + width])
        except ValueRefused:
            return False
        if value != said.get(register.name, value):
            return False
        at += width
    return at == len(identification) or not companion.identification


@cache
def _load_shipped(name: str) -> Companion:
    source, text = _resolve(name, _SHIPPED_PREFIX)
    return parse_companion(text, source)


def _resolve(name: str, said_in: str) -> tuple[str, str]:
    if name in shipped_companions():
        file = resources.files("vtc07.carrier").joinpath("companions", f"{name}.toml")
        return f"{_SHIPPED_PREFIX}{name}.toml", file.read_text(encoding="utf-8")
    if said_in.startswith(_SHIPPED_PREFIX):
        raise LookupError(_unknown(name))
    path = Path(said_in).parent / name
    try:
        return str(path), _read(path)
    except ValueError as error:
        raise LookupError(f"{name!r} can be the name of no file") from error
    except OSError as error:
        raise LookupError(_unreadable(name, error)) from error


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(LONGEST_FILE + 1)
    if len(data) > LONGEST_FILE:  # /dev/zero, for instance
        raise OSError(f"it is longer than {LONGEST_FILE} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise OSError(f"byte {error.start} is not UTF-8, which a TOML file must be") from error


def _unknown(name: str) -> str:
    shipped = shipped_companions()
    close = difflib.get_close_matches(name, shipped, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"no companion {name!r}: {hint}shipped are {', '.join(shipped)}"


def _unreadable(name: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{_unknown(name)}, and there is no such file"
    return f"the file cannot be read: {error.strerror or error}"


def _parse(text: str, source: str, resolve: Resolve) -> tuple[Companion | None, list[Problem]]:
    problems: list[Problem] = []
    tree = _chain(text, source, resolve, problems)
    if tree is None:
        return None, problems
    name = Path(source.removeprefix(_SHIPPED_PREFIX)).stem
    companion = judge(tree, name, problems)
    # A problem of the rules may stand before one of the chain: people read from the top.
    problems.sort(key=lambda p: (p.source != source, p.source, p.line))
    return (None, problems) if problems else (companion, problems)


def _chain(text: str, source: str, resolve: Resolve, problems: list[Problem]) -> Node | None:
    """Read a file and all that it extends, and lay one over the other, the oldest first."""
    trees: list[Node] = []
    seen = [source]
    while True:
        tree = _tree(text, source, problems)
        if tree is None:
            return None
        trees.append(tree)
        extends = tree.children.get("extends")
        if extends is None:
            break
        if not isinstance(extends.value, str):
            problems.append(extends.problem("extends", "the name or path of a companion is wanted"))
            return None
        try:
            source, text = resolve(extends.value, source)
        except (LookupError, OSError) as error:
            message = str(error.args[0]) if error.args else "it cannot be found"
            problems.append(extends.problem("extends", message))
            return None
        if source in seen:
            circle = " extends ".join([*seen, source])
            problems.append(extends.problem("extends", f"no companion may extend itself: {circle}"))
            return None
        seen.append(source)
        if len(seen) > LONGEST_CHAIN:
            problems.append(
                extends.problem("extends", f"at most {LONGEST_CHAIN} files may build on each other")
            )
            return None
    merged = Node({}, trees[-1].source, trees[-1].line)
    for tree in reversed(trees):
        merged = derive(merged, tree, problems)
    return merged


def _tree(text: str, source: str, problems: list[Problem]) -> Node | None:
    too_deep = Problem(source, 0, "", "arrays or tables are nested too deeply")
    if _LONG_KEY.search(text):
        problems.append(too_deep)
        return None
    try:
        tree = located(tomllib.loads(text), locate(text), source)
    except tomllib.TOMLDecodeError as error:
        match = _TOML_LINE.fullmatch(str(error))
        line = int(match[2]) if match else text.count("\n") + 1
        said = f"{match[1]} in column {match[3]}" if match else str(error)
        problems.append(Problem(source, line, "", f"this is not TOML: {said}"))
    except RecursionError:
        problems.append(too_deep)
    except ValueError:
        lines = enumerate(text.split("\n"), 1)
        line = next((number for number, said in lines if _LONG_NUMBER.search(said)), 0)
        problems.append(Problem(source, line, "", _TOO_LARGE))
    else:
        large = next((node for node in nodes(tree) if _is_too_large(node.value)), None)
        if large is None:
            return tree
        problems.append(large.problem("", _TOO_LARGE))
    return None


def _is_too_large(value: object) -> bool:
    """Say whether this is a number that no TOML file may hold and no message could show."""
    return isinstance(value, int) and value.bit_length() > 64
