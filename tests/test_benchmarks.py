"""The benchmarks measure what they say, and sessions keep to their bound."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import fleet
import line_bound
import line_efficiency
import needs
import readout
import route
import web_start
from line_efficiency import LIMIT, Measured
from vtc07.carrier.companion_file import load_companion

CHOSEN = (
    ("electricity", 300),
    ("electricity", 19200),
    ("water", 2400),
    ("electricity-mode-c", 300),
    ("electricity-mode-c", 9600),
)


@pytest.fixture(scope="module")
def measured() -> list[Measured]:
    return [m for name, speed in CHOSEN for m in line_efficiency.measure([name], [speed])]


def test_no_session_is_far_above_its_bound(measured: list[Measured]) -> None:
    assert len(measured) == 7 * 3 + 8 * 2
    assert [m for m in measured if m.excess > LIMIT] == []


def test_no_session_is_below_its_bound(measured: list[Measured]) -> None:
    """A bound that something beats is none. Each message may round up to a whole ns."""
    assert [m for m in measured if m.session_ns < m.bound_ns - 10_000] == []


def test_polls_are_told_apart(measured: list[Measured]) -> None:
    """A snapshot that shows 16 is nobody's fault, but not needed by one who knew."""
    slow = [m for m in measured if m.task == "one token, executed in 3 s"]
    assert len(slow) == len(CHOSEN)
    assert all(m.polls > 0 and m.polls_ns > 0 for m in slow)
    assert all(m.polls == 0 for m in measured if m not in slow)


def test_a_client_without_a_plan_takes_longer(measured: list[Measured]) -> None:
    everything = [m for m in measured if m.task == "all registers"]
    assert len(everything) == len(CHOSEN)
    assert all(m.one_by_one_ns is not None for m in everything)
    assert all((m.one_by_one_ns or 0) > 3 * m.session_ns for m in everything)


def test_the_tables_hold_every_session(measured: list[Measured]) -> None:
    told: list[str] = []
    line_efficiency.print_table(measured, told.append)
    text = "\n".join(told)
    tables = len({m.companion for m in measured})
    assert text.count(" / ") == len(measured) + tables  # each table has a head
    for m in measured:
        assert line_efficiency.cell(m) in text


def test_the_bound_of_an_identification_by_hand() -> None:
    """5 and 19 characters, 12 and 27, three reaction times: 63 characters at 2400 Bd."""
    companion = load_companion("electricity")
    line = line_bound.Line(2400, 200_000_000)
    length = {"meterPAN": 18}
    taken = (
        line_bound.sign_on(companion, line)
        + line_bound.reading(
            companion, line, line_bound.pan(companion), lambda r: length.get(r.name, 1)
        )[0]
    )
    assert abs(taken - (63 * 10 * 10**9 // 2400 + 600_000_000)) < 10


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_a_fleet_of_twenty_is_answered_rightly(store: str) -> None:
    row = fleet.measure(20, 2.0, store)
    assert row.wrong == 0
    assert row.answers > 0
    assert row.store == store
    assert all(time >= fleet.SHORTEST_S for time in row.times)


def test_the_fleet_benchmark_notices_a_wrong_answer() -> None:
    async def run() -> fleet.Tally:
        tally = fleet.Tally(counting=True)
        caller = fleet.Caller(fleet.meter_pan(1), tally)
        caller.connection_made(Deaf())
        caller.data_received(b"/VTC3010000010000\r\n")
        await caller.identified
        other = f"\x020010({fleet.meter_pan(2)})\x03".encode()
        for answer in (other, b"\x02(ER03)\x03"):
            caller.ask()
            caller.data_received(answer + fleet.bcc(answer[1:]))
        return tally

    assert asyncio.run(run()).wrong == 2


class Deaf(asyncio.Transport):
    """Takes whatever is written."""

    def write(self, data: object) -> None:
        pass


def test_both_clients_read_out_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    needs.module("iec62056_21")
    assert readout.main(["--repeats", "1"]) == 0
    assert "| PyPI" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is told by Linux")
def test_memory_does_not_grow_with_a_route(capsys: pytest.CaptureFixture[str]) -> None:
    assert route.main(["--stops", "500", "--stops", "4000"]) == 0
    said = capsys.readouterr().out
    assert said.count("| CSV |") == said.count("| JSON |") == 2


def test_a_route_that_takes_more_memory_is_noticed() -> None:
    short = route.Row("csv", 1_000, 1, 1.0, 1.0, 1.0, 1.0, 1.0, 20_000, 21_000, 22_000)
    long = route.Row("csv", 9_000, 1, 1.0, 1.0, 1.0, 1.0, 1.0, 20_000, 25_200, 44_000)
    assert route.growth([long, short], "csv") == (1.2, 2.0)


def test_the_web_application_is_there_soon(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("starlette", "uvicorn", "jinja2", "multipart"):
        needs.module(name)
    assert web_start.main(["--repeats", "1"]) == 0
    said = capsys.readouterr().out
    assert "| the first page is answered |" in said
    assert "| the first register is shown |" in said


def test_a_slow_start_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(worked: float) -> list[web_start.Row]:
        return [
            web_start.Row("version", 0.1, 0.1),
            web_start.Row("address", 9.0, 1.0),
            web_start.Row("page", 9.0, worked),
            web_start.Row("all", 9.0, 9.0),
        ]

    monkeypatch.setattr(web_start, "measure", lambda _: measured(1.9))
    assert web_start.main([]) == 0
    monkeypatch.setattr(web_start, "measure", lambda _: measured(2.0))
    assert web_start.main([]) == 1
