"""TokenLockout and the order of a token entry's errors."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import LockoutPolicy, S
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.carrier.token_entry import Lockout, judge

POLICY = LockoutPolicy()
CRC = TokenStatus.CRC_ERROR


def failed(lockout: Lockout, times: int = 1) -> Lockout:
    for _ in range(times):
        lockout = lockout.after(CRC, 0, POLICY)
    return lockout


def test_five_failures_lock_for_60_s_and_each_further_one_for_twice_as_long() -> None:
    lockout = failed(Lockout(), 4)
    assert not lockout.locked
    lengths = []
    for _ in range(9):
        lockout = failed(lockout)
        lengths.append(lockout.remaining_s)
        lockout = lockout.elapsed(lockout.remaining_ns)
        assert not lockout.locked
    assert lengths == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_only_an_accepted_token_of_class_0_or_2_clears_the_count() -> None:
    four = failed(Lockout(), 4)
    assert four.after(TokenStatus.ACCEPT, 0, POLICY) == Lockout()
    assert four.after(TokenStatus.SECOND_KCT, 2, POLICY) == Lockout()
    for status in TokenStatus:
        if not status.taken and status not in (CRC, TokenStatus.MFR_CODE_ERROR):
            assert four.after(status, 0, POLICY) == four
    assert four.after(TokenStatus.ACCEPT, 1, POLICY) == four
    assert four.after(TokenStatus.MFR_CODE_ERROR, 1, POLICY).locked


@given(st.lists(st.integers(0, 30 * S), max_size=20))
def test_time_runs_down_and_the_seconds_shown_are_rounded_up(steps: list[int]) -> None:
    lockout = failed(Lockout(), 5)
    passed = 0
    for step in steps:
        lockout = lockout.elapsed(step)
        passed += step
        left = max(0, 60 * S - passed)
        assert lockout.remaining_ns == left
        assert lockout.locked == (left > 0)
        assert lockout.remaining_s == (left + S - 1) // S


def test_a_refusal_is_remembered_until_the_lockout_ends() -> None:
    assert not failed(Lockout(), 4).after_refusal().refused  # nothing was refused for a lockout
    lockout = failed(Lockout(), 5)
    assert not lockout.refused
    lockout = lockout.after_refusal()
    assert lockout.refused
    assert lockout.after_refusal() is lockout
    assert lockout.elapsed(60 * S - 1).refused
    over = lockout.elapsed(60 * S)
    assert not over.refused
    assert not failed(over).refused  # the next lockout refused nobody yet


def test_order_of_the_errors() -> None:
    order = [
        ErrorCode.TOKEN_EXECUTING,
        ErrorCode.TOKEN_LOCKOUT,
        ErrorCode.VALUE_REFUSED,
        ErrorCode.STORE_FAULT,
        None,
    ]
    for first, expected in enumerate(order):
        found = judge(
            token=None if first <= 2 else "0" * 20,
            executing=first <= 0,
            locked=first <= 1,
            store_fault=first <= 3,
        )
        assert found is expected
