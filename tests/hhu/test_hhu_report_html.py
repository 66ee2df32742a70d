"""A route's report as a page: it needs nothing else, no colour, and is safe with any text."""

from __future__ import annotations

import io
import re
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_bench import BEGAN, CREDIT, DONE, MINUTE, USED, Worked, credit, pan, route_file
from test_hhu_route_report import MADE, rows_of, worked

from vtc07.hhu.history.sequence_drawing import figure
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.report.charts import MOST_DAYS, hours_charts, kinds_chart
from vtc07.hhu.report.html import HTMLReport
from vtc07.hhu.report.markup import Markup, element, escaped, joined, quoted, style
from vtc07.hhu.report.route_report import NOT_ON_ROUTE, ReportJournal, report_head, write_report
from vtc07.hhu.report.summary import Period, ReportSummary
from vtc07.hhu.report.words import Words
from vtc07.hhu.route.facts import Route, Stop
from vtc07.hhu.route.task import StopResult, TaskKind, TaskResult

VOID = frozenset({"br", "col", "hr", "img", "meta"})
HOSTILE = "</style></title></script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


class Page(HTMLParser):
    """A page taken apart; a wrong order of tags fails."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.append((self._open[-1], data))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)

    def text(self, *tags: str) -> str:
        return " ".join(data for tag, data in self.texts if not tags or tag in tags)

    @property
    def attributes(self) -> Iterator[tuple[str, str, str]]:
        for tag, attributes in self.tags:
            for name, value in attributes.items():
                yield tag, name, value or ""


def page_text(
    journal: ReportJournal,
    route: Route,
    *,
    period: Period = Period(),  # noqa: B008 - a fact
    mask: bool = False,
    zone: tzinfo | None = UTC,
) -> str:
    head = report_head(journal, route, name="j", made=MADE, period=period, mask=mask)
    file = io.StringIO()
    part = HTMLReport(file, head, Words(zone=zone))

    def draw(sequence: object) -> Markup:
        return figure(sequence, zone=zone)  # type: ignore[arg-type]

    write_report(journal, route, head, [part], zone=zone, draw=draw)
    part.close()
    return file.getvalue()


def checked(text: str) -> Page:
    """Take a page apart; fail where it needs anything else, runs anything, or points nowhere."""
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    assert page.count("script") == page.count("link") == page.count("iframe") == 0
    assert page.count("base") == page.count("form") == page.count("object") == 0
    policies = [a["content"] for t, a in page.tags if "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    for _, name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in {"src", "style", "srcset", "action"}
        if name == "href":
            assert value[:1] == "#"
            assert value[1:] in ids
        if name in {"aria-labelledby", "aria-describedby"}:
            assert set(value.split()) <= set(ids)
    rules = page.text("style")
    assert "@import" not in rules
    assert "http" not in rules
    assert set(re.findall(r"url\(([^)]*)\)", rules)) <= {f"#{name}" for name in ids}
    return page


def test_a_page_holds_everything_in_its_order(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(4)) as unit:
        unit.visit(0, BEGAN, DONE, values=(CREDIT,))
        unit.visit(1, BEGAN + 70 * MINUTE, USED)
        unit.visit(2, BEGAN + 90 * MINUTE, None)
        digest = unit.journal.head().digest.hex()
        text = page_text(unit.journal, unit.route)
    page = checked(text)
    heads = [data for tag, data in page.texts if tag == "h2"]
    assert heads == ["Summary", "To be looked at", "Meters", "How this report can be checked"]
    assert "1 of 4 meters done" in page.text("p")
    for number in range(4):
        assert text.count(f'class="meter" id="stop-{number + 2}"') == 1
        assert pan(number) in page.text("span")
    assert "12.345 kWh" in page.text("td")
    assert "refused: used before" in page.text("td")
    assert f"vtc07 hhu verify --expect {digest}" in page.text("code")
    assert page.count("svg") >= 3
    # Deliveries that were not simply done are drawn, the others are not.
    drawn = [data for tag, data in page.texts if tag == "figcaption" and "Delivery" in data]
    assert drawn == ["Delivery 2, message by message", "Delivery 3, message by message"]


def test_what_is_to_be_looked_at_leads_to_its_block_and_is_all_of_it(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(5)) as unit:
        unit.visit(0, BEGAN, DONE)
        unit.visit(1, BEGAN, USED)
        unit.visit(2, BEGAN, None)
        unit.visit(3, BEGAN)
        page = checked(page_text(unit.journal, unit.route))
        whole = [a["href"] for t, a in page.tags if t == "a"]
        later = Period(BEGAN + timedelta(days=1), None)
        other = checked(page_text(unit.journal, unit.route, period=later))
    assert whole == ["#stop-3", "#stop-4", "#stop-5"]
    # Still to be looked at, but nothing was done there since: there is no block to lead to.
    assert [a for t, a in other.tags if t == "a"] == []
    assert pan(2) in other.text("td")
    assert "There is none to be shown." in other.text("p")


def test_nothing_to_be_looked_at_is_said(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(1)) as unit:
        unit.visit(0, BEGAN, DONE)
        page = checked(page_text(unit.journal, unit.route))
    assert "Nothing: no meter is left open, refused or half done." in page.text("p")


def test_no_text_of_a_route_becomes_markup(tmp_path: Path) -> None:
    row = {
        "meter": pan(1), "place": HOSTILE, "deliver": credit(1), "write": f"{HOSTILE}=1",
        "read": HOSTILE, "notes": f"{HOSTILE}\x1b[31m\u202e",
    }  # fmt: skip
    value = {**CREDIT, "name": HOSTILE, "text": HOSTILE, "address": HOSTILE}
    with MemoryPlace() as place, SQLiteJournal(place) as journal:
        unit = Worked(route_file(tmp_path / "a'<b>&c.csv", [row]), journal)
        unit.visit(0, BEGAN, USED, values=(value, {**value, "name": f"{HOSTILE}.2"}))
        page = checked(page_text(unit.journal, unit.route))
    assert page.text("bdi").count(HOSTILE) >= 2
    assert page.count("img") == 0
    assert "a'<b>&c" in page.text("h1", "bdi")
    assert "\x1b" not in page.text()


def test_a_meter_that_is_not_on_the_route_is_in_the_page(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(1)) as unit:
        unit.visit(0, BEGAN, DONE)
        note = {"note": NOT_ON_ROUTE}
        unit.journal.record(NewEntry(EntryKind.NOTE, BEGAN, note, pan(7), route=unit.route.name))
        page = checked(page_text(unit.journal, unit.route))
    assert "Meters that are not on the route" in page.text("h2")
    assert pan(7) in page.text("td")


def test_masked_there_is_no_token_in_the_page(tmp_path: Path) -> None:
    token = credit(0)
    grouped = " ".join(token[at : at + 4] for at in range(0, 20, 4))
    with worked(tmp_path, *rows_of(1)) as unit:
        unit.visit(0, BEGAN, USED)
        shown = checked(page_text(unit.journal, unit.route)).text()
        masked = page_text(unit.journal, unit.route, mask=True)
    assert grouped in shown
    assert token not in masked
    assert grouped[:19] not in masked
    assert "tokens are masked" in checked(masked).text("p")


def test_every_table_has_as_many_cells_in_each_row_as_heads(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(3)) as unit:
        unit.visit(0, BEGAN, DONE)
        unit.visit(1, BEGAN + timedelta(days=1), USED)
        text = page_text(unit.journal, unit.route)
    tables = re.findall(r"<table.*?</table>", text, re.DOTALL)
    assert len(tables) >= 4
    for table in tables:
        rows = re.findall(r"<tr>.*?</tr>", table, re.DOTALL)
        counts = {len(re.findall(r"<t[hd][ >]", row)) for row in rows}
        if "<thead>" in table:
            assert len(counts) == 1, table


def test_on_paper_blocks_stay_whole_and_pages_are_numbered(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(1)) as unit:
        unit.visit(0, BEGAN, DONE)
        text = page_text(unit.journal, unit.route)
    rules = Page(text).text("style")
    assert "size: A4" in rules
    assert re.search(r'"Page\\20 " counter\(page\) "\\20 of\\20 " counter\(pages\)', rules)
    assert re.search(r"\.meter \{[^}]*break-inside: avoid-page", rules)
    assert re.search(r"\.from-new-page \{ break-before: page", rules)
    assert '<section id="meters" class="from-new-page">' in text
    # Dark is for screens alone.
    assert "@media screen and (prefers-color-scheme: dark)" in rules
    assert len(re.findall("prefers-color-scheme", rules)) == 1


def test_numbers_are_right_aligned_and_stand_for_every_piece(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(3)) as unit:
        unit.visit(0, BEGAN, DONE, values=(CREDIT,))
        unit.visit(1, BEGAN, USED)
        text = page_text(unit.journal, unit.route)
    assert '<td class="number">12.345 kWh</td>' in text
    assert re.search(r'<th scope="row">tokens</th>(<td class="number">[0-9]+</td>){5}', text)
    assert re.search(r"th\.number, td\.number \{ text-align: right", text)


# --- charts ---------------------------------------------------------------------------------------


def summary_of(
    hours: dict[datetime, dict[TaskResult, int]],
    tasks: dict[TaskKind, dict[TaskResult, int]] | None = None,
) -> ReportSummary:
    return ReportSummary(
        dict.fromkeys(StopResult, 0), 0, 0, 0, tasks or {}, dict(sorted(hours.items())), None, None
    )


counts = st.fixed_dictionaries({result: st.integers(0, 2000) for result in TaskResult})


@given(st.dictionaries(st.sampled_from(TaskKind), counts, min_size=1))
def test_a_bar_of_kinds_is_whole_and_says_its_numbers(
    tasks: dict[TaskKind, dict[TaskResult, int]],
) -> None:
    tasks = {kind: each for kind, each in tasks.items() if sum(each.values())}
    chart = Page(kinds_chart(summary_of({}, tasks), Words()))
    bars: dict[str, list[dict[str, str | None]]] = {}
    for tag, attributes in chart.tags:
        if tag == "rect":
            bars.setdefault(attributes["y"] or "", []).append(attributes)
    assert len(bars) == len(tasks)
    for pieces, each in zip(bars.values(), tasks.values(), strict=True):
        assert len(pieces) == sum(count > 0 for count in each.values())
        assert sum(int(piece["width"] or 0) for piece in pieces) == 470
        assert len({piece["class"] for piece in pieces}) == len(pieces)
    desc = chart.text("desc")
    for each in tasks.values():
        for result, count in each.items():
            assert not count or f"{count} {result.value}" in desc


@given(
    st.dictionaries(
        st.integers(0, 700).map(lambda hour: BEGAN + timedelta(hours=hour)),
        counts.filter(lambda each: each[TaskResult.DONE] + each[TaskResult.OPEN] > 0),
        min_size=1,
        max_size=40,
    )
)
def test_bars_by_hour_stay_in_the_drawing_and_are_all_told(
    hours: dict[datetime, dict[TaskResult, int]],
) -> None:
    summary = summary_of(hours)
    charts = hours_charts(summary, Words())
    assert len(charts) == (1 if len(summary.days) > MOST_DAYS else len(summary.days))
    told = 0
    for title, markup in charts:
        chart = Page(markup)
        assert title == next(data for tag, data in chart.texts if tag == "title")
        for tag, attributes in chart.tags:
            if tag == "rect":
                x, y = int(attributes["x"] or 0), int(attributes["y"] or 0)
                assert 0 <= x <= 680 - int(attributes["width"] or 0)
                assert 22 <= y <= 132 - int(attributes["height"] or 0)
        sums = re.findall(r'class="number">([0-9]+)<', markup)
        told += sum(map(int, sums))
    tried = (TaskResult.DONE, TaskResult.REFUSED, TaskResult.OPEN)
    assert told == sum(each[result] for each in hours.values() for result in tried)


def test_a_scale_has_few_lines_and_reaches_over_the_highest() -> None:
    for highest in (1, 4, 5, 6, 10, 11, 19, 20, 21, 99, 100, 101, 2999, 50_000):
        hour = {TaskResult.DONE: highest}
        ((_, markup),) = hours_charts(summary_of({BEGAN: hour}), Words())
        scale = [int(level) for level in re.findall(r'class="scale">([0-9]+)<', markup)]
        assert scale[0] == 0
        assert scale[-1] >= highest
        assert 2 <= len(scale) <= 6


def test_without_work_there_is_no_chart_by_hour() -> None:
    assert hours_charts(summary_of({}), Words()) == ()


# --- markup ---------------------------------------------------------------------------------------


@given(st.text(), st.text())
def test_any_text_is_shown_as_it_is_and_nothing_else(content: str, value: str) -> None:
    page = Page(element("p", content, title=value))
    ((tag, attributes),) = page.tags
    assert (tag, list(attributes)) == ("p", ["title"])
    bad = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
    assert page.text() == bad.sub("\ufffd", content)
    assert attributes["title"] == bad.sub("\ufffd", value)
    element("p", content).encode()  # no half of a character


def test_markup_that_is_put_together_as_text_is_text() -> None:
    assert element("p", Markup("<b>") + "x") == "<p>&lt;b&gt;x</p>"
    assert joined((element("b", "x"), None, "<", 5)) == "<b>x</b>&lt;5"
    assert escaped("'\"") == "&#x27;&quot;"


@pytest.mark.parametrize("name", ["", "a b", "a>", "1", "a\n"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        element(name)
    with pytest.raises(ValueError, match="is no name"):
        element("p", **{name: "x"})


def test_an_empty_element_holds_nothing() -> None:
    with pytest.raises(ValueError, match="holds nothing"):
        element("br", "x")


@given(st.text())
def test_text_in_style_cannot_end_it(text: str) -> None:
    assert re.fullmatch(r'"(?:[A-Za-z0-9]|\\[0-9a-f]{1,6} )*"', quoted(text))
    assert Page(style(f"a {{ content: {quoted(text)} }}")).count("style") == 1


@pytest.mark.parametrize("rules", ["</style>", "a</p", "<!--"])
def test_rules_that_hold_tags_are_refused(rules: str) -> None:
    with pytest.raises(ValueError, match="no tags"):
        style(rules)


# --- memory ---------------------------------------------------------------------------------------


class Many:
    """A route of any length that is in no file."""

    name, digest, faulty = "many", "0" * 64, 0

    def __init__(self, size: int) -> None:
        self.size = size

    def stops(self) -> Iterator[Stop]:
        for number in range(self.size):
            yield Stop(number + 2, pan(number), f"House {number}", read=("creditBalance",) * 5)

    def stops_of(self, meter_pan: str) -> tuple[Stop, ...]:
        raise NotImplementedError(meter_pan)


def test_a_longer_route_takes_no_more_memory() -> None:
    def peak(size: int) -> int:
        file = SimpleNamespace(write=len)  # the disk
        with MemoryPlace() as place, SQLiteJournal(place) as journal:
            head = report_head(
                journal, Many(size), name="j", made=MADE, period=Period(), mask=False
            )
            part = HTMLReport(file, head, Words(zone=UTC))  # type: ignore[arg-type]
            tracemalloc.start()
            try:
                write_report(journal, Many(size), head, [part], zone=UTC)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
                part.close()

    # Beyond a megabyte the blocks wait in a file.
    assert peak(4500) < 1.2 * peak(2500)


def test_days_are_told_apart(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(2)) as unit:
        unit.visit(0, BEGAN, DONE)
        unit.visit(1, BEGAN + timedelta(days=1), DONE)
        page = checked(page_text(unit.journal, unit.route))
    captions: Sequence[str] = [data for tag, data in page.texts if tag == "figcaption"]
    assert captions[1:3] == ["Results by hour, 2026-03-02", "Results by hour, 2026-03-03"]
    assert date(2026, 3, 3).isoformat() in page.text("th")
