"""The locator: on which line of a TOML text each key stands."""

from __future__ import annotations

import tomllib
import tracemalloc
from importlib import resources
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtc07.carrier.companion_file import check
from vtc07.carrier.toml_lines import Path, locate

SAMPLE = '''\
title = "a # no comment" # a comment
"quoted key".'and this'.bare = 1

  [ table . "sub" ]   # header
  1stKCT = 2
list = [
  1, [2, 3], # two in one line
  # nothing here ]
  "]", """
[no.header]
no = key
""" ,
]
inline = { a = 1, b.c = [ { d = 2 }, { d = 3 } ] }
after = \'\'\'
''quotes''\'\'\'
last = """ends in quotes"""""
date = 1979-05-27 07:32:00Z

[[entry]]
name = "one"
[entry.part]
x = 1
[[entry.more]]
y = 1
[[entry.more]]
y = 2
[[entry]]
name = "two"
[[entry.more]]
y = 3
[table]
z = "\\"] # still a string"
'''


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 1),
        (("quoted key",), 2),
        (("quoted key", "and this", "bare"), 2),
        (("table", "sub"), 4),
        (("table", "sub", "1stKCT"), 5),
        (("table", "sub", "list"), 6),
        (("table", "sub", "list", 0), 7),
        (("table", "sub", "list", 1, 1), 7),
        (("table", "sub", "list", 2), 9),
        (("table", "sub", "list", 3), 9),
        (("table", "sub", "inline", "a"), 14),
        (("table", "sub", "inline", "b", "c", 1, "d"), 14),
        (("table", "sub", "after"), 15),
        (("table", "sub", "last"), 17),
        (("table", "sub", "date"), 18),
        (("entry",), 20),
        (("entry", 0), 20),
        (("entry", 0, "name"), 21),
        (("entry", 0, "part", "x"), 23),
        (("entry", 0, "more", 0), 24),
        (("entry", 0, "more", 1, "y"), 27),
        (("entry", 1), 28),
        (("entry", 1, "name"), 29),
        (("entry", 1, "more", 0, "y"), 31),
        (("table",), 32),
        (("table", "z"), 33),
    ],
)
def test_every_form_of_toml_is_located(path: Path, line: int, line_end: str) -> None:
    tomllib.loads(SAMPLE)  # it is TOML
    assert locate(SAMPLE.replace("\n", line_end))[path] == line


def paths(value: Any, path: Path = ()) -> set[Path]:
    found = {path} if path else set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found |= paths(inner, (*path, index))
    return found


def test_nothing_is_missing_and_nothing_invented() -> None:
    assert set(locate(SAMPLE)) == paths(tomllib.loads(SAMPLE))


@pytest.mark.parametrize("name", ["electricity", "water", "gas", "time"])
def test_every_key_of_the_shipped_files_stands_on_its_line(name: str) -> None:
    file = resources.files("vtc07.carrier").joinpath("companions", f"{name}.toml")
    text = file.read_text(encoding="utf-8")
    rows = text.splitlines()
    found = locate(text)
    assert set(found) == paths(tomllib.loads(text))
    for path, line in found.items():
        keys = [key for key in path if isinstance(key, str)]
        if isinstance(path[-1], str):
            assert keys[-1] in rows[line - 1]


# --- texts made line by line, so that the right line of every key is known -------------------

BARE = st.text("abcXYZ019_-", min_size=1, max_size=6)
ANY_KEY = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=6
)
CONTROL = {c: f"\\u{c:04X}" for c in [*range(0x20), *range(0x7F, 0xA0)]}


def basic(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').translate(CONTROL) + '"'


@st.composite
def spelled_key(draw: st.DrawFn) -> tuple[str, str]:
    """Return a key and one way to write it."""
    if draw(st.booleans()):
        bare = draw(BARE)
        return bare, bare
    key = draw(ANY_KEY)
    if "'" not in key and draw(st.booleans()) and key.isprintable():
        return key, f"'{key}'"
    return key, basic(key)


SCALARS = st.one_of(
    st.integers().map(str),
    st.sampled_from(["true", "1.5e3", "inf", "1979-05-27", "1979-05-27 07:32:00.5", "0xFF"]),
    st.text(max_size=8).filter(lambda t: t.isprintable()).map(basic),
    st.sampled_from(["'#'", "'['", '"="', '"\\""', "''", '""', "'''a'''", '"""b\\""""']),
    st.sampled_from(
        ['"""\n[x]\n"""', "'''\n\n#'''", '"""\\\n  joined"""', '"""q"""""', "''''q''''"]
    ),
)


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> tuple[str, dict[Path, int]]:
    """Return a value's text and the lines, from 0, of what is inside it."""
    kind = draw(st.sampled_from(["scalar", "array", "inline"])) if depth else "scalar"
    lines: dict[Path, int] = {}
    if kind == "scalar":
        return draw(SCALARS), lines
    if kind == "array":
        text = "["
        for index in range(draw(st.integers(0, 3))):
            text += draw(st.sampled_from(["", " ", "\n", "# ] , [\n", "\n\t"]))
            at = text.count("\n")
            inner, inner_lines = draw(values(depth - 1))
            lines[(index,)] = at
            lines |= {(index, *path): at + line for path, line in inner_lines.items()}
            text += inner + draw(st.sampled_from(["", " ", "\n", " # ,\n"])) + ","
        return text + draw(st.sampled_from(["", "\n"])) + "]", lines
    parts = []
    at = 0
    for key, spelled in draw(st.lists(spelled_key(), max_size=3, unique_by=lambda k: k[0])):
        inner, inner_lines = draw(values(depth - 1))
        lines[(key,)] = at
        lines |= {(key, *path): at + line for path, line in inner_lines.items()}
        parts.append(f" {spelled} = {inner}")
        at += inner.count("\n")
    return "{" + ",".join(parts) + " }", lines


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[Path, int]]:
    text = ""
    lines: dict[Path, int] = {}
    arrays: dict[str, int] = {}
    keys = draw(st.lists(spelled_key(), min_size=1, max_size=6, unique_by=lambda k: k[0]))
    table: Path = ()
    used: set[Path] = set()
    for key, spelled in keys:
        text += draw(st.sampled_from(["", "\n", "# [comment]\n", "  \t\n"]))
        form = draw(st.sampled_from(["header", "array", "none"]))
        for _ in range(draw(st.integers(1, 3)) if form == "array" else 1):
            line = text.count("\n") + 1
            if form == "header":
                table = (key,)
                lines[table] = line
                text += f"[ {spelled} ] # header\n"
            elif form == "array":
                index = arrays[key] = arrays.get(key, -1) + 1
                table = (key, index)
                lines.setdefault((key,), line)
                lines[table] = line
                text += f"[[{spelled}]]\n"
            for inner, inner_spelled in draw(
                st.lists(spelled_key(), max_size=3, unique_by=lambda k: k[0])
            ):
                if (*table, inner) in used or (not table and inner in dict(keys)):
                    continue
                used.add((*table, inner))
                line = text.count("\n") + 1
                value, inside = draw(values())
                lines[(*table, inner)] = line
                lines |= {(*table, inner, *path): line + at for path, at in inside.items()}
                text += f" {inner_spelled} = {value} # comment\n"
    return text, lines


@settings(max_examples=300)
@given(document=documents())
def test_made_texts_are_located_as_they_were_made(document: tuple[str, dict[Path, int]]) -> None:
    text, lines = document
    data = tomllib.loads(text)
    assert locate(text) == lines
    assert set(lines) == paths(data)


@settings(max_examples=300)
@given(text=st.text("ab.=\"'[]{},#\n \\1", max_size=60))
def test_whatever_tomllib_takes_is_located_whole(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(locate(text)) == paths(data)


@pytest.mark.parametrize("part", ["a", '"a b"', "'a'"])
@pytest.mark.parametrize("key", ["{} = 1", "[{}]", "[[{}]]", "x = {{ {} = 1 }}"])
def test_a_key_of_endless_parts_takes_no_endless_memory(part: str, key: str) -> None:
    text = f"# one\n{key.format(' . '.join([part] * 3000))}\n"
    tracemalloc.start()
    try:
        (problem,) = check(text, "x.toml")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "nested too deeply" in problem.message
    assert peak < 4_000_000


def test_texts_without_end_are_no_keys_of_endless_parts() -> None:
    for said in ("a" * 200_000, "a . " * 100, "-" * 200_000, "'\"" * 50_000):
        (problem, *_) = check(f'x = "{said}', "x.toml")
        assert "not TOML" in problem.message
