"""What a test needs beside the project: skipped with the reason where the machine lacks it.

With VTC07_REQUIRE_ALL=1 a test that lacks something fails in place of being skipped.
"""

from __future__ import annotations

import importlib.util
import os

import pytest


def module(name: str) -> None:
    """Skip, or fail, where an optional Python module is not installed; at module level too."""
    if importlib.util.find_spec(name) is not None:
        return
    reason = f"the optional module {name} is not installed"
    if os.environ.get("VTC07_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)
