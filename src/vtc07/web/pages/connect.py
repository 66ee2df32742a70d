"""The first page: where meters are, and what can be done without one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import CompanionError, load_companion, shipped_companions
from vtc07.carrier.companion_tree import Problem
from vtc07.cli.link_options import AUTO
from vtc07.hhu.journal.rows import JournalRows
from vtc07.hhu.session import Meter
from vtc07.hhu.texts import Said, said
from vtc07.links.ports import serial_ports
from vtc07.screens.looking import look_at
from vtc07.screens.meter_line import Target
from vtc07.screens.overview import Overview
from vtc07.screens.places import (
    PLACES,
    Place,
    own_companions,
    places,
    remember,
    remember_companion,
    used_before,
    whereabouts,
)
from vtc07.screens.way import WayError
from vtc07.web.bench.facts import KINDS
from vtc07.web.desk import Desk
from vtc07.web.setting import Setting
from vtc07.web.station import Busy, Station
from vtc07.web.view import Refused, View, part


@dataclass(frozen=True, slots=True)
class Open:
    """How many deliveries to the meter of a place are open in the journal."""

    count: int


@dataclass(frozen=True, slots=True)
class Introduced:
    """What the meter of a place said of itself when it was greeted."""

    meter: Meter


@dataclass(frozen=True, slots=True)
class Found:
    """Where meters may be: addresses used before, and the ports that are there now."""

    places: tuple[Place, ...]


def places_here(setting: Setting) -> tuple[Place, ...]:
    """Return where a meter may be; on the bench, its own meters alone."""
    if setting.is_bench:
        return tuple(Place(f"inner:{kind.name}") for kind in KINDS)
    return places(used_before(setting.state / PLACES), serial_ports())


def _find(setting: Setting) -> Found:
    return Found(places_here(setting))


@part("places")
def where(view: View) -> Mapping[str, object]:
    """Return where meters are met, and may be; ports that come and go are seen."""
    desk = view.desk
    desk.watch_for("places", functools.partial(_find, desk.setting))
    found = desk.kept(Found)
    return {
        "stations": tuple(desk.stations.values()),
        "places": () if found is None else not_met(desk, found.places),
    }


def not_met(desk: Desk, found: Iterable[Place]) -> tuple[Place, ...]:
    """Return the places, of those found, at which no meter is being met by now."""
    met = {whereabouts(station.target.address) for station in desk.stations.values()}
    return tuple(place for place in found if whereabouts(_bare(place.address)) not in met)


def _bare(text: str) -> str:
    """Return an address without the options behind it."""
    return text.partition(" --")[0]


async def first(request: Request) -> Response:
    """Show the places where a meter may be."""
    return await _first(View(request))


async def _first(
    view: View,
    *,
    problem: Said | str | None = None,
    form: Mapping[str, str] | None = None,
) -> Response:
    desk = view.desk
    journal, state = desk.setting.journal, desk.setting.state

    def look() -> tuple[Found, int, tuple[str, ...]]:
        return _find(desk.setting), len(journal.unresolved()), own_companions(state / PLACES)

    found, is_open, own = await desk.aside(look)
    if found != desk.kept(Found):
        desk.keep(found)
    return view.page(
        "connect.html",
        200 if problem is None else 422,
        problem=problem,
        form=form or {},
        open_count=is_open,
        companions=(*shipped_companions(), *own),
    )


async def connect(request: Request) -> Response:
    """Go to a place, and look at the meter that is there."""
    view = View(request)
    form = await view.form()
    try:
        target = typed(view, form.get("address", ""), _companion(view, form))
        if target.companion != AUTO:
            await view.desk.aside(functools.partial(load_named, target.companion))
    except (WayError, CompanionError) as error:
        why = error.said if isinstance(error, WayError) else str(error)
        if view.is_quiet:
            raise Refused(why, 422) from None
        return await _first(view, problem=why, form=form)
    station = view.desk.station_at(target)
    try:
        begin_looking(station, target)
    except Busy:
        if target.text != station.target.text:
            raise
        # The very same is asked for once more, or from another page: it is under way.
    return view.go(f"/at/{station.name}")


def typed(view: View, address: str, companion: str) -> Target:
    """Return the target that somebody typed in a page; WayError where it is none.

    Whoever signs in names no file of this machine that holds a secret: a password of a file goes to
    the meter, and where that is, the same person says. Whoever started the application may.
    """
    target = Target.typed(address, companion)
    names = (target.way.password_file, target.way.store_key_file)
    if view.desk.setting.has_password and any(name is not None for name in names):
        why = (
            "--password-file and --store-key-file name files of this machine, which nobody who "
            "signs in can read from here; give them with --address where vtc07 web is started"
        )
        raise WayError(said("{why}", why=why))
    return target


def _companion(view: View, form: Mapping[str, str]) -> str:
    """Return the companion that was chosen: a file, one by its name, or the application's."""
    if file := form.get("file", "").strip():
        return file if file in shipped_companions() else str(Path(file).expanduser().absolute())
    return form.get("companion", "") or view.desk.setting.companion


def load_named(companion: str) -> Companion:
    """Return a companion that a page names; CompanionError also where its file is no regular one.

    What a pipe or a terminal is to say, every page would wait for, and the end of the program.
    """
    path = Path(companion)
    if companion not in shipped_companions() and path.exists() and not path.is_file():
        problem = "the file cannot be read: it is no regular file"
        raise CompanionError([Problem(companion, 0, "", problem)])
    return load_companion(companion)


async def companion(request: Request) -> Response:
    """Take a companion file for a meter that none of the others describes, and look again."""
    view = View(request)
    file = (await view.form()).get("companion", "").strip()
    if not file:
        raise Refused(said("The name of the companion file is missing."), 422)
    name = _companion(view, {"file": file})
    await view.desk.aside(functools.partial(load_named, name))
    begin_looking(view.station, view.station.target.spoken(name))
    return view.go(view.at())


def begin_looking(station: Station, target: Target) -> None:
    """Look at whichever meter is at a target, and mean that one from now on.

    No password goes to a meter that is not known yet; the one of the meter that was there is kept
    where it is there still. Busy where work is under way.
    """
    before = station.target
    fresh = replace(target.meaning_any(), password=None)

    def met(overview: Overview) -> None:
        if overview.meter_pan is not None and overview.meter_pan == before.meter_pan:
            station.target = replace(station.target, password=before.password)

    _begin(station, fresh, met)
    station.target = fresh
    station.overview = None
    station.forget(Open)
    station.forget(Introduced)


def look_again(station: Station) -> None:
    """Read the meter that is meant once more; any one, where none is meant yet."""
    if station.target.meter_pan is None:
        begin_looking(station, station.target)
    else:
        _begin(station, replace(station.target, password=None), lambda _: None)


def _begin(station: Station, target: Target, then: Callable[[Overview], None]) -> None:
    def arrived(overview: Overview) -> None:
        station.in_loop(functools.partial(_show, station, overview))

    def done(overview: Overview) -> None:
        _show(station, overview)
        state = station.desk.setting.state / PLACES
        remember(state, target.text)
        if target.companion not in (AUTO, station.desk.setting.companion):
            remember_companion(state, target.companion)
        station.met(overview)
        count_open(station, station.desk.setting.journal)
        then(overview)

    station.begin(
        said("connecting to {address}", address=target.address),
        functools.partial(look_at, target=target, on_arrival=arrived),
        done,
        target=target,
    )


def _show(station: Station, overview: Overview) -> None:
    station.overview = overview
    if overview.meter is not None:
        station.keep(Introduced(overview.meter))


def count_open(station: Station, journal: JournalRows) -> None:
    """Keep how many deliveries to the meter that is meant are open."""
    pan = station.target.meter_pan
    station.keep(Open(len(journal.unresolved(pan)) if pan is not None else 0))


ROUTES: Final = (
    Route("/", first),
    Route("/connect", connect, methods=["POST"]),
    Route("/at/{station}/companion", companion, methods=["POST"]),
)
