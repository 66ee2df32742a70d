"""STA table files: what is taken, how it is recognised, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.tokens import SAMPLE_DIGEST, SAMPLE_TABLES, StaTables, TableError, load_tables

SHARED_TABLES = Path(__file__).resolve().parents[2] / "../shared/data/sta_tables.json"

SAMPLE: dict[str, Any] = {
    "sub1": list(SAMPLE_TABLES.sub1),
    "sub2": list(SAMPLE_TABLES.sub2),
    "perm": list(SAMPLE_TABLES.perm),
}
OTHER: dict[str, Any] = {**SAMPLE, "perm": list(reversed(SAMPLE["perm"]))}
TWICE = json.dumps(SAMPLE)[:-1] + f', "sub1": {json.dumps(SAMPLE["sub2"])}}}'


def test_the_built_in_set_is_the_sample_set() -> None:
    assert SAMPLE_TABLES.digest == SAMPLE_DIGEST
    assert SAMPLE_TABLES.name == "sample"


@pytest.mark.parametrize("content", [SAMPLE, {"sample": SAMPLE, "notes": "x"}])
def test_a_file_with_the_sample_set_is_recognised(content: object) -> None:
    tables = load_tables(json.dumps(content))
    assert tables == SAMPLE_TABLES
    assert load_tables(json.dumps(content).encode()) == tables


def test_the_actual_set_is_recognised_and_preferred() -> None:
    if not SHARED_TABLES.exists():
        pytest.skip("the STA table file is not beside this clone")
    tables = load_tables(SHARED_TABLES.read_bytes())
    assert tables.name == "actual"
    assert tables != SAMPLE_TABLES
    actual = {name: list(getattr(tables, name)) for name in ("sub1", "sub2", "perm")}
    assert load_tables(json.dumps(actual)) == tables


def test_an_unknown_set_is_taken_only_when_meant() -> None:
    with pytest.raises(TableError, match="neither the sample set nor the actual set"):
        load_tables(json.dumps(OTHER))
    tables = load_tables(json.dumps({"actual": OTHER, "sample": SAMPLE}), allow_unknown=True)
    assert tables.name == "unknown"
    assert tables.perm == tuple(OTHER["perm"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        (b"\xff\xfe\x00\x01\x02", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no table set"),
        ("{}", "no table set"),
        ("7", "no table set"),
        (json.dumps({"actual": None, "sample": SAMPLE}), "actual.*no object"),
        (json.dumps({"actual": [SAMPLE], "sample": SAMPLE}), "actual.*no object"),
        (json.dumps({"actual": {}, "sample": SAMPLE}), "needs sub1"),
        (json.dumps({"actual": {**SAMPLE, "perm": 1}, "sample": SAMPLE}), "needs perm"),
        (json.dumps({"actual": {"sub2": [], "perm": []}, "sample": SAMPLE}), "needs sub1"),
        (json.dumps({"other": {"sub2": [], "perm": []}, "sample": SAMPLE}), "several sets"),
        (json.dumps({"actual": OTHER, **SAMPLE}), "several sets"),
        (json.dumps({"actual": None, **SAMPLE}), "several sets"),
        (TWICE, "sub1.*twice"),
        (f'{{"actual": {json.dumps(SAMPLE)}, "actual": {json.dumps(OTHER)}}}', "actual.*twice"),
        (f'{{"sample": {TWICE}}}', "sub1.*twice"),
        (f'{{"sample": {json.dumps(SAMPLE)}, "{"n" * 999}": 1, "{"n" * 999}": 2}}', "twice"),
        (json.dumps({"a": SAMPLE, "b": OTHER}), 'none is named "actual"'),
        (json.dumps({"sub1": SAMPLE["sub1"], "sub2": SAMPLE["sub2"]}), "needs perm"),
        (json.dumps({**SAMPLE, "sub2": "0123"}), "needs sub2"),
        (json.dumps({**SAMPLE, "sub1": SAMPLE["sub1"][:-1]}), "sub1 must hold every number"),
        (json.dumps({**SAMPLE, "sub1": [*SAMPLE["sub1"][:-1], 12]}), "sub1 must hold every"),
        (json.dumps({**SAMPLE, "sub1": [*SAMPLE["sub1"][:-1], 11.0]}), "sub1 must hold every"),
        (json.dumps({**SAMPLE, "perm": [*SAMPLE["perm"][:-1], "8"]}), "perm must hold every"),
        (json.dumps({**SAMPLE, "perm": [True, *SAMPLE["perm"][1:]]}), "perm must hold every"),
    ],
)
def test_what_is_no_table_set_is_refused_with_a_sentence(text: str | bytes, sentence: str) -> None:
    with pytest.raises(TableError, match=sentence) as caught:
        load_tables(text, allow_unknown=True)
    assert len(str(caught.value)) < 200


@given(st.text() | st.binary())
def test_no_content_raises_anything_else(content: str | bytes) -> None:
    with pytest.raises(TableError):
        load_tables(content, allow_unknown=True)


def test_no_repr_shows_the_entries() -> None:
    tables = load_tables(json.dumps(OTHER), allow_unknown=True)
    assert ", ".join(map(str, tables.perm[:4])) not in repr(tables)
    with pytest.raises(TableError, match="every number"):
        StaTables([1], tables.sub2, tables.perm)  # type: ignore[arg-type]
