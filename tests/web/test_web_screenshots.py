"""The pictures of the documentation: all that its script makes are there, and none is large."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"


def test_every_picture_is_there_and_small() -> None:
    script = (FOLDER / "make_screenshots.py").read_text()
    made = set(re.findall(r'_picture\(page, into, "([a-z0-9_]+)"\)', script))
    assert 10 <= len(made) <= 12
    assert {path.stem for path in FOLDER.glob("*.png")} == made
    for path in FOLDER.glob("*.png"):
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n"), path
        assert len(content) < 150_000, path
