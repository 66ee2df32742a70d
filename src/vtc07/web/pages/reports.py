"""Reports of routes: a summary to look at, and files for people, spreadsheets and programs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vtc07.hhu.journal.reading import open_for_reading
from vtc07.hhu.report.making import ENCODINGS, Listed, make_report
from vtc07.hhu.report.summary import RESULTS, SHOWN, Period, ReportHead, ReportSummary
from vtc07.hhu.report.words import Words
from vtc07.hhu.texts import said
from vtc07.screens.kept_routes import KeptRoute
from vtc07.screens.visiting import STOP_MOODS
from vtc07.web.download import Download, made
from vtc07.web.library import asked, library_of, route_of
from vtc07.web.pages.journal import period_of
from vtc07.web.view import Refused, View

_MOST_LISTED: Final = 20
_MEDIA: Final[Mapping[str, str]] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "html": "text/html; charset=utf-8",
}
#: The page of a report has its style in itself, and nothing else: no script, no form, no frame, and
#: it is a stranger to this application.
_OWN_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; sandbox allow-modals"
)


async def listed(request: Request) -> Response:
    """Show the routes of which there can be a report."""
    view = View(request)
    routes = await view.desk.aside(library_of(view.desk).kept.all)
    return view.page("reports.html", routes=routes)


async def show(request: Request) -> Response:
    """Show what was done of a route, and offer it as files."""
    view = View(request)
    kept = await route_of(view)
    query = request.query_params
    masked = _masked(query)
    period = period_of(query)
    words = Words(view.texts)
    listing = Listed(words, _MOST_LISTED)
    head, summary = await asked(
        view, functools.partial(_summary, view, kept, period, words, listing, masked=masked)
    )
    return view.page(
        "report.html",
        kept=kept,
        head=head,
        summary=summary,
        listing=listing,
        report_words=words,
        RESULTS=RESULTS,
        SHOWN=SHOWN,
        STOP_MOODS=STOP_MOODS,
        query={name: query.get(name, "") for name in ("day", "from", "to")},
        masked=masked,
    )


def _masked(query: Mapping[str, str]) -> bool:
    return query.get("tokens") != "shown"


def _summary(
    view: View, kept: KeptRoute, period: Period, words: Words, listing: Listed, *, masked: bool
) -> tuple[ReportHead, ReportSummary]:
    setting = view.desk.setting
    route = library_of(view.desk).looks.opened(kept)
    with open_for_reading(setting.journal.path) as journal, journal.held_still():
        return make_report(
            journal,
            route,
            {},
            made=setting.wall_clock().astimezone(),
            period=period,
            mask=masked,
            words=words,
            listed=listing,
        )


async def file(request: Request) -> Response:
    """Give a report as a file, the very one that `vtc07 route report` writes."""
    view = View(request)
    kept = await route_of(view)
    form = request.path_params["form"]
    if form not in ENCODINGS:
        raise Refused(said("There is no such page."), 404)
    query = request.query_params
    masked, period = _masked(query), period_of(query)
    name = f"{kept.path.stem}-report{'-masked' if masked else ''}.{form}"
    make = functools.partial(_write, view, kept, form, period, masked=masked)
    found = await asked(view, functools.partial(made, view.desk.setting.state, "report", make))
    if form == "html" and query.get("keep") != "1":
        headers = {
            "Content-Security-Policy": _OWN_POLICY,
            "Cross-Origin-Opener-Policy": "unsafe-none",
        }
        return Download(found, _MEDIA[form], name, shown=True, headers=headers)
    return Download(found, _MEDIA[form], name, headers={"Content-Security-Policy": _OWN_POLICY})


def _write(
    view: View, kept: KeptRoute, form: str, period: Period, path: Path, *, masked: bool
) -> Path:
    setting = view.desk.setting
    route = library_of(view.desk).looks.opened(kept)
    with (
        open_for_reading(setting.journal.path) as journal,
        journal.held_still(),
        path.open("w", encoding=ENCODINGS[form], newline="") as written,
    ):
        make_report(
            journal,
            route,
            {form: written},
            made=setting.wall_clock().astimezone(),
            period=period,
            mask=masked,
            words=Words(view.texts),
        )
    return path


ROUTES: Final = (
    Route("/reports", listed),
    Route("/reports/{route}", show),
    Route("/reports/{route}/report.{form}", file),
)
