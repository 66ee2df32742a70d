"""On which line of a TOML text each key stands; `tomllib` reads the values but tells no lines."""

from __future__ import annotations

import tomllib
from bisect import bisect_right

#: Keys from the root down; array elements, tables among them, are numbered from 0.
Path = tuple[str | int, ...]

_SPACE = " \t"
_BARE_END = frozenset(",]}#\n")


def locate(text: str) -> dict[Path, int]:
    """Map every key, table and array element of a valid TOML text to its line, from 1.

    A table is where its header stands; one without a header, where its first key is named. The
    text must be one that `tomllib.loads` accepts; of another the result means nothing, and
    ValueError or IndexError may be raised.
    """
    return _Scanner(text.replace("\r\n", "\n")).scan()


class _Scanner:
    """Walks over the text once; checks nothing, since tomllib has."""

    def __init__(self, text: str) -> None:
        self._text = text + "\n"
        self._at = 0
        self._line_starts = [0, *(i + 1 for i, c in enumerate(text) if c == "\n")]
        self._lines: dict[Path, int] = {}
        self._array_lengths: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip_blank():
            line = self._line()
            if self._text.startswith("[[", self._at):
                self._at += 2
                *outer, last = self._key()
                array = (*self._open(outer, line), last)
                index = self._array_lengths.get(array, 0)
                self._array_lengths[array] = index + 1
                self._lines.setdefault(array, line)
                table = (*array, index)
                self._lines[table] = line
                self._at += 2
            elif self._text[self._at] == "[":
                self._at += 1
                *outer, last = self._key()
                table = (*self._open(outer, line), last)
                self._lines[table] = line  # a header says more than an earlier sub-table's did
                self._at += 1
            else:
                self._assignment(table)
        return self._lines

    def _open(self, keys: list[str], line: int) -> Path:
        """Return the path of a header's outer tables: of an array of tables, its last one."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            self._lines.setdefault(path, line)
            if path in self._array_lengths:
                path = (*path, self._array_lengths[path] - 1)
        return path

    def _assignment(self, table: Path) -> None:
        line = self._line()
        path = table
        for key in self._key():
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        match self._text[self._at]:
            case '"' | "'":
                self._string()
            case "[":
                self._at += 1
                index = 0
                while self._skip_blank() and self._text[self._at] != "]":
                    self._lines[(*path, index)] = self._line()
                    self._value((*path, index))
                    index += 1
                    self._skip_comma()
                self._at += 1
            case "{":
                self._at += 1
                while self._skip_blank() and self._text[self._at] != "}":
                    self._assignment(path)
                    self._skip_comma()
                self._at += 1
            case _:
                while self._text[self._at] not in _BARE_END:
                    self._at += 1

    def _skip_comma(self) -> None:
        if self._skip_blank() and self._text[self._at] == ",":
            self._at += 1

    def _key(self) -> list[str]:
        """Read a dotted key up to what follows it."""
        keys = []
        while True:
            self._skip(_SPACE)
            start = self._at
            if self._text[start] in "\"'":
                self._string()
                quoted = self._text[start : self._at]
                keys.append(str(tomllib.loads(f"key = {quoted}")["key"]))
            else:
                while self._text[self._at] not in " \t.=]":
                    self._at += 1
                keys.append(self._text[start : self._at])
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return keys
            self._at += 1

    def _string(self) -> None:
        quote = self._text[self._at]
        long = self._text.startswith(3 * quote, self._at)
        end = 3 * quote if long else quote
        self._at += len(end)
        while not self._text.startswith(end, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
            if self._at >= len(self._text):
                raise ValueError("a string does not end")
        self._at += len(end)
        if long:  # up to two quotes may stand before the three that end the string
            for _ in range(2):
                if self._text[self._at] == quote:
                    self._at += 1

    def _skip(self, chars: str) -> None:
        while self._text[self._at] in chars:
            self._at += 1

    def _skip_blank(self) -> bool:
        """Go to the next character that is no space, line end or comment; False at the end."""
        while self._at < len(self._text):
            if self._text[self._at] == "#":
                self._at = self._text.index("\n", self._at)
            elif self._text[self._at] not in " \t\n":
                return True
            else:
                self._at += 1
        return False

    def _line(self) -> int:
        return bisect_right(self._line_starts, self._at)
