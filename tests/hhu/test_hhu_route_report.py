"""Reports of routes: counts, CSV and JSON, periods, masked tokens; of entries and of real work."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hhu_bench import PAN, MeterLine
from hypothesis import given
from hypothesis import strategies as st
from report_bench import BEGAN, CREDIT, DONE, MINUTE, SWITCH, USED, Worked, credit, pan, route_file
from route_bench import day as real_day
from route_bench import route_of

from vtc07.carrier.companion import Companion
from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.outcome import Unresolved, UnresolvedReason
from vtc07.hhu.report.csv import COLUMNS, CSVReport, cell, decimal_text, stamp
from vtc07.hhu.report.json import JSONReport
from vtc07.hhu.report.route_report import NOT_ON_ROUTE, ReportJournal, report_head, write_report
from vtc07.hhu.report.stop import shown_token
from vtc07.hhu.report.summary import Period, ReportSummary, day_of, percent
from vtc07.hhu.report.words import Words
from vtc07.hhu.route.facts import Route
from vtc07.hhu.route.task import StopResult, TaskKind, TaskResult

ALWAYS = Period()
MADE = BEGAN + timedelta(days=3)


def told(
    journal: ReportJournal,
    route: Route,
    *,
    period: Period = ALWAYS,
    mask: bool = False,
    zone: Any = UTC,
) -> tuple[ReportSummary, list[dict[str, str]], dict[str, Any], str]:
    """Make a report; returns its counts, the lines of CSV, the JSON document, and both as text."""
    head = report_head(journal, route, name="j", made=MADE, period=period, mask=mask)
    lines, document = io.StringIO(newline=""), io.StringIO()
    parts = (CSVReport(lines, route.name, period, zone), JSONReport(document, head, zone))
    summary = write_report(journal, route, head, parts, zone=zone)
    for part in parts:
        part.close()
    rows = list(csv.DictReader(io.StringIO(lines.getvalue(), newline="")))
    return summary, rows, json.loads(document.getvalue()), lines.getvalue() + document.getvalue()


@contextmanager
def worked(tmp_path: Path, *rows: dict[str, str]) -> Iterator[Worked]:
    with MemoryPlace() as place, SQLiteJournal(place) as journal:
        yield Worked(route_file(tmp_path / "monday.csv", rows), journal)


def rows_of(count: int) -> list[dict[str, str]]:
    return [
        {
            "meter": pan(number),
            "place": f"House {number}",
            "deliver": credit(number),
            "read": "creditBalance;loadSwitch",
        }
        for number in range(count)
    ]


def test_every_stop_and_every_task_is_counted_once(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(5)) as unit:
        unit.visit(0, BEGAN, DONE, values=(CREDIT, SWITCH))
        unit.visit(1, BEGAN + 70 * MINUTE, USED, values=(CREDIT,))
        unit.visit(2, BEGAN + 130 * MINUTE, None)
        unit.visit(3, BEGAN + 150 * MINUTE)
        summary, rows, document, _ = told(unit.journal, unit.route)
    assert summary.stops == {
        StopResult.DONE: 1,
        StopResult.REFUSED: 1,
        StopResult.OPEN: 1,
        StopResult.PARTLY: 1,
        StopResult.NOT_VISITED: 1,
    }
    tokens = summary.tasks[TaskKind.DELIVER]
    assert tokens == {
        TaskResult.DONE: 1, TaskResult.REFUSED: 1, TaskResult.OPEN: 1, TaskResult.TO_DO: 2
    }  # fmt: skip
    assert summary.tasks[TaskKind.READ][TaskResult.DONE] == 6
    assert TaskKind.WRITE not in summary.tasks
    assert (summary.worked_at, summary.visits, summary.strangers) == (4, 4, 0)
    assert len(rows) == 15
    assert [stop["result"] for stop in document["stops"]] == [
        "done", "refused", "open", "partly done", "not visited"
    ]  # fmt: skip
    # CSV, JSON and counts are of one reading: they say the same.
    for kind in ("deliver", "read"):
        for result in ("done", "refused", "open", "to do"):
            of_it = [r for r in rows if (r["task"], r["result"]) == (kind, result)]
            assert len(of_it) == document["summary"]["tasks"][kind][result]


def test_results_are_counted_by_the_hour_of_the_reader(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(3)) as unit:
        unit.visit(0, BEGAN, DONE)
        unit.visit(1, BEGAN + 59 * MINUTE, USED)  # the token at 06:59, the reads at 07:00
        summary, _, document, _ = told(unit.journal, unit.route, zone=timezone(timedelta(hours=2)))
    assert summary.days == (date(2026, 3, 2),)
    by_hour = summary.hours_of(date(2026, 3, 2))
    assert {hour: sum(counts.values()) for hour, counts in by_hour.items()} == {8: 4, 9: 2}
    assert by_hour[8][TaskResult.REFUSED] == 1
    assert [hour["hour"] for hour in document["summary"]["hours"]] == [
        "2026-03-02T08:00:00+02:00", "2026-03-02T09:00:00+02:00"
    ]  # fmt: skip
    assert summary.first == BEGAN
    assert summary.last == BEGAN + 60 * MINUTE


def test_an_hour_that_the_clock_has_twice_is_told_whole(tmp_path: Path) -> None:
    zone = ZoneInfo("Europe/Lisbon")
    autumn = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 01:30 in summer time; then 01:30 again
    with worked(tmp_path, *rows_of(2)) as unit:
        unit.visit(0, autumn, DONE)
        unit.visit(1, autumn + 60 * MINUTE, DONE)
        summary, _, document, _ = told(unit.journal, unit.route, zone=zone)
    assert sum(sum(c.values()) for c in summary.hours_of(date(2026, 10, 25)).values()) == 6
    hours = document["summary"]["hours"]
    assert sum(hour["done"] for hour in hours) == 6


def test_a_day_tells_what_was_done_on_it_and_how_far_the_route_was_then(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(3)) as unit:
        unit.visit(0, BEGAN, DONE)
        unit.visit(1, BEGAN, None)  # left open over night
        next_day = BEGAN + timedelta(days=1)
        (open_one,) = unit.journal.unresolved()
        unit.journal.close_delivery(open_one.number, DONE, next_day)
        unit.visit(2, next_day, DONE)
        monday = told(unit.journal, unit.route, period=day_of(date(2026, 3, 2), UTC))
        tuesday = told(unit.journal, unit.route, period=day_of(date(2026, 3, 3), UTC))
        whole = told(unit.journal, unit.route)
    assert monday[0].stops[StopResult.OPEN] == 1
    assert monday[0].stops[StopResult.NOT_VISITED] == 1
    assert [stop["line"] for stop in monday[2]["stops"]] == [2, 3]
    assert tuesday[0].stops[StopResult.OPEN] == 0
    assert tuesday[0].tasks[TaskKind.DELIVER][TaskResult.DONE] == 2
    assert [stop["line"] for stop in tuesday[2]["stops"]] == [3, 4]
    assert {row["line"] for row in tuesday[1] if row["result"] == "done"} == {"3", "4"}
    assert monday[0].days == (date(2026, 3, 2),)
    assert tuesday[0].days == (date(2026, 3, 3),)
    assert whole[0].tasks[TaskKind.DELIVER][TaskResult.DONE] == 3
    assert monday[2]["from"] == "2026-03-02T00:00:00+00:00"
    assert monday[2]["to"] == "2026-03-03T00:00:00+00:00"


def test_an_outcome_of_which_nobody_can_tell_is_open_and_never_done(tmp_path: Path) -> None:
    unknown = Unresolved(UnresolvedReason.GAP)
    with worked(tmp_path, *rows_of(1)) as unit:
        unit.visit(0, BEGAN, unknown)
        summary, rows, *_ = told(unit.journal, unit.route)
    assert summary.stops[StopResult.OPEN] == 1
    (token,) = (row for row in rows if row["task"] == "deliver")
    assert token["result"] == "open"
    assert token["said"] == str(unknown)


def test_a_csv_line_for_each_task(tmp_path: Path) -> None:
    row = {
        "meter": pan(1), "place": "Rua da Conceição, 12", "deliver": f"{credit(1)};{credit(2)}",
        "write": "lowCreditThreshold=500", "read": "creditBalance", "notes": 'a "dog"',
    }  # fmt: skip
    with worked(tmp_path, row) as unit:
        unit.visit(0, BEGAN, DONE, USED, values=(CREDIT,), writes=2)
        _, rows, document, text = told(unit.journal, unit.route)
    assert tuple(rows[0]) == COLUMNS
    assert [row["task"] for row in rows] == ["deliver", "deliver", "write", "read"]
    first, second, write, read = rows
    digits = credit(1)
    assert first["token"] == " ".join(digits[at : at + 4] for at in range(0, 20, 4))
    assert (first["delivery"], first["entered"], first["result"]) == ("1", "2", "done")
    assert first["time"] == "2026-03-02T06:00:08+00:00"
    assert second["said"] == "refused: used before"
    assert (write["subject"], write["result"], write["time"]) == (
        "lowCreditThreshold=500", "to do", ""
    )  # fmt: skip
    assert (read["value"], read["unit"]) == ("12345", "Wh")
    assert read["values"] == "creditBalance=12.345 kWh"
    assert {row["place"] for row in rows} == {"Rua da Conceição, 12"}
    assert {row["notes"] for row in rows} == {'a "dog"'}
    assert text.count("\r\n") == 5
    tasks = document["stops"][0]["tasks"]
    assert [task["entry"] and f"{task['entry']}" for task in tasks] == [
        row["entry"] or None for row in rows
    ]
    assert tasks[3]["values"] == [CREDIT]
    assert tasks[0]["token"] == digits


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1+1", "-1+1", "@SUM(1)", " =1", "\t=1", "\r=1", '=HYPERLINK("x")', "\uff1d1",
     "-", "\n@x", "\tx"],
)  # fmt: skip
def test_no_cell_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-5", "+12.5", "600727111111111153", "a=b", "12:30", "", "House"])
def test_what_is_no_formula_is_left_as_it_is(text: str) -> None:
    assert cell(text) == text


@given(st.text())
def test_whatever_a_cell_holds_it_does_not_begin_as_a_formula(text: str) -> None:
    made = cell(text)
    assert made in (text, f"'{text}")
    begins = made.lstrip()[:1]
    assert not begins or begins not in "=+-@" or made.replace(".", "", 1).lstrip("+-").isdigit()


def test_formulas_in_notes_places_and_assignments_are_text_in_the_file(tmp_path: Path) -> None:
    row = {"meter": pan(1), "place": "=cmd|' /C calc'!A0", "write": "x=1", "notes": "@SUM(A1)"}
    with worked(tmp_path, row) as unit:
        _, rows, document, _ = told(unit.journal, unit.route)
    assert rows[0]["place"] == "'=cmd|' /C calc'!A0"
    assert rows[0]["notes"] == "'@SUM(A1)"
    assert document["stops"][0]["place"] == "=cmd|' /C calc'!A0"


def test_masked_there_is_no_token_anywhere(tmp_path: Path) -> None:
    token = credit(1)
    grouped = " ".join(token[at : at + 4] for at in range(0, 20, 4))
    slip = "  ".join(token[at : at + 5] for at in range(0, 20, 5))
    log = {
        "address": "0100", "name": "tokenLog.1", "value": f"1,{token},5,0,100,0", "unit": None,
        "scaler": 0, "raw": f"1,{token},5,0,100,0", "text": f"#1  {grouped}  Accept",
    }  # fmt: skip
    last = {
        "address": "0049", "name": "lastToken", "value": token, "unit": None, "scaler": 0,
        "raw": f"{int(token):017X}", "text": grouped,
    }  # fmt: skip
    row = {
        "meter": pan(1), "place": f"flat {grouped}", "deliver": token,
        "read": "tokenLog;lastToken", "notes": f"had {token} before, {slip}",
    }  # fmt: skip
    with worked(tmp_path, row) as unit:
        unit.visit(0, BEGAN, USED, values=(log, last))
        *_, open_text = told(unit.journal, unit.route)
        _, rows, document, text = told(unit.journal, unit.route, mask=True)
    for shape in (token, grouped, slip, f"{int(token):017X}", token[:16], grouped[:19]):
        assert shape not in text
    assert token in open_text
    assert grouped in open_text
    assert rows[0]["token"] == f"#### #### #### #### {token[-4:]}"
    assert document["masked"] is True
    assert rows[0]["meter"] == pan(1)  # 18 digits are no token


@given(st.integers(0, 2**66 - 1))
def test_of_a_masked_token_the_last_four_digits_are_left(number: int) -> None:
    token = f"{number:020d}"
    assert shown_token(token, mask=True) == f"#### #### #### #### {token[16:]}"


def test_a_token_of_which_the_hexadecimal_digits_are_all_decimal_is_masked(
    tmp_path: Path,
) -> None:
    raw = "12345678901234567"  # 17 digits could be any number
    token = f"{int(raw, 16):020d}"
    last = {
        "address": "0049", "name": "lastToken", "value": token, "unit": None, "scaler": 0,
        "raw": raw, "text": token,
    }  # fmt: skip
    with worked(tmp_path, {"meter": pan(1), "read": "lastToken"}) as unit:
        unit.visit(0, BEGAN, values=(last,))
        *_, text = told(unit.journal, unit.route, mask=True)
    assert raw not in text
    assert token not in text


times = st.integers(-5, 5).map(lambda second: BEGAN + timedelta(seconds=second))


@given(times, times, times)
def test_every_time_is_in_exactly_one_of_the_periods_that_follow_each_other(
    first: datetime, second: datetime, time: datetime
) -> None:
    first, second = sorted((first, second))
    periods = (Period(None, first), Period(first, second), Period(second, None))
    assert sum(period.holds(time) for period in periods) == 1
    assert ALWAYS.holds(time)
    assert not any(period.limited and period.holds(None) for period in periods)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 3, 2), 24)],
)
def test_a_day_has_the_hours_that_its_clock_has(day: date, hours: int) -> None:
    period = day_of(day, ZoneInfo("Europe/Lisbon"))
    assert period.begin is not None
    assert period.end is not None
    # Times of one zone are subtracted by their clocks; by UTC the day is as long as it is.
    length = period.end.astimezone(UTC) - period.begin.astimezone(UTC)
    assert length == timedelta(hours=hours)


def test_the_head_says_where_the_journal_ended_and_of_which_file(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(2)) as unit:
        unit.visit(0, BEGAN, DONE)
        end = unit.journal.head()
        _, _, document, _ = told(unit.journal, unit.route)
    assert document["journal"] == {"name": "j", "entry": end.number, "digest": end.digest.hex()}
    assert document["route"] == {"name": "monday", "sha256": unit.route.digest, "stops": 2}
    assert document["made"] == stamp(MADE, UTC)


def test_what_a_reader_is_to_know_beforehand(tmp_path: Path) -> None:
    def notices(unit: Worked, route: Route) -> list[str]:
        head = report_head(unit.journal, route, name="j", made=MADE, period=ALWAYS, mask=False)
        return [str(notice) for notice in head.notices]

    with worked(tmp_path, *rows_of(2)) as unit:
        assert notices(unit, unit.route) == ["The journal holds no work on this route."]
        unit.visit(0, BEGAN, DONE)
        assert notices(unit, unit.route) == []
        (tmp_path / "later").mkdir()
        broken = {"meter": pan(9)[:-1] + "x", "read": "creditBalance"}
        other = route_file(tmp_path / "later" / "monday.csv", [*rows_of(2), broken])
        first, second = notices(unit, other)
    assert unit.route.digest[:16] in first
    assert first.startswith("The journal holds work on another file of this name")
    assert second.startswith("1 stop has errors")


def test_a_stop_with_errors_is_told_and_not_done(tmp_path: Path) -> None:
    broken = {"meter": pan(1), "deliver": "123", "read": "creditBalance"}
    with worked(tmp_path, broken) as unit:
        summary, rows, document, _ = told(unit.journal, unit.route)
    assert summary.stops[StopResult.DONE] == 0
    (error,) = document["stops"][0]["errors"]
    assert [(row["task"], row["result"], row["errors"]) for row in rows] == [
        ("read", "to do", error)
    ]


def test_a_stop_without_a_task_is_in_the_table_all_the_same(tmp_path: Path) -> None:
    with worked(tmp_path, {"meter": pan(1), "deliver": "123"}) as unit:
        _, rows, _, _ = told(unit.journal, unit.route)
    assert [(row["meter"], row["task"], row["stop_result"]) for row in rows] == [
        (pan(1), "", "not visited")
    ]


def test_a_meter_that_is_not_on_the_route_is_told(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(1)) as unit:
        unit.visit(0, BEGAN, DONE)
        note = NewEntry(
            EntryKind.NOTE, BEGAN + MINUTE, {"note": NOT_ON_ROUTE}, pan(7), route=unit.route.name
        )
        (number,) = unit.journal.record(note)
        summary, _, document, _ = told(unit.journal, unit.route)
        before = told(unit.journal, unit.route, period=Period(None, BEGAN))
        after = told(unit.journal, unit.route, period=Period(BEGAN + 2 * MINUTE, None))
    assert summary.strangers == 1
    assert document["not_on_route"] == [
        {"meter_pan": pan(7), "time": "2026-03-02T06:01:00+00:00", "entry": number}
    ]
    assert before[0].strangers == after[0].strangers == 0


def test_an_empty_report_is_a_document_all_the_same(tmp_path: Path) -> None:
    with worked(tmp_path, *rows_of(1)) as unit:
        summary, rows, document, _ = told(
            unit.journal, unit.route, period=day_of(date(2020, 1, 1), UTC)
        )
    assert (document["stops"], document["not_on_route"]) == ([], [])
    assert summary.first is None
    assert {row["result"] for row in rows} == {"to do"}


@given(st.integers(0, 500), st.integers(1, 500))
def test_only_all_of_it_is_100_percent(part: int, more: int) -> None:
    assert percent(part, part + more) < 100
    assert percent(more, more) == 100
    assert percent(0, 0) == 0


def test_a_small_share_is_not_nothing() -> None:
    words = Words()
    assert [words.share(*of) for of in ((0, 7), (1, 1000), (999, 1000), (7, 7))] == [
        "0 %", "< 1 %", "99 %", "100 %"
    ]  # fmt: skip


@given(st.integers(-(10**12), 10**12), st.integers(-4, 4))
def test_decimal_text_is_exact(value: int, scaler: int) -> None:
    whole, _, fraction = decimal_text(value, scaler).partition(".")
    assert int(whole + fraction.ljust(4, "0")) == value * 10 ** (scaler + 4)


def test_what_is_written_while_a_report_is_made_is_not_in_it(tmp_path: Path) -> None:
    route = route_file(tmp_path / "monday.csv", rows_of(3))
    with FileJournal(tmp_path / "j") as journal:
        unit = Worked(route, journal)
        unit.visit(0, BEGAN, DONE)
        end = journal.head()
        with open_for_reading(tmp_path / "j") as reading:
            with reading.held_still():
                unit.visit(1, BEGAN + MINUTE, DONE)
                held, *_ = told(reading, route)
                assert reading.head() == end
            after, *_ = told(reading, route)
    assert (held.stops[StopResult.DONE], after.stops[StopResult.DONE]) == (1, 2)


# --- of real work ---------------------------------------------------------------------------------


def test_work_at_a_real_meter_is_told_as_it_was(electricity: Companion, tmp_path: Path) -> None:
    stop = {
        "meter": PAN, "place": "Kitchen", "deliver": [credit(1), credit(2)],
        "write": ["lowCreditThreshold=500"], "read": ["creditBalance", "tokenLog.1"],
    }  # fmt: skip
    bench = MeterLine(electricity)
    with real_day(bench, route_of(tmp_path / "monday.json", stop)) as unit:
        unit.visit()
        with unit.journal() as journal:
            summary, rows, document, _ = told(journal, unit.route)
            *_, masked = told(journal, unit.route, mask=True)
    assert summary.stops[StopResult.DONE] == 1
    assert [row["result"] for row in rows] == ["done"] * 5
    assert [row["delivery"] for row in rows] == ["1", "2", "", "", ""]
    assert rows[0]["entered"] == "1"
    assert rows[3]["value"] == f"{bench.state.account.balance}"
    assert credit(2) in rows[4]["value"]
    assert credit(2) not in masked
    assert f"{int(credit(2)):017X}" not in masked
    assert document["stops"][0]["meter_pan"] == PAN
    visit = document["stops"][0]["visits"][0]
    assert visit["ended"] is not None
