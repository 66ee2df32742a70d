"""What is on every page of a place: the work under way, and what was said last; and the look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vtc07.hhu.texts import languages, said
from vtc07.web.view import LANGUAGE_COOKIE, LOOK_COOKIE, LOOKS, Refused, View, part

_YEAR_S: Final = 365 * 86_400


@part("whereabouts")
def whereabouts(view: View) -> Mapping[str, object]:
    """Return where the place is, and which meter is meant there."""
    return {"target": view.station.target}


@part("work")
def work(view: View) -> Mapping[str, object]:
    """Return what is under way at the place, and what was said last."""
    station, word = view.station, view.station.word
    if word is not None and word.page and view.page_path != view.at(word.page):
        word = None
    return {"work": station.work, "word": word, "warnings": station.warnings}


async def leave(request: Request) -> Response:
    """End the work under way; where a token may be on its way, only when that is confirmed."""
    view = View(request)
    under_way = view.station.work
    form = await view.form()
    back = _own_path(form.get("back")) or view.at()
    if under_way is None:
        return view.go(back)
    if under_way.carries_tokens and form.get("sure") != "yes":
        if view.is_quiet:
            raise Refused(said("Tokens are being delivered."), 409)
        return view.page("leave.html", back=back)
    view.station.leave()
    return view.go(back)


async def look(request: Request) -> Response:
    """Keep how pages look, and their language, in this browser."""
    view = View(request)
    form = await view.form()
    answer = view.go(_own_path(form.get("back")) or "/")
    chosen = form.get("look")
    if chosen in LOOKS:
        answer.set_cookie(LOOK_COOKIE, chosen, max_age=_YEAR_S, httponly=True, samesite="strict")
    language = form.get("language")
    if language in ("en", *languages(view.desk.setting.catalogues)):
        answer.set_cookie(
            LANGUAGE_COOKIE, language, max_age=_YEAR_S, httponly=True, samesite="strict"
        )
    return answer


def _own_path(path: str | None) -> str | None:
    """Return a path of this application, None for anything else: no page leads elsewhere."""
    if path is None or not path.startswith("/") or path.startswith(("//", "/\\")):
        return None
    return path


ROUTES: Final = (
    Route("/at/{station}/leave", leave, methods=["POST"]),
    Route("/look", look, methods=["POST"]),
)
