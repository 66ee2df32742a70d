"""``vtc07 hhu resume``: find out what became of what a crash left open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from vtc07.cli.connection import Connection
from vtc07.cli.failure import ExitCode, Failure
from vtc07.cli.journalling import JournalOptions, journal_option, now, opened
from vtc07.cli.lazy import examples
from vtc07.cli.link_options import LinkOptions, optional_link_options
from vtc07.cli.output import Output, json_option
from vtc07.cli.progress import Progressing
from vtc07.cli.send import EXIT_CODES, explanation, outcome_document
from vtc07.hhu import resuming
from vtc07.hhu.journal.deliveries import Delivery, JournalMissing
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.hhu.outcome import Unresolved
from vtc07.hhu.resuming import OpenSetting, OpenWork, ResumeReport, SettingFound
from vtc07.tokens import TokenData

_OPEN_COLUMNS = ["meter", ">delivery", "token", "opened", ">entries", "what to do"]


@click.command(
    epilog=examples(
        "vtc07 hhu resume",
        "vtc07 hhu resume /dev/ttyUSB0",
        "vtc07 hhu resume sim:kitchen.meter --json",
        'vtc07 hhu resume --close 12 --note "the meter was replaced"',
    )
)
@optional_link_options
@journal_option
@json_option
@click.option(
    "--close",
    "number",
    type=click.IntRange(1),
    metavar="DELIVERY",
    help="Close an open delivery by hand, as unresolved: its meter cannot be asked any more.",
)
@click.option("--note", metavar="TEXT", help="With --close: why, for whoever reads the journal.")
@click.pass_obj
def resume(
    output: Output,
    link: LinkOptions | None,
    journal: JournalOptions,
    *,
    number: int | None,
    note: str | None,
) -> None:
    """Find out what became of the deliveries that are open in the journal.

    A crash, a flat battery or a pulled cable leaves them without a result. The meter at ADDRESS is
    asked what it did, and nothing is entered again; registers whose writing was interrupted are
    read. Without ADDRESS everything that is open is listed, with what to do.

    Exit codes: 0 everything is known; 1 the meter cannot be asked; 3 no link; 4 of a token nobody
    can tell yet, or without ADDRESS: a delivery is open.
    """
    if number is not None:
        if link is not None:
            raise Failure("--close goes without ADDRESS: no meter is asked")
        _close(output, journal, number, note)
    elif note is not None:
        raise Failure("--note goes with --close")
    elif link is None:
        _list(output, journal)
    else:
        _resume(output, link, journal)


def _resume(output: Output, link: LinkOptions, options: JournalOptions) -> None:
    with (
        Progressing(output) as progress,
        opened(options, output) as journal,
        Connection(link, output, progress.heard, journal=journal) as connection,
    ):
        try:
            connection.greet(compare=False)
            report = connection.run(resuming.resume(connection.session, journal, wall_clock=now))
            connection.sign_off()
        except KeyboardInterrupt:
            raise _interrupted(journal.unresolved(connection.meter_pan)) from None
        unavailable = connection.unavailable
    if output.as_json:
        output.document(_document(report))
    else:
        _show(output, report)
    for problem in report.problems:
        output.warning(problem)
    code = EXIT_CODES[report.meaning]
    if code is not ExitCode.DONE:
        sentence = _gravest(report)
        raise Failure(f"{sentence} ({unavailable})" if unavailable else sentence, code)


def _list(output: Output, options: JournalOptions) -> None:
    work = _found_open(options)
    code = ExitCode.UNRESOLVED if work.deliveries else ExitCode.DONE
    if output.as_json:
        output.document({**_open_document(work), "exit_code": int(code)})
    elif work:
        _show_open(output, work)
    else:
        output.line("nothing is open")
    if work.deliveries:
        many = len(work.deliveries)
        raise Failure(f"{many} deliveries are open" if many > 1 else "a delivery is open", code)


def _found_open(options: JournalOptions) -> OpenWork:
    """Return what is open; nothing, where the user has no journal yet."""
    try:
        with open_for_reading(options.path) as journal:
            return resuming.open_work(journal)
    except JournalMissing:
        if options.file is not None:
            raise
        return OpenWork()


def _close(output: Output, options: JournalOptions, number: int, note: str | None) -> None:
    if not note:
        raise Failure("--close wants --note TEXT: why the meter cannot be asked any more")
    with opened(options, output) as journal:
        delivery = resuming.close_by_hand(journal, number, note, time=now())
    if output.as_json:
        output.document({"meter_pan": delivery.meter_pan, "delivery": number, "closed": True})
    else:
        output.line(
            f"delivery {number} to meter {delivery.meter_pan} is closed as unresolved; whether its "
            "token was taken stays unknown"
        )


def _interrupted(still_open: Sequence[Delivery]) -> Failure:
    if not still_open:
        return Failure("interrupted; nothing is open", ExitCode.INTERRUPTED)
    numbers = ", ".join(str(d.number) for d in still_open)
    return Failure(
        f"interrupted; still open: {numbers}; run the same command again, which only asks",
        ExitCode.UNRESOLVED,
    )


# --- for people -----------------------------------------------------------------------------------


def _show(output: Output, report: ResumeReport) -> None:
    if report.deliveries:
        output.table(
            [">delivery", "token", "opened", ">entries", "what became of it"],
            [
                [*_row(each.delivery), _with_why(str(each.outcome), explanation(each.outcome))]
                for each in report.deliveries
            ],
        )
    if report.settings:
        if report.deliveries:
            output.line()
        output.table(
            ["register", "to be written", "reads", "begun", "what became of it"],
            [_setting_row(found) for found in report.settings],
        )
    if report.meter_pan is not None and not (report.deliveries or report.settings):
        output.line(f"nothing was open at meter {report.meter_pan}")
    asked = {each.delivery.number for each in report.deliveries}
    not_asked = OpenWork(
        tuple(d for d in report.left.deliveries if d.number not in asked), report.left.settings
    )
    if not_asked:
        output.line()
        _show_open(output, not_asked, title="Not looked into yet")
    if report.elsewhere:
        output.line()
        _show_open(output, report.elsewhere, title="Open at other meters")


def _show_open(output: Output, work: OpenWork, *, title: str = "") -> None:
    rows = [[d.meter_pan, *_row(d), str(resuming.advice(d))] for d in work.deliveries]
    if rows:
        output.table(_OPEN_COLUMNS, rows, title=title)
    if work.settings:
        if rows:
            output.line()
        output.table(
            ["meter", "register", "to be written", "begun", "what to do"],
            [
                [s.meter_pan or "", s.register, str(s.value), _when(s.time), str(s.said)]
                for s in work.settings
            ],
            title="" if rows else title,
        )


def _row(delivery: Delivery) -> list[str]:
    grouped = TokenData.from_digits(delivery.token).grouped
    return [str(delivery.number), grouped, _when(delivery.opened), str(delivery.writes)]


def _setting_row(found: SettingFound) -> list[str]:
    setting = found.setting
    value = "" if found.value is None else str(found.value)
    return [setting.register, str(setting.value), value, _when(setting.time), str(found.said)]


def _when(time: datetime) -> str:
    return time.astimezone().isoformat(" ", "seconds")


def _with_why(text: str, why: str | None) -> str:
    return f"{text}: {why}" if why else text


def _gravest(report: ResumeReport) -> str:
    """Return the sentence that says what is not known."""
    if report.obstacle is not None:
        return str(report.obstacle)
    for each in report.deliveries:
        if isinstance(each.outcome, Unresolved):
            return f"delivery {each.delivery.number}: {each.outcome}"
    return f"delivery {report.left.deliveries[0].number} is open still"


# --- for programs ---------------------------------------------------------------------------------


def _document(report: ResumeReport) -> dict[str, Any]:
    return {
        "meter_pan": report.meter_pan,
        "obstacle": None if report.obstacle is None else outcome_document(report.obstacle),
        "deliveries": [
            {**_delivery(each.delivery), **outcome_document(each.outcome)}
            for each in report.deliveries
        ],
        "settings": [
            {
                **_setting(found.setting),
                "read": found.value,
                "result": found.result.name.lower().replace("_", " "),
                "text": str(found.said),
            }
            for found in report.settings
        ],
        "left": _open_document(report.left),
        "elsewhere": _open_document(report.elsewhere),
        "exit_code": int(EXIT_CODES[report.meaning]),
    }


def _open_document(work: OpenWork) -> dict[str, Any]:
    return {
        "deliveries": [
            {**_delivery(d), "advice": str(resuming.advice(d))} for d in work.deliveries
        ],
        "settings": [{**_setting(s), "advice": str(s.said)} for s in work.settings],
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery": delivery.number,
        "meter_pan": delivery.meter_pan,
        "token": delivery.token,
        "opened": delivery.opened.isoformat(),
        "entries": delivery.writes,
    }


def _setting(setting: OpenSetting) -> dict[str, Any]:
    return {
        "entry": setting.entry,
        "meter_pan": setting.meter_pan,
        "register": setting.register,
        "value": setting.value,
        "begun": setting.time.isoformat(),
    }
