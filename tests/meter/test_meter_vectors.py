"""The shared scenarios and rejections, executed by the meter."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bench_meter import MeterBench

from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.meter import MeterState, manufacture
from vtc07.tokens import (
    DRN,
    EA,
    KEN,
    KRN,
    KT,
    SAMPLE_TABLES,
    SGC,
    TI,
    TID,
    BaseDate,
    CheckDigitError,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
    MfrCode,
    load_tables,
)

SHARED = Path(__file__).resolve().parents[2] / "../shared"
VECTORS = SHARED / "vectors"


@cache
def _content(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


def _cases(name: str, key: str) -> list[Any]:
    if not (VECTORS / name).is_file():
        reason = pytest.mark.skip(reason="the shared material is not beside this clone")
        return [pytest.param(None, marks=reason)]
    return [pytest.param(case, id=case.get("id", case.get("name"))) for case in _content(name)[key]]


def _state(case: dict[str, Any]) -> MeterState:
    tables = SAMPLE_TABLES
    if case.get("tables") != "sample":
        tables = load_tables((SHARED / "data/sta_tables.json").read_bytes())
    return manufacture(
        load_companion("electricity"),
        MeterPAN(case["meter_pan"]),
        DecoderKey.from_hex(EA(case["ea"]), case["decoder_key"], tables),
        KeyAttributes(
            KT(case["kt"]),
            SGC(case["sgc"]),
            TI(case["ti"]),
            KRN(case["krn"]),
            KEN(case.get("ken", 255)),
            BaseDate(f"{case['bdt']:02d}"),
        ),
        TID(3155520),
    )


def _expected(text: str) -> TokenStatus:
    return TokenStatus(text.split(maxsplit=1)[0])


@pytest.mark.parametrize("scenario", _cases("meter_scenarios.json", "scenarios"))
def test_scenario(scenario: dict[str, Any]) -> None:
    bench = MeterBench(_state(scenario["meter"]))
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
        for case in _cases("negative.json", "cases")
        if case.values[0] is None
        or ("drn" not in case.values[0] and ("meter_pan" in case.values[0]) is with_key)
    ]


@pytest.mark.parametrize("case", _rejections(with_key=True))
def test_rejection(case: dict[str, Any]) -> None:
    bench = MeterBench(_state(case))
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
    reference = _content("negative.json")["cases"][0]
    drn = DRN.of(MfrCode(case.get("meter_mfr", "12")), "34567890")
    bench = MeterBench(_state(reference | {"meter_pan": MeterPAN.from_drn(drn).digits}))
    assert bench.enter(case["token"]) is _expected(case["expect"])


def test_check_digit_cases(shared: Path) -> None:
    cases = [case for case in _content("negative.json")["cases"] if "drn" in case]
    assert cases
    for case in cases:
        with pytest.raises(CheckDigitError):
            DRN(case["drn"])
