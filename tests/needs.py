"""What a test needs beside the project: skipped with the reason where the machine lacks it.

With VTC07_REQUIRE_ALL=1 a test that lacks something fails in place of being skipped.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import NoReturn

import pytest

#: Read at once: tests run without the user's own VTC07_ variables.
_REQUIRED = os.environ.get("VTC07_REQUIRE_ALL") == "1"


def lacking(reason: str) -> NoReturn:
    """Skip, or fail, for a reason; at module level too."""
    if _REQUIRED:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def module(name: str) -> None:
    """Skip, or fail, where an optional Python module is not installed."""
    if importlib.util.find_spec(name) is None:
        lacking(f"the optional module {name} is not installed")


def program(name: str) -> None:
    """Skip, or fail, where a program is not installed."""
    if shutil.which(name) is None:
        lacking(f"the program {name} is not installed")
