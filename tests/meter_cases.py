"""The shared meter scenarios and rejections, and the meters that they speak of."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from vtc07.carrier.companion_file import load_companion
from vtc07.meter import MeterState, manufacture
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SAMPLE_TABLES,
    SGC,
    TI,
    TID,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
    load_tables,
)

SHARED = Path(__file__).resolve().parents[1] / "../shared"
VECTORS = SHARED / "vectors"

Case = dict[str, Any]


@cache
def content(name: str) -> Any:
    """Return a file of the shared vectors."""
    return json.loads((VECTORS / name).read_text())


def cases(name: str, key: str) -> list[Any]:
    """Return a file's cases as parameters of a test; one that is skipped without the material."""
    if not (VECTORS / name).is_file():
        reason = pytest.mark.skip(reason="the shared material is not beside this clone")
        return [pytest.param(None, marks=reason)]
    return [pytest.param(case, id=case.get("id", case.get("name"))) for case in content(name)[key]]


def manufactured(case: Case) -> MeterState:
    """Return the meter of a case."""
    tables = SAMPLE_TABLES
    if case.get("tables") != "sample":
        tables = load_tables((SHARED / "data" / "sta_tables.json").read_bytes())
    initial = re.fullmatch(r"50 x (\d+) .*", case.get("tid_memory_initial", "50 x 3155520 "))
    assert initial is not None
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
        TID(int(initial[1])),
    )
