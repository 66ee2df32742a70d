"""Fixtures and rules that all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion

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
