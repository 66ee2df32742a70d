"""A served meter that is killed while tokens are delivered: nothing is lost, doubled or misread."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest
from bench_meter import new_meter
from crash_proof import agree, run

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.outcome import Delivered, Outcome, Refused, Unresolved, UnresolvedReason
from vtc07.meter import MeterState, TokenLogEntry

needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")


@needs_kill
def test_a_meter_killed_at_random_instants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users = tmp_path / "users"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(users))
    report = run(tmp_path, kills=20, seed=3)
    assert not users.exists()  # nothing is left in the user's folder
    assert report.kills == 20
    assert report.killed_while_starting > 0
    assert report.killed_after_an_entry > 0
    assert report.outcomes["Delivered"] > 5
    assert 1 <= report.power_fails <= 20


# --- the judgement itself ------------------------------------------------------------------------

A, B = "1" * 20, "2" * 20
DELIVERED = Delivered(TokenStatus.ACCEPT, 1)
USED = Refused(TokenStatus.USED_ERROR, 2)


def _entry(number: int, token: str, status: TokenStatus) -> TokenLogEntry:
    return TokenLogEntry(number, token, 5, "0.0", 100, status)


LOG = {1: _entry(1, A, TokenStatus.ACCEPT), 2: _entry(2, A, TokenStatus.USED_ERROR)}


def _state(credit: int) -> MeterState:
    made = new_meter()
    return replace(made, account=replace(made.account, balance=credit, accepted=credit))


def test_what_was_reported_and_done_agrees() -> None:
    unresolved = Unresolved(UnresolvedReason.NO_LINK)
    agree({A: [unresolved, DELIVERED, USED]}, LOG, _state(100))


@pytest.mark.parametrize(
    ("reported", "log", "credit"),
    [
        ({A: [USED]}, LOG, 100),  # an acceptance that nobody was told of
        ({A: [DELIVERED]}, LOG, 0),  # without its credit
        ({A: [DELIVERED]}, LOG, 200),  # more than the tokens
        ({A: [DELIVERED]}, {1: LOG[2]}, 100),  # reported, and not done
        ({B: [DELIVERED]}, LOG, 100),  # reported of another token
        ({A: [DELIVERED]}, {1: LOG[1], 2: _entry(2, A, TokenStatus.ACCEPT)}, 200),  # twice
        ({A: [Unresolved(UnresolvedReason.NO_LINK)]}, {}, 0),  # open in the end
    ],
)
def test_what_does_not_agree_is_noticed(
    reported: dict[str, list[Outcome]], log: dict[int, TokenLogEntry], credit: int
) -> None:
    with pytest.raises(AssertionError):
        agree(reported, log, _state(credit))
