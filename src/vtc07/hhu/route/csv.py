"""Lines of a route in CSV, as spreadsheet programs and people write it, one at a time.

Comma, semicolon, tab or ``|`` between the columns, found by the header; quotes; CR LF; a byte-order
mark; ``sep=;`` in front. Whatever length a file has, one line of it is in memory.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

from vtc07.hhu.route.findings import Finding, RouteUnreadable, error, warning
from vtc07.hhu.route.row import COLUMNS, RawToken, Row, listed, means_a_column, shown, unknown_name
from vtc07.hhu.texts import Said, counted, said

_SEPARATORS: Final = ",;\t|"
_SAID_SEPARATOR: Final = re.compile(r'"?sep=(.)"?[,;\t|]*', re.IGNORECASE)
#: A number as long as a DRN or longer, at the beginning of a line.
_LIKE_A_STOP: Final = re.compile(r'[\r\n]+[ "]*[0-9]{11,18}[ "]*[,;\t|]')
#: No line of a route is longer; one that is means that this is something else.
LONGEST_LINE: Final = 100_000


def rows(file: TextIO, source: str) -> Iterator[Row]:
    """Yield the lines of a file; RouteUnreadable where it is no route at all.

    ``file`` is opened with ``newline=""`` and ``errors="surrogateescape"``.
    """
    lines = _lines(file, source)
    line, first = _first_line(lines, source)
    separator = None
    if match := _SAID_SEPARATOR.fullmatch(first.strip()):
        separator = match[1]
        line, first = _first_line(lines, source)
    separator = separator or max(_SEPARATORS, key=lambda s: _known(_cells(first, s)))
    header = _header(_cells(first, separator), line, source)
    reader = csv.reader(
        (text for _, text in lines), delimiter=separator, strict=True, skipinitialspace=True
    )
    begin = line + 1
    for attempt in itertools.count():  # after an error the reader goes on with the next line
        del attempt
        try:
            cells = next(reader, None)
        except csv.Error:
            yield _torn(begin, line + reader.line_num)
        else:
            if cells is None:
                return
            yield _row(begin, header, cells)
        begin = line + reader.line_num + 1


def _lines(file: TextIO, source: str) -> Iterator[tuple[int, str]]:
    for number in itertools.count(1):
        line = file.readline(LONGEST_LINE)
        if not line:
            return
        if line.endswith("\x1a"):  # the end of a file, to old systems
            line = line.rstrip("\x1a")
        if len(line) == LONGEST_LINE:
            what = said("this line has more than {longest} characters", longest=LONGEST_LINE)
            raise RouteUnreadable(source, error(number, "not-a-route", what, _what_is_wanted()))
        yield number, line


def _first_line(lines: Iterator[tuple[int, str]], source: str) -> tuple[int, str]:
    for number, line in lines:
        if line.strip(' \t\r\n",;|\ufeff'):
            return number, line.lstrip("\ufeff")
    what = said("there is nothing in it")
    raise RouteUnreadable(source, error(0, "empty-file", what, _what_is_wanted()))


def _what_is_wanted() -> Said:
    return said(
        "a route is a CSV file whose first line is {header}, or a JSON file",
        header=",".join(COLUMNS),
    )


# --- the header -----------------------------------------------------------------------------------


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return line.split(separator)


def _known(cells: Sequence[str]) -> int:
    return sum(cell.strip().lower() in COLUMNS for cell in cells)


def _header(cells: Sequence[str], line: int, source: str) -> tuple[str, ...]:
    """Return the columns in their order, "" for one without a name."""
    header = _names(cells)
    if not _known(cells) and not any(map(means_a_column, header)):
        what = said("the first line does not name the columns")
        raise RouteUnreadable(source, error(line, "no-header", what, _what_is_wanted()))
    for place, name in enumerate(header):
        if name and name not in COLUMNS:
            written = repr(shown(cells[place].strip()))
            what = said("there is no column {name}", name=written)
            raise RouteUnreadable(source, error(line, "unknown-column", what, unknown_name(name)))
        if name and name in header[:place]:
            what = said("the column {name} stands there twice", name=name)
            advice = said("put both into one, with ';' between them")
            raise RouteUnreadable(source, error(line, "column-twice", what, advice))
    if "meter" not in header:
        what = said("there is no column meter")
        raise RouteUnreadable(source, error(line, "no-meter-column", what, _what_is_wanted()))
    return header


# --- a line ---------------------------------------------------------------------------------------


def _row(line: int, header: tuple[str, ...], cells: Sequence[str]) -> Row:
    joined = "".join(cells)
    if not joined.strip():
        return Row(line, blank=True, findings=() if len(cells) < 2 else (_empty(line),))
    if "meter" in joined.lower() and _is_header(cells):
        return _header_again(line, header, cells)
    texts = dict(zip(header, cells, strict=False))
    findings = []
    unnamed = [c for name, c in zip(header, cells, strict=False) if not name]
    if "".join([*unnamed, *cells[len(header) :]]).strip():
        what = counted(
            "it has {count} value where the first line names {columns} columns",
            "it has {count} values where the first line names {columns} columns",
            len(cells),
            columns=sum(map(bool, header)),
        )
        advice = said(
            'put a value that holds the separator into quotes ("), as several tokens in one cell'
        )
        findings.append(error(line, "too-many-values", what, advice))
    if any(_LIKE_A_STOP.search(cell) for cell in cells if len(cell) > 11):
        what = said("a cell holds a new line, and what follows it looks like a stop of its own")
        advice = said('look for a quote (") that is not closed')
        findings.append(warning(line, "quotes", what, advice))
    return Row(
        line,
        texts.get("meter", ""),
        texts.get("place", ""),
        tuple(RawToken(text) for text in listed(texts.get("deliver", ""))),
        listed(texts.get("write", "")),
        listed(texts.get("read", "")),
        texts.get("notes", ""),
        tuple(findings),
    )


def _empty(line: int) -> Finding:
    what = said("this line is empty, and left out")
    return warning(line, "empty-line", what, said("take it out, or fill in what is missing"))


def _is_header(cells: Sequence[str]) -> bool:
    names = _names(cells)
    return "meter" in names and all(name in COLUMNS for name in names if name)


def _names(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell.strip(" \t\ufeff").lower() for cell in cells)


def _header_again(line: int, header: tuple[str, ...], cells: Sequence[str]) -> Row:
    """Judge a line that names the columns once more, as where files were put together."""
    if _names(cells) == header:
        what = said("the columns are named once more, as above")
        finding = warning(line, "header-again", what, said("take this line out"))
        return Row(line, findings=(finding,), blank=True)
    what = said("the columns are named once more, in another order")
    advice = said("what follows would be misread: make it a file of its own")
    return Row(line, findings=(error(line, "header-again", what, advice),), torn=True)


def _torn(begin: int, end: int) -> Row:
    if begin == end:
        what = said('a quote (") in this line is not where one may be')
    else:
        what = said(
            'a quote (") is not closed, or stands where none may be, up to line {end}', end=end
        )
    advice = said('quotes go around a whole cell, and one within it is written twice: ""')
    return Row(begin, findings=(error(begin, "quotes", what, advice),), torn=True)
