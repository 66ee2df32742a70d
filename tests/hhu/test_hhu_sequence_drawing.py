"""Message sequences drawn: in text of any width, as SVG, as a page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta, timezone
from html.parser import HTMLParser

import pytest
from hhu_bench import PAN, credit, wall_clock
from recorded_unit import pulled_at_the_ack, tokens, unit

from vtc07.carrier.companion_file import load_companion
from vtc07.hhu.delivery import resolve_earlier, send
from vtc07.hhu.history.sequence import DeliverySequence, StepKind, sequence_of
from vtc07.hhu.history.sequence_drawing import figure, page, svg
from vtc07.hhu.history.sequence_text import PLAIN_STROKES, STROKES, text_lines

SVG = "{http://www.w3.org/2000/svg}"
TOKEN = credit()
GROUPED = " ".join(TOKEN[at : at + 4] for at in range(0, 20, 4))


def recorded(*, mask: bool) -> DeliverySequence:
    """A delivery with lost messages, reconnections, and a late result."""
    with unit(load_companion("electricity"), fault=pulled_at_the_ack) as made:
        made.run(send(made.session, made.journal, tokens(TOKEN), wall_clock=wall_clock))
        made.meter.line.fault = None
        made.meter.line.plug()
        made.run(resolve_earlier(made.session, made.journal, wall_clock=wall_clock))
        return sequence_of(made.journal, 1, mask=mask)


@pytest.fixture(scope="module")
def sequence() -> DeliverySequence:
    return recorded(mask=False)


@pytest.fixture(scope="module")
def masked() -> DeliverySequence:
    return recorded(mask=True)


def steps(sequence: DeliverySequence) -> Iterator[tuple[str, str]]:
    """The time and the words of every step, as they are to be found in a drawing."""
    for part in sequence.parts:
        for step in part.steps:
            time = f"{step.time:%H:%M:%S}.{step.time.microsecond // 1000:03}"
            yield time, str(step.said) if step.said is not None else " ".join(step.lines)


def words(text: str) -> str:
    return re.sub(r"[^0-9A-Za-z.:#]+", " ", text).strip()


@pytest.mark.parametrize("width", [60, 80, 132])
def test_text_holds_everything_within_its_width(sequence: DeliverySequence, width: int) -> None:
    drawn = list(text_lines(sequence, width=width))
    assert max(len(line) for line in drawn) <= width
    body = drawn[drawn.index("") :]
    assert all(len(line) in (0, width) for line in body[3:])
    told = words(" ".join(body))
    at = 0
    for time, said in steps(sequence):
        at = told.index(time, at)
        at = told.index(words(said), at)
    assert told.count("s without a message") == 13
    assert f"token                 {GROUPED}" in drawn


def test_a_narrower_terminal_gets_the_narrowest_drawing(sequence: DeliverySequence) -> None:
    assert list(text_lines(sequence, width=20)) == list(text_lines(sequence, width=60))


def test_directions_and_losses_are_drawn(sequence: DeliverySequence) -> None:
    drawn = list(text_lines(sequence))
    assert any(re.search(r"│── IDRequest to any meter ─+▶│$", line) for line in drawn)
    assert any(re.search(r"│◀── IDResponse VTC .*─+│$", line) for line in drawn)
    lost = [line for line in drawn if "✗" in line]
    assert len(lost) == 1 + 3 * 4
    assert sum("✗▶│" in line for line in lost) == 3 * 4
    assert sum("● " in line for line in drawn) == sum(
        step.kind is not StepKind.MESSAGE for part in sequence.parts for step in part.steps
    )


def test_ascii_alone_draws_it_too(sequence: DeliverySequence) -> None:
    drawn = "\n".join(text_lines(sequence, strokes=PLAIN_STROKES))
    assert drawn.isascii()
    assert not STROKES.text.isascii()
    assert "|-- IDRequest to any meter ---" in drawn


def test_times_are_told_in_the_zone_that_is_wanted(sequence: DeliverySequence) -> None:
    drawn = "\n".join(text_lines(sequence, zone=timezone(timedelta(hours=2))))
    assert "2026-03-01 14:30:00" in drawn
    assert "14:30:00.020 │" in drawn
    assert "12:30" not in drawn


def test_no_drawing_of_a_masked_sequence_shows_a_token(masked: DeliverySequence) -> None:
    drawings = ["\n".join(text_lines(masked)), svg(masked), figure(masked), page(masked)]
    for drawing in drawings:
        assert "#" * 20 in drawing
        for piece in (TOKEN, GROUPED, TOKEN[:4] + " ", TOKEN[-4:] + ","):
            assert piece not in drawing
    assert "not shown" in drawings[0]


def test_svg_is_a_document_that_holds_every_step_in_its_order(sequence: DeliverySequence) -> None:
    root = ET.fromstring(svg(sequence))
    assert root.tag == f"{SVG}svg"
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == f"Delivery 1 to meter {PAN}"
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    shown = []
    for text in root.iter(f"{SVG}text"):
        x, y = float(text.attrib["x"]), float(text.attrib["y"])
        assert 0 <= x <= width
        assert 0 < y < height
        if text.attrib.get("text-anchor") is None:
            assert x + 6.7 * len(text.text or "") <= width  # the font's width of a character
        shown.append((y, x, text.text or ""))
    left = [text for _, x, text in sorted(shown) if x < 90]
    assert [text for text in left if text.startswith("12:3")] == [t for t, _ in steps(sequence)]
    told = words(" ".join(text for _, x, text in sorted(shown) if x > 90))
    at = 0
    for _, said in steps(sequence):
        at = told.index(words(said), at)
    crosses = [e for e in root.iter() if e.attrib.get("class") == "sq-cross"]
    broken = [e for e in root.iter() if "sq-bad" in e.attrib.get("class", "")]
    assert len(crosses) == len(broken) == 1 + 3 * 4
    arrows = [e for e in root.iter() if "sq-arrow" in e.attrib.get("class", "")]
    assert len(arrows) == len(list(root.iter(f"{SVG}polygon")))
    described = root.find(f"{SVG}desc")
    assert described is not None
    assert "whether the entry arrived is unknown" in (described.text or "")


class Outside(HTMLParser):
    """Gathers whatever a page would fetch or run, and its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = {"src", "href", "srcset", "data", "action"}
        self.found += [f"{tag} {n}" for n, _ in attrs if n in names or n.startswith("on")]
        if tag in ("script", "link", "iframe", "object"):
            self.found.append(tag)


def test_a_page_stands_alone_and_its_strips_fit_on_paper(sequence: DeliverySequence) -> None:
    written = page(sequence)
    parser = Outside()
    parser.feed(written)
    assert parser.found == []
    assert "http" not in written
    assert "@import" not in written
    assert "url(" not in written
    heights = [int(h) for h in re.findall(r'viewBox="0 0 720 (\d+)"', written)]
    assert len(heights) > 1
    assert max(heights) <= 760
    whole = re.search(r'viewBox="0 0 720 (\d+)"', svg(sequence))
    assert whole is not None
    assert sum(heights) == int(whole[1])
    assert parser.tags.count("svg") == len(heights)
    assert '<html lang="en">' in written


def test_what_stands_in_an_address_is_text(sequence: DeliverySequence) -> None:
    evil = '</text><script>alert("1")</script>'
    parts = tuple(replace(part, address=evil) for part in sequence.parts)
    for drawing in (svg(replace(sequence, parts=parts)), page(replace(sequence, parts=parts))):
        assert "<script" not in drawing
        assert "&lt;script&gt;" in drawing


def test_braces_in_what_a_meter_says_are_text(sequence: DeliverySequence) -> None:
    (part,) = sequence.parts
    odd = tuple(
        replace(step, lines=("IDResponse {x} {0}",), kind=StepKind.SPEED)
        if step.kind is StepKind.MESSAGE
        else step
        for step in part.steps
    )
    changed = replace(sequence, parts=(replace(part, steps=odd, address="{y}"),))
    assert any("{x} {0}" in line for line in text_lines(changed))
    assert "{x} {0}" in svg(changed)


def test_an_open_delivery_says_so(sequence: DeliverySequence) -> None:
    still_open = replace(sequence, result=None, closed=None)
    drawn = " ".join(text_lines(still_open))
    assert "open: nobody knows yet what became of it" in drawn
    assert "open: nobody knows yet" in page(still_open)
