"""A route: how far it has come, and the work at the meter that is there."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import RichLog, Static

from vtc07.cli.connection import Connection
from vtc07.harmless import harmless
from vtc07.hhu.route.facts import RouteError
from vtc07.hhu.route.file import RouteFile
from vtc07.hhu.route.round import (
    RouteRound,
    begin_round,
    continue_round,
    round_of_another_file,
)
from vtc07.hhu.route.state import RouteStates
from vtc07.hhu.route.task import RouteSummary, StopResult, StopState, TaskKind
from vtc07.hhu.route.visit import RouteStep, RouteVisit, TaskBegins
from vtc07.hhu.texts import Said, counted, mark, said
from vtc07.screens.meter_line import Target
from vtc07.screens.mood import MOODS, Mood
from vtc07.screens.visiting import TASKS, counts_said, step_said, visit, visit_lines
from vtc07.terminal.dialogs import Choice, Question
from vtc07.terminal.frame import BACK, ENTER, LINE, Frame, Key
from vtc07.terminal.table import WordTable

#: So many stops are shown at once; a route may have many more.
PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is shown of a route: its counts, and a page of its stops."""

    summary: RouteSummary
    stops: tuple[StopState, ...]
    more: bool


class RouteScreen(Frame):
    """How far a route has come, and the work at the meter that is there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "work", show=False),
        Binding("f4", "all", show=False),
        Binding("f6", "page(1)", show=False),
        Binding("f7", "page(-1)", show=False),
        Binding("f8", "anew", show=False),
    ]

    def __init__(self, route: RouteFile) -> None:
        super().__init__()
        self._route = route
        self._all = False
        self._page = 0
        self._more = False
        self._visiting = False

    def title_words(self) -> Said:
        """Return what stands in the title."""
        return said("Route {name}", name=self._route.name)

    def offered(self) -> Iterable[Key]:
        """Return the keys of the moment."""
        if self.query_one(RichLog).display:
            return (
                (ENTER, mark("next meter")),
                ("↑↓", mark("look around")),
                (BACK[0], mark("all meters")),
                LINE,
            )
        return (
            (ENTER, mark("work at the meter that is there")),
            ("F4", mark("only what is left") if self._all else mark("all")),
            ("F6/F7", mark("further/back")),
            ("F8", mark("new round")),
            BACK,
            LINE,
        )

    def body(self) -> Iterable[Widget]:
        """Return counts, stops, and what became of the last visit."""
        with Vertical():
            yield Static(id="counts", classes="large", markup=False)
            yield WordTable()
            yield RichLog(wrap=True, auto_scroll=False, min_width=20, classes="log")

    def on_mount(self) -> None:
        """Show how far the route has come."""
        super().on_mount()
        self._show_visit(shown=False)
        self._look()
        self.aside(
            functools.partial(round_of_another_file, self.unit.journal, self._route),
            self._ask_whether_corrected,
        )

    def _show_visit(self, *, shown: bool) -> None:
        """Show what became of a visit in place of the stops, or the stops again."""
        table, log = self.query_one(WordTable), self.query_one(RichLog)
        table.display, log.display = not shown, shown
        (log if shown else table).focus()
        self.show_keys()

    def go_back(self) -> None:
        """Go back to the stops first."""
        if self.query_one(RichLog).display:
            self.tell("")
            self._show_visit(shown=False)
        else:
            super().go_back()

    # --- rounds ----------------------------------------------------------------------------------

    def _ask_whether_corrected(self, before: RouteRound | None) -> None:
        """Ask what counts, where another file was worked on under this name."""
        if before is None:
            return

        def chosen(name: str | None) -> None:
            if name == "corrected":
                journal, now = self.unit.journal, self.unit.wall_clock()
                carry_on = functools.partial(continue_round, journal, self._route, before, now)
                self.aside(carry_on, lambda _: self._look())

        question = said(
            "Another file was worked on as route {name}, begun on {day}. Is this the same route, "
            "corrected?",
            name=self._route.name,
            day=f"{before.began.astimezone():%Y-%m-%d}",
        )
        items = (
            ("corrected", said("Yes: what was done with the other file counts")),
            ("other", said("No: of the other file only tokens count")),
        )
        self.app.push_screen(Choice(question, items), chosen)

    def action_anew(self) -> None:
        """Begin a new round, once that is confirmed."""
        if self.unit.line.busy:
            return

        def answered(yes: bool | None) -> None:  # noqa: FBT001 - Textual's callback
            if yes:
                journal, now = self.unit.journal, self.unit.wall_clock()
                begin = functools.partial(begin_round, journal, self._route, now)
                self.aside(begin, lambda _: self._look())

        question = said(
            "Begin a new round? What was written and read so far does not count any more; tokens "
            "that were delivered stay delivered."
        )
        asked = Question(question, mark("begin anew"), yes_key="f8", shown_key="F8")
        self.app.push_screen(asked, answered)

    # --- how far it has come ---------------------------------------------------------------------

    def _look(self) -> None:
        if not self.unit.line.busy:
            self.query_one("#counts", Static).update(
                Content(self.words(said("looking into the journal ...")))
            )
        self.aside(self._read, self._show)

    def _read(self) -> _Shown:
        states = RouteStates(self.unit.journal, self._route)
        summary = states.summary()
        found = (states.of(stop) for stop in self._route.stops())
        left = (s for s in found if self._all or s.result not in _FINISHED)
        page = tuple(itertools.islice(left, self._page * PAGE, (self._page + 1) * PAGE + 1))
        return _Shown(summary, page[:PAGE], len(page) > PAGE)

    def _show(self, shown: _Shown) -> None:
        self._more = shown.more
        summary, texts = shown.summary, self.unit.texts
        counts = self.words(counts_said(summary))
        if summary.finished == summary.size:
            counts += "\n✓ " + self.words(said("There is nothing left to do on this route."))
        if self._route.faulty:
            counts += "\n! " + self.words(
                counted(
                    "{count} stop cannot be worked on as it stands: vtc07 route check says why.",
                    "{count} stops cannot be worked on as they stand: vtc07 route check says why.",
                    self._route.faulty,
                )
            )
        self.query_one("#counts", Static).update(Content(counts))
        columns = [texts(w) for w in (mark("meter"), mark("what"), mark("result"), mark("place"))]
        rows = [(str(place), self._cells(state)) for place, state in enumerate(shown.stops)]
        self.query_one(WordTable).fill(columns, rows, keep=True)

    def _cells(self, state: StopState) -> tuple[str, ...]:
        texts = self.unit.texts
        counts = {kind: sum(t.kind is kind for t in state.tasks) for kind in TaskKind}
        what = ", ".join(f"{texts(TASKS[kind])} {n}" for kind, n in counts.items() if n)
        stop = state.stop
        place = f"{stop.place}: {stop.notes}" if stop.notes and stop.place else stop.place
        # What can be long is the last, so that it puts nothing else out of sight.
        return (stop.meter, what, texts(state.result.value), place or stop.notes)

    def action_all(self) -> None:
        """Show all stops, or only those where something is left to be done."""
        self._all, self._page = not self._all, 0
        self._show_visit(shown=False)
        self._look()

    def action_page(self, way: int) -> None:
        """Show the next stops, or those before."""
        if self._page + way < 0 or (way > 0 and not self._more):
            self.tell(said("There are no more."))
            return
        self._page += way
        self._show_visit(shown=False)
        self._look()

    # --- work ------------------------------------------------------------------------------------

    def on_data_table_row_selected(self) -> None:
        """Work at the meter that is there, whichever row is marked."""
        self.action_work()

    def action_work(self) -> None:
        """Do what the route has for the meter that is there."""
        if not self.unit.line.busy:
            self.unit.want_target(self, self._work)

    def _work(self, target: Target) -> None:
        self._visiting = True
        self.with_meter(self._visit, self._visited, target=target)

    def _visit(self, connection: Connection) -> RouteVisit:
        return visit(
            connection,
            journal=self.unit.journal,
            route=self._route,
            wall_clock=self.unit.wall_clock,
            on_task=self._on_task,
        )

    def _on_task(self, step: RouteStep) -> None:
        """Take a step, in the line's thread."""
        if isinstance(step, TaskBegins):
            self.unit.token_on_its_way = step.task.kind is TaskKind.DELIVER
        if (what := step_said(step)) is not None:
            self.unit.say(what)

    def _visited(self, visited: RouteVisit) -> None:
        self._visiting = False
        lines = visit_lines(visited, self.unit.texts)
        self._show_visit(shown=True)
        self.call_after_refresh(self._write, lines)
        self.tell(visited.said, MOODS[visited.meaning])
        self._look()

    def _write(self, lines: list[str]) -> None:
        log = self.query_one(RichLog)
        log.clear()
        for line in lines:
            log.write(Text(harmless(line)))

    def failed_with(self, error: Exception) -> bool:
        """Look again after a visit that failed: some of it may have been done."""
        visiting, self._visiting = self._visiting, False
        if visiting and not isinstance(error, RouteError):
            self._look()
        return False

    def left(self) -> None:
        """Say that the visit was left; the next one goes on where it ended."""
        self._visiting = False
        self.tell(
            said("Left. The next visit to this meter goes on where this one ended."), Mood.CARE
        )
        self._look()


_FINISHED: Final = (StopResult.DONE, StopResult.REFUSED)
