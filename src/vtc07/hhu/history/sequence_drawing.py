"""A delivery's history drawn as SVG, alone or within a page, and as a page of its own.

The HHU is on the left, the meter on the right, time goes downwards. Nothing is told by colour
alone: what was damaged or lost has a broken line and a cross, and says so in words. In a page the
drawing is made of strips, between which paper may end; its colours are those of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final

from vtc07.hhu.history.sequence import DeliverySequence, SequencePart, Step, StepKind
from vtc07.hhu.history.sequence_text import (
    clock,
    facts,
    part_heading,
    pause_before,
    pause_said,
    wrapped,
)
from vtc07.hhu.report.markup import Markup, element, joined, style
from vtc07.hhu.texts import ENGLISH, Texts, said

_WIDTH: Final = 720
_UNIT, _METER = 96, 708  # where the two ends stand
_LETTER: Final = 6.7  # width of a character of 11 units in a font of equal widths
_ROOM: Final = int((_METER - _UNIT - 24) / _LETTER)
_LINE: Final = 15  # height of a line of text
_STRIP: Final = 760  # a strip is no higher: less than a page of A4

_RULES: Final = """
.sq text { font: 11px ui-monospace, "Liberation Mono", "DejaVu Sans Mono", Menlo, Consolas,
  monospace; fill: var(--ink, #1a1a1a); }
.sq .sq-time, .sq .sq-quiet { fill: var(--faint, #5a5f66); }
.sq .sq-head { font-weight: 700; }
.sq .sq-life { stroke: var(--line, #c9ced6); stroke-width: 1.5; }
.sq .sq-arrow { stroke: var(--ink, #1a1a1a); stroke-width: 1.2; fill: none; }
.sq .sq-tip { fill: var(--ink, #1a1a1a); }
.sq .sq-bad { stroke: var(--refused, #c2500f); stroke-dasharray: 6 3; }
.sq .sq-cross { stroke: var(--refused, #c2500f); stroke-width: 1.8; fill: none; }
.sq .sq-event { fill: var(--done, #3b7dba); }
.sq .sq-pause { stroke: var(--faint, #5a5f66); stroke-width: 1.5; stroke-dasharray: 1.5 4; }
.sq .sq-paper { fill: var(--paper, #fff); }
"""
#: Of a drawing and of a page that stand alone: their own paper, and ink that goes with it.
_ALONE: Final = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --faint: #5a5f66; --line: #c9ced6;
  --refused: #c2500f; --done: #3b7dba; }
@media screen and (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e8eaed; --faint: #a4abb5; --line: #444b55; --refused: #f08a4b;
    --done: #4f93d2; }
}
"""
_PAGE: Final = """
@page { size: A4; margin: 15mm; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 52rem; background: var(--paper);
  color: var(--ink); font: 15px/1.45 system-ui, "Segoe UI", "Liberation Sans", sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; }
table { border-collapse: collapse; margin: 0 0 1.5rem; }
th { text-align: left; font-weight: 400; color: var(--faint); padding: .1rem 1.5rem .1rem 0;
  vertical-align: top; }
td { padding: .1rem 0; overflow-wrap: anywhere; }
figure { margin: 0; }
svg { display: block; width: 100%; height: auto; break-inside: avoid; }
"""


def svg(sequence: DeliverySequence, *, texts: Texts = ENGLISH, zone: tzinfo | None = UTC) -> Markup:
    """Return the drawing as one SVG document; ``zone``: in which times are told, None: here."""
    rows = list(_rows(sequence, texts, zone))
    height = sum(row.height for row in rows)
    paper = element("rect", class_="sq-paper", width="100%", height="100%")
    return _drawing(rows, _title(sequence, texts), style(_ALONE + _RULES), paper, size=height)


def figure(
    sequence: DeliverySequence,
    *,
    texts: Texts = ENGLISH,
    zone: tzinfo | None = UTC,
    styled: bool = True,
) -> Markup:
    """Return the drawing for a page: a figure with a strip of SVG for each piece of a sheet.

    Its colours are the page's variables ``--ink``, ``--faint``, ``--line``, ``--refused`` and
    ``--done``, where the page has them. ``styled`` False: without rules of style, for a page that
    has its own of the classes ``sq-...``, and whose policy allows none within it.
    """
    strips: list[list[_Row]] = [[]]
    height = 0
    for row in _rows(sequence, texts, zone):
        if strips[-1] and height + row.height > _STRIP:
            strips.append([])
            height = 0
        strips[-1].append(row)
        height += row.height
    title = _title(sequence, texts)
    drawn = [
        _drawing(strip, title if len(strips) == 1 else f"{title} ({n}/{len(strips)})")
        for n, strip in enumerate(strips, 1)
    ]
    rules = style(_RULES) if styled else None
    return element("figure", rules, *drawn, class_="sequence")


def page(
    sequence: DeliverySequence, *, texts: Texts = ENGLISH, zone: tzinfo | None = UTC
) -> Markup:
    """Return a page of its own, for a screen or for paper, that needs nothing else."""
    title = _title(sequence, texts)
    rows = [
        element("tr", element("th", name.words(texts), scope="row"), element("td", v.words(texts)))
        for name, v in facts(sequence, zone)
    ]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        style(_ALONE + _PAGE),
    )
    body = element(
        "body",
        element("h1", title),
        element("table", *rows),
        figure(sequence, texts=texts, zone=zone),
    )
    return joined([Markup("<!doctype html>\n"), element("html", head, body, lang=texts.language)])


def _title(sequence: DeliverySequence, texts: Texts) -> str:
    return said(
        "Delivery {number} to meter {meter}", number=sequence.number, meter=sequence.meter_pan
    ).words(texts)


# --- rows ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """A piece that no page parts: its height, what draws it from ``y`` on, and it in words.

    ``alive``: the lines of both ends go through it.
    """

    height: int
    draw: Callable[[int], Sequence[Markup]]
    words: str
    alive: bool = True


def _drawing(rows: Sequence[_Row], title: str, *first: Markup, size: int | None = None) -> Markup:
    """Return rows as one SVG; ``size``: its height, where it is a document of its own."""
    parts = [element("title", title), element("desc", "\n".join(r.words for r in rows)), *first]
    y = 0
    for row in rows:
        if row.alive:
            parts += [
                element("line", class_="sq-life", x1=x, x2=x, y1=y, y2=y + row.height)
                for x in (_UNIT, _METER)
            ]
        parts += row.draw(y)
        y += row.height
    alone = size is not None
    return element(
        "svg",
        *parts,
        class_="sq",
        xmlns="http://www.w3.org/2000/svg" if alone else None,
        width=_WIDTH if alone else None,
        height=size,
        viewBox=f"0 0 {_WIDTH} {max(y, 1)}",
        role="img",
        aria_label=title,
    )


def _rows(sequence: DeliverySequence, texts: Texts, zone: tzinfo | None) -> Iterator[_Row]:
    for part in sequence.parts:
        yield _heading(part, texts, zone)
        passed: Step | None = None
        for step in part.steps:
            time = clock(step.time, zone)
            if step.kind is StepKind.MESSAGE:
                if pause_ns := pause_before(step, passed):
                    yield _pause(pause_said(pause_ns).words(texts))
                yield _message(step, time)
                passed = step
            elif step.kind is StepKind.SPEED:
                yield _event(" ".join(step.lines), time, quiet=True)
            else:
                assert step.said is not None
                yield _event(step.said.words(texts), time)


def _text(words: str, x: int, y: int, class_: str | None = None, *, end: bool = False) -> Markup:
    return element("text", words, x=x, y=y, class_=class_, text_anchor="end" if end else None)


def _heading(part: SequencePart, texts: Texts, zone: tzinfo | None) -> _Row:
    words = part_heading(part, zone).words(texts)
    lines = wrapped(words, int(_WIDTH / _LETTER) - 1)
    ends = (said("HHU").words(texts), said("meter").words(texts))
    below = 14 + _LINE * len(lines)

    def draw(y: int) -> list[Markup]:
        return [
            *(_text(line, 2, y + 14 + _LINE * n, "sq-head") for n, line in enumerate(lines)),
            element("text", ends[0], x=_UNIT, y=y + below + 6, text_anchor="middle"),
            _text(ends[1], _METER + 10, y + below + 6, end=True),
        ]

    return _Row(below + 12, draw, words, alive=False)


def _message(step: Step, time: str) -> _Row:
    lines = [piece for line in step.lines for piece in wrapped(line, _ROOM)] or [""]
    height = 8 + _LINE * len(lines) + 8
    outward = step.sender == "client"

    def draw(y: int) -> list[Markup]:
        at = y + height - 4
        tip = _METER if outward else _UNIT
        inner = tip - 8 if outward else tip + 8
        drawn = [
            _text(time, 2, at + 4, "sq-time"),
            *(_text(line, _UNIT + 12, y + 16 + _LINE * n) for n, line in enumerate(lines)),
            element(
                "line", x1=_UNIT, x2=_METER, y1=at, y2=at,
                class_="sq-arrow" if step.sound else "sq-arrow sq-bad",
            ),
            element(
                "polygon", class_="sq-tip",
                points=f"{tip},{at} {inner},{at - 4} {inner},{at + 4}",
            ),
        ]  # fmt: skip
        if not step.sound:
            x = inner - 10 if outward else inner + 10
            cross = f"M{x - 5},{at - 5}L{x + 5},{at + 5}M{x - 5},{at + 5}L{x + 5},{at - 5}"
            drawn.append(element("path", d=cross, class_="sq-cross"))
        return drawn

    direction = "→" if outward else "←"
    return _Row(height, draw, f"{time} {direction} {' '.join(step.lines)}")


def _event(words: str, time: str, *, quiet: bool = False) -> _Row:
    lines = wrapped(words, _ROOM)
    height = 8 + _LINE * len(lines) + 2

    def draw(y: int) -> list[Markup]:
        drawn = [
            _text(time, 2, y + 16, "sq-time"),
            *(
                _text(line, _UNIT + 12, y + 16 + _LINE * n, "sq-quiet" if quiet else None)
                for n, line in enumerate(lines)
            ),
        ]
        if not quiet:
            drawn.append(element("circle", cx=_UNIT, cy=y + 12, r=4, class_="sq-event"))
        return drawn

    return _Row(height, draw, f"{time} {words}")


def _pause(words: str) -> _Row:
    def draw(y: int) -> list[Markup]:
        return [
            element("line", class_="sq-pause", x1=x, x2=x, y1=y + 2, y2=y + 23)
            for x in (_UNIT, _METER)
        ] + [_text(words, _UNIT + 12, y + 16, "sq-quiet")]

    return _Row(24, draw, words, alive=False)
