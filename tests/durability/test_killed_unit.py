"""A hand-held unit that is killed while tokens are delivered: its journal says what happened."""

from __future__ import annotations

import os
import signal

import pytest
from killed_unit_proof import deliveries, prove

pytestmark = pytest.mark.skipif(
    not (hasattr(signal, "SIGKILL") and hasattr(os, "fork")),
    reason="the system has no SIGKILL, or no processes made by forking",
)


def test_a_delivery_killed_at_every_entry_of_its_own() -> None:
    report = prove(lambda proof: proof.send(deliveries))
    assert report.kills == 12  # of two tokens: opened, announced, result, each before and after
    assert report.tokens == 24
    assert report.resumes_killed > 1
    assert set(report.resolved) == {
        "delivered: Accept",
        "not taken: the meter has executed no entry of it",
    }


def test_a_delivery_killed_anywhere() -> None:
    report = prove(lambda proof: proof.send(lambda places: range(0, len(places), 40)))
    assert report.kills > 4


def test_a_route_killed_at_entries_of_its_deliveries() -> None:
    report = prove(lambda proof: proof.route(lambda places: deliveries(places)[::2]))
    assert report.kills == 6
    assert report.tokens == 12


def test_a_route_killed_anywhere() -> None:
    report = prove(lambda proof: proof.route(lambda places: range(10, len(places), 90)))
    assert report.kills > 3
