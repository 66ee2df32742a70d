"""A place where meters are met: its line, the meter that is meant, and the work under way.

Everything here belongs to the event loop's thread; what the line's thread tells is handed over.
Pages come and go, and are shown what is the case; the work goes on without them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar, cast

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import shipped_companions
from vtc07.carrier.events import Identity
from vtc07.cli.connection import Connection, UnknownCompanion
from vtc07.cli.failure import judge
from vtc07.cli.link_options import AUTO
from vtc07.hhu.progress import Progress, told
from vtc07.hhu.session import AnotherMeter, SignOnRefused
from vtc07.hhu.texts import Said, said
from vtc07.links.blocking import Interrupted
from vtc07.screens.meter_line import MeterLine, Target
from vtc07.screens.mood import Mood
from vtc07.screens.overview import Overview
from vtc07.screens.passing import Passed
from vtc07.screens.places import PLACES, own_companions
from vtc07.trace.message import TraceMessage, TraceSpeed
from vtc07.web.defect import report

if TYPE_CHECKING:
    from vtc07.web.desk import Desk

T = TypeVar("T")

#: So many messages of the line are kept to be looked at.
MOST_PASSED: Final = 5000
#: So many steps of a piece of work are kept.
_MOST_STEPS: Final = 50


class Busy(Exception):
    """Another piece of work is under way at this place: ``said`` tells which."""

    def __init__(self, why: Said) -> None:
        self.said = why
        super().__init__(str(why))


@dataclass(slots=True)
class Work:
    """A piece of work under way. ``title``: what it is; ``steps``: how far it has come.

    ``carries_tokens``: whether a token may be on its way, so that leaving is asked about first.
    ``leaving``: whether somebody has asked for it to end.
    """

    title: Said
    carries_tokens: bool = False
    steps: deque[Said] = field(default_factory=lambda: deque(maxlen=_MOST_STEPS))
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """The last thing that was said at a place, and how.

    ``page``: the only one on which it makes sense; empty: on every one. ``of``: the type of what it
    tells of; once that is forgotten, so is this.
    """

    what: Said | str
    mood: Mood = Mood.PLAIN
    page: str = ""
    of: type | None = None


@dataclass(frozen=True, slots=True)
class UnknownMeter:
    """A meter that no companion at hand describes: what it says of itself."""

    identity: Identity


class Station:
    """A place where meters are met. ``name``: in the addresses of pages.

    ``target``: where, and which meter is meant; ``overview``: what is known of it, which grows as
    it is read. ``word``: what was said last. ``passed``: numbered messages of the line. ``closed``:
    the place is left for good, and only pages that are still open see it.
    """

    def __init__(self, desk: Desk, name: str, target: Target) -> None:
        self.desk = desk
        self.name = name
        self.target = target
        self.overview: Overview | None = None
        self.work: Work | None = None
        self.word: Word | None = None
        self.warnings: tuple[str, ...] = ()
        self.passed: deque[tuple[int, Passed]] = deque(maxlen=MOST_PASSED)
        self.closed = False
        self._count = 0
        self._kept: dict[type, object] = {}
        self._on_progress: Callable[[Progress], None] | None = None
        self._warned: set[tuple[str | None, str]] = set()
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self.line = MeterLine(
            desk.setting.journal, self._progressed, self._message_passed, self._companions
        )

    @property
    def busy(self) -> bool:
        """Say whether a piece of work is under way."""
        return self.work is not None

    # --- what pages keep here --------------------------------------------------------------------

    def keep(self, thing: object) -> None:
        """Keep something for the pages of this place, in place of the last one of its type."""
        self._kept[type(thing)] = thing
        self.changed()

    def kept(self, kind: type[T]) -> T | None:
        """Return what was kept of a type, or None."""
        return cast("T | None", self._kept.get(kind))

    def forget(self, kind: type) -> None:
        """Keep nothing of a type any more."""
        self._kept.pop(kind, None)
        if self.word is not None and self.word.of is kind:
            self.word = None
        self.changed()

    def changed(self) -> None:
        """Have every open page show what is the case now."""
        self.desk.changed()

    def say(
        self,
        what: Said | str,
        mood: Mood = Mood.PLAIN,
        *,
        page: str = "",
        of: type | None = None,
    ) -> None:
        """Say something on the pages of this place, in place of what was said; as in `Word`."""
        self.word = Word(what, mood, page, of)
        self.changed()

    # --- work ------------------------------------------------------------------------------------

    def begin(
        self,
        title: Said,
        work: Callable[[Connection], T],
        done: Callable[[T], None],
        *,
        failed: Callable[[Exception], bool] | None = None,
        ended: Callable[[], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        carries_tokens: bool = False,
        target: Target | None = None,
    ) -> None:
        """Begin a piece of work with the meter; Busy where another one is under way.

        ``work`` runs in the line's thread, everything else in the event loop's. ``done``: gets what
        it came to. ``failed``: may deal with an error in a way of its own (True). ``ended``: called
        in any case, first. ``on_progress``: told of each step besides. ``target``: another one than
        the meter that is meant.
        """
        self.free()
        self.work = Work(title, carries_tokens)
        self.word, self.warnings = None, ()
        self._on_progress = on_progress
        self.forget(UnknownMeter)
        task = self._loop.create_task(self._do(target or self.target, work, done, failed, ended))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.changed()

    def free(self) -> None:
        """Raise Busy unless work can begin here: nothing is under way, and nothing ends."""
        if self.work is not None:
            raise Busy(
                said("Something else is under way here: {what}. Wait for it.", what=self.work.title)
            )
        if self.closed or self.desk.closing.is_set():
            raise Busy(said("This place is closed: nothing is begun here any more."))

    async def _do(
        self,
        target: Target,
        work: Callable[[Connection], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], bool] | None,
        ended: Callable[[], None] | None,
    ) -> None:
        try:
            result = await self.line.do(target, work)
        except Exception as error:  # noqa: BLE001 - judged below
            self._end(ended)
            self._safely(functools.partial(self._failed, error, failed))
        else:
            self._end(ended)
            self._safely(functools.partial(done, result))
        pan = self.target.meter_pan
        fresh = [w for w in self.line.warnings.taken() if (pan, w) not in self._warned]
        self._warned.update((pan, warning) for warning in fresh)
        self.warnings = (*self.warnings, *fresh)
        self.changed()

    def _failed(self, error: Exception, failed: Callable[[Exception], bool] | None) -> None:
        if failed is None or not failed(error):
            self.tell_failure(error)

    def _end(self, ended: Callable[[], None] | None) -> None:
        self.work = None
        self._on_progress = None
        if ended is not None:
            self._safely(ended)

    def _safely(self, do: Callable[[], None]) -> None:
        """Do what a page wants done at the end; what goes wrong in it is said, as of the work."""
        try:
            do()
        except Exception as error:  # noqa: BLE001 - the place goes on, and says what was wrong
            self.tell_failure(error)

    def tell_failure(self, error: Exception) -> None:
        """Say why a piece of work could not be done."""
        if isinstance(error, Interrupted):
            self.say(said("Left: the meter is not waited for any more."), Mood.CARE)
            return
        if isinstance(error, UnknownCompanion):
            self.keep(UnknownMeter(error.identity))
        if isinstance(error, SignOnRefused):  # a wrong password is not given again and again
            self.target = replace(self.target, password=None)
        sentence = getattr(error, "said", None)
        if isinstance(error, AnotherMeter):
            sentence = said(
                "{what}. To work with it, go back to the start and connect.", what=error.said
            )
        judged = judge(error)
        if isinstance(sentence, Said):
            self.say(sentence, Mood.BAD)
        elif judged is not None:
            self.say(judged[0], Mood.BAD)
        else:
            report(error)
            self.say(
                said(
                    "A defect of this program ended the work ({name}); what was sent stands in the "
                    "journal.",
                    name=type(error).__name__,
                ),
                Mood.BAD,
            )

    def leave(self) -> None:
        """Have the work under way end soon, without waiting for the meter."""
        if self.work is not None:
            self.work.leaving = True
            self.line.leave()
            if not self.line.busy:  # it was begun a moment ago, and the line knows nothing yet
                self._loop.call_soon(self.line.leave)
            self.changed()

    async def close(self) -> None:
        """Leave what is under way, and end the line; open pages are told so."""
        if self.closed:
            return
        self.closed = True
        self.leave()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self.say(said("This place is closed: nothing is begun here any more."), Mood.CARE)
        await asyncio.to_thread(self.line.close)

    @contextmanager
    def alone_with(self, meter_pan: str) -> Iterator[None]:
        """Work with a meter at which nobody works from another place; in the line's thread.

        Busy where somebody does: two units at one meter would disturb each other's deliveries.
        """
        with self.desk.alone_with(meter_pan, self):
            yield

    # --- the meter that is meant -----------------------------------------------------------------

    def met(self, overview: Overview) -> None:
        """Keep what was read of the meter, and mean this one from now on."""
        self.overview = overview
        companion = self._companion_of(overview)
        spoken = self.target.spoken(companion, overview.speed)
        self.target = spoken.meaning(overview.meter_pan)
        self.changed()

    def _companion_of(self, overview: Overview) -> str:
        """Return by what name the meter's companion is loaded without asking the meter again."""
        if self.target.companion != AUTO or self.target.address.startswith("sim:"):
            return self.target.companion
        name = overview.companion.name
        return name if name in shipped_companions() else AUTO

    def _companions(self) -> tuple[str, ...]:
        return own_companions(self.desk.setting.state / PLACES)

    # --- told in the line's thread ---------------------------------------------------------------

    def in_loop(self, do: Callable[[], None]) -> None:
        """Have something done in the event loop's thread; from any thread.

        What comes after the program's end is nobody's any more; work is not disturbed by that.
        """
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(do)

    def _progressed(self, progress: Progress) -> None:
        self.in_loop(lambda: self._take(progress))

    def step(self, what: Said) -> None:
        """Say how far the work has come; from the line's thread."""
        self.in_loop(lambda: self._step(what))

    def _take(self, progress: Progress) -> None:
        self._step(told(progress))
        if self._on_progress is not None:
            self._on_progress(progress)

    def _step(self, what: Said) -> None:
        if self.work is not None:
            self.work.steps.append(what)
            self.changed()

    def _message_passed(self, what: TraceMessage | TraceSpeed, companion: Companion | None) -> None:
        passed = Passed(what, companion, self.desk.setting.wall_clock())
        self.in_loop(lambda: self._take_message(passed))

    def _take_message(self, passed: Passed) -> None:
        self._count += 1
        self.passed.append((self._count, passed))
        self.changed()
