"""The browser that the tests of this process share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from web_bench import Chromium


@pytest.fixture(scope="session")
def _chromium() -> Iterator[list[Chromium]]:
    started: list[Chromium] = []
    yield started
    for each in started:
        each.close()


@pytest.fixture
def browser(_chromium: list[Chromium]) -> Iterator[Chromium]:
    """A real browser: ``with browser.page(web, path, width=..., dark=...) as page``."""
    if not _chromium:
        _chromium.append(Chromium())
    with _chromium[0].awake() as awake:
        yield awake
