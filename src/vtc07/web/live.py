"""What open pages are told: parts that changed, lines that came, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from vtc07.hhu.texts import said
from vtc07.web.view import PARTS, STREAMS, Refused, View, event, is_number

#: A page is told so often at most, in s: what changes faster is told together.
_PACE_S: Final = 0.05
#: Something is said at least so often, in s, so that a connection that is gone is noticed.
_HEARTBEAT_S: Final = 15
#: No line of a stream has such a number.
_BEHIND_ALL: Final = 10**15


async def live(request: Request) -> Response:
    """Tell a page of its parts and streams until it closes."""
    view = View(request)
    parts = list(dict.fromkeys(request.query_params.getlist("part")))
    streams = request.query_params.getlist("stream")
    after = request.query_params.getlist("after")
    known = set(parts) <= set(PARTS) and set(streams) <= set(STREAMS)
    if not known or len(after) != len(streams) or not all(map(is_number, after)):
        raise Refused(said("The page asks for something that is not there; load it again."), 400)
    if request.query_params.get("station"):
        _ = view.station  # Refused where there is none any more
    for name in parts:
        PARTS[name].context(view)  # Refused where it is of a place, and none is named
    for name in streams:
        STREAMS[name].since(view, _BEHIND_ALL)
    return StreamingResponse(
        _told(view, parts, dict(zip(streams, map(int, after), strict=True))),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _told(view: View, parts: list[str], streams: dict[str, int]) -> AsyncIterator[bytes]:
    shown: dict[str, str] = {}
    desk = view.desk
    with desk.listening() as something:
        while not desk.closing.is_set():
            something.clear()
            for name in parts:
                html = view.part_html(name)
                if shown.get(name) != html:
                    shown[name] = html
                    yield event("part", {"name": name, "html": html})
            for name, last in streams.items():
                if lines := STREAMS[name].since(view, last):
                    streams[name] = lines[-1][0]
                    html = "".join(line for _, line in lines)
                    yield event("stream", {"name": name, "after": lines[-1][0], "html": html})
            try:
                await asyncio.wait_for(something.wait(), _HEARTBEAT_S)
            except TimeoutError:
                yield b": still here\n\n"
            await asyncio.sleep(_PACE_S)
