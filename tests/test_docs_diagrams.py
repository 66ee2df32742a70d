"""The state diagrams in docs/ are those of the tables: drawn anew, read back, nothing overlaps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from vtc07.carrier.client import BEGINS
from vtc07.carrier.exchange.hhu_states import HHU_BEGINS, HHU_TABLE
from vtc07.carrier.exchange.meter_states import METER
from vtc07.carrier.states import CLIENT, SERVER

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "diagrams"
SVG = "{http://www.w3.org/2000/svg}"
MACHINES: dict[str, Mapping[Any, Mapping[Any, Any]]] = {
    "server": SERVER,
    "client": CLIENT,
    "meter-port": METER,
    "hand-held-unit": HHU_TABLE,
}
COMMANDS = {"client": BEGINS, "hand-held-unit": HHU_BEGINS}
REST = ("everything else", "whatever happens")
FONT = 14
PLAIN, BOLD = 8.2, 9.6  # px a character, rather too wide


def drawing(name: str) -> ET.Element:
    return ET.fromstring((FOLDER / f"{name}.svg").read_text(encoding="utf-8"))


def labels(group: ET.Element) -> list[tuple[list[str], str]]:
    """Return inputs and action of each label of an arrow."""
    texts: list[tuple[str, str]] = []
    for line in group.iter(f"{SVG}text"):
        kind, _, more = line.attrib["class"].partition(" ")
        text = line.text or ""
        if kind == "goal":
            assert text == f"to {group.attrib['data-to']}:"
            continue
        if more:  # of the line before
            kind, begun = texts.pop()
            text = f"{begun} {text}"
        texts.append((kind, text))
    found: list[tuple[list[str], str]] = []
    inputs: list[str] = []
    for kind, text in texts:
        if kind == "input":
            inputs.append(text)
        else:
            found.append((inputs, text.removeprefix("/ ")))
            inputs = []
    return found + ([(inputs, "")] if inputs else [])


def test_they_are_what_is_drawn_today(tmp_path: Path) -> None:
    subprocess.run([sys.executable, FOLDER / "state_diagrams.py", tmp_path], check=True)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(f"{name}.svg" for name in MACHINES)
    for name in names:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), "make diagrams"


@pytest.mark.parametrize("name", MACHINES)
def test_every_transition_of_the_table_is_in_the_drawing(name: str) -> None:
    table = MACHINES[name]
    shown: dict[str, dict[str, tuple[str, str]]] = {state.value: {} for state in table}
    rest: dict[str, tuple[str, str]] = {}
    begun: dict[str, list[str]] = {}
    for group in drawing(name).iter(f"{SVG}g"):
        if "data-from" not in group.attrib:
            continue
        source, target = group.attrib["data-from"], group.attrib["data-to"]
        for inputs, action in labels(group):
            if not action:
                begun[target] = inputs
            for heard in inputs if action else ():
                if heard in REST:
                    rest[source] = (target, action)
                else:
                    assert heard not in shown[source]
                    shown[source][heard] = (target, action)
    for state, row in table.items():
        for heard, (goes, action) in row.items():
            found = shown[state.value].pop(heard.value, None) or rest[state.value]
            assert found == (goes.value, action.value)
    assert not any(shown.values())
    starts: dict[str, list[str]] = {}
    for command, waits in COMMANDS.get(name, {}).items():
        starts.setdefault(waits.value, []).append(command.__name__)
    assert begun == starts


@pytest.mark.parametrize("name", MACHINES)
def test_nothing_overlaps(name: str) -> None:
    root = drawing(name)
    width, height = int(root.attrib["width"]), int(root.attrib["height"])
    boxes = []
    for text in root.iter(f"{SVG}text"):
        bold = text.attrib["class"] == "name"
        wide = len(text.text or "") * (BOLD if bold else PLAIN)
        x, y = int(text.attrib["x"]), int(text.attrib["y"])
        left = x - {"middle": wide / 2, "end": wide}.get(text.attrib.get("text-anchor", ""), 0)
        boxes.append((left, y - FONT + 2, left + wide, y + 3, text.text, bold))
    states = [
        [float(box.attrib[name]) for name in ("x", "y", "width", "height")]
        for box in root.iter(f"{SVG}rect")
        if box.attrib["class"] == "state"
    ]
    for one, other in combinations(boxes, 2):
        apart = one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]
        assert apart, f"{one[4]!r} and {other[4]!r}"
    for left, top, right, bottom, said, bold in boxes:
        assert left >= 0, said
        assert top >= 0, said
        assert right <= width, said
        assert bottom <= height, said
        inside = [x <= left and right <= x + w and y <= top and bottom <= y + h
                  for x, y, w, h in states]  # fmt: skip
        outside = [right <= x or x + w <= left or bottom <= y or y + h <= top
                   for x, y, w, h in states]  # fmt: skip
        assert sum(inside) == bold, said
        assert sum(outside) == len(states) - bold, said
