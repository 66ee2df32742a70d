"""Fixtures and rules that all tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
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


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """Return a program's path; skip without it, but fail where everything must be there."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            reason = f"the program {name} is not on this machine"
            if os.environ.get("VTC07_REQUIRE_ALL") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        return path

    return find
