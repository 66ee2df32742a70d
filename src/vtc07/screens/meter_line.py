"""The line to a meter: a thread of its own, in which one piece of work after another is done.

Each piece is a session of its own: it opens the link, finds out who is there, does its work, takes
leave. So the line is free between, and nobody goes on with a meter that is no longer there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar

from vtc07.carrier.companion_file import CompanionError, companion_by_identity, load_companion
from vtc07.carrier.events import Identity
from vtc07.cli.connection import Connection, UnknownCompanion, Watch
from vtc07.cli.link_options import LinkOptions
from vtc07.cli.output import Output
from vtc07.hhu.journal.entries import ActivityJournal
from vtc07.hhu.progress import OnProgress
from vtc07.hhu.session import AnotherMeter, Meter
from vtc07.links.blocking import Interrupted, Interruption
from vtc07.screens.way import way_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a meter is and how it is spoken to.

    ``way``: the link. ``text``: as a person typed it. ``meter_pan``: the meter that is meant, None
    as long as any may be there. ``is_nameless``: one is meant that refuses to tell its MeterPAN.
    ``password``: of its port, in mode C.
    """

    way: LinkOptions
    text: str
    meter_pan: str | None = None
    password: str | None = field(default=None, repr=False)
    is_nameless: bool = False

    @classmethod
    def typed(cls, text: str, companion: str) -> Self:
        """Return the target that a person typed; WayError where it is none.

        ``companion``: where the text names none.
        """
        return cls(way_of(text, companion), text.strip())

    @property
    def address(self) -> str:
        """Where the meter is."""
        return self.way.address

    @property
    def companion(self) -> str:
        """The meter's companion: a name, a file, or auto."""
        return self.way.companion

    def spoken(self, companion: str, speed: int | None = None) -> Self:
        """Return the same, spoken to by a companion, and at a speed if that is an unusual one."""
        way = replace(self.way, companion=companion, speed=speed or self.way.speed)
        return replace(self, way=way)

    def meaning(self, meter_pan: str | None) -> Self:
        """Return the same, meaning the meter that was met; None: it refused its MeterPAN."""
        return replace(self, meter_pan=meter_pan, is_nameless=meter_pan is None)

    def meaning_any(self) -> Self:
        """Return the same, meaning whichever meter is there."""
        return replace(self, meter_pan=None, is_nameless=False)


class Warnings(Output):
    """Where a connection's words go: they are kept for whoever asks, in the order they came."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[str] = []

    def note(self, text: str) -> None:
        """Keep a note."""
        self._kept.append(text)

    def warning(self, text: str) -> None:
        """Keep a warning."""
        self._kept.append(text)

    def progress(self, text: str) -> None:
        """Keep a step."""
        self._kept.append(text)

    def taken(self) -> tuple[str, ...]:
        """Return what was kept, and keep it no more."""
        kept, self._kept = tuple(dict.fromkeys(self._kept)), []
        return kept


class MeterLine:
    """Does one piece of work at a time with the meter at a target.

    Everything that is sent and learnt goes to ``journal``. ``on_progress`` and ``watch`` are called
    in the line's thread. ``companions``: files of companions that the user has named; one of them
    is taken for a meter that no shipped one describes.
    """

    def __init__(
        self,
        journal: ActivityJournal,
        on_progress: OnProgress,
        watch: Watch,
        companions: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._journal = journal
        self._companions = companions
        self._on_progress = on_progress
        self._watch = watch
        self._thread = ThreadPoolExecutor(1, "meter-line")
        self._interruption: Interruption | None = None
        self.warnings = Warnings()

    @property
    def busy(self) -> bool:
        """Say whether a piece of work is under way."""
        return self._interruption is not None

    async def do(self, target: Target, work: Callable[[Connection], T]) -> T:
        """Connect, do a piece of work, take leave; return what it came to, or raise what it raised.

        Interrupted after `leave`.
        """
        assert self._interruption is None, "the line does one thing at a time"
        interruption = self._interruption = Interruption()
        try:
            return await self.aside(lambda: self._find_and_do(target, work, interruption))
        finally:
            self._interruption = None

    async def aside(self, work: Callable[[], T]) -> T:
        """Do something in the line's thread that needs no meter, when that is free."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def leave(self) -> None:
        """Have the work under way end soon, without waiting for the meter."""
        if self._interruption is not None:
            self._interruption.interrupt()

    def close(self) -> None:
        """End what is under way, and the thread."""
        self.leave()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _find_and_do(
        self, target: Target, work: Callable[[Connection], T], interruption: Interruption
    ) -> T:
        try:
            return self._do(target, work, interruption)
        except UnknownCompanion as error:
            name = self._companion_of(error.identity)
            if name is None:
                raise
            return self._do(target.spoken(name), work, interruption)

    def _companion_of(self, identity: Identity) -> str | None:
        """Return the one of the user's companions that describes a meter, or None."""
        fitting = []
        for name in self._companions():
            with contextlib.suppress(CompanionError):
                among = [load_companion(name)]
                if companion_by_identity(identity.flag, identity.identification, among):
                    fitting.append(name)
        return fitting[0] if len(fitting) == 1 else None

    def _do(self, target: Target, work: Callable[[Connection], T], interruption: Interruption) -> T:
        with Connection(
            target.way,
            self.warnings,
            self._on_progress,
            interruption=interruption,
            watch=self._watch,
            password=target.password,
            journal=self._journal,
        ) as connection:
            try:
                result = work(connection)
            except Exception:
                if not interruption.is_asked:
                    with contextlib.suppress(Exception):
                        connection.sign_off()
                raise
            # What it came to is known by now, and is told to whoever left at this moment too.
            with contextlib.suppress(Interrupted):
                connection.sign_off()
            return result


def greeted(connection: Connection, target: Target) -> Meter:
    """Greet the meter that is there; AnotherMeter where it is not the one that is meant."""
    meter = connection.greet()
    means_any = target.meter_pan is None and not target.is_nameless
    if not means_any and meter.meter_pan != target.meter_pan:
        raise AnotherMeter(target.meter_pan, meter.meter_pan)
    return meter
