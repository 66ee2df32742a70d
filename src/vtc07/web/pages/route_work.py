"""The work of a route at one meter after another, made for a tablet in the field."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vtc07.cli.connection import Connection
from vtc07.hhu.route.file import RouteFile
from vtc07.hhu.route.round import RouteRound, round_of_another_file
from vtc07.hhu.route.task import RouteSummary, StopState, TaskKind
from vtc07.hhu.route.visit import Arrived, Known, RouteStep, RouteVisit, TaskBegins, TaskEnded
from vtc07.hhu.session import SignOnRefused
from vtc07.hhu.texts import said
from vtc07.links.blocking import Interrupted
from vtc07.screens.kept_routes import KeptRoute
from vtc07.screens.meter_line import Target
from vtc07.screens.mood import Mood
from vtc07.screens.visiting import step_said, visit
from vtc07.web.library import TELLABLE, Library, OnRoute, asked, library_of
from vtc07.web.pages.connect import Open, count_open
from vtc07.web.pages.routes import HOW
from vtc07.web.station import Station
from vtc07.web.view import Refused, View, part

#: Keeps the counting that goes on behind a page from being forgotten half way.
_counting: Final[set[asyncio.Task[None]]] = set()


@dataclass(frozen=True, slots=True)
class Visiting:
    """A visit to a meter, as far as it has come; the last one is kept.

    ``route``: which one, ``title``: its name. ``stops``: of this meter, as they were before.
    ``task``: the one under way; ``tried``: those that have ended. ``over``: it has ended; then
    ``visit`` is what it came to, None where it broke off.
    """

    route: str
    title: str
    meter_pan: str | None = None
    stops: tuple[StopState, ...] = ()
    task: TaskBegins | None = None
    tried: tuple[TaskEnded, ...] = ()
    over: bool = False
    visit: RouteVisit | None = None

    def after(self, step: RouteStep) -> Visiting:
        """Return it after a step."""
        match step:
            case Known():
                return replace(self, meter_pan=step.meter_pan)
            case Arrived():
                return replace(self, stops=step.stops)
            case TaskBegins():
                return replace(self, task=step)
        return replace(self, tried=(*self.tried, step))


@dataclass(frozen=True, slots=True)
class Come:
    """How far the route of a place has come, None where that cannot be told just now."""

    route: str
    summary: RouteSummary | None


@part("visit")
def visiting(view: View) -> Mapping[str, object]:
    """Return the visit under way, or the last one, and how far the route has come."""
    station = view.station
    on, come, seen = station.kept(OnRoute), station.kept(Come), station.kept(Visiting)
    name = None if on is None else on.route
    return {
        "on": on,
        "summary": come.summary if come is not None and come.route == name else None,
        "seen": seen if seen is not None and (seen.route == name or not seen.over) else None,
        "how": HOW,
    }


async def show(request: Request) -> Response:
    """Show the route that is worked on at a place; without one, those that there are."""
    view = View(request)
    station = view.station
    kept = await _route_at(view)
    if kept is None:
        routes = await view.desk.aside(library_of(view.desk).kept.all)
        return view.page("route_choose.html", routes=routes, here=station)
    looks = library_of(view.desk).looks
    route, before = await asked(view, functools.partial(_look, view, kept))
    await _count(station, kept)
    return view.page(
        "route_work.html",
        here=station,
        kept=kept,
        route=route,
        before=before,
        checked=await asked(view, functools.partial(looks.checked, kept)),
        how=HOW,
    )


async def _route_at(view: View) -> KeptRoute | None:
    on = view.station.kept(OnRoute)
    if on is None:
        return None
    kept = library_of(view.desk).kept
    return await view.desk.aside(functools.partial(kept.find, on.route))


def _look(view: View, kept: KeptRoute) -> tuple[RouteFile, RouteRound | None]:
    route = library_of(view.desk).looks.opened(kept)
    return route, round_of_another_file(view.desk.setting.journal, route)


async def _count(station: Station, kept: KeptRoute) -> None:
    """Keep how far a route has come; what cannot be told does not stop the work."""
    looks = library_of(station.desk).looks
    summary: RouteSummary | None = None
    with contextlib.suppress(*TELLABLE):
        summary = await station.desk.aside(functools.partial(looks.summary, kept))
    station.keep(Come(kept.name, summary))


async def password(request: Request) -> Response:
    """Take the password of the ports of the meters of the route; only the place keeps it."""
    view = View(request)
    given = (await view.form()).get("password", "")
    on = view.station.kept(OnRoute)
    if on is None:
        raise Refused(said("There is no such route any more; choose one."), 404)
    view.station.keep(replace(on, password=given or None))
    view.station.say(
        said("The password is given to the meters of this route that ask for one.")
        if given
        else said("No password is given any more."),
        Mood.GOOD,
    )
    return view.go(view.at("route"))


async def work(request: Request) -> Response:
    """Do what the route has for the meter that is there."""
    view = View(request)
    station, form = view.station, await view.form()
    kept = await _route_at(view)
    if kept is None:
        raise Refused(said("There is no such route any more; choose one."), 404)
    route, before = await asked(view, functools.partial(_look, view, kept))
    if before is not None:
        raise Refused(
            said("Say first whether this is the same route, corrected: that is asked on its page."),
            409,
        )
    on = station.kept(OnRoute)
    if on is None or {on.route, form.get("route", on.route)} != {kept.name}:
        raise Refused(said("Which route is worked on here?"), 409)  # another page has chosen anew
    _begin(station, kept, route, on)
    return view.go(view.at("route"))


def _begin(station: Station, kept: KeptRoute, route: RouteFile, on: OnRoute) -> None:
    setting, library = station.desk.setting, library_of(station.desk)
    target = replace(Target.typed(station.target.text, on.companion), password=on.password)

    def do(connection: Connection) -> RouteVisit:
        with contextlib.ExitStack() as alone:
            return visit(
                connection,
                journal=setting.journal,
                route=route,
                wall_clock=setting.wall_clock,
                on_task=functools.partial(_step, station, alone),
            )

    station.free()
    library.begin(kept.name)
    try:
        station.begin(
            said("connecting to {address}", address=target.address),
            do,
            functools.partial(_done, station, target),
            failed=functools.partial(_failed, station),
            ended=functools.partial(_ended, station, library, kept),
            target=target,
        )
    except BaseException:
        library.end(kept.name)
        raise
    station.keep(Visiting(kept.name, route.name))


def _step(station: Station, alone: contextlib.ExitStack, step: RouteStep) -> None:
    """Take a step, in the line's thread. Once the meter is known, it is this place's alone."""
    if isinstance(step, Known):
        alone.enter_context(station.alone_with(step.meter_pan))
    station.in_loop(functools.partial(_take, station, step))
    if (what := step_said(step)) is not None:
        station.step(what)


def _take(station: Station, step: RouteStep) -> None:
    if station.work is not None and isinstance(step, TaskBegins):
        station.work.carries_tokens = step.task.kind is TaskKind.DELIVER
    seen = station.kept(Visiting)
    if seen is not None and not seen.over:
        station.keep(seen.after(step))


def _ended(station: Station, library: Library, kept: KeptRoute) -> None:
    library.end(kept.name)
    if (seen := station.kept(Visiting)) is not None:
        station.keep(replace(seen, task=None, over=True))
    task = asyncio.get_running_loop().create_task(_count(station, kept))
    _counting.add(task)
    task.add_done_callback(_counting.discard)


def _done(station: Station, target: Target, visited: RouteVisit) -> None:
    if (seen := station.kept(Visiting)) is not None:
        station.keep(replace(seen, meter_pan=visited.meter_pan, tried=visited.tried, visit=visited))
    if visited.meter_pan is not None:
        _mean(station, target, visited.meter_pan)


def _mean(station: Station, target: Target, meter_pan: str) -> None:
    """Mean the meter that was visited from now on: whoever looks into a refusal means that one."""
    if station.target.meter_pan != meter_pan:
        station.target = replace(target, meter_pan=meter_pan, password=None)
    station.overview = None  # what was read before the visit is not so any more
    station.forget(Open)
    count_open(station, station.desk.setting.journal)


def _failed(station: Station, error: Exception) -> bool:
    on = station.kept(OnRoute)
    if isinstance(error, SignOnRefused) and on is not None:
        station.keep(replace(on, password=None))  # a wrong one is not given again and again
    if isinstance(error, Interrupted):
        station.say(
            said("Left. The next visit to this meter goes on where this one ended."), Mood.CARE
        )
        return True
    return False


ROUTES: Final = (
    Route("/at/{station}/route", show),
    Route("/at/{station}/route", work, methods=["POST"]),
    Route("/at/{station}/route/password", password, methods=["POST"]),
)
