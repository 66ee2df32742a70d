"""``vtc07 hhu show``: a delivery's history as a sequence of messages with times."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from vtc07.cli.failure import Failure
from vtc07.cli.journalling import JournalOptions, journal_option
from vtc07.cli.language import texts_for
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.harmless import harmless
from vtc07.hhu.history.sequence import DeliverySequence, SequencePart, Step, sequence_of
from vtc07.hhu.history.sequence_text import LEAST_WIDTH, PLAIN_STROKES, STROKES, Strokes, text_lines
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.hhu.texts import Texts

_WIDTH = 80
_WIDEST = 140


@click.command(
    epilog=examples(
        "vtc07 hhu show",
        "vtc07 hhu show 12 --mask",
        "vtc07 hhu show 12 --html delivery-12.html",
    )
)
@journal_option
@json_option
@click.option("--mask", is_flag=True, help="Show no token: neither its own nor one that was read.")
@click.option("--svg", "svg_file", metavar="FILE", help="Draw it into a new SVG file.")
@click.option(
    "--html", "html_file", metavar="FILE", help="Draw it into a new page, for screen and paper."
)
@click.option(
    "--language", metavar="CODE", help="Of a file: en, fr, pt, ...; else by your environment."
)
@click.argument("delivery", required=False, type=click.IntRange(min=1))
@click.pass_obj
def show(
    output: Output,
    journal: JournalOptions,
    *,
    delivery: int | None,
    mask: bool,
    svg_file: str | None,
    html_file: str | None,
    language: str | None,
) -> None:
    """Show what passed between unit and meter for a delivery; the newest one without DELIVERY.

    Every message with its time and its meaning, pauses, reconnections, what was written down and
    when, and the result, out of the journal; also while another program writes to it. Times are
    those of this machine's zone. Tokens are shown unless --mask is given.
    """
    texts = texts_for(language, os.environ)
    with open_for_reading(journal.path) as found, found.held_still():
        number = delivery if delivery is not None else found.newest_delivery()
        if not number:
            raise Failure(f"the journal {found.path} holds no delivery yet")
        sequence = sequence_of(found, number, mask=mask)
    for name, file in (("svg", svg_file), ("page", html_file)):
        if file is not None:
            _draw(output, sequence, name, Path(file), texts)
    if output.as_json:
        output.document(_document(sequence))
    elif svg_file is None and html_file is None:
        for line in text_lines(sequence, width=_columns(), zone=None, strokes=_strokes()):
            output.line(harmless(line))


def _draw(output: Output, sequence: DeliverySequence, how: str, file: Path, texts: Texts) -> None:
    """Write a drawing into a new file for its owner alone: tokens may stand in it."""
    from vtc07.hhu.history import sequence_drawing  # noqa: PLC0415 - only for a drawing

    drawn = sequence_drawing.svg if how == "svg" else sequence_drawing.page
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Failure(f"{file} exists already; choose another name") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as made:
        made.write(drawn(sequence, texts=texts, zone=None) + "\n")
    output.note(f"delivery {sequence.number} is drawn in {file}")


def _columns() -> int:
    """Return how wide the drawing may be: the terminal's width within reason, else 80."""
    if not sys.stdout.isatty():
        return _WIDTH
    return min(max(shutil.get_terminal_size().columns, LEAST_WIDTH), _WIDEST)


def _strokes() -> Strokes:
    """Return the characters to draw with that stdout can take."""
    try:
        STROKES.text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN_STROKES
    return STROKES


# --- JSON ---------------------------------------------------------------------------------------


def _document(sequence: DeliverySequence) -> dict[str, Any]:
    return {
        "delivery": sequence.number,
        "meter_pan": sequence.meter_pan,
        "token": sequence.token,
        "opened": sequence.opened.isoformat(),
        "closed": None if sequence.closed is None else sequence.closed.isoformat(),
        "entries": sequence.writes,
        "result": None if sequence.result is None else str(sequence.result),
        "sessions": [_part(part) for part in sequence.parts],
    }


def _part(part: SequencePart) -> dict[str, Any]:
    return {
        "began": part.began.isoformat(),
        "address": part.address,
        "companion": part.companion,
        "simulated": part.is_simulated,
        "steps": [_step(step) for step in part.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    document: dict[str, Any] = {
        "entry": step.entry,
        "time": step.time.isoformat(),
        "at_ns": step.at_ns,
        "kind": step.kind.value,
    }
    if step.said is not None:
        document["text"] = str(step.said)
        return document
    return document | {
        "from": step.sender,
        "text": "\n".join(step.lines),
        "hex": step.hex,
        "took_ns": step.took_ns,
        "sound": step.sound,
        "masked": step.masked,
    }
