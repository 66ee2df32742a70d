"""A meter's block in a report's page, and its line in the list of what is to be looked at."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from vtc07.hhu.report.markup import Content, Markup, element, joined
from vtc07.hhu.report.stop import ReportedStop, ReportedTask
from vtc07.hhu.report.summary import Period, counts_in
from vtc07.hhu.report.words import SIGNS, TO, Words
from vtc07.hhu.route.task import StopResult, StopState, TaskKind, TaskResult, TaskState
from vtc07.hhu.texts import counted, said

_CLASSES: Final[Mapping[StopResult | TaskResult, str]] = {
    StopResult.DONE: "is-done",
    StopResult.REFUSED: "is-refused",
    StopResult.OPEN: "is-open",
    TaskResult.DONE: "is-done",
    TaskResult.REFUSED: "is-refused",
    TaskResult.OPEN: "is-open",
}
_FIGURE: Final = re.compile(r"-?[0-9][0-9.]*(?: \S+)?$")
_SHORT_VALUE: Final = 24  # of a column of figures
_GRAVEST: Final = (TaskResult.OPEN, TaskResult.REFUSED)


def sign(result: StopResult | TaskResult) -> Markup:
    """Return the mark of a result, which stands beside its word."""
    shape = _CLASSES.get(result)
    return element(
        "span", SIGNS[result], class_=f"sign {shape}" if shape else "sign", aria_hidden="true"
    )


def attention_row(stop: ReportedStop, words: Words, *, linked: bool) -> Markup:
    """Return a stop's line in the list of what somebody has to look at.

    ``linked``: its block is in the page.
    """
    state = stop.state
    meter: Content = state.stop.meter
    if linked:
        meter = element("a", meter, href=f"#stop-{state.stop.line}")
    lines = known(stop, words)
    told = [part for line in lines for part in (element("br"), line)][1:]
    return element(
        "tr",
        element("td", sign(state.result), " ", words.result(state.result), class_="result"),
        element("td", meter, class_="token"),
        element("td", element("bdi", state.stop.place)),
        element("td", *told),
    )


def block(stop: ReportedStop, period: Period, words: Words) -> Markup:
    """Return a meter's block: who and where it is, its tasks, what was read, how it went."""
    state = stop.state
    tasks = [task for task in stop.tasks if counts_in(period, task.state)]
    heading = element(
        "h3",
        element("span", state.stop.meter, class_="token"),
        element("bdi", state.stop.place, class_="place"),
        element(
            "span",
            sign(state.result),
            " ",
            words.result(state.result),
            class_=f"badge {_CLASSES.get(state.result, '')}".strip(),
        ),
    )
    parts: list[Content] = [heading, _facts(stop, words)]
    if state.result is StopResult.NOT_VISITED and not state.visits:
        parts.append(element("p", words(said("To do: {tasks}", tasks=_all(tasks, words)))))
    elif tasks:
        parts.append(_tasks(tasks, state, words))
    parts += [_values(task, words) for task in tasks if len(task.state.values) > 1]
    parts += [_history(task, words) for task in tasks if task.history is not None]
    return element("section", *parts, class_="meter", id=f"stop-{state.stop.line}")


def _facts(stop: ReportedStop, words: Words) -> Markup:
    state = stop.state
    rows: list[tuple[str, Content]] = []
    if state.meter_pan is not None and state.meter_pan != state.stop.meter:
        rows.append((words(said("MeterPAN")), element("span", state.meter_pan, class_="token")))
    wrong = words(said("Error in the route"))
    rows += [(wrong, words(error)) for error in state.stop.errors]
    for visit in state.visits:
        end = words.clock(visit.ended) or words(said("broke off"))
        if visit.ended is not None and not words.same_day(visit.began, visit.ended):
            end = words.time(visit.ended)
        told = f"{words.time(visit.began)} {TO} {end}"
        entry = words(said("entry {number}", number=visit.entry))
        faint = element("span", f" ({entry})", class_="faint")
        rows.append((words(said("Visit")), joined((told, faint))))
    if state.stop.notes:
        rows.append((words(said("Notes")), element("bdi", state.stop.notes)))
    rows.append((words(said("In the route")), words(said("line {line}", line=state.stop.line))))
    return element(
        "dl", *(joined((element("dt", name), element("dd", value))) for name, value in rows)
    )


def _tasks(tasks: Sequence[ReportedTask], state: StopState, words: Words) -> Markup:
    """Return the table of tasks; of the day of the only visit nothing but the clock is told."""
    day = state.visits[0].began if len(state.visits) == 1 else None
    columns = (
        (words(said("Task")), None),
        (words(said("Result")), None),
        (words(said("Value")), "number"),
        (words(said("Time")), None),
        (words(said("Delivery")), "number"),
        (words(said("Entry")), "number"),
    )
    heads = (element("th", name, scope="col", class_=shape) for name, shape in columns)
    return element(
        "div",
        element(
            "table",
            element("caption", words(said("Tasks")), class_="unseen"),
            element("thead", element("tr", *heads)),
            element("tbody", *(_task(task, day, words) for task in tasks)),
        ),
        class_="wide",
    )


def _task(task: ReportedTask, day: datetime | None, words: Words) -> Markup:
    state = task.state
    time = words.time(state.time)
    if state.time is not None and day is not None and words.same_day(state.time, day):
        time = words.clock(state.time)
    result = words.result(state.result)
    told = words(state.said)
    more = [told] if told.casefold() != result.casefold() else []
    if told.casefold().startswith(result.casefold()):
        result, more = told, []
    if task.explanation:
        more.append(words.texts(task.explanation))
    if task.entries is not None and task.entries > 1:
        more.append(words(counted("entered {count} time", "entered {count} times", task.entries)))
    return element(
        "tr",
        element("th", words.kind(state.kind), " ", _subject(task), scope="row"),
        element("td", sign(state.result), " ", "; ".join((result, *more))),
        _single(state.values),
        element("td", time, class_="time"),
        element("td", state.delivery, class_="number"),
        element("td", state.entry, class_="number"),
    )


def _subject(task: ReportedTask) -> Markup:
    if not task.token:
        return element("span", task.state.subject, class_="subject")
    section = f" ({task.section})" if task.section else ""
    return joined((element("span", task.token, class_="token"), section))


def _values(task: ReportedTask, words: Words) -> Markup:
    """Return what a task read that read several registers."""
    title = words(said("Read: {register}", register=task.state.subject))
    heads = (
        element("th", words(said("Register")), scope="col"),
        element("th", words(said("Value")), scope="col"),
    )
    shown = [value for value in task.state.values if value["value"] != ""]
    table = element(
        "table",
        element("caption", title, class_="unseen"),
        element("thead", element("tr", *heads)),
        element("tbody", *(_value(value) for value in shown)),
        class_="values",
    )
    parts: list[Content] = [element("h4", title)]
    if shown:
        parts.append(element("div", table, class_="wide"))
    if empty := len(task.state.values) - len(shown):
        parts.append(element("p", words(said("{count} more: empty", count=empty)), class_="faint"))
    return joined(parts)


def _value(value: Mapping[str, Any]) -> Markup:
    number = f" ({value['address']})"
    name = element("th", value["name"], element("span", number, class_="faint"), scope="row")
    return element("tr", name, _value_cell(value))


def _single(values: Sequence[Mapping[str, Any]]) -> Markup:
    """Return the value of a task that read one register; more of them stand below the tasks."""
    if len(values) != 1:
        return element("td")
    text = str(values[0]["text"])
    return element("td", text, class_="number" if len(text) < _SHORT_VALUE else None)


def _value_cell(value: Mapping[str, Any]) -> Markup:
    text = str(value["text"])
    return element("td", text, class_="number" if _FIGURE.match(text) else None)


def _history(task: ReportedTask, words: Words) -> Markup:
    title = words(said("Delivery {number}, message by message", number=task.state.delivery or 0))
    return element("figure", element("figcaption", title), task.history, class_="history")


def known(stop: ReportedStop, words: Words) -> list[str]:
    """Return what a list says of a stop: its gravest results, or how many of what."""
    state = stop.state
    lines = [words(error) for error in state.stop.errors]
    for result in _GRAVEST:
        lines += [_why(task, words) for task in stop.tasks if task.state.result is result]
    if not lines:
        lines = [words.counts(Counter(task.result for task in state.tasks))]
    return lines


def _why(task: ReportedTask, words: Words) -> str:
    state = task.state
    why = f"; {words.texts(task.explanation)}" if task.explanation else ""
    return f"{words.kind(state.kind)} {state.subject}: {words(state.said)}{why}"


def _all(tasks: Sequence[ReportedTask], words: Words) -> str:
    return ", ".join(f"{words.kind(task.state.kind)} {_short(task.state)}" for task in tasks)


def _short(task: TaskState) -> str:
    return f"…{task.subject}" if task.kind is TaskKind.DELIVER else task.subject
