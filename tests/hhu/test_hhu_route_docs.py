"""docs/routes.md: its examples are good routes, and its table names every kind of finding."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fuzz_routes import seeds
from vtc07.carrier.companion_file import load_companion
from vtc07.hhu.route.check import RouteCheck
from vtc07.hhu.route.file import open_route

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "routes.md").read_text("utf-8")
ROW = re.compile(
    r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| ((?:error|warning|note)(?:, warning|, error)?) \|",
    re.MULTILINE,
)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_the_examples_are_good_routes(tmp_path: Path, kind: str) -> None:
    (text,) = re.findall(rf"^```{kind}\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
    path = tmp_path / f"monday.{kind}"
    path.write_text(text, "utf-8")
    checking = RouteCheck(path, [load_companion("electricity")])
    assert list(checking.findings()) == []
    assert checking.counts.key_changes == 1
    assert open_route(path).size >= 2


def test_every_kind_of_finding_is_in_the_table(tmp_path: Path) -> None:
    listed = {
        kind: set(severities.split(", "))
        for kinds, severities in ROW.findall(DOCUMENT)
        for kind in re.findall("`(.*?)`", kinds)
    }
    seen: dict[str, set[str]] = {}
    for name, data in seeds().items():
        path = tmp_path / name
        path.write_bytes(data)
        for companions in ([], [load_companion("electricity")]):
            for finding in RouteCheck(path, companions).findings():
                seen.setdefault(finding.kind, set()).add(finding.severity.value)
    for finding in RouteCheck(tmp_path).findings():
        seen.setdefault(finding.kind, set()).add(finding.severity.value)
    assert {(k, s) for k in seen for s in seen[k]} == {(k, s) for k in listed for s in listed[k]}
