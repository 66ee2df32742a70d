"""What every page shares: the places where meters are met, the journal, and who is to be told."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar, cast

from vtc07.hhu.texts import Said, said
from vtc07.screens.meter_line import Target
from vtc07.screens.places import whereabouts
from vtc07.web.setting import Setting
from vtc07.web.station import Busy, Station

if TYPE_CHECKING:
    from vtc07.web.bench.bench import Bench

T = TypeVar("T")

#: How often something that an open page shows is looked at, in s, and how long after the last page.
_LOOK_S: Final = 1.0
_LOOKED_FOR_S: Final = 40.0


class Desk:
    """The state of the application; all but `alone_with` belongs to the event loop's thread."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.stations: dict[str, Station] = {}
        self.closing = asyncio.Event()
        self._listeners: set[asyncio.Event] = set()
        self._guard = threading.Lock()
        self._meters: dict[str, Station | None] = {}
        self._kept: dict[type, object] = {}
        self._opened = 0
        self._loop = asyncio.get_running_loop()
        self._watched: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.bench: Bench | None = None  # set where virtual meters are at hand

    def station_at(self, target: Target) -> Station:
        """Return the place at an address, made where there is none yet; it is as it was left.

        The same place however it is written, as far as that can be known (`whereabouts`). Busy for
        anything but its own meters on the bench, whose journal goes with it: what became of a real
        token would be lost.
        """
        if self.setting.is_bench and not target.address.startswith("inner:"):
            raise Busy(
                said(
                    "This is the bench: its own virtual meters are met here, and no other. For "
                    "{address} start the application without the bench.",
                    address=target.address,
                )
            )
        where = whereabouts(target.address)
        for station in self.stations.values():
            if whereabouts(station.target.address) == where:
                return station
        if self.bench is not None:
            with contextlib.suppress(KeyError):  # it is told when it is called
                self.bench.meter(target.address.removeprefix("inner:"))  # made at first use
        self._opened += 1  # a name that was given is not given again
        station = Station(self, str(self._opened), target)
        self.stations[station.name] = station
        self.changed()
        return station

    async def close_place(self, station: Station) -> None:
        """Close a place for good; Busy while work is under way there."""
        station.free()
        self.stations.pop(station.name, None)
        await station.close()
        self.changed()

    # --- what pages without a place keep ---------------------------------------------------------

    def keep(self, thing: object) -> None:
        """Keep something for all pages, in place of the last one of its type."""
        self._kept[type(thing)] = thing
        self.changed()

    def kept(self, kind: type[T]) -> T | None:
        """Return what was kept of a type, or None."""
        return cast("T | None", self._kept.get(kind))

    # --- open pages ------------------------------------------------------------------------------

    def watch_for(self, name: str, look: Callable[[], object]) -> None:
        """Look at something about every second, beside the loop, and `keep` what is found.

        Goes on for as long as it is asked for again by its name within `_LOOKED_FOR_S`, as an open
        page does.
        """
        known = name in self._watched
        self._watched[name] = self._loop.time()
        if not known:
            task = self._loop.create_task(self._watch(name, look))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _watch(self, name: str, look: Callable[[], object]) -> None:
        try:
            while self._is_wanted(name) and not self.closing.is_set():
                found = await self.aside(look)
                if found != self._kept.get(type(found)):
                    self.keep(found)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.closing.wait(), _LOOK_S)
        finally:
            del self._watched[name]

    def _is_wanted(self, name: str) -> bool:
        return self._loop.time() - self._watched[name] < _LOOKED_FOR_S

    def changed(self) -> None:
        """Tell every open page that something is not as it was."""
        for event in self._listeners:
            event.set()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever something has changed, and when all closes."""
        event = asyncio.Event()
        self._listeners.add(event)
        try:
            yield event
        finally:
            self._listeners.discard(event)

    @contextmanager
    def alone_with(self, meter_pan: str, station: Station | None) -> Iterator[None]:
        """Keep a meter to one place while something goes to it; Busy where somebody has it.

        ``station`` None: to whoever changes in the journal what became of tokens for it.
        """
        with self._guard:
            is_free = meter_pan not in self._meters
            other = self._meters.setdefault(meter_pan, station)
        if not is_free:
            raise Busy(_worked_at(meter_pan, other))
        try:
            yield
        finally:
            with self._guard:
                del self._meters[meter_pan]

    def meters_of(self, station: Station) -> frozenset[str]:
        """Return the meters that a place keeps to itself just now."""
        with self._guard:
            return frozenset(pan for pan, at in self._meters.items() if at is station)

    async def aside(self, work: Callable[[], T]) -> T:
        """Do something that may wait for the disk, beside the event loop."""
        return await asyncio.to_thread(work)

    async def close(self) -> None:
        """End everything: pages first, then what is under way."""
        self.closing.set()
        self.changed()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.gather(*(station.close() for station in list(self.stations.values())))


def _worked_at(meter_pan: str, station: Station | None) -> Said:
    """Say that a meter is somebody's."""
    if station is None:
        return said(
            "Something is under way with meter {pan}. Wait until that has ended.", pan=meter_pan
        )
    return said(
        "Meter {pan} is being worked at from {address}. Wait until that has ended.",
        pan=meter_pan,
        address=station.target.address,
    )
