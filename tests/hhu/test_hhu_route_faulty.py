"""Stops that are wrong by themselves: nothing is done at them, and they are never done."""

from __future__ import annotations

from pathlib import Path

import pytest
from hhu_bench import PAN, MeterLine, credit
from route_bench import day, results, route_of

from vtc07.carrier.companion import Companion
from vtc07.hhu.route.facts import RouteError
from vtc07.hhu.route.state import route_summary
from vtc07.hhu.route.task import StopResult, TaskResult

GOOD = {"meter": PAN, "deliver": [credit(1)]}


def test_nothing_is_done_at_a_stop_with_an_error(electricity: Companion, tmp_path: Path) -> None:
    bench = MeterLine(electricity)
    wrong = {"meter": PAN, "deliver": [credit(1), credit(2)[:-1]], "read": ["creditBalance"]}
    with day(bench, route_of(tmp_path / "monday.json", wrong)) as unit:
        with pytest.raises(RouteError, match=r"stop 1: token 2 has 19 digits.*mend the route"):
            unit.visit()
        assert bench.state.tokens_executed == 0
        assert unit.state().result is StopResult.NOT_VISITED


def test_a_stop_with_an_error_is_not_done(electricity: Companion, tmp_path: Path) -> None:
    bench = MeterLine(electricity)
    with day(bench, route_of(tmp_path / "monday.json", GOOD)) as unit:
        unit.visit()
        assert unit.state().result is StopResult.DONE
        more = {"meter": PAN, "deliver": [credit(1), credit(2)[:-1]]}
        unit.route = route_of(tmp_path / "monday.json", more)
        state = unit.state()
        assert results(state) == [TaskResult.DONE]
        assert state.result is StopResult.PARTLY
        with unit.journal() as journal:
            assert route_summary(journal, unit.route).stops[StopResult.DONE] == 0
