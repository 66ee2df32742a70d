"""Routes: which there are, what is wrong with them, how far they have come, what of them counts."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vtc07.carrier.companion_file import CompanionError, shipped_companions
from vtc07.cli.link_options import AUTO
from vtc07.hhu.route.file import RouteFile, place
from vtc07.hhu.route.findings import Severity
from vtc07.hhu.route.round import (
    RouteRound,
    begin_round,
    continue_round,
    round_of_another_file,
)
from vtc07.hhu.route.task import RouteSummary, StopResult, TaskKind
from vtc07.hhu.texts import Said, said
from vtc07.screens.kept_routes import KeptRoute
from vtc07.screens.mood import MOODS, Mood
from vtc07.screens.places import PLACES, remember
from vtc07.screens.route_looks import PAGE, Checked, StopPage, check_through
from vtc07.screens.visiting import STOP_MOODS, TASK_MOODS, TASKS, counts_said, task_line
from vtc07.screens.way import WayError
from vtc07.web.library import (
    TELLABLE,
    Library,
    OnRoute,
    asked,
    library_of,
    number_of,
    route_of,
    why,
)
from vtc07.web.pages.connect import load_named, not_met, places_here, typed
from vtc07.web.station import Station
from vtc07.web.view import Refused, View

#: How findings are said.
FINDING_MOODS: Final = {
    Severity.ERROR: Mood.BAD,
    Severity.WARNING: Mood.CARE,
    Severity.NOTE: Mood.PLAIN,
}
#: So many findings are shown on the page of a route itself.
_FIRST: Final = 20


@dataclass(frozen=True, slots=True)
class Listed:
    """A route in the list. ``problem``: why nothing of it can be told, None where it can."""

    kept: KeptRoute
    route: RouteFile | None = None
    summary: RouteSummary | None = None
    problem: Said | str | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """All that the page of a route shows. ``before``: work on another file of its name, if any."""

    route: RouteFile
    checked: Checked
    summary: RouteSummary
    stops: StopPage
    before: RouteRound | None


#: What templates need to tell of findings, stops and tasks.
HOW: Final[Mapping[str, object]] = {
    "TASKS": TASKS,
    "TaskKind": TaskKind,
    "StopResult": StopResult,
    "TASK_MOODS": TASK_MOODS,
    "STOP_MOODS": STOP_MOODS,
    "FINDING_MOODS": FINDING_MOODS,
    "MOODS": MOODS,
    "Severity": Severity,
    "place": place,
    "task_line": task_line,
    "counts_said": counts_said,
}


# --- the list -------------------------------------------------------------------------------------


async def listed(request: Request) -> Response:
    """Show the routes that there are, and how far each has come."""
    view = View(request)
    found = await view.desk.aside(functools.partial(_listed, library_of(view.desk)))
    return view.page("routes.html", routes=found, how=HOW)


def _listed(library: Library) -> list[Listed]:
    return [_one(library, kept) for kept in library.kept.all()]


def _one(library: Library, kept: KeptRoute) -> Listed:
    try:
        return Listed(kept, library.looks.opened(kept), library.looks.summary(kept))
    except TELLABLE as error:
        return Listed(kept, problem=why(error))


async def upload(request: Request) -> Response:
    """Take a route's file, and say what is wrong with it."""
    view = View(request)
    library = library_of(view.desk)
    form = await _form_with_file(request)
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise Refused(said("Choose the file of a route first, CSV or JSON."), 422)
        keep = functools.partial(library.kept.keep, file.file, file.filename)
        kept, is_new = await asked(view, keep)
    finally:
        await form.close()
    unread = await asked(view, functools.partial(_unreadable, library, kept, is_new=is_new))
    if unread is not None:
        return view.page("route_unreadable.html", 422, file=kept.file, checked=unread, how=HOW)
    return view.go(f"/routes/{kept.name}")


async def _form_with_file(request: Request) -> FormData:
    try:
        return await request.form(max_files=1, max_fields=5)
    except HTTPException:
        raise Refused(said("What was sent is no form of this application."), 400) from None


def _unreadable(library: Library, kept: KeptRoute, *, is_new: bool) -> Checked | None:
    """Return what is wrong with a file that is no route at all, which is then not kept; or None."""
    try:
        library.looks.opened(kept)
        library.looks.checked(kept)
    except TELLABLE:
        try:
            return check_through(kept.path)
        finally:
            if is_new:
                library.looks.forget(kept)
                library.kept.remove(kept.name)
    return None


# --- one route ------------------------------------------------------------------------------------


async def show(request: Request) -> Response:
    """Show a route: what is wrong with it, how far it has come, and a page of its stops."""
    view = View(request)
    kept = await route_of(view)
    query = request.query_params
    page, everything = number_of(query.get("page")), query.get("all") == "1"
    wanted = query.get("find", "")[:200]
    look = functools.partial(
        _look, view, kept, page, everything=everything or bool(wanted), wanted=wanted
    )
    looked = await asked(view, look)
    places = await view.desk.aside(functools.partial(places_here, view.desk.setting))
    return view.page(
        "route.html",
        kept=kept,
        looked=looked,
        route=looked.route,
        first=_FIRST,
        page=page,
        everything=everything,
        wanted=wanted,
        places=not_met(view.desk, places),
        companions=shipped_companions(),
        here=_worked_at(view, kept),
        how=HOW,
    )


def _look(view: View, kept: KeptRoute, page: int, *, everything: bool, wanted: str) -> Looked:
    looks = library_of(view.desk).looks
    route = looks.opened(kept)
    return Looked(
        route,
        looks.checked(kept),
        looks.summary(kept),
        looks.stops(kept, page, everything=everything, wanted=wanted),
        round_of_another_file(view.desk.setting.journal, route),
    )


def _worked_at(view: View, kept: KeptRoute) -> tuple[Station, ...]:
    """Return the places at which a route is worked on."""
    stations = view.desk.stations.values()
    on_it = [(station, station.kept(OnRoute)) for station in stations]
    return tuple(station for station, on in on_it if on is not None and on.route == kept.name)


async def findings(request: Request) -> Response:
    """Show everything that is wrong with a route, a page at a time, worst first."""
    view = View(request)
    kept = await route_of(view)
    looks = library_of(view.desk).looks
    checked = await asked(view, functools.partial(looks.checked, kept))
    page = number_of(request.query_params.get("page"))
    shown = checked.findings[page * PAGE : (page + 1) * PAGE]
    return view.page(
        "route_findings.html",
        kept=kept,
        checked=checked,
        shown=shown,
        page=page,
        more=len(checked.findings) > (page + 1) * PAGE,
        how=HOW,
    )


async def remove(request: Request) -> Response:
    """Keep a route no more, once that is confirmed; what the journal knows of it stays."""
    view = View(request)
    kept = await route_of(view)
    if (await view.form()).get("sure") != "yes":
        return view.page("route_remove.html", kept=kept)
    library = library_of(view.desk)
    with library.change(kept.name):
        await asked(view, functools.partial(library.kept.remove, kept.name))
        library.looks.forget(kept)
    for station in _worked_at(view, kept):
        station.forget(OnRoute)
    return view.go("/routes")


# --- what counts ----------------------------------------------------------------------------------


async def round_(request: Request) -> Response:
    """Say what of the work so far counts: a corrected file, another one, or a new round."""
    view = View(request)
    kept = await route_of(view)
    form = await view.form()
    chosen = form.get("round", "")
    if chosen not in ("corrected", "other", "anew"):
        raise Refused(said("Choose what counts."), 422)
    if chosen == "anew" and form.get("sure") != "yes":
        return view.page("route_anew.html", kept=kept)
    library = library_of(view.desk)
    with library.change(kept.name):
        await asked(view, functools.partial(_decide, view, kept, chosen))
    view.desk.changed()
    back = form.get("back_at", "")
    return view.go(f"/at/{back}/route" if back in view.desk.stations else f"/routes/{kept.name}")


def _decide(view: View, kept: KeptRoute, chosen: str) -> None:
    setting = view.desk.setting
    route = library_of(view.desk).looks.opened(kept)
    if chosen == "anew":
        begin_round(setting.journal, route, setting.wall_clock())
        return
    before = round_of_another_file(setting.journal, route)
    if before is None:
        return  # that has been answered
    if chosen == "corrected":
        continue_round(setting.journal, route, before, setting.wall_clock())
    else:
        begin_round(setting.journal, route, setting.wall_clock())


# --- where ----------------------------------------------------------------------------------------


async def choose_place(request: Request) -> Response:
    """Choose where the meters of a route are met: at an open place, or at an address."""
    view = View(request)
    kept = await route_of(view)
    form = await view.form()
    companion = form.get("companion", "") or view.desk.setting.companion
    station = view.desk.stations.get(form.get("at", ""))
    if station is None:
        station = await _station_at(view, form.get("address", ""), companion)
    else:
        companion = view.desk.setting.companion
    station.keep(OnRoute(kept.name, companion))
    return view.go(f"/at/{station.name}/route")


async def _station_at(view: View, address: str, companion: str) -> Station:
    try:
        target = typed(view, address, companion)
        await view.desk.aside(functools.partial(_require, target.companion))
    except WayError as error:
        raise Refused(error.said, 422) from None
    except (CompanionError, OSError) as error:
        raise Refused(why(error), 422) from None
    await view.desk.aside(
        functools.partial(remember, view.desk.setting.state / PLACES, target.text)
    )
    return view.desk.station_at(target)


def _require(companion: str) -> None:
    if companion != AUTO:
        load_named(companion)


ROUTES: Final = (
    Route("/routes", listed),
    Route("/routes", upload, methods=["POST"]),
    Route("/routes/{route}", show),
    Route("/routes/{route}/findings", findings),
    Route("/routes/{route}/remove", remove, methods=["POST"]),
    Route("/routes/{route}/round", round_, methods=["POST"]),
    Route("/routes/{route}/place", choose_place, methods=["POST"]),
)
