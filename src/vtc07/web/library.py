"""The routes of the application: where they are kept, and what was seen of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from vtc07.cli.failure import judge
from vtc07.hhu.journal.deliveries import JournalError
from vtc07.hhu.route.facts import RouteError
from vtc07.hhu.route.findings import RouteUnreadable
from vtc07.hhu.texts import Said, said
from vtc07.screens.kept_routes import ROUTES, KeptRoute, KeptRoutes
from vtc07.screens.route_looks import RouteLooks
from vtc07.web.desk import Desk
from vtc07.web.station import Busy
from vtc07.web.view import Refused, View, is_number

T = TypeVar("T")

#: What reading a route and the journal may come to, and is told to people.
TELLABLE = (RouteError, JournalError, OSError)


@dataclass(frozen=True, slots=True)
class OnRoute:
    """The route that is worked on at a place. ``companion``: of its meters, as for `vtc07 read`.

    ``password``: of the ports of its meters, in mode C. It was given for all of them; one that was
    given for a single meter goes to no other.
    """

    route: str
    companion: str
    password: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Library:
    """The routes. ``changing``: those of which it is just being decided what counts.

    ``at_work``: how many places are at a meter for a route.
    """

    kept: KeptRoutes
    looks: RouteLooks
    changing: set[str] = field(default_factory=set)
    at_work: dict[str, int] = field(default_factory=dict)

    def begin(self, route: str) -> None:
        """Take note that the work for a route begins somewhere; Busy while it is being changed."""
        if route in self.changing:
            raise Busy(said("It is just being decided what counts of this route. Try again."))
        self.at_work[route] = self.at_work.get(route, 0) + 1

    def end(self, route: str) -> None:
        """Take note that it has ended there."""
        self.at_work[route] -= 1

    @contextmanager
    def change(self, route: str) -> Iterator[None]:
        """Decide what counts of a route, or take it away; Busy while a meter is worked at."""
        if self.at_work.get(route) or route in self.changing:
            raise Busy(said("A meter of this route is being worked at. Wait until that has ended."))
        self.changing.add(route)
        try:
            yield
        finally:
            self.changing.discard(route)


def library_of(desk: Desk) -> Library:
    """Return the routes of the application."""
    found = desk.kept(Library)
    if found is None:
        setting = desk.setting
        found = Library(KeptRoutes(setting.state / ROUTES), RouteLooks(setting.journal.path))
        desk.keep(found)
    return found


async def asked(view: View, work: Callable[[], T], status: int = 422) -> T:
    """Do what reads routes and the journal, beside the event loop; Refused where that fails."""
    try:
        return await view.desk.aside(work)
    except TELLABLE as error:
        raise Refused(why(error), status) from None


async def route_of(view: View) -> KeptRoute:
    """Return the route that a page is about; Refused (404) where there is none."""
    name = str(view.request.path_params["route"])
    kept = library_of(view.desk).kept
    found = await view.desk.aside(lambda: kept.find(name))
    if found is None:
        raise Refused(said("There is no such route any more; choose one."), 404)
    return found


def why(error: Exception) -> Said | str:
    """Return the sentence of an error of a route or of the journal."""
    if isinstance(error, RouteUnreadable):
        return error.finding.said
    judged = judge(error)
    return str(error) if judged is None else judged[0]


def number_of(text: str | None) -> int:
    """Return the number that an address names, of a page or a delivery; 0 where it is none."""
    return int(text) if text is not None and is_number(text) else 0
