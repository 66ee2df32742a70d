"""``vtc07 route run``: do what a route has for the meter that is there, one meter or many."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from vtc07.cli.connection import Connection
from vtc07.cli.failure import ExitCode, Failure, judge
from vtc07.cli.journalling import JournalOptions, journal_option, now, opened
from vtc07.cli.lazy import examples
from vtc07.cli.link_options import LinkOptions, link_options
from vtc07.cli.output import Output, json_option
from vtc07.cli.progress import Progressing
from vtc07.cli.route_shown import show_arrival, show_count, show_visit, visit_document
from vtc07.cli.send import EXIT_CODES
from vtc07.hhu.journal.deliveries import JournalError
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.outcome import Meaning
from vtc07.hhu.route.facts import RouteError
from vtc07.hhu.route.file import RouteFile, open_route
from vtc07.hhu.route.round import (
    begin_round,
    continue_round,
    current_round,
    round_before,
    round_of_another_file,
)
from vtc07.hhu.route.run import work
from vtc07.hhu.route.state import RouteSummary, route_summary
from vtc07.hhu.route.task import StopResult, StopState
from vtc07.hhu.route.visit import Arrived, Finding, RouteStep, RouteVisit, TaskBegins
from vtc07.hhu.session import SignOnRefused

#: How an option names stdin.
_STDIN: Final = ("-",)
#: A stop that leaves nothing to be tried.
_FINISHED: Final = (StopResult.DONE, StopResult.REFUSED)
#: Of several findings at one head the gravest ends the command.
_WEIGHT: Final = (ExitCode.DONE, ExitCode.REFUSED, ExitCode.NO_LINK, ExitCode.UNRESOLVED)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the options of the command say."""

    again: bool
    resend: bool


@click.command(
    epilog=examples(
        "vtc07 route run monday.csv /dev/ttyUSB0",
        "vtc07 route run monday.csv sim:kitchen.meter --json",
        "vtc07 route run monday.csv /dev/ttyUSB0 --once --again",
        "vtc07 route run monday.csv /dev/ttyUSB0 --corrected",
    )
)
@click.argument("route_file", metavar="ROUTE", type=click.Path(path_type=Path))
@link_options
@journal_option
@json_option
@click.option(
    "--next/--once",
    "several",
    default=None,
    help="After a meter wait for Enter and go on with the next one, q ends; by default at a "
    "terminal. Or work at one meter.",
)
@click.option(
    "--again",
    is_flag=True,
    help="Write and read registers once more where that is done already; tokens never.",
)
@click.option(
    "--corrected",
    is_flag=True,
    help="The route's file is the earlier one, corrected: what was done with that counts as done.",
)
@click.option(
    "--anew",
    is_flag=True,
    help="Begin a new round: what was written and read before does not count. Tokens stay "
    "delivered.",
)
@click.option(
    "--resend-if-refusable",
    is_flag=True,
    help="For meters that do not tell what became of a token: send a credit token again where "
    "no answer came; the meter refuses a second one.",
)
@click.pass_obj
def run(
    output: Output,
    route_file: Path,
    link: LinkOptions,
    journal: JournalOptions,
    *,
    several: bool | None,
    again: bool,
    corrected: bool,
    anew: bool,
    resend_if_refusable: bool,
) -> None:
    """Do what the route in the file ROUTE has for the meter at ADDRESS, whichever it is.

    The meter says who it is; deliveries to it that were left open are looked into; its tokens are
    delivered, its registers written, read back and read. What is done stands in the journal, and
    is not done again: after a pulled cable, a crash or a night, run the same command.

    Exit codes of one meter: 0 everything at it is done; 1 something was refused, or it is not on
    the route; 2 the route is wrong; 3 no link; 4 of a token nobody knows whether it was taken. Of
    several meters the gravest, without those that are not on the route.
    """
    if corrected and anew:
        raise Failure("--corrected counts what was done and --anew does not: leave one of them out")
    if output.as_json and several:
        raise Failure("--json tells of one meter: leave out --next")
    if several and link.trace is not None:
        raise Failure("--trace records one session: leave out --next; the journal has them all")
    from_stdin = link.password_file in _STDIN
    if several and from_stdin:
        raise Failure("--next asks on stdin for the next meter: give the password by a file's name")
    if several is None:
        one = output.as_json or link.trace is not None or from_stdin
        several = sys.stdin.isatty() and not one
    route = open_route(route_file)
    if route.faulty:
        output.warning(
            f"{route.faulty} of {route.size} stops have errors and are not worked on; "
            f"vtc07 route check {route_file} tells which"
        )
    with opened(journal, output) as kept:
        _begin(kept, route, output, corrected=corrected, anew=anew)
    day = _Day(output, link, journal, route, _Wanted(again, resend_if_refusable))
    if several:
        day.several_meters()
    else:
        day.one_meter()


def _begin(
    journal: FileJournal, route: RouteFile, output: Output, *, corrected: bool, anew: bool
) -> None:
    """Say what of earlier work counts, and write down what the options say of it."""
    if anew:
        begin_round(journal, route, now())
        return
    if corrected:
        before = round_before(journal, route)
        if before is not None:
            continue_round(journal, route, before, now())
        elif current_round(journal, route) is None:
            raise Failure(f"there is no earlier work on a route {route.name} to go on with")
    elif (other := round_of_another_file(journal, route)) is not None:
        output.warning(
            f"another file was worked on as route {route.name}, begun on "
            f"{other.began.astimezone().date()}; of that only tokens count here. If this is the "
            "same route, corrected, say --corrected"
        )


class _Day:
    """The work of one command at one head."""

    def __init__(
        self,
        output: Output,
        link: LinkOptions,
        journal: JournalOptions,
        route: RouteFile,
        wanted: _Wanted,
    ) -> None:
        self._output = output
        self._link = link
        self._journal = journal
        self._route = route
        self._wanted = wanted
        self._before: tuple[StopState, ...] = ()
        self._password: str | None = None  # typed once, for all meters that want it
        self._without = False  # a person said that there is none

    def one_meter(self) -> None:
        """Work at one meter; Failure where not everything is done there."""
        visit, unavailable = self._visit()
        code = EXIT_CODES[visit.meaning]
        finished: int | None = None
        uncounted = ""
        try:
            finished = self._summary().finished
        except (RouteError, JournalError, OSError) as error:  # what was done is told all the same
            why, _ = judge(error) or (str(error), None)
            uncounted = f"how far the route has come is not counted: {why}"
        if self._output.as_json:
            self._output.document(visit_document(visit, self._route, finished, int(code)))
        else:
            show_visit(self._output, visit)
            if finished is not None:
                show_count(self._output, finished, self._route.size)
        if uncounted:
            self._output.warning(uncounted)
        self._warn(visit)
        if code is not ExitCode.DONE:
            raise Failure(_sentence(visit, unavailable), code)

    def several_meters(self) -> None:
        """Work at one meter after another, until a person says q; Failure for the gravest."""
        summary = self._summary()
        finished = summary.finished
        show_count(self._output, finished, summary.size)
        codes: dict[str, ExitCode] = {}  # of meters at which something is not done
        while _asked_for_another():
            try:
                visit, unavailable = self._visit()
            except _Interrupted:
                raise
            except Exception as error:
                judged = judge(error)
                if judged is None:
                    raise
                self._output.error(*judged)
                continue
            finished += _finished(visit.stops) - _finished(self._before)
            show_visit(self._output, visit)
            self._warn(visit)
            code = EXIT_CODES[visit.meaning]
            if code is not ExitCode.DONE:
                self._output.error(_sentence(visit, unavailable), code)
            show_count(self._output, finished, summary.size)
            if visit.meter_pan is not None and visit.finding is not Finding.NOT_ON_ROUTE:
                codes[visit.meter_pan] = code
                if code is ExitCode.DONE:
                    del codes[visit.meter_pan]
        gravest = max(codes.values(), key=_WEIGHT.index, default=ExitCode.DONE)
        if gravest is not ExitCode.DONE:
            meters = ", ".join(pan for pan, code in codes.items() if code is gravest)
            raise Failure(f"not everything is done at: {meters}", gravest)

    def _visit(self) -> tuple[RouteVisit, str | None]:
        """Work at the meter that is there; returns why the link could not be opened again, too."""
        self._before = ()
        with (
            Progressing(self._output) as progress,
            opened(self._journal, self._output) as kept,
            Connection(
                self._link, self._output, progress.heard, journal=kept, password=self._password
            ) as connection,
        ):
            if self._route.writing and not self._without and connection.knows_passwords:
                with progress.aside():
                    self._password = connection.want_password()
                self._without = self._password is None
            recording = connection.recording
            assert recording is not None
            recording.route = self._route.name

            def heard(step: RouteStep) -> None:
                if isinstance(step, Arrived):
                    self._before = step.stops
                    with progress.aside():
                        show_arrival(self._output, step)
                elif isinstance(step, TaskBegins):
                    what = f"{step.task.kind.value} {step.task.subject}"
                    progress.task = f"{step.number} of {step.of}, {what}"

            try:
                connection.greet(compare=False)
                visit = connection.run(
                    work(
                        connection.session,
                        kept,
                        self._route,
                        wall_clock=now,
                        again=self._wanted.again,
                        resend_if_refusable=self._wanted.resend,
                        on_task=heard,
                    )
                )
                progress.task = ""
                connection.sign_off()
            except KeyboardInterrupt:
                raise _interrupted(kept, connection.meter_pan) from None
            except SignOnRefused:
                self._password = None  # the next one is asked for
                raise
            return visit, connection.unavailable

    def _summary(self) -> RouteSummary:
        with opened(self._journal, self._output) as journal:
            return route_summary(journal, self._route)

    def _warn(self, visit: RouteVisit) -> None:
        for problem in visit.problems:
            self._output.warning(problem)


def _finished(states: tuple[StopState, ...]) -> int:
    return sum(state.result in _FINISHED for state in states)


def _asked_for_another() -> bool:
    """Wait for a person at the head; False where there is nothing more to be done."""
    try:
        answer = click.prompt(
            "put the head on a meter and press Enter, q ends",
            default="",
            show_default=False,
            prompt_suffix=": ",
            err=True,
        )
    except click.Abort:  # Ctrl-C or Ctrl-D while nothing is under way
        click.echo(err=True)
        return False
    return not str(answer).strip().lower().startswith("q")


def _sentence(visit: RouteVisit, unavailable: str | None) -> str:
    sentence = str(visit.said)
    if visit.meaning is Meaning.UNRESOLVED and visit.obstacle is None:
        sentence += "; of a token nobody knows whether the meter has taken it"
    if visit.obstacle is not None:
        sentence += "; run the same command again to go on"
    return f"{sentence} ({unavailable})" if unavailable else sentence


class _Interrupted(Failure):
    """Ctrl-C while something was under way."""


def _interrupted(journal: FileJournal, meter_pan: str | None) -> _Interrupted:
    """Say what is known after Ctrl-C, and how to go on."""
    still_open = () if meter_pan is None else journal.unresolved(meter_pan)
    if still_open:
        return _Interrupted(
            f"interrupted; delivery {still_open[0].number} is open and stands in the journal "
            f"{journal.path}; run the same command again: it is resolved first, and nothing is "
            "entered twice",
            ExitCode.UNRESOLVED,
        )
    return _Interrupted(
        "interrupted; no token is open, and what is done stands in the journal; to go on, run the "
        "same command again",
        ExitCode.INTERRUPTED,
    )
