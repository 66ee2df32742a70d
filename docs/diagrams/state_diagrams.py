"""Draws the state tables of the carrier as SVG: ``make diagrams``.

One state is the hub (Idle, no command), and the others stand in a column beside it. Arrows that
neither begin nor end at the hub are short ones on the right that name the state they lead to. The
drawing is made from the tables alone and is the same, byte for byte, as long as they are. It
brings its own background, so it can be read on a dark page as well.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from vtc07.carrier.client import BEGINS
from vtc07.carrier.exchange.hhu_states import HHU_BEGINS, HHU_TABLE
from vtc07.carrier.exchange.meter_states import METER
from vtc07.carrier.states import CLIENT, SERVER, ClientState

Table = Mapping[Any, Mapping[Any, Any]]

FONT, LINE, APART = 14, 19, 7  # px; APART: between two labels of an arrow
PLAIN, BOLD = 8.2, 9.6  # px; more than a character's average width, whatever font is found
MARGIN, PAD, GAP = 24, 12, 34
WRAPPED = 46  # characters of a label's line
NAMED = 20  # characters of a line of a state's name
LOOP = 40  # how far a loop stands out
MANY = 4  # so many inputs with one action at one state are "everything else"

STYLE = f"""\
text {{ font: {FONT}px Helvetica, Arial, sans-serif; fill: #1f2328; }}
.panel {{ fill: #ffffff; stroke: #d0d7de; }}
.state {{ fill: #ddf4ff; stroke: #0969da; stroke-width: 1.5; }}
.name {{ font-weight: bold; }}
.action {{ fill: #0550ae; font-style: italic; }}
.note {{ fill: #59636e; }}
.goal {{ fill: #59636e; }}
path {{ fill: none; stroke: #1f2328; stroke-width: 1.3; }}
.begun {{ stroke-dasharray: 6 4; }}
marker path {{ fill: #1f2328; stroke: none; }}"""


@dataclass(frozen=True)
class Label:
    """Inputs that have the same action, one below the other, and the action."""

    inputs: tuple[str, ...]
    action: str

    def lines(self) -> list[tuple[str, str]]:
        """Return class and text of each line."""
        found = [
            ("input" if first else "input more", line)
            for text in self.inputs
            for first, line in _wrap(text)
        ]
        return found + [
            ("action" if first else "action more", line)
            for first, line in _wrap(f"/ {self.action}")
            if self.action
        ]


@dataclass
class Arrow:
    """All transitions from one state to another, or to itself."""

    source: Enum
    target: Enum
    labels: list[Label] = field(default_factory=list)
    begun: bool = False

    def lines(self) -> list[tuple[int, str, str]]:
        """Return place, class and text of each line; the place is counted from the first."""
        found: list[tuple[int, str, str]] = []
        place = 0
        for label in self.labels:
            for kind, line in label.lines():
                found.append((place, kind, line))
                place += LINE
            place += APART if label.action else 0
        return found

    @property
    def height(self) -> int:
        """How high its labels are."""
        return self.lines()[-1][0] + LINE

    @property
    def width(self) -> int:
        """How wide its labels are at most."""
        return _width((line for _, _, line in self.lines()), PLAIN)


def arrows(table: Table) -> list[Arrow]:
    """Return the arrows of a table."""
    found: list[Arrow] = []
    for source, row in table.items():
        for target in table:
            by_action: dict[str, list[str]] = {}
            for heard, (goes, action) in row.items():
                if goes is target:
                    by_action.setdefault(action.value, []).append(heard.value)
            if not by_action:
                continue
            most = max(by_action, key=lambda action: len(by_action[action]))
            labels = []
            if source is target and len(by_action[most]) >= MANY:
                count = len(by_action.pop(most))
                labels.append(Label((_rest(count, len(row)),), most))
            others = [Label(tuple(inputs), action) for action, inputs in by_action.items()]
            found.append(Arrow(source, target, others + labels))
    return found


def begun(begins: Mapping[type, Any], hub: Enum) -> list[Arrow]:
    """Return the arrows of commands that begin, which are no inputs of a client's table."""
    found: dict[Enum, Arrow] = {}
    for command, state in begins.items():
        arrow = found.setdefault(state, Arrow(hub, state, begun=True))
        arrow.labels.append(Label((command.__name__,), ""))
    return list(found.values())


def draw(title: str, table: Table, more: Iterable[Arrow] = ()) -> str:
    """Return the diagram of a table whose first state is the hub."""
    hub, *others = table
    every = [*arrows(table), *more]
    out = {arrow.target: arrow for arrow in every if arrow.source is hub}
    back = {arrow.source: arrow for arrow in every if arrow.target is hub}
    loops = {arrow.source: arrow for arrow in every if arrow.source is arrow.target}
    aside = {
        state: [
            arrow for arrow in every if arrow.source is state and arrow.target not in (state, hub)
        ]
        for state in others
    }

    hub_x = MARGIN
    hub_width = _width(_named(hub), BOLD) + 2 * PAD
    lane_x = hub_x + hub_width
    lanes = {state: [found[state] for found in (out, back) if state in found] for state in others}
    lane = max(arrow.width for found in lanes.values() for arrow in found) + 2 * PAD
    box_x = lane_x + lane + PAD
    box_width = max(_width(_named(state), BOLD) for state in others) + 2 * PAD
    list_x = box_x + box_width + LOOP + PAD
    listed = {
        state: [*([loops[state]] if state in loops else []), *aside[state]] for state in others
    }
    width = list_x + max(arrow.width for found in listed.values() for arrow in found) + MARGIN

    body: list[str] = []
    top = y = MARGIN
    for state in others:
        left = sum(arrow.height + 2 * PAD for arrow in lanes[state])
        right = sum(_listed(arrow) + PAD for arrow in listed[state])
        height = max(left, right, LINE * len(_named(state)) + 2 * PAD)
        body += _box(state, box_x, y, box_width, height)
        at = y + (height - left) // 2 + 4 - PAD
        for arrow in lanes[state]:
            at += arrow.height + 2 * PAD
            ends = (lane_x, box_x) if arrow.source is hub else (box_x, lane_x)
            body += _line(arrow, *ends, at)
        at = y + (height - right + PAD) // 2
        for arrow in listed[state]:
            if arrow.source is arrow.target:
                body += _loop(arrow, box_x + box_width, at + _listed(arrow) // 2)
            else:
                body += _aside(arrow, box_x + box_width, at + FONT)
            at += _listed(arrow) + PAD
        y += height + GAP
    body += _box(hub, hub_x, top, hub_width, y - GAP - top)
    if hub in loops:
        body += _loop_below(loops[hub], hub_x + hub_width // 2, y - GAP, lane_x + PAD)
        y += max(LOOP, loops[hub].height) - LINE
    y += LINE - GAP + 2 * PAD
    note = "input / what is done" + ("; dashed: a command begins" if more else "")
    body.append(f'<text class="note" x="{width - MARGIN}" y="{y}" text-anchor="end">{note}</text>')
    height = y + MARGIN

    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
                f' viewBox="0 0 {width} {height}" role="img">'
            ),
            f"<title>{escape(title)}</title>",
            f"<style>\n{STYLE}\n</style>",
            (
                '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9"'
                ' markerHeight="9" orient="auto"><path d="M0 0 10 5 0 10z"/></marker></defs>'
            ),
            (
                f'<rect class="panel" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}"'
                ' rx="8"/>'
            ),
            *body,
            "</svg>",
            "",
        ]
    )


def _rest(count: int, of: int) -> str:
    return "whatever happens" if count == of else "everything else"


def _wrap(text: str) -> list[tuple[bool, str]]:
    return [(not n, line) for n, line in enumerate(textwrap.wrap(text, WRAPPED))]


def _named(state: Enum) -> list[str]:
    return textwrap.wrap(state.value, NAMED)


def _width(lines: Iterable[str], character: float) -> int:
    return int(max(len(line) for line in lines) * character)


def _box(state: Enum, x: int, y: int, width: int, height: int) -> list[str]:
    names = _named(state)
    first = y + (height - LINE * len(names)) // 2 + FONT
    return [
        (
            f'<g data-state={quoteattr(state.value)}><rect class="state" x="{x}" y="{y}"'
            f' width="{width}" height="{height}" rx="10"/>'
        ),
        *(
            f'<text class="name" x="{x + width // 2}" y="{first + n * LINE}"'
            f' text-anchor="middle">{escape(name)}</text>'
            for n, name in enumerate(names)
        ),
        "</g>",
    ]


def _arrow(arrow: Arrow, path: str, x: int, first: int) -> list[str]:
    """Draw an arrow and its labels, the first line of which stands on ``first``."""
    dashed = ' class="begun"' if arrow.begun else ""
    return [
        (
            f"<g data-from={quoteattr(arrow.source.value)} data-to={quoteattr(arrow.target.value)}>"
            f'<path{dashed} d="{path}" marker-end="url(#head)"/>'
        ),
        *(
            f'<text class="{kind}" x="{x + (12 if "action" in kind or "more" in kind else 0)}"'
            f' y="{first + place}">{escape(line)}</text>'
            for place, kind, line in arrow.lines()
        ),
        "</g>",
    ]


def _line(arrow: Arrow, begin: int, end: int, y: int) -> list[str]:
    labels = y - arrow.height + FONT - 8
    return _arrow(arrow, f"M{begin} {y}H{end}", min(begin, end) + PAD, labels)


def _loop(arrow: Arrow, x: int, middle: int) -> list[str]:
    path = f"M{x} {middle - 12}C{x + LOOP} {middle - 30} {x + LOOP} {middle + 30} {x} {middle + 12}"
    return _arrow(arrow, path, x + LOOP + PAD // 2, middle - arrow.height // 2 + FONT)


def _listed(arrow: Arrow) -> int:
    """Return the height of an arrow on the right: one that leads elsewhere names the state."""
    return arrow.height + (0 if arrow.source is arrow.target else LINE)


def _aside(arrow: Arrow, x: int, first: int) -> list[str]:
    text_x = x + LOOP + PAD // 2
    opening, *texts, closing = _arrow(arrow, f"M{x} {first - 5}h{LOOP}", text_x, first + LINE)
    goal = f'<text class="goal" x="{text_x}" y="{first}">to {escape(arrow.target.value)}:</text>'
    return [opening, goal, *texts, closing]


def _loop_below(arrow: Arrow, x: int, y: int, labels: int) -> list[str]:
    path = f"M{x - 12} {y}C{x - 30} {y + LOOP} {x + 30} {y + LOOP} {x + 12} {y}"
    return _arrow(arrow, path, labels, y + FONT + PAD)


def main(folder: Path) -> None:
    """Write all diagrams into a folder."""
    for name, text in {
        "server.svg": draw("The states of the server", SERVER),
        "client.svg": draw("The states of the client", CLIENT, begun(BEGINS, ClientState.READY)),
        "hand-held-unit.svg": draw(
            "The states of a hand-held unit of IEC 62056-21",
            HHU_TABLE,
            begun(HHU_BEGINS, next(iter(HHU_TABLE))),
        ),
        "meter-port.svg": draw("The states of a meter's port of IEC 62056-21", METER),
    }.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
