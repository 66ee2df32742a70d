"""The shared scenarios and rejections, executed by the meter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_meter import MeterBench

from meter_cases import cases, content, manufactured
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.tokens import (
    DRN,
    CheckDigitError,
    MeterPAN,
    MfrCode,
)


def _expected(text: str) -> TokenStatus:
    return TokenStatus(text.split(maxsplit=1)[0])


@pytest.mark.parametrize("scenario", cases("meter_scenarios.json", "scenarios"))
def test_scenario(scenario: dict[str, Any]) -> None:
    bench = MeterBench(manufactured(scenario["meter"]))
    old = bench.meter.state
    for step in scenario["steps"]:
        if "token" not in step:
            bench.sleep(step["wait_s"])
            assert bench.meter.state.staging is None
            continue
        status = bench.enter(step["token"])
        assert status is _expected(step["expect"]), step
        if "key changed" in step["expect"]:
            assert bench.meter.state.key != old.key
            assert bench.meter.state.staging is None


def _rejections(*, with_key: bool) -> list[Any]:
    return [
        case
        for case in cases("negative.json", "cases")
        if case.values[0] is None
        or ("drn" not in case.values[0] and ("meter_pan" in case.values[0]) is with_key)
    ]


@pytest.mark.parametrize("case", _rejections(with_key=True))
def test_rejection(case: dict[str, Any]) -> None:
    bench = MeterBench(manufactured(case))
    before = bench.meter.state
    if case["expect"].startswith("refused at the carrier"):
        assert bench.offer(case["token"]) is ErrorCode.VALUE_REFUSED
        assert bench.meter.state == before
        return
    tokens = case.get("tokens", [case.get("token")])
    statuses = [bench.enter(token) for token in tokens]
    results = case.get("results")
    if results is None:
        assert statuses[-1] is _expected(case["expect"])
    else:
        assert statuses == [_expected(result) for result in results]
    after = bench.meter.state
    if not statuses[-1].taken:
        # A refused token leaves a trace in the logs and in the lockout, and nothing else.
        assert (
            replace(
                after,
                last=before.last,
                tokens_executed=before.tokens_executed,
                virtual_lockout=before.virtual_lockout,
                events_counted=before.events_counted,
                token_log=before.token_log,
                event_log=before.event_log,
            )
            == before
        )


@pytest.mark.parametrize("case", _rejections(with_key=False))
def test_rejection_in_clear(case: dict[str, Any]) -> None:
    reference = content("negative.json")["cases"][0]
    drn = DRN.of(MfrCode(case.get("meter_mfr", "12")), "34567890")
    bench = MeterBench(manufactured(reference | {"meter_pan": MeterPAN.from_drn(drn).digits}))
    assert bench.enter(case["token"]) is _expected(case["expect"])


def test_check_digit_cases(shared: Path) -> None:
    found = [case for case in content("negative.json")["cases"] if "drn" in case]
    assert found
    for case in found:
        with pytest.raises(CheckDigitError):
            DRN(case["drn"])
