"""The terminal application of a hand-held unit: its screens, its line, its journal."""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Final, TypeVar

from textual.app import App
from textual.binding import Binding, BindingType

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import shipped_companions
from vtc07.cli.connection import Connection
from vtc07.cli.failure import judge
from vtc07.cli.link_options import AUTO
from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.progress import Progress, told
from vtc07.hhu.session import AnotherMeter, SignOnRefused
from vtc07.hhu.texts import Said, mark, said
from vtc07.links.blocking import Interrupted
from vtc07.screens.known import made_since, settled, sightings
from vtc07.screens.meter_line import MeterLine, Target
from vtc07.screens.overview import Overview
from vtc07.screens.passing import Passed
from vtc07.screens.places import PLACES, own_companions, remember, used_before
from vtc07.screens.token_entry import Sighting
from vtc07.screens.way import WayError
from vtc07.terminal.dialogs import Question, Wanted
from vtc07.terminal.frame import Frame, Words
from vtc07.terminal.look import CSS, DARK, LIGHT
from vtc07.terminal.setting import OnTheLine, Setting, Stepped
from vtc07.trace.message import TraceMessage, TraceSpeed

T = TypeVar("T")

#: So many messages of the line are kept to be looked at.
MOST_PASSED: Final = 500
_LOOK_S: Final = 1.0


class HandHeldUnit(App[None]):
    """The application. ``target`` and ``overview``: the meter that was connected last."""

    CSS = CSS
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "line", show=False, priority=True),
        Binding("f3", "light", show=False, priority=True),
        Binding("ctrl+q", "quit", show=False, priority=True),
        Binding("ctrl+c", "quit", show=False, system=True),
    ]

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self.texts = setting.texts
        self.journal = setting.journal
        self.wall_clock = setting.wall_clock
        self.line = MeterLine(self.journal, self._stepped, self._passed, self._companions)
        self.target: Target | None = None
        self.overview: Overview | None = None
        self.passed: deque[Passed] = deque(maxlen=MOST_PASSED)
        self.token_on_its_way = False
        self._warned: set[tuple[str, str | None, str]] = set()
        self._at_work: Frame | None = None
        self.animation_level = "none"

    def on_mount(self) -> None:
        """Show the first screen."""
        from vtc07.terminal.connect_screen import ConnectScreen  # noqa: PLC0415 - they know us

        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = DARK.name
        if not self.is_headless:
            self.set_interval(_LOOK_S, end_without_terminal)
        self.push_screen(ConnectScreen(self.setting.address))

    def whereabouts(self) -> Words:
        """Return which meter is meant, for the title."""
        if self.target is None:
            return ""
        if self.target.meter_pan is None:
            return self.target.address
        return said("meter {pan}", pan=self.target.meter_pan)

    # --- the line --------------------------------------------------------------------------------

    def with_meter(
        self,
        screen: Frame,
        work: Callable[[Connection], T],
        done: Callable[[T], None],
        ended: Callable[[], None] | None,
        target: Target | None,
    ) -> None:
        """Do a piece of work with a target, for a screen; None: with the meter that is meant."""
        target = target or self.target
        if self._at_work is not None or self.line.busy or target is None:
            return
        self._at_work = screen
        screen.step(said("connecting to {address}", address=target.address))

        async def do() -> None:
            try:
                result = await self.line.do(target, work)
            except Exception as error:  # noqa: BLE001 - judged below
                self._work_ended(ended)
                self._failed(screen, error)
            else:
                self._work_ended(ended)
                screen.tell("")
                done(result)
            if warnings := self._fresh_warnings(target):
                screen.warn(warnings)

        self.run_worker(do(), group="line")

    def _fresh_warnings(self, target: Target) -> str:
        """Return what a connection warned of, as far as it was not said of this target before."""
        fresh = [
            warning
            for warning in self.line.warnings.taken()
            if (target.address, target.meter_pan, warning) not in self._warned
        ]
        self._warned.update((target.address, target.meter_pan, warning) for warning in fresh)
        return "\n".join(fresh)

    def _work_ended(self, ended: Callable[[], None] | None) -> None:
        self._at_work = None
        self.token_on_its_way = False
        if isinstance(self.screen, Question):
            self.screen.action_answer(answer=False)  # to leave or not is no question any more
        if ended is not None:
            ended()

    def aside(self, screen: Frame, work: Callable[[], T], done: Callable[[T], None]) -> None:
        """Do something in the line's thread that needs no meter."""

        async def do() -> None:
            try:
                result = await self.line.aside(work)
            except Exception as error:  # noqa: BLE001 - judged below
                self._failed(screen, error)
            else:
                if screen.is_attached:
                    done(result)

        self.run_worker(do(), group="aside")

    def _failed(self, screen: Frame, error: Exception) -> None:
        """Have a screen say what went wrong; what is a defect of ours ends the program."""
        if isinstance(error, Interrupted):
            screen.left()
            return
        judged = judge(error)
        if judged is None:
            raise error
        if screen.failed_with(error):
            return
        sentence = getattr(error, "said", None)
        if isinstance(error, SignOnRefused) and self.target is not None:
            self.target = replace(
                self.target, password=None
            )  # a wrong one is not given again and again
        if isinstance(error, AnotherMeter):
            sentence = said(
                "{what}. To work with it, go back to the start and connect.", what=error.said
            )
        screen.failed(sentence if isinstance(sentence, Said) else judged[0])

    def ask_to_leave(self) -> None:
        """Ask whether what is under way is to be left, where a token is; else leave it."""
        if not self.token_on_its_way:
            self.line.leave()
            return
        question = said(
            "Tokens are being delivered. What was sent stands in the journal. If you leave now, do "
            "not give a token of them to anybody before it is looked into: connect to this meter "
            "again and choose Open deliveries. Nothing is entered twice."
        )

        def answered(leave: bool | None) -> None:  # noqa: FBT001 - Textual's callback
            if leave:
                self.line.leave()

        self.push_screen(
            Question(question, mark("leave"), mark("go on waiting"), yes_key="l,L", shown_key="L"),
            answered,
        )

    def _stepped(self, progress: Progress) -> None:
        """Take a step of the line's thread."""
        self.say(told(progress))

    def _passed(self, what: TraceMessage | TraceSpeed, companion: Companion | None) -> None:
        """Take a message that passed, in the line's thread."""
        self.post_message(OnTheLine(Passed(what, companion, self.wall_clock())))

    def _companions(self) -> tuple[str, ...]:
        return own_companions(self.setting.state / PLACES)

    def say(self, what: Said) -> None:
        """Say how far a piece of work has come; from the line's thread."""
        self.post_message(Stepped(what))

    def on_stepped(self, event: Stepped) -> None:
        """Show a step on the screen whose work it is."""
        if self._at_work is not None and self._at_work.is_attached:
            self._at_work.step(event.what)

    def on_on_the_line(self, event: OnTheLine) -> None:
        """Keep a message, and show it where the line is watched."""
        from vtc07.terminal.line_screen import LineScreen  # noqa: PLC0415 - it knows us

        self.passed.append(event.passed)
        for screen in self.screen_stack:
            if isinstance(screen, LineScreen):
                screen.add(event.passed)

    # --- keys ------------------------------------------------------------------------------------

    def action_line(self) -> None:
        """Watch the line, from any screen."""
        from vtc07.terminal.line_screen import LineScreen  # noqa: PLC0415 - it knows us

        if not any(isinstance(screen, LineScreen) for screen in self.screen_stack):
            self.push_screen(LineScreen())

    def action_light(self) -> None:
        """Change between dark and light: the sun is bright, the cellar is not."""
        self.theme = LIGHT.name if self.theme == DARK.name else DARK.name

    async def action_quit(self) -> None:
        """End the program; while a token is on its way only when that is left first."""
        if self.line.busy and self.token_on_its_way:
            self.ask_to_leave()
            return
        self.line.leave()
        self.exit()

    # --- screens ---------------------------------------------------------------------------------

    def show(self, name: str) -> None:
        """Go to a screen by the name it has in menus."""
        from vtc07.terminal.screens import SCREENS  # noqa: PLC0415 - they know us

        self.push_screen(SCREENS[name]())

    # --- the target ------------------------------------------------------------------------------

    def want_target(self, screen: Frame, go_on: Callable[[Target], None]) -> None:
        """Go on with where a meter is, whichever it is; where that is not known, ask first."""
        if self.target is not None:
            go_on(Target.typed(self.target.text, self.setting.companion))
            return
        before = used_before(self.setting.state / PLACES)

        def given(address: str | None) -> None:
            if address is None:
                return
            try:
                found = Target.typed(address, self.setting.companion)
            except WayError as error:
                screen.failed(error.said)
                return
            self.target = found
            remember(self.setting.state / PLACES, found.text)
            screen.show_title()
            go_on(found)

        question = said("Where is the meter? The address that was used last is written here.")
        self.push_screen(Wanted(question, text=before[0] if before else ""), given)

    def met(self, overview: Overview) -> None:
        """Keep what was read of the meter, and mean this one from now on."""
        self.overview = overview
        assert self.target is not None
        spoken = self.target.spoken(self._companion_of(overview), overview.speed)
        self.target = spoken.meaning(overview.meter_pan)
        if isinstance(self.screen, Frame):
            self.screen.show_title()

    def _companion_of(self, overview: Overview) -> str:
        """Return by what name the meter's companion is loaded without asking the meter again."""
        assert self.target is not None
        if self.target.companion != AUTO or self.target.address.startswith("sim:"):
            return self.target.companion
        name = overview.companion.name
        return name if name in shipped_companions() else AUTO

    # --- what the journal knows; to be asked in the line's thread --------------------------------

    def sightings(self, digits: str) -> tuple[Sighting, ...]:
        """Return what the journal knows of a token, at the meter that is meant."""
        pan = None if self.target is None else self.target.meter_pan
        return sightings(self.journal, digits, pan)

    def settled(self, tokens: tuple[str, ...]) -> frozenset[int]:
        """Return the deliveries of these tokens that have a result."""
        return settled(self.journal, tokens)

    def made_since(
        self, tokens: tuple[str, ...], before: frozenset[int] | None
    ) -> tuple[Delivery | None, ...]:
        """Return the last delivery of each token but those that were settled ``before``."""
        return made_since(self.journal, tokens, before)

    # --- defects ---------------------------------------------------------------------------------

    @property
    def defect(self) -> Exception | None:
        """The error of our own that ended the program, if one did."""
        return self._exception

    def _fatal_error(self) -> None:
        """End the program after a defect; whoever ran it raises that.

        In place of Textual's own way, which shows the values of variables: tokens and passwords
        may be among them.
        """
        self._close_messages_no_wait()

    def on_unmount(self) -> None:
        """End the line with the application."""
        self.line.close()


def end_without_terminal() -> None:
    """End where the terminal is gone and nobody said so, as it does where the system says so.

    A terminal whose program did not become its session's owner hangs up in silence; the
    library would then read its end again and again, and keep the journal.
    """
    if sys.platform != "win32" and sys.__stdin__ is not None and not sys.__stdin__.isatty():
        os.kill(os.getpid(), signal.SIGHUP)
