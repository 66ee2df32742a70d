"""A delivery's history drawn in text: the HHU on the left, the meter on the right, time downwards.

Nothing is cut off: what is too long for a line goes on below. Nothing is told by colour.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

from vtc07.hhu.history.sequence import DeliverySequence, SequencePart, Step, StepKind
from vtc07.hhu.texts import ENGLISH, Said, Texts, said
from vtc07.trace.values import grouped

#: A pause on the line that is worth a line of its own, in ns.
LONG_PAUSE_NS: Final = 1_000_000_000
#: Fewer columns than these have no room for both ends.
LEAST_WIDTH: Final = 60

#: Blanks at which no line is broken: in a token, and before what belongs to a word.
_TOGETHER = re.compile(r"(?<=[0-9]{4}) (?=[0-9]{4}\b)|(?<=BCC) | (?=\()")
_NO_BREAK = "\N{NO-BREAK SPACE}"
_TIME_WIDTH = 12  # 00:14:08.625
_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Strokes:
    """The characters of which a drawing is made."""

    life: str
    line: str
    right: str
    left: str
    event: str
    pause: str
    torn: str

    @property
    def text(self) -> str:
        """All of them: whoever can show these can show the drawing."""
        return "".join(getattr(self, name) for name in self.__slots__)


STROKES: Final = Strokes("│", "─", "▶", "◀", "●", "⋮", "✗")
#: For terminals and files that hold nothing but ASCII.
PLAIN_STROKES: Final = Strokes("|", "-", ">", "<", "*", ":", "X")


def text_lines(
    sequence: DeliverySequence,
    *,
    width: int = 80,
    texts: Texts = ENGLISH,
    zone: tzinfo | None = UTC,
    strokes: Strokes = STROKES,
) -> Iterator[str]:
    """Yield the lines of a drawing, each at most ``width`` columns.

    ``zone``: in which times are told, None for that of this machine.
    """
    drawing = _Drawing(max(width, LEAST_WIDTH), texts, zone, strokes)
    yield from drawing.head(sequence)
    for part in sequence.parts:
        yield ""
        yield from drawing.part(part)


def part_heading(part: SequencePart, zone: tzinfo | None) -> Said:
    """Return what stands above a part: when, where, and by which companion it is explained."""
    when = f"{part.began.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
    if part.session is None:
        return said("{time}, without a session", time=when)
    heading = said("{time} at {address}", time=when, address=part.address or "-")
    if part.companion is not None:
        heading = said("{heading}, {companion}", heading=heading, companion=part.companion)
    if part.is_simulated:
        heading = said("{heading}; times are of a simulated line", heading=heading)
    return heading


def facts(sequence: DeliverySequence, zone: tzinfo | None) -> list[tuple[Said, Said]]:
    """Return what is said of a delivery as a whole: names and values."""
    token = said("not shown")
    if sequence.token is not None:
        token = Said(grouped(sequence.token))
    rows = [
        (said("delivery"), Said(str(sequence.number))),
        (said("meter"), Said(sequence.meter_pan)),
        (said("token"), token),
        (said("opened"), Said(_whole(sequence.opened, zone))),
        (said("entries of the token"), Said(str(sequence.writes))),
        (said("result"), sequence.result or said("open: nobody knows yet what became of it")),
    ]
    if sequence.closed is not None:
        rows.append((said("closed"), Said(_whole(sequence.closed, zone))))
    return rows


def pause_before(step: Step, earlier: Step | None) -> int:
    """Return for how many ns nothing passed on the line between two messages, 0 for no pause."""
    if earlier is None or earlier.at_ns is None or step.at_ns is None:
        return 0
    pause_ns = step.at_ns - step.took_ns - earlier.at_ns
    return pause_ns if pause_ns >= LONG_PAUSE_NS else 0


def pause_said(pause_ns: int) -> Said:
    """Return a pause in words."""
    return said("{seconds} s without a message", seconds=f"{pause_ns / _S:.1f}")


def clock(time: datetime, zone: tzinfo | None) -> str:
    """Return the time of day with milliseconds."""
    local = time.astimezone(zone)
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03}"


def _whole(time: datetime, zone: tzinfo | None) -> str:
    return f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def wrapped(line: str, room: int) -> list[str]:
    """Break an explanation into lines, but neither a token nor a name from its value."""
    kept = _TOGETHER.sub(_NO_BREAK, line)
    return [piece.replace(_NO_BREAK, " ") for piece in textwrap.wrap(kept, room)]


class _Drawing:
    """What a drawing of one delivery has in common."""

    def __init__(self, width: int, texts: Texts, zone: tzinfo | None, strokes: Strokes) -> None:
        self._width = width
        self._texts = texts
        self._zone = zone
        self._strokes = strokes
        self._between = width - _TIME_WIDTH - 3  # columns between the two ends

    def head(self, sequence: DeliverySequence) -> Iterator[str]:
        rows = [
            (n.words(self._texts), v.words(self._texts)) for n, v in facts(sequence, self._zone)
        ]
        column = max(len(name) for name, _ in rows) + 2
        for name, value in rows:
            yield from textwrap.wrap(
                value,
                self._width,
                initial_indent=name.ljust(column),
                subsequent_indent=" " * column,
            )

    def part(self, part: SequencePart) -> Iterator[str]:
        yield from textwrap.wrap(part_heading(part, self._zone).words(self._texts), self._width)
        unit, meter = said("HHU").words(self._texts), said("meter").words(self._texts)
        room = self._width - _TIME_WIDTH - 1 - len(meter)
        yield f"{'':{_TIME_WIDTH + 1}}{unit}".ljust(_TIME_WIDTH + 1 + max(room, 0)) + meter
        passed: Step | None = None
        for step in part.steps:
            if step.kind is StepKind.MESSAGE:
                if pause_ns := pause_before(step, passed):
                    yield from self._row("", self._strokes.pause, pause_said(pause_ns))
                yield from self._message(step)
                passed = step
            elif step.kind is StepKind.SPEED:
                words = said("{speed}", speed=" ".join(step.lines))
                yield from self._row(self._clock(step), self._strokes.pause, words)
            else:
                assert step.said is not None
                yield from self._row(self._clock(step), self._strokes.event, step.said)

    def _clock(self, step: Step) -> str:
        return clock(step.time, self._zone)

    def _message(self, step: Step) -> Iterator[str]:
        strokes = self._strokes
        outward = step.sender == "client"
        tip = 1 if step.sound else 2  # columns of the arrow's point
        room = self._between - 6 - tip  # two strokes and a blank on either side
        lines = [piece for line in step.lines for piece in wrapped(line, room)]
        label = lines[0] if lines else ""
        rest = strokes.line * (room - len(label) + 2)
        point = strokes.right if outward else strokes.left
        if not step.sound:
            point = strokes.torn + point if outward else point + strokes.torn
        arrow = f"{strokes.line * 2} {label} {rest}"
        arrow = arrow + point if outward else point + arrow
        yield f"{self._clock(step)} {strokes.life}{arrow}{strokes.life}"
        for line in lines[1:]:
            inner = f"   {line}".ljust(self._between)
            yield f"{'':{_TIME_WIDTH + 1}}{strokes.life}{inner}{strokes.life}"

    def _row(self, time: str, mark: str, sentence: Said) -> Iterator[str]:
        """Draw what is no message: a mark on the HHU's line, and words."""
        life = self._strokes.life
        end = mark if mark == self._strokes.pause and not time else life
        lines = textwrap.wrap(sentence.words(self._texts), self._between - 2)
        for place, line in enumerate(lines):
            start = time if not place else ""
            yield (
                f"{start:{_TIME_WIDTH}} {life if place else mark}"
                f" {line.ljust(self._between - 1)}{end}"
            )
