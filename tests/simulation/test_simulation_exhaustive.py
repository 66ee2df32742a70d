"""Every cut and every loss of power, one at a time: all of it for some kinds, a part for all."""

from __future__ import annotations

from itertools import islice

import pytest

from vtc07.simulation.exhaustive import (
    PAIRED,
    cuts,
    first_cuts,
    pairs,
    plan_of,
    power_losses,
    run_singles,
    undisturbed,
)
from vtc07.simulation.faults import Cut
from vtc07.simulation.issued import TokenKind
from vtc07.simulation.world import simulate

WHOLE = (TokenKind.CREDIT, TokenKind.KEY_CHANGE)
STRIDE = 9


@pytest.mark.parametrize("kind", WHOLE)
def test_every_single_cut_and_loss_of_power_ends_well(kind: TokenKind) -> None:
    run = undisturbed(plan_of(kind))
    count, failures = run_singles(kind)
    assert [failed.violation for failed in failures] == []
    assert count.cuts == 2 * sum(run.sent)
    assert count.power_losses == 2 * sum(run.steps)
    assert len(run.steps) >= 2  # power up, the token, and whatever is kept up


@pytest.mark.parametrize("kind", [kind for kind in TokenKind if kind not in WHOLE])
def test_cuts_and_losses_of_power_end_well_for_every_kind_of_token(kind: TokenKind) -> None:
    plan = plan_of(kind)
    for single in (*islice(cuts(plan), 0, None, STRIDE), *islice(power_losses(plan), 0, None, 3)):
        assert simulate(single).violation is None


def test_a_cut_strikes_at_every_character() -> None:
    for plan in islice(cuts(plan_of(TokenKind.CREDIT)), 0, None, 5):
        (fault,) = plan.faults
        assert isinstance(fault, Cut)
        run = simulate(plan)
        ((up, down),) = run.struck
        assert (up if fault.sender == "client" else down) == fault.place


@pytest.mark.parametrize("kind", PAIRED)
def test_pairs_of_cuts_end_well(kind: TokenKind) -> None:
    plan = plan_of(kind, executing=False)
    firsts = first_cuts(plan)
    assert len(firsts) == sum(undisturbed(plan).sent)
    for first in firsts[::60]:
        for pair in islice(pairs(plan, first), 0, None, 60):
            assert simulate(pair).violation is None
