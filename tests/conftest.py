"""Fixtures and rules that all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion

if TYPE_CHECKING:
    from web_bench import Chromium

# No wall-clock limits: a loaded machine must not turn a right answer into a failure.
settings.register_profile(
    "vtc07", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("vtc07")

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared"


@pytest.fixture(scope="session")
def electricity() -> Companion:
    """The shipped electricity companion."""
    return load_companion("electricity")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material beside the project; the test is skipped without it."""
    if not SHARED.is_dir():
        pytest.skip("the shared material is not beside this clone")
    return SHARED


@pytest.fixture(scope="session")
def _chromium() -> Iterator[list[Chromium]]:
    started: list[Chromium] = []
    yield started
    for each in started:
        each.close()


@pytest.fixture
def browser(_chromium: list[Chromium]) -> Iterator[Chromium]:
    """A real browser: ``with browser.page(web, path, width=..., look=...) as page``."""
    from web_bench import Chromium  # what it needs is optional: skipped without it

    if not _chromium:
        _chromium.append(Chromium())
    with _chromium[0].awake() as awake:
        yield awake
