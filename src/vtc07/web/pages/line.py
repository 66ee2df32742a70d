"""The line: what passed on it, message by message, explained; and as a file."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vtc07.hhu.history.token_masking import MASK, message_without_tokens
from vtc07.screens.passing import Passed
from vtc07.trace.file import TraceHeader, TraceWriter
from vtc07.trace.message import TraceEntry, TraceMessage
from vtc07.trace.pieces import Annotation, Role
from vtc07.web.station import Station
from vtc07.web.view import View, stream

#: So many messages a page shows; the file has all that are kept.
MOST_SHOWN: Final = 500
_SHOWN: Final = "shown"


@stream("line")
def line(view: View, after: int) -> list[tuple[int, str]]:
    """Return the messages behind a number, the last ones of many; tokens only where asked for."""
    found = _behind(view.station, after)
    if not found:
        return []
    with_tokens = _shows_tokens(view)
    messages = [(n, passed.clock, _annotation(passed, with_tokens)) for n, passed in found]
    return [(found[-1][0], view.html("parts/messages.html", messages=messages))]


def _behind(station: Station, after: int) -> list[tuple[int, Passed]]:
    """Return the last messages behind a number; those before are not even looked at."""
    found: list[tuple[int, Passed]] = []
    for number, passed in reversed(station.passed):
        if number <= after or len(found) == MOST_SHOWN:
            break
        found.append((number, passed))
    found.reverse()
    return found


def _shows_tokens(view: View) -> bool:
    return view.request.query_params.get("tokens") == _SHOWN


def _annotation(passed: Passed, with_tokens: bool) -> Annotation:  # noqa: FBT001 - what is shown
    if with_tokens:
        return passed.annotation
    annotation = _masked(passed).annotation
    pieces = tuple(
        replace(piece, role=Role.VALUE) if piece.text.strip(MASK) == "" else piece
        for piece in annotation.pieces
    )
    return replace(annotation, pieces=pieces)  # what is masked is no error of the line


def _masked(passed: Passed) -> Passed:
    if not isinstance(passed.what, TraceMessage):
        return passed
    return replace(passed, what=message_without_tokens(passed.what, passed.companion))


async def show(request: Request) -> Response:
    """Show what has passed, and what passes."""
    view = View(request)
    return view.page(
        "line.html", here=view.station, shows_tokens=_shows_tokens(view), most=MOST_SHOWN
    )


async def trace(request: Request) -> Response:
    """Give what has passed as a trace; tokens only where asked for, passwords never."""
    view = View(request)
    station = view.station
    passed = [each for _, each in station.passed]
    if not _shows_tokens(view):
        passed = [_masked(each) for each in passed]
    name = f"vtc07-line-{view.desk.setting.wall_clock():%Y%m%d-%H%M%S}.jsonl"
    return Response(
        await view.desk.aside(lambda: _written(passed, station.target.address)),
        media_type="application/jsonl",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _written(passed: Sequence[Passed], address: str) -> str:
    file = io.StringIO()
    companions = [each.companion for each in passed if each.companion is not None]
    writer = TraceWriter(
        file,
        TraceHeader(
            companion=companions[-1].name if companions else "",
            address=address,
            started=passed[0].time.isoformat() if passed else "",
        ),
    )
    for entry in _in_one_time(passed):
        if isinstance(entry, TraceMessage):
            writer.write(entry)
        else:
            writer.write_speed(entry)
    return file.getvalue()


def _in_one_time(passed: Sequence[Passed]) -> Iterator[TraceEntry]:
    """Yield messages with times since the first: each connection has counted its own."""
    last_ns = 0
    for each in passed:
        since_us = (each.time - passed[0].time) // timedelta(microseconds=1)
        at_ns = last_ns = max(last_ns, since_us * 1000)  # the clock may be set back
        what = each.what
        if isinstance(what, TraceMessage):
            took_ns = min(at_ns, what.time_ns - what.began_ns)
            yield replace(what, time_ns=at_ns, began_ns=at_ns - took_ns)
        else:
            yield replace(what, time_ns=at_ns)


ROUTES: Final = (
    Route("/at/{station}/line", show),
    Route("/at/{station}/line/trace", trace),
)
