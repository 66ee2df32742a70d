"""The charts of a report, as SVG within its page: results by kind, and by hour of the clock.

Colour is never the only sign: each result has a pattern of its own, its number stands in or above
its bar, and each chart says everything in its title and its description.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from vtc07.hhu.report.markup import Markup, element, joined
from vtc07.hhu.report.summary import RESULTS, ReportSummary
from vtc07.hhu.report.words import SIGNS, TO, Words
from vtc07.hhu.route.task import TaskResult
from vtc07.hhu.texts import counted, said

#: More days than these are drawn together, by hour of the clock.
MOST_DAYS: Final = 7

_WIDTH: Final = 680
_TRIED: Final = tuple(result for result in RESULTS if result is not TaskResult.TO_DO)
_Hours = Mapping[int, Mapping[TaskResult, int]]
_CLASSES: Final = {
    TaskResult.DONE: "r-done",
    TaskResult.REFUSED: "r-refused",
    TaskResult.OPEN: "r-open",
    TaskResult.TO_DO: "r-todo",
}
_FEWEST_HOURS: Final = 8
_LETTER: Final = 7  # width of a digit, in units of the drawing


def legend(words: Words) -> Markup:
    """Return what the patterns mean; it holds the patterns, so that charts want it beside them."""
    parts: list[Markup] = [_patterns()]
    x = 1
    for result in RESULTS:
        word = words.result(result)
        parts += [
            element("rect", x=x, y=3, width=22, height=14, class_=f"segment {_CLASSES[result]}"),
            element("text", f"{SIGNS[result]} {word}", x=x + 28, y=15),
        ]
        x += 28 + _LETTER * (len(word) + 2) + 24
    return element(
        "svg", *parts, class_="legend", viewBox=f"0 0 {_WIDTH} 20", role="img",
        aria_label=words(said("What the patterns mean")),
    )  # fmt: skip


def kinds_chart(summary: ReportSummary, words: Words) -> Markup:
    """Return a bar for each kind of task, all of equal length, parted by result."""
    left, right, height, gap = 150, 60, 26, 12
    full = _WIDTH - left - right
    parts: list[Markup] = []
    told: list[str] = []
    y = 4
    for kind, counts in summary.tasks.items():
        total = sum(counts.values())
        name = words.kinds(kind)
        told.append(f"{name}: {words.counts(counts)}")
        parts.append(element("text", name, x=left - 10, y=y + 18, text_anchor="end"))
        x = 0
        for result in RESULTS:
            # From sums, so that the pieces end where the bar does.
            end = x + counts.get(result, 0)
            begin_x, end_x = left + full * x // total, left + full * end // total
            if end > x:
                title = f"{name}: {counts[result]} {words.result(result)}"
                parts.append(
                    _segment(result, (begin_x, y, end_x - begin_x, height), title, counts[result])
                )
            x = end
        parts.append(
            element("text", total, x=_WIDTH - 4, y=y + 18, text_anchor="end", class_="number")
        )
        y += height + gap
    return _chart(
        "kinds", (_WIDTH, max(y - gap + 4, 8)), words(said("Results by kind")), told, parts
    )


def hours_charts(summary: ReportSummary, words: Words) -> tuple[tuple[str, Markup], ...]:
    """Return a chart for each day, or one of all days together where they are many, each titled.

    They have the same hours and the same scale, so that days can be compared.
    """
    days = summary.days
    if not days:
        return ()
    by_day = {day: summary.hours_of(day) for day in days}
    if len(days) > MOST_DAYS:
        title = words(counted("{count} day", "{count} days together", len(days)))
        drawn: Mapping[str, _Hours] = {title: _together(by_day)}
    else:
        drawn = {words.day(day): hours for day, hours in by_day.items()}
    range_ = _range([hour for hours in drawn.values() for hour in hours])
    highest = max(_tried(counts) for hours in drawn.values() for counts in hours.values())
    found: list[tuple[str, Markup]] = []
    for place, (days_said, hours) in enumerate(drawn.items(), 1):
        title = words(said("Results by hour, {days}", days=days_said))
        named = (f"hours-{place}", title)
        found.append((title, _hours_chart(named, hours, range_, highest, words)))
    return tuple(found)


def _hours_chart(
    named: tuple[str, str],
    hours: _Hours,
    range_: range,
    highest: int,
    words: Words,
) -> Markup:
    left, top, plot = 44, 22, 110
    base = top + plot
    step = _step(highest)
    ceiling = -(-highest // step) * step
    slot = (_WIDTH - left - 4) // len(range_)
    width = min(slot * 7 // 10, 46)
    parts: list[Markup] = []
    for level in range(0, ceiling + 1, step):
        y = base - plot * level // ceiling
        parts += [
            element("line", x1=left, y1=y, x2=_WIDTH - 4, y2=y, class_="grid"),
            element("text", level, x=left - 8, y=y + 4, text_anchor="end", class_="scale"),
        ]
    told: list[str] = []
    for place, hour in enumerate(range_):
        middle = left + slot * place + slot // 2
        parts.append(element("text", f"{hour:02d}", x=middle, y=base + 16, text_anchor="middle"))
        counts = hours.get(hour)
        if counts is None:
            continue
        said_here = f"{hour:02d}:00{TO}{hour:02d}:59: {words.counts(counts)}"
        told.append(said_here)
        sum_ = 0
        for result in _TRIED:
            end = sum_ + counts.get(result, 0)
            low, high = base - plot * sum_ // ceiling, base - plot * end // ceiling
            if end > sum_:
                box = (middle - width // 2, high, width, low - high)
                parts.append(_segment(result, box, said_here, None))
            sum_ = end
        top_of_bar = base - plot * sum_ // ceiling
        parts += [
            element(
                "text", sum_, x=middle, y=top_of_bar - 5, text_anchor="middle", class_="number"
            ),
        ]
        if grave := _grave(counts):
            parts.append(element("text", grave, x=middle, y=base + 31, text_anchor="middle"))
    parts.append(element("line", x1=left, y1=base, x2=_WIDTH - 4, y2=base, class_="axis"))
    name, title = named
    return _chart(name, (_WIDTH, base + 36), title, told, parts)


def _grave(counts: Mapping[TaskResult, int]) -> str:
    """Return how many were refused or left open, by their marks: too thin to be seen in a bar."""
    grave = (TaskResult.REFUSED, TaskResult.OPEN)
    return " ".join(f"{SIGNS[result]}{counts[result]}" for result in grave if counts.get(result))


def _segment(
    result: TaskResult, box: tuple[int, int, int, int], title: str, number: int | None
) -> Markup:
    """Return a piece of a bar; ``number`` stands in it where there is room."""
    x, y, width, height = box
    bar = element(
        "rect", element("title", title), x=x, y=y, width=width, height=height,
        class_=f"segment {_CLASSES[result]}",
    )  # fmt: skip
    if number is None or width < _LETTER * len(str(number)) + 8:
        return bar
    middle = x + width // 2
    text = element(
        "text", number, x=middle, y=y + height // 2 + 5, text_anchor="middle", class_="inside"
    )
    return joined((bar, text))


def _chart(
    name: str, size: tuple[int, int], title: str, told: Sequence[str], parts: Sequence[Markup]
) -> Markup:
    width, height = size
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", "; ".join(told), id=f"{name}-desc"),
        *parts,
        class_="chart",
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def _patterns() -> Markup:
    """Return what fills the pieces: stripes for refused, a net for open; done is even."""
    stripes = element(
        "pattern",
        element("rect", width=6, height=6, class_="p-refused-ground"),
        element("line", x1=0, y1=0, x2=0, y2=6, class_="p-refused-line"),
        id="p-refused", width=6, height=6, patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )  # fmt: skip
    net = element(
        "pattern",
        element("rect", width=6, height=6, class_="p-open-ground"),
        element("path", d="M0 0H6M0 0V6", class_="p-open-line"),
        id="p-open", width=6, height=6, patternUnits="userSpaceOnUse",
    )  # fmt: skip
    return element("defs", stripes, net)


def _together(
    by_day: Mapping[date, _Hours],
) -> dict[int, dict[TaskResult, int]]:
    found: dict[int, dict[TaskResult, int]] = {}
    for hours in by_day.values():
        for hour, counts in hours.items():
            sums = found.setdefault(hour, {})
            for result, count in counts.items():
                sums[result] = sums.get(result, 0) + count
    return found


def _tried(counts: Mapping[TaskResult, int]) -> int:
    return sum(counts.get(result, 0) for result in _TRIED)


def _range(hours: Sequence[int]) -> range:
    """Return the hours to show: all there are, and some beside them where they are few."""
    first, last = min(hours), max(hours)
    while last - first + 1 < _FEWEST_HOURS:
        first, last = max(first - 1, 0), min(last + 1, 23)
    return range(first, last + 1)


def _step(highest: int) -> int:
    """Return the distance of the scale's lines: 1, 2 or 5 with zeros, for at most five of them."""
    step = 1
    while highest > 5 * step:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return step
